//! A rule's pattern with claims in it, as it would stand in the rule file.

use super::super::model::RuleSet;
use super::super::pattern;
use super::Described;
use super::runs::Stretch;

/// The name of a placeholder if the pattern suggests no better one.
const NEUTRAL: &str = "TEXT";

/// Reserved names, besides those of addresses and times.
const TAKEN: [&str; 2] = ["USER", "SESSION"];

/// The placeholders of a rule set, together with those that refusals have proposed so far, so that all proposals can be
/// followed together.
#[derive(Clone)]
pub(super) struct Placeholders {
    /// Name and alphabet.
    fields: Vec<(String, String)>,
    /// Other alphabets that refusals have proposed for placeholders of the set.
    restated: Vec<(String, String)>,
    /// The number of these that come from refusals before this one, which must be sound without them.
    before: usize,
    /// Alphabets that refusals have proposed for the stretches of a rule of the set.
    proposed: Vec<(usize, Vec<Option<String>>)>,
}

/// A rule's pattern with claims in it.
#[derive(Clone)]
pub(super) struct Revision {
    pub(super) rule: usize,
    /// The whole pattern.
    pub(super) pattern: String,
    /// The claims in the order of the pattern: name and alphabet.
    pub(super) claims: Vec<(String, String)>,
    /// The placeholders of the set, including those of the claims.
    pub(super) names: Placeholders,
}

impl Placeholders {
    pub(super) fn of(set: &RuleSet) -> Self {
        Self { fields: set.fields.clone(), restated: Vec::new(), before: 0, proposed: Vec::new() }
    }

    /// The placeholders for the next refusal.
    pub(super) fn next(&self) -> Self {
        Self { before: self.restated.len(), ..self.clone() }
    }

    /// The placeholders without the proposals of other refusals, except that their names stay taken.
    pub(super) fn alone(&self) -> Self {
        Self { restated: Vec::new(), before: 0, proposed: Vec::new(), ..self.clone() }
    }

    /// The alphabet that a refusal has proposed for a stretch of a rule, which may be a placeholder.
    pub(super) fn claimed(&self, rule: usize, stretch: usize, placeholder: Option<&str>) -> Option<&str> {
        match placeholder {
            Some(name) => self.restated(name),
            None => self.proposed(rule)?.get(stretch)?.as_deref(),
        }
    }

    /// Proposed claims for the stretches of a rule, together with those of earlier refusals.
    pub(super) fn with_proposed(&self, rule: usize, alphabets: &[Option<String>]) -> Vec<Option<String>> {
        let proposed = |stretch: usize| self.proposed(rule)?.get(stretch)?.clone();
        let claims = alphabets.iter().enumerate();
        claims.map(|(stretch, alphabet)| alphabet.clone().or_else(|| proposed(stretch))).collect()
    }

    pub(super) fn propose(&mut self, rule: usize, alphabets: Vec<Option<String>>) {
        self.proposed.retain(|(known, _)| *known != rule);
        self.proposed.push((rule, alphabets));
    }

    fn proposed(&self, rule: usize) -> Option<&Vec<Option<String>>> {
        self.proposed.iter().find(|(known, _)| *known == rule).map(|(_, alphabets)| alphabets)
    }

    fn restated(&self, name: &str) -> Option<&str> {
        self.restated.iter().find(|(known, _)| known == name).map(|(_, alphabet)| alphabet.as_str())
    }

    /// All placeholders but the address: name and regex.
    pub(super) fn alphabets(&self, set: &RuleSet) -> Vec<(String, String)> {
        let own = self.restated.iter().skip(self.before);
        let fields = own.chain(&self.fields).cloned().collect();
        RuleSet { fields, time: set.time.clone(), ..RuleSet::default() }.alphabets()
    }

    /// A placeholder with this alphabet, named after the noun if that name is free.
    fn placeholder(&mut self, noun: Option<String>, alphabet: &str) -> String {
        let noun = noun.filter(|noun| is_free(noun)).unwrap_or_else(|| NEUTRAL.to_owned());
        let numbered = |number: usize| if number == 1 { noun.clone() } else { format!("{noun}_{number}") };
        let mut number = 1;
        loop {
            let name = numbered(number);
            match self.fields.iter().find(|(known, _)| *known == name) {
                Some((_, known)) if known == alphabet => return name,
                Some(_) => number += 1,
                None => {
                    self.fields.push((name.clone(), alphabet.to_owned()));
                    return name;
                }
            }
        }
    }

    /// Gives a placeholder of the set another alphabet; at most one, since two could not be stated.
    fn restate(&mut self, name: &str, alphabet: &str) -> bool {
        if self.restated(name).is_some_and(|known| known != alphabet) {
            return false;
        }
        self.restated.push((name.to_owned(), alphabet.to_owned()));
        true
    }
}

impl Revision {
    /// The rule's pattern with an alphabet claimed for some of its stretches; `None` if the claims contradict others.
    pub(super) fn of(
        described: &Described<'_>,
        rule: usize,
        alphabets: &[Option<String>],
        mut names: Placeholders,
    ) -> Option<Self> {
        let source = &described.set.rules[described.index].pattern;
        let mut text = String::with_capacity(source.len());
        let mut rest = 0;
        let mut claims: Vec<(String, String)> = Vec::new();
        for (stretch, alphabet) in described.annotated.stretches.iter().zip(alphabets) {
            let Some(alphabet) = alphabet else { continue };
            let name = match placeholder_in(stretch) {
                Some(name) if names.restate(name, alphabet) => name.to_owned(),
                Some(_) => return None,
                None => names.placeholder(noun_before(source.get(..stretch.at)?), alphabet),
            };
            text.push_str(source.get(rest..stretch.at)?);
            text.push_str(&format!("<{name}>"));
            rest = stretch.at + stretch.text.len();
            if claims.iter().all(|(known, _)| *known != name) {
                claims.push((name, alphabet.clone()));
            }
        }
        text.push_str(source.get(rest..)?);
        Some(Self { rule, pattern: text, claims, names })
    }
}

/// The name of a stretch, if it is a placeholder.
pub(super) fn placeholder_in(stretch: &Stretch) -> Option<&str> {
    let name = stretch.text.strip_prefix('<')?.strip_suffix('>')?;
    pattern::is_field_name(name).then_some(name)
}

fn is_free(name: &str) -> bool {
    let is_other = !pattern::is_address_name(name) && !pattern::is_time_name(name);
    pattern::is_field_name(name) && is_other && !TAKEN.contains(&name)
}

/// The noun that the text before a stretch suggests: the key in `helo=`, or in `, server: `. A single word before a colon
/// may be any part of a sentence.
fn noun_before(text: &str) -> Option<String> {
    let text = text.trim_end_matches(['"', '\'', '[', ']', '<', '(', '\\']);
    let (key, is_certain) = match text.strip_suffix('=') {
        Some(key) => (key, true),
        None => (text.trim_end_matches(' ').strip_suffix(':')?, false),
    };
    let start = key.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    let (before, noun) = key.split_at(start);
    let is_key = !before.ends_with('\\') && (is_certain || before.ends_with(", "));
    (is_key && noun.len() > 1).then(|| noun.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_names_what_follows_it() {
        for (text, noun) in [
            ("^reject; helo=[<]", Some("HELO")),
            (r"^x \[realm=", Some("REALM")),
            ("^error, server: ", Some("SERVER")),
            (r#"^error, request: ""#, Some("REQUEST")),
            ("^warning: ", None),
            ("^authentication failed: ", None),
            ("^badlogin: ", None),
            ("^failed for ", None),
            (r#"^x, agent ""#, None),
            (r"^x\d=", None),
        ] {
            assert_eq!(noun_before(text).as_deref(), noun, "{text}");
        }
    }

    #[test]
    fn a_name_is_given_again_for_the_same_alphabet_only() {
        let mut names = Placeholders::of(&RuleSet::default());
        for (noun, alphabet, name) in [
            (None, "a+", "TEXT"),
            (None, "a+", "TEXT"),
            (None, "b+", "TEXT_2"),
            (Some("USER"), "c+", "TEXT_3"),
            (Some("ADDR"), "c+", "TEXT_3"),
            (Some("HELO"), "c+", "HELO"),
        ] {
            assert_eq!(names.placeholder(noun.map(str::to_owned), alphabet), name, "{noun:?} {alphabet}");
        }
        assert!(names.restate("USER", "a+") && names.restate("USER", "a+"));
        assert!(!names.restate("USER", "b+"), "one placeholder has one alphabet");
        let alphabets = |names: &Placeholders| names.alphabets(&RuleSet::default());
        assert!(alphabets(&names).contains(&("USER".into(), "a+".into())));
        assert!(alphabets(&names.next()).iter().all(|(name, _)| name != "USER"), "each is sound alone");
    }
}
