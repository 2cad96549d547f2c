//! Cutting chunks of bytes into lines.

use memchr::memchr;

/// The longest line that is read, in bytes without its newline.
///
/// No syslogd writes half as much: the longest messages of FreeBSD 14's, rsyslog and metalog have 8,192 bytes. A longer
/// line is dropped whole, never split: the second half of a split line would begin with a header that an attacker wrote.
pub const MAX_LINE: usize = 16 * 1024;

/// Collects the lines of one source out of chunks of any size.
///
/// Lines that lie within a chunk are handed out of it without a copy; only a line that begins in one chunk and ends in
/// another is put together, in a buffer of at most [`MAX_LINE`] bytes.
///
/// ```
/// # use portcullis::record::LineBuffer;
/// let mut lines = LineBuffer::new();
/// let mut chunk = &b"one\ntw"[..];
/// while let Some(line) = lines.next_line(&mut chunk) {
///     assert_eq!(line, b"one");
/// }
/// assert_eq!(lines.pending(), 2);
/// let mut chunk = &b"o\r\n"[..];
/// assert_eq!(lines.next_line(&mut chunk), Some(&b"two"[..]));
/// ```
#[derive(Debug, Default)]
pub struct LineBuffer {
    /// The beginning of a line whose end has not come, or the line last handed out.
    start: Vec<u8>,
    /// Whether `start` was handed out and is to be forgotten.
    handed_out: bool,
    /// Bytes of the present line that were thrown away because it is too long.
    thrown_away: u64,
    /// Lines dropped so far.
    dropped: u64,
}

impl LineBuffer {
    /// An empty buffer, at the beginning of a line.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next whole line as [`text`] has it, without its `\n`; takes it off the chunk. `None` when the chunk is used up, what
    /// is left of it being kept as the beginning of the next line.
    pub fn next_line<'l, 'c: 'l>(&'l mut self, chunk: &mut &'c [u8]) -> Option<&'l [u8]> {
        self.forget_handed_out();
        while let Some(end) = memchr(b'\n', chunk) {
            let part = &chunk[..end];
            *chunk = &chunk[end + 1..];
            if self.too_long_with(part) {
                self.drop_line();
            } else if self.start.is_empty() {
                return Some(text(part));
            } else {
                return Some(self.hand_out(part));
            }
        }
        self.keep(chunk);
        *chunk = &chunk[chunk.len()..];
        None
    }

    /// The last line, if it has no newline and the file has ended for good. An overlong one is counted as dropped.
    pub fn finish(&mut self) -> Option<&[u8]> {
        self.forget_handed_out();
        if self.thrown_away > 0 {
            self.drop_line();
        }
        (!self.start.is_empty()).then(|| self.hand_out(b""))
    }

    /// How many of the bytes fed so far belong to a line that has not ended, those of an overlong line included.
    ///
    /// A reader that stops here and means to go on later must begin again that many bytes earlier, so that it begins
    /// at the beginning of a line.
    pub fn pending(&self) -> u64 {
        let kept = if self.handed_out { 0 } else { self.start.len() as u64 };
        kept + self.thrown_away
    }

    /// How many lines were longer than [`MAX_LINE`] and therefore dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn forget_handed_out(&mut self) {
        if std::mem::take(&mut self.handed_out) {
            self.start.clear();
        }
    }

    fn too_long_with(&self, part: &[u8]) -> bool {
        self.thrown_away > 0 || self.start.len() + part.len() > MAX_LINE
    }

    fn drop_line(&mut self) {
        self.start.clear();
        self.thrown_away = 0;
        self.dropped += 1;
    }

    fn hand_out(&mut self, part: &[u8]) -> &[u8] {
        self.start.extend_from_slice(part);
        self.handed_out = true;
        text(&self.start)
    }

    fn keep(&mut self, part: &[u8]) {
        if self.too_long_with(part) {
            self.thrown_away += (self.start.len() + part.len()) as u64;
            self.start.clear();
        } else {
            self.start.extend_from_slice(part);
        }
    }
}

/// A line without what no program wrote: a return at its end, and NULs and a byte order mark at its beginning.
///
/// A crash leaves blocks of NUL where a file had been made longer but not yet written, and so does a writer that goes on at
/// its old place in a file which was truncated; the next line follows without a newline. With NULs it may have
/// [`MAX_LINE`] bytes, as any line. NULs behind other bytes stay: what stands before them is a line that was lost half-way, and
/// whose what follows is nobody knows.
pub fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.first() {
        Some(0 | 0xef) => without_bom(behind_nuls(line)),
        _ => line,
    }
}

/// The lines of a text, as [`text`] has them, empty ones left out.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&byte| byte == b'\n').map(text).filter(|line| !line.is_empty())
}

fn behind_nuls(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().take_while(|&&byte| byte == 0).count();
    &bytes[length..]
}

/// Without the byte order mark of UTF-8, which some programs put before a text.
#[inline]
pub(super) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What comes out of the chunks: lines, bytes pending before the end, the last line, and how many were dropped.
    fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, u64, Option<Vec<u8>>, u64) {
        let mut buffer = LineBuffer::new();
        let mut lines = Vec::new();
        for mut chunk in chunks {
            while let Some(line) = buffer.next_line(&mut chunk) {
                lines.push(line.to_vec());
            }
            assert!(chunk.is_empty());
            assert!(buffer.start.capacity() <= 2 * MAX_LINE, "bounded");
        }
        let pending = buffer.pending();
        let last = buffer.finish().map(<[u8]>::to_vec);
        assert_eq!(buffer.pending(), 0);
        (lines, pending, last, buffer.dropped())
    }

    /// The same by `split`.
    fn model(text: &[u8]) -> (Vec<Vec<u8>>, u64, Option<Vec<u8>>, u64) {
        let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
        let last = lines.pop().expect("split gives at least one");
        let fits = |line: &&[u8]| line.len() <= MAX_LINE;
        let dropped = lines.iter().chain([&last]).filter(|line| !fits(line)).count();
        let owned = |line: &[u8]| super::text(line).to_vec();
        let whole = lines.into_iter().filter(fits).map(owned).collect();
        let end = Some(last).filter(fits).filter(|line| !line.is_empty()).map(owned);
        (whole, last.len() as u64, end, dropped as u64)
    }

    /// Other programs: "byte 4096 starts a new line that an attacker wrote; a line over 64 KiB ended the reader".
    #[test]
    fn the_tail_of_an_overlong_line_never_becomes_a_line() {
        let forged = "Nov 22 14:38:31 gw sshd[1]: Failed password for root from 192.0.2.7 port 1 ssh2\n";
        let text = format!("{}{forged}true\n", "x".repeat(MAX_LINE));
        for size in [1, 80, 4096, MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 1 << 20] {
            let (lines, _, last, dropped) = read(text.as_bytes().chunks(size));
            assert_eq!((lines, last, dropped), (vec![b"true".to_vec()], None, 1), "chunks of {size}");
        }
    }

    #[test]
    fn a_line_of_the_longest_length_is_read_and_one_byte_more_is_not() {
        let longest = "x".repeat(MAX_LINE);
        assert_eq!(read([format!("{longest}\n").as_bytes()]).0.len(), 1);
        assert_eq!(read([format!("{longest}x\n").as_bytes()]).3, 1);
        assert_eq!(read([longest.as_bytes(), b"x\n"]).3, 1);
    }

    #[test]
    fn an_overlong_line_stays_pending_so_that_nobody_starts_again_in_its_middle() {
        let mut buffer = LineBuffer::new();
        let long = vec![b'x'; 3 * MAX_LINE];
        assert_eq!(buffer.next_line(&mut &long[..]), None);
        assert_eq!(buffer.next_line(&mut &b"yy"[..]), None);
        assert_eq!(buffer.pending(), long.len() as u64 + 2);
        assert_eq!(buffer.next_line(&mut &b"\nz"[..]), None);
        assert_eq!((buffer.pending(), buffer.dropped()), (1, 1));
    }

    #[test]
    fn returns_and_nuls_are_handled() {
        let (lines, _, last, _) = read([&b"a\r"[..], b"\n\r\n\0\n\r"]);
        assert_eq!(lines, [&b"a"[..], b"", b""]);
        assert_eq!(last, Some(Vec::new()), "the return may be the first half of a line end");
    }

    /// The line before them was lost half-way, and whose text it is cannot be known.
    #[test]
    fn nuls_within_a_line_begin_no_other() {
        let torn = b"Nov 22 14:38:31 gw httpd[1]: lo\0\0Nov 22 14:38:31 gw sshd[1]: x";
        assert_eq!(super::text(torn), torn);
        assert_eq!(super::text(b"x\0"), b"x\0", "a filled-up message is not made shorter than it was");
    }

    #[test]
    fn one_byte_order_mark_and_one_return_are_taken_off() {
        for (line, text) in [
            (&b"\xef\xbb\xbfx"[..], &b"x"[..]),
            (b"\0\0\xef\xbb\xbfx\r", b"x"),
            (b"\xef\xbb\xbf\xef\xbb\xbfx", b"\xef\xbb\xbfx"),
            (b"\xef\xbbx", b"\xef\xbbx"),
            (b"x\r\r", b"x\r"),
            (b"x ", b"x "),
            (b"\0", b""),
        ] {
            assert_eq!(super::text(line), text, "{line:?}");
        }
    }

    #[test]
    fn a_line_within_a_chunk_is_not_copied() {
        let text = b"one\ntwo\n";
        let mut chunk = &text[..];
        let mut buffer = LineBuffer::new();
        while let Some(line) = buffer.next_line(&mut chunk) {
            assert!(text.as_ptr_range().contains(&line.as_ptr()));
        }
        assert_eq!(buffer.start.capacity(), 0);
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            6 => prop::collection::vec(any::<u8>(), 0..20),
            6 => prop::sample::select(vec![b"\n".to_vec(), b"\r\n".to_vec(), b"\n\n".to_vec()]),
            1 => (MAX_LINE - 3..MAX_LINE + 3).prop_map(|length| vec![b'x'; length]),
            1 => prop_oneof![1..9_usize, MAX_LINE - 3..MAX_LINE + 3].prop_map(|length| vec![0; length]),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn chunks_of_any_size_give_the_same_lines(text in text(), sizes in prop::collection::vec(1..9000_usize, 1..40)) {
            let mut chunks = Vec::new();
            let mut rest = &text[..];
            for size in sizes {
                let (chunk, after) = rest.split_at(size.min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            chunks.push(rest);
            prop_assert_eq!(read(chunks), model(&text));
        }
    }
}
