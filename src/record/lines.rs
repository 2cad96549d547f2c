//! The length limit of lines, and the bytes in them that no program wrote.

/// The longest line that is read, in bytes without its newline.
///
/// No syslogd writes half as much: the longest messages of FreeBSD 14's, rsyslog and metalog have 8,192 bytes. A longer
/// line is dropped whole, never split: the second half of a split line would begin with a header that an attacker wrote.
pub const MAX_LINE: usize = 16 * 1024;

/// Strips from a line what no program wrote: a carriage return at its end, NULs and a byte order mark at its beginning.
///
/// A crash leaves blocks of NULs where a file had been made longer but not yet written, and so does a writer that
/// continues at its old offset in a file that was truncated; the next line follows without a newline. Including NULs a
/// line may have [`MAX_LINE`] bytes, as any line. NULs behind other bytes stay: what precedes them is a line that was
/// lost half-way, and nobody knows which line the rest belongs to.
pub fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.first() {
        Some(0 | 0xef) => without_bom(behind_nuls(line)),
        _ => line,
    }
}

fn behind_nuls(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().take_while(|&&byte| byte == 0).count();
    &bytes[length..]
}

/// Strips the byte order mark of UTF-8, which some programs put before a text.
#[inline]
pub(super) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line before them was lost half-way, and whose text it is cannot be known.
    #[test]
    fn nuls_within_a_line_begin_no_other() {
        let torn = b"Nov 22 14:38:31 gw httpd[1]: lo\0\0Nov 22 14:38:31 gw sshd[1]: x";
        assert_eq!(text(torn), torn);
        assert_eq!(text(b"x\0"), b"x\0", "a filled-up message is not made shorter than it was");
    }

    #[test]
    fn one_byte_order_mark_and_one_return_are_taken_off() {
        for (line, expected) in [
            (&b"\xef\xbb\xbfx"[..], &b"x"[..]),
            (b"\0\0\xef\xbb\xbfx\r", b"x"),
            (b"\xef\xbb\xbf\xef\xbb\xbfx", b"\xef\xbb\xbfx"),
            (b"\xef\xbbx", b"\xef\xbbx"),
            (b"x\r\r", b"x\r"),
            (b"x ", b"x "),
            (b"\0", b""),
        ] {
            assert_eq!(text(line), expected, "{line:?}");
        }
    }
}
