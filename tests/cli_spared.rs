//! `scan` says of everybody who would not be banned why.

use serde_json::{Value, json};

use crate::util::{Dir, failures};

const LOGIN: &str = "2026-01-10T09:00:00+00:00 gw sshd[1]: Accepted publickey for alice from 192.0.2.7 port 4711 ssh2: RSA \
                     SHA256:abc\n";

/// A directory with a log of twelve failures from one address, and what stands before them.
fn log(before: &str, address: &str) -> Dir {
    let dir = Dir::new();
    dir.write("auth.log", before.to_owned() + &failures(address, 0..12));
    dir
}

/// The offender's row in the text, all of the text in one line, and the only offender or exempt one in the JSON.
fn told(dir: &Dir, arguments: &[&str]) -> (String, String, Value) {
    let text = dir.portcullis([&["scan", "auth.log"], arguments].concat()).ok();
    let row =
        text.lines().skip_while(|line| !line.starts_with("OFFENDER")).nth(1).unwrap_or_default().to_owned();
    let json = dir.portcullis([&["scan", "--json", "auth.log"], arguments].concat()).json();
    let lists = ["offenders", "exempt"].map(|list| json[list].as_array().unwrap().clone());
    let [offender] = <[Value; 1]>::try_from(lists.concat()).unwrap();
    let is_exempt = offender["spared"].as_str().is_some_and(|why| !why.ends_with(" offences"));
    assert_eq!(json["exempt"] != json!([]), is_exempt, "{offender}");
    (row, text.replace('\n', " "), offender)
}

#[test]
fn who_logged_in_of_late_is_said_to_have_done_so() {
    let (row, text, offender) = told(&log(LOGIN, "192.0.2.7"), &[]);
    assert!(row.ends_with(" no: 12 of 15, logged in"), "{row}");
    let note = "Not banned: an address that logged in recently is banned after 3 times as many offences; see `trust` in the configuration \
                (192.0.2.7).";
    assert!(text.contains(note), "{text}");
    assert_eq!(
        (&offender["bans"], &offender["spared"]),
        (&json!([]), &json!("it logged in recently: 12 of 15 offences"))
    );
}

#[test]
fn a_login_that_is_worth_nothing_is_no_reason() {
    let dir = log(LOGIN, "192.0.2.7");
    dir.write("c.yaml", "version: 1\ntrust: {for: 7d, multiplier: 1}\n");
    let (row, _, offender) = told(&dir, &["-c", "c.yaml"]);
    assert!(row.ends_with(" for 1h"), "{row}");
    assert_eq!(offender["spared"], Value::Null);
}

#[test]
fn who_is_allowed_is_said_to_be() {
    for before in [LOGIN, ""] {
        let dir = log(before, "192.0.2.7");
        dir.write("c.yaml", "version: 1\nallow: [192.0.2.0/24]\n");
        let (row, text, offender) = told(&dir, &["-c", "c.yaml"]);
        assert!(row.starts_with("192.0.2.7 ") && row.ends_with(" no: allowed"), "{row}");
        let note = "Not banned: on the allow list; see `allow` in the configuration (192.0.2.7).";
        assert!(text.contains(note), "{text}");
        assert_eq!((&offender["offences"], &offender["spared"]), (&json!(12), &json!("on the allow list")));
    }
}

#[test]
fn failures_from_this_machine_ask_for_a_proxy() {
    for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        let (row, text, offender) = told(&log("", address), &[]);
        assert!(row.ends_with(" no: loopback"), "{row}");
        let note = "loopback addresses are never banned; is a proxy in front of the program? Then the log names the proxy";
        assert!(text.contains(note), "{text}");
        let spared = "loopback addresses are never banned; is a proxy in front of the program?";
        assert_eq!((&offender["offences"], &offender["spared"]), (&json!(12), &json!(spared)));
    }
}

#[test]
fn other_addresses_that_are_nobodys_are_said_to_be() {
    for (address, range) in
        [("169.254.7.7", "link-local"), ("fe80::1%em0", "link-local"), ("0.0.0.0", "unspecified")]
    {
        let (row, text, offender) = told(&log("", address), &[]);
        assert!(row.ends_with(&format!(" no: {range}")) && !text.contains("proxy"), "{text}");
        assert_eq!(offender["spared"], json!(format!("{range} addresses are never banned")));
    }
}

#[test]
fn who_stays_below_the_threshold_is_told_how_near_it_came() {
    let dir = Dir::new();
    // Four in a window, and twice that in all.
    let times = (0..4).chain(3600..3604);
    dir.write("auth.log", failures("192.0.2.7", times) + &failures("192.0.2.8", 4000..4002));
    let text = dir.portcullis(["scan", "auth.log"]).ok();
    assert!(text.contains(" no: 4 of 5\n") && text.contains(" no: 2 of 5\n"), "{text}");
    let note = "Not banned: fewer offences within a window than a ban takes (192.0.2.7, 192.0.2.8).";
    assert!(text.replace('\n', " ").contains(note), "{text}");
    let offenders = dir.portcullis(["scan", "--json", "auth.log"]).json()["offenders"].clone();
    assert_eq!(offenders[0]["spared"], "below the threshold: 4 of 5 offences");
    assert_eq!(offenders[1]["spared"], "below the threshold: 2 of 5 offences");
}

#[test]
fn who_would_be_banned_needs_no_excuse() {
    let (row, text, offender) = told(&log("", "203.0.113.5"), &[]);
    assert!(row.ends_with(" for 1h") && !text.contains("Not banned"), "{text}");
    assert_eq!(offender["spared"], Value::Null);
}

/// Thousands of reasons are a paragraph for each kind.
#[test]
fn many_are_named_in_one_note() {
    let dir = Dir::new();
    let lines: String = (1..=200).map(|host| failures(&format!("192.0.2.{host}"), [host])).collect();
    dir.write("auth.log", lines);
    let text = dir.portcullis(["scan", "auth.log"]).ok();
    assert!(
        text.replace('\n', " ").contains("(192.0.2.1, 192.0.2.2, 192.0.2.3 and 197 more offenders)."),
        "{text}"
    );
    assert_eq!(text.matches("Not banned").count(), 1, "{text}");
    assert!(
        text.lines().filter(|line| line.starts_with("Not banned")).all(|line| line.len() <= 96),
        "{text}"
    );
}
