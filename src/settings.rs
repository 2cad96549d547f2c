//! Settings that the configuration reads and a part of the shell follows, since the two do not know each other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What stands for the path of a source that is the systemd journal.
pub const JOURNAL: &str = "journal";

/// A socket at which servers report their connections, as to blocklistd(8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlocklistSettings {
    /// A short name of the source: `ssh`.
    pub name: String,
    /// The absolute path of the socket.
    pub socket: PathBuf,
    /// The local ports about which reports are taken, each with the rule set that weighs them.
    pub services: Vec<(u16, String)>,
    /// A group whose members may send reports too; otherwise only root can.
    pub group: Option<String>,
    /// Users, besides root, whose reports are taken: names or numbers.
    pub senders: Vec<String>,
    /// Users among root and these whose word is taken for the addresses of UDP peers.
    pub udp_senders: Vec<String>,
}

impl BlocklistSettings {
    /// The rule set that weighs reports about a local port.
    pub fn set_of(&self, port: u16) -> Option<&str> {
        self.services.iter().find(|(known, _)| *known == port).map(|(_, set)| set.as_str())
    }

    /// Whether one of the services belongs to a rule set.
    pub fn feeds(&self, set: &str) -> bool {
        self.services.iter().any(|(_, known)| known == set)
    }
}

/// The firewall's table and who drives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallSettings {
    /// The tool that changes the table.
    pub backend: BackendKind,
    /// The name (ipfw: or number) of the table.
    pub table: String,
    /// pf only: the anchor that holds the table; `None` for the main rule set.
    pub anchor: Option<String>,
    /// pf only: whether the open connections of a newly added prefix are ended.
    pub kill_states: bool,
    /// How entries are treated that somebody else put into the table.
    pub foreign: Foreign,
    /// How often the table is compared with the bans.
    pub converge: Duration,
    /// How long one run of a tool may take before it is killed.
    pub timeout: Duration,
    /// The paths of the tools.
    pub tools: Tools,
    /// The programs of [`BackendKind::Command`]; empty for the other backends.
    pub command: CommandTemplates,
}

impl Default for FirewallSettings {
    /// A dry run. The table has the name that the samples of pf.conf and ipfw rules use. If somebody flushes it, it is full
    /// again after a minute, and a comparison costs one command. A batch takes a tool well under a second: one that has not
    /// ended after ten hangs.
    fn default() -> Self {
        Self {
            backend: BackendKind::DryRun,
            table: "portcullis".to_owned(),
            anchor: None,
            kill_states: true,
            foreign: Foreign::Adopt,
            converge: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            tools: Tools::default(),
            command: CommandTemplates::default(),
        }
    }
}

/// The tool that changes the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackendKind {
    /// pf of FreeBSD and OpenBSD, driven through pfctl(8).
    Pf,
    /// FreeBSD's ipfw, driven through ipfw(8).
    Ipfw,
    /// A table of its own in Linux' nftables, driven through nft(8).
    Nftables,
    /// The operator's own programs.
    Command,
    /// None: what would be done is printed.
    #[default]
    DryRun,
}

impl BackendKind {
    /// Every backend, with its name in the configuration and in JSON.
    pub const ALL: [(&'static str, Self); 5] = [
        ("pf", Self::Pf),
        ("ipfw", Self::Ipfw),
        ("nftables", Self::Nftables),
        ("command", Self::Command),
        ("dry-run", Self::DryRun),
    ];

    /// The name in the configuration and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pf => "pf",
            Self::Ipfw => "ipfw",
            Self::Nftables => "nftables",
            Self::Command => "command",
            Self::DryRun => "dry-run",
        }
    }
}

/// How entries of the table are treated that somebody else put there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Foreign {
    /// They are reported and become bans of ours.
    #[default]
    Adopt,
    /// They stay and are not touched.
    Keep,
    /// They are removed.
    Remove,
}

/// The operator's own programs, as argument vectors that start with an absolute path; no shell reads them.
///
/// `{prefix}` in an argument of `add` or `remove` is replaced, one run for each prefix; without it, the program runs
/// once for a batch and reads prefixes from standard input, one a line. Doing a thing twice must succeed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandTemplates {
    /// The command that adds prefixes.
    pub add: Vec<String>,
    /// The command that removes prefixes.
    pub remove: Vec<String>,
    /// The command that prints all prefixes, one per line; empty where that is impossible: then everything is added again instead.
    pub list: Vec<String>,
    /// The command that reads all prefixes from standard input and makes the table hold exactly them; empty for none.
    pub replace: Vec<String>,
}

/// The paths of the firewalls' own tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// Path of pfctl(8).
    pub pfctl: PathBuf,
    /// Path of ipfw(8).
    pub ipfw: PathBuf,
    /// nft(8); the first that exists is taken.
    pub nft: Vec<PathBuf>,
    /// sysctl(8), used for reading only.
    pub sysctl: PathBuf,
}

impl Tools {
    /// The operator's own pfctl, ipfw or nft: whichever the backend runs is at this path.
    pub fn at(path: &Path) -> Self {
        Self { pfctl: path.into(), ipfw: path.into(), nft: vec![path.into()], ..Self::default() }
    }
}

impl Default for Tools {
    /// The paths at which the systems install them.
    fn default() -> Self {
        Self {
            pfctl: "/sbin/pfctl".into(),
            ipfw: "/sbin/ipfw".into(),
            nft: ["/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft"].map(PathBuf::from).into(),
            sysctl: "/sbin/sysctl".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_is_listed_under_its_own_name() {
        for (name, kind) in BackendKind::ALL {
            assert_eq!(kind.as_str(), name);
        }
    }
}
