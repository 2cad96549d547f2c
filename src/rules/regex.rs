//! The regex engine as rules use it: its size limits, and the text of one group.

use regex_automata::Input;
use regex_automata::meta;
use regex_syntax::hir::Capture;

use super::model::{Rule, RuleSet};
use super::pattern;

/// Size limit of a compiled pattern in bytes. One written by a person needs some kilobytes; this refuses `\w{500}{500}`.
pub(super) const NFA_LIMIT: usize = 2 << 20;

/// Size limits of the regex engine.
pub(super) fn limits() -> meta::Config {
    meta::Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(NFA_LIMIT))
        .onepass_size_limit(Some(NFA_LIMIT))
        .hybrid_cache_capacity(NFA_LIMIT)
        .dfa(false)
}

/// Finds the text of the first group of a rule with one of the names `named`; `None` if it has none.
pub(super) fn finder(set: &RuleSet, rule: &Rule, named: fn(&Capture) -> bool) -> Option<meta::Regex> {
    let hir = pattern::read(&rule.pattern, &set.alphabets()).ok()?;
    let bare = pattern::without_captures(&hir, named);
    meta::Builder::new()
        .configure(limits())
        .build_from_hir(&bare)
        .ok()
        .filter(|regex| regex.captures_len() > 1)
}

/// The text of that group in a message that the rule matches.
pub(super) fn group<'m>(finder: &meta::Regex, message: &'m [u8]) -> Option<&'m [u8]> {
    let mut slots = [None; 4];
    finder.search_slots(&Input::new(message), &mut slots)?;
    message.get(slots[2]?.get()..slots[3]?.get())
}
