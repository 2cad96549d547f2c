//! Cutting bytes into whole lines, and over-long lines out of them: what is longer than [`MAX_LINE`] is dropped whole, since
//! cut in two its second half would be a line that somebody else wrote.

use std::ops::Range;

use memchr::{memchr, memrchr};

use crate::record::MAX_LINE;

/// What the first of some bytes of a log are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The first `n` bytes are whole lines.
    Lines(usize),
    /// The first `n` bytes are one over-long line, or the rest of one.
    Overlong(usize),
    /// All bytes belong to an over-long line whose end has not been read yet.
    Endless,
    /// The bytes hold no complete line yet, or are none at all.
    Wait,
}

/// Classifies bytes that begin with a line, or inside an over-long one. Finds one newline per 16 KiB rather than each.
pub fn cut(bytes: &[u8], is_inside: bool) -> Cut {
    if is_inside {
        return memchr(b'\n', bytes).map_or(Cut::Endless, |at| Cut::Overlong(at + 1));
    }
    let mut end = 0;
    while let Some(rest) = bytes.get(end..) {
        let window = rest.get(..=MAX_LINE).unwrap_or(rest);
        match memrchr(b'\n', window) {
            Some(at) => end += at + 1,
            None => break,
        }
    }
    match bytes.get(MAX_LINE..) {
        _ if end > 0 => Cut::Lines(end),
        Some(beyond) if bytes.len() > MAX_LINE => {
            memchr(b'\n', beyond).map_or(Cut::Endless, |at| Cut::Overlong(MAX_LINE + at + 1))
        }
        _ => Cut::Wait,
    }
}

/// Collects the whole lines of one log from pieces of any size. Buffers the last piece and the beginning of an incomplete
/// line, of at most [`MAX_LINE`] bytes.
///
/// ```
/// # use portcullis::pipeline::WholeLines;
/// let mut lines = WholeLines::default();
/// for (piece, whole) in [("one\ntw", "one\n"), ("o\nthr", "two\n"), ("ee\n", "three\n")] {
///     lines.room(piece.len()).copy_from_slice(piece.as_bytes());
///     lines.add(piece.len());
///     assert!(lines.advance());
///     assert_eq!(lines.found(), whole.as_bytes());
///     assert!(!lines.advance());
/// }
/// ```
#[derive(Debug, Default)]
pub struct WholeLines {
    buffer: Vec<u8>,
    /// The lines found last.
    found: Range<usize>,
    /// The end of the bytes that were added; those behind `found` have not been looked at yet.
    end: usize,
    /// Whether they begin inside an over-long line.
    is_inside: bool,
    /// Lines dropped since [`Self::take_dropped`] was last called.
    dropped: u64,
}

impl WholeLines {
    /// Space of `length` bytes for the next piece; [`Self::add`] says how much of it was filled.
    pub fn room(&mut self, length: usize) -> &mut [u8] {
        self.buffer.copy_within(self.found.end..self.end, 0);
        self.end -= self.found.end;
        self.found = 0..0;
        let needed = self.end + length;
        if self.buffer.len() < needed {
            self.buffer.resize(needed, 0);
        }
        &mut self.buffer[self.end..needed]
    }

    /// Appends the first `length` bytes of the space that [`Self::room`] returned last.
    pub fn add(&mut self, length: usize) {
        self.end = self.buffer.len().min(self.end + length);
    }

    /// Finds the next whole lines; false if there are none yet.
    pub fn advance(&mut self) -> bool {
        loop {
            let begin = self.found.end;
            match cut(&self.buffer[begin..self.end], self.is_inside) {
                Cut::Lines(length) => {
                    self.found = begin..begin + length;
                    return true;
                }
                Cut::Overlong(length) => {
                    self.pass_to(begin + length);
                    self.is_inside = false;
                    self.dropped += 1;
                }
                Cut::Endless => {
                    self.pass_to(self.end);
                    self.is_inside = true;
                    return false;
                }
                Cut::Wait => {
                    self.pass_to(begin);
                    return false;
                }
            }
        }
    }

    /// Ends the log: what is left is its last line, without a newline.
    pub fn finish(&mut self) {
        self.dropped += u64::from(std::mem::take(&mut self.is_inside));
        self.found = self.found.end..self.end;
    }

    /// The lines that were found last, with their newlines.
    pub fn found(&self) -> &[u8] {
        &self.buffer[self.found.clone()]
    }

    /// Swaps its buffer with `to`, and returns where the lines that were found last stand in it. The other buffer's memory
    /// is used for the next piece.
    pub fn hand_over(&mut self, to: &mut Vec<u8>) -> Range<usize> {
        let rest = self.found.end..self.end;
        if to.len() < rest.len() {
            to.resize(rest.len(), 0);
        }
        to[..rest.len()].copy_from_slice(&self.buffer[rest.clone()]);
        std::mem::swap(to, &mut self.buffer);
        self.end = rest.len();
        std::mem::take(&mut self.found)
    }

    fn pass_to(&mut self, at: usize) {
        self.found = at..at;
    }

    /// How many over-long lines were dropped since the last call. They stood before the lines that were found last.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, line by line.
    fn naive(bytes: &[u8]) -> Cut {
        let mut end = 0;
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            let whole = line.ends_with(b"\n");
            match line.len() - usize::from(whole) {
                0..=MAX_LINE if whole => end += line.len(),
                _ if end > 0 => break,
                0..=MAX_LINE => return Cut::Wait,
                _ if whole => return Cut::Overlong(line.len()),
                _ => return Cut::Endless,
            }
        }
        if end > 0 { Cut::Lines(end) } else { Cut::Wait }
    }

    fn line() -> impl Strategy<Value = usize> {
        prop_oneof![0..200usize, MAX_LINE - 2..MAX_LINE + 3, 0..3 * MAX_LINE]
    }

    proptest! {
        #[test]
        fn equal_to_looking_at_each_line(lengths in prop::collection::vec(line(), 0..8), open in 0..2usize) {
            let mut bytes = Vec::new();
            for length in lengths {
                bytes.resize(bytes.len() + length, b'x');
                bytes.push(b'\n');
            }
            bytes.truncate(bytes.len().saturating_sub(open));
            prop_assert_eq!(cut(&bytes, false), naive(&bytes));
        }
    }

    /// What comes out of the pieces: lines, the last one, and how many were dropped.
    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]> + Clone) -> (Vec<u8>, Option<Vec<u8>>, u64) {
        let all = read_by(pieces.clone(), false);
        assert_eq!(read_by(pieces, true), all);
        all
    }

    fn read_by<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
        by_handing_over: bool,
    ) -> (Vec<u8>, Option<Vec<u8>>, u64) {
        let mut whole = WholeLines::default();
        let mut lines = Vec::new();
        let mut handed_over = Vec::new();
        for piece in pieces {
            whole.room(piece.len()).copy_from_slice(piece);
            whole.add(piece.len());
            while whole.advance() {
                if by_handing_over {
                    let found = whole.hand_over(&mut handed_over);
                    lines.extend_from_slice(&handed_over[found]);
                } else {
                    lines.extend_from_slice(whole.found());
                }
            }
            assert!(
                whole.end - whole.found.end <= MAX_LINE && whole.buffer.len() <= MAX_LINE + (1 << 20),
                "bounded"
            );
        }
        whole.finish();
        let last = Some(whole.found().to_vec()).filter(|last| !last.is_empty());
        (lines, last, whole.take_dropped())
    }

    /// The same by `split`.
    fn model(text: &[u8]) -> (Vec<u8>, Option<Vec<u8>>, u64) {
        let fits = |line: &&[u8]| line.strip_suffix(b"\n").unwrap_or(line).len() <= MAX_LINE;
        let all: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
        let dropped = all.iter().filter(|line| !fits(line)).count() as u64;
        let (whole, open): (Vec<&[u8]>, Vec<&[u8]>) =
            all.into_iter().filter(fits).partition(|line| line.ends_with(b"\n"));
        (whole.concat(), open.first().map(|line| line.to_vec()), dropped)
    }

    /// Other programs: "byte 4096 starts a new line that an attacker wrote; a line over 64 KiB ended the reader".
    #[test]
    fn the_tail_of_an_overlong_line_never_becomes_a_line() {
        let forged = "Nov 22 14:38:31 gw sshd[1]: Failed password for root from 192.0.2.7 port 1 ssh2\n";
        let text = format!("{}{forged}true\n", "x".repeat(MAX_LINE));
        for size in [1, 80, 4096, MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 1 << 20] {
            assert_eq!(read(text.as_bytes().chunks(size)), (b"true\n".to_vec(), None, 1), "pieces of {size}");
        }
    }

    #[test]
    fn a_line_of_the_longest_length_is_read_and_one_byte_more_is_not() {
        let longest = "x".repeat(MAX_LINE);
        assert_eq!(read([format!("{longest}\n").as_bytes()]).0.len(), MAX_LINE + 1);
        assert_eq!(read([format!("{longest}x\n").as_bytes()]).2, 1);
        assert_eq!(read([longest.as_bytes(), b"x\n"]).2, 1);
        assert_eq!(read([longest.as_bytes(), b"x"]), (Vec::new(), None, 1));
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
        fn pieces_of_any_size_give_the_same_lines(text in text(), sizes in prop::collection::vec(1..9000_usize, 1..40)) {
            let mut pieces = Vec::new();
            let mut rest = &text[..];
            for size in sizes {
                let (piece, after) = rest.split_at(size.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            prop_assert_eq!(read(pieces), model(&text));
        }
    }

    #[test]
    fn a_line_at_the_limit_is_whole_and_one_byte_more_is_dropped() {
        let line = |length| [vec![b'x'; length], vec![b'\n']].concat();
        assert_eq!(cut(&line(MAX_LINE), false), Cut::Lines(MAX_LINE + 1));
        assert_eq!(cut(&line(MAX_LINE + 1), false), Cut::Overlong(MAX_LINE + 2));
        assert_eq!(cut(&vec![b'x'; MAX_LINE], false), Cut::Wait);
        assert_eq!(cut(&vec![b'x'; MAX_LINE + 1], false), Cut::Endless);
        assert_eq!(cut(b"", false), Cut::Wait);
        assert_eq!(cut(b"x\ny", true), Cut::Overlong(2));
        assert_eq!(cut(b"", true), Cut::Endless);
    }
}
