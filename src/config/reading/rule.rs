//! Rules, fields and samples of a rule file.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::fail2ban;
use super::json_rule;
use super::keys::Keys;
use super::reader::Node;
use super::values::{message_limit, name};
use crate::address;
use crate::config::text::document::Document;
use crate::config::text::suggest::or_near;
use crate::config::text::yaml::Value;
use crate::rules::{
    AddressFrom, Counts, Effect, Evidence, Format, Rule, RuleSet, Sample, Weight, is_address_name,
    is_field_name, is_time_name,
};

/// Parts of a list with their index in the file; those with faults are left out.
pub(crate) type Placed<T> = Vec<(usize, T)>;

const EFFECTS: [(&str, Effect); 3] =
    [("offence", Effect::Offence), ("trust", Effect::Trust), ("ignore", Effect::Ignore)];
const COUNTS: [(&str, Counts); 3] =
    [("session", Counts::Session), ("line", Counts::Line), ("summary", Counts::Summary)];
const ADDRESSES: [(&str, AddressFrom); 3] =
    [("line", AddressFrom::Line), ("confirmed", AddressFrom::Confirmed), ("session", AddressFrom::Session)];

/// The longest name of a placeholder.
const MAX_FIELD: usize = 32;

/// The sets we know have 10 to 60 rules with a few samples each; more than this is no work of a hand.
const MAX_RULES: usize = 1000;
const MAX_SAMPLES: usize = 5000;

/// Each is looked for in every message that the rule's pattern matches.
const MAX_VETOES: usize = 100;

const ID: &str = "every rule has a name of its own";
const MEANS: &str = "a sentence that tells an operator what such a line means";

/// Placeholders and their alphabets.
pub(crate) fn fields(node: &Node<'_>) -> Option<Placed<(String, String)>> {
    let mut fields = Vec::new();
    for (place, entry) in node.entries()?.into_iter().enumerate() {
        if !is_field_name(entry.name) || entry.name.len() > MAX_FIELD {
            entry
                .key
                .fault(format!("must be capital letters, digits and `_`, {MAX_FIELD} at most, as in `USER`"));
        } else if is_address_name(entry.name) {
            entry.key.fault("always stands for an address: choose another name");
        } else if is_time_name(entry.name) {
            entry.key.fault("always stands for the timestamp, which `time` describes: choose another name");
        }
        fields.extend(entry.value.line().map(|alphabet| (place, (entry.name.to_owned(), alphabet))));
    }
    Some(fields)
}

/// The rules of a set, of which all else is read already; which form they have, a set that `adds` to another leaves open.
pub(crate) fn rules(document: &Document, list: &Node<'_>, set: &RuleSet, adds: bool) -> Placed<Rule> {
    let items = list.filled_list("a rule set needs a rule", MAX_RULES);
    let commented = document.any_line(|line| pattern_with_comment(line).is_some());
    let is_json =
        |node: &Node<'_>| if adds { node.peek("where").is_some() } else { set.format == Format::Json };
    let read = |node: &Node<'_>| match is_json(node) {
        true => for_json(node, set),
        false => for_text(node, set, |pattern| commented && cut_by_comment(document, pattern)),
    };
    let rules: Placed<Rule> =
        items.iter().enumerate().filter_map(|(place, node)| Some((place, read(node)?))).collect();
    ids_given_twice(&items, |node| is_json(node));
    one_effect_each(&items, &rules);
    rules
}

/// Rules for JSON may share an id, as where a program says the same in two ways.
fn ids_given_twice(items: &[Node<'_>], may_share: impl Fn(&Node<'_>) -> bool) {
    let mut seen = HashSet::new();
    for node in items {
        let Some(id) = node.peek("id") else { continue };
        if let Value::Text(text) = id.value()
            && !seen.insert(text)
            && !may_share(node)
        {
            id.fault_plainly(format!("another rule has the id `{text}` already"));
        }
    }
}

/// Rules that share an id are one to people, and so have one effect.
fn one_effect_each(items: &[Node<'_>], rules: &Placed<Rule>) {
    let mut effects: HashMap<&str, Effect> = HashMap::new();
    for (place, rule) in rules.iter().filter(|(_, rule)| rule.json.is_some()) {
        let first = *effects.entry(&rule.id).or_insert(rule.effect);
        if first != rule.effect {
            items[*place].fault_plainly(format!(
                "another rule with the id `{}` has `effect: {}`: give this one the same effect, or another id",
                rule.id,
                first.as_str()
            ));
        }
    }
}

/// The ids of all rules, of those with faults too: a sample may name them.
pub(crate) fn ids<'a>(list: &Node<'a>) -> Vec<&'a str> {
    let ids = list.yaml().items().unwrap_or_default().iter().filter_map(|rule| rule.entry("id"));
    ids.filter_map(|(_, id)| if let Value::Text(id) = &id.value { Some(id.as_str()) } else { None }).collect()
}

/// The rest of a line that may be an unquoted pattern and a comment: cheap to find, so that good files are read only once.
fn pattern_with_comment(line: &str) -> Option<&str> {
    let (_, pattern) = line.split_once("pattern:")?;
    let is_quoted = pattern.trim_start().starts_with(['\'', '"']);
    if !is_quoted && pattern.contains(" #") { Some(pattern) } else { None }
}

fn cut_by_comment(document: &Document, pattern: &Node<'_>) -> bool {
    document.behind_unquoted(pattern.yaml()).is_some_and(|behind| behind.trim_start().starts_with('#'))
}

/// A rule of a set with `format: json`.
fn for_json(node: &Node<'_>, set: &RuleSet) -> Option<Rule> {
    let mut keys = Keys::of(node)?;
    let id = keys.must("id", ID, id);
    let effect = keys.or("effect", Effect::Offence, |node| effect(node, set.evidence));
    let json = json_rule::read(&mut keys, effect);
    let means = keys.must("means", MEANS, Node::line);
    let rest = rest(&mut keys, effect, None);
    keys.finish();
    Some(Rule { id: id?, json: Some(json?), means: means.unwrap_or_default(), ..rest })
}

fn for_text(node: &Node<'_>, set: &RuleSet, is_cut: impl Fn(&Node<'_>) -> bool) -> Option<Rule> {
    let mut keys = Keys::of(node)?;
    json_rule::refuse(&mut keys)?;
    let id = keys.must("id", ID, id);
    let pattern = keys.must("pattern", "what a line must look like, in single quotes", |pattern| {
        if is_cut(pattern) {
            pattern
                .warn("the pattern ends before this line's ` #`, a comment to YAML: put it in single quotes");
        }
        text_of_pattern(pattern, set)
    });
    let unless = keys.or("unless", Vec::new(), |node| Some(vetoes(node, set)));
    let effect = keys.or("effect", Effect::Offence, |node| effect(node, set.evidence));
    let means = keys.must("means", MEANS, Node::line);
    let rest = rest(&mut keys, effect, Some(set));
    keys.finish();
    Some(Rule { id: id?, pattern: pattern?, unless, means: means.unwrap_or_default(), ..rest })
}

/// A pattern's text, if it holds no words of another program's.
fn text_of_pattern(node: &Node<'_>, set: &RuleSet) -> Option<String> {
    let text = node.line()?;
    let is_field = |name: &str| set.fields.iter().any(|(field, _)| field == name);
    if let Some(sentence) = fail2ban::in_pattern(&text, is_field) {
        node.fault_plainly(sentence);
        return None;
    }
    Some(text)
}

/// The patterns that keep a rule from matching, one or a list.
fn vetoes(node: &Node<'_>, set: &RuleSet) -> Vec<String> {
    let why = "write a pattern that keeps the rule from matching, as in `unless: ' via vpn$'`";
    let list = node.one_or_list(why, MAX_VETOES);
    list.iter().filter_map(|veto| text_of_pattern(veto, set)).collect()
}

/// The keys with defaults; some of them only in rules for lines of text, as those of `text` are.
fn rest(keys: &mut Keys<'_>, effect: Effect, text: Option<&RuleSet>) -> Rule {
    let weight = keys.or("weight", Weight::ONE, |node| weight(node, effect));
    let counts = keys.or("counts", Counts::Session, |node| node.word(&COUNTS));
    let mut address = AddressFrom::Line;
    let mut message_limit = None;
    if let Some(set) = text {
        address = keys.or("address", address, |node| address_from(node, effect, counts));
        message_limit = keys.maybe("message_limit", |node| limit(node, set));
    }
    Rule {
        id: String::new(),
        pattern: String::new(),
        json: None,
        unless: Vec::new(),
        means: String::new(),
        effect,
        weight,
        counts,
        address,
        message_limit,
        ends_session: keys.or("ends_session", false, |node| ends_session(node, counts)),
        enabled: keys.or("enabled", true, Node::boolean),
        advice: keys.or("advice", Vec::new(), |node| Some(node.texts())),
    }
}

fn effect(node: &Node<'_>, evidence: Evidence) -> Option<Effect> {
    let effect = node.word(&EFFECTS)?;
    if (effect, evidence) == (Effect::Trust, Evidence::Spoofable) {
        node.warn("no login is believed in a set with `evidence: spoofable`: this has no effect");
    }
    Some(effect)
}

/// A line that is joined to no other learns no address from one.
fn address_from(node: &Node<'_>, effect: Effect, counts: Counts) -> Option<AddressFrom> {
    let from = node.word(&ADDRESSES)?;
    if from != AddressFrom::Line && effect == Effect::Trust {
        node.fault_plainly("a login makes only the address in its own line trusted: drop `address`");
    }
    if from != AddressFrom::Line && counts != Counts::Session {
        node.fault_plainly(format!(
            "the address is to come from another line of the session, and with `counts: {}` there is no session: the \
             rule could never count for anybody; say `counts: session`",
            counts.as_str()
        ));
    }
    Some(from)
}

/// In bytes; of a rule's and its set's, the smaller holds.
fn limit(node: &Node<'_>, set: &RuleSet) -> Option<usize> {
    let limit = message_limit(node)?;
    if let Some(of_set) = set.limit().filter(|of_set| limit > *of_set) {
        node.warn(format!(
            "messages of this set are taken for cut at {of_set} bytes: more than that has no effect"
        ));
    }
    Some(limit)
}

fn ends_session(node: &Node<'_>, counts: Counts) -> Option<bool> {
    let ends = node.boolean()?;
    if ends && counts != Counts::Session {
        let counts = counts.as_str();
        node.warn(format!(
            "with `counts: {counts}` the line is of no session: that it ends one has no effect"
        ));
    }
    Some(ends)
}

/// A name that no sample can mistake for its `rule: none`.
fn id(node: &Node<'_>) -> Option<String> {
    let id = name(node)?;
    if id == "none" {
        node.fault("cannot be `none`: in a sample that says that no rule may match");
    }
    Some(id)
}

pub(crate) fn weight(node: &Node<'_>, effect: Effect) -> Option<Weight> {
    let weight = node.number(0.0..=100.0)?;
    if effect != Effect::Offence {
        node.warn(format!(
            "the weight has no effect: a line with `effect: {}` never counts",
            effect.as_str()
        ));
    }
    // Tenths from 0 to 1000, so the cast is exact once there is no fraction left.
    let tenths = weight * 10.0;
    let whole = (tenths - tenths.round()).abs() < 1e-6;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0.0..=1000.0, whole")]
    let found = whole.then(|| Weight::from_tenths(tenths.round() as u16)).flatten();
    if found.is_none() {
        node.fault("must have one digit after the point at most, such as `0.5`");
    }
    found
}

/// Lines with the answers they must get; a rule they name must exist.
pub(crate) fn samples(list: &Node<'_>, ids: Option<&[&str]>) -> Placed<Sample> {
    let items = list.filled_list("remove it, or show a line", MAX_SAMPLES);
    items.iter().enumerate().filter_map(|(place, node)| Some((place, sample(node, ids)?))).collect()
}

fn sample(node: &Node<'_>, ids: Option<&[&str]>) -> Option<Sample> {
    let mut keys = Keys::of(node)?;
    let line = keys.must("line", "a whole line as the log has it, in single quotes", Node::line);
    let rule = keys.must("rule", "the id of the rule that must match, or `none`", |node| rule_of(node, ids));
    let address = keys.or("addr", None, |node| {
        if rule == Some(None) && !node.is_word("none") {
            node.fault("cannot be used where no rule may match");
        }
        address_of(node)
    });
    keys.finish();
    Some(Sample { line: line?, rule: rule?, address })
}

fn rule_of(node: &Node<'_>, ids: Option<&[&str]>) -> Option<Option<String>> {
    if node.is_word("none") {
        return Some(None);
    }
    let id = node.text()?;
    if let Some(ids) = ids.filter(|ids| !ids.contains(&id)) {
        node.fault(format!("names no rule of this file: `{id}`{}", or_near(id, ids)));
        return None;
    }
    Some(Some(id.to_owned()))
}

fn address_of(node: &Node<'_>) -> Option<Option<IpAddr>> {
    if node.is_word("none") {
        return Some(None);
    }
    let text = node.text()?;
    let address = address::parse(text.as_bytes());
    if address.is_none() {
        node.fault(format!("must be an address such as `192.0.2.7`, or `none`, not `{text}`"));
    }
    address.map(Some)
}
