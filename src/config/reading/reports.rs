//! The effect of reports, in a rule file.

use super::keys::Keys;
use super::reader::Node;
use super::rule;
use crate::config::text::yaml::Value;
use crate::rules::{Effect, Evidence, ReportEffect, Reports};

const BAN: [(&str, ReportEffect); 2] = [("ban", ReportEffect::Ban), ("ignore", ReportEffect::Ignore)];
const TRUST: [(&str, ReportEffect); 2] = [("trust", ReportEffect::Trust), ("ignore", ReportEffect::Ignore)];

/// `{failed: 1, no-user: 1, abuse: ban, success: trust}`; what is left out has these effects.
pub(crate) fn reports(node: &Node<'_>, evidence: Evidence) -> Option<Reports> {
    if evidence == Evidence::Spoofable {
        node.fault(
            "cannot be used with `evidence: spoofable`: reports are about connections whose peer the kernel names; write a \
             set of its own for them",
        );
        return None;
    }
    let default = Reports::default();
    let mut keys = Keys::of(node)?;
    let reports = Reports {
        failed: keys.or("failed", default.failed, against),
        no_user: keys.or("no-user", default.no_user, against),
        abuse: keys.or("abuse", default.abuse, against),
        success: keys.or("success", default.success, |node| node.word(&TRUST)),
    };
    keys.finish();
    Some(reports)
}

/// A weight, `ban` or `ignore`.
fn against(node: &Node<'_>) -> Option<ReportEffect> {
    match node.value() {
        Value::Int(_) | Value::Float(_) => rule::weight(node, Effect::Offence).map(ReportEffect::Counts),
        Value::Text(_) => node.word(&BAN),
        _ => {
            node.fault("must be a weight such as 1 or 0.5, or `ban` or `ignore`");
            None
        }
    }
}
