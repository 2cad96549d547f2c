//! The keys of what changed, for a database that takes the changes from time to time.

use std::collections::HashSet;
use std::hash::Hash;

use foldhash::fast::RandomState;

/// Keys that changed since the rows were last taken; always empty where nobody takes them.
#[derive(Debug)]
pub(super) struct Changed<K> {
    keys: HashSet<K, RandomState>,
    is_kept: bool,
}

impl<K: Eq + Hash> Changed<K> {
    pub(super) fn insert(&mut self, key: K) {
        if self.is_kept {
            self.keys.insert(key);
        }
    }

    /// Forgets a change, and says whether there was one.
    pub(super) fn remove(&mut self, key: &K) -> bool {
        self.keys.remove(key)
    }

    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = K> + use<K> {
        // Taken, not drained: a drained set would keep the memory that it grew to in a flood.
        std::mem::take(&mut self.keys).into_iter()
    }

    pub(super) fn keep_none(&mut self) {
        *self = Self { keys: HashSet::default(), is_kept: false };
    }
}

impl<K> Default for Changed<K> {
    fn default() -> Self {
        Self { keys: HashSet::default(), is_kept: true }
    }
}
