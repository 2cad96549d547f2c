//! A log that holds once more what was read of it: written anew by an editor or `sed -i`, or cut short by a power cut.

use std::fs::{self, OpenOptions};
use std::path::Path;

use nix::sys::signal::Signal::SIGTERM;

use super::stand::{Stand, failure, stamped_ago};

const ATTACKER: &str = "203.0.113.7";
const OTHER: &str = "198.18.0.1";

fn counted(stand: &Stand, address: &str, sentence: &str) -> bool {
    stand.cli(&["why", address]).out.contains(sentence)
}

/// Failed logins a while ago, each in a session of its own.
fn failures_ago(seconds: u64, address: &str, times: u32) -> Vec<String> {
    let message = format!("Failed password for invalid user admin from {address} port 4242 ssh2");
    (0..times).map(|n| stamped_ago(seconds, &format!("sshd[{}]", 7000 + n), &message)).collect()
}

fn without_first_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap();
    text.split_once('\n').expect("a line").1.to_owned()
}

/// Its name, and what it does to a log.
type Rewriting = (&'static str, fn(&Path));

/// The ways in which editors write a file anew, here without its first line.
const REWRITINGS: [Rewriting; 4] = [
    ("in place", |log| fs::write(log, without_first_line(log)).unwrap()),
    ("as `sed -i` does", |log| {
        let new = log.with_extension("new");
        fs::write(&new, without_first_line(log)).unwrap();
        fs::rename(new, log).unwrap();
    }),
    ("with a backup", |log| {
        let text = without_first_line(log);
        fs::rename(log, log.with_extension("log~")).unwrap();
        fs::write(log, text).unwrap();
    }),
    ("with other words", |log| {
        let text = without_first_line(log).replace("admin", "somebody");
        fs::write(log, text).unwrap();
    }),
];

#[test]
fn a_log_that_is_written_anew_counts_nothing_twice() {
    for (how, rewrite) in REWRITINGS {
        let mut stand = Stand::pf();
        stand.start();
        stand.log(failures_ago(61, OTHER, 1));
        stand.log(failures_ago(60, ATTACKER, 4));
        stand.until("four are counted", |stand| counted(stand, ATTACKER, "sshd: 4 of 5 offences"));
        rewrite(&stand.file("auth.log"));
        stand.fail(OTHER, 1);
        stand.until(how, |stand| counted(stand, OTHER, "sshd: 2 of 5 offences"));
        assert!(counted(&stand, ATTACKER, "sshd: 4 of 5 offences"), "{how}: {:#?}", stand.daemon().said());
        stand.fail(ATTACKER, 1);
        stand.until("the fifth is one too many", |stand| stand.has(ATTACKER));
    }
}

#[test]
fn a_log_that_is_written_anew_while_nobody_reads_counts_nothing_twice() {
    for (how, rewrite) in REWRITINGS {
        let mut stand = Stand::pf();
        stand.start();
        stand.log(failures_ago(60, ATTACKER, 4));
        stand.until("four are counted", |stand| counted(stand, ATTACKER, "sshd: 4 of 5 offences"));
        stand.stop(SIGTERM);
        rewrite(&stand.file("auth.log"));
        stand.fail(OTHER, 1);
        stand.start();
        stand.until(how, |stand| counted(stand, OTHER, "sshd: 1 of 5 offences"));
        assert!(counted(&stand, ATTACKER, "sshd: 4 of 5 offences"), "{how}: {:#?}", stand.daemon().said());
        stand.fail(ATTACKER, 1);
        stand.until("the fifth is one too many", |stand| stand.has(ATTACKER));
    }
}

/// syslogd does not fsync its files, the database is fsynced at each ban: after a power cut it knows more of the log than
/// is left of it.
fn lose_end(log: &Path, lines: usize) {
    let text = fs::read_to_string(log).unwrap();
    let kept: usize = text.split_inclusive('\n').take(lines).map(str::len).sum();
    OpenOptions::new().write(true).open(log).unwrap().set_len(kept as u64).unwrap();
}

#[test]
fn a_log_that_lost_its_end_in_a_power_cut_goes_on_where_that_was() {
    for grown in [0, 40] {
        let mut stand = Stand::pf();
        stand.start();
        stand.log(failures_ago(60, ATTACKER, 3));
        stand.until("three are counted", |stand| counted(stand, ATTACKER, "sshd: 3 of 5 offences"));
        stand.stop(SIGTERM);
        lose_end(&stand.file("auth.log"), 1);
        // syslogd may have made it longer than it was before we look.
        stand.log((0..grown).map(|n| stamped_ago(0, "cron[9]", &format!("({n}) CMD (/usr/libexec/atrun)"))));
        stand.fail(ATTACKER, 1);
        stand.start();
        stand.until("the fourth is counted", |stand| counted(stand, ATTACKER, "sshd: 4 of 5 offences"));
        let told = if grown == 0 { "auth.log is shorter than" } else { "auth.log no longer holds" };
        assert_eq!(stand.says(told), 1, "{:#?}", stand.daemon().said());
        assert_eq!(stand.says("up to which all was read"), 1);
        assert!(!stand.has(ATTACKER));
        stand.stop(SIGTERM);
        stand.start();
        stand.fail(OTHER, 1);
        stand.until("it goes on", |stand| counted(stand, OTHER, "sshd: 1 of 5 offences"));
        assert!(counted(&stand, ATTACKER, "sshd: 4 of 5 offences"), "and once only");
        assert_eq!(stand.says("power cut"), 0);
    }
}

#[test]
fn a_log_that_is_empty_after_a_power_cut_is_read_on() {
    let mut stand = Stand::pf();
    stand.start();
    stand.log(failures_ago(60, ATTACKER, 4));
    stand.until("four are counted", |stand| counted(stand, ATTACKER, "sshd: 4 of 5 offences"));
    stand.stop(SIGTERM);
    lose_end(&stand.file("auth.log"), 0);
    stand.start();
    assert!(!stand.has(ATTACKER));
    stand.log([failure(ATTACKER)]);
    stand.until("the fifth is one too many", |stand| stand.has(ATTACKER));
}

/// An operator's decision is about what had happened by then, however late it is read.
#[test]
fn lines_written_before_an_unban_never_count_for_that_address_again() {
    for offline in [false, true] {
        let mut stand = Stand::pf();
        stand.start();
        stand.log([failure(OTHER)]);
        stand.until("it is read", |stand| counted(stand, OTHER, "sshd: 1 of 5 offences"));
        if !offline {
            stand.cli(&["unban", ATTACKER]);
        }
        stand.stop(SIGTERM);
        if offline {
            stand.cli(&["unban", "--offline", ATTACKER]);
        }
        stand.log(failures_ago(60, ATTACKER, 5));
        stand.log([failure(OTHER)]);
        // Remembered over any number of starts.
        for _ in 0..2 {
            stand.start();
            stand.until("all is read", |stand| counted(stand, OTHER, "sshd: 2 of 5 offences"));
            assert!(
                !stand.has(ATTACKER) && !counted(&stand, ATTACKER, "offences"),
                "{:?}",
                stand.cli(&["why", ATTACKER])
            );
            stand.stop(SIGTERM);
        }
        stand.start();
        stand.fail(ATTACKER, 5);
        stand.until("what comes later counts", |stand| stand.has(ATTACKER));
    }
}
