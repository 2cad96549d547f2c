//! Opens the database file, and moves a damaged one out of the way.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};

use super::error::StoreError;
use super::ownership::{self, has_log};
use super::schema::{self, FileContent};
use crate::files::{self, suffixed};
use crate::time::Time;

/// How long to wait for an operator's `sqlite3` that has the file open; after that, changes wait in memory.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// A cache of half a MB whatever the file's size, since the whole idle daemon takes 12 MB; no memory mapping, since a failing
/// disk would then cause a signal instead of an error.
///
/// Exclusive locking keeps the log's index in memory instead of a third file (for which a full disk has no room), keeps
/// readers from delaying checkpoints, and other programs from writing. The schema of a file that was tampered with may not
/// call functions, and pages with contradictory cells are detected early.
const SETTINGS: &str = "
PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -512; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;
PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;";

/// The write-ahead log is checkpointed every 1,000 pages, and truncated to 1 MB after a large batch.
const LOG: &str =
    "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = 1048576;";

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    /// Whether the file was empty.
    pub(super) is_new: bool,
    pub(super) is_writable: bool,
    /// Device and inode of the file.
    identity: (u64, u64),
}

impl Database {
    /// Opens the database, and creates it if there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let is_made = !make_or_check(path)?;
        let opened = Self::open_existing(path);
        if is_made && opened.is_err() {
            // The next start would take an empty file for lost data.
            let _ = fs::remove_file(path);
        }
        opened
    }

    fn open_existing(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::sqlite(path, error);
        let mut connection = connect(path).map_err(failed)?;
        let content = schema::content(&connection).map_err(failed)?;
        let found = schema_version(path, &connection, content)?;
        prepare(&mut connection, found).map_err(failed)?;
        let identity = identity(path).map_err(|error| StoreError::io(path, error))?;
        Ok(Self { connection, is_new: found == 0, is_writable: true, identity })
    }

    /// Opens a database that cannot be written, in order to read it. `None` if it was not closed cleanly, since its log
    /// would be ignored.
    pub(super) fn open_read_only(path: &Path) -> Option<Self> {
        ownership::check_place(path).ok()?;
        ownership::check_file(path, &path.metadata().ok()?).ok()?;
        if has_log(path) {
            return None;
        }
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(immutable(path), flags).ok()?;
        connection.execute_batch(SETTINGS).ok()?;
        if schema::content(&connection).ok()? != FileContent::Ours(schema::version(schema::STEPS)) {
            return None;
        }
        Some(Self { connection, is_new: false, is_writable: false, identity: (0, 0) })
    }

    /// Whether the file that is open is still the one at `path`.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        identity(path).is_ok_and(|found| found == self.identity)
    }

    /// Closes the database without writing to its file.
    pub(super) fn abandon(self) {
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }
}

/// Creates an empty file, or checks the existing one; returns whether there was one.
fn make_or_check(path: &Path) -> Result<bool, StoreError> {
    let failed = |error| StoreError::io(path, error);
    // Again: it may have changed since the lock was taken.
    ownership::check_place(path)?;
    match path.metadata() {
        Ok(found) => ownership::check_file(path, &found).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
            Ok(false)
        }
        Err(error) => Err(failed(error)),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    if connection.is_readonly("main")? {
        // SQLite silently opens a file that it can only read, and fails later with a less helpful error.
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY), None));
    }
    // Until the file is known to be ours and sound, closing it must not change a byte.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(SETTINGS)?;
    connection.set_prepared_statement_cache_capacity(48);
    Ok(connection)
}

/// The schema version of a file that can be used; zero for an empty one.
fn schema_version(path: &Path, connection: &Connection, content: FileContent) -> Result<u32, StoreError> {
    let known = schema::version(schema::STEPS);
    let damaged = |cause: &str| StoreError::Damaged { path: path.to_owned(), cause: cause.to_owned() };
    match content {
        FileContent::Ours(found) if found > known => {
            let program = schema::program(connection);
            Err(StoreError::Newer { path: path.to_owned(), found, known, program })
        }
        FileContent::Ours(found) => Ok(found),
        FileContent::Empty => Ok(0),
        FileContent::Broken => Err(damaged("tables or columns are missing")),
        FileContent::Foreign => {
            let what = "the database of another program".to_owned();
            Err(StoreError::Unfit { path: path.to_owned(), what, mend: "move it away" })
        }
    }
}

fn prepare(connection: &mut Connection, found: u32) -> rusqlite::Result<()> {
    if found == 0 {
        // Only possible while there is no table.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
    }
    connection.execute_batch(LOG)?;
    schema::migrate(connection, found, schema::STEPS)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    path.metadata().map(|found| files::identity(&found))
}

/// The URI with which SQLite neither reads a log nor takes a lock.
fn immutable(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let escaped = path.as_os_str().as_bytes().iter().map(|&byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02x}"),
    });
    format!("file:{}?immutable=1", escaped.collect::<String>())
}

/// Renames a damaged database with its log and index, and returns the new name.
pub(super) fn set_aside(path: &Path, now: Time) -> io::Result<PathBuf> {
    let stamp = now.timestamp().to_zoned_datetime(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ");
    let base = suffixed(path, &format!(".damaged-{stamp}"));
    let names = (2_u32..).map(|n| suffixed(&base, &format!("-{n}")));
    let taken = |name: &PathBuf| name.symlink_metadata().is_ok();
    let name = std::iter::once(base.clone()).chain(names).find(|name| !taken(name)).unwrap_or(base);
    // The log first: a new database must never be opened with the log of another one.
    for suffix in ["-wal", "-shm"] {
        match fs::rename(suffixed(path, suffix), suffixed(&name, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, &name)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn names_are_escaped_where_sqlite_would_read_more_than_a_path() {
        let odd = Path::new("/var/db/a?mode=rw#%41 b/state.db");
        assert_eq!(immutable(odd), "file:/var/db/a%3fmode%3drw%23%2541%20b/state.db?immutable=1");
    }

    #[test]
    fn two_damaged_databases_of_one_second_are_both_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let aside = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::write(suffixed(&path, "-wal"), text).unwrap();
            set_aside(&path, Time::from_secs(1_763_820_000)).unwrap()
        };
        let one = aside("one");
        let other = aside("other");
        assert!(one.ends_with("state.db.damaged-20251122T140000Z"), "{}", one.display());
        assert_eq!(fs::read_to_string(&one).unwrap(), "one");
        assert_eq!(fs::read_to_string(suffixed(&other, "-wal")).unwrap(), "other");
        assert!(!suffixed(&path, "-wal").exists());
    }

    #[test]
    fn a_database_fits_in_two_files_that_only_we_may_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let database = Database::open(&path).unwrap();
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
        let mut names: Vec<_> = names
            .map(|entry| {
                assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600);
                entry.file_name().into_string().unwrap()
            })
            .collect();
        names.sort();
        assert_eq!(names, ["state.db", "state.db-wal"], "no index file that a full disk could refuse");
        assert!(database.is_new && database.is_at(&path));
        let setting = |name| database.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        assert_eq!((setting("auto_vacuum"), setting("cache_size")), (Ok(2), Ok(-512)));
    }
}
