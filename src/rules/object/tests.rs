use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn path(text: &str) -> KeyPath {
    KeyPath::parse(text).unwrap()
}

/// The value under a path, if the line has values at all.
fn read(line: &[u8], asked: &str) -> Option<JsonValue<'static>> {
    let mut keys = KeyTree::default();
    let place = keys.add(&path(asked));
    let value = keys.read(line).ok()?.swap_remove(place)?;
    Some(match value {
        JsonValue::Text(text) => JsonValue::Text(text.into_owned().into()),
        JsonValue::Null => JsonValue::Null,
        JsonValue::Bool(value) => JsonValue::Bool(value),
        JsonValue::Integer(number) => JsonValue::Integer(number),
        JsonValue::Float(number) => JsonValue::Float(number),
        JsonValue::Nested => JsonValue::Nested,
    })
}

fn text(text: &str) -> Option<JsonValue<'static>> {
    Some(JsonValue::Text(text.to_owned().into()))
}

#[test]
fn a_path_is_written_with_dots_and_a_key_may_hold_one() {
    for (written, keys) in [
        ("event", &["event"][..]),
        ("client.ip", &["client", "ip"]),
        (r"client\.ip", &["client.ip"]),
        (r"a\\b.c", &[r"a\b", "c"]),
        ("user name", &["user name"]),
    ] {
        assert_eq!(path(written).into_keys(), keys);
        assert_eq!(path(written).to_string(), written);
    }
    for wrong in ["", ".", "a.", ".a", "a..b", r"a\", r"a\n", "a.b.c.d.e.f.g.h.i"] {
        assert_eq!(KeyPath::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn values_are_found_under_their_keys() {
    let line = br#" {"a" : {"b": "x", "c": [1, {"b": "no"}]}, "b": "y", "n": null, "t": true, "x.y": -7} "#;
    assert_eq!(read(line, "a.b"), text("x"));
    assert_eq!(read(line, "b"), text("y"));
    assert_eq!(read(line, "n"), Some(JsonValue::Null));
    assert_eq!(read(line, "t"), Some(JsonValue::Bool(true)));
    assert_eq!(read(line, r"x\.y"), Some(JsonValue::Integer(-7)));
    assert_eq!(read(line, "a"), Some(JsonValue::Nested));
    for absent in ["c", "a.c.b", "a.c.0", "x.y", "b.b", "A"] {
        assert_eq!(read(line, absent), None, "{absent}");
    }
}

/// A user name that would like to be the next key.
#[test]
fn text_within_a_string_is_no_key() {
    let line = br#"{"user":"x\",\"client\":{\"ip\":\"203.0.113.66\"},\"y\":\"","client":{"ip":"192.0.2.7"}}"#;
    assert_eq!(read(line, "client.ip"), text("192.0.2.7"));
    assert_eq!(read(line, "user"), text(r#"x","client":{"ip":"203.0.113.66"},"y":""#));
}

#[test]
fn escapes_are_read_in_keys_and_values() {
    assert_eq!(read(br#"{"cl\u0069ent":{"\u0069p":"192.0.2.\u0037"}}"#, "client.ip"), text("192.0.2.7"));
    assert_eq!(read(br#"{"a":"\ud83d\ude00\/\n"}"#, "a"), text("\u{1f600}/\n"));
}

#[test]
fn of_a_key_that_is_there_twice_neither_value_is_taken() {
    for line in [
        r#"{"client":{"ip":"192.0.2.7"},"client":{"ip":"203.0.113.66"}}"#,
        r#"{"client":{"ip":"192.0.2.7"},"cl\u0069ent":{"ip":"203.0.113.66"}}"#,
        r#"{"client":{"ip":"192.0.2.7"},"client":null}"#,
        r#"{"client":null,"x":1,"client":{"ip":"192.0.2.7"}}"#,
        r#"{"client":{"ip":"192.0.2.7","ip":"203.0.113.66"}}"#,
        r#"{"client":{"ip":"192.0.2.7","\u0069p":"192.0.2.7"}}"#,
    ] {
        assert_eq!(read(line.as_bytes(), "client.ip"), None, "{line}");
    }
    let others = br#"{"x":1,"x":2,"client":{"ip":"192.0.2.7","y":1,"y":2},"l":{"client":1,"client":2}}"#;
    assert_eq!(read(others, "client.ip"), text("192.0.2.7"), "nobody asks for these keys");
}

#[test]
fn what_is_no_object_from_its_first_byte_to_its_last_has_no_values() {
    for line in [
        &b""[..],
        b"x",
        b"{",
        b"{}{}",
        b"null",
        br#""a""#,
        br#"[{"a":1}]"#,
        br#"{"a":1"#,
        br#"{"a":1}x"#,
        br#"{"a":1} {"a":1}"#,
        br#"{"a":1,}"#,
        br#"{"a" 1}"#,
        br#"{a:1}"#,
        br#"{'a':1}"#,
        br#"{"a":1}//"#,
        b"\xef\xbb\xbf{\"a\":1}",
        b"{\"a\":1}\0",
        b"\0{\"a\":1}",
        b"{\0\"a\":1}",
        br#"{"a":01}"#,
        br#"{"a":+1}"#,
        br#"{"a":NaN}"#,
        br#"{"a":1e999}"#,
        br#"{"a":"\ud800"}"#,
        br#"{"a":"\udc00\ud800"}"#,
        br#"{"a":"\x41"}"#,
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\x01\"}",
        b"{\"\xff\":1,\"a\":1}",
        br#"{"\ud800":1,"a":1}"#,
        b"{\"a\":1,\"b\":\"\0\"}",
        br#"{"a":1,"b":[}"#,
        br#"{"a":1,"b":[1 2]}"#,
    ] {
        assert_eq!(read(line, "a"), None, "{}", String::from_utf8_lossy(line));
    }
}

/// Else a peer could hide all that it does behind one odd byte of a header that it sends.
#[test]
fn what_nobody_asks_for_may_be_text_that_is_none() {
    for line in [
        br#"{"agent":"\ud800","a":1}"#,
        &b"{\"agent\":\"\xff\xfe\",\"a\":1}"[..],
        br#"{"size":1e999,"a":1}"#,
        br#"{"size":123456789012345678901234567890123456789012345678901234567890,"a":1}"#,
    ] {
        assert_eq!(read(line, "a"), Some(JsonValue::Integer(1)), "{}", String::from_utf8_lossy(line));
    }
}

#[test]
fn no_depth_is_too_much_and_none_is_followed_beyond_the_keys() {
    let deep = |open: &str, close: &str| {
        format!(r#"{{"x":{}1{},"a":1}}"#, open.repeat(10_000), close.repeat(10_000))
    };
    assert_eq!(read(deep("[", "]").as_bytes(), "a"), Some(JsonValue::Integer(1)));
    assert_eq!(read(deep(r#"{"a":"#, "}").as_bytes(), "a"), Some(JsonValue::Integer(1)));
    assert_eq!(read(deep("[", "]").as_bytes(), "x"), Some(JsonValue::Nested));
    assert_eq!(read(deep(r#"{"x":"#, "}").as_bytes(), "x.x.x.x.x.x.x.x"), Some(JsonValue::Nested));
    assert_eq!(read("[".repeat(10_000).as_bytes(), "a"), None);
    assert_eq!(read(deep("[", "").as_bytes(), "a"), None);
    assert_eq!(read(format!(r#"{{"a":{}"#, "[".repeat(10_000)).as_bytes(), "a"), None);
}

#[test]
fn numbers_are_compared_by_their_value() {
    let number = |text: &str| read(format!(r#"{{"a":{text}}}"#).as_bytes(), "a").unwrap();
    for same in ["401", "401.0", "4.01e2", "40100e-2"] {
        assert_eq!(number(same), JsonValue::of_integer(401), "{same}");
    }
    assert_eq!(number("-0"), JsonValue::of_integer(0));
    assert_eq!(number("0.5"), JsonValue::of_float(0.5));
    assert_eq!(number("18446744073709551615"), JsonValue::of_integer(u64::MAX.into()));
    assert_ne!(number("18446744073709551615"), number("18446744073709551614"), "all 64 bits count");
    assert_ne!(number("9007199254740993"), number("9007199254740992"));
    assert_eq!(number("1e19"), JsonValue::of_integer(10_i128.pow(19)));
    assert_eq!(number("1e30"), JsonValue::of_integer(10_i128.pow(30)));
    assert_ne!(number("401"), JsonValue::Text("401".into()));
}

/// JSON as programs write it, and damage to it.
fn lines() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[ab]", inner), 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    });
    (value, any::<prop::sample::Index>(), prop::option::of("[{}\\[\\]\",:a0\\\\ ]{0,2}")).prop_map(
        |(value, at, damage)| {
            let mut line = value.to_string();
            if let Some(damage) = damage {
                let at = line.floor_char_boundary(at.index(line.len() + 1));
                line.insert_str(at, &damage);
            }
            line
        },
    )
}

fn as_value(value: &Value) -> JsonValue<'_> {
    match value {
        Value::Null => JsonValue::Null,
        Value::Bool(value) => JsonValue::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => JsonValue::of_integer(number.into()),
            None => number.as_u64().map_or_else(
                || JsonValue::of_float(number.as_f64().unwrap()),
                |number| JsonValue::of_integer(number.into()),
            ),
        },
        Value::String(text) => JsonValue::Text(text.into()),
        Value::Array(_) | Value::Object(_) => JsonValue::Nested,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_make_it_panic(line in r#"[{}\[\]",:\\au0e. \-]{0,40}"#, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        read(line.as_bytes(), "a.a");
        read(&bytes, "a");
    }

    /// Against the whole tree of the line, which knows no key twice.
    #[test]
    fn what_is_found_is_what_the_tree_of_the_line_holds(line in lines(), asked in "[ab](\\.[ab]){0,2}") {
        let tree: Option<Value> = serde_json::from_str(&line).ok().filter(Value::is_object);
        let pointer = format!("/{}", asked.replace('.', "/"));
        let in_tree = tree.as_ref().and_then(|tree| tree.pointer(&pointer));
        let mut keys = KeyTree::default();
        let place = keys.add(&path(&asked));
        match keys.read(line.as_bytes()) {
            Ok(values) => prop_assert_eq!(values[place].clone(), in_tree.map(as_value)),
            Err(NoValues::Twice(key)) => {
                let quoted = format!("{key:?}");
                prop_assert!(line.matches(&quoted).count() > 1);
            }
            Err(NoValues::NoObject | NoValues::NoJson(_)) => prop_assert!(tree.is_none(), "{line}"),
        }
    }
}
