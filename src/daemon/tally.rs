//! What happened since the start, for `portcullis status`.

use std::collections::BTreeMap;

use crate::engine::{Verdict, Why};
use crate::pipeline::Outcome;
use crate::time::Time;

/// Counters of one rule set or one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MatchCounter {
    /// Lines that a rule matched.
    pub(super) matched: u64,
    /// Bans.
    pub(super) bans: u64,
    /// When a line last matched: what falls silent after an update of its program is broken.
    pub(super) last: Option<Time>,
}

impl MatchCounter {
    fn add(&mut self, banned: bool, time: Option<Time>) {
        self.matched += 1;
        self.bans += u64::from(banned);
        self.last = time.or(self.last);
    }
}

/// Counters by name, so that they outlast a reload.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    by_set: BTreeMap<String, MatchCounter>,
    by_source: BTreeMap<String, MatchCounter>,
    pub(super) offences: u64,
    pub(super) unbans: u64,
    pub(super) by_hand: u64,
    /// Bans that the caution with forged addresses prevented.
    pub(super) spared: u64,
}

impl Tallies {
    pub(super) fn add(&mut self, source: &str, outcome: &Outcome<'_>) {
        let verdict = &outcome.judgement.verdict;
        self.offences += u64::from(outcome.judgement.offender.is_some());
        self.spared += u64::from(matches!(verdict, Verdict::Ignored(Why::Flood(_))));
        let banned = matches!(verdict, Verdict::Banned { .. });
        for (tallies, name) in [(&mut self.by_set, &*outcome.matched.set.name), (&mut self.by_source, source)]
        {
            match tallies.get_mut(name) {
                Some(tally) => tally.add(banned, outcome.time),
                None => tallies.entry(name.to_owned()).or_default().add(banned, outcome.time),
            }
        }
    }

    pub(super) fn of_set(&self, name: &str) -> MatchCounter {
        self.by_set.get(name).copied().unwrap_or_default()
    }

    pub(super) fn of_source(&self, name: &str) -> MatchCounter {
        self.by_source.get(name).copied().unwrap_or_default()
    }

    /// Matches and bans of all sources.
    pub(super) fn all(&self) -> (u64, u64) {
        self.by_source.values().fold((0, self.by_hand), |(m, b), tally| (m + tally.matched, b + tally.bans))
    }
}
