//! From log line to table, on pf and ipfw: rotation, restart, flush, expiry, foreign entries.

use std::fs;

use nix::sys::signal::Signal::{SIGKILL, SIGTERM};

use super::stand::{Stand, append, failure, stamped};

const ATTACKER: &str = "203.0.113.7";

#[test]
fn five_failures_are_in_the_table_and_the_log_says_so() {
    for mut stand in Stand::both() {
        stand.start();
        stand.fail(ATTACKER, 4);
        stand.fail("2001:db8:1:2::3", 5);
        stand.until("the network is blocked", |stand| stand.has("2001:db8:1:2::/64"));
        assert!(!stand.has(ATTACKER), "four are not enough");
        stand.fail(ATTACKER, 1);
        stand.until("the address is blocked", |stand| stand.has(ATTACKER));
        stand
            .until("it is told", |stand| stand.says("banned 203.0.113.7 for 1h: 5 offences within 10m") == 1);
        assert_eq!(stand.bans(), stand.table());
    }
}

/// Rotations in an ordinary run; `PORTCULLIS_ROTATIONS=100` is the full one.
const ROTATIONS: usize = 6;

#[test]
fn five_failures_just_before_a_rename_are_banned() {
    let [pf, ipfw] = Stand::both();
    rotate(pf, "auto");
    rotate(ipfw, "poll");
}

fn rotate(mut stand: Stand, follow: &str) {
    let rounds =
        std::env::var("PORTCULLIS_ROTATIONS").map_or(ROTATIONS, |rounds| rounds.parse().expect("a number"));
    stand.start();
    let text = fs::read_to_string(stand.config()).unwrap();
    let path = stand.file("auth.log").display().to_string();
    fs::write(stand.config(), text.replace(&path, &format!("{{path: {path}, follow: {follow}}}"))).unwrap();
    assert_eq!(stand.cli(&["reload"]).code, 0);
    for round in 0..rounds {
        let address = format!("198.18.0.{round}");
        stand.fail(&address, 5);
        // As newsyslog does it: a new file with a line of its own takes the place of the old one.
        fs::rename(stand.file("auth.log"), stand.file("auth.log.0")).unwrap();
        append(&stand.file("auth.log.new"), [stamped("newsyslog[7]", "logfile turned over")]);
        fs::rename(stand.file("auth.log.new"), stand.file("auth.log")).unwrap();
        stand.until("the address is blocked", |stand| stand.has(&address));
    }
    // syslogd goes on with the old file until it is signalled.
    append(&stand.file("auth.log.0"), (0..5).map(|_| failure(ATTACKER)));
    stand.until("what came late is read too", |stand| stand.has(ATTACKER));
    assert_eq!(stand.table().len(), rounds + 1);
}

#[test]
fn a_restart_keeps_the_bans_and_bans_nobody_again() {
    for mut stand in Stand::both() {
        stand.start();
        stand.fail(ATTACKER, 5);
        stand.until("it is told", |stand| stand.says("banned 203.0.113.7") == 1);
        let before = stand.cli(&["bans", "--json"]).out;
        for signal in [SIGTERM, SIGKILL] {
            stand.stop(signal);
            assert!(stand.has(ATTACKER), "the table stays as it is");
            stand.start();
            stand.until("it is in step", |stand| stand.status()["firewall"]["in_step"] == true);
            assert_eq!(stand.cli(&["bans", "--json"]).out, before);
            assert_eq!(stand.says("banned"), 0);
        }
    }
}

#[test]
fn a_flushed_table_is_filled_again_and_that_is_said_once() {
    for mut stand in Stand::both() {
        stand.start();
        stand.fail(ATTACKER, 5);
        stand.until("it is blocked", |stand| stand.has(ATTACKER));
        stand.by_hand("-t bl -T flush", "table bl flush");
        stand.until("it is blocked again", |stand| stand.has(ATTACKER));
        stand.until("it is told", |stand| stand.says("had vanished from the firewall") == 1);
    }
}

#[test]
fn a_ban_ends_when_its_time_is_over() {
    for mut stand in Stand::both() {
        stand.more = "override: {sshd: {ban: {for: 2s}}}".to_owned();
        stand.start();
        stand.fail(ATTACKER, 5);
        stand.until("it is blocked", |stand| stand.has(ATTACKER));
        stand.until("it is told", |stand| stand.says("unbanned 203.0.113.7: its time is over") == 1);
        stand.until("it is free", |stand| !stand.has(ATTACKER));
        assert_eq!(stand.cli(&["bans"]).out, "Nobody is banned.\n");
    }
}

#[test]
fn a_ban_that_ends_while_the_daemon_is_down_is_gone_after_the_start() {
    for mut stand in Stand::both() {
        stand.start();
        let banned = stand.cli(&["ban", "--for", "1s", ATTACKER, "198.51.100.0/24"]);
        assert_eq!(banned.code, 0, "{banned:?}");
        let banned = stand.cli(&["ban", "--for", "1h", "198.18.0.1"]);
        assert_eq!(banned.code, 0, "{banned:?}");
        stand.stop(SIGKILL);
        assert!(stand.has(ATTACKER));
        std::thread::sleep(std::time::Duration::from_millis(1100));
        stand.start();
        stand.until("only the long ban is left", |stand| stand.table() == ["198.18.0.1".to_owned()].into());
        assert_eq!(stand.bans(), stand.table());
        assert_eq!(stand.says("adopted"), 0, "{:#?}", stand.daemon().said());
    }
}

#[test]
fn what_others_put_into_the_table_is_adopted_kept_or_removed_as_told() {
    for policy in ["adopt", "keep", "remove"] {
        for mut stand in Stand::both() {
            stand.firewall = format!("converge: 1s, foreign: {policy}");
            stand.start();
            stand.fail(ATTACKER, 5);
            stand.until("the table is there", |stand| stand.has(ATTACKER));
            stand.by_hand("-t bl -T add 198.18.0.9", "table bl add 198.18.0.9");
            match policy {
                "adopt" => stand.until("it has a record", |stand| stand.bans().contains("198.18.0.9")),
                "remove" => stand.until("it is gone", |stand| !stand.has("198.18.0.9")),
                _ => stand.until("it is counted", |stand| stand.status()["firewall"]["foreign"] == 1),
            }
            assert_eq!(stand.has("198.18.0.9"), policy != "remove");
            assert_eq!(stand.bans().contains("198.18.0.9"), policy == "adopt");
        }
    }
}

#[test]
fn a_ban_that_ended_in_the_database_only_is_not_taken_for_somebody_elses() {
    for signal in [SIGKILL, SIGTERM] {
        for mut stand in Stand::both() {
            (stand.more, stand.firewall) =
                ("override: {sshd: {ban: {for: 2s}}}".to_owned(), "converge: 2s, timeout: 1s".to_owned());
            stand.start();
            stand.fail(ATTACKER, 5);
            stand.until("it is blocked", |stand| stand.has(ATTACKER));
            stand.fake.mode("hang 600");
            stand.until("its time is over", |stand| stand.says("unbanned 203.0.113.7") == 1);
            stand.stop(signal);
            assert!(stand.has(ATTACKER), "the tool could not free it");
            stand.fake.mode("");
            stand.start();
            stand.until("it is free", |stand| !stand.has(ATTACKER));
            assert_eq!((stand.bans().len(), stand.says("adopted")), (0, 0), "{:#?}", stand.daemon().said());
        }
    }
}

#[test]
fn bans_that_ended_while_the_machine_was_down_are_no_trouble_for_an_empty_table() {
    for mut stand in Stand::both() {
        stand.start();
        assert_eq!(stand.cli(&["ban", "--for", "1s", ATTACKER, "198.18.0.0/24"]).code, 0);
        assert_eq!(stand.cli(&["ban", "198.18.1.1"]).code, 0);
        stand.stop(SIGTERM);
        stand.by_hand("-t bl -T flush", "table bl destroy");
        std::thread::sleep(std::time::Duration::from_millis(1100));
        stand.start();
        stand.until("the table is filled", |stand| stand.table() == ["198.18.1.1".to_owned()].into());
        stand.until("it is in step", |stand| stand.status()["firewall"]["in_step"] == true);
        assert_eq!(stand.says("the firewall update failed"), 0, "{:#?}", stand.daemon().said());
    }
}
