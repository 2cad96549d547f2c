//! From a timestamp as printed to a point in time: the missing year, the zone, the hour that occurs twice.

use std::time::Duration;

use jiff::tz::{Offset, TimeZone};

use super::date::{Date, Moment, milliseconds, tai64n, zone_offset};
use super::format::Said;
use super::lag::Written;
use super::service::{self, TimeSpec};
use super::stamp::Form;
use super::{Record, Stamp};
use crate::time::Time;

/// How far in the future a timestamp without a year may lie before it is taken for last year's: clocks and zones differ.
pub const FUTURE_SLACK: Duration = Duration::from_secs(24 * 60 * 60);

/// How much earlier than the line before it a line may be and still belong to the same pass through a doubled hour.
///
/// syslogd writes a repeat up to ten minutes late; the shortest doubled span in use (Lord Howe) is thirty minutes.
pub const ORDER_SLACK: Duration = Duration::from_secs(10 * 60);

/// The longest key in the cache, in bytes: `Nov 22 2026 14:38` and ` +01:00`.
const KEY: usize = 24;

/// Turns the timestamps of **one source**, in the order of its lines, into points in time.
///
/// *Year.* A timestamp without a year is dated with the latest year in which its day exists and it is no later than now
/// plus [`FUTURE_SLACK`]. A log without years that is read more than a year late is therefore dated too late.
///
/// *Zone.* A timestamp without a zone is local time in the given zone; svlogd's and TAI64N are in UTC.
///
/// *The hour that occurs twice.* Order decides: a timestamp belongs to the first pass unless that is more than
/// [`ORDER_SLACK`] before the previous line; then it belongs to the second, unless that is in the future. A straggler of
/// the first pass is thus still recognised. The limit: if the log was quiet, so that the second pass does not begin with
/// a jump back, its lines are dated one hour early.
///
/// *The hour that is skipped.* No honest clock shows it; a timestamp in it is read with the offset before the gap.
///
/// The minute read last is remembered, so that further lines in it cost a comparison and no calendar.
#[derive(Debug)]
pub struct Clock {
    zone: TimeZone,
    now: Time,
    /// The zone of this machine, or of the log's writer.
    local: TimeZone,
    /// Whether the operator stated the zone.
    is_zone_stated: bool,
    /// The time returned last.
    previous: Option<Time>,
    /// The approximate time at which the present line was written, if known.
    near: Option<Time>,
    minute: Option<Minute>,
}

/// A minute as printed, and its beginning.
#[derive(Clone, Copy, Debug)]
struct Minute {
    form: Form,
    key: [u8; KEY],
    minute_length: usize,
    tail_length: usize,
    begins: Moment,
}

impl Clock {
    /// A clock for one source whose writer is in `zone`. `now` is the present time, for the year.
    pub fn new(zone: TimeZone, now: Time) -> Self {
        let local = zone.clone();
        Self { zone, now, local, is_zone_stated: false, previous: None, near: None, minute: None }
    }

    /// Reads timestamps without a zone in this one from now on, or again in the one given at the start. A zone that the
    /// operator stated is not doubted.
    pub fn state_zone(&mut self, zone: Option<TimeZone>) {
        self.is_zone_stated = zone.is_some();
        self.zone = zone.unwrap_or_else(|| self.local.clone());
        self.minute = None;
    }

    /// Sets the present time. A source that is followed for months needs this before each batch of lines.
    pub fn set_now(&mut self, now: Time) {
        self.now = now;
        self.minute = None;
    }

    /// The time at which a line was written: by the timestamp that `spec` describes, or else by that of its header, or
    /// else by one in a format that services are known to write.
    pub fn written(&mut self, line: &[u8], record: &Record<'_>, spec: Option<&TimeSpec>) -> Option<Written> {
        let said = match spec {
            Some(spec) => spec.read(line)?,
            None if record.is_headed() => return self.headed(&record.stamp),
            None => match service::read(line) {
                Some(said) => said,
                None => return self.headed(&record.stamp),
            },
        };
        let (time, is_zoned) = match said {
            Said::Epoch(time) => (time, true),
            Said::Civil { date, within, offset } => {
                let begins = self.begins(&date, offset)?;
                (self.pass(begins, within), offset.is_some())
            }
        };
        self.previous = Some(time);
        Some(Written { time, is_zoned: is_zoned || self.is_zone_stated })
    }

    /// Like [`Self::written`], for a line that was written shortly before `near`: in the hour that occurs twice it belongs
    /// to the nearer pass, whatever line was read before.
    pub fn written_near(
        &mut self,
        near: Time,
        line: &[u8],
        record: &Record<'_>,
        spec: Option<&TimeSpec>,
    ) -> Option<Written> {
        let previous = self.previous;
        self.near = Some(near);
        let written = self.written(line, record, spec);
        self.near = None;
        self.previous = previous;
        written
    }

    fn headed(&mut self, stamp: &Stamp<'_>) -> Option<Written> {
        let time = self.time(stamp)?;
        Some(Written { time, is_zoned: self.is_zone_stated || is_zoned(stamp) })
    }

    /// The time of a timestamp, to the millisecond; `None` if it is absent, or if there is no such day or hour.
    pub fn time(&mut self, stamp: &Stamp<'_>) -> Option<Time> {
        let time = match stamp.form() {
            Form::Absent => return None,
            Form::Tai64n => tai64n(stamp.text())?,
            _ => self.civil(stamp)?,
        };
        self.previous = Some(time);
        Some(time)
    }

    fn civil(&mut self, stamp: &Stamp<'_>) -> Option<Time> {
        let within = milliseconds(stamp.second())?;
        let begins = match &self.minute {
            Some(minute) if minute.is_of(stamp) => minute.begins,
            _ => self.look_up(stamp)?,
        };
        Some(self.pass(begins, within))
    }

    /// The pass through a doubled hour that a timestamp belongs to.
    fn pass(&self, begins: Moment, within: Duration) -> Time {
        let first = begins.first.plus(within);
        let second = begins.second.map(|time| time.plus(within));
        second.filter(|&second| self.is_second_pass(first, second)).unwrap_or(first)
    }

    fn is_second_pass(&self, first: Time, second: Time) -> bool {
        if let Some(near) = self.near {
            return near.as_millis().abs_diff(second.as_millis())
                < near.as_millis().abs_diff(first.as_millis());
        }
        let jumps_back = self.previous.is_some_and(|previous| first < previous.minus(ORDER_SLACK));
        jumps_back && second <= self.now.plus(ORDER_SLACK)
    }

    fn look_up(&mut self, stamp: &Stamp<'_>) -> Option<Moment> {
        let date = Date::read(stamp)?;
        let offset = zone_offset(stamp)?;
        let begins = self.begins(&date, offset)?;
        self.minute = Minute::new(stamp, begins);
        Some(begins)
    }

    fn begins(&self, date: &Date, offset: Option<Offset>) -> Option<Moment> {
        match date.year {
            Some(year) => Moment::of(date.in_year(year)?, &self.zone, offset),
            None => self.latest(date, offset),
        }
    }

    /// The latest year that fits. Nine years include a 29 February even around 1900 and 2100, which have none.
    fn latest(&self, date: &Date, offset: Option<Offset>) -> Option<Moment> {
        let horizon = self.now.plus(FUTURE_SLACK);
        let year = self.zone.to_datetime(horizon.timestamp()).year();
        let moments =
            (0..9).filter_map(|back| Moment::of(date.in_year(year.checked_sub(back)?)?, &self.zone, offset));
        moments.into_iter().find(|moment| moment.first <= horizon)
    }
}

/// Whether the timestamp names its zone, or has a format that implies one.
fn is_zoned(stamp: &Stamp<'_>) -> bool {
    !stamp.zone().is_empty() || matches!(stamp.form(), Form::Svlogd | Form::Tai64n)
}

impl Minute {
    /// `None` if the timestamp does not fit into [`KEY`] bytes, which no supported format exceeds.
    fn new(stamp: &Stamp<'_>, begins: Moment) -> Option<Self> {
        let minute = stamp.minute();
        let tail = stamp.tail();
        let mut key = [0; KEY];
        key.get_mut(..minute.len())?.copy_from_slice(minute);
        key.get_mut(minute.len()..minute.len() + tail.len())?.copy_from_slice(tail);
        let minute_length = minute.len();
        let tail_length = tail.len();
        Some(Self { form: stamp.form(), key, minute_length, tail_length, begins })
    }

    fn is_of(&self, stamp: &Stamp<'_>) -> bool {
        let (minute, tail) = self.key.split_at(self.minute_length);
        self.form == stamp.form() && minute == stamp.minute() && &tail[..self.tail_length] == stamp.tail()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parse;
    use jiff::tz::AmbiguousOffset::Unambiguous;
    use proptest::prelude::*;

    /// Rules written out, so that the tests do not depend on the machine's zone database.
    fn zone(rule: &str) -> TimeZone {
        TimeZone::posix(rule).expect("a rule")
    }

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    const NEW_YORK: &str = "EST5EDT,M3.2.0,M11.1.0";
    const LORD_HOWE: &str = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";

    fn at(rfc3339: &str) -> Time {
        rfc3339.parse::<jiff::Timestamp>().expect("a time").into()
    }

    fn clock(rule: &str, now: &str) -> Clock {
        Clock::new(zone(rule), at(now))
    }

    /// The times of lines with these timestamps, printed in UTC.
    fn read<const N: usize>(mut clock: Clock, stamps: [&str; N]) -> [Option<String>; N] {
        stamps.map(|stamp| {
            let line = format!("{stamp} gw sshd[1]: x");
            clock.time(&parse(line.as_bytes()).stamp).map(|time| time.timestamp().to_string())
        })
    }

    fn some<const N: usize>(times: [&str; N]) -> [Option<String>; N] {
        times.map(|time| Some(time.to_owned()))
    }

    #[test]
    fn every_form_of_a_stamp_gives_the_same_time() {
        for stamp in [
            "Nov 22 14:38:31",
            "2026 Nov 22 14:38:31",
            "Nov 22 2026 14:38:31",
            "Sun Nov 22 14:38:31",
            "Sun Nov 22 14:38:31 2026 auth.info",
            "Sun 2026-11-22 14:38:31 CET",
            "Nov 22 13:38:31 UTC",
            "Nov 22 14:38:31 CET",
            "Nov 22 08:38:31 EST",
            "Nov 22 19:08:31 +0530",
            "Nov 22 14:38:31+01:00",
            "2026-11-22T14:38:31",
            "2026-11-22 14:38:31",
            "2026-11-22T13:38:31Z",
            "2026-11-22T08:38:31-05:00",
            "2026-11-22T14:38:31+0100",
            "2026-11-22_13:38:31.00000",
            "2026-11-22T13:38:31.00000",
            "2026-11-22 14:38:31.000000000",
            "@400000006b02f06100000000",
        ] {
            let clock = clock(BERLIN, "2026-11-23T00:00:00Z");
            assert_eq!(read(clock, [stamp]), some(["2026-11-22T13:38:31Z"]), "{stamp}");
        }
        let rfc5424 = parse(b"<38>1 2026-11-22T14:38:31.123456+01:00 gw sshd 1 - - x").stamp;
        let time = clock(NEW_YORK, "2026-11-23T00:00:00Z").time(&rfc5424);
        assert_eq!(time, Some(at("2026-11-22T13:38:31.123Z")));
    }

    /// Other programs: "at New Year lines became a year old, or a year in the future, and were dropped".
    #[test]
    fn the_year_is_the_nearest_that_is_not_in_the_future() {
        let new_year = clock(BERLIN, "2026-12-31T23:10:00Z");
        let want = ["2026-12-31T22:59:59Z", "2026-12-31T23:00:01Z", "2026-01-02T12:00:00Z"];
        assert_eq!(read(new_year, ["Dec 31 23:59:59", "Jan  1 00:00:01", "Jan 2 13:00:00"]), some(want));
        let old_year = clock(BERLIN, "2026-12-31T22:50:00Z");
        let ahead = ["Jan  1 00:05:00", "Dec 31 23:49:00"];
        assert_eq!(read(old_year, ahead), some(["2026-12-31T23:05:00Z", "2026-12-31T22:49:00Z"]));
        let slack = clock("UTC0", "2026-06-15T12:00:00Z");
        let edges = ["Jun 16 12:00:00", "Jun 16 12:01:00"];
        assert_eq!(read(slack, edges), some(["2026-06-16T12:00:00Z", "2025-06-16T12:01:00Z"]));
    }

    #[test]
    fn a_leap_day_is_of_a_year_that_has_it() {
        let leap = |now| read(clock("UTC0", now), ["Feb 29 12:00:00"]);
        assert_eq!(leap("2027-06-01T00:00:00Z"), some(["2024-02-29T12:00:00Z"]));
        assert_eq!(leap("2028-02-28T13:00:00Z"), some(["2028-02-29T12:00:00Z"]));
        assert_eq!(leap("2028-02-27T13:00:00Z"), some(["2024-02-29T12:00:00Z"]));
        assert_eq!(leap("2103-06-01T00:00:00Z"), some(["2096-02-29T12:00:00Z"]), "2100 has none");
    }

    #[test]
    fn days_and_hours_that_do_not_exist_have_no_time() {
        for stamp in [
            "Feb 30 12:00:00",
            "Nov 31 12:00:00",
            "Nov 00 12:00:00",
            "Nov 22 24:00:00",
            "Nov 22 25:00:00",
            "Nov 22 14:60:00",
            "Nov 22 14:38:61",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-00-01T12:00:00Z",
            "2026-11-22T14:38:31+24:00",
        ] {
            assert_eq!(read(clock(BERLIN, "2026-11-23T00:00:00Z"), [stamp]), [None], "{stamp}");
        }
        assert_eq!(clock(BERLIN, "2026-11-23T00:00:00Z").time(&parse(b"<38>1 - gw a 1 - - x").stamp), None);
    }

    /// Other programs: "an hour blind after the end of daylight saving".
    #[test]
    fn in_the_hour_that_comes_twice_a_jump_back_begins_the_second_pass() {
        let stamps = [
            "Oct 25 01:59:00",
            "Oct 25 02:30:00",
            "Oct 25 02:59:58",
            "Oct 25 02:59:57",
            "Oct 25 02:00:01",
            "Oct 25 02:59:59",
            "Oct 25 02:30:00",
            "Oct 25 02:29:58",
            "Oct 25 03:00:00",
        ];
        let want = [
            "2026-10-24T23:59:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T00:59:58Z",
            "2026-10-25T00:59:57Z",
            "2026-10-25T01:00:01Z",
            "2026-10-25T00:59:59Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T01:29:58Z",
            "2026-10-25T02:00:00Z",
        ];
        assert_eq!(read(clock(BERLIN, "2026-10-26T00:00:00Z"), stamps), some(want));
        let half_hour = ["Apr  5 01:31:00", "Apr  5 01:59:00", "Apr  5 01:31:00"];
        let want = ["2026-04-04T14:31:00Z", "2026-04-04T14:59:00Z", "2026-04-04T15:01:00Z"];
        assert_eq!(read(clock(LORD_HOWE, "2026-04-06T00:00:00Z"), half_hour), some(want));
    }

    #[test]
    fn a_second_pass_that_has_not_come_yet_is_not_believed() {
        let stamps = ["Oct 25 02:50:00", "Oct 25 02:30:00"];
        let first = ["2026-10-25T00:50:00Z", "2026-10-25T00:30:00Z"];
        assert_eq!(read(clock(BERLIN, "2026-10-25T00:51:00Z"), stamps), some(first));
    }

    #[test]
    fn the_hour_that_is_left_out_is_read_with_the_offset_before_it() {
        let stamps = ["Mar 29 01:59:59", "Mar 29 02:30:00", "Mar 29 03:00:00"];
        let want = ["2026-03-29T00:59:59Z", "2026-03-29T01:30:00Z", "2026-03-29T01:00:00Z"];
        assert_eq!(read(clock(BERLIN, "2026-03-30T00:00:00Z"), stamps), some(want));
    }

    #[test]
    fn a_remembered_minute_is_not_mistaken_for_another() {
        let stamps = [
            "2026-11-22T14:38:31Z",
            "2026-11-22T14:38:32+01:00",
            "2026-11-22T14:38:33",
            "2026-11-22T14:38:33.00000",
        ];
        let want =
            ["2026-11-22T14:38:31Z", "2026-11-22T13:38:32Z", "2026-11-22T13:38:33Z", "2026-11-22T14:38:33Z"];
        assert_eq!(read(clock(BERLIN, "2026-11-23T00:00:00Z"), stamps), some(want));
    }

    #[test]
    fn a_clock_told_of_a_later_now_looks_up_the_year_again() {
        let mut clock = clock("UTC0", "2026-11-22T00:00:00Z");
        let stamp = parse(b"Nov 22 14:38:31 gw x").stamp;
        assert_eq!(clock.time(&stamp), Some(at("2026-11-22T14:38:31Z")));
        clock.set_now(at("2027-11-22T15:00:00Z"));
        assert_eq!(clock.time(&stamp), Some(at("2027-11-22T14:38:31Z")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        /// Every instant printed in local time comes back, with and without its year, outside of doubled hours.
        #[test]
        fn times_go_round(
            millis in 0..2_147_483_647_000_i64,
            rule in prop::sample::select(vec![BERLIN, NEW_YORK, LORD_HOWE, "UTC0"]),
            later in 0..364 * 86_400_i64,
        ) {
            let zone = zone(rule);
            let instant = Time::from_millis(millis);
            let civil = zone.to_datetime(instant.timestamp());
            prop_assume!(matches!(zone.to_ambiguous_timestamp(civil).offset(), Unambiguous { .. }));
            let now = instant.plus(Duration::from_secs(later.unsigned_abs()));
            for format in ["%Y-%m-%dT%H:%M:%S.%6f", "%Y %b %e %H:%M:%S.%3f", "%b %d %Y %H:%M:%S.%3f", "%b %e %H:%M:%S.%3f"] {
                let line = format!("{} gw sshd[1]: x", civil.strftime(format));
                let time = Clock::new(zone.clone(), now).time(&parse(line.as_bytes()).stamp);
                prop_assert_eq!(time, Some(instant), "{}", line);
            }
        }
    }
}
