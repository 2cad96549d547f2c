//! Sliding windows: an exact count of each offender's recent offences in bounded memory.

use std::sync::Arc;
use std::time::Duration;

use super::policy::Policies;
use super::row::{Offences, Row};
use super::tiers::Tiers;
use crate::address::{self, Prefix, PrefixSet};
use crate::rules::{Evidence, Threshold, Thresholds, Weight};
use crate::time::Time;

/// Lines of several files may be out of order by this much. An offence further in the future was counted before a clock
/// was set back, and is forgotten: doubt means no ban.
const DISORDER: Duration = Duration::from_secs(10);

/// How long an empty window is kept: after a stop, lines of several files may be read far out of order.
const FORGET: Duration = Duration::from_secs(900);

/// A lighter offence counts only in the shortest window of its set. Monitoring and old but honest clients cause such lines
/// too: a probe every five minutes is no attack, yet it would add up in a day.
const WHOLE: u32 = Weight::ONE.tenths();

/// Bounds one offender's memory whatever the threshold is. Beyond it the two oldest entries are merged into one with the
/// older time, so that a count can only fall short.
const MAX_ENTRIES: usize = 1024;

/// Rule set, offender.
type CounterKey = (u16, Prefix);

/// The windows of all offenders, the least recently seen first. Those on forgeable evidence are separate: they lead to no
/// ban of the other kind, and are evicted first.
#[derive(Debug)]
pub(super) struct Windows {
    seen: Tiers<CounterKey, Offences>,
    evicted: u64,
    /// The longest window of any rule set seen so far.
    longest: Duration,
}

impl Windows {
    pub(super) fn new(most: usize) -> Self {
        Self { seen: Tiers::new(most), evicted: 0, longest: Duration::ZERO }
    }

    /// Adds `tenths` at `time`, and returns the window that is nearest to its threshold.
    pub(super) fn add(
        &mut self,
        counter: (usize, Evidence),
        offender: Prefix,
        time: Time,
        tenths: u32,
        thresholds: &Thresholds,
    ) -> Fill {
        let spans = Spans::until(time, thresholds);
        self.longest = self.longest.max(thresholds.reach());
        self.forget_idle(time);
        let seen = self.of(counter, offender);
        drop_outside(seen, spans);
        insert(seen, time, tenths);
        Fill::nearest(thresholds, |part| part.held(seen, time))
    }

    /// As [`Self::add`] for a line that was delivered late: returns the fullest window that holds `time`. Newer offences
    /// stay counted, so that an offender cannot reset its count by having one of its lines delivered late.
    pub(super) fn add_late(
        &mut self,
        counter: (usize, Evidence),
        offender: Prefix,
        time: Time,
        tenths: u32,
        thresholds: &Thresholds,
    ) -> Fill {
        self.longest = self.longest.max(thresholds.reach());
        let seen = self.of(counter, offender);
        insert(seen, time, tenths);
        Fill::nearest(thresholds, |part| part.fullest_around(seen, time))
    }

    /// The offences of an offender; a new one may evict another.
    fn of(&mut self, (set, evidence): (usize, Evidence), offender: Prefix) -> &mut Offences {
        let (seen, made_room) = self.seen.change(evidence, (index(set), offender), Offences::new);
        self.evicted += u64::from(made_room);
        seen
    }

    /// The content of each window of an offender.
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

    /// Whether an offence of the offender counted during `within` before `now`.
    pub(super) fn counted_within(
        &self,
        (set, evidence): (usize, Evidence),
        offender: &Prefix,
        now: Time,
        within: Duration,
    ) -> bool {
        let span = TimeSpan::until(now, within);
        let seen = self.seen.get(evidence, &(index(set), *offender));
        seen.is_some_and(|seen| seen.iter().any(|(time, _)| span.holds(*time)))
    }

    /// Whether no offence of the offender is in any window.
    pub(super) fn is_quiet(
        &self,
        (set, evidence): (usize, Evidence),
        offender: &Prefix,
        now: Time,
        thresholds: &Thresholds,
    ) -> bool {
        let spans = Spans::until(now, thresholds);
        let seen = self.seen.get(evidence, &(index(set), *offender));
        seen.is_none_or(|seen| !seen.iter().any(|offence| spans.hold(*offence)))
    }

    pub(super) fn forget(&mut self, (set, evidence): (usize, Evidence), offender: &Prefix) {
        self.seen.remove(evidence, &(index(set), *offender));
    }

    /// Forgets what is older than `within`.
    pub(super) fn shorten(
        &mut self,
        (set, evidence): (usize, Evidence),
        offender: Prefix,
        now: Time,
        within: Duration,
    ) {
        let (seen, _) = self.seen.change(evidence, (index(set), offender), Offences::new);
        let span = TimeSpan::until(now, within);
        drop_outside(seen, Spans { whole: span, light: span });
    }

    pub(super) fn forget_all(&mut self, prefixes: &PrefixSet) {
        self.seen.remove_where(|(_, offender), _| prefixes.overlaps(offender));
    }

    /// Forgets the oldest offences until `most` tenths are left.
    pub(super) fn reduce(&mut self, (set, evidence): (usize, Evidence), offender: Prefix, most: u32) {
        let (seen, _) = self.seen.change(evidence, (index(set), offender), Offences::new);
        let mut excess = total(seen.iter()).saturating_sub(most);
        for (_, tenths) in seen.iter_mut() {
            let forgotten = excess.min(*tenths);
            *tenths -= forgotten;
            excess -= forgotten;
        }
        seen.retain(|(_, tenths)| *tenths > 0);
    }

    /// The narrowest network that holds all offenders which a set counts inside this one.
    pub(super) fn holding(&self, (set, evidence): (usize, Evidence), network: &Prefix) -> Option<Prefix> {
        let of_set = self.seen.iter(evidence).filter(|((other, _), _)| *other == index(set));
        let inside = of_set.map(|((_, offender), _)| *offender).filter(|offender| network.contains(offender));
        inside.reduce(|all, next| address::holding(&all, &next))
    }

    pub(super) fn set_capacity(&mut self, most: usize) {
        self.seen.set_capacity(most);
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Gives rule sets their new indices; `None` for those that are gone.
    pub(super) fn rename(&mut self, renamed: &[Option<usize>]) {
        let new = |set: u16| renamed.get(usize::from(set)).copied().flatten();
        self.seen.rename(|(set, offender)| Some((index(new(*set)?), *offender)));
    }

    pub(super) fn restore(&mut self, (set, evidence): (usize, Evidence), offender: Prefix, seen: Offences) {
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

    /// Drops windows that have been empty for a while.
    fn forget_idle(&mut self, now: Time) {
        let horizon = now.minus(self.longest).minus(FORGET);
        let quiet = |seen: &Offences| seen.last().is_none_or(|(last, _)| *last < horizon);
        self.seen.drop_fronts(quiet);
    }
}

/// The content of one window of an offender, with its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter<'a> {
    /// The rule set's name; `NAME (spoofable)` for the forgeable lines of a set whose others cannot be forged.
    pub set: &'a str,
    /// The length of the window.
    pub within: Duration,
    /// Its content, in tenths of an offence.
    pub tenths: u32,
    /// The threshold for a ban, in tenths of an offence.
    pub threshold: u32,
}

/// The content of one window of an offender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fill {
    pub(super) tenths: u32,
    pub(super) threshold: Threshold,
}

impl Fill {
    /// The window that has reached the largest part of its threshold; of several the shortest. If any is full, it is.
    fn nearest(thresholds: &Thresholds, count: impl Fn(WindowPart) -> u32) -> Self {
        let shortest = Self { tenths: 0, threshold: thresholds.shortest() };
        let fills = Self::all(thresholds, count);
        fills.fold(shortest, |nearest, next| if nearest.is_behind(&next) { next } else { nearest })
    }

    /// Every window, the shortest first.
    fn all(thresholds: &Thresholds, count: impl Fn(WindowPart) -> u32) -> impl Iterator<Item = Self> {
        thresholds.iter().enumerate().map(move |(nth, threshold)| {
            let part = WindowPart { within: threshold.within, least: if nth == 0 { 0 } else { WHOLE } };
            Self { tenths: count(part), threshold }
        })
    }

    /// Compares exactly, without a division.
    fn is_behind(&self, other: &Self) -> bool {
        let part = |fill: &Self, of: &Self| u64::from(fill.tenths) * u64::from(of.threshold.offences);
        part(self, other) < part(other, self)
    }
}

/// There are never 65,536 rule sets: each is a file that an operator wrote.
pub(super) fn index(set: usize) -> u16 {
    u16::try_from(set).unwrap_or(u16::MAX)
}

/// The times that a window holds: after `behind`, and up to and including `last`.
#[derive(Clone, Copy)]
struct TimeSpan {
    behind: Time,
    last: Time,
}

impl TimeSpan {
    fn until(now: Time, within: Duration) -> Self {
        Self { behind: now.minus(within), last: now.plus(DISORDER) }
    }

    fn holds(self, time: Time) -> bool {
        self.behind < time && time <= self.last
    }
}

/// The times in which offences count: whole ones and lighter ones.
#[derive(Clone, Copy)]
struct Spans {
    whole: TimeSpan,
    light: TimeSpan,
}

impl Spans {
    fn until(now: Time, thresholds: &Thresholds) -> Self {
        let light = TimeSpan::until(now, thresholds.shortest().within);
        Self { whole: TimeSpan::until(now, thresholds.reach()), light }
    }

    fn hold(self, (time, tenths): (Time, u32)) -> bool {
        if tenths >= WHOLE { self.whole.holds(time) } else { self.light.holds(time) }
    }
}

fn drop_outside(seen: &mut Offences, spans: Spans) {
    if seen.iter().any(|entry| !spans.hold(*entry)) {
        seen.retain(|entry| spans.hold(*entry));
    }
}

fn insert(seen: &mut Offences, time: Time, tenths: u32) {
    let at = seen.iter().rposition(|(other, _)| *other <= time).map_or(0, |before| before + 1);
    seen.insert(at, (time, tenths));
    if seen.len() > MAX_ENTRIES {
        let (older, some) = seen.remove(0);
        seen[0] = (older, seen[0].1.saturating_add(some));
    }
}

/// Selects the offences that count in one window.
#[derive(Clone, Copy)]
struct WindowPart {
    within: Duration,
    /// The least weight that counts, in tenths of an offence.
    least: u32,
}

impl WindowPart {
    fn of(self, seen: &Offences) -> impl Iterator<Item = &(Time, u32)> {
        seen.iter().filter(move |(_, tenths)| *tenths >= self.least)
    }

    /// The content of the window that ends at a time, in tenths.
    fn held(self, seen: &Offences, time: Time) -> u32 {
        let span = TimeSpan::until(time, self.within);
        total(self.of(seen).filter(|(time, _)| span.holds(*time)))
    }

    /// The content of the fullest window that holds a time, in tenths.
    fn fullest_around(self, seen: &Offences, time: Time) -> u32 {
        let mut firsts = self.of(seen).peekable();
        let mut sum = 0_u64;
        let mut most = 0;
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
mod tests;
