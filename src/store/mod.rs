//! The state database: what must survive a restart, a crash, a power cut.
//!
//! | | |
//! | --- | --- |
//! | [`Lock`] | the right to write; taken first, held by the daemon while it runs |
//! | [`Store`] | the database, and the changes that are not written yet |
//! | [`WriteBatch`] | changed rows of the engine, read positions and lines, stored together or not at all |
//! | [`Notice`] | an event for the operator: a damaged file, a full disk |
//!
//! The database is the truth, but the daemon does not stop without it. After an error that may resolve itself (a full disk, a
//! read-only file system) the changes stay in memory, and every further commit tries again to write them. A damaged
//! file is renamed and replaced by an empty one. Only what an operator must resolve is refused: a file of a later version
//! or of another program, one that others could have written, a lock that another process holds.
//!
//! Bans in a damaged file are not restored, since a damaged page could name a wrong address. They stay in the firewall's
//! table, where the daemon finds them like entries of other programs.

mod batch;
mod database;
mod encode;
mod error;
mod lock;
mod notice;
mod ownership;
mod pending;
mod purge;
mod read;
mod schema;
mod why;
mod write;

pub use batch::{BanLine, BanLines, FilePosition, MAX_LINE_BYTES, MAX_LINES, PositionChange, WriteBatch};
pub use error::StoreError;
pub use lock::Lock;
pub use notice::{Notice, NoticeAction};
pub use ownership::check_place;
pub use purge::Retention;
pub use why::BanRecord;

use crate::address::Prefix;
use crate::engine::Row;
use crate::files::suffixed;
use crate::time::Time;
use database::Database;
use pending::Pending;

/// The database, open or not, and the changes that are to be written to it.
#[derive(Debug)]
pub struct Store {
    // Closed before the lock is released: fields are dropped in order.
    database: Option<Database>,
    lock: Lock,
    retention: Retention,
    pending: Pending,
    notices: Vec<Notice>,
    /// Whether the engine knows all that is in the database.
    is_known: bool,
    purged: Option<Time>,
}

impl Store {
    /// Opens the database, creates it if there is none, and moves a damaged one out of the way.
    ///
    /// While it cannot be written, the store is detached: it reads what it can, keeps changes in memory, and issues a
    /// [`Notice`].
    ///
    /// # Errors
    /// When the operator has to resolve something: see [`StoreError::is_temporary`].
    pub fn open(lock: Lock, retention: Retention, now: Time) -> Result<Self, StoreError> {
        let mut store = Self {
            database: None,
            lock,
            retention,
            pending: Pending::default(),
            notices: Vec::new(),
            is_known: false,
            purged: None,
        };
        if let Err(error) = store.attach(now) {
            if !error.is_temporary() {
                return Err(error);
            }
            store.database = Database::open_read_only(store.lock.database());
            store.notices.push(Notice::Detached(error));
        }
        Ok(store)
    }

    /// Sets how long things are kept.
    pub fn set_retention(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// The notices since the last call, each to be logged and acted on as [`Notice::action`] says.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Passes what earlier runs stored to the engine: bans first, then what counts towards further ones.
    ///
    /// Bans that have expired are included, so that `expire` finds them and they leave the firewall's table. Rows that a
    /// pending change overrules are left out.
    ///
    /// # Errors
    /// When the database cannot be read for now. A damaged one causes a notice instead; the rows before the damage have been
    /// passed.
    pub fn load(&mut self, now: Time, mut sink: impl FnMut(Row)) -> Result<(), StoreError> {
        let Some(database) = &self.database else { return Ok(()) };
        let newest = |row| {
            if !self.pending.overrules(&row) {
                sink(row);
            }
        };
        let read = read::rows(&database.connection, now, &self.retention, newest);
        let Some(unreadable) = self.survive(read, now)? else { return Ok(()) };
        self.is_known = true;
        for (table, rows) in unreadable {
            self.note_unreadable(table, rows);
        }
        Ok(())
    }

    /// The stored read positions, in the order of the sources' names.
    ///
    /// # Errors
    /// When the database cannot be read for now.
    pub fn positions(&mut self, now: Time) -> Result<Vec<FilePosition>, StoreError> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        let read = read::positions(&database.connection);
        let Some((positions, unreadable)) = self.survive(read, now)? else { return Ok(Vec::new()) };
        if unreadable > 0 {
            self.note_unreadable("positions", unreadable);
        }
        Ok(positions)
    }

    /// The offenders whose bans ended at `since` or later; they may be banned again by now.
    ///
    /// # Errors
    /// When the database cannot be read for now.
    pub fn ended(&mut self, since: Time, now: Time) -> Result<Vec<Prefix>, StoreError> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        let read = read::ended(&database.connection, since);
        let Some((ended, unreadable)) = self.survive(read, now)? else { return Ok(Vec::new()) };
        if unreadable > 0 {
            self.note_unreadable("past_bans", unreadable);
        }
        Ok(ended)
    }

    /// The newest `limit` bans on the prefix and on prefixes around and inside it: active ones first, then past ones, the
    /// newest first. Pending changes are not included.
    ///
    /// # Errors
    /// When the database cannot be read for now.
    pub fn why(&mut self, prefix: &Prefix, limit: usize, now: Time) -> Result<Vec<BanRecord>, StoreError> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        let read = why::records(&database.connection, prefix, limit);
        Ok(self.survive(read, now)?.unwrap_or_default())
    }

    /// Writes the batch, and everything that an earlier commit could not write, in one transaction.
    ///
    /// Afterwards its bans survive `kill -9` and a power cut and may be reported. A batch without bans survives `kill -9`; a
    /// power cut may undo the last such batches together.
    ///
    /// # Errors
    /// When nothing was written. All of it stays in memory: call this again, if need be with an empty batch.
    pub fn commit(&mut self, batch: WriteBatch) -> Result<(), StoreError> {
        let now = batch.now;
        self.pending.absorb(batch);
        if self.pending.len() == 0 {
            return Ok(());
        }
        if let Err(error) = self.write(now) {
            self.notices.extend(self.pending.trim());
            return Err(error);
        }
        self.purge(now);
        Ok(())
    }

    fn write(&mut self, now: Time) -> Result<(), StoreError> {
        // On the second attempt a damaged database is out of the way.
        for _ in 0..2 {
            self.make_writable(now)?;
            let Some(database) = &mut self.database else { break };
            let written = write::all(&mut database.connection, &self.pending);
            if self.survive(written, now)?.is_some() {
                self.pending = Pending::default();
                return Ok(());
            }
        }
        let cause = "a new one was damaged immediately: the disk may be failing".to_owned();
        Err(StoreError::Damaged { path: self.lock.database().to_owned(), cause })
    }

    fn purge(&mut self, now: Time) {
        let is_due = |last: Time| now.since(last).is_none_or(|span| span >= purge::PURGE_EVERY);
        if !self.purged.is_none_or(is_due) {
            return;
        }
        let Some(database) = &mut self.database else { return };
        let purged = purge::step(&mut database.connection, now, &self.retention);
        self.purged = Some(now);
        // If it fails, nothing is lost, and the next write reports what is wrong with the disk.
        let _ = self.survive(purged, now);
    }

    fn attach(&mut self, now: Time) -> Result<(), StoreError> {
        self.lock.ensure()?;
        let path = self.lock.database().to_owned();
        let opened = match Database::open(&path) {
            Err(StoreError::Damaged { cause, .. }) => {
                self.set_aside(cause, now)?;
                Database::open(&path)?
            }
            opened => opened?,
        };
        self.is_known |= opened.is_new;
        self.database = Some(opened);
        Ok(())
    }

    /// Opens the database if it is not open, or if its path names another file by now.
    fn make_writable(&mut self, now: Time) -> Result<(), StoreError> {
        self.close_if_replaced();
        if self.database.is_none() {
            self.attach(now)?;
            if !self.is_known {
                self.notices.push(Notice::Found { database: self.lock.database().to_owned() });
            }
        }
        Ok(())
    }

    fn close_if_replaced(&mut self) {
        let path = self.lock.database();
        let Some(open) = self.database.take_if(|open| !open.is_writable || !open.is_at(path)) else { return };
        if open.is_writable {
            open.abandon();
            // This log belongs to the file that is gone, and SQLite would apply it to another.
            let _ = std::fs::remove_file(suffixed(path, "-wal"));
            self.notices.push(Notice::Vanished { database: path.to_owned() });
        }
    }

    /// The result, or `None` if the database turned out to be damaged and was moved out of the way.
    fn survive<T>(&mut self, result: rusqlite::Result<T>, now: Time) -> Result<Option<T>, StoreError> {
        let error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => StoreError::sqlite(self.lock.database(), error),
        };
        let StoreError::Damaged { cause, .. } = error else { return Err(error) };
        self.set_aside(cause, now)?;
        Ok(None)
    }

    fn set_aside(&mut self, cause: String, now: Time) -> Result<(), StoreError> {
        if let Some(database) = self.database.take() {
            database.abandon();
        }
        let database = self.lock.database().to_owned();
        match database::set_aside(&database, now) {
            Ok(moved_to) => self.notices.push(Notice::MovedAside { database, moved_to, cause }),
            Err(error) => {
                return Err(StoreError::Damaged { path: database, cause: format!("{cause}; {error}") });
            }
        }
        self.is_known = true;
        Ok(())
    }

    fn note_unreadable(&mut self, table: &'static str, rows: u64) {
        let database = self.lock.database().to_owned();
        self.notices.push(Notice::Unreadable { database, table, rows });
    }
}

#[cfg(test)]
mod tests;
