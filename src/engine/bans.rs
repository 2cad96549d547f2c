//! All bans: who is banned, by which owner, until when, and how often before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use smallvec::smallvec;

use super::ban::{Ban, History, Origin, Owner};
use super::changed::Changed;
use super::lru_journal::LruJournal;
use super::policy::Policy;
use super::row::Row;
use crate::address::{Prefix, PrefixSet, family_and_length};
use crate::rules::{BanLength, Evidence};
use crate::time::Time;

#[derive(Debug)]
pub(super) struct Bans {
    /// Boxed: inserting in sorted order leaves the nodes half empty, which is costly with large values.
    active: BTreeMap<Prefix, Box<Ban>>,
    ends: BTreeSet<(Time, Prefix)>,
    /// The number of active bans of each prefix length, sorted, for finding the bans around an address. There are few
    /// lengths, and they are searched for every line.
    lengths: Vec<((bool, u8), usize)>,
    spoofable: BTreeSet<Prefix>,
    /// Offenders whose bans have ended.
    history: LruJournal<Prefix, History>,
    changed: Changed<Prefix>,
    ended: Ended,
}

/// Bans that ended since the rows were last taken: the end, and the whole ban if no row has reported it yet.
type Ended = BTreeMap<Prefix, (Time, Option<Box<Ban>>)>;

/// Bans that began and ended between two writes are stored whole up to this number; of further ones only the end is.
const MAX_UNREPORTED: usize = 4096;

impl Bans {
    pub(super) fn new(most: usize) -> Self {
        Self {
            active: BTreeMap::new(),
            ends: BTreeSet::new(),
            lengths: Vec::new(),
            spoofable: BTreeSet::new(),
            history: LruJournal::new(most),
            changed: Changed::default(),
            ended: Ended::new(),
        }
    }

    /// The end of the ban on the offender at `now` that this rule set or an operator owns, or that is on a wider network.
    pub(super) fn owned(&self, offender: &Prefix, set: &str, now: Time) -> Option<Option<Time>> {
        if self.active.is_empty() {
            return None;
        }
        let covering = self.covering(offender)?;
        let mine =
            |owner: &&Owner| &*owner.set == set || owner.set.is_empty() || covering.offender != *offender;
        let holds = |owner: &&Owner| owner.until.is_none_or(|until| until > now);
        covering.owners.iter().filter(mine).find(holds).map(|owner| owner.until)
    }

    /// Bans an offender for a rule set. Where others ban it already the rule set becomes one more owner, which may prolong
    /// the ban and never shortens it.
    pub(super) fn by_rule(&mut self, policy: &Policy, rule: usize, offender: Prefix, now: Time) -> &Ban {
        let over = |ban: &Ban| ban.until.is_some_and(|until| until <= now);
        if self.active.get(&offender).is_some_and(|ban| over(ban)) {
            // It has expired and was not collected yet: this is the next ban, not a longer one.
            self.end(&offender, now);
        }
        let active = self.active.get(&offender).filter(|ban| ban.is_earned()).map(|ban| ban.nth);
        let nth = active.unwrap_or_else(|| self.next_nth(policy, &offender, now));
        let owner = Owner { set: policy.name.clone(), until: end(policy, nth, now) };
        let ban = Ban {
            offender,
            until: owner.until,
            owners: smallvec![owner],
            since: now,
            nth,
            reason: Arc::clone(&policy.names[rule]),
            origin: Origin::Rule,
            forced: false,
            spoofable: policy.evidence == Evidence::Spoofable,
        };
        self.join(ban)
    }

    /// Adds a manual or foreign ban. It is numbered like the others, and does not make later ones longer.
    pub(super) fn by_hand(&mut self, ban: Ban) {
        let before = self.history.get(&ban.offender).map_or(0, |history| history.bans);
        self.join(Ban { nth: before.saturating_add(1), ..ban });
    }

    /// The number of active bans whose evidence can be forged.
    pub(super) fn spoofable_now(&self, now: Time) -> usize {
        let over = |prefix: &&Prefix| {
            self.active.get(*prefix).is_some_and(|ban| ban.until.is_some_and(|end| end <= now))
        };
        self.spoofable.len() - self.spoofable.iter().filter(over).count()
    }

    fn next_nth(&self, policy: &Policy, offender: &Prefix, now: Time) -> u32 {
        let Some(escalate) = policy.escalation() else { return 1 };
        let fresh = |history: &&History| now.since(history.last_end).is_none_or(|age| age < escalate.forget);
        self.history.get(offender).filter(fresh).map_or(1, |history| history.bans.saturating_add(1))
    }

    fn join(&mut self, new: Ban) -> &Ban {
        let offender = new.offender;
        let ban = match self.take(&offender) {
            Some(old) => merged(*old, new),
            None => new,
        };
        self.changed.insert(offender);
        self.put(ban)
    }

    pub(super) fn restore(&mut self, ban: Ban) {
        self.take(&ban.offender);
        self.put(ban);
    }

    /// Rebuilds the maps: inserting in the sorted order of the database left their nodes half empty.
    pub(super) fn shrink_to_fit(&mut self) {
        self.active = std::mem::take(&mut self.active).into_iter().collect();
        self.ends = std::mem::take(&mut self.ends).into_iter().collect();
    }

    fn put(&mut self, ban: Ban) -> &Ban {
        let offender = ban.offender;
        self.ends.extend(ban.until.map(|until| (until, offender)));
        match self.lengths.binary_search_by_key(&family_and_length(&offender), |(length, _)| *length) {
            Ok(at) => self.lengths[at].1 += 1,
            Err(at) => self.lengths.insert(at, (family_and_length(&offender), 1)),
        }
        if ban.spoofable {
            self.spoofable.insert(offender);
        }
        self.active.entry(offender).or_insert_with(|| Box::new(ban))
    }

    fn take(&mut self, offender: &Prefix) -> Option<Box<Ban>> {
        let ban = self.active.remove(offender)?;
        if let Some(until) = ban.until {
            self.ends.remove(&(until, *offender));
        }
        if let Ok(at) = self.lengths.binary_search_by_key(&family_and_length(offender), |(length, _)| *length)
        {
            self.lengths[at].1 -= 1;
            self.lengths.retain(|(_, count)| *count > 0);
        }
        self.spoofable.remove(offender);
        Some(ban)
    }

    pub(super) fn expire(&mut self, now: Time) -> Vec<Prefix> {
        // Called for every line.
        if self.next_expiry().is_none_or(|end| end > now) {
            return Vec::new();
        }
        let over: Vec<Prefix> =
            self.ends.iter().take_while(|(end, _)| *end <= now).map(|(_, prefix)| *prefix).collect();
        over.iter().for_each(|prefix| self.end(prefix, now));
        over
    }

    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Ends the bans on `prefix` and on anything inside it.
    pub(super) fn end_inside(&mut self, prefix: &Prefix, now: Time) -> Vec<Prefix> {
        let inside: Vec<Prefix> = self.inside(prefix).collect();
        inside.iter().for_each(|offender| self.end(offender, now));
        inside
    }

    /// Whether a ban of this offender ended after a time.
    pub(super) fn ended_after(&self, offender: &Prefix, time: Time) -> bool {
        self.history.get(offender).is_some_and(|history| history.last_end > time)
    }

    /// The banned prefixes inside a network.
    pub(super) fn inside(&self, network: &Prefix) -> impl Iterator<Item = Prefix> {
        let first = network.trunc();
        // Prefixes are ordered by address: nothing inside the network sorts behind its last host.
        let last = Prefix::new(network.broadcast(), network.max_prefix_len()).unwrap_or(first);
        let range = self.active.range(first..=last).map(|(offender, _)| *offender);
        range.filter(move |offender| first.contains(offender))
    }

    pub(super) fn end_where(&mut self, over: impl Fn(&Ban) -> bool, now: Time) -> Vec<Prefix> {
        let over: Vec<Prefix> =
            self.active.values().filter(|ban| over(ban)).map(|ban| ban.offender).collect();
        over.iter().for_each(|prefix| self.end(prefix, now));
        over
    }

    pub(super) fn end(&mut self, offender: &Prefix, now: Time) {
        let Some(ban) = self.take(offender) else { return };
        if ban.is_earned() {
            // An operator may end a ban early: the time after which it is forgotten counts from then.
            let last_end = ban.until.map_or(now, |until| until.min(now));
            let history = History { bans: ban.nth, last_end };
            *self.history.change(*offender, || history).0 = history;
        }
        if self.changed.is_kept() {
            let is_unreported = self.changed.remove(offender) && self.ended.len() < MAX_UNREPORTED;
            let whole = if is_unreported { Some(ban) } else { None };
            self.ended.insert(*offender, (now, whole));
        }
    }

    pub(super) fn restore_history(&mut self, offender: Prefix, history: History) {
        self.history.restore(offender, history);
    }

    pub(super) fn forget_history(&mut self, prefixes: &PrefixSet) {
        self.history.remove_where(|offender, _| prefixes.overlaps(offender));
    }

    pub(super) fn set_capacity(&mut self, most: usize) {
        self.history.set_capacity(most);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Ban> {
        self.active.values().map(|ban| &**ban)
    }

    pub(super) fn covering(&self, prefix: &Prefix) -> Option<&Ban> {
        let (is_v4, own) = family_and_length(prefix);
        let around = |((v4, length), _): &((bool, u8), usize)| {
            let network = (*v4 == is_v4 && *length <= own).then(|| Prefix::new(prefix.addr(), *length));
            self.active.get(&network?.ok()?.trunc())
        };
        self.lengths.iter().rev().find_map(around).map(|ban| &**ban)
    }

    pub(super) fn keep_no_journal(&mut self) {
        self.changed.keep_none();
        self.ended.clear();
        self.history.keep_no_journal();
    }

    pub(super) fn mark_all_changed(&mut self) {
        self.active.keys().for_each(|offender| self.changed.insert(*offender));
        self.history.mark_all_changed();
    }

    pub(super) fn changes(&mut self, rows: &mut Vec<Row>) {
        for (offender, (at, unreported)) in std::mem::take(&mut self.ended) {
            rows.extend(unreported.map(Row::Ban));
            rows.push(Row::BanEnded { offender, at });
        }
        let changed = self.changed.drain().filter_map(|offender| self.active.get(&offender));
        rows.extend(changed.map(|ban| Row::Ban(ban.clone())));
        self.history
            .changes(|offender, history| rows.push(Row::History { offender, history: history.copied() }));
    }
}

/// The end of the nth ban: `for`, multiplied by the factor for each earlier ban, and at most `max`.
fn end(policy: &Policy, nth: u32, now: Time) -> Option<Time> {
    let BanLength::For(first) = policy.ban.length else { return None };
    let length = policy.escalation().map_or(first, |escalate| {
        let grown =
            first.as_secs_f64() * escalate.factor.max(1.0).powi(i32::try_from(nth - 1).unwrap_or(i32::MAX));
        // Written so that NaN and infinity become the maximum too.
        let most = escalate.max.max(first);
        if grown < most.as_secs_f64() { Duration::from_secs_f64(grown) } else { most }
    });
    Some(now.plus(length))
}

/// Merges two bans of one offender: each owner keeps its own end, the ban ends with the latest and began with the first.
fn merged(old: Ban, new: Ban) -> Ban {
    let mut owners = old.owners;
    for owner in new.owners {
        match owners.iter_mut().find(|known| known.set == owner.set) {
            Some(known) => known.until = later(known.until, owner.until),
            None => owners.push(owner),
        }
    }
    // An operator's own words say more than the name of the rule that was first.
    let reason = if new.origin == Origin::Manual { new.reason } else { old.reason };
    Ban {
        owners,
        until: later(old.until, new.until),
        nth: old.nth.max(new.nth),
        forced: old.forced || new.forced,
        spoofable: old.spoofable && new.spoofable,
        offender: old.offender,
        since: old.since,
        reason,
        origin: old.origin,
    }
}

fn later(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    Some(one?.max(other?))
}
