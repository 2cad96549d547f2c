//! Reads the values of some keys of a JSON object, and nothing else of it.
//!
//! One pass from the left, in time linear in the line. Other values are skipped, not kept; the reader counts brackets
//! without recursion, so that nesting costs no more than its bytes. If a key is there twice, programs differ in which
//! value they take. So a line in which a wanted key, or one on the way to it, is there twice has no values at all.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use foldhash::fast::RandomState;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Keys from the outside in: `client.ip` is `ip` within `client`. A dot in a key is written `client\.ip`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPath(Vec<String>);

/// The value of a key. Numbers are compared by value: 401, 401.0 and 4.01e2 are one. Numbers with a fraction, and those
/// that 64 bits cannot hold, have the precision of a double.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonValue<'l> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without a fraction that 64 bits can hold, signed or not.
    Integer(i128),
    /// A number with a fraction, or one that 64 bits cannot hold.
    Float(f64),
    /// A string, with its escapes resolved.
    Text(Cow<'l, str>),
    /// An object or a list.
    Nested,
}

/// The wanted keys, as a tree.
#[derive(Debug, Default)]
pub(super) struct KeyTree {
    root: Branch,
    /// The number of keys below the root.
    keys: usize,
}

/// A wanted key, or one on the way to it.
#[derive(Debug, Default)]
struct Branch {
    /// The index of its value among those of the line.
    place: usize,
    below: HashMap<Box<str>, Self, RandomState>,
}

/// Why a line has no values.
#[derive(Debug)]
pub(super) enum NoValues {
    /// It is valid JSON, but not an object.
    NoObject,
    /// It is not valid JSON.
    NoJson(serde_json::Error),
    /// This key is there twice.
    Twice(String),
}

/// The values of a line, by the indices that [`KeyTree::add`] returned.
pub(super) type Values<'l> = Vec<Option<JsonValue<'l>>>;

impl KeyPath {
    /// The longest path that can be written, in keys.
    pub const DEEPEST: usize = 8;

    /// Parses a path: keys separated by dots; a backslash before a dot or a backslash makes it part of a key.
    ///
    /// `None` if a key is empty, there are more than [`Self::DEEPEST`], or a backslash stands before anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut keys = vec![String::new()];
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match next {
                '.' => keys.push(String::new()),
                '\\' => keys.last_mut()?.push(rest.next().filter(|escaped| matches!(escaped, '.' | '\\'))?),
                other => keys.last_mut()?.push(other),
            }
        }
        let is_good = keys.len() <= Self::DEEPEST && keys.iter().all(|key| !key.is_empty());
        is_good.then_some(Self(keys))
    }

    /// The keys, from the outside in.
    pub fn into_keys(self) -> Vec<String> {
        self.0
    }

    /// A path of keys that were parsed before.
    pub(super) fn from_keys(keys: &[String]) -> Self {
        Self(keys.to_vec())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.iter().map(|key| key.replace('\\', r"\\").replace('.', r"\."));
        f.write_str(&keys.collect::<Vec<_>>().join("."))
    }
}

impl JsonValue<'_> {
    /// A whole number.
    pub fn of_integer(number: i128) -> Self {
        let is_short = (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number);
        #[expect(clippy::cast_precision_loss, reason = "longer numbers have the precision of a double")]
        if is_short { Self::Integer(number) } else { Self::Float(number as f64) }
    }

    /// A number with a fraction or an exponent.
    pub fn of_float(number: f64) -> Self {
        // Both bounds are powers of two, and so exact; every whole double between them fits into 64 bits.
        let is_short = (-9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0).contains(&number);
        #[expect(clippy::cast_possible_truncation, reason = "whole, and in the range of 64 bits")]
        if is_short && number.fract() == 0.0 { Self::Integer(number as i128) } else { Self::Float(number) }
    }
}

impl fmt::Display for JsonValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Nested => f.write_str("an object or a list"),
        }
    }
}

impl KeyTree {
    /// Adds a wanted key, and returns the index of its value.
    pub(super) fn add(&mut self, path: &KeyPath) -> usize {
        let mut node = &mut self.root;
        for key in &path.0 {
            node = node.below.entry(key.as_str().into()).or_insert_with(|| {
                self.keys += 1;
                Branch { place: self.keys, ..Branch::default() }
            });
        }
        node.place
    }

    /// The values of the wanted keys in a line.
    pub(super) fn read<'l>(&self, line: &'l [u8]) -> Result<Values<'l>, NoValues> {
        if line.trim_ascii_start().first() != Some(&b'{') {
            return Err(NoValues::NoObject);
        }
        let mut found = SoFar { values: vec![None; self.keys + 1], twice: None };
        let mut reader = serde_json::Deserializer::from_slice(line);
        let read = Under { node: &self.root, found: &mut found }.deserialize(&mut reader);
        match (read.and_then(|()| reader.end()), found.twice) {
            (_, Some(key)) => Err(NoValues::Twice(key)),
            (Err(error), None) => Err(NoValues::NoJson(error)),
            (Ok(()), None) => Ok(found.values),
        }
    }
}

/// What was found in a line so far.
struct SoFar<'l> {
    values: Values<'l>,
    twice: Option<String>,
}

/// Reads the value of a wanted key, or of one on the way to it.
struct Under<'n, 'f, 'l> {
    node: &'n Branch,
    found: &'f mut SoFar<'l>,
}

impl<'l> Under<'_, '_, 'l> {
    fn is(self, value: JsonValue<'l>) {
        self.found.values[self.node.place] = Some(value);
    }
}

impl<'l> DeserializeSeed<'l> for Under<'_, '_, 'l> {
    type Value = ();

    fn deserialize<D: Deserializer<'l>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'l> Visitor<'l> for Under<'_, '_, 'l> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.is(JsonValue::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.is(JsonValue::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.is(JsonValue::Integer(number.into()));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.is(JsonValue::Integer(number.into()));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.is(JsonValue::of_float(number));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'l str) -> Result<(), E> {
        self.is(JsonValue::Text(text.into()));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.is(JsonValue::Text(text.to_owned().into()));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'l>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.is(JsonValue::Nested);
        Ok(())
    }

    fn visit_map<A: MapAccess<'l>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(known) = object.next_key_seed(KeyOf(self.node))? {
            let Some((key, node)) = known else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            if self.found.values[node.place].is_some() {
                self.found.twice = Some(key.to_owned());
                return Err(Error::custom("a key is there twice"));
            }
            object.next_value_seed(Under { node, found: self.found })?;
        }
        self.is(JsonValue::Nested);
        Ok(())
    }
}

/// Reads a key, and says whether it is a child of this node.
struct KeyOf<'n>(&'n Branch);

impl<'l, 'n> DeserializeSeed<'l> for KeyOf<'n> {
    type Value = Option<(&'n str, &'n Branch)>;

    fn deserialize<D: Deserializer<'l>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for KeyOf<'n> {
    type Value = Option<(&'n str, &'n Branch)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.below.get_key_value(key).map(|(key, node)| (&**key, node)))
    }
}

#[cfg(test)]
mod tests;
