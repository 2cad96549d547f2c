//! Why the daemon does not start, or nothing was done in its absence: sentences for the operator.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::blocklist::{SocketRefused, UnknownUser};
use crate::control::BindError;
use crate::firewall::Unusable;
use crate::setup::Refused;
use crate::store::StoreError;

/// Why the daemon does not start.
#[derive(Debug, Error)]
pub enum NoStart {
    /// The configuration has errors.
    #[error(transparent)]
    Config(#[from] Refused),
    /// The firewall's settings cannot work.
    #[error(transparent)]
    Firewall(#[from] Unusable),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The socket cannot be used.
    #[error(transparent)]
    Control(#[from] BindError),
    /// No reports can be received.
    #[error(transparent)]
    Reports(#[from] SocketRefused),
    /// A user whose reports are to be taken does not exist.
    #[error(transparent)]
    Sender(#[from] UnknownUser),
    /// The group that may ask does not exist.
    #[error(
        "`control: {{group: {0}}}`: there is no such group; make it with pw(8) or groupadd, or drop the key"
    )]
    Group(String),
    /// The system refuses threads or signals.
    #[error("the system does not let the daemon start: {0}")]
    System(#[from] io::Error),
}

/// Why `unban --offline` did nothing.
#[derive(Debug, Error)]
pub enum NotDone {
    /// The configuration has errors.
    #[error(transparent)]
    Config(#[from] Refused),
    /// The database cannot be used: the daemon may hold it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The daemon runs with another database.
    #[error(
        "nothing was done: a daemon has the control socket {socket}, but not the database {state}, as when `state` was \
         changed since it started; ask it without --offline, or stop it first"
    )]
    Elsewhere {
        /// The daemon's socket.
        socket: PathBuf,
        /// The database that is configured now.
        state: PathBuf,
    },
}
