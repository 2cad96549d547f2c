//! How many connections there are at a time, and whose.
//!
//! A few seats are kept for those who may change, so that no member of the reading group can keep root from an
//! `unban`; and one user has only so many, so that no member keeps the others out.

use std::collections::HashMap;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::peer::{PeerProcess, Rights};

/// How much of the daemon a peer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections at a time, each with a thread.
    pub connections: usize,
    /// How many of them may belong to peers who can only ask; the rest is for root and the owner.
    pub readers: usize,
    /// How many of them may belong to one user who can only ask: a list of 100,000 bans has 30 MB while it is sent.
    pub each_reader: usize,
    /// Bytes of a request by root or the owner: a block list of half a million prefixes.
    pub request: usize,
    /// Bytes of a request by others.
    pub reader_request: usize,
    /// How long a peer may leave us without the next piece of a request, or with one of a reply.
    pub pause: Duration,
    /// How long a request may take to come, and a reply to be taken.
    pub transfer: Duration,
    /// How long the daemon may take to answer.
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

/// All seats.
#[derive(Debug)]
pub(super) struct Seats {
    limits: ServerLimits,
    taken: Mutex<OccupiedSeats>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct OccupiedSeats {
    next: u64,
    seats: HashMap<u64, Occupant>,
}

#[derive(Debug)]
struct Occupant {
    uid: u32,
    reader: bool,
    stream: Weak<UnixStream>,
}

/// One taken seat; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
}

impl Seats {
    pub(super) fn new(limits: ServerLimits) -> Arc<Self> {
        Arc::new(Self { limits, taken: Mutex::default(), left: Condvar::new() })
    }

    /// A seat for this connection, if there is one for such a peer.
    pub(super) fn take(
        self: &Arc<Self>,
        peer: PeerProcess,
        rights: Rights,
        stream: &Arc<UnixStream>,
    ) -> Option<Seat> {
        let mut taken = self.taken();
        let reader = rights < Rights::Change;
        if taken.seats.len() >= self.limits.connections
            || (reader && !taken.room_for_reader(peer.uid, self.limits))
        {
            return None;
        }
        let number = taken.next;
        taken.next += 1;
        taken.seats.insert(number, Occupant { uid: peer.uid, reader, stream: Arc::downgrade(stream) });
        Some(Seat { seats: Arc::clone(self), number })
    }

    /// Ends all waiting for requests; replies still go out.
    pub(super) fn stop_listening(&self) {
        let taken = self.taken();
        for stream in taken.seats.values().filter_map(|occupant| occupant.stream.upgrade()) {
            // It fails where the peer has gone already, which is as good.
            let _ = stream.shutdown(Shutdown::Read);
        }
    }

    /// Waits until all have left, but not longer than this.
    pub(super) fn wait_until_empty(&self, patience: Duration) {
        let taken = self.taken();
        let all_left = self.left.wait_timeout_while(taken, patience, |taken| !taken.seats.is_empty());
        drop(all_left);
    }

    /// A thread that panicked left the map whole: each change of it is a single call.
    fn taken(&self) -> MutexGuard<'_, OccupiedSeats> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OccupiedSeats {
    fn room_for_reader(&self, uid: u32, limits: ServerLimits) -> bool {
        let readers = || self.seats.values().filter(|occupant| occupant.reader);
        let own = readers().filter(|occupant| occupant.uid == uid).count();
        readers().count() < limits.readers && own < limits.each_reader
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().seats.remove(&self.number);
        self.seats.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats() -> Arc<Seats> {
        Seats::new(ServerLimits { connections: 5, readers: 3, each_reader: 2, ..ServerLimits::default() })
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
        let (seats, stream) = (seats(), stream());
        let ask = |uid| seats.take(reader(uid), Rights::Read, &stream);
        let mut held = vec![ask(7), ask(7)];
        assert!(held.iter().all(Option::is_some));
        assert!(ask(7).is_none(), "one user has two");
        held.push(ask(8));
        assert!(held[2].is_some(), "another user has one");
        assert!(ask(9).is_none(), "readers have three");
        held.extend((0..2).map(|_| seats.take(ROOT, Rights::Change, &stream)));
        assert!(held.iter().all(Option::is_some), "two are left for root");
        assert!(seats.take(ROOT, Rights::Change, &stream).is_none(), "there are five");
    }

    #[test]
    fn a_seat_that_was_left_is_free_again() {
        let (seats, stream) = (seats(), stream());
        for _ in 0..20 {
            let held: Vec<_> = (0..5).filter_map(|_| seats.take(ROOT, Rights::Change, &stream)).collect();
            assert_eq!(held.len(), 5);
        }
        seats.wait_until_empty(Duration::from_secs(60));
        assert!(seats.taken().seats.is_empty());
    }
}
