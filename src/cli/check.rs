//! `portcullis check`: everything that is wrong with the configuration and the rule files.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::args::Check as Arguments;
use super::exit::{Exit, Failure};
use super::text::count;
use crate::config::{self, Diagnostics, FileTrust, LONGEST_FILE, RuleFile, SHIPPED, read_trusted};
use crate::rules::{self, RuleSet, Severity};

/// What was looked at, for the closing sentence.
#[derive(Default)]
struct Checked {
    diagnostics: Diagnostics,
    sets: u64,
    rules: u64,
    samples: u64,
}

/// Runs the command: 78 when there are errors; warnings do not matter.
pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut checked = Checked::default();
    if arguments.files.is_empty() || arguments.config.config.is_some() {
        checked.configuration(arguments.config.config.as_deref());
    }
    for path in &arguments.files {
        checked.rule_file(path);
    }
    checked.diagnostics.sort();
    if arguments.json {
        checked.write_json(out)?;
    } else {
        checked.write(out)?;
    }
    Ok(if checked.diagnostics.has_errors() { Exit::Config } else { Exit::Ok })
}

impl Checked {
    fn configuration(&mut self, file: Option<&Path>) {
        let mut loaded = config::load(file, &SHIPPED, FileTrust::of_this_user());
        loaded.resolve();
        for rules in &loaded.rules {
            self.set(&rules.file);
        }
        self.diagnostics.extend(loaded.diagnostics.iter().cloned());
    }

    fn rule_file(&mut self, path: &Path) {
        let Some(bytes) = read_trusted(path, LONGEST_FILE, FileTrust::Advised, &mut self.diagnostics) else {
            return;
        };
        let (file, told) = RuleFile::read(path, &bytes);
        self.diagnostics.extend(told);
        if let Some(file) = &file {
            self.set(file);
        }
    }

    fn set(&mut self, file: &RuleFile) {
        let set: &RuleSet = &file.set;
        self.sets += 1;
        self.rules += set.rules.len() as u64;
        self.samples += set.samples.len() as u64;
        self.diagnostics.extend(rules::check(set).iter().map(|fault| file.diagnose(fault)));
    }

    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        for diagnostic in &self.diagnostics {
            writeln!(out, "{diagnostic}")?;
        }
        let errors = self.diagnostics.count(Severity::Error) as u64;
        let warnings = self.diagnostics.count(Severity::Warning) as u64;
        writeln!(out, "{}: {}, {}", self.looked_at(), count(errors, "error"), count(warnings, "warning"))
    }

    /// A set with errors may not have come as far as the attack.
    fn looked_at(&self) -> String {
        if self.sets == 0 {
            return "no rule set could be read".to_owned();
        }
        let (sets, rules) = (count(self.sets, "rule set"), count(self.rules, "rule"));
        let samples = count(self.samples, "sample");
        let attacked = if self.diagnostics.has_errors() { "" } else { ", every rule attacked" };
        format!("{sets}, {rules}, {samples} checked{attacked}")
    }

    fn write_json(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let report = json!({
            "ok": !self.diagnostics.has_errors(),
            "rule_sets": self.sets,
            "rules": self.rules,
            "samples": self.samples,
            "diagnostics": self.diagnostics.iter().collect::<Vec<_>>(),
        });
        writeln!(out, "{report}")
    }
}
