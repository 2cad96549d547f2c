//! Reports of servers: judged by the same engine as the lines of logs.

use std::sync::Arc;

use super::Pipeline;
use crate::engine::{Judgement, Line, Sighting};
use crate::report::Report;
use crate::rules::{Evidence, Reports};
use crate::time::Time;

/// The outcome of a report under the rule set of its service.
#[derive(Clone, Debug)]
pub struct ReportOutcome {
    /// The full name of its kind: `sshd/reports.failed`.
    pub name: Arc<str>,
    /// [`Evidence::Kernel`], or [`Evidence::Spoofable`] where the address is the sender's word.
    pub evidence: Evidence,
    /// The engine's decision, and the peer that it is about.
    pub judgement: Judgement,
}

impl Pipeline {
    /// Judges a report that arrived at `now` by a rule set; `None` if the set is not in force, or takes no reports.
    ///
    /// Call [`Engine::expire`](crate::engine::Engine::expire) first, so that expired bans have ended.
    pub fn report(&mut self, set: &str, report: &Report, now: Time) -> Option<ReportOutcome> {
        let policies = self.engine.policies();
        let set = policies.iter().position(|policy| *policy.name == *set)?;
        let policy = &policies[set];
        let name = Reports::name(&policy.name, report.kind);
        let rule = policy.names.iter().position(|known| **known == *name)?;
        let name = Arc::clone(&policy.names[rule]);
        let evidence = if report.is_claimed { Evidence::Spoofable } else { Evidence::Kernel };
        let judgement = self.engine.observe(&Sighting {
            time: now,
            is_late: false,
            source: u16::MAX,
            writer: "",
            set,
            rule,
            address: Some(report.peer.ip().to_canonical()),
            session: None,
            line: Line {
                program: None,
                pid: report.sender.map(|sender| sender.pid),
                message: report.text.as_bytes(),
            },
            evidence,
            port: Some(report.peer.port()),
            count: 1,
        });
        Some(ReportOutcome { name, evidence, judgement })
    }
}
