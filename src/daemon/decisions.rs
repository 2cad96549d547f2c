//! What follows from an outcome: a ban goes to the firewall before the next line is looked at, and to the database after it.

use std::collections::HashSet;
use std::sync::Arc;

use super::evidence::RecentLines;
use super::firewalls::Firewalls;
use super::persist::Persist;
use super::report;
use super::tally::Tallies;
use crate::address::Prefix;
use crate::engine::{Verdict, Why};
use crate::firewall::Change;
use crate::pipeline::{Outcome, OutcomeSink};
use crate::time::Time;

/// Carries out what the pipeline decides about the lines of one batch.
pub(super) struct Decisions<'d> {
    /// The source of the lines.
    pub(super) source: &'d Arc<str>,
    /// The present.
    pub(super) time: Time,
    pub(super) firewall: &'d mut Firewalls,
    pub(super) evidence: &'d mut RecentLines,
    pub(super) tallies: &'d mut Tallies,
    pub(super) persist: &'d mut Persist,
    /// Bans whose time was over before their lines were read.
    pub(super) missed: &'d mut HashSet<Prefix>,
}

impl OutcomeSink for Decisions<'_> {
    fn take(&mut self, outcome: &Outcome<'_>) {
        self.tallies.add(self.source, outcome);
        let (Some(offender), Some(at)) = (outcome.judgement.offender, outcome.time) else { return };
        match &outcome.judgement.verdict {
            Verdict::Counted { .. } => {
                self.evidence.note(offender, outcome.evidence, at, self.source, outcome.line);
            }
            Verdict::Banned { .. } => {
                self.evidence.note(offender, outcome.evidence, at, self.source, outcome.line);
                self.ban(offender, at, outcome);
            }
            Verdict::Ignored(Why::Flood(flood)) if flood.first => log::warn!("{flood}"),
            Verdict::Ignored(_) | Verdict::Trusted(_) => {}
        }
    }
}

impl Decisions<'_> {
    fn ban(&mut self, offender: Prefix, at: Time, outcome: &Outcome<'_>) {
        let Verdict::Banned { banned, since, until, .. } = outcome.judgement.verdict else { return };
        self.persist.lines(banned, since, self.evidence.take(&offender, &banned, outcome.evidence));
        if since == at && until.is_some_and(|until| until <= self.time) {
            // Its lines were read too late: it is remembered for the next one, and blocks nobody.
            self.missed.insert(banned);
            return;
        }
        self.missed.remove(&banned);
        self.firewall.change([Change::Add(banned)]);
        self.persist.after(report::ban(outcome, self.firewall.banned()));
    }
}
