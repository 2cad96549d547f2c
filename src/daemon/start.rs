//! Starting and ending the daemon: what it takes, in which order, and what is left behind.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Duration;

use nix::unistd::Group;
use thiserror::Error;

use super::core::{Daemon, EndOfRun, RunOptions, finish, now};
use super::event::{Event, QUEUE, signals};
use super::evidence::RecentLines;
use super::feed::FollowerThread;
use super::firewalls::Firewalls;
use super::logger;
use super::persist::Persist;
use super::positions::Positions;
use super::reload::Reloads;
use super::report;
use super::saved_table::SavedTable;
use super::streams::Streams;
use super::tally::Tallies;
use crate::address::Prefix;
use crate::control::{Access, BindError, Call, Listener, Server, ServerLimits};
use crate::engine::Engine;
use crate::pipeline::Pipeline;
use crate::printable::count;
use crate::setup::{Refused, Setup, local_addresses};
use crate::store::{Lock, Store, StoreError};
use crate::{files, firewall, follow};

/// Bans that ended so lately may have ended without their entries: the firewall did not work, or we were killed.
const ENDED_OF_LATE: Duration = Duration::from_secs(24 * 3600);

/// Why the daemon does not start; a sentence for the operator.
#[derive(Debug, Error)]
pub enum NoStart {
    /// The configuration has errors.
    #[error(transparent)]
    Config(#[from] Refused),
    /// The firewall's settings cannot work.
    #[error(transparent)]
    Firewall(#[from] firewall::Unusable),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The socket cannot be used.
    #[error(transparent)]
    Control(#[from] BindError),
    /// The group that may ask does not exist.
    #[error(
        "`control: {{group: {0}}}`: there is no such group; make it with pw(8) or groupadd, or drop the key"
    )]
    Group(String),
    /// The system refuses threads or signals.
    #[error("the system does not let the daemon start: {0}")]
    System(#[from] io::Error),
}

/// Runs the daemon until SIGTERM, or until standard input as its only source ends.
///
/// # Errors
/// When it cannot start; once it runs, it goes on whatever happens.
pub fn run(mut options: RunOptions) -> Result<(), NoStart> {
    options.files = distinct(options.files);
    let setup = Setup::load_to_run(options.config.as_deref(), options.dry_run, &[])?;
    logger::start(setup.log_to(options.dry_run), setup.config.log.level);
    report::diagnostics(&setup.warnings);
    let (sender, events) = sync_channel(QUEUE);
    signals(sender.clone())?;
    let (callers, calls) = channel();
    let (mut daemon, listener) = assemble(options, setup, sender, calls)?;
    let server = listener.map(|listener| serve(listener, &daemon, callers)).transpose()?;
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

fn first_words(daemon: &Daemon) -> String {
    let sets = count(daemon.setup.sets.len() as u64, "rule set");
    let sources = count(daemon.follower.sources() as u64, "source");
    let nobody = if daemon.firewall.blocks_nobody() { ", which blocks nobody" } else { "" };
    format!("started: {sets}, {sources}, firewall {}{nobody}", daemon.firewall.status().backend)
}

/// Puts the parts together, with what an earlier run left behind.
fn assemble(
    options: RunOptions,
    mut setup: Setup,
    sender: SyncSender<Event>,
    calls: Receiver<Call>,
) -> Result<(Daemon, Option<Listener>), NoStart> {
    let sources = setup.followed(&options.files);
    let Acquired { own, engine, store, positions, listener, firewall } =
        take(&options, &setup, follow::files(&sources), &sender)?;
    let pipeline = Pipeline::new(setup.take_matcher(), engine, Vec::new());
    let reloads = Reloads::new(&setup.config);
    let how = setup.follow_options();
    let follower = FollowerThread::start(0, sources, &positions.all(), how, setup.stamp_formats(), &sender)?;
    let saved = save_table(&options, &setup, &firewall)?;
    let streams = Streams::new(!options.files.is_empty());
    let daemon = Daemon {
        persist: Persist::start(store, sender.clone())?,
        options,
        setup,
        pipeline,
        firewall,
        saved,
        follower,
        positions,
        streams,
        missed: HashSet::new(),
        calls,
        sender,
        evidence: RecentLines::default(),
        tallies: Tallies::default(),
        started: now(),
        own,
        reloads,
    };
    Ok((daemon, listener))
}

/// The table's file stands beside the database that is ours, wherever a reload says that the next one is.
fn save_table(options: &RunOptions, setup: &Setup, firewall: &Firewalls) -> io::Result<SavedTable> {
    if options.dry_run {
        return Ok(SavedTable::none());
    }
    SavedTable::start(files::directory_of(&setup.config.state), firewall.file())
}

/// What is ours once the start cannot be refused any more.
struct Acquired {
    own: Vec<Prefix>,
    engine: Engine,
    store: Option<Store>,
    positions: Positions,
    listener: Option<Listener>,
    firewall: Firewalls,
}

/// Takes the database, the socket and the firewall.
///
/// Whatever may refuse the start comes before the firewall: nothing is changed in the table of a daemon that runs.
fn take(
    options: &RunOptions,
    setup: &Setup,
    files: usize,
    sender: &SyncSender<Event>,
) -> Result<Acquired, NoStart> {
    // A log to try things out on may be another machine's.
    let own = if options.dry_run { Vec::new() } else { local_addresses::prefixes(&setup.config.allow) };
    let settings = setup.engine_settings(files, &own);
    let mut engine = Engine::new(settings, setup.policies());
    let Restored { store, positions, mut released } = restore(options, setup, &mut engine)?;
    let listener = bind(options, setup)?;
    released.extend(no_longer_banned(&mut engine));
    let desired = engine.bans().map(|ban| ban.offender).collect();
    let settings = setup.firewall(options.dry_run);
    let firewall = Firewalls::open(settings, desired, released, sender)?;
    Ok(Acquired { own, engine, store, positions, listener, firewall })
}

/// Bans that ended while nobody looked: they are still in the table, and nothing else tells them from others' entries.
fn no_longer_banned(engine: &mut Engine) -> Vec<Prefix> {
    let mut released = engine.expire(now());
    // The allow list may have grown meanwhile.
    let settings = engine.settings().clone();
    released.extend(engine.settings_changed(settings, now()));
    released
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
    let mut store = open_store(setup)?;
    let now = now();
    store.load(now, |row| engine.restore(row))?;
    engine.shrink_to_fit();
    let positions = Positions::restored(store.positions(now)?);
    let released = store.ended(now.minus(ENDED_OF_LATE), now)?;
    store.notices().iter().for_each(|notice| log::error!("{notice}"));
    Ok(Restored { store: Some(store), positions, released })
}

/// The database that the configuration names, locked for us.
pub(super) fn open_store(setup: &Setup) -> Result<Store, StoreError> {
    Store::open(Lock::acquire(&setup.config.state)?, setup.retention(), now())
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

/// Lets callers in.
fn serve(
    listener: Listener,
    daemon: &Daemon,
    callers: std::sync::mpsc::Sender<Call>,
) -> Result<Server, NoStart> {
    let sender = daemon.sender.clone();
    let hand_over = move |call| {
        // A full queue means that the daemon is awake, and looks for calls after each event.
        if callers.send(call).is_ok() {
            let _ = sender.try_send(Event::Called);
        }
    };
    Ok(Server::start(listener, ServerLimits::default(), hand_over)?)
}

fn gid(name: &str) -> Result<u32, NoStart> {
    let group = Group::from_name(name).map_err(io::Error::from)?;
    group.map(|group| group.gid.as_raw()).ok_or_else(|| NoStart::Group(name.to_owned()))
}

/// Stores what is left, carries out what waits, and leaves the table in place unless the operator wants it empty.
fn stop(mut daemon: Daemon, end: EndOfRun) {
    daemon.follower.stop();
    daemon.expire();
    // Its lock is held to the very end: another daemon must not work on the table while we do.
    let store = finish(&mut daemon);
    let flush = daemon.setup.config.flush_on_exit && !daemon.options.dry_run;
    let status = daemon.firewall.stop(flush);
    daemon.saved.finish(daemon.pipeline.engine.bans().filter(|_| !flush));
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
    let waiting = status.pending;
    match (flush, status.last_error.is_none() && waiting == 0) {
        (true, true) => "stopped; the table was emptied".to_owned(),
        (true, false) => "stopped; the table could not be emptied: bans may still be in it".to_owned(),
        (false, true) => "stopped; the table stays as it is".to_owned(),
        (false, false) => format!("stopped; the table stays as it is, {waiting} changes were not made"),
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
