//! Firewalls to test on: strict fakes of pfctl and ipfw, the real nft in a namespace of its own, scripts, and none.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis::firewall::{Backend, DryRun, TableListing, open};
use portcullis::settings::{BackendKind, FirewallSettings};
use tempfile::TempDir;

use crate::fakes_support::put;

/// One firewall, fresh and on its own.
pub(crate) struct Stand {
    pub(crate) name: &'static str,
    pub(crate) settings: FirewallSettings,
    tool: Option<PathBuf>,
    dir: TempDir,
    namespace: Option<String>,
}

impl Stand {
    /// Every firewall that can be had here.
    pub(crate) fn all() -> Vec<Self> {
        let mut stands =
            vec![Self::pf("13.2"), Self::pf("15.1"), Self::ipfw(), Self::command(), Self::dry_run()];
        stands.extend(Self::nftables());
        stands
    }

    /// Those that are programs which can break, hang and be counted.
    pub(crate) fn tools() -> Vec<Self> {
        Self::all().into_iter().filter(|stand| stand.tool.is_some()).collect()
    }

    /// The fake pfctl of a release.
    pub(crate) fn pf(version: &'static str) -> Self {
        let mut stand =
            Self::fake(if version == "13.2" { "pf 13.2" } else { "pf 15.1" }, BackendKind::Pf, "pfctl");
        stand.settings.tools.pfctl = stand.tool.clone().expect("a fake is a tool");
        let mode = stand.file("pfctl.mode").display().to_string();
        let sysctl =
            format!("awk '$1 == \"request_maxcount\" {{ n = $2 }} END {{ print n ? n : 65535 }}' {mode}");
        stand.settings.tools.sysctl = stand.script("sysctl", &sysctl);
        stand.mode(&format!("version {version}\n"));
        stand.run(&["-e"], "pf must be enabled");
        stand
    }

    /// The fake ipfw.
    pub(crate) fn ipfw() -> Self {
        let mut stand = Self::fake("ipfw", BackendKind::Ipfw, "ipfw");
        stand.settings.tools.ipfw = stand.tool.clone().expect("a fake is a tool");
        stand
    }

    fn fake(name: &'static str, backend: BackendKind, tool: &str) -> Self {
        let mut stand = Self::new(name, backend);
        let path = stand.dir.path().join(tool);
        put(tool, &path);
        stand.tool = Some(path);
        stand
    }

    /// The real nft, where we are root and there are network namespaces; else nothing, loudly.
    pub(crate) fn nftables() -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let namespace = format!("pc-fw-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let made = Command::new("ip").args(["netns", "add", &namespace]).output();
        if !made.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: nftables, since `ip netns add` needs root and iproute2");
            return None;
        }
        let mut stand = Self::new("nftables", BackendKind::Nftables);
        stand.namespace = Some(namespace.clone());
        let log = stand.dir.path().join("nft.log");
        let path = stand.script(
            "nft",
            &format!("echo \"$*\" >> {}\nexec ip netns exec {namespace} nft \"$@\"", log.display()),
        );
        stand.settings.tools.nft = vec![path.clone()];
        stand.tool = Some(path);
        if !stand.tool_output(&["list", "ruleset"]).status.success() {
            eprintln!("skipped: nftables, since nft does not work in a namespace here");
            return None;
        }
        Some(stand)
    }

    /// The operator's own programs: shell scripts on a file.
    pub(crate) fn command() -> Self {
        let mut stand = Self::new("command", BackendKind::Command);
        let table = stand.dir.path().join("table").display().to_string();
        fs::write(&table, "").expect("an empty table");
        let words = |path: PathBuf, more: &[&str]| -> Vec<String> {
            std::iter::once(path.display().to_string())
                .chain(more.iter().map(|word| (*word).to_owned()))
                .collect()
        };
        let sorted = format!("sort -u -o {table} {table}");
        stand.settings.command.add = words(stand.script("add", &format!("cat >> {table}; {sorted}")), &[]);
        let remove = format!("grep -vxF -e \"$1\" {table} > {table}.new; mv {table}.new {table}");
        stand.settings.command.remove = words(stand.script("remove", &remove), &["{prefix}"]);
        stand.settings.command.list = words(stand.script("list", &format!("cat {table}")), &[]);
        stand
    }

    /// No firewall at all.
    pub(crate) fn dry_run() -> Self {
        Self::new("dry-run", BackendKind::DryRun)
    }

    fn new(name: &'static str, backend: BackendKind) -> Self {
        let settings = FirewallSettings {
            backend,
            table: "bl".to_owned(),
            timeout: Duration::from_secs(60),
            converge: Duration::from_secs(3600),
            ..FirewallSettings::default()
        };
        let dir = tempfile::tempdir().expect("a directory");
        Self { name, settings, tool: None, dir, namespace: None }
    }

    /// Writes a program in sh into the stand's directory.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("write a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("make it executable");
        path
    }

    pub(crate) fn backend(&self) -> Box<dyn Backend> {
        match self.name {
            // Its lines would go past the test harness.
            "dry-run" => Box::new(DryRun::new("bl", Box::new(std::io::sink()))),
            _ => open(&self.settings).expect(self.name),
        }
    }

    /// A file of the stand.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tool_name(&self) -> String {
        let tool = self.tool.as_ref().expect("a stand with a tool");
        tool.file_name().expect("a name").to_string_lossy().into_owned()
    }

    /// Has the fake behave so from now on.
    pub(crate) fn mode(&self, text: &str) {
        let path = self.file(&format!("{}.mode", self.tool_name()));
        fs::write(self.file("mode.new"), text)
            .and_then(|()| fs::rename(self.file("mode.new"), path))
            .expect("mode");
    }

    /// Every call of the tool, ours among them, one a line.
    pub(crate) fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.file(&format!("{}.log", self.tool_name()))).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Uses the tool as the operator would.
    pub(crate) fn run(&self, args: &[&str], why: &str) -> String {
        let output = self.tool_output(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {why}: {said}", self.name);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn tool_output(&self, args: &[&str]) -> Output {
        let tool = self.tool.as_ref().expect("a stand with a tool");
        loop {
            match Command::new(tool).args(args).output() {
                // Another test's fork still holds the descriptor through which the tool was written.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                output => return output.expect("run it"),
            }
        }
    }

    /// Takes the tool away, as a package upgrade does, until it is put back.
    pub(crate) fn hide(&self, hidden: bool) {
        let tool = self.tool.as_ref().expect("a stand with a tool");
        let from = tool.clone();
        let to = tool.with_extension("away");
        let (from, to) = if hidden { (from, to) } else { (to, from) };
        fs::rename(from, to).expect("rename");
    }

    /// Adds an entry behind the back of the backend; false where nobody else can.
    pub(crate) fn add_by_hand(&self, prefix: &str) -> bool {
        match self.settings.backend {
            BackendKind::Pf => self.run(&["-t", "bl", "-T", "add", prefix], "add by hand"),
            BackendKind::Ipfw => self.run(&["-q", "table", "bl", "add", prefix, "7"], "add by hand"),
            BackendKind::Nftables => self
                .run(&["add", "element", "inet", "bl", "v4_32", &format!("{{ {prefix} }}")], "add by hand"),
            BackendKind::Command => {
                let table = self.file("table");
                let text = fs::read_to_string(&table).expect("the table");
                fs::write(table, format!("{text}{prefix}\n")).expect("the table");
                String::new()
            }
            _ => return false,
        };
        true
    }

    /// Empties or destroys the table, in the way that really happens to it; false where nobody can.
    pub(crate) fn flush_by_hand(&self) -> bool {
        match self.settings.backend {
            BackendKind::Pf => self.run(&["-F", "all"], "service pf restart"),
            BackendKind::Ipfw => self.run(&["-q", "table", "bl", "flush"], "flush"),
            BackendKind::Nftables => self.run(&["flush", "ruleset"], "systemctl restart nftables"),
            BackendKind::Command => {
                fs::write(self.file("table"), "").map(|()| String::new()).expect("the table")
            }
            _ => return false,
        };
        true
    }

    /// What a fresh backend sees in the table: sorted texts.
    pub(crate) fn table(&self) -> Vec<String> {
        listed(self.backend().as_mut())
    }
}

/// The entries as sorted texts; a table that cannot be listed fails the test.
pub(crate) fn listed(backend: &mut dyn Backend) -> Vec<String> {
    let TableListing::Complete { mut entries, strange } = backend.list(0).expect("a listing") else {
        panic!("{} cannot be listed", backend.name())
    };
    assert_eq!(strange, 0);
    entries.sort_unstable();
    entries.iter().map(portcullis::address::display).collect()
}

impl Drop for Stand {
    fn drop(&mut self) {
        if let Some(namespace) = &self.namespace {
            let gone = Command::new("ip").args(["netns", "del", namespace]).output();
            if !gone.is_ok_and(|output| output.status.success()) {
                eprintln!("the namespace {namespace} could not be deleted");
            }
        }
    }
}
