//! Unbans: what was written before somebody was unbanned never counts against them again, however late it is read. After
//! a power cut a log may be read again from before an operator's decision.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Engine;
use super::journal::Row;
use super::recent::Recent;
use crate::address::{self, Prefix, PrefixSet};
use crate::time::Time;

/// What an unban did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnbanOutcome {
    /// Whose bans it ended.
    pub freed: Vec<Prefix>,
    /// Those of the prefixes in which nobody was banned.
    pub not_banned: Vec<Prefix>,
}

impl Engine {
    /// Ends every ban inside the prefixes and every ban around them, but not others' bans in there; resets the counters
    /// of all addresses in them and in what was banned. What was written before `now` never counts for these again.
    pub fn unban(&mut self, prefixes: &[Prefix], now: Time) -> UnbanOutcome {
        let mut unbanned = UnbanOutcome::default();
        for prefix in prefixes {
            let before = unbanned.freed.len();
            unbanned.freed.extend(self.bans.end_inside(prefix, now));
            while let Some(around) = self.bans.covering(prefix).map(|ban| ban.offender) {
                self.bans.end(&around, now);
                unbanned.freed.push(around);
            }
            if unbanned.freed.len() == before {
                unbanned.not_banned.push(*prefix);
            }
        }
        // Named twice, or within another one of them.
        let freed: PrefixSet = unbanned.freed.iter().copied().collect();
        unbanned.not_banned.retain(|prefix| !freed.overlaps(prefix));
        let forgiven = prefixes.iter().chain(&unbanned.freed).copied();
        forgiven.clone().for_each(|prefix| self.unbans.remember(prefix, now));
        self.forget(&forgiven.collect());
        unbanned
    }

    /// One walk through everybody's counters, since block lists are long. A host may be counted as the network that it
    /// belongs to.
    fn forget(&mut self, prefixes: &PrefixSet) {
        self.windows.forget_all(prefixes);
        self.networks.forget_all(prefixes);
        self.sessions.forget_all(prefixes);
        self.bans.forget_history(prefixes);
    }
}

#[derive(Debug)]
pub(super) struct Unbans {
    at: Recent<Prefix, Time>,
    /// Which families and prefix lengths there ever were among them: few, and asked for with every offence.
    lengths: BTreeSet<(bool, u8)>,
}

impl Unbans {
    pub(super) fn new(most: usize) -> Self {
        Self { at: Recent::new(most), lengths: BTreeSet::new() }
    }

    pub(super) fn remember(&mut self, prefix: Prefix, time: Time) {
        let (at, _) = self.at.change(prefix.trunc(), || time);
        *at = time.max(*at);
        self.lengths.insert(length(&prefix));
    }

    pub(super) fn restore(&mut self, prefix: Prefix, time: Time) {
        self.at.restore(prefix, time);
        self.lengths.insert(length(&prefix));
    }

    /// Whether the address, or a network around it, was unbanned after this time.
    pub(super) fn forgive(&self, peer: IpAddr, time: Time) -> bool {
        let host = address::host(peer);
        let is_v4 = length(&host).0;
        let around = |(_, length): &(bool, u8)| Prefix::new(host.addr(), *length).ok();
        let mut around = self.lengths.iter().filter(|(v4, _)| *v4 == is_v4).filter_map(around);
        around.any(|network| self.at.get(&network.trunc()).is_some_and(|at| time < *at))
    }

    pub(super) fn set_most(&mut self, most: usize) {
        self.at.set_most(most);
    }

    pub(super) fn keep_no_journal(&mut self) {
        self.at.keep_no_journal();
    }

    pub(super) fn touch_all(&mut self) {
        self.at.touch_all();
    }

    pub(super) fn changes(&mut self, rows: &mut Vec<Row>) {
        self.at.changes(|prefix, at| rows.push(Row::Unban { prefix, at: at.copied() }));
    }
}

fn length(prefix: &Prefix) -> (bool, u8) {
    (matches!(prefix, Prefix::V4(_)), prefix.prefix_len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_is_forgiven_in_the_network_that_was_unbanned_and_nowhere_else() {
        let mut unbans = Unbans::new(10);
        let forgiven =
            |unbans: &Unbans, peer: &str, time| unbans.forgive(peer.parse().unwrap(), Time::from_secs(time));
        assert!(!forgiven(&unbans, "192.0.2.7", 1));
        for (prefix, time) in
            [("192.0.2.7/32", 10), ("192.0.2.7/32", 5), ("2001:db8::/64", 20), ("198.51.100.0/24", 30)]
        {
            unbans.remember(prefix.parse().unwrap(), Time::from_secs(time));
        }
        for (peer, last) in [("192.0.2.7", 9), ("2001:db8::1", 19), ("198.51.100.9", 29)] {
            assert!(forgiven(&unbans, peer, last) && !forgiven(&unbans, peer, last + 1), "{peer}");
        }
        for stranger in ["192.0.2.8", "2001:db8:0:1::1", "198.51.101.9", "::192.0.2.7"] {
            assert!(!forgiven(&unbans, stranger, 1), "{stranger}");
        }
        unbans.remember("::/0".parse().unwrap(), Time::from_secs(40));
        assert!(forgiven(&unbans, "2001:db8:0:1::1", 39) && !forgiven(&unbans, "192.0.2.8", 39));
    }
}
