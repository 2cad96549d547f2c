//! How far the lines of a path were handed out by their own timestamps, so that none counts twice where bytes do not tell: in
//! a log that an editor or `sed -i` wrote anew, and in one that lost its end in a power cut.

use std::sync::Arc;
use std::time::Duration;

use memchr::memchr;

use super::position::last;
use super::round::Stamps;
use crate::record::FUTURE_SLACK;
use crate::time::Time;

/// Bytes of the last lines that are kept: about what a busy log gets in a second.
const RECENT: usize = 4096;

/// Timestamps that are read of the lines handed out at a time, from the end: the lines of one file are nearly in order.
const STAMPS: usize = 32;

/// How many bytes of the last lines are searched for in a rewritten file; one line at least.
const ANCHOR: usize = 256;

/// Timestamps are to the second, and lines take a moment: for this long, lines with the same timestamp may follow.
const SAME_TIME: Duration = Duration::from_secs(2);

/// The newest line of a path, and the last ones.
#[derive(Clone, Default)]
pub(super) struct Watermark {
    /// The timestamp of the newest line that was handed out.
    pub(super) newest: Option<Time>,
    /// The last whole lines that were handed out.
    recent: Vec<u8>,
    /// Whether other lines were handed out before those.
    has_forgotten: bool,
    /// No line of the same time as the newest one is new any more: that time was over when the file was met again.
    is_over: bool,
}

/// The next lines of a file that are alike.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// How many bytes they are.
    pub(super) length: usize,
    /// They were handed out before, or there is doubt.
    pub(super) is_known: bool,
}

impl Watermark {
    /// Restores it from a stored position.
    pub(super) fn restored(newest: Option<i64>) -> Self {
        Self { newest: newest.map(Time::from_millis), recent: Vec::new(), has_forgotten: true, is_over: true }
    }

    /// Whether no line was handed out yet.
    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_none() && self.recent.is_empty()
    }

    /// Takes note of whole lines. A timestamp of the far future, which somebody may have forged, is not believed.
    pub(super) fn note(&mut self, path: &Arc<str>, lines: &[u8], stamps: &mut Stamps, now: Time) {
        let latest = now.plus(FUTURE_SLACK);
        let from_end = lines.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let times = from_end.take(STAMPS).filter_map(|line| stamps(path, line));
        self.newest = times.filter(|time| *time <= latest).max().max(self.newest);
        // One byte more, so that what is cut off shows.
        self.recent.extend_from_slice(last(lines, RECENT + 1));
        if let Some(cut) = self.recent.len().checked_sub(RECENT).filter(|cut| *cut > 0) {
            let rest = self.recent.get(cut - 1..).unwrap_or_default();
            let line = memchr(b'\n', rest).map_or(self.recent.len(), |newline| cut + newline);
            self.recent.drain(..line);
            self.has_forgotten = true;
        }
    }

    /// The last lines, by which our place is found again.
    pub(super) fn anchor(&self) -> &[u8] {
        let mut start = self.recent.len();
        for line in self.recent.split_inclusive(|byte| *byte == b'\n').rev() {
            if start < self.recent.len() && self.recent.len() - start + line.len() > ANCHOR {
                break;
            }
            start -= line.len();
        }
        self.recent.get(start..).unwrap_or_default()
    }

    fn holds(&self, line: &[u8]) -> bool {
        !line.is_empty() && self.recent.split(|byte| *byte == b'\n').any(|known| known == line)
    }

    /// The watermark at the moment when a file is met that may hold the same lines.
    pub(super) fn met_again(&self, now: Time) -> Self {
        let is_over = |newest: Time| now.since(newest).is_some_and(|age| age > SAME_TIME);
        Self { is_over: self.newest.is_some_and(is_over), ..self.clone() }
    }

    /// Whether lines of this time may be new, and those that were handed out are all remembered.
    fn tells_apart(&self, time: Time, path: &Arc<str>, stamps: &mut Stamps) -> bool {
        let first = self.recent.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut reaches_back = || stamps(path, first).is_some_and(|first| first < time);
        !self.is_over && (!self.has_forgotten || reaches_back())
    }

    /// The next lines of a file that may hold what was handed out before. What is older than the newest of it was, what is
    /// newer was not. What is of the same time was, unless that time is now and the words are others: doubt means no ban.
    /// Lines without a timestamp go by their words alone.
    pub(super) fn run(&self, bytes: &[u8], path: &Arc<str>, stamps: &mut Stamps) -> Option<Run> {
        let tells_apart = self.newest.is_some_and(|newest| self.tells_apart(newest, path, stamps));
        let mut run: Option<Run> = None;
        for whole in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(line) = whole.strip_suffix(b"\n") else { break };
            let is_known = match (stamps(path, line), self.newest) {
                (Some(time), Some(newest)) if time == newest => !tells_apart || self.holds(line),
                (Some(time), Some(newest)) => time < newest,
                _ => self.holds(line),
            };
            let run = run.get_or_insert(Run { length: 0, is_known });
            if run.is_known != is_known {
                break;
            }
            run.length += whole.len();
        }
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps() -> Box<Stamps> {
        Box::new(|_, line| {
            std::str::from_utf8(line).ok()?.split(' ').next()?.parse().ok().map(Time::from_secs)
        })
    }

    fn noted(lines: &str) -> Watermark {
        let mut watermark = Watermark::default();
        watermark.note(&"log".into(), lines.as_bytes(), &mut *stamps(), Time::from_secs(1000));
        watermark
    }

    /// Whether each of the lines is recognised.
    fn known(watermark: &Watermark, lines: &str) -> Vec<bool> {
        let line = |line: &str| {
            let run = watermark.run(line.as_bytes(), &"log".into(), &mut *stamps());
            run.expect("a whole line").is_known
        };
        lines.split_inclusive('\n').map(line).collect()
    }

    #[test]
    fn what_is_older_is_known_and_of_the_same_time_what_is_remembered() {
        let watermark = noted("5 a\n7 b\n6 c\nundated\n");
        assert_eq!(watermark.newest, Some(Time::from_secs(7)));
        let again = "5 a\n5 other\n7 b\n7 other\n8 b\nundated\nundated as well\n";
        assert_eq!(known(&watermark, again), [true, true, true, false, false, true, false]);
        let run = watermark.run(b"1 x\n2 y\n9 z\n3", &"log".into(), &mut *stamps());
        assert!(run.is_some_and(|run| run.is_known && run.length == 8), "up to the new line");
    }

    #[test]
    fn where_the_memory_does_not_reach_back_there_is_doubt() {
        let burst: String = (0..1000).map(|n| format!("7 line {n}\n")).collect();
        assert_eq!(known(&noted(&format!("6 before\n{burst}")), "7 other\n8 other\n"), [true, false]);
        let fresh = noted("6 a\n7 b\n");
        assert_eq!(known(&fresh.met_again(Time::from_secs(8)), "7 b\n7 other\n8 c\n"), [true, false, false]);
        assert_eq!(known(&fresh.met_again(Time::from_secs(60)), "7 b\n7 other\n8 c\n"), [true, true, false]);
        let mut restored = Watermark::restored(Some(7000));
        assert_eq!(known(&restored, "6 a\n7 a\n8 a\nundated\n"), [true, true, false, false]);
        restored.note(&"log".into(), b"8 b\n", &mut *stamps(), Time::from_secs(1000));
        assert_eq!(known(&restored, "8 a\n9 a\n"), [true, false]);
    }

    #[test]
    fn a_stamp_of_the_far_future_is_not_believed() {
        let watermark = noted("7 a\n99999999999 forged\n");
        assert_eq!(watermark.newest, Some(Time::from_secs(7)));
        assert_eq!(known(&watermark, "8 b\n"), [false]);
    }

    #[test]
    fn the_anchor_is_the_last_lines_and_whole() {
        assert_eq!(noted("1 a\n2 b\n").anchor(), b"1 a\n2 b\n");
        let long = "x".repeat(300);
        assert_eq!(noted(&format!("1 a\n2 {long}\n")).anchor(), format!("2 {long}\n").as_bytes());
        let many: String = (0..100).map(|n| format!("{n} line\n")).collect();
        let watermark = noted(&many);
        let anchor = std::str::from_utf8(watermark.anchor()).unwrap();
        assert!(anchor.len() <= ANCHOR && many.ends_with(&format!("\n{anchor}")), "{anchor}");
        assert_eq!(noted(&format!("1 a\n{}\n", "x".repeat(5000))).anchor(), b"");
    }
}
