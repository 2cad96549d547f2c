//! `<SESSION>`: what a program prints to tell its connections or jobs apart, such as a queue id or `conn=1001`.
//!
//! A peer that could choose the id would put its lines into the session of somebody else. So, as with the address, the
//! id is taken only where the message can be read in one way: all readings are looked at, whatever the pattern is.

use std::ops::Range;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, HirKind};

use super::model::{Rule, RuleSet};
use super::pattern::{self, SESSION};

/// A longer id is none: keys of sessions are made of it, and readings of it are tried one by one.
pub(super) const LONGEST: usize = 128;

/// For the automaton of one part; a person's pattern needs some kilobytes.
const PART_LIMIT: usize = 1 << 20;

/// Finds the id in a message that its pattern matches.
#[derive(Debug)]
pub(super) struct SessionId {
    before: dense::DFA<Vec<u32>>,
    id: dense::DFA<Vec<u32>>,
    /// Runs backwards.
    behind: dense::DFA<Vec<u32>>,
}

/// Why the pattern of a rule can have no id; `None` also where it names none.
pub(super) fn fault(hir: &Hir) -> Option<String> {
    names_session(hir).then(|| SessionId::of(hir).err()).flatten()
}

impl SessionId {
    /// The finder of a rule whose pattern has `<SESSION>`.
    pub(super) fn new(set: &RuleSet, rule: &Rule) -> Option<Self> {
        let is_named = rule.enabled && rule.pattern.contains("<SESSION>");
        is_named.then(|| Self::of(&pattern::read(&rule.pattern, &set.alphabets()).ok()?).ok())?
    }

    fn of(hir: &Hir) -> Result<Self, String> {
        let HirKind::Concat(subs) = hir.kind() else { return Err(NESTED.into()) };
        let is_named: Vec<usize> = (0..subs.len()).filter(|&at| names_session(&subs[at])).collect();
        let [at] = *is_named else { return Err(TWICE.into()) };
        if !is_session(&subs[at]) {
            return Err(NESTED.into());
        }
        Ok(Self {
            before: automaton(&Hir::concat(subs[..at].to_vec()), false)?,
            id: automaton(&subs[at], false)?,
            behind: automaton(&Hir::concat(subs[at + 1..].to_vec()), true)?,
        })
    }

    /// The id, if the message can be read in one way only.
    pub(super) fn find<'m>(&self, message: &'m [u8]) -> Option<&'m [u8]> {
        let begins = begins(&self.behind, message);
        let mut only: Option<Range<usize>> = None;
        for start in ends(&self.before, message) {
            let reach = message.len().min(start + LONGEST + 1);
            for end in ends(&self.id, &message[start..reach]).map(|end| start + end) {
                if begins[end] && only.replace(start..end).is_some() {
                    return None;
                }
            }
        }
        message.get(only?).filter(|id| (1..=LONGEST).contains(&id.len()))
    }
}

const NESTED: &str = "<SESSION> stands in a group with `?`, `|` or a repetition: write it in the pattern's own row, as in `^conn=<SESSION> `";
const TWICE: &str = "the pattern has more than one <SESSION>: a line belongs to one session only";

fn is_session(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Capture(capture) if capture.name.as_deref().map(pattern::placeholder_of) == Some(SESSION))
}

fn names_session(hir: &Hir) -> bool {
    is_session(hir) || hir.kind().subs().iter().any(names_session)
}

/// Where a part that begins at the beginning of the text can end.
fn ends<'a>(part: &'a dense::DFA<Vec<u32>>, text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    // Anchored starts are built and there are no quit bytes, so the start cannot fail.
    let mut state = part.start_state_forward(&Input::new(text).anchored(Anchored::Yes)).ok();
    (0..=text.len()).filter(move |&at| {
        let Some(now) = state.filter(|state| !part.is_dead_state(*state)) else { return false };
        // The automaton reports a match one byte late.
        let next = text.get(at).map_or_else(|| part.next_eoi_state(now), |&byte| part.next_state(now, byte));
        state = Some(next);
        part.is_match_state(next)
    })
}

/// Of each place whether a part that ends at the end of the text can begin there.
fn begins(part: &dense::DFA<Vec<u32>>, text: &[u8]) -> Vec<bool> {
    let mut begins = vec![false; text.len() + 1];
    let Ok(mut state) = part.start_state_reverse(&Input::new(text).anchored(Anchored::Yes)) else {
        return begins;
    };
    for at in (0..=text.len()).rev() {
        state = match at.checked_sub(1) {
            Some(before) => part.next_state(state, text[before]),
            None => part.next_eoi_state(state),
        };
        begins[at] = part.is_match_state(state);
    }
    begins
}

fn automaton(part: &Hir, backwards: bool) -> Result<dense::DFA<Vec<u32>>, String> {
    let large = |error: String| {
        format!("the pattern is too large to find <SESSION> in ({error}): use smaller repetitions")
    };
    let config = thompson::Config::new()
        .which_captures(WhichCaptures::None)
        .reverse(backwards)
        .utf8(false)
        .nfa_size_limit(Some(PART_LIMIT));
    let bare = pattern::without_captures(part, |_| false);
    let nfa: NFA = thompson::Compiler::new()
        .configure(config)
        .build_from_hir(&bare)
        .map_err(|error| large(error.to_string()))?;
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .match_kind(MatchKind::All)
        .dfa_size_limit(Some(PART_LIMIT))
        .determinize_size_limit(Some(PART_LIMIT));
    dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(|error| large(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, message: &str) -> Option<String> {
        let fields = [("ID".to_owned(), "[0-9]+".to_owned())];
        let finder = SessionId::of(&pattern::read(pattern, &fields).unwrap()).unwrap();
        finder.find(message.as_bytes()).map(|id| String::from_utf8(id.to_vec()).unwrap())
    }

    #[test]
    fn an_id_is_found_wherever_the_message_has_only_one() {
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

    /// Whoever may choose the id puts its lines into the session of another.
    #[test]
    fn an_id_that_could_be_read_in_two_ways_is_none() {
        for (pattern, message) in [
            ("^<USER> in <SESSION> failed<USER2>$", "x in 7 failed in 8 failed"),
            ("^failed <SESSION><USER>$", "failed 12 x"),
            ("^failed .*<SESSION>$", "failed x7"),
        ] {
            let pattern = pattern.replace("<USER2>", ".*");
            assert_eq!(found(&pattern, message), None, "{pattern}");
        }
        assert_eq!(found("^<USER> in <SESSION> failed$", "x in 7 failed in 8 failed"), Some("8".into()));
        assert_eq!(found("^<SESSION> failed$", &format!("{} failed", "7".repeat(LONGEST + 1))), None);
        assert_eq!(
            found("^<SESSION> failed$", &format!("{} failed", "7".repeat(LONGEST))),
            Some("7".repeat(LONGEST))
        );
    }

    #[test]
    fn an_id_stands_once_and_in_the_patterns_own_row() {
        let fault = |pattern: &str| fault(&pattern::read(pattern, &[]).unwrap());
        assert_eq!(fault("^no id <ADDR>$"), None);
        assert_eq!(fault("^<SESSION> <ADDR>$"), None);
        for nested in ["^a(?: <SESSION>)? <ADDR>$", "^(?:a <SESSION>|b) <ADDR>$", "^(?:a <SESSION> )+<ADDR>$"]
        {
            assert_eq!(fault(nested).as_deref(), Some(NESTED), "{nested}");
        }
        let text = fault(&format!("^<SESSION>{}$", "(?:[0-9a-f]{1,900}x){900}")).unwrap();
        assert!(text.contains("too large"), "{text}");
    }
}
