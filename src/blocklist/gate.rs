//! The gate: what is taken for a report, by configuration, and how often something was not.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::unistd::{User, geteuid};
use thiserror::Error;

use super::connection::PassedSocket;
use super::datagram::{Datagram, Malformed};
use crate::interfaces;
use crate::report::{Report, ReportSender};
use crate::settings::BlocklistSettings;

/// How long the addresses of this machine are taken for known.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// Why a datagram is no report to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotTaken {
    /// It is not as the protocol has it.
    #[error("it is malformed: {0}")]
    Malformed(Malformed),
    /// It came without a descriptor.
    #[error("no connection came with it")]
    NoConnection,
    /// It came with several descriptors, of which nobody knows which is meant.
    #[error("several connections came with it")]
    SeveralConnections,
    /// The descriptor is neither of TCP nor of UDP.
    #[error("what came with it is no connection of TCP")]
    NoTcp,
    /// A user sent it whose reports are not taken.
    #[error("user {0} may not send reports: list the user under `senders`")]
    Sender(u32),
    /// It is about UDP, and of nobody whose word is taken for that.
    #[error(
        "it is about UDP, whose addresses are the sender's word: list the user under `udp_senders` if it is to be believed"
    )]
    Udp,
    /// No service has the local port.
    #[error("it is about port {0}, which is none of the `services`")]
    Port(u16),
    /// The peer had reset the connection, so that the kernel no longer names it.
    #[error("the peer had reset the connection, and nothing names it any more: the log tells who it was")]
    Reset,
    /// The peer is this machine itself.
    #[error("its peer is an address of this machine")]
    Own,
    /// There are too many reports that nobody took yet.
    #[error("too many reports wait")]
    Full,
}

impl NotTaken {
    /// The number of its kind, for [`ReceiverCounts`].
    fn number(self) -> usize {
        match self {
            Self::Malformed(_) => 0,
            Self::NoConnection => 1,
            Self::SeveralConnections => 2,
            Self::NoTcp => 3,
            Self::Sender(_) => 4,
            Self::Udp => 5,
            Self::Port(_) => 6,
            Self::Reset => 7,
            Self::Own => 8,
            Self::Full => 9,
        }
    }

    /// Whether it is in the nature of things, and no reason to tell anybody.
    fn is_usual(self) -> bool {
        matches!(self, Self::Reset)
    }
}

/// What a receiver counted since its start.
#[derive(Debug, Default)]
pub struct ReceiverCounts {
    taken: AtomicU64,
    refused: [AtomicU64; 10],
}

impl ReceiverCounts {
    /// Reports that were handed on.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Datagrams that were not, whatever for.
    pub fn refused(&self) -> u64 {
        self.refused.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Reports about connections that the peer had reset.
    pub fn reset(&self) -> u64 {
        self.refused[NotTaken::Reset.number()].load(Ordering::Relaxed)
    }

    pub(super) fn take(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refusal; true if it is the first of its kind and somebody should know.
    pub(super) fn refuse(&self, why: NotTaken) -> bool {
        let before = self.refused[why.number()].fetch_add(1, Ordering::Relaxed);
        before == 0 && !why.is_usual()
    }
}

/// Decides what is taken.
#[derive(Debug)]
pub struct Gate {
    ports: Vec<u16>,
    senders: Vec<u32>,
    udp_senders: Vec<u32>,
    own: Vec<IpAddr>,
    looked: Option<Instant>,
}

/// There is no such user on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "source {source_name}: there is no user `{user}`, whose reports are to be taken: name another, or drop it"
)]
pub struct UnknownUser {
    source_name: String,
    user: String,
}

impl Gate {
    /// The gate of a source. Root's reports are taken, and those of the user who runs this.
    ///
    /// # Errors
    /// If a user does not exist.
    pub fn new(settings: &BlocklistSettings) -> Result<Self, UnknownUser> {
        let users =
            |names: &[String]| names.iter().map(|name| uid(settings, name)).collect::<Result<Vec<_>, _>>();
        let udp_senders = users(&settings.udp_senders)?;
        let mut senders = users(&settings.senders)?;
        senders.extend(udp_senders.iter().copied().chain([0, geteuid().as_raw()]));
        let ports = settings.services.iter().map(|(port, _)| *port).collect();
        Ok(Self { ports, senders, udp_senders, own: Vec::new(), looked: None })
    }

    /// The report that a datagram is, if it is to be taken.
    pub(super) fn pass(
        &mut self,
        datagram: &Datagram,
        socket: PassedSocket,
        sender: Option<ReportSender>,
    ) -> Result<Report, NotTaken> {
        if let Some(sender) = sender.filter(|sender| !self.senders.contains(&sender.uid)) {
            return Err(NotTaken::Sender(sender.uid));
        }
        let (peer, local_port, is_claimed) = match socket {
            PassedSocket::Other => return Err(NotTaken::NoTcp),
            PassedSocket::Tcp { local_port, .. } | PassedSocket::Udp { local_port, .. }
                if !self.ports.contains(&local_port) =>
            {
                return Err(NotTaken::Port(local_port));
            }
            // An address that the sender claims is not asked for: only the kernel's word counts.
            PassedSocket::Tcp { peer, local_port } => (peer.ok_or(NotTaken::Reset)?, local_port, false),
            PassedSocket::Udp { peer, local_port } => {
                let is_believed = sender.is_some_and(|sender| self.udp_senders.contains(&sender.uid));
                let peer = peer.or(datagram.claimed).filter(|_| is_believed).ok_or(NotTaken::Udp)?;
                (peer, local_port, true)
            }
        };
        if self.is_own(peer) {
            return Err(NotTaken::Own);
        }
        let Datagram { kind, text, .. } = *datagram;
        Ok(Report { kind, peer, local_port, is_claimed, sender, text })
    }

    fn is_own(&mut self, peer: SocketAddr) -> bool {
        if self.looked.is_none_or(|at| at.elapsed() > KNOWN_FOR) {
            self.own = interfaces::addresses();
            self.looked = Some(Instant::now());
        }
        peer.ip().is_loopback() || peer.ip().is_unspecified() || self.own.contains(&peer.ip())
    }
}

/// The id of a user, by name or as a number.
fn uid(settings: &BlocklistSettings, name: &str) -> Result<u32, UnknownUser> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let known = User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
    known.ok_or_else(|| UnknownUser { source_name: settings.name.clone(), user: name.to_owned() })
}
