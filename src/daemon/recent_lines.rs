//! The lines behind a ban: the last few of each offender that is being counted, for `portcullis why`.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;

use crate::address::Prefix;
use crate::rules;
use crate::store::BanLine;
use crate::time::Time;

/// The most offenders whose lines are kept; the least recently seen leaves first. With the bounds below, at most 5 MB.
const MAX_OFFENDERS: usize = 4096;

/// The most lines of one offender: enough to see what it did, whatever the threshold.
const MAX_LINES: usize = 5;

/// The most bytes of one line.
const MAX_LINE_BYTES: usize = 256;

/// The lines of offenders that may be banned next. Lines that may be forged are kept apart, and give way first.
#[derive(Debug, Default)]
pub(super) struct RecentLines {
    handshake: Lines,
    spoofable: Lines,
}

type Lines = LinkedHashMap<Prefix, Vec<BanLine>, RandomState>;

impl RecentLines {
    /// Notes a line of a source that counted at `at` against an offender.
    pub(super) fn note(
        &mut self,
        offender: Prefix,
        worth: rules::Evidence,
        at: Time,
        source: &Arc<str>,
        line: &[u8],
    ) {
        if !self.of(worth).contains_key(&offender) {
            self.make_room(worth);
        }
        let all = self.of(worth);
        let lines = all.entry(offender).or_insert_with(Vec::new);
        // In a flood the oldest line of an offender gives its memory to the newest.
        let mut text = if lines.len() == MAX_LINES { lines.remove(0).text } else { Vec::new() };
        text.clear();
        text.extend_from_slice(line.get(..MAX_LINE_BYTES).unwrap_or(line));
        lines.push(BanLine { at, source: Arc::clone(source), text });
        all.to_back(&offender);
    }

    /// Whatever may be forged never makes others leave; where there is nothing else, one more is kept.
    fn make_room(&mut self, worth: rules::Evidence) {
        if self.handshake.len() + self.spoofable.len() < MAX_OFFENDERS {
            return;
        }
        let left = self.spoofable.pop_front();
        if worth != rules::Evidence::Spoofable && (left.is_none() || self.handshake.len() >= MAX_OFFENDERS) {
            self.handshake.pop_front();
        }
    }

    /// The lines that led to a ban, of one offender or of several in a network that is banned; they are forgotten here.
    pub(super) fn take(
        &mut self,
        offender: &Prefix,
        banned: &Prefix,
        worth: rules::Evidence,
    ) -> Vec<BanLine> {
        let all = self.of(worth);
        if !banned.contains(offender) || banned == offender {
            return all.remove(offender).unwrap_or_default();
        }
        let inside: Vec<Prefix> = all.keys().copied().filter(|known| banned.contains(known)).collect();
        let mut lines: Vec<BanLine> =
            inside.iter().filter_map(|offender| all.remove(offender)).flatten().collect();
        lines.sort_by_key(|seen| seen.at);
        lines.split_off(lines.len().saturating_sub(MAX_LINES))
    }

    fn of(&mut self, worth: rules::Evidence) -> &mut Lines {
        match worth {
            rules::Evidence::Handshake | rules::Evidence::Kernel => &mut self.handshake,
            rules::Evidence::Spoofable => &mut self.spoofable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAR: rules::Evidence = rules::Evidence::Handshake;
    const CHEAP: rules::Evidence = rules::Evidence::Spoofable;

    fn offender(n: u32) -> Prefix {
        crate::address::host(std::net::IpAddr::V4(n.into()))
    }

    fn note(evidence: &mut RecentLines, offender: Prefix, worth: rules::Evidence, line: &[u8]) {
        evidence.note(offender, worth, Time::from_secs(1), &"auth".into(), line);
    }

    fn texts(lines: Vec<BanLine>) -> Vec<String> {
        lines.into_iter().map(|seen| String::from_utf8(seen.text).unwrap()).collect()
    }

    fn take(evidence: &mut RecentLines, n: u32, worth: rules::Evidence) -> Vec<BanLine> {
        evidence.take(&offender(n), &offender(n), worth)
    }

    #[test]
    fn a_network_is_shown_with_the_last_lines_of_all_its_offenders() {
        let mut evidence = RecentLines::default();
        for n in 0..8 {
            let line = format!("line {n}");
            let at = Time::from_secs(n.into());
            evidence.note(offender(n), DEAR, at, &"auth".into(), line.as_bytes());
        }
        let network: Prefix = "0.0.0.0/29".parse().unwrap();
        let lines = texts(evidence.take(&offender(2), &network, DEAR));
        assert_eq!(lines, ["line 3", "line 4", "line 5", "line 6", "line 7"]);
        assert!(take(&mut evidence, 0, DEAR).is_empty());
        // A part of an offender is shown with all that it did.
        note(&mut evidence, network, DEAR, b"from the network");
        assert_eq!(texts(evidence.take(&network, &offender(2), DEAR)), ["from the network"]);
    }

    #[test]
    fn bounded_in_every_direction() {
        for worth in [DEAR, CHEAP] {
            let mut evidence = RecentLines::default();
            for n in 0..5000 {
                note(&mut evidence, offender(n), worth, &[b'x'; 20_000]);
            }
            for n in 0..20 {
                note(&mut evidence, offender(4999), worth, format!("line {n}").as_bytes());
            }
            assert_eq!(evidence.of(worth).len(), MAX_OFFENDERS);
            assert!(take(&mut evidence, 0, worth).is_empty(), "the longest-unseen left");
            let last = texts(take(&mut evidence, 4999, worth));
            assert_eq!(last, ["line 15", "line 16", "line 17", "line 18", "line 19"]);
            assert_eq!(take(&mut evidence, 4998, worth)[0].text.len(), MAX_LINE_BYTES);
        }
    }

    #[test]
    fn no_flood_of_forged_lines_displaces_a_real_one() {
        let mut evidence = RecentLines::default();
        let dear = u32::try_from(MAX_OFFENDERS).unwrap() / 2;
        (0..dear).for_each(|n| note(&mut evidence, offender(n), DEAR, b"real"));
        (0..100_001).for_each(|n| note(&mut evidence, offender(n), CHEAP, b"forged"));
        assert_eq!(
            (evidence.handshake.len(), evidence.spoofable.len()),
            (MAX_OFFENDERS / 2, MAX_OFFENDERS / 2)
        );
        assert_eq!(texts(take(&mut evidence, 0, DEAR)), ["real"]);
        // Real ones take what they need.
        (dear..2 * dear + 1).for_each(|n| note(&mut evidence, offender(n), DEAR, b"real"));
        assert_eq!((evidence.handshake.len(), evidence.spoofable.len()), (MAX_OFFENDERS, 0));
        (0..9).for_each(|n| note(&mut evidence, offender(n), CHEAP, b"forged"));
        assert_eq!((evidence.handshake.len(), evidence.spoofable.len()), (MAX_OFFENDERS, 1));
        note(&mut evidence, offender(9_000_000), DEAR, b"real");
        assert_eq!((evidence.handshake.len(), evidence.spoofable.len()), (MAX_OFFENDERS, 0));
    }
}
