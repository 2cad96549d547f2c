//! The history of an address: its active and past bans, with the lines that led to them.

use rusqlite::{Connection, Result, params};

use super::batch::BanLine;
use super::encode::{self, BAN, Interner, MAX_TEXT_BYTES, bounded, time_at};
use super::read::each;
use crate::address::Prefix;
use crate::engine::Ban;
use crate::time::Time;

/// A ban on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanRecord {
    /// The latest state of the ban.
    pub ban: Ban,
    /// The time at which it expired or was ended; `None` while it is active.
    pub ended: Option<Time>,
    /// The first lines that led to it, in order; at most [`super::MAX_LINES`].
    pub lines: Vec<BanLine>,
}

/// The newest `limit` bans on the prefix and on prefixes around and inside it, the newest first.
pub(super) fn records(connection: &Connection, prefix: &Prefix, limit: usize) -> Result<Vec<BanRecord>> {
    let mut records = Vec::new();
    for around in around(prefix) {
        let key = encode::prefix(&around);
        find(connection, (&key, &key), limit, &mut records)?;
    }
    // The last address and the greatest length: it sorts behind everything inside.
    let last = Prefix::new(prefix.broadcast(), prefix.max_prefix_len()).unwrap_or(*prefix);
    let inside = (&encode::prefix(&prefix.trunc()), &encode::prefix(&last));
    find(connection, inside, limit, &mut records)?;
    records.sort_by_key(|record| std::cmp::Reverse((record.ended.is_none(), record.ban.since)));
    records.truncate(limit);
    for record in &mut records {
        record.lines = lines(connection, &record.ban)?;
    }
    Ok(records)
}

/// The networks that contain the prefix, without the prefix itself.
fn around(prefix: &Prefix) -> impl Iterator<Item = Prefix> {
    let address = prefix.addr();
    (0..prefix.prefix_len()).filter_map(move |length| Some(Prefix::new(address, length).ok()?.trunc()))
}

fn find(
    connection: &Connection,
    (first, last): (&Vec<u8>, &Vec<u8>),
    limit: usize,
    records: &mut Vec<BanRecord>,
) -> Result<()> {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    for (table, ended) in [("bans", "NULL"), ("past_bans", "ended")] {
        let sql = format!(
            "SELECT {BAN}, {ended} FROM {table} WHERE offender BETWEEN ?1 AND ?2 ORDER BY since DESC LIMIT ?3"
        );
        each(connection, &sql, params![first, last, limit], record, |record| records.push(record))?;
    }
    Ok(())
}

fn record(row: &rusqlite::Row<'_>) -> Result<BanRecord> {
    let ended = row.get::<_, Option<i64>>(9)?.map(Time::from_millis);
    Ok(BanRecord { ban: encode::ban(row, &Interner::default())?, ended, lines: Vec::new() })
}

fn lines(connection: &Connection, ban: &Ban) -> Result<Vec<BanLine>> {
    let mut lines = Vec::new();
    let sql = "SELECT at, source, line FROM ban_lines WHERE offender = ?1 AND since = ?2 ORDER BY id";
    let values = params![encode::prefix(&ban.offender), ban.since.as_millis()];
    each(connection, sql, values, line, |line| lines.push(line))?;
    Ok(lines)
}

fn line(row: &rusqlite::Row<'_>) -> Result<BanLine> {
    let text = row.get_ref(2)?.as_blob()?;
    let text = text[..text.len().min(MAX_TEXT_BYTES)].to_vec();
    Ok(BanLine { at: time_at(row, 0)?, source: bounded(row.get_ref(1)?.as_str()?).into(), text })
}
