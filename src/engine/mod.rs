//! The engine: sightings in, verdicts out. It knows no clock and no file; days of attack replay in milliseconds.
//!
//! A [`Sighting`] is checked in this order, and the first check that fails ends it: which peer is it about (`session`),
//! was it counted before (`duplicate`, `session`, `connections`), may this address be banned at all ([`EngineSettings::allow`],
//! unbannable ranges), is it banned already (`bans`), how often was it seen recently (`window`), and is a ban safe
//! (`trust`, `spoof`).

mod ban;
mod bans;
mod by_evidence;
mod changed;
mod connections;
mod duplicate;
mod judge;
mod lru_journal;
mod network;
mod policy;
mod row;
mod session;
mod session_key;
mod spoof;
mod target;
mod tiers;
mod trust;
mod unbans;
mod verdict;
mod window;

use std::net::IpAddr;

pub use ban::{Ban, History, Origin, Owner};
pub use policy::{
    DEFAULT_TRACKED_OFFENDERS, EngineSettings, Network, Networks, Policy, PrefixLengths, RulePolicy,
    SpoofCaps, TrustPolicy, for_forgeable,
};
pub use row::{Offences, Row, SessionState};
pub use session_key::{SessionKey, Speaker};
pub use spoof::Flood;
pub use unbans::UnbanOutcome;
pub use verdict::{BanRefusal, Judgement, Verdict, Why};
pub use window::Counter;

use self::window::Fill;
use crate::address::Prefix;
use crate::rules::{AddressFrom, Counts, Effect, Evidence, ReportEffect};
use crate::time::Time;

/// One offence of the usual weight, in tenths.
const ONE_OFFENCE: u32 = 10;

/// One match, at the time at which it counts.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// When it happened: the arrival time in the daemon; the line's timestamp while catching up and in `scan`.
    pub time: Time,
    /// Whether newer lines were judged before this one. Their verdicts stand.
    pub is_late: bool,
    /// Number of the source it was read from.
    pub source: u16,
    /// The writer of that source. Several files of one writer may hold the same lines.
    pub writer: &'a str,
    /// Index of the rule set's policy.
    pub set: usize,
    /// Index of the rule in its set.
    pub rule: usize,
    /// The address in the line, if it names one for certain.
    pub address: Option<IpAddr>,
    /// The connection the line belongs to; `None` when nothing tells which.
    pub session: Option<SessionKey>,
    /// The identity of this line, without its time: used to recognise it in other sources.
    pub line: Line<'a>,
    /// The evidence of its rule set, lowered to spoofable where the line itself may be forged.
    pub evidence: Evidence,
    /// The peer's port, if the line names it.
    pub port: Option<u16>,
    /// How many times the line was written; more than 1 after "last message repeated".
    pub count: u32,
}

/// The parts of a record that are the same in every file that it was written to; of a report, its sender and its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line<'a> {
    /// The program's tag: `sshd`.
    pub program: Option<&'a [u8]>,
    /// The id of the process that wrote it.
    pub pid: Option<u32>,
    /// The message behind the tag.
    pub message: &'a [u8],
}

/// Everything that is remembered about peers.
#[derive(Debug)]
pub struct Engine {
    settings: EngineSettings,
    policies: policy::Policies,
    sessions: session::Sessions,
    duplicates: duplicate::Duplicates,
    connections: connections::Connections,
    windows: window::Windows,
    networks: network::NetworkCounters,
    trust: trust::Trust,
    bans: bans::Bans,
    unbans: unbans::Unbans,
    spoof: spoof::Spoof,
}

impl Engine {
    /// An engine that has seen no line yet.
    pub fn new(settings: EngineSettings, policies: Vec<Policy>) -> Self {
        let tracked = settings.tracked_offenders as usize;
        Self {
            sessions: session::Sessions::new(),
            duplicates: duplicate::Duplicates::default(),
            connections: connections::Connections::default(),
            windows: window::Windows::new(tracked),
            networks: network::NetworkCounters::new(tracked),
            trust: trust::Trust::new(tracked),
            bans: bans::Bans::new(tracked),
            unbans: unbans::Unbans::new(tracked),
            spoof: spoof::Spoof::default(),
            settings,
            policies: policy::Policies::new(policies),
        }
    }

    /// Judges one match and updates every counter that it touches.
    pub fn observe(&mut self, sighting: &Sighting<'_>) -> Judgement {
        let rule = self.policies.of(sighting.set, sighting.evidence).rules[sighting.rule];
        if sighting.port.is_some() && sighting.evidence == Evidence::Handshake {
            self.connections.learn(sighting);
        }
        let count = match rule.effect {
            Effect::Offence if self.settings.files > 1 && sighting.evidence != Evidence::Kernel => {
                self.duplicates.unseen(sighting)
            }
            _ => sighting.count,
        };
        let due = self.due(sighting, &rule, count);
        if let (Effect::Trust, Some(peer), AddressFrom::Line) = (rule.effect, sighting.address, rule.address)
        {
            return self.trust(sighting, peer).into();
        }
        let why = match due {
            Due::Counts(peer, tenths) => match self.corroborated(sighting, peer, tenths) {
                0 => Why::SameAttempt,
                tenths => return self.judge(sighting, peer, tenths),
            },
            _ if count == 0 => Why::SeenElsewhere,
            Due::Nobody => Why::NoAddress,
            Due::Nothing if rule.effect == Effect::Offence && rule.tenths > 0 => Why::SameAttempt,
            Due::Nothing => Why::Harmless,
        };
        Verdict::Ignored(why).into()
    }

    /// The peer that this line counts for and the tenths that it adds, once its session has learned from it.
    fn due(&mut self, sighting: &Sighting<'_>, rule: &RulePolicy, count: u32) -> Due {
        let counts = rule.effect == Effect::Offence;
        let tenths = if counts { rule.tenths.saturating_mul(count) } else { 0 };
        let Some(key) = sighting.session.filter(|_| rule.counts == Counts::Session) else {
            let peer = sighting.address.filter(|_| rule.address != AddressFrom::Confirmed);
            let is_known = rule.counts == Counts::Summary && self.counted_recently(sighting);
            return Due::new(peer, if is_known { 0 } else { tenths });
        };
        // A peer who chose the end of a line must not decide which peer its process is said to serve.
        let named = sighting.address.filter(|_| rule.address != AddressFrom::Confirmed);
        let ends = self.policies.ends_sessions(sighting.set);
        let Some(session) = self.sessions.of(key, named, ends, sighting.time) else {
            return Due::new(None, tenths);
        };
        if rule.address == AddressFrom::Confirmed && session.peer() != sighting.address {
            return Due::new(None, tenths);
        }
        session.meet(sighting.address);
        session.add(sighting.set, sighting.rule, tenths);
        if rule.ends_session {
            session.end(sighting.time);
        }
        let Some(peer) = session.peer() else { return Due::new(None, tenths) };
        Due::new(Some(peer), session.take_due(sighting.set))
    }

    /// What a sighting adds to what was told of its connection before, by a log or by its server. A report that fills a
    /// window by itself always does.
    fn corroborated(&mut self, sighting: &Sighting<'_>, peer: IpAddr, tenths: u32) -> u32 {
        let thresholds = &self.policies.of(sighting.set, sighting.evidence).threshold;
        let is_ban = sighting.evidence == Evidence::Kernel && tenths >= ReportEffect::Ban.tenths(thresholds);
        if !self.settings.has_reports || sighting.evidence == Evidence::Spoofable || is_ban {
            return tenths;
        }
        self.connections.unheard(sighting, peer, tenths)
    }

    /// Whether the set counted offences of this peer shortly before, which a summary would count a second time.
    fn counted_recently(&self, sighting: &Sighting<'_>) -> bool {
        let target = sighting.address.and_then(|peer| self.settings.target(peer, sighting.evidence).ok());
        let counter = (sighting.set, self.policies.of(sighting.set, sighting.evidence).evidence);
        target.is_some_and(|target| {
            self.windows.counted_within(counter, &target.counted, sighting.time, session::IDLE_TIMEOUT)
        })
    }

    fn trust(&mut self, sighting: &Sighting<'_>, peer: IpAddr) -> Verdict {
        if sighting.evidence == Evidence::Spoofable {
            return Verdict::Ignored(Why::Harmless);
        }
        let failures = self.failures_next_to_a_ban(sighting, peer);
        self.trust.remember(self.settings.offender.prefix(peer), sighting.time);
        Verdict::Trusted { peer, failures }
    }

    /// What was counted against a peer, in tenths, if one offence more would have been a ban.
    fn failures_next_to_a_ban(&self, sighting: &Sighting<'_>, peer: IpAddr) -> u32 {
        let counters = self.counters_of(sighting.set, sighting.evidence, peer, sighting.time).into_iter();
        let next_to_it = counters.filter(|counter| counter.tenths + ONE_OFFENCE >= counter.threshold);
        next_to_it.map(|counter| counter.tenths).max().unwrap_or_default()
    }

    /// Ends the bans that have expired at `now` and returns their prefixes, each once.
    pub fn expire(&mut self, now: Time) -> Vec<Prefix> {
        self.bans.expire(now)
    }

    /// When [`Self::expire`] next has something to do.
    pub fn next_expiry(&self) -> Option<Time> {
        self.bans.next_expiry()
    }

    /// Adds a manual ban, or adopts an entry that somebody else put into the table. A ban without an end is permanent.
    ///
    /// # Errors
    /// If the prefix holds an unbannable address, or an allowed one and `force` is not given.
    pub fn ban(&mut self, ban: Ban, force: bool) -> Result<(), BanRefusal> {
        match self.settings.refuse(&ban.offender) {
            Err(BanRefusal::Allowed) if force => {}
            answer => answer?,
        }
        self.bans.by_hand(ban);
        Ok(())
    }

    /// The active bans, in the order of their prefixes.
    pub fn bans(&self) -> impl Iterator<Item = &Ban> {
        self.bans.iter()
    }

    /// The ban that covers this prefix: on the prefix itself or on a network around it.
    pub fn covering(&self, prefix: &Prefix) -> Option<&Ban> {
        self.bans.covering(prefix)
    }

    /// How full each window of this address's offender is, for every rule set that has seen it.
    pub fn counters(&self, address: IpAddr, now: Time) -> Vec<Counter<'_>> {
        let sets = 0..self.policies().len();
        let kinds = sets.flat_map(|set| [Evidence::Handshake, Evidence::Spoofable].map(|kind| (set, kind)));
        kinds.flat_map(|(set, evidence)| self.counters_of(set, evidence, address, now)).collect()
    }

    fn counters_of(&self, set: usize, evidence: Evidence, address: IpAddr, now: Time) -> Vec<Counter<'_>> {
        let policy = self.policies.of(set, evidence);
        let (Ok(target), Some(name)) =
            (self.settings.target(address, evidence), self.policies.counter(set, evidence))
        else {
            return Vec::new();
        };
        let patience = self.patience(self.is_trusted(address, now));
        let window = |Fill { tenths, threshold }| Counter {
            set: name,
            within: threshold.within,
            tenths,
            threshold: policy::needed(threshold, patience),
        };
        let fills = self.windows.fills((set, evidence), &target.counted, now, &policy.threshold);
        fills.into_iter().map(window).filter(|counter| counter.tenths > 0).collect()
    }

    /// Whether a login from the address is remembered.
    pub fn is_trusted(&self, address: IpAddr, now: Time) -> bool {
        self.trust.holds(&self.settings, self.settings.offender.prefix(address), now)
    }

    /// How many offenders are being counted, and how many were evicted since the start to bound memory.
    pub fn tracked(&self) -> (usize, u64) {
        (self.windows.len(), self.windows.evicted())
    }

    /// Replaces settings and policies. Counters follow their rule set by name. Bans stay, except those on prefixes that
    /// hold a newly allowed address: these end now and are returned.
    pub fn reload(&mut self, settings: EngineSettings, policies: Vec<Policy>, now: Time) -> Vec<Prefix> {
        let renamed: Vec<Option<usize>> = self
            .policies()
            .iter()
            .map(|old| policies.iter().position(|new| new.name == old.name && new.evidence == old.evidence))
            .collect();
        self.windows.rename(&renamed);
        self.networks.rename(&renamed);
        self.connections.rename(&renamed);
        self.sessions.rename(self.policies.all(), &policies);
        self.policies = policy::Policies::new(policies);
        self.settings_changed(settings, now)
    }

    /// Replaces the settings. Bans on prefixes that hold a newly allowed address end now and are returned.
    pub fn settings_changed(&mut self, settings: EngineSettings, now: Time) -> Vec<Prefix> {
        let tracked = settings.tracked_offenders as usize;
        self.windows.set_capacity(tracked);
        self.networks.set_capacity(tracked);
        self.trust.set_capacity(tracked);
        self.bans.set_capacity(tracked);
        self.unbans.set_capacity(tracked);
        self.settings = settings;
        let allowed = |ban: &Ban| !ban.forced && self.settings.refuse(&ban.offender).is_err();
        self.bans.end_where(allowed, now)
    }

    /// The policies in force.
    pub fn policies(&self) -> &[Policy] {
        self.policies.all()
    }

    /// The settings in force.
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Everything that changed since the last call, as rows for the database.
    pub fn changes(&mut self) -> Vec<Row> {
        // Nearly all rows of a flood are these; a vector that grew step by step would take half as much memory again.
        let mut rows = Vec::with_capacity(self.windows.changed() + self.sessions.changed());
        self.bans.changes(&mut rows);
        self.windows.changes(&self.policies, &mut rows);
        self.networks.changes(&self.policies, &mut rows);
        self.trust.changes(&mut rows);
        self.sessions.changes(self.policies.all(), &mut rows);
        self.unbans.changes(&mut rows);
        rows
    }

    /// Stops recording changes: for callers that never ask for [`Self::changes`].
    pub fn keep_no_journal(&mut self) {
        self.bans.keep_no_journal();
        self.windows.keep_no_journal();
        self.networks.keep_no_journal();
        self.trust.keep_no_journal();
        self.sessions.keep_no_journal();
        self.unbans.keep_no_journal();
    }

    /// Marks everything as changed that a new database must hold: bans, their history, and unbans.
    pub fn mark_all_changed(&mut self) {
        self.bans.mark_all_changed();
        self.unbans.mark_all_changed();
    }

    /// Frees memory that restoring the stored rows left unused.
    pub fn shrink_to_fit(&mut self) {
        self.bans.shrink_to_fit();
    }

    /// Takes over a row that an earlier run stored; rows of rule sets that are no longer in force are dropped.
    pub fn restore(&mut self, row: Row) {
        match row {
            Row::Ban(ban) => self.bans.restore(*ban),
            Row::History { offender, history: Some(history) } => self.bans.restore_history(offender, history),
            Row::Window { set, offender, seen } => {
                let Some(counter) = self.policies.counted_as(&set) else { return };
                if self.settings.is_network(&offender) {
                    self.networks.restore(counter, offender, seen);
                } else {
                    self.windows.restore(counter, offender, seen);
                }
            }
            Row::Trust { offender, seen: Some(seen) } => self.trust.restore(offender, seen),
            Row::Session { key, state: Some(state) } => {
                self.sessions.restore(self.policies.all(), key, &state);
            }
            Row::Unban { prefix, at: Some(at) } => self.unbans.restore(prefix, at),
            Row::BanEnded { .. }
            | Row::History { .. }
            | Row::Trust { .. }
            | Row::Session { .. }
            | Row::Unban { .. } => {}
        }
    }
}

/// The effect of a line on the counters.
enum Due {
    /// It adds this many tenths of an offence for this peer.
    Counts(IpAddr, u32),
    /// It would count if its peer were known.
    Nobody,
    /// It adds nothing.
    Nothing,
}

impl Due {
    fn new(peer: Option<IpAddr>, tenths: u32) -> Self {
        if tenths == 0 {
            return Self::Nothing;
        }
        peer.map_or(Self::Nobody, |peer| Self::Counts(peer, tenths))
    }
}

#[cfg(test)]
mod tests;
