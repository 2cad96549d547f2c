//! The id at `<SESSION>`: a peer that could choose it would put its failures into the session of another, or name itself
//! the peer of that session.

use super::super::super::model::{AddressFrom, Effect, Rule, RuleSet};
use super::{errors, set};

/// A set of these rules: id, pattern, and whether it names the peer itself.
fn sessions(alphabet: Option<&str>, patterns: &[&str]) -> RuleSet {
    let mut sessions = set("app", "^x$");
    sessions.fields = vec![("NAME".into(), "[^ ]*".into())];
    sessions.fields.extend(alphabet.map(|alphabet| ("SESSION".into(), alphabet.into())));
    sessions.rules = patterns.iter().enumerate().map(|(number, pattern)| rule(number, pattern)).collect();
    sessions
}

fn rule(number: usize, pattern: &str) -> Rule {
    let names_peer = pattern.contains("<ADDR>") || pattern.contains("<HOST>");
    let is_tied = pattern.contains("<SESSION>");
    Rule {
        id: format!("r{number}"),
        effect: if names_peer || !is_tied { Effect::Ignore } else { Effect::Offence },
        address: if names_peer || !is_tied { AddressFrom::Line } else { AddressFrom::Session },
        ..set("app", pattern).rules.remove(0)
    }
}

const ACCEPT: &str = "^conn=<SESSION> accept from <ADDR>$";

#[test]
fn everyday_patterns_with_an_id_are_proven() {
    for (program, alphabet, patterns) in [
        (
            "postfix",
            Some("[0-9A-F]{6,12}|[0-9A-Za-z]{12,20}"),
            [r"^<SESSION>: client=.*\[<ADDR>\]$", r"^<SESSION>: reject: .*$"],
        ),
        ("postfix", None, [r"^<SESSION>: client=<NAME>\[<HOST>\]$", r"^<SESSION>: removed$"]),
        (
            "openldap",
            None,
            [
                r"^conn=<SESSION> fd=\d+ ACCEPT from IP=<ADDR>:\d+ .*$",
                r"^conn=<SESSION> op=\d+ RESULT tag=97 err=49 text=.*$",
            ],
        ),
        (
            "exim",
            Some("[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}"),
            [r"^<SESSION> H=<NAME> \[<ADDR>\] .*$", r"^<SESSION> rejected .*$"],
        ),
        ("dovecot", None, [r"^login failed: user=[<]<NAME>>, session=[<]<SESSION>>$", ACCEPT]),
        ("app", Some("[a-c]{2}"), [ACCEPT, "^conn=<SESSION> failed: <USER>$"]),
    ] {
        let found = errors(&sessions(alphabet, &patterns));
        assert_eq!(found, Vec::<String>::new(), "{program}: {patterns:?}");
    }
}

/// The line, the id of its session, and the one that is read.
#[test]
fn a_line_that_joins_another_session_is_shown() {
    for (patterns, line, own, other) in [
        (
            &[ACCEPT, r"^login \S+ conn=<SESSION> failed(?: .*)?$"][..],
            "login x conn=1002 failed conn=1001 failed",
            "1001",
            "1002",
        ),
        (
            &[
                r"^login (?:\w+ )?for \S+ on conn=<SESSION> failed(?:, .*)?$",
                r"^login for <USER> on conn=<SESSION> refused$",
            ],
            "login for  on conn=1001 failed, on conn=1002 refused",
            "1001",
            "1002",
        ),
        (&["^failed <SESSION><USER>$"], "failed xx", "x", "xx"),
        // Found by brute force: the ids must be short.
        (
            &[r"^failed (?:.?.?.? from )?<SESSION> from \w+ failed$"],
            "failed x from 0 from x failed",
            "x",
            "0",
        ),
        (&["^failed .*<SESSION>$"], "failed xx", "xx", "x"),
    ] {
        let found = errors(&sessions(None, patterns));
        let told = format!("session `{own}`, and the rule takes it for one of session `{other}`: ");
        assert!(
            found.iter().any(|text| text.contains(&told) && text.contains(line)),
            "{patterns:?}: {found:?}"
        );
    }
}

/// A line without an id is of no session, whatever a peer wrote into it.
#[test]
fn a_line_without_an_id_must_not_be_read_as_one_with_it() {
    let found = errors(&sessions(None, &["^login of guest in conn=<SESSION> failed$", "^login of <USER>$"]));
    let told = "in which the program names none, and the rule takes it for one of session `1002`: ";
    assert!(found.len() == 1 && found[0].contains(told), "{found:?}");
    assert!(found[0].contains("login of guest in conn=1002 failed (rule `r1` describes it)"), "{found:?}");
    let guarded = sessions(None, &["^login of <USER>$", "^login of guest in conn=<SESSION> failed$"]);
    assert_eq!(errors(&guarded), Vec::<String>::new(), "the rule before takes the line");
}

/// Nor may a peer name itself the peer of another's session.
#[test]
fn a_line_that_names_its_peer_is_proven_as_well() {
    let found = errors(&sessions(None, &[r"^hello <ADDR> as \w+ on conn=<SESSION>(?: .*)?$"]));
    assert!(found.iter().any(|text| text.contains("takes it for one of session `1002`")), "{found:?}");
}

#[test]
fn the_claim_with_which_the_id_is_proven_is_named() {
    let pattern = r"^login \S+ conn=<SESSION> failed(?: .*)?$";
    let found = errors(&sessions(None, &[pattern]));
    assert!(found[0].contains(r"cannot hold such words: state `fields: {"), "{found:?}");
    let stated = pattern.replace(r"\S+", "<NAME>");
    assert_eq!(errors(&sessions(None, &[&stated])), Vec::<String>::new());
}

/// Lines of which no rule knows may end in any words of a peer's.
#[test]
fn a_line_of_a_session_begins_with_words_of_the_program() {
    for pattern in [r"^.* conn=<SESSION> failed$", r"^(?:\w+ )?login on conn=<SESSION> failed$"] {
        let found = errors(&sessions(None, &[pattern]));
        assert!(found[0].contains("begins with"), "{pattern}: {found:?}");
    }
    let mut of_process = set("app", "^.* failed$");
    of_process.rules[0].address = AddressFrom::Session;
    assert!(errors(&of_process)[0].contains("begins with `.*`"), "{:?}", errors(&of_process));
}
