//! The same line in two files: syslogd writes sshd's `error:` lines to auth.log and messages, kernel lines to messages
//! and debug.log. Such a line counts once.

use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;

use super::Sighting;
use crate::time::Time;

/// syslogd holds repeats back for up to ten minutes, in each file on its own.
const APART: Duration = Duration::from_secs(15 * 60);

/// Lines remembered at a time; the longest-unseen leaves first.
const MOST: usize = 16_384;

/// How often a line was read from each source: it happened as often as the source with the most says.
#[derive(Debug)]
pub(super) struct Duplicates {
    lines: LinkedHashMap<u64, Seen, RandomState>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Seen {
    last: Time,
    /// Source, times read from it.
    times: Vec<(u16, u32)>,
}

impl Duplicates {
    pub(super) fn new() -> Self {
        Self { lines: LinkedHashMap::default(), hasher: RandomState::default() }
    }

    /// How many times this line was written of which no other source has told before.
    pub(super) fn unseen(&mut self, sighting: &Sighting<'_>) -> u32 {
        let key = self.hasher.hash_one((sighting.line, sighting.set));
        self.forget_old(sighting.time);
        let seen = self.lines.entry(key).or_insert_with(|| Seen { last: sighting.time, times: Vec::new() });
        seen.last = seen.last.max(sighting.time);
        let unseen = seen.add(sighting.source, sighting.count);
        self.lines.to_back(&key);
        unseen
    }

    fn forget_old(&mut self, now: Time) {
        let old = |seen: &Seen| now.since(seen.last).is_some_and(|age| age > APART);
        while self.lines.len() >= MOST || self.lines.front().is_some_and(|(_, seen)| old(seen)) {
            self.lines.pop_front();
        }
    }
}

impl Seen {
    /// By how much the source now says more than any said before.
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
