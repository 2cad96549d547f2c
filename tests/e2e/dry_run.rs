//! Trying the daemon without root: `run --dry-run` with a log on the command line.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal::{SIGHUP, SIGTERM};
use nix::unistd::geteuid;

use super::stand::{PROGRAM, Running, Stand, append, failure, run, stamped_ago, until};

const ATTACKER: &str = "203.0.113.7";

/// The program as somebody who may do nothing.
fn as_nobody() -> Command {
    if !geteuid().is_root() {
        return Command::new(PROGRAM);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", PROGRAM]);
    command
}

#[test]
fn a_dry_run_shows_the_whole_job_to_an_ordinary_user() {
    let stand = Stand::pf();
    let log = stand.file("auth.log");
    stand.fail(ATTACKER, 5);
    let daemon = Running::start(as_nobody().args(["run", "--dry-run"]).arg(&log).stdout(Stdio::null()));
    until(
        "what is there is judged",
        || daemon.says("would ban 203.0.113.7 for 1h") == 1,
        || format!("{:#?}", daemon.said()),
    );
    append(&log, (0..5).map(|_| failure("198.18.0.1")));
    until("what comes too", || daemon.says("would ban 198.18.0.1") == 1, || format!("{:#?}", daemon.said()));
    daemon.signal(SIGTERM);
    let (status, said) = daemon.end();
    assert!(status.success(), "{said:#?}");
}

#[test]
fn a_dry_run_counts_a_file_once_however_often_it_is_named() {
    let stand = Stand::pf();
    let (log, link) = (stand.file("auth.log"), stand.file("link.log"));
    std::os::unix::fs::symlink(&log, &link).unwrap();
    stand.fail(ATTACKER, 3);
    stand.fail("198.18.0.1", 5);
    let files = [&log, &log, &link];
    let daemon = Running::start(as_nobody().args(["run", "--dry-run"]).args(files).stdout(Stdio::null()));
    let told = || format!("{:#?}", daemon.said());
    until("it is read", || daemon.says("would ban 198.18.0.1 for 1h: 5 offences") == 1, told);
    assert_eq!((daemon.says("2 rule sets, 1 source,"), daemon.says(ATTACKER)), (1, 0), "{}", told());
}

#[test]
fn a_dry_run_on_standard_input_ends_with_it() {
    let lines: String = (0..5).map(|_| failure(ATTACKER) + "\n").collect();
    let ended = run(as_nobody().args(["run", "--dry-run", "-"]), &lines);
    assert!(ended.code == 0 && ended.err.contains("would ban 203.0.113.7"), "{ended:?}");
    let empty = run(as_nobody().args(["run", "--dry-run", "-"]), "");
    assert!(empty.code == 0 && !empty.err.contains("would ban"), "{empty:?}");
}

/// The daemon reads such lines as `match` and `scan` do.
#[test]
fn a_dry_run_reads_lines_behind_nuls_and_byte_order_marks_and_with_blanks_at_their_ends() {
    let line = failure(ATTACKER);
    let lines = format!("\u{feff}{line}\n\0\0\0{line}\n{line}  \n{line}\r\nSun {line}\n");
    let ended = run(as_nobody().args(["run", "--dry-run", "-"]), &lines);
    assert!(ended.code == 0 && ended.err.contains("would ban 203.0.113.7"), "{ended:?}");
    // Behind NULs nobody knows what is repeated.
    let header = line.split(" sshd").next().unwrap();
    let repeated =
        |before: &str| format!("{line}\n{before}{header} syslogd: last message repeated 9 times\n");
    for (before, is_banned) in [("", true), ("\0\0\0", false)] {
        let ended = run(as_nobody().args(["run", "--dry-run", "-"]), &repeated(before));
        assert_eq!((ended.code, ended.err.contains("would ban")), (0, is_banned), "{ended:?}");
    }
}

/// `cat old.log |`: six failures, one an hour, are no attack, though they arrive together.
#[test]
fn a_dry_run_on_standard_input_counts_lines_when_they_were_written() {
    let line = |hours: u32| {
        let message = format!("Failed password for root from {ATTACKER} port 4242 ssh2");
        stamped_ago(u64::from(hours) * 3600, &format!("sshd[{hours}]"), &message) + "\n"
    };
    let lines: String = (1..=6).rev().map(line).collect();
    let ended = run(as_nobody().args(["run", "--dry-run", "-"]), &lines);
    assert!(ended.code == 0 && !ended.err.contains("would ban"), "{ended:?}");
}

#[test]
fn a_dry_run_speaks_to_its_terminal_after_a_reload_too() {
    let stand = Stand::pf();
    stand.configure();
    let text = std::fs::read_to_string(stand.config()).unwrap().replace("to: stderr", "to: syslog");
    std::fs::write(stand.config(), text).unwrap();
    let config = stand.config();
    let log = stand.file("auth.log");
    let daemon = Running::start(Command::new(PROGRAM).args(["run", "--dry-run", "-c"]).arg(config).arg(&log));
    let told = || format!("{:#?}", daemon.said());
    until("it starts", || daemon.says("started: ") == 1, told);
    daemon.signal(SIGHUP);
    until("it reloads", || daemon.says("reloaded: ") == 1, told);
    stand.fail(ATTACKER, 5);
    until("it goes on", || daemon.says("would ban 203.0.113.7 for 1h") == 1, told);
}

/// The backend that a configuration without `firewall` has: the daemon runs and counts, and must not claim to block.
#[test]
fn a_daemon_without_a_firewall_says_that_nobody_is_blocked() {
    let mut stand = Stand::dry_run();
    stand.start();
    assert_eq!(stand.says("started: 2 rule sets, 2 sources, firewall dry-run, which blocks nobody"), 1);
    stand.fail(ATTACKER, 5);
    stand.until("it is told", |stand| stand.says("would ban 203.0.113.7 for 1h: 5 offences") == 1);
    let banned = stand.cli(&["ban", "198.18.0.1"]).out;
    assert!(banned.starts_with("198.18.0.1: would be banned until "), "{banned}");
    assert!(banned.ends_with("the firewall (dry-run) blocks nobody: none is configured.\n"), "{banned}");
    let status = stand.cli(&["status"]).out;
    assert!(status.contains("Firewall: dry-run, nobody is blocked; 2 would be in the table\n"), "{status}");
    assert_eq!(stand.cli(&["unban", "--all"]).code, 0);
    stand.until("unbans are told", |stand| stand.says("would unban ") == 2);
    assert_eq!(stand.says("banned "), 0, "{:#?}", stand.daemon().said());
}
