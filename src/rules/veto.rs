//! `unless`: texts in a message that keep a rule from matching it. Other tools use look-ahead, which no finite automaton
//! supports and which can take exponential time; here the message is simply searched a second time.

use regex_automata::meta::{self, Regex};
use regex_automata::{Anchored, Input, MatchKind, PatternSet};
use regex_syntax::hir::Hir;

use super::model::{Fault, Place, Rule, RuleSet};
use super::pattern;
use super::regex::limits;

/// The vetoes of a set's patterns, in the order of the patterns.
#[derive(Debug, Default)]
pub(super) struct Vetoes {
    /// For each pattern its veto, if it has one; empty if no pattern has any.
    of: Vec<Option<Regex>>,
    /// Finds all patterns that match a message: if the first one is vetoed, a later one counts.
    all: Option<Regex>,
}

impl Vetoes {
    /// Compiles the vetoes of these rules, whose patterns are given in the same order.
    ///
    /// # Errors
    /// All faults of all vetoes.
    pub(super) fn new(set: &RuleSet, rules: &[(usize, &Rule)], patterns: &[Hir]) -> Result<Self, Vec<Fault>> {
        let mut of = Vec::new();
        let mut faults = Vec::new();
        for (index, rule) in rules {
            match veto(set, *index, rule) {
                Ok(veto) => of.push(veto),
                Err(found) => faults.extend(found),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        if of.iter().all(Option::is_none) {
            return Ok(Self::default());
        }
        let config = limits().match_kind(MatchKind::All);
        let all = meta::Builder::new().configure(config).build_many_from_hir(patterns);
        let all = all.map_err(|error| vec![Fault::error(Place::Key("rules"), error.to_string())])?;
        Ok(Self { of, all: Some(all) })
    }

    /// Whether the veto of this pattern is found in the message.
    pub(super) fn hold(&self, pattern: usize, message: &[u8]) -> bool {
        self.is_vetoable(pattern) && self.of[pattern].as_ref().is_some_and(|veto| veto.is_match(message))
    }

    /// Whether this pattern has a veto.
    pub(super) fn is_vetoable(&self, pattern: usize) -> bool {
        self.of.get(pattern).is_some_and(Option::is_some)
    }

    /// The first pattern behind a vetoed one that matches the message and is not vetoed.
    pub(super) fn next(&self, message: &[u8], vetoed: usize) -> Option<usize> {
        let all = self.all.as_ref()?;
        let mut matching = PatternSet::new(all.pattern_len());
        all.which_overlapping_matches(&Input::new(message).anchored(Anchored::Yes), &mut matching);
        let behind = matching.iter().map(|pattern| pattern.as_usize()).filter(|pattern| *pattern > vetoed);
        behind.into_iter().find(|pattern| !self.hold(*pattern, message))
    }
}

/// The vetoes of one rule as one regex.
fn veto(set: &RuleSet, index: usize, rule: &Rule) -> Result<Option<Regex>, Vec<Fault>> {
    if rule.unless.is_empty() {
        return Ok(None);
    }
    let mut hirs = Vec::new();
    let mut faults = Vec::new();
    for (nth, text) in rule.unless.iter().enumerate() {
        match pattern::read(text, &set.fields) {
            Ok(hir) => hirs.push(pattern::without_captures(&hir, |_| false)),
            Err(error) => {
                let fault = Fault::error(Place::Unless(index, nth), error.text);
                faults.push(Fault { offset: error.at, ..fault });
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let built = meta::Builder::new().configure(limits()).build_many_from_hir(&hirs);
    let large = |error: meta::BuildError| {
        let text = format!("too large to be matched in bounded memory ({error}): use smaller repetitions");
        vec![Fault::error(Place::Rule(index, "unless"), text)]
    };
    built.map(Some).map_err(large)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::proof::tests as tried;
    use crate::rules::{Compiled, Effect, Evidence, Format, Rule, RuleSet};

    fn rule(pattern: &str, unless: &[&str]) -> Rule {
        Rule {
            id: pattern.to_owned(),
            unless: unless.iter().map(|&text| text.to_owned()).collect(),
            effect: Effect::Ignore,
            ..tried::set("app", pattern).rules.remove(0)
        }
    }

    fn set(rules: Vec<Rule>) -> RuleSet {
        RuleSet {
            name: "test".into(),
            about: String::new(),
            programs: vec!["test".into()],
            format: Format::Syslog,
            evidence: Evidence::Handshake,
            newlines_encoded: false,
            complete: false,
            logs: Vec::new(),
            message_limit: None,
            reports: None,
            threshold: None,
            ban: None,
            time: None,
            fields: vec![("WORD".into(), "[a-z]+".into())],
            advice: Vec::new(),
            rules,
            samples: Vec::new(),
        }
    }

    fn found(set: &RuleSet, message: &str, cut: bool) -> Option<usize> {
        let compiled = Compiled::new(set).unwrap();
        compiled.find(message.as_bytes(), cut).map(|found| found.rule)
    }

    #[test]
    fn a_veto_keeps_its_rule_from_matching_and_the_next_one_matches() {
        let rules = vec![
            rule("^failed from <ADDR>.*$", &[" via vpn$", "^failed from <ADDR> \\(<WORD>\\)"]),
            rule("^failed .*$", &["vpn"]),
            rule("^failed from 192.0.2.7 via vpn$", &[]),
        ];
        let set = set(rules);
        assert_eq!(found(&set, "failed from 192.0.2.7", false), Some(0));
        assert_eq!(found(&set, "failed from 192.0.2.7 via vpn", false), Some(2), "two vetoes in a row");
        assert_eq!(found(&set, "failed from 192.0.2.7 (internal)", false), Some(1));
        assert_eq!(found(&set, "failed from 192.0.2.8 via vpn", false), None);
    }

    /// A peer that makes its line long must not be able to cut off what would have kept the rule from matching.
    #[test]
    fn of_a_message_that_may_be_cut_a_rule_with_a_veto_says_nothing() {
        let set = set(vec![rule("^failed from <ADDR>.*$", &[" via vpn$"])]);
        assert_eq!(found(&set, "failed from 192.0.2.7 via v", true), None);
        let long = format!("failed from 192.0.2.7 {}", "x".repeat(500));
        assert_eq!(found(&set, &long, false), None, "as long as the limit");
    }

    #[test]
    fn a_veto_that_is_no_pattern_is_shown_where_it_stands() {
        let set = set(vec![rule("^a$", &[]), rule("^b$", &["ok", "bad (", "<NAME>"])]);
        let faults = Compiled::new(&set).unwrap_err();
        let places: Vec<(Place, usize)> =
            faults.iter().map(|fault| (fault.place.clone(), fault.offset)).collect();
        assert_eq!(places, [(Place::Unless(1, 1), 4), (Place::Unless(1, 2), 0)]);
    }

    const PATTERNS: [&str; 6] = ["^a.*$", "^.*b$", "^[ab]+$", "^(?:ab|ba)*$", "^a?b?c?$", "^c.*$"];
    const VETOES: [&str; 6] = ["b", "^a", "c$", "ab", "^$", "aa|cc"];

    proptest! {
        /// The plain way: rule by rule, pattern and vetoes each a regex of their own.
        #[test]
        fn the_first_rule_that_matches_and_is_not_vetoed_is_found(
            rules in prop::collection::vec((0..6_usize, prop::collection::vec(0..6_usize, 0..3)), 1..5),
            message in "[abc]{0,5}",
        ) {
            let texts = |vetoes: &[usize]| vetoes.iter().map(|&veto| VETOES[veto]).collect::<Vec<_>>();
            let rules: Vec<Rule> =
                rules.iter().map(|(pattern, vetoes)| rule(PATTERNS[*pattern], &texts(vetoes))).collect();
            let is_in = |text: &String| Regex::new(text).unwrap().is_match(message.as_bytes());
            let expected = rules.iter().position(|rule| is_in(&rule.pattern) && !rule.unless.iter().any(is_in));
            prop_assert_eq!(found(&set(rules), &message, false), expected);
        }
    }
}
