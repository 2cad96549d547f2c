//! Disks that are full or in use.

use super::*;

#[test]
fn a_full_disk_loses_nothing_and_is_recovered_from() {
    let place = Place::new();
    let mut store = place.open();
    let limit = |store: &Store, pages: u32| {
        let limit = format!("PRAGMA max_page_count = {pages}");
        store.database.as_ref().unwrap().connection.execute_batch(&limit).unwrap();
    };
    limit(&store, 30);
    let big = (0..3000).map(|n| Row::from(numbered(n))).collect();
    assert!(matches!(store.commit(batch(big)), Err(StoreError::Full { .. })));
    let last = vec![Row::BanEnded { offender: numbered(5).offender, at: NOW }, Row::from(numbered(9000))];
    let error = store.commit(batch(last)).unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("no space is left for"), "{error}");
    assert_eq!(banned(&mut store).len(), 0);
    limit(&store, 100_000);
    store.commit(batch(vec![])).unwrap();
    assert_eq!(store.pending.len(), 0);
    drop(store);
    assert_eq!(banned(&mut place.open()).len(), 3000);
}

#[test]
fn another_program_that_has_the_database_open_is_waited_for() {
    let place = Place::new();
    place.fill();
    let other = rusqlite::Connection::open(&place.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut store = place.open();
    let notices = store.notices();
    assert!(notices[0].to_string().contains("is open in another program"), "{}", notices[0]);
    assert!(store.commit(batch(vec![Row::from(ban("192.0.2.7"))])).is_err());
    drop(other);
    store.commit(batch(vec![])).unwrap();
    assert_eq!(answers(&mut store), [NoticeAction::Load], "the rows of earlier runs are still to be told");
    assert_eq!(banned(&mut store).len(), 2001);
}
