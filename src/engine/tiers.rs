//! Things remembered under one bound, where what rests on evidence that may be forged gives way first: a flood of
//! forged packets, at which nothing but the bandwidth limits an attacker, makes nobody forget a real one.

use std::hash::Hash;

use super::by_evidence::ByEvidence;
use super::recent::Recent;
use crate::rules::Evidence;

/// At most so many things in both tiers together, and one more that may be forged.
#[derive(Debug)]
pub(super) struct Tiers<K, V> {
    tiers: ByEvidence<Recent<K, V>>,
    most: usize,
}

impl<K: Copy + Eq + Hash, V> Tiers<K, V> {
    pub(super) fn new(most: usize) -> Self {
        let tiers = ByEvidence { handshake: Recent::new(most), spoofable: Recent::new(most) };
        Self { tiers, most: most.max(1) }
    }

    pub(super) fn keep_no_journal(&mut self) {
        self.tiers.each(Recent::keep_no_journal);
    }

    /// Lets go what is beyond a new bound.
    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most.max(1);
        self.tiers.each(|tier| tier.set_most(most));
        while self.len() > self.most && self.tiers.spoofable.len() > 0 {
            self.tiers.spoofable.drop_front();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tiers.handshake.len() + self.tiers.spoofable.len()
    }

    pub(super) fn get(&self, evidence: Evidence, key: &K) -> Option<&V> {
        self.tiers.get(evidence).get(key)
    }

    /// The thing, a new one if need be, to be changed. The second is true when another had to make room.
    pub(super) fn change(&mut self, evidence: Evidence, key: K, new: impl FnOnce() -> V) -> (&mut V, bool) {
        let is_full = self.len() >= self.most && self.tiers.get(evidence).get(&key).is_none();
        let makes_room = is_full && self.tiers.spoofable.len() > 0;
        if makes_room {
            self.tiers.spoofable.drop_front();
        }
        let (value, made_room) = self.tiers.of(evidence).change(key, new);
        (value, made_room || makes_room)
    }

    /// The thing of a tier that was changed last.
    pub(super) fn last_changed(&mut self, evidence: Evidence) -> Option<&mut V> {
        self.tiers.of(evidence).last_changed()
    }

    pub(super) fn remove(&mut self, evidence: Evidence, key: &K) {
        self.tiers.of(evidence).remove(key);
    }

    pub(super) fn remove_where(&mut self, is_over: impl Fn(&K, &V) -> bool) {
        self.tiers.each(|tier| tier.remove_where(&is_over));
    }

    /// Drops the longest-unchanged things of each tier as long as they are over.
    pub(super) fn drop_fronts(&mut self, is_over: impl Fn(&V) -> bool) {
        self.tiers.each(|tier| {
            while tier.front().is_some_and(&is_over) {
                tier.drop_front();
            }
        });
    }

    /// The things of a tier, the longest-unchanged first.
    pub(super) fn iter(&self, evidence: Evidence) -> impl Iterator<Item = (&K, &V)> {
        self.tiers.get(evidence).iter()
    }

    /// The longest-unchanged thing of a tier.
    pub(super) fn front(&self, evidence: Evidence) -> Option<(K, &V)> {
        self.tiers.get(evidence).iter().next().map(|(key, value)| (*key, value))
    }

    pub(super) fn drop_front(&mut self, evidence: Evidence) {
        self.tiers.of(evidence).drop_front();
    }

    /// Changes all things.
    pub(super) fn change_all(&mut self, change: impl Fn(&mut V)) {
        self.tiers.each(|tier| tier.change_all(&change));
    }

    /// Gives things other keys, or lets them go without a word to the database.
    pub(super) fn rename(&mut self, new: impl Fn(&K) -> Option<K>) {
        self.tiers.each(|tier| tier.rename(&new));
    }

    /// Takes over what is stored; the longest-unchanged comes first.
    pub(super) fn restore(&mut self, evidence: Evidence, key: K, value: V) {
        self.tiers.of(evidence).restore(key, value);
        if self.len() > self.most && self.tiers.spoofable.len() > 0 {
            self.tiers.spoofable.drop_front();
        }
    }

    /// How many rows [`Self::changes`] will tell.
    pub(super) fn changed(&self) -> usize {
        self.tiers.handshake.changed() + self.tiers.spoofable.changed()
    }

    /// Calls `row` with all that changed since the last call, once for each thing.
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
            let (mut tiers, mut model) = (Tiers::new(CAPACITY), Model::default());
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
        tiers.set_most(3);
        assert_eq!((tiers.len(), tiers.tiers.handshake.len()), (3, 3));
        tiers.set_most(2);
        assert_eq!((tiers.len(), tiers.get(Evidence::Handshake, &0)), (2, None), "the longest-unchanged");
    }
}
