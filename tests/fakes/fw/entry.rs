//! Keys and values of table entries, as words and as lines.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{DATAERR, Ipfw, NOHOST, OSERR};
use crate::common::Step;
use crate::common::address::{Key, aton, ntop};

/// What was asked for; host bits are still there, and are printed back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) address: IpAddr,
    pub(crate) len: u8,
    pub(crate) value: u32,
}

impl Item {
    /// The key the kernel makes of it.
    pub(crate) fn key(&self) -> Key {
        Key::new(self.address, self.len)
    }
}

impl Ipfw<'_> {
    /// An address, a network, or what `inet_aton(3)` takes for one; names are looked up, and no name exists.
    pub(super) fn key(&mut self, word: &str) -> Step<Item> {
        let (address, mask) =
            word.split_once('/').map_or((word, None), |(address, mask)| (address, Some(mask)));
        let len = mask.map(atoi);
        if let Ok(four) = address.parse::<Ipv4Addr>() {
            let text = format!("bad IPv4 mask width: {}", mask.unwrap_or_default());
            return self.item(IpAddr::V4(four), len.unwrap_or(32), 32, &text);
        }
        if let Ok(six) = address.parse::<Ipv6Addr>() {
            if matches!(six.segments(), [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1) {
                return self.leave(DATAERR, "Use IPv4 instead of v4-compatible");
            }
            let text = format!("bad IPv6 mask width: {}", mask.unwrap_or_default());
            return self.item(IpAddr::V6(six), len.unwrap_or(128), 128, &text);
        }
        match aton(address) {
            Some(four) => Ok(Item { address: IpAddr::V4(four), len: 32, value: 0 }),
            None => self.leave(NOHOST, &format!("hostname ``{address}'' unknown")),
        }
    }

    fn item(&mut self, address: IpAddr, len: u64, width: u8, too_wide: &str) -> Step<Item> {
        match u8::try_from(len).ok().filter(|len| *len <= width) {
            Some(len) => Ok(Item { address, len, value: 0 }),
            None => self.leave(DATAERR, too_wide),
        }
    }

    /// A number as strtoul(3) reads it, or an IPv4 address as one: the trap of `add ADDR ADDR`.
    pub(super) fn value(&mut self, word: &str) -> Step<u32> {
        let number = crate::common::address::c_number(word).or_else(|| {
            let large = word.bytes().all(|byte| byte.is_ascii_digit()) && !word.starts_with('0');
            large.then(|| word.parse::<u64>().map_or(u32::MAX, truncated))
        });
        match number.or_else(|| aton(word).map(Ipv4Addr::to_bits)) {
            Some(value) => Ok(value),
            None => self.leave(OSERR, &format!("Unable to parse value {word}")),
        }
    }

    /// `192.0.2.1/32 0`
    pub(super) fn entry_line(&self, address: IpAddr, len: u8, value: u32) -> String {
        let value =
            if self.values_as_ip { Ipv4Addr::from_bits(value).to_string() } else { value.to_string() };
        format!("{}/{len} {value}", ntop(address))
    }
}

/// C keeps the low half of a long.
fn truncated(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// atoi(3): the digits at the front, 0 without any: `192.0.2.1/` and `/x` are everything!
fn atoi(text: &str) -> u64 {
    if text.starts_with('-') {
        return u64::MAX;
    }
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u64::MAX) }
}
