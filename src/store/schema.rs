//! The database schema, and the migration of older schemas.

use rusqlite::{Connection, Error, ErrorCode, Result, TransactionBehavior};

/// "Port": identifies the file to file(1) and to us (`PRAGMA application_id`).
pub(super) const APPLICATION: u32 = 0x506f_7274;

/// The migrations, each from one schema version to the next. A released one is never changed. `PRAGMA user_version` is the
/// number of migrations that were applied.
pub(super) const STEPS: &[&str] = &[FIRST, UNBANS];

/// Every column that the other files name. If one is missing, the file was edited or damaged.
const COLUMNS: &[&str] = &[
    "offender, since, until, nth, reason, origin, forced, spoofable, owners FROM bans",
    "id, offender, since, until, nth, reason, origin, forced, spoofable, owners, ended FROM past_bans",
    "id, offender, since, at, source, line FROM ban_lines",
    "offender, bans, last_end FROM histories",
    "rule_set, offender, last, seen FROM windows",
    "offender, seen FROM trust",
    "writer, pid, last, state FROM sessions",
    "source, file, position FROM positions",
    "name, value FROM meta",
    "prefix, at FROM unbans",
];

const FIRST: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE bans (
    offender BLOB PRIMARY KEY, since INTEGER NOT NULL, until INTEGER, nth INTEGER NOT NULL, reason TEXT NOT NULL,
    origin TEXT NOT NULL, forced INTEGER NOT NULL, spoofable INTEGER NOT NULL, owners TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE past_bans (
    id INTEGER PRIMARY KEY, offender BLOB NOT NULL, since INTEGER NOT NULL, until INTEGER, nth INTEGER NOT NULL,
    reason TEXT NOT NULL, origin TEXT NOT NULL, forced INTEGER NOT NULL, spoofable INTEGER NOT NULL,
    owners TEXT NOT NULL, ended INTEGER NOT NULL
);
CREATE UNIQUE INDEX past_bans_of ON past_bans (offender, since);
CREATE INDEX past_bans_by_end ON past_bans (ended);
CREATE TABLE ban_lines (
    id INTEGER PRIMARY KEY, offender BLOB NOT NULL, since INTEGER NOT NULL, at INTEGER NOT NULL, source TEXT NOT NULL,
    line BLOB NOT NULL
);
CREATE INDEX ban_lines_of ON ban_lines (offender, since);
CREATE TRIGGER lines_leave_with_their_ban AFTER DELETE ON past_bans BEGIN
    DELETE FROM ban_lines WHERE offender = old.offender AND since = old.since;
END;
CREATE TABLE histories (offender BLOB PRIMARY KEY, bans INTEGER NOT NULL, last_end INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE windows (
    rule_set TEXT NOT NULL, offender BLOB NOT NULL, last INTEGER NOT NULL, seen BLOB NOT NULL,
    PRIMARY KEY (rule_set, offender)
) WITHOUT ROWID;
CREATE TABLE trust (offender BLOB PRIMARY KEY, seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (
    writer INTEGER NOT NULL, pid INTEGER NOT NULL, last INTEGER NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (writer, pid)
) WITHOUT ROWID;
CREATE TABLE positions (
    source TEXT NOT NULL, file TEXT NOT NULL, position TEXT NOT NULL, PRIMARY KEY (source, file)
) WITHOUT ROWID;
";

const UNBANS: &str = "CREATE TABLE unbans (prefix BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;";

/// The content of a database file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileContent {
    /// No tables.
    Empty,
    /// Tables of another program.
    Foreign,
    /// Our tables, in this schema version.
    Ours(u32),
    /// Our tables, but incomplete.
    Broken,
}

pub(super) fn content(connection: &Connection) -> Result<FileContent> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let application = number("application_id")?;
    let version = number("user_version")?;
    let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(FileContent::Empty);
    }
    if application != APPLICATION {
        return Ok(FileContent::Foreign);
    }
    let is_current = version == self::version(STEPS);
    if version == 0 || (is_current && !is_complete(connection)?) {
        return Ok(FileContent::Broken);
    }
    Ok(FileContent::Ours(version))
}

fn is_complete(connection: &Connection) -> Result<bool> {
    for columns in COLUMNS {
        match connection.prepare(&format!("SELECT {columns}")) {
            Err(error) if is_about_sql(&error) => return Ok(false),
            prepared => drop(prepared?),
        }
    }
    Ok(true)
}

/// Whether SQLite rejects the statement: "no such table", "no such column".
fn is_about_sql(error: &Error) -> bool {
    matches!(error, Error::SqlInputError { .. }) || error.sqlite_error_code() == Some(ErrorCode::Unknown)
}

/// The schema version that `steps` lead to.
pub(super) fn version(steps: &[&str]) -> u32 {
    u32::try_from(steps.len()).expect("there are never four billion migrations")
}

/// Applies the missing migrations, each completely or not at all.
pub(super) fn migrate(connection: &mut Connection, from: u32, steps: &[&str]) -> Result<()> {
    for (step, version) in steps.iter().zip(1_u32..).filter(|(_, version)| *version > from) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction
            .execute("INSERT OR REPLACE INTO meta VALUES ('program', ?1)", [env!("CARGO_PKG_VERSION")])?;
        transaction.commit()?;
    }
    Ok(())
}

/// The version of the program that wrote the schema.
pub(super) fn program(connection: &Connection) -> String {
    let asked = "SELECT value FROM meta WHERE name = 'program'";
    connection.query_row(asked, [], |row| row.get(0)).unwrap_or_else(|_| "of a later version".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An invented schema, with the table that migrations need.
    const OLD: &str = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE bans (address TEXT PRIMARY KEY); INSERT INTO bans VALUES ('192.0.2.7');";
    const SPLIT: &str = "ALTER TABLE bans ADD COLUMN bits INTEGER NOT NULL DEFAULT 32;";

    fn bits(connection: &Connection) -> Result<u32> {
        connection.query_row("SELECT bits FROM bans WHERE address = '192.0.2.7'", [], |row| row.get(0))
    }

    #[test]
    fn an_older_schema_is_migrated_with_its_content() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, 0, &[OLD]).unwrap();
        assert_eq!(content(&connection).unwrap(), FileContent::Ours(1));
        migrate(&mut connection, 1, &[OLD, SPLIT]).unwrap();
        assert_eq!(bits(&connection).unwrap(), 32);
        assert_eq!(
            content(&connection).unwrap(),
            FileContent::Broken,
            "two steps of these are not two steps of ours"
        );
        migrate(&mut connection, 2, &[OLD, SPLIT]).unwrap();
    }

    #[test]
    fn every_released_schema_is_migrated_with_its_content() {
        for released in 1..STEPS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            migrate(&mut connection, 0, &STEPS[..released]).unwrap();
            connection.execute_batch("INSERT INTO trust VALUES (x'04c0000207' || x'20', 7)").unwrap();
            assert_eq!(content(&connection).unwrap(), FileContent::Ours(version(&STEPS[..released])));
            migrate(&mut connection, version(&STEPS[..released]), STEPS).unwrap();
            assert_eq!(content(&connection).unwrap(), FileContent::Ours(version(STEPS)));
            let seen: i64 = connection.query_row("SELECT seen FROM trust", [], |row| row.get(0)).unwrap();
            assert_eq!(seen, 7);
        }
    }

    #[test]
    fn a_failed_migration_leaves_the_schema_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let broken = format!("{SPLIT} CREATE TABLE bans (twice);");
        assert!(migrate(&mut connection, 0, &[OLD, &broken]).is_err());
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, 1);
        assert!(bits(&connection).is_err());
        migrate(&mut connection, version, &[OLD, SPLIT]).unwrap();
        assert_eq!(bits(&connection).unwrap(), 32);
    }

    #[test]
    fn an_empty_file_becomes_ours_and_another_programs_does_not() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(content(&connection).unwrap(), FileContent::Empty);
        migrate(&mut connection, 0, STEPS).unwrap();
        assert_eq!(content(&connection).unwrap(), FileContent::Ours(version(STEPS)));
        assert_eq!(program(&connection), env!("CARGO_PKG_VERSION"));
        connection.execute_batch("DROP TABLE trust").unwrap();
        assert_eq!(content(&connection).unwrap(), FileContent::Broken);
        let other = Connection::open_in_memory().unwrap();
        other.execute_batch("CREATE TABLE hosts (name)").unwrap();
        assert_eq!(content(&other).unwrap(), FileContent::Foreign);
    }
}
