//! What does not work, and when it is tried again.

use std::time::{Duration, Instant};

/// How fast failures are tried again, and how soon a flush is noticed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The pause after the first failure; doubled with each.
    pub(super) first: Duration,
    /// The longest pause between two attempts.
    pub(super) most: Duration,
    /// How often one entry of the table is looked at.
    pub(super) glance: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_secs(60), glance: Duration::from_secs(3) }
    }
}

/// The work that a failure stops until the next attempt; all else goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stops {
    /// The tool does not work.
    Everything,
    /// The table cannot be compared.
    Comparisons,
    /// The firewall refuses all that changed, as a full table does.
    Changes,
}

/// A failure that lasts.
#[derive(Debug)]
pub(super) struct Backoff {
    /// The last answer of the firewall.
    pub(super) text: String,
    pub(super) stops: Stops,
    /// Something arrived since the last attempt.
    hasty: bool,
    last: Instant,
    pause: Duration,
}

impl Backoff {
    /// The first failure, or one more after others; counted from now.
    pub(super) fn after(before: Option<Self>, text: String, stops: Stops, pace: Pace) -> Self {
        let pause = before.map_or(pace.first, |backoff| (backoff.pause * 2).min(pace.most));
        Self { text, stops, hasty: false, last: Instant::now(), pause }
    }

    /// Something arrived, which does not wait for the long pauses.
    pub(super) fn hurry(&mut self) {
        self.hasty = true;
    }

    /// The time of the next attempt.
    pub(super) fn next_attempt(&self, pace: Pace) -> Instant {
        self.last + if self.hasty { self.pause.min(pace.first) } else { self.pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_haste_makes_them_a_second() {
        let pace = Pace::default();
        let mut backoff = None;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let mut next = Backoff::after(backoff, "it hangs".to_owned(), Stops::Everything, pace);
            pauses.push((next.next_attempt(pace) - next.last).as_secs());
            next.hurry();
            assert_eq!(next.next_attempt(pace) - next.last, pace.first);
            backoff = Some(next);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}
