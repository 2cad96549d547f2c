//! The systemd journal as a source: with a strict stand-in for journalctl, and with the real one on a journal of our own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::stand::{Running, Stand};
use crate::fakes_support::put;

const ATTACKER: &str = "203.0.113.7";
const BYSTANDER: &str = "198.51.100.9";

/// A stand that reads the journal, and nothing else.
fn stand() -> Stand {
    let mut stand = Stand::pf();
    stand.sources = "journal: {journal: [sshd], tool: DIR/journalctl}";
    put("journalctl", &stand.file("journalctl"));
    stand
}

/// sshd's complaint about an address, now, by the process that it is.
fn failure(address: &str, pid: u32) -> Value {
    json!({
        "__REALTIME_TIMESTAMP": Timestamp::now().as_microsecond().to_string(),
        "_TRANSPORT": "syslog", "_HOSTNAME": "gw", "_UID": "0", "_PID": pid.to_string(),
        "_COMM": "sshd", "_EXE": "/usr/sbin/sshd", "_SYSTEMD_UNIT": "ssh.service", "SYSLOG_IDENTIFIER": "sshd",
        "MESSAGE": format!("Failed password for invalid user admin from {address} port 4242 ssh2"),
    })
}

/// The same, sent by an ordinary user with `logger -t sshd`.
fn pretended(address: &str, pid: u32) -> Value {
    let mut entry = failure(address, pid);
    let changes = [
        ("_UID", "1000"),
        ("_COMM", "logger"),
        ("_EXE", "/usr/bin/logger"),
        ("_SYSTEMD_UNIT", "session-1.scope"),
    ];
    for (field, value) in changes {
        entry[field] = value.into();
    }
    entry
}

fn write(stand: &Stand, entries: impl IntoIterator<Item = Value>) {
    let text: String = entries.into_iter().map(|entry| format!("{entry}\n")).collect();
    let path = stand.file("journalctl.entries");
    fs::OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn journalctl(stand: &Stand) -> Pid {
    let text = fs::read_to_string(stand.file("journalctl.pid")).expect("it runs");
    Pid::from_raw(text.parse().expect("a number"))
}

#[test]
fn five_failures_in_the_journal_are_a_ban_and_a_users_logger_is_not_sshd() {
    let mut stand = stand();
    write(&stand, (0..5).map(|pid| failure("192.0.2.200", 100 + pid)));
    stand.start();
    stand.until("journalctl runs", |stand| stand.file("journalctl.pid").exists());
    write(&stand, (0..20).map(|pid| pretended(BYSTANDER, 1000 + pid)));
    write(&stand, (0..5).map(|pid| failure(ATTACKER, 2000 + pid)));
    stand.until("it is blocked", |stand| stand.has(ATTACKER));
    assert_eq!(stand.table().len(), 1, "nobody else, and not who was there before the first start");
    let status = stand.status();
    assert_eq!(
        (&status["sources"][0]["path"], &status["sources"][0]["lines"]),
        (&json!("journal"), &json!(5)),
        "{status}"
    );
    let told = "logs under the name sshd (user id 1000, executable /usr/bin/logger); such lines are not read";
    assert_eq!(stand.says(told), 1, "once");
    let why = stand.cli(&["why", ATTACKER]).out;
    assert!(
        why.contains("gw sshd[2004]: Failed password for invalid user admin from 203.0.113.7 port"),
        "{why}"
    );
}

#[test]
fn newlines_that_a_peer_got_into_a_message_begin_no_line() {
    let mut stand = stand();
    stand.start();
    stand.until("journalctl runs", |stand| stand.file("journalctl.pid").exists());
    let forged = format!("Nov 22 14:38:31 gw sshd[7]: Failed password for root from {BYSTANDER} port 1 ssh2");
    let with_newlines = |pid| {
        let mut entry = failure(ATTACKER, pid);
        entry["MESSAGE"] =
            format!("Invalid user x\n{forged}\n\nMESSAGE={forged}\n from {ATTACKER} port 1").into();
        entry
    };
    write(&stand, (0..9).map(|pid| with_newlines(100 + pid)));
    write(&stand, (0..5).map(|pid| failure("192.0.2.9", 200 + pid)));
    stand.until("what came after them counts", |stand| stand.has("192.0.2.9"));
    assert!(!stand.has(BYSTANDER), "{:?}", stand.table());
}

#[test]
fn four_failures_a_restart_and_the_fifth_while_nobody_read_are_a_ban() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let mut stand = stand();
        stand.start();
        stand.until("journalctl runs", |stand| stand.file("journalctl.pid").exists());
        write(&stand, (0..4).map(|pid| failure(ATTACKER, 100 + pid)));
        stand.until("they are counted", |stand| stand.status()["counters"]["offences"] == 4);
        let child = journalctl(&stand);
        stand.stop(signal);
        let stored = stored_cursor(&stand);
        assert!(signal == Signal::SIGKILL || stored.is_some_and(|cursor| cursor.contains(";i=3;")));
        stand.until("journalctl is gone as well", |_| kill(child, None) == Err(Errno::ESRCH));
        write(&stand, [failure("192.0.2.3", 600), failure(ATTACKER, 700)]);
        stand.start();
        stand.until("it is blocked", |stand| stand.has(ATTACKER));
        let lines = &stand.status()["counters"]["lines"];
        assert!(signal == Signal::SIGKILL || lines == 2, "those that were read are not read again: {lines}");
    }
}

fn stored_cursor(stand: &Stand) -> Option<String> {
    let database = rusqlite::Connection::open(stand.database()).expect("the database");
    let row = database.query_row("SELECT position FROM positions WHERE file = 'journal'", [], |row| {
        row.get::<_, String>(0)
    });
    let position: Value = serde_json::from_str(&row.ok()?).expect("JSON");
    position["cursor"].as_str().map(str::to_owned)
}

#[test]
fn a_journalctl_that_ends_is_started_again_and_that_is_told() {
    let mut stand = stand();
    stand.start();
    stand.until("journalctl runs", |stand| stand.file("journalctl.pid").exists());
    write(&stand, (0..2).map(|pid| failure(ATTACKER, 100 + pid)));
    stand.until("they are counted", |stand| stand.status()["counters"]["offences"] == 2);
    let first = journalctl(&stand);
    fs::write(stand.file("journalctl.fails"), "the journal is on fire\n").unwrap();
    kill(first, Signal::SIGKILL).unwrap();
    write(&stand, (0..3).map(|pid| failure(ATTACKER, 200 + pid)));
    stand.until("it is told why", |stand| {
        stand.says("journalctl ended (exit status: 1): the journal is on fire") == 1
    });
    let problem = stand.status()["sources"][0]["problem"].to_string();
    assert!(problem.contains("cannot be read: "), "{problem}");
    assert!(stand.cli(&["status"]).out.starts_with("NOT PROTECTING: no log to read"), "it was the only one");
    stand.until("it goes on where it was", |stand| stand.has(ATTACKER));
    assert_eq!(stand.status()["sources"][0]["problem"], Value::Null);
    assert_eq!(stand.status()["counters"]["lines"], 5);
}

#[test]
fn where_the_journal_does_not_know_the_cursor_any_more_the_time_tells_where_to_go_on() {
    let mut stand = stand();
    stand.start();
    stand.until("journalctl runs", |stand| stand.file("journalctl.pid").exists());
    write(&stand, (0..4).map(|pid| failure(ATTACKER, 100 + pid)));
    stand.until("they are counted", |stand| stand.status()["counters"]["offences"] == 4);
    stand.stop(Signal::SIGTERM);
    fs::write(stand.file("journalctl.fails"), "Failed to seek to cursor: Invalid argument\n").unwrap();
    write(&stand, [failure(ATTACKER, 700)]);
    stand.start();
    stand.until("it is blocked", |stand| stand.has(ATTACKER));
    assert_eq!(stand.status()["counters"]["lines"], 1, "none that was read before");
}

#[test]
fn scan_reads_the_journal_up_to_its_end_and_says_what_journalctl_complains_of() {
    let stand = stand();
    stand.configure();
    write(&stand, (0..5).map(|pid| failure(ATTACKER, 100 + pid)));
    write(&stand, (0..5).map(|pid| pretended(BYSTANDER, 200 + pid)));
    for words in [&["scan", "--journal", "--json"][..], &["scan", "--journal", "yesterday", "--json"]] {
        let scanned = stand.cli(words);
        let report = scanned.json();
        assert_eq!(report["lines"], 5, "{scanned:?}");
        assert_eq!(report["offenders"][0]["offender"], ATTACKER, "{scanned:?}");
        assert!(
            scanned.err.contains("5 lines under the name of a program were logged by others"),
            "{scanned:?}"
        );
    }
    assert!(stand.cli(&["scan", "--journal"]).out.starts_with("journal: 5 lines, 5 matched, "));
    let wrong = stand.cli(&["scan", "--journal", "half past nine"]);
    assert!(wrong.code == 74 && wrong.err.contains("Failed to parse timestamp: half past nine"), "{wrong:?}");
    fs::remove_file(stand.file("journalctl")).unwrap();
    let missing = stand.cli(&["scan", "--journal"]);
    assert!(missing.code == 66 && missing.err.contains("/journalctl: "), "{missing:?}");
}

#[test]
fn a_journalctl_that_somebody_else_may_replace_is_not_run() {
    use std::os::unix::fs::PermissionsExt as _;
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root refuses such programs");
        return;
    }
    let mut stand = stand();
    fs::remove_file(stand.file("journalctl")).unwrap();
    fs::copy("/bin/true", stand.file("journalctl")).unwrap();
    fs::set_permissions(stand.file("journalctl"), fs::Permissions::from_mode(0o757)).unwrap();
    stand.configure();
    let check = stand.cli(&["check"]);
    assert!(check.code == 78 && check.out.contains("can be written by everybody"), "{check:?}");
    fs::set_permissions(stand.file("journalctl"), fs::Permissions::from_mode(0o755)).unwrap();
    stand.start();
    stand.until("it ended at once", |stand| stand.says("journalctl ended (exit status: 0)") == 1);
    fs::set_permissions(stand.file("journalctl"), fs::Permissions::from_mode(0o757)).unwrap();
    stand.until("it is refused", |stand| stand.says("cannot be run: ") == 1);
}

/// systemd's own tools, if they are here.
fn systemd() -> Option<(PathBuf, PathBuf)> {
    let found = |paths: &[&str]| paths.iter().map(PathBuf::from).find(|path| path.exists());
    let journalctl = found(&["/usr/bin/journalctl", "/bin/journalctl"]);
    let remote = found(&["/usr/lib/systemd/systemd-journal-remote", "/lib/systemd/systemd-journal-remote"]);
    if journalctl.is_none() || remote.is_none() {
        eprintln!(
            "skipped: there is no journalctl here, or no systemd-journal-remote (Debian's package of that name)"
        );
    }
    Some((journalctl?, remote?))
}

/// Adds entries to a journal file, which is made where it is missing.
fn write_journal(remote: &Path, journal: &Path, entries: &[Value]) {
    let text: String = entries.iter().map(export).collect();
    let mut command = Command::new(remote);
    command.arg("-o").arg(journal).arg("-").stdin(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn export(entry: &Value) -> String {
    let monotonic = "__MONOTONIC_TIMESTAMP=1000\n_BOOT_ID=c2ff0a1d5b1c4a4bb2e5b1d8f1b7c0aa\n";
    let first =
        format!("__REALTIME_TIMESTAMP={}\n{monotonic}", entry["__REALTIME_TIMESTAMP"].as_str().unwrap());
    let fields = entry.as_object().unwrap().iter().filter(|(name, _)| !name.starts_with("__"));
    let fields: String =
        fields.map(|(name, value)| format!("{name}={}\n", value.as_str().unwrap())).collect();
    format!("{first}{fields}\n")
}

#[test]
fn the_real_journalctl_is_followed_over_a_restart() {
    let Some((tool, remote)) = systemd() else { return };
    let mut stand = stand();
    let journal = stand.file("test.journal");
    write_journal(&remote, &journal, &[failure("192.0.2.200", 1)]);
    let wrapper = format!("#!/bin/sh\nexec {} --file={} \"$@\"\n", tool.display(), journal.display());
    fs::remove_file(stand.file("journalctl")).unwrap();
    fs::write(stand.file("journalctl"), wrapper).unwrap();
    let _done = Command::new("chmod").arg("755").arg(stand.file("journalctl")).status();
    stand.start();
    let four: Vec<Value> = (0..4).map(|pid| failure(ATTACKER, 100 + pid)).collect();
    write_journal(&remote, &journal, &four);
    write_journal(&remote, &journal, &[pretended(BYSTANDER, 200), pretended(BYSTANDER, 201)]);
    stand.until("they are counted", |stand| stand.status()["counters"]["offences"] == 4);
    stand.stop(Signal::SIGTERM);
    assert!(stored_cursor(&stand).is_some_and(|cursor| cursor.starts_with("s=")), "systemd's own");
    write_journal(&remote, &journal, &[failure(ATTACKER, 104)]);
    stand.start();
    stand.until("it is blocked", |stand| stand.has(ATTACKER));
    assert_eq!(stand.table().len(), 1);
    let scanned = stand.cli(&["scan", "--journal", "--json"]).json();
    assert_eq!(scanned["lines"], 6, "{scanned}");
}

/// What the stand-in prints is what the real one prints.
#[test]
fn the_stand_in_prints_what_the_real_journalctl_prints() {
    let Some((tool, remote)) = systemd() else { return };
    let stand = stand();
    let journal = stand.file("test.journal");
    let entries = [failure(ATTACKER, 1), pretended(BYSTANDER, 2), failure(ATTACKER, 3)];
    write_journal(&remote, &journal, &entries);
    write(&stand, entries);
    let call = ["--output=export", "--no-pager", "--quiet", "--no-tail", "--output-fields=MESSAGE,_UID,_EXE"];
    let mut real = Command::new(tool);
    real.arg("--file").arg(&journal);
    let printed = [Command::new(stand.file("journalctl")), real].map(|mut command| {
        let output = command.args(call).arg("SYSLOG_IDENTIFIER=sshd").env_clear().output().expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let entries = text.split_inclusive("\n\n").map(|entry| {
            let mut fields: Vec<String> = entry.lines().map(known).collect();
            fields.sort();
            fields
        });
        entries.collect::<Vec<_>>()
    });
    assert_eq!(printed[0], printed[1]);
    assert_eq!(printed[0].len(), 3);
}

/// A field without what differs between two journals.
fn known(field: &str) -> String {
    match field.split_once('=') {
        Some((name @ ("__CURSOR" | "__MONOTONIC_TIMESTAMP" | "_BOOT_ID"), _)) => name.to_owned(),
        _ => field.to_owned(),
    }
}

/// A dry run may read the journal as well, and needs no root.
#[test]
fn a_dry_run_of_the_configuration_reads_the_journal() {
    let stand = stand();
    stand.configure();
    let daemon = Running::start(
        Command::new(super::stand::PROGRAM)
            .args(["run", "--dry-run", "-c"])
            .arg(stand.config())
            .stdout(Stdio::null()),
    );
    super::stand::until(
        "journalctl runs",
        || stand.file("journalctl.pid").exists(),
        || format!("{:?}", daemon.said()),
    );
    write(&stand, (0..5).map(|pid| failure(ATTACKER, 100 + pid)));
    super::stand::until(
        "it is told",
        || daemon.says("would ban 203.0.113.7") == 1,
        || format!("{:?}", daemon.said()),
    );
}
