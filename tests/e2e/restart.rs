//! What a stop in the middle of things may not change: every line counts once, whoever reads it.

use std::fs;

use nix::sys::signal::Signal::{SIGKILL, SIGTERM};

use super::stand::{Stand, append, failure, stamped, stamped_ago};

const ATTACKER: &str = "203.0.113.7";

fn counted(stand: &Stand, address: &str, sentence: &str) -> bool {
    stand.cli(&["why", address]).out.contains(sentence)
}

#[test]
fn four_failures_before_a_stop_and_one_after_it_are_five() {
    for signal in [SIGTERM, SIGKILL] {
        let mut stand = Stand::pf();
        stand.start();
        stand.fail(ATTACKER, 4);
        stand.until("four are counted", |stand| counted(stand, ATTACKER, "sshd: 4 of 5 offences"));
        stand.stop(signal);
        stand.start();
        stand.until("four are known", |stand| counted(stand, ATTACKER, "sshd: 4 of 5 offences"));
        assert!(!stand.has(ATTACKER));
        stand.fail(ATTACKER, 1);
        stand.until("it is blocked", |stand| stand.has(ATTACKER));
    }
}

#[test]
fn lines_written_while_the_daemon_is_down_are_read_once() {
    for signal in [SIGTERM, SIGKILL] {
        let mut stand = Stand::pf();
        stand.start();
        stand.fail(ATTACKER, 1);
        stand.until("one is counted", |stand| counted(stand, ATTACKER, "sshd: 1 of 5 offences"));
        stand.stop(signal);
        stand.fail(ATTACKER, 3);
        for _ in 0..2 {
            stand.start();
            stand.until("four are counted", |stand| counted(stand, ATTACKER, "sshd: 4 of 5 offences"));
            stand.stop(signal);
        }
        // A rotation in between hides nothing, and nothing is read twice.
        stand.fail("198.18.0.1", 5);
        fs::rename(stand.file("auth.log"), stand.file("auth.log.0")).unwrap();
        append(&stand.file("auth.log"), (0..4).map(|_| failure("198.18.0.2")));
        stand.start();
        stand.until("the old file is read", |stand| stand.has("198.18.0.1"));
        stand.until("the new one too", |stand| counted(stand, "198.18.0.2", "sshd: 4 of 5 offences"));
        assert!(counted(&stand, ATTACKER, "sshd: 4 of 5 offences"));
    }
}

/// What FreeBSD's sshd says of one wrong password, of which `auth.info` and `*.notice` both take a part.
fn triple(stand: &Stand, pid: u32) {
    let tag = format!("sshd[{pid}]");
    let pam = stamped(&tag, &format!("error: PAM: Authentication error for root from {ATTACKER}"));
    let failed =
        stamped(&tag, &format!("Failed keyboard-interactive/pam for root from {ATTACKER} port 4242 ssh2"));
    let closed = stamped(
        &tag,
        &format!("Connection closed by authenticating user root {ATTACKER} port 4242 [preauth]"),
    );
    append(&stand.file("messages"), [pam.clone()]);
    append(&stand.file("auth.log"), [pam, failed, closed]);
}

#[test]
fn one_attempt_that_two_logs_tell_of_in_four_lines_counts_once() {
    counts_once(Stand::pf());
    counts_once(Stand::with_a_pattern());
}

#[test]
fn a_repeat_is_of_the_line_before_it_in_the_same_file() {
    let mut stand = Stand::with_a_pattern();
    stand.start();
    stand.fail(ATTACKER, 1);
    stand.until("one is counted", |stand| counted(stand, ATTACKER, "sshd: 1 of 5 offences"));
    append(&stand.file("messages"), [stamped("syslogd", "last message repeated 9 times")]);
    stand.until("all is read", |stand| stand.status()["counters"]["lines"] == 2);
    assert!(counted(&stand, ATTACKER, "sshd: 1 of 5 offences"));
    append(&stand.file("auth.log"), [stamped("syslogd", "last message repeated 9 times")]);
    stand.until("here it means this line", |stand| stand.has(ATTACKER));
}

fn counts_once(mut stand: Stand) {
    stand.start();
    for pid in 1..=4 {
        triple(&stand, pid);
    }
    stand.until("all is read", |stand| stand.status()["counters"]["lines"] == 16);
    assert!(counted(&stand, ATTACKER, "sshd: 4 of 5 offences"), "{:?}", stand.cli(&["why", ATTACKER]));
    assert!(!stand.has(ATTACKER));
    triple(&stand, 5);
    stand.until("the fifth is one too many", |stand| stand.has(ATTACKER));
    assert_eq!(stand.cli(&["bans", "--json"]).json()[0]["nth"], 1);
}

/// A daemon that knows both logs and is down.
fn down() -> Stand {
    let mut stand = Stand::pf();
    stand.start();
    stand.fail("198.18.0.9", 1);
    append(&stand.file("messages"), [failure("198.18.0.9")]);
    stand.until("both logs are read", |stand| stand.status()["counters"]["lines"] == 2);
    stand.stop(SIGTERM);
    stand
}

fn pam_error(seconds: u64, pid: u32) -> String {
    let message = format!("error: PAM: Authentication error for root from {ATTACKER}");
    stamped_ago(seconds, &format!("sshd[{pid}]"), &message)
}

/// Read log after log, what auth.log says of a later time would come between the two tellings of each attempt.
#[test]
fn attempts_that_two_logs_tell_of_count_once_also_when_they_are_read_after_a_stop() {
    let mut stand = down();
    for pid in 1..=3 {
        let line = pam_error(22 * 60 - u64::from(pid), pid);
        stand.log([line.clone()]);
        append(&stand.file("messages"), [line]);
    }
    stand.log([stamped_ago(4 * 60, "sshd[9]", "Failed password for root from 198.18.0.8 port 4242 ssh2")]);
    stand.start();
    stand.until("all is read", |stand| stand.status()["counters"]["lines"] == 7);
    assert_eq!(stand.says("banned "), 0, "{:#?}", stand.daemon().said());
}

#[test]
fn older_lines_of_another_log_count_together_with_newer_ones_after_a_stop() {
    let mut stand = down();
    stand.log((1..=4).map(|pid| pam_error(60 - u64::from(pid), pid)));
    append(&stand.file("messages"), [pam_error(5 * 60, 9)]);
    stand.start();
    stand.until("five within ten minutes are a ban", |stand| stand.has(ATTACKER));
}

#[test]
fn a_repeat_that_is_written_after_a_stop_counts_the_line_before_it() {
    let mut stand = Stand::pf();
    stand.start();
    stand.fail(ATTACKER, 1);
    stand.until("one is counted", |stand| counted(stand, ATTACKER, "sshd: 1 of 5 offences"));
    stand.stop(SIGTERM);
    stand.start();
    stand.log([stamped("syslogd", "last message repeated 4 times")]);
    stand.until("it is blocked", |stand| stand.has(ATTACKER));
}

#[test]
fn rows_that_nobody_wrote_make_no_command_unreadable() {
    let mut stand = Stand::pf();
    stand.start();
    assert_eq!(stand.cli(&["ban", "198.51.100.0/24", "203.0.113.7", "--for", "1h"]).code, 0);
    stand.stop(SIGTERM);
    let database = rusqlite::Connection::open(stand.database()).expect("the database");
    let long = "x".repeat(50_000_000);
    let update = "UPDATE bans SET reason = ?1 WHERE offender = x'04cb00710720'";
    assert_eq!(database.execute(update, [&long]), Ok(1), "203.0.113.7/32");
    // 198.51.100.9/24: a network with a host in it.
    let strange: &[u8] = &[4, 198, 51, 100, 9, 24];
    let copy = "INSERT INTO bans SELECT ?1, since, until, nth, 'strange', origin, forced, spoofable, owners FROM bans LIMIT 1";
    assert_eq!(database.execute(copy, [strange]), Ok(1));
    drop(database);
    stand.start();
    stand.until("it is in step", |stand| stand.status()["firewall"]["in_step"] == true);
    assert_eq!(stand.bans(), stand.table());
    assert_eq!(stand.bans().len(), 2);
    for command in [&["bans"][..], &["status"], &["why", "203.0.113.7"], &["why", "203.0.113.7", "--json"]] {
        let ran = stand.cli(command);
        assert!(ran.code < 2 && ran.out.len() < 20_000, "{command:?}: {} bytes", ran.out.len());
    }
    let freed = stand.cli(&["unban", "198.51.100.0/24"]);
    // The exit status is 75 where the disk takes longer for the fifty megabytes.
    assert!(freed.out.starts_with("198.51.100.0/24: no longer banned"), "{freed:?}");
    stand.until("it is free", |stand| !stand.has("198.51.100.0/24"));
}
