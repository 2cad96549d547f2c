//! What a refusal tells an author to write makes the rule sound when it is written so, to the letter.

use super::super::super::check::check;
use super::super::super::model::{Effect, Rule, RuleSet, Sample};
use super::{errors, pair, set};

/// The set as its author has it after a refusal: with the `fields` it names, and the pattern it shows for the only rule.
fn followed(set: &RuleSet, refusal: &str) -> RuleSet {
    let mut followed = set.clone();
    let fields = between(refusal, "`fields: {", "'}`").expect(refusal);
    for field in fields.split("', ") {
        let (name, alphabet) = field.split_once(": '").unwrap();
        let alphabet = alphabet.trim_end_matches('\'').replace("''", "'");
        followed.fields.retain(|(known, _)| known != name);
        followed.fields.push((name.to_owned(), alphabet));
    }
    if let Some(pattern) = between(refusal, "`pattern: '", "'`") {
        followed.rules[0].pattern = pattern.replace("''", "'");
    }
    followed
}

fn between<'t>(text: &'t str, before: &str, behind: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(behind).map(|(inside, _)| inside)
}

/// A set of one rule with a message that it must take.
fn tested(program: &str, pattern: &str, message: &str) -> RuleSet {
    RuleSet { samples: vec![sample(program, message)], ..set(program, pattern) }
}

fn sample(program: &str, message: &str) -> Sample {
    Sample {
        line: format!("Nov 22 14:38:31 gw {program}[4711]: {message}"),
        rule: Some("tried".into()),
        address: Some([192, 0, 2, 7].into()),
    }
}

/// Messages of programs that everybody runs, with the patterns that people write for them.
const EVERYDAY: [(&str, &str, &str); 13] = [
    (
        "dovecot",
        "imap-login: Disconnected (auth failed, 3 attempts in 8 secs): user=<anna>, method=PLAIN, rip=192.0.2.7, \
         lip=198.51.100.1, TLS, session=<abc>",
        r"^(?:imap|pop3)-login: Disconnected.*\(auth failed, \d+ attempts in \d+ secs\): user=[<]<USER>>, method=\w+, rip=<ADDR>, lip=\S+, .*$",
    ),
    (
        "dovecot",
        "auth-worker(123): pam(anna,192.0.2.7): pam_authenticate() failed: Authentication failure",
        r"^auth-worker\(\d+\): pam\(<USER>,<ADDR>\): pam_authenticate\(\) failed: .*$",
    ),
    (
        "postfix/smtpd",
        "warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
        r"^warning: \S+\[<ADDR>\]: SASL \w+ authentication failed: .*$",
    ),
    (
        "exim",
        "login authenticator failed for (ylmf-pc) [192.0.2.7]: 535 Incorrect authentication data (set_id=anna)",
        r"^\w+ authenticator failed for \(\S+\) \[<ADDR>\]: 535 Incorrect authentication data \(set_id=<USER>\)$",
    ),
    (
        "proftpd",
        "gw (192.0.2.7[192.0.2.7]) - USER anna (Login failed): Incorrect password",
        r"^\S+ \(\S+\[<ADDR>\]\) - USER <USER> \(Login failed\): .*$",
    ),
    (
        "openvpn",
        "anna/192.0.2.7:1194 TLS Auth Error: Auth Username/Password verification failed for peer",
        r"^\S+/<ADDR>:\d+ TLS Auth Error: .*$",
    ),
    (
        "asterisk",
        "NOTICE[123]: res_pjsip.c: Request 'REGISTER' from '<sip:1@x>' failed for '192.0.2.7:5060' (callid: abc) - Failed \
         to authenticate",
        r"^NOTICE\[\d+\]: \S+: Request '\w+' from '.*' failed for '<ADDR>:\d+' \(callid: .*\) - Failed to authenticate$",
    ),
    (
        "gitea",
        "...web/auth/auth.go:231:SignInPost() [I] Failed authentication attempt for anna from 192.0.2.7:3000: no such user",
        r"^\S+ \[I\] Failed authentication attempt for <USER> from <ADDR>:\d+: .*$",
    ),
    (
        "cyrus/imaps",
        "badlogin: host.example [192.0.2.7] plaintext anna SASL(-13): authentication failure: checkpass failed",
        r"^badlogin: \S+ \[<ADDR>\] \w+ <USER> SASL\(-13\): authentication failure: .*$",
    ),
    (
        "sm-mta",
        "ruleset=check_rcpt, arg1=<x@y>, relay=[192.0.2.7], reject=550 5.7.1 <x@y>... Relaying denied",
        r"^ruleset=check_rcpt, arg1=[<].*>, relay=(?:\S+ )?\[<ADDR>\], reject=550 5\.7\.1 .*$",
    ),
    (
        "smtpd",
        "9a1b2c3d4e5f6071 smtp authentication user=anna address=192.0.2.7 host=x.y result=permfail",
        r"^[0-9a-f]{16} smtp authentication user=<USER> address=<ADDR> host=\S+ result=permfail$",
    ),
    (
        "ejabberd",
        "(<0.123.0>) Failed c2s PLAIN authentication for anna@x from 192.0.2.7: Invalid username or password",
        r"^\(\S+\) Failed c2s \w+ authentication for <USER> from <ADDR>: .*$",
    ),
    (
        "stunnel",
        "LOG3[12]: SSL_accept: error from 192.0.2.7:443: Peer suddenly disconnected",
        r"^LOG\d\[\d+\]: SSL_accept: .* from <ADDR>:\d+: .*$",
    ),
];

#[test]
fn everyday_patterns_are_proven_after_one_round() {
    for (program, message, pattern) in EVERYDAY {
        let refused = tested(program, pattern, message);
        let found = errors(&refused);
        assert_eq!(found.len(), 1, "{pattern}: {found:?}");
        assert!(
            found[0].ends_with("the rule is proven; these are claims about what the program prints"),
            "{found:?}"
        );
        assert!(!found[0].contains(": '.*'"), "a claim of any text says nothing: {found:?}");
        let followed = followed(&refused, &found[0]);
        assert_eq!(errors(&followed), Vec::<String>::new(), "{pattern}: {}", found[0]);
        let is_same = followed.rules[0].pattern == pattern;
        assert!(!is_same || !found[0].contains("`pattern:"), "only a new pattern is shown: {found:?}");
    }
}

#[test]
fn raw_lines_are_proven_after_one_round() {
    for pattern in [
        r#"^<TIME> \[error\] .* user ".*" was not found in ".*", client: <ADDR>, server: .*$"#,
        r"^\[.*\] \[error\] \[client <ADDR>\] user .* not found: .*$",
        r"^<TIME> \d+ \[\w+\] Access denied for user '<USER>'@'<ADDR>' \(using password: (?:YES|NO)\)$",
    ] {
        let refused = RuleSet { format: super::Format::Raw, programs: Vec::new(), ..set("x", pattern) };
        let found = errors(&refused);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(errors(&followed(&refused, &found[0])), Vec::<String>::new(), "{}", found[0]);
    }
}

#[test]
fn a_pattern_that_begins_with_any_text_is_told_all_claims_at_once() {
    let refused = set("exim", r"^\w+ failed for \(\S+\) \[<ADDR>\]: .*$");
    let found = errors(&refused);
    let advice = r"match; state `fields: {TEXT: '\w+', TEXT_2: '\S+'}` and `pattern: '^<TEXT> failed for \(<TEXT_2>\) \[<ADDR>\]: .*$'`, and the rule is proven";
    assert!(found[0].contains(r"begins with `\w+`") && found[0].contains(advice), "{}", found[0]);
}

/// Of a group of the author's own only what is in it is an alphabet.
#[test]
fn the_alphabet_of_a_group_is_what_stands_in_it() {
    let refused = set("app", r"^failed for (?P<WHO>(?:\S+)) from <ADDR>(?: .*)?$");
    let found = errors(&refused);
    assert!(found[0].contains(r"state `fields: {TEXT: '\S+'}` (or `[^ ]*`"), "{}", found[0]);
    assert_eq!(errors(&followed(&refused, &found[0])), Vec::<String>::new());
}

#[test]
fn stretches_are_told_in_the_order_of_the_pattern_and_as_a_list() {
    let refused = set("app", r"^relay \(\S+\) failed \w+ for <USER> from <ADDR>: .*$");
    let found = errors(&refused);
    assert!(
        found[0].contains(r"nothing says that `\S+`, `\w+` and `<USER>` cannot hold such words"),
        "{}",
        found[0]
    );
}

/// A quote in a pattern is doubled, as YAML has it.
#[test]
fn what_is_to_be_written_stands_as_it_would_in_the_file() {
    let refused = set("app", r"^can't log '\S+' in from <ADDR> as .*$");
    let found = errors(&refused);
    assert!(found[0].contains("`pattern: '^can''t log ''<TEXT>'' in from <ADDR> as .*$'`"), "{}", found[0]);
}

/// Both refusals can be followed together: the same name is never given two alphabets.
#[test]
fn the_claims_of_several_refusals_agree() {
    let mut rules = pair(
        (r"^denied <USER> from <ADDR>: .*$", Effect::Offence),
        (r"^gave up on <USER>, <ADDR>, .*$", Effect::Offence),
    );
    let third = set("ftpd", r"^refused \S+ from <ADDR> \w+$").rules.remove(0);
    rules.rules.push(Rule { id: "third".into(), ..third });
    let found = errors(&rules);
    assert!(found[0].contains("`fields: {USER: '[^ ]*'}`"), "{}", found[0]);
    assert!(found[1].contains("`fields: {USER: '[^ ]*'}`"), "{}", found[1]);
    rules.fields = vec![("USER".into(), "[^ ]*".into())];
    let left = errors(&rules);
    assert!(left.iter().all(|text| text.contains("refused")), "{left:?}");
}

/// Of several refusals that speak of one rule the last shows the pattern with what all of them claim.
#[test]
fn refusals_of_one_rule_add_to_its_pattern() {
    let naive = pair(
        (r"^Login failed for \S+ from <ADDR> after .*$", Effect::Offence),
        (r"^Login failed for <USER> from <ADDR>$", Effect::Offence),
    );
    let mut naive =
        RuleSet { samples: vec![sample("ftpd", "Login failed for x from 192.0.2.7 after 3 tries")], ..naive };
    naive.rules.swap(0, 1);
    let found = errors(&naive);
    let first = r"of rule `tried` cannot hold such words: state `fields: {TEXT: '[^.:]*'}` and `pattern: '^Login failed for \S+ from <ADDR> after <TEXT>$'`";
    assert!(found[0].contains(first), "{}", found[0]);
    let second = r"state `fields: {TEXT_2: '\S+', TEXT: '[^.:]*'}` and `pattern: '^Login failed for <TEXT_2> from <ADDR> after <TEXT>$'`";
    assert!(found[1].contains(second), "{}", found[1]);
    naive.fields = followed(&naive, &found[1]).fields;
    let other = "`<USER>` of rule `second` cannot hold such words: state `fields: {USER: '[^ ]*'}`, and the rule is proven";
    assert!(found[1].contains(other), "{}", found[1]);
    naive.fields.push(("USER".into(), "[^ ]*".into()));
    naive.rules[1].pattern = "^Login failed for <TEXT_2> from <ADDR> after <TEXT>$".into();
    assert_eq!(errors(&naive), Vec::<String>::new());
}

/// Another rule's line may be shut out by what the rule itself reads.
#[test]
fn a_rule_is_told_what_keeps_other_rules_lines_out() {
    let rules =
        pair((r"^quit by <LAST>$", Effect::Ignore), (r"^quit by guest \S+ from <ADDR>$", Effect::Offence));
    let mut rules = RuleSet { fields: vec![("LAST".into(), ".*".into())], ..rules };
    rules.rules.swap(0, 1);
    let found = errors(&rules);
    assert!(found[0].contains("`<LAST>` of rule `tried` cannot hold such words"), "{}", found[0]);
    rules.fields = followed(&rules, &found[0]).fields;
    assert_eq!(errors(&rules), Vec::<String>::new());
}

#[test]
fn a_clash_of_two_sets_names_the_other_and_what_to_do() {
    let mine = set("app", r"^failed for guest from <ADDR>$");
    let mut other = RuleSet { name: "other".into(), ..set("app", r"^failed for <USER>$") };
    other.rules[0].effect = Effect::Ignore;
    let refusals = |other: &RuleSet| {
        let faults = check(&mine, &[other]).into_iter().map(|fault| fault.text);
        faults.filter(|text| text.contains("can be fooled")).collect::<Vec<_>>()
    };
    let found = refusals(&other);
    let advice = "nothing says that `<USER>` of rule `tried` in rule set `other` cannot hold such words: state in that set \
                  `fields: {USER: '[^ ]*'}`";
    assert!(found[0].contains(advice), "{}", found[0]);
    let healed = RuleSet { fields: vec![("USER".into(), "[^ ]*".into())], ..other.clone() };
    assert_eq!(refusals(&healed), Vec::<String>::new());
    other.samples = vec![Sample {
        line: "Nov 22 14:38:31 gw app[1]: failed for a, b: \"c\" from 192.0.2.8".into(),
        rule: Some("tried".into()),
        address: None,
    }];
    let found = refusals(&other);
    let advice = "no claim about rule `tried` of rule set `other` would help: put fixed text into this pattern that those lines \
                  cannot have, or use only one of the two sets";
    assert!(found[0].contains(advice), "{}", found[0]);
}
