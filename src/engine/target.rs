//! Whom a sighting is counted for, and what is banned once the count is full.
//!
//! Counted is the network of the peer, whoever else is in it: otherwise one allowed address would give its neighbours as
//! many tries as they have addresses. Banned is that network too, or, where somebody in it must not be banned, the
//! widest part around the peer that holds nobody of the kind. The count stays then, so that each further part costs its
//! user one more offence.

use std::net::IpAddr;

use super::policy::EngineSettings;
use super::verdict::{BanRefusal, Why};
use crate::address::{self, Prefix};
use crate::rules::Evidence;

/// What is counted and what is banned for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The network of the peer.
    pub(super) counted: Prefix,
    /// So much of it as may be banned.
    pub(super) banned: Prefix,
}

impl Target {
    /// Whether the ban is on all that is counted.
    pub(super) fn is_whole(&self) -> bool {
        self.counted == self.banned
    }
}

impl EngineSettings {
    /// What is counted and banned for a peer. Forged packets never cost more than the address they carry.
    ///
    /// # Errors
    /// When the peer itself may not be banned.
    pub(super) fn target(&self, peer: IpAddr, evidence: Evidence) -> Result<Target, Why> {
        let counted = match evidence {
            Evidence::Handshake => self.offender.prefix(peer),
            Evidence::Spoofable => address::host(peer),
        };
        match self.refuse(&counted) {
            Ok(()) => Ok(Target { counted, banned: counted }),
            Err(_) => self.refuse(&address::host(peer)).map_err(Why::from).map(|()| Target {
                counted,
                banned: address::widest_free(&counted, peer, |part| self.refuse(part).is_ok())
                    .unwrap_or_else(|| address::host(peer)),
            }),
        }
    }

    /// Whether a prefix may not be banned, and why: what an operator is told who bans it without `--force`.
    pub(super) fn refuse(&self, prefix: &Prefix) -> Result<(), BanRefusal> {
        if let Some(range) = address::unbannable_in(prefix) {
            return Err(BanRefusal::Unbannable(range));
        }
        if self.allows(prefix) { Err(BanRefusal::Allowed) } else { Ok(()) }
    }

    /// Whether a prefix is one of the networks that are banned as one, and no offender.
    pub(super) fn is_network(&self, prefix: &Prefix) -> bool {
        let is_wider = prefix.prefix_len() < self.offender.prefix(prefix.addr()).prefix_len();
        is_wider && self.networks.has(prefix)
    }

    /// Whether an allowed address is in a prefix, be it as the IPv4 address inside an IPv6 one.
    pub fn allows(&self, prefix: &Prefix) -> bool {
        self.allow.overlaps(prefix) || address::embedded(prefix).any(|v4| self.allow.overlaps(&v4))
    }
}

impl From<BanRefusal> for Why {
    fn from(refusal: BanRefusal) -> Self {
        match refusal {
            BanRefusal::Allowed => Self::Allowed,
            BanRefusal::Unbannable(range) => Self::Unbannable(range),
        }
    }
}
