//! Whether the followed logs are there, can be read, and are written to.

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::finding::Finding;
use crate::config::SourceSettings;
use crate::follow;

const ABOUT: &str = "logs";

const AS_ROOT: &str = "run it, and the daemon, as root";

/// A log that nobody wrote to for this long is perhaps not the one; cron alone writes every few minutes.
const MAX_SILENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Judges one source; standard input is nothing to look at.
pub(super) fn findings(source: &SourceSettings, now: SystemTime) -> Vec<Finding> {
    if let Some(journal) = &source.journal {
        return vec![journalctl(&journal.tool)];
    }
    if !source.is_file() {
        return Vec::new();
    }
    let files = files(Path::new(&source.path));
    if files.is_empty() {
        return vec![Finding::problem(
            ABOUT,
            format!("no file is at {} (source {})", source.path, source.name),
            "see that the path is right and that syslog.conf(5) names it; it is followed as soon as it is there",
        )];
    }
    let judged = |file: Result<PathBuf, String>| match file {
        Ok(path) => readable(&path, now),
        Err(why) => Finding::problem(ABOUT, why, AS_ROOT),
    };
    files.into_iter().map(judged).collect()
}

/// Judges whether the journal can be read.
fn journalctl(tool: &Path) -> Finding {
    let name = tool.display();
    if tool.exists() {
        return Finding::ok(ABOUT, format!("{name} is there, which reads the systemd journal"));
    }
    let advice = "install systemd's package, or say where it is: `{journal: …, tool: /path/of/journalctl}`";
    Finding::problem(ABOUT, format!("there is no {name}, which reads the systemd journal"), advice)
}

/// What is followed, and which directories cannot be looked into for it.
fn files(path: &Path) -> Vec<Result<PathBuf, String>> {
    if !follow::is_pattern(path) {
        return path.exists().then(|| Ok(path.to_owned())).into_iter().collect();
    }
    follow::expand(&path.to_string_lossy()).into_iter().flatten().collect()
}

fn readable(path: &Path, now: SystemTime) -> Finding {
    let name = path.display();
    // Of a pipe nothing is read here: what is in it is the daemon's, and opening it would wait.
    match path
        .metadata()
        .and_then(|about| if about.is_file() { File::open(path)?.metadata() } else { Ok(about) })
    {
        Err(error) => Finding::problem(ABOUT, format!("{name} cannot be read: {error}"), AS_ROOT),
        Ok(about) if about.is_dir() => Finding::problem(
            ABOUT,
            format!("{name} is a directory"),
            "name its files, as in `/var/log/app/*.log`",
        ),
        Ok(about) => written(path, &about, now),
    }
}

fn written(path: &Path, about: &Metadata, now: SystemTime) -> Finding {
    let name = path.display();
    let silent = about.modified().ok().and_then(|modified| now.duration_since(modified).ok());
    match silent.filter(|silent| about.is_file() && *silent > MAX_SILENCE) {
        Some(silent) => Finding::note(
            ABOUT,
            format!("nothing was written to {name} for {} days", silent.as_secs() / 86_400),
            "see that syslog.conf(5) still names it, and that syslogd was signalled after a rotation",
        ),
        None => Finding::ok(ABOUT, format!("{name} is readable and in use")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::finding::Grade;
    use super::*;

    fn grades(path: &Path, now: SystemTime) -> Vec<Grade> {
        let source = SourceSettings::at("auth", path.display().to_string());
        findings(&source, now).into_iter().map(|finding| finding.grade).collect()
    }

    #[test]
    fn a_log_must_be_there_and_be_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let log = dir.path().join("auth.log");
        assert_eq!(grades(&log, now), [Grade::Problem]);
        fs::write(&log, "").unwrap();
        assert_eq!(grades(&log, now), [Grade::Ok]);
        assert_eq!(grades(&log, now + MAX_SILENCE * 2), [Grade::Note]);
        assert_eq!(grades(dir.path(), now), [Grade::Problem], "a directory");
        assert_eq!(grades(&dir.path().join("*.log"), now), [Grade::Ok]);
        assert_eq!(grades(&dir.path().join("*.txt"), now), [Grade::Problem]);
        assert_eq!(grades(Path::new("-"), now), []);
    }
}
