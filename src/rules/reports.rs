//! The effect of reports, which servers send about connections, by rule set.

use super::threshold::Thresholds;
use super::weight::Weight;
use crate::report::ReportKind;

/// The effect of each kind of report on the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reports {
    /// Of a failed login.
    pub failed: ReportEffect,
    /// Of an unknown user.
    pub no_user: ReportEffect,
    /// Of abuse.
    pub abuse: ReportEffect,
    /// Of a login.
    pub success: ReportEffect,
}

/// The effect of a report on its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportEffect {
    /// It counts this much.
    Counts(Weight),
    /// It fills a window at once.
    Ban,
    /// The peer is trusted, as after a login that a log told of.
    Trust,
    /// None.
    Ignore,
}

impl Reports {
    /// The effect of a kind of report.
    pub const fn of(&self, kind: ReportKind) -> ReportEffect {
        match kind {
            ReportKind::Failed => self.failed,
            ReportKind::NoUser => self.no_user,
            ReportKind::Abuse => self.abuse,
            ReportKind::Success => self.success,
        }
    }

    /// The name of a kind of report of a rule set: `sshd/reports.failed`. No rule's id has a dot.
    pub fn name(set: &str, kind: ReportKind) -> String {
        format!("{set}/reports.{}", kind.as_str())
    }
}

impl Default for Reports {
    /// As the original daemon weighs them, but for an unknown user, of which it thinks less than of a wrong password.
    fn default() -> Self {
        Self {
            failed: ReportEffect::Counts(Weight::ONE),
            no_user: ReportEffect::Counts(Weight::ONE),
            abuse: ReportEffect::Ban,
            success: ReportEffect::Trust,
        }
    }
}

impl ReportEffect {
    /// How much the report counts under these thresholds, in tenths of an offence.
    pub fn tenths(self, thresholds: &Thresholds) -> u32 {
        match self {
            Self::Counts(weight) => weight.tenths(),
            Self::Ban => {
                thresholds.iter().map(|window| window.offences).min().unwrap_or(1).saturating_mul(10)
            }
            Self::Trust | Self::Ignore => 0,
        }
    }
}
