//! The daemon's end of the firewall: changes go in, status and events come out, and no tool is ever waited for.

use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use log::Level;

use super::backoff::Pace;
use super::inbox::{Ending, Inbox, WorkerShared};
use super::ledger::Ledger;
use super::reconciler::Reconciler;
use super::{Backend, Change, WorkerStatus};
use crate::address::Prefix;
use crate::settings::FirewallSettings;

/// A report of the worker to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirewallEvent {
    /// A sentence for the log.
    Note(Level, String),
    /// Entries that somebody else added and that are treated as ours from now on (`foreign: adopt`).
    Foreign(Vec<Prefix>),
    /// Entries that the firewall refuses, and why; they are tried again at the next comparison.
    Refused(Vec<Prefix>, String),
}

/// Starts a worker that at once brings the table in step with `desired`.
///
/// `released` may still be in the table from before the start and shall not: bans that ended while nobody looked.
/// They must be named, since nothing else tells them from entries that others added.
///
/// # Errors
/// An error of the system where it has no thread left. A firewall that does not work is no error: it is reported and tried again.
pub fn spawn(
    backend: Box<dyn Backend>,
    desired: Vec<Prefix>,
    released: Vec<Prefix>,
    settings: &FirewallSettings,
    events: Sender<FirewallEvent>,
) -> io::Result<WorkerHandle> {
    spawn_paced(backend, Ledger::new(desired, released), settings, events, Pace::default(), None)
}

/// Starts a worker in place of one on the same table, which it lets end first, so that no late command of the old
/// one undoes what the new one did. What the old one has still to remove is removed by the new one.
///
/// # Errors
/// An error of the system where it has no thread left; the old worker goes on then.
pub fn spawn_after(
    old: &WorkerHandle,
    backend: Box<dyn Backend>,
    desired: Vec<Prefix>,
    settings: &FirewallSettings,
    events: Sender<FirewallEvent>,
) -> io::Result<WorkerHandle> {
    let ledger = Ledger::new(desired, old.owed());
    let handle = spawn_paced(backend, ledger, settings, events, Pace::default(), Some(old))?;
    old.end(Ending::Leave);
    Ok(handle)
}

/// Starts the thread at this pace.
pub(super) fn spawn_paced(
    backend: Box<dyn Backend>,
    ledger: Ledger,
    settings: &FirewallSettings,
    events: Sender<FirewallEvent>,
    pace: Pace,
    old: Option<&WorkerHandle>,
) -> io::Result<WorkerHandle> {
    let shared = Arc::new(WorkerShared::default());
    shared.lock().status.backend = backend.name().to_owned();
    shared.lock().owed = ledger.owed().collect();
    let reconciler = Reconciler::new(backend, ledger, Arc::clone(&shared), settings, events, pace);
    let before = old.map(|old| (Arc::clone(&old.shared), old.patience));
    let run = move || {
        if let Some((old, patience)) = before {
            old.wait_for_end(patience);
        }
        reconciler.run();
    };
    thread::Builder::new().name("firewall".to_owned()).spawn(run)?;
    // A tool that hangs is killed after one timeout; a last batch may need another.
    let own = settings.timeout * 2 + Duration::from_secs(1);
    Ok(WorkerHandle {
        shared,
        patience: own,
        patience_at_stop: own + old.map_or(Duration::ZERO, |old| old.patience),
    })
}

/// The daemon's end: none of its calls waits for a tool, but for those that say so.
#[derive(Debug)]
pub struct WorkerHandle {
    shared: Arc<WorkerShared>,
    patience: Duration,
    /// The patience at a stop, which includes that with the worker before this one.
    patience_at_stop: Duration,
}

impl WorkerHandle {
    /// Hands over changes; of several for one prefix, the last one counts.
    pub fn change(&self, changes: impl IntoIterator<Item = Change>) {
        let mut inbox = self.shared.lock();
        inbox.changes.extend(changes.into_iter().map(Change::trunc).map(|change| (change.prefix(), change)));
        self.shared.work.notify_one();
    }

    /// Has the table compared now.
    pub fn converge(&self) {
        self.shared.lock().converge = true;
        self.shared.work.notify_one();
    }

    /// Has it looked again whether the table can block, which a change by hand is to be told of.
    pub fn look_again(&self) {
        self.shared.lock().prepare = true;
        self.shared.work.notify_one();
    }

    /// Waits until what was handed over is done, at most this long, and not for comparisons; whether it is.
    pub fn carry_out(&self, at_most: Duration) -> bool {
        let busy = |inbox: &mut Inbox| {
            inbox.prepare || inbox.unprepared || inbox.waiting > 0 || !inbox.changes.is_empty()
        };
        self.wait_while(at_most, busy)
    }

    /// The state of the table at the last turn; never waits for a tool.
    pub fn status(&self) -> WorkerStatus {
        let inbox = self.shared.lock();
        let mut status = inbox.status.clone();
        status.pending += inbox.changes.len();
        status.in_step &= status.pending == 0;
        status
    }

    /// Waits until nothing is left to do, at most this long; false when something still waits or does not work.
    pub fn settle(&self, at_most: Duration) -> bool {
        let busy = |inbox: &mut Inbox| !inbox.idle || inbox.converge || !inbox.changes.is_empty();
        self.wait_while(at_most, busy)
    }

    /// Waits as long as the worker is busy, at most this long; false when it still is.
    fn wait_while(&self, at_most: Duration, busy: impl FnMut(&mut Inbox) -> bool) -> bool {
        let (_inbox, timeout) = self
            .shared
            .settled
            .wait_timeout_while(self.shared.lock(), at_most, busy)
            .unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }

    /// The prefixes that are still to be removed from the table, or may be.
    pub fn owed(&self) -> Vec<Prefix> {
        let inbox = self.shared.lock();
        let mut owed = inbox.owed.clone();
        for change in inbox.changes.values() {
            match change {
                Change::Add(prefix) => owed.remove(prefix),
                Change::Remove(prefix) => owed.insert(*prefix),
            };
        }
        owed.into_iter().collect()
    }

    /// Carries out what waits, or with `flush` takes all our entries out of the table, and ends the thread.
    ///
    /// Waits for that, but not much longer than two timeouts of a tool; the status says what could not be done.
    pub fn stop(&self, flush: bool) -> WorkerStatus {
        self.end(if flush { Ending::Flush } else { Ending::Finish });
        let ended = self.shared.wait_for_end(self.patience_at_stop);
        let mut status = self.status();
        if !ended {
            status.in_step = false;
            status.last_error.get_or_insert_with(|| "its tool did not end in time".to_owned());
        }
        status
    }

    /// Has all our entries taken out of the table and the thread ended, without waiting for it.
    pub fn empty(&self) {
        self.end(Ending::Flush);
    }

    /// Whether the thread has ended.
    pub fn has_ended(&self) -> bool {
        self.shared.lock().ended
    }

    fn end(&self, how: Ending) {
        self.shared.lock().stop.get_or_insert(how);
        self.shared.work.notify_one();
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.end(Ending::Finish);
    }
}
