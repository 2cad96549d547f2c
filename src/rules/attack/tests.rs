//! The classic mistakes of log blockers, each one refused by the attack, and the good forms that pass it.

use super::super::check::check;
use super::super::compile::Compiled;
use super::super::locate::Scratch;
use super::super::model::{AddressFrom, Counts, Effect, Fault, Format, Rule, RuleSet, Severity, Weight};

fn set(program: &str, pattern: &str) -> RuleSet {
    let rule = Rule {
        id: "tried".into(),
        pattern: pattern.into(),
        effect: Effect::Offence,
        weight: Weight::ONE,
        counts: Counts::Session,
        address: AddressFrom::Line,
        message_limit: None,
        unless: Vec::new(),
        ends_session: false,
        enabled: true,
        means: "A test.".into(),
        advice: Vec::new(),
    };
    RuleSet {
        name: "test".into(),
        about: "A test.".into(),
        programs: vec![program.into()],
        rules: vec![rule],
        ..RuleSet::default()
    }
}

fn errors(set: &RuleSet) -> Vec<String> {
    let faults: Vec<Fault> =
        check(set, &[]).into_iter().filter(|fault| fault.severity == Severity::Error).collect();
    faults.into_iter().map(|fault| fault.text).collect()
}

#[test]
fn each_classic_mistake_is_refused_with_the_line_that_fools_it() {
    for (mistake, pattern) in [
        ("the first ` from ` wins", r"^Failed password for .*? from <ADDR> port \d+.*$"),
        ("nothing fixed behind", r"^Invalid user .* from <ADDR>.*$"),
        ("user behind and before", r"^by <USER> at <ADDR> says .*$"),
        ("a colon that a name may hold", r"^to .*: host <ADDR>, .*$"),
        ("a word that may be several", r"^Login failed for user \S+ from <ADDR>(?: .*)?$"),
        ("brackets", r"^bad login .+ \[<ADDR>\].*$"),
        ("a word stops early", r"^Failed login for \w+ from <ADDR>(?: .*)?$"),
        ("and before a comma", r"^Failed login for \w+ from <ADDR>, .*$"),
        ("a short run", r"^Failed login for \S{1,6} from <ADDR>(?: .*)?$"),
        ("letters only", r"^Failed login for [a-z]* from <ADDR>(?: .*)?$"),
        ("without case", r"(?i)^failed for \w+ from <HOST>(?: .*)?$"),
        ("with comments", r"(?x)^ Failed\ for\ \w+\ from\ <ADDR> (?:\ .*)? $ # word"),
        ("other anchors", r"\AFailed login for [a-z]* from <ADDR>(?: .*)?\z"),
        ("a boundary", r"^Failed \b\w+\b from <ADDR>\b(?: .*)?$"),
        ("an end of line inside", r"^Failed \w+(?m:$| )from <ADDR>(?: .*)?$"),
        ("a class by name", r"^Failed [[:alnum:]]+ from <ADDR>(?: .*)?$"),
        ("quotes", r#"^Failed login for "[a-z]*" from <ADDR>(?: .*)?$"#),
        ("an address of mail", r"^Failed for \w+@\w+\.\w+ from <ADDR>(?: .*)?$"),
        ("words", r"^Failed login for (?:\w+ )+from <ADDR>(?: .*)?$"),
        ("some words", r"^Failed (?:\w+ ){1,3}from <ADDR>(?: .*)?$"),
        ("parts of a name", r"^Failed login for (?:\w+\.?)+ from <ADDR>(?: .*)?$"),
        ("any pieces", r"^Failed login for (?:[a-z]|[0-9 ]|:|\.)+ from <ADDR>(?: via .*)?$"),
        ("a part that may be missing", r"^auth failure(?: for \S+)? from <ADDR>(?: .*)?$"),
        ("the second branch", r"^(?:login failed|auth failed for \S+) from <ADDR>(?: .*)?$"),
        ("a group of its own", r"^Failed login for (?P<USER>\w+) from <ADDR>(?: .*)?$"),
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
        (r"^(?:a{900}){900} <ADDR>$", "pattern is too large"),
        (r"^(?:(?:(?:a{1000}){1000}){1000}){1000}<USER> from <ADDR>$", "pattern is too large"),
        (r"^.*from <ADDR>$", "begins with `.*`, which takes any text"),
        (r"^(?:.*: )?Failed for <USER> from <ADDR> port \d+$", "begins with `.*`"),
        (r"^<USER>: login failed from <ADDR>$", "begins with `<USER>`"),
        (r"^Failed for \S+ from (?P<ADDR>::ffff:[0-9.]+) .*$", "write <ADDR>"),
        (r"^Failed for \S+ from (?<HOST>[0-9a-f:]{39}) .*$", "write <ADDR>"),
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
        r"^PREGREET \d+ after [\d.]+ from \[<ADDR>\]:\d+: .*$",
        r"^[0-9a-f]{16} smtp failed address=<ADDR> host=\S+ .*$",
        r"^\w{3} +\d{1,2} (?:\d\d:){2}\d\d (?:error: )?client <ADDR>: .*$",
    ] {
        assert_eq!(errors(&set("ftpd", pattern)), Vec::<String>::new(), "{pattern}");
    }
}

/// A client sends a name that pushes its own address out of the 500 bytes that sshd writes (`%.500s` in `do_log` of
/// OpenSSH's log.c), and ends what is left with a forged one.
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

/// A run stops early where the program prints more than it takes: that must be stated, not implied.
#[test]
fn an_alphabet_is_believed_under_fields_only_and_the_refusal_says_so() {
    let bare = set(
        "postfix/smtpd",
        r"^warning: [-._\w]+\[<ADDR>\]: SASL (?:LOGIN|PLAIN) authentication failed: .*$",
    );
    let faults = check(&bare, &[]);
    let fault = faults.iter().find(|fault| fault.severity == Severity::Error).unwrap();
    assert_eq!(
        bare.rules[0].pattern.get(fault.offset..fault.offset + 8),
        Some(r"[-._\w]+"),
        "the caret stands below the run"
    );
    for part in [r"`[-._\w]+` was filled with `", r"fields: {NAME: '[-._\w]+'}", "write `<NAME>`"] {
        assert!(fault.text.contains(part), "{}", fault.text);
    }
    let mut stated = bare;
    stated.fields = vec![("NAME".into(), r"[-._\w]+".into())];
    stated.rules[0].pattern = stated.rules[0].pattern.replace(r"[-._\w]+", "<NAME>");
    assert_eq!(errors(&stated), Vec::<String>::new());
}

#[test]
fn an_alphabet_that_takes_the_hostile_text_is_told_to_be_narrower() {
    let found = errors(&set("ftpd", r"^Login of .*? from <ADDR>(?: .*)?$"));
    assert!(found[0].contains("`.*?` was filled with `") && found[0].contains("holds less"), "{found:?}");
}

#[test]
fn a_field_may_not_hold_the_address() {
    let mut hidden = set("ftpd", "^<X>$");
    hidden.fields = vec![("X".into(), ".*from (?P<ADDR>[0-9.]+)(?: .*)?".into())];
    assert!(errors(&hidden)[0].contains("write <ADDR>"), "{:?}", errors(&hidden));
}

/// A raw line may be as long as its peer likes; only a cut that somebody stated is a reason to doubt it.
#[test]
fn raw_lines_are_not_cut_by_syslogs_limits() {
    let pattern = r"^error: user <USER> refused, client <ADDR>, request .*$";
    let mut raw = RuleSet { format: Format::Raw, programs: Vec::new(), ..set("x", pattern) };
    raw.fields = vec![("USER".into(), "[^,]*".into())];
    let head = "error: user root refused, client 192.0.2.7, request ";
    let named = |set: &RuleSet, length: usize| {
        let line = format!("{head}{}", "a".repeat(length - head.len()));
        let (compiled, record) = (Compiled::new(set).unwrap(), crate::record::parse(line.as_bytes()));
        let found =
            super::matcher::find_in(set, &compiled, &mut Scratch::default(), line.as_bytes(), &record);
        found.and_then(|found| found.address).is_some()
    };
    for length in [220, 300, 400, 460, 499, 500, 1000, 1500, 8000] {
        assert!(named(&raw, length), "{length}");
    }
    let behind = RuleSet { message_limit: Some(400), ..raw.clone() };
    let before = set("x", r"^error: user <USER> refused, client <ADDR>$").rules;
    let behind = RuleSet { rules: before, ..behind };
    let line = format!("error: user {} refused, client 192.0.2.7", "a".repeat(400));
    let found = Compiled::new(&behind).unwrap().find(&mut Scratch::default(), line.as_bytes(), false);
    assert_eq!(found.map(|found| found.address), Some(None), "a stated limit holds");
}

#[test]
fn sshds_own_cut_is_known_in_raw_sets_and_in_its_family() {
    let pattern = r"^\w{3} [ \d]\d \d\d:\d\d:\d\d \w+ sshd\[\d+\]: closed by <USER> <ADDR> port \d+$";
    let mut raw = RuleSet { format: Format::Raw, programs: Vec::new(), ..set("x", pattern) };
    raw.samples = vec![super::super::model::Sample {
        line: "Nov 22 14:38:31 gw sshd[1]: closed by x 192.0.2.7 port 22".into(),
        rule: Some("tried".into()),
        address: Some([192, 0, 2, 7].into()),
    }];
    for limit in [None, Some(2000)] {
        raw.message_limit = limit;
        assert!(errors(&raw)[0].contains("sshd cuts its messages at 500 bytes"), "{limit:?}");
    }
    raw.message_limit = Some(500);
    assert_eq!(errors(&raw), Vec::<String>::new());
    let family =
        RuleSet { message_limit: Some(2000), ..set("sftp-server", "^closed by <USER> <ADDR> port \\d+$") };
    assert!(errors(&family)[0].contains("sshd cuts its messages at 500 bytes"));
}
