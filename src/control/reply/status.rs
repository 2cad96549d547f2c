//! The reply to `status`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::printable::count;
use crate::protection::Gap;
use crate::time::spoken;

/// The daemon's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// The running program's version.
    pub version: String,
    /// The process id of the daemon.
    pub pid: u32,
    /// Whether what decides has root's rights: `separate` or `single`.
    #[serde(default)]
    pub privileges: String,
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
    /// Lines that name an address and that no rule knows, of programs all of whose such lines should be known.
    #[serde(default)]
    pub missed: Vec<MissedStatus>,
    /// The last logins from addresses that one more failure would have banned.
    #[serde(default)]
    pub logins_after_failures: Vec<LoginStatus>,
    /// Why nobody is kept out, the most important reason first; empty where attackers are.
    #[serde(default)]
    pub not_protecting: Vec<Gap>,
}

/// A login from an address that one more failure would have banned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginStatus {
    /// The address.
    pub address: String,
    /// The failures that were counted before.
    pub failures: u32,
    /// The time of the login.
    pub at: String,
    /// The line that tells it.
    pub line: String,
}

/// Lines of a program that name an address and that no rule knows, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissedStatus {
    /// The program.
    pub program: String,
    /// The number of lines.
    pub lines: u64,
    /// What most of them look like, without what differs between them.
    pub shape: String,
    /// How many of them look so.
    pub shape_lines: u64,
}

/// Fewer lines are told in JSON only: sshd names its own address when it starts.
const WORTH_TELLING: u64 = 5;

impl MissedStatus {
    /// Whether there are so many that people should hear of them.
    pub fn is_worth_telling(&self) -> bool {
        self.lines >= WORTH_TELLING
    }

    /// `31 lines of sshd name an address and no rule knows them, 30 like`, and the shape.
    pub fn sentence(&self) -> String {
        let Self { program, lines, shape, shape_lines } = self;
        let (name, them) = if *lines == 1 { ("names", "it") } else { ("name", "them") };
        let counted = count(*lines, "line");
        format!(
            "{counted} of {program} {name} an address and no rule knows {them}, {shape_lines} like: {shape}"
        )
    }
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
