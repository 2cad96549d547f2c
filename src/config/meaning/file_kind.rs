//! A rule file where a configuration is wanted, and the other way round: one sentence in place of a list of unknown keys.

use crate::config::text::diagnostic::Diagnostic;
use crate::config::text::document::{Document, PathSegment};
use crate::rules::Severity;

/// Keys at the top that only rule files have; `rules` is in all of them.
const OF_RULE_FILES: [&str; 4] = ["rules", "name", "about", "program"];

/// Keys at the top that only configurations have.
const OF_CONFIGURATIONS: [&str; 12] = [
    "sources",
    "rules_dir",
    "rule_sets",
    "defaults",
    "override",
    "allow",
    "trust",
    "firewall",
    "state",
    "control",
    "log",
    "history",
];

const RULE_FILE: &str = "this is a rule file, not a configuration: `portcullis check FILE` checks it, `--rules FILE` tries \
                         it in `scan`, `match` and `explain`, and a copy in `rules_dir` puts it in force";

const CONFIGURATION: &str = "this is a configuration, not a rule file: it is named with `-c FILE`, and does not belong into \
                             `rules_dir`";

/// The error for a configuration that is a rule file.
pub(crate) fn rule_file(document: &Document) -> Option<Diagnostic> {
    let first = "rules";
    let is_one = document.has(first) && !OF_CONFIGURATIONS.iter().any(|key| document.has(key));
    is_one.then(|| told(document, first, RULE_FILE))
}

/// The error for a rule file that is a configuration.
pub(crate) fn configuration(document: &Document) -> Option<Diagnostic> {
    let first = OF_CONFIGURATIONS.into_iter().find(|key| document.has(key))?;
    let is_one = !OF_RULE_FILES.iter().any(|key| document.has(key));
    is_one.then(|| told(document, first, CONFIGURATION))
}

fn told(document: &Document, key: &'static str, text: &str) -> Diagnostic {
    document.diagnostic(&[PathSegment::Name(key.into())], None, Severity::Error, text)
}
