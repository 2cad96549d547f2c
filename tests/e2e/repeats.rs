//! "last message repeated": of which line it is, over rotations and gaps.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use super::stand::{Stand, append, failure, stamped};

const ATTACKER: &str = "203.0.113.7";
const OTHER: &str = "198.18.0.1";

fn counted(stand: &Stand, address: &str, sentence: &str) -> bool {
    stand.cli(&["why", address]).out.contains(sentence)
}

fn repeated(times: u32) -> String {
    stamped("syslogd", &format!("last message repeated {times} times"))
}

/// What newsyslog writes into both files itself.
fn turned_over() -> String {
    stamped("newsyslog[559]", "logfile turned over due to size>1000K")
}

/// newsyslog's rotation: the note, a second name, the new file with the note. syslogd still writes to the old one.
fn rotate(stand: &Stand) {
    let log = stand.file("auth.log");
    append(&log, [turned_over()]);
    fs::hard_link(&log, stand.file("auth.log.0")).unwrap();
    let new = stand.file("auth.log.zAbCdEf");
    append(&new, [turned_over()]);
    fs::rename(new, log).unwrap();
}

#[test]
fn three_before_newsyslogs_note_and_two_behind_it_are_five() {
    let mut stand = Stand::pf();
    stand.start();
    let mut syslogd = OpenOptions::new().append(true).open(stand.file("auth.log")).unwrap();
    stand.log([failure(ATTACKER), repeated(2)]);
    stand.until("three are counted", |stand| counted(stand, ATTACKER, "sshd: 3 of 5 offences"));
    rotate(&stand);
    // The new file has a last line of its own by the time the old one is written to again.
    stand.log([failure(OTHER)]);
    stand.until("the new file is read", |stand| counted(stand, OTHER, "sshd: 1 of 5 offences"));
    syslogd.write_all(format!("{}\n", repeated(2)).as_bytes()).unwrap();
    stand.until("five are a ban", |stand| stand.has(ATTACKER));
    assert!(counted(&stand, OTHER, "sshd: 1 of 5 offences"));
    assert!(!stand.has(OTHER));
}

#[test]
fn a_repeat_in_the_new_file_is_of_no_line_of_the_old_one() {
    let mut stand = Stand::pf();
    stand.start();
    stand.log([failure(ATTACKER)]);
    stand.until("one is counted", |stand| counted(stand, ATTACKER, "sshd: 1 of 5 offences"));
    rotate(&stand);
    stand.log([repeated(9)]);
    stand.until("all is read", |stand| stand.status()["counters"]["lines"] == 4);
    assert!(counted(&stand, ATTACKER, "sshd: 1 of 5 offences"));
}

#[test]
fn a_line_that_is_too_long_ends_what_a_repeat_may_mean() {
    let mut stand = Stand::pf();
    stand.start();
    let long = || stamped("other[7]", &"x".repeat(20_000));
    stand.log([failure(ATTACKER), long(), repeated(10)]);
    stand.until("all is read", |stand| stand.status()["counters"]["lines"] == 2);
    assert!(counted(&stand, ATTACKER, "sshd: 1 of 5 offences"));
    // Also where each comes on its own, and over a stop.
    stand.log([failure(OTHER)]);
    stand.until("it is counted", |stand| counted(stand, OTHER, "sshd: 1 of 5 offences"));
    stand.log([long()]);
    stand.stop(nix::sys::signal::Signal::SIGTERM);
    stand.log([repeated(10)]);
    stand.start();
    stand.until("all is read", |stand| stand.status()["counters"]["lines"] == 1);
    assert!(counted(&stand, OTHER, "sshd: 1 of 5 offences"));
    assert!(stand.table().is_empty());
}
