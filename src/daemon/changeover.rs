//! From one firewall worker to the next at a reload: nobody comes back who was freed, and the gate never opens.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crate::address::Prefix;
use crate::firewall::{Change, Handle, Settings};

/// How often the old worker asks whether the new one is done.
const LOOK: Duration = Duration::from_millis(200);

/// Prefixes that are to leave the table, as far as that may not be done yet. Nothing else tells them from entries that
/// others made, so a new worker on the same table must know of them.
#[derive(Debug, Default)]
pub(super) struct Leaving(HashSet<Prefix>);

impl Leaving {
    /// Has the prefixes taken out.
    pub(super) fn add(&mut self, firewall: &Handle, prefixes: &[Prefix]) {
        if firewall.status().in_step {
            self.0 = HashSet::new();
        }
        self.0.extend(prefixes);
        firewall.change(prefixes.iter().copied().map(Change::Remove));
    }

    /// What a new worker on the same table is to take out.
    pub(super) fn owed(&self) -> Vec<Prefix> {
        self.0.iter().copied().collect()
    }
}

/// Whether both settings lead to the same entries.
pub(super) fn is_same_table(old: &Settings, new: &Settings) -> bool {
    let place = |settings: &Settings| {
        let Settings { backend, table, anchor, command, tools, .. } = settings;
        (backend.clone(), table.clone(), anchor.clone(), command.clone(), tools.clone())
    };
    place(old) == place(new)
}

/// Empties the old worker's table once the new worker's is filled. Where that never comes about, it stays as it is.
pub(super) fn empty_later(old: Arc<Handle>, new: &Arc<Handle>, entries: Vec<Prefix>) {
    log::info!("the old table of the firewall ({}) stays until the new one is filled", old.status().backend);
    let new = Arc::downgrade(new);
    let wait = move || {
        if is_filled(&new) {
            old.change(entries.into_iter().map(Change::Remove));
            // Dropped, it carries out what waits and ends.
        } else {
            log::warn!("the old table of the firewall keeps its entries, since the new one was not filled");
        }
    };
    if let Err(error) = thread::Builder::new().name("changeover".to_owned()).spawn(wait) {
        log::error!("the old table of the firewall keeps its entries: {error}");
    }
}

/// Waits until the new worker is in step; false when it is no longer wanted before that.
fn is_filled(new: &Weak<Handle>) -> bool {
    while let Some(handle) = new.upgrade() {
        if handle.status().in_step {
            return true;
        }
        drop(handle);
        thread::sleep(LOOK);
    }
    false
}
