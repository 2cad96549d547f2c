//! The one thread that owns the firewall: carries changes out and keeps comparing.
//!
//! A turn of its loop does what changed, as one batch, and then one thing more: a comparison that is due, or the
//! connections of one new entry, or one batch of repair. So a ban never waits for more than one such thing.
//!
//! What fails is tried again with growing pauses, together with what arrived meanwhile. A refused batch is searched for
//! the bad entries; they are reported and set aside until the next comparison.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::Level;

use super::ledger::{Findings, Ledger};
use super::search::search;
use super::worker::{Inbox, Shared};
use super::{Backend, Change, Event, Failure, Foreign, Settings, Status, report};
use crate::address::Prefix;

/// Failed attempts after which entries that were refused alone are set aside, though nothing else succeeded.
const PATIENCE: u32 = 5;
/// Entries whose connections wait to be cut; beyond it, the newest are left alone.
const CUTS: usize = 256;

/// How fast failures are tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The pause after the first failure; doubled with each.
    pub(super) first: Duration,
    /// The longest pause.
    pub(super) most: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_secs(60) }
    }
}

/// What does not work, since how many attempts, and when the next one is due.
struct Trouble {
    text: String,
    rounds: u32,
    last: Instant,
    pause: Duration,
    /// Only the comparison failed: changes go on meanwhile.
    mild: bool,
}

pub(super) struct Keeper {
    backend: Box<dyn Backend>,
    ledger: Ledger,
    shared: Arc<Shared>,
    events: Sender<Event>,
    foreign: Foreign,
    every: Duration,
    pace: Pace,
    next_look: Instant,
    looked: Option<Instant>,
    /// Whether `prepare` succeeded since the last failure or comparison.
    ready: bool,
    /// Whether something arrived since the last attempt.
    hasty: bool,
    trouble: Option<Trouble>,
    cuts: VecDeque<Prefix>,
    said_uncut: bool,
    seen: Findings,
    warnings: Vec<String>,
}

impl Keeper {
    pub(super) fn new(
        backend: Box<dyn Backend>,
        ledger: Ledger,
        shared: Arc<Shared>,
        settings: &Settings,
        events: Sender<Event>,
        pace: Pace,
    ) -> Self {
        Self {
            backend,
            ledger,
            shared,
            events,
            foreign: settings.foreign,
            every: settings.converge_every,
            pace,
            next_look: Instant::now(),
            looked: None,
            ready: false,
            hasty: false,
            trouble: None,
            cuts: VecDeque::new(),
            said_uncut: false,
            seen: Findings::default(),
            warnings: Vec::new(),
        }
    }

    /// Works until it is told to stop, or the daemon's end is dropped.
    pub(super) fn run(mut self) {
        let flush = loop {
            match self.wait() {
                Some(flush) => break flush,
                None => self.turn(),
            }
        };
        self.finish(flush);
        let shared = Arc::clone(&self.shared);
        let mut inbox = shared.lock();
        self.publish(&mut inbox);
        inbox.ended = true;
        shared.settled.notify_all();
    }

    /// Takes in what arrived, until something is to be done; `Some` is the order to stop.
    fn wait(&mut self) -> Option<bool> {
        let shared = Arc::clone(&self.shared);
        let mut inbox = shared.lock();
        loop {
            self.take_in(&mut inbox);
            if inbox.stop.is_some() {
                return inbox.stop;
            }
            self.publish(&mut inbox);
            let patience = self.next_turn().saturating_duration_since(Instant::now());
            if patience.is_zero() {
                return None;
            }
            inbox = shared.work.wait_timeout(inbox, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn take_in(&mut self, inbox: &mut MutexGuard<'_, Inbox>) {
        let mild = self.trouble.as_ref().is_some_and(|trouble| trouble.mild);
        self.hasty |= inbox.converge || !inbox.changes.is_empty() && !mild;
        if std::mem::take(&mut inbox.converge) {
            self.next_look = Instant::now();
        }
        for change in std::mem::take(&mut inbox.changes).into_values() {
            self.ledger.change(change);
        }
    }

    fn busy(&self) -> bool {
        self.ledger.pending() > 0 || !self.cuts.is_empty()
    }

    fn next_turn(&self) -> Instant {
        match &self.trouble {
            Some(trouble) if trouble.mild && self.busy() => Instant::now(),
            Some(trouble) => self.next_attempt(trouble),
            None if self.busy() => Instant::now(),
            None => self.next_look,
        }
    }

    /// When what failed is tried again; what newly arrived does not wait for the long pauses.
    fn next_attempt(&self, trouble: &Trouble) -> Instant {
        let pause = if self.hasty { trouble.pause.min(self.pace.first) } else { trouble.pause };
        trouble.last + pause
    }

    fn publish(&self, inbox: &mut MutexGuard<'_, Inbox>) {
        let trouble = self.trouble.as_ref().map(|trouble| trouble.text.clone());
        let due = self.next_look <= Instant::now();
        inbox.looked = self.looked;
        inbox.idle = trouble.is_none() && !due && !self.busy();
        inbox.status = Status {
            backend: self.backend.name().to_owned(),
            in_step: self.looked.is_some() && trouble.is_none() && self.ledger.aside() == 0,
            entries: self.ledger.entries(),
            pending: self.ledger.pending(),
            set_aside: self.ledger.aside(),
            foreign: self.seen.foreign.len(),
            strange: self.seen.strange,
            listed: self.seen.listed,
            unlistable: self.seen.unlistable.clone(),
            warnings: self.warnings.clone(),
            last_error: trouble,
            converged_ago: None,
        };
        if inbox.idle {
            self.shared.settled.notify_all();
        }
    }

    fn turn(&mut self) {
        let now = Instant::now();
        // While a comparison waits for its next attempt, changes are carried out as ever.
        let pausing =
            self.trouble.as_ref().is_some_and(|trouble| trouble.mild && now < self.next_attempt(trouble));
        let due = self.next_look <= now && !pausing;
        self.ready &= !due && (pausing || self.trouble.is_none());
        self.hasty &= pausing;
        match self.prepare().and_then(|()| self.work_off()).map(|()| self.one_thing_more(due)) {
            Ok(Ok(())) if pausing => {}
            Ok(Ok(())) => self.recovered(true),
            Ok(Err(failure)) => self.failed(&failure, due),
            Err(failure) => self.failed(&failure, false),
        }
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        if self.ready {
            return Ok(());
        }
        let warnings = self.backend.prepare()?;
        for warning in warnings.iter().filter(|warning| !self.warnings.contains(warning)) {
            self.note(Level::Warn, warning.clone());
        }
        self.warnings = warnings;
        self.ready = true;
        Ok(())
    }

    fn work_off(&mut self) -> Result<(), Failure> {
        let batch = self.ledger.next_fresh(self.backend.limits());
        self.apply(batch, true)
    }

    fn one_thing_more(&mut self, due: bool) -> Result<(), Failure> {
        if due {
            return self.compare();
        }
        if let Some(prefix) = self.cuts.pop_front() {
            self.cut(&prefix);
            return Ok(());
        }
        let batch = self.ledger.next_repair(self.backend.limits());
        self.apply(batch, false)
    }

    fn apply(&mut self, batch: Vec<Change>, fresh: bool) -> Result<(), Failure> {
        if batch.is_empty() {
            return Ok(());
        }
        match self.backend.apply(&batch) {
            Ok(()) => {
                self.applied(&batch, fresh);
                Ok(())
            }
            Err(Failure::Refused(_)) => self.blame(batch, fresh),
            Err(broken) => {
                self.ledger.give_back(&batch);
                Err(broken)
            }
        }
    }

    /// Has the connections of new entries cut, unless there are too many.
    fn applied(&mut self, batch: &[Change], fresh: bool) {
        let most = self.backend.limits().after_add;
        let added = batch.iter().filter(|change| matches!(change, Change::Add(_)));
        let count = added.clone().count();
        if most == 0 || count == 0 {
            return;
        }
        if count <= most && count + self.cuts.len() <= CUTS {
            self.cuts.extend(added.map(Change::prefix));
        } else if fresh && !std::mem::replace(&mut self.said_uncut, true) {
            self.note(Level::Info, report::uncut(count, most));
        }
    }

    /// Cuts the connections of a new entry. It is blocked in any case, so a failure is told and forgotten.
    fn cut(&mut self, prefix: &Prefix) {
        if let Err(failure) = self.backend.after_add(prefix) {
            self.cuts.clear();
            self.note(Level::Warn, format!("open connections of a blocked prefix may go on: {failure}"));
        }
    }

    /// Finds out what of a refused batch is to blame: its bad entries, or the firewall.
    fn blame(&mut self, batch: Vec<Change>, fresh: bool) -> Result<(), Failure> {
        // A table that somebody deleted is made anew here, and then the whole batch passes.
        self.ready = false;
        if let Err(failure) = self.prepare() {
            self.ledger.give_back(&batch);
            return Err(failure);
        }
        let found = search(self.backend.as_mut(), batch);
        self.applied(&found.good, fresh);
        self.ledger.give_back(&found.rest);
        let Some(why) = found.why else { return Ok(()) };
        let tried = self.trouble.as_ref().is_some_and(|trouble| trouble.rounds >= PATIENCE);
        if found.good.is_empty() && !tried {
            self.ledger.give_back(&found.bad);
            return Err(why);
        }
        self.set_aside(&found.bad, &why);
        if !found.rest.is_empty() {
            return Err(why);
        }
        // Without the comparison that follows other failures: it would try the bad entries again at once.
        self.recovered(false);
        Ok(())
    }

    fn set_aside(&mut self, bad: &[Change], why: &Failure) {
        for change in bad {
            self.ledger.set_aside(change.prefix());
        }
        if !bad.is_empty() {
            self.tell(Event::Refused(bad.iter().map(Change::prefix).collect(), why.to_string()));
        }
    }

    fn compare(&mut self) -> Result<(), Failure> {
        let listing = self.backend.list()?;
        let findings = self.ledger.compare(listing, self.foreign, self.backend.limits());
        if findings.replace {
            self.replace()?;
        }
        let before = self.looked.map(|_| &self.seen);
        for event in report::findings(&findings, before, self.ledger.entries(), self.foreign) {
            self.tell(event);
        }
        self.seen = findings;
        self.looked = Some(Instant::now());
        self.next_look = Instant::now() + self.every;
        self.recovered(false);
        Ok(())
    }

    /// Replaces the whole table; where that is refused, everything is added again instead.
    fn replace(&mut self) -> Result<(), Failure> {
        match self.backend.replace(&self.ledger.desired()) {
            Err(Failure::Refused(why)) => {
                self.note(Level::Warn, format!("entries of others may stay in the firewall's table: {why}"));
                self.ledger.repair_all();
                Ok(())
            }
            answer => answer,
        }
    }

    fn failed(&mut self, failure: &Failure, mild: bool) {
        let text = failure.to_string();
        let before = self.trouble.take();
        if before.as_ref().is_none_or(|trouble| trouble.text != text) {
            let waiting = self.ledger.pending();
            self.note(
                Level::Error,
                format!("the firewall does not do its part ({waiting} changes wait): {text}"),
            );
        }
        let rounds = before.as_ref().map_or(0, |trouble| trouble.rounds) + 1;
        let pause = before.map_or(self.pace.first, |trouble| (trouble.pause * 2).min(self.pace.most));
        self.trouble = Some(Trouble { text, rounds, last: Instant::now(), pause, mild });
    }

    /// Notes that the firewall works; after a failure, the table is worth a look.
    fn recovered(&mut self, look: bool) {
        if self.trouble.take().is_some() {
            self.note(Level::Info, "the firewall does its part again".to_owned());
            if look {
                self.next_look = Instant::now();
            }
        }
    }

    /// The last word: each batch gets one attempt.
    fn finish(&mut self, flush: bool) {
        if flush {
            self.ledger.clear();
        }
        let limits = self.backend.limits();
        loop {
            let batch = self.ledger.next_fresh(limits);
            if batch.is_empty() {
                return;
            }
            if let Err(failure) = self.backend.apply(&batch) {
                self.ledger.give_back(&batch);
                let waiting = self.ledger.pending();
                self.failed(&failure, false);
                return self.note(
                    Level::Warn,
                    format!("{waiting} changes of the firewall were left undone at the stop"),
                );
            }
        }
    }

    fn note(&self, level: Level, text: String) {
        self.tell(Event::Note(level, text));
    }

    fn tell(&self, event: Event) {
        // A daemon that no longer listens is about to end.
        let _unheard = self.events.send(event);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};

    use super::super::worker::{Handle, start};
    use super::super::{Limits, Listing};
    use super::*;
    use crate::address::host;

    /// A firewall in memory that does what the test says; shared with it.
    #[derive(Default)]
    struct World {
        table: BTreeSet<Prefix>,
        batches: Vec<usize>,
        cut: Vec<Prefix>,
        /// Answered by the next calls, one each.
        failures: VecDeque<Failure>,
        /// Refused for ever.
        bad: BTreeSet<Prefix>,
        prepared: usize,
        compared: usize,
        mute: bool,
        replace: usize,
        unlistable: bool,
    }

    #[derive(Clone, Default)]
    struct Fake(Arc<Mutex<World>>);

    impl Fake {
        fn world(&self) -> MutexGuard<'_, World> {
            self.0.lock().unwrap()
        }
    }

    impl Backend for Fake {
        fn name(&self) -> &'static str {
            "fake"
        }

        fn prepare(&mut self) -> Result<Vec<String>, Failure> {
            self.world().prepared += 1;
            Ok(vec!["no rule uses it".to_owned()])
        }

        fn apply(&mut self, changes: &[Change]) -> Result<(), Failure> {
            let mut world = self.world();
            world.batches.push(changes.len());
            if let Some(failure) = world.failures.pop_front() {
                return Err(failure);
            }
            if changes.iter().any(|change| world.bad.contains(&change.prefix())) {
                return Err(Failure::Refused("bad entry".to_owned()));
            }
            for change in changes {
                match change {
                    Change::Add(prefix) => world.table.insert(*prefix),
                    Change::Remove(prefix) => world.table.remove(prefix),
                };
            }
            Ok(())
        }

        fn list(&mut self) -> Result<Listing, Failure> {
            let mut world = self.world();
            world.compared += 1;
            if world.mute {
                return Err(Failure::Broken("no answer".to_owned()));
            }
            if world.unlistable {
                return Ok(Listing::Unlistable {
                    entries: Some(world.table.len()),
                    why: "too large".to_owned(),
                });
            }
            Ok(Listing::Complete { entries: world.table.iter().copied().collect(), strange: 0 })
        }

        fn replace(&mut self, all: &[Prefix]) -> Result<(), Failure> {
            self.world().table = all.iter().copied().collect();
            Ok(())
        }

        fn after_add(&mut self, prefix: &Prefix) -> Result<(), Failure> {
            self.world().cut.push(*prefix);
            Ok(())
        }

        fn limits(&self) -> Limits {
            Limits { entries: 100, bytes: usize::MAX, replace: self.world().replace, after_add: 4 }
        }
    }

    const LONG: Duration = Duration::from_secs(60);
    const QUICK: Pace = Pace { first: Duration::from_millis(2), most: Duration::from_millis(20) };

    fn run(fake: &Fake, desired: Vec<Prefix>, foreign: Foreign) -> (Handle, Receiver<Event>) {
        let (sender, receiver) = channel();
        let settings = Settings { foreign, converge_every: Duration::from_secs(3600), ..Settings::default() };
        let backend = Box::new(fake.clone());
        let handle = start(backend, Ledger::new(desired, vec![]), &settings, sender, QUICK).unwrap();
        (handle, receiver)
    }

    fn p(n: u16) -> Prefix {
        let [high, low] = n.to_be_bytes();
        host(std::net::IpAddr::from([198, 18, high, low]))
    }

    fn notes(events: &Receiver<Event>, words: &str) -> usize {
        let said = |event: &Event| matches!(event, Event::Note(_, text) if text.contains(words));
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
        assert_eq!(notes(&events, "250 of 250 bans were not in the firewall's table"), 1);
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
        let refused: Vec<Event> = events.try_iter().filter(|e| matches!(e, Event::Refused(..))).collect();
        assert_eq!(refused, [Event::Refused(vec![p(33)], "bad entry".to_owned())]);
        let commands = fake.world().batches.len();
        assert!(commands < 30, "{commands} commands");

        fake.world().bad.clear();
        handle.converge();
        assert!(handle.settle(LONG) && handle.status().in_step);
        assert!(fake.world().table.contains(&p(33)));
    }

    #[test]
    fn a_lone_bad_entry_is_not_tried_for_ever() {
        let fake = Fake::default();
        fake.world().bad.insert(p(1));
        let (handle, events) = run(&fake, vec![p(1)], Foreign::Adopt);
        assert!(handle.settle(LONG), "it is set aside after a few attempts");
        assert_eq!(handle.status().set_aside, 1);
        assert_eq!(notes(&events, "does not do its part"), 1, "said once for all attempts");
    }

    #[test]
    fn a_broken_firewall_is_tried_again_and_compared_when_it_works() {
        let fake = Fake::default();
        let (handle, events) = run(&fake, vec![p(1)], Foreign::Adopt);
        assert!(handle.settle(LONG));
        let compared = fake.world().compared;
        fake.world().failures.extend(std::iter::repeat_n(Failure::Broken("it hangs".to_owned()), 6));
        handle.change([Change::Add(p(2))]);
        assert!(handle.settle(LONG) && handle.status().in_step);
        assert_eq!(fake.world().table.len(), 2);
        assert!(fake.world().compared > compared);
        let texts: Vec<Event> = events.try_iter().collect();
        let said =
            |words| texts.iter().filter(|e| matches!(e, Event::Note(_, t) if t.contains(words))).count();
        assert_eq!((said("(1 changes wait): it hangs"), said("does its part again")), (1, 1));
    }

    #[test]
    fn bans_go_on_while_the_table_cannot_be_compared() {
        let fake = Fake::default();
        fake.world().mute = true;
        let (handle, events) = run(&fake, vec![p(1)], Foreign::Adopt);
        let failed = |event: &Event| matches!(event, Event::Note(_, text) if text.contains("no answer"));
        assert!(events.iter().any(|event| failed(&event)));
        handle.change((10..250).map(|n| Change::Add(p(n))));
        while handle.status().pending > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
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
        fake.world().failures.push_back(Failure::Refused("no such table".to_owned()));
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
            let adopted = events.try_iter().any(|event| event == Event::Foreign(vec![p(7)]));
            assert_eq!(adopted, policy == Foreign::Adopt);
        }
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
            let (prefix, add) = (p(n * 7 % 50), n % 3 != 0);
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
        // The channel closes when the thread is gone.
        assert!(events.into_iter().count() <= 3);
    }
}
