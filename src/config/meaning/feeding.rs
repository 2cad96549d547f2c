//! Which logs feed which rule sets: sources that follow a log of a set's name, sources made of the `logs` of sets, and sets
//! that no source would ever feed.

use std::path::Path;

use glob::{MatchOptions, Pattern};

use super::resolve::ResolvedSet;
use super::validate::{SettingFault, keys};
use crate::config::settings::{Config, SourceSettings};
use crate::config::text::document::PathSegment;
use crate::config::text::suggest::or_near;
use crate::record::ProgramNames;
use crate::rules::{RuleSet, Severity};

/// Takes a source that the operator wrote, and that names no rule sets, for the log of a set for raw lines or JSON whose name
/// its file bears: `vsftpd.log` and `vsftpd`. Such a log is an application's own, so that no other set is asked about it.
pub(crate) fn adopt_logs_of_the_same_name(config: &mut Config, sets: &[ResolvedSet]) -> Vec<SettingFault> {
    let mut told = Vec::new();
    if config.sources == Config::default().sources {
        return told;
    }
    for set in sets.iter().map(|set| &set.set).filter(|set| set.format.needs_source() && set.logs.is_empty())
    {
        if is_named(config, set) {
            continue;
        }
        let bears_name =
            |source: &&mut SourceSettings| source.rule_sets.is_none() && is_called(&source.path, &set.name);
        let Some(source) = config.sources.iter_mut().find(bears_name) else { continue };
        source.rule_sets = Some(vec![set.name.clone()]);
        let text = format!(
            "this source names no rule sets, and follows a log that is called as `{0}` is: `{0}` alone is asked about it; \
             write `{1}: {{path: {2}, rule_sets: [{0}]}}`",
            set.name, source.name, source.path
        );
        told.push(SettingFault::warning(keys(&["sources", &source.name]), text));
    }
    told
}

/// Whether a file is called so, whatever its ending.
fn is_called(path: &str, name: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    file.strip_prefix(name).is_some_and(|ending| ending.is_empty() || ending.starts_with('.'))
}

/// Makes a source for each set in force that has `logs` and that no source names: of the first log that `is_there`, or of
/// the very first, which may appear later. Sets that share a log share the source.
///
/// A log that is followed already is not followed twice: whoever wrote that source says which sets are asked about it.
pub(crate) fn sources_of_sets(
    config: &Config,
    sets: &[ResolvedSet],
    is_there: impl Fn(&str) -> bool,
) -> Vec<SourceSettings> {
    let mut made: Vec<SourceSettings> = Vec::new();
    for set in
        sets.iter().map(|set| &set.set).filter(|set| !is_named(config, set) && !is_in_journal(config, set))
    {
        let Some(path) = set.logs.iter().find(|log| is_there(log)).or_else(|| set.logs.first()) else {
            continue;
        };
        if following(config, path).is_some() {
            continue;
        }
        match made.iter_mut().find(|source| source.path == *path) {
            Some(source) => source.rule_sets.get_or_insert_default().push(set.name.clone()),
            None => made.push(SourceSettings {
                rule_sets: Some(vec![set.name.clone()]),
                ..SourceSettings::at(free_name(config, &made, &set.name), path)
            }),
        }
    }
    made
}

/// Faults of the way in which sets get their lines, once the sources that are made of them are among the sources.
///
/// A set that no source would ever feed is an error where the operator wanted the set, by naming it or as `is_own` says of
/// its origin; others are in force by default, and are only told of.
pub(crate) fn faults(
    config: &Config,
    sets: &[ResolvedSet],
    is_own: impl Fn(usize) -> bool,
    is_there: impl Fn(&str) -> bool,
) -> Vec<SettingFault> {
    let mut faults = unknown_programs(config, sets);
    for ResolvedSet { set, origin, .. } in sets {
        let is_wanted = config.rule_sets.is_some() || is_own(*origin);
        if !is_fed(config, set) {
            if !is_wanted && config.sources.iter().any(|source| source.journal.is_some()) {
                // Whoever names programs of the journal has said what is to be read.
                continue;
            }
            let severity = if is_wanted { Severity::Error } else { Severity::Warning };
            let (key_path, text) = not_asked(config, set).unwrap_or_else(|| unfed(config, set));
            faults.push(SettingFault { severity, key_path, text });
        } else if is_reported(config, set) {
            // Its log may be there or not.
        } else if is_named(config, set) {
            faults.extend(absent(config, set, &is_there));
        } else {
            faults
                .extend(not_asked(config, set).map(|(key_path, text)| SettingFault::warning(key_path, text)));
        }
    }
    faults
}

/// Whether each of two sets for raw lines or JSON has sources of its own: none would hand both of them a line.
pub fn are_apart(config: &Config, one: &RuleSet, other: &RuleSet) -> bool {
    let need_sources = one.format.needs_source() && other.format.needs_source();
    let have_sources = is_named(config, one) && is_named(config, other);
    let is_shared = |source: &SourceSettings| names(source, one) && names(source, other);
    need_sources && have_sources && !config.sources.iter().any(is_shared)
}

/// Whether a source names the set.
fn is_named(config: &Config, set: &RuleSet) -> bool {
    config.sources.iter().any(|source| names(source, set))
}

fn names(source: &SourceSettings, set: &RuleSet) -> bool {
    source.rule_sets.as_ref().is_some_and(|names| names.contains(&set.name))
}

/// Whether a server reports for the set.
fn is_reported(config: &Config, set: &RuleSet) -> bool {
    config.blocklists.iter().any(|source| source.feeds(&set.name))
}

/// Whether a source would ever hand the set a line.
fn is_fed(config: &Config, set: &RuleSet) -> bool {
    let is_asked = |source: &SourceSettings| source.rule_sets.is_none() && reads_for(source, set);
    is_named(config, set)
        || is_reported(config, set)
        || (!set.format.needs_source() && config.sources.iter().any(is_asked))
}

/// Whether the journal is read for a set, so that it needs no file.
fn is_in_journal(config: &Config, set: &RuleSet) -> bool {
    let is_read = |source: &SourceSettings| {
        source.journal.is_some() && source.rule_sets.is_none() && reads_for(source, set)
    };
    config.sources.iter().any(is_read)
}

/// Whether a source reads lines for a set that looks at syslog: a file does, and the journal where it is to read one of the
/// set's programs.
pub fn reads_for(source: &SourceSettings, set: &RuleSet) -> bool {
    let Some(journal) = &source.journal else { return true };
    let is_wanted = |program: &String| ProgramNames(set.programs.clone()).share(program);
    !set.format.needs_source() && journal.programs.as_ref().is_none_or(|named| named.iter().any(is_wanted))
}

/// Programs that are to be read of the journal, and that no set in force knows.
fn unknown_programs(config: &Config, sets: &[ResolvedSet]) -> Vec<SettingFault> {
    let known = ProgramNames(sets.iter().flat_map(|set| set.set.programs.clone()).collect());
    let mut faults = Vec::new();
    for source in &config.sources {
        let named = source.journal.iter().flat_map(|journal| journal.programs.iter().flatten());
        for (nth, program) in named.enumerate().filter(|(_, program)| !known.share(program)) {
            let near = or_near(program, &known.0.iter().map(String::as_str).collect::<Vec<_>>());
            let text =
                format!("no rule set in force knows a program `{program}`{near}: none of its lines are read");
            let mut key_path = keys(&["sources", &source.name, "journal"]);
            key_path.push(PathSegment::Index(nth));
            faults.push(SettingFault::warning(key_path, text));
        }
    }
    faults
}

/// The configured source that follows a log, or some of the files that a pattern means.
fn following<'c>(config: &'c Config, path: &str) -> Option<&'c SourceSettings> {
    config.sources.iter().find(|source| overlap(&source.path, path))
}

fn overlap(one: &str, other: &str) -> bool {
    one == other || is_match(one, other) || is_match(other, one)
}

/// Whether a pattern for file names means this path.
fn is_match(pattern: &str, path: &str) -> bool {
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_path_with(Path::new(path), options))
}

/// A name for the source of a set that no other source has.
fn free_name(config: &Config, made: &[SourceSettings], set: &str) -> String {
    let is_free = |name: &String| config.sources.iter().chain(made).all(|source| source.name != *name);
    let numbered = (1..).map(|number| format!("{set}-logs-{number}"));
    let mut names = [set.to_owned(), format!("{set}-logs")].into_iter().chain(numbered);
    names.find(is_free).unwrap_or_default()
}

/// The path to the set under `rule_sets`, or to `sources` where the set is in force by default.
fn key_path_of(config: &Config, set: &RuleSet) -> Vec<PathSegment> {
    let nth = config.rule_sets.as_ref().and_then(|names| names.iter().position(|name| *name == set.name));
    match nth {
        Some(nth) => vec![PathSegment::Key("rule_sets".into()), PathSegment::Index(nth)],
        None => keys(&["sources"]),
    }
}

/// The advice where the log of a set is followed by a source that asks other sets about it.
fn not_asked(config: &Config, set: &RuleSet) -> Option<(Vec<PathSegment>, String)> {
    let (log, source) = set.logs.iter().find_map(|log| Some((log, following(config, log)?)))?;
    let name = &source.name;
    let text = match &source.rule_sets {
        Some(asked) => format!(
            "`{0}` has its lines in {log}, but this source asks only {1} about them: write `rule_sets: [{1}, {0}]`",
            set.name,
            asked.join(", ")
        ),
        None if set.format.needs_source() => format!(
            "`{0}` has its lines in {log}, but looks only at sources that name it: write `{name}: {{path: {1}, rule_sets: \
             [{0}]}}`",
            set.name, source.path
        ),
        None => return None,
    };
    Some((keys(&["sources", name]), text))
}

fn unfed(config: &Config, set: &RuleSet) -> (Vec<PathSegment>, String) {
    let name = &set.name;
    if let Some(source) = config.sources.iter().find(|source| source.journal.is_some())
        && !set.format.needs_source()
    {
        let text = format!(
            "the rule set `{name}` would be asked about no log: `{}` reads other programs of the systemd journal; add one of \
             its own ({}), or write `journal: all`",
            source.name,
            set.programs.join(", ")
        );
        return (key_path_of(config, set), text);
    }
    if !set.format.needs_source() {
        let text = format!(
            "the rule set `{name}` would be asked about no log: every source names its rule sets, and none names this one; \
             add it to those of the log that syslog writes, or leave `rule_sets` out there"
        );
        return (key_path_of(config, set), text);
    }
    let (key_path, line) = match likely_source(config, set) {
        Some(SourceSettings { name: source, path, .. }) => (
            keys(&["sources", source]),
            format!("`{source}: {{path: {path}, rule_sets: [{name}]}}` under `sources` if that is its log"),
        ),
        None => (
            key_path_of(config, set),
            format!(
                "`{name}: {{path: /path/of/its.log, rule_sets: [{name}]}}` under `sources`{}",
                beside_the_usual(config)
            ),
        ),
    };
    let text = format!(
        "the rule set `{name}` would be asked about no log: with `format: {}` it looks only at sources that name it; write \
         {line}, or name its `logs` in the rule file",
        set.format.as_str()
    );
    (key_path, text)
}

/// The source that names no rule sets, and that bears this one's name or follows a file of that name.
fn likely_source<'c>(config: &'c Config, set: &RuleSet) -> Option<&'c SourceSettings> {
    let is_alike = |source: &&SourceSettings| {
        let file = source.path.rsplit('/').next().unwrap_or_default();
        source.rule_sets.is_none() && (source.name == set.name || file.contains(&set.name))
    };
    config.sources.iter().find(is_alike)
}

/// Whoever writes `sources` has those alone.
fn beside_the_usual(config: &Config) -> String {
    if config.sources != Config::default().sources {
        return String::new();
    }
    let usual = config.sources.iter().map(|source| format!("`{}: {}`", source.name, source.path));
    format!(" (beside {}, which are followed now)", usual.collect::<Vec<_>>().join(" and "))
}

/// A source that was made of logs of which none is there.
fn absent(config: &Config, set: &RuleSet, is_there: impl Fn(&str) -> bool) -> Option<SettingFault> {
    let first = set.logs.first()?;
    let is_followed = config.sources.iter().any(|source| names(source, set) && source.path == *first);
    if !is_followed || set.logs.iter().any(|log| is_there(log)) {
        return None;
    }
    let text = format!(
        "no log of the rule set `{0}` is there ({1}): {first} is followed as soon as it is; where the program writes \
         elsewhere, write `{0}: {{path: /path/of/its.log, rule_sets: [{0}]}}` under `sources`",
        set.name,
        set.logs.join(", ")
    );
    Some(SettingFault::warning(key_path_of(config, set), text))
}
