//! Starting and ending the daemon: what it takes, in which order, and what is left behind.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use log::LevelFilter;
use nix::unistd::geteuid;

use super::core::{Daemon, EndOfRun, RunOptions};
use super::enforcement::Enforcement;
use super::error::NoStart;
use super::event::{Event, MAX_EVENTS, signals};
use super::firewalls::Firewalls;
use super::now;
use super::persist::Persist;
use super::protection_watch::ProtectionWatch;
use super::reload::{OwnAddresses, Reloads};
use super::reports::ReportSources;
use super::saved_table::SavedTable;
use super::sources::{Positions, Sources};
use crate::address::Prefix;
use crate::control::{Access, Call, Listener, Server, ServerLimits};
use crate::engine::Engine;
use crate::firewall::TableFile;
use crate::pipeline::Pipeline;
use crate::printable::count;
use crate::privileges::{self, ArmSays, Brain, OwnPrivileges, Privileges};
use crate::setup::{Setup, logger};
use crate::store::{Lock, Store};
use crate::{files, firewall, follow};

/// Bans that ended so lately may have ended without their entries: the firewall did not work, or we were killed.
const ENDED_LATELY: Duration = Duration::from_secs(24 * 3600);

/// Runs the daemon until SIGTERM, or until standard input as its only source ends; root's as two processes, unless the
/// configuration wants one.
///
/// # Errors
/// When it cannot start; once it runs, it goes on whatever happens.
pub fn run(options: RunOptions) -> Result<(), NoStart> {
    let RunOptions { config: file, dry_run, files } = options;
    let own = OwnPrivileges { file, dry_run, files: distinct(files) };
    if dry_run || !geteuid().is_root() {
        return run_alone(own);
    }
    match privileges::load(own.file.as_deref()).map_err(NoStart::Loader)? {
        Some(loaded) => Ok(privileges::run_arm(own.file.as_deref(), loaded)?),
        None => run_alone(own),
    }
}

/// Runs the process without rights, beside the one that has started it.
///
/// # Errors
/// As [`run`].
pub fn run_brain(file: Option<PathBuf>) -> Result<(), NoStart> {
    logger::start_relayed(LevelFilter::Info);
    let (brain, from_arm) = Brain::meet(file)?;
    privileges::confine()?;
    let setup = brain.load(&[])?;
    logger::start_relayed(setup.config.log.level);
    let (sender, events) = sync_channel(MAX_EVENTS);
    let (notices, listening) = from_arm.split();
    let tell = sender.clone();
    brain.listen(notices, move |said| {
        let event = if said == ArmSays::Reload { Event::Reload } else { Event::Stop };
        tell.send(event).is_ok()
    })?;
    let listening = listening.ok_or_else(|| io::Error::other("the arm has handed over no control socket"))?;
    let access = Access::of_root(setup.config.control.group.is_some());
    let listener = Listener::handed_over(listening, access);
    let run = Launch { setup, privileges: Arc::new(brain), dry_run: false, sender };
    run.until_the_end(Some(listener), events)
}

/// Runs with the rights that this process has.
fn run_alone(own: OwnPrivileges) -> Result<(), NoStart> {
    let setup = own.load(&[])?;
    logger::start(setup.log_to(own.dry_run), setup.config.log.level);
    if !own.dry_run && geteuid().is_root() {
        privileges::take_back(&setup.config.state).map_err(NoStart::State)?;
    }
    let (sender, events) = sync_channel(MAX_EVENTS);
    let dry_run = own.dry_run;
    Launch { setup, privileges: Arc::new(own), dry_run, sender }.until_the_end(None, events)
}

/// A start, before anything is taken.
struct Launch {
    setup: Setup,
    privileges: Arc<dyn Privileges>,
    dry_run: bool,
    sender: SyncSender<Event>,
}

impl Launch {
    /// `listener` is the control socket where another process has bound it.
    fn until_the_end(self, listener: Option<Listener>, events: Receiver<Event>) -> Result<(), NoStart> {
        logger::diagnostics(&self.setup.warnings);
        signals(self.sender.clone())?;
        let (callers, calls) = channel();
        let mut acquired = self.acquire(listener)?;
        let listener = acquired.listener.take();
        let sender = self.sender.clone();
        let mut daemon = self.assemble(acquired, calls)?;
        let server = match listener {
            Some(listener) => Some(serve(listener, callers, sender)?),
            None => None,
        };
        log::info!("{}", first_words(&daemon));
        let end = daemon.run(&events);
        drop(server);
        daemon.privileges.stop_listening();
        // Nobody takes events any more: threads that wait to send one go on and end.
        drop(events);
        stop(daemon, end);
        Ok(())
    }

    /// Takes the database, the socket and the firewall.
    ///
    /// Whatever may refuse the start comes before the firewall: nothing is changed in the table of a daemon that runs.
    fn acquire(&self, listener: Option<Listener>) -> Result<Acquired, NoStart> {
        let setup = &self.setup;
        let own_addresses = self.privileges.own_addresses(&setup.config.allow);
        let max_files = follow::files(&self.privileges.sources(setup));
        let mut engine = Engine::new(setup.engine_settings(max_files, &own_addresses), setup.policies());
        let Restored { store, positions, mut released } = self.restore(&mut engine)?;
        let listener = match listener {
            None if !self.dry_run => Some(bind(setup)?),
            listener => listener,
        };
        let blocklists = if self.dry_run { &[][..] } else { &setup.config.blocklists };
        let reports = ReportSources::start(&*self.privileges, blocklists, self.sender.clone())?;
        released.extend(no_longer_banned(&mut engine));
        let desired = engine.bans().map(|ban| ban.offender).collect();
        let settings = setup.firewall(self.dry_run);
        let firewall = Firewalls::open(&*self.privileges, settings, desired, released, &self.sender)?;
        Ok(Acquired { own_addresses, engine, store, positions, listener, reports, firewall })
    }

    /// Opens the database and gives the engine what is in it; a dry run has none.
    fn restore(&self, engine: &mut Engine) -> Result<Restored, NoStart> {
        if self.dry_run {
            return Ok(Restored::default());
        }
        let lock = Lock::acquire(&self.setup.config.state)?;
        let mut store = Store::open(lock, self.setup.retention(), now())?;
        let now = now();
        store.load(now, |row| engine.restore(row))?;
        engine.shrink_to_fit();
        let positions = Positions::restored(store.positions(now)?);
        let released = store.ended(now.minus(ENDED_LATELY), now)?;
        store.notices().iter().for_each(|notice| log::error!("{notice}"));
        Ok(Restored { store: Some(store), positions, released })
    }

    /// Puts the parts together.
    fn assemble(mut self, acquired: Acquired, calls: Receiver<Call>) -> Result<Daemon, NoStart> {
        let saved_table = self.save_table(&acquired.firewall)?;
        let persist = Persist::start(acquired.store, self.sender.clone())?;
        let sources = Sources::start(
            &self.setup,
            Arc::clone(&self.privileges),
            acquired.positions,
            self.sender.clone(),
        )?;
        Ok(Daemon {
            dry_run: self.dry_run,
            pipeline: Pipeline::new(self.setup.take_matcher(), acquired.engine, Vec::new()),
            sources,
            reports: acquired.reports,
            enforcement: Enforcement::new(acquired.firewall, persist),
            saved_table,
            reloads: Reloads::new(Arc::clone(&self.privileges), &self.setup.config, self.sender.clone()),
            own_addresses: OwnAddresses::new(acquired.own_addresses),
            protection_watch: ProtectionWatch::default(),
            privileges: self.privileges,
            calls,
            sender: self.sender,
            started: now(),
            setup: self.setup,
        })
    }

    /// The table's file stands beside the database that is ours, wherever a reload says that the next one is.
    fn save_table(&self, firewall: &Firewalls) -> io::Result<SavedTable> {
        if self.dry_run {
            return Ok(SavedTable::none());
        }
        let directory = files::directory_of(&self.setup.config.state).to_owned();
        let privileges = Arc::clone(&self.privileges);
        let write = move |format: Option<&TableFile>, prefixes: &[Prefix]| {
            privileges.save_table(&directory, format, prefixes)
        };
        SavedTable::start(Box::new(write), firewall.file())
    }
}

/// The same files without those that were named before, under whatever name: their lines would count twice.
fn distinct(files: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let identity = |path: &PathBuf| match path.metadata() {
        Ok(about) if path.as_os_str() != "-" => Ok(files::identity(&about)),
        // Standard input, or what may appear later.
        _ => Err(path.clone()),
    };
    files.into_iter().filter(|path| seen.insert(identity(path))).collect()
}

/// What is ours once the start cannot be refused any more.
struct Acquired {
    own_addresses: Vec<Prefix>,
    engine: Engine,
    store: Option<Store>,
    positions: Positions,
    listener: Option<Listener>,
    reports: ReportSources,
    firewall: Firewalls,
}

/// What an earlier run left behind, besides what the engine takes.
#[derive(Default)]
struct Restored {
    store: Option<Store>,
    positions: Positions,
    released: Vec<Prefix>,
}

/// Takes the control socket.
fn bind(setup: &Setup) -> Result<Listener, NoStart> {
    let control = &setup.config.control;
    let access = Access::for_group(control.group.as_deref())?;
    Ok(Listener::bind(&control.socket, access)?)
}

/// Bans that ended while nobody looked: they are still in the table, and nothing else tells them from others' entries.
fn no_longer_banned(engine: &mut Engine) -> Vec<Prefix> {
    let mut released = engine.expire(now());
    // The allow list may have grown meanwhile.
    let settings = engine.settings().clone();
    released.extend(engine.settings_changed(settings, now()));
    released
}

/// Starts to serve the control socket.
fn serve(listener: Listener, callers: Sender<Call>, sender: SyncSender<Event>) -> Result<Server, NoStart> {
    let hand_over = move |call| {
        // A full queue means that the daemon is awake, and looks for calls after each event.
        if callers.send(call).is_ok() {
            let _ = sender.try_send(Event::Called);
        }
    };
    Ok(Server::start(listener, ServerLimits::default(), hand_over)?)
}

fn first_words(daemon: &Daemon) -> String {
    let sets = count(daemon.setup.sets.len() as u64, "rule set");
    let sources = count((daemon.sources.count() + daemon.reports.count()) as u64, "source");
    let firewall = &daemon.enforcement.firewall;
    let nobody = if firewall.blocks_nobody() { ", which blocks nobody" } else { "" };
    format!("started: {sets}, {sources}, firewall {}{nobody}", firewall.status().backend)
}

/// Stores what is left, carries out what waits, and leaves the table in place unless the operator wants it empty.
fn stop(mut daemon: Daemon, end: EndOfRun) {
    daemon.sources.stop();
    daemon.expire();
    let rows = daemon.pipeline.engine.changes();
    let positions = daemon.sources.position_changes();
    // Its lock is held to the very end: another daemon must not work on the table while we do.
    let store = daemon.enforcement.persist.finish(rows, positions, now());
    let flush = daemon.setup.config.flush_on_exit && !daemon.dry_run;
    let status = daemon.enforcement.firewall.stop(flush);
    daemon.saved_table.finish(daemon.pipeline.engine.bans().filter(|_| !flush));
    if let Some(problem) = &status.last_error {
        log::error!("the firewall is not in step at the end: {problem}");
    }
    match end {
        EndOfRun::Asked => log::info!("{}", last_words(flush, &status)),
        EndOfRun::Read => log::info!("all sources have ended"),
    }
    drop(store);
}

/// What became of the table, by what the firewall's worker says and not by what it was told.
fn last_words(flush: bool, status: &firewall::WorkerStatus) -> String {
    let is_done = status.last_error.is_none() && status.pending == 0;
    match flush {
        true if is_done => "stopped; the table was emptied".to_owned(),
        true => "stopped; the table could not be emptied: bans may still be in it".to_owned(),
        false if is_done => "stopped; the table stays as it is".to_owned(),
        false => format!("stopped; the table stays as it is, {} changes were not made", status.pending),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_what_happened_and_not_what_was_wanted() {
        let done = firewall::WorkerStatus::default();
        let hung = firewall::WorkerStatus { last_error: Some("it hangs".to_owned()), ..done.clone() };
        assert!(last_words(true, &done).ends_with("the table was emptied"));
        assert!(last_words(true, &hung).contains("could not be emptied"));
        assert!(
            last_words(true, &firewall::WorkerStatus { pending: 1, ..done.clone() }).contains("could not be")
        );
        assert!(last_words(false, &done).ends_with("stays as it is"));
        assert!(
            last_words(false, &firewall::WorkerStatus { pending: 3, ..done })
                .ends_with("3 changes were not made")
        );
    }
}
