//! Prefixes and reasons in JSON: written as people write them, read as strictly as on the command line.
//!
//! A host has no `/32`, a v4-mapped address becomes its IPv4 address, and bits behind the mask are refused, so that a prefix
//! has only one form.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::address::{self, Prefix};

/// One prefix in JSON.
#[derive(Debug)]
struct Text(Prefix);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&address::display(&self.0))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl de::Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an address or a network as a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                address::parse_prefix(text).map(Text).map_err(E::custom)
            }
        }
        from.deserialize_str(TextVisitor)
    }
}

/// For `#[serde(with)]` on a [`Prefix`].
pub(super) mod prefix {
    use super::*;

    pub(in crate::control) fn serialize<S: Serializer>(prefix: &Prefix, to: S) -> Result<S::Ok, S::Error> {
        Text(*prefix).serialize(to)
    }

    pub(in crate::control) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Prefix, D::Error> {
        Text::deserialize(from).map(|text| text.0)
    }
}

/// For `#[serde(with)]` on a `Vec<Prefix>`.
pub(super) mod prefixes {
    use super::*;

    pub(in crate::control) fn serialize<S: Serializer>(list: &[Prefix], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(|prefix| Text(*prefix)))
    }

    pub(in crate::control) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Prefix>, D::Error> {
        let list = Vec::<Text>::deserialize(from)?;
        Ok(list.into_iter().map(|text| text.0).collect())
    }
}

/// The longest reason of a ban by hand, in bytes: it goes into one syslog line with everything else.
const MAX_REASON_BYTES: usize = 200;

/// Checks that an operator's reason is one line that is safe for a log and a terminal.
///
/// # Errors
/// A sentence that says why it is not.
pub fn check_reason(reason: &str) -> Result<(), String> {
    if reason.len() > MAX_REASON_BYTES {
        return Err(format!("the reason is longer than {MAX_REASON_BYTES} bytes"));
    }
    if reason.chars().any(char::is_control) {
        return Err("the reason contains control characters or line breaks".to_owned());
    }
    Ok(())
}

/// For `#[serde(deserialize_with)]` on the reason of a ban.
pub(super) fn reason<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let reason = String::deserialize(from)?;
    check_reason(&reason).map_err(de::Error::custom)?;
    Ok(reason)
}
