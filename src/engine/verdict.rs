//! The result of judging a sighting.

use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

use super::spoof::Flood;
use crate::address::Prefix;
use crate::time::Time;

/// A verdict and the peer that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The peer, also where it may not be banned; `None` where it is unknown, or not looked up because nothing counts.
    pub peer: Option<IpAddr>,
    /// The prefix that is counted; `None` where the sighting is counted for no offender.
    pub offender: Option<Prefix>,
    /// How much the sighting adds, in tenths of an offence: more than the weight of its rule where earlier lines of the
    /// session had been waiting for an address.
    pub tenths: u32,
    /// The decision.
    pub verdict: Verdict,
}

impl From<Verdict> for Judgement {
    /// A verdict about no particular peer.
    fn from(verdict: Verdict) -> Self {
        Self { peer: None, offender: None, tenths: 0, verdict }
    }
}

/// The decision on a sighting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has no effect, for the given reason.
    Ignored(Why),
    /// It was counted, and the threshold is not reached yet.
    Counted {
        /// The content of the window that is nearest to its threshold, in tenths of an offence.
        tenths: u32,
        /// The threshold of that window, in tenths of an offence.
        threshold: u32,
        /// Whether that threshold was raised because of a remembered login.
        trusted: bool,
    },
    /// The offender is banned from now on.
    Banned {
        /// The prefix that is banned: the one that is counted, or the widest part of it around the peer that holds no
        /// allowed address.
        banned: Prefix,
        /// The content of the window that reached its threshold, in tenths of an offence.
        tenths: u32,
        /// The length of that window.
        within: Duration,
        /// When the ban began: earlier than now where another rule set had banned the offender before.
        since: Time,
        /// When the ban ends; `None` for a permanent one.
        until: Option<Time>,
        /// How many bans this offender has had, this one included.
        nth: u32,
    },
    /// Somebody logged in from the address: its threshold is raised for a while.
    Trusted {
        /// The address.
        peer: IpAddr,
        /// The offences in tenths, where one more would have been a ban; 0 otherwise.
        failures: u32,
    },
}

/// Why a sighting has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// The rule only explains the line.
    #[error("harmless by itself")]
    Harmless,
    /// Neither the line nor its session names a peer.
    #[error("no address in the line or its session")]
    NoAddress,
    /// It was written before it was read and has no timestamp.
    #[error("it has no timestamp")]
    NoTime,
    /// Another line of the same attempt was counted.
    #[error("the same attempt was counted already")]
    SameAttempt,
    /// The same line was read from another file.
    #[error("the same line was read from another file")]
    SeenElsewhere,
    /// The address is on the allow list.
    #[error("on the allow list")]
    Allowed,
    /// Loopback, unspecified, multicast and link-local addresses; the text names the class.
    #[error("{0} addresses are never banned")]
    Unbannable(&'static str),
    /// Somebody logged in from it recently, and the evidence can be forged.
    #[error("it logged in recently and this evidence can be forged")]
    Trusted,
    /// It was unbanned after the line was written.
    #[error("it was unbanned after this was written")]
    Unbanned,
    /// The same rule set banned it already.
    #[error("already banned")]
    AlreadyBanned {
        /// When that ban ends; `None` for a permanent one.
        until: Option<Time>,
    },
    /// The cap on bans whose evidence can be forged was reached.
    #[error("{0}")]
    Flood(Flood),
}

/// Why a prefix cannot be banned manually.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BanRefusal {
    /// It overlaps the allow list.
    #[error("it is, or holds, an address of the allow list")]
    Allowed,
    /// It holds loopback, unspecified, multicast or link-local addresses; the text names the class.
    #[error("it holds {0} addresses, which are never banned")]
    Unbannable(&'static str),
}
