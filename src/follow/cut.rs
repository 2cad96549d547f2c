//! Cutting bytes into whole lines, and over-long lines out of them: what is longer than the record parser takes is dropped
//! whole, since cut in two its second half would be a line that somebody else wrote.

use memchr::{memchr, memrchr};

use crate::record::MAX_LINE;

/// What the bytes at the start of a line are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The first `n` bytes are whole lines.
    Lines(usize),
    /// The first `n` bytes are one over-long line.
    Overlong(usize),
    /// All bytes belong to an over-long line whose end is not here.
    Endless,
    /// A line whose end is not here yet, or nothing at all.
    Wait,
}

/// Judges the bytes from the start of a line on. Looks at one newline in 16 KiB, not at each.
pub(super) fn cut(bytes: &[u8]) -> Cut {
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
            prop_assert_eq!(cut(&bytes), naive(&bytes));
        }
    }

    #[test]
    fn a_line_at_the_limit_is_whole_and_one_byte_more_is_dropped() {
        let line = |length| [vec![b'x'; length], vec![b'\n']].concat();
        assert_eq!(cut(&line(MAX_LINE)), Cut::Lines(MAX_LINE + 1));
        assert_eq!(cut(&line(MAX_LINE + 1)), Cut::Overlong(MAX_LINE + 2));
        assert_eq!(cut(&vec![b'x'; MAX_LINE]), Cut::Wait);
        assert_eq!(cut(&vec![b'x'; MAX_LINE + 1]), Cut::Endless);
        assert_eq!(cut(b""), Cut::Wait);
    }
}
