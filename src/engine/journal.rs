//! What the engine remembers, as rows that a database can keep.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use super::bans::{Ban, History};
use super::session::SessionKey;
use crate::address::Prefix;
use crate::time::Time;

/// One thing to keep, or to drop where its value is empty.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A ban was made or changed.
    Ban(Ban),
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
        set: String,
        /// The offender.
        offender: Prefix,
        /// When, and how many tenths of an offence.
        seen: Vec<(Time, u32)>,
    },
    /// The last login from an offender's prefix; `None` when it is forgotten.
    Trust {
        /// The prefix.
        offender: Prefix,
        /// When.
        seen: Option<Time>,
    },
    /// A connection in progress; `None` when it is over.
    Session {
        /// Which.
        key: SessionKey,
        /// What is known of it.
        state: Option<SessionState>,
    },
}

/// A connection in progress, with rule sets by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    /// Milliseconds since the epoch of its first line.
    pub started: i64,
    /// Of its last line.
    pub last: i64,
    /// The peer, once a line named it.
    pub peer: Option<IpAddr>,
    /// Rule set, rule, tenths.
    pub counts: Vec<(String, u16, u32)>,
    /// Rule set, tenths that were counted for the peer.
    pub counted: Vec<(String, u32)>,
}

/// What changed since the rows were last taken; nothing, where nobody ever takes them.
#[derive(Debug)]
pub(super) struct Changed<K> {
    /// True for what came up since the rows were last taken: no row tells of it yet.
    keys: HashMap<K, bool, RandomState>,
    is_kept: bool,
}

impl<K: Eq + Hash> Changed<K> {
    pub(super) fn insert(&mut self, key: K) {
        if self.is_kept {
            self.keys.entry(key).or_insert(false);
        }
    }

    /// Notes something that was not known before.
    pub(super) fn insert_new(&mut self, key: K) {
        if self.is_kept {
            self.keys.entry(key).or_insert(true);
        }
    }

    /// Notes that something had to make room. What came and went between two writes leaves no trace, so that a flood
    /// cannot make this grow while a disk is slow.
    pub(super) fn insert_evicted(&mut self, key: K) {
        if self.keys.get(&key) == Some(&true) {
            self.keys.remove(&key);
        } else {
            self.insert(key);
        }
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.keys.remove(key);
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = K> + '_ {
        self.keys.drain().map(|(key, _)| key)
    }

    pub(super) fn keep_none(&mut self) {
        *self = Self { keys: HashMap::default(), is_kept: false };
    }
}

impl<K> Default for Changed<K> {
    fn default() -> Self {
        Self { keys: HashMap::default(), is_kept: true }
    }
}
