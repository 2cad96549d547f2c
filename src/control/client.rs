//! The client's end: connects, sends a request, and explains failures in a sentence.

use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use thiserror::Error;

use super::reply::{Answer, Code, Refusal};
use super::request::Request;
use super::stream::{NoLine, Patience, TimedStream, dial, read_line};
use super::wire::{InvalidReply, VERSION, read_reply, request_line};

/// The longest reply, in bytes: that of some 300,000 bans. A longer one is an error; none is truncated.
const MAX_REPLY_BYTES: usize = 64 << 20;

/// How long to wait for a daemon that does not accept connections, for instance after a SIGSTOP.
const CONNECT: Duration = Duration::from_secs(5);

/// Longer than a daemon takes by its [`super::ServerLimits`] before it answers that it is busy.
const PATIENCE: Patience = Patience { step: Duration::from_secs(100), total: Duration::from_secs(180) };

const START: &str =
    if cfg!(target_os = "linux") { "systemctl start portcullis" } else { "service portcullis start" };
const RESTART: &str =
    if cfg!(target_os = "linux") { "systemctl restart portcullis" } else { "service portcullis restart" };

/// Why there is no answer: a sentence for the operator. Programs use [`ClientError::kind`].
#[derive(Debug, Error)]
pub enum ClientError {
    /// There is no file at the path of the socket.
    #[error("the daemon does not run: there is nothing at {0}; start it with `{START}`")]
    Nothing(PathBuf),
    /// There is a socket on which nobody listens.
    #[error("the daemon does not run: it left {0} behind and nobody listens there; start it with `{START}`")]
    Dead(PathBuf),
    /// The file at the path is not a socket.
    #[error("{path} is {what}, not a socket: name the one of `control: {{socket: PATH}}`")]
    NoSocket {
        /// The path that was named.
        path: PathBuf,
        /// The kind of file that is there.
        what: &'static str,
    },
    /// Nobody listens, but a daemon holds the database.
    #[error(
        "the daemon runs (pid {pid}), but nobody listens at {path}: it is starting, or its socket was removed; if this \
         stays, restart it with `{RESTART}`"
    )]
    Unreachable {
        /// The configured path of the socket.
        path: PathBuf,
        /// The process id of the daemon.
        pid: u32,
    },
    /// The file system denies access.
    #[error(
        "you may not use {0}: root and the daemon's own user may, and members of the group that `control: {{group: NAME}}` \
         names may ask `status`, `bans` and `why`"
    )]
    Denied(PathBuf),
    /// The daemon does not react in time.
    #[error("the daemon at {0} does not react within {1:?}: it may be stopped, or the machine overloaded")]
    Silent(PathBuf, Duration),
    /// The connection broke.
    #[error("the connection to the daemon at {path} broke: {error}")]
    Broken {
        /// The socket.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// The daemon closed the connection without an answer.
    #[error("the daemon at {0} closed the connection without an answer; it may be stopping")]
    NoAnswer(PathBuf),
    /// Another version of the protocol.
    #[error(
        "the daemon at {path} speaks version {theirs} of the control protocol and this program version {VERSION}: after \
         an update restart the daemon with `{RESTART}`"
    )]
    Version {
        /// The socket.
        path: PathBuf,
        /// The daemon's version.
        theirs: u32,
    },
    /// The received bytes are not a reply.
    #[error("{path} is not a Portcullis control socket: {what}")]
    Stranger {
        /// The socket.
        path: PathBuf,
        /// A description of what came instead.
        what: String,
    },
    /// The answer does not fit the request.
    #[error(
        "the daemon gave an unexpected answer: it may be of another version; restart it with `{RESTART}`"
    )]
    Unexpected,
    /// The daemon refused the request.
    #[error("{0}")]
    Refused(Refusal),
}

/// The kind of a failure, for the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientErrorKind {
    /// The daemon does not run: `EX_UNAVAILABLE`, 69.
    NotRunning,
    /// The user lacks the right: `EX_NOPERM`, 77.
    NoPermission,
    /// The daemon is busy: `EX_TEMPFAIL`, 75.
    Busy,
    /// Client and daemon do not understand each other: `EX_PROTOCOL`, 76.
    Protocol,
    /// The configuration has errors: `EX_CONFIG`, 78.
    Config,
    /// The request was understood and declined, or failed: 1.
    Refused,
}

impl ClientError {
    /// The kind of error, for programs.
    pub fn kind(&self) -> ClientErrorKind {
        match self {
            Self::Nothing(_)
            | Self::Dead(_)
            | Self::NoAnswer(_)
            | Self::NoSocket { .. }
            | Self::Unreachable { .. } => ClientErrorKind::NotRunning,
            Self::Denied(_) => ClientErrorKind::NoPermission,
            Self::Silent(..) => ClientErrorKind::Busy,
            Self::Broken { .. } | Self::Version { .. } | Self::Stranger { .. } | Self::Unexpected => {
                ClientErrorKind::Protocol
            }
            Self::Refused(refusal) => refusal.code.into(),
        }
    }

    /// Corrects a failure to connect: a daemon is known to run.
    #[must_use]
    pub fn though_it_runs(self, pid: u32) -> Self {
        match self {
            Self::Nothing(path) | Self::Dead(path) => Self::Unreachable { path, pid },
            other => other,
        }
    }
}

impl From<Code> for ClientErrorKind {
    fn from(code: Code) -> Self {
        match code {
            Code::Permission => Self::NoPermission,
            Code::Busy => Self::Busy,
            Code::Config => Self::Config,
            Code::Protocol | Code::Version | Code::TooLarge => Self::Protocol,
            Code::Refused | Code::Failed | Code::Unknown => Self::Refused,
        }
    }
}

/// A connection to the daemon, good for one request.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    path: PathBuf,
    patience: Patience,
}

impl Client {
    /// Connects to the daemon whose control socket is at `path`.
    ///
    /// # Errors
    /// When nobody listens there, or access is denied.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = dial(path, CONNECT).map_err(|errno| not_connected(path, errno))?;
        Ok(Self { stream, path: path.to_owned(), patience: PATIENCE })
    }

    /// Sets how long to wait without progress. The default is longer than the daemon takes to answer that it is busy.
    #[must_use]
    pub fn patience(self, step: Duration) -> Self {
        let total = PATIENCE.total.max(step);
        Self { patience: Patience { step, total }, ..self }
    }

    /// Sends the request and waits for the answer.
    ///
    /// # Errors
    /// When the daemon refuses, does not answer, or does not understand.
    pub fn ask(self, request: &Request) -> Result<Answer, ClientError> {
        let line = request_line(request).map_err(|error| self.broken(error))?;
        let mut stream = TimedStream::new(&self.stream, self.patience);
        match stream.write_all(&line) {
            // The daemon refused before it had read everything, and closed: the reply can be read.
            Err(error) if closed(error.kind()) => {}
            sent => sent.map_err(|error| self.broken(error))?,
        }
        let line = read_line(&mut stream, MAX_REPLY_BYTES).map_err(|none| self.no_line(none))?;
        match read_reply(&line) {
            Ok(reply) => reply.map_err(ClientError::Refused),
            Err(InvalidReply::Version(theirs)) => Err(ClientError::Version { path: self.path, theirs }),
            Err(InvalidReply::Junk(what)) => Err(ClientError::Stranger { path: self.path, what }),
        }
    }

    fn broken(&self, error: io::Error) -> ClientError {
        let path = self.path.clone();
        if error.kind() == ErrorKind::TimedOut {
            return ClientError::Silent(path, self.patience.step);
        }
        ClientError::Broken { path, error }
    }

    fn no_line(&self, none: NoLine) -> ClientError {
        let path = self.path.clone();
        match none {
            NoLine::Closed { after: 0 } => ClientError::NoAnswer(path),
            NoLine::Closed { after } => {
                let what = format!("the connection was cut after {after} bytes of an answer");
                ClientError::Broken { path, error: io::Error::new(ErrorKind::UnexpectedEof, what) }
            }
            NoLine::TooLong => {
                let what = format!("the answer has more than {MAX_REPLY_BYTES} bytes");
                ClientError::Stranger { path, what }
            }
            NoLine::Failed(error) if closed(error.kind()) => ClientError::NoAnswer(path),
            NoLine::Failed(error) => self.broken(error),
        }
    }
}

/// Whether the other side has closed the connection.
fn closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// Linux reports the same error for a dead socket and for a file, so the path is examined.
fn not_connected(path: &Path, errno: Errno) -> ClientError {
    if let Some(what) = other_than_a_socket(path) {
        return ClientError::NoSocket { path: path.to_owned(), what };
    }
    let path = path.to_owned();
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => ClientError::Nothing(path),
        Errno::ECONNREFUSED => ClientError::Dead(path),
        Errno::EACCES | Errno::EPERM => ClientError::Denied(path),
        Errno::EAGAIN => ClientError::Silent(path, CONNECT),
        Errno::EPROTOTYPE => {
            ClientError::Stranger { path, what: "it is a socket of another type".to_owned() }
        }
        errno => ClientError::Broken { path, error: errno.into() },
    }
}

fn other_than_a_socket(path: &Path) -> Option<&'static str> {
    let kind = path.metadata().ok()?.file_type();
    if kind.is_socket() {
        return None;
    }
    Some(if kind.is_dir() { "a directory" } else { "a file" })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};

    use super::*;

    /// A daemon that reads a line, answers with these bytes and closes.
    fn answers(with: &'static [u8]) -> ClientError {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let daemon = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            read_line(&mut stream, 1000).unwrap();
            stream.write_all(with).unwrap();
        });
        let failure = Client::connect(&path).unwrap().ask(&Request::Ping).unwrap_err();
        daemon.join().unwrap();
        failure
    }

    #[track_caller]
    fn assert_failure(failure: &ClientError, kind: ClientErrorKind, part: &str) {
        assert_eq!(failure.kind(), kind, "{failure}");
        assert!(failure.to_string().contains(part), "{failure}");
    }

    #[test]
    fn a_daemon_that_does_not_run_is_told_from_one_that_died() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("portcullis.sock");
        assert_failure(
            &Client::connect(&path).unwrap_err(),
            ClientErrorKind::NotRunning,
            "there is nothing at /",
        );
        assert_failure(
            &Client::connect(dir.path()).unwrap_err(),
            ClientErrorKind::NotRunning,
            " is a directory, not a socket",
        );
        std::fs::write(dir.path().join("file"), "").unwrap();
        let failure = Client::connect(&dir.path().join("file")).unwrap_err();
        assert_failure(&failure, ClientErrorKind::NotRunning, "/file is a file, not a socket");
        let dead = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(dead.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        assert_failure(
            &Client::connect(&path).unwrap_err(),
            ClientErrorKind::NotRunning,
            "nobody listens there",
        );
        assert_failure(
            &not_connected(&path, Errno::EACCES),
            ClientErrorKind::NoPermission,
            "you may not use /",
        );
    }

    #[test]
    fn what_is_no_reply_is_said_to_be_none() {
        assert_failure(&answers(b""), ClientErrorKind::NotRunning, "without an answer");
        assert_failure(&answers(b"{\"v\":1,"), ClientErrorKind::Protocol, "cut after 7 bytes");
        assert_failure(
            &answers(b"SSH-2.0-OpenSSH_9.9\r\n"),
            ClientErrorKind::Protocol,
            "is not a Portcullis control socket",
        );
        assert_failure(
            &answers(b"\xff\xfe\n"),
            ClientErrorKind::Protocol,
            "is not a Portcullis control socket",
        );
    }

    #[test]
    fn a_daemon_of_another_version_is_named_with_both_numbers() {
        let failure = answers(b"{\"v\":3,\"fine\":{}}\n");
        assert_failure(
            &failure,
            ClientErrorKind::Protocol,
            "speaks version 3 of the control protocol and this program version 1",
        );
    }

    #[test]
    fn refusals_arrive_as_they_were_said() {
        let failure = answers(b"{\"v\":1,\"error\":{\"code\":\"config\",\"text\":\"line 3: no\"}}\n");
        assert_failure(&failure, ClientErrorKind::Config, "line 3: no");
    }

    #[test]
    fn a_daemon_that_never_answers_is_not_waited_for_without_end() {
        let (stream, _daemon) = UnixStream::pair().unwrap();
        let client = Client { stream, path: "s".into(), patience: PATIENCE };
        let failure = client.patience(Duration::from_millis(10)).ask(&Request::Ping).unwrap_err();
        assert_failure(&failure, ClientErrorKind::Busy, "does not react within 10ms");
    }
}
