//! Interleaves several logs by timestamp while catching up: the line that was written first is next. Read one log after
//! the other, the lines of one attempt in two logs would be hours apart, and a window of ten minutes would never hold both.

use std::collections::VecDeque;

use super::split::LineSplitter;
use crate::time::Time;

/// The timestamps of lines of one log that have not been read yet.
#[derive(Debug, Default)]
pub struct Ahead {
    /// Time and length of each line, in bytes with its newline.
    lines: VecDeque<(Option<Time>, usize)>,
    /// The latest timestamp seen, for lines without one.
    last: Option<Time>,
}

/// Time and log of the next line of a log.
type NextLine = (Option<Time>, usize);

/// The log that is read next, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Number of the log.
    pub log: usize,
    /// The earliest next line of all other logs.
    until: Option<NextLine>,
}

impl Ahead {
    /// Adds the timestamps of further whole lines. A line without a timestamp gets that of the line before it.
    pub fn look(&mut self, lines: &[u8], mut stamp: impl FnMut(&[u8]) -> Option<Time>) {
        let mut begin = 0;
        for line in LineSplitter::new(lines, None) {
            self.last = stamp(line.text).or(self.last);
            self.lines.push_back((self.last, line.end - begin));
            begin = line.end;
        }
    }

    /// Adds a stretch of `length` bytes without a credible timestamp.
    pub fn pass(&mut self, length: usize) {
        self.lines.push_back((self.last, length));
    }

    /// Whether every line was taken.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Forgets the lines that were not taken.
    pub fn clear(&mut self) {
        self.lines.clear();
    }

    /// The time of the next line; `None` if neither it nor any line before it has a timestamp.
    pub fn time(&self) -> Option<Time> {
        self.lines.front().and_then(|(time, _)| *time)
    }

    /// The length of the next line in bytes, if it is its turn.
    pub fn length(&self, turn: Turn) -> Option<usize> {
        self.lines.front().filter(|(time, _)| turn.reaches(*time)).map(|(_, length)| *length)
    }

    /// Takes the next line, if it is its turn: its time, and its length in bytes with the newline.
    pub fn take(&mut self, turn: Turn) -> Option<(Option<Time>, usize)> {
        self.length(turn)?;
        self.lines.pop_front()
    }
}

impl Turn {
    /// The turn of the log whose next line is the earliest; at equal times, the one with the lowest number. `None` if there
    /// is no log.
    pub fn next(heads: impl Iterator<Item = NextLine>) -> Option<Self> {
        let mut turn: Option<(NextLine, Option<NextLine>)> = None;
        for head in heads {
            turn = Some(match turn {
                None => (head, None),
                Some((first, second)) if head < first => {
                    (head, Some(second.map_or(first, |second| first.min(second))))
                }
                Some((first, second)) => (first, Some(second.map_or(head, |second| second.min(head)))),
            });
        }
        turn.map(|((_, log), until)| Self { log, until })
    }

    /// Whether no other log has lines left, so that this one is read to its end.
    pub fn is_alone(&self) -> bool {
        self.until.is_none()
    }

    /// Whether a line of the log with this time comes before the next line of every other log.
    fn reaches(&self, time: Option<Time>) -> bool {
        self.until.is_none_or(|until| (time, self.log) < until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `3b` is a line of second 3, and `b` one that does not say when it was written.
    fn stamp(line: &[u8]) -> Option<Time> {
        let digits: String =
            line.iter().map(|byte| char::from(*byte)).take_while(char::is_ascii_digit).collect();
        digits.parse().ok().map(Time::from_secs)
    }

    proptest! {
        /// The slow way: of the next lines of all logs the first one, again and again.
        #[test]
        fn lines_come_in_the_order_of_their_times_and_logs(
            logs in prop::collection::vec(prop::collection::vec("[0-9]?x{0,3}", 0..12), 0..4),
        ) {
            let texts: Vec<String> = logs.iter().map(|lines| lines.iter().map(|line| format!("{line}\n")).collect()).collect();
            let mut aheads: Vec<Ahead> = texts.iter().map(|_| Ahead::default()).collect();
            for (ahead, text) in aheads.iter_mut().zip(&texts) {
                ahead.look(text.as_bytes(), stamp);
            }
            let mut slow: Vec<VecDeque<(Option<Time>, usize)>> = aheads.iter().map(|ahead| ahead.lines.clone()).collect();
            let mut expected = Vec::new();
            while let Some((_, log)) =
                slow.iter().enumerate().filter_map(|(log, lines)| Some((lines.front()?.0, log))).min()
            {
                expected.push((log, slow[log].pop_front().unwrap().1));
            }
            let mut taken = Vec::new();
            loop {
                let waiting = aheads.iter().enumerate().filter(|(_, ahead)| !ahead.is_empty());
                let Some(turn) = Turn::next(waiting.map(|(log, ahead)| (ahead.time(), log))) else { break };
                let before = taken.len();
                while let Some((_, length)) = aheads[turn.log].take(turn) {
                    taken.push((turn.log, length));
                }
                prop_assert!(taken.len() > before, "it goes on");
            }
            prop_assert_eq!(taken, expected);
        }
    }

    #[test]
    fn lines_without_a_time_are_of_the_one_before_them() {
        let mut ahead = Ahead::default();
        ahead.look(b"x\n5x\ny\n", stamp);
        ahead.pass(70_000);
        let five = Some(Time::from_secs(5));
        assert_eq!(ahead.lines, [(None, 2), (five, 3), (five, 2), (five, 70_000)]);
    }
}
