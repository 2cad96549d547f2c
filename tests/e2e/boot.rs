//! The table as a file: what a firewall finds at boot, before the daemon runs.

use std::fs;

use nix::sys::signal::Signal::{SIGKILL, SIGTERM};

use super::stand::Stand;

const ATTACKER: &str = "203.0.113.7";

/// The prefixes in the file.
fn saved(stand: &Stand) -> Vec<String> {
    let text = fs::read_to_string(stand.file("state/pf.table")).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// Takes everything from the kernel, and loads the rules as rc(8) does.
fn boot(stand: &Stand) {
    fs::remove_file(stand.file("pfctl.state")).expect("the kernel forgets");
    let table = stand.file("state/pf.table").display().to_string();
    let rules = format!("table <bl> persist file \"{table}\"\nblock drop in quick from <bl>\npass\n");
    fs::write(stand.file("pf.conf"), rules).expect("pf.conf");
    stand.by_hand("-F all", "");
    stand.by_hand(&format!("-f {}", stand.file("pf.conf").display()), "");
    stand.by_hand("-e", "");
}

#[test]
fn a_boot_is_protected_before_the_daemon_runs() {
    let mut stand = Stand::pf();
    stand.start();
    stand.until("pf.conf can name the file from the start", |stand| stand.file("state/pf.table").exists());
    stand.fail(ATTACKER, 5);
    assert_eq!(stand.cli(&["ban", "198.51.100.0/24", "2001:db8:1:2::/64", "--for", "1h"]).code, 0);
    stand.until("all are in the file", |stand| saved(stand).len() == 3);
    stand.stop(SIGKILL);
    boot(&stand);
    assert_eq!(stand.table().len(), 3);
    stand.start();
    stand.until("it is in step", |stand| stand.status()["firewall"]["in_step"] == true);
    assert_eq!((stand.says("adopted"), stand.says("were missing from the firewall's table")), (0, 0));
    assert_eq!(stand.bans(), stand.table());
}

#[test]
fn rules_that_are_loaded_anew_put_no_one_back_who_was_freed() {
    let mut stand = Stand::pf();
    stand.start();
    assert_eq!(stand.cli(&["ban", ATTACKER, "198.18.0.1", "198.18.0.2", "--for", "1h"]).code, 0);
    assert_eq!(stand.cli(&["ban", "198.18.0.3", "--for", "1s"]).code, 0);
    assert_eq!(stand.cli(&["unban", "198.18.0.1"]).code, 0);
    stand.until("those who are free are not in the file", |stand| saved(stand) == ["198.18.0.2", ATTACKER]);
    stand.stop(SIGTERM);
    assert_eq!(stand.cli(&["unban", "--offline", "198.18.0.2"]).code, 0);
    assert_eq!(saved(&stand), [ATTACKER], "also without the daemon");
    boot(&stand);
    assert_eq!(stand.table(), [ATTACKER.to_owned()].into());
}

#[test]
fn a_table_that_is_emptied_at_the_stop_is_empty_at_the_next_boot() {
    let mut stand = Stand::pf();
    stand.more = "flush_on_exit: true".to_owned();
    stand.start();
    assert_eq!(stand.cli(&["ban", ATTACKER]).code, 0);
    stand.until("it is in the file", |stand| saved(stand) == [ATTACKER]);
    stand.stop(SIGTERM);
    assert_eq!(saved(&stand), [""; 0]);
    boot(&stand);
}

#[test]
fn a_file_that_cannot_be_written_keeps_nobody_from_being_banned_and_is_said_once() {
    let mut stand = Stand::pf();
    // Also root cannot put a file in place of a directory.
    fs::create_dir(stand.file("state/pf.table")).expect("a directory in the way");
    stand.start();
    for address in [ATTACKER, "198.18.0.1", "198.18.0.2"] {
        stand.fail(address, 5);
        stand.until("it is blocked", |stand| stand.has(address));
    }
    stand.until("it is told", |stand| stand.says("pf.table cannot be written") == 1);
    fs::remove_dir(stand.file("state/pf.table")).expect("the way is free");
    stand.until("it is written again", |stand| saved(stand).len() == 3);
    assert_eq!(stand.says("pf.table cannot be written"), 1);
}

#[test]
fn a_dry_run_writes_no_file() {
    let mut stand = Stand::dry_run();
    stand.start();
    stand.fail(ATTACKER, 5);
    stand.until("it is told", |stand| stand.says("would ban 203.0.113.7") == 1);
    stand.stop(SIGTERM);
    assert!(!stand.file("state/pf.table").exists());
}
