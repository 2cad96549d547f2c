//! What was stored comes back: any rows, in any order, against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::engine::{History, SessionKey};

fn any_time() -> impl Strategy<Value = Time> {
    any::<i64>().prop_map(Time::from_millis)
}

/// Few subjects, so that rows meet.
fn any_prefix() -> impl Strategy<Value = Prefix> {
    let v4 = (0_u8..4, 30_u8..=32)
        .prop_map(|(n, length)| Prefix::new([192, 0, 2, n].into(), length).unwrap().trunc());
    let v6 = (0_u16..3, 62_u8..=64).prop_map(|(n, length)| {
        Prefix::new([0x2001, 0xdb8, n, 0, 0, 0, 0, 1].into(), length).unwrap().trunc()
    });
    prop_oneof![v4, v6]
}

fn any_owner() -> impl Strategy<Value = Owner> {
    (any::<String>(), proptest::option::of(any_time()))
        .prop_map(|(set, until)| Owner { set: set.into(), until })
}

fn any_ban() -> impl Strategy<Value = Ban> {
    let origin = prop_oneof![Just(Origin::Rule), Just(Origin::Manual), Just(Origin::Foreign)];
    let owners = proptest::collection::vec(any_owner(), 0..3);
    let times = (any_time(), proptest::option::of(any_time()));
    (any_prefix(), owners, times, any::<(u32, String, bool, bool)>(), origin).prop_map(
        |(offender, owners, (since, until), (nth, reason, forced, spoofable), origin)| Ban {
            offender,
            owners: owners.into(),
            since,
            until,
            nth,
            reason: reason.into(),
            origin,
            forced,
            spoofable,
        },
    )
}

fn any_session() -> impl Strategy<Value = Row> {
    let counts = proptest::collection::vec(any::<(String, u32)>(), 0..3);
    let state = (any::<(i64, i64, Option<std::net::IpAddr>)>(), counts);
    (any::<bool>(), 0_u32..3, proptest::option::of(state)).prop_map(|(writer, pid, state)| Row::Session {
        key: SessionKey { writer: if writer { u64::MAX } else { 1 }, pid },
        state: state.map(|((started, last, peer), counts)| {
            let counted: Vec<_> = counts.iter().map(|(set, tenths)| (set.clone(), *tenths)).collect();
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
        any_ban().prop_map(Row::from),
        (any_prefix(), any_time()).prop_map(|(offender, at)| Row::BanEnded { offender, at }),
        (any_prefix(), history).prop_map(|(offender, history)| Row::History { offender, history }),
        ("[a-z\u{0}ü]{0,2}", any_prefix(), seen).prop_map(|(set, offender, seen)| Row::Window {
            set: set.into(),
            offender,
            seen: seen.into()
        }),
        (any_prefix(), proptest::option::of(any_time()))
            .prop_map(|(offender, seen)| Row::Trust { offender, seen }),
        (any_prefix(), proptest::option::of(any_time())).prop_map(|(prefix, at)| Row::Unban { prefix, at }),
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
        Row::Unban { prefix, at } => (format!("unban {prefix}"), at.is_none()),
    }
}

/// Before all times, so that nothing is old.
const FIRST: Time = Time::from_millis(i64::MIN);

/// As the engine says it: but for bans, one row for each thing.
fn once_each(rows: Vec<Row>) -> Vec<Row> {
    let mut seen = std::collections::BTreeSet::new();
    let is_ban = |row: &Row| matches!(row, Row::Ban(_) | Row::BanEnded { .. });
    rows.into_iter().filter(|row| is_ban(row) || seen.insert(subject(row).0)).collect()
}

fn check_against_a_map(batches: Vec<Vec<Row>>) -> TestCaseResult {
    let place = Place::new();
    let mut model = BTreeMap::new();
    let mut store = place.open();
    for (number, rows) in batches.into_iter().map(once_each).enumerate() {
        for row in &rows {
            match subject(row) {
                (subject, true) => drop(model.remove(&subject)),
                (subject, false) => drop(model.insert(subject, row.clone())),
            }
        }
        store.commit(WriteBatch { now: FIRST, rows, ..WriteBatch::default() }).unwrap();
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
