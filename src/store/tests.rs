//! The store as a whole, one sentence a test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tempfile::TempDir;

use super::*;
use crate::engine::{Ban, History, Origin, Owner, SessionKey};

const NOW: Time = Time::from_secs(1_763_820_000);
const HOUR: Duration = Duration::from_secs(3600);
const FOREVER: Keep =
    Keep { history: Duration::MAX, windows: Duration::MAX, trust: Duration::MAX, escalation: Duration::MAX };

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
        owners: vec![Owner { set: "sshd".to_owned(), until }],
        since: NOW,
        until,
        nth: 1,
        reason: "sshd/failed-password".to_owned(),
        origin: Origin::Rule,
        forced: false,
        spoofable: false,
    }
}

fn numbered(n: u32) -> Ban {
    Ban { offender: Prefix::from(std::net::IpAddr::from(n.to_be_bytes())), ..ban("192.0.2.7") }
}

fn batch(rows: Vec<Row>) -> Batch {
    Batch { now: NOW, rows, ..Batch::default() }
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

fn answers(store: &mut Store) -> Vec<Answer> {
    store.notices().iter().map(Notice::answer).collect()
}

// What was stored comes back.

fn any_time() -> impl Strategy<Value = Time> {
    any::<i64>().prop_map(Time::from_millis)
}

/// Few subjects, so that rows meet.
fn any_prefix() -> impl Strategy<Value = Prefix> {
    let v4 =
        (0_u8..4, 30_u8..=32).prop_map(|(n, length)| Prefix::new([192, 0, 2, n].into(), length).unwrap());
    let v6 = (0_u16..3, 62_u8..=64)
        .prop_map(|(n, length)| Prefix::new([0x2001, 0xdb8, n, 0, 0, 0, 0, 1].into(), length).unwrap());
    prop_oneof![v4, v6]
}

fn any_owner() -> impl Strategy<Value = Owner> {
    (any::<String>(), proptest::option::of(any_time())).prop_map(|(set, until)| Owner { set, until })
}

fn any_ban() -> impl Strategy<Value = Ban> {
    let origin = prop_oneof![Just(Origin::Rule), Just(Origin::Manual), Just(Origin::Foreign)];
    let owners = proptest::collection::vec(any_owner(), 0..3);
    let times = (any_time(), proptest::option::of(any_time()));
    (any_prefix(), owners, times, any::<(u32, String, bool, bool)>(), origin).prop_map(
        |(offender, owners, (since, until), (nth, reason, forced, spoofable), origin)| Ban {
            offender,
            owners,
            since,
            until,
            nth,
            reason,
            origin,
            forced,
            spoofable,
        },
    )
}

fn any_session() -> impl Strategy<Value = Row> {
    let counts = proptest::collection::vec(any::<(String, u16, u32)>(), 0..3);
    let state = (any::<(i64, i64, Option<std::net::IpAddr>)>(), counts);
    (any::<bool>(), 0_u32..3, proptest::option::of(state)).prop_map(|(writer, pid, state)| Row::Session {
        key: SessionKey { writer: if writer { u64::MAX } else { 1 }, pid },
        state: state.map(|((started, last, peer), counts)| {
            let counted: Vec<_> = counts.iter().map(|(set, _, tenths)| (set.clone(), *tenths)).collect();
            let state = serde_json::json!({
                "started": started, "last": last, "peer": peer, "counts": counts, "counted": counted
            });
            serde_json::from_value(state).unwrap()
        }),
    })
}

fn any_row() -> impl Strategy<Value = Row> {
    let seen = proptest::collection::vec((any_time(), any::<u32>()), 0..4);
    let history = proptest::option::of(
        (any::<u32>(), any_time()).prop_map(|(bans, last_end)| History { bans, last_end }),
    );
    prop_oneof![
        any_ban().prop_map(Row::Ban),
        (any_prefix(), any_time()).prop_map(|(offender, at)| Row::BanEnded { offender, at }),
        (any_prefix(), history).prop_map(|(offender, history)| Row::History { offender, history }),
        ("[a-z\u{0}ü]{0,2}", any_prefix(), seen).prop_map(|(set, offender, seen)| Row::Window {
            set,
            offender,
            seen
        }),
        (any_prefix(), proptest::option::of(any_time()))
            .prop_map(|(offender, seen)| Row::Trust { offender, seen }),
        any_session(),
    ]
}

/// What a row is about, and whether it says that there is nothing.
fn subject(row: &Row) -> (String, bool) {
    match row {
        Row::Ban(ban) => (format!("ban {}", ban.offender), false),
        Row::BanEnded { offender, .. } => (format!("ban {offender}"), true),
        Row::History { offender, history } => (format!("history {offender}"), history.is_none()),
        Row::Window { set, offender, seen } => (format!("window {offender} {set}"), seen.is_empty()),
        Row::Trust { offender, seen } => (format!("trust {offender}"), seen.is_none()),
        Row::Session { key, state } => (format!("session {key:?}"), state.is_none()),
    }
}

/// Before all times, so that nothing is old.
const FIRST: Time = Time::from_millis(i64::MIN);

fn check_against_a_map(batches: Vec<Vec<Row>>) -> TestCaseResult {
    let place = Place::new();
    let mut model = BTreeMap::new();
    let mut store = place.open();
    for (number, rows) in batches.into_iter().enumerate() {
        for row in &rows {
            match subject(row) {
                (subject, true) => drop(model.remove(&subject)),
                (subject, false) => drop(model.insert(subject, row.clone())),
            }
        }
        store.commit(Batch { now: FIRST, rows, ..Batch::default() }).unwrap();
        if number % 2 == 0 {
            drop(store);
            store = place.open();
        }
    }
    let mut stored = BTreeMap::new();
    store.load(FIRST, |row| drop(stored.insert(subject(&row).0, row))).unwrap();
    prop_assert_eq!(stored, model);
    prop_assert!(store.notices().is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn rows_come_back_as_the_last_word_on_each_thing(
        batches in proptest::collection::vec(proptest::collection::vec(any_row(), 0..12), 1..5)
    ) {
        check_against_a_map(batches)?;
    }
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
    store.commit(Batch { positions: positions.to_vec(), ..batch(vec![]) }).unwrap();
    let replaced =
        PositionChange::All { source: "auth".to_owned(), files: vec![("3".to_owned(), "z".to_owned())] };
    let gone = PositionChange::Gone { source: "messages".to_owned(), file: "1".to_owned() };
    store.commit(Batch { positions: vec![replaced, gone], ..batch(vec![]) }).unwrap();
    drop(store);
    assert_eq!(place.open().positions(NOW).unwrap(), [at("auth", "3", "z")]);
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
    let rows = vec![Row::Ban(ban("192.0.2.7")), Row::Ban(unlucky), login];
    let error = store.commit(batch(rows)).unwrap_err().to_string();
    assert!(error.contains("unlucky") && error.contains("state.db"), "{error}");
    assert_eq!((store.waiting(), store.is_behind()), (3, true));
    let stored = |store: &Store| -> i64 {
        let count = "SELECT (SELECT count(*) FROM bans) + (SELECT count(*) FROM trust)";
        store.database.as_ref().unwrap().connection.query_row(count, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(stored(&store), 0);
    store.database.as_ref().unwrap().connection.execute_batch("DROP TRIGGER trap").unwrap();
    store.commit(batch(vec![])).unwrap();
    assert_eq!((stored(&store), store.waiting()), (3, 0), "the retry wrote all of it");
}

#[test]
fn what_is_too_old_to_count_is_passed_over_but_an_expired_ban_is_not() {
    let place = Place::new();
    let keep = Keep { history: HOUR, windows: HOUR, trust: HOUR, escalation: HOUR };
    let window = |set: &str, age: Duration| Row::Window {
        set: set.to_owned(),
        offender: prefix("192.0.2.7"),
        seen: vec![(NOW.minus(age), 10)],
    };
    let login = |offender: &str, age| Row::Trust { offender: prefix(offender), seen: Some(NOW.minus(age)) };
    let over = Row::Ban(Ban { until: Some(NOW.minus(HOUR)), ..ban("192.0.2.7") });
    let fresh = vec![over, window("new", HOUR), login("192.0.2.7", HOUR)];
    let old = [window("old", HOUR * 2), login("192.0.2.8", HOUR * 2)];
    let mut store = place.open();
    store.commit(batch(old.into_iter().chain(fresh.clone()).collect())).unwrap();
    store.set_keep(keep);
    assert_eq!(loaded(&mut store), fresh);
    let later = NOW.plus(purge::EVERY);
    store.commit(Batch { now: later, ..batch(vec![login("192.0.2.9", Duration::ZERO)]) }).unwrap();
    store.set_keep(FOREVER);
    assert_eq!(loaded(&mut store).len(), 2, "and dropped: the ban and the new login are left");
}

// Files that are not as they should be.

fn stored_hundred(place: &Place) {
    let mut store = place.open();
    store.commit(batch((0..2000).map(|n| Row::Ban(numbered(n))).collect())).unwrap();
}

fn assert_goes_on_after_damage(place: &Place, cause: &str) {
    let mut store = place.open();
    let before = banned(&mut store).len();
    store.commit(batch(vec![Row::Ban(ban("198.51.100.7"))])).unwrap();
    let notices = store.notices();
    assert_eq!(notices.len(), 1, "{cause}: {notices:?}");
    assert_eq!(notices[0].answer(), Answer::WriteAll, "{cause}");
    let said = notices[0].to_string();
    assert!(
        said.contains("state.db was damaged (") && said.contains("state.db.damaged-20251122T140000Z"),
        "{said}"
    );
    drop(store);
    assert!(place.files().iter().any(|name| name == "state.db.damaged-20251122T140000Z"));
    let mut again = place.open();
    assert_eq!(banned(&mut again), ["198.51.100.7"], "{cause}: {before} rows came before the damage");
    assert!(again.notices().is_empty(), "{cause}: said once");
}

fn overwrite(path: &Path, from: usize, with: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    bytes[from..from + with.len()].copy_from_slice(with);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_file_is_moved_aside_and_the_store_goes_on() {
    type Damage = (&'static str, fn(&Path));
    let damages: [Damage; 6] = [
        ("not a database", |path| fs::write(path, "hello").unwrap()),
        ("random bytes", |path| fs::write(path, [0x5a; 70_000]).unwrap()),
        ("half of it", |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("cut in its first page", |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..1000]).unwrap();
        }),
        ("its schema", |path| overwrite(path, 100, &[0xff; 900])),
        ("all pages but the first", |path| {
            let length = fs::metadata(path).unwrap().len();
            overwrite(path, 4096, &vec![0x77; usize::try_from(length).unwrap() - 4096]);
        }),
    ];
    for (cause, damage) in damages {
        let place = Place::new();
        stored_hundred(&place);
        damage(&place.path);
        assert_goes_on_after_damage(&place, cause);
    }
}

#[test]
fn an_empty_file_is_a_new_database_unless_a_log_says_otherwise() {
    let place = Place::new();
    fs::write(&place.path, "").unwrap();
    let mut store = place.open();
    assert!(store.notices().is_empty() && banned(&mut store).is_empty());
    drop(store);
    fs::write(&place.path, "").unwrap();
    fs::write(lock::suffixed(&place.path, "-wal"), [1; 5000]).unwrap();
    assert_goes_on_after_damage(&place, "emptied");
    assert!(place.files().contains(&"state.db.damaged-20251122T140000Z-wal".to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn no_damage_stops_the_store(at in 0_usize..100_000, bytes: [u8; 24], cut in proptest::option::of(0_usize..100_000)) {
        let place = Place::new();
        stored_hundred(&place);
        let length = usize::try_from(fs::metadata(&place.path).unwrap().len()).unwrap();
        overwrite(&place.path, at % (length - 24), &bytes);
        if let Some(cut) = cut {
            let bytes = fs::read(&place.path).unwrap();
            fs::write(&place.path, &bytes[..cut % length]).unwrap();
        }
        match place.try_open() {
            // Another form or application number is another program's, and left alone.
            Err(error) => prop_assert!(!error.is_temporary(), "{error}"),
            Ok(mut store) => {
                store.load(NOW, |_| ()).unwrap();
                store.commit(batch(vec![Row::Ban(ban("198.51.100.7"))])).unwrap();
                let known = store.why(&prefix("198.51.100.7"), 10, NOW).unwrap();
                prop_assert!(known.len() == 1 || !store.notices().is_empty());
            }
        }
    }
}

#[test]
fn rows_that_make_no_sense_are_passed_over_and_counted() {
    let place = Place::new();
    stored_hundred(&place);
    let mut store = place.open();
    let edit = "UPDATE bans SET owners = 'sshd' WHERE offender = x'040000000120';
                UPDATE bans SET offender = x'0400000002' WHERE offender = x'040000000220'";
    store.database.as_ref().unwrap().connection.execute_batch(edit).unwrap();
    assert_eq!(banned(&mut store).len(), 1998);
    let said = store.notices()[0].to_string();
    assert!(said.contains("2 rows of `bans` make no sense"), "{said}");
}

#[test]
fn a_database_of_a_later_version_is_refused_and_not_a_byte_is_changed() {
    let place = Place::new();
    let mut store = place.open();
    store.commit(batch(vec![Row::Ban(ban("192.0.2.7"))])).unwrap();
    let future = "PRAGMA user_version = 7; UPDATE meta SET value = '9.1.0' WHERE name = 'program'";
    store.database.as_ref().unwrap().connection.execute_batch(future).unwrap();
    // As after a crash, with a log.
    store.database.take().unwrap().abandon();
    drop(store);
    let bytes =
        || place.files().iter().map(|name| fs::read(place.path.with_file_name(name)).unwrap()).collect();
    let before: Vec<Vec<u8>> = bytes();
    assert_eq!(before.len(), 2);
    for _ in 0..2 {
        let error = place.try_open().unwrap_err();
        assert!(!error.is_temporary());
        let said = error.to_string();
        assert!(said.contains("portcullis 9.1.0 in form 7") && said.contains("up to 1"), "{said}");
    }
    assert!(bytes() == before);
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    use std::os::unix::fs::PermissionsExt;
    let refused = |place: &Place, sentence: &str| {
        let error = place.try_open().unwrap_err();
        assert!(!error.is_temporary(), "{error}");
        assert!(error.to_string().contains(sentence), "{error}");
    };
    let place = Place::new();
    fs::create_dir(&place.path).unwrap();
    refused(&place, "is a directory: name another file");

    let place = Place::new();
    let other = rusqlite::Connection::open(&place.path).unwrap();
    other.execute_batch("CREATE TABLE hosts (name)").unwrap();
    drop(other);
    let before = fs::read(&place.path).unwrap();
    refused(&place, "is the database of another program");
    assert!(fs::read(&place.path).unwrap() == before);

    let place = Place::new();
    stored_hundred(&place);
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o666)).unwrap();
    refused(&place, "is writable for others (mode 666)");
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o644)).unwrap();
    place.open();
    assert_eq!(fs::metadata(&place.path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_database_that_was_removed_while_open_is_noticed_and_made_again() {
    let place = Place::new();
    let mut store = place.open();
    store.commit(batch(vec![Row::Ban(ban("192.0.2.7"))])).unwrap();
    fs::remove_file(&place.path).unwrap();
    store.commit(batch(vec![Row::Ban(ban("192.0.2.8"))])).unwrap();
    assert_eq!(answers(&mut store), [Answer::WriteAll]);
    drop(store);
    assert_eq!(banned(&mut place.open()), ["192.0.2.8"]);
}

// Disks that are not as they should be.

#[test]
fn a_full_disk_loses_nothing_and_is_recovered_from() {
    let place = Place::new();
    let mut store = place.open();
    let limit = |store: &Store, pages: u32| {
        let limit = format!("PRAGMA max_page_count = {pages}");
        store.database.as_ref().unwrap().connection.execute_batch(&limit).unwrap();
    };
    limit(&store, 30);
    let big = (0..3000).map(|n| Row::Ban(numbered(n))).collect();
    assert!(matches!(store.commit(batch(big)), Err(StoreError::Full { .. })));
    let last = vec![Row::BanEnded { offender: numbered(5).offender, at: NOW }, Row::Ban(numbered(9000))];
    let error = store.commit(batch(last)).unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("no space is left for"), "{error}");
    assert_eq!(banned(&mut store).len(), 0);
    limit(&store, 100_000);
    store.commit(batch(vec![])).unwrap();
    assert_eq!(store.waiting(), 0);
    drop(store);
    assert_eq!(banned(&mut place.open()).len(), 3000);
}

#[test]
fn another_program_that_has_the_database_open_is_waited_for() {
    let place = Place::new();
    stored_hundred(&place);
    let other = rusqlite::Connection::open(&place.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut store = place.open();
    let notices = store.notices();
    assert!(notices[0].to_string().contains("is open in another program"), "{}", notices[0]);
    assert!(store.commit(batch(vec![Row::Ban(ban("192.0.2.7"))])).is_err());
    drop(other);
    store.commit(batch(vec![])).unwrap();
    assert_eq!(answers(&mut store), [Answer::Load], "the rows of earlier runs are still to be told");
    assert_eq!(banned(&mut store).len(), 2001);
}

// Forgetting.

#[test]
fn a_million_changes_in_four_months_stay_in_a_small_file() {
    let place = Place::new();
    let keep = Keep { history: HOUR * 24 * 7, windows: HOUR, trust: HOUR, escalation: HOUR * 24 };
    let mut store = Store::open(Lock::acquire(&place.path).unwrap(), keep, NOW).unwrap();
    let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    let mut largest = 0;
    let mut changes = 0;
    for quarter in 0..120 * 4 {
        let now = NOW.plus(HOUR * 6 * quarter);
        let attackers = quarter * CROWD..(quarter + 1) * CROWD;
        let rows: Vec<Row> = attackers.clone().flat_map(|n| attack(n, now)).collect();
        changes += rows.len();
        let positions = vec![PositionChange::At(FilePosition {
            source: "auth".to_owned(),
            file: "1".to_owned(),
            position: now.to_string(),
        })];
        store
            .commit(Batch { now, rows, positions, lines: attackers.map(|n| evidence(n, now)).collect() })
            .unwrap();
        largest = largest.max(size(&place.path) + size(&lock::suffixed(&place.path, "-wal")));
    }
    assert!(changes > 1_000_000, "{changes}");
    eprintln!("{largest}");
    assert!(largest < 40 << 20, "{largest} bytes");
    let first = store.why(&numbered(0).offender, 10, NOW).unwrap();
    assert!(first.is_empty(), "four months ago is forgotten");
    assert!(store.notices().is_empty());
}

/// Attackers in six hours.
const CROWD: u32 = 440;

/// An attacker comes, is banned, and another one's ban of six hours before is over.
fn attack(n: u32, now: Time) -> Vec<Row> {
    let offender = numbered(n).offender;
    let window = |seen| Row::Window { set: "sshd".to_owned(), offender, seen };
    let key = SessionKey { writer: 1, pid: n };
    let state = serde_json::json!({
        "started": now.as_millis(), "last": now.as_millis(), "peer": null, "counts": [["sshd", 1, 50]],
        "counted": [["sshd", 50]]
    });
    vec![
        window(vec![(now, 10); 4]),
        Row::Session { key, state: serde_json::from_value(state).unwrap() },
        Row::Ban(Ban { since: now, until: Some(now.plus(HOUR)), ..numbered(n) }),
        Row::History { offender, history: Some(History { bans: 1, last_end: now.plus(HOUR) }) },
        Row::BanEnded { offender: numbered(n.wrapping_sub(CROWD)).offender, at: now },
    ]
}

fn evidence(n: u32, now: Time) -> BanLines {
    let text = b"Nov 22 14:38:31 gw sshd[29842]: Failed password for root from 192.0.2.7 port 52550".to_vec();
    let line = BanLine { at: now, source: "auth".to_owned(), text };
    BanLines { offender: numbered(n).offender, since: now, lines: vec![line; 5] }
}
