//! Decides when the lines of one log count.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::record::{Clock, Lag, Record, TimeSpec, Written};
use crate::time::Time;

/// How the time is found at which a line counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It counts at this time, whatever its timestamp is.
    At(Time),
    /// It was seen to arrive at this time, and counts then; unless its timestamp shows that it was delivered late.
    Arrived(Time),
    /// It counts at the time of its timestamp.
    Stamped,
    /// As [`Self::Stamped`], in a log that is replayed from its beginning: a line without a timestamp counts with the line
    /// before it.
    Replayed,
    /// It counts at the time of its timestamp, but no later than this time, at which it is read or its file was last
    /// written to: timestamps in the future, which another time zone may cause, make no ban longer.
    Written(Time),
}

impl When {
    /// Whether the lines alone determine the time.
    pub(super) fn is_replay(self) -> bool {
        matches!(self, Self::At(_) | Self::Stamped | Self::Replayed)
    }
}

/// The time at which a line counts, and whether newer lines of its log may have counted before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timed {
    pub(super) time: Time,
    pub(super) is_late: bool,
}

/// Lines of several programs in one file may be this much out of order without being late.
const DISORDER: Duration = Duration::from_secs(10);

/// Reads the timestamps of one log, and learns by how much they lag behind the clock.
#[derive(Debug)]
pub(super) struct Timing {
    clock: Clock,
    /// Format and zone of timestamps as the operator stated them.
    stated: (Option<TimeSpec>, Option<TimeZone>),
    lag: Lag,
    /// The latest time at which a line counted that was read later than it was written.
    newest: Option<Time>,
    /// The time at which the last replayed line counted.
    last: Option<Time>,
    /// The number of matching lines without a readable timestamp.
    undated: u64,
}

impl Timing {
    /// The timing of a log that has not been read yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, stated: (None, None), lag: Lag::default(), newest: None, last: None, undated: 0 }
    }

    /// Sets format and zone as the operator stated them. What was learned is forgotten if they differ from before.
    pub(super) fn set_stamps(&mut self, time: Option<TimeSpec>, zone: Option<TimeZone>) {
        let stated = (time, zone);
        if stated != self.stated {
            self.clock.state_zone(stated.1.clone());
            self.stated = stated;
            self.lag = Lag::default();
            self.newest = None;
        }
    }

    pub(super) fn set_now(&mut self, now: Time) {
        self.clock.set_now(now);
    }

    /// The time of a line's timestamp, if it has one; must be called in the order of the lines.
    pub(super) fn stamp(
        &mut self,
        line: &[u8],
        record: &Record<'_>,
        usual: Option<&TimeSpec>,
    ) -> Option<Time> {
        let spec = self.stated.0.as_ref().or(usual);
        self.clock.written(line, record, spec).map(|written| written.time)
    }

    /// Learns from the newest of some lines that were seen to arrive, before they are judged.
    pub(super) fn learn_from_newest(
        &mut self,
        arrived: Time,
        line: &[u8],
        record: &Record<'_>,
        usual: Option<&TimeSpec>,
    ) {
        let spec = self.stated.0.as_ref().or(usual);
        if let Some(written) = self.clock.written_near(arrived, line, record, spec) {
            self.lag.learn_from_newest(arrived, written);
        }
    }

    /// Learns from the last lines of a file that was last written to at `modified`.
    pub(super) fn learn_from_end<'l>(
        &mut self,
        lines: impl Iterator<Item = (&'l [u8], Record<'l>)>,
        modified: Time,
        usual: Option<&TimeSpec>,
    ) {
        let spec = self.stated.0.as_ref().or(usual);
        let stamps =
            lines.filter_map(|(line, record)| self.clock.written_near(modified, line, &record, spec));
        if let Some(newest) = stamps.max_by_key(|written| written.time) {
            self.lag.learn_from_end(modified, newest);
        }
    }

    /// When a line counts; `None` if that is unknown. `spec` is the timestamp format of the matching rule set.
    pub(super) fn of(
        &mut self,
        when: When,
        line: &[u8],
        record: &Record<'_>,
        spec: Option<&TimeSpec>,
    ) -> Option<Timed> {
        let spec = self.stated.0.as_ref().or(spec);
        let in_time = |time| Timed { time, is_late: false };
        match when {
            When::At(time) => Some(in_time(time)),
            When::Arrived(arrived) => {
                let written = self.clock.written_near(arrived, line, record, spec);
                Some(self.live(arrived, written))
            }
            When::Stamped => {
                let written = self.clock.written(line, record, spec);
                self.note(written.is_some());
                written.map(|written| in_time(written.time))
            }
            When::Replayed => {
                let written = self.clock.written(line, record, spec);
                self.last = written.map(|written| written.time).or(self.last);
                self.note(self.last.is_some());
                self.last.map(in_time)
            }
            When::Written(latest) => {
                let written = self.clock.written(line, record, spec);
                self.note(written.is_some());
                Some(self.late(latest, written?.time))
            }
        }
    }

    fn live(&mut self, arrived: Time, written: Option<Written>) -> Timed {
        self.note(written.is_some());
        let Some(written) = written else { return Timed { time: arrived, is_late: false } };
        self.lag.learn(arrived, written);
        let time = self.lag.live(arrived, written.time);
        Timed { time, is_late: time < arrived }
    }

    fn late(&mut self, latest: Time, stamped: Time) -> Timed {
        let time = self.lag.late(latest, stamped);
        let newest = self.newest.map_or(time, |newest| newest.max(time));
        self.newest = Some(newest);
        Timed { time, is_late: time < newest.minus(DISORDER) }
    }

    fn note(&mut self, is_dated: bool) {
        self.undated += u64::from(!is_dated);
    }

    /// The number of matching lines without a readable timestamp.
    pub(super) fn undated(&self) -> u64 {
        self.undated
    }

    /// The offset, in minutes, by which timestamps are behind the clock; negative where they are ahead.
    pub(super) fn zone_minutes(&self) -> Option<i64> {
        self.lag.zone_minutes()
    }
}
