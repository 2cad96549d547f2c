//! Replies of the daemon. Their keys are part of the command line's `--json`: keys may be added, never changed.
//!
//! Times are RFC 3339 with offset, as strings, in the daemon's zone; the daemon fills them in. Texts may contain what an
//! attacker wrote into a log (lines, user names): make them printable before you show them to people.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::text;
use crate::address::Prefix;
use crate::engine::{Ban, Origin};
use crate::protection::Gap;
use crate::time::spoken;

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

/// The daemon's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// The running program's version.
    pub version: String,
    /// The process id of the daemon.
    pub pid: u32,
    /// The time at which the daemon started.
    pub since: String,
    /// The time at which configuration and rules were last read.
    pub loaded: String,
    /// The configuration file that was read; `None` for the built-in defaults.
    pub config: Option<String>,
    /// The followed logs.
    pub sources: Vec<SourceStatus>,
    /// The sockets at which servers report their connections.
    #[serde(default)]
    pub report_sources: Vec<ReportSourceStatus>,
    /// The rule sets in force.
    pub rule_sets: Vec<RuleSetStatus>,
    /// The counters since the start.
    pub counters: Counters,
    /// The state of the firewall's table.
    pub firewall: TableStatus,
    /// The current problems, as sentences; empty when all is well.
    pub problems: Vec<String>,
    /// Why nobody is kept out, the most important reason first; empty where attackers are.
    #[serde(default)]
    pub not_protecting: Vec<Gap>,
}

/// A followed log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// The name of the source in the configuration.
    pub name: String,
    /// The path or glob of the source.
    pub path: String,
    /// The files that are open at present.
    pub files: Vec<String>,
    /// Lines read since the start.
    pub lines: u64,
    /// Lines that matched a rule.
    pub matches: u64,
    /// Matching lines without a readable timestamp: none of them counts after a restart.
    #[serde(default)]
    pub undated: u64,
    /// The offset, in minutes, by which the timestamps are behind the clock if they are of another time zone; negative if
    /// they are ahead.
    #[serde(default)]
    pub stamps_behind: Option<i64>,
    /// Lines dropped because they were too long.
    pub too_long: u64,
    /// The time of the last line; `None` if there was none.
    pub last_line: Option<String>,
    /// The time of the last match. Long silence may mean that a program changed its messages.
    pub last_match: Option<String>,
    /// The current problem with the source.
    pub problem: Option<String>,
}

impl SourceStatus {
    /// How far the timestamps are from the clock if they are of another time zone: `1h behind`, `9h ahead of`.
    pub fn span_of_stamps(&self) -> Option<String> {
        let minutes = self.stamps_behind?;
        let span = spoken(Duration::from_secs(minutes.unsigned_abs().saturating_mul(60)));
        Some(format!("{span} {}", if minutes < 0 { "ahead of" } else { "behind" }))
    }
}

/// A socket at which servers report their connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSourceStatus {
    /// The name of the source in the configuration.
    pub name: String,
    /// The path of the socket.
    pub socket: String,
    /// The services: local ports and rule sets, as in `22: sshd`.
    pub services: Vec<String>,
    /// Reports taken since the start.
    pub reports: u64,
    /// Reports that were refused, malformed or lost since the start.
    pub refused: u64,
    /// Those among them whose peer had reset the connection, so that nothing named it any more.
    pub reset: u64,
    /// The time of the last report; `None` if there was none.
    pub last_report: Option<String>,
}

/// A rule set in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSetStatus {
    /// The name of the rule set.
    pub name: String,
    /// Matches since the start.
    pub matches: u64,
    /// Bans since the start.
    pub bans: u64,
    /// The time of the last match; `None` if there was none.
    pub last_match: Option<String>,
}

/// Counters since the start; `active` and `tracked` are current numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Lines read.
    pub lines: u64,
    /// Lines that matched a rule.
    pub matches: u64,
    /// Offences: matches that counted.
    pub offences: u64,
    /// Bans, by rules and by hand.
    pub bans: u64,
    /// Bans that ended or were ended.
    pub unbans: u64,
    /// Current bans.
    pub active: u64,
    /// Offenders that currently have counters.
    pub tracked: u64,
    /// Offenders whose counters were dropped because the table of counters was full.
    pub evicted: u64,
    /// Bans that were not imposed because the evidence may be forged.
    pub spared: u64,
}

/// The state of the firewall's table compared with the bans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStatus {
    /// The backend's name.
    pub backend: String,
    /// Whether the last comparison found the table as it should be, and all changes since then were made.
    pub in_step: bool,
    /// The number of prefixes that should be in the table.
    pub entries: u64,
    /// Changes that are still to be made.
    pub pending: u64,
    /// Changes that the firewall refused; they are tried again.
    pub set_aside: u64,
    /// Entries of others that the last comparison found.
    pub foreign: u64,
    /// Entries that Portcullis could not have written; they are left alone.
    #[serde(default)]
    pub strange: u64,
    /// The number of entries at the last comparison; `None` if unknown.
    #[serde(default)]
    pub listed: Option<u64>,
    /// The time of the last comparison; `None` if there was none.
    pub compared: Option<String>,
    /// Warnings about the setup, as sentences.
    pub warnings: Vec<String>,
    /// The current problem.
    pub problem: Option<String>,
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
