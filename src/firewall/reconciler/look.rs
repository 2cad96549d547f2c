//! How the reconciler asks the table for single entries: for all of them where the table cannot be listed, and for one of
//! them every few seconds, so that a flush is noticed long before the next comparison.

use std::time::{Duration, Instant};

use super::Reconciler;
use crate::firewall::BackendError;
use crate::firewall::backoff::Stops;
use crate::firewall::ledger::Findings;

/// The tool rests this many times as long as it took to look at one entry: a slow one costs half a percent of a
/// processor all the same.
const GLANCE_REST: u32 = 200;

/// The tool rests this many times as long as a portion took in which nothing was missing.
const PORTION_REST: u32 = 3;

impl Reconciler {
    /// Asks for the next portion of a table that cannot be listed, or for one entry, whichever is due.
    pub(super) fn look(&mut self) -> Result<(), (BackendError, Stops)> {
        let now = Instant::now();
        if self.probe.is_under_way() && self.next_portion <= now {
            return self.look_up(now).map_err(|failure| {
                self.probe.give_up();
                self.compare_now();
                (failure, Stops::Comparisons)
            });
        }
        if self.next_glance().is_some_and(|at| at <= now) {
            self.glance(now);
        }
        Ok(())
    }

    fn look_up(&mut self, began: Instant) -> Result<(), BackendError> {
        let portion = self.probe.next(self.backend.limits().lookup, || self.ledger.desired());
        let missing = if portion.is_empty() { portion } else { self.backend.missing(&portion)? };
        let missing = self.ledger.repair_missing(missing);
        let rest = if missing == 0 { began.elapsed() * PORTION_REST } else { Duration::ZERO };
        self.next_portion = Instant::now() + rest;
        if let Some(missing) = self.probe.answered(missing) {
            self.report(&Findings { missing, ..Findings::default() });
            self.looked();
        }
        Ok(())
    }

    /// The time of the next look at one entry; `None` where comparisons are as frequent, or there is nothing to look at.
    pub(super) fn next_glance(&self) -> Option<Instant> {
        let pays = self.every > self.pace.glance;
        let knows = self.backoff.is_none() && self.looked.is_some() && !self.probe.is_under_way();
        if pays && knows && self.ledger.entries() > 0 { Some(self.next_glance) } else { None }
    }

    /// Looks at one entry. Where it is gone, or cannot be asked for, everything is compared.
    fn glance(&mut self, began: Instant) {
        let Some(entry) = self.ledger.sure() else { return self.glance_later(Duration::ZERO) };
        let is_there = self.backend.glance(&entry);
        self.glance_later(began.elapsed());
        if is_there != Ok(true) {
            self.compare_now();
        }
    }

    /// Puts the next look off, after one that took this long.
    pub(super) fn glance_later(&mut self, took: Duration) {
        self.next_glance = Instant::now() + (took * GLANCE_REST).max(self.pace.glance);
    }
}
