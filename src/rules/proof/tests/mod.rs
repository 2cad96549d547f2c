//! The classic mistakes of log blockers, each one refused by the proof, and the good forms that pass it.

mod brute_force;
mod brute_sets;
mod delivered;
mod remedies;
mod sessions;
mod spellings;
mod truncated;

use super::super::check::check;
use super::super::compile::Compiled;
use super::super::model::{AddressFrom, Counts, Effect, Fault, Format, Rule, RuleSet, Severity};
use super::super::weight::Weight;

/// A set of one rule.
pub(in crate::rules) fn set(program: &str, pattern: &str) -> RuleSet {
    let rule = Rule {
        id: "tried".into(),
        pattern: pattern.into(),
        json: None,
        effect: Effect::Offence,
        weight: Weight::ONE,
        counts: Counts::Session,
        address: AddressFrom::Line,
        unless: Vec::new(),
        message_limit: None,
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
        ("a run without a repetition", r"^Failed for \w\w?\w?\w?\w?\w?\w?\w? from <ADDR> reason .*$"),
        ("a run of fixed length", r"^Failed for \w{8} from <ADDR> reason .*$"),
        ("letters in alternatives", r"^Failed for (?:\w|\w\w|\w\w\w) from <ADDR> reason .*$"),
        ("two optional parts", r"^failed(?: for \S+)? (?:from|by) <ADDR>(?: \(.*\))?$"),
        ("text behind the address", r#"^user "<USER>" failed, client <ADDR>, agent "[^"]*"$"#),
        ("a run of hexadecimal digits", r"^session [0-9a-f]{16} from <ADDR>(?: .*)?$"),
        ("the last of many branches", MANY_BRANCHES),
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
        (r"^<ADDR> to <HOST>$", "can have more than one <ADDR>"),
        (r"^(?:a{900}){900} <ADDR>$", "pattern is too large"),
        (r"^(?:(?:(?:a{1000}){1000}){1000}){1000}<USER> from <ADDR>$", "pattern is too large"),
        (r"^Failed \w+(?m:$| )from <ADDR>$", "the flag `m` is not supported"),
        (r"^(?u:Failed) for <ADDR>$", "the flag `u` is not supported"),
        (r"(?R)^Failed for <ADDR>$", "the flag `R` is not supported"),
        (r"^(?:<ADDR> )+$", "stands in a repetition"),
        (r"^\w+ .*from <ADDR>$", "begins with `\\w+`, which takes any text"),
        (r"^(?:\S+ )+from <ADDR>$", "begins with `\\S+`"),
        (r"^[^!a]+ from <ADDR>$", "begins with `[^!a]+`"),
        (r"^[0-9a-f]{16} failed from <ADDR>$", "begins with `[0-9a-f]{16}`"),
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

/// What does not fit into the first so many examples is looked at all the same.
const MANY_BRANCHES: &str = "^(?:w0|w1|w2|w3|w4|w5|w6|w7|w8|w9|w10|w11|w12|w13|w14|w15|w16|w17|w18|w19|w20|w21|w22|w23|w24|\
                             w25|w26|w27|w28|w29|w30|w31|w32|w33|w34|w35|w36|w37|w38|w39|w40|w41|w42|w43|w44|w45|w46|w47|\
                             w48|w49|w50|w51|w52|w53|w54|w55|w56|w57|w58|w59) failed(?: for \\S+)? from <ADDR> .*$";

#[test]
fn good_forms_pass() {
    for pattern in [
        r"^Failed password for <USER> from <ADDR> port \d{1,5} ssh2$",
        r"^refused <ADDR>: .*$",
        r"^\[<ADDR>\] said .*$",
        r"^user [^ ]+ from <ADDR>$",
        r"^ROOT LOGIN REFUSED FROM <ADDR> port \d+$",
        r"^PREGREET \d+ after [\d.]+ from \[<ADDR>\]:\d+: .*$",
        r"^Access denied for <ADDR>\.?$",
        r"^client <ADDR_PORT>(?:: .*)?$",
        r"^login failed from <ADDR_PORT>$",
        r"^(?:from <ADDR>|by host <ADDR>) .*$",
        r"^(?i)failed for \w+ from <ADDR>$",
        r"^\w{3} \w{3} [ \d]\d \d{2}:\d{2}:\d{2} \d{4} \[pid \d+\] FAIL: Client <ADDR>$",
        r"^\[?[A-Z][a-z]+ +\d+ \d+:\d+:\d+\]? login failed from <ADDR>$",
        r"^<TIME> login failed from <ADDR>$",
        r"^\w{3} +\d{1,2} (?:\d\d:){2}\d\d (?:error: )?client <ADDR>: .*$",
    ] {
        assert_eq!(errors(&set("ftpd", pattern)), Vec::<String>::new(), "{pattern}");
    }
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
fn a_refusal_names_the_claim_with_which_the_rule_is_proven() {
    let bare = set("app", r#"^user "<USER>" failed, client <ADDR>, agent "[^"]*"$"#);
    let faults = check(&bare, &[]);
    let fault = faults.iter().find(|fault| fault.severity == Severity::Error).unwrap();
    let under_the_caret = bare.rules[0].pattern.get(fault.offset..fault.offset + 5);
    assert_eq!(under_the_caret, Some(r#"[^"]*"#));
    for part in [
        r#"`[^"]*` cannot hold"#,
        r#"state `fields: {TEXT: '[^"]*'}`"#,
        r#"and `pattern: '^user "<USER>" failed, client <ADDR>, agent "<TEXT>"$'`"#,
        "these are claims",
    ] {
        assert!(fault.text.contains(part), "{}", fault.text);
    }
    let mut stated = bare;
    stated.fields = vec![("TEXT".into(), r#"[^"]*"#.into())];
    stated.rules[0].pattern = stated.rules[0].pattern.replace(r#"[^"]*"#, "<TEXT>");
    assert_eq!(errors(&stated), Vec::<String>::new());
}

/// Found by brute force: the shortest line has the same address twice.
#[test]
fn the_line_that_is_shown_has_two_addresses() {
    let found = errors(&set("app", r#"^failed [^"]*"<ADDR>".?.?.?$"#));
    assert!(
        found[0].contains(r#"finds 203.0.113.66 in it"#) && found[0].contains("a peer at :: "),
        "{found:?}"
    );
}

#[test]
fn all_claims_that_are_needed_are_named_at_once() {
    let pattern =
        r#"^user "<USER>": mismatch, client: <ADDR>, server: \S*, request: "[^"]*"(?:, referrer: "[^"]*")?$"#;
    let found = errors(&set("app", pattern));
    let claims = r#"{SERVER: '\S*', REQUEST: '[^"]*', REFERRER: '[^"]*'}"#;
    let pattern = r#"server: <SERVER>, request: "<REQUEST>"(?:, referrer: "<REFERRER>")?$'`"#;
    assert!(found[0].contains(claims) && found[0].contains(pattern), "{}", found[0]);
}

#[test]
fn an_alphabet_that_takes_any_text_is_told_to_be_narrower() {
    let found = errors(&set("ftpd", r"^Login of <USER> from <ADDR>(?: .*)?$"));
    assert!(found[0].contains("USER: '[^ ]*'"), "{found:?}");
    let mut wide = set("ftpd", r"^<LEAD>Failed for x from <ADDR>$");
    wide.fields = vec![("LEAD".into(), "(?:[^:]*: )*".into())];
    assert!(errors(&wide)[0].contains("begins with `<LEAD>`, which can hold the words that follow it"));
    wide.fields = vec![("LEAD".into(), r"\[[^\]]*\] ".into())];
    assert_eq!(errors(&wide), Vec::<String>::new());
}

#[test]
fn an_address_without_a_certain_end_is_refused_and_the_other_placeholder_named() {
    let found = errors(&set("app", r"^login failed from <ADDR>(?::\d+)?$"));
    assert!(found[0].contains("2001:db8::7") && found[0].contains("write <ADDR_PORT>"), "{found:?}");
}

#[test]
fn a_field_may_not_hold_the_address() {
    let mut hidden = set("ftpd", "^<X>$");
    hidden.fields = vec![("X".into(), ".*from (?P<ADDR>[0-9.]+)(?: .*)?".into())];
    assert!(errors(&hidden)[0].contains("write <ADDR>"), "{:?}", errors(&hidden));
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

fn warnings(set: &RuleSet) -> Vec<String> {
    let found = check(set, &[]).into_iter().filter(|fault| fault.severity == Severity::Warning);
    found.map(|fault| fault.text).filter(|text| !text.contains("has no sample")).collect()
}

/// Two rules, the first with an effect of its own.
fn pair(first: (&str, Effect), second: (&str, Effect)) -> RuleSet {
    let mut pair = set("ftpd", first.0);
    let other = set("ftpd", second.0).rules.remove(0);
    pair.rules[0].effect = first.1;
    pair.rules.push(Rule { id: "second".into(), effect: second.1, ..other });
    pair
}

#[test]
fn a_failed_login_that_can_be_read_as_a_login_is_an_error() {
    let fooled = pair(
        (r"^login (?:.* )?ok for <USER> from <ADDR>$", Effect::Trust),
        (r"^login failed for <USER> from <ADDR>$", Effect::Offence),
    );
    assert!(errors(&fooled)[0].contains("a failed attempt can be read as a login"), "{:?}", errors(&fooled));
    let sound = pair(
        (r"^login ok for <USER> from <ADDR>$", Effect::Trust),
        (r"^login failed for <USER> from <ADDR>$", Effect::Offence),
    );
    assert_eq!(errors(&sound), Vec::<String>::new());
}

/// What is missing at its end may say that it failed; and who is refused is not trusted because refusals do not count here.
#[test]
fn a_login_is_not_read_out_of_a_cut_message_nor_out_of_an_offence_that_is_disabled() {
    let mut cut = pair(
        (r"^login ok from <ADDR> for <NAME>$", Effect::Trust),
        (r"^login ok from <ADDR> for <USER> denied by policy$", Effect::Offence),
    );
    cut.fields.push(("NAME".into(), r"\S+".into()));
    assert_eq!(errors(&cut), Vec::<String>::new());
    let compiled = Compiled::new(&cut).unwrap();
    let login = format!("login ok from 192.0.2.7 for {}", "x".repeat(80));
    let found = |is_cut| compiled.find(login.as_bytes(), is_cut).unwrap();
    assert_eq!((found(false).rule, found(false).address), (0, Some("192.0.2.7".parse().unwrap())));
    assert_eq!((found(true).rule, found(true).address), (0, None));

    let mut disabled =
        pair((r"^refused <ADDR> .*$", Effect::Offence), (r"^refused <ADDR> ok$", Effect::Trust));
    assert_eq!(errors(&disabled), Vec::<String>::new());
    disabled.rules[0].enabled = false;
    assert!(errors(&disabled)[0].contains("a failed attempt can be read as a login"));
}

/// Many programs begin each of their lines with the same signs, and no part of one alternative says how another begins.
#[test]
fn words_of_its_own_are_letters_in_each_alternative() {
    let named = |pattern, alphabet: &str| {
        let mut named = set("ftpd", pattern);
        named.fields.push(("NAME".into(), alphabet.into()));
        errors(&named)
    };
    for (pattern, alphabet) in [
        (r"^\[\d+\] .* from <ADDR>$", "[a-z]*"),
        (r"^<NAME>: .* from <ADDR>$", "[^:]*"),
        (r"^(?:<NAME>|\S+): failed from <ADDR>$", "[a-z]*"),
        (r"^(?:<NAME> \S+|x): failed from <ADDR>$", "[a-z]*"),
        (r"^\S+ \+\d{4} from <ADDR> .*$", "[a-z]*"),
    ] {
        let found = named(pattern, alphabet);
        assert!(found.iter().any(|text| text.contains("begins with")), "{pattern}: {found:?}");
    }
    for (pattern, alphabet) in [
        (r"^\[\d+\] refused .* from <ADDR>$", "[a-z]*"),
        (r"^<NAME>: login failed from <ADDR>$", "[a-z]*"),
        (r"^(?:<NAME>|\d+): login failed from <ADDR>$", "[a-z]*"),
        (r"^\[\S+ \d\d:\d\d:\d\d \+\d{4}\] refused <ADDR> .*$", "[a-z]*"),
    ] {
        assert_eq!(named(pattern, alphabet), Vec::<String>::new(), "{pattern}");
    }
}

#[test]
fn what_hides_an_offence_or_is_never_reached_gets_a_warning() {
    let hidden = pair(
        (r"^.*session (?:opened|closed).*$", Effect::Ignore),
        (r"^login failed for <USER> from <ADDR>$", Effect::Offence),
    );
    assert!(warnings(&hidden)[0].contains("this rule hides what rule `second` counts"));
    let in_order = pair(
        (r"^login failed for <USER> from <ADDR>$", Effect::Offence),
        (r"^.*session (?:opened|closed).*$", Effect::Ignore),
    );
    assert_eq!(warnings(&in_order), Vec::<String>::new());
    let unreached = pair(
        (r"^login failed for <USER> from <ADDR>$", Effect::Offence),
        (r"^login failed for ro+t from <ADDR>$", Effect::Offence),
    );
    assert!(warnings(&unreached)[0].contains("rule `second` is never reached"), "{:?}", warnings(&unreached));
}

/// The first rule that matches is the only one that reads a line.
#[test]
fn a_rule_is_safe_from_lines_that_rules_before_it_take() {
    let guarded =
        pair((r"^quit by <USER>$", Effect::Ignore), (r"^quit by guest from <ADDR>$", Effect::Offence));
    assert_eq!(errors(&guarded), Vec::<String>::new());
    let mut switched_off = guarded;
    switched_off.rules[0].enabled = false;
    assert!(errors(&switched_off)[0].contains("rule `tried` describes it"), "{:?}", errors(&switched_off));
}

/// What keeps a rule from matching keeps it from being fooled.
#[test]
fn a_veto_is_part_of_what_a_rule_reads() {
    let mut vetoed = set("app", r"^failed for \w+ from <ADDR>(?: .*)?$");
    assert!(!errors(&vetoed).is_empty());
    vetoed.rules[0].unless = vec!["from .* from".into()];
    assert_eq!(errors(&vetoed), Vec::<String>::new());
    let guarded =
        pair((r"^quit by <USER>$", Effect::Ignore), (r"^quit by guest from <ADDR>$", Effect::Offence));
    let mut lifted = guarded.clone();
    lifted.rules[0].unless = vec!["guest".into()];
    assert_eq!(errors(&guarded), Vec::<String>::new());
    assert!(errors(&lifted)[0].contains("can be fooled"), "the rule before does not take the line");
}

/// The example of SECURITY.md: a cut end is the attacker's, wherever it comes.
#[test]
fn what_is_true_of_whole_messages_must_be_true_of_cut_ones() {
    let mut rules = pair(
        (r"^closed by <USER> port \d+ at <ADDR>$", Effect::Offence),
        (r"^closed by <ADDR> .*$", Effect::Offence),
    );
    rules.fields = vec![("USER".into(), "[^:]*".into())];
    let found = errors(&rules);
    assert!(found.iter().any(|text| text.contains("if its end is cut off")), "{found:?}");
}

#[test]
fn a_rule_names_a_peer_beside_text_that_could_belong_to_an_address() {
    let set = set("ftpd", r"^Access denied for <ADDR>\.?$");
    let compiled = Compiled::new(&set).unwrap();
    for text in ["192.0.2.7.", "192.0.2.7", "2001:db8::7."] {
        let found = compiled.find(format!("Access denied for {text}").as_bytes(), false).unwrap();
        assert_eq!(found.address.unwrap().to_string(), text.trim_end_matches('.'), "{text}");
    }
}

#[test]
fn a_thousand_rules_are_decided() {
    let mut many = set("app", "^x$");
    many.rules.clear();
    for number in 0..1000 {
        let pattern = format!(r"^Failed for <USER> in room {number} from <ADDR> port \d+$");
        let rule = set("app", &pattern).rules.remove(0);
        many.rules.push(Rule { id: format!("rule-{number}"), ..rule });
    }
    assert_eq!(errors(&many), Vec::<String>::new());
}

/// Whatever the rules are, an answer comes, and doubt is a refusal.
#[test]
fn what_takes_too_much_work_is_refused_with_a_sentence() {
    let mut heavy = set("app", "^x$");
    heavy.rules.clear();
    for number in 0..400 {
        let pattern = format!(r"^a .{{0,400}} .{{0,400}} .{{0,400}} {number} <ADDR> .{{0,400}}$");
        let rule = set("app", &pattern).rules.remove(0);
        heavy.rules.push(Rule { id: format!("rule-{number}"), ..rule });
    }
    assert!(!errors(&heavy).is_empty());
}
