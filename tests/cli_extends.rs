//! `extends` in a rule file: rules, fields and windows are added to a set, which is not copied for it.

use serde_json::json;

use crate::util::{Dir, failures};

const ADDED: &str = "version: 1
name: sshd-here
extends: sshd
threshold: {offences: 30, within: 1w}
fields: {GATE: '[a-z]+'}
rules:
  - id: gate
    pattern: '^gate <GATE> refused <ADDR>$'
    means: Our patched sshd turned the peer away.
samples:
  - {line: 'Nov 22 14:38:31 gw sshd[1]: gate north refused 192.0.2.7', rule: gate, addr: 192.0.2.7}
  - {line: 'Nov 22 14:38:31 gw sshd[1]: Failed password for root from 192.0.2.7 port 1 ssh2', rule: failed-password, addr: 192.0.2.7}
";

fn dir(added: &str) -> Dir {
    let dir = Dir::new();
    dir.write("rules.d/here.yaml", added);
    dir.write("portcullis.yaml", format!("rules_dir: {}\n", dir.path().join("rules.d").display()));
    dir
}

#[test]
fn what_is_added_stands_behind_the_rules_of_the_set() {
    let dir = dir(ADDED);
    let checked = dir.portcullis(["check", "rules.d/here.yaml"]).ok();
    assert!(checked.ends_with(": 0 errors, 0 warnings\n") && !checked.contains("replaces"), "{checked}");
    dir.portcullis(["check", "-c", "portcullis.yaml"]).ok();
    let gate = "Nov 22 14:38:31 gw sshd[9]: gate north refused 192.0.2.9\n";
    dir.write("auth.log", failures("192.0.2.7", [0]) + gate);
    for options in [["-c", "portcullis.yaml"], ["--rules", "rules.d/here.yaml"]] {
        let matched =
            dir.portcullis([&["match", "--json"][..], &options, &["auth.log"]].concat()).run().json_lines();
        let rules: Vec<&str> = matched.iter().filter_map(|line| line["rule"].as_str()).collect();
        assert_eq!(rules, ["sshd/failed-password", "sshd/gate"], "{options:?}");
    }
    let sets = dir.portcullis(["rules", "--json", "-c", "portcullis.yaml"]).json();
    let sshd: Vec<_> = sets.as_array().unwrap().iter().filter(|set| set["name"] == "sshd").collect();
    assert_eq!(sshd.len(), 1, "in place of the set, not beside it");
    let rules = sshd[0]["rules"].as_array().unwrap();
    assert_eq!((rules.first(), rules.last()), (Some(&json!("failed-password")), Some(&json!("gate"))));
    let windows: Vec<_> =
        sshd[0]["thresholds"].as_array().unwrap().iter().map(|window| &window["offences"]).collect();
    assert_eq!(windows, [5, 12, 30]);
}

#[test]
fn what_the_set_has_already_or_does_not_exist_is_shown_in_the_file_that_adds() {
    for (from, to, said) in [
        (
            "id: gate",
            "id: failed-password",
            "here.yaml:7:9: error: `sshd` has a rule `failed-password` already",
        ),
        ("GATE", "USER", "here.yaml:5:16: error: `sshd` has a field `USER` already"),
        (
            "extends: sshd",
            "extends: shsd",
            "here.yaml:3:10: error: there is no rule set `shsd` to extend, did you mean `sshd`?",
        ),
        (
            "extends: sshd",
            "extends: sshd-here",
            "here.yaml:3:10: error: there is no rule set `sshd-here` to extend",
        ),
        ("refused <ADDR>$", "refused <ADDR>", "here.yaml:8:14: error: the pattern must end with $"),
        ("addr: 192.0.2.7}\n  - {line", "addr: 192.0.2.8}\n  - {line", "here.yaml:11:"),
        (
            "{offences: 30, within: 1w}",
            "[{offences: 30, within: 1w}, {offences: 40, within: 2w}, {offences: 50, within: 3w}]",
            "here.yaml:4:12: error: with those of `sshd` there would be more than 4 windows",
        ),
    ] {
        let dir = dir(&ADDED.replace(from, to));
        let ran = dir.portcullis(["check", "rules.d/here.yaml"]).run();
        assert!(ran.code == 78 && ran.out.contains(said), "{said} is not in {}", ran.out);
    }
}

#[test]
fn an_extension_with_errors_is_not_used() {
    let dir = dir(&ADDED.replace("extends: sshd", "extends: shsd"));
    dir.portcullis(["scan", "-c", "portcullis.yaml"])
        .run()
        .assert(78, "there is no rule set `shsd` to extend");
}

#[test]
fn two_files_cannot_extend_one_set_and_neither_can_two_extend_each_other() {
    let dir = dir(ADDED);
    dir.write("rules.d/more.yaml", "version: 1\nextends: sshd\nthreshold: {offences: 40, within: 2w}\n");
    let ran = dir.portcullis(["check", "-c", "portcullis.yaml"]).run();
    assert!(
        ran.code == 78 && ran.out.contains("here.yaml extends `sshd` already: put both into one file"),
        "{ran:?}"
    );
    dir.write("rules.d/here.yaml", ADDED.replace("extends: sshd", "extends: more"));
    dir.write("rules.d/more.yaml", "version: 1\nname: more\nextends: sshd-here\n");
    let ran = dir.portcullis(["check", "-c", "portcullis.yaml"]).run();
    assert!(ran.code == 78 && ran.out.matches("there is no rule set").count() == 2, "{ran:?}");
}
