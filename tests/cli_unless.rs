//! `unless` in a rule: what keeps it from matching, in `check` and in a log.

use crate::util::Dir;

fn rule_file(unless: &str) -> String {
    format!(
        "version: 1
name: exampled
about: Failed logins of exampled
program: exampled
fields: {{USER: '[^ ]+'}}
rules:
  - id: failed
    pattern: '^failed for <USER> from <ADDR>(?: via [a-z]{{3}})?$'
    unless: {unless}
    means: A wrong password.
samples:
  - {{line: 'Nov 22 14:38:31 gw exampled[1]: failed for a from 192.0.2.7', rule: failed, addr: 192.0.2.7}}
  - {{line: 'Nov 22 14:38:31 gw exampled[1]: failed for a from 192.0.2.7 via vpn', rule: none}}
"
    )
}

#[test]
fn a_line_with_a_veto_is_matched_by_no_rule() {
    let dir = Dir::new();
    dir.write("exampled.yaml", rule_file("[' via vpn$', '^failed for monitor ']"));
    let checked = dir.portcullis(["check", "exampled.yaml"]).ok();
    assert!(checked.ends_with(": 0 errors, 0 warnings\n"), "{checked}");
    let lines = [
        "a from 192.0.2.7",
        "a from 192.0.2.8 via vpn",
        "monitor from 192.0.2.9",
        "b from 2001:db8::7 via lan",
    ];
    dir.write(
        "x.log",
        lines.map(|rest| format!("Nov 22 14:38:31 gw exampled[1]: failed for {rest}\n")).concat(),
    );
    let matched = dir.portcullis(["match", "--json", "--rules", "exampled.yaml", "x.log"]).run().json_lines();
    let found: Vec<&str> = matched.iter().filter_map(|line| line["address"].as_str()).collect();
    assert_eq!(found, ["192.0.2.7", "2001:db8::7"]);
}

#[test]
fn a_sample_that_a_veto_keeps_from_its_rule_is_told_so() {
    let dir = Dir::new();
    dir.write("exampled.yaml", rule_file("'^failed for a '"));
    let ran = dir.portcullis(["check", "exampled.yaml"]).run();
    let said = "expected rule `failed`, but no rule matches this line: an `unless` of that rule keeps it from matching";
    assert!(ran.code == 78 && ran.out.contains(said), "{ran:?}");
}

#[test]
fn a_veto_that_is_no_pattern_is_refused_with_its_place() {
    let dir = Dir::new();
    dir.write("exampled.yaml", rule_file("[' via vpn$', 'via (']"));
    let ran = dir.portcullis(["check", "exampled.yaml"]).run();
    assert!(ran.code == 78 && ran.out.contains("exampled.yaml:9:32: error: unclosed group"), "{ran:?}");
}
