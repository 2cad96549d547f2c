//! Ensures a single writer: a lock file beside the database, held by the daemon while it runs.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::ownership::{check_place, ours};
use crate::files::{LockFailure, LockFile, directory_of, resolved, suffixed};

/// The right to write to a database: a lock on `state.db.lock`, which the system releases however the process ends.
#[derive(Debug)]
pub struct Lock {
    database: PathBuf,
    file: Option<LockFile>,
}

impl Lock {
    /// Takes the lock of the database at `path`, and creates its directory if only that is missing.
    ///
    /// If the lock file cannot be created because nothing can be written there, the lock is taken later, by the first
    /// attempt to write.
    ///
    /// # Errors
    /// [`StoreError::Held`] when another process has it; [`StoreError::Exposed`] when another user could replace the
    /// database; [`StoreError::Io`] when the path is wrong or access is denied.
    pub fn acquire(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::io(path, error);
        // Before anything is created or a link is followed there.
        ours(path)?;
        make_directory(path).map_err(failed)?;
        check_place(path)?;
        let mut lock = Self { database: resolved(path).map_err(failed)?, file: None };
        match lock.ensure() {
            Err(error) if !error.is_temporary() => Err(error),
            _ => Ok(lock),
        }
    }

    /// The process that holds the lock of the database at `path`, if known: a daemon that does not listen at its socket.
    pub fn holder(path: &Path) -> Option<u32> {
        LockFile::holder(&beside(&resolved(path).ok()?))
    }

    /// The path of the database, with symbolic links resolved.
    pub fn database(&self) -> &Path {
        &self.database
    }

    pub(super) fn ensure(&mut self) -> Result<(), StoreError> {
        if self.file.is_some() {
            return Ok(());
        }
        let path = beside(&self.database);
        let file = LockFile::take(&path).map_err(|failure| match failure {
            LockFailure::Held(pid) => StoreError::Held { path: self.database.clone(), pid },
            LockFailure::Io(error) => StoreError::io(&path, error),
        })?;
        self.file = Some(file);
        Ok(())
    }
}

fn beside(database: &Path) -> PathBuf {
    suffixed(database, ".lock")
}

/// Creates only the last directory: a missing `/var/db` is a mistake in the path or a file system that is not mounted yet.
fn make_directory(path: &Path) -> io::Result<()> {
    let directory = directory_of(path);
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new().mode(0o700).create(directory)
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
