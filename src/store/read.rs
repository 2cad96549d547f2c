//! Reads tables into rows for the engine, one by one.

use rusqlite::{Connection, Params, Result};

use super::batch::FilePosition;
use super::encode::{self, BAN, Interner, prefix_at, sensible, time_at};
use super::purge::{Retention, SESSIONS};
use crate::address::Prefix;
use crate::engine::{History, Row, SessionKey};
use crate::time::Time;

/// The number of invalid rows of each table that has some.
pub(super) type UnreadableRows = Vec<(&'static str, u64)>;

/// Passes to `sink` all rows within their retention at `now`, the least recent first, as the engine expects them.
///
/// Expired bans are included: the engine ends them, so that they leave the firewall's table as well.
pub(super) fn rows(
    connection: &Connection,
    now: Time,
    retention: &Retention,
    mut sink: impl FnMut(Row),
) -> Result<UnreadableRows> {
    let after = |span| now.minus(span).as_millis();
    let interner = Interner::default();
    let bans = format!("SELECT {BAN} FROM bans");
    let histories = "SELECT offender, bans, last_end FROM histories
                     WHERE last_end >= ?1 OR offender IN (SELECT offender FROM bans) ORDER BY last_end";
    let windows = "SELECT rule_set, offender, seen FROM windows WHERE last >= ?1 ORDER BY last";
    let trust = "SELECT offender, seen FROM trust WHERE seen >= ?1 ORDER BY seen";
    let sessions = "SELECT writer, pid, state FROM sessions WHERE last >= ?1 ORDER BY last";
    let unbans = "SELECT prefix, at FROM unbans WHERE at >= ?1 ORDER BY at";
    let unreadable = [
        ("bans", each(connection, &bans, [], |row| ban(row, &interner), &mut sink)?),
        ("histories", each(connection, histories, [after(retention.escalation)], history, &mut sink)?),
        (
            "windows",
            each(connection, windows, [after(retention.windows)], |row| window(row, &interner), &mut sink)?,
        ),
        ("trust", each(connection, trust, [after(retention.trust)], login, &mut sink)?),
        ("sessions", each(connection, sessions, [after(SESSIONS)], session, &mut sink)?),
        ("unbans", each(connection, unbans, [after(retention.history)], unban, &mut sink)?),
    ];
    Ok(unreadable.into_iter().filter(|(_, rows)| *rows > 0).collect())
}

/// The read positions in the order of the sources' names, and the number of invalid rows.
pub(super) fn positions(connection: &Connection) -> Result<(Vec<FilePosition>, u64)> {
    let mut positions = Vec::new();
    let sql = "SELECT source, file, position FROM positions ORDER BY source, file";
    let unreadable = each(connection, sql, [], position, |position| positions.push(position))?;
    Ok((positions, unreadable))
}

/// The offenders whose bans ended at `since` or later, however they ended, and the number of invalid rows.
pub(super) fn ended(connection: &Connection, since: Time) -> Result<(Vec<Prefix>, u64)> {
    let mut ended = Vec::new();
    let sql = "SELECT DISTINCT offender FROM past_bans WHERE ended >= ?1";
    let unreadable =
        each(connection, sql, [since.as_millis()], |row| prefix_at(row, 0), |offender| ended.push(offender))?;
    Ok((ended, unreadable))
}

/// Passes every row to `sink` and returns the number of invalid ones, which are skipped.
pub(super) fn each<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T>,
    mut sink: impl FnMut(T),
) -> Result<u64> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(values)?;
    let mut unreadable = 0;
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(value) => sink(value),
            Err(_) => unreadable += 1,
        }
    }
    Ok(unreadable)
}

fn ban(row: &rusqlite::Row<'_>, interner: &Interner) -> Result<Row> {
    encode::ban(row, interner).map(|ban| Row::Ban(Box::new(ban)))
}

fn history(row: &rusqlite::Row<'_>) -> Result<Row> {
    let history = History { bans: row.get(1)?, last_end: time_at(row, 2)? };
    Ok(Row::History { offender: prefix_at(row, 0)?, history: Some(history) })
}

fn window(row: &rusqlite::Row<'_>, interner: &Interner) -> Result<Row> {
    let seen = row.get_ref(2)?.as_blob().ok().and_then(encode::read_seen);
    let set = interner.shared(row.get_ref(0)?.as_str()?);
    Ok(Row::Window { set, offender: prefix_at(row, 1)?, seen: sensible(2, seen)? })
}

fn login(row: &rusqlite::Row<'_>) -> Result<Row> {
    Ok(Row::Trust { offender: prefix_at(row, 0)?, seen: Some(time_at(row, 1)?) })
}

fn unban(row: &rusqlite::Row<'_>) -> Result<Row> {
    Ok(Row::Unban { prefix: prefix_at(row, 0)?, at: Some(time_at(row, 1)?) })
}

fn session(row: &rusqlite::Row<'_>) -> Result<Row> {
    let key = SessionKey { writer: row.get::<_, i64>(0)?.cast_unsigned(), pid: row.get(1)? };
    let state = row.get_ref(2)?.as_str().ok().and_then(|text| serde_json::from_str(text).ok());
    Ok(Row::Session { key, state: Some(sensible(2, state)?) })
}

fn position(row: &rusqlite::Row<'_>) -> Result<FilePosition> {
    Ok(FilePosition { source: row.get(0)?, file: row.get(1)?, position: row.get(2)? })
}
