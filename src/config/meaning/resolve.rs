//! The rule sets in force: shipped and custom ones, as the configuration changes them.

use std::sync::Arc;

use super::rule_file::LoadedRules;
use super::validate::{SettingFault, keys};
use crate::config::defaults::{SPOOFABLE_BAN, SPOOFABLE_THRESHOLD};
use crate::config::reading::policy;
use crate::config::settings::{Config, Override, SetDefaults};
use crate::config::text::document::PathSegment;
use crate::config::text::suggest::or_near;
use crate::record::Layouts;
use crate::rules::{BanPolicy, Evidence, RuleSet, Thresholds};

/// A set in force.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedSet {
    /// The set, with its rules switched on and off as the configuration says; the matcher shares it.
    pub set: Arc<RuleSet>,
    /// The number of offences, and the time, that lead to a ban.
    pub threshold: Thresholds,
    /// The length of its bans, and how they grow.
    pub ban: BanPolicy,
    /// Its index among the available sets.
    pub origin: usize,
}

/// The sets in force, in the order in which the configuration or `available` names them, and what is wrong with
/// the configuration's choice.
pub(crate) fn resolve(config: &Config, available: &[LoadedRules]) -> (Vec<ResolvedSet>, Vec<SettingFault>) {
    let mut faults = Vec::new();
    let chosen = chosen(config, available, &mut faults);
    let mut sets = Vec::new();
    for origin in chosen {
        let change =
            config.overrides.iter().find(|change| change.rule_set == available[origin].file.set.name);
        let (set, found) = resolved(&available[origin].file.set, origin, config.defaults, change);
        sets.push(set);
        faults.extend(found);
    }
    faults.extend(unknown_to_sources(config, available, &sets));
    faults.extend(services_without_reports(config, available, &sets));
    faults.extend(lines_of_several_programs(config, &sets));
    faults.extend(overrides_without_effect(config, available, &sets));
    faults.extend(defaults_without_effect(config, &sets));
    (sets, faults)
}

/// Numbers of the operator's that sets in force do not take, since they state their own: most of those that come along do.
fn defaults_without_effect(config: &Config, sets: &[ResolvedSet]) -> Vec<SettingFault> {
    let usual = Config::default().defaults;
    let unused = |key, is_changed: bool, states: fn(&RuleSet) -> bool| {
        let has_own = |set: &RuleSet| states(set) || set.evidence == Evidence::Spoofable;
        let changes = |name: &str| config.overrides.iter().any(|change| change.rule_set == name);
        let own = sets.iter().filter(|set| has_own(&set.set)).map(|set| set.set.name.as_str());
        let ignoring: Vec<&str> = own.filter(|name| !changes(name)).collect();
        let first = ignoring.first().filter(|_| is_changed)?;
        let text = format!(
            "not for {}: there `{key}` is the rule set's own, or the evidence may be forged; to change it, \
             `override: {{{first}: {{{key}: …}}}}`",
            ignoring.join(", ")
        );
        Some(SettingFault::warning(keys(&["defaults", key]), text))
    };
    let threshold =
        unused("threshold", config.defaults.threshold != usual.threshold, |set| set.threshold.is_some());
    let ban = unused("ban", config.defaults.ban != usual.ban, |set| set.ban.is_some());
    threshold.into_iter().chain(ban).collect()
}

/// Indices of the sets that are in force. Where the configuration does not say which, a source that names one puts it
/// into force.
fn chosen(config: &Config, available: &[LoadedRules], faults: &mut Vec<SettingFault>) -> Vec<usize> {
    let Some(names) = &config.rule_sets else {
        let is_asked = |set: &RuleSet| {
            config.sources.iter().any(|s| s.rule_sets.as_ref().is_some_and(|names| names.contains(&set.name)))
                || config.blocklists.iter().any(|source| source.feeds(&set.name))
        };
        let is_chosen = |one: &LoadedRules| one.custom || one.by_default || is_asked(&one.file.set);
        let all = (0..available.len()).filter(|&n| is_chosen(&available[n]));
        return all.filter(|&n| find(available, &available[n].file.set.name) == Some(n)).collect();
    };
    if names.is_empty() {
        let text = "no rule set is in force: nobody will ever be banned";
        faults.push(SettingFault::warning(keys(&["rule_sets"]), text));
    }
    let mut chosen = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let key_path = vec![PathSegment::Key("rule_sets".into()), PathSegment::Index(n)];
        match find(available, name) {
            None => faults.push(SettingFault::error(key_path, unknown_set(name, available))),
            Some(set) if chosen.contains(&set) => {
                let text = format!("the rule set `{name}` is named twice");
                faults.push(SettingFault::warning(key_path, text));
            }
            Some(set) => chosen.push(set),
        }
    }
    chosen
}

/// A custom set goes before a shipped one.
fn find(available: &[LoadedRules], name: &str) -> Option<usize> {
    let with = |custom| available.iter().position(|one| one.custom == custom && one.file.set.name == name);
    with(true).or_else(|| with(false))
}

fn unknown_set(name: &str, available: &[LoadedRules]) -> String {
    let known: Vec<&str> = available.iter().map(|one| one.file.set.name.as_str()).collect();
    format!("there is no rule set `{name}`{}", or_near(name, &known))
}

/// One set with its numbers, and what is wrong with the changes to it.
fn resolved(
    set: &RuleSet,
    origin: usize,
    defaults: SetDefaults,
    change: Option<&Override>,
) -> (ResolvedSet, Vec<SettingFault>) {
    let own = match set.evidence {
        Evidence::Handshake | Evidence::Kernel => defaults,
        // The operator's usual numbers are made for evidence that cannot be forged.
        Evidence::Spoofable => SetDefaults { threshold: SPOOFABLE_THRESHOLD, ban: SPOOFABLE_BAN },
    };
    let mut resolved = ResolvedSet {
        set: Arc::new(set.clone()),
        threshold: change.and_then(|change| change.threshold).or(set.threshold).unwrap_or(own.threshold),
        ban: change.map(|change| change.ban).unwrap_or_default().applied_to(set.ban.unwrap_or(own.ban)),
        origin,
    };
    let mut faults = Vec::new();
    if let Some(change) = change {
        switch(Arc::make_mut(&mut resolved.set), change, &mut faults);
        faults.extend(unwise(&resolved, change));
    }
    (resolved, faults)
}

/// Switches rules on and off.
fn switch(set: &mut RuleSet, change: &Override, faults: &mut Vec<SettingFault>) {
    let lists = [("enable", &change.enable, true), ("disable", &change.disable, false)];
    for (key, ids, enabled) in lists {
        for (n, id) in ids.iter().enumerate() {
            let mut key_path = keys(&["override", &change.rule_set, key]);
            key_path.push(PathSegment::Index(n));
            let mut known: Vec<&str> = set.rules.iter().map(|rule| rule.id.as_str()).collect();
            known.dedup();
            let text = format!("`{}` has no rule `{id}`{}", change.rule_set, or_near(id, &known));
            if !known.contains(&id.as_str()) {
                faults.push(SettingFault::error(key_path, text));
            } else if !enabled && change.enable.contains(id) {
                let text =
                    format!("the rule `{id}` is enabled and disabled: remove it from one of the lists");
                faults.push(SettingFault::error(key_path, text));
            } else {
                set.rules.iter_mut().filter(|rule| rule.id == *id).for_each(|rule| rule.enabled = enabled);
            }
        }
    }
}

/// Faults of an override: a threshold or ban that does not suit the evidence or each other.
fn unwise(resolved: &ResolvedSet, change: &Override) -> Vec<SettingFault> {
    let name = change.rule_set.as_str();
    let evidence = resolved.set.evidence;
    let mut faults = Vec::new();
    if !change.ban.is_none() {
        let ban = &resolved.ban;
        let too_hard = policy::too_hard(ban, evidence);
        faults.extend(too_hard.map(|text| SettingFault::error(keys(&["override", name, "ban"]), text)));
        let outgrown = policy::outgrown(ban);
        faults.extend(outgrown.map(|text| SettingFault::warning(keys(&["override", name, "ban"]), text)));
    }
    if change.threshold.is_some()
        && let Some(text) = policy::too_low(&resolved.threshold, evidence)
    {
        faults.push(SettingFault::warning(keys(&["override", name, "threshold"]), text));
    }
    if let Some(text) = policy::too_short(&resolved.threshold, &resolved.ban) {
        faults.push(SettingFault::warning(keys(&["override", name]), text));
    }
    faults
}

/// Sets that sources name and that would not be asked.
fn unknown_to_sources(config: &Config, available: &[LoadedRules], sets: &[ResolvedSet]) -> Vec<SettingFault> {
    let mut faults = Vec::new();
    for source in &config.sources {
        let names = source.rule_sets.as_deref().unwrap_or_default();
        for (n, name) in names.iter().enumerate() {
            let mut key_path = keys(&["sources", &source.name, "rule_sets"]);
            key_path.push(PathSegment::Index(n));
            if find(available, name).is_none() {
                faults.push(SettingFault::error(key_path, unknown_set(name, available)));
            } else if sets.iter().all(|set| set.set.name != *name) {
                let text =
                    format!("the rule set `{name}` is not in force: add it to the file's own `rule_sets`");
                faults.push(SettingFault::error(key_path, text));
            } else if names[..n].contains(name) {
                faults.push(SettingFault::warning(key_path, format!("the rule set `{name}` is named twice")));
            }
        }
    }
    faults
}

/// Services whose rule sets do not exist, are not in force, or take no reports.
fn services_without_reports(
    config: &Config,
    available: &[LoadedRules],
    sets: &[ResolvedSet],
) -> Vec<SettingFault> {
    let mut faults = Vec::new();
    for source in &config.blocklists {
        for (nth, (port, name)) in source.services.iter().enumerate() {
            let text = if find(available, name).is_none() {
                unknown_set(name, available)
            } else if let Some(set) = sets.iter().find(|set| set.set.name == *name) {
                if set.set.reports.is_some() {
                    continue;
                }
                format!(
                    "the rule set `{name}` takes no reports, so that those about port {port} would have no effect: say what \
                     they weigh, as in `reports: {{failed: 1}}` in its file"
                )
            } else {
                format!("the rule set `{name}` is not in force: add it to the file's own `rule_sets`")
            };
            let mut key_path = keys(&["sources", &source.name, "services"]);
            key_path.push(PathSegment::Index(nth));
            faults.push(SettingFault::error(key_path, text));
        }
    }
    faults
}

/// Sources whose lines name no program, and that sets of several programs would take for theirs: only sets of one program
/// are proven against each other.
fn lines_of_several_programs(config: &Config, sets: &[ResolvedSet]) -> Vec<SettingFault> {
    let mut faults = Vec::new();
    for source in config.sources.iter().filter(|source| source.layout == Layouts::Supervised) {
        let is_asked = |set: &&RuleSet| match &source.rule_sets {
            Some(names) => names.contains(&set.name),
            None => true,
        };
        let asked: Vec<&RuleSet> = sets
            .iter()
            .map(|resolved| resolved.set.as_ref())
            .filter(is_asked)
            .filter(|set| !set.format.needs_source() && set.names_a_process())
            .collect();
        let Some((first, rest)) = asked.split_first() else { continue };
        if let Some(other) = rest.iter().find(|other| !first.shares_program(other)) {
            let text = format!(
                "the lines of this source name no program, and `{}` and `{}` would both take them for their own: say whose \
                 log it is, as in `rule_sets: [{0}]`",
                first.name, other.name
            );
            faults.push(SettingFault::error(keys(&["sources", &source.name]), text));
        }
    }
    faults
}

/// Changes to sets that do not exist or are not in force.
fn overrides_without_effect(
    config: &Config,
    available: &[LoadedRules],
    sets: &[ResolvedSet],
) -> Vec<SettingFault> {
    let mut faults = Vec::new();
    for name in config.overrides.iter().map(|change| change.rule_set.as_str()) {
        let key_path = vec![PathSegment::Key("override".into()), PathSegment::Name(name.to_owned().into())];
        if find(available, name).is_none() {
            faults.push(SettingFault::error(key_path, unknown_set(name, available)));
        } else if sets.iter().all(|set| set.set.name != name) {
            let text = format!("the rule set `{name}` is not in force: this has no effect");
            faults.push(SettingFault::warning(key_path, text));
        }
    }
    faults
}
