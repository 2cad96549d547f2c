//! What follows from a sighting.

use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

use super::spoof::Flood;
use crate::address::Prefix;
use crate::time::Time;

/// A verdict and whom it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whom the sighting is about, be it that it counts or that the peer may not be banned; `None` where nobody knows, or
    /// where it is not asked since nothing counts.
    pub peer: Option<IpAddr>,
    /// The prefix that is counted; `None` where the sighting counts for nobody.
    pub offender: Option<Prefix>,
    /// What the sighting adds against the peer, in tenths of an offence: more than its rule's weight where earlier lines of
    /// the session had waited for an address.
    pub tenths: u32,
    /// What follows.
    pub verdict: Verdict,
}

impl From<Verdict> for Judgement {
    /// A verdict that is about nobody.
    fn from(verdict: Verdict) -> Self {
        Self { peer: None, offender: None, tenths: 0, verdict }
    }
}

/// What follows from a sighting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Ignored(Why),
    /// The offender is nearer to a ban.
    Counted {
        /// What the window that is nearest to a ban holds now, in tenths of an offence.
        tenths: u32,
        /// What it takes, in tenths of an offence.
        threshold: u32,
        /// Whether it takes that many since the peer logged in of late.
        trusted: bool,
    },
    /// The offender is banned from now on.
    Banned {
        /// The prefix that is banned: what is counted, or so much of it as holds the peer and no allowed address.
        banned: Prefix,
        /// What the window held that was full, in tenths of an offence.
        tenths: u32,
        /// How long that window is.
        within: Duration,
        /// When the ban began: earlier than now where another rule set had banned the offender.
        since: Time,
        /// When the ban ends; `None` for never.
        until: Option<Time>,
        /// How many bans this offender has had, this one included.
        nth: u32,
    },
    /// The address logged in and is given more patience.
    Trusted(IpAddr),
}

/// Why a sighting has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// The rule only explains the line.
    #[error("harmless by itself")]
    Harmless,
    /// Nobody knows whom it is about.
    #[error("no address in the line or its session")]
    NoAddress,
    /// It was written at some time before it was read, and does not say when.
    #[error("it does not say when it was written")]
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
    /// Nobody on the network has this address.
    #[error("{0} addresses are never banned")]
    Unbannable(&'static str),
    /// It logged in of late, and the evidence may be forged.
    #[error("it logged in of late, and this evidence may be forged")]
    Trusted,
    /// It was unbanned since the line was written.
    #[error("it was unbanned after this was written")]
    Unbanned,
    /// The same rule set banned it already.
    #[error("already banned")]
    AlreadyBanned {
        /// When that ban ends; `None` for never.
        until: Option<Time>,
    },
    /// Too many bans on evidence that may be forged.
    #[error("{0}")]
    Flood(Flood),
}

/// Why a prefix is not banned by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BanRefusal {
    /// It holds an address of the allow list.
    #[error("it is, or holds, an address of the allow list")]
    Allowed,
    /// It holds addresses that are nobody's, or one's own.
    #[error("it holds {0} addresses, which are never banned")]
    Unbannable(&'static str),
}
