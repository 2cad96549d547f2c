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
use super::connections::{ConnectionLimit, ConnectionPermit, ServerLimits};
use super::peer::{PeerProcess, Rights};
use super::reply::{Code, Refusal, Reply};
use super::request::Request;
use super::socket::Listener;
use super::stream::{NoLine, Patience, TimedStream, read_line};
use super::wire::{read_request, write_reply};
use crate::files::is_passing;

/// Serves a control socket in threads of its own until it is dropped, which also removes the socket.
///
/// Dropping it lets replies that are ready go out, for at most a second.
#[derive(Debug)]
pub struct Server {
    /// Its other end becomes readable when this one is dropped.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    connections: Arc<ConnectionLimit>,
}

/// How long a stop waits for replies that are being sent.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// How long to wait before accepting again, in milliseconds, after the system refused, for instance for lack of descriptors.
const ACCEPT_PAUSE: u16 = 100;

impl Server {
    /// Starts to serve. `hand_over` passes each [`Call`] to the daemon's main loop, for instance by `try_send` into a
    /// channel; it must not block. There are never more calls than connections, and a dropped call is answered "busy".
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
        let connections = ConnectionLimit::new(limits);
        let shared = Arc::new(ServerState {
            connections: Arc::clone(&connections),
            limits,
            hand_over: Box::new(hand_over),
        });
        let thread = thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || accept_until(&stopped, &listener, &shared))?;
        Ok(Self { stop: Some(stop), thread: Some(thread), connections })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported where it happened; here is only to stop.
            let _ = thread.join();
        }
        self.connections.stop_listening();
        self.connections.wait_until_empty(SHUTDOWN_GRACE);
    }
}

fn accept_until(stopped: &UnixStream, listener: &Listener, shared: &Arc<ServerState>) {
    while wait_for(stopped, Some(listener), PollTimeout::NONE) {
        match listener.socket.accept() {
            Ok((stream, _)) => shared.receive(stream, listener),
            Err(error) if is_passing(error.kind()) || has_gone(error.kind()) => {}
            // Out of descriptors, most of all: the socket stays readable, and asking again at once would spin.
            Err(_) if wait_for(stopped, None, PollTimeout::from(ACCEPT_PAUSE)) => {}
            Err(_) => return,
        }
    }
}

/// Whether the peer closed the connection before it was accepted.
fn has_gone(kind: ErrorKind) -> bool {
    kind == ErrorKind::ConnectionAborted
}

/// Waits until a peer connects or time is up; `false` when it is time to stop.
fn wait_for(stopped: &UnixStream, listener: Option<&Listener>, timeout: PollTimeout) -> bool {
    let mut all = vec![PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
    all.extend(listener.map(|listener| PollFd::new(listener.socket.as_fd(), PollFlags::POLLIN)));
    // A signal is no reason to stop, and what follows looks again anyway.
    let _ = poll(&mut all, timeout);
    !all[0].any().unwrap_or(true)
}

/// The state that all connections share.
struct ServerState {
    connections: Arc<ConnectionLimit>,
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
        let Some(permit) = self.connections.admit(peer, rights, &stream) else {
            return turn_away(&stream, crowded());
        };
        let shared = Arc::clone(self);
        let peer_stream = Arc::clone(&stream);
        let serve = move || shared.serve(&peer_stream, peer, rights, permit);
        if thread::Builder::new().name("control peer".to_owned()).spawn(serve).is_err() {
            turn_away(&stream, crowded());
        }
    }

    fn serve(&self, stream: &UnixStream, peer: PeerProcess, rights: Rights, permit: ConnectionPermit) {
        // BSDs give an accepted socket the listener's O_NONBLOCK, Linux does not.
        if stream.set_nonblocking(false).is_err() {
            return;
        }
        // Held until the reply is sent.
        let permit = Arc::new(permit);
        let reply = match self.read(stream, rights) {
            Ok(request) if rights.allow(&request) => self.ask(request, peer, Arc::clone(&permit)),
            Ok(_) => Err(not_permitted(peer)),
            Err(NoRequest::Refused(refusal)) => Err(refusal),
            Err(NoRequest::Gone) => return,
        };
        self.send(stream, &reply);
    }

    fn patience(&self) -> Patience {
        Patience { step: self.limits.pause, total: self.limits.transfer }
    }

    fn read(&self, stream: &UnixStream, rights: Rights) -> Result<Request, NoRequest> {
        let max_bytes =
            if rights == Rights::Change { self.limits.request } else { self.limits.reader_request };
        match read_line(&mut TimedStream::new(stream, self.patience()), max_bytes) {
            Ok(line) => read_request(&line).map_err(NoRequest::Refused),
            Err(NoLine::TooLong) => Err(NoRequest::Refused(too_large(max_bytes))),
            Err(NoLine::Closed { after: 1.. }) => Err(NoRequest::Refused(Refusal::new(
                Code::Protocol,
                "this is not a request: it does not end with a newline",
            ))),
            Err(NoLine::Failed(error)) if error.kind() == ErrorKind::TimedOut => {
                Err(NoRequest::Refused(Refusal::new(Code::Protocol, "the request did not come in time")))
            }
            Err(NoLine::Closed { after: 0 } | NoLine::Failed(_)) => Err(NoRequest::Gone),
        }
    }

    fn ask(&self, request: Request, peer: PeerProcess, permit: Arc<ConnectionPermit>) -> Reply {
        let (call, waiting) = Call::new(request, peer, permit);
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
enum NoRequest {
    Refused(Refusal),
    Gone,
}

/// Sends a refusal if that does not block: a socket that was just accepted has room for a line.
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
    Refusal::new(Code::Busy, "the daemon has reached its limit of connections: try again")
}

fn too_large(max_bytes: usize) -> Refusal {
    Refusal::new(
        Code::TooLarge,
        format!("the request is longer than the limit of {max_bytes} bytes: split it"),
    )
}
