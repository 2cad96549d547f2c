//! journalctl(1) as a child: the one program that reads the systemd journal of every version of systemd.
//!
//! Absolute path, argument vector, empty environment, no shell; root runs none that somebody else may replace. It is killed when
//! it is dropped. If we are killed it finds nobody at the other end of its output, and ends.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde::{Deserialize, Serialize};

use crate::files::{exposure, is_enforced};
use crate::record::{FIELDS, ProgramNames};

/// How much of a complaint is quoted, in bytes.
const QUOTE: usize = 300;

/// The longest cursor that is handed on; systemd's have some 130 bytes.
const MAX_CURSOR: usize = 512;

/// From where on the journal is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalStart {
    /// From its beginning.
    Beginning,
    /// From the entry with this cursor, which comes again.
    Cursor(String),
    /// From this time on, in seconds since the epoch.
    Since(i64),
    /// From a time as an operator writes it: `yesterday`, `2 days ago`, see systemd.time(7).
    Said(String),
}

/// What is asked of journalctl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalQuery {
    /// The path of journalctl.
    pub tool: PathBuf,
    /// The programs whose lines are wanted.
    pub programs: ProgramNames,
}

/// A running journalctl.
#[derive(Debug)]
pub struct Journalctl {
    /// Its standard output, which never blocks where it follows.
    pub output: File,
    /// Its standard error, which never blocks.
    pub errors: File,
    /// `None` where another process started it.
    pub child: Option<Child>,
}

impl JournalQuery {
    /// Starts journalctl, which goes on printing entries as they come with `follow`, and else ends behind the last.
    ///
    /// # Errors
    /// When it cannot be started, or somebody else may replace it.
    pub fn start(&self, start: &JournalStart, follow: bool) -> io::Result<Journalctl> {
        let mut child = self.command(start, follow)?.spawn()?;
        let output = child.stdout.take().map(|pipe| match follow {
            true => unblocked(pipe.into()),
            false => Ok(OwnedFd::from(pipe).into()),
        });
        let errors = child.stderr.take().map(|pipe| unblocked(pipe.into()));
        match (output, errors) {
            (Some(Ok(output)), Some(Ok(errors))) => Ok(Journalctl { output, errors, child: Some(child) }),
            _ => Err(io::Error::other("its output cannot be read")),
        }
    }

    fn command(&self, start: &JournalStart, follow: bool) -> io::Result<Command> {
        if !self.tool.is_absolute() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "its path is not absolute"));
        }
        if is_enforced()
            && let Some(exposure) = exposure(&self.tool)?
        {
            return Err(io::Error::other(exposure));
        }
        let mut command = Command::new(&self.tool);
        command.args(["--output=export", "--no-pager", "--quiet", "--no-tail"]);
        command.arg(format!("--output-fields={}", FIELDS.join(",")));
        if follow {
            command.arg("--follow");
        }
        command.args(start.argument()?);
        command.args(self.matches());
        command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }

    /// What journalctl passes over by itself; beginnings of names it does not know.
    fn matches(&self) -> Vec<String> {
        let names = &self.programs.0;
        if names.iter().any(|name| name.ends_with('*')) {
            return Vec::new();
        }
        names.iter().map(|name| format!("SYSLOG_IDENTIFIER={name}")).collect()
    }
}

impl JournalStart {
    /// The argument that says so.
    ///
    /// # Errors
    /// Where a cursor is none of systemd's: it may be a damaged one from the database.
    fn argument(&self) -> io::Result<Option<String>> {
        match self {
            Self::Beginning => Ok(None),
            Self::Since(seconds) => Ok(Some(format!("--since=@{seconds}"))),
            Self::Said(time) => Ok(Some(format!("--since={time}"))),
            Self::Cursor(cursor) if is_cursor(cursor) => Ok(Some(format!("--cursor={cursor}"))),
            Self::Cursor(_) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "the stored position is damaged"))
            }
        }
    }
}

/// Whether a text may be a cursor: words of letters and digits, `=` and `;`.
pub(super) fn is_cursor(text: &str) -> bool {
    let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || b"=;-_".contains(&byte);
    !text.is_empty() && text.len() <= MAX_CURSOR && text.bytes().all(is_of_it)
}

fn unblocked(pipe: OwnedFd) -> io::Result<File> {
    fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(pipe.into())
}

impl Journalctl {
    /// The end of one that does not follow, once its output has ended: why it failed, if it did.
    pub fn finish(mut self, tool: &Path) -> Option<String> {
        let is_done =
            self.child.as_mut().is_some_and(|child| child.wait().is_ok_and(|status| status.success()));
        (!is_done).then(|| self.end(tool))
    }

    /// Ends it and says what it complained of, on one line.
    pub fn end(mut self, tool: &Path) -> String {
        let mut said = vec![0; QUOTE];
        let length = self.errors.read(&mut said).unwrap_or(0);
        let status = self.stop();
        let text = String::from_utf8_lossy(said.get(..length).unwrap_or_default()).into_owned();
        let printable = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { ' ' };
        let said: String = text.trim().chars().map(printable).collect();
        let tool = tool.display();
        match (status, said.as_str()) {
            (Some(status), "") => format!("{tool} ended ({status})"),
            (None, "") => format!("{tool} ended"),
            (Some(status), said) => format!("{tool} ended ({status}): {said}"),
            (None, said) => format!("{tool} ended: {said}"),
        }
    }

    /// The exit status, where it ended by itself.
    fn stop(&mut self) -> Option<std::process::ExitStatus> {
        let child = self.child.as_mut()?;
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        // It may be gone by now, which is what we want.
        let _gone = child.kill();
        child.wait().ok()
    }
}

impl Drop for Journalctl {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(programs: &[&str], start: &JournalStart, follow: bool) -> Vec<String> {
        let programs = ProgramNames(programs.iter().map(|name| (*name).to_owned()).collect());
        let query = JournalQuery { tool: "/bin/echo".into(), programs };
        let command = query.command(start, follow).unwrap();
        assert_eq!(command.get_envs().filter(|(_, value)| value.is_some()).count(), 2, "LC_ALL and PATH");
        command.get_args().skip(5).map(|arg| arg.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn journalctl_is_told_the_place_and_the_programs() {
        let cursor = JournalStart::Cursor("s=52;i=1;b=c2".to_owned());
        assert_eq!(
            arguments(&["sshd", "kernel"], &cursor, true),
            ["--follow", "--cursor=s=52;i=1;b=c2", "SYSLOG_IDENTIFIER=sshd", "SYSLOG_IDENTIFIER=kernel"]
        );
        assert_eq!(arguments(&["sshd", "postfix/*"], &JournalStart::Since(7), false), ["--since=@7"]);
        let said = JournalStart::Said("-h; rm".to_owned());
        assert_eq!(arguments(&["sshd"], &said, false), ["--since=-h; rm", "SYSLOG_IDENTIFIER=sshd"]);
    }

    #[test]
    fn a_damaged_cursor_and_a_relative_path_start_nothing() {
        let query = JournalQuery { tool: "/bin/echo".into(), programs: ProgramNames::default() };
        for cursor in ["", "s=1 --file=/etc/shadow", "s=\n", &"x".repeat(MAX_CURSOR + 1)] {
            assert!(query.start(&JournalStart::Cursor(cursor.to_owned()), true).is_err(), "{cursor:?}");
        }
        let relative = JournalQuery { tool: "journalctl".into(), ..query };
        assert!(relative.start(&JournalStart::Beginning, true).is_err());
    }

    #[test]
    fn what_it_complained_of_is_told_with_its_status() {
        let directory = tempfile::tempdir().unwrap();
        let tool = directory.path().join("journalctl");
        std::fs::write(&tool, "#!/bin/sh\nprintf 'Failed to seek\\nx' >&2\nexit 1\n").unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let query = JournalQuery { tool: tool.clone(), programs: ProgramNames::default() };
        let mut journalctl = query.start(&JournalStart::Beginning, false).unwrap();
        journalctl.child.as_mut().unwrap().wait().unwrap();
        assert!(journalctl.end(&tool).ends_with("journalctl ended (exit status: 1): Failed to seek x"));
    }
}
