//! The engine's memory through a restart.

use super::*;
use crate::engine::{
    Engine, EngineSettings, Line, Policy, RulePolicy, SessionKey, Sighting, Speaker, Verdict, Why,
};
use crate::rules::{self, BanLength, Counts, Effect, Escalate, Evidence, Threshold, Thresholds};

fn engine() -> Engine {
    let escalate = Some(Escalate { factor: 2.0, max: HOUR * 9, forget: HOUR * 100 });
    let policy = Policy {
        name: "sshd".into(),
        evidence: Evidence::Handshake,
        threshold: Threshold { offences: 5, within: HOUR }.into(),
        ban: rules::BanPolicy { length: BanLength::For(HOUR), escalate },
        names: ["sshd/failed-password".into()].into(),
        rules: [RulePolicy {
            effect: Effect::Offence,
            tenths: 10,
            counts: Counts::Session,
            address: rules::AddressFrom::Line,
            ends_session: false,
        }]
        .into(),
    };
    Engine::new(EngineSettings::default(), vec![policy])
}

/// One more wrong password in the one connection.
fn failure(engine: &mut Engine, minute: u32) -> Verdict {
    let sighting = Sighting {
        time: NOW.plus(Duration::from_secs(60) * minute),
        is_late: false,
        source: 0,
        writer: "",
        set: 0,
        rule: 0,
        address: Some("192.0.2.7".parse().unwrap()),
        session: Some(SessionKey::new(Speaker { writer: "", host: b"gw", program: b"sshd" }, 7)),
        line: Line { program: Some(b"sshd"), pid: Some(7), message: b"" },
        evidence: Evidence::Handshake,
        port: None,
        count: 1,
    };
    engine.observe(&sighting).verdict
}

/// Stores what changed, and starts again from what is stored.
fn restarted(place: &Place, mut engine: Engine) -> Engine {
    place.open().commit(batch(engine.changes())).unwrap();
    started(place)
}

/// The same with the policies that were in force.
fn restarted_with(place: &Place, mut engine: Engine) -> Engine {
    place.open().commit(batch(engine.changes())).unwrap();
    let mut next = Engine::new(EngineSettings::default(), engine.policies().to_vec());
    place.open().load(NOW, |row| next.restore(row)).unwrap();
    next
}

fn started(place: &Place) -> Engine {
    let mut engine = engine();
    place.open().load(NOW, |row| engine.restore(row)).unwrap();
    engine
}

#[test]
fn four_failures_a_restart_after_each_and_the_fifth_is_a_ban() {
    let place = Place::new();
    let mut engine = engine();
    for n in 0..4 {
        assert_eq!(
            failure(&mut engine, n),
            Verdict::Counted { tenths: (n + 1) * 10, threshold: 50, trusted: false }
        );
        engine = restarted(&place, engine);
    }
    let Verdict::Banned { until: Some(until), nth: 1, .. } = failure(&mut engine, 4) else {
        panic!("no ban")
    };
    let mut engine = restarted(&place, engine);
    assert_eq!(engine.bans().map(|ban| ban.until).collect::<Vec<_>>(), [Some(until)]);
    assert!(!matches!(failure(&mut engine, 5), Verdict::Banned { .. }), "a restored ban is not made again");
    assert!(engine.changes().iter().all(|row| !matches!(row, Row::Ban(_))), "and is nothing new to store");
}

/// A first version stored the same rows for its one window: they count in every window of today.
#[test]
fn offences_stored_by_one_window_count_in_several() {
    let place = Place::new();
    let mut one = engine();
    (0..4).for_each(|n| assert!(matches!(failure(&mut one, n), Verdict::Counted { .. })));
    place.open().commit(batch(one.changes())).unwrap();
    let mut policies = engine().policies().to_vec();
    let windows = [(5, HOUR), (6, HOUR * 24)].map(|(offences, within)| Threshold { offences, within });
    policies[0].threshold = Thresholds::new(windows.to_vec()).unwrap();
    let mut several = Engine::new(EngineSettings::default(), policies);
    place.open().load(NOW, |row| several.restore(row)).unwrap();
    assert_eq!(
        failure(&mut several, 200),
        Verdict::Counted { tenths: 50, threshold: 60, trusted: false },
        "of the day"
    );
    let mut several = restarted_with(&place, several);
    let Verdict::Banned { within, .. } = failure(&mut several, 210) else { panic!("no ban") };
    assert_eq!(within, HOUR * 24);
}

#[test]
fn a_ban_that_ran_out_meanwhile_is_ended_by_the_start_and_the_next_one_is_longer() {
    let place = Place::new();
    let mut engine = engine();
    (0..5).for_each(|n| assert!(!matches!(failure(&mut engine, n), Verdict::Ignored(_))));
    let mut engine = restarted(&place, engine);
    let offender = prefix("192.0.2.7");
    assert_eq!(engine.expire(NOW.plus(HOUR * 2)), [offender]);
    let mut engine = restarted(&place, engine);
    assert_eq!(engine.bans().count(), 0);
    let nth = (120..125).map(|minute| failure(&mut engine, minute)).find_map(|verdict| match verdict {
        Verdict::Banned { nth, .. } => Some(nth),
        _ => None,
    });
    assert_eq!(nth, Some(2));
}

#[test]
fn an_unban_while_the_daemon_is_down_is_an_unban_when_it_starts() {
    let place = Place::new();
    let mut engine = engine();
    (0..5).for_each(|n| assert!(!matches!(failure(&mut engine, n), Verdict::Ignored(_))));
    let mut offline = restarted(&place, engine);
    assert_eq!(offline.unban(&[prefix("192.0.2.0/24")], NOW.plus(HOUR)).freed.len(), 1);
    let mut engine = restarted(&place, offline);
    assert_eq!(engine.bans().count(), 0);
    assert_eq!(failure(&mut engine, 10), Verdict::Ignored(Why::Unbanned), "it was written before");
    let again = failure(&mut engine, 61);
    assert_eq!(
        again,
        Verdict::Counted { tenths: 10, threshold: 50, trusted: false },
        "the counters were reset too"
    );
    let mut store = place.open();
    let told = store.why(&prefix("192.0.2.7"), 9, NOW).unwrap();
    assert_eq!(told.iter().map(|record| record.ended).collect::<Vec<_>>(), [Some(NOW.plus(HOUR))]);
}
