//! Things in the order in which they were last changed, bounded, with what of it a database was not told yet.
//!
//! A change moves a thing to the back, so all that changed since the rows were last taken is a stretch at the back: a
//! flag on each thing is the whole journal, whatever a flood does. What came and went between two writes leaves no
//! trace.

use std::collections::HashSet;
use std::hash::Hash;

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;
use hashlink::linked_hash_map::Entry;

/// What the database knows of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recorded {
    /// Nothing: it is new.
    Nothing,
    /// How it was before.
    Before,
    /// All.
    All,
}

/// At most so many things; the longest-unchanged leaves first.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    things: LinkedHashMap<K, (V, Recorded), RandomState>,
    most: usize,
    /// What is no longer here and the database still knows of; never more than it was told of.
    gone: HashSet<K, RandomState>,
    /// Whether anybody asks for what changed.
    is_asked: bool,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { things: LinkedHashMap::default(), most: most.max(1), gone: HashSet::default(), is_asked: true }
    }

    /// Remembers no changes from now on.
    pub(super) fn keep_no_journal(&mut self) {
        (self.is_asked, self.gone) = (false, HashSet::default());
    }

    /// Lets go what is beyond a new bound.
    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most.max(1);
        while self.things.len() > self.most {
            self.drop_front();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.things.len()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.things.get(key).map(|(value, _)| value)
    }

    /// The longest-unchanged.
    pub(super) fn front(&self) -> Option<&V> {
        self.things.front().map(|(_, (value, _))| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.things.iter().map(|(key, (value, _))| (key, value))
    }

    /// The thing, a new one if need be, to be changed. The second is true when another had to make room.
    pub(super) fn change(&mut self, key: K, new: impl FnOnce() -> V) -> (&mut V, bool) {
        let full = self.things.len() >= self.most && !self.things.contains_key(&key);
        if full {
            self.drop_front();
        }
        let (value, told) = match self.things.entry(key) {
            Entry::Occupied(mut known) => {
                known.to_back();
                known.into_mut()
            }
            Entry::Vacant(vacant) => {
                // So that no two rows are about one thing.
                let told = if self.gone.remove(&key) { Recorded::Before } else { Recorded::Nothing };
                vacant.insert((new(), told))
            }
        };
        if *told == Recorded::All {
            *told = Recorded::Before;
        }
        (value, full)
    }

    /// The thing that was changed last.
    pub(super) fn last_changed(&mut self) -> Option<&mut V> {
        self.things.iter_mut().next_back().map(|(_, (value, _))| value)
    }

    /// Has everything told anew.
    pub(super) fn touch_all(&mut self) {
        self.change_all(|_| ());
    }

    /// Changes all things.
    pub(super) fn change_all(&mut self, change: impl Fn(&mut V)) {
        for (value, told) in self.things.values_mut() {
            change(value);
            if *told == Recorded::All {
                *told = Recorded::Before;
            }
        }
    }

    pub(super) fn drop_front(&mut self) {
        if let Some((key, (_, told))) = self.things.pop_front() {
            self.went(key, told);
        }
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some((_, told)) = self.things.remove(key) {
            self.went(*key, told);
        }
    }

    pub(super) fn remove_where(&mut self, is_over: impl Fn(&K, &V) -> bool) {
        let over: Vec<K> =
            self.iter().filter(|(key, value)| is_over(key, value)).map(|(key, _)| *key).collect();
        over.iter().for_each(|key| self.remove(key));
    }

    fn went(&mut self, key: K, told: Recorded) {
        if self.is_asked && told != Recorded::Nothing {
            self.gone.insert(key);
        }
    }

    /// Gives things other keys, or lets them go without a word to the database.
    pub(super) fn rename(&mut self, new: impl Fn(&K) -> Option<K>) {
        let renamed = |(key, thing)| Some((new(&key)?, thing));
        self.things = std::mem::take(&mut self.things).into_iter().filter_map(renamed).collect();
        self.gone = std::mem::take(&mut self.gone).iter().filter_map(new).collect();
    }

    /// Takes over what is stored; the longest-unchanged comes first.
    pub(super) fn restore(&mut self, key: K, value: V) {
        // Behind what was changed since, it must be told again to be part of the stretch.
        let last = self.things.back().map_or(Recorded::All, |(_, (_, told))| *told);
        let told = if last == Recorded::All { Recorded::All } else { Recorded::Before };
        self.things.insert(key, (value, told));
        if self.things.len() > self.most {
            self.drop_front();
        }
    }

    /// How many rows [`Self::changes`] will tell.
    pub(super) fn changed(&self) -> usize {
        let things = self.things.iter().rev().take_while(|(_, (_, told))| *told != Recorded::All);
        self.gone.len() + things.count()
    }

    /// Calls `row` with all that changed since the last call, once for each thing.
    pub(super) fn changes(&mut self, mut row: impl FnMut(K, Option<&V>)) {
        std::mem::take(&mut self.gone).into_iter().for_each(|key| row(key, None));
        for (key, (value, told)) in
            self.things.iter_mut().rev().take_while(|(_, (_, told))| *told != Recorded::All)
        {
            row(*key, Some(value));
            *told = Recorded::All;
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

    fn tell(recent: &mut Recent<u8, u32>, database: &mut BTreeMap<u8, u32>) {
        recent.changes(|key, value| match value {
            Some(value) => drop(database.insert(key, *value)),
            None => drop(database.remove(&key)),
        });
    }

    proptest! {
        #[test]
        fn a_database_that_is_told_of_changes_knows_what_is_there(actions in prop::collection::vec(action(), 0..200)) {
            let (mut recent, mut database) = (Recent::new(5), BTreeMap::new());
            for (nth, action) in (0..).zip(actions) {
                match action {
                    Action::Change(key) => *recent.change(key, || 0).0 = nth,
                    Action::Remove(key) => recent.remove(&key),
                    Action::DropFront => recent.drop_front(),
                    Action::Tell => tell(&mut recent, &mut database),
                }
                prop_assert!(recent.len() <= 5 && recent.gone.len() <= 5);
            }
            tell(&mut recent, &mut database);
            prop_assert_eq!(database, recent.iter().map(|(key, value)| (*key, *value)).collect());
        }
    }

    #[test]
    fn what_came_and_went_between_two_writes_leaves_no_trace() {
        let mut recent = Recent::new(2);
        (0..1000u32).for_each(|key| *recent.change(key, || 0).0 = key);
        assert!(recent.gone.is_empty());
        let mut told = Vec::new();
        recent.changes(|key, value| told.push((key, value.copied())));
        assert_eq!(told, [(999, Some(999)), (998, Some(998))]);
        recent.changes(|_, _| panic!("nothing changed since"));
    }

    #[test]
    fn what_is_restored_behind_a_change_hides_no_change() {
        let mut recent = Recent::new(9);
        recent.restore(1, 1);
        *recent.change(2, || 0).0 = 2;
        recent.restore(3, 3);
        let mut told = Vec::new();
        recent.changes(|key, _| told.push(key));
        assert_eq!(told, [3, 2], "what was restored before any change is known");
    }
}
