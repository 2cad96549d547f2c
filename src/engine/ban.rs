//! A ban, who wants it, and how often its offender was banned before.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::address::Prefix;
use crate::time::Time;

/// One ban. An offender has one record, however many owners want it banned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// The prefix that is banned.
    pub offender: Prefix,
    /// Who wants it banned, each until when; never empty.
    pub owners: SmallVec<[Owner; 1]>,
    /// The beginning of the ban.
    pub since: Time,
    /// The latest end of all owners; `None` for a permanent ban.
    pub until: Option<Time>,
    /// How many bans this offender has had, this one included.
    pub nth: u32,
    /// Shown to people: the rule's full name, or the operator's words.
    pub reason: Arc<str>,
    /// The origin of the ban: a rule, an operator or another program.
    pub origin: Origin,
    /// Whether an operator insisted on it (`--force`) although it holds an allowed address.
    pub forced: bool,
    /// Whether its evidence can be forged.
    pub spoofable: bool,
}

impl Ban {
    /// Whether it rests on offences whose evidence cannot be forged: only such bans make later ones longer.
    pub(super) fn is_earned(&self) -> bool {
        !self.spoofable && self.owners.iter().any(|owner| !owner.set.is_empty())
    }
}

/// A rule set or operator that wants an offender banned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The name of the rule set; empty for an operator and for an entry found in the table.
    pub set: Arc<str>,
    /// The end of the ban as far as this owner is concerned; `None` for a permanent one.
    pub until: Option<Time>,
}

/// What created a ban; on the control socket and in JSON `rule`, `manual` or `foreign`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Offences against a rule set.
    Rule,
    /// An operator's `ban` command.
    Manual,
    /// Another program's entry in the firewall table.
    Foreign,
}

/// Earlier bans of an offender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Their number.
    pub bans: u32,
    /// When the last one ended or was to end.
    pub last_end: Time,
}
