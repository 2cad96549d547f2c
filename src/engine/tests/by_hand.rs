//! What an operator bans and frees.

use super::*;

#[test]
fn unban_covers_everything_inside_and_resets_the_counters() {
    let mut bench = bench();
    bench.ban(0, "192.0.2.7", 3);
    bench.ban(0, "192.0.2.8", 3);
    bench.ban(0, "198.51.100.1", 3);
    bench.see(0, 4, "192.0.2.9", 0);
    assert_eq!(bench.unban(&["192.0.2.0/24"]), (2, 0));
    assert_eq!(bench.engine.counters("192.0.2.9".parse().unwrap(), bench.now), []);
    assert!(
        matches!(bench.ban(0, "192.0.2.7", 3), Verdict::Banned { nth: 1, .. }),
        "an operator's word forgives"
    );
    assert_eq!(bench.unban(&["203.0.113.0/24"]), (0, 1));
}

#[test]
fn unban_ends_the_ban_around_an_address_or_a_network() {
    let mut bench = bench();
    bench.ban(0, "2001:db8::5", 3);
    assert_eq!(bench.unban(&["2001:db8::77/128"]), (1, 0));
    bench.ban(0, "192.0.2.7", 3);
    assert_eq!(bench.unban(&["192.0.2.6/31"]), (1, 0));
    bench.engine.ban(by_hand("192.0.2.0/24", bench.now), false).unwrap();
    assert_eq!(bench.unban(&["192.0.2.0/25"]), (1, 0));
    assert_eq!(bench.engine.bans().count(), 0);
}

#[test]
fn in_a_list_an_address_may_stand_twice_and_within_a_network_of_the_list() {
    let mut bench = bench();
    bench.ban(0, "192.0.2.7", 3);
    assert_eq!(bench.unban(&["192.0.2.0/24", "192.0.2.7/32", "192.0.2.7/32", "203.0.113.1/32"]), (1, 1));
}

#[test]
fn a_ban_by_hand_does_not_make_the_next_one_shorter_or_longer() {
    let mut bench = bench();
    assert!(matches!(bench.ban(0, "192.0.2.7", 3), Verdict::Banned { nth: 1, .. }));
    bench.pass(HOUR);
    assert!(matches!(bench.ban(0, "192.0.2.7", 3), Verdict::Banned { nth: 2, .. }));
    bench.pass(2 * HOUR);
    bench.engine.ban(by_hand("192.0.2.7/32", bench.now), false).unwrap();
    assert_eq!(bench.engine.bans().next().unwrap().nth, 3);
    assert_eq!(bench.engine.expire(bench.now.plus(HOUR)).len(), 1);
    bench.pass(HOUR);
    assert!(matches!(bench.ban(0, "192.0.2.7", 3), Verdict::Banned { nth: 3, .. }));
}

#[test]
fn a_network_banned_by_hand_holds_its_hosts() {
    let mut bench = bench();
    bench.engine.ban(manual("192.0.2.0/24", bench.now), false).unwrap();
    assert!(matches!(bench.see(0, 4, "192.0.2.7", 0), Verdict::Ignored(Why::AlreadyBanned { until: None })));
    assert!(bench.engine.covering(&"192.0.2.7/32".parse().unwrap()).is_some());
    assert!(bench.engine.covering(&"192.0.3.7/32".parse().unwrap()).is_none());
}

#[test]
fn nobody_bans_the_allowed_by_hand_unless_forced() {
    let mut bench = Bench::new(allowing(&["192.0.2.5/32"]));
    let now = bench.now;
    assert_eq!(bench.engine.ban(manual("192.0.2.0/24", now), false), Err(BanRefusal::Allowed));
    assert_eq!(bench.engine.ban(manual("0.0.0.0/0", now), true), Err(BanRefusal::Unbannable("unspecified")));
    assert_eq!(bench.engine.ban(manual("127.0.0.1/32", now), true), Err(BanRefusal::Unbannable("loopback")));
    assert_eq!(bench.engine.ban(manual("192.0.2.0/24", now), true), Ok(()));
    let gone = bench.engine.reload(allowing(&["192.0.2.0/24"]), vec![], now);
    assert_eq!(gone, [], "forced stays forced");
}

fn manual(prefix: &str, now: Time) -> Ban {
    Ban {
        offender: prefix.parse().unwrap(),
        owners: vec![Owner { set: "".into(), until: None }].into(),
        since: now,
        until: None,
        nth: 1,
        reason: "by hand".into(),
        origin: Origin::Manual,
        forced: true,
        spoofable: false,
    }
}
