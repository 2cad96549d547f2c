//! Addresses and prefixes: the only form in which anything from a log reaches a firewall.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use ipnet::IpNet as Prefix;
use ipnet::{Ipv4Net, Ipv6Net};
use thiserror::Error;

mod embedded;
mod set;
mod text;

pub use embedded::{embedded, peer_bits};
pub use set::PrefixSet;
pub use text::{parse, parse_endpoint};

/// Why an operator's address or CIDR was not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PrefixError {
    /// Neither an address nor a CIDR.
    #[error("`{0}` is not an address or a network such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/64")]
    Unreadable(String),
    /// A network with bits set behind its mask, where the writer may have meant the host.
    #[error("`{0}` has bits set behind its mask: write {1} for the network or {2} for the host")]
    HostBits(String, Prefix, IpAddr),
}

/// Reads what an operator wrote: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/48`; no zones, no names, no host bits.
///
/// # Errors
/// When the text is none of these; the message says what to write instead.
pub fn parse_prefix(text: &str) -> Result<Prefix, PrefixError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(host(address.to_canonical()));
    }
    let unreadable = || PrefixError::Unreadable(text.to_owned());
    let prefix = fold_mapped(text.parse::<Prefix>().map_err(|_| unreadable())?).ok_or_else(unreadable)?;
    if prefix.trunc() != prefix {
        return Err(PrefixError::HostBits(text.to_owned(), prefix.trunc(), prefix.addr()));
    }
    Ok(prefix)
}

/// `::ffff:192.0.2.0/120` is `192.0.2.0/24`; a mapped prefix too short for that is refused.
fn fold_mapped(prefix: Prefix) -> Option<Prefix> {
    match (prefix.addr(), prefix.addr().to_canonical()) {
        (IpAddr::V6(_), v4 @ IpAddr::V4(_)) => Prefix::new(v4, prefix.prefix_len().checked_sub(96)?).ok(),
        _ => Some(prefix),
    }
}

/// Whether a prefix is of IPv4, and its length: what the prefixes that may hold an address are looked up by.
pub fn family_and_length(prefix: &Prefix) -> (bool, u8) {
    (matches!(prefix, Prefix::V4(_)), prefix.prefix_len())
}

/// The prefix that holds this one address.
pub fn host(address: IpAddr) -> Prefix {
    Prefix::from(address)
}

/// The network of `bits` bits around the address, of IPv4 or IPv6 as the address is; host bits are cut off.
///
/// A length beyond the address's own means the host.
pub fn network(address: IpAddr, bits: u8) -> Prefix {
    Prefix::new(address, bits).map_or_else(|_| host(address), |prefix| prefix.trunc())
}

/// The widest network around an address that lies in `within` and is free of what must not be banned; `None` where the
/// address itself is not.
///
/// `is_free` must hold for every network inside one for which it holds.
pub fn widest_free(within: &Prefix, address: IpAddr, is_free: impl Fn(&Prefix) -> bool) -> Option<Prefix> {
    let lengths = within.prefix_len()..=within.max_prefix_len();
    lengths.map(|bits| network(address, bits)).find(is_free)
}

/// The narrowest network that holds two prefixes of one family; of two families, the first prefix.
pub fn holding(one: &Prefix, other: &Prefix) -> Prefix {
    let shared = match (one.addr(), other.addr()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return *one,
    };
    let shortest = one.prefix_len().min(other.prefix_len());
    network(one.addr(), u8::try_from(shared).unwrap_or(u8::MAX).min(shortest))
}

/// Networks inside a site or a provider: RFC 1918, RFC 6598, RFC 4193.
const PRIVATE: [Prefix; 5] = [
    Prefix::V4(v4([10, 0, 0, 0], 8)),
    Prefix::V4(v4([172, 16, 0, 0], 12)),
    Prefix::V4(v4([192, 168, 0, 0], 16)),
    Prefix::V4(v4([100, 64, 0, 0], 10)),
    Prefix::V6(v6(0xfc << 120, 7)),
];

/// Whether an address is one inside a site or a provider, whose neighbours are likely one's own.
pub fn is_private(address: IpAddr) -> bool {
    PRIVATE.iter().any(|network| network.contains(&address))
}

/// How a prefix is written for people and firewalls: a host without its `/32` or `/128`.
pub fn display(prefix: &Prefix) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
    }
}

/// Sources that are no peers on the network, or one's own: RFC 1122 (0/8, 127/8), RFC 3927, RFC 5771, RFC 1112 (240/4),
/// RFC 4291. Unique local addresses (RFC 4193) are ordinary peers.
const SPECIAL_V4: [(u32, u32, &str); 6] = [
    v4_range([0, 0, 0, 0], 8, "unspecified"),
    v4_range([127, 0, 0, 0], 8, "loopback"),
    v4_range([169, 254, 0, 0], 16, "link-local"),
    v4_range([224, 0, 0, 0], 4, "multicast"),
    v4_range([255, 255, 255, 255], 32, "broadcast"),
    v4_range([240, 0, 0, 0], 4, "reserved"),
];

/// Special ranges of IPv6.
const SPECIAL_V6: [(u128, u128, &str); 5] = [
    v6_range(0, 128, "unspecified"),
    v6_range(1, 128, "loopback"),
    v6_range(0xfe80 << 112, 10, "link-local"),
    v6_range(0xff << 120, 8, "multicast"),
    // What is read becomes IPv4 before.
    v6_range(0xffff << 32, 96, "IPv4-mapped"),
];

/// The first and the last address of a network, and its name.
const fn v4_range(address: [u8; 4], bits: u8, name: &'static str) -> (u32, u32, &'static str) {
    let first = u32::from_be_bytes(address);
    // Of 32 bits, none is left.
    let hosts = if bits < 32 { u32::MAX >> bits } else { 0 };
    (first, first | hosts, name)
}

/// A range of IPv6, from its first bits.
const fn v6_range(number: u128, bits: u8, name: &'static str) -> (u128, u128, &'static str) {
    let hosts = if bits < 128 { u128::MAX >> bits } else { 0 };
    (number, number | hosts, name)
}

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(number: u128, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_bits(number), bits)
}

/// The first special range that a prefix is in, or that is in it: it can never be banned.
pub fn unbannable_in(prefix: &Prefix) -> Option<&'static str> {
    // Most addresses are in none of the ranges, and it is asked with every offence: bounds are compared, not networks.
    match prefix {
        Prefix::V4(prefix) => {
            let first = prefix.network().to_bits();
            let last = prefix.broadcast().to_bits();
            let touches = |range: &&(u32, u32, &'static str)| first <= range.1 && range.0 <= last;
            SPECIAL_V4.iter().find(touches).map(|range| range.2)
        }
        Prefix::V6(prefix) => {
            let first = prefix.network().to_bits();
            let last = prefix.broadcast().to_bits();
            let touches = |range: &&(u128, u128, &'static str)| first <= range.1 && range.0 <= last;
            SPECIAL_V6.iter().find(touches).map(|range| range.2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_operators_are_exact_or_explained() {
        assert_eq!(parse_prefix("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(parse_prefix("::ffff:192.0.2.0/120").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(parse_prefix("2001:db8::/48").unwrap().to_string(), "2001:db8::/48");
        let error = parse_prefix("192.0.2.7/24").unwrap_err().to_string();
        assert!(error.contains("write 192.0.2.0/24 for the network or 192.0.2.7 for the host"), "{error}");
        for bad in [
            "14.160.0.0 /11",
            "",
            "/11",
            "192.0.2.0/33",
            "gw.example.org",
            "fe80::1%em0",
            "::ffff:0.0.0.0/90",
        ] {
            assert!(parse_prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn special_ranges_are_never_peers() {
        for special in
            ["0.1.2.3", "127.9.9.9", "169.254.1.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"]
        {
            assert!(unbannable_in(&host(special.parse().unwrap())).is_some(), "{special}");
        }
        for special in ["::", "::1", "fe80::1", "fe80:2::1", "febf::1", "ff02::1", "::ffff:127.0.0.1"] {
            assert!(unbannable_in(&host(special.parse().unwrap())).is_some(), "{special}");
        }
        for peer in ["10.0.0.1", "192.168.1.1", "1.1.1.1", "fd00::1", "2001:db8::1"] {
            assert_eq!(unbannable_in(&host(peer.parse().unwrap())), None, "{peer}");
        }
    }

    /// The answers of the networks themselves, of which only the bounds are kept.
    #[test]
    fn special_ranges_end_where_their_networks_end() {
        for (first, last, name) in SPECIAL_V4 {
            let one =
                Ipv4Net::new(first.into(), 32 - u8::try_from((last - first).count_ones()).unwrap()).unwrap();
            assert_eq!((one.network().to_bits(), one.broadcast().to_bits()), (first, last), "{name}");
        }
        for (first, last, name) in SPECIAL_V6 {
            let one =
                Ipv6Net::new(first.into(), 128 - u8::try_from((last - first).count_ones()).unwrap()).unwrap();
            assert_eq!((one.network().to_bits(), one.broadcast().to_bits()), (first, last), "{name}");
        }
    }

    #[test]
    fn a_network_around_or_within_a_special_range_is_no_peer_either() {
        for (prefix, name) in [
            ("126.0.0.0/7", "loopback"),
            ("127.0.0.0/24", "loopback"),
            ("0.0.0.0/0", "unspecified"),
            ("::/0", "unspecified"),
            ("::/64", "unspecified"),
            ("fe80::/64", "link-local"),
            ("::fffe:0:0/95", "IPv4-mapped"),
        ] {
            assert_eq!(unbannable_in(&prefix.parse().unwrap()), Some(name), "{prefix}");
        }
        assert_eq!(unbannable_in(&"2001:db8::/32".parse().unwrap()), None);
        assert_eq!(unbannable_in(&"192.0.2.0/24".parse().unwrap()), None);
    }

    #[test]
    fn the_narrowest_network_holds_both_and_no_more() {
        for (one, other, both) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7", "192.0.2.6", "192.0.2.6/31"),
            ("192.0.2.0/25", "192.0.2.1", "192.0.2.0/25"),
            ("128.0.0.1", "1.2.3.4", "0.0.0.0/0"),
            ("2001:db8::/64", "2001:db8:0:ff::/64", "2001:db8::/56"),
            ("2001:db8:0:80::/64", "2001:db8:0:7f::/64", "2001:db8::/56"),
            ("192.0.2.7", "2001:db8::1", "192.0.2.7/32"),
        ] {
            let prefix = |text: &str| parse_prefix(text).unwrap();
            assert_eq!(holding(&prefix(one), &prefix(other)).to_string(), both, "{one} {other}");
        }
    }

    #[test]
    fn addresses_inside_a_site_are_known() {
        for private in ["10.1.2.3", "172.31.0.1", "192.168.1.1", "100.127.0.1", "fd00::1"] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in ["11.0.0.1", "172.32.0.1", "192.0.2.1", "100.128.0.1", "2001:db8::1", "fe80::1"] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn a_network_never_reaches_beyond_its_family() {
        assert_eq!(network("2001:db8::1:2:3:4".parse().unwrap(), 64).to_string(), "2001:db8::/64");
        assert_eq!(network("192.0.2.7".parse().unwrap(), 64).to_string(), "192.0.2.7/32");
        assert_eq!(display(&network("192.0.2.7".parse().unwrap(), 32)), "192.0.2.7");
    }
}
