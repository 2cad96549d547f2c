//! What the worker reports about itself; the daemon puts it into the words of `portcullis status`.

use std::time::Instant;

/// How the firewall stands; asking never waits for a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerStatus {
    /// The name of the backend.
    pub backend: String,
    /// Whether the table held what it should when it was last looked at, and everything since then was done.
    pub in_step: bool,
    /// How many prefixes should be in the table.
    pub entries: usize,
    /// How many changes are not done yet.
    pub pending: usize,
    /// How many changes the firewall refused; they are tried again at the next comparison.
    pub set_aside: usize,
    /// How many entries of others the last comparison saw.
    pub foreign: usize,
    /// How many entries of the last comparison are none that Portcullis could have written.
    pub strange: usize,
    /// How many entries the table held at the last comparison, where that is known.
    pub listed: Option<usize>,
    /// Why the table's content cannot be listed, if it cannot.
    pub unlistable: Option<String>,
    /// Sentences about the set-up for the operator.
    pub warnings: Vec<String>,
    /// The failure that is being retried; `None` while all works.
    pub last_error: Option<String>,
    /// The time of the last comparison; `None` for never.
    pub compared: Option<Instant>,
}
