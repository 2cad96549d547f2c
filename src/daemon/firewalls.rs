//! The firewall in force, and those that a reload replaced: their tables go on blocking until the new one does.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender, channel};
use std::time::Duration;

use super::error::NoStart;
use super::event::{Event, forward};
use crate::address::Prefix;
use crate::firewall::{self, Change, TableFile, WorkerHandle, WorkerStatus};
use crate::privileges::Privileges;
use crate::settings::{BackendKind, FirewallSettings};

/// How often to check whether an old table can be emptied.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// All firewalls that are being driven; the last reload decides which one counts.
pub(super) struct Firewalls {
    now: Arc<WorkerHandle>,
    settings: FirewallSettings,
    /// Replaced, and kept in step until [`Self::now`] is.
    old: Vec<(Arc<WorkerHandle>, FirewallSettings)>,
    /// Workers whose tables are being emptied.
    leaving: Vec<(Arc<WorkerHandle>, FirewallSettings)>,
    /// Whether changes were handed over since [`Self::has_changed`] was called.
    changed: Cell<bool>,
}

impl Firewalls {
    /// Starts the worker; it brings the table in step at once.
    pub(super) fn open(
        privileges: &dyn Privileges,
        settings: FirewallSettings,
        desired: Vec<Prefix>,
        released: Vec<Prefix>,
        sender: &SyncSender<Event>,
    ) -> Result<Self, NoStart> {
        let backend = privileges.backend(&settings)?;
        let now = Arc::new(firewall::spawn(backend, desired, released, &settings, events(sender)?)?);
        Ok(Self { now, settings, old: Vec::new(), leaving: Vec::new(), changed: Cell::default() })
    }

    /// Hands over changes, to the old tables as well: one that still blocks must let go of whom the operator frees.
    pub(super) fn change(&self, changes: impl IntoIterator<Item = Change>) {
        self.changed.set(true);
        if self.old.is_empty() {
            return self.now.change(changes);
        }
        let changes: Vec<Change> = changes.into_iter().collect();
        let all = self.old.iter().map(|(old, _)| old).chain([&self.now]);
        all.for_each(|handle| handle.change(changes.iter().copied()));
    }

    /// Whether changes were handed over since it was asked before.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.take()
    }

    /// The file that this firewall reads at boot.
    pub(super) fn file(&self) -> Option<TableFile> {
        TableFile::of(&self.settings)
    }

    pub(super) fn converge(&self) {
        self.now.converge();
    }

    pub(super) fn status(&self) -> WorkerStatus {
        self.now.status()
    }

    /// Whether nobody is blocked, whatever is decided: what is said must not claim it.
    pub(super) fn blocks_nobody(&self) -> bool {
        self.settings.backend == BackendKind::DryRun
    }

    /// The verb for a ban in the log.
    pub(super) fn banned(&self) -> &'static str {
        if self.blocks_nobody() { "would ban" } else { "banned" }
    }

    /// The verb for the end of a ban in the log.
    pub(super) fn unbanned(&self) -> &'static str {
        if self.blocks_nobody() { "would unban" } else { "unbanned" }
    }

    /// The current worker, for threads that wait until changes are made.
    pub(super) fn handle(&self) -> Arc<WorkerHandle> {
        Arc::clone(&self.now)
    }

    /// Whether an old table is still in use.
    pub(super) fn is_moving(&self) -> bool {
        !self.old.is_empty()
    }

    /// Drives the firewall by other settings, unless they cannot work.
    pub(super) fn reload(
        &mut self,
        privileges: &dyn Privileges,
        settings: FirewallSettings,
        desired: Vec<Prefix>,
        sender: &SyncSender<Event>,
    ) {
        if settings == self.settings {
            return;
        }
        if let Err(why) = self.replace(privileges, settings, desired, sender) {
            log::error!("the firewall's new settings are not used: {why}");
        }
    }

    /// Another table is filled before the old one is emptied.
    fn replace(
        &mut self,
        privileges: &dyn Privileges,
        settings: FirewallSettings,
        desired: Vec<Prefix>,
        sender: &SyncSender<Event>,
    ) -> Result<(), NoStart> {
        let backend = privileges.backend(&settings)?;
        let events = events(sender)?;
        let new = match self.driver_of(&settings) {
            Some(old) => firewall::spawn_after(old, backend, desired, &settings, events)?,
            None => firewall::spawn(backend, desired, Vec::new(), &settings, events)?,
        };
        let before = std::mem::replace(&mut self.settings, settings);
        self.old.push((std::mem::replace(&mut self.now, Arc::new(new)), before));
        // Whoever drove this very table has handed it over.
        self.old.retain(|(_, old)| !same_table(old, &self.settings));
        if let Some((_, old)) = self.old.last() {
            log::info!("{} stays as it is until {} is in step", named(old), named(&self.settings));
        }
        Ok(())
    }

    /// Who drives the same table, or did until a moment ago.
    fn driver_of(&self, settings: &FirewallSettings) -> Option<&WorkerHandle> {
        let others = self.old.iter().chain(&self.leaving).map(|(handle, old)| (handle, old));
        let mut all = others.chain([(&self.now, &self.settings)]);
        all.find(|(_, old)| same_table(old, settings)).map(|(handle, _)| handle.as_ref())
    }

    /// How long [`Self::tidy`] may be put off; `None` when there is nothing to tidy.
    pub(super) fn due_in(&self) -> Option<Duration> {
        (!self.old.is_empty() || !self.leaving.is_empty()).then_some(TIDY_EVERY)
    }

    /// Has the old tables emptied once the new one is in step. Never waits.
    pub(super) fn tidy(&mut self) {
        if !self.old.is_empty() && self.now.status().in_step {
            for (handle, settings) in self.old.drain(..) {
                log::info!("{} is in step; {} is emptied", named(&self.settings), named(&settings));
                handle.empty();
                self.leaving.push((handle, settings));
            }
        }
        let before = self.leaving.len();
        self.leaving.retain(|(handle, _)| !handle.has_ended());
        if self.leaving.len() < before {
            // Two sets of programs may have driven one and the same table.
            self.now.converge();
        }
    }

    /// Ends all; waits as [`WorkerHandle::stop`] does. Old tables that still block are emptied as well, or stay.
    pub(super) fn stop(&self, flush: bool) -> WorkerStatus {
        if flush {
            self.old.iter().for_each(|(old, _)| old.empty());
        }
        let status = self.now.stop(flush);
        for (old, settings) in self.old.iter().chain(&self.leaving) {
            let left = old.stop(flush).entries;
            if left > 0 {
                log::warn!("{} still holds {left} entries, and nobody removes them now", named(settings));
            }
        }
        status
    }
}

fn events(sender: &SyncSender<Event>) -> Result<Sender<firewall::FirewallEvent>, NoStart> {
    let (events, told) = channel();
    forward("firewall events", told, sender.clone(), Event::Firewall)?;
    Ok(events)
}

/// Whether both drive one table. Other programs of the operator may block somewhere else.
fn same_table(a: &FirewallSettings, b: &FirewallSettings) -> bool {
    let table = |s: &FirewallSettings| (s.backend, s.table.clone(), s.anchor.clone(), s.command.clone());
    table(a) == table(b)
}

fn named(settings: &FirewallSettings) -> String {
    if settings.backend == BackendKind::Command {
        return "the firewall of the configured programs".to_owned();
    }
    let table = format!("the {} table {}", settings.backend.as_str(), settings.table);
    match &settings.anchor {
        Some(anchor) => format!("{table} in the anchor {anchor}"),
        None => table,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_programs_are_another_table_and_another_timeout_is_not() {
        let one = FirewallSettings { backend: BackendKind::Command, ..FirewallSettings::default() };
        let slower = FirewallSettings { timeout: one.timeout * 2, ..one.clone() };
        assert!(same_table(&one, &slower));
        let mut other = one.clone();
        other.command.add = vec!["/usr/local/bin/block".to_owned()];
        assert!(!same_table(&one, &other));
        assert!(!same_table(&one, &FirewallSettings { table: "other".to_owned(), ..one.clone() }));
    }
}
