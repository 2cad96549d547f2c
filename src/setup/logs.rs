//! Which source of the configuration a log belongs to, and how its lines are stamped.

use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::SourceSettings;
use crate::files::{self, directory_of};
use crate::follow;
use crate::record::{self, Clock, Layouts, TimeSpec};
use crate::settings::JOURNAL;
use crate::time::Time;

/// How the lines of one source are stamped.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StampFormat {
    /// The path or pattern of the source.
    pub(super) path: String,
    pub(super) layouts: Layouts,
    /// How lines say when they were written; `None` for as their layout says.
    pub(super) time: Option<TimeSpec>,
    /// The zone of stamps that name none; `None` for this machine's.
    pub(super) zone: Option<TimeZone>,
}

/// How the lines of the configured sources are stamped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StampFormats {
    pub(super) local: TimeZone,
    pub(super) sources: Vec<StampFormat>,
}

impl StampFormats {
    /// Makes a reader for the log at `path`, from the present on, whenever that is.
    pub(crate) fn reader(&self, path: &str) -> StampReader {
        let mut clock = Clock::new(self.local.clone(), Timestamp::now().into());
        let is_at =
            |source: &&StampFormat| source.path == path || follow::is_match(&source.path, Path::new(path));
        let Some(source) = self.sources.iter().find(is_at) else {
            return StampReader { clock, layouts: Layouts::default(), time: None };
        };
        clock.state_zone(source.zone.clone());
        StampReader { clock, layouts: source.layouts, time: source.time.clone() }
    }
}

/// Reads the stamps of the lines of one log.
pub(crate) struct StampReader {
    pub(crate) clock: Clock,
    layouts: Layouts,
    time: Option<TimeSpec>,
}

impl StampReader {
    /// When a line was written, if it says so; lines are asked for in their order.
    pub(crate) fn read(&mut self, line: &[u8]) -> Option<Time> {
        let line = record::text(line);
        let record = record::parse_as(line, self.layouts);
        self.clock.written(line, &record, self.time.as_ref()).map(|written| written.time)
    }
}

/// Whether a source follows this file: by its name, or as one that was rotated away.
pub(super) fn is_followed_by(path: &Path, source: &SourceSettings) -> bool {
    if path == Path::new("-") || !source.is_file() {
        return path == Path::new(&source.path);
    }
    let log = follow::log_of(path);
    let moved = source.archive.as_deref().and_then(|archive| archived(&log, archive, &source.path));
    let known = [path.to_owned(), log].into_iter().chain(moved);
    let paths: Vec<PathBuf> = known.flat_map(|path| [resolved(&path), absolute(&path)]).collect();
    let followed = Path::new(&source.path);
    if follow::is_pattern(followed) {
        return paths.iter().any(|path| follow::is_match(&source.path, path));
    }
    paths.contains(&followed.to_owned()) || paths.contains(&resolved(followed))
}

/// Where the log was whose rotated file lies in the source's archive.
fn archived(log: &Path, archive: &Path, source: &str) -> Option<PathBuf> {
    let is_archived = resolved(log).parent() == Some(&resolved(archive));
    Some(Path::new(source).with_file_name(log.file_name()?)).filter(|_| is_archived)
}

pub(super) fn absolute(path: &Path) -> PathBuf {
    path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Without symbolic links, as far as there is something; a log that was rotated away may have left none of its name.
fn resolved(path: &Path) -> PathBuf {
    let path = absolute(path);
    files::resolved(&path).unwrap_or(path)
}

/// Files of one directory are one writer's unless their sources say otherwise: a syslogd writes its logs side by side,
/// and what runs in a jail or on another host has a directory of its own.
pub(super) fn directory_of_log(path: &Path) -> Arc<str> {
    if path == Path::new("-") || path == Path::new(JOURNAL) {
        return path.to_string_lossy().into();
    }
    directory_of(&absolute(path)).to_string_lossy().into()
}
