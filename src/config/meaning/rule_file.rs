//! A rule file: read into a [`RuleSet`], and kept to say where in it something is wrong.

use std::path::Path;

use super::file_kind;
use crate::config::reading::reader::Node;
use crate::config::reading::rule_set::{self, LocatedRuleSet};
use crate::config::text::diagnostic::{Diagnostic, has_errors};
use crate::config::text::document::Faults;
use crate::config::text::document::{Document, PathSegment};
use crate::rules::{Fault, Place, RuleSet, Severity};

/// A rule file with the set that could be made of it.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// The rule set of the file. Where `usable` is false, rules and samples with faults are missing.
    pub set: RuleSet,
    /// Whether no error was found while reading; patterns and samples are for other layers to try.
    pub usable: bool,
    /// The set that this file extends, by its name.
    pub(crate) extends: Option<String>,
    /// The rule file that this one was merged with.
    pub(crate) base: Option<Box<Self>>,
    document: Document,
    // Where the n-th field, rule and sample of the set stand in the lists of the file.
    fields: Vec<usize>,
    rules: Vec<usize>,
    samples: Vec<usize>,
}

impl RuleFile {
    /// Reads a file's bytes; `path` is only for the diagnostics.
    ///
    /// Without a file, the diagnostics say why; with one, they may still hold errors (`usable` tells) and warnings.
    pub fn read(path: &Path, bytes: &[u8]) -> (Option<Self>, Vec<Diagnostic>) {
        let document = match Document::read(path, bytes) {
            Ok(document) => document,
            Err(diagnostic) => return (None, vec![diagnostic]),
        };
        if document.is_empty() {
            let text = "the file is empty: a rule file begins with `version: 1`";
            let empty = Diagnostic::at(path, bytes, 0, Severity::Error, text);
            return (None, vec![empty]);
        }
        if let Some(diagnostic) = file_kind::configuration(&document) {
            return (None, vec![diagnostic]);
        }
        let faults = Faults::default();
        let parts = rule_set::read(&document, &Node::root(&document, &faults));
        let diagnostics = document.diagnostics(faults);
        let usable = !has_errors(&diagnostics);
        let file = parts.map(|LocatedRuleSet { set, extends, fields, rules, samples }| Self {
            set,
            usable,
            extends,
            base: None,
            document,
            fields,
            rules,
            samples,
        });
        (file, diagnostics)
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        self.document.path()
    }

    /// Locates a fault that another layer found in the set; the caret goes to the byte of the pattern where possible.
    pub fn diagnose(&self, fault: &Fault) -> Diagnostic {
        let Some(base) = &self.base else { return self.diagnose_own(fault) };
        let fields = base.set.fields.len();
        let rules = base.set.rules.len();
        let samples = base.set.samples.len();
        let place = match fault.place {
            Place::Field(n) => n.checked_sub(fields).map(Place::Field),
            Place::Rule(n, name) => n.checked_sub(rules).map(|n| Place::Rule(n, name)),
            Place::Unless(n, veto) => n.checked_sub(rules).map(|n| Place::Unless(n, veto)),
            Place::Sample(n, name) => n.checked_sub(samples).map(|n| Place::Sample(n, name)),
            Place::Key(name) if self.document.has(name) => Some(Place::Key(name)),
            Place::Key(_) => None,
        };
        match place {
            Some(place) => self.diagnose_own(&Fault { place, ..fault.clone() }),
            None => base.diagnose(fault),
        }
    }

    /// Whether the file adds to another set.
    pub fn is_extension(&self) -> bool {
        self.extends.is_some()
    }

    /// The file put together with the one that it extends, as `set`.
    pub(crate) fn on(self, base: Self, set: RuleSet) -> Self {
        Self { usable: self.usable && base.usable, set, base: Some(Box::new(base)), ..self }
    }

    fn diagnose_own(&self, fault: &Fault) -> Diagnostic {
        let nth = |list: &[usize], n: usize| PathSegment::Index(list.get(n).copied().unwrap_or(usize::MAX));
        let key = |name: &'static str| PathSegment::Key(name.into());
        let key_path = match fault.place {
            Place::Key(name) => vec![key(name)],
            Place::Field(n) => vec![key("fields"), nth(&self.fields, n)],
            Place::Rule(n, name) => vec![key("rules"), nth(&self.rules, n), key(name)],
            Place::Unless(n, veto) => {
                vec![key("rules"), nth(&self.rules, n), key("unless"), PathSegment::Index(veto)]
            }
            Place::Sample(n, name) => vec![key("samples"), nth(&self.samples, n), key(name)],
        };
        let inside = if fault.offset > 0 { Some(fault.offset) } else { None };
        self.document.diagnostic(&key_path, inside, fault.severity, &fault.text)
    }
}

/// A rule file that is compiled into the program.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its name in the diagnostics: `rules/sshd.yaml`.
    pub path: &'static str,
    /// Its YAML text.
    pub text: &'static str,
    /// Whether it is in force when the configuration names no sets.
    pub by_default: bool,
}

impl Shipped {
    /// The name of its set, which its file has too.
    pub fn name(&self) -> &'static str {
        let file = self.path.rsplit('/').next().unwrap_or_default();
        file.trim_end_matches(".yaml")
    }

    /// The file as it is read from a disk, and what is said about it.
    pub fn read(&self) -> (Option<LoadedRules>, Vec<Diagnostic>) {
        let (file, told) = RuleFile::read(Path::new(self.path), self.text.as_bytes());
        let rules = file.map(|file| LoadedRules { file, custom: false, by_default: self.by_default });
        (rules, told)
    }
}

/// A rule file and where it came from.
#[derive(Clone, Debug)]
pub struct LoadedRules {
    /// The rule file itself.
    pub file: RuleFile,
    /// Whether it is the operator's own.
    pub custom: bool,
    /// Whether it is in force when the configuration names no sets; the operator's own always are.
    pub by_default: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "\
version: 1
name: mini
about: A test.
program: mini
fields: {USER: '[^:]*'}
rules:
  - id: broken
    means: Its pattern is missing.
  - id: good
    pattern: '^a (b <ADDR>$'
    means: It is good.
samples:
  - {line: 'x: a', rule: 7}
  - {line: 'x: b', rule: none}
";

    fn place(place: Place, offset: usize) -> (usize, usize) {
        let (file, _) = RuleFile::read(Path::new("mini.yaml"), FILE.as_bytes());
        let fault = Fault { offset, ..Fault::error(place, "no") };
        let diagnostic = file.unwrap().diagnose(&fault);
        (diagnostic.line.unwrap(), diagnostic.column.unwrap())
    }

    #[test]
    fn places_of_other_layers_lead_to_the_file_though_parts_of_it_were_left_out() {
        assert_eq!(place(Place::Key("program"), 0), (4, 10));
        assert_eq!(place(Place::Key("threshold"), 0), (1, 1));
        assert_eq!(place(Place::Field(0), 0), (5, 16));
        assert_eq!(place(Place::Rule(0, "pattern"), 0), (10, 14));
        assert_eq!(place(Place::Rule(0, "pattern"), 3), (10, 18), "at the bracket");
        assert_eq!(place(Place::Rule(0, "weight"), 0), (9, 5), "no such key: the rule");
        assert_eq!(place(Place::Sample(0, "line"), 0), (14, 12));
        assert_eq!(place(Place::Rule(99, "id"), 0), (7, 3), "never out of bounds");
    }

    #[test]
    fn what_is_wrong_in_one_part_hides_nothing_in_another() {
        let (file, diagnostics) = RuleFile::read(Path::new("mini.yaml"), FILE.as_bytes());
        let file = file.unwrap();
        assert!(!file.usable && file.set.rules.len() == 1 && file.set.samples.len() == 1);
        let lines: Vec<Option<usize>> = diagnostics.iter().map(|d| d.line).collect();
        assert_eq!(lines, [Some(7), Some(13)], "{diagnostics:?}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            RuleFile::read(Path::new("x"), &bytes);
        }

        #[test]
        fn no_damage_to_a_good_file_makes_it_panic(
            damage in prop::collection::vec((0..FILE.len(), "[ \n:'\"{}\\[\\]&*!a1~-]{0,3}"), 1..4)
        ) {
            let mut bytes = FILE.as_bytes().to_vec();
            for (at, junk) in damage {
                let at = at.min(bytes.len());
                bytes.splice(at..(at + 1).min(bytes.len()), junk.bytes());
            }
            for diagnostic in RuleFile::read(Path::new("x"), &bytes).1 {
                prop_assert!(!diagnostic.to_string().is_empty());
            }
        }
    }
}
