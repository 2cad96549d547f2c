//! The state database: what must survive a restart, a crash, a power cut.
//!
//! | | |
//! | --- | --- |
//! | [`Lock`] | who may write; taken first, by the daemon for as long as it runs |
//! | [`Store`] | the database, and what could not be written to it yet |
//! | [`WriteBatch`] | what changed: rows of the engine, read positions and lines, stored together or not at all |
//! | [`Notice`] | what the operator must hear: a damaged file, a full disk |
//!
//! The database is the truth, but the daemon does not stop without it. What passes by itself (a full disk, a
//! read-only file system) leaves the changes in memory, and every further commit tries to write them again. A damaged
//! file is renamed and an empty one takes its place. Only what an operator must settle is refused: a file of a later
//! version or of another program, one that others could have written, a lock that another process holds.
//!
//! Bans in a damaged file are not taken over: a page that says wrong things could name a wrong address. They stay in
//! the firewall's table, where the daemon finds them as it finds entries of others.

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

/// The database, open or not, and what waits to be written to it.
#[derive(Debug)]
pub struct Store {
    // Closed before the lock is released: fields are dropped in their order.
    database: Option<Database>,
    lock: Lock,
    keep: Retention,
    pending: Pending,
    notices: Vec<Notice>,
    /// There is nothing in the database that the engine was not told.
    is_known: bool,
    purged: Option<Time>,
}

impl Store {
    /// Opens the database, makes it where there is none, and moves a damaged one out of the way.
    ///
    /// Where it cannot be written for now, the store is detached: it still reads what it can, keeps changes in memory,
    /// and a [`Notice`] says so.
    ///
    /// # Errors
    /// When the operator has to settle something: see [`StoreError::is_temporary`].
    pub fn open(lock: Lock, keep: Retention, now: Time) -> Result<Self, StoreError> {
        let (pending, notices) = (Pending::default(), Vec::new());
        let mut store = Self { database: None, lock, keep, pending, notices, is_known: false, purged: None };
        if let Err(error) = store.attach(now) {
            if !error.is_temporary() {
                return Err(error);
            }
            store.database = Database::open_read_only(store.lock.database());
            store.notices.push(Notice::Detached(error));
        }
        Ok(store)
    }

    /// Takes other spans into force.
    pub fn set_keep(&mut self, keep: Retention) {
        self.keep = keep;
    }

    /// What happened since the last call that must be said; see [`Notice::answer`] for what must be done.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Gives the engine what earlier runs stored: bans first, then what counts towards further ones.
    ///
    /// Bans that are over by now come too, so that `expire` finds them and they leave the firewall's table.
    /// What waits in memory is newer than what is stored and is not repeated.
    ///
    /// # Errors
    /// When the database cannot be read for now. A damaged one is no error but a notice; the rows before the damage
    /// were given.
    pub fn load(&mut self, now: Time, mut sink: impl FnMut(Row)) -> Result<(), StoreError> {
        let (pending, keep) = (&self.pending, &self.keep);
        let Some(database) = &self.database else { return Ok(()) };
        let newest = |row| {
            if !pending.overrules(&row) {
                sink(row);
            }
        };
        let read = read::rows(&database.connection, now, keep, newest);
        let Some(unreadable) = self.survive(read, now)? else { return Ok(()) };
        self.is_known = true;
        unreadable.into_iter().for_each(|(table, rows)| self.say_unreadable(table, rows));
        Ok(())
    }

    /// Where reading stood when it was last stored, in the order of the sources' names.
    ///
    /// # Errors
    /// When the database cannot be read for now.
    pub fn positions(&mut self, now: Time) -> Result<Vec<FilePosition>, StoreError> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        let read = read::positions(&database.connection);
        let Some((positions, unreadable)) = self.survive(read, now)? else { return Ok(Vec::new()) };
        if unreadable > 0 {
            self.say_unreadable("positions", unreadable);
        }
        Ok(positions)
    }

    /// Whose bans ended at `since` or later, as far as that is stored; they may be banned again by now.
    ///
    /// # Errors
    /// When the database cannot be read for now.
    pub fn ended(&mut self, since: Time, now: Time) -> Result<Vec<Prefix>, StoreError> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        let read = read::ended(&database.connection, since);
        let Some((ended, unreadable)) = self.survive(read, now)? else { return Ok(Vec::new()) };
        if unreadable > 0 {
            self.say_unreadable("past_bans", unreadable);
        }
        Ok(ended)
    }

    /// The newest `most` bans on the prefix, on networks around it and inside it: active ones first, then past ones,
    /// the newest first. What waits in memory is not among them.
    ///
    /// # Errors
    /// When the database cannot be read for now.
    pub fn why(&mut self, prefix: &Prefix, most: usize, now: Time) -> Result<Vec<BanRecord>, StoreError> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        let read = why::records(&database.connection, prefix, most);
        Ok(self.survive(read, now)?.unwrap_or_default())
    }

    /// Writes the batch, and whatever an earlier commit could not write, in one transaction.
    ///
    /// When this returns, the bans in it survive `kill -9` and a power cut and may be reported. Counters, positions
    /// and the rest of a batch without bans survive `kill -9`; a power cut may undo the last such batches together.
    ///
    /// # Errors
    /// When nothing was written. All of it waits in memory: call this again, with an empty batch if need be.
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
        // The second time, a damaged database is out of the way.
        for _ in 0..2 {
            self.make_writable(now)?;
            let Some(database) = &mut self.database else { break };
            let written = write::all(&mut database.connection, &self.pending);
            if self.survive(written, now)?.is_some() {
                self.pending = Pending::default();
                return Ok(());
            }
        }
        let cause = "a new one was damaged at once: the disk may be failing".to_owned();
        Err(StoreError::Damaged { path: self.lock.database().to_owned(), cause })
    }

    fn purge(&mut self, now: Time) {
        let due = |last: Time| now.since(last).is_none_or(|span| span >= purge::PURGE_EVERY);
        let Some(database) = self.database.as_mut().filter(|_| self.purged.is_none_or(due)) else { return };
        let purged = purge::step(&mut database.connection, now, &self.keep);
        self.purged = Some(now);
        // Nothing is lost when it fails, and the next write says what is wrong with the disk.
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

    /// Opens the database where it was not yet, or is no longer the file at its path.
    fn make_writable(&mut self, now: Time) -> Result<(), StoreError> {
        self.let_go_of_what_is_elsewhere();
        if self.database.is_none() {
            self.attach(now)?;
            if !self.is_known {
                self.notices.push(Notice::Found { database: self.lock.database().to_owned() });
            }
        }
        Ok(())
    }

    fn let_go_of_what_is_elsewhere(&mut self) {
        let path = self.lock.database();
        let Some(open) = self.database.take_if(|open| !open.is_writable || !open.is_at(path)) else { return };
        if open.is_writable {
            open.abandon();
            // What is in this log belongs to the file that is gone, and SQLite would apply it to whatever is there.
            let _ = std::fs::remove_file(suffixed(path, "-wal"));
            self.notices.push(Notice::Vanished { database: path.to_owned() });
        }
    }

    /// The result, or `None` where the database turned out to be damaged and was moved out of the way.
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

    fn say_unreadable(&mut self, table: &'static str, rows: u64) {
        let database = self.lock.database().to_owned();
        self.notices.push(Notice::Unreadable { database, table, rows });
    }
}

#[cfg(test)]
mod tests;
