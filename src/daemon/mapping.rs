//! What the configuration says, in the words of the parts that do it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::address::Prefix;
use crate::config::{self, Config};
use crate::engine::{Offender, Settings, SpoofCaps, TrustPolicy};
use crate::{files, firewall, follow};

/// The firewall's settings; `dry_run` wins over the configured backend.
pub(super) fn firewall(config: &Config, dry_run: bool) -> firewall::Settings {
    let wanted = &config.firewall;
    let backend = if dry_run { firewall::DRY_RUN } else { wanted.backend.as_str() };
    firewall::Settings {
        backend: backend.to_owned(),
        table: wanted.table.clone(),
        anchor: wanted.anchor.clone(),
        kill_states: wanted.kill_states,
        foreign: match wanted.foreign {
            config::Foreign::Adopt => firewall::Foreign::Adopt,
            config::Foreign::Keep => firewall::Foreign::Keep,
            config::Foreign::Remove => firewall::Foreign::Remove,
        },
        converge_every: wanted.converge,
        timeout: wanted.timeout,
        command: wanted.command.as_ref().map(command).unwrap_or_default(),
        tools: tools(wanted.tool.as_deref()),
    }
}

fn command(commands: &config::Commands) -> firewall::CommandTemplates {
    firewall::CommandTemplates {
        add: commands.add.clone(),
        remove: commands.remove.clone(),
        list: commands.list.clone().unwrap_or_default(),
        replace: commands.replace.clone().unwrap_or_default(),
    }
}

/// The operator's own pfctl, ipfw or nft, where the configuration names one.
fn tools(own: Option<&Path>) -> firewall::Tools {
    match own {
        None => firewall::Tools::default(),
        Some(path) => firewall::Tools {
            pfctl: path.into(),
            ipfw: path.into(),
            nft: vec![path.into()],
            ..firewall::Tools::default()
        },
    }
}

/// The followed sources: those named on the command line, from their beginning, or else the configured ones.
pub(super) fn sources(config: &Config, files: &[PathBuf]) -> Vec<follow::Source> {
    if !files.is_empty() {
        let source = |path: &PathBuf| follow::Source { from_start: true, ..follow::Source::argument(path) };
        return files.iter().map(source).collect();
    }
    let source = |source: &config::Source| follow::Source {
        name: source.name.clone(),
        archive: source.archive.clone(),
        ..follow::Source::argument(&source.path)
    };
    config.sources.iter().map(source).collect()
}

/// The same files without those that were named before, under whatever name: their lines would count twice.
pub(super) fn distinct(files: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let identity = |path: &PathBuf| match path.metadata() {
        Ok(about) if path.as_os_str() != "-" => Ok(files::identity(&about)),
        // Standard input, or what may appear later.
        _ => Err(path.clone()),
    };
    files.into_iter().filter(|path| seen.insert(identity(path))).collect()
}

/// How many files these sources may be: a pattern may match any number.
pub(super) fn files(sources: &[follow::Source]) -> usize {
    sources.iter().map(|source| if source.is_pattern() { 2 } else { 1 }).sum()
}

/// How they are followed: one source that asks for polling switches the events off for all.
pub(super) fn follow_options(config: &Config) -> follow::Options {
    let polled = config.sources.iter().any(|source| source.follow == config::Follow::Poll);
    follow::Options { notify: !polled, ..follow::Options::default() }
}

/// The engine's settings, without what only this machine knows: its own addresses are added by [`engine_with`].
pub(super) fn engine(config: &Config, files: usize) -> Settings {
    Settings {
        offender: Offender { ipv4: config.offender.ipv4, ipv6: config.offender.ipv6 },
        networks: config.networks.clone(),
        tracked_offenders: config.tracked_offenders as usize,
        trust: TrustPolicy { keep: config.trust.remember, patience: config.trust.multiplier },
        spoofable: SpoofCaps {
            at_once: config.spoofable.bans_at_once as usize,
            per_minute: config.spoofable.bans_per_minute,
        },
        allow: config.allow.networks.iter().copied().collect(),
        files,
    }
}

/// The same on the machine that is guarded: nobody bans its own addresses, its gateways and resolvers.
pub(super) fn engine_with(config: &Config, files: usize, own: &[Prefix]) -> Settings {
    let networks = config.allow.networks.iter().chain(own).copied();
    Settings { allow: networks.collect(), ..engine(config, files) }
}
