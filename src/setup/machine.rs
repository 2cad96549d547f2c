//! What kind of machine this is: where it logs, and whether sshd runs.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::config::{Config, ResolvedSet, SourceSettings};
use crate::follow;
use crate::protection::Logs;

/// Where sshd says its process id, on FreeBSD and Linux.
const SSHD: &str = "/var/run/sshd.pid";

/// Whether sshd runs and its rule set is among these, so that somebody's failures should be seen now and then.
pub(crate) fn expects_sshd(sets: &[ResolvedSet]) -> bool {
    sets.iter().any(|set| set.set.name == "sshd") && fs::read_to_string(SSHD).is_ok_and(|pid| runs(&pid))
}

/// Whether a process has this id, whoever may send it signals.
fn runs(pid: &str) -> bool {
    let pid = pid.trim().parse().ok().filter(|pid| *pid > 0).map(Pid::from_raw);
    pid.is_some_and(|pid| matches!(kill(pid, None), Ok(()) | Err(Errno::EPERM)))
}

/// Whether one of the configured sources is there.
pub(crate) fn logs(config: &Config) -> Logs {
    if !config.blocklists.is_empty() || config.sources.iter().any(is_there) {
        return Logs::Some;
    }
    Logs::None(config.sources.iter().map(|source| source.path.clone()).collect())
}

fn is_there(source: &SourceSettings) -> bool {
    let path = &source.path;
    if let Some(journal) = &source.journal {
        return journal.tool.exists();
    }
    let is_matched = || follow::expand(path).is_ok_and(|found| found.into_iter().any(|file| file.is_ok()));
    !source.is_file() || Path::new(path).exists() || (follow::is_pattern(Path::new(path)) && is_matched())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ended_does_not_run_and_this_one_does() {
        assert!(runs(&format!("{}\n", std::process::id())) && runs("1"));
        let mut child = std::process::Command::new("/bin/sh").args(["-c", "exit"]).spawn().unwrap();
        child.wait().unwrap();
        assert!(!runs(&child.id().to_string()));
        for none in ["", "0", "-1", "x"] {
            assert!(!runs(none), "{none:?} is no process");
        }
    }
}
