//! The encoding of values in columns.
//!
//! A prefix is a blob of its family (4 or 6), its address and its length, in this order, so that all prefixes inside a
//! network are adjacent in an index. Times are milliseconds since the epoch. Owners and sessions are JSON, for people with
//! `sqlite3`; windows, which change most often, take twelve bytes for each entry.

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rusqlite::types::{FromSqlError, FromSqlResult, Type, Value};
use rusqlite::{Error, Result, Row};
use smallvec::SmallVec;

use crate::address::Prefix;
use crate::engine::{Ban, Offences, Origin, Owner};
use crate::time::Time;

/// The most bytes of text that are read from a column; reasons and log lines are shorter when they are written.
pub(super) const MAX_TEXT_BYTES: usize = 1024;

/// The columns of a ban, in the order in which [`ban`] reads them.
pub(super) const BAN: &str = "offender, since, until, nth, reason, origin, forced, spoofable, owners";

pub(super) fn prefix(prefix: &Prefix) -> Vec<u8> {
    let mut blob = Vec::with_capacity(18);
    match prefix.addr() {
        IpAddr::V4(address) => {
            blob.push(4);
            blob.extend(address.octets());
        }
        IpAddr::V6(address) => {
            blob.push(6);
            blob.extend(address.octets());
        }
    }
    blob.push(prefix.prefix_len());
    blob
}

fn read_prefix(blob: &[u8]) -> Option<Prefix> {
    let (&family, rest) = blob.split_first()?;
    let (&length, octets) = rest.split_last()?;
    let address = match family {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)),
        6 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
        _ => return None,
    };
    let prefix = Prefix::new(address, length).ok()?;
    // No row of ours has bits behind the mask, and neither a firewall nor the control socket knows such a prefix.
    if prefix.trunc() == prefix { Some(prefix) } else { None }
}

pub(super) fn seen(seen: &[(Time, u32)]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(12 * seen.len());
    for (time, tenths) in seen {
        blob.extend(time.as_millis().to_le_bytes());
        blob.extend(tenths.to_le_bytes());
    }
    blob
}

pub(super) fn read_seen(blob: &[u8]) -> Option<Offences> {
    let entry = |entry: &[u8]| {
        let (time, tenths) = entry.split_at_checked(8)?;
        let time = Time::from_millis(i64::from_le_bytes(time.try_into().ok()?));
        Some((time, u32::from_le_bytes(tenths.try_into().ok()?)))
    };
    blob.chunks(12).map(entry).collect()
}

fn owners(owners: &[Owner]) -> String {
    let plain: Vec<(&str, Option<i64>)> =
        owners.iter().map(|owner| (&*owner.set, owner.until.map(Time::as_millis))).collect();
    serde_json::to_string(&plain).expect("strings and numbers can always be written as JSON")
}

fn read_owners(text: &str, interner: &Interner) -> serde_json::Result<SmallVec<[Owner; 1]>> {
    let plain: Vec<(String, Option<i64>)> = serde_json::from_str(text)?;
    let owner = |(set, until): (String, Option<i64>)| Owner {
        set: interner.shared(&set),
        until: until.map(Time::from_millis),
    };
    Ok(plain.into_iter().map(owner).collect())
}

/// Keeps one copy of names that many rows share.
#[derive(Debug, Default)]
pub(super) struct Interner(RefCell<HashSet<Arc<str>>>);

impl Interner {
    pub(super) fn shared(&self, text: &str) -> Arc<str> {
        let mut words = self.0.borrow_mut();
        if let Some(known) = words.get(text) {
            return Arc::clone(known);
        }
        let word: Arc<str> = Arc::from(text);
        words.insert(Arc::clone(&word));
        word
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Rule => "rule",
        Origin::Manual => "manual",
        Origin::Foreign => "foreign",
    }
}

fn read_origin(text: &str) -> FromSqlResult<Origin> {
    match text {
        "rule" => Ok(Origin::Rule),
        "manual" => Ok(Origin::Manual),
        "foreign" => Ok(Origin::Foreign),
        _ => Err(FromSqlError::InvalidType),
    }
}

/// The value of a column, or an error that names the column whose value is invalid.
pub(super) fn sensible<T>(column: usize, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::FromSqlConversionFailure(column, Type::Blob, FromSqlError::InvalidType.into()))
}

pub(super) fn prefix_at(row: &Row<'_>, column: usize) -> Result<Prefix> {
    sensible(column, row.get_ref(column)?.as_blob().ok().and_then(read_prefix))
}

pub(super) fn time_at(row: &Row<'_>, column: usize) -> Result<Time> {
    row.get(column).map(Time::from_millis)
}

/// The values of the columns of [`BAN`].
pub(super) fn ban_values(ban: &Ban) -> [Value; 9] {
    [
        prefix(&ban.offender).into(),
        ban.since.as_millis().into(),
        ban.until.map(Time::as_millis).into(),
        ban.nth.into(),
        ban.reason.to_string().into(),
        origin(ban.origin).to_owned().into(),
        ban.forced.into(),
        ban.spoofable.into(),
        owners(&ban.owners).into(),
    ]
}

/// At most [`MAX_TEXT_BYTES`] of a text; none of ours is longer.
pub(super) fn bounded(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or_default()
}

/// Reads a ban from the first columns of a row, which are those of [`BAN`].
pub(super) fn ban(row: &Row<'_>, interner: &Interner) -> Result<Ban> {
    Ok(Ban {
        offender: prefix_at(row, 0)?,
        since: time_at(row, 1)?,
        until: row.get::<_, Option<i64>>(2)?.map(Time::from_millis),
        nth: row.get(3)?,
        reason: interner.shared(bounded(row.get_ref(4)?.as_str()?)),
        origin: sensible(5, row.get_ref(5)?.as_str().and_then(read_origin).ok())?,
        forced: row.get(6)?,
        spoofable: row.get(7)?,
        owners: sensible(8, row.get_ref(8)?.as_str().ok().and_then(|text| read_owners(text, interner).ok()))?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn prefixes_come_back_and_stand_in_their_own_order(
            one: (IpAddr, u8), other: (IpAddr, u8)
        ) {
            let valid = |(address, length): (IpAddr, u8)| {
                Prefix::new(address, length % if address.is_ipv4() { 33 } else { 129 }).unwrap().trunc()
            };
            let one = valid(one);
            let other = valid(other);
            prop_assert_eq!(read_prefix(&prefix(&one)), Some(one));
            prop_assert_eq!(prefix(&one).cmp(&prefix(&other)), one.cmp(&other));
        }

        #[test]
        fn a_text_is_cut_between_characters(text in "[aü€😀]{0,700}") {
            let cut = bounded(&text);
            prop_assert!(text.starts_with(cut) && cut.len() <= MAX_TEXT_BYTES);
            prop_assert!(cut.len() == text.len() || cut.len() + 4 > MAX_TEXT_BYTES);
        }

        #[test]
        fn no_blob_is_too_strange_to_be_looked_at(blob: Vec<u8>) {
            if let Some(read) = read_prefix(&blob) {
                prop_assert_eq!(prefix(&read), blob.clone());
            }
            prop_assert_eq!(read_seen(&blob).is_some(), blob.len().is_multiple_of(12));
        }
    }
}
