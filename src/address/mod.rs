//! Addresses and prefixes: the only form in which anything from a log reaches a firewall.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use ipnet::IpNet as Prefix;
use thiserror::Error;

mod set;

pub use set::PrefixSet;

/// The longest text an address can have: 45 characters of IPv6 with an embedded IPv4, `%`, and a zone of 16.
const LONGEST: usize = 45 + 1 + 16;

/// Reads an address as a program printed it.
///
/// Strict, as the standard library is: no leading zeros (they read as octal elsewhere), no short forms, no port.
/// A zone (`fe80::1%em0`) is cut off, a v4-mapped IPv6 address becomes the IPv4 address that it is.
pub fn parse(text: &[u8]) -> Option<IpAddr> {
    if text.len() > LONGEST {
        return None;
    }
    if let Some(address) = dotted(text) {
        return Some(address.into());
    }
    let text = std::str::from_utf8(text).ok()?;
    let Some((bare, zone)) = text.split_once('%') else {
        return text.parse::<Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical());
    };
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let sane = !zone.is_empty() && zone.chars().all(known);
    sane.then(|| bare.parse::<Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical()))?
}

/// Four numbers, as nearly all addresses in logs are. The standard library reads the same in thrice the time.
fn dotted(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut address, mut octet, mut digits, mut dots) = (0, 0, 0, 0);
    for &byte in text {
        match byte {
            b'0'..=b'9' if digits == 0 || octet > 0 => {
                (octet, digits) = (octet * 10 + u32::from(byte - b'0'), 1);
            }
            b'.' if digits > 0 && dots < 3 => {
                (address, octet, digits, dots) = (address << 8 | octet, 0, 0, dots + 1);
            }
            _ => return None,
        }
        if octet > 255 {
            return None;
        }
    }
    (digits > 0 && dots == 3).then(|| Ipv4Addr::from_bits(address << 8 | octet))
}

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

/// How a prefix is written for people and firewalls: a host without its `/32` or `/128`.
pub fn display(prefix: &Prefix) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
    }
}

/// Why this address can never be banned, if so: such a source is not a peer on the network, or is one's own.
///
/// The ranges are those of `facts/kernel.md` §10: RFC 1122 (0/8, 127/8), 3927, 5771, 1112 (240/4), 4291, 4193 not
/// among them, since unique local addresses are ordinary peers.
pub fn unbannable(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => unbannable_v4(v4),
        IpAddr::V6(v6) => unbannable_v6(v6),
    }
}

fn unbannable_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("unspecified"),
        [127, ..] => Some("loopback"),
        [169, 254, ..] => Some("link-local"),
        [224..=239, ..] => Some("multicast"),
        [255, 255, 255, 255] => Some("broadcast"),
        [240..=255, ..] => Some("reserved"),
        _ => None,
    }
}

fn unbannable_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("unspecified"),
        _ if address.is_loopback() => Some("loopback"),
        _ if address.is_unicast_link_local() => Some("link-local"),
        _ if address.is_multicast() => Some("multicast"),
        _ => address.to_ipv4_mapped().and_then(unbannable_v4),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn dotted_numbers_are_read_as_the_standard_library_does(text in "[0-9]{0,4}(\\.[0-2]{0,1}[0-9]{0,2}){2,4}[.:a]{0,1}") {
            prop_assert_eq!(dotted(text.as_bytes()), text.parse().ok());
        }
    }

    #[test]
    fn only_the_one_way_to_write_an_address_is_read() {
        for bad in [
            "",
            "192.0.2",
            "192.0.2.07",
            "0300.0.2.1",
            "192.0.2.1.",
            "192.0.2.300",
            "1.2.3.4:22",
            "::1::",
            "g::1",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b"192.0.2.7%em0"), None, "IPv4 has no zones");
        assert_eq!(parse(b"2001:db8::1%"), None);
        assert_eq!(parse(b"2001:db8::1%a b"), None);
        assert_eq!(parse(&[0xff; 4]), None);
        assert_eq!(parse(&[b'1'; 200]), None);
    }

    #[test]
    fn one_address_has_one_value() {
        assert_eq!(parse(b"::ffff:192.0.2.9"), parse(b"192.0.2.9"));
        assert_eq!(parse(b"0:0:0:0:0:0:0:1"), parse(b"::1"));
        assert_eq!(parse(b"2001:DB8::A%lo0"), parse(b"2001:db8::a"));
    }

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
            assert!(unbannable(special.parse().unwrap()).is_some(), "{special}");
        }
        for special in ["::", "::1", "fe80::1", "fe80:2::1", "febf::1", "ff02::1", "::ffff:127.0.0.1"] {
            assert!(unbannable(special.parse().unwrap()).is_some(), "{special}");
        }
        for peer in ["10.0.0.1", "192.168.1.1", "1.1.1.1", "fd00::1", "2001:db8::1"] {
            assert_eq!(unbannable(peer.parse().unwrap()), None, "{peer}");
        }
    }

    #[test]
    fn a_network_never_reaches_beyond_its_family() {
        assert_eq!(network("2001:db8::1:2:3:4".parse().unwrap(), 64).to_string(), "2001:db8::/64");
        assert_eq!(network("192.0.2.7".parse().unwrap(), 64).to_string(), "192.0.2.7/32");
        assert_eq!(display(&network("192.0.2.7".parse().unwrap(), 32)), "192.0.2.7");
    }
}
