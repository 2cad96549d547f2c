//! What anybody can forge displaces nothing, completes nothing and adds nothing to what nobody can.

use std::net::Ipv4Addr;

use super::*;

const FORGED: Evidence = Evidence::Spoofable;

/// The nth address of a flood.
fn nth(n: u32) -> String {
    Ipv4Addr::from_bits(0x2d00_0000 + n).to_string()
}

#[test]
fn forged_lines_between_two_tries_make_nobody_forget_the_first() {
    let mut bench = bench();
    for tries in 1..3 {
        assert_eq!(
            bench.see(0, 4, "192.0.2.7", 0),
            Verdict::Counted { tenths: tries * 10, threshold: 30, trusted: false }
        );
        for n in 0..100_001 {
            bench.see(1, 4, &nth(n), 0);
        }
    }
    assert!(matches!(bench.see(0, 4, "192.0.2.7", 0), Verdict::Banned { .. }));
    let (tracked, evicted) = bench.engine.tracked();
    assert!(tracked <= 100_000 && evicted >= 2, "{tracked} tracked, {evicted} left");
}

#[test]
fn real_offenders_take_the_place_of_forged_ones() {
    let few = EngineSettings { tracked_offenders: 10, ..EngineSettings::default() };
    let mut bench = Bench::new(few);
    for n in 0..10 {
        bench.see(1, 4, &nth(n), 0);
    }
    for n in 100..110 {
        bench.see(0, 4, &nth(n), 0);
    }
    assert_eq!(bench.engine.tracked(), (10, 10));
    for n in 100..110 {
        bench.see(0, 4, &nth(n), 0);
    }
    for n in 100..110 {
        assert!(matches!(bench.see(0, 4, &nth(n), 0), Verdict::Banned { .. }), "nobody was forgotten");
    }
}

#[test]
fn forged_lines_of_a_set_add_nothing_to_what_its_other_lines_count() {
    let mut bench = bench();
    bench.seen_on(FORGED, (0, 4), "192.0.2.7", 0, 2);
    let mistake = bench.see(0, 4, "192.0.2.7", 0);
    assert_eq!(mistake, Verdict::Counted { tenths: 10, threshold: 30, trusted: false });
    let counters = bench.counters("192.0.2.7".parse().unwrap());
    assert_eq!(counters, [("sshd", 10, 30), ("sshd (spoofable)", 20, 30)]);
    // By themselves they lead to a short ban.
    let end = until(&bench.seen_on(FORGED, (0, 4), "192.0.2.7", 0, 1)).unwrap();
    assert_eq!(end, bench.now.plus(10 * MINUTE));
}

#[test]
fn both_counts_outlast_a_restart_and_a_reload() {
    let mut bench = bench();
    bench.seen_on(FORGED, (0, 4), "192.0.2.7", 0, 2);
    bench.see(0, 4, "192.0.2.7", 0);
    let rows = bench.engine.changes();
    let mut after = Bench::new(EngineSettings::default());
    rows.into_iter().for_each(|row| after.engine.restore(row));
    let mut policies = after.engine.policies().to_vec();
    policies.reverse();
    after.engine.reload(EngineSettings::default(), policies, after.now);
    assert_eq!(
        after.counters("192.0.2.7".parse().unwrap()),
        [("sshd", 10, 30), ("sshd (spoofable)", 20, 30)]
    );
    assert!(matches!(after.seen_on(FORGED, (2, 4), "192.0.2.7", 0, 1), Verdict::Banned { nth: 1, .. }));
}

/// Whoever forges a line with the process id of a real connection neither gives it a peer nor takes its lines.
#[test]
fn forged_lines_take_no_part_in_real_sessions() {
    let mut bench = bench();
    bench.see(0, 3, "192.0.2.7", 9);
    bench.seen_on(FORGED, (0, 3), "198.51.100.9", 9, 1);
    bench.see(0, 0, "evil.example", 9);
    assert_eq!(bench.counters("192.0.2.7".parse().unwrap()), [("sshd", 10, 30)]);
    assert_eq!(bench.counters("198.51.100.9".parse().unwrap()), []);
    let nobody = bench.seen_on(FORGED, (0, 0), "other.example", 10, 1);
    assert_eq!(nobody, Verdict::Ignored(Why::NoAddress));
    assert_eq!(
        bench.see(0, 3, "192.0.2.8", 10),
        Verdict::Ignored(Why::Harmless),
        "nothing had waited for it"
    );
}

#[test]
fn a_flood_of_forged_sessions_ends_no_real_one() {
    let mut bench = bench();
    bench.see(0, 3, "192.0.2.7", 9);
    for pid in 10..40_000 {
        bench.seen_on(FORGED, (0, 3), "198.51.100.9", pid, 1);
    }
    assert!(matches!(bench.see(0, 0, "evil.example", 9), Verdict::Counted { tenths: 10, .. }));
    let mut after = Bench::new(EngineSettings::default());
    bench.engine.changes().into_iter().for_each(|row| after.engine.restore(row));
    assert!(
        matches!(after.see(0, 0, "evil.example", 9), Verdict::Counted { tenths: 20, .. }),
        "nor after a restart"
    );
}

/// Users with three mistakes, each in two files, while forged lines fill all memory between the two.
#[test]
fn no_flood_between_two_files_doubles_a_mistake() {
    let two = EngineSettings { files: 2, ..EngineSettings::default() };
    for kind in [FORGED, Evidence::Handshake] {
        let mut bench = Bench::new(two.clone());
        for user in 1..4 {
            bench.source = 0;
            bench.see(0, 4, &format!("192.0.2.{user}"), 0);
            for n in 0..30_000 {
                bench.seen_on(kind, (1, 4), &nth(n), 0, 1);
            }
            bench.source = 1;
            bench.see(0, 4, &format!("192.0.2.{user}"), 0);
            assert_eq!(
                bench.counters(format!("192.0.2.{user}").parse().unwrap()),
                [("sshd", 10, 30)],
                "{kind:?}"
            );
        }
    }
}
