//! A client of blocklistd's protocol, byte by byte, and connections to report: real ones, in a network of their own, since
//! the peers of any others here are this machine itself.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType, sendmsg, sockopt,
};

/// Long enough for a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// The types of reports.
pub(crate) const FAILED: u32 = 1;
pub(crate) const SUCCESS: u32 = 2;
pub(crate) const ABUSE: u32 = 3;
pub(crate) const NO_USER: u32 = 4;

/// A report as sshd sends it: without an address.
pub(crate) fn datagram(kind: u32, text: &[u8]) -> Vec<u8> {
    claiming(kind, &[], text)
}

/// A report with a socket address.
pub(crate) fn claiming(kind: u32, address: &[u8], text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(u32::try_from(144 + text.len()).unwrap().to_ne_bytes());
    bytes.extend(1_u32.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(u32::try_from(address.len()).unwrap().to_ne_bytes());
    bytes.extend(address);
    bytes.resize(144, 0);
    bytes.extend(text);
    bytes
}

/// The `sockaddr_in` of 192.0.2.7, port 5353.
pub(crate) fn sockaddr() -> Vec<u8> {
    let head = if cfg!(target_os = "linux") { 2_u16.to_ne_bytes() } else { [16, 2] };
    [&head[..], &[0x14, 0xe9, 192, 0, 2, 7], &[0; 8]].concat()
}

/// Sends a datagram and these descriptors, by a socket of its own as the original client does, and waits while the
/// server's queue is full.
pub(crate) fn send(server: &Path, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(server)?;
    let mut space = [MaybeUninit::uninit(); 256];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, SendFlags::empty())?;
    Ok(())
}

/// Reports a connection.
pub(crate) fn report(server: &Path, kind: u32, text: &str, connection: &TcpStream) {
    send(server, &datagram(kind, text.as_bytes()), &[connection.as_fd()]).expect("the report is sent");
}

/// The network of the calling thread becomes one of its own.
#[cfg(target_os = "linux")]
fn leave_the_network() -> Option<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).ok()
}

/// FreeBSD has networks of their own in jails only, which no thread can enter alone.
#[cfg(not(target_os = "linux"))]
fn leave_the_network() -> Option<()> {
    None
}

/// The network of the calling thread becomes that of the tests again.
#[cfg(target_os = "linux")]
fn return_to_the_network() {
    let own = std::fs::File::open(format!("/proc/{}/ns/net", std::process::id()))
        .expect("the main thread's network");
    nix::sched::setns(own, nix::sched::CloneFlags::CLONE_NEWNET).expect("back to it");
}

#[cfg(not(target_os = "linux"))]
fn return_to_the_network() {}

/// Does something in the network of the tests.
pub(crate) fn elsewhere<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    let run = || {
        return_to_the_network();
        act()
    };
    thread::scope(|scope| scope.spawn(run).join().expect("it does not panic"))
}

/// Does something in a network of its own, where 192.0.2.1 and `2001:db8::1` serve and other addresses of these networks can
/// be peers; `None`, with a word about it, where that takes root.
pub(crate) fn in_a_network<T: Send>(act: impl FnOnce() -> T + Send) -> Option<T> {
    let run = || {
        leave_the_network()?;
        for words in [
            "link set lo up",
            "address add 192.0.2.1/24 dev lo",
            "address add 192.0.2.7/24 dev lo",
            "address add 192.0.2.8/24 dev lo",
            "-6 address add 2001:db8::1/64 dev lo nodad",
            "-6 address add 2001:db8:0:7::7/64 dev lo nodad",
        ] {
            let done = Command::new("ip").args(words.split(' ')).output().ok()?;
            assert!(done.status.success(), "ip {words}: {done:?}");
        }
        Some(act())
    };
    let done = thread::scope(|scope| scope.spawn(run).join().expect("it does not panic"));
    if done.is_none() {
        eprintln!("skipped: a network of its own takes root and iproute2");
    }
    done
}

/// A server that accepts connections.
pub(crate) struct Server(TcpListener);

impl Server {
    /// At a port that the system chooses.
    pub(crate) fn at(address: &str) -> Self {
        Self::at_port(address, 0)
    }

    pub(crate) fn at_port(address: &str, port: u16) -> Self {
        let address: IpAddr = address.parse().unwrap();
        Self(TcpListener::bind((address, port)).expect("a port"))
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// A connection from an address: the peer's end, and the one that is accepted.
    pub(crate) fn connected_from(&self, peer: &str) -> (TcpStream, TcpStream) {
        let peer: IpAddr = peer.parse().unwrap();
        let end = Instant::now() + PATIENCE;
        let theirs = loop {
            match self.connect_from(peer) {
                Ok(connected) => break connected,
                // Linux adds the routes of a new interface's IPv6 addresses a moment later.
                Err(Errno::NETUNREACH | Errno::ADDRNOTAVAIL) if Instant::now() < end => thread::yield_now(),
                Err(error) => panic!("no connection from {peer}: {error}"),
            }
        };
        (theirs, self.0.accept().expect("a connection").0)
    }

    fn connect_from(&self, peer: IpAddr) -> Result<TcpStream, Errno> {
        let family = if peer.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddr::new(peer, 0))?;
        rustix::net::connect(&socket, &self.0.local_addr().expect("it is bound"))?;
        Ok(socket.into())
    }

    /// A connection that the peer reset after it was accepted.
    pub(crate) fn reset_by(&self, peer: &str) -> TcpStream {
        let (theirs, ours) = self.connected_from(peer);
        sockopt::set_socket_linger(&theirs, Some(Duration::ZERO)).expect("SO_LINGER");
        drop(theirs);
        // On loopback the reset is there when close(2) returns.
        assert_eq!(ours.peer_addr().map_err(|error| error.kind()), Err(io::ErrorKind::NotConnected));
        ours
    }
}
