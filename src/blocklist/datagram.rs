//! One report as the original client library writes it: a header in native byte order, a socket address, and a text.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | length of the whole datagram |
//! | 4 | 4 | version, 1 |
//! | 8 | 4 | type |
//! | 12 | 4 | length of the address: 0, 16 or 28 |
//! | 16 | 128 | `sockaddr_storage` |
//! | 144 | 0 to 128 | text |

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

use crate::report::{MAX_TEXT, ReportKind, ReportText};

/// The version of the protocol; there is no other.
const VERSION: u32 = 1;

/// The bytes before the text.
const HEADER: usize = 144;

/// The offset of the address.
const ADDRESS: usize = 16;

/// The longest datagram.
pub const MAX_DATAGRAM: usize = HEADER + MAX_TEXT;

/// The number of an address family, which is the system's own for IPv6.
const IPV4: u16 = 2;
const IPV6: u16 = if cfg!(target_os = "linux") { 10 } else { 28 };

/// The words of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The event that is reported.
    pub kind: ReportKind,
    /// The address that the client claims, if it claims one. sshd never does.
    pub claimed: Option<SocketAddr>,
    /// The client's comment.
    pub text: ReportText,
}

/// Why a datagram is no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// It is shorter than its header, or longer than any report.
    #[error("it has {0} bytes")]
    Size(usize),
    /// It states another length than it has.
    #[error("it states {0} bytes and has {1}")]
    Length(u32, usize),
    /// It is of a version that is not known.
    #[error("it is of version {0}")]
    Version(u32),
    /// Its type is not known.
    #[error("its type is {0}")]
    Type(u32),
    /// Its address is neither of IPv4 nor of IPv6.
    #[error("its address has {0} bytes and the family {1}")]
    Address(u32, u16),
}

impl Datagram {
    /// Reads a whole datagram.
    ///
    /// # Errors
    /// If any part of it is not as the protocol has it.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let (Some(header), Some(text)) = (bytes.get(..HEADER), bytes.get(HEADER..)) else {
            return Err(Malformed::Size(bytes.len()));
        };
        if bytes.len() > MAX_DATAGRAM {
            return Err(Malformed::Size(bytes.len()));
        }
        let length = number(header, 0);
        if usize::try_from(length) != Ok(bytes.len()) {
            return Err(Malformed::Length(length, bytes.len()));
        }
        if number(header, 4) != VERSION {
            return Err(Malformed::Version(number(header, 4)));
        }
        let number_of_kind = number(header, 8);
        let index = usize::try_from(number_of_kind).ok().and_then(|kind| kind.checked_sub(1));
        let kind = index.and_then(|index| ReportKind::ALL.get(index));
        Ok(Self {
            kind: *kind.ok_or(Malformed::Type(number_of_kind))?,
            claimed: claimed(number(header, 12), &header[ADDRESS..])?,
            text: ReportText::new(text),
        })
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(array(bytes, at))
}

/// # Panics
/// If there are fewer bytes; the header has all that is asked for.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has this length")
}

/// The first two bytes of a socket address are its family, or on BSD its length and its family.
fn family(address: &[u8]) -> u16 {
    if cfg!(target_os = "linux") { u16::from_ne_bytes(array(address, 0)) } else { address[1].into() }
}

fn claimed(length: u32, address: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
    let port = u16::from_be_bytes(array(address, 2));
    match (length, family(address)) {
        (0, _) => Ok(None),
        (16, IPV4) => Ok(Some((Ipv4Addr::from(array::<4>(address, 4)), port).into())),
        (28, IPV6) => {
            let address = Ipv6Addr::from(array::<16>(address, 8)).to_canonical();
            Ok(Some((address, port).into()))
        }
        (length, family) => Err(Malformed::Address(length, family)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn datagram(kind: u32, address: &[u8], text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let length = u32::try_from(HEADER + text.len()).unwrap();
        for number in [length, 1, kind, u32::try_from(address.len()).unwrap()] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.extend(address);
        bytes.resize(HEADER, 0);
        bytes.extend(text);
        bytes
    }

    fn family_bytes(length: u8, family: u16) -> [u8; 2] {
        if cfg!(target_os = "linux") { family.to_ne_bytes() } else { [length, u8::try_from(family).unwrap()] }
    }

    #[test]
    fn the_four_kinds_are_read() {
        let kinds = [ReportKind::Failed, ReportKind::Success, ReportKind::Abuse, ReportKind::NoUser];
        for (number, kind) in (1..).zip(kinds) {
            let read = Datagram::read(&datagram(number, b"", b"Fatal exit")).unwrap();
            assert_eq!(read, Datagram { kind, claimed: None, text: ReportText::new(b"Fatal exit") });
        }
        let longest = datagram(1, b"", &[b'x'; MAX_TEXT]);
        assert_eq!((longest.len(), Datagram::read(&longest).is_ok()), (272, true));
    }

    #[test]
    fn a_claimed_address_is_one_of_ipv4_or_ipv6() {
        let v4 = [&family_bytes(16, IPV4)[..], &[0x14, 0xe9, 192, 0, 2, 7], &[0; 8]].concat();
        let claimed = |address: &[u8]| Datagram::read(&datagram(1, address, b"")).map(|read| read.claimed);
        assert_eq!(claimed(&v4), Ok(Some("192.0.2.7:5353".parse().unwrap())));
        let address = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets();
        let v6 = [&family_bytes(28, IPV6)[..], &[0, 53], &[0; 4], &address, &[0; 4]].concat();
        assert_eq!(claimed(&v6), Ok(Some("[2001:db8::7]:53".parse().unwrap())));
        let mapped = "::ffff:192.0.2.7".parse::<Ipv6Addr>().unwrap().octets();
        let v6 = [&family_bytes(28, IPV6)[..], &[0, 53], &[0; 4], &mapped, &[0; 4]].concat();
        assert_eq!(claimed(&v6), Ok(Some("192.0.2.7:53".parse().unwrap())));
        assert_eq!(claimed(&v4[..15]), Err(Malformed::Address(15, IPV4)));
        assert_eq!(claimed(&[0; 16]), Err(Malformed::Address(16, 0)));
    }

    #[test]
    fn what_is_not_as_the_protocol_has_it_is_refused() {
        let good = datagram(1, b"", b"");
        let changed = |at: usize, number: u32| {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&number.to_ne_bytes());
            Datagram::read(&bytes)
        };
        assert_eq!(Datagram::read(&good[..143]), Err(Malformed::Size(143)));
        assert_eq!(Datagram::read(b""), Err(Malformed::Size(0)));
        assert_eq!(Datagram::read(&[0; 273]), Err(Malformed::Size(273)));
        assert_eq!(changed(0, 145), Err(Malformed::Length(145, 144)));
        assert_eq!(changed(4, 2), Err(Malformed::Version(2)));
        assert_eq!(changed(8, 0), Err(Malformed::Type(0)));
        assert_eq!(changed(8, 5), Err(Malformed::Type(5)));
        assert_eq!(changed(12, u32::MAX), Err(Malformed::Address(u32::MAX, 0)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Datagram::read(&bytes);
        }

        #[test]
        fn no_header_makes_the_parser_panic(
            kind in 0u32..6, address in prop::collection::vec(any::<u8>(), 0..129), text in prop::collection::vec(any::<u8>(), 0..140)
        ) {
            if let Ok(read) = Datagram::read(&datagram(kind, &address, &text)) {
                prop_assert_eq!(read.text.as_bytes(), &text[..]);
            }
        }
    }
}
