//! `portcullis explain`: what a line means, what it would do, what an operator should check.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::util::{Dir, Ran, thread_log};

const PASSWORD: &str = "Nov 22 14:38:31 gw sshd[29842]: Failed password for root from 192.0.2.7 port 5 ssh2";

/// Without its line breaks, which fall where they fall.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn explain(line: &str) -> String {
    flat(&Dir::new().portcullis(["explain", line]).ok())
}

fn run(line: &str) -> Ran {
    Dir::new().portcullis(["explain", line]).run()
}

#[track_caller]
fn assert_says(text: &str, all: &[&str]) {
    for words in all {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
}

fn thread_line() -> String {
    std::fs::read_to_string(thread_log()).unwrap().lines().next().unwrap().to_owned()
}

/// The question in the thread was: what does this line mean, and am I attacked?
#[test]
fn the_threads_line_is_answered() {
    let text = explain(&thread_line());
    assert_says(
        &text,
        &[
            // What the kernel did.
            "An ACK came in for a listening port, but it belongs to no connection",
            "rejected the segment with a reset",
            "Nothing is broken",
            // Why the address may be forged.
            "119.254.12.34, according to the packet. It may be forged: the sender needed no answer",
            // What makes the line appear, and what helps.
            "The kernel prints them only with `net.inet.tcp.log_debug=1`",
            "Leave `net.inet.tcp.syncookies=1`",
            "netstat -sp tcp",
            "max-src-conn-rate",
            "net.inet.icmp.icmplim",
            // What Portcullis does about it, and why.
            "It counts as 1 offence. After 20 offences within 1m, 119.254.12.34 would be banned for 10m.",
            "Since the address may be forged, the threshold is high, the ban short",
            "otherwise anybody could cut off anyone they like",
        ],
    );
}

#[test]
fn lines_fit_a_terminal() {
    for line in [&thread_line(), PASSWORD] {
        let text = Dir::new().portcullis(["explain", line]).ok();
        assert!(text.lines().skip(1).all(|line| line.chars().count() <= 100), "{text}");
    }
}

#[test]
fn a_line_of_sshd_names_its_peer_the_threshold_and_the_ban() {
    let text = explain(PASSWORD);
    assert_says(
        &text,
        &["sshd/failed-password", "192.0.2.7. It is its own: the peer completed a TCP handshake"],
    );
    assert_says(&text, &["After 5 offences within 10m or 12 within 1d, 192.0.2.7 would be banned"]);
}

#[test]
fn all_windows_are_said() {
    let dir = Dir::new();
    let windows = "[{offences: 5, within: 10m}, {offences: 30, within: 1w}]";
    dir.write("portcullis.yaml", format!("override: {{sshd: {{threshold: {windows}}}}}\n"));
    let text = dir.portcullis(["explain", "-c", "portcullis.yaml", PASSWORD]).ok();
    assert_says(&text, &["After 5 offences within 10m or 30 within 1w, 192.0.2.7 would be banned"]);
}

#[test]
fn an_ipv6_peer_stands_for_its_network() {
    let text = explain(&PASSWORD.replace("192.0.2.7", "2001:db8::7"));
    assert_says(&text, &["2001:db8::7. It is its own", "2001:db8::/64 would be banned for 1h"]);
}

#[test]
fn a_login_is_trust() {
    let line =
        "Nov 22 14:38:31 gw sshd[1]: Accepted publickey for alice from 192.0.2.7 port 5 ssh2: RSA SHA256:x";
    assert_says(
        &explain(line),
        &["Somebody logged in.", "192.0.2.7 logged in: for 1w it takes 3 times as many"],
    );
}

#[test]
fn a_harmless_line_is_said_to_be_so() {
    let text = explain("Nov 22 14:38:31 gw sshd[29842]: Connection closed by 192.0.2.7 port 52236");
    assert_says(&text, &["Nothing: it does not count towards a ban."]);
}

#[test]
fn a_host_name_is_never_resolved() {
    let text =
        explain("Nov 22 14:38:31 gw sshd[1]: error: PAM: Authentication error for root from scan.example");
    assert_says(
        &text,
        &["never through DNS", "it counts for the peer that the same session names in another line"],
    );
}

#[test]
fn a_kernel_line_without_a_peer_names_nobody() {
    let text =
        explain("Nov 22 14:38:31 gw kernel: Limiting closed port RST response from 500 to 200 packets/sec");
    assert_says(&text, &["The line names nobody who would have to answer for it."]);
}

#[test]
fn an_address_that_is_never_banned_is_said_to_be_so() {
    assert_says(
        &explain(&PASSWORD.replace("192.0.2.7", "127.0.0.1")),
        &["Nothing: loopback addresses are never banned."],
    );
}

#[test]
fn a_message_without_its_header_is_known() {
    let (_, message) = PASSWORD.split_once("]: ").unwrap();
    assert_says(&explain(message), &["sshd/failed-password", "192.0.2.7 would be banned for 1h"]);
    let line = thread_line();
    let (_, message) = line.split_once("kernel: ").unwrap();
    assert_says(
        &explain(message),
        &["freebsd-tcp/failed-syncookie", "119.254.12.34 would be banned for 10m"],
    );
}

#[test]
fn a_line_is_known_in_all_the_ways_in_which_people_paste_it() {
    for pasted in [
        "auth.log:12:LINE",
        "> LINE",
        "/var/log/auth.log:LINE",
        "\"LINE\"",
        "'LINE'",
        "`LINE`",
        "```\nLINE\n```",
        "```text\nLINE\n```",
        "<pre>\n<code>LINE</code>\n</pre>",
        "- LINE",
        "* LINE",
        "1. LINE",
        "> - `LINE`",
        "| LINE |",
        "“LINE”",
        "  - \"LINE\",",
        "> \"auth.log:3:LINE\"",
        "\u{feff}LINE",
    ] {
        let text = explain(&pasted.replace("LINE", PASSWORD));
        assert_says(&text, &["sshd/failed-password", "192.0.2.7 would be banned for 1h"]);
        assert!(!text.contains("would match nothing"), "a whole line stood there: {text}");
    }
    let (_, message) = PASSWORD.split_once("]: ").unwrap();
    let thread = thread_line();
    let (_, kernel) = thread.split_once("kernel: ").unwrap();
    for (pasted, rule, program) in [
        (format!("sshd[1]: {message}"), "sshd/failed-password", "`sshd`"),
        (format!("gw sshd-session[1]: {message}"), "sshd/failed-password", "`sshd-session`"),
        (format!("kernel: {kernel}"), "freebsd-tcp/failed-syncookie", "`kernel`"),
        (format!("+{kernel}"), "freebsd-tcp/failed-syncookie", "`kernel`"),
    ] {
        let says = format!("this line would match nothing in a log. It is understood as one from {program}.");
        assert_says(&explain(&pasted), &[rule, &says]);
    }
    let ran = run("postfix/smtpd[2]: connect from unknown[192.0.2.7]");
    assert_says(&ran.out, &["It is from `postfix/smtpd`, and no rule set in force is for that program."]);
}

#[test]
fn a_line_is_known_with_the_entities_of_a_page() {
    for pasted in [
        "&lt;38&gt;Nov 22 14:38:31 gw sshd[1]: Failed password for root from 192.0.2.7 port 5 ssh2",
        "&amp;lt;38&amp;gt;Nov 22 14:38:31 gw sshd[1]: Failed password for root from 192.0.2.7 port 5 ssh2",
        "<code>&lt;38&gt;Nov 22 14:38:31 gw sshd&#91;1&#93;: Failed password for root from 192.0.2.7 port 5 ssh2</code>",
        "&quot;Nov 22 14:38:31 gw sshd[1]: Failed password for root from 192.0.2.7 port 5 ssh2&quot;",
        "&gt; Nov 22 14:38:31 gw sshd[1]: Failed password for root from 192.0.2.7 port 5 ssh2",
        "Nov&nbsp;22 14:38:31 gw sshd[1]: Failed password for root from 192.0.2.7 port 5 ssh2",
        "Nov\u{a0}22 14:38:31 gw sshd[1]: Failed password for root from 192.0.2.7 port 5 ssh2",
        "Nov 22 14:38:31 gw sshd[1]: Invalid user &#39;x&#39; &amp; y from 192.0.2.7 port 5",
    ] {
        let text = explain(pasted);
        assert_says(&text, &["192.0.2.7 would be banned for 1h"]);
        assert!(!text.contains("would match nothing"), "a whole line stood there: {text}");
    }
    // A line that is known as it stands is not decoded: `&lt;` may be a part of a name.
    let text = Dir::new()
        .portcullis(["match", "--json", "-"])
        .stdin("Nov 22 14:38:31 gw sshd[1]: Invalid user &lt;x from 192.0.2.7 port 5\n")
        .json();
    assert_eq!(text["user"], "&lt;x");
}

#[test]
fn a_host_in_brackets_is_said_to_be_doubtful() {
    let text = explain(&PASSWORD.replace(" gw ", " [gw] "));
    assert_says(
        &text,
        &[
            "192.0.2.7, according to the line, and it is not certain that its program wrote it",
            "Let the logger write the host without brackets",
            "192.0.2.7 would be banned for 10m",
        ],
    );
}

#[test]
fn a_message_at_the_cut_is_said_to_be_cut() {
    let head = "Failed password for invalid user ";
    let lure = " from 8.8.8.8 port 22 ssh2";
    for (length, says) in [
        (500, "reached 500 bytes, from which on the program may have cut it"),
        (440, "at which loggers cut messages"),
    ] {
        let name = "a".repeat(length - head.len() - lure.len());
        let text = explain(&format!("Nov 22 14:38:31 gw sshd[29842]: {head}{name}{lure}"));
        assert_says(&text, &[says, "may be forged, so none is taken"]);
    }
}

/// The limit of a custom set is the usual one where it states none, and that of a rule where it is less.
#[test]
fn a_custom_rule_says_from_where_on_its_messages_may_be_cut() {
    let dir = Dir::new();
    let rules = "version: 1\nname: ftpd\nabout: x\nprogram: ftpd\nrules:\n\
                 - {id: usual, pattern: '^no <USER> from <ADDR>$', means: x}\n\
                 - {id: own, pattern: '^bad <USER> from <ADDR>$', means: x, message_limit: 100}\n";
    dir.write("rules.d/ftpd.yaml", rules);
    dir.write("portcullis.yaml", format!("rules_dir: {}\n", dir.path().join("rules.d").display()));
    for (word, length) in [("no", 500), ("bad", 100)] {
        let name = "a".repeat(length - word.len() - " from 8.8.8.8".len() - 1);
        let line = format!("Nov 22 14:38:31 gw ftpd[7]: {word} {name} from 8.8.8.8");
        let text = dir.portcullis(["explain", "-c", "portcullis.yaml", &line]).ok();
        assert_says(&flat(&text), &[&format!("reached {length} bytes"), "so none is taken"]);
    }
}

#[test]
fn a_piece_of_a_line_finds_its_rule_and_judges_nobody() {
    let text = explain("Segment failed SYNCOOKIE authentication");
    assert_says(&text, &["freebsd-tcp/failed-syncookie", "A part of a line names nobody for certain."]);
    assert_says(&text, &["give the whole line to learn what would follow"]);
    assert!(!text.contains("192.0.2."), "a sample's address is nobody's: {text}");
}

#[test]
fn an_unknown_line_is_said_to_be_unknown() {
    let ran = run("Nov 22 14:38:31 gw postfix/smtpd[2]: connect from unknown[192.0.2.7]");
    assert_eq!(ran.code, 1);
    assert_says(
        &ran.out,
        &["No rule matches this line", "`postfix/smtpd`, and no rule set in force is for that program"],
    );
    let ran = run("Nov 22 14:38:31 gw sshd[2]: something new");
    assert_eq!(ran.code, 1);
    assert_says(&ran.out, &["`sshd`, and no rule of `sshd` matches", "Write a custom rule file"]);
    let ran = run("hello");
    assert_eq!(ran.code, 1);
    assert_says(&ran.out, &["no syslog header that names a program"]);
}

#[test]
fn a_repeat_is_explained() {
    let ran = run("Nov 22 14:38:31 gw last message repeated 3 times");
    assert_eq!(ran.code, 1);
    assert_says(&flat(&ran.out), &["the line before it came 3 more times"]);
}

#[test]
fn nothing_to_explain_is_wrong_usage() {
    for line in ["", "  ", "\n\n"] {
        run(line).assert(64, "there is no line to explain: give it in quotes, or on standard input");
    }
    Dir::new().portcullis(["explain"]).run().assert(64, "there is no line to explain");
}

#[test]
fn the_first_line_of_standard_input_is_explained() {
    let dir = Dir::new();
    let input = format!("\n  \n{PASSWORD}\r\n{}\n", thread_line());
    for arguments in [&["explain"][..], &["explain", "-"]] {
        let text = dir.portcullis(arguments).stdin(&input).ok();
        assert!(text.starts_with("sshd/failed-password ") && !text.contains("freebsd-tcp"), "{text}");
    }
}

/// A pipe that stays open must not keep the answer back.
#[test]
fn standard_input_is_not_read_beyond_the_line() {
    let ran = Dir::new().shell(&format!(
        "mkfifo pipe; {{ exec >pipe; echo '{PASSWORD}'; exec sleep 600; }} & \"$PORTCULLIS\" explain <pipe; kill $!"
    ));
    assert!(ran.out.starts_with("sshd/failed-password "), "{ran:?}");
}

#[test]
fn a_pasted_line_may_have_space_and_more_lines_around_it() {
    for pasted in [format!("\n{PASSWORD}\n"), format!("{PASSWORD}  \r\n{}", thread_line())] {
        assert_says(&explain(&pasted), &["sshd/failed-password"]);
    }
}

#[test]
fn bytes_that_are_no_text_are_explained_and_never_printed_raw() {
    let dir = Dir::new();
    let line = b"Nov 22 14:38:31 gw ev\x1b[2Jil\xff[2]: caf\xe9";
    let ran = dir.portcullis([OsStr::new("explain"), OsStr::from_bytes(line)]).run();
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    assert!(!ran.out.contains('\x1b'), "{ran:?}");
}

#[test]
fn the_json_has_an_object_for_each_rule() {
    let value = Dir::new().portcullis(["explain", "--json", &thread_line()]).json();
    let told = &value[0];
    let keys: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["address", "advice", "effect", "evidence", "means", "rule", "verdict"]);
    assert_eq!(
        (&told["rule"], &told["address"]),
        (&"freebsd-tcp/failed-syncookie".into(), &"119.254.12.34".into())
    );
    assert!(told["advice"].as_array().unwrap().len() > 3);
    let unknown = Dir::new().portcullis(["explain", "--json", "hello"]).run();
    assert_eq!((unknown.code, unknown.out.as_str()), (1, "[]\n"));
}

#[test]
fn an_allowed_peer_is_left_alone() {
    let dir = Dir::new();
    dir.write("portcullis.yaml", "allow: [192.0.2.0/24]\n");
    let text = dir.portcullis(["explain", "-c", "portcullis.yaml", PASSWORD]).ok();
    assert_says(&flat(&text), &["Nothing: on the allow list."]);
}

/// As `why` shows it.
#[test]
fn a_report_is_explained_by_its_sentence() {
    let text = explain("sshd reported a failed login from 192.0.2.7:50122 on port 22 (Fatal exit)");
    assert_says(
        &text,
        &[
            "sshd/reports.failed",
            "The server itself reports that somebody failed to log in",
            "192.0.2.7. The server handed its connection over, and the kernel said who is at the other end",
            "It counts as 1 offence, unless the log told as much of the same connection. After 5 offences within 10m",
            "192.0.2.7 would be banned for 1h, and longer each time.",
        ],
    );
    let abuse = explain("2026-12-01T13:00:00Z ssh: sshd reported abuse from [2001:db8::7]:1 on port 22");
    assert_says(&abuse, &["This one report is enough: 2001:db8::/64 would be banned for 1h."]);
    assert_says(
        &explain("sshd reported a login from 192.0.2.7:1 on port 22"),
        &["192.0.2.7 logged in: for 1w"],
    );
    let json = Dir::new()
        .portcullis(["explain", "--json", "sshd reported an unknown user from 192.0.2.7:1 on port 22"])
        .ok();
    assert!(json.contains("\"evidence\":\"kernel\"") && json.contains("sshd/reports.no-user"), "{json}");
    assert_eq!(run("cron reported abuse from 192.0.2.7:1 on port 22").code, 1, "no set takes it");
}
