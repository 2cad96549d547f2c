//! What an examination finds: a grade, a sentence, and what to do next.

use serde::Serialize;

use crate::firewall::Remark;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// All is as it should be.
    Ok,
    /// Worth knowing; attackers are blocked all the same, or it could not be looked at.
    Note,
    /// Attackers are not blocked, not seen, or somebody else is in danger of it.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The severity of the finding.
    pub grade: Grade,
    /// What was looked at: `protection`, `firewall`, `logs`, `reports`, `kernel`, `syslogd`, `sshd`, `lock-out`, `daemon`, `files`.
    pub about: &'static str,
    /// What was found, as a sentence without a full stop.
    pub text: String,
    /// What to do next; `None` when it is nothing.
    pub advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(about: &'static str, text: impl Into<String>) -> Self {
        Self { grade: Grade::Ok, about, text: text.into(), advice: None }
    }

    pub(super) fn note(about: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { grade: Grade::Note, about, text: text.into(), advice: Some(advice.into()) }
    }

    /// A problem that the backend would remark on in the same words.
    pub(super) fn warned(about: &'static str, remark: Remark) -> Self {
        Self::problem(about, remark.text, remark.advice)
    }

    pub(super) fn problem(about: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { grade: Grade::Problem, about, text: text.into(), advice: Some(advice.into()) }
    }
}
