//! Changes that are not written yet: the latest for each key, in bounded memory, in the order of the tables' keys.
//!
//! Every batch passes through here, so that rows are written in key order (a large batch touches each page once) and nothing
//! is lost if it cannot be written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::batch::{BanLines, FilePosition, PositionChange, WriteBatch};
use super::notice::Notice;
use crate::address::Prefix;
use crate::engine::{Ban, Row, SessionKey};
use crate::time::Time;

/// The most rows that are kept for each table while nothing can be written; about 10 MB if all were windows.
const MAX_ROWS: usize = 100_000;

/// The most ended bans, and the most bans with lines, that are kept for `why` while nothing can be written.
const MAX_PAST: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) bans: BTreeMap<Prefix, BanChange>,
    /// Bans that began and ended since the last write, with the times of their ends.
    pub(super) past: VecDeque<(Ban, Time)>,
    pub(super) lines: VecDeque<BanLines>,
    /// Tables whose changes were too many to keep: they are emptied first, so that they do not contradict the engine.
    pub(super) emptied: BTreeSet<PendingTable>,
    /// The latest change for each key of the other tables, sorted by table and key.
    pub(super) rows: Vec<Row>,
    /// By source, the position in each file, or `None` if the file is no longer followed.
    pub(super) positions: BTreeMap<String, BTreeMap<String, Option<String>>>,
}

/// The tables in which only the latest change for each key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PendingTable {
    Histories,
    Windows,
    Trust,
    Sessions,
    Unbans,
}

/// The table and key of a row; sorted by table, then by key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum RowKey<'a> {
    History(Prefix),
    Window(&'a str, Prefix),
    Trust(Prefix),
    Session(SessionKey),
    Unban(Prefix),
}

/// The changes to the ban on an offender.
#[derive(Debug, Default)]
pub(super) struct BanChange {
    /// The time at which the stored ban ended.
    pub(super) ended: Option<Time>,
    /// The ban that is active now.
    pub(super) active: Option<Ban>,
    /// Whether it expired: if it is stored, its row says so.
    has_expired: bool,
}

impl PendingTable {
    const ALL: [Self; 5] = [Self::Histories, Self::Windows, Self::Trust, Self::Sessions, Self::Unbans];

    /// The name of the table in the database.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Histories => "histories",
            Self::Windows => "windows",
            Self::Trust => "trust",
            Self::Sessions => "sessions",
            Self::Unbans => "unbans",
        }
    }

    /// The content of the table, in words for people.
    fn content(self) -> &'static str {
        match self {
            Self::Histories => "the record of earlier bans",
            Self::Windows => "the counters",
            Self::Trust => "the logins",
            Self::Sessions => "the open connections",
            Self::Unbans => "the times of unbans",
        }
    }
}

/// `None` for bans and their ends, all of which count.
fn row_key(row: &Row) -> Option<RowKey<'_>> {
    match row {
        Row::Ban(_) | Row::BanEnded { .. } => None,
        Row::History { offender, .. } => Some(RowKey::History(*offender)),
        Row::Window { set, offender, .. } => Some(RowKey::Window(set, *offender)),
        Row::Trust { offender, .. } => Some(RowKey::Trust(*offender)),
        Row::Session { key, .. } => Some(RowKey::Session(*key)),
        Row::Unban { prefix, .. } => Some(RowKey::Unban(*prefix)),
    }
}

fn table(row: &Row) -> Option<PendingTable> {
    Some(match row_key(row)? {
        RowKey::History(_) => PendingTable::Histories,
        RowKey::Window(..) => PendingTable::Windows,
        RowKey::Trust(_) => PendingTable::Trust,
        RowKey::Session(_) => PendingTable::Sessions,
        RowKey::Unban(_) => PendingTable::Unbans,
    })
}

impl Pending {
    pub(super) fn absorb(&mut self, batch: WriteBatch) {
        let mut rows = batch.rows;
        rows.extract_if(.., |row| row_key(row).is_none()).for_each(|row| self.ban(row));
        self.rows(rows);
        batch.positions.into_iter().for_each(|change| self.position(change));
        self.lines.extend(batch.lines.into_iter().map(BanLines::cut));
    }

    /// Merges new rows, which overrule earlier ones with the same key. Sorts in place, so that the hundred thousand rows of a
    /// flood are in memory only once.
    fn rows(&mut self, mut new: Vec<Row>) {
        let order = |one: &Row, other: &Row| row_key(one).cmp(&row_key(other));
        new.sort_unstable_by(order);
        if !self.rows.is_empty() {
            let is_new = |old: &Row| new.binary_search_by(|row| order(row, old)).is_ok();
            self.rows.retain(|old| !is_new(old));
            new.append(&mut self.rows);
            new.sort_unstable_by(order);
        }
        self.rows = new;
    }

    fn ban(&mut self, row: Row) {
        match row {
            Row::Ban(ban) => {
                let change = self.bans.entry(ban.offender).or_default();
                change.active = Some(*ban);
            }
            Row::BanEnded { offender, at } => {
                let change = self.bans.entry(offender).or_default();
                change.has_expired = false;
                if let Some(ban) = change.active.take() {
                    change.has_expired = ban.until.is_some_and(|until| until <= at);
                    self.past.push_back((ban, at));
                }
                change.ended.get_or_insert(at);
            }
            Row::History { .. }
            | Row::Window { .. }
            | Row::Trust { .. }
            | Row::Session { .. }
            | Row::Unban { .. } => {}
        }
    }

    fn position(&mut self, change: PositionChange) {
        match change {
            PositionChange::At(FilePosition { source, file, position }) => {
                self.positions.entry(source).or_default().insert(file, Some(position));
            }
            PositionChange::Gone { source, file } => {
                self.positions.entry(source).or_default().insert(file, None);
            }
        }
    }

    /// The number of pending changes.
    pub(super) fn len(&self) -> usize {
        let rows = self.emptied.len() + self.rows.len();
        self.bans.len() + self.past.len() + self.lines.len() + rows + self.positions.len()
    }

    /// Whether it contains changes that are reported and so must survive a power cut: bans and unbans. Rows of unbans sort
    /// last.
    pub(super) fn is_reported(&self) -> bool {
        !self.bans.is_empty() || matches!(self.rows.last(), Some(Row::Unban { .. }))
    }

    /// Whether there is a pending change for the key of this row.
    pub(super) fn overrules(&self, row: &Row) -> bool {
        match row {
            Row::Ban(ban) => self.bans.contains_key(&ban.offender),
            Row::BanEnded { offender, .. } => self.bans.contains_key(offender),
            other => self.rows.binary_search_by(|row| row_key(row).cmp(&row_key(other))).is_ok(),
        }
    }

    /// Bounds the memory after a failed write. Active bans are never dropped: the engine bounds those.
    pub(super) fn trim(&mut self) -> Vec<Notice> {
        self.past.drain(..self.past.len().saturating_sub(MAX_PAST));
        self.lines.drain(..self.lines.len().saturating_sub(MAX_PAST));
        if self.bans.values().filter(|change| change.active.is_none()).count() > MAX_ROWS {
            self.bans.retain(|_, change| change.active.is_some() || !change.has_expired);
        }
        PendingTable::ALL.into_iter().filter_map(|table| self.trim_table(table)).collect()
    }

    fn trim_table(&mut self, which: PendingTable) -> Option<Notice> {
        let is_of = |row: &Row| table(row) == Some(which);
        if self.rows.iter().filter(|row| is_of(row)).count() <= MAX_ROWS {
            return None;
        }
        self.rows.retain(|row| !is_of(row));
        let is_first = self.emptied.insert(which);
        if is_first { Some(Notice::Forgotten { what: which.content() }) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use smallvec::SmallVec;

    use super::*;
    use crate::engine::{Offences, Origin};

    fn offender(n: usize) -> Prefix {
        Prefix::from(std::net::IpAddr::from(u32::try_from(n).unwrap().to_be_bytes()))
    }

    fn ban(n: usize) -> Ban {
        Ban {
            offender: offender(n),
            owners: SmallVec::new(),
            since: Time::from_secs(1),
            until: Some(Time::from_secs(2)),
            nth: 1,
            reason: "".into(),
            origin: Origin::Rule,
            forced: false,
            spoofable: false,
        }
    }

    #[test]
    fn a_flood_while_nothing_can_be_written_does_not_fill_the_memory() {
        let mut pending = Pending::default();
        let mut notices = Vec::new();
        for round in 0..4 {
            let some = round * 80_000..(round + 1) * 80_000;
            let rows = some.flat_map(|n| {
                let window = Row::Window { set: "sshd".into(), offender: offender(n), seen: Offences::new() };
                let ended = Row::BanEnded { offender: offender(n), at: Time::from_secs(2) };
                [Row::from(ban(n)), ended, window]
            });
            pending.absorb(WriteBatch { rows: rows.collect(), ..WriteBatch::default() });
            notices.extend(pending.trim());
        }
        assert!(pending.len() < 2 * MAX_ROWS + MAX_PAST, "{}", pending.len());
        assert!(
            pending.emptied.contains(&PendingTable::Windows),
            "the stored counters are older than what was forgotten"
        );
        assert_eq!(notices.len(), 1, "said once: {notices:?}");
    }

    #[test]
    fn no_active_ban_and_no_early_end_is_ever_forgotten() {
        let mut pending = Pending::default();
        let rows = (0..MAX_ROWS + 5).flat_map(|n| {
            let unban = Row::BanEnded { offender: offender(1_000_000 + n), at: Time::from_secs(1) };
            [Row::from(ban(n)), unban]
        });
        pending.absorb(WriteBatch { rows: rows.collect(), ..WriteBatch::default() });
        pending.trim();
        assert_eq!(pending.bans.len(), 2 * (MAX_ROWS + 5));
    }

    #[test]
    fn the_last_word_on_a_position_counts() {
        let at = |file: &str, position: &str| {
            PositionChange::At(FilePosition {
                source: "auth".to_owned(),
                file: file.to_owned(),
                position: position.to_owned(),
            })
        };
        let mut pending = Pending::default();
        let gone = PositionChange::Gone { source: "auth".to_owned(), file: "c".to_owned() };
        let positions = vec![at("b", "1"), at("b", "2"), at("c", "1"), gone];
        pending.absorb(WriteBatch { positions, ..WriteBatch::default() });
        let auth = &pending.positions["auth"];
        let files: Vec<_> = auth.iter().map(|(file, at)| (file.as_str(), at.as_deref())).collect();
        assert_eq!(files, [("b", Some("2")), ("c", None)]);
    }
}
