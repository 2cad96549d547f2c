//! What the store tells of an address.

use super::*;

fn line(n: usize, text: &[u8]) -> BanLine {
    let at = NOW.plus(Duration::from_secs(u64::try_from(n).unwrap()));
    BanLine { at, source: "auth".into(), text: text.to_vec() }
}

fn lines(offender: &str, since: Time, lines: Vec<BanLine>) -> BanLines {
    BanLines { offender: prefix(offender), since, lines }
}

fn told(store: &mut Store, about: &str) -> Vec<(String, bool)> {
    let records = store.why(&prefix(about), 10, NOW).unwrap();
    let short = |record: BanRecord| (crate::address::display(&record.ban.offender), record.ended.is_some());
    records.into_iter().map(short).collect()
}

#[test]
fn a_ban_is_remembered_with_its_first_lines_after_it_is_over() {
    let place = Place::new();
    let mut store = place.open();
    let bytes = [&b"from \xff\x1b[2J\0 "[..], &[b'x'; 600]].concat();
    let some: Vec<BanLine> = (0..7).map(|n| line(n, &bytes)).collect();
    let one = WriteBatch {
        lines: vec![lines("192.0.2.7", NOW, some.clone())],
        ..batch(vec![Row::from(ban("192.0.2.7"))])
    };
    store.commit(one).unwrap();
    store.commit(WriteBatch { lines: vec![lines("192.0.2.7", NOW, some)], ..batch(vec![]) }).unwrap();
    let longer = Ban { until: Some(NOW.plus(HOUR * 9)), ..ban("192.0.2.7") };
    store.commit(batch(vec![Row::from(longer.clone())])).unwrap();
    store.commit(batch(vec![Row::BanEnded { offender: longer.offender, at: NOW.plus(HOUR) }])).unwrap();
    let records = store.why(&prefix("192.0.2.7"), 10, NOW).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!((&records[0].ban, records[0].ended), (&longer, Some(NOW.plus(HOUR))));
    assert_eq!(records[0].lines.len(), MAX_LINES);
    assert_eq!(records[0].lines[2], line(2, &bytes[..MAX_LINE_BYTES]), "any bytes, but not too many of them");
    assert!(store.pending.len() == 0 && banned(&mut store).is_empty());
}

#[test]
fn all_networks_around_and_inside_are_told_of_the_newest_first() {
    let place = Place::new();
    let mut store = place.open();
    let at = |offender: &str, hours: u32| Ban { since: NOW.plus(HOUR * hours), ..ban(offender) };
    let over = |offender: &str| Row::BanEnded { offender: prefix(offender), at: NOW.plus(HOUR * 20) };
    let first = [at("192.0.2.0/24", 1), at("192.0.2.7", 2), at("192.0.2.8", 3), at("192.0.0.0/16", 4)];
    let other = [at("192.0.3.0", 5), at("192.0.1.255", 6), at("2001:db8::/64", 7), at("0.0.0.0/0", 8)];
    store.commit(batch(first.into_iter().chain(other).map(Row::from).collect())).unwrap();
    store.commit(batch(vec![over("192.0.2.7"), over("0.0.0.0/0")])).unwrap();
    store.commit(batch(vec![Row::from(at("192.0.2.7", 21)), over("192.0.2.7")])).unwrap();
    let (is, was) = (|text: &str| (text.to_owned(), false), |text: &str| (text.to_owned(), true));
    let around =
        [is("192.0.0.0/16"), is("192.0.2.0/24"), was("192.0.2.7"), was("0.0.0.0/0"), was("192.0.2.7")];
    assert_eq!(told(&mut store, "192.0.2.7"), around);
    let inside = told(&mut store, "192.0.2.0/24");
    assert_eq!(inside.len(), 6, "{inside:?}");
    assert!(inside.contains(&is("192.0.2.8")));
    assert_eq!(told(&mut store, "2001:db8::1"), [is("2001:db8::/64")]);
    assert_eq!(told(&mut store, "203.0.113.1"), [was("0.0.0.0/0")]);
    assert_eq!(store.why(&prefix("0.0.0.0/0"), 3, NOW).unwrap().len(), 3);
}

#[test]
fn a_ban_that_came_and_went_before_it_could_be_written_is_told_of_too() {
    let place = Place::new();
    let mut store = place.open();
    let offender = prefix("192.0.2.7");
    let again = Ban { since: NOW.plus(HOUR), nth: 2, ..ban("192.0.2.7") };
    let rows =
        vec![Row::from(ban("192.0.2.7")), Row::BanEnded { offender, at: NOW.plus(HOUR) }, Row::from(again)];
    store.commit(batch(rows)).unwrap();
    assert_eq!(
        told(&mut store, "192.0.2.7"),
        [("192.0.2.7".to_owned(), false), ("192.0.2.7".to_owned(), true)]
    );
}

#[test]
fn no_more_lines_and_past_bans_are_kept_than_fit() {
    let place = Place::new();
    let mut store = place.open();
    let (begin, end) =
        (0..60_000).map(numbered).fold((Vec::new(), Vec::new()), |(mut begin, mut end), ban| {
            end.push(Row::BanEnded { offender: ban.offender, at: NOW });
            begin.push(Row::from(ban));
            (begin, end)
        });
    let evidence = (0..60_000).map(|n| BanLines {
        offender: numbered(n).offender,
        since: NOW,
        lines: vec![line(0, b"Failed password")],
    });
    store.commit(WriteBatch { lines: evidence.collect(), ..batch(begin) }).unwrap();
    let later = NOW.plus(HOUR);
    store.commit(WriteBatch { now: later, ..batch(end) }).unwrap();
    let mut lines_of = |n: u32| store.why(&numbered(n).offender, 1, NOW).unwrap()[0].lines.len();
    assert_eq!((lines_of(0), lines_of(59_999)), (0, 1), "the oldest lines left first, their bans did not");
}
