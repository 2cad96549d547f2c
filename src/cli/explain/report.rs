//! Explains a report: `portcullis why` shows it as a sentence.

use super::{Explanation, verdict};
use crate::pipeline::Pipeline;
use crate::report::{ReportKind, read_sentence};
use crate::rules::{Effect, ReportEffect, Reports};
use crate::setup::Setup;

/// Explains the sentence of a report to a rule set in force that takes reports; `None` for any other text.
pub(super) fn explain(setup: &Setup, pipeline: &mut Pipeline, text: &[u8]) -> Option<Explanation> {
    let (service, report) = read_sentence(std::str::from_utf8(text).ok()?)?;
    let index = setup.sets.iter().position(|set| set.set.name == service)?;
    let set = &setup.sets[index].set;
    let effect = set.reports?.of(report.kind);
    let outcome = pipeline.report(service, &report, setup.now)?;
    let unless = ", unless the log told as much of the same connection";
    let peer = report.peer.ip();
    Some(Explanation {
        heading: set.about.clone(),
        rule: Reports::name(&set.name, report.kind),
        effect: match effect {
            ReportEffect::Counts(_) | ReportEffect::Ban => Effect::Offence,
            ReportEffect::Trust => Effect::Trust,
            ReportEffect::Ignore => Effect::Ignore,
        },
        evidence: outcome.evidence,
        address: Some(peer.to_string()),
        whose: format!(
            "{peer}. The server handed its connection over, and the kernel said who is at the other end: no text was read for \
             that, so nobody can forge it."
        ),
        means: meaning(report.kind).to_owned(),
        verdict: verdict(setup, index, outcome.evidence, ("report", unless), &outcome.judgement),
        advice: set.advice.clone(),
    })
}

const fn meaning(kind: ReportKind) -> &'static str {
    match kind {
        ReportKind::Failed => {
            "The server itself reports that somebody failed to log in, or did not speak its protocol. FreeBSD's sshd says \
             this once for each connection with a wrong password (Fatal exit), for each unknown user (Invalid user) and for \
             scanners (Banner exchange)."
        }
        ReportKind::NoUser => "The server itself reports that somebody asked for a user that does not exist.",
        ReportKind::Abuse => "The server itself reports abuse, and wants the peer to be blocked at once.",
        ReportKind::Success => "The server itself reports that somebody logged in.",
    }
}
