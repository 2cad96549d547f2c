//! Lines with a supervisor's timestamp: multilog and svlogd, which know no program, and socklog writing through them.

use super::tag::{self, word};
use super::{Layout, Record, Stamp, priority, stamp};

/// Parses what follows a supervisor's timestamp: socklog's `auth.info: [Nov 22 14:38:31 ]TAG MESSAGE`, or any text.
///
/// Text without socklog's priority is one service's own output: a tag in it would be that service's word, so none is
/// looked for.
pub(super) fn read<'a>(stamp: Stamp<'a>, text: &'a [u8]) -> Record<'a> {
    let (first, said) = word(text);
    match first.strip_suffix(b":") {
        Some(word) if priority::is_named(word) => socklog(stamp, said),
        _ => bare(stamp, text),
    }
}

/// Parses what socklog copies from syslog(3): a BSD timestamp without host, if the C library sent one, and the tag.
///
/// The outer timestamp counts: the inner one is the sender's word.
fn socklog<'a>(stamp: Stamp<'a>, said: &'a [u8]) -> Record<'a> {
    let inner = stamp::bsd(said).map(|(_, rest)| rest);
    let (first, message) = word(inner.unwrap_or(said));
    let empty = &said[..0];
    match (tag::tag(first), inner) {
        (Some(tag), _) => tag::signed(stamp, empty, tag, message),
        (None, Some(rest)) => tag::raw(stamp, empty, rest),
        (None, None) => bare(stamp, said),
    }
}

fn bare<'a>(stamp: Stamp<'a>, message: &'a [u8]) -> Record<'a> {
    let empty = &message[..0];
    Record { stamp, priority: empty, host: empty, program: None, pid: None, message, layout: Layout::Bare }
}

#[cfg(test)]
mod tests {
    use crate::record::{Layout, Layouts, Record, parse_as};

    fn parse(line: &[u8]) -> Record<'_> {
        parse_as(line, Layouts::Supervised)
    }

    #[test]
    fn socklog_with_a_stamp_but_no_tag_is_raw_text() {
        let record = parse(b"2015-05-27T04:31:28.10040 auth.info: May 27 04:31:28 Invalid user");
        assert_eq!((record.program, record.layout), (None, Layout::Syslog));
        assert_eq!(record.message, b"Invalid user");
    }

    #[test]
    fn the_outer_stamp_counts() {
        let record = parse(b"2015-05-27T04:31:28.10040 auth.info: May 27 04:31:28 sshd[1]: x");
        assert_eq!(record.stamp.text(), b"2015-05-27T04:31:28.10040");
    }
}
