//! A firewall in memory, for what the reconciler does when one fails.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use crate::address::Prefix;
use crate::firewall::reconciler::*;
use crate::firewall::{Change, Limits, TableListing};

/// A firewall in memory that does what the test says; shared with it.
#[derive(Default)]
pub(super) struct World {
    pub(super) table: BTreeSet<Prefix>,
    pub(super) batches: Vec<usize>,
    pub(super) cut: Vec<Prefix>,
    /// Answered by the next calls, one each.
    pub(super) failures: VecDeque<BackendError>,
    /// Refused for ever.
    pub(super) bad: BTreeSet<Prefix>,
    /// How many entries fit in, if there is a limit.
    pub(super) limit: Option<usize>,
    /// Answers to the next cuts, one each.
    pub(super) uncut: VecDeque<BackendError>,
    pub(super) prepared: usize,
    pub(super) compared: usize,
    pub(super) mute: bool,
    pub(super) replace: usize,
    pub(super) unlistable: bool,
    /// Entries in one look-up, and those that were looked up so far.
    pub(super) lookup: usize,
    pub(super) asked: usize,
}

#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<World>>);

impl Fake {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl Backend for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn prepare(&mut self) -> Result<Vec<String>, BackendError> {
        self.world().prepared += 1;
        Ok(vec!["no rule uses it".to_owned()])
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        let mut world = self.world();
        world.batches.push(changes.len());
        if let Some(failure) = world.failures.pop_front() {
            return Err(failure);
        }
        if changes.iter().any(|change| world.bad.contains(&change.prefix())) {
            return Err(BackendError::Refused("bad entry".to_owned()));
        }
        let mut table = world.table.clone();
        for change in changes {
            match change {
                Change::Add(prefix) => table.insert(*prefix),
                Change::Remove(prefix) => table.remove(prefix),
            };
        }
        if world.limit.is_some_and(|limit| table.len() > limit.max(world.table.len())) {
            return Err(BackendError::Refused("no room".to_owned()));
        }
        world.table = table;
        Ok(())
    }

    fn list(&mut self, _wanted: usize) -> Result<TableListing, BackendError> {
        let mut world = self.world();
        world.compared += 1;
        if world.mute {
            return Err(BackendError::Broken("no answer".to_owned()));
        }
        if world.unlistable {
            return Ok(TableListing::Unlistable { why: "too large".to_owned() });
        }
        Ok(TableListing::Complete { entries: world.table.iter().copied().collect(), strange: 0 })
    }

    fn missing(&mut self, wanted: &[Prefix]) -> Result<Vec<Prefix>, BackendError> {
        let mut world = self.world();
        if world.mute {
            return Err(BackendError::Broken("no answer".to_owned()));
        }
        world.asked += wanted.len();
        Ok(wanted.iter().filter(|prefix| !world.table.contains(prefix)).copied().collect())
    }

    fn glance(&mut self, sure: &Prefix) -> Result<bool, BackendError> {
        if self.world().lookup == 0 {
            return Ok(true);
        }
        self.missing(&[*sure]).map(|missing| missing.is_empty())
    }

    fn replace(&mut self, all: &[Prefix]) -> Result<(), BackendError> {
        self.world().table = all.iter().copied().collect();
        Ok(())
    }

    fn after_add(&mut self, prefix: &Prefix) -> Result<(), BackendError> {
        let mut world = self.world();
        world.cut.push(*prefix);
        world.uncut.pop_front().map_or(Ok(()), Err)
    }

    fn limits(&self) -> Limits {
        let world = self.world();
        Limits { entries: 100, bytes: usize::MAX, replace: world.replace, lookup: world.lookup, after_add: 4 }
    }
}
