//! How the reconciler carries changes out, batch by batch, and finds out what of a refused batch is to blame.

use std::time::{Duration, Instant};

use log::Level;

use super::Reconciler;
use crate::firewall::backoff::Stops;
use crate::firewall::bisect::bisect;
use crate::firewall::{BackendError, Change, FirewallEvent, report};

/// The tool rests this many times as long as it worked,
const REST: u32 = 3;

/// but no longer: a ban does not wait for more.
const MAX_REST: Duration = Duration::from_millis(50);

impl Reconciler {
    /// Does a batch of removals and one of additions; a refusal of the one does not keep the other waiting.
    pub(super) fn work_off(&mut self) -> Result<(), BackendError> {
        if self.ledger.changed() == 0 {
            self.refusal = None;
        }
        let began = Instant::now();
        if self.next_changes().is_none_or(|at| began < at) {
            return Ok(());
        }
        let limits = self.backend.limits();
        let removals = self.ledger.next_removals(limits);
        let removed = self.apply(removals, true)?;
        let additions = self.ledger.next_additions(limits);
        match removed.or(self.apply(additions, true)?) {
            Some(why) => self.refused(why),
            None if self.refusal.take().is_some() => self.works_again(),
            None => {}
        }
        self.rests_until = Instant::now() + (began.elapsed() * REST).min(MAX_REST);
        Ok(())
    }

    /// Does a batch; gives why the firewall refused it or a part of it, if no single entries are to blame.
    pub(super) fn apply(&mut self, batch: Vec<Change>, fresh: bool) -> Result<Option<String>, BackendError> {
        if batch.is_empty() {
            return Ok(None);
        }
        match self.backend.apply(&batch) {
            Ok(()) => {
                self.applied(&batch, fresh);
                Ok(None)
            }
            Err(BackendError::Refused(_)) => self.blame(batch, fresh),
            Err(broken) => {
                self.ledger.give_back(&batch);
                Err(broken)
            }
        }
    }

    /// Notes what was done, and has the connections of new entries cut, unless there are too many.
    fn applied(&mut self, batch: &[Change], fresh: bool) {
        let mut inbox = self.shared.lock();
        for change in batch {
            inbox.owed.remove(&change.prefix());
        }
        drop(inbox);
        let most = self.backend.limits().after_add;
        let left_alone = self.state_kills.offer(batch, most).filter(|_| fresh);
        if let Some(left_alone) = left_alone.filter(|_| self.state_kills.is_news()) {
            self.note(Level::Info, report::uncut(left_alone, most));
        }
    }

    /// Finds out what of a refused batch is to blame: its bad entries, or the firewall.
    fn blame(&mut self, batch: Vec<Change>, fresh: bool) -> Result<Option<String>, BackendError> {
        // A table that somebody deleted is made anew here, and then the whole batch passes.
        self.ready = false;
        if let Err(failure) = self.prepare() {
            self.ledger.give_back(&batch);
            return Err(failure);
        }
        let found = bisect(self.backend.as_mut(), batch);
        self.applied(&found.good, fresh);
        self.ledger.give_back(&found.rest);
        let Some(why) = found.why else { return Ok(None) };
        self.set_aside(&found.bad);
        if !found.bad.is_empty() {
            self.send(FirewallEvent::Refused(
                found.bad.iter().map(Change::prefix).collect(),
                why.to_string(),
            ));
        }
        match why {
            BackendError::Broken(_) => Err(why),
            BackendError::Refused(why) => Ok(Some(why).filter(|_| !found.rest.is_empty())),
        }
    }

    fn set_aside(&mut self, bad: &[Change]) {
        bad.iter().for_each(|change| self.ledger.reject(change.prefix()));
    }

    /// Another try for what was set aside; a refusal was reported the first time.
    pub(super) fn retry_aside(&mut self) -> Result<(), BackendError> {
        let batch = self.ledger.next_rejected(self.backend.limits());
        if batch.is_empty() {
            return Ok(());
        }
        let found = bisect(self.backend.as_mut(), batch);
        self.applied(&found.good, false);
        self.set_aside(&found.bad);
        self.set_aside(&found.rest);
        found.why.filter(|why| matches!(why, BackendError::Broken(_))).map_or(Ok(()), Err)
    }

    /// Replaces the whole table; where that is refused, everything is added again instead.
    pub(super) fn replace(&mut self) -> Result<(), BackendError> {
        match self.backend.replace(&self.ledger.desired()) {
            Err(BackendError::Refused(why)) => {
                self.note(Level::Warn, format!("foreign entries may stay in the firewall's table: {why}"));
                self.ledger.repair_all();
                Ok(())
            }
            answer => answer,
        }
    }

    /// The last word: each batch gets one attempt.
    pub(super) fn finish(&mut self, flush: bool) {
        if flush {
            self.ledger.clear();
        }
        while let Some(batch) = self.last_batch() {
            if let Err(failure) = self.backend.apply(&batch) {
                self.ledger.give_back(&batch);
                let waiting = self.ledger.pending();
                self.failed(&failure, Stops::Everything);
                return self
                    .note(Level::Warn, format!("{waiting} firewall changes were still pending at the stop"));
            }
            // It works, whatever was wrong before.
            self.backoff = None;
            self.refusal = None;
        }
    }

    fn last_batch(&mut self) -> Option<Vec<Change>> {
        let limits = self.backend.limits();
        let removals = self.ledger.next_removals(limits);
        let batch = if removals.is_empty() { self.ledger.next_additions(limits) } else { removals };
        Some(batch).filter(|batch| !batch.is_empty())
    }
}
