//! Messages that come otherwise than they were printed, and lines that only their session tells whose they are.

use super::super::super::model::{AddressFrom, Effect, RuleSet};
use super::{check, errors, set};

/// A set of these patterns; a rule whose pattern names no address counts for its session.
fn rules(program: &str, name: &str, patterns: &[(&str, Effect)]) -> RuleSet {
    let mut rules = set(program, "^x$");
    rules.fields = vec![("NAME".into(), name.into())];
    let rule = |(number, &(pattern, effect)): (usize, &(&str, Effect))| {
        let mut rule = set(program, pattern).rules.remove(0);
        rule.id = format!("r{number}");
        rule.effect = effect;
        rule.address = if pattern.contains("<ADDR>") { AddressFrom::Line } else { AddressFrom::Session };
        rule
    };
    rules.rules = patterns.iter().enumerate().map(rule).collect();
    rules
}

/// What loggers and the reader take off may be a peer's as well.
#[test]
fn what_is_left_of_a_message_is_what_a_rule_must_not_mistake() {
    use Effect::Offence;
    for (program, name, printer, reader, shown) in [
        (
            "app",
            "[^:]*",
            r"^\s+failed by <USER> from <ADDR>$",
            r"^failed by <ADDR> from [\d.]+$",
            "failed by ",
        ),
        (
            "app",
            "[^:]*",
            r"^message <NAME>: <USER> from <ADDR>\]$",
            r"^login by <ADDR> .*$",
            "message repeated 1 time: [login by 203.0.113.66 from 192.0.2.7]",
        ),
        (
            "kernel",
            "[^:]*",
            r"^\[<NAME>: failed for <USER> from <ADDR>$",
            r"^login by <ADDR> .*$",
            "[1] login by",
        ),
        ("app", "[^:]*", r"^\[ID <NAME>: <USER> from <ADDR>$", r"^login by <ADDR> .*$", ".err] login by"),
    ] {
        let found = errors(&rules(program, name, &[(printer, Offence), (reader, Offence)])).join("\n");
        assert!(found.contains("203.0.113.66") && found.contains(shown), "{printer}: {found}");
    }
    let uptime =
        [(r"^\[<NAME>: failed for <USER> from <ADDR>$", Offence), (r"^login by <ADDR> .*$", Offence)];
    assert_eq!(errors(&rules("app", "[^I:]*", &uptime)), Vec::<String>::new(), "programs have no uptime");
}

#[test]
fn a_pattern_that_begins_with_a_blank_gets_a_warning() {
    let faults = |pattern| {
        let faults = check(&rules("app", "[^:]*", &[(pattern, Effect::Offence)]), &[]);
        faults.into_iter().map(|fault| fault.text).collect::<Vec<_>>().join("\n")
    };
    for pattern in [r"^ failed by <ADDR>$", r"^\s+failed by <ADDR>$"] {
        assert!(
            faults(pattern).contains("never matches: blanks at the beginning of a message"),
            "{}",
            faults(pattern)
        );
    }
    assert!(!faults(r"^ ?failed by <ADDR>$").contains("never matches"));
}

/// The words of a line that names its peer must not make it count for whoever the process has named before.
#[test]
fn a_line_that_names_its_peer_is_no_line_of_its_session() {
    use Effect::{Ignore, Offence, Trust};
    let connect = (r"^connect from <ADDR>$", Ignore);
    let failed = r"^failed password for \S+ from <ADDR> port \d+: \S+$";
    for (printer, effect, reader) in [
        (failed, Offence, r"^failed password for .*: too many tries$"),
        (r"^login of \S+ from <ADDR>: \S+$", Trust, r"^login of .*: done$"),
    ] {
        let found = errors(&rules("app", "[^:]*", &[connect, (printer, effect), (reader, effect)]));
        let is_told = |text: &String| text.contains("192.0.2.7") && text.contains("named before");
        assert!(found.iter().any(is_told), "{found:?}");
        let claimed = printer.replace(r"\S+", "<NAME>");
        let reader = reader.replace(".*", "<NAME>");
        let claimed = rules("app", "[a-z]*", &[connect, (&claimed, effect), (&reader, effect)]);
        assert_eq!(errors(&claimed), Vec::<String>::new());
    }
    let cut =
        [connect, (r"^failed for <USER>: tries \d+ from <ADDR>$", Offence), (r"^failed for .*$", Offence)];
    let found = errors(&rules("app", "[^:]*", &[cut[0], cut[1], cut[2]])).join("\n");
    assert!(found.contains("if its end is cut off") && found.contains("named before"), "{found}");
    let ignored = [connect, (failed, Offence), (r"^failed password for .*: too many tries$", Ignore)];
    assert_eq!(errors(&rules("app", "[^:]*", &ignored)), Vec::<String>::new(), "it counts for nobody");
}

/// Programs that look peers up print names, and some of these have no dot.
#[test]
fn a_host_may_have_one_label() {
    let fooled = r"^failed for <USER> from <ADDR>(?: by <NAME>)?$";
    let found = errors(&rules("app", "[a-z ]+", &[(fooled, Effect::Offence)])).join("\n");
    assert!(found.contains("finds 203.0.113.66"), "{found}");
}

/// syslog-ng and metalog say so of any program's message; what a peer says must not multiply another's line.
#[test]
fn no_line_of_a_peers_says_that_the_one_before_it_came_again() {
    use Effect::Offence;
    for (pattern, shown) in [
        (r"^Last <USER>$", "Last output repeated twice"),
        (r"^Last message <USER>, suppressed by syslog-ng on <ADDR>$", "suppressed by syslog-ng on"),
        (r"^Last <NAME> times$", "Last output repeated"),
    ] {
        let found = errors(&rules("app", "[^:]*", &[(pattern, Offence)])).join("\n");
        assert!(found.contains("say that the line before it came again") && found.contains(shown), "{found}");
    }
    for pattern in [r"^Last <USER> from <ADDR>$", r"^Last login failed for <USER> from <ADDR>$"] {
        assert_eq!(errors(&rules("app", "[a-z]*", &[(pattern, Offence)])), Vec::<String>::new(), "{pattern}");
    }
}
