//! What a configuration means: rule sets compiled into a pipeline, and settings for the parts. The same for `scan`, `check`,
//! `doctor` and the daemon.
//!
//! ```text
//! mod               the configuration read, checked and compiled
//! logs              which source a log belongs to, and how its lines are stamped
//! database          where the database lies
//! preflight         what the configuration needs of this machine
//! logger            our own messages
//! machine           where this machine logs, whether sshd runs
//! proposal, survey  a configuration for this machine, as `portcullis setup` writes it
//! local_addresses   which of this machine's addresses nobody bans
//! ```

pub(crate) mod database;
pub(crate) mod local_addresses;
pub(crate) mod logger;
mod logs;
pub(crate) mod machine;
pub(crate) mod preflight;
mod proposal;
mod survey;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use thiserror::Error;

use self::logs::StampFormat;
pub(crate) use self::logs::{StampFormats, StampReader};
pub(crate) use self::proposal::Proposal;
use crate::address::Prefix;
use crate::config::{
    self, Config, Diagnostic, Diagnostics, FileTrust, JournalSettings, Loaded, LogTo, ResolvedSet, SHIPPED,
    Site, SourceSettings, ThisMachine,
};
use crate::control::{Answer, Client, ClientError, Request};
use crate::engine::{Engine, EngineSettings, Policy};
use crate::follow;
use crate::follow::journalctl::JournalQuery;
use crate::pipeline::{Pipeline, Stream, Terms};
use crate::record::{Clock, Layouts, ProgramNames};
use crate::rules::{self, Binding, Compiled, Fault, Matcher, RuleSet, Severity};
use crate::settings::{BackendKind, FirewallSettings, JOURNAL};
use crate::store::{self, Retention};
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
    pub(crate) custom_sets: Vec<String>,
    /// Warnings; there are no errors.
    pub warnings: Diagnostics,
    /// The allow files, and how many networks each names.
    pub(crate) allow_files: Vec<(PathBuf, usize)>,
    /// The zone of stamps that have none, and of times that are printed.
    pub zone: TimeZone,
    /// The time at which the configuration was read.
    pub now: Time,
    compiled: Vec<(Arc<RuleSet>, Compiled)>,
    /// What the configured sources are asked by, in their order.
    bindings: Vec<Arc<Binding>>,
    /// What a log is asked by that no source follows.
    unnamed: Arc<Binding>,
}

/// A configuration with errors: nothing of it is used.
#[derive(Debug, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Refused(pub Diagnostics);

impl Refused {
    /// For a reason that is no fault of a line.
    pub(crate) fn because(file: Option<&Path>, why: impl Into<String>) -> Self {
        let usual = config::defaults::config_file();
        let mut told = Diagnostics::default();
        told.push(Diagnostic::whole(file.unwrap_or(&usual), Severity::Error, why));
        Self(told)
    }
}

impl Setup {
    /// Reads the configuration, or where none is named and none installed the defaults, with all rule files.
    ///
    /// Custom rule sets in force are proven as `check` does, and shipped ones whose rules the configuration switches on or
    /// off; as they are, the shipped ones are proven by a test.
    ///
    /// # Errors
    /// All errors of all files, if there is one.
    pub fn load(file: Option<&Path>) -> Result<Self, Refused> {
        let mut loaded = config::load(&ThisMachine, file, SHIPPED, FileTrust::of_this_user());
        let sets = loaded.resolve(&ThisMachine);
        Self::compile(loaded, sets)
    }

    /// Reads the configuration with these rule files, and only these, in force: to try them before they are installed.
    ///
    /// # Errors
    /// All errors of the configuration and of the rule files, if there is one.
    pub fn load_to_try(file: Option<&Path>, rules: &[PathBuf]) -> Result<Self, Refused> {
        let mut loaded = config::load_to_try(file, rules, SHIPPED, FileTrust::of_this_user());
        let sets = loaded.resolve(&ThisMachine);
        Self::compile(loaded, sets)
    }

    /// Reads the configuration for the daemon itself, which also needs what it names on this machine, unless it is a dry
    /// run. `in_force` are the operator's own rule sets before a reload.
    ///
    /// # Errors
    /// All errors of all files, if there is one.
    pub(crate) fn load_to_run(
        site: &dyn Site,
        file: Option<&Path>,
        dry_run: bool,
        in_force: &[String],
    ) -> Result<Self, Refused> {
        let mut loaded = config::load(site, file, SHIPPED, FileTrust::of_this_user());
        if !dry_run {
            preflight::check(site, &mut loaded);
        }
        let vanished = preflight::vanished(site, &loaded.config, in_force);
        loaded.diagnose(vanished.as_slice());
        let sets = loaded.resolve(site);
        loaded.check_feeding(site, &sets);
        Self::compile(loaded, sets)
    }

    fn compile(mut loaded: Loaded, sets: Vec<ResolvedSet>) -> Result<Self, Refused> {
        let compiled = compile(&mut loaded, &sets);
        loaded.diagnostics.sort();
        if loaded.diagnostics.has_errors() {
            return Err(Refused(loaded.diagnostics));
        }
        let bind_source = |source: &SourceSettings| {
            let asked = sets.iter().filter(|set| config::reads_for(source, &set.set));
            let of_journal: Option<Vec<String>> =
                source.journal.as_ref().map(|_| asked.map(|set| set.set.name.clone()).collect());
            let named = source.rule_sets.as_ref().or(of_journal.as_ref());
            bind(&sets, loaded.is_trial, named.map(Vec::as_slice), source.layout)
        };
        let custom_sets = sets.iter().filter(|set| loaded.rules[set.origin].custom);
        Ok(Self {
            file: loaded.file().map(logs::absolute),
            custom_sets: custom_sets.map(|set| set.set.name.clone()).collect(),
            zone: TimeZone::system(),
            now: Timestamp::now().into(),
            bindings: loaded.config.sources.iter().map(bind_source).collect(),
            unnamed: bind(&sets, loaded.is_trial, None, Layouts::Syslog),
            compiled,
            sets,
            config: loaded.config,
            warnings: loaded.diagnostics,
            allow_files: loaded.allow_files,
        })
    }

    /// The rule set that weighs reports about a local port that came in at a source.
    pub(crate) fn set_of_service(&self, source: &str, port: u16) -> Option<&str> {
        self.config.blocklists.iter().find(|known| known.name == source)?.set_of(port)
    }

    /// What holds for a log at a path that a source follows, by the source's name.
    pub fn terms_of_source(&self, name: &str, path: &Path) -> Terms {
        self.terms(self.config.sources.iter().position(|source| source.name == name), path)
    }

    /// What holds for a log that was named by its path: what its source says, if one follows it.
    pub fn terms_of_file(&self, path: &Path) -> Terms {
        self.terms(self.config.sources.iter().position(|source| logs::is_followed_by(path, source)), path)
    }

    fn terms(&self, source: Option<usize>, path: &Path) -> Terms {
        let directory = logs::directory_of_log(path);
        let Some(at) = source else {
            return Terms { binding: Arc::clone(&self.unnamed), writer: directory, ..Terms::default() };
        };
        let source = &self.config.sources[at];
        Terms {
            binding: Arc::clone(&self.bindings[at]),
            writer: source.writer.as_deref().map_or(directory, Arc::from),
            time: source.time.clone(),
            zone: source.zone.clone(),
        }
    }

    /// How the lines of the configured sources are stamped.
    pub(crate) fn stamp_formats(&self) -> StampFormats {
        let format = |(source, binding): (&SourceSettings, &Arc<Binding>)| StampFormat {
            path: source.path.clone(),
            layouts: source.layout,
            time: source.time.as_ref().or_else(|| binding.time()).cloned(),
            zone: source.zone.clone(),
        };
        let sources = self.config.sources.iter().zip(&self.bindings).map(format).collect();
        StampFormats { local: self.zone.clone(), sources }
    }

    /// What the rule sets look for; the compiled sets move into it.
    pub fn take_matcher(&mut self) -> Matcher {
        Matcher::new(std::mem::take(&mut self.compiled))
    }

    /// Where our messages go; a dry run speaks to whoever started it.
    pub(crate) fn log_to(&self, dry_run: bool) -> LogTo {
        if dry_run { LogTo::Stderr } else { self.config.log.to }
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
    pub(crate) fn engine_settings(&self, files: usize, own: &[Prefix]) -> EngineSettings {
        let config = &self.config;
        EngineSettings {
            offender: config.offender,
            networks: config.networks.clone(),
            tracked_offenders: config.tracked_offenders,
            trust: config.trust,
            spoofable: config.spoofable,
            allow: config.allow.networks.iter().chain(own).copied().collect(),
            files,
            has_reports: !config.blocklists.is_empty(),
        }
    }

    /// The firewall's settings; `dry_run` wins over the configured backend.
    pub(crate) fn firewall(&self, dry_run: bool) -> FirewallSettings {
        let mut settings = self.config.firewall.clone();
        if dry_run {
            settings.backend = BackendKind::DryRun;
        }
        settings
    }

    /// The followed sources: those named on the command line, from their beginning, or else the configured ones.
    pub(crate) fn followed(&self, files: &[PathBuf]) -> Vec<follow::Source> {
        if !files.is_empty() {
            let source =
                |path: &PathBuf| follow::Source { from_start: true, ..follow::Source::argument(path) };
            return files.iter().map(source).collect();
        }
        self.config.sources.iter().map(|source| self.followed_source(source)).collect()
    }

    fn followed_source(&self, source: &SourceSettings) -> follow::Source {
        if let Some(journal) = &source.journal {
            let query = JournalQuery { tool: journal.tool.clone(), programs: self.journal_programs(source) };
            return follow::Source::of_journal(&source.name, query);
        }
        follow::Source {
            name: source.name.clone(),
            archive: source.archive.clone(),
            ..follow::Source::argument(&source.path)
        }
    }

    /// What to ask this machine's journal for all rule sets in force.
    pub(crate) fn journal_query(&self) -> JournalQuery {
        let configured = self.config.sources.iter().find_map(|source| source.journal.as_ref());
        let journal = JournalSettings { programs: None, ..configured.cloned().unwrap_or_default() };
        let tool = journal.tool.clone();
        JournalQuery { tool, programs: self.journal_programs(&SourceSettings::of_journal(JOURNAL, journal)) }
    }

    /// The programs that a journal is read for: all of the sets that are asked and that know one of those it names. Whoever
    /// names sshd means its helpers as well, under whatever names the next version logs.
    fn journal_programs(&self, source: &SourceSettings) -> ProgramNames {
        let is_asked = |set: &RuleSet| match &source.rule_sets {
            Some(names) => names.contains(&set.name),
            None => true,
        };
        let sets = self.sets.iter().map(|set| &set.set);
        let asked = sets.filter(|set| is_asked(set) && config::reads_for(source, set));
        let mut programs: Vec<String> = asked.flat_map(|set| set.programs.iter().cloned()).collect();
        programs.sort();
        programs.dedup();
        ProgramNames(programs)
    }

    /// How sources are followed: one that asks for polling switches the events off for all.
    pub(crate) fn follow_options(&self) -> follow::Options {
        let is_polled = self.config.sources.iter().any(|source| source.follow == config::Follow::Poll);
        follow::Options { notify: !is_polled, ..follow::Options::default() }
    }

    /// How long the database keeps what the rule sets in force need.
    pub(crate) fn retention(&self) -> Retention {
        let longest =
            |span: fn(&ResolvedSet) -> Duration| self.sets.iter().map(span).max().unwrap_or_default();
        Retention {
            history: self.config.history,
            windows: longest(|set| set.threshold.reach()),
            trust: self.config.trust.remember,
            escalation: longest(|set| set.ban.escalate.map(|escalate| escalate.forget).unwrap_or_default()),
        }
    }

    /// The engine's policies, one for each rule set in force.
    pub fn policies(&self) -> Vec<Policy> {
        self.sets.iter().map(|set| Policy::of(&set.set, set.threshold, set.ban)).collect()
    }
}

/// Proves and compiles the sets in force; what is wrong with them becomes diagnostics.
fn compile(loaded: &mut Loaded, sets: &[ResolvedSet]) -> Vec<(Arc<RuleSet>, Compiled)> {
    let others = proof_partners(loaded, sets);
    let mut compiled = Vec::new();
    for set in sets {
        let rules = &loaded.rules[set.origin];
        let is_custom = rules.custom;
        // Rules that are switched on or off change which rule takes a line first.
        let is_changed = set.set.rules != rules.file.set.rules;
        if is_custom || is_changed {
            let may_meet = |other: &&RuleSet| !config::are_apart(&loaded.config, &set.set, other);
            let others: Vec<&RuleSet> = others.iter().map(AsRef::as_ref).filter(may_meet).collect();
            diagnose(loaded, set.origin, &rules::check(&set.set, &others));
        }
        match Compiled::new(&set.set) {
            Ok(ready) => compiled.push((Arc::clone(&set.set), ready)),
            // `rules::check` has named them.
            Err(_faults) if is_custom => {}
            Err(faults) => diagnose(loaded, set.origin, &faults),
        }
    }
    compiled
}

/// The sets that must not fool each other: those in force, and where rule files are tried, all that `check` would compare
/// them with.
fn proof_partners(loaded: &Loaded, in_force: &[ResolvedSet]) -> Vec<Arc<RuleSet>> {
    if loaded.is_trial {
        return loaded.rules.iter().map(|rules| Arc::new(rules.file.set.clone())).collect();
    }
    in_force.iter().map(|set| Arc::clone(&set.set)).collect()
}

fn diagnose(loaded: &mut Loaded, origin: usize, faults: &[Fault]) {
    let file = loaded.rules[origin].file.clone();
    // A rule without samples is `check`'s to remark on; it is no reason to speak at every start.
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
    loaded.diagnostics.extend(errors.map(|fault| file.diagnose(fault)));
}

/// The sets that are asked about a log: those named, else all that its layout allows; on trial, all.
fn bind(sets: &[ResolvedSet], is_trial: bool, named: Option<&[String]>, layouts: Layouts) -> Arc<Binding> {
    let sets = sets.iter().map(|set| set.set.as_ref());
    let binding = if is_trial { Binding::to_all(sets, layouts) } else { Binding::new(sets, named, layouts) };
    Arc::new(binding)
}

/// Asks the daemon at the configured socket. Where nobody listens there, the database's lock says whether it runs all the
/// same.
///
/// # Errors
/// When there is no answer, or the daemon refuses.
pub fn ask_daemon(config: &Config, request: &Request) -> Result<Answer, ClientError> {
    let answer = Client::connect(&config.control.socket).and_then(|client| client.ask(request));
    answer.map_err(|failure| match store::Lock::holder(&database::present(&config.state)) {
        Some(pid) => failure.though_it_runs(pid),
        None => failure,
    })
}
