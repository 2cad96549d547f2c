//! What the daemon answers. The keys are part of the command line's `--json`: more may be added, these stay.
//!
//! Times are RFC 3339 with offset, as strings, in the daemon's zone; the daemon fills them in. Texts may hold what an
//! attacker wrote into a log (lines, user names): whoever prints them for people has to make them printable first.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::text;
use crate::address::Prefix;
use crate::engine::{Ban, Origin};
use crate::time::spoken;

/// An answer, or why there is none.
pub type Reply = Result<Answer, Refusal>;

/// An answer; which one follows from the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To `ping`: somebody is there.
    Pong,
    /// To `status`.
    Status(Box<DaemonStatus>),
    /// To `bans`: all active ones.
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
    /// Not for this user.
    Permission,
    /// The daemon did not come to it in time, or has too many connections.
    Busy,
    /// The configuration has errors, and the running one stays.
    Config,
    /// Understood and not done: the sentence says why.
    Refused,
    /// Tried, and failed: the sentence says why.
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
    /// When configuration and rules were last read.
    pub loaded: String,
    /// The configuration file that was read; `None` for the built-in defaults.
    pub config: Option<String>,
    /// The followed logs.
    pub sources: Vec<SourceStatus>,
    /// The rule sets in force.
    pub rule_sets: Vec<RuleSetStatus>,
    /// What was counted since the start.
    pub counters: Counters,
    /// The table.
    pub firewall: TableStatus,
    /// What does not work, as sentences; empty when all is well.
    pub problems: Vec<String>,
}

/// A followed log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name in the configuration.
    pub name: String,
    /// The path or glob of the source.
    pub path: String,
    /// The files that are open at present.
    pub files: Vec<String>,
    /// Lines read since the start.
    pub lines: u64,
    /// Lines that matched a rule.
    pub matches: u64,
    /// Lines that matched and say no time that is read: none of them counts after a restart.
    #[serde(default)]
    pub undated: u64,
    /// By how many minutes its stamps are behind the clock, where that is another zone; negative where they are ahead.
    #[serde(default)]
    pub stamps_behind: Option<i64>,
    /// Lines dropped since they were too long.
    pub too_long: u64,
    /// When the last line came; `None` for never.
    pub last_line: Option<String>,
    /// When the last match came: long silence may mean that a program changed its messages.
    pub last_match: Option<String>,
    /// What is wrong with it at present.
    pub problem: Option<String>,
}

impl SourceStatus {
    /// `1h behind` or `9h ahead of`, what its stamps are of the clock, where they are of another zone.
    pub fn span_of_stamps(&self) -> Option<String> {
        let minutes = self.stamps_behind?;
        let span = spoken(Duration::from_secs(minutes.unsigned_abs().saturating_mul(60)));
        Some(format!("{span} {}", if minutes < 0 { "ahead of" } else { "behind" }))
    }
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
    /// When the last match came; `None` for never.
    pub last_match: Option<String>,
}

/// What was counted since the start, but for what is counted at present.
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
    /// Bans at present.
    pub active: u64,
    /// Offenders with counters at present.
    pub tracked: u64,
    /// Offenders whose counters were dropped for want of room.
    pub evicted: u64,
    /// Bans that were not made on evidence that may be forged.
    pub spared: u64,
}

/// The table, compared with the bans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStatus {
    /// The backend's name.
    pub backend: String,
    /// Whether the table held what it should when it was last looked at, and everything since then was done.
    pub in_step: bool,
    /// How many prefixes should be in the table.
    pub entries: u64,
    /// Changes not done yet.
    pub pending: u64,
    /// Changes that the firewall refused; they are tried again.
    pub set_aside: u64,
    /// Entries of others that the last comparison saw.
    pub foreign: u64,
    /// Entries that are none that Portcullis could have written; they are left alone.
    #[serde(default)]
    pub strange: u64,
    /// How many entries the table held at the last comparison; `None` where that is not known.
    #[serde(default)]
    pub listed: Option<u64>,
    /// When the table was last compared; `None` for never.
    pub compared: Option<String>,
    /// What the operator should know about the set-up, as sentences.
    pub warnings: Vec<String>,
    /// What does not work at present.
    pub problem: Option<String>,
}

/// An active ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanEntry {
    /// The prefix that is banned.
    #[serde(with = "text::prefix")]
    pub offender: Prefix,
    /// The rule sets that want it banned; empty for a ban by hand.
    pub rule_sets: Vec<String>,
    /// The time at which the ban began.
    pub since: String,
    /// When it ends; `None` for never.
    pub until: Option<String>,
    /// How many bans this offender has had, this one included.
    pub nth: u32,
    /// The rule, or what the operator said.
    pub reason: String,
    /// Offences, an operator, or somebody else.
    pub origin: Origin,
}

impl BanEntry {
    /// A ban of the engine, with its times in this zone.
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

/// What the daemon knows about an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressReport {
    /// The address or network that was asked for.
    #[serde(with = "text::prefix")]
    pub address: Prefix,
    /// The active ban that it is in.
    pub ban: Option<BanEntry>,
    /// Whether it is on the allow list, or holds an address that is.
    pub allowed: bool,
    /// Whether it logged in of late.
    pub trusted: bool,
    /// The counters that are not empty: how near the address is to a ban.
    pub windows: Vec<Window>,
    /// The bans that are known, the newest first.
    pub history: Vec<PastBan>,
    /// Why they are not known for now.
    pub problem: Option<String>,
}

/// How near an offender is to a ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The rule set that counts.
    pub rule_set: String,
    /// What it counted, in tenths of an offence.
    pub tenths: u32,
    /// What a ban takes, in tenths of an offence.
    pub threshold: u32,
    /// How long the window is, in seconds; a rule set may have several.
    pub within: u64,
}

/// A ban of the past or present, with what led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastBan {
    /// The ban as it was made.
    pub ban: BanEntry,
    /// When it ended; `None` while it lasts.
    pub ended: Option<String>,
    /// The lines that led to it, the oldest first; bounded.
    pub lines: Vec<LoggedLine>,
}

/// A line that led to a ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedLine {
    /// The time at which the line was counted.
    pub at: String,
    /// The source's name.
    pub source: String,
    /// The line itself, as far as it is UTF-8.
    pub text: String,
}

/// The result of `ban`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Banned {
    /// Who is banned now, at least until then.
    #[serde(with = "text::prefixes")]
    pub banned: Vec<Prefix>,
    /// The end of the ban; `None` for never.
    pub until: Option<String>,
    /// Who of them stays banned longer, having been so before.
    pub longer: Vec<LongerBan>,
    /// The prefixes that were not banned.
    pub refused: Vec<RefusedBan>,
    /// The state of the change in the database.
    #[serde(flatten)]
    pub kept: StoreEffect,
    /// The state of the change in the firewall.
    pub firewall: FirewallEffect,
}

/// A prefix whose ban ends later than asked for: others want it, or an earlier ban by hand.
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
    /// A sentence: why it was not banned.
    pub why: String,
}

/// The result of `unban`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbanned {
    /// The bans that ended.
    #[serde(with = "text::prefixes")]
    pub unbanned: Vec<Prefix>,
    /// What the operator named and nobody had banned; its counters are forgotten nevertheless.
    #[serde(with = "text::prefixes")]
    pub not_banned: Vec<Prefix>,
    /// The state of the change in the database.
    #[serde(flatten)]
    pub kept: StoreEffect,
    /// The state of the change in the firewall.
    pub firewall: FirewallEffect,
}

/// What became of a change in the database by the time of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreEffect {
    /// Whether it is there. Otherwise the change is in force and written as soon as it can be; a crash before loses it.
    pub stored: bool,
    /// Why the change is not stored yet.
    pub problem: Option<String>,
}

/// What became of a change in the firewall by the time of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallEffect {
    /// The backend's name.
    pub backend: String,
    /// Whether the table is as wanted.
    pub done: bool,
    /// Changes not done yet; they follow by themselves.
    pub pending: u64,
    /// The error of the firewall, if there was one.
    pub problem: Option<String>,
    /// Why the table blocks nobody, though it is as wanted: pf is off, no rule uses it.
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
    /// Who was freed, being allowed now.
    #[serde(with = "text::prefixes")]
    pub freed: Vec<Prefix>,
    /// Remarks on the configuration.
    pub warnings: Vec<String>,
}
