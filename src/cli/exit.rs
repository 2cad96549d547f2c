//! How a command ends: sysexits(3) where they say more than 1.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::control::BindError;
use crate::daemon::{NoStart, NotDone, Refused};
use crate::store::StoreError;

/// An exit status with the sentence of its manual page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// The command did what was asked.
    Ok = 0,
    /// Nothing was found, or nothing was banned.
    Nothing = 1,
    /// The command was used incorrectly.
    Usage = 64,
    /// The input data was incorrect in some way.
    Data = 65,
    /// An input file did not exist or was not readable.
    NoInput = 66,
    /// A service is unavailable: the daemon does not run.
    Unavailable = 69,
    /// An error occurred while doing I/O on some file.
    Io = 74,
    /// Temporary failure: the daemon is busy, or the database cannot be written for now; try again.
    Temporary = 75,
    /// The remote system returned something that was not possible: the daemon is of another version.
    Protocol = 76,
    /// You did not have sufficient permission.
    NoPermission = 77,
    /// Something was found in an unconfigured or misconfigured state.
    Config = 78,
}

/// The exit statuses in words, for the help and the manual pages.
pub(super) const STATUSES: [(u8, &str); 11] = [
    (0, "Done."),
    (1, "Nothing was found, or nothing was banned."),
    (64, "The command was used wrongly."),
    (65, "Input is damaged, or is no log."),
    (66, "Input does not exist."),
    (69, "The daemon does not run."),
    (74, "Reading or writing failed."),
    (75, "Try again: somebody is busy, or what was done is not in the database yet."),
    (76, "The daemon is of another version."),
    (77, "Not permitted."),
    (78, "The configuration or a rule file is wrong."),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not go on: a sentence for the operator, and the exit status.
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

/// Says on standard error what is wrong or worth knowing. A reader of it that went away is no reason to fail.
pub(super) fn complain(text: &impl fmt::Display) {
    let line = format!("portcullis: {text}\n");
    drop(io::stderr().write_all(line.as_bytes()));
}

/// What can go wrong while printing. A reader that went away (`| head`) has all it wants: no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Ok, "");
        }
        Self::new(Exit::Io, format!("cannot write the output: {error}"))
    }
}

/// A configuration with errors: all of them.
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
            NoStart::Config(_) | NoStart::Firewall(_) | NoStart::Group(_) => Exit::Config,
            NoStart::Store(error) => store_exit(error),
            NoStart::Control(error) => control_exit(error),
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
        }
    }
}

fn store_exit(error: &StoreError) -> Exit {
    match error {
        StoreError::Held { .. } => Exit::Temporary,
        StoreError::Io { error, .. } => permission(error).unwrap_or(Exit::Io),
        _ => Exit::Io,
    }
}

fn control_exit(error: &BindError) -> Exit {
    match error {
        BindError::Taken(_) => Exit::Temporary,
        BindError::System { error, .. } => permission(error).unwrap_or(Exit::Io),
        BindError::NoDirectory(_) | BindError::UnsafeDirectory { .. } | BindError::InTheWay(_) => {
            Exit::Config
        }
    }
}

fn permission(error: &io::Error) -> Option<Exit> {
    (error.kind() == io::ErrorKind::PermissionDenied).then_some(Exit::NoPermission)
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
    fn every_exit_status_is_explained() {
        use Exit::{Config, Data, Io, NoInput, NoPermission, Nothing, Ok, Usage};
        for exit in [Ok, Nothing, Usage, Data, NoInput, Io, NoPermission, Config] {
            assert!(STATUSES.iter().any(|(status, _)| *status == exit as u8), "{exit:?}");
        }
    }
}
