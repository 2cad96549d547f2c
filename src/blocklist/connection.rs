//! The kernel's word about a connection that was passed.

use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::net::SocketType;
use rustix::net::sockopt::{set_socket_linger, socket_linger, socket_type};

/// A passed descriptor, closed once it was looked at: whoever keeps it keeps the peer's connection open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PassedSocket {
    /// A TCP connection.
    Tcp {
        /// The peer; `None` where the connection has ended by a reset, and the kernel no longer tells.
        peer: Option<SocketAddr>,
        local_port: u16,
    },
    /// A UDP socket, bound here.
    Udp {
        /// The peer of a connected socket.
        peer: Option<SocketAddr>,
        local_port: u16,
    },
    /// Something else: a file, a pipe, a Unix socket, a socket that listens.
    Other,
}

impl PassedSocket {
    /// Looks at a descriptor, and closes it.
    ///
    /// FreeBSD tells the peer's address also after a reset, by `fcntl(F_KINFO)`; no crate without `unsafe` code offers that
    /// (nix reads the path of files alone), so the log has to tell of such a connection.
    pub(super) fn of(descriptor: OwnedFd) -> Self {
        // Whoever passed it may have closed it by now: then closing it here would wait as long as the passer chose.
        if socket_linger(&descriptor).is_ok_and(|linger| linger.is_some_and(|span| !span.is_zero())) {
            let _ = set_socket_linger(&descriptor, None);
        }
        Self::look(descriptor).unwrap_or(Self::Other)
    }

    fn look(descriptor: OwnedFd) -> io::Result<Self> {
        // The standard library's calls fail for addresses of other families than IPv4 and IPv6.
        match socket_type(&descriptor)? {
            SocketType::STREAM => {
                let socket = TcpStream::from(descriptor);
                let local_port = socket.local_addr()?.port();
                Ok(Self::Tcp { peer: known(socket.peer_addr())?, local_port })
            }
            SocketType::DGRAM => {
                let socket = UdpSocket::from(descriptor);
                let local_port = socket.local_addr()?.port();
                Ok(Self::Udp { peer: known(socket.peer_addr())?, local_port })
            }
            _ => Ok(Self::Other),
        }
    }
}

/// The peer, if there is one; an IPv4 address is never written as an IPv6 one.
fn known(peer: io::Result<SocketAddr>) -> io::Result<Option<SocketAddr>> {
    match peer {
        Ok(peer) => Ok(Some((peer.ip().to_canonical(), peer.port()).into())),
        // FreeBSD says EINVAL where the connection was torn down entirely.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::InvalidInput)
                && error.raw_os_error().is_some() =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
