//! What can be asked of the daemon.

use serde::{Deserialize, Serialize};

use super::text;
use crate::address::Prefix;

/// A request: one of the commands of `portcullis` that speak to the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Is anybody there?
    Ping,
    /// Sources, rule sets, counters, and whether the firewall is in step.
    Status,
    /// The active bans.
    Bans,
    /// The history of an address, with the lines that led to its bans.
    Why {
        /// An address, or an offender as `bans` lists it (`2001:db8::/64`).
        #[serde(with = "text::prefix")]
        address: Prefix,
    },
    /// Ban by hand.
    Ban {
        /// The prefixes to ban.
        #[serde(with = "text::prefixes")]
        prefixes: Vec<Prefix>,
        /// The length of the ban.
        length: Length,
        /// What the operator said; may be empty. One line of at most 200 bytes, without control characters.
        #[serde(deserialize_with = "text::reason")]
        reason: String,
        /// Also prefixes that hold an allowed address.
        force: bool,
    },
    /// Free and forget the counters.
    Unban(Unban),
    /// Read the configuration and the rules again; on any error the running set stays.
    Reload,
}

/// How long a ban by hand lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Length {
    /// As the daemon's configuration says.
    Default,
    /// This long.
    For {
        /// Milliseconds.
        ms: u64,
    },
    /// Until an operator unbans the prefix.
    Forever,
}

/// The prefixes whose bans are to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Unban {
    /// Everybody.
    All,
    /// Every ban inside one of these, and the ban around an address.
    Prefixes(#[serde(with = "text::prefixes")] Vec<Prefix>),
}

impl Unban {
    /// The prefixes that are meant; everybody is the two widest.
    pub fn prefixes(&self) -> Vec<Prefix> {
        match self {
            Self::All => ["0.0.0.0/0", "::/0"].iter().filter_map(|all| all.parse().ok()).collect(),
            Self::Prefixes(prefixes) => prefixes.clone(),
        }
    }
}

impl Request {
    /// Whether it changes anything: then only root and the owner of the daemon may ask it.
    pub fn changes(&self) -> bool {
        match self {
            Self::Ping | Self::Status | Self::Bans | Self::Why { .. } => false,
            Self::Ban { .. } | Self::Unban(_) | Self::Reload => true,
        }
    }
}
