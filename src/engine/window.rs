//! Sliding windows: how much an offender did of late, exactly, in bounded memory.

use std::sync::Arc;
use std::time::Duration;

use super::journal::{Row, Seen};
use super::policy::Policies;
use super::tiers::Tiers;
use crate::address::{Prefix, PrefixSet};
use crate::rules::{Evidence, Threshold, Thresholds, Weight};
use crate::time::Time;

/// Lines of several files may be a little out of order; what lies further in the future was counted before a clock
/// was set back, and is forgotten: doubt means no ban.
const DISORDER: Duration = Duration::from_secs(10);

/// How long an empty window is kept: lines of several files may be read far out of order after a stop.
const FORGET: Duration = Duration::from_secs(900);

/// An offence that weighs less counts in the shortest window of its set alone. Lines of a small weight are those that
/// monitoring and honest old clients cause too: a probe every five minutes is nobody's attack, yet it adds up in a day.
const WHOLE: u32 = Weight::ONE.tenths();

/// One offender's memory is bounded whatever the threshold; beyond it the two oldest entries become one, as old as
/// the older, so that a count can only fall short.
const MOST_ENTRIES: usize = 1024;

/// Rule set, offender.
type Key = (u16, Prefix);

/// The windows of all offenders, the longest-unseen first. What counts on evidence that may be forged is apart: it leads
/// to no ban of the other kind, and gives way to it.
#[derive(Debug)]
pub(super) struct Windows {
    seen: Tiers<Key, Seen>,
    evicted: u64,
    /// The longest window asked for so far.
    longest: Duration,
}

impl Windows {
    pub(super) fn new(most: usize) -> Self {
        Self { seen: Tiers::new(most), evicted: 0, longest: Duration::ZERO }
    }

    /// Counts `tenths` more at `time`, and says how full the window is that is nearest to its threshold.
    pub(super) fn add(
        &mut self,
        (set, evidence): (usize, Evidence),
        offender: Prefix,
        time: Time,
        tenths: u32,
        thresholds: &Thresholds,
    ) -> Fill {
        let spans = Spans::until(time, thresholds);
        self.longest = self.longest.max(thresholds.reach());
        self.forget_quiet(time);
        let (seen, made_room) = self.seen.change(evidence, (index(set), offender), Seen::new);
        self.evicted += u64::from(made_room);
        drop_outside(seen, spans);
        insert(seen, time, tenths);
        Fill::nearest(thresholds, |part| part.held(seen, time))
    }

    /// The same for a line that was delivered late: says how full the fullest window was that holds `time`. What is newer
    /// stays, so that nobody loses count of an offender who sees to it that one of its lines comes late.
    pub(super) fn add_late(
        &mut self,
        (set, evidence): (usize, Evidence),
        offender: Prefix,
        time: Time,
        tenths: u32,
        thresholds: &Thresholds,
    ) -> Fill {
        self.longest = self.longest.max(thresholds.reach());
        let (seen, made_room) = self.seen.change(evidence, (index(set), offender), Seen::new);
        self.evicted += u64::from(made_room);
        insert(seen, time, tenths);
        Fill::nearest(thresholds, |part| part.fullest_around(seen, time))
    }

    /// How full each window of an offender is.
    pub(super) fn fills(
        &self,
        (set, evidence): (usize, Evidence),
        offender: &Prefix,
        now: Time,
        thresholds: &Thresholds,
    ) -> Vec<Fill> {
        let seen = self.seen.get(evidence, &(index(set), *offender));
        seen.map(|seen| Fill::all(thresholds, |part| part.held(seen, now)).collect()).unwrap_or_default()
    }

    pub(super) fn forget(&mut self, (set, evidence): (usize, Evidence), offender: &Prefix) {
        self.seen.remove(evidence, &(index(set), *offender));
    }

    /// Forgets all but the last `within`.
    pub(super) fn shorten(
        &mut self,
        (set, evidence): (usize, Evidence),
        offender: Prefix,
        now: Time,
        within: Duration,
    ) {
        let (seen, _) = self.seen.change(evidence, (index(set), offender), Seen::new);
        let span = Span::until(now, within);
        drop_outside(seen, Spans { whole: span, light: span });
    }

    pub(super) fn forget_all(&mut self, prefixes: &PrefixSet) {
        self.seen.remove_where(|(_, offender), _| prefixes.overlaps(offender));
    }

    pub(super) fn set_most(&mut self, most: usize) {
        self.seen.set_most(most);
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Rule sets got new indices, or `None` when they are gone.
    pub(super) fn rename(&mut self, renamed: &[Option<usize>]) {
        let new = |set: u16| renamed.get(usize::from(set)).copied().flatten();
        self.seen.rename(|(set, offender)| Some((index(new(*set)?), *offender)));
    }

    pub(super) fn restore(&mut self, (set, evidence): (usize, Evidence), offender: Prefix, seen: Seen) {
        self.seen.restore(evidence, (index(set), offender), seen);
    }

    pub(super) fn keep_no_journal(&mut self) {
        self.seen.keep_no_journal();
    }

    pub(super) fn changed(&self) -> usize {
        self.seen.changed()
    }

    pub(super) fn changes(&mut self, policies: &Policies, rows: &mut Vec<Row>) {
        self.seen.changes(|evidence, (set, offender), seen| {
            let Some(set) = policies.counter(set.into(), evidence) else { return };
            let seen = seen.cloned().unwrap_or_default();
            rows.push(Row::Window { set: Arc::clone(set), offender, seen });
        });
    }

    /// Drops windows that have been empty for a while, so that what is remembered are those at work.
    fn forget_quiet(&mut self, now: Time) {
        let horizon = now.minus(self.longest).minus(FORGET);
        let quiet = |seen: &Seen| seen.last().is_none_or(|(last, _)| *last < horizon);
        self.seen.drop_fronts(quiet);
    }
}

/// How far an offender is in one window of a rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter<'a> {
    /// The rule set's name; `NAME (spoofable)` for the lines that may be forged of a set whose others cannot be.
    pub set: &'a str,
    /// How long the window is.
    pub within: Duration,
    /// What it holds, in tenths of an offence.
    pub tenths: u32,
    /// What a ban takes, in tenths of an offence.
    pub threshold: u32,
}

/// What one of an offender's windows holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fill {
    pub(super) tenths: u32,
    pub(super) threshold: Threshold,
}

impl Fill {
    /// The window with the largest part of what it takes; of several the shortest. If any is full, this one is.
    fn nearest(thresholds: &Thresholds, count: impl Fn(Part) -> u32) -> Self {
        let shortest = Self { tenths: 0, threshold: thresholds.shortest() };
        let fills = Self::all(thresholds, count);
        fills.fold(shortest, |nearest, next| if nearest.is_behind(&next) { next } else { nearest })
    }

    /// All windows, the shortest first.
    fn all(thresholds: &Thresholds, count: impl Fn(Part) -> u32) -> impl Iterator<Item = Self> {
        thresholds.iter().enumerate().map(move |(nth, threshold)| {
            let part = Part { within: threshold.within, least: if nth == 0 { 0 } else { WHOLE } };
            Self { tenths: count(part), threshold }
        })
    }

    /// Compared without a division, exactly.
    fn is_behind(&self, other: &Self) -> bool {
        let part = |fill: &Self, of: &Self| u64::from(fill.tenths) * u64::from(of.threshold.offences);
        part(self, other) < part(other, self)
    }
}

/// There are never 65,536 rule sets: each is a file that an operator wrote.
pub(super) fn index(set: usize) -> u16 {
    u16::try_from(set).unwrap_or(u16::MAX)
}

/// The times that a window holds: those behind the first and up to the last.
#[derive(Clone, Copy)]
struct Span {
    behind: Time,
    last: Time,
}

impl Span {
    fn until(now: Time, within: Duration) -> Self {
        Self { behind: now.minus(within), last: now.plus(DISORDER) }
    }

    fn holds(self, time: Time) -> bool {
        self.behind < time && time <= self.last
    }
}

/// How long offences matter, whole ones and lighter ones.
#[derive(Clone, Copy)]
struct Spans {
    whole: Span,
    light: Span,
}

impl Spans {
    fn until(now: Time, thresholds: &Thresholds) -> Self {
        let light = Span::until(now, thresholds.shortest().within);
        Self { whole: Span::until(now, thresholds.reach()), light }
    }

    fn hold(self, (time, tenths): (Time, u32)) -> bool {
        if tenths >= WHOLE { self.whole.holds(time) } else { self.light.holds(time) }
    }
}

fn drop_outside(seen: &mut Seen, spans: Spans) {
    if seen.iter().any(|entry| !spans.hold(*entry)) {
        seen.retain(|entry| spans.hold(*entry));
    }
}

fn insert(seen: &mut Seen, time: Time, tenths: u32) {
    let at = seen.iter().rposition(|(other, _)| *other <= time).map_or(0, |before| before + 1);
    seen.insert(at, (time, tenths));
    if seen.len() > MOST_ENTRIES {
        let (older, some) = seen.remove(0);
        seen[0] = (older, seen[0].1.saturating_add(some));
    }
}

/// The part of what was seen that a window looks at.
#[derive(Clone, Copy)]
struct Part {
    within: Duration,
    /// Lighter offences do not count, in tenths.
    least: u32,
}

impl Part {
    fn of(self, seen: &Seen) -> impl Iterator<Item = &(Time, u32)> {
        seen.iter().filter(move |(_, tenths)| *tenths >= self.least)
    }

    /// How many the window holds that ends at a time.
    fn held(self, seen: &Seen, time: Time) -> u32 {
        let span = Span::until(time, self.within);
        total(self.of(seen).filter(|(time, _)| span.holds(*time)))
    }

    /// How many the fullest window saw that holds a time.
    fn fullest_around(self, seen: &Seen, time: Time) -> u32 {
        let (mut firsts, mut sum, mut most) = (self.of(seen).peekable(), 0_u64, 0);
        for (end, tenths) in self.of(seen) {
            sum += u64::from(*tenths);
            while let Some((_, gone)) = firsts.next_if(|(first, _)| *first <= end.minus(self.within)) {
                sum -= u64::from(*gone);
            }
            if end.since(time).is_some_and(|after| after < self.within) {
                most = most.max(sum);
            }
        }
        u32::try_from(most).unwrap_or(u32::MAX)
    }
}

fn total<'a>(seen: impl Iterator<Item = &'a (Time, u32)>) -> u32 {
    seen.fold(0, |sum, (_, tenths)| sum.saturating_add(*tenths))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SET: (usize, Evidence) = (0, Evidence::Handshake);
    const WITHIN: Duration = Duration::from_secs(60);
    const MINUTE: Thresholds = Thresholds::one(Threshold { offences: 5, within: WITHIN });

    /// What the only window of an offender holds.
    fn held(windows: &Windows, offender: &Prefix, now: Time) -> u32 {
        windows.fills(SET, offender, now, &MINUTE).first().map_or(0, |fill| fill.tenths)
    }

    fn offender(n: u32) -> Prefix {
        Prefix::from(std::net::IpAddr::V4(n.into()))
    }

    #[test]
    fn a_late_line_counts_in_its_own_time_and_takes_nothing_from_newer_ones() {
        let mut windows = Windows::new(10);
        let mut add = |second: i64, is_late: bool| {
            let add = if is_late { Windows::add_late } else { Windows::add };
            add(&mut windows, SET, offender(1), Time::from_secs(second), 10, &MINUTE).tenths
        };
        assert_eq!((add(10_000, false), add(10_010, false), add(10_020, false)), (10, 20, 30));
        assert_eq!((add(0, true), add(30, true)), (10, 20), "hours before, and two of them together");
        assert_eq!(add(9_970, true), 40, "in one window with all three");
        assert_eq!(add(10_025, false), 50, "all of the last minute, the late one too");
        assert_eq!(add(10_100, false), 10);
    }

    proptest! {
        /// The naive model keeps everything and adds up what is inside the window at each question.
        #[test]
        fn agrees_with_a_naive_model(steps in prop::collection::vec((0u32..3, -15i64..40, 1u32..20), 1..200)) {
            let mut windows = Windows::new(10);
            let mut model: Vec<(u32, Time, u32)> = Vec::new();
            let mut now = 1_000_000;
            for (who, pause, tenths) in steps {
                now += pause * 1000;
                let time = Time::from_millis(now);
                // An age of less than the window, or a little ahead of now.
                let inside = |at: Time| time.since(at).map_or_else(|| at <= time.plus(DISORDER), |age| age < WITHIN);
                model.retain(|(other, at, _)| *other != who || inside(*at));
                model.push((who, time, tenths));
                let expected: u32 = model.iter().filter(|(other, ..)| *other == who).map(|(.., n)| n).sum();
                prop_assert_eq!(windows.add(SET, offender(who), time, tenths, &MINUTE).tenths, expected);
            }
        }
    }

    proptest! {
        /// Several windows over one memory are as full as each would be alone, and the nearest to its threshold is told.
        #[test]
        fn of_several_windows_the_fullest_is_told(
            steps in prop::collection::vec((0i64..400, 1u32..20), 1..60),
            sizes in prop::collection::vec((1u32..30, 1u64..2000), 1..4),
        ) {
            let window = |(offences, seconds)| Threshold { offences, within: Duration::from_secs(seconds) };
            let thresholds = Thresholds::new(sizes.into_iter().map(window).collect()).unwrap();
            let alone: Vec<Thresholds> = thresholds.iter().map(Thresholds::one).collect();
            let (mut together, mut apart) = (Windows::new(1), alone.iter().map(|_| Windows::new(1)).collect::<Vec<_>>());
            let mut now = 1_000_000;
            for (pause, tenths) in steps {
                now += pause * 1000;
                let time = Time::from_millis(now);
                let told = together.add(SET, offender(1), time, tenths, &thresholds);
                let fills = apart.iter_mut().zip(&alone).enumerate().map(|(nth, (one, alone))| {
                    if nth == 0 || tenths >= WHOLE {
                        return one.add(SET, offender(1), time, tenths, alone);
                    }
                    let nothing = Fill { tenths: 0, threshold: alone.shortest() };
                    one.fills(SET, &offender(1), time, alone).first().copied().unwrap_or(nothing)
                });
                let part = |fill: &Fill| f64::from(fill.tenths) / f64::from(fill.threshold.offences);
                let fills: Vec<Fill> = fills.collect();
                let most = fills.iter().map(part).fold(0.0, f64::max);
                prop_assert!(fills.contains(&told) && (part(&told) - most).abs() < 1e-9, "{told:?} of {fills:?}");
            }
        }
    }

    /// Ten probes an hour, as of a monitor, for a day: no window of a day ever sees them, and no memory is kept of them.
    #[test]
    fn what_weighs_less_than_an_offence_counts_in_the_shortest_window_alone() {
        let day = Threshold { offences: 12, within: Duration::from_secs(86_400) };
        let both = Thresholds::new(vec![MINUTE.shortest(), day]).unwrap();
        let mut windows = Windows::new(10);
        for n in 0..240 {
            let fill = windows.add(SET, offender(1), Time::from_secs(n * 360), 2, &both);
            assert_eq!((fill.tenths, fill.threshold), (2, both.shortest()));
        }
        assert_eq!(windows.seen.get(SET.1, &(0, offender(1))).unwrap().len(), 1);
        let mut last = None;
        for n in 0..12 {
            last = Some(windows.add(SET, offender(2), Time::from_secs(90_000 + n * 3600), WHOLE, &both));
        }
        assert_eq!(last, Some(Fill { tenths: 12 * WHOLE, threshold: day }), "whole offences are all seen");
    }

    #[test]
    fn an_offence_leaves_exactly_when_the_window_has_passed() {
        let mut windows = Windows::new(10);
        let start = Time::from_secs(1000);
        assert_eq!(windows.add(SET, offender(1), start, 10, &MINUTE).tenths, 10);
        assert_eq!(held(&windows, &offender(1), start.plus(WITHIN).minus(Duration::from_millis(1))), 10);
        assert_eq!(windows.add(SET, offender(1), start.plus(WITHIN), 10, &MINUTE).tenths, 10);
    }

    #[test]
    fn a_clock_set_back_forgets_instead_of_banning() {
        let mut windows = Windows::new(10);
        let late = Time::from_secs(7200);
        windows.add(SET, offender(1), late, 40, &MINUTE);
        assert_eq!(
            windows.add(SET, offender(1), late.minus(Duration::from_secs(3600)), 10, &MINUTE).tenths,
            10
        );
    }

    #[test]
    fn memory_is_bounded_and_the_longest_unseen_leaves_first() {
        let mut windows = Windows::new(3);
        for n in [1, 2, 3, 1, 4] {
            windows.add(SET, offender(n), Time::from_secs(i64::from(n)), 10, &MINUTE);
        }
        assert_eq!((windows.len(), windows.evicted()), (3, 1));
        assert_eq!(held(&windows, &offender(2), Time::from_secs(4)), 0, "2 was the longest unseen");
        assert_eq!(held(&windows, &offender(1), Time::from_secs(4)), 20);
    }

    #[test]
    fn one_offender_cannot_grow_without_bound() {
        let mut windows = Windows::new(1);
        for n in 0..5000 {
            windows.add(SET, offender(1), Time::from_millis(n), 1, &MINUTE);
        }
        assert_eq!(windows.seen.get(SET.1, &(0, offender(1))).unwrap().len(), MOST_ENTRIES);
        assert_eq!(held(&windows, &offender(1), Time::from_millis(5000)), 5000, "none is lost inside");
    }
}
