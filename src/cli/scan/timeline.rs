//! Offences over time, in bounded memory whatever the length of the log.

use std::time::Duration;

use crate::time::Time;

/// The most bins, more than a terminal has columns; a log of any length fits.
const BINS: usize = 256;

/// The heights of a column.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A histogram whose bins become wider as it covers more time.
///
/// Milliseconds have 128 bits here, since 64 bits do not hold every difference of two timestamps.
#[derive(Debug)]
pub(super) struct Timeline {
    start: i128,
    /// The width of a bin in milliseconds; doubled when the bins run out.
    width: i128,
    bins: Vec<u64>,
}

impl Timeline {
    pub(super) fn new() -> Self {
        Self { start: 0, width: 1000, bins: Vec::new() }
    }

    pub(super) fn add(&mut self, time: Time, count: u64) {
        let millis = i128::from(time.as_millis());
        if self.bins.is_empty() {
            self.start = millis - millis.rem_euclid(self.width);
        }
        while !self.reaches(millis) {
            self.fold(millis);
        }
        let bin = self.bin(millis);
        if bin >= self.bins.len() {
            self.bins.resize(bin + 1, 0);
        }
        self.bins[bin] += count;
    }

    /// Draws at most `columns` characters, and returns them with the time that each covers.
    pub(super) fn draw(&self, columns: usize) -> (String, Duration) {
        let each = self.bins.len().div_ceil(columns.max(1)).max(1);
        let sums: Vec<u64> = self.bins.chunks(each).map(|bins| bins.iter().sum()).collect();
        let most = sums.iter().copied().max().unwrap_or(0).max(1);
        let bar =
            |sum: u64| BARS[usize::try_from((sum * 8).div_ceil(most)).map_or(8, |height| height.min(8))];
        let millis = self.width.unsigned_abs() * each as u128;
        let covered = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        (sums.into_iter().map(bar).collect(), covered)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }

    pub(super) fn start(&self) -> Time {
        // Rounded down, so it may be before the first representable time, but never after the last.
        Time::from_millis(i64::try_from(self.start).unwrap_or(i64::MIN))
    }

    fn bin(&self, millis: i128) -> usize {
        usize::try_from((millis - self.start) / self.width).unwrap_or(usize::MAX)
    }

    fn reaches(&self, millis: i128) -> bool {
        millis >= self.start && self.bin(millis) < BINS
    }

    /// Doubles the width of the bins, and adds room at the end at which `millis` lies.
    fn fold(&mut self, millis: i128) {
        let wide = self.width * 2;
        let mut start = self.start - self.start.rem_euclid(wide);
        let lead = usize::from(start < self.start);
        let mut bins = vec![0; (self.bins.len() + lead).div_ceil(2)];
        for (index, count) in self.bins.iter().enumerate() {
            bins[(index + lead) / 2] += count;
        }
        if millis < start {
            let room = BINS - bins.len();
            let missing =
                usize::try_from((start - millis + wide - 1) / wide).map_or(room, |missing| missing.min(room));
            bins.splice(0..0, std::iter::repeat_n(0, missing));
            start -= wide * missing as i128;
        }
        self.start = start;
        self.width = wide;
        self.bins = bins;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_bins_stay_bounded(times in times()) {
            let mut timeline = Timeline::new();
            times.iter().for_each(|millis| timeline.add(Time::from_millis(*millis), 1));
            prop_assert!(timeline.bins.len() <= BINS);
            prop_assert_eq!(timeline.bins.iter().sum::<u64>(), times.len() as u64);
            let first = i128::from(*times.iter().min().unwrap());
            prop_assert!(timeline.start <= first);
            prop_assert!(timeline.draw(64).0.chars().count() <= 64);
        }
    }

    /// As logs have them, and as whoever writes into a log may make them.
    fn times() -> impl Strategy<Value = Vec<i64>> {
        let usual = prop::collection::vec(0i64..4_000_000_000_000, 1..100);
        prop_oneof![usual, prop::collection::vec(any::<i64>(), 1..100)]
    }

    #[test]
    fn the_ends_of_time_are_in_one_picture() {
        let mut timeline = Timeline::new();
        for millis in [i64::MAX, i64::MIN, 0] {
            timeline.add(Time::from_millis(millis), 1);
        }
        let (drawn, each) = timeline.draw(2);
        assert_eq!((drawn.chars().count(), timeline.bins.iter().sum::<u64>()), (2, 3));
        assert!(timeline.start() == Time::from_millis(i64::MIN) && each > Duration::from_secs(1 << 53));
    }

    #[test]
    fn drawn_to_the_width_of_the_terminal() {
        let mut timeline = Timeline::new();
        for second in [0, 0, 0, 0, 1, 3] {
            timeline.add(Time::from_secs(1_700_000_000 + second), 1);
        }
        assert_eq!(timeline.draw(80), ("█▂ ▂".to_owned(), Duration::from_secs(1)));
        assert_eq!(timeline.draw(2), ("█▂".to_owned(), Duration::from_secs(2)));
    }
}
