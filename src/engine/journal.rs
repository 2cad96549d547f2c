//! What the engine remembers, as rows that a database can keep.

use std::collections::HashSet;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::bans::{Ban, History};
use super::session::SessionKey;
use crate::address::Prefix;
use crate::time::Time;

/// The offences of one offender in one rule set: when, and how many tenths. Most offenders of a flood have one.
pub type Offences = SmallVec<[(Time, u32); 1]>;

/// One thing to keep, or to drop where its value is empty. Small, since a flood makes a hundred thousand at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A ban was made or changed.
    Ban(Box<Ban>),
    /// A ban is over.
    BanEnded {
        /// On whom it was.
        offender: Prefix,
        /// Since when it is over.
        at: Time,
    },
    /// Earlier bans of an offender; `None` when they are forgotten.
    History {
        /// The offender.
        offender: Prefix,
        /// How many, and when the last one ended.
        history: Option<History>,
    },
    /// The window of an offender in a rule set; empty when it is over.
    Window {
        /// The rule set.
        set: Arc<str>,
        /// The offender.
        offender: Prefix,
        /// What the window holds.
        seen: Offences,
    },
    /// The last login from an offender's prefix; `None` when it is forgotten.
    Trust {
        /// The prefix.
        offender: Prefix,
        /// When.
        seen: Option<Time>,
    },
    /// An operator's unban, by which older lines do not count; `None` when it is forgotten.
    Unban {
        /// Whom it freed.
        prefix: Prefix,
        /// When.
        at: Option<Time>,
    },
    /// A connection in progress; `None` when it is over.
    Session {
        /// Which.
        key: SessionKey,
        /// What is known of it.
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
    /// Milliseconds since the epoch of its first line.
    pub started: i64,
    /// Of its last line.
    pub last: i64,
    /// Of the line that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<i64>,
    /// The peer, once a line named it.
    pub peer: Option<IpAddr>,
    /// Whether the process serves several peers, so that this is no connection of one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_shared: bool,
    /// The peer before a silence that may have been no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<IpAddr>,
    /// Whether a silence is no end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_open_ended: bool,
    /// Rule, as in `sshd/failed-password`, and tenths.
    pub counts: Vec<(Arc<str>, u32)>,
    /// Rule set, tenths that were counted for the peer.
    pub counted: Vec<(Arc<str>, u32)>,
}

/// What changed since the rows were last taken; nothing, where nobody ever takes them.
#[derive(Debug)]
pub(super) struct Changed<K> {
    keys: HashSet<K, RandomState>,
    is_kept: bool,
}

impl<K: Eq + Hash> Changed<K> {
    pub(super) fn insert(&mut self, key: K) {
        if self.is_kept {
            self.keys.insert(key);
        }
    }

    /// Whether it was noted.
    pub(super) fn remove(&mut self, key: &K) -> bool {
        self.keys.remove(key)
    }

    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = K> + use<K> {
        // Taken, not drained: a set keeps the memory that a flood gave it.
        std::mem::take(&mut self.keys).into_iter()
    }

    pub(super) fn keep_none(&mut self) {
        *self = Self { keys: HashSet::default(), is_kept: false };
    }
}

impl<K> Default for Changed<K> {
    fn default() -> Self {
        Self { keys: HashSet::default(), is_kept: true }
    }
}
