//! YAML as a tree whose nodes know their place. The only file that names the parser.
//!
//! `serde_yaml` is archived and gives no positions, but the error that a visitor raises is marked with the place of
//! the node it was raised at. So nodes are numbered in the order they are met, and a place is asked for by reading
//! the text once more with a visitor that fails at that number. Another parser has to fill [`YamlNode`] and answer
//! [`offset_of`]; the golden files say what else it must keep.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::source::TextFault;
use super::yaml_error;

/// The deepest nesting of lists and mappings that is read; a configuration needs six.
const MAX_DEPTH: usize = 32;

/// The most brackets that may be open, those in texts included: the parser's time grows with their square, and this many
/// take it a tenth of a second.
const MAX_BRACKETS: usize = 10_000;

/// How many times its own length a file may unfold to through aliases: enough for any honest file, too little for a bomb.
const MAX_UNFOLDING: usize = 8;

/// The number of a node in the order of reading; keys have numbers too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(usize);

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct YamlNode {
    pub(crate) id: NodeId,
    pub(crate) value: Value,
}

/// A value of YAML 1.2.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<YamlNode>),
    /// The entries in the order of the file, with keys of any kind, and keys that occur twice.
    Map(Vec<(YamlNode, YamlNode)>),
    /// `!tag …`, which nothing here uses; the content is not kept.
    Tagged,
}

impl YamlNode {
    /// Key and value of a mapping's entry.
    pub(crate) fn entry(&self, wanted: &str) -> Option<(&Self, &Self)> {
        let Value::Map(map) = &self.value else { return None };
        let found = map.iter().find(|(key, _)| matches!(&key.value, Value::Text(name) if name == wanted));
        found.map(|(key, value)| (key, value))
    }

    /// The entries of a list.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        if let Value::List(items) = &self.value { Some(items) } else { None }
    }
}

/// The one document of a text, or why it cannot be read.
pub(crate) fn read(text: &str) -> Result<YamlNode, TextFault> {
    brackets(text)?;
    let reading = YamlPass::new(text, None);
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let first = documents.next().map(|document| reading.seed(0).deserialize(document));
    let root = match first {
        Some(Ok(root)) => root,
        Some(Err(error)) => return Err(reading.fault(text, &error)),
        None => YamlNode { id: NodeId(0), value: Value::Null },
    };
    let Some(second) = documents.next() else { return Ok(root) };
    let reading = YamlPass::new(text, Some(NodeId(0)));
    match reading.seed(0).deserialize(second) {
        Err(error) if !reading.found.get() => Err(reading.fault(text, &error)),
        other => {
            let offset = other.err().and_then(|error| offset(text, &error)).unwrap_or_default();
            let why = "a second document begins here: one file is one document, remove the `---` before it";
            Err(TextFault { offset, text: why.to_owned() })
        }
    }
}

fn brackets(text: &str) -> Result<(), TextFault> {
    let mut open = 0usize;
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => continue,
        }
        if open > MAX_BRACKETS {
            return Err(TextFault {
                offset,
                text: format!("more than {MAX_BRACKETS} brackets are open here"),
            });
        }
    }
    Ok(())
}

/// The byte at which a node of this text stands; that of an alias stands where its anchor is.
pub(crate) fn offset_of(text: &str, id: NodeId) -> usize {
    let reading = YamlPass::new(text, Some(id));
    let document = serde_yaml::Deserializer::from_str(text).next();
    let error = document.and_then(|document| reading.seed(0).deserialize(document).err());
    let found = error.and_then(|error| offset(text, &error)).unwrap_or_default();
    found + properties(text.get(found..).unwrap_or_default())
}

/// The byte an error is marked with, never inside a character.
fn offset(text: &str, error: &serde_yaml::Error) -> Option<usize> {
    Some(text.floor_char_boundary(error.location()?.index()))
}

/// How long the anchor and the tag before a value are: the value is what people look for.
fn properties(text: &str) -> usize {
    let mut rest = text;
    while rest.starts_with(['&', '!']) {
        let behind = rest.split_once([' ', '\r', '\n']).map_or("", |(_, behind)| behind.trim_start());
        if behind.is_empty() || behind.starts_with('#') {
            break;
        }
        rest = behind;
    }
    text.len() - rest.len()
}

/// One pass of the parser over a text.
struct YamlPass {
    next: Cell<usize>,
    stop: Option<NodeId>,
    found: Cell<bool>,
    left: Cell<usize>,
    refusal: Cell<Option<String>>,
}

impl YamlPass {
    fn new(text: &str, stop: Option<NodeId>) -> Self {
        // A node takes a byte at least, so a text without aliases never comes near this.
        let left = Cell::new(text.len().saturating_add(64).saturating_mul(MAX_UNFOLDING));
        Self { next: Cell::new(0), stop, found: Cell::new(false), left, refusal: Cell::new(None) }
    }

    fn seed(&self, depth: usize) -> Seed<'_> {
        Seed { reading: self, depth }
    }

    fn fault(&self, text: &str, error: &serde_yaml::Error) -> TextFault {
        let offset = offset(text, error);
        match self.refusal.take() {
            Some(text) => TextFault { offset: offset.unwrap_or_default(), text },
            None => yaml_error::explain(text, offset, &error.to_string()),
        }
    }

    fn refuse<E: Error>(&self, refusal: impl Into<String>) -> E {
        self.refusal.set(Some(refusal.into()));
        E::custom("refused")
    }
}

/// The visitor that reads one node.
#[derive(Clone, Copy)]
struct Seed<'a> {
    reading: &'a YamlPass,
    depth: usize,
}

impl Seed<'_> {
    fn inner(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    /// Counts the node; fails where it is the one that is looked for, and where there are too many.
    fn enter<E: Error>(self, size: usize) -> Result<NodeId, E> {
        let reading = self.reading;
        let id = NodeId(reading.next.get());
        reading.next.set(id.0 + 1);
        if reading.stop == Some(id) {
            reading.found.set(true);
            return Err(E::custom("found"));
        }
        if self.depth > MAX_DEPTH {
            let text = format!("lists and mappings are nested too deeply here: more than {MAX_DEPTH} levels");
            return Err(reading.refuse(text));
        }
        let Some(left) = reading.left.get().checked_sub(size + 1) else {
            return Err(reading
                .refuse("the aliases (`*name`) of this file unfold to far more than is written: use fewer"));
        };
        reading.left.set(left);
        Ok(id)
    }

    fn scalar<E: Error>(self, value: Value) -> Result<YamlNode, E> {
        let size = if let Value::Text(text) = &value { text.len() } else { 0 };
        Ok(YamlNode { id: self.enter(size)?, value })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = YamlNode;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlNode, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = YamlNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<YamlNode, E> {
        self.scalar(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<YamlNode, E> {
        self.scalar(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<YamlNode, E> {
        self.scalar(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<YamlNode, E> {
        self.scalar(Value::Int(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<YamlNode, E> {
        self.scalar(Value::Int(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<YamlNode, E> {
        self.scalar(Value::Int(value))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<YamlNode, E> {
        // Beyond every range that is asked for, so that the largest number says as much.
        self.scalar(Value::Int(i128::try_from(value).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<YamlNode, E> {
        self.scalar(Value::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<YamlNode, E> {
        let id = self.enter(value.len())?;
        Ok(YamlNode { id, value: Value::Text(value.to_owned()) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<YamlNode, A::Error> {
        let id = self.enter(0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner())? {
            list.push(item);
        }
        Ok(YamlNode { id, value: Value::List(list) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<YamlNode, A::Error> {
        let id = self.enter(0)?;
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry_seed(self.inner(), self.inner())? {
            map.push(entry);
        }
        Ok(YamlNode { id, value: Value::Map(map) })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<YamlNode, A::Error> {
        let id = self.enter(0)?;
        let (IgnoredAny, content) = tagged.variant()?;
        content.newtype_variant::<IgnoredAny>()?;
        Ok(YamlNode { id, value: Value::Tagged })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::source;
    use super::*;

    /// Every node with line, column and what stands there.
    fn places(text: &str) -> Vec<String> {
        let mut ids = Vec::new();
        collect(&read(text).unwrap(), &mut ids);
        let place = |(id, value): &(NodeId, String)| {
            let at = source::position(text.as_bytes(), offset_of(text, *id));
            format!("{}:{} {value}", at.line, at.column)
        };
        ids.iter().map(place).collect()
    }

    fn collect(node: &YamlNode, ids: &mut Vec<(NodeId, String)>) {
        let shown = match &node.value {
            Value::List(_) => "[]".to_owned(),
            Value::Map(_) => "{}".to_owned(),
            Value::Text(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        ids.push((node.id, shown));
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| collect(item, ids)),
            Value::Map(entries) => entries.iter().for_each(|(key, value)| {
                collect(key, ids);
                collect(value, ids);
            }),
            _ => {}
        }
    }

    #[test]
    fn places_are_exact_in_blocks() {
        let text = "# é\na: 1\nb:\n  - x\n  -   y: 'z'\n      k: \"ü\"\nc:\n- 2\n";
        let expected =
            "2:1 {}|2:1 a|2:4 1|3:1 b|4:3 []|4:5 x|5:7 {}|5:7 y|5:10 z|6:7 k|6:10 ü|7:1 c|8:1 []|8:3 2";
        assert_eq!(places(text).join("|"), expected);
    }

    #[test]
    fn places_are_exact_in_flow_and_after_wide_characters() {
        let text = "é: {ü: [ß, 'a'], b: {}}\n";
        let expected = "1:1 {}|1:1 é|1:4 {}|1:5 ü|1:8 []|1:9 ß|1:12 a|1:18 b|1:21 {}";
        assert_eq!(places(text).join("|"), expected);
        assert_eq!(places("a: 1\r\nb: 2\r\n").join("|"), "1:1 {}|1:1 a|1:4 1|2:1 b|2:4 2");
        let text = "a: |\n  block\nb: two\n  lines\n";
        assert_eq!(places(text).join("|"), "1:1 {}|1:1 a|1:4 block\n|3:1 b|3:4 two lines");
    }

    #[test]
    fn an_alias_is_placed_where_its_text_is() {
        let text = "a: &x 5m\nb: *x\nc: &y\n  d: 1\ne: *y\nf: &z [1]\n";
        let expected = "1:1 {}|1:1 a|1:7 5m|2:1 b|1:7 5m|3:1 c|4:3 {}|4:3 d|4:6 1|5:1 e|4:3 {}|4:3 d|4:6 1|6:1 f|6:7 []|6:8 1";
        assert_eq!(places(text).join("|"), expected);
    }

    #[test]
    fn a_bomb_of_aliases_is_refused_at_once() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let alias = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(", "));
        }
        let fault = read(&text).unwrap_err();
        assert!(fault.text.contains("unfold"), "{}", fault.text);
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1000), "*a,".repeat(1000));
        assert!(read(&long).unwrap_err().text.contains("unfold"));
        assert!(read("a: &a [*a]").unwrap_err().text.contains("nested too deep"));
    }

    #[test]
    fn depth_is_bounded_whatever_the_brackets() {
        for open in ["[", "{a: ", "- ", "? "] {
            let fault = read(&open.repeat(100_000)).unwrap_err();
            assert!(
                fault.text.contains("brackets") || fault.text.contains("nested too deep"),
                "{}",
                fault.text
            );
        }
        assert!(read(&format!("{}{}", "[".repeat(33), "]".repeat(33))).is_ok());
        let deep = read(&format!("{}{}", "[".repeat(34), "]".repeat(34))).unwrap_err();
        assert_eq!((deep.offset, deep.text.contains("nested too deep")), (33, true));
    }

    #[test]
    fn one_file_is_one_document() {
        assert_eq!(read("").unwrap().value, Value::Null);
        assert_eq!(read("# only a comment\n").unwrap().value, Value::Null);
        assert!(read("---\na: 1\n...\n").is_ok());
        let fault = read("a: 1\n---\nb: 2\n").unwrap_err();
        assert_eq!((fault.offset, fault.text.contains("second document")), (9, true));
    }

    #[test]
    fn keys_that_occur_twice_and_tags_are_kept_for_a_sentence() {
        let Value::Map(entries) = read("a: 1\na: 2\nb: !t x\nc: !u [1]\nd: 3\n").unwrap().value else {
            panic!()
        };
        assert_eq!(entries.len(), 5);
        assert_eq!((&entries[2].1.value, &entries[3].1.value), (&Value::Tagged, &Value::Tagged));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-c \\n\\-:\\[\\]{},'\"&*!?|>#%@\\\\é]{0,60}") {
            if let Ok(root) = read(&text) {
                let mut ids = Vec::new();
                collect(&root, &mut ids);
                for (id, _) in ids {
                    prop_assert!(offset_of(&text, id) <= text.len());
                }
            }
        }
    }
}
