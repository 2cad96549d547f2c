//! The text of a file: what may stand in it at all, and which line and column a byte has.

/// The longest file that is read, in bytes: far more than anybody writes by hand.
pub const MAX_FILE: usize = 1 << 20;

/// A sentence about a byte of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextFault {
    /// The offset in bytes, from behind the byte order mark.
    pub(crate) offset: usize,
    /// What is wrong and how to fix it.
    pub(crate) text: String,
}

/// The position of a byte, counted as editors do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextPosition {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The column, from 1, in characters.
    pub(crate) column: usize,
    /// The line without its end.
    pub(crate) cited: String,
}

/// The bytes as text without byte order mark, or the first byte that cannot stand in a YAML file.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<&str, TextFault> {
    if bytes.len() > MAX_FILE {
        let text = format!("the file has {} bytes, more than the {MAX_FILE} that are read", bytes.len());
        return Err(TextFault { offset: 0, text });
    }
    let text = std::str::from_utf8(without_mark(bytes)).map_err(|error| {
        let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let kind = if wide { "looks like UTF-16" } else { "is not UTF-8 here" };
        let text = format!("the file {kind}: save it as UTF-8");
        TextFault { offset: error.valid_up_to(), text }
    })?;
    match text.char_indices().find(|&(offset, c)| forbidden(text, offset, c)) {
        None => Ok(text),
        Some((offset, c)) => {
            let text = format!("the invisible character U+{:04X} cannot stand here: remove it", u32::from(c));
            Err(TextFault { offset, text })
        }
    }
}

/// Offsets count from behind the byte order mark, which editors do not show.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Control characters, and the line breaks that YAML knows but editors do not count as such.
fn forbidden(text: &str, offset: usize, c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\r' => text.as_bytes().get(offset + 1) != Some(&b'\n'),
        '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => true,
        _ => c.is_control(),
    }
}

/// The offset of a character that looks like a space but is none to YAML, and a sentence that names it.
pub(crate) fn false_blank(text: &str) -> Option<(usize, String)> {
    let is_blank = |c: &char| c.is_whitespace() && !c.is_ascii() || matches!(c, '\u{200b}' | '\u{2060}');
    let (offset, c) = text.char_indices().find(|(_, c)| is_blank(c))?;
    let name = match c {
        '\u{a0}' => "a no-break space",
        '\u{202f}' => "a narrow no-break space",
        '\u{200b}' | '\u{2060}' => "an invisible character",
        _ => "a blank of another width",
    };
    Some((
        offset,
        format!(
            "{name} (U+{:04X}) stands here, which YAML does not take for a space: write an ordinary one",
            u32::from(c)
        ),
    ))
}

/// The line and column of a byte; bytes beyond the end are at the end.
pub(crate) fn position(bytes: &[u8], offset: usize) -> TextPosition {
    let bytes = without_mark(bytes);
    let offset = offset.min(bytes.len());
    let (before, after) = bytes.split_at(offset);
    let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
    let end = after.iter().position(|&b| b == b'\n').map_or(bytes.len(), |newline| offset + newline);
    let cited = String::from_utf8_lossy(&bytes[start..end]);
    TextPosition {
        line: 1 + before.iter().filter(|&&b| b == b'\n').count(),
        column: 1 + String::from_utf8_lossy(&bytes[start..offset]).chars().count(),
        cited: cited.trim_end_matches('\r').to_owned(),
    }
}

/// The byte in the file that holds byte `inside` of a scalar's value, the scalar starting at byte `scalar`.
///
/// `None` where the value is not in the file as it is read: in a block, over several lines, with escapes.
pub(crate) fn inside_scalar(text: &str, scalar: usize, value: &str, inside: usize) -> Option<usize> {
    let wanted = value.get(..inside)?;
    let written = text.get(scalar..)?;
    match written.split_at_checked(1)? {
        ("'", rest) => Some(scalar + 1 + wanted_in_single_quotes(wanted, rest)?),
        ("\"", rest) if rest.starts_with(value) && !value.contains('\\') => Some(scalar + 1 + inside),
        ("\"" | "|" | ">", _) => None,
        _ if written.starts_with(value) => Some(scalar + inside),
        _ => None,
    }
}

/// How many bytes the wanted start of a value takes in single quotes, where `''` is one quote.
fn wanted_in_single_quotes(wanted: &str, rest: &str) -> Option<usize> {
    let written = wanted.replace('\'', "''");
    if rest.starts_with(&written) { Some(written.len()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_moves_no_column() {
        assert_eq!(from_bytes(b"\xef\xbb\xbfname: x"), Ok("name: x"));
        let position = position(b"\xef\xbb\xbfname: x", 6);
        assert_eq!((position.line, position.column, position.cited.as_str()), (1, 7, "name: x"));
    }

    #[test]
    fn columns_are_characters_and_ends_of_lines_are_not_cited() {
        let at = position("é: ü\r\nab".as_bytes(), "é: ü".len());
        assert_eq!((at.line, at.column, at.cited.as_str()), (1, 5, "é: ü"));
        let at = position(b"a\nbc", 99);
        assert_eq!((at.line, at.column, at.cited.as_str()), (2, 3, "bc"));
    }

    #[test]
    fn bytes_that_are_no_text_are_named_with_their_place() {
        let fault = from_bytes(b"name: \xff").unwrap_err();
        assert_eq!((fault.offset, fault.text.contains("UTF-8")), (6, true));
        assert!(from_bytes(b"\xff\xfea\0").unwrap_err().text.contains("UTF-16"));
        assert!(from_bytes(b"a: \x1b[31m").unwrap_err().text.contains("U+001B"));
        assert!(from_bytes("a: \u{2028}".as_bytes()).unwrap_err().text.contains("U+2028"));
        assert!(from_bytes(b"a: 1\rb: 2").is_err(), "a lone carriage return is no end of line to an editor");
        assert!(from_bytes(&vec![b' '; MAX_FILE + 1]).unwrap_err().text.contains("1048576"));
    }

    #[test]
    fn a_byte_of_a_value_is_found_in_the_file() {
        assert_eq!(inside_scalar("p: 'it''s (x'", 3, "it's (x", 5), Some(10));
        assert_eq!(inside_scalar("p: ab(c", 3, "ab(c", 2), Some(5));
        assert_eq!(inside_scalar("p: \"ab(c\"", 3, "ab(c", 2), Some(6));
        assert_eq!(inside_scalar("p: \"a\\\\b\"", 3, "a\\b", 2), None);
        assert_eq!(inside_scalar("p: |\n  ab", 3, "ab", 1), None);
        assert_eq!(inside_scalar("p: a\n  b", 3, "a b", 2), None);
        assert_eq!(inside_scalar("p: 'a'", 3, "a", 7), None);
    }
}
