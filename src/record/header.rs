//! The header between timestamp and message in BSD-like layouts: priority, host, tag.

use super::tag::{Tag, behind_uptime, is_host, marked_tag, metalog_tag, raw, signed, tag, word};
use super::{Layout, Record, Stamp, priority, rfc5424};

/// Parses what follows a timestamp: `[<auth.info> ][HOST ][auth.info ]TAG MESSAGE`, or RFC 5424 in place of the tag.
///
/// The tag is the first or the second word, or the third after a priority in words; anything else is raw text.
pub(super) fn read<'a>(stamp: Stamp<'a>, rest: &'a [u8]) -> Record<'a> {
    let (priority, rest) = priority::bracketed(rest);
    Record { priority, ..behind_priority(stamp, rest) }
}

fn behind_priority<'a>(stamp: Stamp<'a>, rest: &'a [u8]) -> Record<'a> {
    let (first, after) = word(rest);
    let empty = &rest[..0];
    if let Some(record) = forwarded(stamp, rest) {
        return record;
    }
    if let Some(tag) = tag(first) {
        return signed(stamp, empty, tag, after);
    }
    if !is_host(first) {
        return behind_odd_word(stamp, first, after).unwrap_or_else(|| raw(stamp, empty, rest));
    }
    let (second, message) = word(after);
    match tag(second) {
        Some(tag) => signed(stamp, first, tag, message),
        None => behind_host(stamp, first, after).unwrap_or_else(|| raw(stamp, first, after)),
    }
}

/// Parses a word in the place of tag or host that is neither: a host in brackets, a tag behind a byte order mark, or `ESXi`'s
/// priority.
fn behind_odd_word<'a>(stamp: Stamp<'a>, first: &'a [u8], after: &'a [u8]) -> Option<Record<'a>> {
    match marked_tag(first) {
        Some(tag) => Some(signed(stamp, &first[..0], tag, after)),
        None if priority::is_esxi(first) => esxi(stamp, after),
        None => bracketed_host(stamp, first, after),
    }
}

/// Parses `TAG MESSAGE` behind `2026-11-22T14:38:31.123Z In(182) `, as the syslogd of `ESXi` 8 writes its files.
fn esxi<'a>(stamp: Stamp<'a>, rest: &'a [u8]) -> Option<Record<'a>> {
    let (first, message) = word(rest);
    if stamp.zone() != b"Z" {
        return None;
    }
    Some(signed(stamp, &rest[..0], tag(first)?, message))
}

/// Parses `Message forwarded from HOST: TAG MESSAGE`, which AIX's syslogd writes in place of a tag for what another host
/// sent it. The receiver of such a message may have put its own host before it, or none.
fn forwarded<'a>(stamp: Stamp<'a>, rest: &'a [u8]) -> Option<Record<'a>> {
    let (host, rest) = word(rest.strip_prefix(b"Message forwarded from ")?);
    let host = host.strip_suffix(b":").filter(|host| !host.is_empty() && is_host(host))?;
    let (first, message) = word(rest);
    let record = signed(stamp, host, tag(first)?, message);
    (record.layout == Layout::Syslog).then_some(Record { layout: Layout::Forwarded, ..record })
}

/// Parses what may follow a host and is not a plain tag.
fn behind_host<'a>(stamp: Stamp<'a>, host: &'a [u8], rest: &'a [u8]) -> Option<Record<'a>> {
    let (first, message) = word(rest);
    if host.is_empty() && stamp.is_macos() {
        // There were two blanks behind the timestamp.
        let (second, message) = word(message);
        if !is_host(first) {
            return None;
        }
        return Some(signed(stamp, first, tag(second)?, message));
    }
    match marked_tag(first) {
        Some(tag) => Some(signed(stamp, host, tag, message)),
        None if first == b"Message" => forwarded(stamp, rest),
        None if first == b"1" => rfc5424::embedded(stamp, host, message),
        None if priority::is_named(first) || priority::is_aix(first) => Some(busybox(stamp, host, message)),
        None => None,
    }
}

/// Parses `[HOST] TAG MESSAGE` behind a BSD timestamp; [`Layout::BracketedHost`] says how credible it is.
///
/// Behind an ISO timestamp, or with a severity in the brackets, it is what applications print.
fn bracketed_host<'a>(stamp: Stamp<'a>, first: &'a [u8], after: &'a [u8]) -> Option<Record<'a>> {
    let [b'[', host @ .., b']'] = first else { return None };
    if !stamp.is_bsd() || host.is_empty() || !is_host(host) || priority::is_severity(host) {
        return None;
    }
    let (second, message) = word(after);
    Some(signed(stamp, host, tag(second)?, message).in_layout(Layout::BracketedHost))
}

/// Parses what `OpenWrt`'s `logread` writes behind `Sun Nov 22 14:38:31 2026 `: `[[1795354711.123] ]authpriv.warn TAG
/// MESSAGE`.
///
/// Many programs print such timestamps themselves; the priority in words shows that it was logread.
pub(super) fn openwrt<'a>(stamp: Stamp<'a>, rest: &'a [u8]) -> Option<Record<'a>> {
    let (priority, rest) = word(behind_uptime(rest));
    if !priority::is_named(priority) {
        return None;
    }
    let (first, message) = word(rest);
    let empty = &rest[..0];
    let record = tag(first).map_or_else(|| raw(stamp, empty, rest), |tag| signed(stamp, empty, tag, message));
    Some(Record { priority, ..record })
}

/// Parses what follows a timestamp in metalog's layout: `[TAG] MESSAGE`. Applications write the same into their own logs,
/// with words of their own between the brackets.
pub(super) fn metalog<'a>(stamp: Stamp<'a>, rest: &'a [u8]) -> Record<'a> {
    let (first, after) = word(rest);
    let empty = &rest[..0];
    match metalog_tag(first) {
        Some(program) => {
            let tag = Tag::new(program, None);
            signed(stamp, empty, tag, after).in_layout(Layout::Metalog)
        }
        None => Record { layout: Layout::Foreign, ..raw(stamp, empty, rest) },
    }
}

fn busybox<'a>(stamp: Stamp<'a>, host: &'a [u8], rest: &'a [u8]) -> Record<'a> {
    if let Some(record) = forwarded(stamp, rest) {
        return record;
    }
    let (word, message) = word(rest);
    let record = tag(word).map_or_else(|| raw(stamp, host, rest), |tag| signed(stamp, host, tag, message));
    record.in_layout(Layout::Busybox)
}
