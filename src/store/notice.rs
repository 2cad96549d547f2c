//! What happened to the database that is no error, but must be said, and sometimes answered.

use std::fmt;
use std::path::PathBuf;

use super::error::StoreError;

/// Something to log; see [`Notice::answer`] for what else.
#[derive(Debug)]
pub enum Notice {
    /// It cannot be written for now; the store goes on without and tries again at every commit.
    Detached(StoreError),
    /// It was damaged and is now out of the way; an empty one is in use.
    MovedAside {
        /// The database.
        database: PathBuf,
        /// Where the damaged one is, its `-wal` beside it.
        moved_to: PathBuf,
        /// The error message of SQLite.
        cause: String,
    },
    /// Somebody removed or replaced the file while it was open.
    Vanished {
        /// The database.
        database: PathBuf,
    },
    /// It could not be read at the start, and now it can.
    Found {
        /// The database.
        database: PathBuf,
    },
    /// Some rows make no sense and were passed over.
    Unreadable {
        /// The database.
        database: PathBuf,
        /// The table that holds the rows.
        table: &'static str,
        /// The number of rows.
        rows: u64,
    },
    /// Nothing could be written for so long that some of it is no longer kept.
    Forgotten {
        /// The kind of rows that are lost.
        what: &'static str,
    },
}

/// What a [`Notice`] asks of the owner of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeAction {
    /// To log it.
    Log,
    /// To commit all active bans and positions again: the database may not hold them.
    WriteAll,
    /// To call [`super::Store::load`]: there is an earlier run's state after all.
    Load,
}

impl Notice {
    /// What to do besides logging it.
    pub fn answer(&self) -> NoticeAction {
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
            Self::Detached(error) => write!(f, "going on without stored state: {error}"),
            Self::MovedAside { database, moved_to, cause } => write!(
                f,
                "{} was damaged ({cause}) and is now {}: going on with an empty one; `sqlite3 {} .recover` shows what \
                 can still be read of the bans and counters in it",
                database.display(),
                moved_to.display(),
                moved_to.display()
            ),
            Self::Vanished { database } => write!(
                f,
                "{} was removed or replaced while it was in use: what is active is written again, older history is gone",
                database.display()
            ),
            Self::Found { database } => {
                write!(f, "{} can be read again: taking over the bans and counters in it", database.display())
            }
            Self::Unreadable { database, table, rows } => write!(
                f,
                "{}: {rows} rows of `{table}` make no sense and were passed over; somebody may have edited them",
                database.display()
            ),
            Self::Forgotten { what } => write!(
                f,
                "the database could not be written for too long, and memory is bounded: {what} from this time will not survive a restart"
            ),
        }
    }
}
