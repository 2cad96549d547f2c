//! `portcullis check`: all errors and warnings of the configuration and the rule files.

use std::io::Write;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::CheckArgs as Arguments;
use super::exit::{Exit, Failure};
use super::text::{count, printable_path, write_json};
use crate::config::{self, Config, Diagnostics, FileTrust, LoadedRules, SHIPPED, ThisMachine};
use crate::rules::{self, Blind, Claim, Format, RuleSet, Severity};
use crate::setup::preflight;

/// The results, and what was checked.
#[derive(Default)]
struct Checked {
    diagnostics: Diagnostics,
    /// The configuration, with the sources that are made of the `logs` of sets.
    settings: Config,
    sets: u64,
    rules: u64,
    samples: u64,
    /// Custom sets with the name of a shipped one: name and file.
    replacing: Vec<(String, String)>,
    /// The assumptions of each proven set.
    proofs: Vec<Proof>,
}

/// The assumptions on which the proof of a set rests.
struct Proof {
    rule_set: String,
    format: Format,
    claims: Vec<Claim>,
    /// The keys that hold peers' addresses, of a set for JSON.
    address_keys: Vec<String>,
    blind: Option<Blind>,
}

/// Runs the command: exit status 78 if there are errors; warnings do not matter.
pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut checked = Checked::default();
    let with_config = arguments.files.is_empty() || arguments.config.config.is_some();
    let read = |path| config::read_rule_file(path, &mut checked.diagnostics);
    let files: Vec<LoadedRules> = arguments.files.iter().map(PathBuf::as_path).filter_map(read).collect();
    let mut known = if with_config {
        checked.configuration(arguments.config.config.as_deref())
    } else {
        config::shipped_beside(&files, SHIPPED)
    };
    let first = if with_config { 0 } else { known.len() };
    known.extend(files);
    config::extend_all(&mut known, &mut checked.diagnostics);
    (first..known.len()).for_each(|index| checked.set(&known, index));
    checked.diagnostics.sort();
    if arguments.json {
        checked.report(out)?;
    } else {
        checked.write(out)?;
    }
    Ok(if checked.diagnostics.has_errors() { Exit::Config } else { Exit::Ok })
}

fn replaced((name, path): &(String, String)) -> Value {
    json!({"rule_set": name, "path": path})
}

impl Checked {
    fn configuration(&mut self, file: Option<&Path>) -> Vec<LoadedRules> {
        let mut loaded = config::load(&ThisMachine, file, SHIPPED, FileTrust::of_this_user());
        let sets = loaded.resolve(&ThisMachine);
        loaded.check_feeding(&ThisMachine, &sets);
        for set in sets {
            // Rules that are switched on or off change which rule takes a line first.
            loaded.rules[set.origin].file.set.rules = Arc::unwrap_or_clone(set.set).rules;
        }
        preflight::check(&ThisMachine, &mut loaded);
        preflight::warn_of_gaps(&mut loaded);
        self.diagnostics.extend(loaded.diagnostics.iter().cloned());
        self.settings = loaded.config;
        loaded.rules
    }

    /// Checks one of the sets; a custom set is also proven against the others.
    fn set(&mut self, known: &[LoadedRules], index: usize) {
        let LoadedRules { file, custom, .. } = &known[index];
        let set: &RuleSet = &file.set;
        let may_meet = |other: &&RuleSet| *custom && !config::are_apart(&self.settings, set, other);
        let others: Vec<&RuleSet> = known.iter().map(|other| &other.file.set).filter(may_meet).collect();
        let is_replaced = |other: &LoadedRules| !other.custom && other.file.set.name == set.name;
        if *custom && !file.is_extension() && known.iter().any(is_replaced) {
            self.replacing.push((set.name.clone(), printable_path(file.path())));
        }
        self.sets += 1;
        self.rules += set.rules.len() as u64;
        self.samples += set.samples.len() as u64;
        let faults = rules::check(set, &others);
        if faults.iter().all(|fault| fault.severity == Severity::Warning) {
            self.proofs.push(Proof::of(set));
        }
        self.diagnostics.extend(faults.iter().map(|fault| file.diagnose(fault)));
    }

    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        for diagnostic in &self.diagnostics {
            writeln!(out, "{diagnostic}")?;
        }
        for (name, path) in &self.replacing {
            writeln!(
                out,
                "{path}: where this file is in force, its `{name}` replaces the built-in rule set of that name"
            )?;
        }
        for proof in &self.proofs {
            proof.write(out)?;
        }
        let errors = self.diagnostics.count(Severity::Error) as u64;
        let warnings = self.diagnostics.count(Severity::Warning) as u64;
        writeln!(out, "{}: {}, {}", self.looked_at(), count(errors, "error"), count(warnings, "warning"))
    }

    /// The number of things that were checked. With errors, some sets may not have reached the proof.
    fn looked_at(&self) -> String {
        if self.sets == 0 {
            return "no rule set could be read".to_owned();
        }
        let sets = count(self.sets, "rule set");
        let rules = count(self.rules, "rule");
        let samples = count(self.samples, "sample");
        let is_json = |proof: &Proof| proof.format == Format::Json;
        let proven = match self.diagnostics.has_errors() {
            true => "",
            false if self.proofs.iter().all(is_json) => "",
            false if self.proofs.iter().any(is_json) => ", every pattern proven",
            false => ", every rule proven",
        };
        format!("{sets}, {rules}, {samples} checked{proven}")
    }

    fn report(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let report = json!({
            "ok": !self.diagnostics.has_errors(),
            "rule_sets": self.sets,
            "rules": self.rules,
            "samples": self.samples,
            "replaces": self.replacing.iter().map(replaced).collect::<Vec<_>>(),
            "proofs": self.proofs.iter().map(Proof::json).collect::<Vec<_>>(),
            "diagnostics": self.diagnostics.iter().collect::<Vec<_>>(),
        });
        write_json(out, report)
    }
}

impl Proof {
    fn of(set: &RuleSet) -> Self {
        Self {
            rule_set: set.name.clone(),
            format: set.format,
            claims: rules::claims(set),
            address_keys: rules::address_keys(set),
            blind: rules::blind(set),
        }
    }

    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        if self.format == Format::Json {
            self.write_keys(out)?;
        }
        if !self.claims.is_empty() {
            writeln!(out, "{}: proven, if its program prints nothing else than", self.rule_set)?;
            let width = self.claims.iter().map(|claim| claim.name.len()).max().unwrap_or(0);
            for Claim { name, alphabet } in &self.claims {
                writeln!(out, "  <{name}>{:width$}  {alphabet}", "", width = width - name.len())?;
            }
        }
        if let Some(blind) = &self.blind {
            let rules = count(blind.rules.len() as u64, "rule");
            let name = if blind.rules.len() == 1 { "names" } else { "name" };
            writeln!(
                out,
                "{}: {rules} {name} nobody in a message of {} bytes:",
                self.rule_set,
                lengths(blind)
            )?;
            writeln!(out, "  its end may be cut off, and a peer's text stands before the address")?;
        }
        Ok(())
    }

    /// In JSON a peer's text cannot stand in for another value, which needs no proof; only the author knows whose address a
    /// key holds.
    fn write_keys(&self, out: &mut dyn Write) -> std::io::Result<()> {
        write!(out, "{}: reads JSON by keys: nothing to prove", self.rule_set)?;
        match self.address_keys.as_slice() {
            [] => writeln!(out),
            keys => writeln!(out, ", if the peer's address stands under\n  {}", keys.join(", ")),
        }
    }

    fn json(&self) -> Value {
        let claims = self.claims.iter().map(|claim| json!({"name": claim.name, "alphabet": claim.alphabet}));
        let lengths = self.blind.iter().flat_map(|blind| &blind.lengths).map(|range| {
            let end = Some(*range.end()).filter(|&end| end < usize::MAX);
            json!({"from": range.start(), "to": end})
        });
        json!({
            "rule_set": self.rule_set,
            "format": self.format.as_str(),
            "claims": claims.collect::<Vec<_>>(),
            "address_keys": self.address_keys,
            "blind_rules": self.blind.as_ref().map_or(&[][..], |blind| &blind.rules),
            "blind_lengths": lengths.collect::<Vec<_>>(),
        })
    }
}

/// `220 to 224, 419 to 448, 500 and more`.
fn lengths(blind: &Blind) -> String {
    let range = |range: &RangeInclusive<usize>| match (range.start(), range.end()) {
        (start, &usize::MAX) => format!("{start} or more"),
        (start, end) => format!("{start} to {end}"),
    };
    blind.lengths.iter().map(range).collect::<Vec<_>>().join(", ")
}
