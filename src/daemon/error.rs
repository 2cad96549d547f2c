//! Why the daemon does not start, or nothing was done in its absence: sentences for the operator.

use std::io;

use thiserror::Error;

use crate::control::BindError;
use crate::firewall::Unusable;
use crate::privileges::{ArmError, Elsewhere, ReportsRefused};
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
    Reports(#[from] ReportsRefused),
    /// The process that reads the configuration did not.
    #[error("{0}")]
    Loader(String),
    /// The database cannot be moved to where one process has it.
    #[error("{0}")]
    State(String),
    /// The two processes do not start, or ended.
    #[error(transparent)]
    Arm(#[from] ArmError),
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
    /// The database cannot be moved to where one process has it.
    #[error("{0}")]
    State(String),
    /// The daemon runs with another database.
    #[error(transparent)]
    Elsewhere(#[from] Elsewhere),
}
