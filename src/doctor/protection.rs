//! Whether anybody is kept out, in one sentence: what all the other findings come to.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::finding::{Finding, Grade};
use crate::config::Config;
use crate::control::reply::DaemonStatus;
use crate::control::{ClientError, ClientErrorKind};
use crate::files;
use crate::follow;
use crate::protection::{Facts, Gap, gaps};
use crate::settings::BackendKind;
use crate::setup::{Setup, machine};

const ABOUT: &str = "protection";

/// Judges what was found about the firewall and answered by the daemon.
pub(super) fn finding(
    setup: &Setup,
    findings: &[Finding],
    answer: &Result<DaemonStatus, ClientError>,
) -> Finding {
    let gaps = match answer {
        Err(failure) if failure.kind() == ClientErrorKind::NotRunning => vec![Gap::not_running()],
        answer => gaps(&facts(setup, findings, answer.as_ref().ok())),
    };
    match (gaps.first(), answer) {
        (Some(Gap { text, remedy, .. }), _) => {
            Finding::problem(ABOUT, format!("NOT PROTECTING: {text}"), remedy.clone())
        }
        (None, Ok(status)) => Finding::ok(ABOUT, format!("protecting: {} banned", status.counters.active)),
        (None, Err(_)) => {
            Finding::note(ABOUT, "nobody can say: the daemon cannot be asked", "run it as root")
        }
    }
}

fn facts(setup: &Setup, findings: &[Finding], status: Option<&DaemonStatus>) -> Facts {
    let config = &setup.config;
    let table = status.map(|status| &status.firewall).filter(|table| !table.in_step);
    Facts {
        logs: machine::logs(config),
        has_journal: files::has_journal(),
        is_dry_run: config.firewall.backend == BackendKind::DryRun,
        not_blocking: findings.iter().filter_map(not_blocking).collect(),
        out_of_step: table.and_then(|table| table.problem.clone()),
        silence: silence(config, SystemTime::now()),
        expects_sshd: machine::expects_sshd(&setup.sets),
    }
}

/// What keeps the table from blocking is a problem of the firewall.
fn not_blocking(finding: &Finding) -> Option<Gap> {
    let is_it = finding.about == "firewall" && finding.grade == Grade::Problem;
    is_it.then(|| Gap::not_blocking(finding.text.clone(), finding.advice.clone().unwrap_or_default()))
}

/// How long ago any of the logs was written to; what cannot be known is no silence.
fn silence(config: &Config, now: SystemTime) -> Duration {
    let paths = config.sources.iter().flat_map(|source| follow::expand(&source.path).unwrap_or_default());
    let written = paths.filter_map(|path| Path::new(&path.ok()?).metadata().ok()?.modified().ok());
    written.max().and_then(|last| now.duration_since(last).ok()).unwrap_or_default()
}
