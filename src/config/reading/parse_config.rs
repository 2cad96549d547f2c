//! The keys of the configuration, one after the other.

use std::cmp::Reverse;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::blocklist::{blocklist, is_blocklist};
use super::firewall;
use super::keys::Keys;
use super::policy;
use super::reader::{Entry, Node};
use super::time;
use super::values::{absolute, is_known, log_file, name};
use crate::address::{self, Prefix};
use crate::config::defaults;
use crate::config::settings::{
    Allow, BanOverride, Config, Control, Follow, JournalSettings, LogSettings, LogTo, Override, Privilege,
    SetDefaults, SourceSettings,
};
use crate::engine::{Network, Networks, PrefixLengths, SpoofCaps, TrustPolicy};
use crate::record::{Layouts, is_program_name};
use crate::settings::BlocklistSettings;

/// The most sources: each watched file costs a descriptor.
const MAX_SOURCES: usize = 1000;

/// The most rule sets of one source, more than anybody has.
const MAX_SETS: usize = 1000;

/// The most networks in the configuration itself; a longer list belongs into a file.
const MAX_NETWORKS: usize = 10_000;

const MAX_TRACKED: u32 = 10_000_000;

/// The most network lengths per family: each offence counts for a network of each length.
const MAX_LENGTHS: usize = 4;

/// The most offenders that a network may need before it is banned; more would never come together.
const MAX_OFFENDERS: u32 = 10_000;

/// Reads the whole file; `None` when nothing can be made of it. Values with faults are replaced by defaults.
pub(crate) fn parse_config(root: &Node<'_>) -> Option<Config> {
    let mut keys = Keys::of(root)?;
    if !keys.or("version", true, |node| Some(is_known(node))) {
        return None;
    }
    let default = Config::default();
    let (sources, blocklists) = keys.or("sources", (default.sources, Vec::new()), sources);
    let config = Config {
        sources,
        blocklists,
        rules_dir: keys.or("rules_dir", default.rules_dir, absolute),
        rule_sets: keys.maybe("rule_sets", |node| Some(node.texts())),
        defaults: keys.or("defaults", default.defaults, |node| set_defaults(node, default.defaults)),
        overrides: keys.or("override", default.overrides, overrides),
        allow: allow(&mut keys, default.allow),
        trust: keys.or("trust", default.trust, |node| trust(node, default.trust)),
        spoofable: keys.or("spoofable", default.spoofable, |node| spoofable(node, default.spoofable)),
        offender: keys.or("offender", default.offender, |node| offender(node, default.offender)),
        networks: keys.or("networks", default.networks.clone(), |node| networks(node, default.networks)),
        tracked_offenders: keys
            .or("tracked_offenders", default.tracked_offenders, |node| node.whole(1000..=MAX_TRACKED)),
        firewall: keys.or("firewall", default.firewall, firewall::read),
        privileges: keys.or("privileges", default.privileges, |node| node.word(&PRIVILEGES)),
        max_additions: keys.or("max_additions", default.max_additions, |node| node.whole(1..=MAX_TRACKED)),
        state: keys.or("state", default.state, absolute),
        control: keys.or("control", default.control.clone(), |node| control(node, default.control)),
        log: keys.or("log", default.log, |node| log(node, default.log)),
        history: keys.or("history", default.history, history),
        flush_on_exit: keys.or("flush_on_exit", default.flush_on_exit, Node::boolean),
    };
    keys.finish();
    Some(config)
}

/// Logs that are followed, and sockets at which servers report.
fn sources(node: &Node<'_>) -> Option<(Vec<SourceSettings>, Vec<BlocklistSettings>)> {
    let entries = node.entries()?;
    if entries.is_empty() || entries.len() > MAX_SOURCES {
        node.fault(format!("must name a log to follow, and {MAX_SOURCES} at most"));
    }
    let (sockets, logs): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| is_blocklist(entry));
    Some((logs.into_iter().filter_map(source).collect(), sockets.into_iter().filter_map(blocklist).collect()))
}

/// `auth: /var/log/auth.log` or `web: {path: /var/log/nginx/error.log, rule_sets: [nginx]}`
fn source(entry: &Entry<'_>) -> Option<SourceSettings> {
    let source_name = name(&entry.key);
    if !entry.value.is_mapping() {
        return Some(SourceSettings::at(source_name?, log_path(&entry.value)?));
    }
    let mut keys = Keys::of(&entry.value)?;
    if let Some(node) = keys.get("journal") {
        return Some(SourceSettings { name: source_name?, ..journal(&node, keys) });
    }
    let path = keys.must("path", "the log file, or `journal` for the systemd journal", log_path);
    let source = SourceSettings {
        follow: keys.or("follow", Follow::Auto, |node| node.word(&FOLLOW)),
        archive: keys.maybe("archive", absolute),
        rule_sets: keys.maybe("rule_sets", asked),
        layout: keys.or("layout", Layouts::Syslog, |node| node.word(&LAYOUTS)),
        time: keys.maybe("time", time::read),
        zone: keys.maybe("zone", time::read_zone),
        writer: keys.maybe("writer", name),
        ..SourceSettings::at(String::new(), String::new())
    };
    keys.finish();
    Some(SourceSettings { name: source_name?, path: path?, ..source })
}

/// `journal: [sshd, postfix/smtpd]` or `journal: all`, in place of a path.
fn journal(node: &Node<'_>, mut keys: Keys<'_>) -> SourceSettings {
    let programs = (!node.is_word("all")).then(|| {
        let list = node.filled_list("write the programs whose lines are to be read, or `all`", MAX_SETS);
        list.iter().filter_map(program).collect()
    });
    let tool = keys.or("tool", defaults::JOURNALCTL.into(), absolute);
    let source = SourceSettings {
        rule_sets: keys.maybe("rule_sets", asked),
        writer: keys.maybe("writer", name),
        ..SourceSettings::of_journal("", JournalSettings { programs, tool })
    };
    for key in ["path", "follow", "archive", "layout", "time", "zone"] {
        keys.misplaced(key, &format!("`{key}` is for a file, and this source is the systemd journal"), None);
    }
    keys.finish();
    source
}

/// The name of a program, as in a rule file; `*` may end it.
fn program(node: &Node<'_>) -> Option<String> {
    let text = node.line()?;
    if is_program_name(text.strip_suffix('*').unwrap_or(&text).as_bytes()) {
        return Some(text);
    }
    node.fault("must be a program's name, as in the tag of its lines: `sshd`, `postfix/smtpd`");
    None
}

const FOLLOW: [(&str, Follow); 2] = [("auto", Follow::Auto), ("poll", Follow::Poll)];

const PRIVILEGES: [(&str, Privilege); 2] = [("separate", Privilege::Separate), ("single", Privilege::Single)];

/// Layouts by the names of the programs that write them.
const LAYOUTS: [(&str, Layouts); 5] = [
    ("syslog", Layouts::Syslog),
    ("metalog", Layouts::Metalog),
    ("multilog", Layouts::Supervised),
    ("svlogd", Layouts::Supervised),
    ("socklog", Layouts::Supervised),
];

/// The names of the sets that are asked about a source.
fn asked(node: &Node<'_>) -> Option<Vec<String>> {
    if !node.is_list() {
        return Some(node.texts());
    }
    let list = node.filled_list("no rule would be asked about this log", MAX_SETS);
    Some(list.iter().filter_map(Node::line).collect())
}

/// A path, a glob, or `-`.
fn log_path(node: &Node<'_>) -> Option<String> {
    if node.is_word("-") { node.line() } else { log_file(node) }
}

fn set_defaults(node: &Node<'_>, default: SetDefaults) -> Option<SetDefaults> {
    let mut keys = Keys::of(node)?;
    let policy = SetDefaults {
        threshold: keys.or("threshold", default.threshold, policy::thresholds),
        ban: keys.or("ban", default.ban, policy::ban),
    };
    keys.finish();
    Some(policy)
}

fn overrides(node: &Node<'_>) -> Option<Vec<Override>> {
    Some(node.entries()?.iter().filter_map(change).collect())
}

fn change(entry: &Entry<'_>) -> Option<Override> {
    let mut keys = Keys::of(&entry.value)?;
    let change = Override {
        rule_set: entry.name.to_owned(),
        threshold: keys.maybe("threshold", policy::thresholds),
        ban: keys.or("ban", BanOverride::default(), policy::ban_change),
        enable: keys.or("enable", Vec::new(), |node| Some(node.texts())),
        disable: keys.or("disable", Vec::new(), |node| Some(node.texts())),
    };
    keys.finish();
    Some(change)
}

fn allow(keys: &mut Keys<'_>, default: Allow) -> Allow {
    let mut allow = Allow {
        own_addresses: keys.or("allow_self", default.own_addresses, Node::boolean),
        gateways: keys.or("allow_gateways", default.gateways, Node::boolean),
        resolvers: keys.or("allow_resolvers", default.resolvers, Node::boolean),
        ..default
    };
    let Some(list) = keys.get("allow") else { return allow };
    let items = list.one_or_many();
    if items.len() > MAX_NETWORKS {
        list.fault(format!("has more than {MAX_NETWORKS} entries: put them into a file, `- file: /path`"));
    }
    for node in items.iter().take(MAX_NETWORKS) {
        if node.is_mapping() {
            allow.files.extend(allow_file(node));
        } else {
            allow.networks.extend(network(node));
        }
    }
    allow
}

/// `{file: /usr/local/etc/portcullis/allow.txt}`
fn allow_file(node: &Node<'_>) -> Option<PathBuf> {
    let mut keys = Keys::of(node)?;
    let file = keys.must("file", "a file with a network on each line", absolute);
    keys.finish();
    file
}

fn network(node: &Node<'_>) -> Option<Prefix> {
    let text = node.text()?;
    match address::parse_prefix(text.trim()) {
        Err(error) => {
            node.fault_plainly(error.to_string());
            None
        }
        Ok(network) => {
            if let Some(warning) = policy::too_wide(&network) {
                node.warn(warning);
            }
            Some(network)
        }
    }
}

fn trust(node: &Node<'_>, default: TrustPolicy) -> Option<TrustPolicy> {
    let mut keys = Keys::of(node)?;
    let trust = TrustPolicy {
        remember: keys.or("for", default.remember, Node::duration),
        multiplier: keys.or("multiplier", default.multiplier, |node| node.whole(1..=1000)),
    };
    keys.finish();
    Some(trust)
}

fn spoofable(node: &Node<'_>, default: SpoofCaps) -> Option<SpoofCaps> {
    let mut keys = Keys::of(node)?;
    let spoofable = SpoofCaps {
        bans_at_once: keys.or("bans_at_once", default.bans_at_once, |node| node.whole(0..=100_000)),
        bans_per_minute: keys.or("bans_per_minute", default.bans_per_minute, |node| node.whole(0..=10_000)),
    };
    keys.finish();
    Some(spoofable)
}

fn offender(node: &Node<'_>, default: PrefixLengths) -> Option<PrefixLengths> {
    let mut keys = Keys::of(node)?;
    let offender = PrefixLengths {
        ipv4: keys.or("ipv4", default.ipv4, |node| node.whole(8..=32)),
        ipv6: keys.or("ipv6", default.ipv6, |node| node.whole(16..=128)),
    };
    keys.finish();
    Some(offender)
}

/// `{ipv4: [{bits: 24, offenders: 16}], ipv6: []}`
fn networks(node: &Node<'_>, default: Networks) -> Option<Networks> {
    let mut keys = Keys::of(node)?;
    let networks = Networks {
        ipv4: keys.or("ipv4", default.ipv4, |node| Some(lengths(node, 8..=31))),
        ipv6: keys.or("ipv6", default.ipv6, |node| Some(lengths(node, 16..=127))),
    };
    keys.finish();
    Some(networks)
}

/// Lengths of networks and how many offenders each takes, the narrowest first.
fn lengths(list: &Node<'_>, bits: RangeInclusive<u8>) -> Vec<Network> {
    let items = list.list();
    if items.len() > MAX_LENGTHS {
        list.fault(format!(
            "has {} entries, more than the {MAX_LENGTHS} lengths that are counted",
            items.len()
        ));
    }
    let mut lengths: Vec<Network> = Vec::new();
    for (node, network) in items.iter().filter_map(|node| Some((node, network_length(node, bits.clone())?))) {
        if lengths.iter().any(|known| known.bits == network.bits) {
            node.fault(format!("is the second one for /{}", network.bits));
        } else {
            lengths.push(network);
        }
    }
    lengths.truncate(MAX_LENGTHS);
    lengths.sort_by_key(|network| Reverse(network.bits));
    lengths
}

/// `{bits: 48, offenders: 16}`
fn network_length(node: &Node<'_>, bits: RangeInclusive<u8>) -> Option<Network> {
    let mut keys = Keys::of(node)?;
    let bits = keys.must("bits", "the length of the network's prefix, as in `bits: 48`", |i| i.whole(bits));
    let offenders = keys.must("offenders", "how many offenders it takes, as in `offenders: 16`", |node| {
        node.whole(2..=MAX_OFFENDERS)
    });
    keys.finish();
    Some(Network { bits: bits?, offenders: offenders? })
}

fn control(node: &Node<'_>, default: Control) -> Option<Control> {
    let mut keys = Keys::of(node)?;
    let control = Control {
        socket: keys.or("socket", default.socket, absolute),
        group: keys.maybe("group", Node::line),
    };
    keys.finish();
    Some(control)
}

fn log(node: &Node<'_>, default: LogSettings) -> Option<LogSettings> {
    use log::LevelFilter::{Debug, Error, Info, Warn};
    let mut keys = Keys::of(node)?;
    let log = LogSettings {
        to: keys
            .or("to", default.to, |node| node.word(&[("syslog", LogTo::Syslog), ("stderr", LogTo::Stderr)])),
        level: keys.or("level", default.level, |node| {
            node.word(&[("error", Error), ("warning", Warn), ("info", Info), ("debug", Debug)])
        }),
    };
    keys.finish();
    Some(log)
}

fn history(node: &Node<'_>) -> Option<std::time::Duration> {
    let mut keys = Keys::of(node)?;
    let keep = keys.must("keep", "how long ended bans are remembered, as in `keep: 90d`", Node::duration);
    keys.finish();
    keep
}
