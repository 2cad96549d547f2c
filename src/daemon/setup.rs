//! From the configuration to a pipeline that can be asked: the same for `scan`, `check` and the daemon.

use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use thiserror::Error;

use super::preflight;
use crate::address::Prefix;
use crate::config::{self, Config, Diagnostics, FileTrust, Loaded, LoadedRules, LogTo, ResolvedSet, SHIPPED};
use crate::engine::{Engine, EngineSettings, Policy};
use crate::files::{self, directory_of};
use crate::follow;
use crate::pipeline::{Pipeline, Stream, Terms};
use crate::record::{self, Clock, Layouts, TimeSpec};
use crate::rules::{self, Binding, Compiled, Fault, Matcher, RuleSet, Severity};
use crate::settings::{BackendKind, FirewallSettings};
use crate::time::Time;

/// A configuration that was read, checked and compiled.
#[derive(Debug)]
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// The file that it was read from, as an absolute path; `None` for the built-in defaults.
    pub file: Option<PathBuf>,
    /// The rule sets in force, with their numbers.
    pub sets: Vec<ResolvedSet>,
    /// The names of those among them that are the operator's own.
    pub(super) own: Vec<String>,
    /// Warnings; there are no errors.
    pub warnings: Diagnostics,
    /// The allow files, and how many networks each names.
    pub(super) allow_files: Vec<(PathBuf, usize)>,
    /// The zone of stamps that have none, and of times that are printed.
    pub zone: TimeZone,
    /// When it was read.
    pub now: Time,
    compiled: Vec<(Arc<RuleSet>, Compiled)>,
    /// What the configured sources are asked by, in their order.
    bindings: Vec<Arc<Binding>>,
    /// What a log is asked by that no source follows.
    unnamed: Arc<Binding>,
}

/// Reads the stamps of one path's lines.
pub(super) struct StampReader {
    pub(super) clock: Clock,
    layouts: Layouts,
    time: Option<TimeSpec>,
}

impl StampReader {
    /// When a line was written, if it says so; lines are asked for in their order.
    pub(super) fn read(&mut self, line: &[u8]) -> Option<Time> {
        let line = record::text(line);
        let record = record::parse_as(line, self.layouts);
        self.clock.written(line, &record, self.time.as_ref()).map(|written| written.time)
    }
}

/// A configuration with errors: nothing of it is used.
#[derive(Debug, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Refused(pub Diagnostics);

impl Setup {
    /// Reads the configuration, or where none is named and none installed the defaults, with all rule files.
    ///
    /// Custom rule sets in force are proven as `check` does, and shipped ones whose rules the configuration switches on or
    /// off; as they are, the shipped ones are proven by a test.
    ///
    /// # Errors
    /// All errors of all files, if there is one.
    pub fn load(file: Option<&Path>) -> Result<Self, Refused> {
        let mut loaded = config::load(file, &SHIPPED, FileTrust::of_this_user());
        let sets = loaded.resolve();
        Self::compile(loaded, sets)
    }

    /// The same with these rule files, and only these, in force: to try them before they are installed.
    ///
    /// # Errors
    /// All errors of the configuration and of the rule files, if there is one.
    pub fn load_to_try(file: Option<&Path>, rules: &[PathBuf]) -> Result<Self, Refused> {
        let mut loaded = config::load_to_try(file, rules, &SHIPPED, FileTrust::of_this_user());
        let sets = loaded.resolve();
        Self::compile(loaded, sets)
    }

    /// The same for the daemon itself, which also needs what the configuration names on this machine, unless it is a dry
    /// run; `own` are the operator's rule sets that are in force before a reload.
    pub(super) fn load_to_run(file: Option<&Path>, dry_run: bool, own: &[String]) -> Result<Self, Refused> {
        let mut loaded = config::load(file, &SHIPPED, FileTrust::of_this_user());
        if !dry_run {
            look_here(&mut loaded);
        }
        let vanished = preflight::vanished(&loaded.config, own);
        loaded.diagnose(vanished.as_slice());
        let sets = loaded.resolve();
        loaded.check_feeding(&sets);
        Self::compile(loaded, sets)
    }

    fn compile(mut loaded: Loaded, sets: Vec<ResolvedSet>) -> Result<Self, Refused> {
        let others = others(&loaded, &sets);
        let others: Vec<&RuleSet> = others.iter().map(AsRef::as_ref).collect();
        let mut compiled = Vec::new();
        for set in &sets {
            let LoadedRules { file, custom, .. } = &loaded.rules[set.origin];
            let custom = *custom;
            // Rules that are switched on or off change which rule takes a line first.
            let is_changed = set.set.rules != file.set.rules;
            let faults = if custom || is_changed { rules::check(&set.set, &others) } else { Vec::new() };
            tell(&mut loaded, set.origin, &faults);
            match Compiled::new(&set.set) {
                Ok(ready) => compiled.push((Arc::clone(&set.set), ready)),
                Err(faults) if custom => drop(faults),
                Err(faults) => tell(&mut loaded, set.origin, &faults),
            }
        }
        loaded.diagnostics.sort();
        if loaded.diagnostics.has_errors() {
            return Err(Refused(loaded.diagnostics));
        }
        let file = loaded.file().map(absolute);
        let own = sets.iter().filter(|set| loaded.rules[set.origin].custom);
        let own = own.map(|set| set.set.name.clone()).collect();
        let (zone, now) = (TimeZone::system(), Timestamp::now().into());
        let bound = |named, layouts| {
            let sets = sets.iter().map(|set| set.set.as_ref());
            let binding = match loaded.is_trial {
                true => Binding::to_all(sets, layouts),
                false => Binding::new(sets, named, layouts),
            };
            Arc::new(binding)
        };
        let sources = loaded.config.sources.iter();
        let bindings = sources.map(|source| bound(source.rule_sets.as_deref(), source.layout)).collect();
        let unnamed = bound(None, Layouts::Syslog);
        Ok(Self {
            config: loaded.config,
            file,
            sets,
            own,
            warnings: loaded.diagnostics,
            zone,
            now,
            compiled,
            bindings,
            unnamed,
            allow_files: loaded.allow_files,
        })
    }

    /// What holds for a log at a path that a source follows, by the source's name.
    pub fn terms_of_source(&self, name: &str, path: &Path) -> Terms {
        self.terms(self.config.sources.iter().position(|source| source.name == name), path)
    }

    /// What holds for a log that was named by its path: what its source says, if one follows it.
    pub fn terms_of_file(&self, path: &Path) -> Terms {
        self.terms(self.config.sources.iter().position(|source| is_followed_by(path, source)), path)
    }

    fn terms(&self, source: Option<usize>, path: &Path) -> Terms {
        let binding = source.and_then(|source| self.bindings.get(source)).unwrap_or(&self.unnamed);
        let named = source.and_then(|source| self.config.sources[source].writer.as_deref());
        let writer = named.map_or_else(|| directory_of_log(path), Arc::from);
        let said = source.and_then(|source| self.config.sources.get(source));
        let (time, zone) = said.map(|said| (said.time.clone(), said.zone.clone())).unwrap_or_default();
        Terms { binding: Arc::clone(binding), writer, time, zone }
    }

    /// What the rule sets look for; the compiled sets move into it.
    pub fn take_matcher(&mut self) -> Matcher {
        Matcher::new(std::mem::take(&mut self.compiled))
    }

    /// Where our messages go; a dry run speaks to whoever started it.
    pub(super) fn log_to(&self, dry_run: bool) -> LogTo {
        if dry_run { LogTo::Stderr } else { self.config.log.to }
    }

    /// Makes what reads the stamps of a path's lines, from the present on, whenever that is.
    pub(super) fn stamp_readers(&self) -> impl Fn(&str) -> StampReader + Send + 'static {
        let (local, sources, bindings) =
            (self.zone.clone(), self.config.sources.clone(), self.bindings.clone());
        move |path| {
            let is_at = |source: &config::SourceSettings| {
                source.path == path || follow::is_match(&source.path, Path::new(path))
            };
            let mut clock = Clock::new(local.clone(), Timestamp::now().into());
            let Some(at) = sources.iter().position(is_at) else {
                return StampReader { clock, layouts: Layouts::default(), time: None };
            };
            clock.state_zone(sources[at].zone.clone());
            let usual = bindings.get(at).and_then(|binding| binding.time());
            StampReader {
                clock,
                layouts: sources[at].layout,
                time: sources[at].time.as_ref().or(usual).cloned(),
            }
        }
    }

    /// A clock for a log on these terms.
    pub fn clock_of(&self, terms: &Terms) -> Clock {
        let mut clock = Clock::new(self.zone.clone(), self.now);
        clock.state_zone(terms.zone.clone());
        clock
    }

    /// Whether the stamps of all sources are read as under another configuration.
    pub(super) fn stamps_alike(&self, other: &Self) -> bool {
        let said = |setup: &Self, at: usize| {
            let source = setup.config.sources.get(at)?;
            let usual = setup.bindings.get(at).and_then(|binding| binding.time().cloned());
            Some((source.time.clone().or(usual), source.zone.clone(), source.layout))
        };
        (0..self.config.sources.len()).all(|at| said(self, at) == said(other, at))
    }

    /// Streams of which nothing was read, one for each of the terms.
    pub fn streams(&self, terms: &[Terms]) -> Vec<Stream> {
        let stream = |terms: &Terms| Stream::new(Clock::new(self.zone.clone(), self.now), terms.clone());
        terms.iter().map(stream).collect()
    }

    /// A pipeline that reads logs on these terms; the compiled sets move into it.
    pub fn pipeline(&mut self, terms: &[Terms]) -> Pipeline {
        let engine = Engine::new(self.engine_settings(terms.len(), &[]), self.policies());
        Pipeline::new(self.take_matcher(), engine, self.streams(terms))
    }

    /// The engine's settings for so many followed files. `own` are addresses of this machine, its gateways and resolvers,
    /// which nobody bans; none where the logs may be another machine's.
    pub(super) fn engine_settings(&self, files: usize, own: &[Prefix]) -> EngineSettings {
        let config = &self.config;
        EngineSettings {
            offender: config.offender,
            networks: config.networks.clone(),
            tracked_offenders: config.tracked_offenders,
            trust: config.trust,
            spoofable: config.spoofable,
            allow: config.allow.networks.iter().chain(own).copied().collect(),
            files,
        }
    }

    /// The firewall's settings; `dry_run` wins over the configured backend.
    pub(super) fn firewall(&self, dry_run: bool) -> FirewallSettings {
        let mut settings = self.config.firewall.clone();
        if dry_run {
            settings.backend = BackendKind::DryRun;
        }
        settings
    }

    /// The followed sources: those named on the command line, from their beginning, or else the configured ones.
    pub(super) fn followed(&self, files: &[PathBuf]) -> Vec<follow::Source> {
        if !files.is_empty() {
            let source =
                |path: &PathBuf| follow::Source { from_start: true, ..follow::Source::argument(path) };
            return files.iter().map(source).collect();
        }
        let source = |source: &config::SourceSettings| follow::Source {
            name: source.name.clone(),
            archive: source.archive.clone(),
            ..follow::Source::argument(&source.path)
        };
        self.config.sources.iter().map(source).collect()
    }

    /// How sources are followed: one that asks for polling switches the events off for all.
    pub(super) fn follow_options(&self) -> follow::Options {
        let is_polled = self.config.sources.iter().any(|source| source.follow == config::Follow::Poll);
        follow::Options { notify: !is_polled, ..follow::Options::default() }
    }

    /// The engine's policies, one for each rule set in force.
    pub fn policies(&self) -> Vec<Policy> {
        self.sets.iter().map(|set| Policy::of(&set.set, set.threshold, set.ban)).collect()
    }
}

/// The sets that must not fool each other: those in force, and where rule files are tried, all that `check` would compare
/// them with.
fn others(loaded: &Loaded, in_force: &[ResolvedSet]) -> Vec<Arc<RuleSet>> {
    match loaded.is_trial {
        true => loaded.rules.iter().map(|rules| Arc::new(rules.file.set.clone())).collect(),
        false => in_force.iter().map(|set| Arc::clone(&set.set)).collect(),
    }
}

/// Whether a source follows this file: by its name, or as one that was rotated away.
fn is_followed_by(path: &Path, source: &config::SourceSettings) -> bool {
    if path == Path::new("-") || source.path == "-" {
        return path == Path::new(&source.path);
    }
    let log = follow::log_of(path);
    let moved = source.archive.as_deref().and_then(|archive| archived(&log, archive, &source.path));
    let known = [path.to_owned(), log].into_iter().chain(moved);
    let paths: Vec<PathBuf> = known.flat_map(|path| [resolved(&path), absolute(&path)]).collect();
    let followed = Path::new(&source.path);
    if follow::is_pattern(followed) {
        return paths.iter().any(|path| follow::is_match(&source.path, path));
    }
    paths.contains(&followed.to_owned()) || paths.contains(&resolved(followed))
}

/// Where the log was whose rotated file lies in the source's archive.
fn archived(log: &Path, archive: &Path, source: &str) -> Option<PathBuf> {
    let is_archived = resolved(log).parent() == Some(&resolved(archive));
    Some(Path::new(source).with_file_name(log.file_name()?)).filter(|_| is_archived)
}

fn absolute(path: &Path) -> PathBuf {
    path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Without symbolic links, as far as there is something; a log that was rotated away may have left none of its name.
fn resolved(path: &Path) -> PathBuf {
    let path = absolute(path);
    files::resolved(&path).unwrap_or(path)
}

/// Files of one directory are one writer's unless their sources say otherwise: a syslogd writes its logs side by side,
/// and what runs in a jail or on another host has a directory of its own.
fn directory_of_log(path: &Path) -> Arc<str> {
    if path == Path::new("-") {
        return "-".into();
    }
    directory_of(&absolute(path)).to_string_lossy().into()
}

/// Adds what this machine has not, and the daemon will need.
pub fn look_here(loaded: &mut Loaded) {
    loaded.diagnose(&preflight::faults(&loaded.config));
    if loaded.says("sources") {
        loaded.diagnose(&preflight::source_faults(&loaded.config));
    }
}

fn tell(loaded: &mut Loaded, origin: usize, faults: &[Fault]) {
    let file = loaded.rules[origin].file.clone();
    // A rule without samples is `check`'s to remark on; it is no reason to speak at every start.
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
    loaded.diagnostics.extend(errors.map(|fault| file.diagnose(fault)));
}
