//! Why two processes do not start, or ended: sentences for the operator.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::control::BindError;
use crate::firewall::Unusable;
use crate::privileges::reports::ReportsRefused;
use crate::store::StoreError;

/// Why the daemon does not start as two processes, or ended.
#[derive(Debug, Error)]
pub enum ArmError {
    /// The configuration has errors.
    #[error("the configuration has errors; `portcullis check` shows them")]
    NoSettings,
    /// The system has no account for the other process.
    #[error(
        "there is neither an account `_portcullis` nor `nobody` to run as: make one with pw(8) or useradd, or write \
         `privileges: single`"
    )]
    NoAccount,
    /// The database cannot be given to that account.
    #[error("{0}")]
    State(String),
    /// The database is in use.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A daemon runs with another database.
    #[error(transparent)]
    Elsewhere(#[from] Elsewhere),
    /// The socket cannot be used.
    #[error(transparent)]
    Control(#[from] BindError),
    /// No reports can be received.
    #[error(transparent)]
    Reports(#[from] ReportsRefused),
    /// The firewall's settings cannot work.
    #[error(transparent)]
    Firewall(#[from] Unusable),
    /// The system refuses processes, threads or descriptors.
    #[error(
        "the system does not let the daemon start as two processes: {0}; `privileges: single` does without"
    )]
    System(#[from] io::Error),
    /// The process without rights ended by itself, with this exit status; it has said why.
    #[error("")]
    Ended(u8),
    /// The process without rights was killed.
    #[error("the process that decides was killed by signal {0}; the table stays as it is")]
    Killed(i32),
}

/// A daemon runs with another database than the one that is configured now.
#[derive(Debug, Error)]
#[error(
    "nothing was done: a daemon has the control socket {}, but not the database {}, as when `state` was changed since it \
     started; ask it without --offline, or stop it first",
    socket.display(), state.display()
)]
pub struct Elsewhere {
    socket: PathBuf,
    state: PathBuf,
}

impl Elsewhere {
    pub(crate) fn of(socket: &Path, state: &Path) -> Self {
        Self { socket: socket.to_owned(), state: state.to_owned() }
    }
}
