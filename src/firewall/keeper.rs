//! The one thread that owns the firewall: carries changes out and keeps comparing.
//!
//! A turn of its loop does what changed, as one batch, and then one thing more: a comparison that is due, or the
//! connections of one new entry, or one batch of repair. So a ban never waits for more than one such thing.
//!
//! What fails is tried again with growing pauses, together with what arrived meanwhile. A refused batch is searched for
//! the bad entries; they are reported and set aside until the next comparison.

use std::sync::mpsc::Sender;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::Level;

use super::cuts::Cuts;
use super::ledger::{Findings, Ledger};
use super::search::search;
use super::trouble::{Pace, Trouble};
use super::worker::{Inbox, Shared};
use super::{Backend, Change, Event, Failure, Foreign, Settings, Status, report};
use crate::address::Prefix;

/// Failed attempts after which entries that were refused alone are set aside, though nothing else succeeded.
const PATIENCE: u32 = 5;

/// The thread's whole state; `run` is all there is to call.
pub(super) struct Keeper {
    backend: Box<dyn Backend>,
    ledger: Ledger,
    shared: Arc<Shared>,
    events: Sender<Event>,
    foreign: Foreign,
    every: Duration,
    pace: Pace,
    next_look: Instant,
    looked: Option<Instant>,
    /// Whether `prepare` succeeded since the last failure or comparison.
    ready: bool,
    /// Whether something arrived since the last attempt.
    hasty: bool,
    trouble: Option<Trouble>,
    cuts: Cuts,
    seen: Findings,
    warnings: Vec<String>,
}

impl Keeper {
    pub(super) fn new(
        backend: Box<dyn Backend>,
        ledger: Ledger,
        shared: Arc<Shared>,
        settings: &Settings,
        events: Sender<Event>,
        pace: Pace,
    ) -> Self {
        Self {
            backend,
            ledger,
            shared,
            events,
            foreign: settings.foreign,
            every: settings.converge_every,
            pace,
            next_look: Instant::now(),
            looked: None,
            ready: false,
            hasty: false,
            trouble: None,
            cuts: Cuts::default(),
            seen: Findings::default(),
            warnings: Vec::new(),
        }
    }

    /// Works until it is told to stop, or the daemon's end is dropped.
    pub(super) fn run(mut self) {
        let flush = loop {
            match self.wait() {
                Some(flush) => break flush,
                None => self.turn(),
            }
        };
        self.finish(flush);
        let shared = Arc::clone(&self.shared);
        let mut inbox = shared.lock();
        self.publish(&mut inbox);
        inbox.ended = true;
        shared.settled.notify_all();
    }

    /// Takes in what arrived, until something is to be done; `Some` is the order to stop.
    fn wait(&mut self) -> Option<bool> {
        let shared = Arc::clone(&self.shared);
        let mut inbox = shared.lock();
        loop {
            self.take_in(&mut inbox);
            if inbox.stop.is_some() {
                return inbox.stop;
            }
            self.publish(&mut inbox);
            let patience = self.next_turn().saturating_duration_since(Instant::now());
            if patience.is_zero() {
                return None;
            }
            inbox = shared.work.wait_timeout(inbox, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn take_in(&mut self, inbox: &mut MutexGuard<'_, Inbox>) {
        let mild = self.trouble.as_ref().is_some_and(|trouble| trouble.mild);
        self.hasty |= inbox.converge || !inbox.changes.is_empty() && !mild;
        if std::mem::take(&mut inbox.converge) {
            self.next_look = Instant::now();
        }
        for change in std::mem::take(&mut inbox.changes).into_values() {
            self.ledger.change(change);
        }
    }

    fn busy(&self) -> bool {
        self.ledger.pending() > 0 || !self.cuts.is_empty()
    }

    fn next_turn(&self) -> Instant {
        match &self.trouble {
            Some(trouble) if trouble.mild && self.busy() => Instant::now(),
            Some(trouble) => trouble.next_attempt(self.hasty, self.pace),
            None if self.busy() => Instant::now(),
            None => self.next_look,
        }
    }

    fn publish(&self, inbox: &mut MutexGuard<'_, Inbox>) {
        let trouble = self.trouble.as_ref().map(|trouble| trouble.text.clone());
        let due = self.next_look <= Instant::now();
        inbox.looked = self.looked;
        inbox.idle = trouble.is_none() && !due && !self.busy();
        inbox.status = Status {
            backend: self.backend.name().to_owned(),
            in_step: self.looked.is_some() && trouble.is_none() && self.ledger.aside() == 0,
            entries: self.ledger.entries(),
            pending: self.ledger.pending(),
            set_aside: self.ledger.aside(),
            foreign: self.seen.foreign.len(),
            strange: self.seen.strange,
            listed: self.seen.listed,
            unlistable: self.seen.unlistable.clone(),
            warnings: self.warnings.clone(),
            last_error: trouble,
            converged_ago: None,
        };
        if inbox.idle {
            self.shared.settled.notify_all();
        }
    }

    fn turn(&mut self) {
        let now = Instant::now();
        // While a comparison waits for its next attempt, changes are carried out as ever.
        let pausing = self
            .trouble
            .as_ref()
            .is_some_and(|trouble| trouble.mild && now < trouble.next_attempt(self.hasty, self.pace));
        let due = self.next_look <= now && !pausing;
        self.ready &= !due && (pausing || self.trouble.is_none());
        self.hasty &= pausing;
        match self.prepare().and_then(|()| self.work_off()).map(|()| self.one_thing_more(due)) {
            Ok(Ok(())) if pausing => {}
            Ok(Ok(())) => self.recovered(true),
            Ok(Err(failure)) => self.failed(&failure, due),
            Err(failure) => self.failed(&failure, false),
        }
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        if self.ready {
            return Ok(());
        }
        let warnings = self.backend.prepare()?;
        for warning in warnings.iter().filter(|warning| !self.warnings.contains(warning)) {
            self.note(Level::Warn, warning.clone());
        }
        self.warnings = warnings;
        self.ready = true;
        Ok(())
    }

    fn work_off(&mut self) -> Result<(), Failure> {
        let batch = self.ledger.next_fresh(self.backend.limits());
        self.apply(batch, true)
    }

    fn one_thing_more(&mut self, due: bool) -> Result<(), Failure> {
        if due {
            return self.compare();
        }
        if let Some(prefix) = self.cuts.next() {
            self.cut(&prefix);
            return Ok(());
        }
        let batch = self.ledger.next_repair(self.backend.limits());
        self.apply(batch, false)
    }

    fn apply(&mut self, batch: Vec<Change>, fresh: bool) -> Result<(), Failure> {
        if batch.is_empty() {
            return Ok(());
        }
        match self.backend.apply(&batch) {
            Ok(()) => {
                self.applied(&batch, fresh);
                Ok(())
            }
            Err(Failure::Refused(_)) => self.blame(batch, fresh),
            Err(broken) => {
                self.ledger.give_back(&batch);
                Err(broken)
            }
        }
    }

    /// Has the connections of new entries cut, unless there are too many.
    fn applied(&mut self, batch: &[Change], fresh: bool) {
        let most = self.backend.limits().after_add;
        if let Some(left_alone) = self.cuts.offer(batch, most).filter(|_| fresh) {
            self.note(Level::Info, report::uncut(left_alone, most));
        }
    }

    /// Cuts the connections of a new entry. It is blocked in any case, so a failure is told and forgotten.
    fn cut(&mut self, prefix: &Prefix) {
        if let Err(failure) = self.backend.after_add(prefix) {
            self.cuts.clear();
            self.note(Level::Warn, format!("open connections of a blocked prefix may go on: {failure}"));
        }
    }

    /// Finds out what of a refused batch is to blame: its bad entries, or the firewall.
    fn blame(&mut self, batch: Vec<Change>, fresh: bool) -> Result<(), Failure> {
        // A table that somebody deleted is made anew here, and then the whole batch passes.
        self.ready = false;
        if let Err(failure) = self.prepare() {
            self.ledger.give_back(&batch);
            return Err(failure);
        }
        let found = search(self.backend.as_mut(), batch);
        self.applied(&found.good, fresh);
        self.ledger.give_back(&found.rest);
        let Some(why) = found.why else { return Ok(()) };
        let tried = self.trouble.as_ref().is_some_and(|trouble| trouble.rounds >= PATIENCE);
        if found.good.is_empty() && !tried {
            self.ledger.give_back(&found.bad);
            return Err(why);
        }
        self.set_aside(&found.bad, &why);
        if !found.rest.is_empty() {
            return Err(why);
        }
        // Without the comparison that follows other failures: it would try the bad entries again at once.
        self.recovered(false);
        Ok(())
    }

    fn set_aside(&mut self, bad: &[Change], why: &Failure) {
        for change in bad {
            self.ledger.set_aside(change.prefix());
        }
        if !bad.is_empty() {
            self.tell(Event::Refused(bad.iter().map(Change::prefix).collect(), why.to_string()));
        }
    }

    fn compare(&mut self) -> Result<(), Failure> {
        let listing = self.backend.list()?;
        let findings = self.ledger.compare(listing, self.foreign, self.backend.limits());
        if findings.replace {
            self.replace()?;
        }
        let before = self.looked.map(|_| &self.seen);
        for event in report::findings(&findings, before, self.ledger.entries(), self.foreign) {
            self.tell(event);
        }
        self.seen = findings;
        self.looked = Some(Instant::now());
        self.next_look = Instant::now() + self.every;
        self.recovered(false);
        Ok(())
    }

    /// Replaces the whole table; where that is refused, everything is added again instead.
    fn replace(&mut self) -> Result<(), Failure> {
        match self.backend.replace(&self.ledger.desired()) {
            Err(Failure::Refused(why)) => {
                self.note(Level::Warn, format!("entries of others may stay in the firewall's table: {why}"));
                self.ledger.repair_all();
                Ok(())
            }
            answer => answer,
        }
    }

    fn failed(&mut self, failure: &Failure, mild: bool) {
        let text = failure.to_string();
        let before = self.trouble.take();
        if before.as_ref().is_none_or(|trouble| trouble.text != text) {
            let waiting = self.ledger.pending();
            self.note(
                Level::Error,
                format!("the firewall does not do its part ({waiting} changes wait): {text}"),
            );
        }
        self.trouble = Some(Trouble::after(before, text, mild, self.pace));
    }

    /// Notes that the firewall works; after a failure, the table is worth a look.
    fn recovered(&mut self, look: bool) {
        if self.trouble.take().is_some() {
            self.note(Level::Info, "the firewall does its part again".to_owned());
            if look {
                self.next_look = Instant::now();
            }
        }
    }

    /// The last word: each batch gets one attempt.
    fn finish(&mut self, flush: bool) {
        if flush {
            self.ledger.clear();
        }
        let limits = self.backend.limits();
        loop {
            let batch = self.ledger.next_fresh(limits);
            if batch.is_empty() {
                return;
            }
            if let Err(failure) = self.backend.apply(&batch) {
                self.ledger.give_back(&batch);
                let waiting = self.ledger.pending();
                self.failed(&failure, false);
                return self.note(
                    Level::Warn,
                    format!("{waiting} changes of the firewall were left undone at the stop"),
                );
            }
        }
    }

    fn note(&self, level: Level, text: String) {
        self.tell(Event::Note(level, text));
    }

    fn tell(&self, event: Event) {
        // A daemon that no longer listens is about to end.
        let _unheard = self.events.send(event);
    }
}

#[cfg(test)]
mod tests;
