//! Writes pending changes into tables, in one transaction.

use std::collections::BTreeMap;

use rusqlite::{Connection, Result, Transaction, TransactionBehavior, params, params_from_iter};

use super::batch::{BanLine, BanLines, MAX_LINES};
use super::encode::{self, BAN};
use super::pending::{Pending, PendingTable};
use crate::address::Prefix;
use crate::engine::{Ban, Row};
use crate::time::Time;

/// Writes all pending changes or none.
///
/// A batch with bans or unbans is on disk when this returns (`synchronous=FULL`: one fsync), since they will be reported. A
/// power cut may undo one without, a crash of this process may not: counters and read positions then fall back together,
/// and the logs are read again from there.
pub(super) fn all(connection: &mut Connection, pending: &Pending) -> Result<()> {
    let synchronous = if pending.is_reported() { "FULL" } else { "NORMAL" };
    connection.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let into = &transaction;
    for (offender, change) in &pending.bans {
        if let Some(ended) = change.ended {
            end_ban(into, offender, ended)?;
        }
    }
    for (ban, ended) in &pending.past {
        past_ban(into, ban, *ended)?;
    }
    for change in pending.bans.values() {
        if let Some(ban) = &change.active {
            active_ban(into, ban)?;
        }
    }
    for lines in &pending.lines {
        ban_lines(into, lines)?;
    }
    for table in &pending.emptied {
        empty(into, *table)?;
    }
    for change in &pending.rows {
        row(into, change)?;
    }
    for (source, files) in &pending.positions {
        positions(into, source, files)?;
    }
    transaction.commit()
}

fn run(into: &Transaction<'_>, sql: &str, values: impl rusqlite::Params) -> Result<()> {
    into.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn end_ban(into: &Transaction<'_>, offender: &Prefix, ended: Time) -> Result<()> {
    let key = encode::prefix(offender);
    let sql = format!(
        "INSERT OR REPLACE INTO past_bans ({BAN}, ended) SELECT {BAN}, ?2 FROM bans WHERE offender = ?1"
    );
    run(into, &sql, params![key, ended.as_millis()])?;
    run(into, "DELETE FROM bans WHERE offender = ?1", [key])
}

fn active_ban(into: &Transaction<'_>, ban: &Ban) -> Result<()> {
    let sql = format!("INSERT OR REPLACE INTO bans ({BAN}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    run(into, &sql, encode::ban_values(ban))
}

fn past_ban(into: &Transaction<'_>, ban: &Ban, ended: Time) -> Result<()> {
    let sql = format!(
        "INSERT OR REPLACE INTO past_bans ({BAN}, ended) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    );
    let values = encode::ban_values(ban).into_iter().chain([ended.as_millis().into()]);
    run(into, &sql, params_from_iter(values))
}

fn ban_lines(into: &Transaction<'_>, lines: &BanLines) -> Result<()> {
    let key = encode::prefix(&lines.offender);
    let since = lines.since.as_millis();
    let known: u32 = into
        .prepare_cached("SELECT count(*) FROM ban_lines WHERE offender = ?1 AND since = ?2")?
        .query_row(params![key, since], |row| row.get(0))?;
    let room = MAX_LINES.saturating_sub(usize::try_from(known).unwrap_or(usize::MAX));
    for BanLine { at, source, text } in lines.lines.iter().take(room) {
        let sql = "INSERT INTO ban_lines (offender, since, at, source, line) VALUES (?1, ?2, ?3, ?4, ?5)";
        run(into, sql, params![key, since, at.as_millis(), source, text])?;
    }
    Ok(())
}

fn empty(into: &Transaction<'_>, table: PendingTable) -> Result<()> {
    into.execute(&format!("DELETE FROM {}", table.name()), [])?;
    Ok(())
}

fn row(into: &Transaction<'_>, row: &Row) -> Result<()> {
    match row {
        Row::History { offender, history: Some(history) } => run(
            into,
            "INSERT OR REPLACE INTO histories (offender, bans, last_end) VALUES (?1, ?2, ?3)",
            params![encode::prefix(offender), history.bans, history.last_end.as_millis()],
        ),
        Row::History { offender, history: None } => {
            run(into, "DELETE FROM histories WHERE offender = ?1", [encode::prefix(offender)])
        }
        Row::Window { set, offender, seen } => window(into, set, offender, seen),
        Row::Trust { offender, seen: Some(seen) } => run(
            into,
            "INSERT OR REPLACE INTO trust (offender, seen) VALUES (?1, ?2)",
            params![encode::prefix(offender), seen.as_millis()],
        ),
        Row::Trust { offender, seen: None } => {
            run(into, "DELETE FROM trust WHERE offender = ?1", [encode::prefix(offender)])
        }
        Row::Session { key, state: Some(state) } => run(
            into,
            "INSERT OR REPLACE INTO sessions (writer, pid, last, state) VALUES (?1, ?2, ?3, ?4)",
            params![
                key.writer.cast_signed(),
                key.pid,
                state.last,
                serde_json::to_string(state)
                    .expect("names, numbers and addresses can always be written as JSON"),
            ],
        ),
        Row::Session { key, state: None } => run(
            into,
            "DELETE FROM sessions WHERE writer = ?1 AND pid = ?2",
            params![key.writer.cast_signed(), key.pid],
        ),
        Row::Unban { prefix, at: Some(at) } => run(
            into,
            "INSERT OR REPLACE INTO unbans (prefix, at) VALUES (?1, ?2)",
            params![encode::prefix(prefix), at.as_millis()],
        ),
        Row::Unban { prefix, at: None } => {
            run(into, "DELETE FROM unbans WHERE prefix = ?1", [encode::prefix(prefix)])
        }
        Row::Ban(ban) => active_ban(into, ban),
        Row::BanEnded { offender, at } => end_ban(into, offender, *at),
    }
}

fn window(into: &Transaction<'_>, set: &str, offender: &Prefix, seen: &[(Time, u32)]) -> Result<()> {
    let key = encode::prefix(offender);
    let Some(last) = seen.iter().map(|(time, _)| time.as_millis()).max() else {
        return run(into, "DELETE FROM windows WHERE rule_set = ?1 AND offender = ?2", params![set, key]);
    };
    run(
        into,
        "INSERT OR REPLACE INTO windows (rule_set, offender, last, seen) VALUES (?1, ?2, ?3, ?4)",
        params![set, key, last, encode::seen(seen)],
    )
}

fn positions(into: &Transaction<'_>, source: &str, files: &BTreeMap<String, Option<String>>) -> Result<()> {
    for (file, position) in files {
        match position {
            Some(position) => run(
                into,
                "INSERT OR REPLACE INTO positions (source, file, position) VALUES (?1, ?2, ?3)",
                [source, file, position],
            )?,
            None => run(into, "DELETE FROM positions WHERE source = ?1 AND file = ?2", [source, file])?,
        }
    }
    Ok(())
}
