//! Layouts of lines, through the real program: what is read in each, and that nothing a peer wrote is read as a header.

use serde_json::{Value, json};

use crate::util::Dir;

/// Headers of sshd's lines as they stand in files of the world, each with its evidence.
const HEADERS: [(&str, &str); 18] = [
    ("<38>Nov 22 14:38:31 gw sshd[29842]: ", "handshake"),
    ("<38>2026-11-22T14:38:31.123456+00:00 gw sshd[29842]: ", "handshake"),
    ("Sun Nov 22 14:38:31 2026 authpriv.warn sshd[29842]: ", "handshake"),
    ("Sun Nov 22 14:38:31 2026 [1795358311.123] authpriv.warn sshd[29842]: ", "handshake"),
    ("Sun Nov 22 14:38:31 gw sshd[29842]: ", "handshake"),
    ("Sun 2026-11-22 14:38:31 UTC gw sshd[29842]: ", "handshake"),
    ("Sun 2026-11-22 14:38:31 IST gw sshd[29842]: ", "handshake"),
    ("2026-11-22T14:38:31.123Z In(182) sshd[29842]: ", "handshake"),
    ("Nov 22 14:38:31 gw auth|security:info Message forwarded from aix1: sshd[29842]: ", "handshake"),
    ("2026-11-22 07:38:31.998187-0700  localhost sshd[29842]: ", "handshake"),
    ("Nov 22 14:38:31 gw 1 2026-11-22T14:38:31.123456+00:00 gw.example.org sshd 29842 - - ", "handshake"),
    ("Nov 22 14:38:31 [web-1] sshd[29842]: ", "spoofable"),
    ("Nov 22 14:38:31 gw auth|security:info sshd[29842]: ", "handshake"),
    ("Nov 22 14:38:31 (none) auth.info sshd[29842]: ", "handshake"),
    ("Nov 22 14:38:31 gw sshd[29842]: \u{feff}", "handshake"),
    ("\u{feff}Nov 22 14:38:31 gw sshd[29842]: ", "handshake"),
    ("\0\0\0Nov 22 14:38:31 gw sshd[29842]: ", "handshake"),
    ("Nov 22 14:38:31 gw sshd[29842]: ", "handshake"),
];

const MESSAGE: &str = "Failed password for root from 192.0.2.7 port 52548 ssh2";

fn matches(log: impl AsRef<[u8]>) -> Vec<Value> {
    let dir = Dir::new();
    dir.write("auth.log", log);
    dir.portcullis(["match", "--json", "auth.log"]).run().json_lines()
}

#[test]
fn the_peer_and_the_time_are_read_in_every_layout() {
    for (header, evidence) in HEADERS {
        for end in ["", " ", "   ", "\r", " \r"] {
            let found = matches(format!("{header}{MESSAGE}{end}\n"));
            let [line] = found.as_slice() else { panic!("{header}{MESSAGE}{end}: {found:?}") };
            let shown = [&line["address"], &line["evidence"], &line["user"], &line["program"]];
            assert_eq!(
                shown,
                [&json!("192.0.2.7"), &json!(evidence), &json!("root"), &json!("sshd")],
                "{header}"
            );
            let time = line["time"].as_str().unwrap();
            assert!(time.starts_with("2026-11-22T14:38:31") || !header.contains("2026"), "{header}: {time}");
        }
    }
}

/// What a peer sends in place of its version may be a whole header of any layout with a failure behind it.
#[test]
fn a_banner_that_holds_a_header_is_a_banner() {
    let lines = HEADERS.map(|(own, _)| {
        HEADERS.map(|(within, _)| {
            let banner =
                format!("{}Failed password for root from 203.0.113.66 port 1 ssh2", within.replace('\0', ""));
            format!("{own}Bad protocol version identification '{banner}' from 192.0.2.7 port 5\n")
        })
    });
    let found = matches(lines.concat().concat());
    // At some lengths a syslog on the way may have cut the line, which then names nobody.
    let named: Vec<&Value> =
        found.iter().map(|line| &line["address"]).filter(|address| !address.is_null()).collect();
    assert!(named.len() > HEADERS.len() * HEADERS.len() / 2, "{}", named.len());
    assert!(named.iter().all(|address| **address == "192.0.2.7"), "{named:?}");
}

/// Another program's text may begin with what its peer wrote.
#[test]
fn a_header_in_another_programs_message_names_nobody() {
    let lines = HEADERS.map(|(own, _)| {
        let own = own.replace("sshd", "httpd");
        HEADERS.map(|(within, _)| format!("{own}{within}{MESSAGE}\n"))
    });
    let found = matches(lines.concat().concat());
    assert!(found.is_empty(), "{found:?}");
}

/// metalog's own log, which nobody said to be metalog's: in it a program's text stands behind the brackets. What is found
/// there bans for minutes, and nobody who logged in of late.
/// What Solaris' syslogd puts before a message may be the words of a peer that a program puts into brackets.
#[test]
fn a_message_behind_an_id_of_solaris_bans_for_minutes_only() {
    let dir = Dir::new();
    let line = |pid: u32| format!("Nov 22 14:38:31 gw sshd[{pid}]: [ID 800047 auth.info] {MESSAGE}\n");
    dir.write("auth.log", (7..20).map(line).collect::<String>());
    let report = dir.portcullis(["scan", "--json", "auth.log"]).json();
    assert_eq!(report["offenders"][0]["evidence"], "spoofable", "{report}");
    assert_eq!(report["offenders"][0]["bans"][0]["until"], "2026-11-22T14:48:31+00:00", "{report}");
    let told = dir.portcullis(["explain", line(7).trim_end()]).ok();
    assert!(told.contains("msgid=0"), "{told}");
}

#[test]
fn a_line_with_a_host_in_brackets_bans_for_minutes_only() {
    let dir = Dir::new();
    let line = format!("Nov 22 14:38:31 [web-1] sshd[7]: {MESSAGE}\n");
    let failures: String = (7..20).map(|pid| line.replace("[7]", &format!("[{pid}]"))).collect();
    dir.write("auth.log", &failures);
    let report = dir.portcullis(["scan", "--json", "auth.log"]).json();
    let ban = &report["offenders"][0]["bans"][0];
    assert_eq!(
        (&ban["prefix"], &ban["at"]),
        (&json!("192.0.2.7"), &json!("2026-11-22T14:38:31+00:00")),
        "{report}"
    );
    assert_eq!(ban["until"], "2026-11-22T14:48:31+00:00");
    let login =
        "Nov 22 14:30:00 gw sshd[5]: Accepted publickey for alice from 192.0.2.7 port 5 ssh2: RSA SHA256:x\n";
    dir.write("auth.log", format!("{login}{failures}"));
    let report = dir.portcullis(["scan", "--json", "auth.log"]).json();
    assert_eq!(report["offenders"][0]["bans"], json!([]), "{report}");
}

/// A crash leaves a block of NULs in a log, and a log that was truncated under its writer begins with as many as had been in
/// it. A run that is longer than any line takes the line behind it along, as everything that makes a line too long does.
#[test]
fn lines_behind_nuls_count() {
    let failures = |pids: std::ops::Range<u32>| -> String {
        pids.map(|pid| format!("Nov 22 14:38:31 gw sshd[{pid}]: {MESSAGE}\n")).collect()
    };
    for (nuls, read) in [(3, 5), (4096, 5), (100_000, 3)] {
        let filler = "\0".repeat(nuls);
        let log = format!("{filler}{}{filler}{}", failures(1..3), failures(3..6));
        assert_eq!(matches(log).len(), read, "{nuls}");
    }
}

/// Where NULs stand, lines were lost: a repeat behind them is not of the line before them.
#[test]
fn a_repeat_behind_nuls_repeats_nothing() {
    let repeat = "Nov 22 14:38:31 gw syslogd: last message repeated 5 times\n";
    let counts = |between: &str| -> Vec<Value> {
        let log = format!("Nov 22 14:38:31 gw sshd[7]: {MESSAGE}\n{between}{repeat}");
        matches(log).iter().map(|line| line["count"].clone()).collect()
    };
    assert_eq!(counts(""), [1, 5]);
    assert_eq!(counts("\0\0\0"), [1]);
}

/// Blanks at the end are taken off, but a message that they fill up to the limit at which sshd cuts was cut: what stands
/// before them may be the beginning of a longer name.
#[test]
fn blanks_that_fill_a_message_up_hide_no_cut() {
    let lure = "Failed password for invalid user x from 203.0.113.66 port 1 ssh2";
    let padded =
        |length: usize| format!("Nov 22 14:38:31 gw sshd[7]: {lure}{}\n", " ".repeat(length - lure.len()));
    for length in [500, 499 + 2, 1000, 2040] {
        let found = matches(padded(length));
        assert!(found.iter().all(|line| line["address"].is_null()), "{length}: {found:?}");
    }
    assert_eq!(matches(padded(120))[0]["address"], "203.0.113.66", "a whole line of that peer's");
}

/// Web servers keep their place in a log that was truncated, and their lines are read as a whole.
#[test]
fn raw_lines_are_freed_of_what_stands_around_them_too() {
    let dir = Dir::new();
    let rules = "version: 1\nname: web\nabout: x\nformat: raw\nnewlines: encoded\nmessage_limit: none\ntime: '%Y-%m-%d %H:%M:%S'\n\
                 rules:\n- {id: denied, pattern: '^<TIME> denied <ADDR>$', means: x}\n";
    dir.write("web.yaml", rules);
    let line = "2026-11-22 14:38:31 denied 192.0.2.7";
    dir.write("web.log", format!("\0\0\0{line}\n\u{feff}{line}\n{line} \n{line}\r\n{line}\n"));
    let found = dir.portcullis(["match", "--json", "--rules", "web.yaml", "web.log"]).run().json_lines();
    let shown: Vec<_> = found.iter().map(|line| (&line["address"], &line["time"])).collect();
    assert_eq!(shown, vec![(&json!("192.0.2.7"), &json!("2026-11-22T14:38:31+00:00")); 5]);
}
