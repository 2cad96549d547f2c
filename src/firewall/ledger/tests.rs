//! The books alone, and against a model.

use proptest::prelude::*;

use super::*;
use crate::address::host;

const LIMITS: Limits = Limits { entries: 3, bytes: usize::MAX, replace: 2, lookup: 0, after_add: 0 };

fn p(n: u8) -> Prefix {
    host(std::net::IpAddr::from([192, 0, 2, n]))
}

/// What the worker takes next of what changed.
fn next(ledger: &mut Ledger) -> Vec<Change> {
    match ledger.next_removals(LIMITS) {
        none if none.is_empty() => ledger.next_additions(LIMITS),
        some => some,
    }
}

fn complete(entries: Vec<Prefix>) -> TableListing {
    TableListing::Complete { entries, strange: 0 }
}

#[test]
fn the_last_change_of_a_prefix_wins() {
    let mut ledger = Ledger::new(vec![p(1)], vec![]);
    for change in [Change::Remove(p(1)), Change::Add(p(1)), Change::Add(p(2)), Change::Remove(p(2))] {
        ledger.change(change);
    }
    assert_eq!(next(&mut ledger), [Change::Add(p(1))], "what was never tried needs no removal");
    assert_eq!((ledger.pending(), ledger.entries()), (0, 1));
}

#[test]
fn a_removal_during_a_failing_addition_is_not_lost() {
    let mut ledger = Ledger::default();
    ledger.change(Change::Add(p(1)));
    let batch = next(&mut ledger);
    ledger.change(Change::Remove(p(1)));
    ledger.give_back(&batch);
    assert_eq!(next(&mut ledger), [Change::Remove(p(1))]);
}

#[test]
fn an_address_that_is_already_blocked_is_added_again() {
    let mut ledger = Ledger::new(vec![p(1)], vec![]);
    ledger.change(Change::Add(p(1)));
    assert_eq!(next(&mut ledger), [Change::Add(p(1))]);
}

#[test]
fn what_ended_while_nobody_looked_is_removed_and_not_adopted() {
    let mut ledger = Ledger::new(vec![p(1)], vec![p(2)]);
    let findings = ledger.compare(complete(vec![p(1), p(2), p(3)]), Foreign::Adopt, LIMITS);
    assert_eq!((findings.missing, findings.foreign), (0, vec![p(3)]));
    assert_eq!(next(&mut ledger), [Change::Remove(p(2))]);
    assert_eq!(ledger.entries(), 2, "the foreign entry is ours now");
}

#[test]
fn what_waits_to_be_put_there_is_missing_once() {
    let mut ledger = Ledger::new(vec![p(1), p(2)], vec![]);
    let missing =
        |ledger: &mut Ledger, listed| ledger.compare(complete(listed), Foreign::Keep, LIMITS).missing;
    assert_eq!(missing(&mut ledger, vec![p(2)]), 1);
    assert_eq!(missing(&mut ledger, vec![]), 1, "only the other one is gone since");
    assert_eq!(ledger.next_repair(LIMITS).len(), 2);
    assert_eq!(missing(&mut ledger, vec![]), 2, "they had been put there");
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
    let unlistable = || TableListing::Unlistable { why: "too large".to_owned() };
    let mut ledger = Ledger::new(vec![p(1), p(2)], vec![p(3)]);
    let findings = ledger.compare(unlistable(), Foreign::Adopt, LIMITS);
    assert_eq!((findings.listed, findings.missing, findings.blind), (None, 0, Some(UnlistedRepair::AddAll)));
    assert_eq!(ledger.next_repair(LIMITS).len(), 2, "all is added again");
    assert_eq!(next(&mut ledger), [Change::Remove(p(3))], "what we know to be gone is deleted");
    let mut how = |foreign, limits| ledger.compare(unlistable(), foreign, limits).blind;
    assert_eq!(how(Foreign::Remove, LIMITS), Some(UnlistedRepair::Replace), "two fit into one replace");
    let lookup = Limits { lookup: 3, ..LIMITS };
    assert_eq!(how(Foreign::Adopt, lookup), Some(UnlistedRepair::Lookup));
    assert_eq!(ledger.repairs(), 0, "nothing is added before it is known to be missing");
    ledger.change(Change::Add(p(4)));
    let found = ledger.compare(unlistable(), Foreign::Remove, lookup);
    assert_eq!(found.blind, Some(UnlistedRepair::Lookup), "three do not fit into one replace");
}

#[test]
fn of_what_is_looked_up_only_what_is_still_wanted_and_not_about_to_come_is_repaired() {
    let mut ledger = Ledger::new(vec![p(1), p(2)], vec![]);
    ledger.change(Change::Add(p(3)));
    ledger.change(Change::Remove(p(2)));
    assert_eq!(ledger.repair_missing(vec![p(1), p(2), p(3)]), 1);
    assert_eq!(ledger.next_repair(LIMITS), [Change::Add(p(1))]);
}

#[test]
fn what_waits_is_not_sure_to_be_in_the_table() {
    let mut ledger = Ledger::new(vec![p(1)], vec![]);
    assert_eq!(ledger.sure(), Some(p(1)));
    ledger.change(Change::Add(p(1)));
    assert_eq!(ledger.sure(), None);
}

#[test]
fn what_was_set_aside_waits_for_its_next_try_or_the_next_change() {
    let mut ledger = Ledger::new(vec![p(1), p(2)], vec![]);
    ledger.reject(p(1));
    ledger.reject(p(2));
    ledger.change(Change::Remove(p(2)));
    assert_eq!((next(&mut ledger), ledger.rejected()), (vec![Change::Remove(p(2))], 1));
    assert_eq!(ledger.compare(complete(vec![]), Foreign::Keep, LIMITS).missing, 0, "it is known");
    assert_eq!((ledger.next_rejected(LIMITS), ledger.rejected()), (vec![Change::Add(p(1))], 0));
}

#[test]
fn removals_come_first_and_additions_that_were_never_tried_at_the_end_of_the_next_batch() {
    let mut ledger = Ledger::default();
    (1..=40).for_each(|n| ledger.change(Change::Add(p(n))));
    let mut tried = ledger.next_additions(Limits { entries: 100, ..LIMITS });
    ledger.give_back(&tried);
    (50..=51).for_each(|n| ledger.change(Change::Add(p(n))));
    ledger.change(Change::Remove(p(99)));
    assert_eq!(ledger.next_removals(LIMITS), [Change::Remove(p(99))]);
    let batch = ledger.next_additions(LIMITS);
    assert!(batch.len() == 3 && tried.contains(&batch[0]), "{batch:?}");
    assert!(batch[1..].iter().all(|change| [p(50), p(51)].contains(&change.prefix())), "{batch:?}");
    tried.retain(|change| *change != batch[0]);
    assert_eq!(ledger.pending(), tried.len());
}

#[test]
fn entries_that_no_command_can_name_are_left_alone_or_removed_but_never_adopted() {
    let listed = || complete(vec!["::ffff:192.0.2.9/128".parse().unwrap(), p(3)]);
    for policy in [Foreign::Adopt, Foreign::Keep] {
        let mut ledger = Ledger::default();
        let found = ledger.compare(listed(), policy, LIMITS);
        assert_eq!((found.foreign, found.strange, found.listed), (vec![p(3)], 1, Some(2)));
        assert_eq!(ledger.entries(), usize::from(policy == Foreign::Adopt));
    }
    let mut ledger = Ledger::default();
    assert_eq!(ledger.compare(listed(), Foreign::Remove, LIMITS).foreign.len(), 2);
    assert_eq!(ledger.repairs(), 2);
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
        let mut ledger = Ledger::default();
        let mut table = HashSet::new();
        let mut model = HashSet::new();
        for step in steps {
            match step {
                Step::Change(true, n) => { model.insert(p(n)); ledger.change(Change::Add(p(n))); }
                Step::Change(false, n) => { model.remove(&p(n)); ledger.change(Change::Remove(p(n))); }
                Step::Work { fails, half } => {
                    let batch = next(&mut ledger);
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
            carry_out(&mut table, &ledger.next_removals(LIMITS));
            carry_out(&mut table, &ledger.next_additions(LIMITS));
            carry_out(&mut table, &ledger.next_repair(LIMITS));
        }
        prop_assert_eq!(ledger.pending(), 0);
        prop_assert_eq!(table, model);
    }
}
