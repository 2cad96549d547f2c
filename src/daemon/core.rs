//! The daemon's one thread that decides: events in, changes to the firewall and rows for the database out.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use super::enforcement::Enforcement;
use super::event::{CommitResult, Event, ReloadResult};
use super::manual_bans::ManualBans;
use super::protection_watch::ProtectionWatch;
use super::reload::{self, OwnAddresses, Reloads};
use super::reports::ReportSources;
use super::saved_table::SavedTable;
use super::sources::Sources;
use super::status::Snapshot;
use super::{answers, now};
use crate::address::{self, Prefix};
use crate::config::Allow;
use crate::control::reply::Reloaded;
use crate::control::{Accepted, Answer, Call, Request};
use crate::engine::EngineSettings;
use crate::firewall::{Change, FirewallEvent};
use crate::follow::Batch;
use crate::pipeline::{Pipeline, When};
use crate::privileges::Privileges;
use crate::setup::{Setup, logger};
use crate::time::Time;

/// The longest sleep: after it a clock that was set is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(60);

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
    pub(super) dry_run: bool,
    pub(super) setup: Setup,
    pub(super) pipeline: Pipeline,
    pub(super) sources: Sources,
    pub(super) reports: ReportSources,
    pub(super) enforcement: Enforcement,
    pub(super) saved_table: SavedTable,
    pub(super) reloads: Reloads,
    pub(super) own_addresses: OwnAddresses,
    pub(super) protection_watch: ProtectionWatch,
    pub(super) privileges: Arc<dyn Privileges>,
    pub(super) calls: Receiver<Call>,
    pub(super) sender: SyncSender<Event>,
    pub(super) started: Time,
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndOfRun {
    /// A signal asked for it.
    Asked,
    /// All sources ended: standard input was closed.
    Read,
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
            match events.recv_timeout(self.max_wait()) {
                Ok(Event::Stop) => return EndOfRun::Asked,
                Ok(Event::Ended(follower)) if self.sources.is_current(follower) => return EndOfRun::Read,
                Ok(event) => self.react(event),
                Err(RecvTimeoutError::Timeout) => {}
                // All senders are gone, which includes our own: this cannot happen, and ending is the safe answer.
                Err(RecvTimeoutError::Disconnected) => return EndOfRun::Asked,
            }
            self.judge_reports();
            self.answer_calls();
            self.expire();
            if !self.dry_run {
                self.own_addresses.look_up_if_due(&self.privileges, &self.setup.config.allow, &self.sender);
                self.tell_protection_if_due();
            }
            self.enforcement.firewall.tidy();
            self.save_table_if_due();
            self.persist_if_due();
        }
    }

    fn react(&mut self, event: Event) {
        match event {
            Event::Lines(follower, batch) if self.sources.is_current(follower) => self.judge(&batch),
            Event::Firewall(event) => self.firewall_event(event),
            Event::Stored(commit) => self.stored(commit),
            Event::Reload => self.reloads.request(None, &self.setup),
            Event::Loaded(loaded) => self.loaded(*loaded),
            Event::OwnAddresses(allow, found) => self.own_addresses_found(&allow, found),
            // Batches of a follower that a reload replaced: the new one reads from the stored positions.
            Event::Lines(..) | Event::Ended(_) | Event::Called | Event::Reported | Event::Stop => {}
        }
    }

    /// How long to wait for an event: until the next ban ends or the next rows are due.
    fn max_wait(&self) -> Duration {
        let next_expiry = self.pipeline.engine.next_expiry();
        let waits = [
            next_expiry.map(|at| at.since(now()).unwrap_or_default()),
            self.enforcement.persist.due_in(),
            self.enforcement.firewall.due_in(),
            self.saved_table.due_in(),
            (!self.dry_run).then(|| self.protection_watch.due_in()),
        ];
        waits.into_iter().flatten().fold(MAX_SLEEP, Duration::min)
    }

    /// Judges every line of a batch; a ban goes to the firewall before the next line is looked at.
    fn judge(&mut self, batch: &Batch) {
        // Who is still banned now is in the table, and nobody else.
        self.expire();
        let now = now();
        let key = self.sources.key(batch);
        self.sources.warn_of_other_layout(&key, batch, &self.setup);
        let stream = self.pipeline.number_of(&key, || self.sources.stream(&key, &self.setup, now));
        self.pipeline.switch_file(stream, (batch.file.dev, batch.file.ino));
        if batch.first || batch.gap {
            self.pipeline.forget_last_line(stream);
        }
        self.pipeline.prime_last_line(stream, &batch.before);
        // We may have run for months: the year of a stamp is guessed from now, not from our start.
        self.pipeline.set_now(stream, now);
        if let Some(end) = &batch.file_end {
            self.pipeline.learn_from_end(stream, &end.lines, end.modified);
        }
        let mut sink = self.enforcement.sink(&key.source, now);
        self.pipeline.push(stream, &batch.bytes, when(batch, now), &mut sink);
        if self.pipeline.stream(stream).undated() > 0 {
            self.sources.warn_of_undated(&key);
        }
        let is_new = self.sources.note_position(&key, batch);
        if batch.bytes.is_empty() || is_new {
            // A file came or went: after a crash only its position tells what was written to it since.
            self.enforcement.persist.hurry();
        } else {
            self.enforcement.persist.touch();
        }
    }

    /// Judges the reports that wait, as many as there may be at a time.
    fn judge_reports(&mut self) {
        let now = now();
        while let Some((source, report)) = self.reports.take(now) {
            // Who is still banned now is in the table, and nobody else.
            self.expire();
            let Some(set) = self.setup.set_of_service(&source, report.local_port) else { continue };
            let Some(outcome) = self.pipeline.report(set, &report, now) else { continue };
            self.enforcement.sink(&source, now).take_report(set, &report, &outcome);
            self.enforcement.persist.touch();
        }
    }

    /// Ends the bans whose time is over.
    pub(super) fn expire(&mut self) {
        let ended = self.pipeline.engine.expire(now());
        self.enforcement.expire(ended);
    }

    fn firewall_event(&mut self, event: FirewallEvent) {
        match event {
            FirewallEvent::Note(level, text) => log::log!(level, "{text}"),
            FirewallEvent::Refused(prefixes, why) => {
                let named: Vec<String> = prefixes.iter().take(5).map(address::display).collect();
                log::error!("the firewall refuses {} of {}: {why}", named.join(", "), prefixes.len());
            }
            FirewallEvent::Foreign(prefixes) => self.manual_bans().adopt(&prefixes),
        }
    }

    /// A batch is written, or not; what the database lost is written again, what it found is taken over.
    fn stored(&mut self, commit: CommitResult) {
        self.enforcement.persist.stored(&commit);
        if commit.lost {
            self.pipeline.engine.mark_all_changed();
            self.sources.touch_positions();
        }
        if !commit.found.is_empty() {
            commit.found.into_iter().for_each(|row| self.pipeline.engine.restore(row));
            let bans = self.pipeline.engine.bans();
            self.enforcement.firewall.change(bans.map(|ban| Change::Add(ban.offender)));
            // They were stored when the allow list was another.
            self.unban_the_allowed("it is on the allow list now");
        }
    }

    /// Answers everybody who waits at the control socket.
    fn answer_calls(&mut self) {
        while let Ok(call) = self.calls.try_recv() {
            if let Some(accepted) = call.accept() {
                self.answer(accepted);
            }
        }
    }

    /// Answers a request; a change is answered once it is stored and, if that comes soon, the firewall followed.
    fn answer(&mut self, Accepted { request, peer, answer }: Accepted) {
        match request {
            Request::Ping => answer.send(Ok(Answer::Pong)),
            Request::Status => answer.send(Ok(Answer::Status(Box::new(self.snapshot().status())))),
            Request::Bans => answer.send(Ok(Answer::Bans(self.snapshot().bans()))),
            Request::Why { address } => {
                let report = self.snapshot().why(address);
                answers::with_history(report, &self.enforcement.persist, self.setup.zone.clone(), answer);
            }
            Request::Reload => self.reloads.request(Some(answer), &self.setup),
            Request::Ban { prefixes, length, reason, force } => {
                let banned = self.manual_bans().ban(&prefixes, length, &reason, force, &peer);
                answers::once_done(Answer::Banned(banned), &mut self.enforcement, answer);
            }
            Request::Unban(whom) => {
                let unbanned = self.manual_bans().unban(&whom, &peer);
                answers::once_done(Answer::Unbanned(unbanned), &mut self.enforcement, answer);
            }
        }
    }

    fn manual_bans(&mut self) -> ManualBans<'_> {
        ManualBans {
            setup: &self.setup,
            engine: &mut self.pipeline.engine,
            enforcement: &mut self.enforcement,
            can_force: !self.privileges.is_separate(),
        }
    }

    fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            setup: &self.setup,
            pipeline: &self.pipeline,
            sources: &self.sources,
            reports: &self.reports,
            enforcement: &self.enforcement,
            started: self.started,
            is_separate: self.privileges.is_separate(),
        }
    }

    /// Takes what a reload has read into force; on any error the running configuration stays.
    fn loaded(&mut self, loaded: ReloadResult) {
        let reply = match loaded.setup {
            Ok(setup) => Ok(Answer::Reloaded(self.apply(setup, loaded.own_addresses))),
            Err(refused) => Err(reload::refuse(&refused)),
        };
        self.reloads.finish(&reply, &self.setup);
    }

    /// Takes a valid configuration into force. Nobody is banned again, and only those are freed whom it allows.
    fn apply(&mut self, mut setup: Setup, own_addresses: Vec<Prefix>) -> Reloaded {
        let mut warnings = self.reloads.not_in_force(&setup.config);
        warnings.extend(reload::shrunk_files(&self.setup.allow_files, &setup.allow_files));
        if self.privileges.is_separate() {
            logger::start_relayed(setup.config.log.level);
        } else {
            logger::start(setup.log_to(self.dry_run), setup.config.log.level);
        }
        self.own_addresses.found = own_addresses;
        let desired: Vec<Prefix> = self.pipeline.engine.bans().map(|ban| ban.offender).collect();
        let settings = setup.firewall(self.dry_run);
        self.enforcement.firewall.reload(&*self.privileges, settings, desired, &self.sender);
        self.sources.reload(&setup);
        if !self.dry_run {
            warnings.extend(self.reports.reload(&setup.config.blocklists));
        }
        let settings = self.engine_settings(&setup);
        let freed = self.pipeline.engine.reload(settings, setup.policies(), now());
        self.pipeline.set_rules(setup.take_matcher(), |key| self.sources.terms(key, &setup));
        self.enforcement.persist.set_retention(setup.retention());
        self.setup = setup;
        self.enforcement.unban(&freed, "it is on the allow list now");
        self.enforcement.firewall.converge();
        self.enforcement.persist.hurry();
        self.protection_watch.hurry();
        reload::report(&self.setup, freed, warnings)
    }

    /// What the engine is to know, on this machine.
    fn engine_settings(&self, setup: &Setup) -> EngineSettings {
        setup.engine_settings(self.sources.max_files(), &self.own_addresses.found)
    }

    /// Takes over this machine's own addresses, unless another configuration wants others by now.
    fn own_addresses_found(&mut self, allow: &Allow, found: Vec<Prefix>) {
        self.own_addresses.is_looking_up = false;
        if *allow == self.setup.config.allow {
            self.own_addresses.found = found;
            self.unban_the_allowed("it is an address of this machine, its gateway or its resolver now");
        }
    }

    /// Ends the bans of whoever may not be banned, as the allow list stands.
    fn unban_the_allowed(&mut self, why: &str) {
        let settings = self.engine_settings(&self.setup);
        let freed = self.pipeline.engine.settings_changed(settings, now());
        self.enforcement.unban(&freed, why);
    }

    /// Has the table's file follow the bans.
    fn save_table_if_due(&mut self) {
        if self.enforcement.firewall.has_changed() {
            self.saved_table.touch();
        }
        self.saved_table.set_format(self.enforcement.firewall.file());
        if self.saved_table.due_in() == Some(Duration::ZERO) {
            self.saved_table.save(self.pipeline.engine.bans());
        }
    }

    fn tell_protection_if_due(&mut self) {
        if self.protection_watch.is_due() {
            let firewall = self.enforcement.firewall.status();
            let mut watch = std::mem::take(&mut self.protection_watch);
            watch.look(&firewall, || self.snapshot().not_protecting(&firewall));
            self.protection_watch = watch;
        }
    }

    fn persist_if_due(&mut self) {
        if self.enforcement.persist.is_due() {
            let rows = self.pipeline.engine.changes();
            self.enforcement.persist.send(rows, self.sources.position_changes(), now());
        }
    }
}
