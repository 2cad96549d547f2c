//! Reading a tree by hand, so that every fault of a file is found and not only the first.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::text::document::{Document, Faults, NodeFault};
use crate::config::text::suggest::{listed, or_near};
use crate::config::text::yaml::{NodeId, Value, YamlNode};
use crate::rules::Severity;

/// The longest duration of a setting; a ban without end is `forever`.
pub const MAX_DURATION: Duration = Duration::from_secs(100 * 365 * 86_400);

const NEGATIVE: &str = "is a duration and cannot be negative";
const QUOTED: &str = ": take the quotes away";

/// A YAML node on its way to a setting. A method that returns `None` has noted why, at the node's place in the file.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    yaml: &'a YamlNode,
    /// Where faults are shown: at the node, or at its key where the value is missing.
    place: NodeId,
    /// The subject of the sentences about it: `` `threshold` ``, ``an entry of `sources` ``.
    name: String,
    faults: &'a Faults,
}

/// An entry of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) key: Node<'a>,
    pub(crate) value: Node<'a>,
}

impl<'a> Node<'a> {
    /// The node of the whole file.
    pub(crate) fn root(document: &'a Document, faults: &'a Faults) -> Self {
        let yaml = document.root();
        Self { yaml, place: yaml.id, name: "the file".to_owned(), faults }
    }

    /// The node of a key's value. A missing value has no place of its own, so complaints go to the key.
    fn of_key(key: &'a YamlNode, name: &str, yaml: &'a YamlNode, faults: &'a Faults) -> Self {
        let place = if yaml.value == Value::Null { key.id } else { yaml.id };
        Self { yaml, place, name: format!("`{name}`"), faults }
    }

    fn of_list(&self, yaml: &'a YamlNode) -> Self {
        Self { yaml, place: yaml.id, name: format!("an entry of {}", self.name), faults: self.faults }
    }

    pub(crate) fn yaml(&self) -> &'a YamlNode {
        self.yaml
    }

    pub(crate) fn value(&self) -> &'a Value {
        &self.yaml.value
    }

    /// Complains: the sentence follows the name of the value.
    pub(crate) fn fault(&self, sentence: impl AsRef<str>) {
        self.faults.push(self.place, Severity::Error, format!("{} {}", self.name, sentence.as_ref()));
    }

    /// Complains about one byte of a text.
    pub(crate) fn fault_inside(&self, at: usize, sentence: impl AsRef<str>) {
        let inside = match &self.yaml.value {
            Value::Text(text) => Some((text.clone(), at)),
            _ => None,
        };
        let text = format!("{} {}", self.name, sentence.as_ref());
        self.faults.add(NodeFault { node: self.place, severity: Severity::Error, text, inside });
    }

    /// Complains in a sentence of its own.
    pub(crate) fn fault_plainly(&self, sentence: impl Into<String>) {
        self.faults.push(self.place, Severity::Error, sentence.into());
    }

    /// Warns in a sentence of its own.
    pub(crate) fn warn(&self, sentence: impl Into<String>) {
        self.faults.push(self.place, Severity::Warning, sentence.into());
    }

    fn expected<T>(&self, wanted: &str, hint: &str) -> Option<T> {
        let found = match &self.yaml.value {
            Value::Null => return self.refuse(format!("has no value: it must be {wanted}")),
            value => kind(value),
        };
        self.refuse(format!("must be {wanted}, not {found}{hint}"))
    }

    fn refuse<T>(&self, sentence: impl AsRef<str>) -> Option<T> {
        self.fault(sentence);
        None
    }

    /// Text that is not empty.
    pub(crate) fn text(&self) -> Option<&'a str> {
        let hint = match &self.yaml.value {
            Value::Text(text) if text.trim().is_empty() => return self.refuse("is empty"),
            Value::Text(text) => return Some(text),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => ": put it in single quotes",
            Value::List(_) => ": a text that begins with `[` needs single quotes",
            Value::Map(_) => ": a text that begins with `{` or holds `: ` needs single quotes",
            Value::Null | Value::Tagged => "",
        };
        self.expected("text", hint)
    }

    /// Whether it is this very word.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.yaml.value, Value::Text(text) if text == word)
    }

    /// The digits of a whole number, where text would do as well.
    pub(crate) fn number_as_text(&self) -> Option<String> {
        if let Value::Int(number) = self.yaml.value { Some(number.to_string()) } else { None }
    }

    /// Text without line breaks, as a value of its own.
    pub(crate) fn line(&self) -> Option<String> {
        let text = self.text()?;
        if text.contains('\n') {
            return self.refuse("must be a single line: put it in single quotes");
        }
        Some(text.to_owned())
    }

    /// `true` or `false`; YAML 1.2 knows no `yes` and `on`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match &self.yaml.value {
            Value::Bool(value) => Some(*value),
            Value::Text(text) => self.not_boolean(text),
            _ => self.expected("`true` or `false`", ""),
        }
    }

    fn not_boolean(&self, text: &str) -> Option<bool> {
        match text.to_lowercase().as_str() {
            "yes" | "on" | "y" | "true" => self.fault(format!("is text here: write `true`, not `{text}`")),
            "no" | "off" | "n" | "false" => self.fault(format!("is text here: write `false`, not `{text}`")),
            _ => return self.expected("`true` or `false`", ""),
        }
        None
    }

    /// A whole number in a range.
    pub(crate) fn whole<N: TryFrom<i128> + Into<i128> + Copy>(&self, range: RangeInclusive<N>) -> Option<N> {
        let low: i128 = (*range.start()).into();
        let high: i128 = (*range.end()).into();
        match &self.yaml.value {
            Value::Int(number) if (low..=high).contains(number) => N::try_from(*number).ok(),
            Value::Text(text) if text.trim().parse::<i128>().is_ok() => self.expected("a number", QUOTED),
            Value::Int(number) => self.refuse(format!("must be from {low} to {high}, not {number}")),
            _ => self.expected(&format!("a whole number from {low} to {high}"), ""),
        }
    }

    /// A number in a range, with a fraction or without.
    pub(crate) fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        let number = match self.yaml.value {
            Value::Float(number) => number,
            // Exact: the ranges asked for are far below the 52 bits of a float.
            Value::Int(number) => i32::try_from(number).map_or(f64::NAN, f64::from),
            Value::Text(ref text) if text.trim().parse::<f64>().is_ok() => {
                return self.expected("a number", QUOTED);
            }
            _ => return self.expected(&wanted, ""),
        };
        if range.contains(&number) { Some(number) } else { self.expected(&wanted, "") }
    }

    /// A duration such as `10m`, `1h 30min`, `4w`: a second at least, a century at most.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let text = match &self.yaml.value {
            Value::Text(text) if text.trim_start().starts_with('-') => return self.refuse(NEGATIVE),
            Value::Text(text) => text,
            Value::Int(..0) => return self.refuse(NEGATIVE),
            Value::Int(n) => return self.refuse(format!("needs a unit: `{n}s` or `{n}m`, for example")),
            _ => return self.expected("a duration such as `10m`, `1h` or `4w`", ""),
        };
        if text.contains('M') {
            return self.refuse("counts months with a capital `M`: write `min` or `months`");
        }
        match humantime::parse_duration(text) {
            Ok(span) if span < Duration::from_secs(1) => self.refuse("must be more than zero: at least `1s`"),
            Ok(span) if span > MAX_DURATION => self.refuse("is longer than a hundred years"),
            Ok(span) => Some(span),
            Err(error) => self.refuse(format!("must be a duration such as `10m`, `1h` or `4w`: {error}")),
        }
    }

    /// The meaning of one of some words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let known: Vec<&str> = words.iter().map(|row| row.0).collect();
        let Value::Text(text) = &self.yaml.value else {
            return self.expected(&format!("one of {}", listed(&known)), "");
        };
        let found = words.iter().find(|row| row.0 == text).map(|row| row.1);
        found.or_else(|| self.refuse(format!("cannot be `{text}`{}", or_near(text, &known))))
    }

    /// The entries of a list; none when it is no list, which is complained about.
    pub(crate) fn list(&self) -> Vec<Self> {
        match &self.yaml.value {
            Value::List(items) => items.iter().map(|node| self.of_list(node)).collect(),
            _ => {
                self.expected::<()>("a list, such as `[a, b]`", "");
                Vec::new()
            }
        }
    }

    /// The entries of a list that makes no sense without one, `max` of them.
    pub(crate) fn filled_list(&self, why: &str, max: usize) -> Vec<Self> {
        let list = self.list();
        if self.yaml.items().is_some_and(<[YamlNode]>::is_empty) {
            self.fault(format!("is empty: {why}"));
        } else if list.len() > max {
            self.fault(format!("has {} entries, more than the {max} that are read", list.len()));
        }
        list.into_iter().take(max).collect()
    }

    /// The value of a key, if this is a mapping that has it; nothing is complained about.
    pub(crate) fn peek(&self, key: &str) -> Option<Self> {
        let (key_node, value) = self.yaml.entry(key)?;
        Some(Self::of_key(key_node, key, value, self.faults))
    }

    /// The entries of a list that makes no sense without one, or a single value in its place.
    pub(crate) fn one_or_list(&self, why: &str, max: usize) -> Vec<Self> {
        if self.is_list() { self.filled_list(why, max) } else { vec![self.clone()] }
    }

    /// A list, or a single value in its place.
    pub(crate) fn one_or_many(&self) -> Vec<Self> {
        if self.is_list() { self.list() } else { vec![self.clone()] }
    }

    /// One line of text, or a list of them.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.one_or_many().iter().filter_map(Node::line).collect()
    }

    /// Whether it is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.yaml.value, Value::List(_))
    }

    /// Whether it is a mapping.
    pub(crate) fn is_mapping(&self) -> bool {
        matches!(self.yaml.value, Value::Map(_))
    }

    /// The entries of a mapping whose names are the operator's choice: name, key and value.
    pub(crate) fn entries(&self) -> Option<Vec<Entry<'a>>> {
        let Value::Map(map) = &self.yaml.value else { return self.expected("a mapping of `key: value`", "") };
        let mut entries: Vec<Entry<'a>> = Vec::with_capacity(map.len());
        let mut seen = HashSet::new();
        for (key, value) in map {
            let complaint = Self { yaml: key, place: key.id, name: "a key".to_owned(), faults: self.faults };
            let Some(name) = complaint.text() else { continue };
            if !seen.insert(name) {
                complaint.fault_plainly(format!("`{name}` is given twice here: remove one of them"));
                continue;
            }
            let key_item = Self { name: format!("the key `{name}`"), ..complaint };
            entries.push(Entry { name, value: Self::of_key(key, name, value, self.faults), key: key_item });
        }
        Some(entries)
    }
}

impl<'a> Node<'a> {
    /// The entries of a mapping whose keys are numbers; `what` names one.
    pub(crate) fn numbered_entries(
        &self,
        range: RangeInclusive<u16>,
        what: &str,
    ) -> Option<Vec<(u16, Self)>> {
        let Value::Map(map) = &self.yaml.value else {
            return self.expected("a mapping of `number: value`", "");
        };
        let mut entries: Vec<(u16, Self)> = Vec::with_capacity(map.len());
        for (key, value) in map {
            let complaint = Self { yaml: key, place: key.id, name: what.to_owned(), faults: self.faults };
            let Some(number) = complaint.whole(range.clone()) else { continue };
            if entries.iter().any(|(known, _)| *known == number) {
                complaint.fault_plainly(format!("`{number}` is given twice here: remove one of them"));
                continue;
            }
            entries.push((number, Self::of_key(key, &number.to_string(), value, self.faults)));
        }
        Some(entries)
    }
}

/// Names a value, for `must be …, not …`.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Int(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number:?}"),
        Value::Text(text) => format!("`{text}`"),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        Value::Tagged => "a value with a `!tag`".to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::reading::keys::Keys;

    /// The complaints of a reading function.
    pub(crate) fn complaints(text: &str, read: impl Fn(&mut Keys<'_>)) -> Vec<String> {
        let document = Document::read(Path::new("x"), text.as_bytes()).unwrap();
        let faults = Faults::default();
        if let Some(mut keys) = Keys::of(&Node::root(&document, &faults)) {
            read(&mut keys);
            keys.finish();
        }
        faults.into_inner().into_iter().map(|fault| fault.text).collect()
    }

    #[test]
    fn yaml_surprises_get_a_sentence() {
        let boolean = |keys: &mut Keys<'_>| assert_eq!(keys.get("a").and_then(|node| node.boolean()), None);
        assert_eq!(complaints("a: yes", boolean), ["`a` is text here: write `true`, not `yes`"]);
        assert_eq!(complaints("a: off", boolean), ["`a` is text here: write `false`, not `off`"]);
        assert_eq!(complaints("a: 1", boolean), ["`a` must be `true` or `false`, not the number 1"]);
        let text = |keys: &mut Keys<'_>| assert_eq!(keys.get("a").and_then(|node| node.text()), None);
        assert_eq!(
            complaints("a: 8080", text),
            ["`a` must be text, not the number 8080: put it in single quotes"]
        );
        assert!(complaints("a: [a-z]", text)[0].contains("begins with `[` needs single quotes"));
        assert_eq!(complaints("a:", text), ["`a` has no value: it must be text"]);
        assert_eq!(complaints("a: ''", text), ["`a` is empty"]);
        assert_eq!(complaints("a: !x b", text), ["`a` must be text, not a value with a `!tag`"]);
        let whole =
            |keys: &mut Keys<'_>| assert_eq!(keys.get("a").and_then(|node| node.whole(1u32..=9)), None);
        assert!(complaints("a: '1'", whole)[0].contains("take the quotes away"));
        assert_eq!(complaints("a: 10", whole), ["`a` must be from 1 to 9, not 10"]);
        assert_eq!(
            complaints("a: 1.5", whole),
            ["`a` must be a whole number from 1 to 9, not the number 1.5"]
        );
    }

    #[test]
    fn durations_need_a_unit_and_a_length() {
        let span = |keys: &mut Keys<'_>| assert_eq!(keys.get("a").and_then(|node| node.duration()), None);
        for (text, says) in [
            ("a: 600", "needs a unit: `600s`"),
            ("a: 0s", "more than zero"),
            ("a: -1", "cannot be negative"),
            ("a: -1h", "cannot be negative"),
            ("a: 10M", "months"),
            ("a: 5parsec", "unknown time unit"),
            ("a: 200years", "hundred years"),
            ("a: 99999999999999999999y", "too large"),
            ("a: [1]", "must be a duration"),
        ] {
            let told = complaints(text, span);
            assert!(told.len() == 1 && told[0].contains(says), "{told:?}");
        }
    }
}
