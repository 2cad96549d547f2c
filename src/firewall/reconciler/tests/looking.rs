//! Entries that are looked up one by one: of tables that cannot be listed, and to notice a flush.

use super::*;

/// Without looks at single entries.
const SLEEPY: Pace = Pace { glance: LONG, ..QUICK };

#[test]
fn a_table_that_cannot_be_listed_costs_the_same_however_large_it_is_and_nothing_is_added_twice() {
    let fake = Fake::default();
    // One portion is ten, so a comparison looks up a hundred.
    *fake.world() =
        World { unlistable: true, lookup: 10, table: (0..2000).map(p).collect(), ..World::default() };
    let start = |converge| {
        let settings = FirewallSettings { converge, ..FirewallSettings::default() };
        let desired = Ledger::new((0..2000).map(p).collect(), vec![]);
        let (sender, events) = channel();
        (spawn_paced(Box::new(fake.clone()), desired, &settings, sender, SLEEPY, None).unwrap(), events)
    };
    let (handle, _events) = start(LONG);
    assert!(handle.settle(LONG) && handle.stop(false).in_step);
    assert_eq!(std::mem::take(&mut fake.world().asked), 2000, "all of it, at the start");

    let (handle, _events) = start(QUICK.most);
    until("it has been compared often", || fake.world().compared > 25);
    assert!(handle.status().in_step);
    handle.stop(false);
    let world = fake.world();
    assert!(world.asked <= 2000 + 100 * world.compared, "{} of {}", world.asked, world.compared);
    assert_eq!(world.batches.len(), 0, "nothing is added that is there");
}

#[test]
fn what_a_comparison_found_is_put_right_before_the_next_one() {
    let fake = Fake::default();
    let (sender, _events) = channel();
    let settings = FirewallSettings { converge: Duration::from_nanos(1), ..FirewallSettings::default() };
    let desired = Ledger::new((0..2000).map(p).collect(), vec![]);
    let handle = spawn_paced(Box::new(fake.clone()), desired, &settings, sender, SLEEPY, None).unwrap();
    until("it is full, though a comparison is always due", || fake.world().table.len() == 2000);
    until("it is compared again", || fake.world().compared > 1);
    assert!(handle.stop(false).in_step);
}

#[test]
fn what_is_missing_in_a_table_that_cannot_be_listed_is_put_back_and_told_once() {
    let fake = Fake::default();
    *fake.world() =
        World { unlistable: true, lookup: 10, table: (0..950).map(p).collect(), ..World::default() };
    let (handle, events) = run(&fake, (0..1000).map(p).collect(), Foreign::Adopt);
    assert!(handle.settle(LONG) && handle.status().in_step);
    assert_eq!(fake.world().table.len(), 1000, "all of it is looked up at the start");
    fake.world().table.clear();
    handle.converge();
    assert!(handle.settle(LONG) && handle.status().in_step);
    assert_eq!(fake.world().table.len(), 1000, "one comparison is enough where all is missing");
    assert_eq!(notes(&events, " of 1000 "), 2, "the fifty, and all");
}

#[test]
fn a_firewall_that_stops_answering_in_the_middle_of_a_look_up_is_asked_again() {
    let fake = Fake::default();
    *fake.world() = World { unlistable: true, lookup: 10, ..World::default() };
    let (handle, _events) = run(&fake, (0..500).map(p).collect(), Foreign::Adopt);
    until("it is under way", || fake.world().asked > 0);
    fake.world().mute = true;
    until("it is in trouble", || handle.status().last_error.is_some());
    assert!(!handle.status().in_step);
    fake.world().mute = false;
    assert!(handle.settle(LONG) && handle.status().in_step);
    assert_eq!(fake.world().table.len(), 500);
}

#[test]
fn a_flush_is_noticed_by_a_look_at_one_entry_long_before_the_next_comparison() {
    let fake = Fake::default();
    *fake.world() = World { lookup: 1, ..World::default() };
    let (handle, events) = run(&fake, (0..300).map(p).collect(), Foreign::Adopt);
    assert!(handle.settle(LONG));
    let compared = fake.world().compared;
    fake.world().table.clear();
    until("it is filled again", || fake.world().table.len() == 300);
    assert_eq!((fake.world().compared, notes(&events, "had vanished")), (compared + 1, 1));
    let asked = fake.world().asked;
    until("it is looked at again", || fake.world().asked > asked);
    assert_eq!(fake.world().compared, compared + 1, "an entry that is there starts nothing");
}

#[test]
fn a_table_that_cannot_be_listed_is_replaced_only_when_others_entries_may_go() {
    for (policy, left) in [(Foreign::Adopt, 3), (Foreign::Remove, 2)] {
        let fake = Fake::default();
        *fake.world() = World { unlistable: true, replace: 10, table: [p(7)].into(), ..World::default() };
        let (handle, events) = run(&fake, vec![p(1), p(2)], policy);
        assert!(handle.settle(LONG));
        assert_eq!(fake.world().table.len(), left, "{policy:?}");
        assert_eq!(notes(&events, "too large"), 1);
        assert_eq!(handle.status().unlistable.as_deref(), Some("too large"));
    }
}

#[test]
fn a_flushed_table_is_refilled_and_said_once() {
    let fake = Fake::default();
    let (handle, events) = run(&fake, (0..5).map(p).collect(), Foreign::Adopt);
    assert!(handle.settle(LONG));
    fake.world().table.clear();
    for _ in 0..2 {
        handle.converge();
        assert!(handle.settle(LONG));
    }
    assert_eq!((fake.world().table.len(), notes(&events, "had vanished")), (5, 1));
}
