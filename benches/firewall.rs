//! Many bans and the strict fakes of pfctl and ipfw: `cargo bench --bench firewall [-- pfctl|ipfw]…`.
//!
//! It prints how many commands are run until the table holds what it should, and what that costs us in CPU time and
//! memory. pf is that of FreeBSD 15.1, where a table of this size is not listed and `Addresses` counts something else. How
//! long it takes says nothing: at each call a fake reads all that its kernel holds from a file, and writes it back.
#![expect(clippy::disallowed_macros, reason = "a bench may end when nobody reads its numbers")]

#[path = "../tests/fakes/common/mod.rs"]
mod common;
#[path = "../tests/fakes/fw/mod.rs"]
mod fw;
#[path = "../tests/fakes/pf/mod.rs"]
mod pf;
#[path = "daemon/process.rs"]
#[expect(dead_code, reason = "only the daemon's bench counts how often a thread sleeps")]
mod process;

use std::ffi::OsStr;
use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::Duration;

use portcullis::address::{Prefix, host, network};
use portcullis::firewall::{Change, FirewallEvent, WorkerHandle, open, spawn};
use portcullis::settings::{BackendKind, FirewallSettings, Tools};
use tempfile::TempDir;

const COUNTS: [u32; 2] = [100_000, 1_000_000];
const LONG: Duration = Duration::from_secs(3600);
const TABLE: &str = "bl";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    // The tools are this very program under their names.
    match arguments.next().as_deref().map(Path::new).and_then(Path::file_name).and_then(OsStr::to_str) {
        Some("pfctl") => return common::call::main(&pf::TOOL),
        Some("ipfw") => return common::call::main(&fw::TOOL),
        Some("sysctl") => println!("65535"),
        _ => measure_all(&arguments.filter_map(|word| word.into_string().ok()).collect::<Vec<_>>()),
    }
    ExitCode::SUCCESS
}

fn measure_all(words: &[String]) {
    let named =
        |name: &str| words.iter().all(|word| word.starts_with("--")) || words.iter().any(|word| word == name);
    for (backend, tool) in [(BackendKind::Pf, "pfctl"), (BackendKind::Ipfw, "ipfw")] {
        for count in COUNTS.into_iter().filter(|_| named(tool)) {
            measure(&Stand::new(backend, tool), count);
        }
    }
}

/// A start with an empty table, a regular comparison, a flush, and one more ban.
fn measure(stand: &Stand, count: u32) {
    let tell = |what: &str, cost: &Cost| stand.tell(count, what, cost);
    let before = stand.cost();
    let (worker, _events) = stand.start(many(count));
    assert!(worker.settle(LONG), "{:?}", worker.status());
    tell("the table is filled at a start", &stand.since(&before));
    // One may be under way.
    (0..2).for_each(|_| compared(&worker));
    let before = stand.cost();
    compared(&worker);
    tell("a regular comparison           ", &stand.since(&before));
    stand.flush();
    let before = stand.cost();
    worker.converge();
    assert!(worker.settle(LONG), "{:?}", worker.status());
    tell("the table is filled after a flush", &stand.since(&before));
    let before = stand.cost();
    worker.change([Change::Add(host(IpAddr::from([192, 0, 2, 7])))]);
    assert!(worker.carry_out(LONG), "{:?}", worker.status());
    tell("one more ban                   ", &stand.since(&before));
    assert_eq!(stand.entries(), count as usize + 1);
    assert!(worker.stop(false).in_step);
}

/// Half IPv4 hosts, half IPv6 networks.
fn many(count: u32) -> Vec<Prefix> {
    let v4 = (0..count / 2).map(|n| host(IpAddr::V4((0x0a00_0000 + n).into())));
    let v6 = (0..count - count / 2)
        .map(|n| network(IpAddr::V6(Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(n) << 64)), 64));
    v4.chain(v6).collect()
}

/// Waits until a comparison ends.
fn compared(worker: &WorkerHandle) {
    let last = worker.status().compared;
    while worker.status().compared == last {
        sleep(Duration::from_millis(2));
    }
}

/// What was spent so far.
struct Cost {
    commands: usize,
    own: Duration,
}

/// A fake in a directory of its own.
struct Stand {
    settings: FirewallSettings,
    tool: &'static str,
    directory: TempDir,
}

impl Stand {
    fn new(backend: BackendKind, tool: &'static str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| -> PathBuf { directory.path().join(name) };
        let own = std::env::current_exe().expect("our own path");
        ["sysctl", tool].iter().for_each(|name| symlink(&own, at(name)).expect("a link"));
        let tools = Tools { pfctl: at("pfctl"), ipfw: at("ipfw"), sysctl: at("sysctl"), ..Tools::default() };
        let settings = FirewallSettings {
            backend,
            table: TABLE.to_owned(),
            converge: Duration::from_secs(10),
            timeout: LONG,
            tools,
            ..FirewallSettings::default()
        };
        let mode = if backend == BackendKind::Pf {
            "version 15.1\ntable_entries 2000000\n"
        } else {
            "version 15.1\n"
        };
        fs::write(at(&format!("{tool}.mode")), mode).expect("a file");
        let stand = Self { settings, tool, directory };
        if backend == BackendKind::Pf {
            stand.by_hand(&["-e"]);
        }
        stand
    }

    fn start(&self, desired: Vec<Prefix>) -> (WorkerHandle, Receiver<FirewallEvent>) {
        let (sender, events) = channel();
        let backend = open(&self.settings).expect("a backend");
        (spawn(backend, desired, Vec::new(), &self.settings, sender).expect("a thread"), events)
    }

    fn by_hand(&self, words: &[&str]) {
        let run = Command::new(self.directory.path().join(self.tool)).args(words).output();
        assert!(run.expect("it starts").status.success(), "{words:?}");
    }

    fn flush(&self) {
        match self.tool {
            "pfctl" => self.by_hand(&["-t", TABLE, "-T", "flush"]),
            _ => self.by_hand(&["table", TABLE, "flush"]),
        }
    }

    fn read(&self, suffix: &str) -> String {
        fs::read_to_string(self.directory.path().join(format!("{}.{suffix}", self.tool))).unwrap_or_default()
    }

    /// What the fake's kernel holds.
    fn entries(&self) -> usize {
        self.read("state").lines().filter(|line| line.starts_with(' ')).count()
    }

    fn cost(&self) -> Cost {
        Cost { commands: self.read("log").lines().count(), own: process::cpu(std::process::id()) }
    }

    fn since(&self, before: &Cost) -> Cost {
        let now = self.cost();
        Cost { commands: now.commands - before.commands, own: now.own.saturating_sub(before.own) }
    }

    fn tell(&self, count: u32, what: &str, cost: &Cost) {
        let (resident, highest) = process::resident(std::process::id());
        println!(
            "{:<5} {count:>9} bans  {what:<33}  {:>4} commands  own CPU {:.2} s  {} MB resident, {} MB at most",
            self.tool,
            cost.commands,
            cost.own.as_secs_f64(),
            resident >> 10,
            highest >> 10
        );
    }
}
