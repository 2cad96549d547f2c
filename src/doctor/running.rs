//! Whether the daemon runs and the table is in step, and whether the directories it needs are fit.

use std::fs;
use std::path::Path;

use super::finding::Finding;
use crate::control::reply::{DaemonStatus, MissedStatus, SourceStatus};
use crate::control::{ClientError, ClientErrorKind};
use crate::files::{Exposure, directory_of, exposure};

const DAEMON: &str = "daemon";
const FILES: &str = "files";
const LOGS: &str = "logs";

/// Judges the daemon's answer to `status`.
pub(super) fn findings(answer: &Result<DaemonStatus, ClientError>) -> Vec<Finding> {
    let start = "`service portcullis start`, or `systemctl start portcullis`";
    let restart = "`service portcullis restart`, or `systemctl restart portcullis`";
    match answer {
        Err(failure @ ClientError::Unreachable { .. }) => {
            vec![Finding::problem(DAEMON, failure.to_string(), restart)]
        }
        Err(failure) if failure.kind() == ClientErrorKind::NotRunning => {
            vec![Finding::problem(DAEMON, "the daemon does not run: nobody is being banned", start)]
        }
        Err(failure) if failure.kind() == ClientErrorKind::NoPermission => {
            vec![Finding::note(DAEMON, format!("the daemon cannot be asked: {failure}"), "run it as root")]
        }
        Err(failure) => {
            vec![Finding::problem(DAEMON, format!("the daemon cannot be asked: {failure}"), restart)]
        }
        Ok(status) => judge(status),
    }
}

fn judge(status: &DaemonStatus) -> Vec<Finding> {
    let mut findings =
        vec![Finding::ok(DAEMON, format!("the daemon runs since {} (pid {})", status.since, status.pid))];
    let table = &status.firewall;
    let problem = table.problem.clone().unwrap_or_else(|| "no comparison has been made yet".to_owned());
    findings.push(match table.in_step {
        true => Finding::ok(DAEMON, format!("the table is in step: {} wanted in it", table.entries)),
        false => Finding::problem(
            DAEMON,
            format!("the table is not in step with the bans: {problem}"),
            "`portcullis status` tells more",
        ),
    });
    findings.extend(status.sources.iter().flat_map(stamps));
    findings.extend(status.missed.iter().filter(|missed| missed.is_worth_telling()).map(missed));
    let others = status.problems.iter().filter(|other| **other != problem);
    findings.extend(
        others.map(|other| Finding::problem(DAEMON, other.clone(), "`portcullis status` tells more")),
    );
    findings
}

/// Lines that an update of their program may have brought.
fn missed(missed: &MissedStatus) -> Finding {
    let advice = "`portcullis match --missed` shows them; if they tell of attacks, add rules in a file with `extends`, and tell \
                  the authors of the rule set";
    Finding::note(LOGS, missed.sentence(), advice)
}

/// Judges the timestamps of a source's lines.
fn stamps(source: &SourceStatus) -> Vec<Finding> {
    let zone = source.span_of_stamps().map(|span| {
        let text = format!("the timestamps of {} (source {}) are {span} the clock", source.path, source.name);
        let advice = "state the zone of its writer with `zone:` under the source, as in `zone: UTC`";
        Finding::note(LOGS, text, advice)
    });
    let undated = (source.undated > 0).then(|| {
        let text = format!(
            "{} matches in {} (source {}) have no readable timestamp: none would count after a restart",
            source.undated, source.path, source.name
        );
        Finding::problem(LOGS, text, "state the format of the timestamps with `time:`; the README shows how")
    });
    zone.into_iter().chain(undated).collect()
}

/// Judges the directory that a file is to be in: whoever may write there may replace the file. Where it is missing, it is
/// to be made with the mode that it has after an installation.
pub(super) fn directory(file: &Path, of: &str, mode: &str) -> Finding {
    let parent = directory_of(file);
    let name = parent.display();
    let group = if cfg!(target_os = "freebsd") { "wheel" } else { "root" };
    let make = format!("`install -d -o root -g {group} -m {mode} {name}`");
    match fs::metadata(parent) {
        Err(error) => {
            Finding::problem(FILES, format!("{name}, the directory of {of}, cannot be used: {error}"), make)
        }
        Ok(about) if !about.is_dir() => Finding::problem(FILES, format!("{name} is no directory"), make),
        Ok(_) => match exposure(parent) {
            Ok(Some(exposure)) => exposed(exposure),
            Ok(None) => Finding::ok(FILES, format!("{name}, the directory of {of}, is fit")),
            Err(error) => {
                Finding::note(FILES, format!("{name} cannot be looked at: {error}"), "run it as root")
            }
        },
    }
}

/// What somebody else may replace.
pub(super) fn exposed(Exposure { path, why, remedy }: Exposure) -> Finding {
    Finding::problem(FILES, format!("{} {why}", path.display()), remedy)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::finding::Grade;
    use super::*;
    use crate::control::reply::TableStatus;

    #[test]
    fn a_daemon_out_of_step_is_a_problem_told_once() {
        let out = Some("pfctl ended with exit status 1".to_owned());
        let status = DaemonStatus {
            firewall: TableStatus { in_step: false, problem: out.clone(), ..TableStatus::default() },
            problems: out.into_iter().chain(["the disk is full".to_owned()]).collect(),
            ..DaemonStatus::default()
        };
        let grades: Vec<Grade> = judge(&status).iter().map(|finding| finding.grade).collect();
        assert_eq!(grades, [Grade::Ok, Grade::Problem, Grade::Problem]);
    }

    #[test]
    fn stamps_of_another_zone_and_lines_without_any_are_told() {
        let source =
            |stamps_behind, undated| SourceStatus { stamps_behind, undated, ..SourceStatus::default() };
        let texts =
            |source: &SourceStatus| stamps(source).into_iter().map(|found| found.text).collect::<Vec<_>>();
        assert_eq!(texts(&source(None, 0)), [""; 0]);
        assert!(texts(&source(Some(60), 0))[0].contains("are 1h behind the clock"));
        assert!(texts(&source(Some(-345), 0))[0].contains("are 5h 45m ahead of the clock"));
        assert!(texts(&source(None, 4))[0].starts_with("4 matches in "));
    }

    #[test]
    fn a_directory_must_be_there_and_be_ours_alone() {
        let dir = tempfile::tempdir().unwrap();
        let grade = |file: &str| directory(&dir.path().join(file), "the database", "0700").grade;
        assert_eq!(grade("state.db"), Grade::Ok);
        assert_eq!(grade("missing/state.db"), Grade::Problem);
        let advice = directory(&dir.path().join("missing/state.db"), "the database", "0700").advice;
        assert!(advice.is_some_and(|advice| advice.contains("-m 0700 ")), "as install.sh makes it");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(grade("state.db"), Grade::Problem);
    }
}
