//! How a command ends: sysexits(3) where they say more than 1.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::blocklist::SocketRefused;
use crate::control::BindError;
use crate::daemon::{NoStart, NotDone};
use crate::privileges::{ArmError, ReportsRefused};
use crate::setup::Refused;
use crate::store::StoreError;

/// An exit status; [`Exit::means`] says what each of them is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Ok = 0,
    Nothing = 1,
    Usage = 64,
    Data = 65,
    NoInput = 66,
    Unavailable = 69,
    Io = 74,
    Temporary = 75,
    Protocol = 76,
    NoPermission = 77,
    Config = 78,
}

impl Exit {
    /// In ascending order, for the help and the manual pages.
    pub(super) const ALL: [Self; 11] = [
        Self::Ok,
        Self::Nothing,
        Self::Usage,
        Self::Data,
        Self::NoInput,
        Self::Unavailable,
        Self::Io,
        Self::Temporary,
        Self::Protocol,
        Self::NoPermission,
        Self::Config,
    ];

    /// A sentence for the help and the manual pages.
    pub(super) const fn means(self) -> &'static str {
        match self {
            Self::Ok => "Done.",
            Self::Nothing => {
                "Nothing found, nobody unbanned, some not banned, or not protecting (status, doctor)."
            }
            Self::Usage => "The command was used wrongly.",
            Self::Data => "Input is damaged, or is no log.",
            Self::NoInput => "Input does not exist.",
            Self::Unavailable => "The daemon does not run, or nobody listens at its socket.",
            Self::Io => "Reading or writing failed.",
            Self::Temporary => "Try again: somebody is busy, or what was done is not in the database yet.",
            Self::Protocol => "The daemon is of another version.",
            Self::NoPermission => "Not permitted.",
            Self::Config => "The configuration or a rule file is wrong.",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed: a sentence for the operator, and the exit status.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) text: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Prints a sentence on standard error. It is no failure if nobody reads it any more.
pub(super) fn complain(text: &impl fmt::Display) {
    let line = format!("portcullis: {text}\n");
    drop(io::stderr().write_all(line.as_bytes()));
}

/// A failure to print. It is none if the reader of a pipe has gone (`| head`).
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Ok, "");
        }
        Self::new(Exit::Io, format!("cannot write the output: {error}"))
    }
}

/// Lists all errors of the configuration.
impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::new(
            Exit::Config,
            format!("the configuration is not used, since there are errors in it\n{refused}"),
        )
    }
}

impl From<NoStart> for Failure {
    fn from(no_start: NoStart) -> Self {
        let exit = match &no_start {
            NoStart::Config(_) | NoStart::Firewall(_) => Exit::Config,
            NoStart::Reports(refused) => reports_exit(refused),
            NoStart::Store(error) => store_exit(error),
            NoStart::Control(error) => control_exit(error),
            NoStart::Loader(_) | NoStart::State(_) => Exit::Io,
            NoStart::Arm(error) => arm_exit(error),
            NoStart::System(error) => permission(error).unwrap_or(Exit::Io),
        };
        Self::new(exit, no_start.to_string())
    }
}

impl From<NotDone> for Failure {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::Config(refused) => refused.into(),
            NotDone::Store(error) => Self::new(store_exit(&error), error.to_string()),
            NotDone::Elsewhere(elsewhere) => Self::new(Exit::Temporary, elsewhere.to_string()),
            NotDone::State(why) => Self::new(Exit::Io, why),
        }
    }
}

fn arm_exit(error: &ArmError) -> Exit {
    match error {
        ArmError::NoSettings | ArmError::NoAccount | ArmError::State(_) | ArmError::Firewall(_) => {
            Exit::Config
        }
        ArmError::Store(error) => store_exit(error),
        ArmError::Elsewhere(_) => Exit::Temporary,
        ArmError::Reports(refused) => reports_exit(refused),
        ArmError::Control(error) => control_exit(error),
        ArmError::System(error) => permission(error).unwrap_or(Exit::Io),
        ArmError::Ended(code) => Exit::ALL.into_iter().find(|exit| *exit as u8 == *code).unwrap_or(Exit::Io),
        ArmError::Killed(_) => Exit::Io,
    }
}

fn store_exit(error: &StoreError) -> Exit {
    match error {
        StoreError::Held { .. } => Exit::Temporary,
        StoreError::Exposed(_) => Exit::Config,
        StoreError::Io { error, .. } => permission(error).unwrap_or(Exit::Io),
        _ => Exit::Io,
    }
}

fn reports_exit(refused: &ReportsRefused) -> Exit {
    match refused {
        ReportsRefused::Socket(SocketRefused::Taken(..)) => Exit::Temporary,
        ReportsRefused::Socket(SocketRefused::System { error, .. }) | ReportsRefused::System(error) => {
            permission(error).unwrap_or(Exit::Io)
        }
        ReportsRefused::Socket(_) | ReportsRefused::Sender(_) => Exit::Config,
    }
}

fn control_exit(error: &BindError) -> Exit {
    match error {
        BindError::Taken(_) => Exit::Temporary,
        BindError::System { error, .. } => permission(error).unwrap_or(Exit::Io),
        BindError::NoDirectory(_)
        | BindError::Exposed(_)
        | BindError::InTheWay(_)
        | BindError::NoGroup(_) => Exit::Config,
    }
}

fn permission(error: &io::Error) -> Option<Exit> {
    if error.kind() == io::ErrorKind::PermissionDenied { Some(Exit::NoPermission) } else { None }
}

/// The exit status for a file that cannot be read.
pub(super) fn exit_for(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::NoPermission,
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => Exit::NoInput,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => Exit::Data,
        _ => Exit::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_status_is_listed_once_in_ascending_order() {
        assert!(Exit::ALL.is_sorted_by(|one, next| (*one as u8) < *next as u8));
        assert!(Exit::ALL.iter().all(|exit| exit.means().ends_with('.')));
    }

    #[test]
    fn the_readme_names_every_exit_status() {
        let readme = include_str!("../../README.md");
        let (_, statuses) = readme.split_once("Exit status: ").unwrap();
        let (statuses, _) = statuses.split_once(".\n").unwrap();
        let numbers = statuses.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        let listed = Exit::ALL.map(|exit| (exit as u8).to_string());
        assert_eq!(numbers.collect::<Vec<_>>(), listed);
    }
}
