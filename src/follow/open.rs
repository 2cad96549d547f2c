//! Opening what the operator named, without being led astray: the program reads as root, and in a jail's log
//! directory somebody else decides what a name is.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::position::FileKey;

/// A regular file, open, with what `fstat` said of the opened descriptor.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) meta: Metadata,
}

/// What a path leads to.
pub(super) enum PathState {
    Missing,
    File(Metadata),
    /// Something that is no log file, as the end of a sentence.
    Strange(&'static str),
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

/// Looks without opening. `through_links` decides whether a symlink's target or the link itself is looked at.
pub(super) fn path_state(path: &Path, through_links: bool) -> PathState {
    let meta = if through_links { std::fs::metadata(path) } else { std::fs::symlink_metadata(path) };
    match meta {
        Ok(meta) if meta.is_file() => PathState::File(meta),
        Ok(meta) => PathState::Strange(what_it_is(&meta)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => PathState::Missing,
        Err(error) => PathState::Unreachable(reason(&error)),
    }
}

/// Opens a regular file for reading; `O_NONBLOCK` so that a FIFO or a device put there meanwhile cannot hold us.
///
/// # Errors
/// An error of opening; `InvalidInput` where the path is no regular file.
pub(super) fn open_regular(path: &Path, through_links: bool) -> io::Result<Opened> {
    let opened = open_any(path, through_links)?;
    if !opened.meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what_it_is(&opened.meta)));
    }
    Ok(opened)
}

/// Opens a FIFO for reading, without waiting for a writer.
pub(super) fn open_fifo(path: &Path, through_links: bool) -> io::Result<Opened> {
    let opened = open_any(path, through_links)?;
    if !opened.meta.file_type().is_fifo() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a FIFO; `mkfifo` makes one"));
    }
    Ok(opened)
}

fn open_any(path: &Path, through_links: bool) -> io::Result<Opened> {
    let mut flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    if !through_links {
        flags |= OFlag::O_NOFOLLOW;
    }
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let meta = file.metadata()?;
    Ok(Opened { file, meta })
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

fn what_it_is(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    if kind.is_dir() {
        "is a directory; name a file in it, or a pattern such as DIRECTORY/*.log"
    } else if kind.is_fifo() {
        IS_FIFO
    } else if kind.is_symlink() {
        "is a symlink, and this source does not follow them"
    } else {
        "is a device or socket, not a log file"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;

    fn refusal(path: &Path, through_links: bool) -> String {
        match path_state(path, through_links) {
            PathState::Strange(why) => why.to_owned(),
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
            let error = open_regular(path, true).err().expect("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(reason(&error), refusal(path, true));
        }
        assert!(open_fifo(&fifo, true).is_ok());
        assert!(open_fifo(Path::new("/dev/null"), true).is_err());
    }

    #[test]
    fn a_symlink_is_refused_where_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        let link = directory.path().join("link");
        std::fs::write(&file, "secret\n").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(refusal(&link, true), "file");
        assert!(open_regular(&link, true).is_ok());
        assert!(refusal(&link, false).contains("symlink"));
        assert!(reason(&open_regular(&link, false).err().expect("refused")).contains("symlink"));
    }

    #[test]
    fn what_is_not_there_is_missing_not_refused() {
        assert_eq!(refusal(Path::new("/nonexistent/auth.log"), true), "missing");
    }
}
