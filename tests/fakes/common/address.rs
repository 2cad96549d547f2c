//! Addresses as the C library reads and prints them, in the order in which the kernel's radix tree walks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A prefix without host bits. Sorts as the radix tree does: IPv4 first, by address, of equal ones the longer first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    six: bool,
    bits: u128,
    wild: u8,
}

impl Key {
    /// Cuts host bits, as the kernel does; a length beyond the address's own is the caller's to refuse.
    pub(crate) fn new(address: IpAddr, len: u8) -> Self {
        let (six, bits, width) = match address {
            IpAddr::V4(v4) => (false, u128::from(v4.to_bits()), 32),
            IpAddr::V6(v6) => (true, v6.to_bits(), 128_u8),
        };
        let wild = width - len.min(width);
        let cut = bits.checked_shr(wild.into()).and_then(|bits| bits.checked_shl(wild.into()));
        Self { six, bits: cut.unwrap_or(0), wild }
    }

    /// The one address.
    pub(crate) fn host(address: IpAddr) -> Self {
        Self::new(address, width(address))
    }

    /// How many bits are fixed.
    pub(crate) fn len(self) -> u8 {
        (if self.six { 128 } else { 32 }) - self.wild
    }

    /// Whether it is a single address.
    pub(crate) fn is_host(self) -> bool {
        self.wild == 0
    }

    /// Whether it is IPv6.
    pub(crate) fn is_six(self) -> bool {
        self.six
    }

    /// The first address.
    pub(crate) fn address(self) -> IpAddr {
        match self.six {
            true => IpAddr::V6(Ipv6Addr::from_bits(self.bits)),
            false => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(self.bits).unwrap_or(0))),
        }
    }

    /// The networks around it, narrowest first, itself included: what a longest-prefix lookup asks for.
    pub(crate) fn around(self) -> impl Iterator<Item = Self> {
        (0..=self.len()).rev().map(move |len| Self::new(self.address(), len))
    }

    /// The way back from [`fmt::Display`].
    pub(crate) fn read(text: &str) -> Option<Self> {
        let Some((address, len)) = text.split_once('/') else { return text.parse().ok().map(Self::host) };
        Some(Self::new(address.parse().ok()?, len.parse().ok()?))
    }
}

/// As pfctl prints it: the length only where it is not a host.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_host() {
            true => write!(f, "{}", ntop(self.address())),
            false => write!(f, "{}/{}", ntop(self.address()), self.len()),
        }
    }
}

/// 32 or 128.
pub(crate) fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// `inet_ntop(3)` of FreeBSD: as RFC 5952, but an IPv4-compatible address keeps its dots.
pub(crate) fn ntop(address: IpAddr) -> String {
    match address {
        IpAddr::V6(v6) => match v6.segments() {
            [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => {
                format!("::{}", Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
            }
            _ => v6.to_string(),
        },
        IpAddr::V4(v4) => v4.to_string(),
    }
}

/// `inet_aton(3)`: one to four parts, decimal, octal (`010` is 8!) or hexadecimal; the last part fills what is left.
pub(crate) fn aton(text: &str) -> Option<Ipv4Addr> {
    let parts = text.split('.').map(c_number).collect::<Option<Vec<u32>>>()?;
    let (last, leading) = parts.split_last().filter(|(_, leading)| leading.len() < 4)?;
    let mut bits = 0_u32;
    for part in leading {
        bits = (bits << 8) | u32::from(u8::try_from(*part).ok()?);
    }
    let room = 32 - 8 * u32::try_from(leading.len()).ok()?;
    let fits = room == 32 || *last < 1 << room;
    fits.then(|| Ipv4Addr::from_bits(bits.checked_shl(room).unwrap_or(0) | last))
}

/// An unsigned number as C writes it.
pub(crate) fn c_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => (text.get(1..)?, 8),
        None => (text, 10),
    };
    (!digits.starts_with('+')).then(|| u32::from_str_radix(digits, radix).ok())?
}
