//! `unban --offline`: the database and the table directly, when the daemon is down.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::error::{NoStart, NotDone};
use super::{manual_bans, now, saved_table};
use crate::address::Prefix;
use crate::control::reply::{FirewallEffect, Unbanned};
use crate::control::{Listener, Unban};
use crate::engine::Engine;
use crate::files;
use crate::firewall::{Backend, Change, TableFile};
use crate::privileges::{self, Brain, Elsewhere, Privileges, take_back};
use crate::setup::Setup;
use crate::store::{Lock, Store, WriteBatch};

/// Has this very command run by the account that has the database, where root is to have nothing to do with it; false where
/// the configuration has errors, or wants one process.
///
/// # Errors
/// As the command ends, having said why.
pub(crate) fn run_beside_arm(file: Option<&Path>) -> Result<bool, NoStart> {
    if !geteuid().is_root() {
        return Ok(false);
    }
    let Some(loaded) = privileges::load(file).map_err(NoStart::Loader)? else { return Ok(false) };
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    privileges::run_command(file, loaded, &words)?;
    Ok(true)
}

/// The other process's side of that.
///
/// # Errors
/// When nobody is there to do what needs rights.
pub(crate) fn meet_arm(file: Option<PathBuf>) -> Result<Brain, NoStart> {
    let (brain, _no_notices) = Brain::meet(file)?;
    privileges::confine()?;
    Ok(brain)
}

/// Ends bans in the database and takes them out of the table.
///
/// # Errors
/// When the configuration or the database cannot be used; what the firewall says is in the answer.
pub(crate) fn unban_offline(
    privileges: &dyn Privileges,
    setup: &Setup,
    whom: &Unban,
) -> Result<Unbanned, NotDone> {
    if !privileges.is_separate() && geteuid().is_root() {
        take_back(&setup.config.state).map_err(NotDone::State)?;
    }
    let mut store = take_store(setup)?;
    let mut engine = Engine::new(setup.engine_settings(1, &[]), setup.policies());
    let now = now();
    store.load(now, |row| engine.restore(row))?;
    let mut answer = manual_bans::unbanned(whom, engine.unban(&whom.prefixes(), now));
    store.commit(WriteBatch { now, rows: engine.changes(), ..WriteBatch::default() })?;
    answer.kept.stored = true;
    answer.firewall = effect(privileges, setup, &answer.unbanned);
    let format = TableFile::of(&setup.config.firewall);
    let directory = files::directory_of(&setup.config.state);
    let bans = saved_table::lasting(format.as_ref(), engine.bans());
    if let Err(error) = privileges.save_table(directory, format.as_ref(), &bans) {
        // It would block again at the next boot, until the daemon starts.
        (answer.firewall.done, answer.firewall.pending) = (false, answer.unbanned.len() as u64);
        answer.firewall.problem.get_or_insert_with(|| error.to_string());
    }
    Ok(answer)
}

/// Whoever has the lock of this database and not that of the socket may still not be alone with the table.
fn take_store(setup: &Setup) -> Result<Store, NotDone> {
    let lock = Lock::acquire(&setup.config.state)?;
    let socket = &setup.config.control.socket;
    if Listener::is_taken(socket) {
        return Err(Elsewhere::of(socket, &setup.config.state).into());
    }
    Ok(Store::open(lock, setup.retention(), now())?)
}

fn effect(privileges: &dyn Privileges, setup: &Setup, freed: &[Prefix]) -> FirewallEffect {
    let settings = &setup.config.firewall;
    let done = privileges.backend(settings).map_err(|why| why.to_string()).and_then(|mut backend| {
        backend.prepare().map_err(|failure| failure.to_string())?;
        remove(&mut *backend, freed)
    });
    let pending = if done.is_ok() { 0 } else { freed.len() as u64 };
    // Whoever is freed need not be told what keeps others from being blocked.
    let warnings = Vec::new();
    FirewallEffect {
        backend: settings.backend.as_str().to_owned(),
        done: done.is_ok(),
        pending,
        problem: done.err(),
        warnings,
    }
}

fn remove(backend: &mut dyn Backend, freed: &[Prefix]) -> Result<(), String> {
    let changes: Vec<Change> = freed.iter().copied().map(Change::Remove).collect();
    let mut chunks = changes.chunks(backend.limits().entries.max(1));
    chunks.try_for_each(|chunk| backend.apply(chunk).map_err(|failure| failure.to_string()))
}
