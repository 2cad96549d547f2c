//! Requests to the daemon.

use serde::{Deserialize, Serialize};

use super::text;
use crate::address::Prefix;

/// A request: one of the commands of `portcullis` that speak to the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Answered with `pong`: the daemon runs.
    Ping,
    /// Asks for sources, rule sets, counters, and whether the firewall is in step.
    Status,
    /// Asks for the active bans.
    Bans,
    /// Asks for the history of an address, with the lines that led to its bans.
    Why {
        /// An address, or an offender as `bans` lists it (`2001:db8::/64`).
        #[serde(with = "text::prefix")]
        address: Prefix,
    },
    /// Bans prefixes by hand.
    Ban {
        /// The prefixes to ban.
        #[serde(with = "text::prefixes")]
        prefixes: Vec<Prefix>,
        /// The length of the ban.
        length: Length,
        /// The operator's reason, which may be empty: one line of at most 200 bytes, without control characters.
        #[serde(deserialize_with = "text::reason")]
        reason: String,
        /// Whether to ban prefixes that contain an allowed address, too.
        force: bool,
    },
    /// Ends bans and forgets the counters.
    Unban(Unban),
    /// Reads the configuration and the rules again; on any error the running ones stay in force.
    Reload,
}

/// How long a ban by hand lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Length {
    /// The default length of the daemon's configuration.
    Default,
    /// A given length.
    For {
        /// The length in milliseconds.
        ms: u64,
    },
    /// Until an operator unbans the prefix.
    Forever,
}

/// The prefixes whose bans are to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Unban {
    /// All bans.
    All,
    /// Every ban inside one of these prefixes, and the wider bans that contain one of them.
    Prefixes(#[serde(with = "text::prefixes")] Vec<Prefix>),
}

impl Unban {
    /// The prefixes as a list: for all bans, the two prefixes that contain every address.
    pub fn prefixes(&self) -> Vec<Prefix> {
        match self {
            Self::All => ["0.0.0.0/0", "::/0"].iter().filter_map(|all| all.parse().ok()).collect(),
            Self::Prefixes(prefixes) => prefixes.clone(),
        }
    }
}

impl Request {
    /// Whether it changes anything. Such requests are reserved for root and the daemon's user.
    pub fn changes(&self) -> bool {
        match self {
            Self::Ping | Self::Status | Self::Bans | Self::Why { .. } => false,
            Self::Ban { .. } | Self::Unban(_) | Self::Reload => true,
        }
    }
}
