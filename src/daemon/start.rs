//! Starting and ending the daemon: what it takes, in which order, and what is left behind.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use nix::unistd::Group;

use super::core::{Daemon, EndOfRun, RunOptions};
use super::enforcement::Enforcement;
use super::error::NoStart;
use super::event::{Event, MAX_EVENTS, signals};
use super::firewalls::Firewalls;
use super::now;
use super::persist::Persist;
use super::protection_watch::ProtectionWatch;
use super::reload::{OwnAddresses, Reloads};
use super::reports::{self, BoundSource, ReportSources};
use super::saved_table::SavedTable;
use super::sources::{Positions, Sources};
use crate::address::Prefix;
use crate::config::ThisMachine;
use crate::control::{Access, Call, Listener, Server, ServerLimits};
use crate::engine::Engine;
use crate::pipeline::Pipeline;
use crate::printable::count;
use crate::setup::{Setup, local_addresses, logger};
use crate::store::{Lock, Store};
use crate::{files, firewall, follow};

/// Bans that ended so lately may have ended without their entries: the firewall did not work, or we were killed.
const ENDED_LATELY: Duration = Duration::from_secs(24 * 3600);

/// Runs the daemon until SIGTERM, or until standard input as its only source ends.
///
/// # Errors
/// When it cannot start; once it runs, it goes on whatever happens.
pub fn run(mut options: RunOptions) -> Result<(), NoStart> {
    options.files = distinct(options.files);
    let setup = Setup::load_to_run(&ThisMachine, options.config.as_deref(), options.dry_run, &[])?;
    logger::start(setup.log_to(options.dry_run), setup.config.log.level);
    logger::diagnostics(&setup.warnings);
    let (sender, events) = sync_channel(MAX_EVENTS);
    signals(sender.clone())?;
    let (callers, calls) = channel();
    let mut acquired = acquire(&options, &setup, &sender)?;
    let listener = acquired.listener.take();
    let mut daemon = assemble(options, setup, acquired, sender.clone(), calls)?;
    let server = match listener {
        Some(listener) => Some(serve(listener, callers, sender)?),
        None => None,
    };
    log::info!("{}", first_words(&daemon));
    let end = daemon.run(&events);
    drop(server);
    // Nobody takes events any more: threads that wait to send one go on and end.
    drop(events);
    stop(daemon, end);
    Ok(())
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
    report_sockets: Vec<BoundSource>,
    firewall: Firewalls,
}

/// Takes the database, the socket and the firewall.
///
/// Whatever may refuse the start comes before the firewall: nothing is changed in the table of a daemon that runs.
fn acquire(options: &RunOptions, setup: &Setup, sender: &SyncSender<Event>) -> Result<Acquired, NoStart> {
    // A log to try things out on may be another machine's.
    let own_addresses =
        if options.dry_run { Vec::new() } else { local_addresses::prefixes(&setup.config.allow) };
    let max_files = follow::files(&setup.followed(&options.files));
    let mut engine = Engine::new(setup.engine_settings(max_files, &own_addresses), setup.policies());
    let Restored { store, positions, mut released } = restore(options, setup, &mut engine)?;
    let listener = bind(options, setup)?;
    let takes_reports = !options.dry_run && options.files.is_empty();
    let report_sockets = if takes_reports { reports::bind(&setup.config.blocklists)? } else { Vec::new() };
    released.extend(no_longer_banned(&mut engine));
    let desired = engine.bans().map(|ban| ban.offender).collect();
    let firewall = Firewalls::open(setup.firewall(options.dry_run), desired, released, sender)?;
    Ok(Acquired { own_addresses, engine, store, positions, listener, report_sockets, firewall })
}

/// What an earlier run left behind, besides what the engine takes.
#[derive(Default)]
struct Restored {
    store: Option<Store>,
    positions: Positions,
    released: Vec<Prefix>,
}

/// Opens the database and gives the engine what is in it; a dry run has none.
fn restore(options: &RunOptions, setup: &Setup, engine: &mut Engine) -> Result<Restored, NoStart> {
    if options.dry_run {
        return Ok(Restored::default());
    }
    let mut store = Store::open(Lock::acquire(&setup.config.state)?, setup.retention(), now())?;
    let now = now();
    store.load(now, |row| engine.restore(row))?;
    engine.shrink_to_fit();
    let positions = Positions::restored(store.positions(now)?);
    let released = store.ended(now.minus(ENDED_LATELY), now)?;
    store.notices().iter().for_each(|notice| log::error!("{notice}"));
    Ok(Restored { store: Some(store), positions, released })
}

/// Takes the control socket; a dry run has none.
fn bind(options: &RunOptions, setup: &Setup) -> Result<Option<Listener>, NoStart> {
    if options.dry_run {
        return Ok(None);
    }
    let control = &setup.config.control;
    let group = control.group.as_deref().map(gid).transpose()?;
    Ok(Some(Listener::bind(&control.socket, Access::of_this_process(group))?))
}

fn gid(name: &str) -> Result<u32, NoStart> {
    match Group::from_name(name).map_err(io::Error::from)? {
        Some(group) => Ok(group.gid.as_raw()),
        None => Err(NoStart::Group(name.to_owned())),
    }
}

/// Bans that ended while nobody looked: they are still in the table, and nothing else tells them from others' entries.
fn no_longer_banned(engine: &mut Engine) -> Vec<Prefix> {
    let mut released = engine.expire(now());
    // The allow list may have grown meanwhile.
    let settings = engine.settings().clone();
    released.extend(engine.settings_changed(settings, now()));
    released
}

/// Puts the parts together.
fn assemble(
    options: RunOptions,
    mut setup: Setup,
    acquired: Acquired,
    sender: SyncSender<Event>,
    calls: Receiver<Call>,
) -> Result<Daemon, NoStart> {
    let RunOptions { config: file, dry_run, files } = options;
    let saved_table = save_table(dry_run, &setup, &acquired.firewall)?;
    let persist = Persist::start(acquired.store, sender.clone())?;
    Ok(Daemon {
        dry_run,
        pipeline: Pipeline::new(setup.take_matcher(), acquired.engine, Vec::new()),
        sources: Sources::start(
            &setup,
            Arc::new(follow::ThisProcess),
            files,
            acquired.positions,
            sender.clone(),
        )?,
        reports: ReportSources::start(acquired.report_sockets, sender.clone())?,
        enforcement: Enforcement::new(acquired.firewall, persist),
        saved_table,
        reloads: Reloads::new(file, dry_run, &setup.config, sender.clone()),
        own_addresses: OwnAddresses::new(acquired.own_addresses),
        protection_watch: ProtectionWatch::default(),
        calls,
        sender,
        started: now(),
        setup,
    })
}

/// The table's file stands beside the database that is ours, wherever a reload says that the next one is.
fn save_table(dry_run: bool, setup: &Setup, firewall: &Firewalls) -> io::Result<SavedTable> {
    if dry_run {
        return Ok(SavedTable::none());
    }
    SavedTable::start(files::directory_of(&setup.config.state), firewall.file())
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
