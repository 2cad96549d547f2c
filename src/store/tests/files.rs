//! Files that are not as they should be.

use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;

fn assert_goes_on_after_damage(place: &Place, cause: &str) {
    let mut store = place.open();
    let before = banned(&mut store).len();
    store.commit(batch(vec![Row::from(ban("198.51.100.7"))])).unwrap();
    let notices = store.notices();
    assert_eq!(notices.len(), 1, "{cause}: {notices:?}");
    assert_eq!(notices[0].action(), NoticeAction::WriteAll, "{cause}");
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
        place.fill();
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
    fs::write(suffixed(&place.path, "-wal"), [1; 5000]).unwrap();
    assert_goes_on_after_damage(&place, "emptied");
    assert!(place.files().contains(&"state.db.damaged-20251122T140000Z-wal".to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn no_damage_stops_the_store(at in 0_usize..100_000, bytes: [u8; 24], cut in proptest::option::of(0_usize..100_000)) {
        let place = Place::new();
        place.fill();
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
                store.commit(batch(vec![Row::from(ban("198.51.100.7"))])).unwrap();
                let known = store.why(&prefix("198.51.100.7"), 10, NOW).unwrap();
                prop_assert!(known.len() == 1 || !store.notices().is_empty());
            }
        }
    }
}

#[test]
fn rows_that_make_no_sense_are_passed_over_and_counted() {
    let place = Place::new();
    place.fill();
    let mut store = place.open();
    let edit = "UPDATE bans SET owners = 'sshd' WHERE offender = x'040000000120';
                UPDATE bans SET offender = x'0400000002' WHERE offender = x'040000000220'";
    store.database.as_ref().unwrap().connection.execute_batch(edit).unwrap();
    assert_eq!(banned(&mut store).len(), 1998);
    let said = store.notices()[0].to_string();
    assert!(said.contains("2 rows of `bans` are invalid"), "{said}");
}

#[test]
fn a_database_of_a_later_version_is_refused_and_not_a_byte_is_changed() {
    let place = Place::new();
    let mut store = place.open();
    store.commit(batch(vec![Row::from(ban("192.0.2.7"))])).unwrap();
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
        assert!(
            said.contains("portcullis 9.1.0 with schema version 7") && said.contains("up to 2"),
            "{said}"
        );
    }
    assert!(bytes() == before);
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
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
    place.fill();
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o666)).unwrap();
    refused(&place, "can be written by everybody (mode 0666), who could change it: `chmod go-w /");
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o644)).unwrap();
    place.open();
    assert_eq!(fs::metadata(&place.path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_database_that_was_removed_while_open_is_noticed_and_made_again() {
    let place = Place::new();
    let mut store = place.open();
    store.commit(batch(vec![Row::from(ban("192.0.2.7"))])).unwrap();
    fs::remove_file(&place.path).unwrap();
    store.commit(batch(vec![Row::from(ban("192.0.2.8"))])).unwrap();
    assert_eq!(answers(&mut store), [NoticeAction::WriteAll]);
    drop(store);
    assert_eq!(banned(&mut place.open()), ["192.0.2.8"]);
}
