//! Trust: an address that logged in of late gets more patience. It is kept for the offender's whole prefix, since
//! IPv6 hosts change the address inside theirs.

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;

use super::journal::{Changed, Row};
use super::policy::Settings;
use crate::address::Prefix;
use crate::time::Time;

#[derive(Debug)]
pub(super) struct Trust {
    logins: LinkedHashMap<Prefix, Time, RandomState>,
    most: usize,
    changed: Changed<Prefix>,
}

impl Trust {
    pub(super) fn new(most: usize) -> Self {
        Self { logins: LinkedHashMap::default(), most: most.max(1), changed: Changed::default() }
    }

    pub(super) fn remember(&mut self, offender: Prefix, time: Time) {
        self.restore(offender, time);
        self.changed.insert(offender);
    }

    pub(super) fn restore(&mut self, offender: Prefix, time: Time) {
        let last = self.logins.remove(&offender).map_or(time, |last| last.max(time));
        self.logins.insert(offender, last);
        if self.logins.len() > self.most
            && let Some((oldest, _)) = self.logins.pop_front()
        {
            self.changed.insert(oldest);
        }
    }

    /// Whether somebody logged in from there within the configured time before `now`.
    pub(super) fn holds(&self, settings: &Settings, offender: Prefix, now: Time) -> bool {
        let last = self.logins.get(&offender);
        // A login in the future was seen before a clock was set back: it still is one.
        last.is_some_and(|last| now.since(*last).is_none_or(|age| age < settings.trust.keep))
    }

    pub(super) fn keep_no_journal(&mut self) {
        self.changed.keep_none();
    }

    pub(super) fn changes(&mut self, rows: &mut Vec<Row>) {
        for offender in self.changed.drain() {
            rows.push(Row::Trust { offender, seen: self.logins.get(&offender).copied() });
        }
    }
}
