//! Reads one value of a JSON object by its key: from the left, without allocating, and in bounded space.
//!
//! Strings are recognised as such, so that no text inside a value is taken for a key. Invalid JSON has no values.

/// The value of a key, or of a key inside its value and so on: a string without quotes, or a number, as written. A string
/// with a backslash in it counts as missing: a timestamp has none.
pub(super) fn value<'l, T: AsRef<str>>(line: &'l [u8], path: &[T]) -> Option<&'l [u8]> {
    let (key, within) = path.split_first()?;
    let mut rest = trimmed(line).strip_prefix(b"{")?;
    loop {
        let (name, behind) = string(trimmed(rest))?;
        let text = trimmed(trimmed(behind).strip_prefix(b":")?);
        if name == key.as_ref().as_bytes() {
            return if within.is_empty() { scalar(text) } else { value(text, within) };
        }
        rest = trimmed(behind_value(text)?).strip_prefix(b",")?;
    }
}

fn trimmed(text: &[u8]) -> &[u8] {
    text.trim_ascii_start()
}

/// A string, and the text behind its closing quote.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = text.strip_prefix(b"\"")?;
    let mut escaped = false;
    let end = inside.iter().position(|&byte| {
        let plain = !std::mem::take(&mut escaped);
        escaped = byte == b'\\' && plain;
        byte == b'"' && plain
    })?;
    Some((&inside[..end], &inside[end + 1..]))
}

fn scalar(text: &[u8]) -> Option<&[u8]> {
    if let Some((string, _)) = string(text) {
        return (!string.contains(&b'\\')).then_some(string);
    }
    let length = text.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let ends = matches!(text.get(length), None | Some(b',' | b'}' | b' ' | b'\t'));
    (length > 0 && ends).then_some(&text[..length])
}

/// The text behind a value; brackets inside it are counted, and not matched by kind.
fn behind_value(mut text: &[u8]) -> Option<&[u8]> {
    let mut open = 0_usize;
    loop {
        text = match *text.first()? {
            b'"' => string(text)?.1,
            b'{' | b'[' => {
                open += 1;
                &text[1..]
            }
            b'}' | b']' if open > 0 => {
                open -= 1;
                &text[1..]
            }
            b',' | b'}' | b']' if open == 0 => return Some(text),
            _ => &text[1..],
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found<'l>(line: &'l str, path: &[&str]) -> Option<&'l str> {
        value(line.as_bytes(), path).map(|value| std::str::from_utf8(value).unwrap())
    }

    #[test]
    fn values_are_found_by_their_key_and_not_by_text_that_looks_like_it() {
        assert_eq!(found(r#"{"a":1,"ts":1795354711.25,"b":"x"}"#, &["ts"]), Some("1795354711.25"));
        assert_eq!(found(r#" { "a" : [1, {"ts": 3}] , "ts" : "now" }"#, &["ts"]), Some("now"));
        assert_eq!(found(r#"{"t":{"x":[],"$date":"y"}}"#, &["t", "$date"]), Some("y"));
        assert_eq!(found(r#"{"user":"x\",\"ts\":\"1970","ts":"true"}"#, &["ts"]), Some("true"));
        assert_eq!(found(r#"{"user":"\\","ts":"true"}"#, &["ts"]), Some("true"));
        for other in [
            r#"{"user":"\"ts\":\"1970"}"#,
            r#"{"a":{"ts":"1"}}"#,
            r#"{"ts":true}"#,
            r#"{"ts":12x}"#,
            r#"{"ts":"a\u0041"}"#,
            r#"{"ts":{"b":"1"}}"#,
            r#"{"ts""#,
            r#"{"a" "ts":"1"}"#,
            r#"["ts","1"]"#,
            "{",
            "",
        ] {
            assert_eq!(found(other, &["ts"]), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(line in r#"[{}\[\]",:\\a1 ]{0,40}"#) {
            value(line.as_bytes(), &["a"]);
        }

        /// Against the JSON reader of the world: a number under a key behind any other value.
        #[test]
        fn what_is_found_is_what_a_json_reader_finds(text in any::<String>(), deep in any::<bool>()) {
            let other = if deep { serde_json::json!({"a": [text.clone(), {"ts": 1}]}) } else { text.into() };
            let line = serde_json::json!({"a": other, "ts": 1_795_354_711}).to_string();
            prop_assert_eq!(value(line.as_bytes(), &["ts"]), Some(&b"1795354711"[..]));
        }
    }
}
