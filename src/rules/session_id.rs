//! `<SESSION>`: what a program prints to tell its connections or jobs apart, such as a queue id or `conn=1001`.
//!
//! A peer that could choose the id would put its lines into another peer's session. As with the address, a rule in force
//! is proven to read only the id that was printed ([`super::proof`]), so that any way of finding it gives the same
//! result.

use regex_automata::meta;
use regex_syntax::hir::{Hir, HirKind};

use super::model::{Rule, RuleSet};
use super::pattern;
use super::regex;

/// Length limit of an id in bytes: session keys are made of it.
pub(super) const MAX_LENGTH: usize = 128;

const NESTED: &str = "<SESSION> stands in a group with `?`, `|` or a repetition: write it in the pattern's own row, as in `^conn=<SESSION> `";
const TWICE: &str = "the pattern has more than one <SESSION>: a line belongs to one session only";

/// Finds the id in messages that the rule matches; `None` if its pattern has no `<SESSION>`.
pub(super) fn finder(set: &RuleSet, rule: &Rule) -> Option<meta::Regex> {
    let is_named = rule.enabled && rule.pattern.contains(pattern::SESSION);
    is_named.then(|| regex::finder(set, rule, pattern::is_session_group))?
}

/// Whether a text can be an id.
pub(super) fn is_id(text: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&text.len())
}

/// The id in a complete message that the rule of this finder matches.
pub(super) fn find<'m>(finder: &meta::Regex, message: &'m [u8]) -> Option<&'m [u8]> {
    regex::group(finder, message).filter(|id| is_id(id))
}

/// Why a rule's pattern cannot have an id; `None` if it can, or has none.
pub(super) fn fault(hir: &Hir) -> Option<&'static str> {
    let row =
        if let HirKind::Concat(subs) = hir.kind() { subs.as_slice() } else { std::slice::from_ref(hir) };
    match row.iter().filter(|part| names_session(part)).collect::<Vec<_>>().as_slice() {
        [] => None,
        [part] if pattern::is_session(part) => None,
        [_] => Some(NESTED),
        _ => Some(TWICE),
    }
}

fn names_session(hir: &Hir) -> bool {
    pattern::is_session(hir) || hir.kind().subs().iter().any(names_session)
}

#[cfg(test)]
mod tests {
    use super::super::proof::tests::set;
    use super::*;

    fn found(pattern: &str, message: &str) -> Option<String> {
        let set = set("app", pattern);
        let finder = finder(&set, &set.rules[0]).unwrap();
        find(&finder, message.as_bytes()).map(|id| String::from_utf8(id.to_vec()).unwrap())
    }

    #[test]
    fn an_id_is_found_wherever_it_stands() {
        for (pattern, message, id) in [
            (
                r"^conn=<SESSION> fd=\d+ ACCEPT from IP=<ADDR>:\d+$",
                "conn=1001 fd=12 ACCEPT from IP=192.0.2.7:42",
                "1001",
            ),
            (r"^<SESSION>: client=.*\[<ADDR>\]$", "3F2A19C0: client=x[2001:db8::7]", "3F2A19C0"),
            (
                r"^login failed: user=<USER>, session=[<]<SESSION>>$",
                "login failed: user=x, session=<Ab1>",
                "Ab1",
            ),
            (r"^<SESSION>$", "x", "x"),
        ] {
            assert_eq!(found(pattern, message).as_deref(), Some(id), "{pattern}");
        }
    }

    #[test]
    fn an_id_has_a_greatest_length() {
        let longest = "7".repeat(MAX_LENGTH);
        assert_eq!(found("^<SESSION> failed$", &format!("{longest} failed")), Some(longest.clone()));
        assert_eq!(found("^<SESSION> failed$", &format!("{longest}7 failed")), None);
    }

    #[test]
    fn an_id_stands_once_and_in_the_patterns_own_row() {
        let fault = |pattern: &str| fault(&pattern::read(pattern, &[]).unwrap());
        assert_eq!(fault("^no id <ADDR>$"), None);
        assert_eq!(fault("^<SESSION> <ADDR>$"), None);
        for nested in ["^a(?: <SESSION>)? <ADDR>$", "^(?:a <SESSION>|b) <ADDR>$", "^(?:a <SESSION> )+<ADDR>$"]
        {
            assert_eq!(fault(nested), Some(NESTED), "{nested}");
        }
        assert_eq!(fault("^<SESSION> and <SESSION>$"), Some(TWICE));
        let own = pattern::read("^conn=(?P<SESSION>[0-9]+) <ADDR>$", &[]).unwrap_err();
        assert!(own.text.contains("write <SESSION>") && own.at == 6, "{own:?}");
    }
}
