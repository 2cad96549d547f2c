//! Trust: addresses with a recent login are banned later. Logins are remembered for the offender's whole prefix, since
//! IPv6 hosts change their address inside it.

use super::lru_journal::LruJournal;
use super::policy::EngineSettings;
use super::row::Row;
use crate::address::{Prefix, PrefixSet};
use crate::time::Time;

#[derive(Debug)]
pub(super) struct Trust {
    logins: LruJournal<Prefix, Time>,
}

impl Trust {
    pub(super) fn new(most: usize) -> Self {
        Self { logins: LruJournal::new(most) }
    }

    pub(super) fn remember(&mut self, offender: Prefix, time: Time) {
        let (last, _) = self.logins.change(offender, || time);
        *last = time.max(*last);
    }

    pub(super) fn restore(&mut self, offender: Prefix, time: Time) {
        self.logins.restore(offender, time);
    }

    /// Whether somebody logged in from there within the configured time before `now`.
    pub(super) fn holds(&self, settings: &EngineSettings, offender: Prefix, now: Time) -> bool {
        let last = self.logins.get(&offender);
        // A login in the future happened before a clock was set back, and still counts.
        last.is_some_and(|last| now.since(*last).is_none_or(|age| age < settings.trust.remember))
    }

    /// The prefixes inside a network with a login within the configured time before `now`.
    pub(super) fn inside(&self, settings: &EngineSettings, network: &Prefix, now: Time) -> PrefixSet {
        let inside = self.logins.iter().map(|(offender, _)| *offender).filter(|from| network.contains(from));
        inside.filter(|from| self.holds(settings, *from, now)).collect()
    }

    pub(super) fn set_capacity(&mut self, most: usize) {
        self.logins.set_capacity(most);
    }

    pub(super) fn keep_no_journal(&mut self) {
        self.logins.keep_no_journal();
    }

    pub(super) fn changes(&mut self, rows: &mut Vec<Row>) {
        self.logins.changes(|offender, seen| rows.push(Row::Trust { offender, seen: seen.copied() }));
    }
}
