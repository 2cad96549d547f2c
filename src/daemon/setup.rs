//! From the configuration to a guard that can be asked: the same for `scan`, `check` and the daemon.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::address::PrefixSet;
use crate::config::{self, Config, Diagnostics, FileTrust, Loaded, ResolvedSet, SHIPPED};
use crate::engine::{Engine, Guard, Offender, Policy, Settings, SpoofCaps, TrustPolicy};
use crate::record::Clock;
use crate::rules::{self, Compiled, Fault, Matcher, RuleSet, Severity};
use crate::time::Time;

/// A configuration that was read, checked and compiled.
#[derive(Debug)]
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// The rule sets in force, with their numbers.
    pub sets: Vec<ResolvedSet>,
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
        let mut loaded = config::load(file, &SHIPPED, FileTrust::of_this_user());
        let sets = loaded.resolve();
        let mut compiled = Vec::new();
        for set in &sets {
            let custom = loaded.rules[set.origin].custom;
            let faults = if custom { rules::check(&set.set) } else { Vec::new() };
            tell(&mut loaded, set.origin, &faults);
            match Compiled::new(&set.set) {
                Ok(ready) => compiled.push((set.set.clone(), ready)),
                Err(faults) if custom => drop(faults),
                Err(faults) => tell(&mut loaded, set.origin, &faults),
            }
        }
        if loaded.diagnostics.has_errors() {
            return Err(Refused(loaded.diagnostics));
        }
        let (zone, now) = (TimeZone::system(), Timestamp::now().into());
        Ok(Self { config: loaded.config, sets, warnings: loaded.diagnostics, zone, now, compiled })
    }

    /// What the rule sets look for.
    pub fn matcher(self) -> Matcher {
        Matcher::new(self.compiled)
    }

    /// A guard for so many sources; the compiled sets move into it.
    pub fn guard(&mut self, sources: usize) -> Guard {
        let matcher = Matcher::new(std::mem::take(&mut self.compiled));
        let clocks = (0..sources).map(|_| Clock::new(self.zone.clone(), self.now)).collect();
        Guard::new(matcher, Engine::new(self.settings(sources), self.policies()), clocks)
    }

    /// The engine's settings.
    pub fn settings(&self, sources: usize) -> Settings {
        let config = &self.config;
        Settings {
            offender: Offender { ipv4: config.offender.ipv4, ipv6: config.offender.ipv6 },
            tracked_offenders: config.tracked_offenders as usize,
            trust: TrustPolicy { keep: config.trust.remember, patience: config.trust.multiplier },
            spoofable: SpoofCaps {
                at_once: config.spoofable.bans_at_once as usize,
                per_minute: config.spoofable.bans_per_minute,
            },
            allow: config.allow.networks.iter().copied().collect::<PrefixSet>(),
            sources,
        }
    }

    /// The engine's policies, one for each rule set in force.
    pub fn policies(&self) -> Vec<Policy> {
        self.sets.iter().map(|set| Policy::of(&set.set, set.threshold, set.ban)).collect()
    }
}

fn tell(loaded: &mut Loaded, origin: usize, faults: &[Fault]) {
    let file = loaded.rules[origin].file.clone();
    // A rule without samples is `check`'s to remark on; it is no reason to speak at every start.
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
    loaded.diagnostics.extend(errors.map(|fault| file.diagnose(fault)));
}
