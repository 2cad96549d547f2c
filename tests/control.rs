//! The control socket with real sockets, threads and users, against a daemon that only answers.

use std::io::{Read as _, Write as _};
use std::net::Ipv6Addr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use portcullis::address::{self, Prefix};
use portcullis::control::reply::{Banned, Unbanned};
use portcullis::control::{
    Access, Answer, Call, Client, ClientError, Listener, PeerProcess, Reply, Request, Server, ServerLimits,
    Unban,
};
use tempfile::TempDir;

mod hostile;
mod talking;
mod users;

/// Longer than any test takes, so that nothing here ends by a clock unless the test says so.
const NEVER: Duration = Duration::from_secs(300);

/// Limits that no slow machine reaches.
fn patient() -> ServerLimits {
    ServerLimits { pause: NEVER, transfer: NEVER, answer: NEVER, ..ServerLimits::default() }
}

/// A served control socket in a directory of its own.
struct Stand {
    // Dropped in this order: the directory last.
    _server: Server,
    path: PathBuf,
    _dir: TempDir,
}

impl Stand {
    fn new(access: Access, limits: ServerLimits, hand_over: impl Fn(Call) + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("portcullis.sock");
        let listener = Listener::bind(&path, access).unwrap();
        let server = Server::start(listener, limits, hand_over).unwrap();
        Self { _server: server, path, _dir: dir }
    }

    /// A daemon whose main loop answers everything at once.
    fn answering(limits: ServerLimits) -> Self {
        let (queue, calls) = channel();
        thread::spawn(move || main_loop(&calls));
        Self::new(Access::of_this_process(None), limits, move |call| queue.send(call).unwrap())
    }

    fn ask(&self, request: &Request) -> Result<Answer, ClientError> {
        Client::connect(&self.path)?.patience(NEVER).ask(request)
    }

    /// What comes back for these bytes; the connection stays open for writing, as with a peer that waits.
    fn say(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(&self.path).unwrap();
        // It may say no and close before it has read all.
        let _ = stream.write_all(bytes);
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        String::from_utf8(reply).unwrap()
    }
}

fn main_loop(calls: &Receiver<Call>) {
    for call in calls {
        if let Some(asked) = call.accept() {
            asked.answer.send(answer(asked.request, asked.peer));
        }
    }
}

/// What a daemon with no bans at all says.
fn answer(request: Request, _: PeerProcess) -> Reply {
    Ok(match request {
        Request::Ping | Request::Why { .. } => Answer::Pong,
        Request::Status => Answer::Status(Box::default()),
        Request::Bans => Answer::Bans(Vec::new()),
        Request::Ban { prefixes, .. } => Answer::Banned(Banned { banned: prefixes, ..Banned::default() }),
        Request::Unban(Unban::Prefixes(prefixes)) => {
            Answer::Unbanned(Unbanned { not_banned: prefixes, ..Unbanned::default() })
        }
        Request::Unban(Unban::All) => Answer::Unbanned(Unbanned::default()),
        Request::Reload => Answer::Reloaded(Default::default()),
    })
}

/// This many different IPv6 prefixes, the longest kind of text there is.
fn many(count: u32) -> Vec<Prefix> {
    let first = Ipv6Addr::from([0x2001, 0xdb8, 0xffff, 0xffff, 0xeeee, 0xeeee, 0xa000, 0]).to_bits();
    let address = |n: u32| Ipv6Addr::from_bits(first + u128::from(n)).into();
    (0..count).map(|n| address::host(address(n))).collect()
}
