//! What the worker reports about itself; the daemon puts it into the words of `portcullis status`.

use std::time::Instant;

/// How the firewall stands; asking never waits for a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerStatus {
    /// The backend's name.
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
    /// What the operator should know about the set-up, as sentences.
    pub warnings: Vec<String>,
    /// What does not work at present.
    pub last_error: Option<String>,
    /// When the table was last compared; `None` for never.
    pub compared: Option<Instant>,
}
