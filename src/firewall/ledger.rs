//! What the table should hold, and where it may differ from that. Pure: the worker carries out what is taken from here.
//!
//! Only membership in `desired` decides what is done to a prefix, at the moment when it is taken: so the last change of
//! a prefix wins, whatever waited in between, and an old removal can never undo a newer ban.

use std::collections::{HashMap, HashSet};

use super::diff::{difference, fitting};
use super::{Change, Limits, TableListing};
use crate::address::{self, Prefix};
use crate::settings::Foreign;

/// Below this, a drained map keeps its memory.
const SMALL: usize = 1024;

/// The worker's books; some 20 bytes for each prefix that is banned and as much for each that waits.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    desired: HashSet<Prefix>,
    /// Prefixes to add; true where the table may have the prefix already, for example after a failed attempt.
    to_add: HashMap<Prefix, bool>,
    /// Prefixes to remove.
    to_remove: HashSet<Prefix>,
    /// Found different by a comparison; done after what is fresh.
    repair: Vec<Prefix>,
    /// Refused by the firewall on their own; left until the next comparison.
    rejected: HashSet<Prefix>,
}

/// The result of comparing the table with the bans.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Entries that should have been there and were not, but for those that wait to be put there since before.
    pub(super) missing: usize,
    /// Entries that somebody else had added, sorted.
    pub(super) foreign: Vec<Prefix>,
    /// Entries that are none of ours and are left alone: no prefixes, or IPv4 written as IPv6.
    pub(super) strange: usize,
    /// How many entries the table holds; `None` where it cannot be listed.
    pub(super) listed: Option<usize>,
    /// Why the content is unknown, if it is.
    pub(super) unlistable: Option<String>,
    /// The way to repair a table whose content is unknown.
    pub(super) blind: Option<UnlistedRepair>,
}

/// How a table that cannot be listed is brought in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnlistedRepair {
    /// The whole table is replaced.
    Replace,
    /// The desired entries are looked up.
    Lookup,
    /// Everything is added again, since the firewall can be asked for nothing.
    AddAll,
}

impl Ledger {
    /// `desired` shall be in the table; `released` may still be there and shall not.
    pub(super) fn new(desired: Vec<Prefix>, released: Vec<Prefix>) -> Self {
        let desired = desired.into_iter().map(|prefix| prefix.trunc()).collect();
        let mut ledger = Self { desired, ..Self::default() };
        let released = released.into_iter().map(|prefix| prefix.trunc());
        ledger.to_remove = released.filter(|prefix| !ledger.desired.contains(prefix)).collect();
        ledger
    }

    /// Records a change of the desired table.
    pub(super) fn change(&mut self, change: Change) {
        let prefix = change.prefix();
        self.rejected.remove(&prefix);
        match change {
            Change::Add(_) => {
                let known = !self.desired.insert(prefix) | self.to_remove.remove(&prefix);
                self.to_add.entry(prefix).or_insert(known);
            }
            Change::Remove(_) => {
                self.desired.remove(&prefix);
                // An addition that was never tried needs no removal: so a hanging tool cannot make this grow.
                if self.to_add.remove(&prefix) != Some(false) {
                    self.to_remove.insert(prefix);
                }
            }
        }
    }

    /// Wants nothing in the table any more.
    pub(super) fn clear(&mut self) {
        self.repair = Vec::new();
        self.take_up();
        let all: Vec<Prefix> = self.desired.iter().copied().collect();
        all.into_iter().for_each(|prefix| self.change(Change::Remove(prefix)));
    }

    /// The next batch of removals; empty when there is none. They come before additions: no limit of the firewall can
    /// refuse them, and they make room.
    pub(super) fn next_removals(&mut self, limits: Limits) -> Vec<Change> {
        if self.to_remove.is_empty() {
            return Vec::new();
        }
        let count = fitting(self.to_remove.iter().copied(), limits);
        let batch: Vec<Prefix> = self.to_remove.iter().copied().take(count).collect();
        for prefix in &batch {
            self.to_remove.remove(prefix);
        }
        if self.to_remove.is_empty() {
            self.to_remove.shrink_to(SMALL);
        }
        batch.into_iter().map(Change::Remove).collect()
    }

    /// The next batch of additions; empty when there is none. What was never tried is in it, and stands at its end.
    pub(super) fn next_additions(&mut self, limits: Limits) -> Vec<Change> {
        if self.to_add.is_empty() {
            return Vec::new();
        }
        let of = |tried: bool| self.to_add.iter().filter(move |row| *row.1 == tried).map(|row| *row.0);
        let count = fitting(of(false).chain(of(true)), limits);
        let mut batch: Vec<Prefix> = of(false).chain(of(true)).take(count).collect();
        batch.reverse();
        for prefix in &batch {
            self.to_add.remove(prefix);
        }
        if self.to_add.is_empty() {
            self.to_add.shrink_to(SMALL);
        }
        batch.into_iter().map(Change::Add).collect()
    }

    /// The next batch of what a comparison found; empty when there is none.
    pub(super) fn next_repair(&mut self, limits: Limits) -> Vec<Change> {
        if self.repair.is_empty() {
            return Vec::new();
        }
        let count = fitting(self.repair.iter().rev().copied(), limits);
        let batch = self.repair.split_off(self.repair.len() - count);
        if self.repair.is_empty() {
            self.repair = Vec::new();
        }
        batch.into_iter().map(|prefix| self.wanted(prefix)).collect()
    }

    fn wanted(&self, prefix: Prefix) -> Change {
        if self.desired.contains(&prefix) { Change::Add(prefix) } else { Change::Remove(prefix) }
    }

    /// Takes changes back that were tried and may or may not have been done.
    pub(super) fn give_back(&mut self, batch: &[Change]) {
        batch.iter().for_each(|change| self.put_back(change.prefix()));
    }

    fn put_back(&mut self, prefix: Prefix) {
        if self.desired.contains(&prefix) {
            self.to_add.insert(prefix, true);
        } else {
            self.to_remove.insert(prefix);
        }
    }

    fn waits(&self, prefix: &Prefix) -> bool {
        self.to_add.contains_key(prefix) || self.to_remove.contains(prefix)
    }

    /// Leaves a prefix alone until the next comparison, unless it was changed again meanwhile.
    pub(super) fn reject(&mut self, prefix: Prefix) {
        if !self.waits(&prefix) {
            self.rejected.insert(prefix);
        }
    }

    /// Takes the rejected changes for another try; those that fail again are to be set aside again.
    pub(super) fn next_rejected(&mut self, limits: Limits) -> Vec<Change> {
        let count = fitting(self.rejected.iter().copied(), limits);
        let batch: Vec<Prefix> = self.rejected.iter().copied().take(count).collect();
        for prefix in &batch {
            self.rejected.remove(prefix);
        }
        batch.into_iter().map(|prefix| self.wanted(prefix)).collect()
    }

    /// Has what was set aside done with what changed.
    fn take_up(&mut self) {
        std::mem::take(&mut self.rejected).into_iter().for_each(|prefix| self.put_back(prefix));
    }

    /// Compares with the table; what differs is noted for repair.
    pub(super) fn compare(&mut self, listing: TableListing, foreign: Foreign, limits: Limits) -> Findings {
        match listing {
            TableListing::Complete { entries, strange } => {
                let findings = self.compare_with(&entries, foreign);
                let listed = Some(entries.len() + strange);
                Findings { strange: findings.strange + strange, listed, ..findings }
            }
            TableListing::Unlistable { why } => {
                // Replacing takes out what others added: only where that is wanted.
                let blind = if foreign == Foreign::Remove && self.desired.len() <= limits.replace {
                    UnlistedRepair::Replace
                } else if limits.lookup > 0 {
                    UnlistedRepair::Lookup
                } else {
                    UnlistedRepair::AddAll
                };
                self.repair = Vec::new();
                if blind == UnlistedRepair::AddAll {
                    self.repair_all();
                }
                Findings { unlistable: Some(why), blind: Some(blind), ..Findings::default() }
            }
        }
    }

    fn compare_with(&mut self, listed: &[Prefix], policy: Foreign) -> Findings {
        let mut found = difference(&self.desired, listed);
        let known = |prefix: &Prefix| self.waits(prefix) || self.rejected.contains(prefix);
        found.missing.retain(|prefix| !known(prefix));
        found.foreign.retain(|prefix| !known(prefix));
        let all = found.foreign.len();
        if policy != Foreign::Remove {
            found.foreign.retain(can_be_named);
        }
        // What the comparison before found, and nobody has put back yet, is not missing a second time.
        let before: HashSet<Prefix> =
            std::mem::replace(&mut self.repair, found.missing).into_iter().collect();
        let missing = self.repair.iter().filter(|prefix| !before.contains(prefix)).count();
        let strange = all - found.foreign.len();
        match policy {
            Foreign::Adopt => self.desired.extend(found.foreign.iter().copied()),
            Foreign::Remove => self.repair.extend(found.foreign.iter().copied()),
            Foreign::Keep => {}
        }
        Findings { missing, strange, foreign: found.foreign, ..Findings::default() }
    }

    /// Notes which of the looked-up entries to put back: those still wanted and not about to be added anyway.
    pub(super) fn repair_missing(&mut self, missing: Vec<Prefix>) -> usize {
        let known = |prefix: &Prefix| self.to_add.contains_key(prefix) || self.rejected.contains(prefix);
        let gone = missing.into_iter().filter(|prefix| self.desired.contains(prefix) && !known(prefix));
        let before = self.repair.len();
        let gone: Vec<Prefix> = gone.collect();
        self.repair.extend(gone);
        self.repair.len() - before
    }

    /// Has everything added again that is not about to be added anyway.
    pub(super) fn repair_all(&mut self) {
        let known = |prefix: &Prefix| self.to_add.contains_key(prefix) || self.rejected.contains(prefix);
        self.repair = self.desired.iter().filter(|prefix| !known(prefix)).copied().collect();
    }

    /// All that should be in the table.
    pub(super) fn desired(&self) -> Vec<Prefix> {
        self.desired.iter().copied().collect()
    }

    /// Something that is in the table if the table is as we left it; `None` when nothing is sure to be.
    pub(super) fn sure(&self) -> Option<Prefix> {
        let is_sure = |prefix: &&Prefix| !self.waits(prefix) && !self.rejected.contains(prefix);
        self.desired.iter().find(is_sure).copied().filter(|_| self.repair.is_empty())
    }

    /// How many prefixes should be in the table.
    pub(super) fn entries(&self) -> usize {
        self.desired.len()
    }

    /// How many prefixes wait to be done.
    pub(super) fn pending(&self) -> usize {
        self.changed() + self.repairs()
    }

    /// The prefixes that are still to be removed.
    pub(super) fn owed(&self) -> impl Iterator<Item = Prefix> {
        self.to_remove.iter().copied()
    }

    /// Whether the prefix is still to be removed.
    pub(super) fn owes(&self, prefix: &Prefix) -> bool {
        self.to_remove.contains(prefix)
    }

    /// How many of them were changed.
    pub(super) fn changed(&self) -> usize {
        self.to_add.len() + self.to_remove.len()
    }

    /// How many of them a comparison found.
    pub(super) fn repairs(&self) -> usize {
        self.repair.len()
    }

    /// How many prefixes were set aside.
    pub(super) fn rejected(&self) -> usize {
        self.rejected.len()
    }
}

/// Whether an operator's text can mean this entry. IPv4 written as IPv6 is read as IPv4, so a ban of it could never be
/// ended by name.
fn can_be_named(prefix: &Prefix) -> bool {
    address::parse_prefix(&address::display(prefix)).is_ok_and(|named| named == *prefix)
}

#[cfg(test)]
mod tests;
