//! Reading and writing lines on a socket, with limits on bytes and time.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};

/// How long one side waits for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// The longest pause between two bytes.
    pub(super) step: Duration,
    /// The longest time in all, so that a peer that sends a byte now and then does not stay for ever.
    pub(super) total: Duration,
}

/// A stream that fails with [`io::ErrorKind::TimedOut`] when its time is up.
#[derive(Debug)]
pub(super) struct TimedStream<'a> {
    stream: &'a UnixStream,
    step: Duration,
    end: Instant,
}

impl<'a> TimedStream<'a> {
    pub(super) fn new(stream: &'a UnixStream, patience: Patience) -> Self {
        Self { stream, step: patience.step, end: Instant::now() + patience.total }
    }

    fn time_left(&self) -> io::Result<Option<Duration>> {
        match self.end.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left.min(self.step))),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// The kernel says "try again" when a socket's own timeout ran out.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

impl Read for TimedStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.time_left()?)?;
        self.stream.read(buffer).map_err(timed_out)
    }
}

impl Write for TimedStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.time_left()?)?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why no line could be read.
#[derive(Debug)]
pub(super) enum NoLine {
    /// The other side closed the connection before the first byte, or in the middle.
    Closed {
        /// The number of bytes that had come.
        after: usize,
    },
    /// It is longer than allowed; the rest was not read.
    TooLong,
    /// The socket failed, or patience ended.
    Failed(io::Error),
}

/// Reads a line of at most `max_bytes` bytes. The newline is not part of it; what follows is dropped.
pub(super) fn read_line(from: &mut impl Read, max_bytes: usize) -> Result<Vec<u8>, NoLine> {
    let mut line = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => return Err(NoLine::Closed { after: line.len() }),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(NoLine::Failed(error)),
        };
        let end = memchr::memchr(b'\n', &chunk[..count]);
        line.extend_from_slice(&chunk[..end.unwrap_or(count)]);
        if line.len() > max_bytes {
            return Err(NoLine::TooLong);
        }
        if end.is_some() {
            return Ok(line);
        }
    }
}

/// Connects to a socket. While the other side does not accept, waits at most for `timeout`.
///
/// When the queue of a stopped process is full, Linux would let a connect wait for ever (`EAGAIN` after the timeout);
/// FreeBSD returns `ECONNREFUSED` at once.
pub(super) fn dial(path: &Path, timeout: Duration) -> nix::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // Zero would mean for ever.
    let millis = i64::try_from(timeout.as_millis().max(1)).unwrap_or(i64::MAX);
    setsockopt(&fd, sockopt::SendTimeout, &TimeVal::milliseconds(millis))?;
    connect(fd.as_raw_fd(), &address)?;
    Ok(UnixStream::from(fd))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what it was made with, piece by piece.
    struct Pieces(Vec<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    fn pieces(pieces: &[&str]) -> Pieces {
        Pieces(pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect())
    }

    #[test]
    fn a_line_is_put_together_from_any_pieces() {
        for split in [&["abc\n"][..], &["a", "b", "c", "\n"], &["ab", "c\nmore"]] {
            assert_eq!(read_line(&mut pieces(split), 3).unwrap(), b"abc");
        }
        assert_eq!(read_line(&mut pieces(&["\n"]), 0).unwrap(), b"");
    }

    #[test]
    fn a_line_longer_than_allowed_is_not_kept() {
        assert!(matches!(read_line(&mut pieces(&["abcd\n"]), 3), Err(NoLine::TooLong)));
        assert!(matches!(read_line(&mut pieces(&["ab", "cd", "never read"]), 3), Err(NoLine::TooLong)));
    }

    #[test]
    fn a_line_without_its_newline_is_none() {
        assert!(matches!(read_line(&mut pieces(&[]), 3), Err(NoLine::Closed { after: 0 })));
        assert!(matches!(read_line(&mut pieces(&["ab"]), 3), Err(NoLine::Closed { after: 2 })));
    }

    #[test]
    fn patience_ends_for_those_who_say_nothing_and_those_who_read_nothing() {
        let (here, _there) = UnixStream::pair().unwrap();
        let short = Patience { step: Duration::from_millis(10), total: Duration::from_secs(60) };
        let error = TimedStream::new(&here, short).read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = TimedStream::new(&here, short).write_all(&vec![0; 16 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn patience_ends_for_those_who_trickle() {
        let (here, mut there) = UnixStream::pair().unwrap();
        let trickle = Patience { step: Duration::from_secs(60), total: Duration::from_millis(20) };
        let mut timed = TimedStream::new(&here, trickle);
        let error = loop {
            // Each byte comes before it is waited for, so that only the total can end it.
            there.write_all(b"x").unwrap();
            if let Err(error) = timed.read_exact(&mut [0; 1]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_daemon_that_accepts_nobody_is_not_waited_for_without_end() {
        use nix::errno::Errno;
        use nix::sys::socket::{Backlog, bind, listen};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let stopped = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(stopped.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        listen(&stopped, Backlog::new(1).unwrap()).unwrap();
        let mut queue = Vec::new();
        let errno = loop {
            match dial(&path, Duration::from_millis(5)) {
                Ok(stream) => queue.push(stream),
                Err(errno) => break errno,
            }
            assert!(queue.len() < 100, "the queue is longer than asked for");
        };
        assert!(matches!(errno, Errno::EAGAIN | Errno::ECONNREFUSED), "{errno}");
    }
}
