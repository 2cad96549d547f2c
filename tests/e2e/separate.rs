//! The daemon of root as two processes: who they are, what becomes of one when the other ends, where the database lies.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal::{SIGHUP, SIGKILL, SIGTERM};
use nix::sys::signal::kill;
use nix::unistd::{Pid, User, geteuid};

use super::stand::{Stand, append, directory, failure, run, until};
use crate::fakes_support::put_example;

const ATTACKER: &str = "203.0.113.7";

fn set(entries: &[&str]) -> BTreeSet<String> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

fn is_root() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        eprintln!("skipped: only root's daemon is two processes");
    }
    is_root
}

/// A running daemon of two processes.
fn started() -> Option<Stand> {
    if !is_root() {
        return None;
    }
    let mut stand = Stand::pf();
    stand.start();
    Some(stand)
}

fn arm(stand: &Stand) -> Pid {
    let pid = stand.status()["pid"].as_i64().expect("a pid");
    Pid::from_raw(pid.try_into().expect("a pid"))
}

/// The child of the arm.
fn brain(stand: &Stand) -> Pid {
    let arm = arm(stand);
    let children = fs::read_to_string(format!("/proc/{arm}/task/{arm}/children")).expect("its children");
    let pids: Vec<i32> = children.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect();
    assert_eq!(pids.len(), 1, "nothing else runs: {children}");
    Pid::from_raw(pids[0])
}

fn lives(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// A line of `/proc/PID/status`.
fn proc_status(pid: Pid, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{key}:")));
    line.unwrap_or_else(|| panic!("{key} in {status}")).trim().to_owned()
}

fn account() -> User {
    let named = |name| User::from_name(name).expect("the accounts");
    named("_portcullis").or_else(|| named("nobody")).expect("one of them")
}

#[test]
fn what_decides_has_no_rights_groups_or_capabilities_and_what_has_them_is_root() {
    let Some(stand) = started() else { return };
    let status = stand.status();
    assert_eq!(status["privileges"], "separate");
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: only Linux has /proc");
        return;
    }
    let (arm, brain) = (arm(&stand), brain(&stand));
    let (uid, gid) = (account().uid.to_string(), account().gid.to_string());
    assert_eq!(proc_status(arm, "Uid"), "0\t0\t0\t0");
    assert_eq!(proc_status(brain, "Uid"), [uid.as_str(); 4].join("\t"));
    assert_eq!(proc_status(brain, "Gid"), [gid.as_str(); 4].join("\t"));
    assert_eq!(proc_status(brain, "Groups"), "");
    for capabilities in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(proc_status(brain, capabilities), "0000000000000000", "{capabilities}");
    }
    assert_eq!((proc_status(brain, "NoNewPrivs"), proc_status(brain, "Seccomp")), ("1".into(), "2".into()));
    let limits = fs::read_to_string(format!("/proc/{brain}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let open: Vec<PathBuf> = fs::read_dir(format!("/proc/{brain}/fd"))
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.unwrap().path()).ok())
        .collect();
    assert!(!open.iter().any(|path| path.ends_with("portcullis.yaml")), "{open:?}");
}

#[test]
fn inside_what_decides_nobody_reads_secrets_starts_a_program_or_reaches_a_network() {
    if !is_root() {
        return;
    }
    let dir = directory();
    let program = dir.path().join("confined");
    put_example("confined", &program);
    let account = account();
    let mut command = Command::new(program);
    let ended = run(command.uid(account.uid.as_raw()).gid(account.gid.as_raw()), "");
    assert_eq!(ended.code, 0, "{ended:?}");
    let refused = |what: &str, why: &str| ended.out.lines().any(|line| line == format!("{what}: {why}"));
    assert!(refused("before, a program runs", "done"), "it could before: {ended:?}");
    assert!(
        refused("read /etc/shadow", "Permission denied")
            || refused("read /etc/master.passwd", "Permission denied")
    );
    for what in
        ["run a program", "make a socket of TCP", "make a socket of Unix", "become root", "signal others"]
    {
        if cfg!(target_os = "linux") {
            assert!(refused(what, "Operation not permitted"), "{what}: {ended:?}");
        }
    }
    assert!(refused("start a thread", "done"), "{ended:?}");
}

#[test]
fn when_what_decides_is_killed_all_ends_the_bans_stay_and_the_next_start_knows_them() {
    let Some(mut stand) = started() else { return };
    stand.fail(ATTACKER, 5);
    stand.until("it is banned", |stand| stand.says("banned ") == 1);
    kill(brain(&stand), SIGKILL).unwrap();
    let (status, said) = stand.take_daemon().end();
    assert_eq!(status.code(), Some(74), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("was killed by signal 9")), "{said:#?}");
    assert!(stand.has(ATTACKER) && !stand.file("run/control.sock").exists());
    stand.start();
    assert_eq!(stand.bans(), set(&[ATTACKER]));
}

#[test]
fn when_what_has_root_is_killed_the_other_ends_by_itself_and_the_next_start_waits_for_it() {
    let Some(mut stand) = started() else { return };
    stand.fail(ATTACKER, 5);
    stand.until("it is banned", |stand| stand.says("banned ") == 1);
    let brain = brain(&stand);
    stand.stop(SIGKILL);
    stand.start();
    until("it ends", || !lives(brain), || "it lives".to_owned());
    assert_eq!(stand.bans(), set(&[ATTACKER]));
    stand.fail("203.0.113.8", 5);
    stand.until("it goes on", |stand| stand.has("203.0.113.8"));
}

#[test]
fn a_signal_to_either_is_a_stop_or_a_reload_of_both() {
    let Some(mut stand) = started() else { return };
    stand.daemon().signal(SIGHUP);
    stand.until("it reads its configuration again", |stand| stand.says("reloaded: ") == 1);
    kill(brain(&stand), SIGTERM).unwrap();
    let (status, said) = stand.take_daemon().end();
    assert!(status.success() && said.iter().any(|line| line.contains("stopped; ")), "{said:#?}");
}

#[test]
fn the_database_moves_to_whom_it_belongs_and_back_and_nothing_is_forgotten() {
    if !is_root() {
        return;
    }
    let mut stand = Stand::pf();
    for (mode, owner) in [("single", 0), ("separate", account().uid.as_raw()), ("single", 0)] {
        stand.more = format!("privileges: {mode}");
        stand.start();
        assert_eq!(stand.status()["privileges"], mode);
        if stand.bans().is_empty() {
            assert_eq!(stand.cli(&["ban", ATTACKER]).code, 0);
        }
        assert_eq!(stand.bans(), set(&[ATTACKER]), "{mode}");
        let database = stand.database();
        assert_eq!(database.metadata().unwrap().uid(), owner, "{mode}");
        assert_eq!(database.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(database.ends_with("db/state.db"), mode == "separate");
        assert_eq!(stand.file("state").metadata().unwrap().uid(), 0, "the table's file is root's");
        stand.stop(SIGTERM);
    }
}

#[test]
fn a_link_out_of_the_logs_directory_is_not_followed_and_one_inside_is() {
    if !is_root() {
        return;
    }
    let mut stand = Stand::pf();
    let logs = stand.file("logs");
    fs::create_dir(&logs).unwrap();
    append(&stand.file("secret"), []);
    append(&logs.join("real.log"), []);
    symlink(stand.file("secret"), logs.join("out.log")).unwrap();
    symlink("real.log", logs.join("in.log")).unwrap();
    stand.sources = "out: DIR/logs/out.log, in: DIR/logs/in.log";
    stand.start();
    let check = stand.cli(&["check"]);
    let told = check.out.matches("is a symbolic link out of its directory").count();
    assert_eq!((check.code, told), (0, 1), "{check:?}");
    append(&stand.file("secret"), (0..5).map(|_| failure("203.0.113.66")));
    append(&logs.join("real.log"), (0..5).map(|_| failure(ATTACKER)));
    stand.until("the one inside is read", |stand| stand.has(ATTACKER));
    stand.until("the other is a problem", |stand| {
        stand.status()["sources"][0]["problem"].to_string().contains("leads out of the log's directory")
    });
    assert_eq!(stand.table(), set(&[ATTACKER]));
}

#[test]
fn nobody_is_banned_by_force_whom_the_configuration_allows() {
    if !is_root() {
        return;
    }
    let mut stand = Stand::pf();
    stand.more = "allow: [198.51.100.7]".to_owned();
    stand.start();
    let refused = stand.cli(&["ban", "--force", "198.51.100.7"]);
    assert!(refused.code == 1 && refused.out.contains("--force does not change that with"), "{refused:?}");
    assert_eq!((stand.table(), stand.bans()), (set(&[]), set(&[])));
}
