//! One source of files: a path, or all paths that match a pattern.

use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::logfile::{Eyes, Log, Start};
use super::open::{IS_FIFO, Sight};
use super::position::{FileKey, Position, Stored};
use super::rotations::{belongs_to, looks_packed};
use super::{Chunk, Sink, Source, SourceId};

/// How often a pattern is looked up anew.
const EXPAND_EVERY: Duration = Duration::from_secs(1);

/// A pattern that matches more files than this is followed in part, and the operator is told.
const FILES_MAX: usize = 256;

/// One source of files.
pub(super) struct Group {
    id: SourceId,
    source: Source,
    /// Set where the path is a pattern: where the first files are read from, and when it was last looked up.
    pattern: Option<Pattern>,
    stored: Vec<Stored>,
    pub(super) logs: Vec<Log>,
    /// Followed no more, which nobody was told yet.
    gone: Vec<Arc<str>>,
}

struct Pattern {
    text: glob::Pattern,
    expanded: Option<Instant>,
    crowded: bool,
    /// That it was looked up is stored, under the pattern itself: what matches after a stop came meanwhile.
    is_stored: bool,
}

impl Pattern {
    fn new(text: glob::Pattern) -> Self {
        Self { text, expanded: None, crowded: false, is_stored: false }
    }
}

impl Group {
    /// `stored` is what was stored under the source's name.
    pub(super) fn new(id: SourceId, source: Source, stored: Vec<Stored>, notes: &mut Vec<String>) -> Self {
        let pattern = match (source.path.to_str(), source.path.exists()) {
            (Some(text), false) if text.contains(['*', '?', '[']) => match glob::Pattern::new(text) {
                Ok(text) => Some(Pattern::new(text)),
                Err(error) => {
                    notes.push(format!(
                        "{text} is not a valid pattern ({error}); taking it for a file's name"
                    ));
                    None
                }
            },
            _ => None,
        };
        let mut group = Self { id, source, pattern, stored, logs: Vec::new(), gone: Vec::new() };
        match (&group.pattern, group.source.path.to_str().map(str::to_owned)) {
            (None, Some(path)) => group.add(&path, true),
            (None, None) => notes.push(format!(
                "{} is not followed: its name is not UTF-8, so that its position could not be stored",
                group.source.path.display()
            )),
            (Some(pattern), _) => {
                // What was read of a file that is gone may have its rest in a rotated one.
                let matching = group.stored.iter().map(|stored| stored.path.clone());
                let matching: Vec<String> = matching
                    .filter(|path| pattern.text.matches(path) && path != pattern.text.as_str())
                    .collect();
                matching.iter().for_each(|path| group.add(path, true));
            }
        }
        group
    }

    /// Follows another path; where it is among the first ones, what was stored is of use.
    fn add(&mut self, path: &str, is_first: bool) {
        let from_start = !is_first || self.source.from_start || self.appeared_while_stopped(path);
        let start = if from_start { Start::Beginning } else { Start::End };
        let mut log = Log::new(self.id, path, self.source.through_links, start);
        log.archived_in(self.source.archive.as_deref());
        if is_first && let Some(position) = self.stored_for(path, log.sight().key()) {
            log.resume_at(position);
        }
        self.logs.push(log);
    }

    /// The position of a path; or of a file that was renamed from another matching path to this one.
    fn stored_for(&self, path: &str, key: Option<FileKey>) -> Option<Position> {
        if let Some(stored) = self.stored.iter().find(|stored| stored.path == path) {
            return Some(stored.position.clone());
        }
        let mut marks = self.stored.iter().flat_map(|stored| &stored.position.files);
        let mark = marks.find(|mark| Some(mark.file) == key)?;
        Some(Position { homes: Vec::new(), files: vec![*mark] })
    }

    /// Looks at all paths.
    pub(super) fn observe(&mut self, eyes: &mut Eyes<'_>) {
        self.expand(eyes);
        let sights: Vec<Sight> = self.logs.iter().map(Log::sight).collect();
        let keys: Vec<Option<FileKey>> = sights.iter().map(Sight::key).collect();
        for (index, (sight, key)) in sights.iter().zip(&keys).enumerate() {
            match key.and_then(|key| self.holder(key, index).map(|holder| (key, holder))) {
                // Two paths to one file: the first to open it reads it.
                Some((key, holder)) if keys.get(holder) == Some(&Some(key)) => self.alias(index, eyes),
                Some((key, holder)) => {
                    self.hand_over(key, holder, index);
                    self.observe_one(index, sight, eyes);
                }
                None => self.observe_one(index, sight, eyes),
            }
        }
    }

    fn observe_one(&mut self, index: usize, sight: &Sight, eyes: &mut Eyes<'_>) {
        if let Some(log) = self.logs.get_mut(index) {
            log.observe(sight, eyes);
        }
    }

    fn alias(&mut self, index: usize, eyes: &mut Eyes<'_>) {
        if let Some(log) = self.logs.get_mut(index) {
            log.observe_alias(eyes);
        }
    }

    /// Which other path of this source has a file open.
    fn holder(&self, key: FileKey, but_not: usize) -> Option<usize> {
        let holds = |log: &Log| log.tails.iter().any(|tail| tail.key == key);
        self.logs.iter().enumerate().position(|(index, log)| index != but_not && holds(log))
    }

    /// A file was renamed from one matching path to another.
    fn hand_over(&mut self, key: FileKey, from: usize, to: usize) {
        let tail = self.logs.get_mut(from).and_then(|log| log.take(key));
        if let (Some(tail), Some(log)) = (tail, self.logs.get_mut(to)) {
            log.adopt(tail);
        }
    }

    fn expand(&mut self, eyes: &mut Eyes<'_>) {
        let Some(pattern) = &mut self.pattern else { return };
        let due = |expanded: Instant| eyes.now.saturating_duration_since(expanded) >= EXPAND_EVERY;
        let appeared = pattern.expanded.is_some();
        if appeared && !pattern.expanded.is_some_and(due) {
            return;
        }
        pattern.expanded = Some(eyes.now);
        let mut paths = matching(pattern.text.as_str(), &self.logs);
        if paths.len() > FILES_MAX && !std::mem::replace(&mut pattern.crowded, true) {
            let (pattern, count) = (&pattern.text, paths.len());
            eyes.notes.push(format!("{pattern} matches {count} files; only {FILES_MAX} are followed"));
        }
        paths.truncate(FILES_MAX);
        let stays = |log: &Log| log.is_in_use() || paths.iter().any(|path| **path == *log.path);
        let gone = self.logs.iter().filter(|log| !stays(log)).map(|log| Arc::clone(&log.path));
        self.gone.extend(gone);
        self.logs.retain(stays);
        for path in paths {
            if self.logs.iter().all(|log| *log.path != *path) && self.logs.len() < FILES_MAX {
                self.add(&path, !appeared);
            }
        }
    }

    /// A file that has no position although the source has: it came while the program was stopped, if it was written
    /// to since. Where the source has nothing but the pattern's own position, no file was there at all.
    fn appeared_while_stopped(&self, path: &str) -> bool {
        let marks = self.stored.iter().flat_map(|stored| &stored.position.files);
        let last_write = marks.map(|mark| mark.modified).max();
        let written = std::fs::metadata(path).map(|meta| meta.mtime());
        let is_newer = |last| written.is_ok_and(|written| written >= last);
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
        sink(Chunk::of_position(self.id, &pattern.text.as_str().into(), &nowhere))
    }

    /// Whether there is a FIFO now where a log was expected; not where somebody else makes the names.
    pub(super) fn became_fifo(&self) -> Option<&Source> {
        let [log] = self.logs.as_slice() else { return None };
        let is_fifo = log.trouble.as_deref() == Some(IS_FIFO) && !log.is_in_use();
        (self.source.through_links && self.pattern.is_none() && is_fifo).then_some(&self.source)
    }
}

/// The files that match, without the rotated ones of those that match or are followed: these are found where they are
/// needed, and would be read twice otherwise.
fn matching(pattern: &str, followed: &[Log]) -> Vec<String> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
    let Ok(paths) = glob::glob_with(pattern, options) else { return Vec::new() };
    let paths = paths
        .flatten()
        .filter_map(|path| path.to_str().map(str::to_owned))
        .filter(|path| !looks_packed(path) && !Path::new(path).is_dir());
    let paths: Vec<String> = paths.take(4 * FILES_MAX).collect();
    let bases = || paths.iter().map(String::as_str).chain(followed.iter().map(|log| &*log.path));
    let is_rotated = |path: &str| bases().any(|base| path.starts_with(base) && rotated_from(path, base));
    paths.iter().filter(|path| !is_rotated(path)).cloned().collect()
}

fn rotated_from(path: &str, base: &str) -> bool {
    let (path, base) = (Path::new(path), Path::new(base));
    let names =
        path.file_name().and_then(|name| name.to_str()).zip(base.file_name().and_then(|name| name.to_str()));
    path.parent() == base.parent() && names.is_some_and(|(name, log)| belongs_to(name, log))
}
