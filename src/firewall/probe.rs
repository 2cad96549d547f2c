//! The comparison with a table that cannot be listed: what should be in it is looked up, a portion at a time.
//!
//! A regular comparison looks up a bounded number of entries and goes on where the one before it stopped, so that its
//! cost does not grow with the table. Where something is missing, and at a start or after trouble, it goes through all.

use crate::address::Prefix;

/// Portions without a missing entry after which a comparison ends: with pf's portions, 100,000 entries.
const PORTIONS: usize = 10;

/// The entries that are still to be looked up.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// Entries that were not looked up yet in this round over all desired ones; the last one is next.
    round: Vec<Prefix>,
    /// Whether the round began in the comparison under way, which then sees all of it.
    whole: bool,
    /// Portions until the comparison ends, if nothing is missing; 0 when none is under way.
    left: usize,
    /// Whether the comparison under way is to see all that is wanted.
    thorough: bool,
    /// How many missing entries the comparison under way has found.
    missing: usize,
}

impl Probe {
    /// Begins a comparison, which sees all that is wanted if it is to be `thorough`.
    pub(super) fn begin(&mut self, thorough: bool) {
        self.whole = false;
        self.left = PORTIONS;
        self.missing = 0;
        self.thorough = thorough;
    }

    /// Whether a comparison is under way.
    pub(super) fn is_under_way(&self) -> bool {
        self.left > 0
    }

    /// The next portion, of at most this many entries; `wanted` is asked for when a round begins.
    pub(super) fn next(&mut self, most: usize, wanted: impl FnOnce() -> Vec<Prefix>) -> Vec<Prefix> {
        if self.round.is_empty() {
            self.round = wanted();
            self.whole = true;
        }
        let rest = self.round.len().saturating_sub(most);
        let portion = self.round.split_off(rest);
        if rest == 0 {
            // Its memory goes with it: the table may be listable for the rest of our life.
            self.round = Vec::new();
        }
        portion
    }

    /// Notes how many of a portion were missing; gives their sum at the end of the comparison.
    ///
    /// Where anything was missing, nothing is sure before all that is wanted was looked up.
    pub(super) fn answered(&mut self, missing: usize) -> Option<usize> {
        self.missing += missing;
        self.thorough |= missing > 0;
        if self.round.is_empty() && (self.whole || !self.thorough) {
            self.left = 0;
        } else if !self.thorough {
            self.left = self.left.saturating_sub(1);
        }
        if self.left == 0 { Some(self.missing) } else { None }
    }

    /// Gives up the comparison under way, and the round with it: nobody knows what the table holds.
    pub(super) fn give_up(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(count: u32) -> Vec<Prefix> {
        (0..count).map(|n| crate::address::host(std::net::IpAddr::V4(n.into()))).collect()
    }

    /// Looks up a comparison's portions of ten; how many entries that took, and what it found.
    fn compare(probe: &mut Probe, of: u32, missing: impl Fn(usize) -> usize) -> (usize, usize) {
        probe.begin(false);
        let mut asked = 0;
        loop {
            let portion = probe.next(10, || wanted(of));
            asked += portion.len();
            if let Some(found) = probe.answered(missing(portion.len())) {
                return (asked, found);
            }
        }
    }

    #[test]
    fn a_comparison_is_bounded_and_the_next_one_goes_on_where_it_stopped() {
        let mut probe = Probe::default();
        let asked: Vec<usize> = (0..4).map(|_| compare(&mut probe, 250, |_| 0).0).collect();
        assert_eq!(asked, [100, 100, 50, 100], "250 in three comparisons, then anew");
    }

    #[test]
    fn where_something_is_missing_all_that_is_wanted_is_looked_up() {
        let mut probe = Probe::default();
        assert_eq!(compare(&mut probe, 2000, |len| len), (2000, 2000));
        assert!(!probe.is_under_way());
        compare(&mut probe, 250, |_| 0);
        let (asked, found) = compare(&mut probe, 250, |len| len);
        assert_eq!((asked, found), (150 + 250, 150 + 250), "the rest of the round, and one that sees all");
    }

    #[test]
    fn a_thorough_comparison_sees_all_that_is_wanted() {
        let mut probe = Probe::default();
        compare(&mut probe, 250, |_| 0);
        probe.begin(true);
        let portions = std::iter::from_fn(|| {
            let portion = probe.next(10, || wanted(250));
            probe.answered(0).is_none().then_some(portion.len())
        });
        assert_eq!(portions.count() + 1, 15 + 25, "the rest of the round, and one that sees all");
    }

    #[test]
    fn nothing_wanted_ends_at_once_and_giving_up_begins_a_new_round() {
        let mut probe = Probe::default();
        assert_eq!(compare(&mut probe, 0, |_| 0), (0, 0));
        probe.begin(true);
        probe.next(10, || wanted(30));
        probe.give_up();
        assert!(!probe.is_under_way());
        assert_eq!(compare(&mut probe, 30, |_| 0).0, 30);
    }
}
