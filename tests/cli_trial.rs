//! `--rules RULE_FILE`: a rule set is tried on logs before it is installed, and nothing else is asked.

use serde_json::{Value, json};

use crate::util::{Dir, failures};

/// A rule set with one rule; `head` is `program: NAME` or `format: raw`.
fn rule_file(name: &str, head: &str, sample: &str) -> String {
    format!(
        "version: 1
name: {name}
about: Failed logins of {name}
{head}
rules:
  - id: failed
    pattern: '^login failed from <ADDR>$'
    means: A wrong password.
samples:
  - {{line: '{sample}login failed from 192.0.2.7', rule: failed, addr: 192.0.2.7}}
"
    )
}

/// The log of a machine on which both sshd and the new program are attacked.
fn log() -> String {
    let mine =
        (0..6).map(|n| format!("2026-01-10T10:01:0{n}+00:00 gw myapp[{n}]: login failed from 192.0.2.7\n"));
    let raw = (0..6).map(|_| "login failed from 192.0.2.8\n");
    failures("198.51.100.9", 0..20) + &mine.collect::<String>() + &raw.collect::<String>()
}

fn dir() -> Dir {
    let dir = Dir::new();
    dir.write("auth.log", log());
    dir.write("myapp.yaml", rule_file("myapp", "program: myapp", "Nov 22 14:38:31 gw myapp[1]: "));
    dir.write("plain.yaml", rule_file("plain", "format: raw", ""));
    dir
}

fn rules_of(matches: &[Value]) -> Vec<&str> {
    let mut rules: Vec<&str> = matches.iter().filter_map(|line| line["rule"].as_str()).collect();
    rules.dedup();
    rules
}

#[test]
fn the_rule_sets_that_are_named_are_asked_and_no_other() {
    let dir = dir();
    let report = dir.portcullis(["scan", "--json", "--rules", "myapp.yaml", "auth.log"]).json();
    let offenders = report["offenders"].as_array().unwrap();
    assert_eq!(offenders.len(), 1, "{report}");
    assert_eq!(
        (&offenders[0]["rule_set"], &offenders[0]["offender"]),
        (&json!("myapp"), &json!("192.0.2.7"))
    );
    let matched = dir.portcullis(["match", "--json", "--rules", "myapp.yaml", "auth.log"]).run().json_lines();
    assert_eq!(rules_of(&matched), ["myapp/failed"]);
    let line = "Nov 22 14:38:31 gw myapp[1]: login failed from 192.0.2.7";
    let told = dir.portcullis(["explain", "--json", "--rules", "myapp.yaml", line]).json();
    assert_eq!(told[0]["rule"], "myapp/failed");
    let sshd = failures("192.0.2.7", [0]);
    dir.portcullis(["explain", "--rules", "myapp.yaml", sshd.trim_end()]).run().assert(1, "");
}

#[test]
fn several_files_are_tried_together_raw_ones_too() {
    let dir = dir();
    let several = ["match", "--json", "--rules", "myapp.yaml", "--rules", "plain.yaml", "auth.log"];
    assert_eq!(rules_of(&dir.portcullis(several).run().json_lines()), ["myapp/failed", "plain/failed"]);
    let twice = dir.portcullis(["match", "--rules", "plain.yaml", "--rules", "plain.yaml", "auth.log"]).run();
    twice.assert(78, "plain.yaml has the name `plain` already");
}

#[test]
fn what_check_refuses_is_not_tried() {
    let dir = dir();
    dir.write(
        "open.yaml",
        rule_file("open", "program: open", "Nov 22 14:38:31 gw open[1]: ").replace('^', ""),
    );
    let checked = dir.portcullis(["check", "open.yaml"]).run();
    let diagnostic = "open.yaml:7:14: error: the pattern must begin with ^";
    assert!(checked.code == 78 && checked.out.contains(diagnostic), "{checked:?}");
    for command in ["scan", "match", "explain"] {
        let ran = dir.portcullis([command, "--rules", "open.yaml"]).stdin("x\n").run();
        ran.assert(78, "portcullis: nothing was asked, since there are errors in the rule files or in the");
        ran.assert(78, diagnostic);
        assert_eq!(ran.out, "");
    }
    dir.portcullis(["scan", "--rules", "gone.yaml"])
        .run()
        .assert(78, "gone.yaml: error: there is no such file");
}

/// A rule that would believe a message of sshd's is refused before it is installed, as `check` refuses it.
#[test]
fn a_set_on_trial_is_compared_with_the_shipped_ones_as_check_does() {
    let dir = Dir::new();
    let file = rule_file("mine", "program: sshd", "Nov 22 14:38:31 gw sshd[1]: ");
    let (pattern, line) = ("Unable to negotiate .* from <ADDR>", "Unable to negotiate x from");
    let file = file.replace("login failed from <ADDR>", pattern).replace("login failed from", line);
    dir.write("mine.yaml", file);
    let checked = dir.portcullis(["check", "mine.yaml"]).run();
    let tried = dir.portcullis(["scan", "--rules", "mine.yaml"]).run();
    assert!(checked.code == 78 && tried.code == 78, "{checked:?} {tried:?}");
    for line in checked.out.lines().filter(|line| line.contains(": error: ")) {
        assert!(tried.err.contains(line), "{line} is not in {}", tried.err);
    }
}

#[test]
fn the_configuration_gives_its_numbers_and_its_allow_list_but_not_its_choice_of_sets() {
    let dir = dir();
    let config = "rule_sets: [sshd, elsewhere]\ndefaults: {threshold: {offences: 3, within: 1h}}\n\
                  override: {myapp: {ban: {for: 2h}}, elsewhere: {ban: {for: 2h}}}\n";
    dir.write("portcullis.yaml", config);
    let scan = ["scan", "--json", "-c", "portcullis.yaml", "--rules", "myapp.yaml", "auth.log"];
    let report = dir.portcullis(scan).json();
    let ban = &report["offenders"][0]["bans"][0];
    assert_eq!(
        (&ban["at"], &ban["until"]),
        (&json!("2026-01-10T10:01:02+00:00"), &json!("2026-01-10T12:01:02+00:00"))
    );
    dir.write("portcullis.yaml", "allow: [192.0.2.0/24]\n");
    assert_eq!(dir.portcullis(scan).json()["bans"], 0);
}

#[test]
fn a_rule_file_in_place_of_a_configuration_is_recognised_and_the_other_way_round() {
    let dir = dir();
    dir.write("portcullis.yaml", "version: 1\nallow: [192.0.2.0/24]\nfirewall: {backend: pf}\n");
    for command in ["scan", "match", "explain"] {
        let ran = dir.portcullis([command, "-c", "myapp.yaml"]).stdin("x\n").run();
        ran.assert(78, "myapp.yaml:5:1: error: this is a rule file, not a configuration: `portcullis check FILE` checks it");
        ran.assert(78, "`--rules FILE` tries it");
        let ran = dir.portcullis([command, "--rules", "portcullis.yaml"]).stdin("x\n").run();
        ran.assert(78, "portcullis.yaml:2:1: error: this is a configuration, not a rule file: it is named with `-c FILE`");
    }
    let ran = dir.portcullis(["check", "portcullis.yaml"]).run();
    assert!(ran.code == 78 && ran.out.contains("named with `-c FILE`"), "{ran:?}");
    assert_eq!(ran.out.matches("error: ").count(), 1, "one sentence says it all: {}", ran.out);
    let ran = dir.portcullis(["check", "-c", "myapp.yaml"]).run();
    assert_eq!((ran.code, ran.out.matches("error: ").count()), (78, 1), "{}", ran.out);
}

#[test]
fn programs_may_be_named_by_their_beginning() {
    let dir = Dir::new();
    dir.write("mail.yaml", rule_file("mail", "program: 'mail/*'", "Nov 22 14:38:31 gw mail/in[1]: "));
    let lines = ["mail/in", "mail/submission/in", "mail", "xmail/in"];
    dir.write(
        "x.log",
        lines
            .map(|program| format!("Nov 22 14:38:31 gw {program}[1]: login failed from 192.0.2.7\n"))
            .concat(),
    );
    let matched = dir.portcullis(["match", "--json", "--rules", "mail.yaml", "x.log"]).run().json_lines();
    let programs: Vec<&str> = matched.iter().filter_map(|line| line["program"].as_str()).collect();
    assert_eq!(programs, ["mail/in", "mail/submission/in"]);
    let told =
        dir.portcullis(["explain", "--json", "--rules", "mail.yaml", "login failed from 192.0.2.7"]).json();
    assert_eq!(told[0]["rule"], "mail/failed", "a message alone is understood as one of such a program");
}
