//! The lines behind a ban: the last few of each offender that is being counted, for `portcullis why`.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;

use crate::address::Prefix;
use crate::time::Time;

/// Offenders remembered; the longest-unseen leaves first. With the two bounds below 5 MB at the most.
const OFFENDERS: usize = 4096;

/// Lines of one offender: enough to see what it did, whatever the threshold.
const LINES: usize = 5;

/// Bytes of one line.
const LENGTH: usize = 256;

/// A line that counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// When it counted.
    pub(super) at: Time,
    /// Which source it was read from.
    pub(super) source: Arc<str>,
    /// The line, cut at a bounded length.
    pub(super) text: Vec<u8>,
}

impl Seen {
    pub(super) fn new(at: Time, source: &Arc<str>, line: &[u8]) -> Self {
        Self { at, source: Arc::clone(source), text: line.get(..LENGTH).unwrap_or(line).to_vec() }
    }
}

/// The lines of offenders that may be banned next.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    lines: LinkedHashMap<Prefix, Vec<Seen>, RandomState>,
}

impl Evidence {
    /// Notes a line against an offender.
    pub(super) fn note(&mut self, offender: Prefix, seen: Seen) {
        if self.lines.len() >= OFFENDERS && !self.lines.contains_key(&offender) {
            self.lines.pop_front();
        }
        let lines = self.lines.entry(offender).or_insert_with(Vec::new);
        if lines.len() == LINES {
            lines.remove(0);
        }
        lines.push(seen);
        self.lines.to_back(&offender);
    }

    /// The lines that led to a ban; they are forgotten here.
    pub(super) fn take(&mut self, offender: &Prefix) -> Vec<Seen> {
        self.lines.remove(offender).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_in_every_direction() {
        let mut evidence = Evidence::default();
        let offender = |n: u32| crate::address::host(std::net::IpAddr::V4(n.into()));
        let seen = |line: &[u8]| Seen::new(Time::from_secs(1), &"auth".into(), line);
        for n in 0..5000 {
            evidence.note(offender(n), seen(&[b'x'; 20_000]));
        }
        for n in 0..20 {
            evidence.note(offender(4999), seen(format!("line {n}").as_bytes()));
        }
        assert_eq!(evidence.lines.len(), OFFENDERS);
        assert!(evidence.take(&offender(0)).is_empty(), "the longest-unseen left");
        let last =
            evidence.take(&offender(4999)).into_iter().map(|seen| String::from_utf8(seen.text).unwrap());
        let last: Vec<String> = last.collect();
        assert_eq!(last, ["line 15", "line 16", "line 17", "line 18", "line 19"]);
        assert_eq!(evidence.take(&offender(4998))[0].text.len(), LENGTH);
    }
}
