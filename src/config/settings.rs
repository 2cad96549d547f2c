//! The configuration as plain values. Its `Default` is what holds with no file at all.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::defaults;
use crate::address::Prefix;
use crate::engine::{DEFAULT_TRACKED_OFFENDERS, Networks, PrefixLengths, SpoofCaps, TrustPolicy};
use crate::record::{Layouts, TimeSpec};
use crate::rules::{BanLength, BanPolicy, Escalate, Thresholds};
use crate::settings::{BlocklistSettings, FirewallSettings, JOURNAL};

/// Everything that the configuration says, with the defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The logs that are followed; at least one, or one of `blocklists`.
    pub sources: Vec<SourceSettings>,
    /// The sockets at which servers report their connections.
    pub blocklists: Vec<BlocklistSettings>,
    /// The directory of custom rule sets.
    pub rules_dir: PathBuf,
    /// The names of the sets in force; `None` for the shipped defaults and all custom ones.
    pub rule_sets: Option<Vec<String>>,
    /// Threshold and ban of sets that state none.
    pub defaults: SetDefaults,
    /// Changes to single sets.
    pub overrides: Vec<Override>,
    /// The networks that are never banned.
    pub allow: Allow,
    /// How much longer offenders are tolerated after somebody logged in from them.
    pub trust: TrustPolicy,
    /// How many bans there may be on evidence that can be forged.
    pub spoofable: SpoofCaps,
    /// The prefix lengths that are counted and banned as one offender.
    pub offender: PrefixLengths,
    /// Wider networks that are counted and banned as well; the narrowest first.
    pub networks: Networks,
    /// The number of offenders whose counters are kept; beyond it, the least recently seen one is dropped.
    pub tracked_offenders: u32,
    /// The firewall backend and its table.
    pub firewall: FirewallSettings,
    /// How many processes the daemon of root is.
    pub privileges: Privilege,
    /// The most additions to the table in a minute, where two processes run.
    pub max_additions: u32,
    /// The path of the state database.
    pub state: PathBuf,
    /// The control socket and who may use it.
    pub control: Control,
    /// Where the program logs to, and from which level on.
    pub log: LogSettings,
    /// How long ended bans and the lines behind them are kept.
    pub history: Duration,
    /// Whether the table is emptied when the daemon stops; that opens the gate.
    pub flush_on_exit: bool,
}

/// How many processes the daemon is, where root starts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Privilege {
    /// Two: one with root's rights, and one that decides and has none.
    #[default]
    Separate,
    /// One, with all of root's rights.
    Single,
}

/// A followed log, as the configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSettings {
    /// A short name: `auth`.
    pub name: String,
    /// An absolute path, a glob, `-` for standard input, or `journal` for the systemd journal.
    pub path: String,
    /// What is read of the systemd journal, where that is the source.
    pub journal: Option<JournalSettings>,
    /// How the program learns that something was appended.
    pub follow: Follow,
    /// The absolute directory of rotated files, where they are not beside the log (`newsyslog -a`).
    pub archive: Option<PathBuf>,
    /// The rule sets that are asked about its lines, and no others; `None` for those that look at any log of syslog's.
    pub rule_sets: Option<Vec<String>>,
    /// The layouts that are tried on its lines.
    pub layout: Layouts,
    /// The timestamp format of its lines; `None` for that of the rule set, or one of the known formats.
    pub time: Option<TimeSpec>,
    /// The time zone of timestamps that name none; `None` for this machine's.
    pub zone: Option<TimeZone>,
    /// A name for whoever writes the log, chosen by the operator; `None` for the log's directory.
    pub writer: Option<String>,
}

impl SourceSettings {
    /// A log at a path, with the defaults for everything else.
    pub fn at(name: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            journal: None,
            follow: Follow::Auto,
            archive: None,
            rule_sets: None,
            layout: Layouts::Syslog,
            time: None,
            zone: None,
            writer: None,
        }
    }
}

impl SourceSettings {
    /// The systemd journal, with the lines of these programs.
    pub fn of_journal(name: impl Into<String>, journal: JournalSettings) -> Self {
        Self { journal: Some(journal), ..Self::at(name, JOURNAL) }
    }

    /// Whether it is a file, or a pattern for files.
    pub fn is_file(&self) -> bool {
        self.journal.is_none() && self.path != "-"
    }
}

/// What is read of the systemd journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// The programs whose rule sets are asked; `None` for all that a rule set in force knows.
    pub programs: Option<Vec<String>>,
    /// The absolute path of journalctl.
    pub tool: PathBuf,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self { programs: None, tool: defaults::JOURNALCTL.into() }
    }
}

/// How the program learns that a file grew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follow {
    /// By file events of the system, and a look once a second.
    #[default]
    Auto,
    /// By a look once a second alone: for network file systems, which send no events.
    Poll,
}

/// Threshold and ban of sets that state none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SetDefaults {
    /// The offences that it takes to be banned, and within which time.
    pub threshold: Thresholds,
    /// The length of a ban, and how it grows.
    pub ban: BanPolicy,
}

/// Changes to one shipped or custom set.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The name of the set.
    pub rule_set: String,
    /// Replaces the threshold of the set.
    pub threshold: Option<Thresholds>,
    /// Changes the ban of the set.
    pub ban: BanOverride,
    /// The ids of rules to switch on.
    pub enable: Vec<String>,
    /// The ids of rules to switch off.
    pub disable: Vec<String>,
}

/// Changes to the ban of one set; what is not named stays as the set has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BanOverride {
    /// The length of the first ban.
    pub length: Option<BanLength>,
    /// How it grows; `Some(None)` for not at all.
    pub escalate: Option<Option<Escalate>>,
}

impl BanOverride {
    /// The ban with these changes. One for ever cannot grow.
    pub fn applied_to(self, ban: BanPolicy) -> BanPolicy {
        let length = self.length.unwrap_or(ban.length);
        let escalate = self.escalate.unwrap_or(ban.escalate).filter(|_| length != BanLength::Forever);
        BanPolicy { length, escalate }
    }

    /// Whether nothing is changed.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// Who is never banned, in addition to addresses that can never be a peer's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allow {
    /// The allowed networks, including those of `files` once these are read.
    pub networks: Vec<Prefix>,
    /// Files with one network per line.
    pub files: Vec<PathBuf>,
    /// Whether this machine's own addresses are allowed.
    pub own_addresses: bool,
    /// Whether the default gateways are allowed.
    pub gateways: bool,
    /// Whether the name servers of resolv.conf(5) are allowed.
    pub resolvers: bool,
}

/// The control socket and who may use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The absolute path of the socket.
    pub socket: PathBuf,
    /// A group whose members may query the daemon but change nothing.
    pub group: Option<String>,
}

/// Where the program logs to, and from which level on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSettings {
    /// The destination of log messages.
    pub to: LogTo,
    /// The least severe level that is logged.
    pub level: log::LevelFilter,
}

/// The destination of log messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogTo {
    /// syslog(3), facility `daemon`.
    #[default]
    Syslog,
    /// Standard error, for systemd and for trials.
    Stderr,
}

impl Config {
    /// The names of all sources, logs first.
    pub fn source_names(&self) -> impl Iterator<Item = &str> {
        let logs = self.sources.iter().map(|source| source.name.as_str());
        logs.chain(self.blocklists.iter().map(|source| source.name.as_str()))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sources: defaults::SOURCES.map(|(name, path)| SourceSettings::at(name, path)).to_vec(),
            blocklists: Vec::new(),
            rules_dir: defaults::rules_dir(),
            rule_sets: None,
            defaults: SetDefaults { threshold: defaults::THRESHOLD, ban: defaults::BAN },
            overrides: Vec::new(),
            allow: Allow::default(),
            trust: TrustPolicy::default(),
            spoofable: SpoofCaps::default(),
            offender: PrefixLengths::default(),
            networks: Networks::default(),
            tracked_offenders: DEFAULT_TRACKED_OFFENDERS,
            firewall: FirewallSettings::default(),
            privileges: Privilege::default(),
            max_additions: defaults::MAX_ADDITIONS,
            state: defaults::state(),
            control: Control { socket: defaults::socket(), group: None },
            log: LogSettings { to: LogTo::Syslog, level: log::LevelFilter::Info },
            history: defaults::HISTORY,
            flush_on_exit: false,
        }
    }
}

impl Default for Allow {
    /// A machine that bans its own gateway or resolver is off the network.
    fn default() -> Self {
        Self { networks: Vec::new(), files: Vec::new(), own_addresses: true, gateways: true, resolvers: true }
    }
}
