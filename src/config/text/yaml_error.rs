//! The parser's complaints in words that say what to do.

use super::source::{TextFault, false_blank};

/// Part of what the parser says, and what to do about it; the first row that fits is taken.
///
/// The wordings are libyaml's (`unsafe-libyaml` 0.2, scanner.rs and parser.rs).
const EXPLANATIONS: [(&str, &str); 17] = [
    ("a tab character", "a tab indents this line: use spaces"),
    (
        "unknown escape character",
        "in double quotes a backslash begins an escape: write patterns in single quotes",
    ),
    ("scanning a quoted scalar", "the quote that opens here is never closed"),
    (
        "mapping values are not allowed",
        "this `:` is not expected: put the text in single quotes, or fix the indentation",
    ),
    ("mapping keys are not allowed", "a text that begins with `?` needs single quotes"),
    ("unknown anchor", "this alias has no anchor before it: a text that begins with `*` needs single quotes"),
    ("scanning an alias", "a text that begins with `*` needs single quotes"),
    ("scanning an anchor", "a text that begins with `&` needs single quotes"),
    ("scanning a tag", "a text that begins with `!` needs single quotes"),
    ("scanning a directive", "a line that begins with `%` needs single quotes"),
    ("scanning a block scalar", "a text that begins with `|` or `>` needs single quotes"),
    ("parsing a flow sequence", "the list that opens with this `[` is not closed, or a comma is missing"),
    ("parsing a flow mapping", "the mapping that opens with this `{` is not closed, or a comma is missing"),
    ("could not find expected ':'", "this line is no `key: value`"),
    ("block sequence entries are not allowed", "a list cannot begin here: begin it on the next line"),
    ("expected '-' indicator", "a `-` is expected here: fix the indentation"),
    (
        "did not find expected node content",
        "a value is expected here: a text that begins so needs single quotes",
    ),
];

/// The sentence for a message that the parser marked with this byte.
pub(crate) fn explain(text: &str, marked: Option<usize>, message: &str) -> TextFault {
    let offset = opening(text, message).or(marked).unwrap_or_default().min(text.len());
    if let Some(fault) = false_blank_near(text, offset) {
        return fault;
    }
    if message.contains("did not find expected key")
        && let Some(opened) = unclosed(text, offset)
    {
        return TextFault { offset: opened, text: UNCLOSED.to_owned() };
    }
    let known = EXPLANATIONS.iter().find(|row| message.contains(row.0)).map(|row| row.1);
    let sentence = match known.or_else(|| by_context(text, offset, message)) {
        Some(explanation) => explanation,
        None => message.split(" at line ").next().unwrap_or(message),
    };
    TextFault { offset, text: sentence.to_owned() }
}

/// A false blank on the line that the parser stumbled over, or the one before, which it took for the beginning.
fn false_blank_near(text: &str, offset: usize) -> Option<TextFault> {
    let (before, after) = text.split_at_checked(offset)?;
    let line = before.rfind('\n').unwrap_or(0);
    let start = before.get(..line)?.rfind('\n').map_or(0, |newline| newline + 1);
    let end = offset + after.find('\n').unwrap_or(after.len());
    let (inside, text) = false_blank(text.get(start..end)?)?;
    Some(TextFault { offset: start + inside, text })
}

/// The offset at which something unclosed opens: the parser marks where the end is missing, people look for the beginning.
fn opening(text: &str, message: &str) -> Option<usize> {
    let contexts = ["a quoted scalar", "a flow sequence", "a flow mapping", "a simple key"];
    let (_, context) = message.split_once(", while ")?;
    let unclosed =
        contexts.iter().any(|known| context.contains(known)) && !message.contains("escape character");
    let (line, column) = context.split_once(" at line ")?.1.split_once(" column ")?;
    let line: usize = line.parse().ok()?;
    let column: usize = column.parse().ok()?;
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let (inside, _) = text.get(start..)?.char_indices().nth(column.checked_sub(1)?)?;
    if unclosed { Some(start + inside) } else { None }
}

const UNCLOSED: &str =
    "the quote that opens here is closed only by the next quote, lines below: close it on its line";

/// The offset of the quote that opens the text which ends just before this byte, if it is on another line.
fn unclosed(text: &str, offset: usize) -> Option<usize> {
    let before = text.get(..offset)?.trim_end();
    let quote = before.chars().next_back().filter(|last| matches!(last, '\'' | '"'))?;
    let mut inside = before.strip_suffix(quote)?;
    loop {
        let opened = inside.rfind(quote)?;
        let earlier = inside.get(..opened)?;
        // A doubled quote is text.
        match earlier.strip_suffix(quote) {
            Some(rest) if quote == '\'' => inside = rest,
            _ => {
                let is_on_another_line = text.get(opened..offset)?.contains('\n');
                return if is_on_another_line { Some(opened) } else { None };
            }
        }
    }
}

/// Complaints that mean one thing or another, depending on what stands there.
fn by_context(text: &str, offset: usize, message: &str) -> Option<&'static str> {
    let (before, after) = text.split_at_checked(offset)?;
    if message.contains("cannot start any token") {
        return Some(match after.starts_with('\t') {
            true => "a tab cannot indent a line: use spaces",
            false => "a text that begins with `@`, `%` or a backquote needs single quotes",
        });
    }
    let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
    let begins = before.get(before.len() - column..)?.trim().is_empty();
    if !message.contains("did not find expected key") {
        return None;
    }
    Some(match begins {
        true => "a key is expected here: fix the indentation",
        false => {
            "nothing can follow the closing quote or bracket: put the whole text in single quotes, where a quote is written twice (`''`)"
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::yaml;

    fn complaint(text: &str) -> (usize, String) {
        let fault = yaml::read(text).unwrap_err();
        (fault.offset, fault.text)
    }

    #[test]
    fn unquoted_patterns_are_told_to_wear_single_quotes() {
        for (text, offset, says) in [
            ("pattern: ^a: b$", 11, "single quotes"),
            ("pattern: \"^\\d$\"", 11, "write patterns in single quotes"),
            ("pattern: [a-z]+ <ADDR>$\nmeans: x\n", 14, "put the whole text in single quotes"),
            ("pattern: 'it's'\n", 13, "written twice"),
            ("pattern: '^it''s <ADDR>$\nmeans: x\nline: 'a b'\n", 9, "close it on its line"),
            ("pattern: *(x)", 10, "`*`"),
            ("pattern: *foo", 9, "`*`"),
            ("pattern: &(x) y", 10, "`&`"),
            ("pattern: !<x y", 12, "`!`"),
            ("pattern: |x", 10, "`|`"),
            ("pattern: @x", 9, "`@`"),
            ("pattern: ? x", 9, "`?`"),
            ("pattern: ]", 9, "single quotes"),
            ("%x", 2, "`%`"),
        ] {
            let (at, sentence) = complaint(text);
            assert!(at == offset && sentence.contains(says), "{text:?}: {at} {sentence}");
        }
    }

    #[test]
    fn what_is_not_closed_is_shown_where_it_opens() {
        for (text, offset, says) in [
            ("a: 1\nb: 'x\nc: 2\n", 8, "never closed"),
            ("é: [a, b\nc: 1\n", 4, "`[`"),
            ("a: {a: 1\nc: 1\n", 3, "`{`"),
            ("a: 1\nabc\nb: 1\n", 5, "no `key: value`"),
        ] {
            let (at, sentence) = complaint(text);
            assert!(at == offset && sentence.contains(says), "{text:?}: {at} {sentence}");
        }
    }

    #[test]
    fn what_looks_like_a_blank_and_is_none_is_named() {
        for (text, offset, says) in [
            ("a: 1\nallow:\u{a0}[192.0.2.0/24]\n", 11, "a no-break space (U+00A0)"),
            ("a:\u{202f}1\nb: 2\n", 2, "(U+202F)"),
            ("a: 1\nb:\u{200b}\nc: 2\n", 7, "an invisible character (U+200B)"),
        ] {
            let (at, sentence) = complaint(text);
            assert!(at == offset && sentence.contains(says), "{text:?}: {at} {sentence}");
        }
    }

    #[test]
    fn tabs_and_indentation_have_sentences_of_their_own() {
        for (text, offset, says) in [
            ("a:\n\tb: 1\n", 3, "use spaces"),
            ("a: 1\n\tb: 2", 5, "use spaces"),
            ("a:\n  b: 1\n c: 2\n", 11, "fix the indentation"),
            ("a: 1\n  b: 2\n", 8, "fix the indentation"),
            ("- a\nb: 1", 4, "a `-` is expected"),
            ("a: - b", 3, "next line"),
            ("a: !!bool foo", 3, "expected a boolean"),
        ] {
            let (at, sentence) = complaint(text);
            assert!(at == offset && sentence.contains(says), "{text:?}: {at} {sentence}");
        }
    }
}
