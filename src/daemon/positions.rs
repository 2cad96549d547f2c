//! How far each followed path was read: noted with every batch, stored with the decisions that follow from it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::follow::{Batch, Position, Stored};
use crate::store::{FilePosition, PositionChange};

/// The newest position of each path, and which of them are not stored yet.
#[derive(Debug, Default)]
pub(super) struct Positions {
    known: HashMap<(String, Arc<str>), Position>,
    changed: Vec<(String, Arc<str>)>,
    /// Those that are of no use any more.
    gone: Vec<(String, Arc<str>)>,
}

impl Positions {
    /// What an earlier run stored. A position that cannot be read is left out: the file is then read as one that was
    /// never seen.
    pub(super) fn restored(stored: Vec<FilePosition>) -> Self {
        let entry = |stored: FilePosition| match serde_json::from_str(&stored.position) {
            Ok(position) => Some(((stored.source, Arc::from(stored.file)), position)),
            Err(error) => {
                log::warn!(
                    "the stored position in {} cannot be read ({error}): it is followed from its end",
                    stored.file
                );
                None
            }
        };
        Self { known: stored.into_iter().filter_map(entry).collect(), changed: Vec::new(), gone: Vec::new() }
    }

    /// Takes over the position behind a batch; true if the path had none, so that a crash would lose all of it.
    pub(super) fn note(&mut self, source: &str, batch: &Batch) -> bool {
        let key = (source.to_owned(), Arc::clone(&batch.path));
        if batch.gone {
            self.changed.retain(|changed| *changed != key);
            self.known.remove(&key);
            self.gone.push(key);
            return false;
        }
        let Some(position) = &batch.position else { return false };
        self.gone.retain(|gone| *gone != key);
        if !self.changed.contains(&key) {
            self.changed.push(key.clone());
        }
        self.known.insert(key, position.clone()).is_none()
    }

    /// Those that changed since the last call, as the database keeps them.
    pub(super) fn take(&mut self) -> Vec<PositionChange> {
        let changed = std::mem::take(&mut self.changed);
        let gone = std::mem::take(&mut self.gone).into_iter();
        let gone = gone.map(|(source, file)| PositionChange::Gone { source, file: file.to_string() });
        gone.chain(changed.iter().filter_map(|key| self.change(key))).collect()
    }

    /// Has all of them written again.
    pub(super) fn touch_all(&mut self) {
        self.changed = self.known.keys().cloned().collect();
    }

    fn change(&self, key: &(String, Arc<str>)) -> Option<PositionChange> {
        let position = serde_json::to_string(self.known.get(key)?).ok()?;
        Some(PositionChange::At(FilePosition { source: key.0.clone(), file: key.1.to_string(), position }))
    }

    /// All of them, for a follower that goes on where another stopped.
    pub(super) fn all(&self) -> Vec<Stored> {
        self.known.keys().filter_map(|key| self.stored(key)).collect()
    }

    fn stored(&self, key: &(String, Arc<str>)) -> Option<Stored> {
        let position = self.known.get(key)?.clone();
        Some(Stored { source: key.0.clone(), path: key.1.to_string(), position })
    }
}
