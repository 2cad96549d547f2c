//! What the table should hold, and where it may differ from that. Pure: the worker carries out what is taken from here.
//!
//! Only membership in `desired` decides what is done to a prefix, at the moment when it is taken: so the last change of
//! a prefix wins, whatever waited in between, and an old removal can never undo a newer ban.

use std::collections::{HashMap, HashSet};

use super::plan::{difference, fitting};
use super::{Change, Foreign, Limits, Listing};
use crate::address::Prefix;

/// Below this, a drained map keeps its memory.
const SMALL: usize = 1024;

/// The worker's books; some 20 bytes for each prefix that is banned and as much for each that waits.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    desired: HashSet<Prefix>,
    /// Changed and not yet done; true when the table may have the prefix, as after a failed attempt.
    fresh: HashMap<Prefix, bool>,
    /// Found different by a comparison; done after what is fresh.
    repair: Vec<Prefix>,
    /// Refused by the firewall on their own; left until the next comparison.
    aside: HashSet<Prefix>,
}

/// What a comparison found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Entries that should have been there and were not.
    pub(super) missing: usize,
    /// Entries that somebody else had added, sorted.
    pub(super) foreign: Vec<Prefix>,
    /// Entries that are no prefixes.
    pub(super) strange: usize,
    /// How many entries the table holds, where that is known.
    pub(super) listed: Option<usize>,
    /// Why the content is unknown, if it is.
    pub(super) unlistable: Option<String>,
    /// Whether the whole table is to be replaced instead of repaired.
    pub(super) replace: bool,
}

impl Ledger {
    /// `desired` shall be in the table; `released` may still be there and shall not.
    pub(super) fn new(desired: Vec<Prefix>, released: Vec<Prefix>) -> Self {
        let desired = desired.into_iter().map(|prefix| prefix.trunc()).collect();
        let mut ledger = Self { desired, ..Self::default() };
        for prefix in released.into_iter().map(|prefix| prefix.trunc()) {
            if !ledger.desired.contains(&prefix) {
                ledger.fresh.insert(prefix, true);
            }
        }
        ledger
    }

    /// Notes a change.
    pub(super) fn change(&mut self, change: Change) {
        let prefix = change.prefix();
        self.aside.remove(&prefix);
        match change {
            Change::Add(_) => {
                let known = !self.desired.insert(prefix);
                self.fresh.entry(prefix).or_insert(known);
            }
            Change::Remove(_) => {
                self.desired.remove(&prefix);
                // An addition that was never tried needs no removal: so a hanging tool cannot make this grow.
                if self.fresh.get(&prefix) == Some(&false) {
                    self.fresh.remove(&prefix);
                } else {
                    self.fresh.insert(prefix, true);
                }
            }
        }
    }

    /// Wants nothing in the table any more.
    pub(super) fn clear(&mut self) {
        self.repair = Vec::new();
        let all: Vec<Prefix> = self.desired.iter().copied().collect();
        all.into_iter().for_each(|prefix| self.change(Change::Remove(prefix)));
    }

    /// The next batch of what changed; empty when there is none.
    pub(super) fn next_fresh(&mut self, limits: Limits) -> Vec<Change> {
        if self.fresh.is_empty() {
            return Vec::new();
        }
        let count = fitting(self.fresh.keys().copied(), limits);
        let batch: Vec<Prefix> = self.fresh.keys().copied().take(count).collect();
        for prefix in &batch {
            self.fresh.remove(prefix);
        }
        if self.fresh.is_empty() {
            self.fresh.shrink_to(SMALL);
        }
        batch.into_iter().map(|prefix| self.wanted(prefix)).collect()
    }

    /// The next batch of what a comparison found; empty when there is none.
    pub(super) fn next_repair(&mut self, limits: Limits) -> Vec<Change> {
        if self.repair.is_empty() {
            return Vec::new();
        }
        let count = fitting(self.repair.iter().rev().copied(), limits);
        let batch = self.repair.split_off(self.repair.len() - count);
        if self.repair.is_empty() {
            self.repair = Vec::new();
        }
        batch.into_iter().map(|prefix| self.wanted(prefix)).collect()
    }

    fn wanted(&self, prefix: Prefix) -> Change {
        if self.desired.contains(&prefix) { Change::Add(prefix) } else { Change::Remove(prefix) }
    }

    /// Takes changes back that were tried and may or may not have been done.
    pub(super) fn give_back(&mut self, batch: &[Change]) {
        for change in batch {
            self.fresh.insert(change.prefix(), true);
        }
    }

    /// Leaves a prefix alone until the next comparison, unless it was changed again meanwhile.
    pub(super) fn set_aside(&mut self, prefix: Prefix) {
        if !self.fresh.contains_key(&prefix) {
            self.aside.insert(prefix);
        }
    }

    /// Compares with the table; what differs is noted for repair, what was set aside gets another try.
    pub(super) fn compare(&mut self, listing: Listing, foreign: Foreign, limits: Limits) -> Findings {
        for prefix in std::mem::take(&mut self.aside) {
            self.fresh.insert(prefix, true);
        }
        match listing {
            Listing::Complete { entries, strange } => {
                let findings = self.compare_with(&entries, foreign);
                Findings { strange, listed: Some(entries.len() + strange), ..findings }
            }
            Listing::Unlistable { entries, why } => {
                // Replacing takes out what others added: only where that is wanted.
                let replace = foreign == Foreign::Remove && self.desired.len() <= limits.replace;
                self.repair = Vec::new();
                if !replace {
                    self.repair_all();
                }
                Findings { listed: entries, unlistable: Some(why), replace, ..Findings::default() }
            }
        }
    }

    fn compare_with(&mut self, listed: &[Prefix], policy: Foreign) -> Findings {
        let mut found = difference(&self.desired, listed);
        found.missing.retain(|prefix| !self.fresh.contains_key(prefix));
        found.foreign.retain(|prefix| !self.fresh.contains_key(prefix));
        let missing = found.missing.len();
        self.repair = found.missing;
        match policy {
            Foreign::Adopt => self.desired.extend(found.foreign.iter().copied()),
            Foreign::Remove => self.repair.extend(found.foreign.iter().copied()),
            Foreign::Keep => {}
        }
        Findings { missing, foreign: found.foreign, ..Findings::default() }
    }

    /// Has everything added again that is not about to be added anyway.
    pub(super) fn repair_all(&mut self) {
        self.repair =
            self.desired.iter().filter(|prefix| !self.fresh.contains_key(prefix)).copied().collect();
    }

    /// All that should be in the table.
    pub(super) fn desired(&self) -> Vec<Prefix> {
        self.desired.iter().copied().collect()
    }

    /// How many prefixes should be in the table.
    pub(super) fn entries(&self) -> usize {
        self.desired.len()
    }

    /// How many prefixes wait to be done.
    pub(super) fn pending(&self) -> usize {
        self.fresh.len() + self.repair.len()
    }

    /// How many prefixes were set aside.
    pub(super) fn aside(&self) -> usize {
        self.aside.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::host;

    const LIMITS: Limits = Limits { entries: 3, bytes: usize::MAX, replace: 2, after_add: 0 };

    fn p(n: u8) -> Prefix {
        host(std::net::IpAddr::from([192, 0, 2, n]))
    }

    fn complete(entries: Vec<Prefix>) -> Listing {
        Listing::Complete { entries, strange: 0 }
    }

    #[test]
    fn the_last_change_of_a_prefix_wins() {
        let mut ledger = Ledger::new(vec![p(1)], vec![]);
        for change in [Change::Remove(p(1)), Change::Add(p(1)), Change::Add(p(2)), Change::Remove(p(2))] {
            ledger.change(change);
        }
        assert_eq!(ledger.next_fresh(LIMITS), [Change::Add(p(1))], "what was never tried needs no removal");
        assert_eq!((ledger.pending(), ledger.entries()), (0, 1));
    }

    #[test]
    fn a_removal_during_a_failing_addition_is_not_lost() {
        let mut ledger = Ledger::default();
        ledger.change(Change::Add(p(1)));
        let batch = ledger.next_fresh(LIMITS);
        ledger.change(Change::Remove(p(1)));
        ledger.give_back(&batch);
        assert_eq!(ledger.next_fresh(LIMITS), [Change::Remove(p(1))]);
    }

    #[test]
    fn an_address_that_is_already_blocked_is_added_again() {
        let mut ledger = Ledger::new(vec![p(1)], vec![]);
        ledger.change(Change::Add(p(1)));
        assert_eq!(ledger.next_fresh(LIMITS), [Change::Add(p(1))]);
    }

    #[test]
    fn what_ended_while_nobody_looked_is_removed_and_not_adopted() {
        let mut ledger = Ledger::new(vec![p(1)], vec![p(2)]);
        let findings = ledger.compare(complete(vec![p(1), p(2), p(3)]), Foreign::Adopt, LIMITS);
        assert_eq!((findings.missing, findings.foreign), (0, vec![p(3)]));
        assert_eq!(ledger.next_fresh(LIMITS), [Change::Remove(p(2))]);
        assert_eq!(ledger.entries(), 2, "the foreign entry is ours now");
    }

    #[test]
    fn foreign_entries_are_kept_or_removed_as_told() {
        for (policy, repair) in [(Foreign::Keep, vec![]), (Foreign::Remove, vec![Change::Remove(p(3))])] {
            let mut ledger = Ledger::default();
            assert_eq!(ledger.compare(complete(vec![p(3)]), policy, LIMITS).foreign, [p(3)]);
            assert_eq!((ledger.next_repair(LIMITS), ledger.entries()), (repair, 0));
        }
    }

    #[test]
    fn an_unlistable_table_is_never_taken_for_empty_or_for_full() {
        let unlistable = || Listing::Unlistable { entries: Some(70_000), why: "too large".to_owned() };
        let mut ledger = Ledger::new(vec![p(1), p(2)], vec![p(3)]);
        let findings = ledger.compare(unlistable(), Foreign::Adopt, LIMITS);
        assert_eq!((findings.listed, findings.missing, findings.replace), (Some(70_000), 0, false));
        assert_eq!(ledger.next_repair(LIMITS).len(), 2, "all is added again");
        assert_eq!(ledger.next_fresh(LIMITS), [Change::Remove(p(3))], "what we know to be gone is deleted");
        assert!(ledger.compare(unlistable(), Foreign::Remove, LIMITS).replace, "two fit into one replace");
        ledger.change(Change::Add(p(4)));
        assert!(!ledger.compare(unlistable(), Foreign::Remove, LIMITS).replace, "three do not");
    }

    #[test]
    fn what_was_set_aside_waits_for_the_next_comparison_or_the_next_change() {
        let mut ledger = Ledger::new(vec![p(1), p(2)], vec![]);
        ledger.set_aside(p(1));
        ledger.set_aside(p(2));
        ledger.change(Change::Remove(p(2)));
        assert_eq!((ledger.next_fresh(LIMITS), ledger.aside()), (vec![Change::Remove(p(2))], 1));
        ledger.compare(complete(vec![]), Foreign::Keep, LIMITS);
        assert_eq!((ledger.next_fresh(LIMITS), ledger.aside()), (vec![Change::Add(p(1))], 0));
    }

    #[test]
    fn a_hanging_tool_does_not_make_the_books_grow() {
        let mut ledger = Ledger::default();
        for round in 0..100_000u32 {
            let prefix = host(std::net::IpAddr::V4(round.into()));
            ledger.change(Change::Add(prefix));
            ledger.change(Change::Remove(prefix));
        }
        assert_eq!((ledger.pending(), ledger.entries()), (0, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Change(bool, u8),
        Work { fails: bool, half: bool },
        Flushed,
        Compare,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (any::<bool>(), 0u8..6).prop_map(|(add, n)| Step::Change(add, n)),
            3 => (any::<bool>(), any::<bool>()).prop_map(|(fails, half)| Step::Work { fails, half }),
            1 => Just(Step::Flushed),
            1 => Just(Step::Compare),
        ];
        prop::collection::vec(step, 0..60)
    }

    fn carry_out(table: &mut HashSet<Prefix>, batch: &[Change]) {
        for change in batch {
            match change {
                Change::Add(prefix) => table.insert(*prefix),
                Change::Remove(prefix) => table.remove(prefix),
            };
        }
    }

    proptest! {
        #[test]
        fn whatever_fails_the_table_ends_as_desired(steps in steps()) {
            let (mut ledger, mut table, mut model) = (Ledger::default(), HashSet::new(), HashSet::new());
            for step in steps {
                match step {
                    Step::Change(true, n) => { model.insert(p(n)); ledger.change(Change::Add(p(n))); }
                    Step::Change(false, n) => { model.remove(&p(n)); ledger.change(Change::Remove(p(n))); }
                    Step::Work { fails, half } => {
                        let batch = ledger.next_fresh(LIMITS);
                        let done = if !fails { batch.len() } else if half { batch.len() / 2 } else { 0 };
                        carry_out(&mut table, &batch[..done]);
                        if fails { ledger.give_back(&batch) }
                    }
                    Step::Flushed => table.clear(),
                    Step::Compare => {
                        ledger.compare(complete(table.iter().copied().collect()), Foreign::Keep, LIMITS);
                        while let batch @ [_, ..] = ledger.next_repair(LIMITS).as_slice() { carry_out(&mut table, batch) }
                    }
                }
            }
            ledger.compare(complete(table.iter().copied().collect()), Foreign::Keep, LIMITS);
            for _ in 0..10 {
                carry_out(&mut table, &ledger.next_fresh(LIMITS));
                carry_out(&mut table, &ledger.next_repair(LIMITS));
            }
            prop_assert_eq!(ledger.pending(), 0);
            prop_assert_eq!(table, model);
        }
    }
}
