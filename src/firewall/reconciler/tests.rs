//! The reconciler on a firewall in memory that fails as told.

use std::collections::{BTreeSet, HashMap};
use std::iter::repeat_n;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use super::super::Change;
use super::super::worker::{WorkerHandle, spawn_after, spawn_paced};
use super::*;
use crate::address::{Prefix, host};

mod fake;
mod looking;

use fake::{Fake, World};

fn hung() -> BackendError {
    BackendError::Broken("it hangs".to_owned())
}

const LONG: Duration = Duration::from_secs(60);
const QUICK: Pace = Pace {
    first: Duration::from_millis(2),
    most: Duration::from_millis(20),
    glance: Duration::from_millis(2),
};

fn run(fake: &Fake, desired: Vec<Prefix>, foreign: Foreign) -> (WorkerHandle, Receiver<FirewallEvent>) {
    let (sender, receiver) = channel();
    let settings = FirewallSettings { foreign, converge: 60 * LONG, ..FirewallSettings::default() };
    let backend = Box::new(fake.clone());
    let handle = spawn_paced(backend, Ledger::new(desired, vec![]), &settings, sender, QUICK, None).unwrap();
    (handle, receiver)
}

fn p(n: u16) -> Prefix {
    let [high, low] = n.to_be_bytes();
    host(std::net::IpAddr::from([198, 18, high, low]))
}

fn notes(events: &Receiver<FirewallEvent>, words: &str) -> usize {
    let said = |event: &FirewallEvent| matches!(event, FirewallEvent::Note(_, text) if text.contains(words));
    events.try_iter().filter(said).count()
}

#[test]
fn the_table_is_filled_at_the_start_in_batches_and_kept_at_the_stop() {
    let fake = Fake::default();
    let (handle, events) = run(&fake, (0..250).map(p).collect(), Foreign::Adopt);
    assert!(handle.settle(LONG));
    let status = handle.status();
    assert!(status.in_step && status.entries == 250 && status.pending == 0, "{status:?}");
    assert_eq!(status.warnings, ["no rule uses it"]);
    assert!(handle.stop(false).in_step);
    let world = fake.world();
    assert_eq!((world.table.len(), world.batches.as_slice()), (250, [100, 100, 50].as_slice()));
    assert_eq!(notes(&events, "250 of 250 bans were missing from the firewall's table"), 1);
}

#[test]
fn a_stop_can_take_our_entries_with_it_and_leaves_those_of_others() {
    let fake = Fake::default();
    fake.world().table.insert(p(900));
    let (handle, _events) = run(&fake, (0..250).map(p).collect(), Foreign::Keep);
    assert!(handle.settle(LONG));
    assert_eq!(handle.stop(true).entries, 0);
    assert_eq!(fake.world().table, BTreeSet::from([p(900)]));
}

#[test]
fn a_bad_entry_is_found_reported_and_left_until_the_next_comparison() {
    let fake = Fake::default();
    fake.world().bad.insert(p(33));
    let (handle, events) = run(&fake, vec![], Foreign::Adopt);
    assert!(handle.settle(LONG));
    handle.change((0..90).map(|n| Change::Add(p(n))));
    assert!(handle.settle(LONG));
    assert_eq!(
        (fake.world().table.len(), handle.status().set_aside, handle.status().in_step),
        (89, 1, false)
    );
    let refused: Vec<FirewallEvent> =
        events.try_iter().filter(|e| matches!(e, FirewallEvent::Refused(..))).collect();
    assert_eq!(refused, [FirewallEvent::Refused(vec![p(33)], "bad entry".to_owned())]);
    let commands = fake.world().batches.len();
    assert!(commands < 30, "{commands} commands");

    fake.world().bad.clear();
    handle.converge();
    assert!(handle.settle(LONG) && handle.status().in_step);
    assert!(fake.world().table.contains(&p(33)));
}

#[test]
fn a_lone_refused_entry_waits_until_others_show_whether_it_is_to_blame() {
    let fake = Fake::default();
    fake.world().bad.insert(p(1));
    let (handle, events) = run(&fake, vec![], Foreign::Adopt);
    assert!(handle.settle(LONG));
    handle.change([Change::Add(p(1))]);
    let refused = || handle.status().last_error.is_some();
    until("it is refused", || refused() && fake.world().batches.len() > 8);
    assert_eq!((handle.status().set_aside, handle.status().pending), (0, 1));
    handle.change([Change::Add(p(2))]);
    assert!(handle.settle(LONG), "the other one passes, so it is set aside");
    assert_eq!((handle.status().set_aside, handle.status().last_error), (1, None));
    for _ in 0..3 {
        handle.converge();
        assert!(handle.settle(LONG));
    }
    let told: Vec<FirewallEvent> = events.try_iter().collect();
    let named = told.iter().filter(|event| matches!(event, FirewallEvent::Refused(..))).count();
    let said =
        |words| told.iter().filter(|e| matches!(e, FirewallEvent::Note(_, t) if t.contains(words))).count();
    assert_eq!(
        (named, said("the firewall update failed"), said("firewall updates work again")),
        (1, 1, 1),
        "{told:?}"
    );
}

/// Waits for something that comes of itself.
fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !so() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_full_table_is_one_complaint_and_neither_removals_nor_comparisons_wait_for_it() {
    let fake = Fake::default();
    fake.world().limit = Some(50);
    let (handle, events) = run(&fake, (0..50).map(p).collect(), Foreign::Adopt);
    assert!(handle.settle(LONG));
    // More than one batch, and all of it refused.
    handle.change((100..400).map(|n| Change::Add(p(n))));
    until("it is refused", || handle.status().last_error.as_deref() == Some("no room"));
    assert_eq!((handle.status().set_aside, handle.status().in_step), (0, false));
    let commands = fake.world().batches.len();
    assert!(commands < 40, "{commands} commands");

    handle.change((0..10).map(|n| Change::Remove(p(n))));
    until("the ten are gone", || (0..10).all(|n| !fake.world().table.contains(&p(n))));
    until("their room is used", || fake.world().table.len() == 50);
    assert_eq!(handle.status().entries, 340);

    // A comparison puts back what vanished, though the others are still refused.
    let compared = fake.world().compared;
    fake.world().table.remove(&p(20));
    fake.world().limit = Some(49);
    handle.converge();
    until("it is compared", || fake.world().compared > compared && handle.status().compared.is_some());
    fake.world().limit = Some(1000);
    assert!(handle.settle(LONG) && handle.status().in_step);
    assert_eq!(fake.world().table.len(), 340);
    let told: Vec<FirewallEvent> = events.try_iter().collect();
    let said =
        |words| told.iter().filter(|e| matches!(e, FirewallEvent::Note(_, t) if t.contains(words))).count();
    assert_eq!((said("no room"), said("firewall updates work again")), (1, 1), "{told:?}");
    assert!(!told.iter().any(|event| matches!(event, FirewallEvent::Refused(..))), "{told:?}");
}

#[test]
fn a_stop_that_does_everything_reports_no_error_of_before() {
    let fake = Fake::default();
    fake.world().failures.extend(repeat_n(hung(), 2));
    let (sender, _events) = channel();
    let slow = Pace { first: LONG, most: LONG, glance: LONG };
    let ledger = Ledger::new(vec![], vec![p(1)]);
    let settings = FirewallSettings::default();
    let handle = spawn_paced(Box::new(fake.clone()), ledger, &settings, sender, slow, None).unwrap();
    until("it fails", || handle.status().last_error.is_some());
    fake.world().failures.clear();
    assert_eq!((handle.stop(false).last_error, handle.has_ended()), (None, true));
}

#[test]
fn a_worker_that_takes_over_waits_for_the_old_one_and_removes_what_that_one_owes() {
    let fake = Fake::default();
    let (old, _events) = run(&fake, (0..5).map(p).collect(), Foreign::Adopt);
    assert!(old.settle(LONG));
    fake.world().failures.extend(repeat_n(hung(), 1000));
    old.change([Change::Remove(p(0)), Change::Add(p(7)), Change::Remove(p(7))]);
    until("it fails", || old.status().last_error.is_some());
    old.change([Change::Remove(p(1))]);
    let mut owed = old.owed();
    owed.sort_unstable();
    assert_eq!(owed[..2], [p(0), p(1)]);
    fake.world().failures.clear();

    let (sender, events) = channel();
    let desired = (2..5).map(p).collect();
    let settings = FirewallSettings::default();
    let handle = spawn_after(&old, Box::new(fake.clone()), desired, &settings, sender).unwrap();
    assert!(handle.settle(LONG));
    assert!(old.has_ended());
    assert!(handle.owed().is_empty());
    assert_eq!(fake.world().table, (2..5).map(p).collect());
    assert!(!events.try_iter().any(|event| matches!(event, FirewallEvent::Foreign(_))), "nothing is adopted");
}

#[test]
fn a_handle_can_be_stopped_while_others_hold_it() {
    let fake = Fake::default();
    let (handle, _events) = run(&fake, vec![p(1)], Foreign::Adopt);
    let handle = Arc::new(handle);
    let other = Arc::clone(&handle);
    assert!(handle.settle(LONG));
    assert_eq!(handle.stop(true).entries, 0);
    assert!(other.has_ended() && fake.world().table.is_empty());
}

#[test]
fn a_tool_that_hangs_over_connections_keeps_no_ban_waiting() {
    let fake = Fake::default();
    fake.world().uncut.extend(repeat_n(hung(), 100));
    let (handle, events) = run(&fake, vec![], Foreign::Adopt);
    assert!(handle.settle(LONG));
    for n in 0..20 {
        handle.change([Change::Add(p(n))]);
        assert!(handle.settle(LONG));
    }
    let held = fake.world().table.len();
    assert_eq!((held, fake.world().cut.len()), (20, 1));
    handle.converge();
    assert!(handle.settle(LONG));
    handle.change([Change::Add(p(50))]);
    assert!(handle.settle(LONG));
    assert_eq!((fake.world().cut.len(), notes(&events, "open connections of blocked prefixes")), (2, 1));
}

#[test]
fn that_connections_were_left_alone_is_told_also_after_a_restored_table() {
    let fake = Fake::default();
    let (handle, events) = run(&fake, (0..20).map(p).collect(), Foreign::Adopt);
    assert!(handle.settle(LONG));
    assert_eq!(notes(&events, "were left alone"), 0, "a restore is none of the operator's bans");
    handle.change((100..120).map(|n| Change::Add(p(n))));
    assert!(handle.settle(LONG));
    assert_eq!(notes(&events, "were left alone"), 1);
}

#[test]
fn a_broken_firewall_is_tried_again_and_compared_when_it_works() {
    let fake = Fake::default();
    let (handle, events) = run(&fake, vec![p(1)], Foreign::Adopt);
    assert!(handle.settle(LONG));
    let compared = fake.world().compared;
    fake.world().failures.extend(repeat_n(hung(), 6));
    handle.change([Change::Add(p(2))]);
    assert!(handle.settle(LONG) && handle.status().in_step);
    assert_eq!(fake.world().table.len(), 2);
    assert!(fake.world().compared > compared);
    let texts: Vec<FirewallEvent> = events.try_iter().collect();
    let said =
        |words| texts.iter().filter(|e| matches!(e, FirewallEvent::Note(_, t) if t.contains(words))).count();
    assert_eq!((said("(pending changes: 1): it hangs"), said("firewall updates work again")), (1, 1));
}

#[test]
fn bans_go_on_while_the_table_cannot_be_compared() {
    let fake = Fake::default();
    fake.world().mute = true;
    let (handle, events) = run(&fake, vec![p(1)], Foreign::Adopt);
    let failed =
        |event: &FirewallEvent| matches!(event, FirewallEvent::Note(_, text) if text.contains("no answer"));
    assert!(events.iter().any(|event| failed(&event)));
    handle.change((10..250).map(|n| Change::Add(p(n))));
    until("the bans are in", || handle.status().pending == 0);
    assert_eq!(fake.world().table.len(), 240);
    assert!(!handle.status().in_step && handle.status().last_error.is_some());
    fake.world().mute = false;
    assert!(handle.settle(LONG) && handle.status().in_step);
    assert_eq!(fake.world().table.len(), 241);
}

#[test]
fn a_table_that_somebody_deleted_is_made_again_by_the_next_change() {
    let fake = Fake::default();
    let (handle, _events) = run(&fake, vec![p(1)], Foreign::Adopt);
    assert!(handle.settle(LONG));
    let prepared = fake.world().prepared;
    fake.world().failures.push_back(BackendError::Refused("no such table".to_owned()));
    handle.change([Change::Add(p(2)), Change::Add(p(3))]);
    assert!(handle.settle(LONG));
    let world = fake.world();
    assert_eq!((world.prepared, world.table.len()), (prepared + 1, 3));
}

#[test]
fn entries_of_others_are_adopted_kept_or_removed() {
    for (policy, ours, left) in [(Foreign::Adopt, 2, 2), (Foreign::Keep, 1, 2), (Foreign::Remove, 1, 1)] {
        let fake = Fake::default();
        fake.world().table.insert(p(7));
        let (handle, events) = run(&fake, vec![p(1)], policy);
        assert!(handle.settle(LONG));
        assert_eq!((handle.status().entries, fake.world().table.len()), (ours, left), "{policy:?}");
        let adopted = events.try_iter().any(|event| event == FirewallEvent::Foreign(vec![p(7)]));
        assert_eq!(adopted, policy == Foreign::Adopt);
    }
}

#[test]
fn connections_are_cut_after_small_batches_only() {
    let fake = Fake::default();
    let (handle, events) = run(&fake, vec![], Foreign::Adopt);
    assert!(handle.settle(LONG));
    handle.change([Change::Add(p(1)), Change::Remove(p(2))]);
    assert!(handle.settle(LONG));
    for round in 1..3 {
        handle.change((0..10).map(|n| Change::Add(p(round * 100 + n))));
        assert!(handle.settle(LONG));
    }
    assert_eq!((fake.world().cut.clone(), notes(&events, "were left alone")), (vec![p(1)], 1));
}

#[test]
fn a_network_is_one_network_however_it_is_written() {
    let fake = Fake::default();
    let (handle, _events) = run(&fake, vec!["192.0.2.7/24".parse().unwrap()], Foreign::Remove);
    handle.change([Change::Add("198.51.100.9/24".parse().unwrap())]);
    handle.change([Change::Remove("198.51.100.1/24".parse().unwrap())]);
    assert!(handle.settle(LONG));
    assert_eq!(fake.world().table, BTreeSet::from(["192.0.2.0/24".parse().unwrap()]));
}

#[test]
fn the_last_of_many_changes_is_what_the_table_shows() {
    let fake = Fake::default();
    let (handle, _events) = run(&fake, vec![], Foreign::Adopt);
    let mut wanted: HashMap<Prefix, bool> = HashMap::new();
    for n in 0..2_000u16 {
        let prefix = p(n * 7 % 50);
        let add = n % 3 != 0;
        wanted.insert(prefix, add);
        handle.change([if add { Change::Add(prefix) } else { Change::Remove(prefix) }]);
    }
    assert!(handle.settle(LONG));
    let expected: BTreeSet<Prefix> =
        wanted.into_iter().filter(|(_, add)| *add).map(|(prefix, _)| prefix).collect();
    assert_eq!(fake.world().table, expected);
}

#[test]
fn a_dropped_handle_ends_the_thread() {
    let fake = Fake::default();
    let (handle, events) = run(&fake, vec![p(1)], Foreign::Adopt);
    drop(handle);
    let end = loop {
        if let Err(end) = events.recv_timeout(LONG) {
            break end;
        }
    };
    assert_eq!(end, RecvTimeoutError::Disconnected, "the channel closes when the thread is gone");
}
