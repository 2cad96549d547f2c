//! `portcullis rules`: what is in force, and a start for one's own.

use std::fs;

use serde_json::json;

use crate::util::{Dir, failures, project};

/// The shipped rule sets by name.
fn shipped() -> Vec<String> {
    let entries = fs::read_dir(project("rules")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.map(|name| name.trim_end_matches(".yaml").to_owned()).collect();
    names.sort();
    names
}

/// A configuration whose rule sets are in `rules.d`.
fn with_rules_dir(dir: &Dir) {
    dir.write("portcullis.yaml", format!("rules_dir: {}\n", dir.path().join("rules.d").display()));
}

/// Those that need no configuration.
const BY_DEFAULT: [&str; 2] = ["freebsd-tcp", "sshd"];

/// The first words of all lines of a table but its head.
fn names(table: &str) -> Vec<&str> {
    table.lines().skip(1).map(|line| line.split(' ').next().unwrap()).collect()
}

#[test]
fn sets_that_come_along_and_are_not_in_force_are_listed_with_what_they_are_for() {
    let dir = Dir::new();
    let others: Vec<String> =
        shipped().into_iter().filter(|name| !BY_DEFAULT.contains(&name.as_str())).collect();
    assert_eq!(names(&dir.portcullis(["rules", "--available"]).ok()), others);
    let objects = dir.portcullis(["rules", "--available", "--json"]).json();
    let postfix = objects.as_array().unwrap().iter().find(|set| set["name"] == "postfix").unwrap();
    assert!(postfix["about"].as_str().unwrap().starts_with("Password guessing"), "{postfix}");

    dir.write("portcullis.yaml", "rule_sets: [sshd, postfix]\n");
    let text = dir.portcullis(["rules", "-c", "portcullis.yaml"]).ok();
    assert_eq!(names(&text), ["sshd", "postfix"]);
    let text = dir.portcullis(["rules", "--available", "-c", "portcullis.yaml"]).ok();
    assert!(names(&text).contains(&"freebsd-tcp") && !names(&text).contains(&"postfix"), "{text}");
}

#[test]
fn the_sets_in_force_are_listed() {
    let dir = Dir::new();
    let text = dir.portcullis(["rules"]).ok();
    assert_eq!(names(&text), BY_DEFAULT);
    assert!(text.starts_with("RULE SET     PROGRAMS "), "{text}");
    assert!(text.contains("  5 in 10m, 12 in 1d  1h, then ×2 up to 4w  built in\n"), "{text}");

    let objects = dir.portcullis(["rules", "--json"]).json();
    let sshd = objects.as_array().unwrap().iter().find(|set| set["name"] == "sshd").unwrap();
    assert_eq!((&sshd["offences"], &sshd["within"]), (&json!(5), &json!(600)), "seconds");
    let escalate = json!({"factor": 2.0, "max": 28 * 86_400, "forget": 30 * 86_400});
    assert_eq!(sshd["ban"], json!({"for": 3600, "escalate": escalate}));
    for (object, name) in objects.as_array().unwrap().iter().zip(BY_DEFAULT) {
        let first = json!({"offences": object["offences"], "within": object["within"]});
        assert_eq!(object["thresholds"][0], first, "the shortest window comes first");
        let keys: Vec<&String> = object.as_object().unwrap().keys().collect();
        let expected = [
            "about",
            "ban",
            "evidence",
            "from",
            "name",
            "offences",
            "programs",
            "rules",
            "thresholds",
            "within",
        ];
        assert_eq!(
            (keys, &object["name"]),
            (
                expected.iter().map(|key| key.to_owned().to_owned()).collect::<Vec<_>>().iter().collect(),
                &name.into()
            )
        );
    }
}

#[test]
fn all_windows_of_a_set_are_listed() {
    let dir = Dir::new();
    let windows = "[{offences: 30, within: 1w}, {offences: 5, within: 10m}]";
    dir.write("portcullis.yaml", format!("override: {{sshd: {{threshold: {windows}}}}}\n"));
    let text = dir.portcullis(["rules", "-c", "portcullis.yaml"]).ok();
    assert!(text.contains("  5 in 10m, 30 in 1w  "), "{text}");
    let objects = dir.portcullis(["rules", "--json", "-c", "portcullis.yaml"]).json();
    let sshd = objects.as_array().unwrap().iter().find(|set| set["name"] == "sshd").unwrap();
    assert_eq!((&sshd["offences"], &sshd["within"]), (&json!(5), &json!(600)));
    let all = json!([{"offences": 5, "within": 600}, {"offences": 30, "within": 7 * 86_400}]);
    assert_eq!(sshd["thresholds"], all);
}

#[test]
fn the_text_of_a_set_is_its_file_and_passes_check_under_another_name() {
    let dir = Dir::new();
    for name in shipped() {
        let text = dir.portcullis(["rules", &name]).ok();
        assert_eq!(text, fs::read_to_string(project(&format!("rules/{name}.yaml"))).unwrap());
        dir.write("start.yaml", &text);
        let checked = dir.portcullis(["check", "start.yaml"]).ok();
        assert!(checked.ends_with(": 0 errors, 0 warnings\n"), "{checked}");
        let object = dir.portcullis(["rules", "--json", &name]).json();
        assert_eq!((&object["name"], &object["text"]), (&name.into(), &text.into()));
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_one_that_was_meant() {
    let dir = Dir::new();
    dir.portcullis(["rules", "ssdh"])
        .run()
        .assert(1, "portcullis: there is no rule set `ssdh`, did you mean `sshd`?\n");
    let ran = dir.portcullis(["rules", "postgres\x1b[2J"]).run();
    ran.assert(1, "; known are `");
    assert!(!ran.err.contains('\x1b'), "{ran:?}");
}

/// Custom rule sets; one with a shipped name replaces it.
#[test]
fn a_custom_set_replaces_the_shipped_one_of_its_name() {
    let dir = Dir::new();
    let sshd = dir.portcullis(["rules", "sshd"]).ok();
    let stricter = sshd.replacen("offences: 5", "offences: 2", 1);
    assert_ne!(stricter, sshd);
    dir.write("rules.d/50-strict.yaml", &stricter);
    with_rules_dir(&dir);

    let text = dir.portcullis(["rules", "-c", "portcullis.yaml"]).ok();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("sshd ")).collect();
    assert!(
        rows.len() == 1 && rows[0].contains("2 in 10m") && rows[0].ends_with("/rules.d/50-strict.yaml"),
        "{text}"
    );
    assert_eq!(dir.portcullis(["rules", "-c", "portcullis.yaml", "sshd"]).ok(), stricter);

    let scan =
        dir.portcullis(["scan", "--json", "-c", "portcullis.yaml"]).stdin(failures("192.0.2.7", [0, 60]));
    assert_eq!(scan.json()["bans"], 1);
}

#[test]
fn a_set_that_is_not_in_force_can_still_be_read() {
    let dir = Dir::new();
    dir.write("portcullis.yaml", "rule_sets: [sshd]\n");
    let listed = dir.portcullis(["rules", "-c", "portcullis.yaml"]).ok();
    assert!(!listed.contains("freebsd-tcp"), "{listed}");
    let text = dir.portcullis(["rules", "-c", "portcullis.yaml", "freebsd-tcp"]).ok();
    assert!(text.contains("name: freebsd-tcp\n"), "{text}");
    let object = dir.portcullis(["rules", "--json", "-c", "portcullis.yaml", "freebsd-tcp"]).json();
    assert_eq!(object["name"], "freebsd-tcp");
}

/// What is changed of a ban leaves the rest of it as the set has it.
#[test]
fn another_length_of_a_ban_keeps_its_growth_and_none_ends_it() {
    let dir = Dir::new();
    let at = dir.path().display();
    let ban = |change: &str| {
        dir.write("p.yaml", format!("rules_dir: {at}/none\noverride: {{sshd: {{ban: {change}}}}}\n"));
        dir.portcullis(["rules", "sshd", "--json", "-c", "p.yaml"]).json()["ban"].clone()
    };
    let growth = json!({"factor": 2.0, "max": 28 * 86_400, "forget": 30 * 86_400});
    assert_eq!(ban("{for: 2h}"), json!({"for": 7200, "escalate": growth}));
    assert_eq!(ban("{}"), json!({"for": 3600, "escalate": growth}));
    assert_eq!(ban("{escalate: none}"), json!({"for": 3600, "escalate": null}));
    assert_eq!(ban("{for: forever}"), json!({"for": null, "escalate": null}));
    let week = json!({"factor": 2.0, "max": 604_800, "forget": 30 * 86_400});
    assert_eq!(ban("{escalate: {max: 1w}}"), json!({"for": 3600, "escalate": week}));
    dir.write("p.yaml", format!("rules_dir: {at}/none\noverride: {{sshd: {{ban: {{for: 8w}}}}}}\n"));
    let told = dir.portcullis(["check", "-c", "p.yaml"]).ok();
    assert!(
        told.contains("p.yaml:2:24: warning: `max` of `escalate` is shorter than the first ban"),
        "{told}"
    );
}

#[test]
fn sets_that_the_defaults_do_not_reach_are_named() {
    let dir = Dir::new();
    let at = dir.path().display();
    let told = |more: &str| {
        let text =
            format!("rules_dir: {at}/none\ndefaults: {{threshold: {{offences: 9, within: 5m}}}}\n{more}\n");
        dir.write("p.yaml", text);
        dir.portcullis(["check", "-c", "p.yaml"]).ok()
    };
    let both = told("");
    assert!(
        both.contains(
            "p.yaml:2:23: warning: not for freebsd-tcp, sshd: there `threshold` is the rule set's own"
        ),
        "{both}"
    );
    assert!(both.contains("`override: {freebsd-tcp: {threshold: …}}`"), "{both}");
    let one = told("override: {sshd: {threshold: {offences: 9, within: 5m}}}");
    assert!(one.contains("not for freebsd-tcp: there"), "who is changed has been thought of: {one}");
    let none = told("rule_sets: [sshd]\noverride: {sshd: {threshold: {offences: 9, within: 5m}}}");
    assert!(!none.contains("not for "), "{none}");
}
