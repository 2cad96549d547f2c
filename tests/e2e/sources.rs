//! Which rule sets a source is asked by, live and over reloads.

use std::fs;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::stand::{Stand, append, failure};
use crate::bindings::WEB;

fn with_web(sources: &'static str) -> Stand {
    let mut stand = Stand::pf();
    stand.sources = sources;
    fs::create_dir(stand.file("rules")).unwrap();
    fs::write(stand.file("rules/web.yaml"), WEB).unwrap();
    append(&stand.file("web.log"), []);
    stand
}

/// The application's stamp, of now.
fn now() -> String {
    Timestamp::now().to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn forged(stand: &Stand, address: &str) {
    let said = [format!("{} visitor said hello", now()), failure(address)];
    append(&stand.file("web.log"), (0..9).flat_map(|_| said.clone()));
}

fn logins(stand: &Stand, address: &str) {
    append(&stand.file("web.log"), (0..5).map(|_| format!("{} login failed from {address}", now())));
}

/// Five lines in a web log banned a stranger by sshd's rules.
#[test]
fn a_line_like_sshds_in_an_applications_log_bans_nobody() {
    let mut stand = with_web("auth: DIR/auth.log, web: {path: DIR/web.log, rule_sets: [exampleweb]}");
    stand.start();
    forged(&stand, "203.0.113.66");
    forged(&stand, "2001:db8::66");
    logins(&stand, "192.0.2.7");
    stand.until("the application's own lines count", |stand| stand.has("192.0.2.7"));
    stand.fail("192.0.2.9", 5);
    stand.until("and so do sshd's where they belong", |stand| stand.has("192.0.2.9"));
    assert_eq!(stand.table().into_iter().collect::<Vec<_>>(), ["192.0.2.7", "192.0.2.9"]);
}

#[test]
fn a_reload_changes_by_which_sets_a_log_is_asked() {
    let mut stand = with_web("auth: DIR/auth.log, web: {path: DIR/web.log, rule_sets: [exampleweb]}");
    stand.start();
    logins(&stand, "192.0.2.7");
    stand.until("it is asked by the application's set", |stand| stand.has("192.0.2.7"));
    let bound = fs::read_to_string(stand.config()).unwrap();

    let unfed = bound.replace("rule_sets: [exampleweb]", "layout: syslog");
    fs::write(stand.config(), &unfed).unwrap();
    let refused = stand.cli(&["reload"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.err.contains("the rule set `exampleweb` would be asked about no log"), "{refused:?}");

    fs::write(stand.config(), unfed + "rule_sets: [sshd]\n").unwrap();
    assert_eq!(stand.cli(&["reload"]).code, 0);
    logins(&stand, "192.0.2.8");
    forged(&stand, "192.0.2.9");
    stand.until("it is asked by sshd's", |stand| stand.has("192.0.2.9"));
    assert!(!stand.has("192.0.2.8"), "and by no other");

    fs::write(stand.config(), bound).unwrap();
    assert_eq!(stand.cli(&["reload"]).code, 0);
    forged(&stand, "203.0.113.66");
    logins(&stand, "192.0.2.10");
    stand.until("it is as before", |stand| stand.has("192.0.2.10"));
    assert!(!stand.has("203.0.113.66"));
}

/// A set that brings its log along needs no source, and its name is that of the source made of it.
#[test]
fn the_log_of_a_set_is_followed_without_a_source() {
    let mut stand = with_web("auth: DIR/auth.log");
    let log = stand.file("web.log").display().to_string();
    let with_logs = WEB.replace("format: raw", &format!("format: raw\nlogs: [/nonexistent/web.log, {log}]"));
    fs::write(stand.file("rules/web.yaml"), with_logs).unwrap();
    stand.start();
    logins(&stand, "192.0.2.7");
    stand.until("it is followed", |stand| stand.has("192.0.2.7"));
    let status = stand.status();
    let source = status["sources"].as_array().unwrap().iter().find(|source| source["name"] == "exampleweb");
    assert_eq!(source.unwrap()["path"], log.as_str(), "{status}");
}

/// Such lines were read before; who follows such a log must not lose its protection without a word.
#[test]
fn lines_of_a_layout_that_the_source_is_not_said_to_have_are_told_of() {
    let mut stand = Stand::pf();
    stand.sources = "auth: DIR/auth.log";
    stand.start();
    let line = |address: &str| {
        let stamp = now().replacen(' ', "T", 1);
        format!("{stamp} [sshd] Failed password for root from {address} port 1 ssh2")
    };
    stand.log((0..9).map(|_| line("192.0.2.7")));
    let told = "source auth: lines look like metalog's and are not read; if metalog writes them, say `layout: metalog`";
    stand.until("it is said", |stand| stand.says(told) == 1);
    stand.fail("192.0.2.9", 5);
    stand.until("the log is read", |stand| stand.has("192.0.2.9"));
    assert!(!stand.has("192.0.2.7"));
    assert_eq!(stand.says(told), 1);
}
