//! The logs, opened for the brain: those that the configuration names, what their patterns match, and their rotated files.
//! The brain names them by numbers that it was given, so that it cannot ask for anything else.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, openat};

use crate::files::directory_of;
use crate::follow::{
    FileEvents, FileKey, Journalctl, MAX_ENTRIES, NoLog, Opener as _, Source, SourceKind, ThisProcess,
    Watch as _, is_match, is_pattern, log_of,
};
use crate::privileges::journal::JournalPlace;
use crate::privileges::message::{FileAction, FileAnswer, FileCall, FileNumber, NumberedFile};

/// The most paths that have a number. Whoever may write into a directory of logs can make any number of names.
const MAX_KNOWN: usize = 65_536;

/// A source, and the directory that holds whatever may be opened for it.
#[derive(Debug, PartialEq, Eq)]
struct Tree {
    source: Source,
    /// The directory of the path; of a pattern, that of its first part that is one.
    top: PathBuf,
}

impl Tree {
    fn of(source: Source) -> Self {
        let parts = source.path.components();
        let is_plain = |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
        let top = match is_pattern(&source.path) {
            true => parts.take_while(is_plain).collect(),
            false => directory_of(&source.path).to_owned(),
        };
        Self { source, top }
    }

    /// The directories below which files may be opened, as the configuration names them.
    fn tops(&self) -> impl Iterator<Item = &Path> {
        [self.top.as_path()].into_iter().chain(self.source.archive.as_deref())
    }
}

/// A path with a number.
struct NumberedPath {
    path: Arc<Path>,
    tree: Arc<Tree>,
}

/// The logs of the configuration in force.
pub(super) struct LogFiles {
    trees: Vec<Arc<Tree>>,
    known: HashMap<FileNumber, NumberedPath>,
    numbers: HashMap<Arc<Path>, FileNumber>,
    /// The order in which numbers were given, without those of the configured paths.
    given: VecDeque<FileNumber>,
    next: u32,
    /// Called when a watched file changes.
    wake: Arc<dyn Fn() + Send + Sync>,
    /// There while a file is watched.
    watch: Option<FileEvents>,
    /// The journalctl of each source that is the systemd journal; one that is dropped is ended.
    journals: HashMap<FileNumber, Journalctl>,
    /// How many follow a path: after a reload two do for a moment.
    watched: HashMap<Arc<Path>, u32>,
}

impl LogFiles {
    /// Calls `wake` when a watched file changes.
    pub(super) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            wake: Arc::new(wake),
            trees: Vec::new(),
            known: HashMap::new(),
            numbers: HashMap::new(),
            given: VecDeque::new(),
            next: 0,
            watch: None,
            journals: HashMap::new(),
            watched: HashMap::new(),
        }
    }

    /// Takes these sources into force, and gives the numbers of their paths. Files of the sources before keep theirs until
    /// others need the room.
    pub(super) fn set(&mut self, sources: &[Source]) -> Vec<NumberedFile> {
        let before =
            self.trees.drain(..).filter_map(|tree| self.numbers.get(tree.source.path.as_path()).copied());
        self.given.extend(before);
        let mut roots = Vec::new();
        for source in sources.iter().filter(|source| source.kind != SourceKind::StandardInput) {
            let tree = Arc::new(Tree::of(source.clone()));
            let paths = [Some(source.path.clone()), archived(source)];
            roots.extend(paths.into_iter().flatten().map(|path| self.know(path, &tree)));
            self.trees.push(tree);
        }
        let pinned: Vec<FileNumber> = roots.iter().map(|root| root.number).collect();
        self.given.retain(|number| !pinned.contains(number));
        self.journals.retain(|number, _| pinned.contains(number));
        roots
    }

    /// Answers a call of the brain.
    pub(super) fn answer(&mut self, call: FileCall) -> (FileAnswer, Vec<OwnedFd>) {
        let Some(NumberedPath { path, tree }) = self.known.get(&call.file) else {
            return (FileAnswer::Unknown, Vec::new());
        };
        let path = Arc::clone(path);
        let tree = Arc::clone(tree);
        match call.action {
            FileAction::Journal(place) => self.journal(call.file, place, &tree),
            FileAction::EndOfJournal => (self.end_of_journal(call.file, &tree), Vec::new()),
            // The journal has no path.
            _ if tree.source.journal.is_some() => (FileAnswer::Unknown, Vec::new()),
            FileAction::Look => look(&path, &tree),
            FileAction::Open => opened(open(&path, &tree)),
            FileAction::Expand => (self.expand(&path, &tree), Vec::new()),
            FileAction::Gone => (self.gone(&path, &tree), Vec::new()),
            FileAction::Rotations => {
                let files = ThisProcess.rotations(&path).into_iter().map(|path| self.know(path, &tree));
                (FileAnswer::Files(files.collect(), Vec::new()), Vec::new())
            }
            FileAction::Target => {
                let target = ThisProcess.target(&path);
                let file =
                    self.know(if is_below(&target, &tree) { target } else { path.to_path_buf() }, &tree);
                (FileAnswer::Files(vec![file], Vec::new()), Vec::new())
            }
            FileAction::Watch => (FileAnswer::Watched(self.watch(&path)), Vec::new()),
            FileAction::Unwatch => {
                self.unwatch(&path);
                (FileAnswer::Watched(false), Vec::new())
            }
        }
    }

    /// Ends what was started for the brain.
    pub(super) fn finish(&mut self) {
        self.journals.clear();
        self.watch = None;
    }

    /// The number of a path, which is given one where it has none.
    fn know(&mut self, path: PathBuf, tree: &Arc<Tree>) -> NumberedFile {
        if let Some(number) = self.numbers.get(path.as_path()).copied() {
            let known = NumberedPath { path: path.clone().into(), tree: Arc::clone(tree) };
            self.known.insert(number, known);
            return NumberedFile { number, path };
        }
        if self.known.len() >= MAX_KNOWN
            && let Some(oldest) = self.given.pop_front()
            && let Some(forgotten) = self.known.remove(&oldest)
        {
            self.numbers.remove(&forgotten.path);
        }
        let number = FileNumber(self.next);
        self.next = self.next.wrapping_add(1);
        let shared: Arc<Path> = path.clone().into();
        self.known.insert(number, NumberedPath { path: Arc::clone(&shared), tree: Arc::clone(tree) });
        self.numbers.insert(shared, number);
        self.given.push_back(number);
        NumberedFile { number, path }
    }

    fn expand(&mut self, path: &Path, tree: &Arc<Tree>) -> FileAnswer {
        let mut files = Vec::new();
        let mut told = Vec::new();
        // Only what the configuration names is a pattern: a file's name may look like one.
        if path == tree.source.path && is_pattern(path) {
            for found in ThisProcess.expand(&path.to_string_lossy()) {
                match found {
                    Ok(path) => files.push(self.know(path, tree)),
                    Err(why) => told.push(why),
                }
            }
        }
        FileAnswer::Files(files, told)
    }

    /// Logs that a pattern means and that are gone, but left rotated files in the directories of those that are there.
    fn gone(&mut self, path: &Path, tree: &Arc<Tree>) -> FileAnswer {
        let pattern = tree.source.path.to_string_lossy().into_owned();
        if path != tree.source.path || !is_pattern(path) {
            return FileAnswer::Files(Vec::new(), Vec::new());
        }
        let found = ThisProcess.expand(&pattern).into_iter().flatten();
        let mut directories: Vec<PathBuf> = found.map(|path| directory_of(&path).to_owned()).collect();
        directories.push(tree.top.clone());
        directories.sort();
        directories.dedup();
        let entries = directories.iter().filter_map(|directory| fs::read_dir(directory).ok());
        let names = entries.flat_map(|entries| entries.take(MAX_ENTRIES).flatten().map(|entry| entry.path()));
        let logs = names.map(|path| log_of(&path)).filter(|log| is_match(&pattern, log));
        let mut logs: Vec<PathBuf> = logs.collect();
        logs.sort();
        logs.dedup();
        FileAnswer::Files(logs.into_iter().map(|log| self.know(log, tree)).collect(), Vec::new())
    }

    /// Starts journalctl; the one before is ended.
    fn journal(&mut self, file: FileNumber, place: JournalPlace, tree: &Tree) -> (FileAnswer, Vec<OwnedFd>) {
        let Some(query) = &tree.source.journal else { return (FileAnswer::Unknown, Vec::new()) };
        self.journals.remove(&file);
        let started = query.start(&place.start(), true).and_then(|journalctl| {
            let ends = vec![journalctl.output.try_clone()?.into(), journalctl.errors.try_clone()?.into()];
            Ok((journalctl, ends))
        });
        match started {
            Ok((journalctl, ends)) => {
                self.journals.insert(file, journalctl);
                (FileAnswer::Open, ends)
            }
            Err(error) => (FileAnswer::of_error(&error), Vec::new()),
        }
    }

    fn end_of_journal(&mut self, file: FileNumber, tree: &Tree) -> FileAnswer {
        match (self.journals.remove(&file), &tree.source.journal) {
            (Some(journalctl), Some(query)) => FileAnswer::Ended(journalctl.end(&query.tool)),
            _ => FileAnswer::Unknown,
        }
    }

    fn watch(&mut self, path: &Arc<Path>) -> bool {
        if self.watch.is_none() {
            let wake = Arc::clone(&self.wake);
            // Without events the brain looks once a second.
            let events = FileEvents::new(Box::new(move || wake()));
            self.watch = events.inspect_err(|error| log::warn!("no file events ({error})")).ok();
        }
        let Some(watch) = &mut self.watch else { return false };
        // Anew also where another follower watches it: the file may be another one by now.
        let is_watched = watch.add(path);
        if is_watched {
            *self.watched.entry(Arc::clone(path)).or_default() += 1;
        }
        is_watched
    }

    fn unwatch(&mut self, path: &Arc<Path>) {
        let Some(count) = self.watched.get_mut(path) else { return };
        *count -= 1;
        if *count == 0
            && let Some(watch) = &mut self.watch
        {
            self.watched.remove(path);
            watch.remove(path);
        }
        if self.watched.is_empty() {
            self.watch = None;
        }
    }
}

/// The path that the log would have in the directory of its rotated files.
fn archived(source: &Source) -> Option<PathBuf> {
    source.archive.as_ref().zip(source.path.file_name()).map(|(archive, name)| archive.join(name))
}

/// Whether a path without symbolic links is below a directory of the source.
fn is_below(target: &Path, tree: &Tree) -> bool {
    tree.tops().filter_map(|top| top.canonicalize().ok()).any(|top| target.starts_with(top))
}

fn opened(file: io::Result<File>) -> (FileAnswer, Vec<OwnedFd>) {
    match file {
        Ok(file) => (FileAnswer::Open, vec![file.into()]),
        Err(error) => (FileAnswer::of_error(&error), Vec::new()),
    }
}

/// A regular file comes open, so that the brain sees for itself what it is. Nothing else is opened for a look: a device may
/// do something when it is.
fn look(path: &Path, tree: &Tree) -> (FileAnswer, Vec<OwnedFd>) {
    let meta = if tree.source.through_links { fs::metadata(path) } else { fs::symlink_metadata(path) };
    match meta {
        Ok(meta) if meta.is_file() => opened(open(path, tree)),
        Ok(meta) => (FileAnswer::NoLog(NoLog::of(&meta), FileKey::of(&meta)), Vec::new()),
        Err(error) => (FileAnswer::of_error(&error), Vec::new()),
    }
}

/// Opens a regular file or a FIFO below a directory of its source; a link that leads out of it is not followed, wherever
/// somebody else may make one.
fn open(path: &Path, tree: &Tree) -> io::Result<File> {
    let below = |top: &Path| {
        let top = [top.to_owned(), top.canonicalize().ok()?];
        top.iter().find_map(|top| Some((top.clone(), path.strip_prefix(top).ok()?.to_owned())))
    };
    let (top, rest) = tree.tops().find_map(below).ok_or(io::ErrorKind::NotFound)?;
    let directory = File::open(top)?;
    let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if !tree.source.through_links {
        flags |= OFlags::NOFOLLOW;
    }
    let file = File::from(open_beneath(&directory, &rest, flags)?);
    let kind = file.metadata()?.file_type();
    match kind.is_file() || kind.is_fifo() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "is no file and no FIFO")),
    }
}

#[cfg(target_os = "linux")]
fn open_beneath(directory: &File, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    use rustix::io::Errno;
    let opened = openat2(directory, path, flags, Mode::empty(), ResolveFlags::BENEATH);
    match opened {
        Err(Errno::XDEV) => Err(leads_out()),
        // A kernel before 5.6.
        Err(Errno::NOSYS) => Ok(openat(directory, path, flags | OFlags::NOFOLLOW, Mode::empty())?),
        opened => Ok(opened?),
    }
}

#[cfg(target_os = "freebsd")]
fn open_beneath(directory: &File, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    use rustix::io::Errno;
    match openat(directory, path, flags | OFlags::RESOLVE_BENEATH, Mode::empty()) {
        Err(Errno::NOTCAPABLE) => Err(leads_out()),
        opened => Ok(opened?),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn open_beneath(directory: &File, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(openat(directory, path, flags | OFlags::NOFOLLOW, Mode::empty())?)
}

fn leads_out() -> io::Error {
    io::Error::other(
        "is a symlink that leads out of the log's directory, and with `privileges: separate` it is not followed; name what \
         it leads to",
    )
}
