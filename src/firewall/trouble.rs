//! What does not work, and when it is tried again.

use std::time::{Duration, Instant};

/// How fast failures are tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The pause after the first failure; doubled with each.
    pub(super) first: Duration,
    /// The longest pause.
    pub(super) most: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_secs(60) }
    }
}

/// A failure that lasts.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What the firewall answered last.
    pub(super) text: String,
    /// How many attempts failed in a row.
    pub(super) rounds: u32,
    /// Only the comparison failed: changes go on meanwhile.
    pub(super) mild: bool,
    last: Instant,
    pause: Duration,
}

impl Trouble {
    /// The first failure, or one more after others; counted from now.
    pub(super) fn after(before: Option<Self>, text: String, mild: bool, pace: Pace) -> Self {
        let rounds = before.as_ref().map_or(0, |trouble| trouble.rounds).saturating_add(1);
        let pause = before.map_or(pace.first, |trouble| (trouble.pause * 2).min(pace.most));
        Self { text, rounds, mild, last: Instant::now(), pause }
    }

    /// When to try again; what newly arrived (`hasty`) does not wait for the long pauses.
    pub(super) fn next_attempt(&self, hasty: bool, pace: Pace) -> Instant {
        self.last + if hasty { self.pause.min(pace.first) } else { self.pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_haste_makes_them_a_second() {
        let pace = Pace::default();
        let mut trouble = None;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let next = Trouble::after(trouble, "it hangs".to_owned(), false, pace);
            pauses.push((next.next_attempt(false, pace) - next.last).as_secs());
            assert_eq!(next.next_attempt(true, pace) - next.last, pace.first);
            trouble = Some(next);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(trouble.map(|trouble| trouble.rounds), Some(8));
    }
}
