//! The classic mistakes of log blockers, each one refused by the attack, and the good forms that pass it.

use super::super::check::check;
use super::super::compile::Compiled;
use super::super::locate::Scratch;
use super::super::model::{
    AddressFrom, Counts, Effect, Evidence, Fault, Format, Rule, RuleSet, Severity, Weight,
};

fn set(program: &str, pattern: &str) -> RuleSet {
    let rule = Rule {
        id: "tried".into(),
        pattern: pattern.into(),
        effect: Effect::Offence,
        weight: Weight::ONE,
        counts: Counts::Session,
        address: AddressFrom::Line,
        enabled: true,
        means: "A test.".into(),
        advice: Vec::new(),
    };
    RuleSet {
        name: "test".into(),
        about: "A test.".into(),
        programs: vec![program.into()],
        format: Format::Syslog,
        evidence: Evidence::Handshake,
        message_limit: None,
        threshold: None,
        ban: None,
        fields: Vec::new(),
        advice: Vec::new(),
        rules: vec![rule],
        samples: Vec::new(),
    }
}

fn errors(set: &RuleSet) -> Vec<String> {
    let faults: Vec<Fault> =
        check(set).into_iter().filter(|fault| fault.severity == Severity::Error).collect();
    faults.into_iter().map(|fault| fault.text).collect()
}

#[test]
fn each_classic_mistake_is_refused_with_the_line_that_fools_it() {
    for (mistake, pattern) in [
        ("the first ` from ` wins", r"^Failed password for .*? from <ADDR> port \d+.*$"),
        ("nothing fixed behind", r"^Invalid user .* from <ADDR>.*$"),
        ("user behind and before", r"^<USER> at <ADDR> says .*$"),
        ("a colon that a name may hold", r"^.*: host <ADDR>, .*$"),
        ("a word that may be several", r"^Login failed for user \S+ from <ADDR>(?: .*)?$"),
        ("brackets", r"^bad login .+ \[<ADDR>\].*$"),
    ] {
        let found = errors(&set("ftpd", pattern));
        assert_eq!(found.len(), 1, "{mistake}: {pattern}: {found:?}");
        let fooled = found[0].contains("can be fooled") && found[0].contains("203.0.113.66");
        assert!(fooled || found[0].contains("2001:db8:bad::66"), "{mistake}: {}", found[0]);
    }
}

#[test]
fn patterns_that_cannot_be_trusted_by_their_form_are_refused() {
    for (pattern, why) in [
        (r"Failed for <USER> from <ADDR>$", "begin with ^"),
        (r"^Failed for <USER> from <ADDR>", "end with $"),
        (r"^Failed for <USER>$", "no <ADDR>"),
        (r"^<ADDR> to <HOST>$", "more than one <ADDR>"),
        (r"^(?:a{900}){900} <ADDR>$", "too large"),
    ] {
        let found = errors(&set("ftpd", pattern));
        assert!(found.len() == 1 && found[0].contains(why), "{pattern}: {found:?}");
    }
}

#[test]
fn good_forms_pass() {
    for pattern in [
        r"^Failed password for <USER> from <ADDR> port \d{1,5} ssh2$",
        r"^refused <ADDR>: .*$",
        r"^\[<ADDR>\] said .*$",
        r"^user [^ ]+ from <ADDR>$",
        r"^ROOT LOGIN REFUSED FROM <ADDR> port \d+$",
    ] {
        assert_eq!(errors(&set("ftpd", pattern)), Vec::<String>::new(), "{pattern}");
    }
}

/// `facts/sshd.md`: a client sends a name that pushes its own address out of the 500 bytes that sshd writes, and ends
/// what is left with a forged one.
#[test]
fn a_message_that_was_cut_names_nobody() {
    let pattern = r"^Connection closed by invalid user <USER> <ADDR> port \d{1,5} \[preauth\]$";
    let (head, lure) = ("Connection closed by invalid user ", " 8.8.8.8 port 22 [preauth]");
    let pad = "a".repeat(500 - head.len() - lure.len());
    let cut = format!("{head}{pad}{lure}");
    assert_eq!(cut.len(), 500);
    let careful = set("sshd", pattern);
    let found = Compiled::new(&careful).unwrap().find(&mut Scratch::default(), cut.as_bytes(), false);
    assert_eq!(found.map(|found| found.address), Some(None), "it matches, and names nobody");
    let careless = RuleSet { message_limit: Some(8192), ..careful };
    let found = Compiled::new(&careless).unwrap().find(&mut Scratch::default(), cut.as_bytes(), false);
    assert!(found.is_some_and(|found| found.address.is_some()), "without the limit it is fooled");
    assert!(errors(&careless)[0].contains("sshd cuts its messages at 500 bytes"), "and `check` refuses that");
}

#[test]
fn a_rule_is_also_refused_when_another_rules_line_fools_it() {
    let mut pair = set("ftpd", r"^quit by <USER>$");
    pair.rules[0].effect = Effect::Ignore;
    let second = set("ftpd", r"^quit by guest from <ADDR>$").rules.remove(0);
    pair.rules.insert(0, Rule { id: "second".into(), ..second });
    let found = errors(&pair);
    assert!(found.len() == 1 && found[0].contains("can be fooled"), "{found:?}");
}
