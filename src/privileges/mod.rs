//! Two processes: one with root's rights that reads nothing of strangers, and one that reads all of it and has no rights.
//!
//! ```text
//!                 arm (root)                                     brain (_portcullis)
//!  loader ──>  settings, no YAML                        the recorded answers ──> Setup
//!              files     ── logs by number, descriptors ──>  opener    ──> follow
//!              firewall  <── prefixes, answers ───────────   backend   <── firewall's worker
//!              reports   ── of servers, as to blocklistd ──>  reports
//!              calls     <── reload, own addresses, table's file
//!              notices   ── SIGHUP, SIGTERM, a file changed ──>  events
//!              messages  <── a line each on standard error
//! ```
//!
//! Either side's death ends both: the arm waits for the brain, and the brain for the end of its notices. Bans stay.
//!
//! | file | is |
//! | --- | --- |
//! | `OwnPrivileges` | one process that does all by itself |
//! | `arm` | the process with rights; `arm/guard` says what it refuses to do |
//! | `brain` | the remote ends of the other one, and its confinement |
//! | `channel`, `message`, `journal` | frames between the two, and what is in them |
//! | `loader` | reads the configuration in a process of its own |
//! | `reports` | the sockets at which servers report |
//! | `account`, `state` | whom the brain runs as, and where its database lies |

mod account;
mod arm;
mod brain;
mod channel;
mod journal;
mod loader;
mod message;
mod reports;
mod state;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::loader::SeparateConfig;
use self::reports::ReportReceivers;
use crate::address::Prefix;
use crate::config::{Allow, ThisMachine};
use crate::firewall::{self, Backend, TableFile, Unusable, save_table};
use crate::follow::{Opener, Source, ThisProcess};
use crate::settings::{BlocklistSettings, FirewallSettings};
use crate::setup::{Refused, Setup, local_addresses};

pub use arm::{ArmError, Elsewhere};
pub(crate) use arm::{BRAIN_COMMAND, run as run_arm, run_command};
pub use brain::confine;
pub(crate) use brain::{ArmSays, Brain};
pub use channel::decode;
pub(crate) use loader::{COMMAND as LOADER_COMMAND, main as run_loader};
pub use reports::ReportsRefused;
pub(crate) use reports::{Deliver, ReportCount, ReportIntake};
pub(crate) use state::take_back;

/// Reads the configuration in a process of its own; `None` where it has errors, or wants one process.
///
/// # Errors
/// A sentence where that process cannot be run.
pub(crate) fn load(file: Option<&Path>) -> Result<Option<SeparateConfig>, String> {
    let loaded = loader::load(file)?;
    Ok((loaded.is_separate && loaded.settings.is_some()).then_some(loaded))
}

/// What needs rights that a process without them does not have.
pub(crate) trait Privileges: Send + Sync {
    /// Reads the configuration; `in_force` are the operator's own rule sets before a reload.
    ///
    /// # Errors
    /// All errors of all files, if there is one.
    fn load(&self, in_force: &[String]) -> Result<Setup, Refused>;

    /// A configuration that was read is in force from now on.
    ///
    /// # Errors
    /// A sentence where it cannot be.
    fn adopt(&self) -> Result<(), String>;

    /// The sources to follow.
    fn sources(&self, setup: &Setup) -> Vec<Source>;

    /// Whether the sources are logs that were named on the command line.
    fn follows_arguments(&self) -> bool {
        false
    }

    /// The way to the logs.
    fn opener(&self) -> Arc<dyn Opener>;

    /// The backend that the settings in force name.
    ///
    /// # Errors
    /// An error where they cannot work.
    fn backend(&self, settings: &FirewallSettings) -> Result<Box<dyn Backend>, Unusable>;

    /// This machine's addresses, gateways and resolvers, as the configuration wants them to be allowed.
    fn own_addresses(&self, allow: &Allow) -> Vec<Prefix>;

    /// Writes the table's file into the directory that it has.
    ///
    /// # Errors
    /// An error with the name of the file.
    fn save_table(&self, directory: &Path, format: Option<&TableFile>, prefixes: &[Prefix])
    -> io::Result<()>;

    /// Receives the reports of servers at the sockets of these sources.
    ///
    /// # Errors
    /// When one cannot be had.
    fn receive_reports(
        &self,
        sources: &[BlocklistSettings],
        deliver: Deliver,
    ) -> Result<Box<dyn ReportIntake>, ReportsRefused>;

    /// Removes the control socket where another process has bound it.
    fn stop_listening(&self) {}

    /// Whether another process does all this.
    fn is_separate(&self) -> bool;
}

/// This process does all by itself, with the rights that it has.
#[derive(Clone, Debug)]
pub(crate) struct OwnPrivileges {
    pub(crate) file: Option<PathBuf>,
    pub(crate) dry_run: bool,
    /// Logs that are followed in place of the configured sources.
    pub(crate) files: Vec<PathBuf>,
}

impl OwnPrivileges {
    /// For a command that works where no daemon runs.
    pub(crate) fn of_root(file: Option<&Path>) -> Self {
        Self { file: file.map(Path::to_owned), dry_run: false, files: Vec::new() }
    }
}

impl Privileges for OwnPrivileges {
    fn load(&self, in_force: &[String]) -> Result<Setup, Refused> {
        Setup::load_to_run(&ThisMachine, self.file.as_deref(), self.dry_run, in_force)
    }

    fn adopt(&self) -> Result<(), String> {
        Ok(())
    }

    fn sources(&self, setup: &Setup) -> Vec<Source> {
        setup.followed(&self.files)
    }

    fn follows_arguments(&self) -> bool {
        !self.files.is_empty()
    }

    fn opener(&self) -> Arc<dyn Opener> {
        Arc::new(ThisProcess)
    }

    fn backend(&self, settings: &FirewallSettings) -> Result<Box<dyn Backend>, Unusable> {
        firewall::open(settings)
    }

    fn own_addresses(&self, allow: &Allow) -> Vec<Prefix> {
        // A log to try things out on may be another machine's.
        if self.dry_run { Vec::new() } else { local_addresses::prefixes(allow) }
    }

    fn save_table(
        &self,
        directory: &Path,
        format: Option<&TableFile>,
        prefixes: &[Prefix],
    ) -> io::Result<()> {
        save_table(directory, format, prefixes)
    }

    fn receive_reports(
        &self,
        sources: &[BlocklistSettings],
        deliver: Deliver,
    ) -> Result<Box<dyn ReportIntake>, ReportsRefused> {
        Ok(Box::new(ReportReceivers::start(reports::bind(sources)?, deliver)?))
    }

    fn is_separate(&self) -> bool {
        false
    }
}
