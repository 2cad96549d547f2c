//! What is not written yet: the last word on each thing, in bounded memory, in the order of the tables' keys.
//!
//! Every batch passes through here, so that rows go to the database sorted (a large batch touches each page once) and
//! a batch that could not be written loses nothing.

use std::collections::{BTreeMap, VecDeque};

use super::batch::{BanLines, Batch, FilePosition, PositionChange};
use super::notice::Notice;
use crate::address::Prefix;
use crate::engine::{Ban, Row, SessionKey};
use crate::time::Time;

/// What is kept of each kind while nothing can be written; about 20 MB if all were windows.
const MOST: usize = 100_000;

/// Ended bans, and bans' lines, that are kept for `why` while nothing can be written.
const MOST_PAST: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) bans: BTreeMap<Prefix, BanChange>,
    /// Bans that began and ended since the last write, with their ends.
    pub(super) past: VecDeque<(Ban, Time)>,
    pub(super) lines: VecDeque<BanLines>,
    pub(super) histories: Changes<Prefix>,
    pub(super) windows: Changes<(String, Prefix)>,
    pub(super) trust: Changes<Prefix>,
    pub(super) sessions: Changes<SessionKey>,
    pub(super) positions: BTreeMap<String, SourceChange>,
}

/// What became of the ban on an offender.
#[derive(Debug, Default)]
pub(super) struct BanChange {
    /// The ban that is stored is over since then.
    pub(super) ended: Option<Time>,
    /// The ban that holds now.
    pub(super) active: Option<Ban>,
    /// It ended at its own time: if it is stored, its row says so.
    by_itself: bool,
}

/// The changes of one table.
#[derive(Debug)]
pub(super) struct Changes<K> {
    pub(super) rows: BTreeMap<K, Row>,
    /// There were too many to keep: the table is emptied first, so that it does not contradict the engine.
    pub(super) emptied: bool,
}

/// The changed positions of one source.
#[derive(Debug, Default)]
pub(super) struct SourceChange {
    /// What is stored of the source is dropped first.
    pub(super) replaced: bool,
    /// The position in each file, or none.
    pub(super) files: BTreeMap<String, Option<String>>,
}

impl<K> Default for Changes<K> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), emptied: false }
    }
}

impl Pending {
    pub(super) fn absorb(&mut self, batch: Batch) {
        batch.rows.into_iter().for_each(|row| self.row(row));
        batch.positions.into_iter().for_each(|change| self.position(change));
        self.lines.extend(batch.lines.into_iter().map(BanLines::cut));
    }

    fn row(&mut self, row: Row) {
        match &row {
            Row::Ban(_) | Row::BanEnded { .. } => self.ban(row),
            Row::History { offender, .. } => drop(self.histories.rows.insert(*offender, row)),
            Row::Window { set, offender, .. } => {
                self.windows.rows.insert((set.clone(), *offender), row);
            }
            Row::Trust { offender, .. } => drop(self.trust.rows.insert(*offender, row)),
            Row::Session { key, .. } => drop(self.sessions.rows.insert(*key, row)),
        }
    }

    fn ban(&mut self, row: Row) {
        match row {
            Row::Ban(ban) => {
                let change = self.bans.entry(ban.offender).or_default();
                change.active = Some(ban);
            }
            Row::BanEnded { offender, at } => {
                let change = self.bans.entry(offender).or_default();
                change.by_itself = false;
                if let Some(ban) = change.active.take() {
                    change.by_itself = ban.until.is_some_and(|until| until <= at);
                    self.past.push_back((ban, at));
                }
                change.ended.get_or_insert(at);
            }
            Row::History { .. } | Row::Window { .. } | Row::Trust { .. } | Row::Session { .. } => {}
        }
    }

    fn position(&mut self, change: PositionChange) {
        match change {
            PositionChange::At(FilePosition { source, file, position }) => {
                self.positions.entry(source).or_default().files.insert(file, Some(position));
            }
            PositionChange::Gone { source, file } => {
                self.positions.entry(source).or_default().files.insert(file, None);
            }
            PositionChange::All { source, files } => {
                let files = files.into_iter().map(|(file, position)| (file, Some(position))).collect();
                self.positions.insert(source, SourceChange { replaced: true, files });
            }
        }
    }

    /// How many things wait to be written.
    pub(super) fn len(&self) -> usize {
        let tables = self.histories.len() + self.windows.len() + self.trust.len() + self.sessions.len();
        self.bans.len() + self.past.len() + self.lines.len() + tables + self.positions.len()
    }

    /// Whether something is in it that may have to survive a power cut, since it is reported.
    pub(super) fn has_bans(&self) -> bool {
        !self.bans.is_empty()
    }

    /// Whether the engine said something newer about this row's subject than the database did.
    pub(super) fn overrules(&self, row: &Row) -> bool {
        match row {
            Row::Ban(Ban { offender, .. }) | Row::BanEnded { offender, .. } => {
                self.bans.contains_key(offender)
            }
            Row::History { offender, .. } => self.histories.rows.contains_key(offender),
            Row::Window { set, offender, .. } => self.windows.rows.contains_key(&(set.clone(), *offender)),
            Row::Trust { offender, .. } => self.trust.rows.contains_key(offender),
            Row::Session { key, .. } => self.sessions.rows.contains_key(key),
        }
    }

    /// Bounds the memory after a write that failed. No active ban is ever let go: the engine bounds those.
    pub(super) fn trim(&mut self) -> Vec<Notice> {
        self.past.drain(..self.past.len().saturating_sub(MOST_PAST));
        self.lines.drain(..self.lines.len().saturating_sub(MOST_PAST));
        if self.bans.values().filter(|change| change.active.is_none()).count() > MOST {
            self.bans.retain(|_, change| change.active.is_some() || !change.by_itself);
        }
        let mut notices = Vec::new();
        self.histories.trim("the record of earlier bans", &mut notices);
        self.windows.trim("the counters", &mut notices);
        self.trust.trim("the logins", &mut notices);
        self.sessions.trim("the open connections", &mut notices);
        notices
    }
}

impl<K> Changes<K> {
    fn len(&self) -> usize {
        self.rows.len() + usize::from(self.emptied)
    }

    fn trim(&mut self, what: &'static str, notices: &mut Vec<Notice>) {
        if self.rows.len() > MOST {
            self.rows.clear();
            if !std::mem::replace(&mut self.emptied, true) {
                notices.push(Notice::Forgotten { what });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Origin;

    fn offender(n: usize) -> Prefix {
        Prefix::from(std::net::IpAddr::from(u32::try_from(n).unwrap().to_be_bytes()))
    }

    fn ban(n: usize) -> Ban {
        Ban {
            offender: offender(n),
            owners: vec![],
            since: Time::from_secs(1),
            until: Some(Time::from_secs(2)),
            nth: 1,
            reason: String::new(),
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
                let window = Row::Window { set: "sshd".to_owned(), offender: offender(n), seen: vec![] };
                let ended = Row::BanEnded { offender: offender(n), at: Time::from_secs(2) };
                [Row::Ban(ban(n)), ended, window]
            });
            pending.absorb(Batch { rows: rows.collect(), ..Batch::default() });
            notices.extend(pending.trim());
        }
        assert!(pending.len() < 2 * MOST + MOST_PAST, "{}", pending.len());
        assert!(pending.windows.emptied, "the stored counters are older than what was forgotten");
        assert_eq!(notices.len(), 1, "said once: {notices:?}");
    }

    #[test]
    fn no_active_ban_and_no_early_end_is_ever_forgotten() {
        let mut pending = Pending::default();
        let rows = (0..MOST + 5).flat_map(|n| {
            let unban = Row::BanEnded { offender: offender(1_000_000 + n), at: Time::from_secs(1) };
            [Row::Ban(ban(n)), unban]
        });
        pending.absorb(Batch { rows: rows.collect(), ..Batch::default() });
        pending.trim();
        assert_eq!(pending.bans.len(), 2 * (MOST + 5));
    }

    #[test]
    fn the_last_word_on_a_position_counts() {
        let at = |file: &str| {
            PositionChange::At(FilePosition {
                source: "auth".to_owned(),
                file: file.to_owned(),
                position: "1".to_owned(),
            })
        };
        let mut pending = Pending::default();
        let all =
            PositionChange::All { source: "auth".to_owned(), files: vec![("b".to_owned(), "2".to_owned())] };
        let gone = PositionChange::Gone { source: "auth".to_owned(), file: "c".to_owned() };
        let positions = vec![at("a"), all, at("c"), gone];
        pending.absorb(Batch { positions, ..Batch::default() });
        let auth = &pending.positions["auth"];
        assert!(auth.replaced);
        let files: Vec<_> = auth.files.iter().map(|(file, at)| (file.as_str(), at.as_deref())).collect();
        assert_eq!(files, [("b", Some("2")), ("c", None)]);
    }
}
