//! The daemon's end: accepts, reads a request, hands it over, and writes the reply.

use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::call::Call;
use super::peer::{PeerProcess, Rights};
use super::reply::{Code, Refusal, Reply};
use super::request::Request;
use super::seats::{Seat, Seats, ServerLimits};
use super::socket::Listener;
use super::stream::{NoLine, Patience, TimedStream, read_line};
use super::wire::{read_request, write_reply};
use crate::files::is_passing;

/// Serves a control socket in threads of its own until it is dropped; the socket goes with it.
///
/// Dropping it lets replies that are ready go out, for at most a second.
#[derive(Debug)]
pub struct Server {
    /// Its other end becomes readable when this one is dropped.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    seats: Arc<Seats>,
}

/// How long a stop waits for replies on their way.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long to leave a socket alone that cannot accept, as when there are no descriptors left.
const RESPITE: u16 = 100;

impl Server {
    /// Starts to serve. `hand_over` takes each [`Call`] to the daemon's main loop, as by `try_send` into a channel; it
    /// must not wait. There are never more calls than connections, and a call that is dropped is answered "busy".
    ///
    /// # Errors
    /// When the system has no thread or descriptor left.
    pub fn start(
        listener: Listener,
        limits: ServerLimits,
        hand_over: impl Fn(Call) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        listener.socket.set_nonblocking(true)?;
        let (stop, stopped) = UnixStream::pair()?;
        let seats = Seats::new(limits);
        let shared =
            Arc::new(ServerState { seats: Arc::clone(&seats), limits, hand_over: Box::new(hand_over) });
        let thread = thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || accept_until(&stopped, &listener, &shared))?;
        Ok(Self { stop: Some(stop), thread: Some(thread), seats })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported where it happened; here is only to stop.
            let _ = thread.join();
        }
        self.seats.stop_listening();
        self.seats.wait_until_empty(FAREWELL);
    }
}

fn accept_until(stopped: &UnixStream, listener: &Listener, shared: &Arc<ServerState>) {
    while wait_for(stopped, Some(listener), PollTimeout::NONE) {
        match listener.socket.accept() {
            Ok((stream, _)) => shared.receive(stream, listener),
            Err(error) if is_passing(error.kind()) || has_gone(error.kind()) => {}
            // Out of descriptors, most of all: the socket stays readable, and asking again at once would spin.
            Err(_) if wait_for(stopped, None, PollTimeout::from(RESPITE)) => {}
            Err(_) => return,
        }
    }
}

/// The peer has gone again before it was accepted.
fn has_gone(kind: ErrorKind) -> bool {
    kind == ErrorKind::ConnectionAborted
}

/// Waits until somebody connects or time is up; `false` when it is time to stop.
fn wait_for(stopped: &UnixStream, listener: Option<&Listener>, patience: PollTimeout) -> bool {
    let mut all = vec![PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
    all.extend(listener.map(|listener| PollFd::new(listener.socket.as_fd(), PollFlags::POLLIN)));
    // A signal is no reason to stop, and what follows looks again anyway.
    let _ = poll(&mut all, patience);
    !all[0].any().unwrap_or(true)
}

/// The state that all connections share.
struct ServerState {
    seats: Arc<Seats>,
    limits: ServerLimits,
    hand_over: Box<dyn Fn(Call) + Send + Sync>,
}

impl ServerState {
    fn receive(self: &Arc<Self>, stream: UnixStream, listener: &Listener) {
        let stream = Arc::new(stream);
        let Ok(peer) = PeerProcess::of(&stream) else { return };
        let rights = listener.access.rights(peer);
        if rights == Rights::None {
            return turn_away(&stream, not_permitted(peer));
        }
        let Some(seat) = self.seats.take(peer, rights, &stream) else {
            return turn_away(&stream, crowded());
        };
        let (shared, visitor) = (Arc::clone(self), Arc::clone(&stream));
        let thread = thread::Builder::new().name("control peer".to_owned());
        if thread.spawn(move || shared.serve(&visitor, peer, rights, &Arc::new(seat))).is_err() {
            turn_away(&stream, crowded());
        }
    }

    fn serve(&self, stream: &UnixStream, peer: PeerProcess, rights: Rights, seat: &Arc<Seat>) {
        // BSDs give an accepted socket the listener's O_NONBLOCK, Linux does not.
        if stream.set_nonblocking(false).is_err() {
            return;
        }
        let reply = match self.hear(stream, rights) {
            Ok(request) if rights.allow(&request) => self.ask(request, peer, Arc::clone(seat)),
            Ok(_) => Err(not_permitted(peer)),
            Err(Unheard::Refused(refusal)) => Err(refusal),
            Err(Unheard::Gone) => return,
        };
        self.send(stream, &reply);
    }

    fn patience(&self) -> Patience {
        Patience { step: self.limits.pause, total: self.limits.transfer }
    }

    fn hear(&self, stream: &UnixStream, rights: Rights) -> Result<Request, Unheard> {
        let most = if rights == Rights::Change { self.limits.request } else { self.limits.reader_request };
        match read_line(&mut TimedStream::new(stream, self.patience()), most) {
            Ok(line) => read_request(&line).map_err(Unheard::Refused),
            Err(NoLine::TooLong) => Err(Unheard::Refused(too_large(most))),
            Err(NoLine::Closed { after: 1.. }) => Err(Unheard::Refused(Refusal::new(
                Code::Protocol,
                "this is not a request: it ends without a newline",
            ))),
            Err(NoLine::Failed(error)) if error.kind() == ErrorKind::TimedOut => {
                Err(Unheard::Refused(Refusal::new(Code::Protocol, "the request did not come in time")))
            }
            Err(NoLine::Closed { after: 0 } | NoLine::Failed(_)) => Err(Unheard::Gone),
        }
    }

    fn ask(&self, request: Request, peer: PeerProcess, seat: Arc<Seat>) -> Reply {
        let (call, waiting) = Call::new(request, peer, seat);
        (self.hand_over)(call);
        waiting.wait(self.limits.answer)
    }

    fn send(&self, stream: &UnixStream, reply: &Reply) {
        let mut out = BufWriter::with_capacity(64 << 10, TimedStream::new(stream, self.patience()));
        if write_reply(&mut out, reply).is_err() {
            // Whoever does not take the reply gets no more of it: not even what is left in the buffer.
            let _ = out.into_parts();
        }
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// Why there is no request.
enum Unheard {
    Refused(Refusal),
    Gone,
}

/// Says why, if that can be said without waiting: a socket that was just accepted has room for a line.
fn turn_away(stream: &UnixStream, refusal: Refusal) {
    let mut line = Vec::new();
    if write_reply(&mut line, &Err(refusal)).is_ok() && stream.set_nonblocking(true).is_ok() {
        let _ = (&*stream).write_all(&line);
    }
}

fn not_permitted(peer: PeerProcess) -> Refusal {
    let text = format!(
        "user {} may not do this: root and the daemon's own user may, and members of the group that `control: {{group: \
         …}}` names may ask `status`, `bans` and `why`",
        peer.uid
    );
    Refusal::new(Code::Permission, text)
}

fn crowded() -> Refusal {
    Refusal::new(Code::Busy, "the daemon has as many connections as it serves at a time: try again")
}

fn too_large(most: usize) -> Refusal {
    Refusal::new(
        Code::TooLarge,
        format!("the request has more than the {most} bytes that one may have: divide it"),
    )
}
