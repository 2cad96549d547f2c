//! What the configuration says, in the form in which the engine asks for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{self, Prefix, PrefixSet};
use crate::rules::{
    AddressFrom, BanLength, BanPolicy, Counts, Effect, Escalate, Evidence, Rule, RuleSet, Threshold,
    Thresholds, Weight,
};

/// What holds for all rule sets.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// How wide an offender is.
    pub offender: PrefixLengths,
    /// Which networks wider than that are banned as one.
    pub networks: Networks,
    /// How many offenders are counted at a time in all sets together; the longest-unseen leaves first.
    pub tracked_offenders: u32,
    /// Patience with offenders from which somebody logged in.
    pub trust: TrustPolicy,
    /// The most that forged packets can do.
    pub spoofable: SpoofCaps,
    /// Who is never banned.
    pub allow: PrefixSet,
    /// How many files are followed; lines are compared across files only if there are several.
    pub files: usize,
}

/// The prefix lengths of what is counted and banned as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLengths {
    /// 8 to 32 bits of an IPv4 address.
    pub ipv4: u8,
    /// 16 to 128 bits of an IPv6 address.
    pub ipv6: u8,
}

/// Networks wider than an offender that are banned as one, the narrowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks {
    /// Of IPv4; none unless configured.
    pub ipv4: Vec<Network>,
    /// Of IPv6; those that one customer may be given, unless configured.
    pub ipv6: Vec<Network>,
}

/// A length of networks that are banned as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The length of their prefix.
    pub bits: u8,
    /// How many offenders it takes, as if each filled the threshold of its rule set; 2 at least.
    pub offenders: u32,
}

/// Patience with offenders from which somebody logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    /// How long a login is remembered; zero for not at all.
    pub remember: Duration,
    /// The threshold is this many times the usual one; at least 1.
    pub multiplier: u32,
}

/// Bounds on bans whose evidence may be forged, all rule sets together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoofCaps {
    /// Active bans.
    pub bans_at_once: u32,
    /// New bans in any minute.
    pub bans_per_minute: u32,
}

/// One rule set as the engine sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The set's name.
    pub name: Arc<str>,
    /// What its evidence is worth.
    pub evidence: Evidence,
    /// When offences become a ban.
    pub threshold: Thresholds,
    /// For how long.
    pub ban: BanPolicy,
    /// Its rules by their full names, as in `sshd/failed-password`.
    pub names: Arc<[Arc<str>]>,
    /// One for each rule of the set, in its order.
    pub rules: Arc<[RulePolicy]>,
}

/// One rule as the engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RulePolicy {
    /// What a match does.
    pub effect: Effect,
    /// How much it counts.
    pub weight: Weight,
    /// Whether lines of a session corroborate each other.
    pub counts: Counts,
    /// Where the peer's address comes from.
    pub address: AddressFrom,
    /// Whether it is the last line of its session.
    pub ends_session: bool,
}

/// Offenders that are counted at a time unless configured. About 150 bytes each: 15 MB when a flood fills it. What an
/// offender did before within the longest window is 16 bytes an offence besides: 34 MB where each of them has failed eleven
/// times today.
pub const DEFAULT_TRACKED_OFFENDERS: u32 = 100_000;

/// What one IPv6 customer gets at least, in bits (RFC 6177).
const CUSTOMER: u8 = 64;

/// The longest ban of a set for connections on a line that may be forged: as long as one for forged packets usually is.
const DOUBTFUL_BAN: Duration = Duration::from_secs(600);

/// The longest ban of a network that holds several offenders.
const MAX_NETWORK_BAN: Duration = Duration::from_secs(24 * 3600);

/// The ban on a line that may be forged, in a set whose other lines cannot be.
pub fn doubtful(ban: BanPolicy) -> BanPolicy {
    let length = match ban.length {
        BanLength::For(length) => length.min(DOUBTFUL_BAN),
        BanLength::Forever => DOUBTFUL_BAN,
    };
    BanPolicy { length: BanLength::For(length), escalate: None }
}

/// The policies of all rule sets, by the number of the set.
#[derive(Debug)]
pub(super) struct Policies {
    all: Vec<Policy>,
    /// The same where a line of the set may be forged.
    doubtful: Vec<Policy>,
    /// Whether a rule of the set says where a session ends.
    ends_sessions: Vec<bool>,
    /// The same for bans of networks that hold several offenders.
    of_networks: Vec<Policy>,
    /// What the database calls the counters of lines that may be forged; no rule set can have such a name.
    doubtful_counters: Vec<Arc<str>>,
}

impl Policies {
    pub(super) fn new(all: Vec<Policy>) -> Self {
        let doubtful = all.iter().map(Policy::doubtful).collect();
        let of_networks = all.iter().map(Policy::of_networks).collect();
        let doubtful_counters = all.iter().map(Policy::doubtful_counter).collect();
        let ends = |policy: &Policy| policy.rules.iter().any(|rule| rule.ends_session);
        let ends_sessions = all.iter().map(ends).collect();
        Self { all, doubtful, of_networks, ends_sessions, doubtful_counters }
    }

    /// The name under which offenders are counted by a set on such evidence.
    pub(super) fn counter(&self, set: usize, evidence: Evidence) -> Option<&Arc<str>> {
        match evidence {
            Evidence::Handshake => self.all.get(set).map(|policy| &policy.name),
            Evidence::Spoofable => self.doubtful_counters.get(set),
        }
    }

    /// The set and evidence that are counted under a name.
    pub(super) fn counted_as(&self, counter: &str) -> Option<(usize, Evidence)> {
        let is_counter = |name: &Arc<str>| **name == *counter;
        if let Some(set) = self.doubtful_counters.iter().position(is_counter) {
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

    /// The policy that decides about a line of a set on such evidence.
    pub(super) fn of(&self, set: usize, evidence: Evidence) -> &Policy {
        match evidence {
            Evidence::Handshake => &self.all[set],
            Evidence::Spoofable => &self.doubtful[set],
        }
    }
}

impl Policy {
    /// The policy of a rule set with the numbers that are in force.
    pub fn of(set: &RuleSet, threshold: Thresholds, ban: BanPolicy) -> Self {
        let names = set.rules.iter().map(|rule| set.name_of(rule).into()).collect();
        let policy = |rule: &Rule| RulePolicy {
            effect: rule.effect,
            weight: rule.weight,
            counts: rule.counts,
            address: rule.address,
            ends_session: rule.ends_session,
        };
        let rules = set.rules.iter().map(policy).collect();
        Self { name: set.name.as_str().into(), evidence: set.evidence, threshold, ban, names, rules }
    }

    /// The same policy for evidence that may be forged: bans are short and do not grow.
    fn doubtful(&self) -> Self {
        if self.evidence == Evidence::Spoofable {
            return self.clone();
        }
        Self { evidence: Evidence::Spoofable, ban: doubtful(self.ban), ..self.clone() }
    }

    /// The same policy for networks, where others may live too: bans do not grow, and last a day at the most.
    fn of_networks(&self) -> Self {
        let length = match self.ban.length {
            BanLength::For(length) => length.min(MAX_NETWORK_BAN),
            BanLength::Forever => MAX_NETWORK_BAN,
        };
        Self { ban: BanPolicy { length: BanLength::For(length), escalate: None }, ..self.clone() }
    }

    fn doubtful_counter(&self) -> Arc<str> {
        match self.evidence {
            Evidence::Spoofable => Arc::clone(&self.name),
            Evidence::Handshake => format!("{} (spoofable)", self.name).into(),
        }
    }

    /// How bans grow. Never on evidence that may be forged: the address may be a bystander's.
    pub(super) fn escalation(&self) -> Option<Escalate> {
        self.ban.escalate.filter(|_| self.evidence == Evidence::Handshake)
    }
}

/// What it takes to ban an offender that is given so many times the usual patience, in tenths of an offence.
pub(super) fn needed(threshold: Threshold, patience: u32) -> u32 {
    threshold.offences.saturating_mul(10).saturating_mul(patience)
}

impl PrefixLengths {
    /// The offender that an address belongs to. Addresses made from an IPv4 address have no ordinary networks: only one
    /// peer's may be one offender.
    pub fn prefix(self, address: IpAddr) -> Prefix {
        let bits = match address::peer_bits(address) {
            _ if address.is_ipv4() => self.ipv4,
            // Who counts hosts wants hosts.
            Some(bits) if self.ipv6 > CUSTOMER => bits.max(self.ipv6),
            Some(bits) => bits,
            None => self.ipv6,
        };
        address::network(address, bits)
    }
}

impl Default for PrefixLengths {
    /// One IPv4 host, since a shorter prefix would ban its neighbours; in IPv6 what one customer gets at least, since its
    /// host can choose any address in it.
    fn default() -> Self {
        Self { ipv4: 32, ipv6: CUSTOMER }
    }
}

impl Networks {
    /// The networks around an offender, and how many offenders each takes.
    ///
    /// None around addresses that are made from an IPv4 address, whose neighbours are the internet, and around those
    /// inside a site, whose neighbours are likely one's own.
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

    /// Whether a prefix is of a length that is banned as one.
    pub(super) fn has(&self, prefix: &Prefix) -> bool {
        let lengths = if prefix.addr().is_ipv4() { &self.ipv4 } else { &self.ipv6 };
        lengths.iter().any(|network| network.bits == prefix.prefix_len())
    }
}

impl Default for Networks {
    fn default() -> Self {
        // What an IPv6 customer may be given besides a /64: a /56 at home, a /48 at work or from a tunnel broker
        // (RFC 6177). A /48 may also hold many customers of a hosting company, and so takes more.
        let ipv6 = vec![Network { bits: 56, offenders: 4 }, Network { bits: 48, offenders: 16 }];
        Self { ipv4: Vec::new(), ipv6 }
    }
}

impl Default for TrustPolicy {
    /// A user who logs in once a week stays known. Three bad days of typing in one window are forgiven; a stolen machine
    /// behind the same address is still stopped.
    fn default() -> Self {
        Self { remember: Duration::from_secs(7 * 24 * 3600), multiplier: 3 }
    }
}

impl Default for SpoofCaps {
    /// With more bans than these, somebody forges addresses: a real scan comes from a few.
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
        }
    }
}
