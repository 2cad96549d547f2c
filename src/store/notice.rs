//! Events of the database that the operator must learn of, and that may call for action.

use std::fmt;
use std::path::PathBuf;

use super::error::StoreError;

/// An event to log; [`Notice::action`] says what else to do.
#[derive(Debug)]
pub enum Notice {
    /// The database cannot be written for now; every commit tries again.
    Detached(StoreError),
    /// The database was damaged and renamed; an empty one is in use.
    MovedAside {
        /// The database.
        database: PathBuf,
        /// The new name of the damaged one; its `-wal` was renamed likewise.
        moved_to: PathBuf,
        /// The error message of SQLite.
        cause: String,
    },
    /// The file was removed or replaced while it was open.
    Vanished {
        /// The database.
        database: PathBuf,
    },
    /// The database could not be read at the start, and now can.
    Found {
        /// The database.
        database: PathBuf,
    },
    /// Some rows are invalid and were skipped.
    Unreadable {
        /// The database.
        database: PathBuf,
        /// The name of the table.
        table: &'static str,
        /// The number of rows.
        rows: u64,
    },
    /// Nothing could be written for so long that some changes were dropped.
    Forgotten {
        /// The kind of information that is lost.
        what: &'static str,
    },
}

/// What a [`Notice`] asks of the owner of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeAction {
    /// Log it; nothing else follows from it.
    Log,
    /// Commit all active bans and positions again: the database may not contain them.
    WriteAll,
    /// Call [`super::Store::load`]: the state of an earlier run is available after all.
    Load,
}

impl Notice {
    /// The action that the notice calls for.
    pub fn action(&self) -> NoticeAction {
        match self {
            Self::MovedAside { .. } | Self::Vanished { .. } => NoticeAction::WriteAll,
            Self::Found { .. } => NoticeAction::Load,
            Self::Detached(_) | Self::Unreadable { .. } | Self::Forgotten { .. } => NoticeAction::Log,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Detached(error) => write!(f, "continuing without stored state: {error}"),
            Self::MovedAside { database, moved_to, cause } => write!(
                f,
                "{} was damaged ({cause}) and was renamed to {}: continuing with an empty one; `sqlite3 {} .recover` shows \
                 which of its bans and counters can still be read",
                database.display(),
                moved_to.display(),
                moved_to.display()
            ),
            Self::Vanished { database } => write!(
                f,
                "{} was removed or replaced while it was in use: active bans are written again, older history is gone",
                database.display()
            ),
            Self::Found { database } => {
                write!(f, "{} can be read again: restoring its bans and counters", database.display())
            }
            Self::Unreadable { database, table, rows } => write!(
                f,
                "{}: {rows} rows of `{table}` are invalid and were skipped; somebody may have edited them",
                database.display()
            ),
            Self::Forgotten { what } => write!(
                f,
                "the database could not be written for too long, and memory is bounded: {what} from this time will not survive a restart"
            ),
        }
    }
}
