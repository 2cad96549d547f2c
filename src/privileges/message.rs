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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::privileges::channel::decode;

    fn round_trip<T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
        let bytes = postcard::to_stdvec(value).unwrap();
        assert_eq!(decode::<T>(&bytes).unwrap(), *value);
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(decode::<T>(&longer).is_err(), "bytes behind it");
    }

    #[test]
    fn calls_come_through_as_they_were_sent() {
        let prefixes = ["192.0.2.7/32", "2001:db8::/64"].map(|prefix| prefix.parse().unwrap()).to_vec();
        let changes = vec![Change::Add(prefixes[0]), Change::Remove(prefixes[1])];
        for call in [
            FirewallCall::Prepare,
            FirewallCall::Apply(changes),
            FirewallCall::List(7),
            FirewallCall::Missing(prefixes.clone()),
            FirewallCall::Glance(prefixes[1]),
            FirewallCall::Replace(Vec::new()),
            FirewallCall::AfterAdd(prefixes[0]),
        ] {
            round_trip(&call);
        }
        round_trip(&ArmCall::SaveTable(prefixes));
        let place = JournalPlace::Since(-1);
        round_trip(&FileCall { action: FileAction::Journal(place), file: FileNumber(u32::MAX) });
    }

    proptest! {
        /// A brain that was taken over sends what it likes.
        #[test]
        fn whatever_bytes_come_they_are_a_call_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<FirewallCall>(&bytes);
            let _ = decode::<FileCall>(&bytes);
            let _ = decode::<ArmCall>(&bytes);
        }

        /// A prefix of more bits than its family has is none: the tool would be given nonsense.
        #[test]
        fn no_prefix_is_longer_than_its_address(family in 0_u8..4, bits in any::<u8>(), address in any::<[u8; 16]>()) {
            let address = if family == 0 { &address[..4] } else { &address[..] };
            let bytes = [&[4_u8, family][..], address, &[bits]].concat();
            if let Ok(FirewallCall::Glance(prefix)) = decode::<FirewallCall>(&bytes) {
                prop_assert!(prefix.prefix_len() <= prefix.max_prefix_len());
            }
        }
    }
}
