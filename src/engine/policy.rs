//! Settings and policies: the configuration as the engine uses it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{self, Prefix, PrefixSet};
use crate::report::ReportKind;
use crate::rules::{
    AddressFrom, BanLength, BanPolicy, Counts, Effect, Escalate, Evidence, ReportEffect, Reports, Rule,
    RuleSet, Threshold, Thresholds,
};

/// Settings that apply to all rule sets.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// The prefix lengths of offenders.
    pub offender: PrefixLengths,
    /// Wider networks that are banned as a whole.
    pub networks: Networks,
    /// How many offenders are counted at a time, all rule sets together; the least recently seen is evicted first.
    pub tracked_offenders: u32,
    /// How much more is tolerated from addresses with a remembered login.
    pub trust: TrustPolicy,
    /// Caps on bans whose evidence can be forged.
    pub spoofable: SpoofCaps,
    /// Addresses that are never banned.
    pub allow: PrefixSet,
    /// How many files are followed; lines are compared across files only if there are several.
    pub files: usize,
    /// Whether servers report connections, so that lines of logs may be about reported ones.
    pub has_reports: bool,
}

/// The prefix lengths of offenders: the addresses in such a prefix are counted and banned together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLengths {
    /// 8 to 32 bits of an IPv4 address.
    pub ipv4: u8,
    /// 16 to 128 bits of an IPv6 address.
    pub ipv6: u8,
}

/// Networks wider than an offender that are banned as a whole, the narrowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks {
    /// IPv4 networks; none unless configured.
    pub ipv4: Vec<Network>,
    /// IPv6 networks; unless configured, those that one customer may be given.
    pub ipv6: Vec<Network>,
}

/// A size of networks that are banned as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Prefix length.
    pub bits: u8,
    /// The number of offenders that must reach the threshold of the rule set; at least 2.
    pub offenders: u32,
}

/// How much more is tolerated from addresses with a remembered login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    /// How long a login is remembered; zero disables it.
    pub remember: Duration,
    /// Factor on the threshold; at least 1.
    pub multiplier: u32,
}

/// Caps on bans whose evidence can be forged, all rule sets together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoofCaps {
    /// The number of such bans that may be active at a time.
    pub bans_at_once: u32,
    /// The number of such bans that may begin within any minute.
    pub bans_per_minute: u32,
}

/// One rule set as the engine sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Name of the rule set.
    pub name: Arc<str>,
    /// Whether its evidence can be forged.
    pub evidence: Evidence,
    /// The thresholds of its windows.
    pub threshold: Thresholds,
    /// Length and escalation of its bans.
    pub ban: BanPolicy,
    /// Full names of its rules, as in `sshd/failed-password`, and behind them of the kinds of reports that it takes.
    pub names: Arc<[Arc<str>]>,
    /// Its rules, in the order of the names.
    pub rules: Arc<[RulePolicy]>,
}

/// One rule as the engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RulePolicy {
    /// The effect of a match.
    pub effect: Effect,
    /// How much a match counts, in tenths of an offence.
    pub tenths: u32,
    /// Whether lines of one session corroborate each other.
    pub counts: Counts,
    /// Which line names the peer.
    pub address: AddressFrom,
    /// Whether a match ends its session.
    pub ends_session: bool,
}

/// How many offenders are counted unless configured. They take about 150 bytes each: 15 MB when a flood fills the table.
/// Each further offence within the longest window takes 16 bytes: 34 MB if each offender failed eleven times today.
pub const DEFAULT_TRACKED_OFFENDERS: u32 = 100_000;

/// The prefix length of the smallest IPv6 network that a customer is given (RFC 6177).
const CUSTOMER: u8 = 64;

/// The longest ban for a forgeable line of a set whose other lines cannot be forged: the usual length for forgeable sets.
const MAX_FORGEABLE_BAN: Duration = Duration::from_secs(600);

/// The longest ban of a network that holds several offenders.
const MAX_NETWORK_BAN: Duration = Duration::from_secs(24 * 3600);

/// The ban for a forgeable line of a set whose other lines cannot be forged.
pub fn for_forgeable(ban: BanPolicy) -> BanPolicy {
    BanPolicy { length: capped(ban.length, MAX_FORGEABLE_BAN), escalate: None }
}

fn capped(length: BanLength, max: Duration) -> BanLength {
    match length {
        BanLength::For(length) => BanLength::For(length.min(max)),
        BanLength::Forever => BanLength::For(max),
    }
}

/// The policies of all rule sets, by the index of the set.
#[derive(Debug)]
pub(super) struct Policies {
    all: Vec<Policy>,
    /// The policy of each set for its lines that can be forged.
    for_forgeable: Vec<Policy>,
    /// Whether a rule of the set says where a session ends.
    ends_sessions: Vec<bool>,
    /// The policy of each set for networks that hold several offenders.
    of_networks: Vec<Policy>,
    /// The database's names for the counters of forgeable lines; no rule set can have such a name.
    forgeable_counters: Vec<Arc<str>>,
}

impl Policies {
    pub(super) fn new(all: Vec<Policy>) -> Self {
        let ends = |policy: &Policy| policy.rules.iter().any(|rule| rule.ends_session);
        Self {
            for_forgeable: all.iter().map(Policy::for_forgeable).collect(),
            ends_sessions: all.iter().map(ends).collect(),
            of_networks: all.iter().map(Policy::of_networks).collect(),
            forgeable_counters: all.iter().map(Policy::forgeable_counter).collect(),
            all,
        }
    }

    /// The name of the counter that a set uses for this evidence.
    pub(super) fn counter(&self, set: usize, evidence: Evidence) -> Option<&Arc<str>> {
        match evidence {
            Evidence::Handshake | Evidence::Kernel => self.all.get(set).map(|policy| &policy.name),
            Evidence::Spoofable => self.forgeable_counters.get(set),
        }
    }

    /// The set and evidence of a counter, by its name.
    pub(super) fn counted_as(&self, counter: &str) -> Option<(usize, Evidence)> {
        let is_counter = |name: &Arc<str>| **name == *counter;
        if let Some(set) = self.forgeable_counters.iter().position(is_counter) {
            return Some((set, Evidence::Spoofable));
        }
        let set = self.all.iter().position(|policy| is_counter(&policy.name))?;
        Some((set, Evidence::Handshake))
    }

    /// Whether a rule of a set says where a session ends.
    pub(super) fn ends_sessions(&self, set: usize) -> bool {
        self.ends_sessions[set]
    }

    pub(super) fn all(&self) -> &[Policy] {
        &self.all
    }

    /// The policy by which a set bans networks.
    pub(super) fn of_networks(&self, set: usize) -> &Policy {
        &self.of_networks[set]
    }

    /// The policy of a set for lines of this evidence.
    pub(super) fn of(&self, set: usize, evidence: Evidence) -> &Policy {
        match evidence {
            Evidence::Handshake | Evidence::Kernel => &self.all[set],
            Evidence::Spoofable => &self.for_forgeable[set],
        }
    }
}

impl Policy {
    /// The policy of a rule set, with the thresholds and bans that the configuration resolved to.
    pub fn of(set: &RuleSet, threshold: Thresholds, ban: BanPolicy) -> Self {
        let reports = set.reports.map_or(&[][..], |_| &ReportKind::ALL);
        let report_names = reports.iter().map(|kind| Reports::name(&set.name, *kind).into());
        let names = set.rules.iter().map(|rule| set.name_of(rule).into()).chain(report_names).collect();
        let policy = |rule: &Rule| RulePolicy {
            effect: rule.effect,
            tenths: rule.weight.tenths(),
            counts: rule.counts,
            address: rule.address,
            ends_session: rule.ends_session,
        };
        let effects = set.reports.iter().flat_map(|effects| ReportKind::ALL.map(|kind| effects.of(kind)));
        let reports = effects.map(|effect| RulePolicy::of_report(effect, &threshold));
        let rules = set.rules.iter().map(policy).chain(reports).collect();
        Self { name: set.name.as_str().into(), evidence: set.evidence, threshold, ban, names, rules }
    }

    /// This policy for forgeable evidence: bans are short and do not grow.
    fn for_forgeable(&self) -> Self {
        if self.evidence == Evidence::Spoofable {
            return self.clone();
        }
        Self { evidence: Evidence::Spoofable, ban: for_forgeable(self.ban), ..self.clone() }
    }

    /// This policy for networks, which may have other users too: bans do not grow, and last a day at most.
    fn of_networks(&self) -> Self {
        let ban = BanPolicy { length: capped(self.ban.length, MAX_NETWORK_BAN), escalate: None };
        Self { ban, ..self.clone() }
    }

    fn forgeable_counter(&self) -> Arc<str> {
        match self.evidence {
            Evidence::Spoofable => Arc::clone(&self.name),
            Evidence::Handshake | Evidence::Kernel => format!("{} (spoofable)", self.name).into(),
        }
    }

    /// How bans grow; `None` on forgeable evidence, whose address may be a bystander's.
    pub(super) fn escalation(&self) -> Option<Escalate> {
        self.ban.escalate.filter(|_| self.evidence == Evidence::Handshake)
    }
}

impl RulePolicy {
    /// A kind of report: each names its peer, and is an event of its own.
    fn of_report(effect: ReportEffect, threshold: &Thresholds) -> Self {
        Self {
            effect: match effect {
                ReportEffect::Counts(_) | ReportEffect::Ban => Effect::Offence,
                ReportEffect::Trust => Effect::Trust,
                ReportEffect::Ignore => Effect::Ignore,
            },
            tenths: effect.tenths(threshold),
            counts: Counts::Line,
            address: AddressFrom::Line,
            ends_session: false,
        }
    }
}

/// A threshold times a factor, in tenths of an offence.
pub(super) fn needed(threshold: Threshold, factor: u32) -> u32 {
    threshold.offences.saturating_mul(10).saturating_mul(factor)
}

impl PrefixLengths {
    /// The offender that an address belongs to. Addresses made from an IPv4 address (6to4, NAT64 and the like) have no
    /// ordinary networks: only the addresses of one peer may be one offender.
    pub fn prefix(self, address: IpAddr) -> Prefix {
        let bits = match address::peer_bits(address) {
            _ if address.is_ipv4() => self.ipv4,
            // An operator who counts single hosts means it for these too.
            Some(bits) if self.ipv6 > CUSTOMER => bits.max(self.ipv6),
            Some(bits) => bits,
            None => self.ipv6,
        };
        address::network(address, bits)
    }
}

impl Default for PrefixLengths {
    /// One IPv4 host, since a shorter prefix would ban its neighbours; one IPv6 customer's smallest network, since a host
    /// can choose any address in it.
    fn default() -> Self {
        Self { ipv4: 32, ipv6: CUSTOMER }
    }
}

impl Networks {
    /// The networks around an offender, each with its number of offenders.
    ///
    /// There are none around addresses that are made from an IPv4 address, whose neighbours are the whole internet, and
    /// around private addresses, whose neighbours are likely the operator's own.
    pub(super) fn around(&self, offender: &Prefix) -> impl Iterator<Item = (Prefix, u32)> + use<'_> {
        let address = offender.addr();
        let lengths: &[Network] = if address.is_ipv4() { &self.ipv4 } else { &self.ipv6 };
        let is_apart =
            !lengths.is_empty() && (address::peer_bits(address).is_some() || address::is_private(address));
        let lengths = if is_apart { &[] } else { lengths };
        let bits = offender.prefix_len();
        let wider = lengths.iter().filter(move |network| network.bits < bits);
        wider.map(move |network| (address::network(address, network.bits), network.offenders))
    }

    /// Whether a prefix has the length of a network that is banned as a whole.
    pub(super) fn has(&self, prefix: &Prefix) -> bool {
        let lengths = if prefix.addr().is_ipv4() { &self.ipv4 } else { &self.ipv6 };
        lengths.iter().any(|network| network.bits == prefix.prefix_len())
    }
}

impl Default for Networks {
    fn default() -> Self {
        // The other networks that an IPv6 customer may be given: a /56 at home, a /48 at work or from a tunnel broker
        // (RFC 6177). A /48 may also hold many customers of a hosting company, and so takes more offenders.
        let ipv6 = vec![Network { bits: 56, offenders: 4 }, Network { bits: 48, offenders: 16 }];
        Self { ipv4: Vec::new(), ipv6 }
    }
}

impl Default for TrustPolicy {
    /// A user who logs in once a week stays known and may mistype three times as often; a stolen machine behind the same
    /// address is still stopped.
    fn default() -> Self {
        Self { remember: Duration::from_secs(7 * 24 * 3600), multiplier: 3 }
    }
}

impl Default for SpoofCaps {
    /// A real scan comes from few addresses; more bans than these mean that addresses are being forged.
    fn default() -> Self {
        Self { bans_at_once: 100, bans_per_minute: 10 }
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            offender: PrefixLengths::default(),
            networks: Networks::default(),
            tracked_offenders: DEFAULT_TRACKED_OFFENDERS,
            trust: TrustPolicy::default(),
            spoofable: SpoofCaps::default(),
            allow: PrefixSet::default(),
            files: 1,
            has_reports: false,
        }
    }
}
