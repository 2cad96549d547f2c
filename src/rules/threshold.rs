//! Thresholds: how many offences within which time lead to a ban.

use std::fmt;
use std::time::Duration;

/// The number of windows that a set may have: minutes for a burst, hours and days for slow attacks, and one to spare.
pub const MAX_WINDOWS: usize = 4;

/// One window: this many offences within this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Offences of weight 1; at least 1.
    pub offences: u32,
    /// The length of the sliding window; more than zero.
    pub within: Duration,
}

/// The thresholds of a set: a ban follows as soon as one window is full. The shortest window comes first; there are at
/// most [`MAX_WINDOWS`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    first: Threshold,
    others: [Option<Threshold>; MAX_WINDOWS - 1],
}

impl Thresholds {
    /// A single window.
    pub const fn one(threshold: Threshold) -> Self {
        Self { first: threshold, others: [None; MAX_WINDOWS - 1] }
    }

    /// Several windows in any order; `None` if there are none or too many.
    pub fn new(mut windows: Vec<Threshold>) -> Option<Self> {
        windows.sort_by_key(|threshold| threshold.within);
        let (first, others) = windows.split_first()?;
        let mut thresholds = Self::one(*first);
        if others.len() > thresholds.others.len() {
            return None;
        }
        for (place, other) in thresholds.others.iter_mut().zip(others) {
            *place = Some(*other);
        }
        Some(thresholds)
    }

    /// The windows, the shortest first.
    pub fn iter(&self) -> impl Iterator<Item = Threshold> {
        std::iter::once(&self.first).chain(self.others.iter().flatten()).copied()
    }

    /// The shortest window.
    pub const fn shortest(&self) -> Threshold {
        self.first
    }

    /// The length of the longest window: how long an offence matters.
    pub fn reach(&self) -> Duration {
        self.others.iter().flatten().last().unwrap_or(&self.first).within
    }
}

impl From<Threshold> for Thresholds {
    fn from(threshold: Threshold) -> Self {
        Self::one(threshold)
    }
}

impl fmt::Debug for Thresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(offences: u32, seconds: u64) -> Threshold {
        Threshold { offences, within: Duration::from_secs(seconds) }
    }

    #[test]
    fn windows_are_kept_from_the_shortest_to_the_longest() {
        let thresholds = Thresholds::new(vec![window(12, 86_400), window(5, 600)]).unwrap();
        assert_eq!(thresholds.iter().collect::<Vec<_>>(), [window(5, 600), window(12, 86_400)]);
        assert_eq!((thresholds.shortest(), thresholds.reach().as_secs()), (window(5, 600), 86_400));
        assert_eq!(Thresholds::from(window(5, 600)).reach().as_secs(), 600);
    }

    #[test]
    fn there_is_one_window_at_least_and_a_few_at_most() {
        assert_eq!(Thresholds::new(Vec::new()), None);
        assert!(Thresholds::new(vec![window(1, 1); MAX_WINDOWS]).is_some());
        assert_eq!(Thresholds::new(vec![window(1, 1); MAX_WINDOWS + 1]), None);
    }
}
