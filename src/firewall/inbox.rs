//! What the daemon's end and the firewall thread share: orders go in, the state of the table comes out.

use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Change, WorkerStatus};
use crate::address::Prefix;

/// The last thing that the thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The pending changes are carried out.
    Finish,
    /// Takes all our entries out of the table.
    Flush,
    /// Nothing: another worker is about to.
    Leave,
}

/// The state that the daemon and the worker share. The lock is held for moments only, never while a tool runs.
#[derive(Debug, Default)]
pub(super) struct WorkerShared {
    inbox: Mutex<Inbox>,
    /// Signalled when an order arrived.
    pub(super) work: Condvar,
    /// Signalled when nothing is left to do, or the thread has ended.
    pub(super) settled: Condvar,
}

impl WorkerShared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the thread has ended, at most this long; whether it has.
    pub(super) fn wait_for_end(&self, at_most: Duration) -> bool {
        let waiting = self.settled.wait_timeout_while(self.lock(), at_most, |inbox| !inbox.ended);
        waiting.unwrap_or_else(PoisonError::into_inner).0.ended
    }
}

/// The orders of the daemon and the last status of the worker.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// The last change of each prefix.
    pub(super) changes: HashMap<Prefix, Change>,
    /// A comparison was asked for.
    pub(super) converge: bool,
    /// A look whether the table can block was asked for.
    pub(super) prepare: bool,
    /// That look was taken in and is not done.
    pub(super) unprepared: bool,
    /// Changes that were taken in and are not done.
    pub(super) waiting: usize,
    /// Removals that were taken in and are not done.
    pub(super) owed: HashSet<Prefix>,
    /// An end was asked for.
    pub(super) stop: Option<Ending>,
    pub(super) status: WorkerStatus,
    /// Nothing waits and nothing is wrong.
    pub(super) idle: bool,
    pub(super) ended: bool,
}
