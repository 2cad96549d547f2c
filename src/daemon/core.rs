//! The daemon's one thread that decides: events in, changes to the firewall and rows for the database out.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use jiff::Timestamp;

use super::decisions::Decisions;
use super::event::Event;
use super::evidence::RecentLines;
use super::feed;
use super::firewalls::Firewalls;
use super::persist::{CommitResult, Persist};
use super::positions::Positions;
use super::reload::Reloads;
use super::report;
use super::saved_table::SavedTable;
use super::streams::Streams;
use super::tally::Tallies;
use crate::address::{self, Prefix};
use crate::control::Call;
use crate::engine::EngineSettings;
use crate::firewall::{self, Change};
use crate::follow::Batch;
use crate::pipeline::{Pipeline, When};
use crate::setup::Setup;
use crate::store::Store;
use crate::time::Time;

/// The longest sleep: after it a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A file that was last written to so long ago was written to just now: rotated, and found at the next look.
const JUST_NOW: Duration = Duration::from_secs(30);

/// What to run, as the operator said it.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The configuration file; the installed one or the defaults without it.
    pub config: Option<PathBuf>,
    /// Decide, but change nothing: no firewall, no database, no socket.
    pub dry_run: bool,
    /// Logs to read from their beginning instead of the configured sources.
    pub files: Vec<PathBuf>,
}

/// Everything that the deciding thread owns.
pub(super) struct Daemon {
    pub(super) options: RunOptions,
    pub(super) setup: Setup,
    pub(super) pipeline: Pipeline,
    pub(super) firewall: Firewalls,
    pub(super) saved: SavedTable,
    pub(super) follower: feed::FollowerThread,
    pub(super) positions: Positions,
    pub(super) streams: Streams,
    pub(super) persist: Persist,
    pub(super) evidence: RecentLines,
    pub(super) tallies: Tallies,
    pub(super) started: Time,
    pub(super) calls: Receiver<Call>,
    pub(super) sender: SyncSender<Event>,
    pub(super) reloads: Reloads,
    /// Addresses of this machine and its surroundings, which nobody bans; none in a dry run.
    pub(super) own: Vec<Prefix>,
    /// Banned for a time that was over when their lines were read, and so never put into the table.
    pub(super) missed: HashSet<Prefix>,
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndOfRun {
    /// Somebody asked for it.
    Asked,
    /// All sources ended: standard input was closed.
    Read,
}

/// The wall clock: bans end at absolute times.
pub(super) fn now() -> Time {
    Timestamp::now().into()
}

/// When the lines of a batch count that is read now. What lay in a file when it came to its place, as an old log that
/// was renamed onto it, was not written just now unless the file says so.
fn when(batch: &Batch, now: Time) -> When {
    let written_by = batch.written_by.map_or(now, |by| by.min(now));
    let is_old = now.since(written_by).is_some_and(|age| age > JUST_NOW);
    if batch.backlog || is_old { When::Written(written_by) } else { When::Arrived(now) }
}

impl Daemon {
    /// Reacts to events until the end.
    pub(super) fn run(&mut self, events: &Receiver<Event>) -> EndOfRun {
        loop {
            let sleep = self.sleep();
            match events.recv_timeout(sleep) {
                Ok(Event::Stop) => return EndOfRun::Asked,
                Ok(Event::Ended(number)) if self.follower.is(number) => return EndOfRun::Read,
                Ok(event) => self.react(event),
                Err(RecvTimeoutError::Timeout) => {}
                // All senders are gone, which includes our own: this cannot happen, and ending is the safe answer.
                Err(RecvTimeoutError::Disconnected) => return EndOfRun::Asked,
            }
            self.answer_calls();
            self.expire();
            self.look_up_own_addresses();
            self.firewall.tidy();
            self.save_table_if_due();
            self.persist_if_due();
        }
    }

    fn react(&mut self, event: Event) {
        match event {
            Event::Lines(number, batch) if self.follower.is(number) => self.lines(&batch),
            Event::Firewall(event) => self.firewall_says(event),
            Event::Stored(stored) => self.stored(stored),
            Event::Reload => self.reload(None),
            Event::Loaded(loaded) => self.loaded(*loaded),
            Event::Own(allow, found) => self.own_addresses_found(&allow, found),
            // Batches of a follower that a reload replaced: the new one reads from the stored positions.
            Event::Lines(..) | Event::Ended(_) | Event::Called | Event::Stop => {}
        }
    }

    /// Until the next ban ends or the next rows are due, but never long enough to miss a clock that was set.
    fn sleep(&self) -> Duration {
        let expiry = self.pipeline.engine.next_expiry().map(|at| at.since(now()).unwrap_or_default());
        let (rows, tables) = (self.persist.due_in(), self.firewall.due_in());
        let sleeps = [expiry, rows, tables, self.saved.due_in(), Some(LONGEST_SLEEP)];
        sleeps.into_iter().flatten().min().unwrap_or(LONGEST_SLEEP)
    }

    /// Judges every line of a batch; a ban goes to the firewall before the next line is looked at.
    fn lines(&mut self, batch: &Batch) {
        // Who is still banned now is in the table, and nobody else.
        self.expire();
        let (time, name) = (now(), self.follower.name(batch.source));
        let source = self.streams.number(&mut self.pipeline, &name, batch, &self.setup, time);
        self.pipeline.switch_file(source, (batch.file.dev, batch.file.ino));
        if batch.first || batch.gap {
            self.pipeline.forget_last_line(source);
        }
        self.pipeline.prime_last_line(source, &batch.before);
        // We may have run for months: the year of a stamp is guessed from now, not from our start.
        self.pipeline.set_now(source, time);
        if let Some(end) = &batch.file_end {
            self.pipeline.learn_from_end(source, &end.lines, end.modified);
        }
        let when = when(batch, time);
        let mut decisions = Decisions {
            source: &name,
            time,
            firewall: &mut self.firewall,
            evidence: &mut self.evidence,
            tallies: &mut self.tallies,
            persist: &mut self.persist,
            missed: &mut self.missed,
        };
        self.pipeline.push(source, &batch.bytes, when, &mut decisions);
        if self.pipeline.undated(source) > 0 && self.streams.is_first_undated(&name) {
            log::warn!("{}: {}", batch.path, report::UNDATED);
        }
        let is_new = self.positions.note(&name, batch);
        if batch.bytes.is_empty() || is_new {
            // A file came or went: after a crash only its position tells what was written to it since.
            self.persist.hurry();
        } else {
            self.persist.touch();
        }
    }

    /// Frees those whose ban is over.
    pub(super) fn expire(&mut self) {
        let mut over = self.pipeline.engine.expire(now());
        let missed = std::mem::take(&mut self.missed);
        over.retain(|over| !missed.contains(over));
        self.free(&over, "its time is over");
    }

    /// Takes prefixes that are no longer banned out of the table, unless a wider or narrower ban still needs them.
    pub(super) fn free(&mut self, freed: &[Prefix], why: &str) {
        if freed.is_empty() {
            return;
        }
        self.firewall.change(freed.iter().copied().map(Change::Remove));
        self.tallies.unbans += freed.len() as u64;
        for offender in freed {
            let (unbanned, offender) = (self.firewall.unbanned(), address::display(offender));
            self.persist.after(report::line(format!("{unbanned} {offender}: {why}")));
        }
        self.persist.hurry();
    }

    /// A batch is written, or not; what the database lost is written again, what it found is taken over.
    fn stored(&mut self, stored: CommitResult) {
        self.persist.stored(&stored);
        if stored.lost {
            self.pipeline.engine.mark_all_changed();
            self.positions.touch_all();
        }
        if !stored.found.is_empty() {
            stored.found.into_iter().for_each(|row| self.pipeline.engine.restore(row));
            self.firewall.change(self.pipeline.engine.bans().map(|ban| Change::Add(ban.offender)));
            // They were stored when the allow list was another.
            self.free_the_allowed("it is on the allow list now");
        }
    }

    fn firewall_says(&mut self, event: firewall::FirewallEvent) {
        match event {
            firewall::FirewallEvent::Note(level, text) => log::log!(level, "{text}"),
            firewall::FirewallEvent::Refused(prefixes, why) => {
                let named: Vec<String> = prefixes.iter().take(5).map(address::display).collect();
                log::error!("the firewall refuses {} of {}: {why}", named.join(", "), prefixes.len());
            }
            firewall::FirewallEvent::Foreign(prefixes) => self.adopt(&prefixes),
        }
    }

    /// What the engine is to know, on this machine.
    pub(super) fn engine_settings(&self, setup: &Setup) -> EngineSettings {
        setup.engine_settings(self.follower.files(), &self.own)
    }

    /// Has the table's file follow the bans.
    fn save_table_if_due(&mut self) {
        if self.firewall.has_changed() {
            self.saved.touch();
        }
        self.saved.set_format(self.firewall.file());
        if self.saved.due_in() == Some(Duration::ZERO) {
            self.saved.save(self.pipeline.engine.bans());
        }
    }

    fn persist_if_due(&mut self) {
        if self.persist.is_due() {
            let rows = self.pipeline.engine.changes();
            self.persist.send(rows, self.positions.take(), now());
        }
    }
}

/// Sends the last rows and waits for them. The store that comes back still holds the lock.
pub(super) fn finish(daemon: &mut Daemon) -> Option<Store> {
    let rows = daemon.pipeline.engine.changes();
    let positions = daemon.positions.take();
    daemon.persist.finish(rows, positions, now())
}
