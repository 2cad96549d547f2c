//! Errors of the database, as sentences for the operator.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::files::Exposure;

/// Why the database was not opened, read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process holds the lock.
    #[error("{} is in use: {}; stop it first, or ask it over its socket", path.display(), holder(*pid))]
    Held {
        /// The database.
        path: PathBuf,
        /// The process id of the holder, if it left one.
        pid: Option<u32>,
    },
    /// A later version of this program wrote it.
    #[error(
        "{} was written by portcullis {program} with schema version {found}, and this version supports up to {known}: install \
         that version again, or move the file away to start without bans, counters and positions",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The schema version of the file.
        found: u32,
        /// The newest schema version that is supported.
        known: u32,
        /// The version of the program that wrote it.
        program: String,
    },
    /// The file is not a database of ours.
    #[error("{} is {what}: name another file as `state` in the configuration, or {mend}", path.display())]
    Unfit {
        /// The path.
        path: PathBuf,
        /// The kind of file that it is.
        what: String,
        /// The next step of the operator.
        mend: &'static str,
    },
    /// Another user could replace the database.
    #[error("{0}; or name another place as `state` in the configuration")]
    Exposed(Exposure),
    /// The database is damaged, and could not be moved out of the way.
    #[error("{} is damaged ({cause}), and cannot be moved out of the way for now", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The error of SQLite or of the attempt to move it.
        cause: String,
    },
    /// The disk is full.
    #[error("no space is left for {}: free some space; until then changes are kept in memory", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The file system is read-only.
    #[error("{} is read-only: mount its file system for writing; until then changes are kept in memory", path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// Another program, perhaps `sqlite3`, has it open.
    #[error("{} is open in another program, perhaps sqlite3: close it there; until then changes are kept in memory", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// The system refused an operation on a path.
    #[error("{}: {error}{}", path.display(), advice(error))]
    Io {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// Any other error of SQLite.
    #[error("{} cannot be used: {error}", path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// The error of SQLite.
        error: rusqlite::Error,
    },
}

impl StoreError {
    /// Whether it may resolve itself, so that it makes sense to continue and try again.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Held { .. } | Self::Newer { .. } | Self::Unfit { .. } | Self::Exposed(_) => false,
            Self::Damaged { .. } | Self::Full { .. } | Self::ReadOnly { .. } | Self::Busy { .. } => true,
            Self::Io { error, .. } => !needs_operator(error),
            // A daemon without a database is better than none.
            Self::Failed { .. } => true,
        }
    }

    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            _ => Self::Io { path, error },
        }
    }

    pub(super) fn sqlite(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, cause: error.to_string() }
            }
            // A schema format that SQLite does not know (prepare.c), for which it has no code of its own.
            _ if error.to_string().contains("unsupported file format") => {
                Self::Damaged { path, cause: error.to_string() }
            }
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            _ => Self::Failed { path, error },
        }
    }
}

/// Whether only the operator can resolve an error.
fn needs_operator(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied, Unsupported};
    matches!(
        error.kind(),
        InvalidInput | IsADirectory | NotADirectory | NotFound | PermissionDenied | Unsupported
    )
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "; make the directory, or name another file as `state` in the configuration"
        }
        io::ErrorKind::PermissionDenied => {
            "; run as root, or name a file of your own as `state` in the configuration"
        }
        _ => "",
    }
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("the daemon runs (pid {pid})"),
        None => "the daemon runs".to_owned(),
    }
}
