//! The second look: settings that can be read but do not fit each other.

use std::collections::HashMap;
use std::iter;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::reading::firewall::bad_table;
use crate::config::reading::policy;
use crate::config::settings::Config;
use crate::config::text::document::PathSegment;
use crate::engine::{Network, Networks};
use crate::names;
use crate::rules::Severity;
use crate::settings::FirewallSettings;

/// The path of a Unix socket with its closing zero: `sun_path` has 104 bytes on FreeBSD, 108 on Linux.
const MAX_SOCKET: usize = 103;

/// Something wrong with the configuration as a whole, and the keys that lead to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingFault {
    /// Whether the configuration is refused because of it.
    pub severity: Severity,
    /// The path to the setting, from the root of the file.
    pub key_path: Vec<PathSegment>,
    /// A sentence: what, why, what to do.
    pub text: String,
}

impl SettingFault {
    /// A setting that cannot work.
    pub fn error(key_path: Vec<PathSegment>, text: impl Into<String>) -> Self {
        Self { severity: Severity::Error, key_path, text: text.into() }
    }

    /// A setting that is unlikely to be meant.
    pub fn warning(key_path: Vec<PathSegment>, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, key_path, text: text.into() }
    }
}

/// The path to the value behind these keys.
pub fn keys(keys: &[&str]) -> Vec<PathSegment> {
    keys.iter().map(|key| PathSegment::Key((*key).to_owned().into())).collect()
}

/// Settings that can be read but do not fit each other.
pub(crate) fn check(config: &Config) -> Vec<SettingFault> {
    let mut faults = same_source_twice(config);
    faults.extend(sockets(config));
    faults.extend(firewall(&config.firewall));
    faults.extend(offender(config));
    // Nobody asked for the default ones.
    let default = Networks::default();
    if config.networks.ipv4 != default.ipv4 {
        faults.extend(networks("ipv4", &config.networks.ipv4, config.offender.ipv4));
    }
    if config.networks.ipv6 != default.ipv6 {
        faults.extend(networks("ipv6", &config.networks.ipv6, config.offender.ipv6));
    }
    faults.extend(times(config));
    faults
}

/// Paths of sockets that are too long, or have two uses.
fn sockets(config: &Config) -> Vec<SettingFault> {
    let control = (keys(&["control", "socket"]), &config.control.socket);
    let reports = config
        .blocklists
        .iter()
        .map(|source| (keys(&["sources", &source.name, "blocklist"]), &source.socket));
    let mut known: Vec<&PathBuf> = Vec::new();
    let mut faults = Vec::new();
    for (key_path, path) in iter::once(control).chain(reports) {
        let length = path.as_os_str().len();
        if length > MAX_SOCKET {
            let text = format!(
                "the path has {length} bytes, a socket's can have {MAX_SOCKET}: choose a shorter one"
            );
            faults.push(SettingFault::error(key_path, text));
        } else if known.contains(&path) {
            let text = "another socket of this configuration has the same path: give each its own";
            faults.push(SettingFault::error(key_path, text));
        }
        known.push(path);
    }
    faults
}

fn same_source_twice(config: &Config) -> Vec<SettingFault> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    // Two sources may read different programs of the journal.
    let twice = config.sources.iter().filter(|source| source.journal.is_none()).filter_map(|source| {
        let first = *names.entry(&source.path).or_insert(&source.name);
        let text = format!("`{first}` follows the same file: every line would be read twice");
        (first != source.name).then(|| SettingFault::warning(keys(&["sources", &source.name]), text))
    });
    twice.collect()
}

fn firewall(firewall: &FirewallSettings) -> Vec<SettingFault> {
    let bad_table = bad_table(firewall.backend, &firewall.table);
    let mut faults: Vec<SettingFault> =
        bad_table.map(|text| SettingFault::error(keys(&["firewall", "table"]), text)).into_iter().collect();
    let bad_anchor = firewall.anchor.as_deref().and_then(names::bad_anchor);
    faults.extend(bad_anchor.map(|text| SettingFault::error(keys(&["firewall", "anchor"]), text)));
    if firewall.converge < firewall.timeout {
        let text =
            "the table would be compared again before a slow tool has ended: choose more than `timeout`";
        faults.push(SettingFault::warning(keys(&["firewall", "converge"]), text));
    }
    faults
}

fn offender(config: &Config) -> Vec<SettingFault> {
    let mut faults = Vec::new();
    if config.offender.ipv4 < 24 {
        let hosts = 1u32 << (32 - config.offender.ipv4);
        let text = format!("one attacker would get {hosts} addresses banned, those of neighbours included");
        faults.push(SettingFault::warning(keys(&["offender", "ipv4"]), text));
    }
    if config.offender.ipv6 < 48 {
        let text = "less than a /48 holds many customers: one attacker would get all of them banned";
        faults.push(SettingFault::warning(keys(&["offender", "ipv6"]), text));
    }
    if config.offender.ipv6 > 64 {
        let text = "an attacker with a /64 would get a new address after every ban: 64 is the usual length";
        faults.push(SettingFault::warning(keys(&["offender", "ipv6"]), text));
    }
    faults
}

/// Faults among the network lengths of a family, which come with the narrowest first.
fn networks(family: &str, lengths: &[Network], offender: u8) -> Vec<SettingFault> {
    let warning = |text: String| SettingFault::warning(keys(&["networks", family]), text);
    let mut faults = Vec::new();
    for network in lengths.iter().filter(|network| network.bits >= offender) {
        let text =
            format!("a /{} is no wider than one offender, a /{offender}, and is not counted", network.bits);
        faults.push(warning(text));
    }
    for (narrow, wide) in lengths.iter().zip(lengths.iter().skip(1)) {
        if wide.offenders < narrow.offenders {
            let narrow = narrow.bits;
            let wide = wide.bits;
            let text = format!(
                "a /{wide} holds every /{narrow} and takes fewer offenders: no /{narrow} is ever banned"
            );
            faults.push(warning(text));
        }
    }
    if let Some(wide) = lengths.iter().find(|network| family == "ipv4" && network.bits < 20) {
        let text = format!(
            "a /{} of IPv4 holds {} addresses, those of many customers",
            wide.bits,
            1u64 << (32 - wide.bits)
        );
        faults.push(warning(text));
    }
    if let Some(wide) = lengths.iter().find(|network| family == "ipv6" && network.bits < 44) {
        let text = format!(
            "a /{} of IPv6 holds more than one customer is given: others would be banned too",
            wide.bits
        );
        faults.push(warning(text));
    }
    faults
}

fn times(config: &Config) -> Vec<SettingFault> {
    let mut faults = Vec::new();
    let policy = &config.defaults;
    if let Some(text) = policy::too_short(&policy.threshold, &policy.ban) {
        faults.push(SettingFault::warning(keys(&["defaults", "ban"]), text));
    }
    if policy.ban.escalate.is_some_and(|escalate| escalate.forget > config.history) {
        let text =
            "shorter than `forget` of the default ban: earlier bans are gone before they are to be forgotten";
        faults.push(SettingFault::warning(keys(&["history", "keep"]), text));
    }
    faults
}
