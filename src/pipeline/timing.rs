//! When the lines of one source count.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::record::{Clock, Lag, Record, TimeSpec, Written};
use crate::time::Time;

/// When a line counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At this time, whatever it says.
    At(Time),
    /// It was seen to arrive at this time, and counts then; unless its stamp says that it was delivered late.
    Arrived(Time),
    /// When its stamp says.
    Stamped,
    /// The same in a log that is read anew from its beginning: where it has no stamp, when the line before it counted.
    Replayed,
    /// When its stamp says, but not after this time, at which it is read or its file was last written to: whoever stamps
    /// lines of tomorrow, be it in another zone, makes no ban longer.
    Written(Time),
}

impl When {
    /// Whether the lines themselves say how late it is.
    pub(super) fn is_replay(self) -> bool {
        matches!(self, Self::At(_) | Self::Stamped | Self::Replayed)
    }
}

/// When a line counts, and whether newer lines of its source may have counted before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timed {
    pub(super) time: Time,
    pub(super) is_late: bool,
}

/// Lines of several programs in one file are this much out of order without being late.
const DISORDER: Duration = Duration::from_secs(10);

/// How one source's stamps are read, and what is known of how far they are behind.
#[derive(Debug)]
pub(super) struct Timing {
    clock: Clock,
    /// What the operator says of the source's stamps.
    stated: (Option<TimeSpec>, Option<TimeZone>),
    lag: Lag,
    /// When the newest line that was read later than it was written counted.
    newest: Option<Time>,
    /// When the last line that was replayed counted.
    last: Option<Time>,
    /// Whether lines matched that say no time that is read: how many.
    undated: u64,
}

impl Timing {
    /// For a source of which nothing was read.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, stated: (None, None), lag: Lag::default(), newest: None, last: None, undated: 0 }
    }

    /// Takes what the operator says of the source's stamps; what was learned of them is void if it is something else.
    pub(super) fn set_stamps(&mut self, time: Option<TimeSpec>, zone: Option<TimeZone>) {
        let stated = (time, zone);
        if stated != self.stated {
            self.clock.state_zone(stated.1.clone());
            (self.stated, self.lag, self.newest) = (stated, Lag::default(), None);
        }
    }

    pub(super) fn set_now(&mut self, now: Time) {
        self.clock.set_now(now);
    }

    /// The time in a line's stamp, if it has one; lines of a source are asked in their order.
    pub(super) fn stamp(
        &mut self,
        line: &[u8],
        record: &Record<'_>,
        usual: Option<&TimeSpec>,
    ) -> Option<Time> {
        let spec = self.stated.0.as_ref().or(usual);
        self.clock.written(line, record, spec).map(|written| written.time)
    }

    /// Learns from the newest of lines that were seen to arrive, before they are judged.
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

    /// Learns from the last lines of a file and from when it was last written to.
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

    /// When a line counts; `None` where it was written at some time that it does not say. `spec` describes the stamps of
    /// the rule set that knows the line.
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

    /// How many lines matched and say no time that is read.
    pub(super) fn undated(&self) -> u64 {
        self.undated
    }

    /// The zone, in minutes, by which the stamps are behind the clock; negative where they are ahead.
    pub(super) fn zone_minutes(&self) -> Option<i64> {
        self.lag.zone_minutes()
    }
}
