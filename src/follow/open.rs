//! Opening what the operator named, without being led astray: logs are read with root's rights, and in a jail's log
//! directory somebody else decides what a name is.
//!
//! An [`Opener`] is the one way to the files: of this process itself, or of another that may open what this one may not.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::journalctl::{JournalQuery, JournalStart, Journalctl};
use super::listing::{Listed, expand};
use super::position::FileKey;
use super::rotations::rotations;
use super::watch::{FileEvents, Watch};

/// A file, open, with what `fstat` said of the opened descriptor.
#[derive(Debug)]
pub struct Opened {
    /// The open file.
    pub file: File,
    /// The file's metadata, by `fstat`.
    pub meta: Metadata,
}

impl Opened {
    /// # Errors
    /// An error of `fstat`.
    pub fn new(file: File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self { file, meta })
    }
}

/// The kind of something that is no log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoLog {
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A symbolic link of a source that does not follow them.
    Link,
    /// A device or a socket.
    Device,
}

impl NoLog {
    /// Of something that is no regular file.
    pub fn of(meta: &Metadata) -> Self {
        let kind = meta.file_type();
        if kind.is_dir() {
            Self::Directory
        } else if kind.is_fifo() {
            Self::Fifo
        } else if kind.is_symlink() {
            Self::Link
        } else {
            Self::Device
        }
    }

    /// The complaint, as the end of a sentence that begins with the path.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "is a directory; name a file in it, or a pattern such as DIRECTORY/*.log",
            Self::Fifo => IS_FIFO,
            Self::Link => "is a symlink, and this source does not follow them",
            Self::Device => "is a device or socket, not a log file",
        }
    }
}

/// What a path leads to.
#[derive(Debug)]
pub enum PathState {
    /// Nothing is there.
    Missing,
    /// A regular file.
    File(Metadata),
    /// Something that is no log file.
    Strange(NoLog),
    /// It could not be found out, as the end of a sentence.
    Unreachable(String),
}

impl PathState {
    pub(super) fn key(&self) -> Option<FileKey> {
        match self {
            Self::File(meta) => Some(FileKey::of(meta)),
            Self::Missing | Self::Strange(_) | Self::Unreachable(_) => None,
        }
    }
}

/// The way to the logs. Everything that `follow` does by path is asked here; what it does with open files it does itself.
///
/// `through_links` decides whether symbolic links are followed.
pub trait Opener: Send + Sync {
    /// Looks without opening.
    fn look(&self, path: &Path, through_links: bool) -> PathState;

    /// Device and inode of whatever is at the path, links followed; `None` where nothing is.
    fn key(&self, path: &Path) -> Option<FileKey>;

    /// Opens a file of any kind for reading, without waiting for anything.
    ///
    /// # Errors
    /// An error of opening.
    fn open(&self, path: &Path, through_links: bool) -> io::Result<Opened>;

    /// The paths that match a pattern, without directories.
    fn expand(&self, pattern: &str) -> Vec<Listed>;

    /// The rotated files of a log that exist now, oldest first.
    fn rotations(&self, log: &Path) -> Vec<PathBuf>;

    /// The path without symbolic links; the path itself where that cannot be found out.
    fn target(&self, path: &Path) -> PathBuf;

    /// Starts journalctl, which follows the journal.
    ///
    /// # Errors
    /// When it cannot be started, or somebody else may replace it.
    fn journal(&self, query: &JournalQuery, start: &JournalStart) -> io::Result<Journalctl> {
        query.start(start, true)
    }

    /// Ends a journalctl whose output has ended, and says why it did, on one line.
    fn end_of_journal(&self, query: &JournalQuery, journalctl: Journalctl) -> String {
        journalctl.end(&query.tool)
    }

    /// Has `wake` called when a file changes that is watched.
    ///
    /// # Errors
    /// An error, as a text, of a system that has no watches left.
    fn watch(&self, wake: Box<dyn Fn() + Send + Sync>) -> Result<Box<dyn Watch>, String>;
}

/// This process opens the logs by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisProcess;

impl Opener for ThisProcess {
    fn look(&self, path: &Path, through_links: bool) -> PathState {
        let meta = if through_links { fs::metadata(path) } else { fs::symlink_metadata(path) };
        match meta {
            Ok(meta) if meta.is_file() => PathState::File(meta),
            Ok(meta) => PathState::Strange(NoLog::of(&meta)),
            Err(error) => no_look(&error),
        }
    }

    fn key(&self, path: &Path) -> Option<FileKey> {
        fs::metadata(path).ok().map(|meta| FileKey::of(&meta))
    }

    /// With `O_NONBLOCK`, so that a FIFO or a device put there meanwhile cannot hold us.
    fn open(&self, path: &Path, through_links: bool) -> io::Result<Opened> {
        let mut flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        if !through_links {
            flags |= OFlag::O_NOFOLLOW;
        }
        Opened::new(OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?)
    }

    fn expand(&self, pattern: &str) -> Vec<Listed> {
        let mut found = expand(pattern).unwrap_or_default();
        found.retain(|path| path.as_ref().map_or(true, |path| !path.is_dir()));
        found
    }

    fn rotations(&self, log: &Path) -> Vec<PathBuf> {
        rotations(log)
    }

    fn target(&self, path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    }

    fn watch(&self, wake: Box<dyn Fn() + Send + Sync>) -> Result<Box<dyn Watch>, String> {
        match FileEvents::new(wake) {
            Ok(events) => Ok(Box::new(events)),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What is known of a path after this error of looking at it.
pub fn no_look(error: &io::Error) -> PathState {
    match error.kind() {
        io::ErrorKind::NotFound => PathState::Missing,
        _ => PathState::Unreachable(reason(error)),
    }
}

/// Opens a regular file for reading.
///
/// # Errors
/// An error of opening; `InvalidInput` where the path is no regular file.
pub(super) fn open_regular(opener: &dyn Opener, path: &Path, through_links: bool) -> io::Result<Opened> {
    let opened = opener.open(path, through_links)?;
    if !opened.meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, NoLog::of(&opened.meta).as_str()));
    }
    Ok(opened)
}

/// Opens a FIFO for reading, without waiting for a writer.
pub(super) fn open_fifo(opener: &dyn Opener, path: &Path, through_links: bool) -> io::Result<Opened> {
    let opened = opener.open(path, through_links)?;
    if !opened.meta.file_type().is_fifo() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a FIFO; `mkfifo` makes one"));
    }
    Ok(opened)
}

/// Why a file cannot be read and what to do, as the end of a sentence that begins with its path.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "may not be read by this user; run as root or allow its group to read it".to_owned()
        }
        io::ErrorKind::InvalidInput => error.to_string(),
        // The errors of O_NOFOLLOW on Linux and on FreeBSD.
        _ if [Some(Errno::ELOOP as i32), Some(Errno::EMLINK as i32)].contains(&error.raw_os_error()) => {
            "is a symlink, and this source does not follow them".to_owned()
        }
        _ => format!("cannot be read: {error}"),
    }
}

/// The complaint about a FIFO that a pattern matches; one that a source names becomes a pipe at the next look.
pub(super) const IS_FIFO: &str = "is a FIFO; make it a source of its own to have it read";

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;

    fn refusal(path: &Path, through_links: bool) -> String {
        match ThisProcess.look(path, through_links) {
            PathState::Strange(kind) => kind.as_str().to_owned(),
            PathState::Unreachable(why) => why,
            PathState::Missing => "missing".to_owned(),
            PathState::File(_) => "file".to_owned(),
        }
    }

    #[test]
    fn a_fifo_or_a_device_in_the_place_of_a_log_is_refused_and_never_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        for path in [&fifo, Path::new("/dev/null"), directory.path()] {
            let error = open_regular(&ThisProcess, path, true).expect_err("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(reason(&error), refusal(path, true));
        }
        assert!(open_fifo(&ThisProcess, &fifo, true).is_ok());
        assert!(open_fifo(&ThisProcess, Path::new("/dev/null"), true).is_err());
    }

    #[test]
    fn a_symlink_is_refused_where_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        let link = directory.path().join("link");
        fs::write(&file, "secret\n").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(refusal(&link, true), "file");
        assert!(open_regular(&ThisProcess, &link, true).is_ok());
        assert!(refusal(&link, false).contains("symlink"));
        assert!(reason(&open_regular(&ThisProcess, &link, false).expect_err("refused")).contains("symlink"));
    }

    #[test]
    fn what_is_not_there_is_missing_not_refused() {
        assert_eq!(refusal(Path::new("/nonexistent/auth.log"), true), "missing");
    }
}
