//! One daemon in a directory of its own: its configuration, its log, its firewall, and what it says.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::fakes_support::Fake;

/// The program under test.
pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");

/// Long enough for a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until something is so; `told` says what went on when it never is.
pub(super) fn until(what: &str, mut so: impl FnMut() -> bool, told: impl FnOnce() -> String) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}\n{}", told());
        thread::sleep(Duration::from_millis(10));
    }
}

/// A directory that root's programs accept.
pub(super) fn directory() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("its mode");
    for name in ["run", "state"] {
        fs::create_dir(dir.path().join(name)).expect("a directory in it");
        fs::set_permissions(dir.path().join(name), Permissions::from_mode(0o755)).expect("its mode");
    }
    dir
}

/// A line as syslogd writes it, now.
pub(super) fn stamped(tag: &str, message: &str) -> String {
    stamped_ago(0, tag, message)
}

/// The same, this many seconds ago.
pub(super) fn stamped_ago(seconds: u64, tag: &str, message: &str) -> String {
    let time = (Timestamp::now() - Duration::from_secs(seconds)).to_zoned_datetime(TimeZone::system());
    format!("{} host {tag}: {message}", time.strftime("%b %e %H:%M:%S"))
}

/// A failed login in a connection of its own.
pub(super) fn failure(address: &str) -> String {
    static PID: AtomicU32 = AtomicU32::new(1000);
    let pid = PID.fetch_add(1, Ordering::Relaxed);
    let message = format!("Failed password for invalid user admin from {address} port 4242 ssh2");
    stamped(&format!("sshd[{pid}]"), &message)
}

/// Appends lines to a file, which is made where it is missing.
pub(super) fn append(path: &Path, lines: impl IntoIterator<Item = String>) {
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("open a log");
    file.write_all(text.as_bytes()).expect("append to a log");
}

/// What a command of ours printed and how it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Ended {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs a program with this on standard input.
pub(super) fn run(command: &mut Command, stdin: &str) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut pipe = child.stdin.take().expect("it was asked for");
    let _ = pipe.write_all(stdin.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().expect("its output");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A running process of ours with what it has said on standard error.
pub(super) struct Running {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn start(command: &mut Command) -> Self {
        Self::heard_until(command, |_| false)
    }

    /// The same, but whoever reads what it says goes away behind such a line.
    pub(super) fn heard_until(command: &mut Command, enough: impl Fn(&str) -> bool + Send + 'static) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("it was asked for")).lines();
        let into = Arc::clone(&said);
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let is_enough = enough(&line);
                into.lock().unwrap().push(line);
                if is_enough {
                    return;
                }
            }
        });
        Self { child, said, reader: Some(reader) }
    }

    pub(super) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    pub(super) fn says(&self, part: &str) -> usize {
        self.said().iter().filter(|line| line.contains(part)).count()
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("it runs");
    }

    /// Waits for its end and returns everything it said.
    pub(super) fn end(mut self) -> (ExitStatus, Vec<String>) {
        let end = Instant::now() + PATIENCE;
        let mut status = None;
        while status.is_none() {
            assert!(Instant::now() < end, "it does not end: {:#?}", self.said());
            status = self.child.try_wait().expect("its status");
            thread::sleep(Duration::from_millis(5));
        }
        self.reader.take().map(JoinHandle::join);
        (status.expect("it ended"), self.said())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration with a fake firewall, and the daemon while it runs.
pub(super) struct Stand {
    pub(super) dir: TempDir,
    pub(super) fake: Fake,
    backend: &'static str,
    daemon: Option<Running>,
    /// What is followed; `DIR` is the stand's directory.
    pub(super) sources: &'static str,
    /// The daemon's zone; that of the tests where it is empty.
    pub(super) zone: &'static str,
    /// Keys of the configuration besides those of [`Self::config`].
    pub(super) more: String,
    /// Keys of `firewall`.
    pub(super) firewall: String,
}

impl Stand {
    pub(super) fn pf() -> Self {
        Self::new("pf")
    }

    /// Without a firewall; its tool is never asked.
    pub(super) fn dry_run() -> Self {
        Self { backend: "dry-run", ..Self::pf() }
    }

    /// auth.log and messages as one source.
    pub(super) fn with_a_pattern() -> Self {
        Self { sources: "all: 'DIR/[am]*[gs]'", ..Self::pf() }
    }

    /// One of each kind of fake.
    pub(super) fn both() -> [Self; 2] {
        [Self::new("pf"), Self::new("ipfw")]
    }

    fn new(backend: &'static str) -> Self {
        let dir = directory();
        let fake = if backend == "pf" { Fake::pfctl(dir.path()) } else { Fake::ipfw(dir.path()) };
        if backend == "pf" {
            fake.words("-e");
        }
        for log in ["auth.log", "messages"] {
            append(&dir.path().join(log), []);
        }
        let more = String::new();
        let firewall = "converge: 1s".to_owned();
        let sources = "auth: DIR/auth.log, messages: DIR/messages";
        Self { dir, fake, backend, daemon: None, sources, zone: "", more, firewall }
    }

    /// A file of the stand.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The database, wherever the daemon has it.
    pub(super) fn database(&self) -> PathBuf {
        let separate = self.file("state/db/state.db");
        if separate.exists() { separate } else { self.file("state/state.db") }
    }

    pub(super) fn config(&self) -> PathBuf {
        self.file("portcullis.yaml")
    }

    /// Writes the configuration.
    pub(super) fn configure(&self) {
        let dir = self.dir.path().display();
        let tool = self.fake.path();
        let text = format!(
            "version: 1\nsources: {{{}}}\nrules_dir: {dir}/rules\n\
             state: {dir}/state/state.db\ncontrol: {{socket: {dir}/run/control.sock}}\nlog: {{to: stderr}}\n\
             firewall: {{backend: {}, table: bl, tool: {}, {}}}\n{}\n",
            self.sources.replace("DIR", &dir.to_string()),
            self.backend,
            tool.display(),
            self.firewall,
            self.more
        );
        fs::write(self.config(), text).expect("the configuration");
    }

    /// Writes the configuration and starts the daemon.
    pub(super) fn start(&mut self) {
        self.configure();
        let mut command = Command::new(PROGRAM);
        if !self.zone.is_empty() {
            command.env("TZ", self.zone);
        }
        self.daemon = Some(Running::start(command.arg("run").arg("-c").arg(self.config())));
        self.until("it starts", |stand| stand.says("started: ") > 0);
    }

    /// The same, but nobody reads its standard error once it runs.
    pub(super) fn start_unheard(&mut self) {
        self.configure();
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg("-c").arg(self.config());
        self.daemon = Some(Running::heard_until(&mut command, |line| line.contains("started: ")));
        self.until("it starts", |stand| stand.says("started: ") > 0);
    }

    /// The daemon, of which the stand knows no more afterwards.
    pub(super) fn take_daemon(&mut self) -> Running {
        self.daemon.take().expect("the daemon runs")
    }

    pub(super) fn daemon(&self) -> &Running {
        self.daemon.as_ref().expect("the daemon runs")
    }

    /// Whether it has said so since its start, and how often.
    pub(super) fn says(&self, part: &str) -> usize {
        self.daemon().says(part)
    }

    pub(super) fn until(&self, what: &str, mut so: impl FnMut(&Self) -> bool) {
        until(what, || so(self), || self.told());
    }

    fn told(&self) -> String {
        let said = self.daemon.as_ref().map(Running::said).unwrap_or_default();
        format!("{}: table {:?}, the daemon said {said:#?}", self.backend, self.table())
    }

    /// Ends the daemon with a signal and returns what it had said.
    pub(super) fn stop(&mut self, signal: Signal) -> Vec<String> {
        let daemon = self.daemon.take().expect("the daemon runs");
        daemon.signal(signal);
        let (status, said) = daemon.end();
        assert!(signal == Signal::SIGKILL || status.success(), "{status}: {said:#?}");
        said
    }

    /// Runs a command of ours with this configuration.
    pub(super) fn cli(&self, words: &[&str]) -> Ended {
        self.cli_with(words, "")
    }

    pub(super) fn cli_with(&self, words: &[&str], stdin: &str) -> Ended {
        run(Command::new(PROGRAM).args(words).arg("-c").arg(self.config()), stdin)
    }

    /// Appends to the stand's main log.
    pub(super) fn log(&self, lines: impl IntoIterator<Item = String>) {
        append(&self.file("auth.log"), lines);
    }

    /// This many failed logins.
    pub(super) fn fail(&self, address: &str, times: usize) {
        self.log((0..times).map(|_| failure(address)));
    }

    /// What the fake's kernel holds, whatever its tool does at present.
    pub(super) fn table(&self) -> BTreeSet<String> {
        let state = self.fake.state();
        let entries = state.lines().filter(|line| line.starts_with(' '));
        let address = |line: &str| {
            let word = line.split_whitespace().next().expect("an entry");
            word.strip_suffix("/32").or_else(|| word.strip_suffix("/128")).unwrap_or(word).to_owned()
        };
        entries.map(address).collect()
    }

    pub(super) fn has(&self, entry: &str) -> bool {
        self.table().contains(entry)
    }

    /// The offenders of `bans --json`.
    pub(super) fn bans(&self) -> BTreeSet<String> {
        let bans = self.cli(&["bans", "--json"]);
        assert_eq!(bans.code, 0, "{bans:?}");
        let offender = |ban: &Value| ban["offender"].as_str().expect("a prefix").to_owned();
        bans.json().as_array().expect("a list").iter().map(offender).collect()
    }

    pub(super) fn status(&self) -> Value {
        let status = self.cli(&["status", "--json"]);
        let json = status.json();
        let is_fine = json["not_protecting"].as_array().is_some_and(Vec::is_empty);
        assert_eq!(status.code, i32::from(!is_fine), "{status:?}");
        json
    }

    /// Adds an entry, or empties the table, as somebody else would.
    pub(super) fn by_hand(&self, pf: &str, ipfw: &str) {
        let ended = self.fake.words(if self.backend == "pf" { pf } else { ipfw });
        assert_eq!(ended.code, 0, "{ended:?}");
    }
}
