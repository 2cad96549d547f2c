//! What tells one session from others.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::fnv;
use crate::rules::Evidence;

/// The author of a line as far as a log tells: the writer of the log, and the host and program that the line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speaker<'a> {
    /// The writer of the log. One writer may write many files, and the writer of another log can claim any host and
    /// program.
    pub writer: &'a str,
    /// The host that the line names: hosts may share a file, and their process ids overlap.
    pub host: &'a [u8],
    /// The program that the line names.
    pub program: &'a [u8],
}

/// Identifies a session: lines of one author with the same process id. Where the layout hides process ids, everything
/// that a program recently said about one address is one session, so that three lines about one guess count once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionKey {
    /// The last bit says whether the lines can be forged. The others are a hash of the [`Speaker`], and of the session's
    /// own id or the peer's address where there is no process id.
    pub writer: u64,
    /// The process id; 0, which no sshd has, where the session is identified otherwise.
    pub pid: u32,
}

impl SessionKey {
    /// The session of a line with a process id.
    pub fn new(speaker: Speaker<'_>, pid: u32) -> Self {
        Self { writer: fnv::hash(speaker.bytes()), pid }
    }

    /// The session of a line that names it by an id of its program's own, such as a mail server's queue id.
    pub fn of_id(speaker: Speaker<'_>, id: &[u8]) -> Self {
        Self { writer: fnv::hash(speaker.bytes().chain(b"\0id\0").chain(id)), pid: 0 }
    }

    /// The session of a line about this address, in a layout that hides process ids.
    pub fn of_peer(speaker: Speaker<'_>, peer: IpAddr) -> Self {
        let address = match peer {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        }
        .octets();
        Self { writer: fnv::hash(speaker.bytes().chain(b"\0").chain(&address)), pid: 0 }
    }

    /// The session of one peer of a process that serves many.
    pub(super) fn of_one(self, peer: IpAddr) -> Self {
        let process = [&self.writer.to_le_bytes()[..], &self.pid.to_le_bytes()].concat();
        Self::of_peer(Speaker { writer: "", host: &process, program: b"" }, peer).on(self.evidence())
    }
}

impl<'a> Speaker<'a> {
    /// The parts end in zero bytes, which none of them can hold, so that no two speakers have the same bytes.
    fn bytes(self) -> impl Iterator<Item = &'a u8> {
        let Self { writer, host, program } = self;
        writer.as_bytes().iter().chain(b"\0").chain(host).chain(b"\0").chain(program)
    }
}

impl SessionKey {
    /// The key for lines of this evidence. They are kept apart, so that forged lines cannot join a session of genuine
    /// ones.
    #[must_use]
    pub fn on(self, evidence: Evidence) -> Self {
        let writer = match evidence {
            Evidence::Handshake | Evidence::Kernel => self.writer & !1,
            Evidence::Spoofable => self.writer | 1,
        };
        Self { writer, ..self }
    }

    pub(super) fn evidence(self) -> Evidence {
        if self.writer & 1 == 0 { Evidence::Handshake } else { Evidence::Spoofable }
    }
}
