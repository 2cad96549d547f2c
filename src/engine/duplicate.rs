//! The same line in two files: syslogd writes sshd's `error:` lines to auth.log and messages, and kernel lines to messages
//! and debug.log. Such a line counts once.
//!
//! Memory is bounded, and a line that is forgotten too early would count twice when the second file reports it. So once a
//! line is evicted, only one of the files with the same lines is believed, the one that reported most of them, until no
//! other file can report an evicted line any more. Files of other writers, as in a jail, are unaffected. Forgeable lines
//! are remembered separately: they are as cheap as packets, and must not displace the others.

use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;
use smallvec::SmallVec;

use super::Sighting;
use super::by_evidence::ByEvidence;
use crate::time::Time;

/// The longest time between two reports of one line: syslogd holds repeats back for up to ten minutes, per file.
const MAX_LAG: Duration = Duration::from_secs(15 * 60);

/// How many lines of each evidence are remembered; the least recently seen is evicted first. About 80 bytes each.
const MAX_LINES: usize = 16_384;

/// How often each line was read from each source: it was written as often as the highest of these counts says.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    memories: ByEvidence<Memory>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Memory {
    lines: LinkedHashMap<u64, SeenLine, RandomState>,
    capacity: usize,
    doubts: Vec<Doubt>,
}

#[derive(Debug)]
struct SeenLine {
    last: Time,
    group: u64,
    /// Source, and how often the line was read from it.
    times: SmallVec<[(u16, u32); 2]>,
}

/// Lines of a group of files were evicted while another file may still report them.
#[derive(Debug)]
struct Doubt {
    group: u64,
    /// The source that is believed.
    source: u16,
    /// When no file can report them any more.
    until: Time,
}

impl Duplicates {
    /// How many writings of this line are new, that is, were not read from another source before.
    pub(super) fn unseen(&mut self, sighting: &Sighting<'_>) -> u32 {
        let line = self.hasher.hash_one((sighting.line, sighting.set));
        let group = self.hasher.hash_one((sighting.set, sighting.writer));
        self.memories.of(sighting.evidence).unseen(line, group, sighting)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self { lines: LinkedHashMap::default(), capacity: MAX_LINES, doubts: Vec::new() }
    }
}

impl Memory {
    fn unseen(&mut self, line: u64, group: u64, sighting: &Sighting<'_>) -> u32 {
        let Sighting { source, time, count, .. } = *sighting;
        self.forget_old(time);
        if self.doubts.iter().any(|doubt| doubt.silences(group, source)) {
            return 0;
        }
        if self.lines.len() >= self.capacity && !self.lines.contains_key(&line) {
            self.make_room(time);
        }
        let new = || SeenLine { last: time, group, times: SmallVec::new() };
        let seen = self.lines.entry(line).or_insert_with(new);
        seen.last = seen.last.max(time);
        let unseen = seen.add(source, count);
        self.lines.to_back(&line);
        unseen
    }

    /// Forgets old lines, but only when memory is half full: while catching up, old lines of several files arrive between
    /// new ones, and their second report must still be recognised.
    fn forget_old(&mut self, now: Time) {
        let old = |seen: &SeenLine| now.since(seen.last).is_some_and(|age| age > MAX_LAG);
        let is_crowded = |lines: &LinkedHashMap<_, _, _>| lines.len() > self.capacity / 2;
        while is_crowded(&self.lines) && self.lines.front().is_some_and(|(_, seen)| old(seen)) {
            self.lines.pop_front();
        }
        self.doubts.retain(|doubt| now <= doubt.until);
    }

    /// Evicts the least recently seen line.
    fn make_room(&mut self, now: Time) {
        let Some((group, last)) = self.lines.front().map(|(_, seen)| (seen.group, seen.last)) else { return };
        // A clock that was set back must not make a doubt last.
        let until = last.min(now).plus(MAX_LAG);
        if let Some(doubt) = self.doubts.iter_mut().find(|doubt| doubt.group == group) {
            doubt.until = doubt.until.max(until);
        } else {
            let source = self.main_source(group);
            self.doubts.push(Doubt { group, source, until });
        }
        self.lines.pop_front();
    }

    /// The source that reported most lines of a group; of several the one that was first more often.
    fn main_source(&self, group: u64) -> u16 {
        // Source, lines, lines that it reported first.
        let mut reported: Vec<(u16, usize, usize)> = Vec::new();
        for seen in self.lines.values().filter(|seen| seen.group == group) {
            for (nth, (source, _)) in seen.times.iter().enumerate() {
                let at = reported.iter().position(|(known, ..)| known == source).unwrap_or_else(|| {
                    reported.push((*source, 0, 0));
                    reported.len() - 1
                });
                reported[at].1 += 1;
                reported[at].2 += usize::from(nth == 0);
            }
        }
        reported.into_iter().max_by_key(|(_, lines, first)| (*lines, *first)).map_or(0, |(source, ..)| source)
    }
}

impl Doubt {
    fn silences(&self, group: u64, source: u16) -> bool {
        self.group == group && self.source != source
    }
}

impl SeenLine {
    /// Counts a reading from a source; returns by how much its count now exceeds the highest count before.
    fn add(&mut self, source: u16, count: u32) -> u32 {
        let most = self.times.iter().map(|(_, times)| *times).max().unwrap_or(0);
        let known = self.times.iter().position(|(known, _)| *known == source);
        let at = known.unwrap_or_else(|| {
            self.times.push((source, 0));
            self.times.len() - 1
        });
        let times = &mut self.times[at].1;
        *times = times.saturating_add(count);
        times.saturating_sub(most)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::Line;
    use crate::rules::Evidence;

    fn sighting(message: &[u8], source: u16, second: i64, evidence: Evidence) -> Sighting<'_> {
        Sighting {
            time: Time::from_secs(1_700_000_000 + second),
            is_late: false,
            source,
            writer: "/var/log",
            set: 0,
            rule: 0,
            address: None,
            session: None,
            line: Line { program: None, pid: None, message },
            evidence,
            port: None,
            count: 1,
        }
    }

    /// A file that leads and others with some of its lines, which lag behind it.
    fn reported(lines: &[u8], copies: &[(Vec<bool>, usize)], leader: u16) -> Vec<(usize, u8, u16)> {
        let whole = lines.iter().enumerate().map(|(at, line)| (at, *line, leader));
        let copied =
            (0..).filter(|source| *source != leader).zip(copies).flat_map(|(source, (kept, lag))| {
                let kept = lines.iter().zip(kept.iter().cycle()).enumerate().filter(|(_, (_, kept))| **kept);
                kept.map(move |(at, (line, _))| (at + lag, *line, source))
            });
        let mut reported: Vec<_> = whole.chain(copied).collect();
        // Told at one time, the leader is first.
        reported.sort_by_key(|(at, _, source)| (*at, *source != leader));
        reported
    }

    /// Logs are caught up on while new lines come in.
    #[test]
    fn a_line_of_now_between_two_tellings_of_an_older_one_does_not_make_it_two() {
        let mut memory = Memory::default();
        let mut unseen = |line: u8, source, second| {
            memory.unseen(line.into(), 7, &sighting(&[line], source, second, Evidence::Handshake))
        };
        assert_eq!((unseen(1, 0, 0), unseen(2, 0, 10_000), unseen(1, 1, 0)), (1, 1, 0));
    }

    proptest! {
        /// However little is remembered: each line counts as often as the file that leads tells it.
        #[test]
        fn lagging_copies_add_nothing(
            lines in prop::collection::vec(0u8..30, 1..120),
            copies in prop::collection::vec((prop::collection::vec(any::<bool>(), 1..9), 0usize..90), 0..3),
            leader in 0u16..3,
            capacity in prop_oneof![1usize..12, Just(MAX_LINES)],
        ) {
            let mut memory = Memory { capacity, ..Memory::default() };
            let mut counted: HashMap<u8, u32> = HashMap::new();
            for (second, line, source) in reported(&lines, &copies, leader) {
                let message = [line];
                let second = i64::try_from(second).unwrap();
                let unseen = memory.unseen(line.into(), 7, &sighting(&message, source, second, Evidence::Handshake));
                *counted.entry(line).or_default() += unseen;
                prop_assert!(memory.lines.len() <= capacity);
            }
            for line in 0..30 {
                let written = lines.iter().filter(|other| **other == line).count();
                prop_assert_eq!(counted.get(&line).copied().unwrap_or(0) as usize, written, "line {}", line);
            }
        }
    }

    #[test]
    fn files_of_another_writer_and_other_sets_are_in_no_doubt() {
        let mut duplicates = Duplicates::default();
        duplicates.memories.each(|memory| memory.capacity = 2);
        let mut tell = |message: &[u8], source, writer, set| {
            let sighting = sighting(message, source, 0, Evidence::Handshake);
            duplicates.unseen(&Sighting { writer, set, ..sighting })
        };
        for message in [b"a", b"b", b"c"] {
            assert_eq!(tell(message, 0, "/var/log", 0), 1);
        }
        assert_eq!(tell(b"a", 1, "/var/log", 0), 0, "it was forgotten, and may be the same");
        assert_eq!(tell(b"d", 1, "/var/log", 0), 0, "nor can it be told from others that were");
        assert_eq!(tell(b"d", 0, "/var/log", 0), 1);
        assert_eq!(tell(b"e", 2, "/jail/var/log", 0), 1);
        assert_eq!(tell(b"d", 1, "/var/log", 1), 1);
    }

    #[test]
    fn a_doubt_ends_when_no_file_can_tell_the_forgotten_line() {
        let mut memory = Memory { capacity: 2, ..Memory::default() };
        let mut tell = |line: u64, source, second| {
            memory.unseen(line, 7, &sighting(b"", source, second, Evidence::Handshake))
        };
        for line in 0..3 {
            tell(line, 0, 10);
        }
        let max_lag = i64::try_from(MAX_LAG.as_secs()).unwrap();
        assert_eq!(tell(9, 1, 10 + max_lag), 0);
        assert_eq!(tell(9, 1, 11 + max_lag), 1);
        // A clock that was set back is in no doubt for years.
        tell(20, 0, 1_000_000);
        tell(21, 0, 1_000_000);
        tell(22, 0, 0);
        assert_eq!(tell(30, 1, 1), 0);
        assert_eq!(tell(31, 1, 1 + max_lag), 1);
    }

    #[test]
    fn forged_lines_push_out_no_others() {
        let mut duplicates = Duplicates::default();
        assert_eq!(duplicates.unseen(&sighting(b"a mistake", 0, 0, Evidence::Handshake)), 1);
        for n in 0..100_001_u32 {
            duplicates.unseen(&sighting(&n.to_be_bytes(), 1, 0, Evidence::Spoofable));
        }
        assert_eq!(duplicates.unseen(&sighting(b"a mistake", 1, 1, Evidence::Handshake)), 0);
        assert_eq!(duplicates.unseen(&sighting(b"another", 1, 1, Evidence::Handshake)), 1, "no doubt either");
        assert_eq!(duplicates.memories.spoofable.lines.len(), MAX_LINES);
    }
}
