//! A bounded map in the order of the last change, which knows which of its entries a database has not stored yet.
//!
//! A change moves an entry to the back, so that the unstored entries are always a suffix: one flag per entry is the whole
//! journal, however many changes a flood makes. An entry that came and went between two writes leaves no trace.

use std::collections::HashSet;
use std::hash::Hash;

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;
use hashlink::linked_hash_map::Entry;

/// Which state of an entry the database has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Persisted {
    /// None: the entry is new.
    Nothing,
    /// An earlier one.
    Older,
    /// The present one.
    Current,
}

/// Holds at most `capacity` entries; the least recently changed is evicted first.
#[derive(Debug)]
pub(super) struct LruJournal<K, V> {
    entries: LinkedHashMap<K, (V, Persisted), RandomState>,
    capacity: usize,
    /// Keys of removed entries that the database still stores; never more than it has stored.
    removed: HashSet<K, RandomState>,
    /// Whether anybody asks for the changes.
    is_journaling: bool,
}

impl<K: Copy + Eq + Hash, V> LruJournal<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: LinkedHashMap::default(),
            capacity: capacity.max(1),
            removed: HashSet::default(),
            is_journaling: true,
        }
    }

    /// Stops recording changes.
    pub(super) fn keep_no_journal(&mut self) {
        self.is_journaling = false;
        self.removed = HashSet::default();
    }

    /// Changes the capacity, and evicts what is beyond it.
    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
        while self.entries.len() > self.capacity {
            self.drop_front();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(value, _)| value)
    }

    /// The least recently changed value.
    pub(super) fn front(&self) -> Option<&V> {
        self.entries.front().map(|(_, (value, _))| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, (value, _))| (key, value))
    }

    /// The value of a key, created with `new` if missing, to be changed. Also says whether another entry was evicted.
    pub(super) fn change(&mut self, key: K, new: impl FnOnce() -> V) -> (&mut V, bool) {
        let full = self.entries.len() >= self.capacity && !self.entries.contains_key(&key);
        if full {
            self.drop_front();
        }
        let (value, stored) = match self.entries.entry(key) {
            Entry::Occupied(mut known) => {
                known.to_back();
                known.into_mut()
            }
            Entry::Vacant(vacant) => {
                // The row that is stored under this key is updated rather than deleted.
                let stored = if self.removed.remove(&key) { Persisted::Older } else { Persisted::Nothing };
                vacant.insert((new(), stored))
            }
        };
        if *stored == Persisted::Current {
            *stored = Persisted::Older;
        }
        (value, full)
    }

    /// The most recently changed value.
    pub(super) fn last_changed(&mut self) -> Option<&mut V> {
        self.entries.iter_mut().next_back().map(|(_, (value, _))| value)
    }

    /// Marks all entries as changed.
    pub(super) fn mark_all_changed(&mut self) {
        self.change_all(|_| ());
    }

    /// Changes every value, in place.
    pub(super) fn change_all(&mut self, change: impl Fn(&mut V)) {
        for (value, stored) in self.entries.values_mut() {
            change(value);
            if *stored == Persisted::Current {
                *stored = Persisted::Older;
            }
        }
    }

    pub(super) fn drop_front(&mut self) {
        if let Some((key, (_, stored))) = self.entries.pop_front() {
            self.note_removal(key, stored);
        }
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some((_, stored)) = self.entries.remove(key) {
            self.note_removal(*key, stored);
        }
    }

    pub(super) fn remove_where(&mut self, is_over: impl Fn(&K, &V) -> bool) {
        let over: Vec<K> =
            self.iter().filter(|(key, value)| is_over(key, value)).map(|(key, _)| *key).collect();
        over.iter().for_each(|key| self.remove(key));
    }

    fn note_removal(&mut self, key: K, stored: Persisted) {
        if self.is_journaling && stored != Persisted::Nothing {
            self.removed.insert(key);
        }
    }

    /// Gives entries new keys; those without one are dropped, and stay in the database.
    pub(super) fn rename(&mut self, new: impl Fn(&K) -> Option<K>) {
        let renamed = |(key, entry)| Some((new(&key)?, entry));
        self.entries = std::mem::take(&mut self.entries).into_iter().filter_map(renamed).collect();
        self.removed = std::mem::take(&mut self.removed).iter().filter_map(new).collect();
    }

    /// Takes over a stored entry; the least recently changed comes first.
    pub(super) fn restore(&mut self, key: K, value: V) {
        // Behind entries that have changed meanwhile, it counts as changed too, so that these stay a suffix.
        let last = self.entries.back().map_or(Persisted::Current, |(_, (_, stored))| *stored);
        let stored = if last == Persisted::Current { Persisted::Current } else { Persisted::Older };
        self.entries.insert(key, (value, stored));
        if self.entries.len() > self.capacity {
            self.drop_front();
        }
    }

    /// The number of rows that [`Self::changes`] will report.
    pub(super) fn changed(&self) -> usize {
        let entries = self.entries.iter().rev().take_while(|(_, (_, stored))| *stored != Persisted::Current);
        self.removed.len() + entries.count()
    }

    /// Calls `row` once for each entry that changed since the last call; with `None` for a removed one.
    pub(super) fn changes(&mut self, mut row: impl FnMut(K, Option<&V>)) {
        std::mem::take(&mut self.removed).into_iter().for_each(|key| row(key, None));
        for (key, (value, stored)) in
            self.entries.iter_mut().rev().take_while(|(_, (_, stored))| *stored != Persisted::Current)
        {
            row(*key, Some(value));
            *stored = Persisted::Current;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Action {
        Change(u8),
        Remove(u8),
        DropFront,
        Tell,
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            4 => (0..12u8).prop_map(Action::Change),
            1 => (0..12u8).prop_map(Action::Remove),
            1 => Just(Action::DropFront),
            1 => Just(Action::Tell),
        ]
    }

    fn tell(recent: &mut LruJournal<u8, u32>, database: &mut BTreeMap<u8, u32>) {
        recent.changes(|key, value| match value {
            Some(value) => drop(database.insert(key, *value)),
            None => drop(database.remove(&key)),
        });
    }

    proptest! {
        #[test]
        fn a_database_that_is_told_of_changes_knows_what_is_there(actions in prop::collection::vec(action(), 0..200)) {
            let mut recent = LruJournal::new(5);
            let mut database = BTreeMap::new();
            for (nth, action) in (0..).zip(actions) {
                match action {
                    Action::Change(key) => *recent.change(key, || 0).0 = nth,
                    Action::Remove(key) => recent.remove(&key),
                    Action::DropFront => recent.drop_front(),
                    Action::Tell => tell(&mut recent, &mut database),
                }
                prop_assert!(recent.len() <= 5 && recent.removed.len() <= 5);
            }
            tell(&mut recent, &mut database);
            prop_assert_eq!(database, recent.iter().map(|(key, value)| (*key, *value)).collect());
        }
    }

    #[test]
    fn what_came_and_went_between_two_writes_leaves_no_trace() {
        let mut recent = LruJournal::new(2);
        (0..1000u32).for_each(|key| *recent.change(key, || 0).0 = key);
        assert!(recent.removed.is_empty());
        let mut told = Vec::new();
        recent.changes(|key, value| told.push((key, value.copied())));
        assert_eq!(told, [(999, Some(999)), (998, Some(998))]);
        recent.changes(|_, _| panic!("nothing changed since"));
    }

    #[test]
    fn what_is_restored_behind_a_change_hides_no_change() {
        let mut recent = LruJournal::new(9);
        recent.restore(1, 1);
        *recent.change(2, || 0).0 = 2;
        recent.restore(3, 3);
        let mut told = Vec::new();
        recent.changes(|key, _| told.push(key));
        assert_eq!(told, [3, 2], "what was restored before any change is known");
    }
}
