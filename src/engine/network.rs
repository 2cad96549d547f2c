//! Networks wider than an offender: the owner of a /48 has 65,536 offenders to take turns with, each below its threshold.
//!
//! An offence also counts for the networks around its offender. No offender adds more to them than its own threshold, and
//! forgeable offences and those of offenders with a recent login add nothing. So a ban always takes the configured number
//! of offenders, whatever each of them does.

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;

use super::policy::Policies;
use super::row::{Offences, Row};
use super::window::{Fill, Windows};
use crate::address::{self, Prefix, PrefixSet};
use crate::rules::{Evidence, Thresholds};
use crate::time::Time;

/// One network is tracked for this many offenders: there are fewer networks, and losing one costs less.
const OFFENDERS: usize = 8;

/// The only evidence that counts for networks.
const EVIDENCE: Evidence = Evidence::Handshake;

/// The recent offences of networks.
#[derive(Debug)]
pub(super) struct NetworkCounters {
    counts: Windows,
    /// For each rule set and network, the narrowest network that holds all offenders counted in it. Unknown for counts
    /// that were restored.
    holding: LinkedHashMap<(usize, Prefix), Prefix, RandomState>,
    capacity: usize,
}

/// An offence that counts for a network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Index of the rule set.
    pub(super) set: usize,
    /// The offender that committed it.
    pub(super) offender: Prefix,
    /// The time at which it counts.
    pub(super) time: Time,
    /// Its weight, in tenths of an offence.
    pub(super) tenths: u32,
}

impl NetworkCounters {
    pub(super) fn new(tracked: usize) -> Self {
        let capacity = tracked / OFFENDERS;
        Self { counts: Windows::new(capacity), holding: LinkedHashMap::default(), capacity }
    }

    pub(super) fn set_capacity(&mut self, tracked: usize) {
        self.capacity = tracked / OFFENDERS;
        self.counts.set_capacity(self.capacity);
        while self.holding.len() > self.capacity {
            self.holding.pop_front();
        }
    }

    /// Counts an offence for a network, and returns the window that is nearest to its threshold.
    pub(super) fn add(&mut self, network: Prefix, share: &Share, thresholds: &Thresholds) -> Fill {
        let Share { set, offender, time, tenths } = *share;
        let counter = (set, EVIDENCE);
        let is_first = self.counts.is_quiet(counter, &network, time, thresholds);
        let holding = if is_first {
            Some(offender)
        } else {
            self.holding.get(&(set, network)).map(|known| address::holding(known, &offender))
        };
        if let Some(holding) = holding {
            self.holding.insert((set, network), holding);
            self.holding.to_back(&(set, network));
        }
        if self.holding.len() > self.capacity {
            self.holding.pop_front();
        }
        self.counts.add(counter, network, time, tenths, thresholds)
    }

    /// The narrowest network that holds all offenders counted in a network, if known.
    pub(super) fn holding(&self, set: usize, network: Prefix) -> Option<Prefix> {
        self.holding.get(&(set, network)).copied()
    }

    /// Restarts the count of a network that was banned as a whole.
    pub(super) fn forget(&mut self, set: usize, network: &Prefix) {
        self.counts.forget((set, EVIDENCE), network);
        self.holding.remove(&(set, *network));
    }

    /// Reduces the count of a network of which a part was banned, or none, so that a quarter of the threshold is enough for
    /// a further part: an attacker who moves on does not get the whole threshold again, and a single mistake of somebody
    /// else does not widen the ban.
    pub(super) fn banned_in_part(&mut self, set: usize, network: Prefix, tenths: u32) {
        self.counts.reduce((set, EVIDENCE), network, tenths - tenths / 4);
    }

    pub(super) fn forget_all(&mut self, prefixes: &PrefixSet) {
        self.counts.forget_all(prefixes);
    }

    /// Gives rule sets their new indices; `None` for those that are gone.
    pub(super) fn rename(&mut self, renamed: &[Option<usize>]) {
        self.counts.rename(renamed);
        self.holding.clear();
    }

    pub(super) fn restore(&mut self, counter: (usize, Evidence), network: Prefix, seen: Offences) {
        self.counts.restore(counter, network, seen);
    }

    pub(super) fn keep_no_journal(&mut self) {
        self.counts.keep_no_journal();
    }

    pub(super) fn changes(&mut self, policies: &Policies, rows: &mut Vec<Row>) {
        self.counts.changes(policies, rows);
    }
}
