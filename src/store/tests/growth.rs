//! Forgetting, so that the file does not grow without end.

use super::*;
use crate::engine::{History, SessionKey};

#[test]
fn a_hundred_thousand_changes_in_four_months_stay_in_a_small_file() {
    let place = Place::new();
    let keep = Retention { history: HOUR * 24 * 7, windows: HOUR, trust: HOUR, escalation: HOUR * 24 };
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
            source: "auth".into(),
            file: "1".to_owned(),
            position: now.to_string(),
        })];
        store
            .commit(WriteBatch { now, rows, positions, lines: attackers.map(|n| evidence(n, now)).collect() })
            .unwrap();
        largest = largest.max(size(&place.path) + size(&suffixed(&place.path, "-wal")));
    }
    assert!(changes > 100_000, "{changes}");
    assert!(largest < 6 << 20, "{largest} bytes");
    let first = store.why(&numbered(0).offender, 10, NOW).unwrap();
    assert!(first.is_empty(), "four months ago is forgotten");
    assert!(store.notices().is_empty());
}

/// Attackers in six hours; `cargo bench --bench store` has ten times as many.
const CROWD: u32 = 44;

/// An attacker comes, is banned, and another one's ban of six hours before is over.
fn attack(n: u32, now: Time) -> Vec<Row> {
    let offender = numbered(n).offender;
    let window = |seen| Row::Window { set: "sshd".into(), offender, seen };
    let key = SessionKey { writer: 1, pid: n };
    let state = serde_json::json!({
        "started": now.as_millis(), "last": now.as_millis(), "peer": null, "counts": [["sshd/failed-password", 50]],
        "counted": [["sshd", 50]]
    });
    vec![
        window(vec![(now, 10); 4].into()),
        Row::Session { key, state: serde_json::from_value(state).unwrap() },
        Row::from(Ban { since: now, until: Some(now.plus(HOUR)), ..numbered(n) }),
        Row::History { offender, history: Some(History { bans: 1, last_end: now.plus(HOUR) }) },
        Row::BanEnded { offender: numbered(n.wrapping_sub(CROWD)).offender, at: now },
    ]
}

fn evidence(n: u32, now: Time) -> BanLines {
    let text = b"Nov 22 14:38:31 gw sshd[29842]: Failed password for root from 192.0.2.7 port 52550".to_vec();
    let line = BanLine { at: now, source: "auth".into(), text };
    BanLines { offender: numbered(n).offender, since: now, lines: vec![line; 2] }
}
