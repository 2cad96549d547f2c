//! The configuration as plain values. Its `Default` is what holds with no file at all.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::defaults;
use crate::address::Prefix;
use crate::engine::{DEFAULT_TRACKED_OFFENDERS, Networks, PrefixLengths, SpoofCaps, TrustPolicy};
use crate::record::{Layouts, TimeSpec};
use crate::rules::{BanPolicy, Thresholds};
use crate::settings::FirewallSettings;

/// Everything that the configuration says, with the defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The logs that are followed; at least one.
    pub sources: Vec<SourceSettings>,
    /// The directory of custom rule sets.
    pub rules_dir: PathBuf,
    /// Which sets are in force; `None` for all that are by default.
    pub rule_sets: Option<Vec<String>>,
    /// For sets that say nothing of their own.
    pub defaults: SetDefaults,
    /// Changes to single sets.
    pub overrides: Vec<Override>,
    /// The networks that are never banned.
    pub allow: Allow,
    /// Patience with offenders from which somebody logged in.
    pub trust: TrustPolicy,
    /// Caution where addresses may be forged.
    pub spoofable: SpoofCaps,
    /// What is counted and banned as one.
    pub offender: PrefixLengths,
    /// Which networks wider than that are banned as one; the narrowest first.
    pub networks: Networks,
    /// Offenders whose counters are kept; beyond them the longest unseen leaves.
    pub tracked_offenders: u32,
    /// The table and who drives it.
    pub firewall: FirewallSettings,
    /// The database.
    pub state: PathBuf,
    /// The control socket.
    pub control: Control,
    /// Our own messages.
    pub log: LogSettings,
    /// How long ended bans and their lines are kept.
    pub history: Duration,
    /// Whether the table is emptied when the daemon stops; that opens the gate.
    pub flush_on_exit: bool,
}

/// A followed log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSettings {
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

impl SourceSettings {
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
pub struct SetDefaults {
    /// The offences that it takes to be banned, and within which time.
    pub threshold: Thresholds,
    /// The length of a ban, and how it grows.
    pub ban: BanPolicy,
}

/// Changes to a set, shipped or custom.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The set.
    pub rule_set: String,
    /// In place of the set's own.
    pub threshold: Option<Thresholds>,
    /// In place of the set's own.
    pub ban: Option<BanPolicy>,
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

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The absolute path of the socket.
    pub socket: PathBuf,
    /// A group that may ask but not change.
    pub group: Option<String>,
}

/// Our own messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The destination.
    pub to: LogTo,
    /// The least important ones that are written.
    pub level: log::LevelFilter,
}

/// The destination of our own messages.
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
            sources: defaults::SOURCES.map(|(name, path)| SourceSettings::at(name, path)).to_vec(),
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
