//! Networks wider than an offender: who is banned with whom.

use proptest::prelude::*;

use super::*;
use crate::address::{host, network};

/// An address in the nth /64 of `2001:db8:1::/48`.
fn nth(n: u32) -> String {
    format!("2001:db8:1:{n:x}::5")
}

fn banned(bench: &Bench) -> Vec<String> {
    bench.engine.bans().map(|ban| ban.offender.to_string()).collect()
}

/// As many offences as it takes until something is banned, one from each address.
fn until_banned(bench: &mut Bench, addresses: impl Iterator<Item = String>) -> usize {
    let mut tries = 0;
    for address in addresses {
        tries += 1;
        if let Verdict::Banned { .. } = bench.see(0, 4, &address, 0) {
            break;
        }
    }
    tries
}

#[test]
fn one_guess_from_each_64_of_a_48_ends_with_the_48() {
    let mut bench = bench();
    let tries = until_banned(&mut bench, (0..65_536).map(|n| nth(n * 40_503 % 65_536)));
    assert_eq!(tries, 16 * 3, "as if sixteen offenders had filled their thresholds");
    assert_eq!(bench.banned, "2001:db8:1::/48");
    assert!(matches!(bench.see(0, 4, &nth(40_000), 0), Verdict::Ignored(Why::AlreadyBanned { .. })));
    assert!(
        matches!(bench.see(2, 4, &nth(40_000), 0), Verdict::Ignored(Why::AlreadyBanned { .. })),
        "for every set"
    );
    assert_eq!(bench.pass(HOUR).len(), 1);
    assert!(matches!(bench.see(0, 4, &nth(40_000), 0), Verdict::Counted { .. }));
}

#[test]
fn the_narrowest_network_that_holds_the_offenders_is_banned() {
    // All in one /56, and there all in one /60.
    let mut home = bench();
    assert_eq!(until_banned(&mut home, (0..1000).map(|n| nth(0x4700 + n % 16))), 4 * 3);
    assert_eq!(home.banned, "2001:db8:1:4700::/60");
    // In too many /56 for one of them, all in one /51.
    let mut office = bench();
    assert_eq!(until_banned(&mut office, (0..1000).map(|n| nth(0x2000 + n % 32 * 256))), 16 * 3);
    assert_eq!(office.banned, "2001:db8:1:2000::/51");
}

/// Whoever goes through his /48 from one end to the other gets no more of it than whoever jumps about.
#[test]
fn a_sweep_from_one_end_to_the_other_is_over_soon() {
    let mut bench = bench();
    let tries = (0..65_536).filter(|n| !matches!(bench.see(0, 4, &nth(*n), 0), Verdict::Ignored(_))).count();
    assert!(tries <= 16 * 3 + 16 * 12, "{tries} tries in a /48");
    assert!(bench.engine.covering(&host(nth(65_535).parse().unwrap())).is_some());
}

#[test]
fn one_mistake_of_a_neighbour_does_not_make_the_ban_wider() {
    let mut bench = bench();
    until_banned(&mut bench, (0..1000).map(|n| nth(0x2000 + n % 32 * 256)));
    assert_eq!(bench.banned, "2001:db8:1:2000::/51");
    for _ in 0..2 {
        assert!(matches!(bench.see(0, 4, &nth(0xc000), 0), Verdict::Counted { .. }));
    }
}

/// However many tries: the two or three hosts of one household are banned each, and not their provider's customers.
#[test]
fn few_offenders_never_make_a_network() {
    let mut bench = bench();
    for round in 0..50 {
        for n in 0..3 {
            for _ in 0..3 {
                bench.seen(0, 4, &nth(n), 0, 1 + round * 100);
            }
        }
        bench.pass(MINUTE * 20);
    }
    assert!(bench.engine.changes().iter().all(|row| match row {
        Row::Ban(ban) => ban.offender.prefix_len() == 64,
        _ => true,
    }));
}

#[test]
fn what_may_be_forged_counts_for_no_network() {
    let mut bench = bench();
    for n in 0..1000 {
        bench.see(1, 4, &nth(n), 0);
        bench.seen_on(Evidence::Spoofable, (0, 4), &nth(n), 0, 1);
    }
    assert_eq!(banned(&bench), Vec::<String>::new());
    assert!(matches!(bench.see(0, 4, &nth(1), 0), Verdict::Counted { .. }));
}

#[test]
fn who_logged_in_adds_nothing_and_is_spared() {
    let mut bench = bench();
    bench.see(0, 2, &nth(7), 1);
    for _ in 0..8 {
        bench.see(0, 4, &nth(7), 0);
    }
    let tries = until_banned(&mut bench, (0x8000..0x9000).map(nth));
    assert_eq!(tries, 12, "the first /56 is full by itself");
    until_banned(&mut bench, (0..1000).map(|n| nth(0xa000 + n * 257 % 0x4000)));
    for network in banned(&bench) {
        let network: Prefix = network.parse().unwrap();
        assert!(!network.contains(&nth(7).parse::<IpAddr>().unwrap()), "{network}");
    }
    assert!(bench.engine.covering(&host(nth(0xa001).parse().unwrap())).is_some());
}

/// A hosting company's /48: the operator's own machine and an allowed one are in it, and its other customers are honest.
#[test]
fn networks_are_banned_around_the_allowed() {
    let mut bench = Bench::new(allowing(&["2001:db8:1:0:1::7/128", "2001:db8:1:8000::/64"]));
    for n in 0..20_000_u32 {
        bench.see(0, 4, &nth(n.wrapping_mul(40_503) % 65_536), 0);
    }
    for allowed in ["2001:db8:1:0:1::7", "2001:db8:1:8000::1"] {
        assert!(bench.engine.covering(&host(allowed.parse().unwrap())).is_none(), "{allowed}");
        assert_eq!(bench.see(0, 4, allowed, 0), Verdict::Ignored(Why::Allowed));
    }
    let free = (0..65_536).filter(|n| bench.engine.covering(&host(nth(*n).parse().unwrap())).is_none());
    let free = free.count();
    assert!(free <= 64, "{free} of 65,536 are left, near the allowed ones, where each counts for itself");
    assert!(bench.engine.bans().count() < 100);
}

/// Whoever shares a /64 with an allowed address must not see to it that the count of its /48 always begins anew.
#[test]
fn a_neighbour_of_the_allowed_one_forgets_nothing_for_the_others() {
    let mut bench = Bench::new(allowing(&["2001:db8:1::7/128"]));
    for n in 0..4000_u32 {
        let verdict = bench.see(0, 4, &nth(0x1000 + n.wrapping_mul(40_503) % 0xf000), 0);
        if matches!(verdict, Verdict::Banned { .. }) {
            break;
        }
        if n % 40 == 39 {
            bench.see(0, 4, "2001:db8:1::5", 0);
        }
        assert!(n < 100, "{n} tries, and no ban");
    }
    assert!(bench.banned.ends_with("/49") || bench.banned.ends_with("/50"), "{}", bench.banned);
}

#[test]
fn addresses_made_from_ipv4_and_those_inside_a_site_have_no_such_networks() {
    let mut bench = bench();
    for n in 0..2000_u32 {
        let high = n / 256;
        let low = n % 256;
        bench.see(0, 4, &format!("64:ff9b::203.0.{high}.{low}"), 0);
        bench.see(0, 4, &format!("2001:0:4136:e378:8000:{n:x}:3fff:fdd2"), 0);
        bench.see(0, 4, &format!("2002:cb{high:02x}:{low:02x}00::1"), 0);
        bench.see(0, 4, &format!("fd00:1:2:{n:x}::1"), 0);
    }
    assert_eq!(banned(&bench), Vec::<String>::new());
}

#[test]
fn ipv4_has_them_where_the_operator_says_so() {
    let mut without = bench();
    for n in 0..256 {
        without.see(0, 4, &format!("203.0.113.{n}"), 0);
    }
    assert_eq!(banned(&without), Vec::<String>::new());
    let networks = Networks { ipv4: vec![Network { bits: 24, offenders: 8 }], ipv6: Vec::new() };
    let mut with = Bench::new(EngineSettings { networks, ..EngineSettings::default() });
    assert_eq!(until_banned(&mut with, (0..256).map(|n| format!("203.0.113.{}", 128 + n % 64))), 24);
    assert_eq!(with.banned, "203.0.113.128/27", "of 24 addresses");
    assert_eq!(until_banned(&mut with, (0..1000).map(nth)), 1000, "and IPv6 none");
    for n in 0..200 {
        with.see(0, 4, &format!("192.168.7.{n}"), 0);
    }
    assert_eq!(with.engine.bans().count(), 1, "inside a site neighbours are one's own");
}

#[test]
fn such_bans_do_not_grow_and_last_a_day_at_the_most() {
    let mut policies = vec![policy("sshd", Evidence::Handshake, 3)];
    policies[0].ban = BanPolicy { length: BanLength::Forever, escalate: None };
    let mut bench = bench();
    bench.engine.reload(EngineSettings::default(), policies, bench.now);
    let mut lengths = Vec::new();
    for _ in 0..3 {
        until_banned(&mut bench, (0..1000).map(nth));
        let ban = bench.engine.bans().next().unwrap();
        lengths.push((ban.nth, ban.until.unwrap().since(bench.now).unwrap()));
        bench.pass(24 * HOUR);
    }
    assert_eq!(lengths, [(1, 24 * HOUR); 3]);
}

#[test]
fn a_restart_and_a_reload_forget_no_network_and_still_find_the_narrowest() {
    let mut before = bench();
    for n in 0..11 {
        before.see(0, 4, &nth(0x4700 + n), 0);
    }
    let mut after = Bench::new(EngineSettings::default());
    before.engine.changes().into_iter().for_each(|row| after.engine.restore(row));
    let mut policies = after.engine.policies().to_vec();
    policies.reverse();
    after.engine.reload(EngineSettings::default(), policies, after.now);
    assert!(matches!(after.see(2, 4, &nth(0x4700), 0), Verdict::Banned { .. }), "eleven before, one after");
    assert_eq!(after.banned, "2001:db8:1:4700::/60");
}

#[test]
fn unban_frees_the_network_and_forgets_its_count() {
    let mut bench = bench();
    until_banned(&mut bench, (0..1000).map(nth));
    assert_eq!(bench.unban(&["2001:db8:1:1::5/128"]), (1, 0));
    assert_eq!(until_banned(&mut bench, (0..1000).map(nth)), 12, "from the start");
}

#[test]
fn memory_is_bounded() {
    let mut bench = Bench::new(EngineSettings { tracked_offenders: 800, ..EngineSettings::default() });
    for n in 0..20_000_u32 {
        bench.see(0, 4, &format!("2001:db8:{:x}:{n:x}::5", n % 5000), 0);
    }
    let rows = bench.engine.changes();
    let networks =
        rows.iter().filter(|row| matches!(row, Row::Window { offender, .. } if offender.prefix_len() < 64));
    assert_eq!(networks.count(), 100);
}

/// What a network needs, by a model that keeps every offence and knows no bans: it never takes fewer offenders.
fn enough(offences: &[(Time, Prefix)], banned: &Prefix, now: Time, offenders: usize) -> bool {
    let recent = offences.iter().filter(|(time, offender)| {
        banned.contains(offender) && now.since(*time).is_some_and(|age| age < 10 * MINUTE)
    });
    let distinct: std::collections::BTreeSet<Prefix> = recent.map(|(_, offender)| *offender).collect();
    distinct.len() >= offenders
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_network_is_banned_without_as_many_offenders_as_it_takes(
        steps in prop::collection::vec((0u32..40, 0u64..40, 1u32..4), 1..400),
    ) {
        let mut bench = bench();
        let mut offences = Vec::new();
        for (which, pause, count) in steps {
            bench.pass(Duration::from_secs(pause));
            // Some /64 of one /56, and others far apart.
            let address: IpAddr = nth(if which < 20 { which % 5 } else { which * 0x611 }).parse().unwrap();
            let offender = network(address, 64);
            offences.push((bench.now, offender));
            if let Verdict::Banned { .. } = bench.seen(0, 4, &address.to_string(), 0, count) {
                let banned: Prefix = bench.banned.parse().unwrap();
                prop_assert!(banned.contains(&address));
                if banned.prefix_len() < 64 {
                    let needed = if banned.prefix_len() >= 56 { 4 } else { 16 };
                    prop_assert!(enough(&offences, &banned, bench.now, needed), "{}", banned);
                }
            }
        }
    }
}
