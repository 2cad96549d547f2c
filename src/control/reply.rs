//! Replies of the daemon. Their keys are part of the command line's `--json`: keys may be added, never changed.
//!
//! Times are RFC 3339 with offset, as strings, in the daemon's zone; the daemon fills them in. Texts may contain what an
//! attacker wrote into a log (lines, user names): make them printable before you show them to people.

mod status;

use std::fmt;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use self::status::{
    Counters, DaemonStatus, LoginStatus, MissedStatus, ReportSourceStatus, RuleSetStatus, SourceStatus,
    TableStatus,
};
use super::text;
use crate::address::Prefix;
use crate::engine::{Ban, Origin};

/// An answer, or the reason why there is none.
pub type Reply = Result<Answer, Refusal>;

/// An answer; its variant follows from the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To `ping`: the daemon runs.
    Pong,
    /// To `status`.
    Status(Box<DaemonStatus>),
    /// To `bans`: all active bans.
    Bans(Vec<BanEntry>),
    /// To `why`.
    Why(Box<AddressReport>),
    /// To `ban`.
    Banned(Banned),
    /// To `unban`.
    Unbanned(Unbanned),
    /// To `reload`.
    Reloaded(Reloaded),
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// The kind of refusal, for programs.
    pub code: Code,
    /// A sentence for people.
    pub text: String,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: Code, text: impl fmt::Display) -> Self {
        Self { code, text: text.to_string() }
    }
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Not a request of this protocol.
    Protocol,
    /// Another version of the protocol.
    Version,
    /// More bytes than a request may have.
    TooLarge,
    /// The user lacks the right.
    Permission,
    /// The daemon had no time for it, or has too many connections.
    Busy,
    /// The configuration has errors; the running one stays in force.
    Config,
    /// The request was understood and declined: the sentence says why.
    Refused,
    /// The attempt failed: the sentence says why.
    Failed,
    /// A kind that this program is too old to know.
    #[serde(other)]
    Unknown,
}

/// An active ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanEntry {
    /// The prefix that is banned.
    #[serde(with = "text::prefix")]
    pub offender: Prefix,
    /// The rule sets that imposed the ban; empty for a ban by hand.
    pub rule_sets: Vec<String>,
    /// The time at which the ban began.
    pub since: String,
    /// The time at which it ends; `None` for never.
    pub until: Option<String>,
    /// The number of bans of this offender so far, this one included.
    pub nth: u32,
    /// The rule, or the operator's reason.
    pub reason: String,
    /// Whether a rule, an operator or another program imposed it.
    pub origin: Origin,
}

impl BanEntry {
    /// Describes a ban of the engine, with its times in this time zone.
    pub fn new(ban: &Ban, zone: &TimeZone) -> Self {
        let sets = ban.owners.iter().map(|owner| owner.set.to_string());
        Self {
            offender: ban.offender,
            rule_sets: sets.filter(|set| !set.is_empty()).collect(),
            since: ban.since.rfc3339(zone),
            until: ban.until.map(|until| until.rfc3339(zone)),
            nth: ban.nth,
            reason: ban.reason.to_string(),
            origin: ban.origin,
        }
    }
}

/// The daemon's knowledge about an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressReport {
    /// The address or network of the request.
    #[serde(with = "text::prefix")]
    pub address: Prefix,
    /// The active ban that includes it.
    pub ban: Option<BanEntry>,
    /// Whether it is on the allow list, or contains an address that is.
    pub allowed: bool,
    /// Whether it logged in recently.
    pub trusted: bool,
    /// The counters that are not zero: how close the address is to a ban.
    pub windows: Vec<Window>,
    /// The bans on record, the newest first.
    pub history: Vec<PastBan>,
    /// The reason why the history is unavailable, if it is.
    pub problem: Option<String>,
}

/// How close an offender is to a ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The rule set that counts.
    pub rule_set: String,
    /// The current count, in tenths of an offence.
    pub tenths: u32,
    /// The count that leads to a ban, in tenths of an offence.
    pub threshold: u32,
    /// The length of the window in seconds; a rule set may have several.
    pub within: u64,
}

/// A past or active ban, with the lines that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastBan {
    /// The ban as it was imposed.
    pub ban: BanEntry,
    /// The time at which it ended; `None` while it is active.
    pub ended: Option<String>,
    /// The lines that led to it, the oldest first; at most 10.
    pub lines: Vec<LoggedLine>,
}

/// A line that led to a ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedLine {
    /// The time at which the line was counted.
    pub at: String,
    /// The source's name.
    pub source: String,
    /// The text of the line; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// The result of `ban`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Banned {
    /// The prefixes that are banned now, at least until `until`.
    #[serde(with = "text::prefixes")]
    pub banned: Vec<Prefix>,
    /// The end of the ban; `None` for never.
    pub until: Option<String>,
    /// Those among them whose earlier ban lasts longer.
    pub longer: Vec<LongerBan>,
    /// The prefixes that were not banned.
    pub refused: Vec<RefusedBan>,
    /// The state of the change in the database.
    #[serde(flatten)]
    pub kept: StoreEffect,
    /// The state of the change in the firewall.
    pub firewall: FirewallEffect,
}

/// A prefix whose ban ends later than requested, because of a rule set or an earlier ban by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongerBan {
    /// The prefix that the operator named.
    #[serde(with = "text::prefix")]
    pub prefix: Prefix,
    /// The end of the ban; `None` for never.
    pub until: Option<String>,
}

/// A prefix that was not banned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedBan {
    /// The prefix that the operator named.
    #[serde(with = "text::prefix")]
    pub prefix: Prefix,
    /// The reason, as the end of a sentence that begins "not banned, since".
    pub why: String,
}

/// The result of `unban`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbanned {
    /// The bans that ended.
    #[serde(with = "text::prefixes")]
    pub unbanned: Vec<Prefix>,
    /// Prefixes that were not banned; their counters are forgotten nevertheless.
    #[serde(with = "text::prefixes")]
    pub not_banned: Vec<Prefix>,
    /// The state of the change in the database.
    #[serde(flatten)]
    pub kept: StoreEffect,
    /// The state of the change in the firewall.
    pub firewall: FirewallEffect,
}

/// The state of a change in the database at the time of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreEffect {
    /// Whether it is stored. Otherwise the change is in force and will be stored as soon as possible; a crash before then
    /// loses it.
    pub stored: bool,
    /// The reason why the change is not stored yet.
    pub problem: Option<String>,
}

/// The state of a change in the firewall at the time of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallEffect {
    /// The backend's name.
    pub backend: String,
    /// Whether the table is as it should be.
    pub done: bool,
    /// Changes that are still to be made; the daemon keeps trying.
    pub pending: u64,
    /// The error of the firewall, if there was one.
    pub problem: Option<String>,
    /// Reasons why the table blocks nobody although it is as it should be: pf is off, no rule uses it.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// The result of `reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The rule sets in force now.
    pub rule_sets: Vec<String>,
    /// The sources followed now.
    pub sources: Vec<String>,
    /// Prefixes whose bans ended because they are allowed now.
    #[serde(with = "text::prefixes")]
    pub freed: Vec<Prefix>,
    /// Warnings about the configuration, as sentences.
    pub warnings: Vec<String>,
}
