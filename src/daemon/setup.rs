//! From the configuration to a guard that can be asked: the same for `scan`, `check` and the daemon.

use std::path::{self, Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use thiserror::Error;

use super::{here, mapping};
use crate::config::{self, Config, Diagnostics, FileTrust, Loaded, LogTo, ResolvedSet, SHIPPED};
use crate::engine::{Engine, Guard, Policy};
use crate::record::Clock;
use crate::rules::{self, Compiled, Fault, Matcher, RuleSet, Severity};
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
    /// The zone of stamps that have none, and of times that are printed.
    pub zone: TimeZone,
    /// When it was read.
    pub now: Time,
    compiled: Vec<(RuleSet, Compiled)>,
}

/// A configuration with errors: nothing of it is used.
#[derive(Debug, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Refused(pub Diagnostics);

impl Setup {
    /// Reads the configuration, or where none is named and none installed the defaults, with all rule files.
    ///
    /// Custom rule sets in force are attacked as `check` does; the shipped ones were, by a test.
    ///
    /// # Errors
    /// All errors of all files, if there is one.
    pub fn load(file: Option<&Path>) -> Result<Self, Refused> {
        Self::compile(config::load(file, &SHIPPED, FileTrust::of_this_user()))
    }

    /// The same with these rule files, and only these, in force: to try them before they are installed.
    ///
    /// # Errors
    /// All errors of the configuration and of the rule files, if there is one.
    pub fn load_to_try(file: Option<&Path>, rules: &[PathBuf]) -> Result<Self, Refused> {
        Self::compile(config::load_to_try(file, rules, &SHIPPED, FileTrust::of_this_user()))
    }

    /// The same for the daemon itself, which also needs what the configuration names on this machine, unless it is a dry
    /// run; `own` are the operator's rule sets that are in force before a reload.
    pub(super) fn load_to_run(file: Option<&Path>, dry_run: bool, own: &[String]) -> Result<Self, Refused> {
        let mut loaded = config::load(file, &SHIPPED, FileTrust::of_this_user());
        if !dry_run {
            look_here(&mut loaded);
        }
        let vanished = here::vanished(&loaded.config, own);
        loaded.diagnose(vanished.as_slice());
        Self::compile(loaded)
    }

    fn compile(mut loaded: Loaded) -> Result<Self, Refused> {
        let sets = loaded.resolve();
        let others = others(&loaded, &sets);
        let others: Vec<&RuleSet> = others.iter().collect();
        let mut compiled = Vec::new();
        for set in &sets {
            let custom = loaded.rules[set.origin].custom;
            let faults = if custom { rules::check(&set.set, &others) } else { Vec::new() };
            tell(&mut loaded, set.origin, &faults);
            match Compiled::new(&set.set) {
                Ok(ready) => compiled.push((set.set.clone(), ready)),
                Err(faults) if custom => drop(faults),
                Err(faults) => tell(&mut loaded, set.origin, &faults),
            }
        }
        loaded.diagnostics.sort();
        if loaded.diagnostics.has_errors() {
            return Err(Refused(loaded.diagnostics));
        }
        let file = loaded.file().map(|file| path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        let own = sets.iter().filter(|set| loaded.rules[set.origin].custom);
        let own = own.map(|set| set.set.name.clone()).collect();
        let (zone, now) = (TimeZone::system(), Timestamp::now().into());
        Ok(Self { config: loaded.config, file, sets, own, warnings: loaded.diagnostics, zone, now, compiled })
    }

    /// What the rule sets look for; the compiled sets move into it.
    pub fn take_matcher(&mut self) -> Matcher {
        Matcher::new(std::mem::take(&mut self.compiled))
    }

    /// Where our messages go; a dry run speaks to whoever started it.
    pub(super) fn log_to(&self, dry_run: bool) -> LogTo {
        if dry_run { LogTo::Stderr } else { self.config.log.to }
    }

    /// Makes clocks that begin at the present, whenever that is.
    pub(super) fn clock(&self) -> impl Fn() -> Clock + Send + 'static {
        let zone = self.zone.clone();
        move || Clock::new(zone.clone(), Timestamp::now().into())
    }

    /// Clocks for this many sources.
    pub fn clocks(&self, sources: usize) -> Vec<Clock> {
        (0..sources).map(|_| Clock::new(self.zone.clone(), self.now)).collect()
    }

    /// A guard for this many sources; the compiled sets move into it.
    pub fn guard(&mut self, sources: usize) -> Guard {
        let engine = Engine::new(mapping::engine(&self.config, sources), self.policies());
        Guard::new(self.take_matcher(), engine, self.clocks(sources))
    }

    /// The engine's policies, one for each rule set in force.
    pub fn policies(&self) -> Vec<Policy> {
        self.sets.iter().map(|set| Policy::of(&set.set, set.threshold, set.ban)).collect()
    }
}

/// The sets that must not fool each other: those in force, and where rule files are tried, all that `check` would compare
/// them with.
fn others(loaded: &Loaded, in_force: &[ResolvedSet]) -> Vec<RuleSet> {
    match loaded.is_trial {
        true => loaded.rules.iter().map(|rules| rules.file.set.clone()).collect(),
        false => in_force.iter().map(|set| set.set.clone()).collect(),
    }
}

/// Adds what this machine has not, and the daemon will need.
pub fn look_here(loaded: &mut Loaded) {
    loaded.diagnose(&here::faults(&loaded.config));
}

fn tell(loaded: &mut Loaded, origin: usize, faults: &[Fault]) {
    let file = loaded.rules[origin].file.clone();
    // A rule without samples is `check`'s to remark on; it is no reason to speak at every start.
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
    loaded.diagnostics.extend(errors.map(|fault| file.diagnose(fault)));
}
