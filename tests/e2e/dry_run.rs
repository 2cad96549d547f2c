//! Trying the daemon without root: `run --dry-run` with a log on the command line.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal::SIGTERM;
use nix::unistd::geteuid;

use super::stand::{PROGRAM, Running, Stand, append, failure, run, until};

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
fn a_dry_run_on_standard_input_ends_with_it() {
    let lines: String = (0..5).map(|_| failure(ATTACKER) + "\n").collect();
    let ended = run(as_nobody().args(["run", "--dry-run", "-"]), &lines);
    assert!(ended.code == 0 && ended.err.contains("would ban 203.0.113.7"), "{ended:?}");
    let empty = run(as_nobody().args(["run", "--dry-run", "-"]), "");
    assert!(empty.code == 0 && !empty.err.contains("would ban"), "{empty:?}");
}
