//! A thread that owns the socket, and turns datagrams into reports.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};

use super::connection::PassedSocket;
use super::datagram::Datagram;
use super::gate::{Gate, NotTaken, ReceiverCounts};
use super::receive::Received;
use super::socket::ReportSocket;
use crate::report::Report;

/// A running receiver. Dropping it ends the thread and removes the socket.
#[derive(Debug)]
pub struct Receiver {
    gate: Arc<Mutex<Gate>>,
    counts: Arc<ReceiverCounts>,
    /// Its other end, in the thread, wakes when this one is closed.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The socket is gone afterwards. A panic in the thread was printed where it happened.
            let _ = thread.join();
        }
    }
}

impl Receiver {
    /// Receives in a thread of its own. `deliver` takes a report, or says that it cannot: the report is lost then, and
    /// counted. `name` is for messages.
    ///
    /// # Errors
    /// The system's, when it has no thread or descriptor left.
    pub fn start(
        name: &str,
        socket: ReportSocket,
        gate: Gate,
        deliver: impl FnMut(Report) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let gate = Arc::new(Mutex::new(gate));
        let counts = Arc::new(ReceiverCounts::default());
        let reception = Reception {
            name: name.to_owned(),
            socket,
            gate: Arc::clone(&gate),
            counts: Arc::clone(&counts),
            deliver,
        };
        let thread =
            thread::Builder::new().name("reports".to_owned()).spawn(move || reception.run(&stopped))?;
        Ok(Self { gate, counts, stop: Some(stop), thread: Some(thread) })
    }

    /// Goes by another gate from now on, as after a reload.
    pub fn set_gate(&self, gate: Gate) {
        *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = gate;
    }

    /// The counts since the start.
    pub fn counts(&self) -> &ReceiverCounts {
        &self.counts
    }
}

struct Reception<D> {
    name: String,
    socket: ReportSocket,
    gate: Arc<Mutex<Gate>>,
    counts: Arc<ReceiverCounts>,
    deliver: D,
}

impl<D: FnMut(Report) -> bool> Reception<D> {
    fn run(mut self, stopped: &UnixStream) {
        loop {
            let mut ready = [
                PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN),
            ];
            match poll(&mut ready, None) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => {
                    log::error!("{}: reports are taken no more: {error}", self.name);
                    return;
                }
                Ok(_) if !ready[1].revents().is_empty() => return,
                Ok(_) => {}
            }
            if let Err(error) = self.drain() {
                log::error!("{}: reports are taken no more: {error}", self.name);
                return;
            }
        }
    }

    /// Takes everything that waits: a burst must not fill the socket's buffer.
    fn drain(&mut self) -> io::Result<()> {
        loop {
            match Received::from(self.socket.as_fd()) {
                Ok(received) => self.take(received),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, received: Received) {
        let handed_on = self
            .report(received)
            .and_then(|report| if (self.deliver)(report) { Ok(()) } else { Err(NotTaken::Full) });
        match handed_on {
            Ok(()) => self.counts.take(),
            Err(why) if self.counts.refuse(why) => {
                log::warn!("{}: a report is refused, and so are more like it: {why}", self.name);
            }
            Err(_) => {}
        }
    }

    fn report(&self, received: Received) -> Result<Report, NotTaken> {
        if received.has_several {
            return Err(NotTaken::SeveralConnections);
        }
        let datagram = Datagram::read(received.bytes()).map_err(NotTaken::Malformed)?;
        let descriptor = received.descriptor.ok_or(NotTaken::NoConnection)?;
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.pass(&datagram, PassedSocket::of(descriptor), received.sender)
    }
}
