//! Checks that the files are ours. Their content decides who is banned, and root writes to them: no other user may be able
//! to replace them.

use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use super::error::StoreError;
use crate::files::{exposure, resolved, suffixed};

/// The files beside the database: SQLite trusts a log whoever wrote it, and the lock is written to.
const BESIDE: [&str; 4] = ["-wal", "-journal", "-shm", ".lock"];

/// Checks that no other user can replace the database at `path` or the files beside it, whether or not they exist yet.
///
/// # Errors
/// [`StoreError::Exposed`], or the system's error if a path cannot be examined.
pub fn check_place(path: &Path) -> Result<(), StoreError> {
    ours(path)?;
    let database = resolved(path).map_err(|error| StoreError::io(path, error))?;
    BESIDE.iter().try_for_each(|suffix| ours(&suffixed(&database, suffix)))
}

/// Checks that no other user can replace one path.
pub(super) fn ours(path: &Path) -> Result<(), StoreError> {
    match exposure(path).map_err(|error| StoreError::io(path, error))? {
        Some(exposure) => Err(StoreError::Exposed(exposure)),
        None => Ok(()),
    }
}

/// Checks the kind and content of the database file, and restricts its mode.
pub(super) fn check_file(path: &Path, found: &Metadata) -> Result<(), StoreError> {
    let mode = found.mode();
    if !found.is_file() {
        return unfit(path, kind(found).to_owned(), "move it away");
    }
    if found.len() == 0 && has_log(path) {
        // SQLite would throw the log away, and all that was committed with it.
        let cause = "it is empty, but its log is not".to_owned();
        return Err(StoreError::Damaged { path: path.to_owned(), cause });
    }
    if mode & 0o077 != 0 {
        // It contains people's addresses. If this fails, the next write fails as well, and says why.
        let _ = fs::set_permissions(path, Permissions::from_mode(0o600));
    }
    Ok(())
}

/// Whether there may be committed changes that are only in the write-ahead log.
pub(super) fn has_log(path: &Path) -> bool {
    suffixed(path, "-wal").metadata().is_ok_and(|log| log.len() > 0)
}

fn unfit(path: &Path, what: String, mend: &'static str) -> Result<(), StoreError> {
    Err(StoreError::Unfit { path: path.to_owned(), what, mend })
}

fn kind(found: &Metadata) -> &'static str {
    match found.file_type() {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Lock;
    use super::*;

    fn open_to_all(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        let path = dir.path().join("state.db");
        (dir, path)
    }

    #[test]
    fn a_directory_where_others_may_replace_files_is_refused() {
        let (_dir, path) = open_to_all(0o777);
        let said = Lock::acquire(&path).unwrap_err().to_string();
        assert!(said.contains("can be written by everybody (mode 0777)") && said.contains("chmod"), "{said}");
        let (_dir, path) = open_to_all(0o1777);
        assert!(Lock::acquire(&path).is_ok());
    }

    #[test]
    fn files_that_others_laid_out_in_tmp_are_neither_believed_nor_written_to() {
        for suffix in std::iter::once("").chain(BESIDE) {
            let (dir, path) = open_to_all(0o1777);
            let precious = dir.path().join("precious");
            fs::write(&precious, "root:x:0:0").unwrap();
            for link in [std::os::unix::fs::symlink, |from: &PathBuf, to| fs::hard_link(from, to)] {
                let trap = suffixed(&path, suffix);
                link(&precious, trap.clone()).unwrap();
                let said = Lock::acquire(&path).unwrap_err().to_string();
                assert!(said.contains("remove it"), "{suffix}: {said}");
                assert_eq!(fs::read_to_string(&precious).unwrap(), "root:x:0:0");
                fs::remove_file(trap).unwrap();
            }
        }
    }
}
