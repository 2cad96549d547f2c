//! How far the timestamps of one source lag behind the arrival of its lines, and when a line therefore counts.
//!
//! A writer in another zone, or with a wrong clock, dates each line with the same offset: the line is new all the same,
//! and counts when it arrives. A line that was delivered late lags by more than the source's other lines, and counts that
//! much before it arrived; so lines of several days that come in one batch keep their distances. No line counts later
//! than it arrived.
//!
//! The offsets of a writer are learned only from lines that were seen to arrive: an offset is believed once two of its
//! lines arrived some seconds apart, since lines that are delivered late do not come at the pace of their timestamps. A
//! forged timestamp, of 1970 or of 2100, changes nothing: it is one more offset, and those of the honest lines stay.

use std::time::Duration;

use crate::time::Time;

/// A line whose timestamp is at most this old on arrival is new: loggers buffer, and files are polled once a second.
const NEW: i64 = 60_000;

/// A timestamp may be this much ahead of its arrival: clocks of two machines differ.
const AHEAD: i64 = 5_000;

/// All zones are whole quarters of an hour from Greenwich.
const QUARTER: i64 = 15 * 60_000;

/// Between the zones of Baker Island (−12) and Kiribati (+14).
const FARTHEST: i64 = 26 * 3_600_000;

/// The longest delay of a line whose offset is taken for a zone by its size alone.
const WAITED: i64 = 30_000;

/// Two lines this far apart in arrival and, with a tolerance of [`STEADY`], in timestamps too, came at the pace of their
/// timestamps.
const PACE: Duration = Duration::from_secs(5);
const STEADY: i64 = 2_000;

/// The highest number of known spans, and of candidates.
const MAX_SPANS: usize = 4;

/// The time at which a line was written, by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The time in the timestamp.
    pub time: Time,
    /// Whether its zone is known, because it is printed with it or was stated by the operator. Then an offset is not a
    /// zone.
    pub is_zoned: bool,
}

/// The known offsets of one source; in milliseconds, negative if timestamps are ahead.
#[derive(Clone, Debug, Default)]
pub struct Lag {
    known: Vec<KnownSpan>,
    candidates: Vec<Candidate>,
    /// The zone that an offset suggests by its size, as long as none is known.
    guess: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct KnownSpan {
    span: i64,
    /// The number of lines with this offset.
    lines: u64,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    span: i64,
    arrived: Time,
}

impl Lag {
    /// Learns from a line that was seen to arrive.
    pub fn learn(&mut self, arrived: Time, written: Written) {
        let span = span(arrived, written.time);
        if let Some(known) = self.known.iter_mut().find(|known| is_at(span, known.span)) {
            known.lines += 1;
        } else if is_at(span, 0) {
            self.know(0);
        } else {
            self.keep_pace(span, arrived);
        }
    }

    /// Learns from the newest line of a batch that was seen to arrive.
    pub fn learn_from_newest(&mut self, arrived: Time, newest: Written) {
        self.learn(arrived, newest);
        let span = span(arrived, newest.time);
        let fits = self.guess.is_some_and(|guess| span >= guess.saturating_sub(AHEAD));
        if self.known.is_empty() && !newest.is_zoned && !fits {
            self.guess = zone(span);
        }
    }

    /// Learns from the end of a file: from its newest timestamp, and the time of the last write.
    pub fn learn_from_end(&mut self, modified: Time, newest: Written) {
        if self.known.is_empty() && !newest.is_zoned {
            self.guess = zone(span(modified, newest.time));
        }
    }

    /// When a line counts that was seen to arrive.
    pub fn live(&self, arrived: Time, stamped: Time) -> Time {
        let span = span(arrived, stamped);
        let known = self.known.iter().map(|known| known.span);
        let is_new = known.chain(self.guess).chain([0]).any(|known| is_at(span, known));
        if is_new { arrived } else { self.late(arrived, stamped) }
    }

    /// When a line counts that was written at some time up to `latest`: of several zones, the one that makes it oldest.
    pub fn late(&self, latest: Time, stamped: Time) -> Time {
        let known = self.known.iter().map(|known| known.span).chain(self.guess);
        let zone = known.filter(|span| span.unsigned_abs() <= FARTHEST.unsigned_abs()).min().unwrap_or(0);
        Time::from_millis(stamped.as_millis().saturating_add(zone)).min(latest)
    }

    /// The zone, in minutes, by which the timestamps are behind; negative if they are ahead. `None` if the offset is not
    /// a whole number of quarters of an hour.
    pub fn zone_minutes(&self) -> Option<i64> {
        zone(self.usual()).map(|span| span / 60_000)
    }

    /// The offset that most lines have.
    fn usual(&self) -> i64 {
        let most = self.known.iter().max_by_key(|known| known.lines).map(|known| known.span);
        most.or(self.guess).unwrap_or(0)
    }

    /// Accepts an offset that another line had some seconds ago.
    fn keep_pace(&mut self, span: i64, arrived: Time) {
        match self.candidates.iter().find(|candidate| candidate.span.abs_diff(span) <= STEADY.unsigned_abs())
        {
            Some(candidate) if arrived.since(candidate.arrived).is_some_and(|apart| apart >= PACE) => {
                let span = zone(candidate.span).unwrap_or(candidate.span);
                self.know(span);
            }
            Some(_) => {}
            None => {
                if self.candidates.len() == MAX_SPANS {
                    self.candidates.remove(0);
                }
                self.candidates.push(Candidate { span, arrived });
            }
        }
    }

    /// Adds an offset; if there are too many, the one with the fewest lines is forgotten.
    fn know(&mut self, span: i64) {
        if self.known.len() == MAX_SPANS {
            let rarest = (0..MAX_SPANS).min_by_key(|&index| self.known[index].lines);
            rarest.map(|index| self.known.swap_remove(index));
        }
        self.candidates.retain(|candidate| !is_at(candidate.span, span));
        self.known.push(KnownSpan { span, lines: 1 });
        self.guess = None;
    }
}

fn span(arrived: Time, stamped: Time) -> i64 {
    arrived.as_millis().saturating_sub(stamped.as_millis())
}

fn is_at(span: i64, known: i64) -> bool {
    (-AHEAD..=NEW).contains(&span.saturating_sub(known))
}

/// The zone that an offset is, or nearly is; never Greenwich's own.
fn zone(span: i64) -> Option<i64> {
    if span.unsigned_abs() > FARTHEST.unsigned_abs() + QUARTER.unsigned_abs() {
        return None;
    }
    let quarters = span.saturating_add(STEADY).div_euclid(QUARTER) * QUARTER;
    let waited = span - quarters;
    (quarters != 0 && quarters.abs() <= FARTHEST && waited <= WAITED).then_some(quarters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3600;

    fn at(second: i64) -> Time {
        Time::from_secs(1_795_354_711 + second)
    }

    fn local(second: i64) -> Written {
        Written { time: at(second), is_zoned: false }
    }

    /// Lines that arrived when the first number says and are stamped with the second.
    fn learned(lines: &[(i64, i64)]) -> Lag {
        let mut lag = Lag::default();
        lines.iter().for_each(|(arrived, stamped)| lag.learn_from_newest(at(*arrived), local(*stamped)));
        lag
    }

    /// How long before its arrival such a line counts.
    fn before(lag: &Lag, arrived: i64, stamped: i64) -> i64 {
        (at(arrived).as_millis() - lag.live(at(arrived), at(stamped)).as_millis()) / 1000
    }

    #[test]
    fn lines_of_a_log_in_another_zone_are_new_from_the_first_one_on() {
        for zone in [HOUR, -9 * HOUR, 5 * HOUR + 45 * 60, -14 * HOUR] {
            let lag = learned(&[(1, -zone)]);
            assert_eq!(before(&lag, 1, -zone), 0, "{zone}");
            assert_eq!(before(&lag, 1, -zone - 7200), 7201, "late by two hours");
            assert_eq!(lag.zone_minutes(), Some(zone / 60));
        }
        assert_eq!(learned(&[(0, 0)]).zone_minutes(), None);
        assert_eq!(before(&learned(&[]), 0, -HOUR), HOUR, "nothing is known");
    }

    #[test]
    fn a_span_that_is_no_zone_is_a_clocks_only_at_the_pace_of_its_stamps() {
        let slow = 23 * 60;
        assert_eq!(before(&learned(&[(0, -slow), (3, -slow + 3)]), 4, -slow + 4), slow);
        assert_eq!(before(&learned(&[(0, -slow), (6, -slow + 6)]), 7, -slow + 7), 0);
        // Lines of an hour that come within seconds are no clock.
        let flushed: Vec<(i64, i64)> = (0..60).map(|n| (n / 6, -slow - 3600 + n * 60)).collect();
        assert_eq!(before(&learned(&flushed), 10, -slow), slow + 10);
    }

    #[test]
    fn a_zone_is_not_guessed_where_it_is_printed_or_known_that_lines_are_new() {
        let mut lag = Lag::default();
        lag.learn_from_newest(at(0), Written { time: at(-HOUR), is_zoned: true });
        assert_eq!(before(&lag, 0, -HOUR), HOUR, "an hour late");
        let lag = learned(&[(0, 0), (1, -HOUR)]);
        assert_eq!(before(&lag, 1, -HOUR), HOUR + 1, "an hour late");
    }

    /// A peer that writes whole lines into a log must blind nobody to the lines that follow.
    #[test]
    fn made_up_stamps_move_nothing() {
        let century = 100 * 365 * 86_400;
        let forged = [century, -century, 9 * HOUR, -9 * HOUR, HOUR, -HOUR];
        let mut lines = vec![(0, -2 * HOUR), (10, 10 - 2 * HOUR)];
        lines.extend((0..200).map(|n| (20 + n, 20 + n + forged[usize::try_from(n).unwrap() % forged.len()])));
        let lag = learned(&lines);
        assert_eq!(before(&lag, 300, 300 - 2 * HOUR), 0, "the log's own lines stay new");
        assert_eq!(before(&lag, 300, 300), 0, "and so does what says the present");
        assert_eq!(before(&lag, 300, 300 + century), 0, "nothing is later than its arrival");
    }

    #[test]
    fn lines_of_days_that_come_at_once_keep_their_distances() {
        // Some of them at the pace of their timestamps, as if a clock were five days slow.
        let lag = learned(&[(0, 0), (1, 1 - 5 * 86_400), (9, 9 - 5 * 86_400), (10, 10 - 5 * 86_400)]);
        let days = [-6, -4, -3, -2, -1].map(|day| before(&lag, 10, day * 86_400));
        assert_eq!(days, [6, 4, 3, 2, 1].map(|day| day * 86_400 + 10));
    }

    #[test]
    fn the_end_of_a_file_tells_the_zone_of_a_backlog() {
        let count = |modified: i64, newest: i64, stamped: i64| {
            let mut lag = Lag::default();
            lag.learn_from_end(at(modified), local(newest));
            (lag.late(at(modified), at(stamped)).as_millis() - at(0).as_millis()) / 1000
        };
        assert_eq!(count(1, -HOUR, -2 * HOUR), -HOUR, "written in UTC");
        assert_eq!(count(1, 9 * HOUR, 5 * HOUR), -4 * HOUR, "written in Tokyo");
        assert_eq!(count(700, 0, -HOUR), -HOUR, "touched later");
        assert_eq!(
            count(0, 86_400 * 365, 5),
            0,
            "a stamp of next year, and nothing later than the last write"
        );
    }

    proptest! {
        #[test]
        fn no_line_counts_later_than_it_arrived_and_space_is_bounded(
            lines in prop::collection::vec((any::<i64>(), any::<i64>(), any::<bool>()), 1..100),
        ) {
            let mut lag = Lag::default();
            for (arrived, stamped, is_zoned) in lines {
                let arrived = Time::from_millis(arrived);
                let time = Time::from_millis(stamped);
                lag.learn_from_newest(arrived, Written { time, is_zoned });
                prop_assert!(lag.live(arrived, time) <= arrived);
                prop_assert!(lag.known.len() <= MAX_SPANS && lag.candidates.len() <= MAX_SPANS);
            }
        }
    }
}
