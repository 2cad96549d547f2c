//! The engine's memory as rows for a database.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::ban::{Ban, History};
use super::session_key::SessionKey;
use crate::address::Prefix;
use crate::time::Time;

/// The offences of one offender in one rule set: their times and weights in tenths. Most offenders of a flood have one.
pub type Offences = SmallVec<[(Time, u32); 1]>;

/// One change to store; an empty value means that the row is deleted. Kept small, since a flood makes a hundred thousand
/// of them at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A ban was made or changed.
    Ban(Box<Ban>),
    /// A ban ended.
    BanEnded {
        /// The prefix that was banned.
        offender: Prefix,
        /// The time at which the ban ended.
        at: Time,
    },
    /// Earlier bans of an offender; `None` once they are forgotten.
    History {
        /// The prefix that was banned.
        offender: Prefix,
        /// The number of its bans, and when the last one ended.
        history: Option<History>,
    },
    /// The window of an offender in a rule set; empty once nothing in it counts any more.
    Window {
        /// The name of the rule set, or of its counter for forgeable lines.
        set: Arc<str>,
        /// The prefix that is counted.
        offender: Prefix,
        /// The offences that still count.
        seen: Offences,
    },
    /// The last login from an offender's prefix; `None` once it is forgotten.
    Trust {
        /// The prefix of the address that logged in.
        offender: Prefix,
        /// The time of the last login.
        seen: Option<Time>,
    },
    /// An operator's unban, before which no line counts; `None` once it is forgotten.
    Unban {
        /// The prefix that was unbanned.
        prefix: Prefix,
        /// The time of the unban.
        at: Option<Time>,
    },
    /// A connection in progress; `None` once it is over.
    Session {
        /// Identifies the connection.
        key: SessionKey,
        /// Its counts and its peer.
        state: Option<Box<SessionState>>,
    },
}

impl From<Ban> for Row {
    fn from(ban: Ban) -> Self {
        Self::Ban(Box::new(ban))
    }
}

/// A connection in progress, with rule sets by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    /// Time of its first line, in milliseconds since the epoch.
    pub started: i64,
    /// Time of its last line, in milliseconds since the epoch.
    pub last: i64,
    /// Time of the line that ended it, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<i64>,
    /// The peer, once a line named it.
    pub peer: Option<IpAddr>,
    /// Whether the process serves several peers, so that no peer can be attributed to its lines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_shared: bool,
    /// The peer before an idle time after which the connection may still have been open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<IpAddr>,
    /// Whether the connection may outlive any idle time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_open_ended: bool,
    /// Tenths of an offence by full rule name, as in `sshd/failed-password`.
    pub counts: Vec<(Arc<str>, u32)>,
    /// Tenths of an offence that were counted for the peer, by rule set.
    pub counted: Vec<(Arc<str>, u32)>,
}
