//! A lock that lasts as long as a process: flock(2) on a file beside what is locked, signed with the process id.
//!
//! It is a file of its own, since FreeBSD does not tell flock from the locks that SQLite takes, and since two processes
//! that start at once would both find nobody at a socket. It is never removed: a process that starts may have opened it
//! already, and two could then lock two files of one name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::ownership::is_only_ours;

/// A lock that this process holds; the system takes it back however the process ends.
#[derive(Debug)]
pub(crate) struct LockFile(File);

/// Why a lock was not taken.
#[derive(Debug)]
pub(crate) enum LockFailure {
    /// Another process has it; its process id, where it wrote one.
    Held(Option<u32>),
    /// The system refused to open or lock the file.
    Io(io::Error),
}

impl LockFile {
    /// Takes the lock, and makes the file where it is missing: for us alone, and never through a link.
    ///
    /// # Errors
    /// An error where another process has it, the file cannot be opened, or somebody else put it there.
    pub(crate) fn take(path: &Path) -> Result<Self, LockFailure> {
        let mut file = open(path).map_err(LockFailure::Io)?;
        match file.try_lock() {
            Ok(()) => sign(&mut file),
            Err(TryLockError::WouldBlock) => return Err(LockFailure::Held(signature(&mut file))),
            Err(TryLockError::Error(error)) => return Err(LockFailure::Io(error)),
        }
        Ok(Self(file))
    }

    /// Whether a process has it.
    pub(crate) fn is_held(path: &Path) -> bool {
        open_to_look(path).is_ok_and(|file| is_locked(&file))
    }

    /// The process that has it, where it said so.
    pub(crate) fn holder(path: &Path) -> Option<u32> {
        let mut file = open_to_look(path).ok()?;
        let pid = signature(&mut file)?;
        // Locked to try it, the file would stop a daemon that is just starting; so only where its owner lives.
        let lives = kill(Pid::from_raw(i32::try_from(pid).ok()?), None) != Err(Errno::ESRCH);
        if lives && is_locked(&file) { Some(pid) } else { None }
    }
}

impl Drop for LockFile {
    /// Closing is not enough: a process that another thread is just starting has a copy until it runs its program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Whoever owns the directory may have put anything there.
fn open_to_look(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

/// For reading where the file system is read-only: that is enough to lock it.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlag::O_NOFOLLOW.bits() | OFlag::O_NONBLOCK.bits());
    let written = options.clone().write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = written.or_else(|error| match error.kind() {
        ErrorKind::ReadOnlyFilesystem => options.open(path).map_err(|_| error),
        _ => Err(error),
    })?;
    if is_only_ours(&file.metadata()?) {
        return Ok(file);
    }
    Err(io::Error::other(
        "it is another user's, no file, or has further names: look at what it is and remove it",
    ))
}

fn is_locked(file: &File) -> bool {
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// A disk may be too full for a process id; the lock holds without it, only the message to others is poorer.
fn sign(file: &mut File) {
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
}

fn signature(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn a_lock_names_its_holder_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(!LockFile::is_held(&path) && LockFile::holder(&path).is_none());
        let held = LockFile::take(&path).unwrap();
        let pid = Some(std::process::id());
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(LockFile::is_held(&path) && LockFile::holder(&path) == pid);
        assert!(matches!(LockFile::take(&path), Err(LockFailure::Held(found)) if found == pid));
        drop(held);
        assert!(!LockFile::is_held(&path) && LockFile::holder(&path).is_none(), "it is signed still");
        assert!(LockFile::take(&path).is_ok());
    }

    #[test]
    fn what_somebody_may_have_laid_out_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let [path, precious] = ["lock", "precious"].map(|name| dir.path().join(name));
        for lay in [symlink, |from: &std::path::PathBuf, to: &std::path::PathBuf| fs::hard_link(from, to)] {
            fs::write(&precious, "root:x:0:0").unwrap();
            lay(&precious, &path).unwrap();
            assert!(matches!(LockFile::take(&path), Err(LockFailure::Io(_))));
            assert_eq!(fs::read_to_string(&precious).unwrap(), "root:x:0:0");
            fs::remove_file(&path).unwrap();
        }
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(LockFile::take(&path), Err(LockFailure::Io(_))));
    }
}
