//! One source of files: a path, or all paths that match a pattern.

use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::followed_file::{FollowedFile, Start};
use super::open::{IS_FIFO, Opener, PathState};
use super::pattern::{MAX_FILES, Pattern, storable};
use super::position::{FileKey, Position, Stored};
use super::round::Round;
use super::{Chunk, Sink, Source, SourceId};

/// One source of files.
pub(super) struct FileSource {
    pub(super) id: SourceId,
    source: Source,
    opener: Arc<dyn Opener>,
    /// Set where the path is a pattern.
    pub(super) pattern: Option<Pattern>,
    stored: Vec<Stored>,
    pub(super) logs: Vec<FollowedFile>,
    /// Followed no more, which nobody was told yet.
    gone: Vec<Arc<str>>,
}

impl FileSource {
    /// `stored` is what was stored under the source's name.
    pub(super) fn new(
        id: SourceId,
        source: Source,
        opener: Arc<dyn Opener>,
        stored: Vec<Stored>,
        notes: &mut Vec<String>,
    ) -> Self {
        let path = match storable(source.path.clone()) {
            Ok(path) => path,
            Err(why) => {
                notes.push(why);
                return Self {
                    id,
                    source,
                    opener,
                    pattern: None,
                    stored,
                    logs: Vec::new(),
                    gone: Vec::new(),
                };
            }
        };
        let pattern = source.is_pattern().then(|| Pattern::new(&path)).and_then(|pattern| {
            let invalid =
                |error| format!("{path} is not a valid pattern ({error}); taking it for a file's name");
            pattern.map_err(|error| notes.push(invalid(error))).ok()
        });
        let mut group = Self { id, source, opener, pattern, stored, logs: Vec::new(), gone: Vec::new() };
        group.first_paths(path).iter().for_each(|path| group.add(path, true));
        group
    }

    /// The path itself; of a pattern, what was read of files that are gone: they may have their rest in rotated ones.
    fn first_paths(&self, path: String) -> Vec<String> {
        let Some(pattern) = &self.pattern else { return vec![path] };
        let stored = self.stored.iter().map(|stored| &stored.path);
        stored.filter(|path| pattern.matches(path) && *path != pattern.as_str()).cloned().collect()
    }

    /// Follows another path; where it is among the first ones, what was stored is of use.
    fn add(&mut self, path: &str, is_first: bool) {
        let from_start = !is_first || self.source.from_start || self.appeared_while_stopped(path);
        let start = if from_start { Start::Beginning } else { Start::End };
        let mut log =
            FollowedFile::new(self.id, path, Arc::clone(&self.opener), self.source.through_links, start);
        log.archived_in(self.source.archive.as_deref());
        if is_first && let Some(position) = self.stored_for(path, log.path_state().key()) {
            log.resume_at(position);
        }
        self.logs.push(log);
    }

    /// The position of a path; or of a file that was renamed from another matching path to this one.
    fn stored_for(&self, path: &str, key: Option<FileKey>) -> Option<Position> {
        if let Some(stored) = self.stored.iter().find(|stored| stored.path == path) {
            return Some(stored.position.clone());
        }
        let marks =
            |stored: &'_ Stored| stored.position.files.iter().find(|mark| Some(mark.file) == key).copied();
        let (stored, mark) = self.stored.iter().find_map(|stored| Some((stored, marks(stored)?)))?;
        Some(Position { homes: Vec::new(), files: vec![mark], newest: stored.position.newest, cursor: None })
    }

    /// Looks at all paths.
    pub(super) fn observe(&mut self, round: &mut Round<'_>) {
        self.expand(round);
        let states: Vec<PathState> = self.logs.iter().map(FollowedFile::path_state).collect();
        let keys: Vec<Option<FileKey>> = states.iter().map(PathState::key).collect();
        for (index, (state, key)) in states.iter().zip(&keys).enumerate() {
            match key.and_then(|key| self.holder(key, index).map(|holder| (key, holder))) {
                // Two paths to one file: the first to open it reads it.
                Some((key, holder)) if keys.get(holder) == Some(&Some(key)) => self.alias(index, round),
                Some((key, holder)) => {
                    self.hand_over(key, holder, index);
                    self.observe_one(index, state, round);
                }
                None => self.observe_one(index, state, round),
            }
        }
    }

    fn observe_one(&mut self, index: usize, state: &PathState, round: &mut Round<'_>) {
        if let Some(log) = self.logs.get_mut(index) {
            log.observe(state, round);
        }
    }

    fn alias(&mut self, index: usize, round: &mut Round<'_>) {
        if let Some(log) = self.logs.get_mut(index) {
            log.observe_alias(round);
        }
    }

    /// The index of another path of this source that has the file open.
    fn holder(&self, key: FileKey, but_not: usize) -> Option<usize> {
        let holds = |log: &FollowedFile| log.tails.iter().any(|tail| tail.key == key);
        self.logs.iter().enumerate().position(|(index, log)| index != but_not && holds(log))
    }

    /// A file was renamed from one matching path to another.
    fn hand_over(&mut self, key: FileKey, from: usize, to: usize) {
        let tail = self.logs.get_mut(from).and_then(|log| log.take(key));
        if let (Some(tail), Some(log)) = (tail, self.logs.get_mut(to)) {
            log.adopt(tail);
        }
    }

    fn expand(&mut self, round: &mut Round<'_>) {
        let Some(pattern) = &mut self.pattern else { return };
        let appeared = pattern.was_looked_up();
        let Some(paths) = pattern.look_up(&*self.opener, &self.logs, round.now, round.notes) else { return };
        let stays = |log: &FollowedFile| log.is_in_use() || paths.iter().any(|path| **path == *log.path);
        let gone = self.logs.iter().filter(|log| !stays(log)).map(|log| Arc::clone(&log.path));
        self.gone.extend(gone);
        self.logs.retain(stays);
        for path in paths {
            if self.logs.iter().all(|log| *log.path != *path) && self.logs.len() < MAX_FILES {
                self.add(&path, !appeared);
            }
        }
    }

    /// A file that has no position although the source has: it came while the program was stopped, if it was written
    /// to since. Where the source has nothing but the pattern's own position, no file was there at all.
    fn appeared_while_stopped(&self, path: &str) -> bool {
        let marks = self.stored.iter().flat_map(|stored| &stored.position.files);
        let last_write = marks.map(|mark| mark.modified).max();
        let written = match self.opener.look(Path::new(path), true) {
            PathState::File(meta) => Some(meta.mtime()),
            _ => None,
        };
        let is_newer = |last| written.is_some_and(|written| written >= last);
        self.pattern.is_some() && !self.stored.is_empty() && last_write.is_none_or(is_newer)
    }

    /// Tells what became of the pattern and of files that are followed no more.
    pub(super) fn tell(&mut self, sink: &mut Sink<'_>) -> ControlFlow<()> {
        let nowhere = Position::default();
        while let Some(path) = self.gone.pop() {
            sink(Chunk { gone: true, position: None, ..Chunk::of_position(self.id, &path, &nowhere) })?;
        }
        let Some(pattern) = self.pattern.as_mut().filter(|pattern| !pattern.is_stored) else {
            return ControlFlow::Continue(());
        };
        pattern.is_stored = true;
        sink(Chunk::of_position(self.id, &pattern.as_str().into(), &nowhere))
    }

    /// Whether there is a FIFO now where a log was expected; not where somebody else makes the names.
    pub(super) fn became_fifo(&self) -> Option<&Source> {
        let [log] = self.logs.as_slice() else { return None };
        let is_fifo = log.trouble.as_deref() == Some(IS_FIFO) && !log.is_in_use();
        if self.source.through_links && self.pattern.is_none() && is_fifo { Some(&self.source) } else { None }
    }
}
