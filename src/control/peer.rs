//! The process at the other end of a connection, as the kernel reports it, and its rights.

use std::io;
use std::os::unix::net::UnixStream;

use super::request::Request;

/// The process at the other end, as it was when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerProcess {
    /// The effective user id of the process.
    pub uid: u32,
    /// The effective group id of the process.
    pub gid: u32,
}

impl PeerProcess {
    /// Asks the kernel: getpeereid(3) on the BSDs, `SO_PEERCRED` on Linux. Nothing that the peer sent is believed.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let (uid, gid) = nix::unistd::getpeereid(stream)?;
        Ok(Self { uid: uid.as_raw(), gid: gid.as_raw() })
    }

    /// Asks the kernel: getpeereid(3) on the BSDs, `SO_PEERCRED` on Linux. Nothing that the peer sent is believed.
    #[cfg(target_os = "linux")]
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
        let credentials = getsockopt(stream, PeerCredentials)?;
        Ok(Self { uid: credentials.uid(), gid: credentials.gid() })
    }
}

/// The rights of a peer, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// No request is permitted.
    None,
    /// Requests that change nothing are permitted.
    Read,
    /// All requests are permitted.
    Change,
}

impl Rights {
    /// Whether they permit the request.
    pub fn allow(self, request: &Request) -> bool {
        self >= if request.changes() { Self::Change } else { Self::Read }
    }
}

/// The rights of users and groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The user who, like root, has all rights.
    pub owner: u32,
    /// The group whose members may read.
    pub group: Option<u32>,
}

impl Access {
    /// All rights for root and the user of this process; read access for the group, if any.
    pub fn of_this_process(group: Option<u32>) -> Self {
        Self { owner: nix::unistd::geteuid().as_raw(), group }
    }

    /// All rights for root alone; read access for whoever a group's socket lets connect.
    pub(crate) fn of_root(has_group: bool) -> Self {
        Self { owner: 0, group: has_group.then_some(0) }
    }

    /// The rights of this peer.
    ///
    /// With a group every peer may read: the mode of the socket lets only its members connect, and getpeereid(3) does not
    /// report supplementary groups.
    pub fn rights(self, peer: PeerProcess) -> Rights {
        if peer.uid == 0 || peer.uid == self.owner {
            return Rights::Change;
        }
        if self.group.is_some() { Rights::Read } else { Rights::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: PeerProcess = PeerProcess { uid: 1001, gid: 1001 };

    #[test]
    fn root_and_owner_change_the_group_asks_and_without_a_group_nobody_else_does() {
        let access = Access { owner: 64, group: Some(5) };
        assert_eq!(access.rights(PeerProcess { uid: 0, gid: 0 }), Rights::Change);
        assert_eq!(access.rights(PeerProcess { uid: 64, gid: 64 }), Rights::Change);
        assert_eq!(access.rights(STRANGER), Rights::Read);
        assert_eq!(Access { group: None, ..access }.rights(STRANGER), Rights::None);
        assert_eq!(
            access.rights(PeerProcess { uid: 1001, gid: 0 }),
            Rights::Read,
            "root's group is not root"
        );
    }

    #[test]
    fn readers_read_and_nothing_more() {
        use crate::control::request::Unban;
        for request in [Request::Ping, Request::Status, Request::Bans] {
            assert!(Rights::Read.allow(&request) && Rights::Change.allow(&request));
            assert!(!Rights::None.allow(&request));
        }
        for request in [Request::Reload, Request::Unban(Unban::All)] {
            assert!(!Rights::Read.allow(&request) && Rights::Change.allow(&request), "{request:?}");
        }
    }

    #[test]
    fn the_kernel_tells_who_we_are() {
        let (here, _there) = UnixStream::pair().unwrap();
        let me = PeerProcess { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        assert_eq!(PeerProcess::of(&here).unwrap(), me);
    }
}
