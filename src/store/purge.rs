//! Removes old rows, so that the file does not grow without bound.

use std::time::Duration;

use rusqlite::{Connection, Result, TransactionBehavior};

use crate::time::Time;

const DAY: Duration = Duration::from_secs(86_400);

/// The shortest time between two purges; one takes some milliseconds unless much is due.
pub(super) const PURGE_EVERY: Duration = Duration::from_secs(300);

/// The most ended bans that one purge removes for their age, so that a start after a year causes no long pause.
const ROWS_EACH_TIME: u32 = 5_000;

/// The most ended bans that are kept, about 150 bytes each; the oldest are removed first.
const MAX_PAST_BANS: u32 = 100_000;

/// The most lines of bans that are kept, at most 512 bytes each, usually 120; the oldest are removed first.
const MAX_BAN_LINES: u32 = 50_000;

/// The most pages of 4 KiB that one purge returns to the file system.
const MAX_FREED_PAGES: u32 = 2_000;

/// How long sessions are kept. They end three minutes after their last line, but the engine remembers for a day that a
/// process serves several peers.
pub(super) const SESSIONS: Duration = Duration::from_secs(24 * 3600);

/// How long things are kept. What is older is neither loaded nor kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Ended bans with the lines that led to them, for `why`, and times of unbans.
    pub history: Duration,
    /// Offences: the longest `within` of all rule sets.
    pub windows: Duration,
    /// The last login of trusted addresses.
    pub trust: Duration,
    /// The number of earlier bans: the longest `forget` of all rule sets.
    pub escalation: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { history: DAY * 90, windows: DAY, trust: DAY * 7, escalation: DAY * 30 }
    }
}

/// Removes what is older than its retention, or too much.
pub(super) fn step(connection: &mut Connection, now: Time, retention: &Retention) -> Result<()> {
    let before = |span| now.minus(span).as_millis();
    connection.execute_batch("PRAGMA synchronous = NORMAL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let run = |sql: &str, value: i64| transaction.execute(sql, [value]).map(drop);
    let old =
        "DELETE FROM past_bans WHERE id IN (SELECT id FROM past_bans WHERE ended < ?1 ORDER BY ended LIMIT";
    run(&format!("{old} {ROWS_EACH_TIME})"), before(retention.history))?;
    // Ids are assigned in order, so the difference to the last one is the number of later rows.
    let surplus = |table| format!("DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?1");
    run(&surplus("past_bans"), MAX_PAST_BANS.into())?;
    run(&surplus("ban_lines"), MAX_BAN_LINES.into())?;
    run("DELETE FROM windows WHERE last < ?1", before(retention.windows))?;
    run("DELETE FROM trust WHERE seen < ?1", before(retention.trust))?;
    run("DELETE FROM sessions WHERE last < ?1", before(SESSIONS))?;
    run("DELETE FROM unbans WHERE at < ?1", before(retention.history))?;
    run(
        "DELETE FROM histories WHERE last_end < ?1 AND offender NOT IN (SELECT offender FROM bans)",
        before(retention.escalation),
    )?;
    transaction.commit()?;
    give_back(connection)
}

/// Returns free pages to the file system: each row of this statement is a page.
fn give_back(connection: &Connection) -> Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({MAX_FREED_PAGES})"))?;
    let mut pages = statement.query([])?;
    while pages.next()?.is_some() {}
    Ok(())
}
