//! `portcullis check`: everything that is wrong, with its place; rules that can be fooled are refused.

use std::fs;

use serde_json::json;

use crate::util::Dir;

/// A rule set for a program of the operator's own; `{pattern}` and `{line}` are for the tests to fill in.
fn rule_file(pattern: &str, message: &str) -> String {
    format!(
        "version: 1
name: myapp
about: A service of mine
program: [myapp]
evidence: handshake
threshold: {{offences: 5, within: 10m}}
ban: {{for: 1h}}
rules:
  - id: login-failed
    pattern: '{pattern}'
    means: A wrong password.
samples:
  - line: 'Nov 22 14:38:31 gw myapp[7]: {message}'
    rule: login-failed
    addr: 192.0.2.7
"
    )
}

const GOOD: &str = "^login failed for <USER> from <ADDR>$";
const MESSAGE: &str = "login failed for root from 192.0.2.7";

#[test]
fn the_shipped_rules_pass() {
    let text = Dir::new().portcullis(["check"]).ok();
    let line = text.lines().last().expect("a closing sentence");
    assert!(
        text.contains("sshd: proven, if its program prints nothing else than\n  <USER>      [^:]*\n"),
        "{text}"
    );
    assert!(line.contains(" samples checked, every rule proven: 0 errors, "), "{line}");
    let warnings: Vec<&str> = text.lines().filter(|line| line.contains(": warning: ")).collect();
    assert!(warnings.iter().all(|line| line.contains("not protecting: ")), "only of this machine: {text}");
}

/// Of sets for raw lines, those that come along and are not in force have nothing to say about the operator's own.
#[test]
fn a_rule_file_for_raw_lines_is_not_held_against_sets_that_are_not_in_force() {
    let dir = Dir::new();
    let raw = rule_file("^<TIME> login failed for <USER> from <ADDR>$", MESSAGE);
    let raw = raw.replace("program: [myapp]", "format: raw\nnewlines: encoded\nmessage_limit: none");
    dir.write("mine.yaml", raw.replace("Nov 22 14:38:31 gw myapp[7]: ", "2026-11-22 14:38:31 "));
    let text = dir.portcullis(["check", "mine.yaml"]).ok();
    assert!(text.contains("every rule proven: 0 errors"), "{text}");
}

#[test]
fn a_good_rule_file_passes() {
    let dir = Dir::new();
    dir.write("mine.yaml", rule_file(GOOD, MESSAGE));
    let text = dir.portcullis(["check", "mine.yaml"]).ok();
    assert!(
        text.starts_with("myapp: proven, if its program prints nothing else than\n  <USER>  .*\n"),
        "{text}"
    );
    assert!(
        text.contains("myapp: 1 rule names nobody in a message of ")
            && text.contains(", 500 or more bytes:\n"),
        "{text}"
    );
    assert!(
        text.ends_with("1 rule set, 1 rule, 1 sample checked, every rule proven: 0 errors, 0 warnings\n"),
        "{text}"
    );
}

#[test]
fn an_error_has_its_place_its_line_and_a_caret() {
    let dir = Dir::new();
    dir.write("mine.yaml", rule_file(GOOD, MESSAGE).replace("threshold", "treshold"));
    let ran = dir.portcullis(["check", "mine.yaml"]).run();
    assert_eq!((ran.code, ran.err.as_str()), (78, ""));
    let cited = "mine.yaml:6:1: error: unknown key `treshold`, did you mean `threshold`?\n\
                 6 | treshold: {offences: 5, within: 10m}\n  \
                   | ^\n";
    assert!(ran.out.contains(cited), "{}", ran.out);
    assert!(
        ran.out.ends_with("\n1 rule set, 1 rule, 1 sample checked: 1 error, 0 warnings\n"),
        "{}",
        ran.out
    );
}

#[test]
fn all_errors_of_all_files_are_told() {
    let dir = Dir::new();
    let two = rule_file(GOOD, MESSAGE).replace("offences: 5", "offences: 0").replace("for: 1h", "for: 0s");
    dir.write("a.yaml", &two);
    dir.write("b.yaml", rule_file(GOOD, "login failed for root from 192.0.2.8"));
    dir.write("c.yaml", "rules: [\n");
    dir.write("good.yaml", rule_file(GOOD, MESSAGE));
    let ran = dir.portcullis(["check", "a.yaml", "b.yaml", "good.yaml", "c.yaml", "gone.yaml"]).run();
    assert_eq!(ran.code, 78);
    for place in [
        "a.yaml:6:23: error",
        "a.yaml:7:12: error",
        "b.yaml:15:11: error: expected 192.0.2.7, found 192.0.2.8",
    ] {
        assert!(ran.out.contains(place), "{place} is not in {}", ran.out);
    }
    assert!(
        ran.out.contains("c.yaml:") && ran.out.contains("gone.yaml: error: there is no such file"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("good.yaml"), "{}", ran.out);
}

#[test]
fn a_warning_is_no_failure() {
    let dir = Dir::new();
    let file = rule_file(GOOD, MESSAGE);
    dir.write("mine.yaml", file.split_once("samples:").unwrap().0);
    let text = dir.portcullis(["check", "mine.yaml"]).ok();
    assert!(text.contains("warning: rule `login-failed` has no sample"), "{text}");
    assert!(text.ends_with(": 0 errors, 1 warning\n"), "{text}");
}

/// Whoever starts from `portcullis rules sshd` and keeps the name gets no later change of the built-in set.
#[test]
fn a_set_with_the_name_of_a_shipped_one_is_said_to_replace_it() {
    let dir = Dir::new();
    let mine = rule_file(GOOD, MESSAGE);
    dir.write("rules.d/mine.yaml", mine.replace("name: myapp", "name: sshd"));
    let at = dir.path().display();
    dir.write("auth.log", "");
    dir.write(
        "portcullis.yaml",
        format!("rules_dir: {at}/rules.d\nsources: {{auth: {at}/auth.log}}\nfirewall: {{backend: pf}}\n"),
    );
    let said =
        "mine.yaml: where this file is in force, its `sshd` replaces the built-in rule set of that name\n";
    for arguments in [&["check", "rules.d/mine.yaml"][..], &["check", "-c", "portcullis.yaml"]] {
        let text = dir.portcullis(arguments).ok();
        assert!(text.contains(said) && text.ends_with(": 0 errors, 0 warnings\n"), "{text}");
    }
    let report = dir.portcullis(["check", "--json", "rules.d/mine.yaml"]).json();
    assert_eq!(report["replaces"], json!([{"rule_set": "sshd", "path": "rules.d/mine.yaml"}]));
    dir.write("rules.d/mine.yaml", mine);
    assert!(!dir.portcullis(["check", "rules.d/mine.yaml"]).ok().contains("replaces"));
}

#[test]
fn json_tells_the_same() {
    let dir = Dir::new();
    dir.write("mine.yaml", rule_file(GOOD, MESSAGE));
    let mut report = dir.portcullis(["check", "--json", "mine.yaml"]).json();
    let proofs = report.as_object_mut().and_then(|report| report.remove("proofs")).expect("proofs");
    assert_eq!(proofs[0]["rule_set"], "myapp");
    assert_eq!(proofs[0]["claims"], json!([{"name": "USER", "alphabet": ".*"}]));
    assert!(proofs[0]["blind_lengths"][0]["from"].is_u64(), "{proofs}");
    let all =
        json!({"ok": true, "rule_sets": 1, "rules": 1, "samples": 1, "replaces": [], "diagnostics": []});
    assert_eq!(report, all);
    dir.write("mine.yaml", rule_file(GOOD, MESSAGE).replace("threshold", "treshold"));
    let ran = dir.portcullis(["check", "--json", "mine.yaml"]).run();
    assert_eq!(ran.code, 78);
    let report = &ran.json_lines()[0];
    let told = &report["diagnostics"][0];
    assert_eq!(report["ok"], false);
    assert_eq!(
        (&told["path"], &told["line"], &told["column"], &told["severity"], &told["cited"]),
        (
            &json!("mine.yaml"),
            &json!(6),
            &json!(1),
            &json!("error"),
            &json!("treshold: {offences: 5, within: 10m}")
        )
    );
}

/// Patterns that are not anchored at the program: any service that logs client text into the same file can forge.
#[test]
fn an_unanchored_pattern_is_refused() {
    let dir = Dir::new();
    for (pattern, advice) in
        [(GOOD.trim_start_matches('^'), "begin with ^"), (GOOD.trim_end_matches('$'), "end with $")]
    {
        dir.write("mine.yaml", rule_file(pattern, MESSAGE));
        let ran = dir.portcullis(["check", "mine.yaml"]).run();
        assert_eq!(ran.code, 78);
        assert!(ran.out.contains("mine.yaml:10:14: error: ") && ran.out.contains(advice), "{}", ran.out);
    }
}

/// The first ` from ` of the line was taken, not the pattern's capture.
#[test]
fn a_pattern_that_leaves_open_where_the_address_stands_never_names_a_wrong_one() {
    for pattern in ["^login failed .*<ADDR>.*$", "^.* from <ADDR>.*$"] {
        let dir = Dir::new();
        dir.write("rules.d/mine.yaml", rule_file(pattern, MESSAGE));
        let ran = dir.portcullis(["check", "rules.d/mine.yaml"]).run();
        assert_eq!(ran.code, 78, "{pattern}");
        assert!(
            ran.out.contains("the pattern can be fooled") || ran.out.contains("which takes any text"),
            "{}",
            ran.out
        );
    }
    // This one can be read in one way only as long as the peer behaves.
    let dir = Dir::new();
    dir.write("rules.d/mine.yaml", rule_file("^login failed for <USER> from <ADDR>(?: .*)?$", MESSAGE));
    let ran = dir.portcullis(["check", "rules.d/mine.yaml"]).run();
    assert!(ran.code == 78 && ran.out.contains("the pattern can be fooled"), "{}", ran.out);
}

/// Each pattern is sound alone; together a user's name makes one rule's line into the other's.
#[test]
fn a_rule_that_another_rules_peer_can_fool_is_refused_with_the_line_that_did_it() {
    let dir = Dir::new();
    let relayed = "rules:
  - id: relayed
    pattern: '^login failed for <NAME> \\(relayed for <ADDR>\\) by <PROXY>$'
    means: A wrong password, through a proxy.
";
    let file = rule_file("^login failed for <USER> by <ADDR>$", "login failed for root by 192.0.2.7");
    let sample =
        "  - line: 'Nov 22 14:38:31 gw myapp[7]: login failed for root (relayed for 192.0.2.7) by proxy'
    rule: relayed
    addr: 192.0.2.7
";
    let fields = "fields: {NAME: '[^ ]+', PROXY: '[^ ]+'}\n";
    dir.write("mine.yaml", file.replace("rules:\n", &[fields, relayed].concat()) + sample);
    let ran = dir.portcullis(["check", "mine.yaml"]).run();
    assert_eq!(ran.code, 78);
    let said = "mine.yaml:11:14: error: the pattern can be fooled: a peer at 192.0.2.7 can make this line appear, and the \
                rule finds 203.0.113.66 in it: ";
    assert!(ran.out.contains(said), "{}", ran.out);
    assert!(ran.out.contains("(relayed for 203.0.113.66) by "), "{}", ran.out);
}

/// Sets of one program see each other's lines: what the one knows to end in a peer's words, the other must not believe.
#[test]
fn a_rule_that_another_sets_message_can_fool_is_refused() {
    let dir = Dir::new();
    let sshd = rule_file("^Unable to negotiate .* from <ADDR>$", "Unable to negotiate x from 192.0.2.7");
    dir.write("mine.yaml", sshd.replace("[myapp]", "[sshd]").replace("myapp[7]", "sshd[7]"));
    let ran = dir.portcullis(["check", "mine.yaml"]).run();
    assert_eq!(ran.code, 78, "{}", ran.out);
    assert!(ran.out.contains("(rule `sshd/"), "{}", ran.out);
    let before = rule_file("^login failed from <ADDR> by <USER>$", "login failed from 192.0.2.7 by root");
    let behind = rule_file("^login failed <USER> from <ADDR>$", "login failed root from 192.0.2.7");
    dir.write("before.yaml", before);
    dir.write("behind.yaml", behind.replace("name: myapp", "name: other"));
    for file in ["before.yaml", "behind.yaml"] {
        dir.portcullis(["check", file]).ok();
    }
    let ran = dir.portcullis(["check", "before.yaml", "behind.yaml"]).run();
    assert_eq!(ran.code, 78, "{}", ran.out);
    assert!(ran.out.contains("behind.yaml:10:"), "{}", ran.out);
}

/// A custom rule set gets the same treatment wherever it is put in force.
#[test]
fn a_rule_set_with_errors_is_not_used() {
    let dir = Dir::new();
    dir.write("rules.d/mine.yaml", rule_file(GOOD.trim_start_matches('^'), MESSAGE));
    dir.write("portcullis.yaml", format!("rules_dir: {}\n", dir.path().join("rules.d").display()));
    for command in ["scan", "match", "explain"] {
        let ran = dir.portcullis([command, "-c", "portcullis.yaml"]).stdin("x\n").run();
        ran.assert(78, "portcullis: the configuration is not used, since there are errors in it\n");
        assert!(ran.err.contains("mine.yaml:10:14: error: the pattern must begin with ^"), "{ran:?}");
    }
}

#[test]
fn a_configuration_is_checked_with_everything_it_names() {
    let dir = Dir::new();
    dir.write("rules.d/mine.yaml", rule_file(GOOD, MESSAGE));
    dir.write(
        "portcullis.yaml",
        format!(
            "rules_dir: {0}/rules.d\nrule_sets: [sshd, myap]\nallow: [192.0.2.0/33]\nfirewal: {{}}\n",
            dir.path().display()
        ),
    );
    let ran = dir.portcullis(["check", "-c", "portcullis.yaml"]).run();
    assert_eq!(ran.code, 78);
    for said in [
        "portcullis.yaml:2:19: error: ",
        "did you mean `myapp`?",
        "portcullis.yaml:3:9: error: `192.0.2.0/33` is not an address or a network",
        "portcullis.yaml:4:1: error: unknown key `firewal`, did you mean `firewall`?",
    ] {
        assert!(ran.out.contains(said), "{said} is not in {}", ran.out);
    }
}

#[test]
fn a_configuration_that_is_not_there_is_an_error() {
    let dir = Dir::new();
    let ran = dir.portcullis(["check", "-c", "gone.yaml"]).run();
    assert_eq!(ran.code, 78);
    assert!(ran.out.starts_with("gone.yaml: error: there is no such file\n"), "{ran:?}");
    dir.portcullis(["scan", "-c", "gone.yaml"]).run().assert(78, "gone.yaml: error: there is no such file");
}

#[test]
fn files_that_a_configuration_names_and_that_are_not_there_are_told() {
    let dir = Dir::new();
    let here = dir.path().display();
    dir.write("portcullis.yaml", format!("rules_dir: {here}/rules.d\nallow: [{{file: {here}/friends}}]\n"));
    let ran = dir.portcullis(["check", "-c", "portcullis.yaml"]).run();
    assert!(
        ran.out.contains("portcullis.yaml:1:12: warning: `rules_dir` names ")
            && ran.out.contains("as a directory, but there is none"),
        "{ran:?}"
    );
    assert!(ran.out.contains("friends"), "{ran:?}");
    assert_eq!(ran.code, 78, "{ran:?}");
}

#[test]
fn configuration_and_rule_files_can_be_checked_together() {
    let dir = Dir::new();
    dir.write("mine.yaml", rule_file(GOOD, MESSAGE));
    dir.write("portcullis.yaml", "allow: [192.0.2.0/24]\n");
    let both = dir.portcullis(["check", "-c", "portcullis.yaml", "mine.yaml", "--json"]).json();
    let in_force = dir.portcullis(["rules", "-c", "portcullis.yaml", "--json"]).json();
    assert_eq!(both["rule_sets"], in_force.as_array().unwrap().len() + 1);
}

#[test]
fn what_is_no_rule_file_is_said_to_be_none() {
    let dir = Dir::new();
    fs::create_dir(dir.path().join("folder")).unwrap();
    dir.write("binary.yaml", [0, 159, 146, 150, 1, 2, 3]);
    dir.write("empty.yaml", "");
    dir.write("list.yaml", "- a\n- b\n");
    for name in ["folder", "binary.yaml", "empty.yaml", "list.yaml"] {
        let ran = dir.portcullis(["check", name]).run();
        assert_eq!(ran.code, 78, "{name}: {ran:?}");
        assert!(ran.out.starts_with(&format!("{name}:")) && ran.out.contains("error: "), "{ran:?}");
        assert!(ran.out.ends_with("no rule set could be read: 1 error, 0 warnings\n"), "{ran:?}");
    }
}

/// One slip is one error: that no address was found follows from it.
#[test]
fn a_sample_whose_address_cannot_be_read_is_said_once() {
    let dir = Dir::new();
    dir.write("mine.yaml", rule_file(GOOD, MESSAGE).replace("addr: 192.0.2.7", "addr: 192.0.2.300"));
    let ran = dir.portcullis(["check", "mine.yaml"]).run();
    assert_eq!((ran.code, ran.out.matches("error:").count()), (78, 1), "{}", ran.out);
    assert!(ran.out.contains("`addr` must be an address"), "{}", ran.out);
}

#[test]
fn a_rules_dir_that_is_a_file_is_an_error_where_the_configuration_names_it() {
    let dir = Dir::new();
    let file = dir.path().join("portcullis.yaml");
    dir.write("portcullis.yaml", format!("version: 1\nrules_dir: {}\n", file.display()));
    let ran = dir.portcullis(["check", "-c", "portcullis.yaml"]).run();
    assert!(
        ran.code == 78 && ran.out.contains("portcullis.yaml:2:12: error: `rules_dir` names "),
        "{}",
        ran.out
    );
}

/// Such lines count live and are lost after a restart, which nobody would notice.
#[test]
fn a_sample_that_says_no_time_is_a_warning() {
    let dir = Dir::new();
    let file = |time: &str, stamp: &str| {
        let pattern = if stamp.is_empty() { "" } else { "<TIME> " };
        format!(
            "version: 1\nname: own\nabout: x\nformat: raw\nnewlines: encoded\nmessage_limit: none\n{time}rules:\n  - id: wrong\n    \
             pattern: '^{pattern}wrong password from <ADDR>$'\n    means: x\nsamples:\n  - line: '{stamp}wrong password from \
             192.0.2.7'\n    rule: wrong\n    addr: 192.0.2.7\n"
        )
    };
    let warnings = |text: String| {
        dir.write("own.yaml", text);
        let ran = dir.portcullis(["check", "own.yaml"]).run();
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.out
    };
    let told = warnings(file("", ""));
    assert!(
        told.starts_with("own.yaml:12:11: warning: this line has no timestamp in a known format"),
        "{told}"
    );
    assert!(told.contains("1 warning"), "{told}");
    let told = warnings(file("", "2026-11-22 14:38:31 "));
    assert!(told.contains("0 warnings"), "{told}");
    let told = warnings(file("time: '%d.%m.%Y %H:%M'\n", "22.11.2026 14:38 "));
    assert!(told.contains("0 warnings"), "{told}");
}

/// A rule is proven with the rules that stand before it: the proof is made of what is in force.
#[test]
fn a_rule_that_is_switched_off_no_longer_guards_those_behind_it() {
    let dir = Dir::new();
    let rules = rule_file("^login failed for guest from <ADDR>$", "login failed for guest from 192.0.2.7");
    let guard =
        "rules:\n  - {id: guard, pattern: '^login failed for <USER>$', effect: ignore, means: A test.}\n";
    dir.write("rules.d/mine.yaml", rules.replace("rules:\n", guard));
    let config = |change: &str| format!("version: 1\nrules_dir: {}/rules.d\n{change}", dir.path().display());
    dir.write("on.yaml", config(""));
    dir.write("off.yaml", config("override: {myapp: {disable: [guard]}}\n"));
    let on = dir.portcullis(["check", "-c", "on.yaml"]).run();
    assert!(!on.out.contains("can be fooled"), "{}", on.out);
    let off = dir.portcullis(["check", "-c", "off.yaml"]).run();
    assert_eq!(off.code, 78, "{}", off.out);
    assert!(off.out.contains("can be fooled"), "{}", off.out);
    dir.write("empty.log", "");
    let scan = dir.portcullis(["scan", "-c", "off.yaml", "empty.log"]).run();
    assert_eq!(scan.code, 78, "{}", scan.err);
}

#[test]
fn a_service_needs_a_rule_set_that_is_in_force_and_takes_reports() {
    let dir = Dir::new();
    let at = dir.path().display();
    dir.write(
        "p.yaml",
        format!(
            "rules_dir: {at}/rules\nrule_sets: [sshd, postfix]\nsources:\n  ssh:\n    blocklist: {at}/sock\n    services:\n      \
             22: sshd\n      25: postfix\n      21: ftpd\n      80: nosuch\n"
        ),
    );
    let told = dir.portcullis(["check", "-c", "p.yaml"]).run();
    for part in [
        "p.yaml:8:11: error: the rule set `postfix` takes no reports, so that those about port 25 would have no effect",
        "p.yaml:9:11: error: the rule set `ftpd` is not in force",
        "p.yaml:10:11: error: there is no rule set `nosuch`",
    ] {
        assert!(told.out.contains(part) || told.err.contains(part), "{part}: {told:?}");
    }
}

#[test]
fn a_service_puts_its_rule_set_into_force_and_feeds_it() {
    let dir = Dir::new();
    let at = dir.path().display();
    dir.write(
        "p.yaml",
        format!("rules_dir: {at}/rules\nsources: {{f: {{blocklist: {at}/sock, services: {{21: ftpd}}}}}}\n"),
    );
    let told = dir.portcullis(["check", "-c", "p.yaml"]).ok();
    assert!(told.contains("ftpd: proven") && !told.contains("error:"), "{told}");
    assert!(!told.contains("no log of the rule set `ftpd`"), "it needs none: {told}");
}
