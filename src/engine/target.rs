//! The prefix that a sighting is counted for, and the prefix that is banned at the threshold.
//!
//! The peer's network is counted as a whole, whoever else is in it: otherwise one allowed address would give its
//! neighbours as many tries as they have addresses. The same network is banned; or, where an address in it must not be
//! banned, the widest part around the peer without such an address. The count is kept in that case, so that each further
//! part costs one more offence.

use std::net::IpAddr;

use super::policy::EngineSettings;
use super::verdict::{BanRefusal, Why};
use crate::address::{self, Prefix};
use crate::rules::Evidence;

/// The prefixes that are counted and banned for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The network of the peer.
    pub(super) counted: Prefix,
    /// The part of it that may be banned.
    pub(super) banned: Prefix,
}

impl Target {
    /// Whether the whole counted network is banned.
    pub(super) fn is_whole(&self) -> bool {
        self.counted == self.banned
    }
}

impl EngineSettings {
    /// The target of a peer's offences. On forgeable evidence it is never wider than the address itself.
    ///
    /// # Errors
    /// If the peer itself may not be banned.
    pub(super) fn target(&self, peer: IpAddr, evidence: Evidence) -> Result<Target, Why> {
        let counted = match evidence {
            Evidence::Handshake | Evidence::Kernel => self.offender.prefix(peer),
            Evidence::Spoofable => address::host(peer),
        };
        if self.refuse(&counted).is_ok() {
            return Ok(Target { counted, banned: counted });
        }
        let host = address::host(peer);
        self.refuse(&host)?;
        let part = address::widest_free(&counted, peer, |part| self.refuse(part).is_ok());
        Ok(Target { counted, banned: part.unwrap_or(host) })
    }

    /// Refuses a prefix that must not be banned; for a manual ban, `--force` overrides [`BanRefusal::Allowed`].
    pub(super) fn refuse(&self, prefix: &Prefix) -> Result<(), BanRefusal> {
        if let Some(range) = address::unbannable_in(prefix) {
            return Err(BanRefusal::Unbannable(range));
        }
        if self.allows(prefix) { Err(BanRefusal::Allowed) } else { Ok(()) }
    }

    /// Whether a prefix is a network that is banned as a whole, rather than an offender.
    pub(super) fn is_network(&self, prefix: &Prefix) -> bool {
        let is_wider = prefix.prefix_len() < self.offender.prefix(prefix.addr()).prefix_len();
        is_wider && self.networks.has(prefix)
    }

    /// Whether a prefix holds an allowed address, including an IPv4 address embedded in an IPv6 one.
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
