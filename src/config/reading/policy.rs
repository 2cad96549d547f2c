//! Threshold and ban: the numbers that a rule file, the defaults and an override all may give.

use super::keys::Keys;
use super::reader::Node;
use crate::address::Prefix;
use crate::config::defaults::ESCALATE;
use crate::config::settings::BanOverride;
use crate::config::text::suggest::nearest;
use crate::config::text::yaml::Value;
use crate::rules::{BanLength, BanPolicy, Escalate, Evidence, MAX_WINDOWS, Threshold, Thresholds};
use crate::time::spoken;

/// More offences in one window than this are a slip of the writer's.
const MAX_OFFENCES: u32 = 100_000;

const FOREVER: &str = "forever";

/// One window, or a list of them: the ban goes with the first that is full.
pub(crate) fn thresholds(node: &Node<'_>) -> Option<Thresholds> {
    if !node.is_list() {
        return threshold(node).map(Thresholds::one);
    }
    let entries = node.filled_list("write `{offences: 5, within: 10m}`", MAX_WINDOWS);
    let windows: Vec<(&Node<'_>, Threshold)> =
        entries.iter().filter_map(|entry| Some((entry, threshold(entry)?))).collect();
    for (nth, (entry, window)) in windows.iter().enumerate() {
        let mut others = windows.iter().enumerate().filter(|(other, _)| *other != nth);
        let before =
            others.find(|(other, (_, one))| fills_before(one, window) && (one != window || *other < nth));
        if let Some((_, (_, Threshold { offences, within }))) = before {
            let within = spoken(*within);
            entry.warn(format!(
                "this window is never the first to be full: {offences} in {within} bans no later"
            ));
        }
    }
    Thresholds::new(windows.into_iter().map(|(_, window)| window).collect())
}

/// Whether one window is always full when the other is.
fn fills_before(one: &Threshold, other: &Threshold) -> bool {
    one.within >= other.within && one.offences <= other.offences
}

/// `{offences: 5, within: 10m}`
fn threshold(node: &Node<'_>) -> Option<Threshold> {
    let mut keys = Keys::of(node)?;
    let offences =
        keys.must("offences", "this many make a ban, as in `offences: 5`", |i| i.whole(1..=MAX_OFFENCES));
    let within = keys.must("within", "the length of the window, as in `within: 10m`", Node::duration);
    keys.finish();
    Some(Threshold { offences: offences?, within: within? })
}

/// `{for: 1h, escalate: {factor: 2, max: 4w, forget: 30d}}`
pub(crate) fn ban(node: &Node<'_>) -> Option<BanPolicy> {
    let mut keys = Keys::of(node)?;
    let length = keys.must("for", "how long a ban lasts, as in `for: 1h` or `for: forever`", length);
    let escalate = keys.maybe("escalate", |growth| {
        if length == Some(BanLength::Forever) {
            growth.fault("cannot be used: a permanent ban cannot grow");
        }
        escalate(growth)
    });
    keys.finish();
    let ban = BanPolicy { length: length?, escalate };
    if let Some(text) = outgrown(&ban) {
        node.warn(text);
    }
    Some(ban)
}

/// The same under `override`, where each part may be left out: `{for: 2h}` keeps the growth, `{escalate: none}` ends it.
pub(crate) fn ban_change(node: &Node<'_>) -> Option<BanOverride> {
    let mut keys = Keys::of(node)?;
    let length = keys.maybe("for", length);
    let escalate = keys.maybe("escalate", |growth| {
        if growth.is_word("none") {
            return Some(None);
        }
        if length == Some(BanLength::Forever) {
            growth.fault("cannot be used: a permanent ban cannot grow");
        }
        escalate(growth).map(Some)
    });
    keys.finish();
    Some(BanOverride { length, escalate })
}

/// Why a ban would not grow as it says, if it would not.
pub(crate) fn outgrown(ban: &BanPolicy) -> Option<&'static str> {
    match (ban.length, ban.escalate) {
        (BanLength::For(first), Some(growth)) if growth.max < first => Some(OUTGROWN),
        _ => None,
    }
}

const OUTGROWN: &str = "`max` of `escalate` is shorter than the first ban: all bans last that long";

fn length(node: &Node<'_>) -> Option<BanLength> {
    if node.is_word(FOREVER) {
        return Some(BanLength::Forever);
    }
    if let Value::Text(text) = node.value()
        && nearest(text, [FOREVER]).is_some()
    {
        node.fault(format!("cannot be `{text}`, did you mean `{FOREVER}`?"));
        return None;
    }
    node.duration().map(BanLength::For)
}

/// Every key may be left out: `escalate: {}` is a good choice.
fn escalate(node: &Node<'_>) -> Option<Escalate> {
    let mut keys = Keys::of(node)?;
    let factor = keys.or("factor", ESCALATE.factor, |node| node.number(1.0..=100.0));
    let max = keys.or("max", ESCALATE.max, Node::duration);
    let forget = keys.or("forget", ESCALATE.forget, Node::duration);
    keys.finish();
    Some(Escalate { factor, max, forget })
}

/// Why a ban is too hard for its evidence, if it is: whoever forges addresses must not be able to lock somebody
/// else out for long.
pub(crate) fn too_hard(ban: &BanPolicy, evidence: Evidence) -> Option<&'static str> {
    if evidence != Evidence::Spoofable {
        return None;
    }
    if ban.length == BanLength::Forever {
        return Some("a ban on spoofable evidence cannot be permanent: anybody can forge the address");
    }
    if ban.escalate.is_some() {
        return Some("a ban on spoofable evidence cannot escalate: anybody can forge the address");
    }
    None
}

/// Why a ban is too short for its window, if it is.
///
/// The shortest window is asked: those of hours and days are for offenders that no ban of an hour stops.
pub(crate) fn too_short(threshold: &Thresholds, ban: &BanPolicy) -> Option<&'static str> {
    match ban.length {
        BanLength::For(length) if length < threshold.shortest().within => Some(
            "the ban is shorter than the window of the threshold: it is over before its offences are forgotten",
        ),
        _ => None,
    }
}

/// Why a threshold is too low for its evidence, if it is.
pub(crate) fn too_low(threshold: &Thresholds, evidence: Evidence) -> Option<&'static str> {
    if evidence == Evidence::Spoofable && threshold.iter().any(|window| window.offences == 1) {
        return Some("one forged packet would ban whoever's address it carries: ask for more offences");
    }
    None
}

/// Why an allowed network is too wide, if it is: shorter than what registries give to anybody (IANA's /8, /12).
pub(crate) fn too_wide(network: &Prefix) -> Option<String> {
    let shortest = if matches!(network, Prefix::V4(_)) { 8 } else { 12 };
    let wide = network.prefix_len() < shortest;
    wide.then(|| format!("`{network}` is allowed: from a large part of the internet nobody will be banned"))
}
