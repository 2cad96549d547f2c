//! The one thread that owns the firewall: carries changes out and keeps comparing.
//!
//! A turn of its loop does what changed, as one batch of removals and one of additions, and then one thing more: a
//! comparison that is due, or the connections of one new entry, or one batch of repair, or a portion of what is looked up
//! in a table that cannot be listed, or the look at one entry or chain that notices a flush. So a ban never waits for more than
//! one such thing.
//!
//! The first change goes out at once. After that the tool rests three times as long as it worked, at most 50 ms: a flood
//! of bans gathers into few commands.
//!
//! A tool that fails is tried again with growing pauses. A refused batch is searched for the bad entries; they are
//! reported and set aside until the next comparison. What is refused as a whole, as by a full table, waits with growing
//! pauses, too, while comparisons, repairs and cuts go on.
//!
//! When to do what is decided here; `batch` carries changes out, `look` asks the table.

use std::sync::mpsc::Sender;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::Level;

use super::backoff::{Backoff, Pace, Stops};
use super::inbox::{Ending, Inbox, WorkerShared};
use super::ledger::{Findings, Ledger, UnlistedRepair};
use super::probe::Probe;
use super::state_kills::StateKills;
use super::{Backend, BackendError, FirewallEvent, WorkerStatus, report};
use crate::settings::{FirewallSettings, Foreign};

mod batch;
mod look;

/// The purpose of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// All is well: what changed is carried out.
    Ordinary,
    /// The tool failed, and this is the next attempt.
    Retrying,
    /// The table is to be compared.
    Comparing,
    /// A comparison failed, and the next attempt is not due: what changed is carried out as ever.
    Uncompared,
}

/// The whole state of the thread; [`Reconciler::run`] is its only entry.
pub(super) struct Reconciler {
    backend: Box<dyn Backend>,
    ledger: Ledger,
    shared: Arc<WorkerShared>,
    events: Sender<FirewallEvent>,
    foreign: Foreign,
    every: Duration,
    pace: Pace,
    next_look: Instant,
    looked: Option<Instant>,
    /// There is a reason to compare: somebody asked for it, or an entry was gone.
    doubts: bool,
    /// The comparison with a table that cannot be listed.
    probe: Probe,
    /// The next portion of it is not asked for before this.
    next_portion: Instant,
    /// The time of the next look at one entry, to notice a flush.
    next_glance: Instant,
    /// Changes are not carried out before this.
    rests_until: Instant,
    /// Whether `prepare` succeeded since the last failure or comparison.
    ready: bool,
    /// The tool does not work, or a comparison failed; never one that only [`Stops::Changes`].
    backoff: Option<Backoff>,
    /// The firewall refuses all that changed.
    refusal: Option<Backoff>,
    state_kills: StateKills,
    seen: Findings,
    warnings: Vec<String>,
}

impl Reconciler {
    pub(super) fn new(
        backend: Box<dyn Backend>,
        ledger: Ledger,
        shared: Arc<WorkerShared>,
        settings: &FirewallSettings,
        events: Sender<FirewallEvent>,
        pace: Pace,
    ) -> Self {
        Self {
            backend,
            ledger,
            shared,
            events,
            foreign: settings.foreign,
            every: settings.converge,
            pace,
            next_look: Instant::now(),
            looked: None,
            doubts: false,
            probe: Probe::default(),
            next_portion: Instant::now(),
            next_glance: Instant::now(),
            rests_until: Instant::now(),
            ready: false,
            backoff: None,
            refusal: None,
            state_kills: StateKills::default(),
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
        let asked = std::mem::take(&mut inbox.converge);
        let changed = !inbox.changes.is_empty();
        if asked {
            self.compare_now();
        }
        self.ready &= !std::mem::take(&mut inbox.prepare);
        for backoff in self.backoff.iter_mut().chain(&mut self.refusal) {
            if asked || changed && backoff.stops != Stops::Comparisons {
                backoff.hurry();
            }
        }
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
        self.ledger.pending() > 0 || !self.state_kills.is_empty()
    }

    /// The time of the next turn.
    fn next_turn(&self) -> Instant {
        if let Some(backoff) = self.backoff.as_ref().filter(|backoff| backoff.stops == Stops::Everything) {
            return backoff.next_attempt(self.pace);
        }
        if self.ledger.repairs() > 0 || !self.state_kills.is_empty() {
            return Instant::now();
        }
        if !self.ready && self.backoff.is_none() {
            return Instant::now();
        }
        let portion = if self.probe.is_under_way() { Some(self.next_portion) } else { None };
        let all = [self.next_changes(), portion, self.next_glance(), self.next_comparison()];
        // Either a look-up is under way or a comparison comes.
        all.into_iter().flatten().min().unwrap_or_else(Instant::now)
    }

    /// Has everything compared that can be, for a reason.
    fn compare_now(&mut self) {
        self.next_look = Instant::now();
        self.doubts = true;
    }

    /// The time of the next comparison; `None` while one is under way, or its repairs are, unless there is a reason to begin
    /// again.
    fn next_comparison(&self) -> Option<Instant> {
        let at = self.backoff.as_ref().map_or(self.next_look, |backoff| backoff.next_attempt(self.pace));
        let is_repairing = self.ledger.repairs() > 0 && self.backoff.is_none();
        if self.doubts || !(self.probe.is_under_way() || is_repairing) { Some(at) } else { None }
    }

    /// The time at which changes are carried out; `None` where there are none.
    fn next_changes(&self) -> Option<Instant> {
        match &self.refusal {
            Some(refusal) => Some(refusal.next_attempt(self.pace).max(self.rests_until)),
            None if self.ledger.changed() > 0 => Some(self.rests_until),
            None => None,
        }
    }

    fn publish(&self, inbox: &mut MutexGuard<'_, Inbox>) {
        let error = self.backoff.as_ref().or(self.refusal.as_ref()).map(|backoff| backoff.text.clone());
        let due = self.next_look <= Instant::now();
        inbox.idle = error.is_none() && !due && !self.probe.is_under_way() && !self.busy();
        inbox.status = WorkerStatus {
            backend: self.backend.name().to_owned(),
            in_step: self.looked.is_some() && error.is_none() && self.ledger.rejected() == 0,
            entries: self.ledger.entries(),
            pending: self.ledger.pending(),
            set_aside: self.ledger.rejected(),
            foreign: self.seen.foreign.len(),
            strange: self.seen.strange,
            listed: self.seen.listed,
            unlistable: self.seen.unlistable.clone(),
            warnings: self.warnings.clone(),
            last_error: error,
            compared: self.looked,
        };
        inbox.waiting = self.ledger.changed();
        inbox.unprepared = !self.ready && self.backoff.is_none();
        self.shared.settled.notify_all();
    }

    fn mode(&self, now: Instant) -> Mode {
        match &self.backoff {
            Some(backoff) if backoff.stops == Stops::Comparisons && now < backoff.next_attempt(self.pace) => {
                Mode::Uncompared
            }
            _ if self.next_look <= now && self.next_comparison().is_some() => Mode::Comparing,
            Some(_) => Mode::Retrying,
            None => Mode::Ordinary,
        }
    }

    fn turn(&mut self) {
        let mode = self.mode(Instant::now());
        // Somebody may have taken away what was prepared.
        self.ready &= matches!(mode, Mode::Ordinary | Mode::Uncompared);
        if let Err(failure) = self.prepare().and_then(|()| self.work_off()) {
            return self.failed(&failure, Stops::Everything);
        }
        match self.one_thing_more(mode) {
            Err((failure, stops)) => self.failed(&failure, stops),
            Ok(()) if mode == Mode::Uncompared => {}
            Ok(()) => {
                if self.recovered() {
                    // Who knows what the table holds after a failure.
                    self.compare_now();
                }
            }
        }
    }

    fn prepare(&mut self) -> Result<(), BackendError> {
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

    /// A failure comes with what it stops.
    fn one_thing_more(&mut self, mode: Mode) -> Result<(), (BackendError, Stops)> {
        if mode == Mode::Comparing {
            return self.compare().map_err(|failure| (failure, Stops::Comparisons));
        }
        if let Some(prefix) = self.state_kills.next() {
            // It is blocked in any case, so a failure is reported and forgotten.
            let answer = self.backend.after_add(&prefix);
            let message = self.state_kills.ended(answer);
            message.into_iter().for_each(|text| self.note(Level::Warn, text));
            return Ok(());
        }
        let batch = self.ledger.next_repair(self.backend.limits());
        if batch.is_empty() {
            return self.look();
        }
        let refused = self.apply(batch, false).map_err(|failure| (failure, Stops::Everything))?;
        refused.into_iter().for_each(|why| self.refused(why));
        Ok(())
    }

    fn compare(&mut self) -> Result<(), BackendError> {
        let thorough = self.doubts || self.looked.is_none() || self.backoff.is_some();
        let listing = self.backend.list(self.ledger.entries())?;
        self.doubts = false;
        let findings = self.ledger.compare(listing, self.foreign, self.backend.limits());
        match findings.blind {
            Some(UnlistedRepair::Replace) => self.replace()?,
            Some(UnlistedRepair::Lookup) => self.probe.begin(thorough),
            Some(UnlistedRepair::AddAll) | None => {}
        }
        self.report(&findings);
        self.seen = findings;
        if !self.probe.is_under_way() {
            self.looked();
        }
        self.state_kills.resume();
        self.recovered();
        self.retry_aside()
    }

    fn report(&self, findings: &Findings) {
        let before = self.looked.map(|_| &self.seen);
        for event in report::findings(findings, before, self.ledger.entries(), self.foreign) {
            self.send(event);
        }
    }

    /// Notes that a comparison is done: every desired entry is in the table, or noted for repair.
    fn looked(&mut self) {
        self.looked = Some(Instant::now());
        self.next_look = Instant::now() + self.every;
        self.glance_later(Duration::ZERO);
    }

    fn failed(&mut self, failure: &BackendError, stops: Stops) {
        let text = failure.to_string();
        let before = self.backoff.take();
        self.complain(before.as_ref(), &text);
        self.backoff = Some(Backoff::after(before, text, stops, self.pace));
    }

    fn refused(&mut self, why: String) {
        let before = self.refusal.take();
        self.complain(before.as_ref(), &why);
        self.refusal = Some(Backoff::after(before, why, Stops::Changes, self.pace));
    }

    /// Says what does not work, once.
    fn complain(&self, before: Option<&Backoff>, text: &str) {
        if before.is_none_or(|backoff| backoff.text != text) {
            let waiting = self.ledger.pending();
            let complaint = format!("the firewall update failed (pending changes: {waiting}): {text}");
            self.note(Level::Error, complaint);
        }
    }

    /// Notes that the tool works; says whether it did not before.
    fn recovered(&mut self) -> bool {
        let failed_before = self.backoff.take().is_some();
        if failed_before {
            self.works_again();
        }
        failed_before
    }

    fn works_again(&self) {
        self.note(Level::Info, "firewall updates work again".to_owned());
    }

    fn note(&self, level: Level, text: String) {
        self.send(FirewallEvent::Note(level, text));
    }

    fn send(&self, event: FirewallEvent) {
        // A daemon that no longer listens is about to end.
        let _unheard = self.events.send(event);
    }
}

#[cfg(test)]
mod tests;
