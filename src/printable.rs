//! Text for a terminal or a log: that of others is shown, never executed.

/// Bytes of a log, a path or a file: other encodings, control characters and what turns the direction of writing are
/// shown as one sign each.
pub(crate) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(shown).collect()
}

/// A blank for blanks, so that columns and words stay apart.
fn shown(c: char) -> char {
    match c {
        '\t' | '\n' => ' ',
        c if drives(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Controls, and the marks of writing direction, which make a terminal show what comes behind them before it.
pub(crate) fn drives(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// `1 line`, `34 lines`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_cannot_drive_the_terminal() {
        assert_eq!(printable(b"a\x1b[2Jb\xff"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(
            printable("a\u{202e}7.2.0.291\u{2028}\u{61c}é".as_bytes()),
            "a\u{fffd}7.2.0.291\u{fffd}\u{fffd}é"
        );
        assert_eq!(printable(b"a\tb\nc\rd"), "a b c\u{fffd}d");
    }
}
