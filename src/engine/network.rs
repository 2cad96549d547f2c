//! Networks wider than an offender: whoever has a /48 has 65,536 offenders to take turns with, each below the threshold.
//!
//! An offence counts for the networks around its offender as well, but no offender adds more to them than fills its own
//! threshold, and none that logged in of late or may be forged adds anything. So it takes as many offenders as configured
//! to ban one, whatever each of them does.

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;

use super::journal::{Offences, Row};
use super::policy::Policies;
use super::window::{Fill, Windows};
use crate::address::{self, Prefix, PrefixSet};
use crate::rules::{Evidence, Thresholds};
use crate::time::Time;

/// For so many offenders that are tracked, one network is: they are fewer, and less is lost with one.
const OFFENDERS: usize = 8;

/// Nothing else counts for networks.
const EVIDENCE: Evidence = Evidence::Handshake;

/// What networks of several offenders did of late.
#[derive(Debug)]
pub(super) struct NetworkCounters {
    counts: Windows,
    /// The narrowest network that holds all who count in one, by rule set and network; as many as there are counts. Not
    /// known of what was restored.
    holding: LinkedHashMap<(usize, Prefix), Prefix, RandomState>,
    most: usize,
}

/// An offence that counts for a network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// By the rule set of this number.
    pub(super) set: usize,
    /// Whose it is.
    pub(super) offender: Prefix,
    /// When it counts.
    pub(super) time: Time,
    /// What it adds, in tenths of an offence.
    pub(super) tenths: u32,
}

impl NetworkCounters {
    pub(super) fn new(tracked: usize) -> Self {
        let most = tracked / OFFENDERS;
        Self { counts: Windows::new(most), holding: LinkedHashMap::default(), most }
    }

    pub(super) fn set_most(&mut self, tracked: usize) {
        self.most = tracked / OFFENDERS;
        self.counts.set_most(self.most);
        while self.holding.len() > self.most {
            self.holding.pop_front();
        }
    }

    /// Counts an offence for a network, and says how full the window is that is nearest to its threshold.
    pub(super) fn add(&mut self, network: Prefix, share: &Share, thresholds: &Thresholds) -> Fill {
        let Share { set, offender, time, tenths } = *share;
        let counter = (set, EVIDENCE);
        let is_first = self.counts.is_quiet(counter, &network, time, thresholds);
        let known = self.holding.get(&(set, network)).copied();
        let holding = match known {
            Some(known) if !is_first => Some(address::holding(&known, &offender)),
            None if !is_first => None,
            _ => Some(offender),
        };
        if let Some(holding) = holding {
            self.holding.insert((set, network), holding);
            self.holding.to_back(&(set, network));
        }
        if self.holding.len() > self.most {
            self.holding.pop_front();
        }
        self.counts.add(counter, network, time, tenths, thresholds)
    }

    /// The narrowest network that holds all who count in one, where that is known.
    pub(super) fn holding(&self, set: usize, network: Prefix) -> Option<Prefix> {
        self.holding.get(&(set, network)).copied()
    }

    /// All of the network is banned: counting begins anew.
    pub(super) fn forget(&mut self, set: usize, network: &Prefix) {
        self.counts.forget((set, EVIDENCE), network);
        self.holding.remove(&(set, *network));
    }

    /// A part of it is banned at the most: a quarter of what that took is enough for more of it. So whoever moves on through a network
    /// is not given all of it again for each part, and nobody else's one mistake makes the ban wider.
    pub(super) fn banned_in_part(&mut self, set: usize, network: Prefix, tenths: u32) {
        self.counts.reduce((set, EVIDENCE), network, tenths - tenths / 4);
    }

    pub(super) fn forget_all(&mut self, prefixes: &PrefixSet) {
        self.counts.forget_all(prefixes);
    }

    /// Rule sets got new indices, or `None` when they are gone.
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
