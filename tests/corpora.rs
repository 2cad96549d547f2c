//! The program on logs of our own whose every line is known, and `check` on rules with the classic mistakes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis::config::RuleFile;
use portcullis::rules::{self, Severity};
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Runs the program in UTC with a configuration that owes nothing to this machine; the lines it printed.
fn portcullis(command: &str, log: &Path) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("portcullis.yaml");
    let text =
        "version: 1\nrules_dir: none\nallow_self: false\nallow_gateways: false\nallow_resolvers: false\n";
    fs::write(&config, text.replace("none", directory.path().to_str().unwrap())).unwrap();
    fs::rename(&config, config.with_extension("conf")).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args([command, "--json", "-c"])
        .args([&config.with_extension("conf"), log])
        .env("TZ", "UTC")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    ran.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
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
        assert_eq!(found["count"], *expected.get("count").unwrap_or(&1.into()), "{found}");
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
fn offenders(log: &str) -> Vec<(String, u64, Vec<String>)> {
    let report = portcullis("scan", &data(log)).remove(0);
    let offender = |found: &Value| {
        let bans = found["bans"].as_array().unwrap().iter().map(|ban| {
            let at = ban["at"].as_str().unwrap();
            at.get(11..19).unwrap().to_owned()
        });
        let name = found["offender"].as_str().unwrap().to_owned();
        (name, found["offences"].as_u64().unwrap(), bans.collect())
    };
    report["offenders"].as_array().unwrap().iter().map(offender).collect()
}

fn as_found(rows: &[(&str, u64, &[&str])]) -> Vec<(String, u64, Vec<String>)> {
    let bans = |bans: &[&str]| bans.iter().map(|&at| at.to_owned()).collect();
    rows.iter().map(|(name, offences, at)| ((*name).to_owned(), *offences, bans(at))).collect()
}

#[test]
fn a_day_of_auth_log_bans_whom_it_should_and_nobody_else() {
    let expected: &[(&str, u64, &[&str])] = &[
        ("203.0.113.99", 9, &["13:00:13"]),
        ("198.51.100.23", 7, &["01:02:14"]),
        ("203.0.113.66", 7, &["10:00:40"]),
        ("2001:db8:bad:1::/64", 6, &["12:10:20"]),
        ("198.51.100.77", 5, &[]),
        ("203.0.113.120", 5, &["17:00:28"]),
        // Five guesses, but forty minutes apart.
        ("198.51.100.250", 5, &[]),
        ("198.51.100.9", 4, &[]),
        ("203.0.113.5", 3, &[]),
        // Three lines, of which one adds what its session had collected for a host name.
        ("203.0.113.7", 3, &["00:10:55"]),
        ("192.0.2.200", 3, &[]),
        ("198.51.100.78", 2, &[]),
        ("198.51.100.141", 2, &[]),
        ("2001:db8:40::/64", 1, &[]),
        ("192.0.2.41", 1, &[]),
        ("198.51.100.140", 1, &[]),
    ];
    assert_eq!(offenders("auth-mixed.log"), as_found(expected));
}

/// The log for which this program was begun: 34 lines of one offender in 99 seconds.
#[test]
fn the_threads_log_names_its_offender_and_the_short_ban_it_would_get() {
    assert_eq!(offenders("syncache-thread.log"), as_found(&[("119.254.12.34", 34, &["07:51:03"])]));
    let report = portcullis("scan", &data("syncache-thread.log")).remove(0);
    let offender = &report["offenders"][0];
    assert_eq!((&report["lines"], &report["matched"]), (&34.into(), &34.into()));
    assert_eq!((&offender["evidence"], &offender["rule_set"]), (&"spoofable".into(), &"freebsd-tcp".into()));
}

/// What `check` has against a rule set, errors only. `rule` is its one pattern.
fn errors(head: &str, pattern: &str, sample: &str, address: &str) -> Vec<String> {
    let addr = if address.is_empty() { String::new() } else { format!(", addr: '{address}'") };
    let text = format!(
        "version: 1\nname: custom\nabout: A test.\n{head}\nrules:\n  - id: one\n    pattern: '{pattern}'\n    means: A test.\n\
         samples:\n  - {{line: '{sample}', rule: one{addr}}}\n"
    );
    let (file, diagnostics) = RuleFile::read(Path::new("custom.yaml"), text.as_bytes());
    let told: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    let set = file.unwrap_or_else(|| panic!("{told:?}\n{text}")).set;
    let faults = rules::check(&set).into_iter().filter(|fault| fault.severity == Severity::Error);
    told.into_iter().chain(faults.map(|fault| fault.text)).collect()
}

const APP: &str = "program: [app]";

/// A mistake in a pattern for lines such as `Nov 22 14:38:31 gw app[1]: failed for x from 192.0.2.7 port 22`.
fn refused(pattern: &str, message: &str, address: &str, why: &str) {
    let found = errors(APP, pattern, &format!("Nov 22 14:38:31 gw app[1]: {message}"), address);
    assert!(found.iter().any(|text| text.contains(why)), "{pattern}: {found:?}");
}

#[test]
fn a_pattern_that_is_not_anchored_is_refused() {
    let message = "failed from 192.0.2.7 port 22";
    refused("failed from <ADDR> port \\d+$", message, "192.0.2.7", "must begin with ^");
    refused("^failed from <ADDR> port", message, "192.0.2.7", "must end with $");
    refused("^failed from <ADDR> port \\d+$|x", message, "192.0.2.7", "must begin with ^");
}

#[test]
fn free_text_before_the_address_needs_a_fixed_end_behind_it() {
    let message = "failed for x from 192.0.2.7 port 22";
    refused("^failed for .* from <ADDR>.*$", message, "", "can be fooled");
    refused("^failed for \\S+ from <ADDR> .*$", "failed for x from 192.0.2.7 y", "192.0.2.7", "");
}

/// With `.*?` the first " from " of the line wins, which the peer may have written.
#[test]
fn the_first_from_does_not_win() {
    let message = "failed for x from 192.0.2.7 port 22";
    refused("^failed for <USER>? from <ADDR> port \\d+.*$", message, "192.0.2.7", "can be fooled");
}
