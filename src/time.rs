//! Points in time as the whole program counts them: milliseconds since the Unix epoch, passed in, never asked for.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The length of a day in seconds.
const DAY: u64 = 86_400;
const WEEK: u64 = 7 * DAY;

/// Milliseconds since 1970-01-01 00:00:00 UTC; leap seconds do not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// A time in milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// A time in seconds since the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Later by `span`; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Earlier by `span`; stays at the beginning of time instead of wrapping.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier`; `None` when it is not after it, as when a clock was set back.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        u64::try_from(self.0.checked_sub(earlier.0)?).ok().map(Duration::from_millis)
    }

    /// RFC 3339 with offset, to the second, in the given zone: `2026-11-22T14:38:31+01:00`.
    pub fn rfc3339(self, zone: &TimeZone) -> String {
        let zoned = self.timestamp().to_zoned_datetime(zone.clone());
        zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// For people: `2026-11-22 14:38:31` in the given zone.
    pub fn human(self, zone: &TimeZone) -> String {
        self.timestamp().to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// The time as a timestamp of the date library, clamped to its range.
    pub fn timestamp(self) -> Timestamp {
        let end = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_millisecond(self.0).unwrap_or(end)
    }
}

/// `10m`, `1d 2h`, `4w`: to the second, in the units that a configuration has. Weeks only where nothing is left over:
/// 90 days are `90d`.
pub fn spoken(span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds > 0 && seconds.is_multiple_of(WEEK) {
        return format!("{}w", seconds / WEEK);
    }
    let parts =
        [(seconds / DAY, 'd'), (seconds / 3600 % 24, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let parts: Vec<String> =
        parts.iter().filter(|part| part.0 > 0).map(|(number, unit)| format!("{number}{unit}")).collect();
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.as_millisecond())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339(&TimeZone::UTC))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_gives_no_span() {
        let early = Time::from_secs(10);
        let late = Time::from_secs(70);
        assert_eq!(late.since(early), Some(Duration::from_secs(60)));
        assert_eq!(early.since(late), None);
        assert_eq!(early.since(early), Some(Duration::ZERO));
    }

    #[test]
    fn endless_spans_stay_at_the_end_of_time() {
        assert_eq!(Time::from_secs(1).plus(Duration::MAX), Time::from_millis(i64::MAX));
        assert_eq!(Time::from_millis(i64::MAX).rfc3339(&TimeZone::UTC).get(..4), Some("9999"));
    }

    #[test]
    fn spans_are_spoken_in_units_that_people_know_by_heart() {
        for (seconds, says) in [
            (0, "0s"),
            (59, "59s"),
            (600, "10m"),
            (3600, "1h"),
            (5400, "1h 30m"),
            (93_600, "1d 2h"),
            (7 * 86_400, "1w"),
            (28 * 86_400, "4w"),
            (90 * 86_400, "90d"),
            (365 * 86_400 + 1, "365d 1s"),
        ] {
            assert_eq!(spoken(Duration::from_secs(seconds)), says);
        }
        assert_eq!(spoken(Duration::from_millis(1999)), "1s");
        assert!(spoken(Duration::MAX).starts_with("213503982334601d"));
    }

    /// What is printed may be put into a configuration.
    #[test]
    fn spoken_spans_are_read_back() {
        for seconds in [1, 61, 3661, 86_399, 90_061, 604_800, 1_209_601, 7_776_000] {
            let span = Duration::from_secs(seconds);
            assert_eq!(humantime::parse_duration(&spoken(span)), Ok(span));
        }
    }

    #[test]
    fn printed_with_offset() {
        assert_eq!(Time::from_secs(1_763_820_000).to_string(), "2025-11-22T14:00:00+00:00");
    }
}
