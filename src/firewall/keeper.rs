//! The one thread that owns the firewall: carries changes out and keeps comparing.
//!
//! A turn of its loop does what changed, as one batch of removals and one of additions, and then one thing more: a
//! comparison that is due, or the connections of one new entry, or one batch of repair. So a ban never waits for more
//! than one such thing.
//!
//! The first change goes out at once. After that the tool rests for thrice the time that it took, a moment at the most:
//! a flood of bans gathers into few commands.
//!
//! A tool that fails is tried again with growing pauses. A refused batch is searched for the bad entries; they are
//! reported and set aside until the next comparison. What is refused as a whole, as by a full table, waits with growing
//! pauses, too, while comparisons, repairs and cuts go on.

use std::sync::mpsc::Sender;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::Level;

use super::cuts::Cuts;
use super::ledger::{Findings, Ledger};
use super::search::search;
use super::trouble::{Pace, Trouble};
use super::worker::{Ending, Inbox, Shared};
use super::{Backend, Change, Event, Failure, Foreign, Settings, Status, report};

/// The tool rests this many times as long as it worked,
const REST: u32 = 3;

/// but no longer: a ban does not wait for more.
const LONGEST_REST: Duration = Duration::from_millis(50);

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
    /// What changed is not carried out before.
    rests_until: Instant,
    /// Whether `prepare` succeeded since the last failure or comparison.
    ready: bool,
    /// The tool does not work, or a comparison failed.
    trouble: Option<Trouble>,
    /// The firewall refuses all that changed.
    refusal: Option<Trouble>,
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
            rests_until: Instant::now(),
            ready: false,
            trouble: None,
            refusal: None,
            cuts: Cuts::default(),
            seen: Findings::default(),
            warnings: Vec::new(),
        }
    }

    /// Works until it is told to stop, or the daemon's end is dropped.
    pub(super) fn run(mut self) {
        let ending = loop {
            match self.wait() {
                Some(ending) => break ending,
                None => self.turn(),
            }
        };
        if ending != Ending::Leave {
            self.finish(ending == Ending::Flush);
        }
        let shared = Arc::clone(&self.shared);
        let mut inbox = shared.lock();
        self.publish(&mut inbox);
        inbox.ended = true;
        shared.settled.notify_all();
    }

    /// Takes in what arrived, until something is to be done; `Some` is the order to stop.
    fn wait(&mut self) -> Option<Ending> {
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
        let (asked, changed) = (std::mem::take(&mut inbox.converge), !inbox.changes.is_empty());
        if asked {
            self.next_look = Instant::now();
        }
        let hurries = |trouble: &&mut Trouble| asked || changed && !trouble.mild;
        self.trouble.as_mut().filter(hurries).into_iter().for_each(Trouble::hurry);
        self.refusal.as_mut().filter(|_| asked || changed).into_iter().for_each(Trouble::hurry);
        for change in std::mem::take(&mut inbox.changes).into_values() {
            self.ledger.change(change);
            let prefix = change.prefix();
            if self.ledger.owes(&prefix) {
                inbox.owed.insert(prefix)
            } else {
                inbox.owed.remove(&prefix)
            };
        }
    }

    fn busy(&self) -> bool {
        self.ledger.pending() > 0 || !self.cuts.is_empty()
    }

    fn next_turn(&self) -> Instant {
        let look = match &self.trouble {
            Some(trouble) if !trouble.mild => return trouble.next_attempt(self.pace),
            Some(trouble) => trouble.next_attempt(self.pace),
            None => self.next_look,
        };
        match &self.refusal {
            Some(refusal) if self.ledger.repairs() == 0 && self.cuts.is_empty() => {
                look.min(refusal.next_attempt(self.pace))
            }
            None if !self.busy() => look,
            None if self.ledger.repairs() == 0 && self.cuts.is_empty() => look.min(self.rests_until),
            _ => Instant::now(),
        }
    }

    fn publish(&self, inbox: &mut MutexGuard<'_, Inbox>) {
        let trouble = self.trouble.as_ref().or(self.refusal.as_ref()).map(|trouble| trouble.text.clone());
        let due = self.next_look <= Instant::now();
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
            compared: self.looked,
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
            .is_some_and(|trouble| trouble.mild && now < trouble.next_attempt(self.pace));
        let due = self.next_look <= now && !pausing;
        self.ready &= !due && (pausing || self.trouble.is_none());
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

    /// Does a batch of removals and one of additions; a refusal of the one does not keep the other waiting.
    fn work_off(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let waiting = |refusal: &Trouble| began < refusal.next_attempt(self.pace);
        if self.ledger.changed() == 0 {
            self.refusal = None;
            return Ok(());
        }
        if began < self.rests_until || self.refusal.as_ref().is_some_and(waiting) {
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
        self.rests_until = Instant::now() + (began.elapsed() * REST).min(LONGEST_REST);
        Ok(())
    }

    fn one_thing_more(&mut self, due: bool) -> Result<(), Failure> {
        if due {
            return self.compare();
        }
        if let Some(prefix) = self.cuts.next() {
            // It is blocked in any case, so a failure is told and forgotten.
            let answer = self.backend.after_add(&prefix);
            let told = self.cuts.ended(answer);
            told.into_iter().for_each(|text| self.note(Level::Warn, text));
            return Ok(());
        }
        let batch = self.ledger.next_repair(self.backend.limits());
        let refused = self.apply(batch, false)?;
        refused.into_iter().for_each(|why| self.refused(why));
        Ok(())
    }

    /// Does a batch; gives why the firewall refused it or a part of it, if no single entries are to blame.
    fn apply(&mut self, batch: Vec<Change>, fresh: bool) -> Result<Option<String>, Failure> {
        if batch.is_empty() {
            return Ok(None);
        }
        match self.backend.apply(&batch) {
            Ok(()) => {
                self.applied(&batch, fresh);
                Ok(None)
            }
            Err(Failure::Refused(_)) => self.blame(batch, fresh),
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
        let left_alone = self.cuts.offer(batch, most).filter(|_| fresh);
        if let Some(left_alone) = left_alone.filter(|_| self.cuts.is_news()) {
            self.note(Level::Info, report::uncut(left_alone, most));
        }
    }

    /// Finds out what of a refused batch is to blame: its bad entries, or the firewall.
    fn blame(&mut self, batch: Vec<Change>, fresh: bool) -> Result<Option<String>, Failure> {
        // A table that somebody deleted is made anew here, and then the whole batch passes.
        self.ready = false;
        if let Err(failure) = self.prepare() {
            self.ledger.give_back(&batch);
            return Err(failure);
        }
        let found = search(self.backend.as_mut(), batch);
        self.applied(&found.good, fresh);
        self.ledger.give_back(&found.rest);
        let Some(why) = found.why else { return Ok(None) };
        self.set_aside(&found.bad);
        if !found.bad.is_empty() {
            self.tell(Event::Refused(found.bad.iter().map(Change::prefix).collect(), why.to_string()));
        }
        match why {
            Failure::Broken(_) => Err(why),
            Failure::Refused(why) => Ok(Some(why).filter(|_| !found.rest.is_empty())),
        }
    }

    fn set_aside(&mut self, bad: &[Change]) {
        bad.iter().for_each(|change| self.ledger.set_aside(change.prefix()));
    }

    /// Another try for what was set aside; that it is refused again was told before.
    fn retry_aside(&mut self) -> Result<(), Failure> {
        let batch = self.ledger.next_aside(self.backend.limits());
        if batch.is_empty() {
            return Ok(());
        }
        let found = search(self.backend.as_mut(), batch);
        self.applied(&found.good, false);
        self.set_aside(&found.bad);
        self.set_aside(&found.rest);
        found.why.filter(|why| matches!(why, Failure::Broken(_))).map_or(Ok(()), Err)
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
        self.cuts.resume();
        self.recovered(false);
        self.retry_aside()
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
        self.complain(before.as_ref(), &text);
        self.trouble = Some(Trouble::after(before, text, mild, self.pace));
    }

    fn refused(&mut self, why: String) {
        let before = self.refusal.take();
        self.complain(before.as_ref(), &why);
        self.refusal = Some(Trouble::after(before, why, true, self.pace));
    }

    /// Says what does not work, once.
    fn complain(&self, before: Option<&Trouble>, text: &str) {
        if before.is_none_or(|trouble| trouble.text != text) {
            let waiting = self.ledger.pending();
            let told = format!("the firewall does not do its part ({waiting} changes wait): {text}");
            self.note(Level::Error, told);
        }
    }

    /// Notes that the tool works; after a failure, the table is worth a look.
    fn recovered(&mut self, look: bool) {
        if self.trouble.take().is_some() {
            self.works_again();
            if look {
                self.next_look = Instant::now();
            }
        }
    }

    fn works_again(&self) {
        self.note(Level::Info, "the firewall does its part again".to_owned());
    }

    /// The last word: each batch gets one attempt.
    fn finish(&mut self, flush: bool) {
        if flush {
            self.ledger.clear();
        }
        while let Some(batch) = self.last_batch() {
            if let Err(failure) = self.backend.apply(&batch) {
                self.ledger.give_back(&batch);
                let waiting = self.ledger.pending();
                self.failed(&failure, false);
                return self.note(
                    Level::Warn,
                    format!("{waiting} changes of the firewall were left undone at the stop"),
                );
            }
            // It works, whatever was wrong before.
            (self.trouble, self.refusal) = (None, None);
        }
    }

    fn last_batch(&mut self) -> Option<Vec<Change>> {
        let limits = self.backend.limits();
        let removals = self.ledger.next_removals(limits);
        let batch = if removals.is_empty() { self.ledger.next_additions(limits) } else { removals };
        Some(batch).filter(|batch| !batch.is_empty())
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
