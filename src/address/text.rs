//! Addresses out of text.
//!
//! Logs are full of them, and the standard library takes hundreds of instructions for one. The two usual forms are read
//! here, and tests show that the answers are the same; all other forms are left to the library.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest text an address can have: 45 characters of IPv6 with an embedded IPv4, `%`, and a zone of 16.
const MAX_LENGTH: usize = 45 + 1 + 16;

/// Reads an address as a program printed it.
///
/// Strict, as the standard library is: no leading zeros (they read as octal elsewhere), no short forms, no port.
/// A zone (`fe80::1%em0`) is cut off, a v4-mapped IPv6 address becomes the IPv4 address that it is.
pub fn parse(text: &[u8]) -> Option<IpAddr> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    if let Some(v4) = dotted(text) {
        return Some(v4.into());
    }
    let v6 = groups(text).or_else(|| unusual(text))?;
    Some(IpAddr::V6(v6).to_canonical())
}

/// Reads an address with or without a port: `192.0.2.7`, `192.0.2.7:22`, `[2001:db8::7]:22`, `[2001:db8::7]`.
///
/// An IPv6 address without brackets is all address: what stands behind its last colon is no port.
pub fn parse_endpoint(text: &[u8]) -> Option<IpAddr> {
    if let Some(bracketed) = text.strip_prefix(b"[") {
        let end = memchr::memrchr(b']', bracketed)?;
        let address = &bracketed[..end];
        let port = &bracketed[end + 1..];
        let address = parse(address)?;
        return (port.is_empty() || is_port(port.strip_prefix(b":")?)).then_some(address);
    }
    if let Some(address) = parse(text) {
        return Some(address);
    }
    let (address, port) = text.split_at(memchr::memchr(b':', text)?);
    let address = dotted(address)?;
    is_port(&port[1..]).then_some(address.into())
}

fn is_port(text: &[u8]) -> bool {
    (1..=5).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

/// IPv6 with a zone, or with an IPv4 address at its end.
fn unusual(text: &[u8]) -> Option<Ipv6Addr> {
    let text = std::str::from_utf8(text).ok()?;
    let Some((bare, zone)) = text.split_once('%') else { return text.parse().ok() };
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let sane = !zone.is_empty() && zone.chars().all(known);
    sane.then(|| bare.parse().ok())?
}

/// Four numbers with dots between them.
fn dotted(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut address, mut rest) = octet(text)?;
    for _ in 1..4 {
        let (number, behind) = octet(rest.strip_prefix(b".")?)?;
        (address, rest) = (address << 8 | number, behind);
    }
    rest.is_empty().then(|| Ipv4Addr::from_bits(address))
}

/// A number up to 255, and what stands behind it.
fn octet(text: &[u8]) -> Option<(u32, &[u8])> {
    let digit =
        |at: usize| text.get(at).map(|byte| u32::from(byte.wrapping_sub(b'0'))).filter(|&digit| digit < 10);
    let first = digit(0)?;
    let Some(second) = digit(1) else { return Some((first, &text[1..])) };
    let (number, length) = match digit(2) {
        None => (first * 10 + second, 2),
        Some(third) => (first * 100 + second * 10 + third, 3),
    };
    (first > 0 && number < 256).then(|| (number, &text[length..]))
}

/// Groups of hexadecimal digits with colons between them, and `::` once at the most.
fn groups(text: &[u8]) -> Option<Ipv6Addr> {
    let mut groups = [0; 8];
    let mut count = 0;
    let mut gap = None;
    let mut rest = text;
    if let Some(behind) = text.strip_prefix(b"::") {
        (gap, rest) = (Some(0), behind);
    }
    while !rest.is_empty() {
        let (number, behind) = group(rest)?;
        *groups.get_mut(count)? = number;
        count += 1;
        rest = match behind {
            [] => behind,
            [b':', b':', behind @ ..] if gap.is_none() => {
                gap = Some(count);
                behind
            }
            [b':', behind @ ..] if !behind.is_empty() => behind,
            _ => return None,
        };
    }
    match (gap, count) {
        (None, 8) => {}
        (Some(gap), 0..8) => groups[gap..].rotate_right(8 - count),
        _ => return None,
    }
    Some(groups.into())
}

/// One to four hexadecimal digits as a number, and what stands behind them.
fn group(text: &[u8]) -> Option<(u16, &[u8])> {
    let mut number = 0;
    for (at, &byte) in text.iter().enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => return (at > 0).then(|| (number, &text[at..])),
        };
        if at == 4 {
            return None;
        }
        number = number << 4 | u16::from(digit);
    }
    (!text.is_empty()).then_some((number, &[]))
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

        #[test]
        fn groups_are_read_as_the_standard_library_does(text in "(:{0,2}[0-9a-fA-F]{0,5}){0,9}:{0,2}|[:1g]{0,8}") {
            prop_assert_eq!(groups(text.as_bytes()), text.parse().ok());
        }

        #[test]
        fn every_printed_address_is_read(number: u128, mask: u128, small: u32) {
            for bits in [number, number & mask, number & mask & (mask << 64), u128::from(small)] {
                let address = Ipv6Addr::from_bits(bits);
                prop_assert_eq!(parse(address.to_string().as_bytes()), Some(IpAddr::V6(address).to_canonical()));
            }
            let address = Ipv4Addr::from_bits(small);
            prop_assert_eq!(parse(address.to_string().as_bytes()), Some(address.into()));
        }
    }

    #[test]
    fn a_gap_stands_for_one_group_at_least() {
        for text in
            ["::", "1::", "::8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3::5:6:7:8", "1:2:3:4:5:6:7:8"]
        {
            assert_eq!(groups(text.as_bytes()), text.parse().ok(), "{text}");
            assert!(groups(text.as_bytes()).is_some(), "{text}");
        }
        for text in
            ["", ":", ":::", "1", "1:", ":1", "1:2:3:4:5:6:7", "1:2:3:4::5:6:7:8", "1::2::3", "12345::"]
        {
            assert_eq!(groups(text.as_bytes()), None, "{text}");
            assert_eq!(text.parse::<Ipv6Addr>().ok(), None, "{text}");
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
}
