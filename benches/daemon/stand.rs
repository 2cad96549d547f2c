//! A daemon in a directory of its own, with a firewall that only notes when it was called, and for whom.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portcullis::control::{Answer, Client, Request};
use tempfile::TempDir;

/// The program that is measured.
pub(crate) const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");

/// A run of the firewall's command.
#[derive(Debug)]
pub(crate) struct Stamp {
    /// When its `main` began, in nanoseconds since 1970.
    pub(crate) at: u128,
    /// `add`, `remove`, `list` or `replace`.
    pub(crate) what: String,
    /// Whom it was called for.
    pub(crate) prefixes: Vec<String>,
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_nanos()
}

/// The firewall's command: notes the time before anything else. It is this very program under another argument, since
/// a script would take longer to start than what is measured.
pub(crate) fn stamp(file: &str, what: &str) {
    let (at, mut input) = (now(), String::new());
    std::io::stdin().read_to_string(&mut input).expect("prefixes on standard input");
    let line = format!("{at} {what} {}\n", input.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut stamps = OpenOptions::new().append(true).create(true).open(file).expect("the file of stamps");
    stamps.write_all(line.as_bytes()).expect("room for a stamp");
}

/// The directory, and the daemon once it is started.
pub(crate) struct Stand {
    /// The followed log.
    pub(crate) log: PathBuf,
    directory: TempDir,
    stamps: PathBuf,
    child: Option<Child>,
}

impl Stand {
    /// A configuration with the shipped rule sets, one log, and `extra` lines in it.
    pub(crate) fn new(extra: &str) -> Self {
        Self::with_sources("", extra)
    }

    /// The same with more sources; `DIR` in them is the stand's directory.
    pub(crate) fn with_sources(sources: &str, extra: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        // The process without rights keeps its database below.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        let privileges = std::env::var("PORTCULLIS_PRIVILEGES").unwrap_or_else(|_| "separate".to_owned());
        let at = |name: &str| directory.path().join(name);
        let (log, stamps) = (at("auth.log"), at("stamps"));
        File::create(&log).expect("a log");
        let own = std::env::current_exe().expect("our own path");
        let call = |what: &str| format!("['{}', stamp, '{}', {what}]", own.display(), stamps.display());
        let text = format!(
            "sources: {{auth: '{}', {}}}\nrules_dir: '{}'\nstate: '{}'\ncontrol: {{socket: '{}'}}\nlog: {{to: stderr}}\n\
             firewall: {{backend: command, command: {{add: {}, remove: {}, list: {}, batch: true}}}}\n\
             privileges: {privileges}\n{extra}",
            log.display(),
            sources.replace("DIR", &directory.path().display().to_string()),
            at("rules.d").display(),
            at("state.db").display(),
            at("sock").display(),
            call("add"),
            call("remove"),
            call("list"),
        );
        fs::write(at("portcullis.yaml"), text).expect("a configuration");
        Self { log, directory, stamps, child: None }
    }

    /// A file of its directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.file("portcullis.yaml")
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn start(&mut self) {
        let errors = File::create(self.directory.path().join("errors")).expect("a file");
        let mut run = Command::new(PORTCULLIS);
        // As contrib/linux/portcullis.service.in has it.
        run.envs([("MALLOC_MMAP_THRESHOLD_", "1048576"), ("MALLOC_TRIM_THRESHOLD_", "1048576")]);
        run.arg("run").arg("-c").arg(self.config()).stdin(Stdio::null()).stderr(errors);
        self.child = Some(run.spawn().expect("the daemon starts"));
        self.until("the daemon answers", |stand| stand.ask("status").is_some());
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("the daemon was started").id()
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = Pid::from_raw(child.id().cast_signed());
        kill(pid, Signal::SIGTERM).expect("it is our child");
        child.wait().expect("it ends");
    }

    /// What a command that asks the daemon prints as JSON, if it answers.
    pub(crate) fn ask(&self, command: &str) -> Option<String> {
        let run = Command::new(PORTCULLIS).arg(command).arg("--json").arg("-c").arg(self.config()).output();
        let run = run.expect("the program starts");
        run.status.success().then(|| String::from_utf8_lossy(&run.stdout).into_owned())
    }

    /// Lines that the daemon has read, as it says itself.
    pub(crate) fn lines(&self) -> u64 {
        let socket = self.directory.path().join("sock");
        let answer = Client::connect(&socket).and_then(|client| client.ask(&Request::Status));
        if let Ok(Answer::Status(status)) = answer { status.counters.lines } else { 0 }
    }

    /// Bans a block list, one prefix a line.
    pub(crate) fn ban(&self, list: &str) {
        let mut command = Command::new(PORTCULLIS);
        command.args(["ban", "-c"]).arg(self.config()).arg("-").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        child.stdin.take().expect("a pipe").write_all(list.as_bytes()).expect("it reads");
        assert!(child.wait().expect("it ends").success(), "the block list is refused");
    }

    /// Appends to the log and returns when that began.
    pub(crate) fn append(&self, text: &[u8]) -> u128 {
        let mut log = OpenOptions::new().append(true).open(&self.log).expect("the log");
        let before = now();
        log.write_all(text).expect("room for a log");
        before
    }

    /// The firewall's calls so far.
    pub(crate) fn stamps(&self) -> Vec<Stamp> {
        let text = fs::read_to_string(&self.stamps).unwrap_or_default();
        let stamp = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Some(Stamp { at: words.next()?.parse().ok()?, what: words.next()?, prefixes: words.collect() })
        };
        text.lines().filter_map(stamp).collect()
    }

    /// Forgets the calls so far.
    pub(crate) fn clear(&self) {
        drop(fs::remove_file(&self.stamps));
    }

    /// When the firewall was called to block this prefix.
    pub(crate) fn blocked(&self, prefix: &str) -> Option<u128> {
        let has = |stamp: &Stamp| stamp.what == "add" && stamp.prefixes.iter().any(|one| one == prefix);
        self.stamps().into_iter().find(has).map(|stamp| stamp.at)
    }

    /// Waits for something that must come true.
    pub(crate) fn until(&self, what: &str, come: impl Fn(&Self) -> bool) {
        let patience = Instant::now() + Duration::from_secs(120);
        while !come(self) {
            if Instant::now() > patience {
                let said = fs::read_to_string(self.directory.path().join("errors")).unwrap_or_default();
                panic!("waited in vain until {what}; the daemon said:\n{said}");
            }
            sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
