//! IPv6 addresses that are made from an IPv4 address. Their /64 belongs to no customer: behind one translator or
//! Teredo server it holds the whole IPv4 internet.
//!
//! | range | source | the IPv4 address | one peer |
//! | --- | --- | --- | --- |
//! | `::/96` | RFC 4291, 2.5.5.1 (IPv4-compatible, deprecated) | last 32 bits | /128 |
//! | `::ffff:0:0:0/96` | RFC 2765, 2.1 (SIIT before RFC 6052) | last 32 bits | /128 |
//! | `64:ff9b::/96` | RFC 6052, 2.1 (NAT64, SIIT) | last 32 bits | /128 |
//! | `64:ff9b:1::/48` | RFC 8215 | where RFC 6052, 2.2 puts it for a prefix of 48, 56, 64 or 96 bits | /128 |
//! | `2001::/32` | RFC 4380, 4 (Teredo) | last 32 bits, inverted | /128 |
//! | `2002::/16` | RFC 3056, 2 (6to4) | bits 16 to 48 | /48, the site of that address |
//!
//! All else in `::/8` is reserved (RFC 4291, 2.4) and nobody's network, so that one peer there is a /128 too.
//! IPv4-mapped addresses never come here: what is read becomes IPv4 before.
//!
//! What is counted and banned stays the IPv6 prefix, since that is what the packets at this host carry; a ban on the IPv4
//! address would stop none of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::Prefix;

/// Where an address of a range holds its IPv4 address.
#[derive(Clone, Copy, Debug)]
enum Embedding {
    /// In 32 bits, behind so many others.
    At(u8),
    /// In the last 32 bits, all of them inverted.
    InvertedAtEnd,
    /// Behind a prefix whose length only its operator knows.
    Unknown,
}

#[derive(Debug)]
struct Range {
    network: Ipv6Net,
    place: Embedding,
    /// How many bits one peer's addresses have in common.
    peer: u8,
}

const RANGES: [Range; 6] = [
    range(0, 96, Embedding::At(96), 128),
    range(0xffff << 48, 96, Embedding::At(96), 128),
    range(0x0064_ff9b << 96, 96, Embedding::At(96), 128),
    range(0x0064_ff9b_0001 << 80, 48, Embedding::Unknown, 128),
    range(0x2001 << 112, 32, Embedding::InvertedAtEnd, 128),
    range(0x2002 << 112, 16, Embedding::At(16), 48),
];

/// What RFC 4291 keeps from being anybody's network.
const RESERVED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 8);

const fn range(number: u128, bits: u8, place: Embedding, peer: u8) -> Range {
    Range { network: Ipv6Net::new_assert(Ipv6Addr::from_bits(number), bits), place, peer }
}

/// How many bits the addresses of one peer have in common, where the kind of its address says so; `None` for ordinary
/// addresses, of which networks of any length are somebody's.
pub fn peer_bits(address: IpAddr) -> Option<u8> {
    let IpAddr::V6(address) = address else { return None };
    if is_ordinary(address) {
        return None;
    }
    let known = RANGES.iter().find(|range| range.network.contains(&address));
    known.map(|range| range.peer).or_else(|| RESERVED.contains(&address).then_some(128))
}

/// A quick look, since it is asked with every offence: whether the first 16 bits are of none of the ranges.
fn is_ordinary(address: Ipv6Addr) -> bool {
    !matches!(address.segments()[0], 0..=0xff | 0x2001 | 0x2002)
}

/// The IPv4 networks whose addresses stand in addresses of an IPv6 prefix; none for IPv4 and ordinary IPv6.
///
/// A prefix that is too short to say which gives all of IPv4.
pub fn embedded(prefix: &Prefix) -> impl Iterator<Item = Prefix> {
    let v6 = match prefix {
        Prefix::V6(v6) if v6.prefix_len() < 16 || !is_ordinary(v6.addr()) => Some(*v6),
        _ => None,
    };
    v6.into_iter().flat_map(|prefix| RANGES.iter().flat_map(move |range| range.in_prefix(prefix)))
}

impl Range {
    fn in_prefix(&self, prefix: Ipv6Net) -> Vec<Prefix> {
        if self.network.contains(&prefix) {
            return self.place.read(prefix);
        }
        if prefix.contains(&self.network) { vec![everybody()] } else { Vec::new() }
    }
}

impl Embedding {
    /// The IPv4 network in a prefix that lies in a range of this kind.
    fn read(self, prefix: Ipv6Net) -> Vec<Prefix> {
        let bits = prefix.addr().to_bits();
        match self {
            Self::At(at) => vec![ipv4(bits >> (96 - at), prefix.prefix_len().saturating_sub(at))],
            Self::InvertedAtEnd => vec![ipv4(!bits, prefix.prefix_len().saturating_sub(96))],
            Self::Unknown if prefix.prefix_len() < 128 => vec![everybody()],
            Self::Unknown => [48, 56, 64, 96].map(|length| ipv4(behind(bits, length), 32)).to_vec(),
        }
    }
}

/// The 32 bits behind a translation prefix of so many bits; the octet of bits 64 to 71 is none of them (RFC 6052, 2.2).
fn behind(bits: u128, length: u32) -> u128 {
    let without_octet = if length < 96 {
        let high = bits >> 64;
        let low = bits & (u128::MAX >> 72);
        (high << 64) | (low << 8)
    } else {
        bits
    };
    without_octet >> (96 - length)
}

/// The IPv4 network of so many of the last 32 bits of a number.
fn ipv4(number: u128, bits: u8) -> Prefix {
    let [.., a, b, c, d] = number.to_be_bytes();
    super::network(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits.min(32))
}

fn everybody() -> Prefix {
    Prefix::V4(Ipv4Net::default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::{host, parse_prefix};

    fn inside(prefix: &str) -> Vec<String> {
        embedded(&parse_prefix(prefix).unwrap()).map(|v4| v4.to_string()).collect()
    }

    #[test]
    fn each_kind_says_which_ipv4_address_it_holds() {
        for (address, v4) in [
            ("::192.0.2.7", "192.0.2.7/32"),
            ("::ffff:0:192.0.2.7", "192.0.2.7/32"),
            ("64:ff9b::192.0.2.7", "192.0.2.7/32"),
            ("2002:c000:207:1::5", "192.0.2.7/32"),
            // RFC 4380's own example: the client is behind 192.0.2.45.
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45/32"),
            ("64:ff9b::c000:200/120", "192.0.2.0/24"),
            ("2002:c000:200::/40", "192.0.2.0/24"),
            ("2002:c000:207::/48", "192.0.2.7/32"),
            ("64:ff9b::/64", "0.0.0.0/0"),
            ("2001::/32", "0.0.0.0/0"),
            ("2002::/15", "0.0.0.0/0"),
        ] {
            assert_eq!(inside(address), [v4], "{address}");
        }
    }

    /// The table at the end of RFC 6052, 2.4, with the prefix of RFC 8215.
    #[test]
    fn behind_a_prefix_of_unknown_length_each_reading_counts() {
        for address in [
            "64:ff9b:1:c000:2:2100::",
            "64:ff9b:1:44c0:0:221::",
            "64:ff9b:1:344:c0:2:2100:0",
            "64:ff9b:1::192.0.2.33",
        ] {
            assert!(
                inside(address).contains(&"192.0.2.33/32".to_owned()),
                "{address}: {:?}",
                inside(address)
            );
        }
        assert_eq!(inside("64:ff9b:1:2::/64"), ["0.0.0.0/0"]);
    }

    #[test]
    fn ordinary_addresses_hold_none() {
        for ordinary in
            ["192.0.2.7", "2001:db8::192.0.2.7", "2001:1::1", "2003::1", "fd00::1", "2001:db8::/48"]
        {
            assert_eq!(inside(ordinary), Vec::<String>::new(), "{ordinary}");
        }
    }

    #[test]
    fn the_quick_look_passes_over_no_range() {
        for range in &RANGES {
            assert!(
                !is_ordinary(range.network.network()) && !is_ordinary(range.network.broadcast()),
                "{range:?}"
            );
        }
        assert!(!is_ordinary(RESERVED.network()) && !is_ordinary(RESERVED.broadcast()));
        assert!(is_ordinary("2003::1".parse().unwrap()) && is_ordinary("100::".parse().unwrap()));
    }

    #[test]
    fn nobody_owns_the_64_around_an_embedded_address() {
        let bits = |address: &str| peer_bits(address.parse().unwrap());
        for host in
            ["::2", "::192.0.2.7", "::ffff:0:192.0.2.7", "64:ff9b::1", "64:ff9b:1:2::3", "2001::1", "2:3::4"]
        {
            assert_eq!(bits(host), Some(128), "{host}");
        }
        assert_eq!(bits("2002:c000:207:1::5"), Some(48));
        for ordinary in ["192.0.2.7", "2001:db8::1", "2001:1::1", "100::1", "fd00::1"] {
            assert_eq!(bits(ordinary), None, "{ordinary}");
        }
    }

    /// A reference that knows no bits: it spells the address with the standard library.
    fn spelled(v4: Ipv4Addr, kind: u8) -> Ipv6Addr {
        let [a, b, c, d] = v4.octets();
        let text = match kind {
            0 => format!("::{v4}"),
            1 => format!("::ffff:0:{v4}"),
            2 => format!("64:ff9b::{v4}"),
            3 => format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}:5::9"),
            4 => format!("2001:0:cb00:7101:8000:1234:{:02x}{:02x}:{:02x}{:02x}", !a, !b, !c, !d),
            5 => format!("64:ff9b:1:{a:02x}{b:02x}:00{c:02x}:{d:02x}00::"),
            6 => format!("64:ff9b:1:42{a:02x}:00{b:02x}:{c:02x}{d:02x}::"),
            7 => format!("64:ff9b:1:4243:00{a:02x}:{b:02x}{c:02x}:{d:02x}00:0"),
            _ => format!("64:ff9b:1:4243:4445:4647:{v4}"),
        };
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    proptest! {
        #[test]
        fn every_ipv4_address_is_found_in_every_kind(number: u32, kind in 0u8..9, bits in 0u8..=128) {
            let v4 = Ipv4Addr::from_bits(number);
            let v6 = IpAddr::V6(spelled(v4, kind));
            prop_assert!(embedded(&host(v6)).any(|found| found == host(v4.into())), "{v6}");
            // And whatever network is around it, it holds that address.
            let around = super::super::network(v6, bits);
            prop_assert!(embedded(&around).any(|found| found.contains(&IpAddr::V4(v4))), "{around}");
        }
    }
}
