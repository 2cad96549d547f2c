//! Rules for logs whose lines are JSON objects: keys and the values that they must have, in place of a pattern.
//!
//! What a peer writes stays inside the string in which its program wrote it: no text can be taken for another key, and
//! there is nothing to prove. A line that is not valid JSON, or has one of the keys twice, matches no rule
//! ([`object`](super::object)).

use std::borrow::Cow;
use std::net::IpAddr;

use super::found::Found;
use super::model::{Effect, Fault, JsonRule, Place, Rule, RuleSet};
use super::object::{JsonValue, KeyPath, KeyTree, NoValues, Values};
use super::session_id;
use crate::address;
use crate::record::TimePlace;

/// The compiled rules of a JSON set.
#[derive(Debug)]
pub(super) struct JsonRules {
    keys: KeyTree,
    rules: Vec<Asked>,
}

/// A compiled rule: its keys are indices of values.
#[derive(Debug)]
struct Asked {
    /// Index of the rule in its set.
    rule: usize,
    effect: Effect,
    wanted: Vec<(usize, Vec<JsonValue<'static>>)>,
    address: Option<usize>,
    has_port: bool,
    user: Option<usize>,
    session: Option<usize>,
}

impl JsonRules {
    /// Compiles these rules of the set, given with their indices.
    pub(super) fn new(set: &RuleSet, rules: &[(usize, &Rule)]) -> Self {
        let mut keys = KeyTree::default();
        let asked = |&(index, rule): &(usize, &Rule)| Asked::new(index, rule, &mut keys);
        let rules = rules.iter().filter_map(asked).collect();
        // The time is not read from here; but if its key is there twice, programs differ in which of both they take.
        if let Some(TimePlace::Key(path)) = set.time.as_ref().map(|time| &time.place) {
            keys.add(&KeyPath::from_keys(path));
        }
        Self { keys, rules }
    }

    /// The first rule that matches the line, and its address. A line that satisfies any offence is not a login, whatever
    /// else it says.
    pub(super) fn find(&self, line: &[u8]) -> Option<Found> {
        let values = self.keys.read(line).ok()?;
        let (asked, found) = self.rules.iter().find_map(|asked| Some((asked, asked.find(&values)?)))?;
        let is_failed = |other: &&Asked| other.effect == Effect::Offence && other.is_met(&values);
        match self.rules.iter().find(is_failed).filter(|_| asked.effect == Effect::Trust) {
            Some(offence) => offence.find(&values),
            None => Some(found),
        }
    }

    /// The user name in a line that this rule matches.
    pub(super) fn user<'l>(&self, rule: usize, line: &'l [u8]) -> Option<Cow<'l, [u8]>> {
        self.text(line, self.rule(rule)?.user?)
    }

    /// The connection id in a line that this rule matches.
    pub(super) fn session<'l>(&self, rule: usize, line: &'l [u8]) -> Option<Cow<'l, [u8]>> {
        self.text(line, self.rule(rule)?.session?).filter(|id| session_id::is_id(id))
    }

    fn rule(&self, rule: usize) -> Option<&Asked> {
        self.rules.iter().find(|asked| asked.rule == rule)
    }

    /// A text or a number, as text.
    fn text<'l>(&self, line: &'l [u8], place: usize) -> Option<Cow<'l, [u8]>> {
        match self.keys.read(line).ok()?.swap_remove(place)? {
            JsonValue::Text(Cow::Borrowed(text)) => Some(text.as_bytes().into()),
            JsonValue::Text(Cow::Owned(text)) => Some(text.into_bytes().into()),
            number @ (JsonValue::Integer(_) | JsonValue::Float(_)) => {
                Some(number.to_string().into_bytes().into())
            }
            JsonValue::Null | JsonValue::Bool(_) | JsonValue::Nested => None,
        }
    }
}

impl Asked {
    fn new(index: usize, rule: &Rule, keys: &mut KeyTree) -> Option<Self> {
        let json = rule.json.as_ref()?;
        let wanted = json.wanted.iter().map(|(path, values)| (keys.add(path), values.clone())).collect();
        let mut place = |path: &Option<KeyPath>| path.as_ref().map(|path| keys.add(path));
        let address = place(&json.address);
        let user = place(&json.user);
        let session = place(&json.session);
        let has_port = json.has_port;
        Some(Self { rule: index, effect: rule.effect, wanted, address, has_port, user, session })
    }

    /// Whether an object with these values satisfies the rule.
    fn is_met(&self, values: &Values<'_>) -> bool {
        self.wanted
            .iter()
            .all(|(place, wanted)| values[*place].as_ref().is_some_and(|value| wanted.contains(value)))
    }

    /// The rule, if an object with these values satisfies it.
    fn find(&self, values: &Values<'_>) -> Option<Found> {
        if !self.is_met(values) {
            return None;
        }
        let Some(place) = self.address else { return Some(Found { rule: self.rule, address: None }) };
        let address = read_address(values[place].as_ref()?, self.has_port)?;
        Some(Found { rule: self.rule, address: Some(address) })
    }
}

fn read_address(value: &JsonValue<'_>, has_port: bool) -> Option<IpAddr> {
    let JsonValue::Text(text) = value else { return None };
    if has_port { address::parse_endpoint(text.as_bytes()) } else { address::parse(text.as_bytes()) }
}

/// Why a rule does not match a line, as the end of a sentence for their author; `None` if it does.
pub(super) fn why_not(set: &RuleSet, rule: usize, line: &[u8]) -> Option<String> {
    let index = rule;
    let rule = set.rules.get(index)?;
    let json = rule.json.as_ref()?;
    let asked = JsonRules::new(set, &[(index, rule)]);
    let values = match asked.keys.read(line) {
        Ok(values) => values,
        Err(NoValues::NoObject) => return Some("the line is not a JSON object".into()),
        Err(NoValues::NoJson(error)) => return Some(format!("the line is no JSON: {error}")),
        Err(NoValues::Twice(key)) => return Some(format!("the line has the key `{key}` twice")),
    };
    let asked = asked.rules.first()?;
    let wanted = json.wanted.iter().zip(&asked.wanted);
    let unmet = wanted.map(|((path, wanted), (place, _))| unmet(path, values[*place].as_ref(), wanted));
    unmet.chain([no_address(json, asked, &values)]).flatten().next()
}

fn unmet(path: &KeyPath, value: Option<&JsonValue<'_>>, wanted: &[JsonValue<'_>]) -> Option<String> {
    match value {
        None => Some(absent(path)),
        Some(value) if wanted.contains(value) => None,
        Some(value) => Some(format!("its `{path}` is {value}")),
    }
}

fn no_address(json: &JsonRule, asked: &Asked, values: &Values<'_>) -> Option<String> {
    let path = json.address.as_ref()?;
    let place = asked.address?;
    let Some(value) = &values[place] else { return Some(absent(path)) };
    if read_address(value, json.has_port).is_some() {
        return None;
    }
    let hint = match read_address(value, true) {
        Some(_) => format!("; where a port may follow it, write `address_port: {path}`"),
        None => String::new(),
    };
    Some(format!("its `{path}` is not an address but {value}{hint}"))
}

/// Warnings about rules that no line reaches, because one earlier rule matches everything that they could. Combinations
/// of several rules are not considered.
pub(super) fn unreachable(set: &RuleSet) -> Vec<Fault> {
    let rules: Vec<(usize, &Rule, &JsonRule)> =
        set.rules.iter().enumerate().filter_map(|(n, rule)| Some((n, rule, rule.json.as_ref()?))).collect();
    let mut faults = Vec::new();
    for &(index, rule, json) in rules.iter().filter(|(_, rule, _)| rule.enabled) {
        // A login gives way to an offence.
        let gives_way = |other: &Rule| other.effect == Effect::Trust && rule.effect == Effect::Offence;
        let mut before = rules
            .iter()
            .take_while(|(other, ..)| *other < index)
            .filter(|(_, other, _)| other.enabled && !gives_way(other));
        if let Some((_, first, _)) = before.find(|(_, _, first)| takes_all_of(first, json)) {
            let text = format!(
                "rule `{}` is never reached: `{}` before it takes every line that it could; move it before that one, or \
                 drop it",
                rule.id, first.id
            );
            faults.push(Fault::warning(Place::Rule(index, "id"), text));
        }
    }
    faults
}

/// Whether a rule matches every line that another one does.
fn takes_all_of(first: &JsonRule, other: &JsonRule) -> bool {
    let is_implied = |(path, values): &(KeyPath, Vec<JsonValue<'_>>)| {
        let mut same = other.wanted.iter().filter(|(known, _)| known == path);
        same.any(|(_, known)| known.iter().all(|value| values.contains(value)))
    };
    let has_address =
        first.address.is_none() || (first.address == other.address && (first.has_port || !other.has_port));
    has_address && first.wanted.iter().all(is_implied)
}

fn absent(path: &KeyPath) -> String {
    format!("it has no `{path}`")
}

#[cfg(test)]
mod tests;
