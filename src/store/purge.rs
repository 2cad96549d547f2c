//! Forgetting, so that the file does not grow without end.

use std::time::Duration;

use rusqlite::{Connection, Result, TransactionBehavior};

use crate::time::Time;

const DAY: Duration = Duration::from_secs(86_400);

/// How often, at most; it takes some milliseconds unless much is over.
pub(super) const PURGE_EVERY: Duration = Duration::from_secs(300);

/// Ended bans and their lines that are dropped at a time for their age, so that a first start after a year is no
/// long stop.
const ROWS_EACH_TIME: u32 = 5_000;

/// Ended bans, about 150 bytes each; the oldest leave first.
const MAX_PAST_BANS: u32 = 100_000;

/// Lines of bans, at most 512 bytes each and mostly 120; the oldest leave first.
const MAX_BAN_LINES: u32 = 50_000;

/// Pages of 4 KiB that are given back to the file system at a time.
const PAGES: u32 = 2_000;

/// Connections are over three minutes after their last line; but that a process serves several peers, the engine remembers
/// for a day.
pub(super) const SESSIONS: Duration = Duration::from_secs(24 * 3600);

/// For how long things are worth remembering; what is older is passed over when loading, and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Ended bans and the lines that led to them, for `why`; and when somebody was unbanned.
    pub history: Duration,
    /// Offences: the longest `within` of all rule sets.
    pub windows: Duration,
    /// Logins.
    pub trust: Duration,
    /// Who was banned how often: the longest `forget` of all rule sets.
    pub escalation: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { history: DAY * 90, windows: DAY, trust: DAY * 7, escalation: DAY * 30 }
    }
}

/// One step of forgetting.
pub(super) fn step(connection: &mut Connection, now: Time, keep: &Retention) -> Result<()> {
    let before = |span| now.minus(span).as_millis();
    connection.execute_batch("PRAGMA synchronous = NORMAL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let run = |sql: &str, value: i64| transaction.execute(sql, [value]).map(drop);
    let old =
        "DELETE FROM past_bans WHERE id IN (SELECT id FROM past_bans WHERE ended < ?1 ORDER BY ended LIMIT";
    run(&format!("{old} {ROWS_EACH_TIME})"), before(keep.history))?;
    // Numbers are given in order, so the difference to the last one is how many came later.
    let surplus = |table| format!("DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?1");
    run(&surplus("past_bans"), MAX_PAST_BANS.into())?;
    run(&surplus("ban_lines"), MAX_BAN_LINES.into())?;
    run("DELETE FROM windows WHERE last < ?1", before(keep.windows))?;
    run("DELETE FROM trust WHERE seen < ?1", before(keep.trust))?;
    run("DELETE FROM sessions WHERE last < ?1", before(SESSIONS))?;
    run("DELETE FROM unbans WHERE at < ?1", before(keep.history))?;
    run(
        "DELETE FROM histories WHERE last_end < ?1 AND offender NOT IN (SELECT offender FROM bans)",
        before(keep.escalation),
    )?;
    transaction.commit()?;
    give_back(connection)
}

/// Each row of this statement is a page.
fn give_back(connection: &Connection) -> Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut pages = statement.query([])?;
    while pages.next()?.is_some() {}
    Ok(())
}
