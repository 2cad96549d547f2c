//! Entries of both kinds of evidence under one bound, where forgeable ones are evicted first: a flood of forged packets,
//! which only bandwidth limits, displaces no real offender.

use std::hash::Hash;

use super::by_evidence::ByEvidence;
use super::lru_journal::LruJournal;
use crate::rules::Evidence;

/// Holds at most `capacity` entries in both tiers together, and one more on forgeable evidence.
#[derive(Debug)]
pub(super) struct Tiers<K, V> {
    tiers: ByEvidence<LruJournal<K, V>>,
    capacity: usize,
}

impl<K: Copy + Eq + Hash, V> Tiers<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        let tiers = ByEvidence { handshake: LruJournal::new(capacity), spoofable: LruJournal::new(capacity) };
        Self { tiers, capacity: capacity.max(1) }
    }

    pub(super) fn keep_no_journal(&mut self) {
        self.tiers.each(LruJournal::keep_no_journal);
    }

    /// Changes the capacity, and evicts what is beyond it.
    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
        self.tiers.each(|tier| tier.set_capacity(capacity));
        while self.len() > self.capacity && self.tiers.spoofable.len() > 0 {
            self.tiers.spoofable.drop_front();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tiers.handshake.len() + self.tiers.spoofable.len()
    }

    pub(super) fn get(&self, evidence: Evidence, key: &K) -> Option<&V> {
        self.tiers.get(evidence).get(key)
    }

    /// The value of a key, created with `new` if missing, to be changed. Also says whether another entry was evicted.
    pub(super) fn change(&mut self, evidence: Evidence, key: K, new: impl FnOnce() -> V) -> (&mut V, bool) {
        let is_full = self.len() >= self.capacity && self.tiers.get(evidence).get(&key).is_none();
        let makes_room = is_full && self.tiers.spoofable.len() > 0;
        if makes_room {
            self.tiers.spoofable.drop_front();
        }
        let (value, made_room) = self.tiers.of(evidence).change(key, new);
        (value, made_room || makes_room)
    }

    /// The most recently changed value of a tier.
    pub(super) fn last_changed(&mut self, evidence: Evidence) -> Option<&mut V> {
        self.tiers.of(evidence).last_changed()
    }

    pub(super) fn remove(&mut self, evidence: Evidence, key: &K) {
        self.tiers.of(evidence).remove(key);
    }

    pub(super) fn remove_where(&mut self, is_over: impl Fn(&K, &V) -> bool) {
        self.tiers.each(|tier| tier.remove_where(&is_over));
    }

    /// Drops the least recently changed entries of each tier while `is_over` holds for them.
    pub(super) fn drop_fronts(&mut self, is_over: impl Fn(&V) -> bool) {
        self.tiers.each(|tier| {
            while tier.front().is_some_and(&is_over) {
                tier.drop_front();
            }
        });
    }

    /// The entries of a tier, the least recently changed first.
    pub(super) fn iter(&self, evidence: Evidence) -> impl Iterator<Item = (&K, &V)> {
        self.tiers.get(evidence).iter()
    }

    /// The least recently changed entry of a tier.
    pub(super) fn front(&self, evidence: Evidence) -> Option<(K, &V)> {
        self.tiers.get(evidence).iter().next().map(|(key, value)| (*key, value))
    }

    pub(super) fn drop_front(&mut self, evidence: Evidence) {
        self.tiers.of(evidence).drop_front();
    }

    /// Changes every value of both tiers, in place.
    pub(super) fn change_all(&mut self, change: impl Fn(&mut V)) {
        self.tiers.each(|tier| tier.change_all(&change));
    }

    /// Gives entries new keys; those without one are dropped, and stay in the database.
    pub(super) fn rename(&mut self, new: impl Fn(&K) -> Option<K>) {
        self.tiers.each(|tier| tier.rename(&new));
    }

    /// Takes over a stored entry; the least recently changed comes first.
    pub(super) fn restore(&mut self, evidence: Evidence, key: K, value: V) {
        self.tiers.of(evidence).restore(key, value);
        if self.len() > self.capacity && self.tiers.spoofable.len() > 0 {
            self.tiers.spoofable.drop_front();
        }
    }

    /// The number of rows that [`Self::changes`] will report.
    pub(super) fn changed(&self) -> usize {
        self.tiers.handshake.changed() + self.tiers.spoofable.changed()
    }

    /// Calls `row` once for each entry that changed since the last call; with `None` for a removed one.
    pub(super) fn changes(&mut self, mut row: impl FnMut(Evidence, K, Option<&V>)) {
        for evidence in [Evidence::Spoofable, Evidence::Handshake] {
            self.tiers.of(evidence).changes(|key, value| row(evidence, key, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPACITY: usize = 6;

    fn evidence() -> impl Strategy<Value = Evidence> {
        prop_oneof![Just(Evidence::Handshake), Just(Evidence::Spoofable)]
    }

    /// What is remembered by a model that looks at everything each time; the longest-unchanged first.
    #[derive(Default)]
    struct Model(Vec<(Evidence, u8)>);

    impl Model {
        fn change(&mut self, evidence: Evidence, key: u8) {
            let thing = (evidence, key);
            if self.0.contains(&thing) {
                self.0.retain(|known| *known != thing);
                self.0.push(thing);
                return;
            }
            while self.0.len() >= CAPACITY {
                let Some(first) = self.first_to_go(evidence) else { break };
                self.0.remove(first);
            }
            self.0.push(thing);
        }

        /// Nothing makes room for the one that is beyond the bound.
        fn first_to_go(&self, new: Evidence) -> Option<usize> {
            let cheap = self.0.iter().position(|(evidence, _)| *evidence == Evidence::Spoofable);
            cheap.or_else(|| (new == Evidence::Handshake).then_some(0))
        }
    }

    proptest! {
        #[test]
        fn remembers_what_the_model_remembers(steps in prop::collection::vec((evidence(), 0u8..12), 0..200)) {
            let mut tiers = Tiers::new(CAPACITY);
            let mut model = Model::default();
            for (evidence, key) in steps {
                let dear_before: Vec<u8> = (0..12).filter(|key| tiers.get(Evidence::Handshake, key).is_some()).collect();
                tiers.change(evidence, key, || ());
                model.change(evidence, key);
                prop_assert!(tiers.len() <= CAPACITY + 1);
                for key in 0..12 {
                    for evidence in [Evidence::Handshake, Evidence::Spoofable] {
                        prop_assert_eq!(tiers.get(evidence, &key).is_some(), model.0.contains(&(evidence, key)));
                    }
                }
                if evidence == Evidence::Spoofable {
                    prop_assert!(dear_before.iter().all(|key| tiers.get(Evidence::Handshake, key).is_some()));
                }
            }
        }
    }

    #[test]
    fn a_new_bound_and_what_is_restored_let_the_cheap_go_first() {
        let mut tiers = Tiers::new(4);
        for key in 0..2 {
            tiers.restore(Evidence::Handshake, key, ());
            tiers.restore(Evidence::Spoofable, key, ());
        }
        tiers.restore(Evidence::Handshake, 2, ());
        assert_eq!((tiers.len(), tiers.get(Evidence::Spoofable, &0)), (4, None));
        tiers.set_capacity(3);
        assert_eq!((tiers.len(), tiers.tiers.handshake.len()), (3, 3));
        tiers.set_capacity(2);
        assert_eq!((tiers.len(), tiers.get(Evidence::Handshake, &0)), (2, None), "the longest-unchanged");
    }
}
