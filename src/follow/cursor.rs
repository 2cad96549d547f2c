//! How far a stream of bytes was read, line by line.

use std::ops::Range;

use super::position::{Fingerprint, last};
use crate::pipeline::{Cut, cut};

/// How far a stream was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    /// Lines up to here were handed out or dropped; always the start of a line.
    pub(super) offset: u64,
    /// The fingerprint of the bytes before `offset`.
    pub(super) print: Fingerprint,
    /// The next byte to look at; beyond `offset` only inside an over-long line.
    pub(super) next: u64,
    /// The up to 256 bytes before `next`.
    pub(super) before: Vec<u8>,
    /// The up to 256 bytes at the beginning of the stream, as far as they were read.
    pub(super) head: Vec<u8>,
    /// Over-long lines dropped.
    pub(super) overlong: u64,
}

impl Cursor {
    /// The start of a line, with what stands before it and at the beginning.
    pub(super) fn at(offset: u64, before: Vec<u8>, head: Vec<u8>) -> Self {
        let print = Fingerprint::of(&before);
        Self { offset, print, next: offset, before, head, overlong: 0 }
    }

    /// Finds the next whole lines in a buffer whose bytes up to `from` stand before the cursor and whose bytes from
    /// there to its end come next. Moves on behind these lines, or as far as there is nothing but over-long lines;
    /// gives the lines and how far in the buffer it moved.
    pub(super) fn scan(&mut self, buf: &[u8], from: usize) -> (Option<Range<usize>>, usize) {
        let mut at = from;
        loop {
            let rest = buf.get(at..).unwrap_or_default();
            let (length, starts_line) = match cut(rest, self.is_inside()) {
                Cut::Wait => return (None, at),
                Cut::Lines(length) => {
                    self.move_on(buf, at, at + length, true);
                    return (Some(at..at + length), at + length);
                }
                Cut::Overlong(length) => (length, true),
                Cut::Endless => (rest.len(), false),
            };
            self.move_on(buf, at, at + length, starts_line);
            self.overlong += u64::from(starts_line);
            at += length;
            if !starts_line {
                return (None, at);
            }
        }
    }

    /// Whether the cursor stands inside of an over-long line.
    pub(super) fn is_inside(&self) -> bool {
        self.next > self.offset
    }

    /// Moves on over bytes that are known without being read, those before `to` ending in `before`; they are more than the
    /// longest line, and so belong to one that is too long.
    pub(super) fn pass(&mut self, to: u64, before: Vec<u8>) {
        if self.head.len() as u64 == self.next {
            // So near the beginning only a hole is passed over.
            self.head.resize(Fingerprint::REACH.max(self.head.len()), 0);
        }
        self.next = to;
        self.before = before;
    }

    fn move_on(&mut self, buf: &[u8], from: usize, to: usize, starts_line: bool) {
        if self.head.len() as u64 == self.next {
            let missing = Fingerprint::REACH - self.head.len();
            self.head.extend_from_slice(buf.get(from..to.min(from + missing)).unwrap_or_default());
        }
        self.next += (to - from) as u64;
        self.before.clear();
        self.before.extend_from_slice(last(buf.get(..to).unwrap_or_default(), Fingerprint::REACH));
        if starts_line {
            self.offset = self.next;
            self.print = Fingerprint::of(&self.before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::MAX_LINE;
    use proptest::prelude::*;

    /// Reads a text through buffers of the given sizes; what was handed out, and how many lines were dropped.
    fn read(text: &[u8], sizes: &[usize]) -> (Vec<u8>, u64) {
        let mut cursor = Cursor::default();
        let mut out = Vec::new();
        for size in sizes.iter().cycle() {
            let start = usize::try_from(cursor.next).unwrap();
            let end = text.len().min(start + MAX_LINE + 2 + size);
            let buf = [&cursor.before, &text[start..end]].concat();
            let (lines, _) = cursor.scan(&buf, buf.len() - (end - start));
            assert_eq!(cursor.print, Fingerprint::of(&text[..usize::try_from(cursor.offset).unwrap()]));
            match lines {
                Some(lines) => out.extend_from_slice(&buf[lines]),
                None if end == text.len() => break,
                None => {}
            }
        }
        (out, cursor.overlong)
    }

    proptest! {
        #[test]
        fn the_size_of_the_buffer_does_not_change_what_is_read(
            lengths in prop::collection::vec(prop_oneof![0..99usize, 0..3 * MAX_LINE], 0..12),
            sizes in prop::collection::vec(0..40_000usize, 1..5),
        ) {
            let lines: Vec<Vec<u8>> = lengths.iter().map(|length| [vec![b'x'; *length], vec![b'\n']].concat()).collect();
            let short: Vec<u8> = lines.iter().filter(|line| line.len() <= MAX_LINE + 1).flatten().copied().collect();
            let long = lines.iter().filter(|line| line.len() > MAX_LINE + 1).count() as u64;
            prop_assert_eq!(read(&[lines.concat(), b"partial".to_vec()].concat(), &sizes), (short, long));
        }
    }

    /// Mistakes of others: lines split at 4 KiB, so that byte 4096 starts a line which an attacker wrote.
    #[test]
    fn the_end_of_an_over_long_line_is_never_a_line_of_its_own() {
        let forged = "Nov 22 14:38:31 gw sshd[1]: Failed password for root from 8.8.8.8 port 1 ssh2";
        for filler in [4096, MAX_LINE, MAX_LINE + 1, 65_536, 300_000] {
            let text = format!("{}{forged}\nNov 22 14:38:32 gw next\n", "x".repeat(filler));
            for size in [0, 1000, 100_000] {
                let (out, _) = read(text.as_bytes(), &[size]);
                assert!(!out.starts_with(b"Nov 22 14:38:31"), "{filler}");
                assert!(out.ends_with(b"Nov 22 14:38:32 gw next\n"));
            }
        }
    }
}
