//! The file: how it is opened, and how a damaged one is moved out of the way.

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

/// For an operator's `sqlite3` that is open for a moment; longer, and changes wait in memory.
const PATIENCE: Duration = Duration::from_millis(250);

/// Half a MB of pages whatever the file's size, since the whole idle daemon has 12; nothing mapped, since a disk's
/// fault would then be a signal instead of an error.
///
/// Exclusive, so that the log's index is in our memory and not in a third file (which a full disk would refuse), no
/// other program's reading stops the log from being emptied, and nobody else writes. A text in the schema of a file
/// that was tampered with may not call functions, and pages whose cells contradict each other are noticed early.
const SETTINGS: &str = "
PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -512; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;
PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;";

/// The write-ahead log is moved into the database every 1,000 pages, and cut back to 1 MB when a large batch grew it.
const LOG: &str =
    "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = 1048576;";

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    /// Nothing was in it.
    pub(super) is_new: bool,
    pub(super) is_writable: bool,
    /// Device and inode.
    identity: (u64, u64),
}

impl Database {
    /// Opens the database, and makes it where nothing is.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let made = !make_or_check(path)?;
        let opened = Self::open_existing(path);
        if made && opened.is_err() {
            // An empty file would be taken for a loss the next time.
            let _ = fs::remove_file(path);
        }
        opened
    }

    fn open_existing(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::sqlite(path, error);
        let mut connection = connect(path).map_err(failed)?;
        let form = schema::form(&connection).map_err(failed)?;
        let found = judge(path, &connection, form)?;
        prepare(&mut connection, found).map_err(failed)?;
        let identity = identity(path).map_err(|error| StoreError::io(path, error))?;
        Ok(Self { connection, is_new: found == 0, is_writable: true, identity })
    }

    /// Opens the database to read it where nothing can be written; `None` unless it was closed in order, since a
    /// log beside it could then not be taken into account.
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
        let form = schema::form(&connection).ok()?;
        let present = form == FileContent::Ours(schema::known(schema::STEPS));
        present.then_some(Self { connection, is_new: false, is_writable: false, identity: (0, 0) })
    }

    /// Whether the file that is open is still the one at `path`.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        identity(path).is_ok_and(|found| found == self.identity)
    }

    /// Closes without touching the file further.
    pub(super) fn abandon(self) {
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }
}

/// Whether something was there.
fn make_or_check(path: &Path) -> Result<bool, StoreError> {
    let failed = |error| StoreError::io(path, error);
    // Also of one that was ours when the lock was taken.
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
        // SQLite opens what it may only read without a word, and fails later with a less telling one.
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY), None));
    }
    // Until it is known to be ours and sound, closing it again must not change a byte.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch(SETTINGS)?;
    connection.set_prepared_statement_cache_capacity(48);
    Ok(connection)
}

/// The form from which it is to be brought up to date; zero for an empty file.
fn judge(path: &Path, connection: &Connection, form: FileContent) -> Result<u32, StoreError> {
    let known = schema::known(schema::STEPS);
    let damaged = |cause: &str| StoreError::Damaged { path: path.to_owned(), cause: cause.to_owned() };
    match form {
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

/// The name under which SQLite looks for no log and takes no lock.
fn immutable(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let escaped = path.as_os_str().as_bytes().iter().map(|&byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02x}"),
    });
    format!("file:{}?immutable=1", escaped.collect::<String>())
}

/// Renames a damaged database and what lies beside it; says to what.
pub(super) fn set_aside(path: &Path, now: Time) -> io::Result<PathBuf> {
    let stamp = now.timestamp().to_zoned_datetime(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ");
    let base = suffixed(path, &format!(".damaged-{stamp}"));
    let names = (2_u32..).map(|n| suffixed(&base, &format!("-{n}")));
    let taken = |name: &PathBuf| name.symlink_metadata().is_ok();
    let name = std::iter::once(base.clone()).chain(names).find(|name| !taken(name)).unwrap_or(base);
    // The log first: an empty database must never meet the log of another one.
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
        let (one, other) = (aside("one"), aside("other"));
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
