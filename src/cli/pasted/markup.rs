//! Removes what mails, chats, issue trackers and wikis put around a line: quotes, list marks, tags, entities.

use std::borrow::Cow;

/// Opening and closing marks of quotes and code.
const PAIRS: [(&str, &str); 17] = [
    ("\"", "\""),
    ("'", "'"),
    ("`", "`"),
    ("“", "”"),
    ("„", "“"),
    ("‘", "’"),
    ("‚", "‘"),
    ("«", "»"),
    ("»", "«"),
    ("**", "**"),
    ("{code}", "{code}"),
    ("{noformat}", "{noformat}"),
    ("{{{", "}}}"),
    ("{{", "}}"),
    ("[code]", "[/code]"),
    ("[quote]", "[/quote]"),
    ("$ ", ""),
];

/// HTML and wiki elements that may enclose a line.
const ELEMENTS: [&str; 17] = [
    "blockquote",
    "br",
    "code",
    "div",
    "font",
    "kbd",
    "li",
    "nowiki",
    "p",
    "pre",
    "samp",
    "source",
    "span",
    "syntaxhighlight",
    "td",
    "tr",
    "tt",
];

/// Marks before quoted lines and list items; some only with a space behind them.
const MARKS: [&str; 8] = [">", "|", "+", "- ", "* ", "• ", "[ ] ", "[x] "];

/// Other kinds of space, which mails and web pages use.
const BLANKS: [&str; 4] = ["\u{a0}", "\u{200b}", "\u{202f}", "\u{feff}"];

/// The length of the longest entity that is decoded, without `&`.
const MAX_ENTITY: usize = "#x1F600;".len();

/// The text without anything around it.
pub(super) fn unwrapped(text: &[u8]) -> &[u8] {
    let mut text = text;
    loop {
        let inner = without_element(without_pair(without_mark(trimmed(text))));
        if inner.len() == text.len() {
            return text;
        }
        text = inner;
    }
}

/// Whether a pasted line is more than markup around other lines; a code fence may name a language.
pub(in crate::cli) fn is_text(line: &[u8]) -> bool {
    let line = trimmed(line);
    let fence = line.strip_prefix(b"```").or_else(|| line.strip_prefix(b"~~~"));
    let is_fence = fence.is_some_and(|language| language.iter().all(u8::is_ascii_alphanumeric));
    !is_fence && !unwrapped(line).is_empty()
}

/// The text with its entities decoded; `None` if it has none.
pub(super) fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest) {
        plain.extend_from_slice(&rest[..at]);
        match entity(&rest[at + 1..]) {
            Some((character, length)) => {
                plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[at + 1 + length..];
            }
            None => {
                plain.push(b'&');
                rest = &rest[at + 1..];
            }
        }
    }
    plain.extend_from_slice(rest);
    if plain.len() < text.len() { Some(plain) } else { None }
}

/// The text with ordinary spaces in place of other kinds.
pub(super) fn with_our_blanks(text: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(text) {
        Ok(utf8) if utf8.contains('\u{a0}') || utf8.contains('\u{202f}') => {
            Cow::Owned(utf8.replace(['\u{a0}', '\u{202f}'], " ").into_bytes())
        }
        _ => Cow::Borrowed(text),
    }
}

/// The character of an entity, and the length of the entity including its semicolon.
fn entity(text: &[u8]) -> Option<(char, usize)> {
    let reach = text.len().min(MAX_ENTITY);
    let end = memchr::memchr(b';', &text[..reach])?;
    let name = std::str::from_utf8(&text[..end]).ok()?;
    let character = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "lsqb" | "lbrack" => '[',
        "rsqb" | "rbrack" => ']',
        "colon" => ':',
        _ => numbered(name.strip_prefix('#')?)?,
    };
    Some((character, end + 1))
}

/// Decodes a numeric entity, but no line break: a line must stay one line.
fn numbered(number: &str) -> Option<char> {
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?).filter(|&character| !matches!(character, '\n' | '\r' | '\0'))
}

fn trimmed(text: &[u8]) -> &[u8] {
    let mut text = text.trim_ascii();
    for blank in BLANKS.map(str::as_bytes) {
        while let Some(inner) = text.strip_prefix(blank).or_else(|| text.strip_suffix(blank)) {
            text = inner.trim_ascii();
        }
    }
    text
}

fn without_mark(text: &[u8]) -> &[u8] {
    if let Some(rest) = MARKS.iter().find_map(|mark| text.strip_prefix(mark.as_bytes())) {
        // A row of a table ends as it begins.
        return rest.strip_suffix(b"|").filter(|_| text.starts_with(b"|")).unwrap_or(rest);
    }
    let digits = text.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    match &text[digits..] {
        [b'.' | b')', b' ', rest @ ..] | [b'\t', rest @ ..] if digits > 0 => rest,
        _ => text,
    }
}

/// What was cut out of a longer quote may have only one of its ends. Commas behind a quote are those of a list.
fn without_pair(text: &[u8]) -> &[u8] {
    let behind = |(open, _): &&(&str, &str)| text.starts_with(open.as_bytes());
    let Some((open, close)) = PAIRS.iter().find(behind) else { return text };
    let rest = &text[open.len()..];
    let ended = rest.strip_suffix(b",").or_else(|| rest.strip_suffix(b";")).unwrap_or(rest);
    ended.strip_suffix(close.as_bytes()).unwrap_or(rest)
}

fn without_element(text: &[u8]) -> &[u8] {
    let behind_opening = tag_at_start(text).unwrap_or(text);
    tag_at_end(behind_opening).unwrap_or(behind_opening)
}

fn tag_at_start(text: &[u8]) -> Option<&[u8]> {
    let inside = text.strip_prefix(b"<")?;
    let end = memchr::memchr(b'>', inside)?;
    is_tag(&inside[..end]).then_some(&inside[end + 1..])
}

fn tag_at_end(text: &[u8]) -> Option<&[u8]> {
    let inside = text.strip_suffix(b">")?;
    let start = memchr::memrchr(b'<', inside)?;
    is_tag(&inside[start + 1..]).then_some(&inside[..start])
}

fn is_tag(inside: &[u8]) -> bool {
    let inside = inside.strip_prefix(b"/").unwrap_or(inside);
    let length = inside.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (name, rest) = inside.split_at(length);
    let is_known = ELEMENTS.iter().any(|element| name.eq_ignore_ascii_case(element.as_bytes()));
    is_known && matches!(rest.first(), None | Some(b' ' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "Nov 22 14:38:31 gw sshd[1]: Failed password for root from 192.0.2.7 port 1 ssh2";

    #[test]
    fn what_stands_around_a_line_is_taken_off() {
        for wrapped in [
            "> LINE",
            ">> LINE",
            "> > LINE",
            "| LINE |",
            "+LINE",
            "- LINE",
            "* LINE",
            "• LINE",
            "1. LINE",
            "12) LINE",
            "   12\tLINE",
            "- [ ] LINE",
            "\"LINE\"",
            "'LINE'",
            "`LINE`",
            "```LINE```",
            "“LINE”",
            "„LINE“",
            "‘LINE’",
            "«LINE»",
            "**LINE**",
            "  - \"LINE\",",
            "> * `LINE`",
            "\"LINE",
            "'LINE';",
            "<code>LINE</code>",
            "<pre class=\"log\"><code>LINE</code></pre>",
            "<p>LINE<br/>",
            "LINE<br />",
            "<TD>LINE</TD>",
            "{{LINE}}",
            "{code}LINE{code}",
            "{noformat}LINE{noformat}",
            "{{{LINE}}}",
            "[code]LINE[/code]",
            "<nowiki>LINE</nowiki>",
            "\u{a0}LINE\u{200b}",
            "\u{feff}LINE",
            "\t LINE \t",
        ] {
            let wrapped = wrapped.replace("LINE", LINE);
            assert_eq!(unwrapped(wrapped.as_bytes()), LINE.as_bytes(), "{wrapped}");
        }
    }

    #[test]
    fn what_is_of_the_line_stays() {
        for line in [
            LINE,
            "<38>Nov 22 14:38:31 gw sshd[1]: x",
            "<38>1 - gw sshd 1 - - x",
            "2026-11-22T14:38:31Z gw sshd[1]: it's \"so\"",
            "[1234.5] x `y`",
            "-x",
            "--- x",
            "*x",
            "12 x",
            "<unknown>x</unknown>",
            "x, y;",
        ] {
            assert_eq!(unwrapped(line.as_bytes()), line.as_bytes(), "{line}");
        }
    }

    #[test]
    fn entities_are_decoded_once() {
        for (text, plain) in [
            ("&lt;38&gt;x", "<38>x"),
            ("&quot;x&quot; &#39;y&#39; &#x27;z&apos; &amp;", "\"x\" 'y' 'z' &"),
            ("&amp;lt;38&amp;gt;x", "&lt;38&gt;x"),
            ("&#91;&lsqb;&nbsp;&#64;&amp;", "[[\u{a0}@&"),
        ] {
            assert_eq!(decoded(text.as_bytes()).as_deref(), Some(plain.as_bytes()), "{text}");
        }
        for text in [
            "",
            "x & y",
            "&;",
            "&lt",
            "&foo;",
            "&#;",
            "&#x;",
            "&#10;",
            "&#0;",
            "&#xd800;",
            "&#99999999;",
            "a&b=c;",
        ] {
            assert_eq!(decoded(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn markup_alone_is_no_text() {
        for line in [
            "",
            "  ",
            "```",
            "```text",
            "~~~",
            ">",
            "> ",
            "|",
            "<pre>",
            "<pre><code>",
            "{code}",
            "[code]",
            "\u{a0}",
        ] {
            assert!(!is_text(line.as_bytes()), "{line}");
        }
        for line in [LINE, "> x", "```Nov 22 14:38:31 x```", "hello"] {
            assert!(is_text(line.as_bytes()), "{line}");
        }
    }
}
