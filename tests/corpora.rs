//! The program on logs of our own whose every line is known, and `check` on rules with the classic mistakes.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis::config::RuleFile;
use portcullis::rules::{self, Severity};
use serde_json::Value;

use crate::util::Dir;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Runs the program in UTC with a configuration that owes nothing to this machine; the objects it printed.
fn portcullis(command: &str, log: &Path) -> Vec<Value> {
    let dir = Dir::new();
    fs::create_dir(dir.path().join("rules.d")).unwrap();
    let own = "allow_self: false\nallow_gateways: false\nallow_resolvers: false\n";
    dir.write("portcullis.yaml", format!("version: 1\nrules_dir: {}/rules.d\n{own}", dir.path().display()));
    let ran = dir.portcullis([command, "--json", "-c", "portcullis.yaml", log.to_str().unwrap()]).run();
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts that `match` finds exactly what stands in the `.jsonl` beside the log; `count` is 1 where it is not named.
fn matches_as_written(name: &str) {
    let written = fs::read_to_string(data(&format!("{name}.jsonl"))).unwrap();
    let expected: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found = portcullis("match", &data(&format!("{name}.log")));
    for (found, expected) in found.iter().zip(&expected) {
        for key in ["line", "rule", "effect", "address"] {
            assert_eq!(found[key], expected[key], "{found}");
        }
        assert_eq!(found["count"], expected.get("count").cloned().unwrap_or_else(|| 1.into()), "{found}");
    }
    assert_eq!(found.len(), expected.len(), "matches in {name}");
}

#[test]
fn every_line_of_a_day_of_auth_log_is_taken_for_what_it_is() {
    matches_as_written("auth-mixed");
}

#[test]
fn every_line_of_a_kernel_log_is_taken_for_what_it_is() {
    matches_as_written("freebsd-kernel");
}

/// Offender, offences, and the time of day of each ban.
fn offenders(log: &str) -> Vec<(String, f64, Vec<String>)> {
    let report = portcullis("scan", &data(log)).remove(0);
    let offender = |found: &Value| {
        let bans = found["bans"].as_array().unwrap().iter().map(|ban| {
            let at = ban["at"].as_str().unwrap();
            at.get(11..19).unwrap().to_owned()
        });
        let name = found["offender"].as_str().unwrap().to_owned();
        (name, found["offences"].as_f64().unwrap(), bans.collect())
    };
    report["offenders"].as_array().unwrap().iter().map(offender).collect()
}

fn as_found(rows: &[(&str, f64, &[&str])]) -> Vec<(String, f64, Vec<String>)> {
    let bans = |bans: &[&str]| bans.iter().map(|&at| at.to_owned()).collect();
    rows.iter().map(|(name, offences, at)| ((*name).to_owned(), *offences, bans(at))).collect()
}

#[test]
fn a_day_of_auth_log_bans_whom_it_should_and_nobody_else() {
    let expected: &[(&str, f64, &[&str])] = &[
        ("203.0.113.99", 9.0, &["13:00:13"]),
        ("198.51.100.23", 7.0, &["01:02:14"]),
        ("203.0.113.66", 6.2, &["10:00:40"]),
        ("2001:db8:bad:1::/64", 6.0, &["12:10:20"]),
        // Lines with a host name, counted when another line of the session named the address.
        ("203.0.113.7", 5.0, &["00:10:55"]),
        ("203.0.113.120", 5.0, &["17:00:28"]),
        // Five guesses, but forty minutes apart.
        ("198.51.100.250", 5.0, &[]),
        ("198.51.100.9", 4.0, &[]),
        ("203.0.113.5", 3.0, &[]),
        ("198.51.100.77", 1.6, &[]),
        ("2001:db8:40::/64", 1.0, &[]),
        ("198.51.100.141", 1.0, &[]),
        ("198.51.100.78", 0.7, &[]),
        // Connects every five minutes without a word, as monitoring does.
        ("192.0.2.200", 0.6, &[]),
        ("198.51.100.140", 0.5, &[]),
        // Turned away by hosts.allow.
        ("198.51.100.201", 0.5, &[]),
        ("192.0.2.41", 0.2, &[]),
        ("198.51.100.200", 0.2, &[]),
    ];
    assert_eq!(offenders("auth-mixed.log"), as_found(expected));
}

/// The log for which this program was begun: 34 lines of one offender in 99 seconds.
#[test]
fn the_threads_log_names_its_offender_and_the_short_ban_it_would_get() {
    assert_eq!(offenders("syncache-thread.log"), as_found(&[("119.254.12.34", 34.0, &["07:51:03"])]));
    let report = portcullis("scan", &data("syncache-thread.log")).remove(0);
    let offender = &report["offenders"][0];
    assert_eq!((&report["lines"], &report["matched"]), (&34.into(), &34.into()));
    assert_eq!((&offender["evidence"], &offender["rule_set"]), (&"spoofable".into(), &"freebsd-tcp".into()));
}

/// What `check` has against a rule file with one rule and one sample, errors only.
fn errors(head: &str, pattern: &str, line: &str, addr: &str) -> Vec<String> {
    let text = format!(
        "version: 1\nname: custom\nabout: A test.\n{head}\nrules:\n  - id: one\n    pattern: '{pattern}'\n    means: A test.\n\
         samples:\n  - {{line: '{line}', rule: one, addr: '{addr}'}}\n"
    );
    let (file, diagnostics) = RuleFile::read(Path::new("custom.yaml"), text.as_bytes());
    assert!(diagnostics.is_empty(), "{}", diagnostics[0]);
    let faults = rules::check(&file.unwrap().set, &[]);
    faults.into_iter().filter(|fault| fault.severity == Severity::Error).map(|fault| fault.text).collect()
}

const NGINX: &str = "format: raw\nnewlines: encoded\nmessage_limit: none";
const DOVECOT: &str = "program: [dovecot]\nfields: {USER: '[^>]*'}";

/// The name is of the client's own DNS: it has neither blanks nor brackets.
const POSTFIX: &str = "program: [postfix/smtpd]\nfields: {CLIENT: '[^ \\[]+'}";

/// Rules as an operator would write them, with the peer's text where the programs have it.
#[test]
fn good_custom_rules_pass() {
    for (head, pattern, line, address) in [
        (
            NGINX,
            r#"^<ADDR> - [^ ]+ \[[^\]]*\] "(?:GET|POST) /wp-login\.php[^"]*" 40[0-9] .*$"#,
            r#"192.0.2.7 - - [22/Nov/2026:14:38:31 +0100] "POST /wp-login.php HTTP/1.1" 403 199 "-" "x from 8.8.8.8""#,
            "192.0.2.7",
        ),
        (
            DOVECOT,
            r"^imap-login: Aborted login \(auth failed, \d+ attempts in \d+ secs\): user=[<]<USER>>, method=[A-Z0-9-]+, rip=<ADDR>, lip=[0-9a-f.:]+(?:, TLS)?, session=[<][^ ]+>$",
            "Nov 22 14:38:31 gw dovecot[901]: imap-login: Aborted login (auth failed, 1 attempts in 2 secs): user=<x>, method=PLAIN, rip=2001:db8::7, lip=192.0.2.1, TLS, session=<AbC>",
            "2001:db8::7",
        ),
        (
            POSTFIX,
            r"^warning: <CLIENT>\[<ADDR>\]: SASL [A-Z0-9-]+ authentication failed: .*$",
            "Nov 22 14:38:31 gw postfix/smtpd[9]: warning: mail.example.net[192.0.2.7]: SASL LOGIN authentication failed: x",
            "192.0.2.7",
        ),
        (
            "program: [ftpd]",
            r"^FTP LOGIN FAILED FROM <ADDR>, <USER>$",
            "Nov 22 14:38:31 gw ftpd[9]: FTP LOGIN FAILED FROM 192.0.2.7, x from 8.8.8.8",
            "192.0.2.7",
        ),
    ] {
        assert_eq!(errors(head, pattern, line, address), Vec::<String>::new(), "{pattern}");
    }
}

/// The same rules with one mistake in each.
#[test]
fn bad_custom_rules_are_refused_with_the_reason() {
    for (head, pattern, line, why) in [
        // What the peer sends is anywhere in the line of a web server.
        (NGINX, r"^.*<ADDR> .* 40[0-9] .*$", "192.0.2.7 - - 403 1", "expected 192.0.2.7"),
        // A name may hold `>`, and so the rest of the line.
        (
            "program: [dovecot]",
            r"^user=[<]<USER>>, rip=<ADDR>, .*$",
            "Nov 22 14:38:31 gw dovecot[901]: user=<x>, rip=192.0.2.7, lip=192.0.2.1",
            "can be fooled",
        ),
        // A name may hold blanks and brackets, whatever `\\S+` says.
        (
            "program: [app]",
            r"^login failed: \S+ \[<ADDR>\].*$",
            "Nov 22 14:38:31 gw app[9]: login failed: x [192.0.2.7]",
            "can be fooled",
        ),
        // The logger cuts the message, and an end that may be missing is missing.
        (
            "program: [sshd]\nmessage_limit: 8192",
            r"^Invalid user <USER> from <ADDR>(?: port \d+)?$",
            "Nov 22 14:38:31 gw sshd[9]: Invalid user x from 192.0.2.7 port 1",
            "cuts its messages at 500 bytes",
        ),
        (
            "program: [app]",
            r"^login failed for <USER> from <ADDR>, proxy <HOST>$",
            "Nov 22 14:38:31 gw app[9]: login failed for x from 192.0.2.7, proxy 192.0.2.1",
            "more than one <ADDR>",
        ),
        (
            "program: [app]",
            r"login failed for <USER> from <ADDR>$",
            "Nov 22 14:38:31 gw app[9]: login failed for x from 192.0.2.7",
            "must begin with ^",
        ),
    ] {
        let found = errors(head, pattern, line, "192.0.2.7");
        assert!(found.iter().any(|text| text.contains(why)), "{pattern}: {found:?}");
    }
}
