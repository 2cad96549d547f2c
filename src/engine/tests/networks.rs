//! Which network is counted for a peer, and which is banned.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::address::{PrefixSet, host, network};

fn target(settings: &EngineSettings, peer: &str) -> Result<(String, String), Why> {
    let target = settings.target(peer.parse().unwrap(), Evidence::Handshake)?;
    Ok((target.counted.to_string(), target.banned.to_string()))
}

#[test]
fn a_peer_behind_a_translator_is_one_address_and_not_the_internet() {
    let settings = EngineSettings::default();
    for peer in [
        "64:ff9b::203.0.113.5",
        "64:ff9b:1::203.0.113.5",
        "::ffff:0:203.0.113.5",
        "::203.0.113.5",
        "::2",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ] {
        let alone = host(peer.parse().unwrap()).to_string();
        assert_eq!(target(&settings, peer).unwrap(), (alone.clone(), alone), "{peer}");
    }
    let site = "2002:cb00:7105::/48".to_owned();
    assert_eq!(
        target(&settings, "2002:cb00:7105:42::9").unwrap(),
        (site.clone(), site),
        "all of one IPv4 address"
    );
}

#[test]
fn whoever_counts_ipv6_by_other_lengths_still_bans_no_translator() {
    let of = |ipv6, peer: &str| {
        target(
            &EngineSettings { offender: PrefixLengths { ipv4: 32, ipv6 }, ..EngineSettings::default() },
            peer,
        )
    };
    assert_eq!(of(128, "2002:cb00:7105:42::9").unwrap().1, "2002:cb00:7105:42::9/128");
    assert_eq!(of(32, "2002:cb00:7105:42::9").unwrap().1, "2002:cb00:7105::/48");
    assert_eq!(of(32, "64:ff9b::203.0.113.5").unwrap().1, "64:ff9b::cb00:7105/128");
    assert_eq!(
        of(32, "2001:0:4136:e378:8000:63bf:3fff:fdd2").unwrap().1,
        "2001:0:4136:e378:8000:63bf:3fff:fdd2/128"
    );
    assert_eq!(of(32, "2001:db8:1::1").unwrap().1, "2001:db8::/32");
}

#[test]
fn whoever_is_allowed_by_ipv4_is_allowed_behind_every_translator() {
    let settings = allowing(&["192.0.2.0/24"]);
    for peer in [
        "64:ff9b::192.0.2.7",
        "64:ff9b:1:2:3:4:192.0.2.7",
        "64:ff9b:1:c000:2:700::",
        "::ffff:0:192.0.2.7",
        "::192.0.2.7",
        "2002:c000:207::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdf8",
    ] {
        assert_eq!(target(&settings, peer), Err(Why::Allowed), "{peer}");
        let mut bench = Bench::new(settings.clone());
        assert_eq!(
            bench.engine.ban(by_hand(&host(peer.parse().unwrap()).to_string(), bench.now), false),
            Err(BanRefusal::Allowed)
        );
    }
    let mut bench = Bench::new(settings);
    let all = bench.engine.ban(by_hand("64:ff9b::/64", bench.now), false);
    assert_eq!(all, Err(BanRefusal::Allowed), "it holds an allowed host");
}

/// One allowed or own address must not give its /64 as many tries as it has addresses.
#[test]
fn an_allowed_neighbour_does_not_hide_an_attacker_who_moves() {
    let mut bench = Bench::new(allowing(&["2001:db8::5/128"]));
    let mut tries = 0;
    for n in 0..4000_u64 {
        // Each address of its own, near to the allowed one and far from it.
        let address = Ipv6Addr::from_bits(
            0x2001_0db8 << 96 | u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (n % 64)),
        );
        let verdict = bench.see(0, 4, &address.to_string(), 0);
        tries += usize::from(!matches!(verdict, Verdict::Ignored(_)));
    }
    assert!(tries <= 3 + 64, "{tries} tries before all but the allowed address was banned");
    let allowed: Prefix = "2001:db8::5/128".parse().unwrap();
    assert!(bench.engine.covering(&allowed).is_none());
    assert!(bench.engine.covering(&"2001:db8::6/128".parse().unwrap()).is_some());
    assert!(bench.engine.covering(&"2001:db8::ffff:0:0:1/128".parse().unwrap()).is_some());
}

#[test]
fn the_count_of_a_network_starts_anew_once_all_of_it_is_banned() {
    let mut bench = bench();
    bench.ban(0, "2001:db8::1", 3);
    bench.pass(HOUR);
    assert!(matches!(bench.see(0, 4, "2001:db8::1", 0), Verdict::Counted { tenths: 10, .. }));
}

/// Few distinct bits, so that allowed networks lie in, around and beside the peer's.
fn v6() -> impl Strategy<Value = u128> {
    let starts =
        [0, 0x0064_ff9b << 96, 0x2001_0db8 << 96, 0xfe80 << 112, 0x2001 << 112, 0x2002 << 112, 0xffff << 32];
    (prop::sample::select(starts.to_vec()), 0u128..4, 0u128..4, 0u128..16)
        .prop_map(|(start, high, middle, low)| start | high << 64 | middle << 32 | low)
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (prop::sample::select(vec![0x7f00_0000, 0xc000_0200, 0]), 0u32..64)
            .prop_map(|(start, low)| IpAddr::V4(Ipv4Addr::from_bits(start | low))),
        v6().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    ]
}

fn settings() -> impl Strategy<Value = EngineSettings> {
    let allow = prop::collection::vec((address(), 8u8..=128), 0..4);
    (allow, 24u8..=32, prop::sample::select(vec![32u8, 48, 64, 80, 128])).prop_map(|(allow, ipv4, ipv6)| {
        let allow: PrefixSet = allow.into_iter().map(|(address, bits)| network(address, bits)).collect();
        EngineSettings { allow, offender: PrefixLengths { ipv4, ipv6 }, ..EngineSettings::default() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is allowed and configured: what is banned holds the peer, lies in what is counted, is nothing that `ban`
    /// without `--force` refuses, and could not be one bit wider.
    #[test]
    fn no_ban_that_an_operator_would_be_refused(settings in settings(), peer in address()) {
        let peer = crate::address::parse(peer.to_string().as_bytes()).unwrap();
        let refused = |prefix: &Prefix| settings.refuse(prefix).is_err();
        match settings.target(peer, Evidence::Handshake) {
            Err(_) => prop_assert!(refused(&host(peer))),
            Ok(target) => {
                prop_assert_eq!(target.counted, settings.offender.prefix(peer), "counted by network, always");
                prop_assert!(target.banned.contains(&peer) && target.counted.contains(&target.banned));
                prop_assert!(!refused(&target.banned));
                if !target.is_whole() {
                    prop_assert!(refused(&network(peer, target.banned.prefix_len() - 1)));
                }
            }
        }
        if let Ok(target) = settings.target(peer, Evidence::Spoofable) {
            prop_assert_eq!(target.banned, host(peer));
        }
    }
}
