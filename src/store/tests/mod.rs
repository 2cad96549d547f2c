//! The store as a whole, one sentence a test.

mod disk;
mod engine;
mod files;
mod growth;
mod rows;
mod why;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::engine::{Ban, Origin, Owner};

const NOW: Time = Time::from_secs(1_763_820_000);
const HOUR: Duration = Duration::from_secs(3600);
const FOREVER: Retention = Retention {
    history: Duration::MAX,
    windows: Duration::MAX,
    trust: Duration::MAX,
    escalation: Duration::MAX,
};

struct Place {
    _dir: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { path: dir.path().join("state.db"), _dir: dir }
    }

    fn try_open(&self) -> Result<Store, StoreError> {
        Store::open(Lock::acquire(&self.path)?, FOREVER, NOW)
    }

    fn open(&self) -> Store {
        self.try_open().unwrap()
    }

    /// With 2,000 bans: some fifty pages.
    fn fill(&self) {
        let bans = (0..2000).map(|n| Row::from(numbered(n)));
        self.open().commit(batch(bans.collect())).unwrap();
    }

    /// The files beside the database, without the lock.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path.parent().unwrap()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.ends_with(".lock")).collect();
        names.sort();
        names
    }
}

fn prefix(text: &str) -> Prefix {
    crate::address::parse_prefix(text).unwrap()
}

fn ban(offender: &str) -> Ban {
    let until = Some(NOW.plus(HOUR));
    Ban {
        offender: prefix(offender),
        owners: vec![Owner { set: "sshd".into(), until }].into(),
        since: NOW,
        until,
        nth: 1,
        reason: "sshd/failed-password".into(),
        origin: Origin::Rule,
        forced: false,
        spoofable: false,
    }
}

fn numbered(n: u32) -> Ban {
    Ban { offender: Prefix::from(std::net::IpAddr::from(n.to_be_bytes())), ..ban("192.0.2.7") }
}

fn batch(rows: Vec<Row>) -> WriteBatch {
    WriteBatch { now: NOW, rows, ..WriteBatch::default() }
}

fn loaded(store: &mut Store) -> Vec<Row> {
    let mut rows = Vec::new();
    store.load(NOW, |row| rows.push(row)).unwrap();
    rows
}

fn banned(store: &mut Store) -> Vec<String> {
    let bans = loaded(store).into_iter().filter_map(|row| match row {
        Row::Ban(ban) => Some(crate::address::display(&ban.offender)),
        _ => None,
    });
    bans.collect()
}

fn answers(store: &mut Store) -> Vec<NoticeAction> {
    store.notices().iter().map(Notice::action).collect()
}

#[test]
fn positions_follow_the_counters_in_the_same_transaction() {
    let place = Place::new();
    let at = |source: &str, file: &str, position: &str| FilePosition {
        source: source.to_owned(),
        file: file.to_owned(),
        position: position.to_owned(),
    };
    let mut store = place.open();
    let positions = [("auth", "1", "{}"), ("auth", "2", "x"), ("messages", "1", "y")]
        .map(|(source, file, position)| PositionChange::At(at(source, file, position)));
    store.commit(WriteBatch { positions: positions.to_vec(), ..batch(vec![]) }).unwrap();
    let moved = PositionChange::At(at("auth", "2", "z"));
    let gone = [("auth", "1"), ("messages", "1")]
        .map(|(source, file)| PositionChange::Gone { source: source.to_owned(), file: file.to_owned() });
    let positions = gone.into_iter().chain([moved]).collect();
    store.commit(WriteBatch { positions, ..batch(vec![]) }).unwrap();
    drop(store);
    assert_eq!(place.open().positions(NOW).unwrap(), [at("auth", "2", "z")]);
}

#[test]
fn a_batch_is_stored_as_a_whole_or_not_at_all() {
    let place = Place::new();
    let mut store = place.open();
    let trap = "CREATE TRIGGER trap BEFORE INSERT ON bans WHEN new.nth = 13
                BEGIN SELECT RAISE(ABORT, 'unlucky'); END";
    store.database.as_ref().unwrap().connection.execute_batch(trap).unwrap();
    let unlucky = Ban { nth: 13, ..ban("192.0.2.8") };
    let login = Row::Trust { offender: prefix("192.0.2.9"), seen: Some(NOW) };
    let rows = vec![Row::from(ban("192.0.2.7")), Row::from(unlucky), login];
    let error = store.commit(batch(rows)).unwrap_err().to_string();
    assert!(error.contains("unlucky") && error.contains("state.db"), "{error}");
    assert_eq!(store.pending.len(), 3);
    let stored = |store: &Store| -> i64 {
        let count = "SELECT (SELECT count(*) FROM bans) + (SELECT count(*) FROM trust)";
        store.database.as_ref().unwrap().connection.query_row(count, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(stored(&store), 0);
    store.database.as_ref().unwrap().connection.execute_batch("DROP TRIGGER trap").unwrap();
    store.commit(batch(vec![])).unwrap();
    assert_eq!((stored(&store), store.pending.len()), (3, 0), "the retry wrote all of it");
}

#[test]
fn what_is_too_old_to_count_is_passed_over_but_an_expired_ban_is_not() {
    let place = Place::new();
    let keep = Retention { history: HOUR, windows: HOUR, trust: HOUR, escalation: HOUR };
    let window = |set: &str, age: Duration| Row::Window {
        set: set.into(),
        offender: prefix("192.0.2.7"),
        seen: [(NOW.minus(age), 10)].into(),
    };
    let login = |offender: &str, age| Row::Trust { offender: prefix(offender), seen: Some(NOW.minus(age)) };
    let over = Row::from(Ban { until: Some(NOW.minus(HOUR)), ..ban("192.0.2.7") });
    let fresh = vec![over, window("new", HOUR), login("192.0.2.7", HOUR)];
    let old = [window("old", HOUR * 2), login("192.0.2.8", HOUR * 2)];
    let mut store = place.open();
    store.commit(batch(old.into_iter().chain(fresh.clone()).collect())).unwrap();
    store.set_retention(keep);
    assert_eq!(loaded(&mut store), fresh);
    let later = NOW.plus(purge::PURGE_EVERY);
    store.commit(WriteBatch { now: later, ..batch(vec![login("192.0.2.9", Duration::ZERO)]) }).unwrap();
    store.set_retention(FOREVER);
    assert_eq!(loaded(&mut store).len(), 2, "and dropped: the ban and the new login are left");
}
