//! `unban --offline`: the database and the table directly, when the daemon is down.

use std::path::Path;

use thiserror::Error;

use super::core::now;
use super::setup::{Refused, Setup};
use super::{mapping, requests, start};
use crate::address::Prefix;
use crate::control::Unban;
use crate::control::reply::{Effect, Unbanned};
use crate::engine::Engine;
use crate::firewall::{self, Backend, Change};
use crate::store::{Batch, StoreError};

/// Why nothing was done; a sentence for the operator.
#[derive(Debug, Error)]
pub enum NotDone {
    /// The configuration has errors.
    #[error(transparent)]
    Config(#[from] Refused),
    /// The database cannot be used, as when the daemon runs and has it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ends bans in the database and takes them out of the table.
///
/// # Errors
/// When the configuration or the database cannot be used; what the firewall says is in the answer.
pub fn unban_offline(file: Option<&Path>, whom: &Unban) -> Result<Unbanned, NotDone> {
    let setup = Setup::load(file)?;
    let mut store = start::open_store(&setup)?;
    let mut engine = Engine::new(mapping::engine(&setup.config, 1), setup.policies());
    let now = now();
    store.load(now, |row| engine.restore(row))?;
    let mut answer = requests::unbanned(whom, engine.unban(&whom.prefixes(), now));
    store.commit(Batch { now, rows: engine.changes(), ..Batch::default() })?;
    answer.kept.stored = true;
    answer.firewall = effect(&setup, &answer.unbanned);
    Ok(answer)
}

fn effect(setup: &Setup, freed: &[Prefix]) -> Effect {
    let settings = mapping::firewall(&setup.config, false);
    let done = firewall::open(&settings).map_err(|why| why.to_string()).and_then(|mut backend| {
        backend.prepare().map_err(|failure| failure.to_string())?;
        remove(&mut *backend, freed)
    });
    let pending = if done.is_ok() { 0 } else { freed.len() as u64 };
    Effect { backend: settings.backend, done: done.is_ok(), pending, problem: done.err() }
}

fn remove(backend: &mut dyn Backend, freed: &[Prefix]) -> Result<(), String> {
    let changes: Vec<Change> = freed.iter().copied().map(Change::Remove).collect();
    let mut chunks = changes.chunks(backend.limits().entries.max(1));
    chunks.try_for_each(|chunk| backend.apply(chunk).map_err(|failure| failure.to_string()))
}
