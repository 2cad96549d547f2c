//! What the two processes say to each other. The arm answers calls of the brain: a call holds numbers and prefixes, and
//! never a path or an argument of a program. Answers may hold texts, since the arm is believed.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::journal::JournalPlace;
use crate::address::Prefix;
use crate::config::{Allow, Control, LogSettings, Recording};
use crate::firewall::{BackendError, Change, TableListing};
use crate::follow::{FileKey, NoLog, Source};
use crate::settings::{BlocklistSettings, FirewallSettings};

/// All that the arm has to know of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArmSettings {
    pub(crate) sources: Vec<Source>,
    pub(crate) firewall: FirewallSettings,
    pub(crate) blocklists: Vec<BlocklistSettings>,
    /// The networks that are never banned, those of the allow files included.
    pub(crate) allow: Allow,
    /// The most additions to the table in a minute.
    pub(crate) max_additions: u32,
    /// The configured path of the database; the table's file lies beside it.
    pub(crate) state: PathBuf,
    pub(crate) control: Control,
    pub(crate) log: LogSettings,
}

/// The first frame of the arm to the brain. Beside it lie the channels for files, calls, firewall, reports and
/// their counts, and the listening control socket where the daemon is to run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) recording: Recording,
    pub(crate) sources: Vec<Source>,
    pub(crate) files: Vec<NumberedFile>,
    pub(crate) own_addresses: Vec<Prefix>,
}

/// What the arm tells the brain without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ArmNotice {
    /// SIGHUP: the configuration is to be read again.
    Reload,
    /// SIGTERM or SIGINT: the end.
    Stop,
    /// A watched file changed.
    FileChanged,
}

/// A file by its number; the arm gives the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct FileNumber(pub(crate) u32);

/// A path that the brain may ask for, and its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NumberedFile {
    pub(crate) number: FileNumber,
    pub(crate) path: PathBuf,
}

/// A call about a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileCall {
    pub(crate) action: FileAction,
    pub(crate) file: FileNumber,
}

/// What is wanted of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FileAction {
    /// To know what is at its path; a regular file comes as a descriptor.
    Look,
    /// A descriptor for reading, of a regular file or a FIFO.
    Open,
    /// The files that match, where it is a pattern.
    Expand,
    /// Of a pattern, the logs that are gone and left rotated files behind.
    Gone,
    /// The rotated files.
    Rotations,
    /// The path without symbolic links.
    Target,
    /// To be told when it changes.
    Watch,
    /// To be told no more.
    Unwatch,
    /// Where it is the systemd journal, a journalctl that follows it from here on; its output and its errors come as
    /// descriptors.
    Journal(JournalPlace),
    /// To know why that journalctl ended.
    EndOfJournal,
}

/// The answer about a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FileAnswer {
    /// A descriptor lies beside the answer.
    Open,
    /// It is no log file; device and inode.
    NoLog(NoLog, FileKey),
    /// The system's error, by its number.
    Error(i32),
    /// It is refused, for this reason, as the end of a sentence that begins with its path.
    Refused(String),
    /// Paths, and sentences about directories in which some may be missing.
    Files(Vec<NumberedFile>, Vec<String>),
    /// Why journalctl ended.
    Ended(String),
    /// Whether it is watched.
    Watched(bool),
    /// The arm knows no such number any more.
    Unknown,
}

impl FileAnswer {
    pub(crate) fn of_error(error: &io::Error) -> Self {
        error.raw_os_error().map_or_else(|| Self::Refused(error.to_string()), Self::Error)
    }
}

/// A call for the firewall's tool, as [`crate::firewall::Backend`] has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FirewallCall {
    Prepare,
    Apply(Vec<Change>),
    List(u64),
    Missing(Vec<Prefix>),
    Glance(Prefix),
    Replace(Vec<Prefix>),
    AfterAdd(Prefix),
}

/// The answer of the firewall's tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FirewallAnswer {
    Done,
    Notes(Vec<String>),
    Listed(TableListing),
    Missing(Vec<Prefix>),
    IsThere(bool),
    Failed(BackendError),
}

/// Any other call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ArmCall {
    /// Read the configuration again.
    Load,
    /// Take what was read last into force.
    Adopt,
    /// This machine's addresses, gateways and resolvers.
    OwnAddresses,
    /// Write the table's file.
    SaveTable(Vec<Prefix>),
    /// Remove the control socket: the daemon ends.
    StopListening,
}

/// The answer to an [`ArmCall`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ArmAnswer {
    /// The configuration as it was read, or why it could not be.
    Loaded(Result<Recording, String>),
    /// It is in force, without some sources of reports, and why. A new channel for the firewall lies beside the answer.
    Adopted { sources: Vec<Source>, files: Vec<NumberedFile>, missing: Vec<String> },
    /// This machine's addresses.
    OwnAddresses(Vec<Prefix>),
    /// The table's file is written, or why not.
    Saved(Result<(), String>),
    /// Done.
    Done,
    /// It cannot be done.
    Failed(String),
}
