//! `unban --offline`: the database and the table directly, when the daemon is down.

use std::path::Path;

use super::error::NotDone;
use super::{manual_bans, now, saved_table};
use crate::address::Prefix;
use crate::control::reply::{FirewallEffect, Unbanned};
use crate::control::{Listener, Unban};
use crate::engine::Engine;
use crate::files;
use crate::firewall::{self, Backend, Change, TableFile};
use crate::setup::Setup;
use crate::store::{Lock, Store, WriteBatch};

/// Ends bans in the database and takes them out of the table.
///
/// # Errors
/// When the configuration or the database cannot be used; what the firewall says is in the answer.
pub fn unban_offline(file: Option<&Path>, whom: &Unban) -> Result<Unbanned, NotDone> {
    let setup = Setup::load(file)?;
    let mut store = take_store(&setup)?;
    let mut engine = Engine::new(setup.engine_settings(1, &[]), setup.policies());
    let now = now();
    store.load(now, |row| engine.restore(row))?;
    let mut answer = manual_bans::unbanned(whom, engine.unban(&whom.prefixes(), now));
    store.commit(WriteBatch { now, rows: engine.changes(), ..WriteBatch::default() })?;
    answer.kept.stored = true;
    answer.firewall = effect(&setup, &answer.unbanned);
    let format = TableFile::of(&setup.config.firewall);
    let directory = files::directory_of(&setup.config.state);
    if let Err(error) = saved_table::write_now(directory, format.as_ref(), engine.bans()) {
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
        return Err(NotDone::Elsewhere { socket: socket.clone(), state: setup.config.state.clone() });
    }
    Ok(Store::open(lock, setup.retention(), now())?)
}

fn effect(setup: &Setup, freed: &[Prefix]) -> FirewallEffect {
    let settings = &setup.config.firewall;
    let done = firewall::open(settings).map_err(|why| why.to_string()).and_then(|mut backend| {
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
