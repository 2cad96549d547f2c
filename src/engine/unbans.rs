//! Unbans: lines written before an address was unbanned never count against it again, however late they are read. After
//! a power cut a log may be read again from before the operator's decision.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Engine;
use super::lru_journal::LruJournal;
use super::row::Row;
use crate::address::{self, Prefix, PrefixSet, family_and_length};
use crate::time::Time;

/// The result of an unban.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnbanOutcome {
    /// The prefixes whose bans ended.
    pub freed: Vec<Prefix>,
    /// The given prefixes that neither were banned nor held a ban.
    pub not_banned: Vec<Prefix>,
}

impl Engine {
    /// Ends every ban inside the prefixes and every ban around them; other bans inside the latter stay. Resets the
    /// counters of all addresses in the prefixes and in what was banned: no line written before `now` counts for them.
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
        // A prefix that is given twice, or lies inside another one, was banned when the call began.
        let freed: PrefixSet = unbanned.freed.iter().copied().collect();
        unbanned.not_banned.retain(|prefix| !freed.overlaps(prefix));
        let forgiven = prefixes.iter().chain(&unbanned.freed).copied();
        forgiven.clone().for_each(|prefix| self.unbans.remember(prefix, now));
        self.forget(&forgiven.collect());
        unbanned
    }

    /// Resets the counters of many prefixes in one walk, since block lists are long. A host may be counted as part of the
    /// network that it belongs to.
    fn forget(&mut self, prefixes: &PrefixSet) {
        self.windows.forget_all(prefixes);
        self.networks.forget_all(prefixes);
        self.sessions.forget_all(prefixes);
        self.bans.forget_history(prefixes);
    }
}

#[derive(Debug)]
pub(super) struct Unbans {
    at: LruJournal<Prefix, Time>,
    /// The families and prefix lengths that ever occurred: there are few, and all are looked up for every offence.
    lengths: BTreeSet<(bool, u8)>,
}

impl Unbans {
    pub(super) fn new(most: usize) -> Self {
        Self { at: LruJournal::new(most), lengths: BTreeSet::new() }
    }

    pub(super) fn remember(&mut self, prefix: Prefix, time: Time) {
        let (at, _) = self.at.change(prefix.trunc(), || time);
        *at = time.max(*at);
        self.lengths.insert(family_and_length(&prefix));
    }

    pub(super) fn restore(&mut self, prefix: Prefix, time: Time) {
        self.at.restore(prefix, time);
        self.lengths.insert(family_and_length(&prefix));
    }

    /// Whether the address, or a network around it, was unbanned after this time.
    pub(super) fn forgives(&self, peer: IpAddr, time: Time) -> bool {
        let host = address::host(peer);
        let is_v4 = family_and_length(&host).0;
        let around = |(_, length): &(bool, u8)| Prefix::new(host.addr(), *length).ok();
        let mut around = self.lengths.iter().filter(|(v4, _)| *v4 == is_v4).filter_map(around);
        around.any(|network| self.at.get(&network.trunc()).is_some_and(|at| time < *at))
    }

    pub(super) fn set_capacity(&mut self, most: usize) {
        self.at.set_capacity(most);
    }

    pub(super) fn keep_no_journal(&mut self) {
        self.at.keep_no_journal();
    }

    pub(super) fn mark_all_changed(&mut self) {
        self.at.mark_all_changed();
    }

    pub(super) fn changes(&mut self, rows: &mut Vec<Row>) {
        self.at.changes(|prefix, at| rows.push(Row::Unban { prefix, at: at.copied() }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_is_forgiven_in_the_network_that_was_unbanned_and_nowhere_else() {
        let mut unbans = Unbans::new(10);
        let forgiven =
            |unbans: &Unbans, peer: &str, time| unbans.forgives(peer.parse().unwrap(), Time::from_secs(time));
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
