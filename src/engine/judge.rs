//! From an offence to a verdict: is its offender banned already, how often was it seen recently, and is a ban safe.

use std::net::IpAddr;

use super::network::Share;
use super::policy;
use super::target::Target;
use super::verdict::{Judgement, Verdict, Why};
use super::window::{Fill, Windows};
use super::{Ban, Engine, Sighting};
use crate::address::{self, Prefix};
use crate::rules::{Evidence, Threshold};

/// A network from which enough offenders have offended for a ban.
struct Full {
    network: Prefix,
    seen: Fill,
    /// Its threshold, in tenths of an offence.
    needed: u32,
}

impl Engine {
    pub(super) fn judge(&mut self, sighting: &Sighting<'_>, peer: IpAddr, tenths: u32) -> Judgement {
        if self.unbans.forgives(peer, sighting.time) {
            return Judgement {
                peer: Some(peer),
                offender: None,
                tenths,
                verdict: Verdict::Ignored(Why::Unbanned),
            };
        }
        match self.settings.target(peer, sighting.evidence) {
            Ok(target) => {
                let verdict = self.weigh(sighting, peer, target, tenths);
                Judgement { peer: Some(peer), offender: Some(target.counted), tenths, verdict }
            }
            Err(why) => {
                Judgement { peer: Some(peer), offender: None, tenths, verdict: Verdict::Ignored(why) }
            }
        }
    }

    fn weigh(&mut self, sighting: &Sighting<'_>, peer: IpAddr, target: Target, tenths: u32) -> Verdict {
        let policy = self.policies.of(sighting.set, sighting.evidence);
        let time = sighting.time;
        let trusted = self.is_trusted(peer, time);
        if trusted && policy.evidence == Evidence::Spoofable {
            return Verdict::Ignored(Why::Trusted);
        }
        if let Some(until) = self.bans.owned(&target.banned, &policy.name, time) {
            return Verdict::Ignored(Why::AlreadyBanned { until });
        }
        let patience = self.patience(trusted);
        let counter = (sighting.set, policy.evidence);
        let add = if sighting.is_late { Windows::add_late } else { Windows::add };
        let seen = add(&mut self.windows, counter, target.counted, time, tenths, &policy.threshold);
        let threshold = policy::needed(seen.threshold, patience);
        // The caps on forgeable evidence were checked at the time of newer lines.
        let is_too_late = sighting.is_late && policy.evidence == Evidence::Spoofable;
        let counts_for_networks = policy.evidence == Evidence::Handshake && !trusted && !sighting.is_late;
        let full =
            if counts_for_networks { self.count_networks(sighting, &target, seen, tenths) } else { None };
        if seen.tenths >= threshold && !is_too_late {
            return self.ban_for(sighting, target, seen);
        }
        let banned = full.and_then(|full| self.ban_network(sighting, peer, &target, &full));
        banned.unwrap_or(Verdict::Counted { tenths: seen.tenths, threshold, trusted: patience > 1 })
    }

    /// The factor on the threshold of an address: more than 1 where a login from it is remembered.
    pub(super) fn patience(&self, trusted: bool) -> u32 {
        if trusted { self.settings.trust.multiplier } else { 1 }
    }

    fn ban_for(&mut self, sighting: &Sighting<'_>, target: Target, seen: Fill) -> Verdict {
        let policy = self.policies.of(sighting.set, sighting.evidence);
        let time = sighting.time;
        if policy.evidence == Evidence::Spoofable {
            let banned = self.bans.spoofable_now(time);
            if let Err(flood) = self.spoof.allow(&self.settings.spoofable, banned, time) {
                return Verdict::Ignored(Why::Flood(flood));
            }
        }
        let counter = (sighting.set, policy.evidence);
        if target.is_whole() {
            self.windows.forget(counter, &target.counted);
        } else if !sighting.is_late {
            self.windows.shorten(counter, target.counted, time, policy.threshold.shortest().within);
        }
        banned(self.bans.by_rule(policy, sighting.rule, target.banned, time), seen)
    }

    /// Counts an offence for the networks around its offender, and returns the narrowest of them that is full.
    ///
    /// An offender adds to a network what it adds to its own count until that is full; an offender that was banned within
    /// the longest window has been counted.
    fn count_networks(
        &mut self,
        sighting: &Sighting<'_>,
        target: &Target,
        seen: Fill,
        tenths: u32,
    ) -> Option<Full> {
        let mut networks = self.settings.networks.around(&target.counted).peekable();
        networks.peek()?;
        let thresholds = &self.policies.of(sighting.set, sighting.evidence).threshold;
        let own_threshold = policy::needed(seen.threshold, 1);
        let before = seen.tenths.saturating_sub(tenths).min(own_threshold);
        let share = Share {
            set: sighting.set,
            offender: target.counted,
            time: sighting.time,
            tenths: seen.tenths.min(own_threshold) - before,
        };
        let longest_window = sighting.time.minus(thresholds.reach());
        if share.tenths == 0 || self.bans.ended_after(&share.offender, longest_window) {
            return None;
        }
        let mut full = None;
        for (network, offenders) in networks {
            let seen = self.networks.add(network, &share, thresholds);
            let needed = policy::needed(seen.threshold, offenders);
            if seen.tenths >= needed {
                full.get_or_insert(Full { network, seen, needed });
            }
        }
        full
    }

    /// Bans the narrowest network that holds all offenders of a full one, or the part of it around the peer that holds
    /// no allowed address and none with a remembered login.
    fn ban_network(
        &mut self,
        sighting: &Sighting<'_>,
        peer: IpAddr,
        target: &Target,
        full: &Full,
    ) -> Option<Verdict> {
        let set = sighting.set;
        let time = sighting.time;
        let holding = self.holding(set, full.network, target.counted);
        let trusted = self.trust.inside(&self.settings, &holding, time);
        let is_free = |part: &Prefix| self.settings.refuse(part).is_ok() && !trusted.overlaps(part);
        let part = address::widest_free(&holding, peer, is_free)
            .filter(|part| part.prefix_len() < target.counted.prefix_len());
        if part == Some(full.network) {
            self.networks.forget(set, &full.network);
        } else {
            // Even where no part may be banned: otherwise a neighbour could make the count start over for ever.
            self.networks.banned_in_part(set, full.network, full.needed);
        }
        let policy = self.policies.of_networks(set);
        Some(banned(self.bans.by_rule(policy, sighting.rule, part?, time), full.seen))
    }

    /// The narrowest network that holds all offenders which the set counts or bans inside `network`.
    fn holding(&self, set: usize, network: Prefix, offender: Prefix) -> Prefix {
        self.networks.holding(set, network).unwrap_or_else(|| {
            // Counted before a restart, when the narrowest network was not stored.
            let counted = self.windows.holding((set, Evidence::Handshake), &network);
            let all = counted.into_iter().chain(self.bans.inside(&network));
            all.fold(offender, |all, next| address::holding(&all, &next))
        })
    }
}

fn banned(ban: &Ban, seen: Fill) -> Verdict {
    let Fill { tenths, threshold: Threshold { within, .. } } = seen;
    Verdict::Banned { banned: ban.offender, tenths, within, since: ban.since, until: ban.until, nth: ban.nth }
}
