//! The daemon's end of the firewall: changes go in, status and events come out, and no tool is ever waited for.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use log::Level;

use super::keeper::Keeper;
use super::ledger::Ledger;
use super::trouble::Pace;
use super::{Backend, Change, Settings, Status};
use crate::address::Prefix;

/// What the worker has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A sentence for the log.
    Note(Level, String),
    /// Entries that somebody else added and that are treated as ours from now on (`foreign: adopt`).
    Foreign(Vec<Prefix>),
    /// Entries that the firewall refuses, and why; they are tried again at the next comparison.
    Refused(Vec<Prefix>, String),
}

/// Starts the thread.
#[derive(Debug)]
pub struct Worker;

impl Worker {
    /// Starts a worker that at once brings the table in step with `desired`.
    ///
    /// `released` may still be in the table from before the start and shall not: bans that ended while nobody looked.
    /// They must be named, since nothing else tells them from entries that others added.
    ///
    /// # Errors
    /// When the system gives no thread. A firewall that does not work is no error: it is reported and tried again.
    pub fn spawn(
        backend: Box<dyn Backend>,
        desired: Vec<Prefix>,
        released: Vec<Prefix>,
        settings: &Settings,
        events: Sender<Event>,
    ) -> io::Result<Handle> {
        start(backend, Ledger::new(desired, released), settings, events, Pace::default())
    }
}

pub(super) fn start(
    backend: Box<dyn Backend>,
    ledger: Ledger,
    settings: &Settings,
    events: Sender<Event>,
    pace: Pace,
) -> io::Result<Handle> {
    let shared = Arc::new(Shared::default());
    shared.lock().status.backend = backend.name().to_owned();
    let keeper = Keeper::new(backend, ledger, Arc::clone(&shared), settings, events, pace);
    thread::Builder::new().name("firewall".to_owned()).spawn(move || keeper.run())?;
    // A tool that hangs is killed after one timeout; a last batch may need another.
    Ok(Handle { shared, patience: settings.timeout * 2 + Duration::from_secs(1) })
}

/// The daemon's end: none of its calls waits for a tool, but for those that say so.
#[derive(Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    patience: Duration,
}

impl Handle {
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

    /// How things stand.
    pub fn status(&self) -> Status {
        let inbox = self.shared.lock();
        let mut status = inbox.status.clone();
        status.pending += inbox.changes.len();
        status.in_step &= status.pending == 0;
        status.converged_ago = inbox.looked.map(|looked| looked.elapsed().as_secs());
        status
    }

    /// Waits until nothing is left to do, at most so long; false when something still waits or does not work.
    pub fn settle(&self, at_most: Duration) -> bool {
        let busy = |inbox: &mut Inbox| !inbox.idle || inbox.converge || !inbox.changes.is_empty();
        let (_inbox, timeout) = self
            .shared
            .settled
            .wait_timeout_while(self.shared.lock(), at_most, busy)
            .unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }

    /// Carries out what waits, or with `flush` takes all our entries out of the table, and ends the thread.
    ///
    /// Waits for that, but not much longer than two timeouts of a tool; the status says what could not be done.
    #[must_use]
    pub fn stop(self, flush: bool) -> Status {
        let mut inbox = self.shared.lock();
        inbox.stop = Some(flush);
        self.shared.work.notify_one();
        let waiting = self.shared.settled.wait_timeout_while(inbox, self.patience, |inbox| !inbox.ended);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
        self.status()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().stop.get_or_insert(false);
        self.shared.work.notify_one();
    }
}

/// What daemon and worker share. The lock is held for moments only, never while a tool runs.
#[derive(Debug, Default)]
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    /// Something arrived.
    pub(super) work: Condvar,
    /// Nothing is left to do, or the thread has ended.
    pub(super) settled: Condvar,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the daemon asked for and what the worker last said.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// The last change of each prefix.
    pub(super) changes: HashMap<Prefix, Change>,
    /// A comparison was asked for.
    pub(super) converge: bool,
    /// An end was asked for; true with an empty table.
    pub(super) stop: Option<bool>,
    pub(super) status: Status,
    /// When the table was last compared.
    pub(super) looked: Option<Instant>,
    /// Nothing waits and nothing is wrong.
    pub(super) idle: bool,
    pub(super) ended: bool,
}
