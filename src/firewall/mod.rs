//! The firewall: prefixes to add and remove in, a table in step out.
//!
//! | part | does |
//! | --- | --- |
//! | [`spawn`], [`WorkerHandle`] | the daemon's end: changes in, [`WorkerStatus`] and [`FirewallEvent`]s out, no waiting |
//! | `inbox` | what the two share |
//! | `reconciler` | the thread that owns the backend, carries changes out and converges the table |
//! | `ledger`, `diff`, `report` | its bookkeeping, arithmetic and sentences, pure |
//! | `bisect`, `backoff`, `state_kills` | what made the firewall refuse a batch, when to try again, whose connections to end |
//! | `probe` | what is asked for in a table that cannot be listed |
//! | [`TableFile`] | the table as a file, for the firewall's own rules at boot |
//! | [`Backend`] | what every firewall can do; [`open`] makes the one that the settings name |
//! | [`runner`] | runs a tool: no shell, empty environment, bounded output, killed when it hangs |
//!
//! CONTRIBUTING.md lists what a new backend takes.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::address::{self, Prefix};
use crate::settings::{BackendKind, FirewallSettings};

mod backoff;
mod bisect;
mod command;
mod diff;
mod dry_run;
mod inbox;
pub(crate) mod ipfw;
mod ledger;
mod nftables;
pub(crate) mod pf;
mod probe;
mod reconciler;
mod report;
pub mod runner;
mod state_kills;
mod status;
mod table_file;
mod worker;

pub use dry_run::DryRun;
pub use status::WorkerStatus;
pub use table_file::{TableFile, save_table};
pub use worker::{FirewallEvent, WorkerHandle, spawn, spawn_after};

/// A change of one prefix of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Change {
    /// The prefix shall be in the table.
    Add(Prefix),
    /// The prefix shall not be in the table.
    Remove(Prefix),
}

impl Change {
    /// The prefix that the change is about.
    pub fn prefix(&self) -> Prefix {
        match self {
            Self::Add(prefix) | Self::Remove(prefix) => *prefix,
        }
    }

    /// The change with the host bits of its prefix cleared, as every firewall stores it.
    #[must_use]
    pub fn trunc(self) -> Self {
        match self {
            Self::Add(prefix) => Self::Add(prefix.trunc()),
            Self::Remove(prefix) => Self::Remove(prefix.trunc()),
        }
    }
}

/// The prefixes that changes add, and those that they remove, each in the order given.
fn split(changes: &[Change]) -> (Vec<Prefix>, Vec<Prefix>) {
    let mut added = Vec::new();
    let mut removed = Vec::new();
    for change in changes {
        match change {
            Change::Add(prefix) => added.push(*prefix),
            Change::Remove(prefix) => removed.push(*prefix),
        }
    }
    (added, removed)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(prefix) => write!(f, "add {}", address::display(prefix)),
            Self::Remove(prefix) => write!(f, "remove {}", address::display(prefix)),
        }
    }
}

/// Why a firewall did not do what it was told; a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum BackendError {
    /// The tool is missing, hangs or cannot work at all: a smaller batch would not help.
    #[error("{0}")]
    Broken(String),
    /// The tool answered that it will not do this: a smaller batch may show which entry it dislikes.
    #[error("{0}")]
    Refused(String),
}

/// The reason why a table blocks nobody; both halves are sentences for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    /// The fact that keeps the table from blocking.
    pub(crate) text: String,
    /// The next step of the operator.
    pub(crate) advice: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text, self.advice)
    }
}

/// The content of a table, as far as the backend can list it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableListing {
    /// Everything that is in the table, in no order; `strange` entries could not be read as prefixes (pf's negated ones).
    Complete {
        /// The prefixes, each once or more.
        entries: Vec<Prefix>,
        /// How many entries are none that Portcullis could have written; they are left alone.
        strange: usize,
    },
    /// The table exists but does not tell its content: it must not be taken for empty.
    Unlistable {
        /// Why, and what would help; a sentence for the operator.
        why: String,
    },
}

/// The limits of one command of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Changes in one [`Backend::apply`].
    pub entries: usize,
    /// Bytes of their text in one [`Backend::apply`], a separator counted for each.
    pub bytes: usize,
    /// Entries in one [`Backend::replace`]; 0 where there is no such command.
    pub replace: usize,
    /// Entries in one [`Backend::missing`]; 0 where the table cannot be asked for single entries.
    pub lookup: usize,
    /// The largest batch whose additions are followed by [`Backend::after_add`]; 0 for never.
    pub after_add: usize,
}

/// A firewall: few verbs, each of them a command or two, none of them remembering what the table should hold.
pub trait Backend: Send {
    /// The name that the operator writes.
    fn name(&self) -> &'static str;

    /// The programs that it runs: nobody else may be able to replace them.
    fn programs(&self) -> Vec<&Path> {
        Vec::new()
    }

    /// Looks whether everything is there, makes the table where that is the backend's business, and can be repeated.
    /// Gives what the operator should know, as sentences.
    ///
    /// # Errors
    /// An error where the firewall cannot be driven at present.
    fn prepare(&mut self) -> Result<Vec<String>, BackendError>;

    /// Does all changes; each prefix occurs once, the number is within [`Backend::limits`], and doing it again is harmless.
    ///
    /// # Errors
    /// An error where any of them may not have been done.
    fn apply(&mut self, changes: &[Change]) -> Result<(), BackendError>;

    /// Reads the table, which should hold this many entries: a table that is too large to be listed needs advice that
    /// leaves room for them. Never says "empty" of a table that only cannot be read.
    ///
    /// # Errors
    /// An error where the tool does not answer.
    fn list(&mut self, wanted: usize) -> Result<TableListing, BackendError>;

    /// Looks entries up, and gives those that are not in the table; called only within [`Limits::lookup`].
    ///
    /// An entry that only a narrower one hides may be taken for present, since no tool tells them apart; one inside a
    /// wider one may be, since it is blocked.
    ///
    /// # Errors
    /// An error where the tool does not answer, or the table does not exist.
    fn missing(&mut self, wanted: &[Prefix]) -> Result<Vec<Prefix>, BackendError> {
        Err(BackendError::Broken(format!("{} cannot look {} entries up", self.name(), wanted.len())))
    }

    /// Whether the table is as we left it, as far as a look can tell that costs next to nothing; `sure` should be in it.
    ///
    /// # Errors
    /// An error where the tool does not answer, or the table does not exist.
    fn glance(&mut self, _sure: &Prefix) -> Result<bool, BackendError> {
        Ok(true)
    }

    /// Makes the table hold exactly this, atomically; called only within [`Limits::replace`].
    ///
    /// # Errors
    /// An error where it may not have been done.
    fn replace(&mut self, all: &[Prefix]) -> Result<(), BackendError> {
        Err(BackendError::Broken(format!("{} cannot replace a table of {} entries", self.name(), all.len())))
    }

    /// The work after an addition, such as ending connections; the ban holds even where this fails.
    ///
    /// # Errors
    /// An error where it was not done.
    fn after_add(&mut self, _prefix: &Prefix) -> Result<(), BackendError> {
        Ok(())
    }

    /// How much it takes at a time.
    fn limits(&self) -> Limits;
}

/// Settings that no backend can work with; a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Unusable(pub String);

/// The backend that the settings name. Runs nothing yet.
///
/// # Errors
/// An error where a table name, anchor or command template cannot work with the backend.
pub fn open(settings: &FirewallSettings) -> Result<Box<dyn Backend>, Unusable> {
    match settings.backend {
        BackendKind::Pf => pf::open(settings),
        BackendKind::Ipfw => ipfw::open(settings),
        BackendKind::Nftables => nftables::open(settings),
        BackendKind::Command => command::open(settings),
        BackendKind::DryRun => dry_run::open(settings),
    }
}

/// Refuses a name for the reason that [`crate::names`] gave, if there is one.
fn check_name(name: &str, why: Option<&str>) -> Result<(), Unusable> {
    match why {
        None => Ok(()),
        Some(why) => {
            Err(Unusable(format!("the firewall cannot use the name `{}`: {why}", name.escape_default())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_says_the_name_by_which_the_operator_chose_it() {
        for (name, backend) in BackendKind::ALL {
            let mut settings = FirewallSettings { backend, ..FirewallSettings::default() };
            settings.command.add = vec!["/bin/echo".to_owned()];
            settings.command.remove = vec!["/bin/echo".to_owned()];
            assert_eq!(open(&settings).expect(name).name(), name);
        }
    }

    #[test]
    fn a_table_name_can_never_become_an_option_or_a_second_command() {
        let named = BackendKind::ALL.into_iter().filter(|(_, backend)| *backend != BackendKind::Command);
        for (name, backend) in named {
            for table in ["", "-F", "a b", "a;b", "a}", "a\nb", "$(id)", "all?", "ü", &"x".repeat(64)] {
                let settings =
                    FirewallSettings { backend, table: table.to_owned(), ..FirewallSettings::default() };
                assert!(open(&settings).is_err(), "{name}: {table:?}");
            }
        }
    }

    #[test]
    fn an_anchor_can_never_become_an_option_or_a_wildcard() {
        for anchor in ["", "/x", "x/", "-f", "a b", "x/*", "x\n"] {
            let backend = BackendKind::Pf;
            let settings =
                FirewallSettings { backend, anchor: Some(anchor.to_owned()), ..FirewallSettings::default() };
            assert!(open(&settings).is_err(), "{anchor:?}");
        }
    }
}
