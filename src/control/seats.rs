//! How many connections there are at a time, and whose.
//!
//! A few seats are kept for those who may change, so that no member of the reading group can keep root from an
//! `unban`; and one user has only so many, so that no member keeps the others out.

use std::collections::HashMap;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::peer::{Peer, Rights};

/// How many may sit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// All together.
    pub(super) all: usize,
    /// Those who may only ask, together.
    pub(super) readers: usize,
    /// Those who may only ask, each user.
    pub(super) each_reader: usize,
}

/// All seats.
#[derive(Debug)]
pub(super) struct Seats {
    bounds: Bounds,
    taken: Mutex<Taken>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Taken {
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
    pub(super) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, taken: Mutex::default(), left: Condvar::new() })
    }

    /// A seat for this connection, if there is one for such a peer.
    pub(super) fn take(
        self: &Arc<Self>,
        peer: Peer,
        rights: Rights,
        stream: &Arc<UnixStream>,
    ) -> Option<Seat> {
        let mut taken = self.taken();
        let reader = rights < Rights::Change;
        if taken.seats.len() >= self.bounds.all || (reader && !taken.room_for_reader(peer.uid, self.bounds)) {
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
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn room_for_reader(&self, uid: u32, bounds: Bounds) -> bool {
        let readers = || self.seats.values().filter(|occupant| occupant.reader);
        let own = readers().filter(|occupant| occupant.uid == uid).count();
        readers().count() < bounds.readers && own < bounds.each_reader
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

    const BOUNDS: Bounds = Bounds { all: 5, readers: 3, each_reader: 2 };
    const ROOT: Peer = Peer { uid: 0, gid: 0 };

    fn reader(uid: u32) -> Peer {
        Peer { uid, gid: 100 }
    }

    fn stream() -> Arc<UnixStream> {
        Arc::new(UnixStream::pair().unwrap().0)
    }

    #[test]
    fn no_reader_keeps_the_others_out_and_all_readers_do_not_keep_root_out() {
        let (seats, stream) = (Seats::new(BOUNDS), stream());
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
        let (seats, stream) = (Seats::new(BOUNDS), stream());
        for _ in 0..20 {
            let held: Vec<_> = (0..5).filter_map(|_| seats.take(ROOT, Rights::Change, &stream)).collect();
            assert_eq!(held.len(), 5);
        }
        seats.wait_until_empty(Duration::from_secs(60));
        assert!(seats.taken().seats.is_empty());
    }
}
