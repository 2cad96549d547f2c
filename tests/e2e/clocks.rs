//! Stamps and arrivals: logs in other zones, lines that come late, logs of services with stamps of their own.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nix::sys::signal::Signal::SIGTERM;

use super::stand::{Stand, append, failure};
use crate::util::project;

const ATTACKER: &str = "203.0.113.7";
const DAY: u64 = 86_400;

/// A failed login, stamped so many seconds ago in a zone.
fn stamped_in(zone: &TimeZone, ago: u64, address: &str) -> String {
    let time = (Timestamp::now() - Duration::from_secs(ago)).to_zoned_datetime(zone.clone());
    let line = failure(address);
    let (_, behind) = line.split_at(15);
    format!("{}{behind}", time.strftime("%b %e %H:%M:%S"))
}

fn utc(address: &str) -> String {
    stamped_in(&TimeZone::UTC, 0, address)
}

fn ago(seconds: u64, address: &str) -> String {
    stamped_in(&TimeZone::system(), seconds, address)
}

/// Waits until everything that was written so far is judged.
fn until_judged(stand: &Stand, witness: &str) {
    stand.fail(witness, 1);
    stand.until("all is judged", |stand| stand.cli(&["why", witness]).out.contains("1 of 5 offences"));
}

/// That somebody is banned for most of an hour from now on, and was not freed.
fn is_banned_for_an_hour(stand: &Stand, address: &str) {
    stand.until("it is blocked", |stand| stand.has(address));
    let bans = stand.cli(&["bans", "--json"]).json();
    let ban = bans.as_array().unwrap().iter().find(|ban| ban["offender"] == address).expect("a ban");
    let until: Timestamp = ban["until"].as_str().unwrap().parse().unwrap();
    let left = until.as_second() - Timestamp::now().as_second();
    assert!((3000..=3600).contains(&left), "{left} seconds: {ban}");
    assert!(stand.has(address) && stand.says("unbanned") == 0, "{:#?}", stand.daemon().said());
}

/// A log written in UTC on a host in Berlin: the daemon banned an hour ago, and freed at once, after a restart.
#[test]
fn a_log_in_another_zone_bans_for_as_long_as_any_other_live_and_after_a_restart() {
    for zone in ["Europe/Berlin", "America/New_York", "Asia/Kathmandu"] {
        let mut stand = Stand::pf();
        stand.zone = zone;
        stand.start();
        stand.log((0..5).map(|_| utc(ATTACKER)));
        is_banned_for_an_hour(&stand, ATTACKER);
        stand.stop(SIGTERM);
        stand.log((0..5).map(|_| utc("198.18.0.1")));
        stand.start();
        is_banned_for_an_hour(&stand, "198.18.0.1");
        assert!(stand.has(ATTACKER));
        let behind = stand.status()["sources"][0]["stamps_behind"].as_i64().expect("another zone");
        assert!([60, 120, -300, -240, 345].contains(&behind), "{zone}: {behind}");
        assert!(stand.cli(&["status"]).out.contains("the clock: set the `zone` of this source"));
        assert!(stand.cli(&["doctor"]).out.contains("(source auth) are "));
    }
}

#[test]
fn stamps_of_a_services_own_log_count_while_the_daemon_is_down() {
    let mut stand = Stand::pf();
    stand.sources = "ftp: {path: DIR/auth.log, rule_sets: [vsftpd]}";
    fs::create_dir(stand.file("rules")).unwrap();
    fs::copy(project("tests/data/vsftpd/vsftpd.yaml"), stand.file("rules/vsftpd.yaml")).unwrap();
    let ftp = |address: &str| {
        let now = Timestamp::now().to_zoned_datetime(TimeZone::system());
        let stamp = now.strftime("%a %b %e %H:%M:%S %Y");
        format!("{stamp} [pid 5078] [ftpuser] FAIL LOGIN: Client \"::ffff:{address}\"")
    };
    stand.start();
    stand.log((0..5).map(|_| ftp(ATTACKER)));
    is_banned_for_an_hour(&stand, ATTACKER);
    stand.stop(SIGTERM);
    stand.log((0..5).map(|_| ftp("198.18.0.1")));
    stand.start();
    is_banned_for_an_hour(&stand, "198.18.0.1");
}

/// Five mistakes in five days are no attack, however they are delivered; nor is an attack of last week one of today.
#[test]
fn lines_that_are_delivered_late_keep_their_distances() {
    for has_history in [true, false] {
        let mut stand = Stand::pf();
        stand.start();
        if has_history {
            until_judged(&stand, "198.18.0.1");
        }
        let attack = (0..10).map(|second| ago(5 * DAY + 67 - second, "198.18.0.2"));
        let mistakes = (1..=5).rev().map(|day| ago(day * DAY + 67, ATTACKER));
        stand.log(attack.chain(mistakes));
        until_judged(&stand, "198.18.0.3");
        assert_eq!((stand.table().len(), stand.says("banned ")), (0, 0), "{:#?}", stand.daemon().said());
        assert_eq!(stand.says("unbanned"), 0);
        stand.fail(ATTACKER, 4);
        stand.until("only new ones count", |stand| {
            stand.cli(&["why", ATTACKER]).out.contains("4 of 5 offences")
        });
        assert!(!stand.has(ATTACKER));
    }
}

#[test]
fn an_old_file_that_is_renamed_onto_the_log_bans_nobody() {
    let mut stand = Stand::pf();
    stand.start();
    let old = stand.file("old");
    append(&old, (0..10).map(|second| ago(5 * DAY - second, ATTACKER)));
    let then = SystemTime::now() - Duration::from_secs(5 * DAY - 9);
    File::options().write(true).open(&old).unwrap().set_modified(then).unwrap();
    fs::rename(&old, stand.file("auth.log")).unwrap();
    stand.until("it is read", |stand| stand.status()["sources"][0]["matches"] == 10);
    assert_eq!((stand.table().len(), stand.says("banned ")), (0, 0), "{:#?}", stand.daemon().said());
    stand.fail("198.18.0.1", 5);
    stand.until("what is new counts", |stand| stand.has("198.18.0.1"));
}

/// A peer that keeps a request open for long has its line stamped with the beginning.
#[test]
fn a_late_line_does_not_take_back_what_was_counted() {
    let mut stand = Stand::pf();
    stand.start();
    stand.fail(ATTACKER, 4);
    stand.until("four are counted", |stand| stand.cli(&["why", ATTACKER]).out.contains("4 of 5 offences"));
    stand.log([ago(3 * 3600 + 67, ATTACKER)]);
    until_judged(&stand, "198.18.0.1");
    assert!(!stand.has(ATTACKER));
    stand.fail(ATTACKER, 1);
    stand.until("five are a ban", |stand| stand.has(ATTACKER));
}

/// What is stated is not guessed: a line of an hour ago is late, and a reload takes another zone into force.
#[test]
fn a_stated_zone_is_believed_and_may_be_changed() {
    let mut stand = Stand::pf();
    stand.zone = "Europe/Berlin";
    stand.sources = "auth: {path: DIR/auth.log, zone: Europe/Berlin}";
    stand.start();
    stand.log((0..5).map(|_| utc(ATTACKER)));
    stand.until("they are read", |stand| stand.status()["sources"][0]["matches"] == 5);
    assert!(!stand.has(ATTACKER), "an hour late or more");
    stand.sources = "auth: {path: DIR/auth.log, zone: UTC}";
    stand.configure();
    assert_eq!(stand.cli(&["reload"]).code, 0);
    stand.log((0..5).map(|_| utc("198.18.0.1")));
    is_banned_for_an_hour(&stand, "198.18.0.1");
}

/// What has no time counts live, and is said to be lost after a restart: once in the log, and in `status`.
#[test]
fn lines_without_a_time_are_said_to_have_none() {
    let mut stand = Stand::pf();
    stand.sources = "own: {path: DIR/auth.log, rule_sets: [own]}";
    fs::create_dir(stand.file("rules")).unwrap();
    let rules = "version: 1\nname: own\nabout: x\nformat: raw\nnewlines: encoded\nmessage_limit: none\nrules:\n  \
                 - {id: wrong, pattern: '^wrong password from <ADDR>$', means: x}\n";
    fs::write(stand.file("rules/own.yaml"), rules).unwrap();
    stand.start();
    let wrong = |address: &str| format!("wrong password from {address}");
    for _ in 0..2 {
        stand.log((0..2).map(|_| wrong(ATTACKER)));
        stand.until("it is counted", |stand| {
            stand.status()["sources"][0]["undated"] == 2 || stand.says("no readable timestamp") > 0
        });
    }
    stand.until("all are counted", |stand| stand.status()["sources"][0]["undated"] == 4);
    assert_eq!(stand.says("matching lines have no readable timestamp"), 1, "{:#?}", stand.daemon().said());
    let told = stand.cli(&["status"]).out;
    assert!(
        told.contains("own: 4 matches without a readable timestamp, none counted after a restart"),
        "{told}"
    );
    stand.log([wrong(ATTACKER)]);
    stand.until("it is blocked all the same", |stand| stand.has(ATTACKER));
    stand.stop(SIGTERM);
    stand.log((0..5).map(|_| wrong("198.18.0.1")));
    stand.start();
    stand.until("they are read", |stand| stand.status()["sources"][0]["undated"] == 5);
    assert!(!stand.has("198.18.0.1"));
    let log = stand.file("auth.log").display().to_string();
    let matched = stand.cli(&["match", &log]).out;
    assert!(matched.contains("own/wrong offence 203.0.113.7, no readable timestamp"), "{matched}");
}
