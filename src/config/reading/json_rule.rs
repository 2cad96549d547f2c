//! Rules of a set with `format: json`: keys of an object, and the values that they must have.
//!
//! ```yaml
//! where: {event: login_failed, status: [401, 403]}    # all of these keys, each with one of its values
//! address: client.ip                                  # `ip` within `client`; `address_port` where a port may follow
//! user: account.name
//! session: request_id
//! ```

use super::keys::Keys;
use super::reader::Node;
use super::values::key_path;
use crate::config::text::yaml::Value;
use crate::rules::{Effect, JsonRule, JsonValue, KeyPath};

/// Each is looked for in every line.
const MAX_KEYS: usize = 50;
const MAX_VALUES: usize = 100;

const WHERE: &str = "say which keys and values a line must have, as in `where: {event: login_failed}`";

const NO_ADDRESS: &str = "name the key under which the peer's address stands, as in `address: client.ip`";

const PATTERN: &str = "`pattern` is for lines of text: with `format: json` say which keys and values a line must have, as in \
                       `where: {event: login_failed}`";

/// Other words that have no use in such a rule.
const USELESS: [(&str, &str); 3] = [
    (
        "unless",
        "`unless` is for lines of text: with `format: json` write a rule with `effect: ignore` before this one",
    ),
    (
        "message_limit",
        "`message_limit` cannot be used with `format: json`: a line that was cut is no JSON, and matches nothing",
    ),
    ("time", "`time` belongs to the whole set: write it at the top of the file, beside `format: json`"),
];

const NOT_JSON: &str = "`where` is for sets with `format: json`: say so at the top of the file; where the lines are text, write what they \
                        look like, as in `pattern: '^login failed from <ADDR>$'`";

/// Other words for JSON, and what is written in their place in a rule for lines of text.
const WORDS: [(&str, &str); 3] = [
    ("address_port", "`address_port` is for `format: json`: here write <ADDR_PORT> in the pattern"),
    ("user", "`user` is for `format: json`: here write <USER> in the pattern"),
    ("session", "`session` is for `format: json`: here write <SESSION> in the pattern"),
];

/// Reads the keys that a rule for JSON has in place of a pattern.
pub(crate) fn read(keys: &mut Keys<'_>, effect: Effect) -> Option<JsonRule> {
    keys.misplaced("pattern", PATTERN, Some("where"));
    for (word, sentence) in USELESS {
        keys.misplaced(word, sentence, None);
    }
    let wanted = keys.must("where", WHERE, wanted);
    let with_port = keys.get("address_port");
    let address = if with_port.is_some() || effect == Effect::Ignore {
        keys.get("address")
    } else {
        keys.must("address", NO_ADDRESS, |node| Some(node.clone()))
    };
    if let (Some(_), Some(address)) = (&with_port, &address) {
        address.fault("and `address_port` are two places for one address: remove one of them");
    }
    let stated = with_port.as_ref().or(address.as_ref());
    let address = stated.map(key_path);
    let user = keys.maybe("user", key_path);
    let session = keys.maybe("session", key_path);
    let address = if let Some(address) = address { Some(address?) } else { None };
    Some(JsonRule { wanted: wanted?, address, has_port: with_port.is_some(), user, session })
}

/// Complains about words for JSON in a rule for lines of text; `None` where all of it was written for JSON.
pub(crate) fn refuse(keys: &mut Keys<'_>) -> Option<()> {
    if keys.misplaced("where", NOT_JSON, None) {
        return None;
    }
    for (word, sentence) in WORDS {
        keys.misplaced(word, sentence, None);
    }
    Some(())
}

fn wanted(node: &Node<'_>) -> Option<Vec<(KeyPath, Vec<JsonValue<'static>>)>> {
    let entries = node.entries()?;
    if entries.is_empty() {
        node.fault(format!("is empty: {WHERE}"));
    } else if entries.len() > MAX_KEYS {
        node.fault(format!("has {} keys, more than the {MAX_KEYS} that are read", entries.len()));
    }
    let read = |(key, value): (&Node<'_>, &Node<'_>)| Some((key_path(key)?, values(value)));
    Some(entries.iter().take(MAX_KEYS).filter_map(|entry| read((&entry.key, &entry.value))).collect())
}

/// One value, or a list of which each will do.
fn values(node: &Node<'_>) -> Vec<JsonValue<'static>> {
    let why = "name a value that the key must have";
    let list = node.one_or_list(why, MAX_VALUES);
    list.iter().filter_map(value).collect()
}

fn value(node: &Node<'_>) -> Option<JsonValue<'static>> {
    match node.value() {
        Value::Null => Some(JsonValue::Null),
        Value::Bool(value) => Some(JsonValue::Bool(*value)),
        Value::Int(number) => Some(JsonValue::of_integer(*number)),
        Value::Float(number) if number.is_finite() => Some(JsonValue::of_float(*number)),
        Value::Text(text) => Some(JsonValue::Text(text.clone().into())),
        Value::Float(_) | Value::List(_) | Value::Map(_) | Value::Tagged => {
            node.fault(
                "must be a text, a number, `true`, `false` or `null`; for a key within another write both with a dot \
                 between them, as in `client.kind: bot`",
            );
            None
        }
    }
}
