//! One writer at a time: a lock beside the database, held by the daemon as long as it runs.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::error::StoreError;
use super::inspect;
use crate::files::{self, directory_of, suffixed};

/// The right to write one database; the system takes it back when the process ends, however it ends.
///
/// It is flock(2) on `state.db.lock`, a file of its own: FreeBSD does not tell flock from the locks that SQLite
/// takes on the database. The file holds the owner's process id for the message to others, and is never removed,
/// since two processes could then lock two files of the same name.
#[derive(Debug)]
pub struct Lock {
    database: PathBuf,
    file: Option<File>,
}

impl Lock {
    /// Takes the lock for the database at `path`, whose directory is made if only that is missing.
    ///
    /// Where the lock file cannot be made because nothing can be written there at all, the lock is taken later, by
    /// the first attempt to write.
    ///
    /// # Errors
    /// [`StoreError::Held`] when another process has it; [`StoreError::Io`] when the path is wrong or forbidden.
    pub fn acquire(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::io(path, error);
        make_directory(path).map_err(failed)?;
        // Before a link is followed: in /tmp it could be another user's.
        inspect::directory(path, directory_of(path))?;
        let database = resolved(path).map_err(failed)?;
        inspect::directory(&database, directory_of(&database))?;
        let mut lock = Self { database, file: None };
        match lock.ensure() {
            Err(error) if !error.is_temporary() => Err(error),
            _ => Ok(lock),
        }
    }

    /// The process that has the database at `path`, where it can be known: for those who found nobody at the socket.
    pub fn holder(path: &Path) -> Option<u32> {
        let mut file = File::open(suffixed(&resolved(path).ok()?, ".lock")).ok()?;
        let pid = owner(&mut file)?;
        // Locked to try it, the file would stop a daemon that is just starting; so only where its owner lives.
        let lives = kill(Pid::from_raw(i32::try_from(pid).ok()?), None) != Err(Errno::ESRCH);
        let is_held = lives && matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        is_held.then_some(pid)
    }

    /// The database this is the lock of, symbolic links resolved.
    pub fn database(&self) -> &Path {
        &self.database
    }

    pub(super) fn ensure(&mut self) -> Result<(), StoreError> {
        if self.file.is_some() {
            return Ok(());
        }
        let path = suffixed(&self.database, ".lock");
        let failed = |error| StoreError::io(&path, error);
        let mut file = open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => sign(&mut file),
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Held { path: self.database.clone(), pid: owner(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        self.file = Some(file);
        Ok(())
    }
}

impl Drop for Lock {
    /// Closing is not enough: a process that another thread is just starting has a copy until it runs its program.
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
    }
}

/// For reading where the file system is read-only: that is enough to lock it.
fn open(path: &Path) -> io::Result<File> {
    files::open_lock(path).or_else(|error| match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => File::open(path).map_err(|_| error),
        _ => Err(error),
    })
}

/// A disk may be too full for a process id; the lock holds without it, only the message to others is poorer.
fn sign(file: &mut File) {
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
}

fn owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Only the last directory: a missing `/var/db` is a mistake in the path or a mount that is not there yet.
fn make_directory(path: &Path) -> io::Result<()> {
    match directory_of(path) {
        parent if parent.is_dir() => Ok(()),
        parent => DirBuilder::new().mode(0o700).create(parent),
    }
}

/// The same database has the same lock under whatever name.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(error)?;
            Ok(directory_of(path).canonicalize()?.join(name))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn there_is_one_lock_whatever_the_database_is_called_and_it_names_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/state.db");
        let held = Lock::acquire(&path).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(path.parent().unwrap()), mode(&suffixed(&path, ".lock"))), (0o700, 0o600));
        symlink(dir.path().join("new"), dir.path().join("alias")).unwrap();
        let error = Lock::acquire(&dir.path().join("alias/state.db")).unwrap_err();
        let pid = std::process::id();
        assert!(matches!(&error, StoreError::Held { pid: Some(found), .. } if *found == pid), "{error}");
        assert!(error.to_string().contains(&format!("the daemon runs (pid {pid})")), "{error}");
        assert_eq!(Lock::holder(&path), Some(pid));
        drop(held);
        assert_eq!(Lock::holder(&path), None, "it is signed still");
        assert!(Lock::acquire(&path).is_ok());
    }

    #[test]
    fn a_path_that_leads_nowhere_is_said_and_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let error = Lock::acquire(&dir.path().join("no/such/state.db")).unwrap_err();
        assert!(error.to_string().contains("no/such/state.db"), "{error}");
        assert!(!error.is_temporary() && !dir.path().join("no").exists());
    }
}
