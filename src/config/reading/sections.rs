//! The keys of the configuration, one after the other.

use std::cmp::Reverse;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::firewall;
use super::keys::{Entry, Keys};
use super::policy;
use super::reader::Item;
use super::rule_set::{self, is_known};
use super::time;
use crate::address::{self, Prefix};
use crate::config::settings::{
    Allow, Config, Control, Follow, LogSettings, LogTo, Override, SetDefaults, SourceSettings,
};
use crate::engine::{Network, Networks, PrefixLengths, SpoofCaps, TrustPolicy};
use crate::record::Layouts;

/// Watched files cost a descriptor each.
const MAX_SOURCES: usize = 1000;

/// More rule sets than anybody has.
const MAX_SETS: usize = 1000;

/// A longer list belongs into a file of networks.
const MAX_NETWORKS: usize = 10_000;

const MAX_TRACKED: u32 = 10_000_000;

/// Each offence counts for a network of each length.
const MAX_LENGTHS: usize = 4;

/// Of more offenders than this in one network, nobody would hear.
const MAX_OFFENDERS: u32 = 10_000;

/// Reads the whole file; `None` when nothing can be made of it. Values with faults are replaced by defaults.
pub(crate) fn read(root: &Item<'_>) -> Option<Config> {
    let mut keys = root.keys()?;
    if !keys.or("version", true, |item| Some(is_known(item))) {
        return None;
    }
    let default = Config::default();
    let config = Config {
        sources: keys.or("sources", default.sources, sources),
        rules_dir: keys.or("rules_dir", default.rules_dir, absolute),
        rule_sets: keys.maybe("rule_sets", |item| Some(item.texts())),
        defaults: keys.or("defaults", default.defaults, |item| defaults(item, default.defaults)),
        overrides: keys.or("override", default.overrides, overrides),
        allow: allow(&mut keys, default.allow),
        trust: keys.or("trust", default.trust, |item| trust(item, default.trust)),
        spoofable: keys.or("spoofable", default.spoofable, |item| spoofable(item, default.spoofable)),
        offender: keys.or("offender", default.offender, |item| offender(item, default.offender)),
        networks: keys.or("networks", default.networks.clone(), |item| networks(item, default.networks)),
        tracked_offenders: keys
            .or("tracked_offenders", default.tracked_offenders, |item| item.whole(1000..=MAX_TRACKED)),
        firewall: keys.or("firewall", default.firewall, firewall::read),
        state: keys.or("state", default.state, absolute),
        control: keys.or("control", default.control.clone(), |item| control(item, default.control)),
        log: keys.or("log", default.log, |item| log(item, default.log)),
        history: keys.or("history", default.history, history),
        flush_on_exit: keys.or("flush_on_exit", default.flush_on_exit, Item::boolean),
    };
    keys.finish();
    Some(config)
}

/// A path that means the same wherever the daemon is started.
pub(crate) fn absolute(item: &Item<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(item.line()?);
    if !path.is_absolute() {
        item.fault(format!("must be an absolute path, not `{}`", path.display()));
        return None;
    }
    Some(path)
}

fn sources(item: &Item<'_>) -> Option<Vec<SourceSettings>> {
    let entries = item.entries()?;
    if entries.is_empty() || entries.len() > MAX_SOURCES {
        item.fault(format!("must name a log to follow, and {MAX_SOURCES} at most"));
    }
    Some(entries.iter().filter_map(source).collect())
}

/// `auth: /var/log/auth.log` or `web: {path: /var/log/nginx/error.log, rule_sets: [nginx]}`
fn source(entry: &Entry<'_>) -> Option<SourceSettings> {
    let name = rule_set::name(&entry.key);
    if !entry.value.is_mapping() {
        return Some(SourceSettings::at(name?, log_path(&entry.value)?));
    }
    let mut keys = entry.value.keys()?;
    let path = keys.must("path", "the log file", log_path);
    let source = SourceSettings {
        follow: keys.or("follow", Follow::Auto, |item| item.word(&FOLLOW)),
        archive: keys.maybe("archive", absolute),
        rule_sets: keys.maybe("rule_sets", asked),
        layout: keys.or("layout", Layouts::Syslog, |item| item.word(&LAYOUTS)),
        time: keys.maybe("time", time::read),
        zone: keys.maybe("zone", time::read_zone),
        writer: keys.maybe("writer", rule_set::name),
        ..SourceSettings::at(String::new(), String::new())
    };
    keys.finish();
    Some(SourceSettings { name: name?, path: path?, ..source })
}

const FOLLOW: [(&str, Follow); 2] = [("auto", Follow::Auto), ("poll", Follow::Poll)];

/// By the programs that write them, as an operator knows them.
const LAYOUTS: [(&str, Layouts); 5] = [
    ("syslog", Layouts::Syslog),
    ("metalog", Layouts::Metalog),
    ("multilog", Layouts::Supervised),
    ("svlogd", Layouts::Supervised),
    ("socklog", Layouts::Supervised),
];

/// The names of the sets that are asked about a source.
fn asked(item: &Item<'_>) -> Option<Vec<String>> {
    if !item.is_list() {
        return Some(item.texts());
    }
    let list = item.filled_list("no rule would be asked about this log", MAX_SETS);
    Some(list.iter().filter_map(Item::line).collect())
}

/// A path, a glob, or `-`.
fn log_path(item: &Item<'_>) -> Option<String> {
    if item.is_word("-") { item.line() } else { log_file(item) }
}

/// A path or a glob.
pub(crate) fn log_file(item: &Item<'_>) -> Option<String> {
    let path = absolute(item)?.to_string_lossy().into_owned();
    if let Some((first, second)) = two_paths(&path) {
        item.warn(format!(
            "this is one file whose name has a blank in it: for two files write two sources, as in \
             `a: {first}` and `b: {second}`"
        ));
    }
    if let Err(error) = glob::Pattern::new(&path) {
        item.fault(format!(
            "is a pattern for file names with a mistake at byte {}: {}",
            error.pos, error.msg
        ));
        return None;
    }
    Some(path)
}

/// What looks like several paths in one: the first two of them.
pub(crate) fn two_paths(path: &str) -> Option<(&str, &str)> {
    let mut words = path.split([' ', ',', ';']).filter(|word| !word.is_empty());
    let (first, second) = (words.next()?, words.next()?);
    second.starts_with('/').then_some((first, second))
}

fn defaults(item: &Item<'_>, default: SetDefaults) -> Option<SetDefaults> {
    let mut keys = item.keys()?;
    let policy = SetDefaults {
        threshold: keys.or("threshold", default.threshold, policy::thresholds),
        ban: keys.or("ban", default.ban, policy::ban),
    };
    keys.finish();
    Some(policy)
}

fn overrides(item: &Item<'_>) -> Option<Vec<Override>> {
    Some(item.entries()?.iter().filter_map(change).collect())
}

fn change(entry: &Entry<'_>) -> Option<Override> {
    let mut keys = entry.value.keys()?;
    let change = Override {
        rule_set: entry.name.to_owned(),
        threshold: keys.maybe("threshold", policy::thresholds),
        ban: keys.maybe("ban", policy::ban),
        enable: keys.or("enable", Vec::new(), |item| Some(item.texts())),
        disable: keys.or("disable", Vec::new(), |item| Some(item.texts())),
    };
    keys.finish();
    Some(change)
}

fn allow(keys: &mut Keys<'_>, default: Allow) -> Allow {
    let mut allow = Allow {
        own_addresses: keys.or("allow_self", default.own_addresses, Item::boolean),
        gateways: keys.or("allow_gateways", default.gateways, Item::boolean),
        resolvers: keys.or("allow_resolvers", default.resolvers, Item::boolean),
        ..default
    };
    let Some(list) = keys.get("allow") else { return allow };
    let items = list.one_or_many();
    if items.len() > MAX_NETWORKS {
        list.fault(format!("has more than {MAX_NETWORKS} entries: put them into a file, `- file: /path`"));
    }
    for item in items.iter().take(MAX_NETWORKS) {
        if item.is_mapping() {
            allow.files.extend(allow_file(item));
        } else {
            allow.networks.extend(network(item));
        }
    }
    allow
}

/// `{file: /usr/local/etc/portcullis/allow.txt}`
fn allow_file(item: &Item<'_>) -> Option<PathBuf> {
    let mut keys = item.keys()?;
    let file = keys.must("file", "a file with a network on each line", absolute);
    keys.finish();
    file
}

fn network(item: &Item<'_>) -> Option<Prefix> {
    let text = item.text()?;
    match address::parse_prefix(text.trim()) {
        Err(error) => {
            item.fault_plainly(error.to_string());
            None
        }
        Ok(network) => {
            if let Some(warning) = policy::too_wide(&network) {
                item.warn(warning);
            }
            Some(network)
        }
    }
}

fn trust(item: &Item<'_>, default: TrustPolicy) -> Option<TrustPolicy> {
    let mut keys = item.keys()?;
    let trust = TrustPolicy {
        remember: keys.or("for", default.remember, Item::duration),
        multiplier: keys.or("multiplier", default.multiplier, |item| item.whole(1..=1000)),
    };
    keys.finish();
    Some(trust)
}

fn spoofable(item: &Item<'_>, default: SpoofCaps) -> Option<SpoofCaps> {
    let mut keys = item.keys()?;
    let spoofable = SpoofCaps {
        bans_at_once: keys.or("bans_at_once", default.bans_at_once, |item| item.whole(0..=100_000)),
        bans_per_minute: keys.or("bans_per_minute", default.bans_per_minute, |item| item.whole(0..=10_000)),
    };
    keys.finish();
    Some(spoofable)
}

fn offender(item: &Item<'_>, default: PrefixLengths) -> Option<PrefixLengths> {
    let mut keys = item.keys()?;
    let offender = PrefixLengths {
        ipv4: keys.or("ipv4", default.ipv4, |item| item.whole(8..=32)),
        ipv6: keys.or("ipv6", default.ipv6, |item| item.whole(16..=128)),
    };
    keys.finish();
    Some(offender)
}

/// `{ipv4: [{bits: 24, offenders: 16}], ipv6: []}`
fn networks(item: &Item<'_>, default: Networks) -> Option<Networks> {
    let mut keys = item.keys()?;
    let networks = Networks {
        ipv4: keys.or("ipv4", default.ipv4, |item| Some(lengths(item, 8..=31))),
        ipv6: keys.or("ipv6", default.ipv6, |item| Some(lengths(item, 16..=127))),
    };
    keys.finish();
    Some(networks)
}

/// Lengths of networks and how many offenders each takes, the narrowest first.
fn lengths(list: &Item<'_>, bits: RangeInclusive<u8>) -> Vec<Network> {
    let items = list.list();
    if items.len() > MAX_LENGTHS {
        list.fault(format!("has {} entries, and {MAX_LENGTHS} lengths are counted at the most", items.len()));
    }
    let mut lengths: Vec<Network> = Vec::new();
    for (item, network) in items.iter().filter_map(|item| Some((item, network_length(item, bits.clone())?))) {
        if lengths.iter().any(|known| known.bits == network.bits) {
            item.fault(format!("is the second one for /{}", network.bits));
        } else {
            lengths.push(network);
        }
    }
    lengths.truncate(MAX_LENGTHS);
    lengths.sort_by_key(|network| Reverse(network.bits));
    lengths
}

/// `{bits: 48, offenders: 16}`
fn network_length(item: &Item<'_>, bits: RangeInclusive<u8>) -> Option<Network> {
    let mut keys = item.keys()?;
    let bits = keys.must("bits", "the length of the network's prefix, as in `bits: 48`", |i| i.whole(bits));
    let offenders = keys.must("offenders", "how many offenders it takes, as in `offenders: 16`", |item| {
        item.whole(2..=MAX_OFFENDERS)
    });
    keys.finish();
    Some(Network { bits: bits?, offenders: offenders? })
}

fn control(item: &Item<'_>, default: Control) -> Option<Control> {
    let mut keys = item.keys()?;
    let control = Control {
        socket: keys.or("socket", default.socket, absolute),
        group: keys.maybe("group", Item::line),
    };
    keys.finish();
    Some(control)
}

fn log(item: &Item<'_>, default: LogSettings) -> Option<LogSettings> {
    use log::LevelFilter::{Debug, Error, Info, Warn};
    let mut keys = item.keys()?;
    let log = LogSettings {
        to: keys
            .or("to", default.to, |item| item.word(&[("syslog", LogTo::Syslog), ("stderr", LogTo::Stderr)])),
        level: keys.or("level", default.level, |item| {
            item.word(&[("error", Error), ("warning", Warn), ("info", Info), ("debug", Debug)])
        }),
    };
    keys.finish();
    Some(log)
}

fn history(item: &Item<'_>) -> Option<std::time::Duration> {
    let mut keys = item.keys()?;
    let keep = keys.must("keep", "how long ended bans are remembered, as in `keep: 90d`", Item::duration);
    keys.finish();
    keep
}
