//! Points in time as the whole program counts them: milliseconds since the Unix epoch, passed in, never asked for.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Milliseconds since 1970-01-01 00:00:00 UTC; leap seconds do not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the epoch.
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

    /// The same point as the date library counts it; out-of-range values are held at its ends.
    pub fn timestamp(self) -> Timestamp {
        let end = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_millisecond(self.0).unwrap_or(end)
    }
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
        let (early, late) = (Time::from_secs(10), Time::from_secs(70));
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
    fn printed_with_offset() {
        assert_eq!(Time::from_secs(1_763_820_000).to_string(), "2025-11-22T14:00:00+00:00");
    }
}
