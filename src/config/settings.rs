//! The configuration as plain values. Its `Default` is what holds with no file at all.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::{defaults, paths};
use crate::address::Prefix;
use crate::engine::Networks;
use crate::record::{Layouts, TimeSpec};
use crate::rules::{Ban, Thresholds};

/// Everything that the configuration says, with the defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The logs that are followed; at least one.
    pub sources: Vec<Source>,
    /// Where custom rule sets are.
    pub rules_dir: PathBuf,
    /// Which sets are in force; `None` for all that are by default.
    pub rule_sets: Option<Vec<String>>,
    /// For sets that say nothing of their own.
    pub defaults: Policy,
    /// Changes to single sets.
    pub overrides: Vec<Override>,
    /// Who is never banned.
    pub allow: Allow,
    /// Patience with those who logged in.
    pub trust: Trust,
    /// Caution where addresses may be forged.
    pub spoofable: Spoofable,
    /// What is counted and banned as one.
    pub offender: Offender,
    /// Which networks wider than that are banned as one; the narrowest first.
    pub networks: Networks,
    /// Offenders whose counters are kept; beyond them the longest unseen leaves.
    pub tracked_offenders: u32,
    /// The table and who drives it.
    pub firewall: Firewall,
    /// The database.
    pub state: PathBuf,
    /// The control socket.
    pub control: Control,
    /// Our own messages.
    pub log: Log,
    /// How long ended bans and their lines are kept.
    pub history: Duration,
    /// Whether the table is emptied when the daemon stops; that opens the gate.
    pub flush_on_exit: bool,
}

/// A followed log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// A short name: `auth`.
    pub name: String,
    /// An absolute path, a glob, or `-` for standard input.
    pub path: String,
    /// How it is noticed that something was appended.
    pub follow: Follow,
    /// Where rotated files go, if not beside the log (`newsyslog -a`); an absolute directory.
    pub archive: Option<PathBuf>,
    /// The rule sets that are asked about its lines, and no others; `None` for those that look at any log of syslog's.
    pub rule_sets: Option<Vec<String>>,
    /// By which layouts its lines are read.
    pub layout: Layouts,
    /// How its lines say when they were written; `None` for as their rule sets say, or by a form that is known.
    pub time: Option<TimeSpec>,
    /// The zone of stamps that name none; `None` for this machine's.
    pub zone: Option<TimeZone>,
    /// Who writes it, by a name of the operator's; `None` for whoever writes into the directory of the log.
    pub writer: Option<String>,
}

impl Source {
    /// A log at a path, of which nothing else is said.
    pub fn at(name: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
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

/// How it is noticed that a file grew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follow {
    /// By the system's events, and a tick.
    #[default]
    Auto,
    /// By looking only: for network file systems, which send no events.
    Poll,
}

/// Numbers for sets that have none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// When offences become a ban.
    pub threshold: Thresholds,
    /// For how long.
    pub ban: Ban,
}

/// Changes to a set, shipped or custom.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The set.
    pub rule_set: String,
    /// In place of the set's own.
    pub threshold: Option<Thresholds>,
    /// In place of the set's own.
    pub ban: Option<Ban>,
    /// Rules that are off unless asked for.
    pub enable: Vec<String>,
    /// Rules that are not wanted.
    pub disable: Vec<String>,
}

/// Who is never banned, besides what can be no peer at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// Networks, those of the files included once they are read.
    pub networks: Vec<Prefix>,
    /// Files of networks, one a line.
    pub files: Vec<PathBuf>,
    /// This machine's own addresses.
    pub own_addresses: bool,
    /// The default gateways.
    pub gateways: bool,
    /// The resolvers of resolv.conf.
    pub resolvers: bool,
}

/// Patience with those who logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// How long a login is remembered.
    pub remember: Duration,
    /// Their threshold is this many times the usual one; at least 1.
    pub multiplier: u32,
}

/// Limits for bans on spoofable evidence, all sets together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoofable {
    /// At a time.
    pub bans_at_once: u32,
    /// In any minute.
    pub bans_per_minute: u32,
}

/// Prefix lengths of what is counted and banned as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offender {
    /// 8 to 32.
    pub ipv4: u8,
    /// 16 to 128.
    pub ipv6: u8,
}

/// The table and who drives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// Which tool.
    pub backend: Backend,
    /// The name (ipfw: or number) of the table.
    pub table: String,
    /// pf only: the anchor that holds the table.
    pub anchor: Option<String>,
    /// pf only: whether existing connections end with the ban.
    pub kill_states: bool,
    /// What becomes of entries that somebody else put into the table.
    pub foreign: Foreign,
    /// How often table and database are compared.
    pub converge: Duration,
    /// After this long without an end, a tool is killed.
    pub timeout: Duration,
    /// The backend's tool, where it is not in its usual place.
    pub tool: Option<PathBuf>,
    /// The operator's own programs; given exactly when the backend is [`Backend::Command`].
    pub command: Option<Commands>,
}

/// Which tool changes the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// FreeBSD's and OpenBSD's pf, by pfctl.
    Pf,
    /// FreeBSD's ipfw.
    Ipfw,
    /// Linux, by nft.
    Nftables,
    /// The operator's own programs.
    Command,
    /// None: what would be done is printed.
    #[default]
    DryRun,
}

/// What becomes of entries that somebody else put into the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Foreign {
    /// They get a record and an end.
    #[default]
    Adopt,
    /// They are left alone.
    Keep,
    /// They are taken out.
    Remove,
}

/// Argument vectors; the first is an absolute path. `{prefix}` stands for the address or network; where it is
/// absent, which only `batch: true` allows, a batch comes on standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commands {
    /// Blocks.
    pub add: Vec<String>,
    /// Frees.
    pub remove: Vec<String>,
    /// Prints what is blocked, one a line; without it nothing can be compared.
    pub list: Option<Vec<String>>,
    /// Blocks what comes on standard input and nothing else.
    pub replace: Option<Vec<String>>,
}

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Its path.
    pub socket: PathBuf,
    /// A group that may ask but not change.
    pub group: Option<String>,
}

/// Our own messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Where they go.
    pub to: LogTo,
    /// The least important ones that are written.
    pub level: log::LevelFilter,
}

/// Where our own messages go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogTo {
    /// To syslog(3), facility daemon.
    #[default]
    Syslog,
    /// To standard error, for systemd and for trying things out.
    Stderr,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sources: defaults::SOURCES.map(|(name, path)| Source::at(name, path)).to_vec(),
            rules_dir: paths::rules_dir(),
            rule_sets: None,
            defaults: Policy { threshold: defaults::THRESHOLD, ban: defaults::BAN },
            overrides: Vec::new(),
            allow: Allow::default(),
            trust: Trust { remember: defaults::TRUST_FOR, multiplier: defaults::TRUST_MULTIPLIER },
            spoofable: Spoofable {
                bans_at_once: defaults::SPOOFABLE_AT_ONCE,
                bans_per_minute: defaults::SPOOFABLE_PER_MINUTE,
            },
            offender: Offender { ipv4: defaults::OFFENDER_V4, ipv6: defaults::OFFENDER_V6 },
            networks: Networks::default(),
            tracked_offenders: defaults::TRACKED_OFFENDERS,
            firewall: Firewall::default(),
            state: paths::state(),
            control: Control { socket: paths::socket(), group: None },
            log: Log { to: LogTo::Syslog, level: log::LevelFilter::Info },
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

impl Default for Firewall {
    fn default() -> Self {
        Self {
            backend: Backend::DryRun,
            table: defaults::TABLE.to_owned(),
            anchor: None,
            kill_states: true,
            foreign: Foreign::Adopt,
            converge: defaults::CONVERGE,
            timeout: defaults::TIMEOUT,
            tool: None,
            command: None,
        }
    }
}
