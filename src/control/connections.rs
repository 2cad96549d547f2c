//! Limits the number of open connections, in total and for each user.
//!
//! Some connections are reserved for peers with the right to change, so that members of the reading group cannot keep root
//! from an `unban`. The limit for each user keeps one member from locking the others out.

use std::collections::HashMap;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::peer::{PeerProcess, Rights};

/// The resources that peers may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Open connections, each with a thread.
    pub connections: usize,
    /// Of these, the most that peers with read access may hold; the rest is for root and the owner.
    pub readers: usize,
    /// Of these, the most that one user with read access may hold: a list of 100,000 bans takes 30 MB while it is sent.
    pub each_reader: usize,
    /// The largest request of root or the owner, in bytes: a block list of half a million prefixes.
    pub request: usize,
    /// The largest request of others, in bytes.
    pub reader_request: usize,
    /// The longest pause of a peer within a request or a reply.
    pub pause: Duration,
    /// The longest time for receiving a request, and for sending a reply.
    pub transfer: Duration,
    /// The longest time for the daemon to answer.
    pub answer: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 16,
            readers: 8,
            each_reader: 2,
            request: 16 << 20,
            reader_request: 64 << 10,
            pause: Duration::from_secs(5),
            transfer: Duration::from_secs(30),
            answer: Duration::from_secs(90),
        }
    }
}

/// The open connections and their limits.
#[derive(Debug)]
pub(super) struct ConnectionLimit {
    limits: ServerLimits,
    open: Mutex<OpenConnections>,
    closed: Condvar,
}

#[derive(Debug, Default)]
struct OpenConnections {
    next_number: u64,
    by_number: HashMap<u64, OpenConnection>,
}

#[derive(Debug)]
struct OpenConnection {
    uid: u32,
    is_reader: bool,
    stream: Weak<UnixStream>,
}

/// Counts as one open connection until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    limit: Arc<ConnectionLimit>,
    number: u64,
}

impl ConnectionLimit {
    pub(super) fn new(limits: ServerLimits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default(), closed: Condvar::new() })
    }

    /// Admits a connection of this peer, or returns `None` if a limit is reached.
    pub(super) fn admit(
        self: &Arc<Self>,
        peer: PeerProcess,
        rights: Rights,
        stream: &Arc<UnixStream>,
    ) -> Option<ConnectionPermit> {
        let mut open = self.open();
        if open.by_number.len() >= self.limits.connections {
            return None;
        }
        let is_reader = rights < Rights::Change;
        if is_reader && !open.has_room_for_reader(peer.uid, self.limits) {
            return None;
        }
        let number = open.next_number;
        open.next_number += 1;
        let connection = OpenConnection { uid: peer.uid, is_reader, stream: Arc::downgrade(stream) };
        open.by_number.insert(number, connection);
        Some(ConnectionPermit { limit: Arc::clone(self), number })
    }

    /// Stops waiting for requests on all connections; replies still go out.
    pub(super) fn stop_listening(&self) {
        for connection in self.open().by_number.values() {
            if let Some(stream) = connection.stream.upgrade() {
                // It fails if the peer has already gone, which is just as good.
                let _ = stream.shutdown(Shutdown::Read);
            }
        }
    }

    /// Waits until all connections are closed, but no longer than `timeout`.
    pub(super) fn wait_until_empty(&self, timeout: Duration) {
        let is_busy = |open: &mut OpenConnections| !open.by_number.is_empty();
        drop(self.closed.wait_timeout_while(self.open(), timeout, is_busy));
    }

    /// A thread that panicked has left the map consistent: every change of it is a single call.
    fn open(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    fn has_room_for_reader(&self, uid: u32, limits: ServerLimits) -> bool {
        let readers = self.by_number.values().filter(|connection| connection.is_reader);
        let of_user = readers.clone().filter(|connection| connection.uid == uid);
        readers.count() < limits.readers && of_user.count() < limits.each_reader
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.limit.open().by_number.remove(&self.number);
        self.limit.closed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit() -> Arc<ConnectionLimit> {
        ConnectionLimit::new(ServerLimits {
            connections: 5,
            readers: 3,
            each_reader: 2,
            ..ServerLimits::default()
        })
    }

    const ROOT: PeerProcess = PeerProcess { uid: 0, gid: 0 };

    fn reader(uid: u32) -> PeerProcess {
        PeerProcess { uid, gid: 100 }
    }

    fn stream() -> Arc<UnixStream> {
        Arc::new(UnixStream::pair().unwrap().0)
    }

    #[test]
    fn no_reader_keeps_the_others_out_and_all_readers_do_not_keep_root_out() {
        let limit = limit();
        let stream = stream();
        let ask = |uid| limit.admit(reader(uid), Rights::Read, &stream);
        let mut held = vec![ask(7), ask(7)];
        assert!(held.iter().all(Option::is_some));
        assert!(ask(7).is_none(), "one user has two");
        held.push(ask(8));
        assert!(held[2].is_some(), "another user has one");
        assert!(ask(9).is_none(), "readers have three");
        held.extend((0..2).map(|_| limit.admit(ROOT, Rights::Change, &stream)));
        assert!(held.iter().all(Option::is_some), "two are left for root");
        assert!(limit.admit(ROOT, Rights::Change, &stream).is_none(), "there are five");
    }

    #[test]
    fn a_closed_connection_makes_room_for_another() {
        let limit = limit();
        let stream = stream();
        for _ in 0..20 {
            let held: Vec<_> = (0..5).filter_map(|_| limit.admit(ROOT, Rights::Change, &stream)).collect();
            assert_eq!(held.len(), 5);
        }
        limit.wait_until_empty(Duration::from_secs(60));
        assert!(limit.open().by_number.is_empty());
    }
}
