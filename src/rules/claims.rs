//! The claims that the proof of a rule set rests on, and the messages in which its rules name no peer: what `check`
//! reports of sets without errors.

use std::ops::RangeInclusive;

use super::compile::Compiled;
use super::model::{Format, RuleSet};
use super::pattern;
use crate::record;

/// A claim about a program, which only the author of the rule set can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The placeholder: `USER`.
    pub name: String,
    /// A regex of everything that the program ever prints there.
    pub alphabet: String,
}

/// Messages in which some rules of a set name no peer, because the end may have been cut off and the address stands
/// behind text of the peer's choosing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blind {
    /// The ids of the rules.
    pub rules: Vec<String>,
    /// The lengths of such messages in bytes, ascending; a last range that ends with `usize::MAX` is open.
    pub lengths: Vec<RangeInclusive<usize>>,
}

/// The placeholders in patterns of the set, and the claim about each.
pub fn claims(set: &RuleSet) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    for name in set.rules.iter().flat_map(|rule| pattern::claimed(&rule.pattern)) {
        if claims.iter().any(|claim| claim.name == name) {
            continue;
        }
        let stated =
            set.fields.iter().find(|(field, _)| field == name).map(|(_, alphabet)| alphabet.as_str());
        let usual = if name == pattern::SESSION { pattern::SESSION_TOKEN } else { pattern::ANY_TEXT };
        let alphabet = stated.unwrap_or(usual).to_owned();
        claims.push(Claim { name: name.to_owned(), alphabet });
    }
    claims
}

/// The keys whose values a JSON set takes for the peer's address.
pub fn address_keys(set: &RuleSet) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for path in set.rules.iter().filter_map(|rule| rule.json.as_ref()?.address.as_ref()) {
        let path = path.to_string();
        if !keys.contains(&path) {
            keys.push(path);
        }
    }
    keys
}

/// The rules that name no peer in long messages, and the lengths of these; `None` if there are none.
pub fn blind(set: &RuleSet) -> Option<Blind> {
    let compiled = Compiled::with(set, |_| true).ok()?;
    let limit = set.limit()?;
    let is_blind = |index: usize| {
        let names_peer = pattern::read(&set.rules[index].pattern, &set.alphabets())
            .is_ok_and(|hir| pattern::addresses_named(&hir) == Some(1));
        names_peer && !compiled.counts_when_cut(index)
    };
    let rules: Vec<String> = (0..set.rules.len())
        .filter(|&index| is_blind(index))
        .map(|index| set.rules[index].id.clone())
        .collect();
    (!rules.is_empty()).then(|| Blind { rules, lengths: lengths(set, limit) })
}

/// Lengths at which a message of the set's first program may have been cut, in a line with an ordinary header.
fn lengths(set: &RuleSet, limit: usize) -> Vec<RangeInclusive<usize>> {
    let mut lengths: Vec<RangeInclusive<usize>> = Vec::new();
    if let (Format::Syslog, Some(program)) = (set.format, set.example_program()) {
        let header = format!("Nov 22 14:38:31 gw {program}[29842]: ");
        let mut line = header.into_bytes();
        for length in 1..limit {
            line.push(b'x');
            if record::may_be_cut(&line, &record::parse(&line)) {
                match lengths.last_mut() {
                    Some(last) if *last.end() + 1 == length => *last = *last.start()..=length,
                    _ => lengths.push(length..=length),
                }
            }
        }
    }
    lengths.push(limit..=usize::MAX);
    lengths
}

#[cfg(test)]
mod tests {
    use super::super::proof::tests::set;
    use super::*;

    #[test]
    fn what_is_claimed_is_told_once() {
        let mut known = set("app", "^<USER> and <NAME> of <USER> in <SESSION> from <ADDR>$");
        known.fields = vec![("NAME".into(), "[a-z]+".into()), ("UNUSED".into(), "x".into())];
        let told: Vec<String> =
            claims(&known).into_iter().map(|claim| format!("{} {}", claim.name, claim.alphabet)).collect();
        assert_eq!(told, ["USER .*", "NAME [a-z]+", "SESSION [0-9A-Za-z]+"]);
    }

    #[test]
    fn lengths_at_which_a_cut_hides_the_peer_are_told() {
        let blind_one = blind(&set("app", "^failed for <USER> from <ADDR>$")).unwrap();
        assert_eq!(blind_one.rules, ["tried"]);
        assert_eq!(blind_one.lengths.last(), Some(&(500..=usize::MAX)));
        assert!(blind_one.lengths.len() > 1 && blind_one.lengths[0].start() >= &150, "{blind_one:?}");
        assert_eq!(blind(&set("app", "^failed from <ADDR> by .*$")), None);
    }
}
