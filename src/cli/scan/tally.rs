//! The results of a scan: offenders, their would-be bans, and offences over time.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::timeline::Timeline;
use crate::address::{self, Prefix};
use crate::engine::{Judgement, Verdict, Why};
use crate::pipeline::{Outcome, OutcomeSink};
use crate::rules::{Effect, Evidence};
use crate::time::Time;

/// The most offenders that are listed, about 150 bytes each; in a log with more, the first ones tell enough.
const MAX_OFFENDERS: usize = 200_000;

/// Of these, the most that are listed on evidence that may be forged, so that such a flood hides no other offender.
const MAX_FORGED: usize = MAX_OFFENDERS / 2;

/// The most would-be bans that are listed for one offender.
const MAX_BANS: usize = 100;

/// Everything a scan reports.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) lines: u64,
    pub(super) matched: u64,
    pub(super) too_long: u64,
    /// Matching lines without a readable timestamp.
    pub(super) undated: u64,
    /// Whether a file could not be read completely.
    pub(super) unread: bool,
    pub(super) first: Option<Time>,
    pub(super) last: Option<Time>,
    pub(super) timeline: Timeline,
    pub(super) offenders: HashMap<(usize, Prefix), Offender, RandomState>,
    /// The number of offenders first seen on evidence that may be forged.
    forged: usize,
    /// Offences, in tenths, of offenders that are not listed.
    pub(super) unlisted: u64,
    pub(super) bans: u64,
    /// Bans that the cap on spoofable evidence prevented.
    pub(super) capped: u64,
}

/// One offender in one rule set.
#[derive(Clone, Debug)]
pub(super) struct Offender {
    /// Offences, in tenths, as rules weigh them.
    pub(super) tenths: u64,
    pub(super) first: Time,
    pub(super) last: Time,
    /// The weakest evidence of its lines.
    pub(super) evidence: Evidence,
    /// The first of its would-be bans.
    pub(super) bans: Vec<WouldBeBan>,
    pub(super) ban_count: u64,
    /// The latest reason why no number of offences would have led to a ban.
    pub(super) spared: Option<Why>,
    /// How close it came to a ban.
    pub(super) nearest: Option<Nearest>,
}

/// The highest count of an offender, relative to its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nearest {
    /// The count, in tenths of an offence.
    pub(super) tenths: u32,
    /// The count that leads to a ban, in tenths of an offence.
    pub(super) threshold: u32,
    /// Whether the threshold was raised because the peer logged in recently.
    pub(super) trusted: bool,
}

/// A ban that the daemon would have imposed.
#[derive(Clone, Copy, Debug)]
pub(super) struct WouldBeBan {
    /// The banned prefix: smaller than the offender if that contains an allowed address.
    pub(super) prefix: Prefix,
    pub(super) at: Time,
    pub(super) until: Option<Time>,
    /// The length of the window whose threshold was reached.
    pub(super) within: Duration,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            lines: 0,
            matched: 0,
            too_long: 0,
            undated: 0,
            unread: false,
            first: None,
            last: None,
            timeline: Timeline::new(),
            offenders: HashMap::default(),
            forged: 0,
            unlisted: 0,
            bans: 0,
            capped: 0,
        }
    }

    fn offence(
        &mut self,
        key: (usize, Prefix),
        time: Time,
        tenths: u64,
        evidence: Evidence,
        verdict: &Verdict,
    ) {
        self.timeline.add(time, tenths);
        let entry = match self.offenders.get_mut(&key) {
            Some(known) => known,
            None => {
                if !self.has_room(evidence) {
                    self.unlisted += tenths;
                    return;
                }
                self.forged += usize::from(evidence == Evidence::Spoofable);
                self.offenders.entry(key).or_insert_with(|| Offender::new(time, evidence))
            }
        };
        entry.tenths += tenths;
        if evidence == Evidence::Spoofable {
            entry.evidence = evidence;
        }
        entry.first = entry.first.min(time);
        entry.last = entry.last.max(time);
        match verdict {
            Verdict::Banned { banned, until, within, .. } => {
                self.bans += 1;
                entry.ban(WouldBeBan { prefix: *banned, at: time, until: *until, within: *within });
            }
            Verdict::Ignored(why @ (Why::Flood(_) | Why::Trusted | Why::Allowed | Why::Unbannable(_))) => {
                self.capped += u64::from(matches!(why, Why::Flood(_)));
                entry.spared = Some(why.clone());
            }
            Verdict::Counted { tenths, threshold, trusted } => {
                entry.came_near(Nearest { tenths: *tenths, threshold: *threshold, trusted: *trusted });
            }
            _ => {}
        }
    }

    fn has_room(&self, evidence: Evidence) -> bool {
        let is_cheap = evidence == Evidence::Spoofable;
        self.offenders.len() < MAX_OFFENDERS && !(is_cheap && self.forged >= MAX_FORGED)
    }

    /// Notes the timestamp of a line at the beginning or end of a log.
    pub(super) fn saw(&mut self, time: Option<Time>) {
        let Some(time) = time else { return };
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = Some(self.last.map_or(time, |last| last.max(time)));
    }

    /// All offenders, those with the most offences first.
    pub(super) fn ranked(&self) -> Vec<(&(usize, Prefix), &Offender)> {
        let mut ranked: Vec<_> = self.offenders.iter().collect();
        ranked.sort_unstable_by_key(|(key, offender)| {
            (std::cmp::Reverse(offender.tenths), offender.first, **key)
        });
        ranked
    }
}

impl OutcomeSink for Tally {
    fn take(&mut self, outcome: &Outcome<'_>) {
        let Judgement { peer, offender, tenths, verdict } = &outcome.judgement;
        let offender = offender.or_else(|| peer.map(address::host));
        let offender = offender.filter(|_| outcome.matched.rule.effect != Effect::Trust);
        if let (Some(offender), Some(time)) = (offender, outcome.time) {
            let key = (outcome.matched.set_index, offender);
            self.offence(key, time, u64::from(*tenths), outcome.evidence, verdict);
        }
    }
}

impl Nearest {
    /// Compares the fractions of the threshold, without a division.
    fn is_behind(self, other: Self) -> bool {
        let part = |of: Self, others: Self| u64::from(of.tenths) * u64::from(others.threshold);
        part(self, other) < part(other, self)
    }
}

impl Offender {
    fn new(time: Time, evidence: Evidence) -> Self {
        Self {
            tenths: 0,
            first: time,
            last: time,
            evidence,
            bans: Vec::new(),
            ban_count: 0,
            spared: None,
            nearest: None,
        }
    }

    /// Whether it can never be banned.
    pub(super) fn is_exempt(&self) -> bool {
        matches!(self.spared, Some(Why::Allowed | Why::Unbannable(_)))
    }

    fn came_near(&mut self, next: Nearest) {
        if self.nearest.is_none_or(|nearest| nearest.is_behind(next)) {
            self.nearest = Some(next);
        }
    }

    fn ban(&mut self, ban: WouldBeBan) {
        self.ban_count += 1;
        if self.bans.len() < MAX_BANS {
            self.bans.push(ban);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn offend(tally: &mut Tally, hosts: impl Iterator<Item = u32>, evidence: Evidence) {
        let counted = Verdict::Counted { tenths: 10, threshold: 50, trusted: false };
        for host in hosts {
            let offender = Prefix::from(IpAddr::from(Ipv4Addr::from(0x0a00_0000 + host)));
            tally.offence((0, offender), Time::from_secs(i64::from(host)), 10, evidence, &counted);
        }
    }

    /// Without a bound, an attacker would determine the size of the map of offenders.
    #[test]
    fn offenders_beyond_the_bound_are_counted_in_sum() {
        let mut tally = Tally::new();
        let most = u32::try_from(MAX_OFFENDERS).unwrap();
        offend(&mut tally, (0..most + 3).chain([0]), Evidence::Handshake);
        assert_eq!((tally.offenders.len(), tally.unlisted), (MAX_OFFENDERS, 30));
        assert_eq!(tally.ranked()[0].1.tenths, 20);
    }

    #[test]
    fn a_flood_of_forged_addresses_hides_no_other_offender() {
        let mut tally = Tally::new();
        let most = u32::try_from(MAX_FORGED).unwrap();
        offend(&mut tally, 0..most + 3, Evidence::Spoofable);
        assert_eq!((tally.offenders.len(), tally.unlisted), (MAX_FORGED, 30));
        offend(&mut tally, most..2 * most + 1, Evidence::Handshake);
        assert_eq!((tally.offenders.len(), tally.unlisted), (MAX_OFFENDERS, 40));
    }
}
