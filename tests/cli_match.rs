//! `portcullis match`: line by line.

use serde_json::{Value, json};

use crate::util::{Dir, failures, thread_log};

const NOISE: &str = "Jan 10 10:00:00 gw cron[7]: (root) CMD (/usr/libexec/atrun)\n";

#[test]
fn every_line_of_the_threads_log_is_an_offence_of_its_peer() {
    let dir = Dir::new();
    let log = thread_log();
    let log = log.to_str().unwrap();
    let text = dir.portcullis(["match", log]).ok();
    assert_eq!(text.lines().count(), 34);
    for (line, number) in text.lines().zip(1..) {
        assert_eq!(line, format!("{log}:{number}: freebsd-tcp/failed-syncookie offence 119.254.12.34"));
    }
}

#[test]
fn an_object_has_the_promised_keys_and_types() {
    let dir = Dir::new();
    dir.write("auth.log", [NOISE, &failures("2001:db8::7", [0])].concat());
    let ran = dir.portcullis(["match", "--json", "auth.log"]).run();
    let expected = json!({
        "source": "auth.log",
        "line": 2,
        "program": "sshd",
        "rule": "sshd/failed-password",
        "effect": "offence",
        "weight": 1.0,
        "address": "2001:db8::7",
        "user": "root",
        "session": null,
        "count": 1,
        "evidence": "handshake",
        "time": "2026-01-10T10:00:00+00:00",
    });
    assert_eq!((ran.code, ran.json_lines()), (0, vec![expected]));
}

#[test]
fn all_shows_the_lines_that_no_rule_knows_with_null() {
    let dir = Dir::new();
    dir.write("auth.log", [NOISE, "no syslog at all\n", &failures("192.0.2.7", [0])].concat());
    let lines = dir.portcullis(["match", "--json", "--all", "auth.log"]).run().json_lines();
    let shown = |key: &str| -> Vec<Value> { lines.iter().map(|line| line[key].clone()).collect() };
    assert_eq!(shown("line"), [1, 2, 3]);
    assert_eq!(shown("program"), [json!("cron"), Value::Null, json!("sshd")]);
    assert_eq!(shown("rule"), [Value::Null, Value::Null, json!("sshd/failed-password")]);
    for key in ["effect", "weight", "address", "user", "count", "evidence", "time"] {
        assert_eq!(lines[0].get(key), Some(&Value::Null), "{key} is there, and null");
    }
    let text = dir.portcullis(["match", "--all", "auth.log"]).ok();
    assert!(text.starts_with("auth.log:1: -\nauth.log:2: -\nauth.log:3: sshd/"), "{text}");
}

#[test]
fn all_alone_is_no_match() {
    for arguments in [&["match"][..], &["match", "--all"], &["match", "--json", "--all"]] {
        let ran = Dir::new().portcullis(arguments).stdin(NOISE).run();
        assert_eq!((ran.code, ran.err.as_str()), (1, ""), "{arguments:?}");
    }
}

#[test]
fn lines_are_numbered_in_their_own_file() {
    let dir = Dir::new();
    dir.write("auth.log", [NOISE, &failures("192.0.2.7", [0])].concat());
    dir.write("auth.log.0", failures("192.0.2.7", [0]) + NOISE);
    let text = dir.portcullis(["match", "auth.log", "auth.log.0"]).ok();
    let places: Vec<&str> = text.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["auth.log.0:1", "auth.log:2"]);
}

#[test]
fn overlong_lines_are_counted_as_lines() {
    let log = ["x".repeat(40_000).as_str(), "\n", &failures("192.0.2.7", [0])].concat();
    let text = Dir::new().portcullis(["match"]).stdin(log).ok();
    assert_eq!(text, "-:2: sshd/failed-password offence 192.0.2.7 user `root`\n");
}

#[test]
fn a_repeat_gives_the_line_before_it_again() {
    let log = failures("192.0.2.7", [0]) + "Jan 10 10:00:30 gw last message repeated 3 times\n";
    let dir = Dir::new();
    let lines = dir.portcullis(["match", "--json"]).stdin(&log).run().json_lines();
    let shown: Vec<_> = lines.iter().map(|line| (&line["line"], &line["address"], &line["count"])).collect();
    let address = json!("192.0.2.7");
    let one = json!(1);
    let three = json!(3);
    assert_eq!(shown, [(&json!(1), &address, &one), (&json!(2), &address, &three)]);
    let text = dir.portcullis(["match"]).stdin(&log).ok();
    assert!(text.ends_with("-:2: sshd/failed-password offence 192.0.2.7 3 times user `root`\n"), "{text}");
    let log = log.replace("Jan 10 10:00:30", "Jan 10 10:00:29 gw cron[1]: x\nJan 10 10:00:30");
    let text = dir.portcullis(["match"]).stdin(&log).ok();
    assert_eq!(text, "-:1: sshd/failed-password offence 192.0.2.7 user `root`\n", "it was cron's line");
}

#[test]
fn trust_and_harmless_lines_are_matches_of_their_kind() {
    let log = "Jan 10 10:00:00 gw sshd[7]: Accepted publickey for alice from 192.0.2.7 port 5 ssh2: RSA SHA256:x\n\
               Jan 10 10:00:01 gw sshd[7]: Connection closed by 192.0.2.7 port 5\n\
               Jan 10 10:00:02 gw sshd[8]: error: PAM: Authentication error for root from scan.example\n";
    let text = Dir::new().portcullis(["match"]).stdin(log).ok();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("-:1: sshd/accepted trust 192.0.2.7 user `alice`"), "{text}");
    assert!(lines[1].starts_with("-:2: sshd/left ignore 192.0.2.7"), "{text}");
    assert!(lines[2].starts_with("-:3: sshd/pam-failure offence (no address)"), "{text}");
}

/// The peer chooses the user's name, and an operator's terminal obeys escape sequences.
#[test]
fn what_a_peer_wrote_cannot_drive_the_terminal_or_pass_for_ours() {
    let dir = Dir::new();
    let user = "\x1b]0;owned\x07\x1b[2J\u{202e}` 99 times";
    let log = failures("192.0.2.7", [0]).replace("root", user);
    let text = dir.portcullis(["match", "--all"]).stdin(&log).ok();
    assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text:?}");
    let line = dir.portcullis(["match", "--json"]).stdin(&log).json();
    if text.contains("sshd/failed-password") {
        assert!(text.contains("192.0.2.7 user `\u{fffd}]0;owned\u{fffd}"), "{text:?}");
        assert_eq!(line["user"], user);
    }
    assert_eq!(line["address"], "192.0.2.7");
}

#[test]
fn a_forged_address_in_the_users_name_is_not_the_address() {
    let log = failures("192.0.2.7", [0]).replace("root", "x from 8.8.8.8 port 22 ssh2");
    let line = Dir::new().portcullis(["match", "--json"]).stdin(log).json();
    assert_eq!(line["address"], "192.0.2.7");
}

#[test]
fn json_of_a_hostile_name_drives_no_terminal_and_loses_nothing() {
    let name = "a\u{9b}31m\u{202e}b\u{2066}c\u{2028}";
    let line = format!(
        "Nov 22 14:38:31 gw sshd[9]: Failed password for invalid user {name} from 192.0.2.7 port 4 ssh2\n"
    );
    let ran = Dir::new().portcullis(["match", "--json"]).stdin(line).run();
    let drives = |c: char| c.is_control() && c != '\n' || "\u{202e}\u{2066}\u{2028}".contains(c);
    assert!(ran.code == 0 && !ran.out.contains(drives), "{ran:?}");
    assert_eq!(ran.json_lines()[0]["user"], name);
}

/// A line as another version of OpenSSH might write it.
fn unheard_of(address: &str) -> String {
    format!("Nov 22 14:38:31 gw sshd-session[7]: Turned away user root from {address} port 4711 [preauth]\n")
}

#[test]
fn lines_that_name_an_address_and_that_no_rule_knows_are_shown_with_missed_and_nothing_else() {
    let dir = Dir::new();
    let known = "Nov 22 14:38:31 gw sshd[7]: Invalid user x from 192.0.2.9 port 4711\n";
    let others =
        "Nov 22 14:38:31 gw sshd[7]: Starting up\nNov 22 14:38:31 gw cron[7]: 192.0.2.7 is a stranger\n";
    dir.write("auth.log", [known, others, &unheard_of("192.0.2.7"), &unheard_of("2001:db8::7")].concat());
    let expected = "auth.log:4: Nov 22 14:38:31 gw sshd-session[7]: Turned away user root from 192.0.2.7 port 4711 [preauth]\n\
                    auth.log:5: Nov 22 14:38:31 gw sshd-session[7]: Turned away user root from 2001:db8::7 port 4711 [preauth]\n";
    assert_eq!(dir.portcullis(["match", "--missed", "auth.log"]).ok(), expected);
    let json = dir.portcullis(["match", "--missed", "--json", "auth.log"]).ok();
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((&first["line"], &first["rule"]), (&4.into(), &Value::Null));
    assert!(first["text"].as_str().unwrap().ends_with("from 192.0.2.7 port 4711 [preauth]"), "{first}");
    dir.write("fine.log", known);
    dir.portcullis(["match", "--missed", "fine.log"]).run().assert(1, "");
    let at = dir.path().display();
    dir.write("p.yaml", format!("rules_dir: {at}/none\nsources: {{auth: {at}/auth.log}}\n"));
    let configured = dir.portcullis(["match", "--missed", "-c", "p.yaml"]).ok();
    assert_eq!(configured.lines().count(), 2, "of the configured sources: {configured}");
}

#[test]
fn what_the_operator_switched_off_is_not_missed() {
    let dir = Dir::new();
    dir.write("auth.log", unheard_of("192.0.2.7"));
    let at = dir.path().display();
    dir.write("p.yaml", format!("rules_dir: {at}/none\noverride: {{sshd: {{disable: [invalid-user]}}}}\n"));
    dir.portcullis(["match", "--missed", "-c", "p.yaml", "auth.log"]).run().assert(1, "");
}
