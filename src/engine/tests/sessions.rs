//! Whose a line is that names nobody, and where a process serves several peers.

use std::sync::Arc;

use super::*;

#[test]
fn a_line_without_address_is_about_the_peer_that_its_session_names_before_or_after() {
    let mut bench = bench();
    assert_eq!(bench.see(0, 0, "evil.example", 9), Verdict::Ignored(Why::NoAddress));
    assert!(
        matches!(bench.see(0, 3, "192.0.2.7", 9), Verdict::Counted { tenths: 10, .. }),
        "delivered when named"
    );
    assert!(matches!(bench.see(0, 0, "evil.example", 9), Verdict::Counted { tenths: 20, .. }));
    assert_eq!(
        bench.see(0, 0, "evil.example", 10),
        Verdict::Ignored(Why::NoAddress),
        "another pid is nobody's"
    );
}

#[test]
fn a_pid_that_is_used_again_does_not_inherit_the_peer() {
    let mut bench = bench();
    bench.see(0, 3, "192.0.2.7", 9);
    bench.pass(4 * MINUTE);
    assert_eq!(bench.see(0, 0, "evil.example", 9), Verdict::Ignored(Why::NoAddress));
    bench.see(0, 3, "192.0.2.7", 11);
    assert!(
        matches!(bench.see(0, 0, "192.0.2.8", 11), Verdict::Counted { tenths: 10, .. }),
        "another address, afresh"
    );
}

/// Rules 0 and 3 without an end of sessions: a program that serves all its peers from one process.
#[test]
fn nothing_is_attributed_through_a_pid_that_names_two_peers() {
    for silence in [Duration::from_secs(1), 5 * MINUTE, 2 * HOUR] {
        let mut bench = bench();
        bench.see(0, 3, "198.51.100.9", 812);
        bench.pass(silence);
        bench.see(0, 3, "2001:db8::7", 812);
        for _ in 0..9 {
            assert_eq!(bench.see(0, 0, "anna", 812), Verdict::Ignored(Why::NoAddress), "{silence:?}");
        }
        // Nor later, while the process may still serve whoever connected then.
        bench.pass(9 * HOUR);
        bench.see(0, 3, "2001:db8::7", 812);
        assert_eq!(bench.see(0, 0, "anna", 812), Verdict::Ignored(Why::NoAddress), "{silence:?}");
    }
}

#[test]
fn what_was_said_before_a_pid_named_another_peer_is_not_that_ones() {
    let mut bench = bench();
    bench.see(0, 3, "198.51.100.9", 812);
    bench.pass(5 * MINUTE);
    bench.see(0, 0, "anna", 812);
    assert_eq!(bench.see(0, 3, "192.0.2.7", 812), Verdict::Ignored(Why::Harmless));
    assert_eq!(bench.see(0, 3, "198.51.100.9", 812), Verdict::Ignored(Why::Harmless));
}

#[test]
fn lines_that_name_their_peer_count_for_it_also_where_a_pid_serves_many() {
    let mut bench = bench();
    for _ in 0..2 {
        assert!(matches!(bench.see(0, 0, "192.0.2.7", 812), Verdict::Counted { .. }));
        assert!(matches!(bench.see(0, 0, "192.0.2.8", 812), Verdict::Counted { .. }));
        assert_eq!(bench.see(0, 1, "192.0.2.8", 812), Verdict::Ignored(Why::SameAttempt), "about one guess");
    }
    assert!(matches!(bench.see(0, 0, "192.0.2.7", 812), Verdict::Banned { .. }));
}

/// sshd says when a connection ends, and its pids come round; a silence is an end, too.
#[test]
fn a_pid_whose_connection_ended_serves_the_next_one_alone() {
    for ended in [true, false] {
        let mut policies = vec![policy("sshd", Evidence::Handshake, 3)];
        Arc::make_mut(&mut policies[0].rules)[3].ends_session = true;
        let mut bench = Bench::with(EngineSettings::default(), policies);
        bench.see(0, if ended { 3 } else { 0 }, "198.51.100.9", 9);
        bench.pass(if ended { Duration::from_secs(2) } else { 4 * MINUTE });
        bench.see(0, 0, "192.0.2.7", 9);
        assert!(matches!(bench.see(0, 0, "evil.example", 9), Verdict::Counted { tenths: 20, .. }), "{ended}");
    }
}

/// Rule 4 as that of a listener which tells again what the lines of the connections said.
fn summing() -> Bench {
    let mut policies = vec![policy("sshd", Evidence::Handshake, 3), policy("ftpd", Evidence::Handshake, 3)];
    Arc::make_mut(&mut policies[0].rules)[4].counts = Counts::Summary;
    Bench::with(EngineSettings::default(), policies)
}

#[test]
fn a_summary_counts_only_where_no_line_of_its_peer_counted_of_late() {
    let mut bench = summing();
    bench.see(0, 0, "192.0.2.7", 9);
    bench.pass(Duration::from_secs(179));
    assert_eq!(bench.see(0, 4, "192.0.2.7", 811), Verdict::Ignored(Why::SameAttempt));
    assert!(matches!(bench.see(0, 4, "192.0.2.8", 811), Verdict::Counted { tenths: 10, .. }), "another peer");
    bench.see(1, 0, "192.0.2.9", 10);
    assert!(matches!(bench.see(0, 4, "192.0.2.9", 811), Verdict::Counted { tenths: 10, .. }), "another set");
    bench.pass(Duration::from_secs(1));
    assert!(matches!(bench.see(0, 4, "192.0.2.7", 811), Verdict::Counted { tenths: 20, .. }), "long ago");
}

#[test]
fn a_summary_that_counted_is_not_counted_again_by_the_next() {
    let mut bench = summing();
    assert!(matches!(bench.see(0, 4, "2001:db8::7", 811), Verdict::Counted { tenths: 10, .. }));
    assert_eq!(bench.see(0, 4, "2001:db8::8", 811), Verdict::Ignored(Why::SameAttempt), "in the same /64");
    assert!(matches!(bench.see(0, 0, "2001:db8::7", 9), Verdict::Counted { tenths: 20, .. }));
    assert_eq!(
        bench.see(0, 4, "evil.example", 811),
        Verdict::Ignored(Why::NoAddress),
        "it learns of no session"
    );
}

#[test]
fn what_a_summary_would_count_again_is_known_after_a_restart() {
    let mut before = summing();
    before.see(0, 0, "192.0.2.7", 9);
    let mut after = summing();
    before.engine.changes().into_iter().for_each(|row| after.engine.restore(row));
    assert_eq!(after.see(0, 4, "192.0.2.7", 811), Verdict::Ignored(Why::SameAttempt));
}

#[test]
fn that_a_pid_serves_many_is_known_after_a_restart() {
    let mut bench = bench();
    bench.see(0, 3, "198.51.100.9", 812);
    bench.see(0, 3, "192.0.2.7", 812);
    bench.see(0, 3, "198.51.100.9", 813);
    let mut after = self::bench();
    bench.engine.changes().into_iter().for_each(|row| after.engine.restore(row));
    after.pass(HOUR);
    after.see(0, 3, "192.0.2.7", 812);
    assert_eq!(after.see(0, 0, "anna", 812), Verdict::Ignored(Why::NoAddress));
    after.see(0, 3, "192.0.2.7", 813);
    assert_eq!(after.see(0, 0, "anna", 813), Verdict::Ignored(Why::NoAddress), "two, over a silence");
}
