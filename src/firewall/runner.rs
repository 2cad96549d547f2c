//! Runs a firewall's tool: absolute path, argument vector, empty environment, no shell. Root runs none that somebody else may
//! replace.
//!
//! Standard input comes from memory while both outputs are drained, by one poll(2) loop, so neither side can block the
//! other. What is kept of the outputs is bounded. A tool that takes too long is killed with its whole process group; a
//! grandchild that keeps a pipe open does not keep us waiting.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::BackendError;
use crate::files::{exposure, is_enforced, is_passing};

/// How many bytes of standard error are kept: enough for every message, too little for a flood.
const STDERR_BOUND: usize = 64 * 1024;
/// How many bytes of standard output are kept: 200,000 IPv6 entries as nft's JSON are 10 MB.
const STDOUT_BOUND: usize = 32 * 1024 * 1024;
/// How often a child that is silent but holds its pipes open is asked whether it still lives.
const LOOK: Duration = Duration::from_millis(50);
/// How long a killed child may take to be gone before it is left to its fate.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// How much of a tool's message is quoted.
const QUOTE: usize = 300;

/// A program that may be run.
#[derive(Clone, Debug)]
pub struct Tool {
    program: PathBuf,
    timeout: Duration,
}

/// How a run ended, where the tool came to an end of its own.
#[derive(Debug)]
pub struct Finished {
    /// The exit status of the tool.
    pub code: i32,
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// The first 64 KiB of standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Whether the tool says that it did everything. Only the exit status decides, never prose.
    pub fn ok(&self) -> bool {
        self.code == 0
    }

    /// `what` failed, with the exit status and the tool's own first words.
    pub fn complaint(&self, what: &str) -> String {
        match quote(&self.stderr) {
            said if said.is_empty() => format!("{what} ended with exit status {} and no message", self.code),
            said => format!("{what} ended with exit status {}: {said}", self.code),
        }
    }

    /// Whether the tool's message has these words: to explain a failure, never to decide that it is none.
    pub fn says(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.stderr).contains(words)
    }
}

impl Tool {
    /// A program at an absolute path, which gets this long for each run.
    pub fn new(program: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self { program: program.into(), timeout }
    }

    /// The absolute path of the program.
    pub fn path(&self) -> &Path {
        &self.program
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// `Broken` when it cannot be started or somebody else may replace it, takes too long, is killed by a signal, or prints more than can be read.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> Result<Finished, BackendError> {
        let name = self.program.display();
        let mut child = self.spawn(args).map_err(|error| self.not_started(&error))?;
        let deadline = Instant::now() + self.timeout;
        let mut pipes = Pipes::of(&mut child, input);
        let outcome = pipes.pump(&mut child, deadline).and_then(|()| wait(&mut child, deadline));
        let Ok(Some(status)) = outcome else {
            kill(&mut child);
            return Err(BackendError::Broken(match outcome {
                Err(error) => format!("{name} could not be talked to: {error}"),
                Ok(_) => format!("{name} did not end within {:?} and was killed", self.timeout),
            }));
        };
        let Some(code) = status.code() else {
            let signal = status.signal().unwrap_or(0);
            return Err(BackendError::Broken(format!("{name} was ended by signal {signal}")));
        };
        if pipes.out.overflow {
            return Err(BackendError::Broken(format!("{name} printed more than {STDOUT_BOUND} bytes")));
        }
        Ok(Finished { code, stdout: pipes.out.kept, stderr: pipes.err.kept })
    }

    fn spawn<S: AsRef<OsStr>>(&self, args: &[S]) -> io::Result<Child> {
        if !self.program.is_absolute() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "its path is not absolute"));
        }
        // At each run: the program of a daemon that runs for a year may be given away meanwhile.
        if is_enforced()
            && let Some(exposure) = exposure(&self.program)?
        {
            return Err(io::Error::other(exposure));
        }
        Command::new(&self.program)
            .args(args)
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    fn not_started(&self, error: &io::Error) -> BackendError {
        BackendError::Broken(format!("{} cannot be run: {error}", self.program.display()))
    }
}

/// The first message of a tool on one line, without what only looks like one.
///
/// pfctl prints two lines about ALTQ that mean nothing; other bytes than printable ASCII never reach our log.
fn quote(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let noise = |line: &&str| !line.trim().is_empty() && !line.contains("ALTQ");
    let printable = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let lines: Vec<&str> = text.lines().filter(noise).take(3).map(str::trim).collect();
    lines.join("; ").chars().map(printable).take(QUOTE).collect()
}

/// Waits for the child itself; `None` when the time is up.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    // The pipes usually close microseconds before the process is gone.
    let mut pause = Duration::from_micros(50);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Ends the child and all it started that stayed in its process group.
fn kill(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // It may be gone by now, which is what we want.
        let _gone = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    // A process that the kernel holds is left behind rather than waited for.
    let _status = wait(child, Instant::now() + LAST_WAIT);
}

/// Bytes read from a pipe, up to a bound; the rest is read and forgotten, so that the writer never blocks.
#[derive(Debug)]
struct Capture {
    kept: Vec<u8>,
    bound: usize,
    overflow: bool,
}

impl Capture {
    fn new(bound: usize) -> Self {
        Self { kept: Vec::new(), bound, overflow: false }
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = self.bound - self.kept.len();
        let (keep, lost) = bytes.split_at(room.min(bytes.len()));
        self.kept.extend_from_slice(keep);
        self.overflow |= !lost.is_empty();
    }
}

/// Our ends of the child's three pipes; `None` once closed.
struct Pipes<'a> {
    stdin: Option<ChildStdin>,
    input: &'a [u8],
    stdout: Option<ChildStdout>,
    out: Capture,
    stderr: Option<ChildStderr>,
    err: Capture,
}

impl<'a> Pipes<'a> {
    fn of(child: &mut Child, input: &'a [u8]) -> Self {
        Self {
            stdin: child.stdin.take().filter(|_| !input.is_empty()),
            input,
            stdout: child.stdout.take(),
            out: Capture::new(STDOUT_BOUND),
            stderr: child.stderr.take(),
            err: Capture::new(STDERR_BOUND),
        }
    }

    /// Feeds and drains until all is closed, the child is gone, or the time is up (which `wait` will notice).
    fn pump(&mut self, child: &mut Child, deadline: Instant) -> io::Result<()> {
        if let Some(stdin) = &self.stdin {
            fcntl(stdin.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let mut buffer = vec![0; 64 * 1024];
        let mut gone = false;
        while self.stdin.is_some() || self.stdout.is_some() || self.stderr.is_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = if gone { Duration::ZERO } else { left.min(LOOK) };
            let ready = self.ready(patience)?;
            let silent = ready == [false; 3];
            // One more look after the child has gone: it may have written between our last look and its end.
            if left.is_zero() || gone && silent {
                break;
            }
            gone = gone || silent && child.try_wait()?.is_some();
            self.serve(ready, &mut buffer)?;
        }
        Ok(())
    }

    /// Whether stdin, stdout and stderr can be served now.
    fn ready(&self, patience: Duration) -> io::Result<[bool; 3]> {
        let ends = [
            self.stdin.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)),
            self.stdout.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)),
            self.stderr.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)),
        ];
        let mut open: Vec<PollFd<'_>> = ends.iter().flatten().cloned().collect();
        let millis = u16::try_from(patience.as_millis()).unwrap_or(u16::MAX);
        match poll(&mut open, PollTimeout::from(millis)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut answers = open.iter().map(|end| end.any().unwrap_or(false));
        Ok(ends.map(|end| end.is_some() && answers.next().unwrap_or(false)))
    }

    fn serve(&mut self, [stdin, stdout, stderr]: [bool; 3], buffer: &mut [u8]) -> io::Result<()> {
        if stdin {
            self.feed()?;
        }
        if stdout && !drain(&mut self.stdout, &mut self.out, buffer)? {
            self.stdout = None;
        }
        if stderr && !drain(&mut self.stderr, &mut self.err, buffer)? {
            self.stderr = None;
        }
        Ok(())
    }

    fn feed(&mut self) -> io::Result<()> {
        let Some(stdin) = &mut self.stdin else { return Ok(()) };
        match stdin.write(self.input) {
            Ok(written) => self.input = self.input.get(written..).unwrap_or_default(),
            Err(error) if is_passing(error.kind()) => {}
            // The tool does not want to read on; its exit status will say whether that was well.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.input = &[],
            Err(error) => return Err(error),
        }
        if self.input.is_empty() {
            self.stdin = None;
        }
        Ok(())
    }
}

/// Reads what is there; false at the end.
fn drain(pipe: &mut Option<impl Read>, into: &mut Capture, buffer: &mut [u8]) -> io::Result<bool> {
    let Some(pipe) = pipe else { return Ok(false) };
    match pipe.read(buffer) {
        Ok(read) => {
            into.take(buffer.get(..read).unwrap_or_default());
            Ok(read > 0)
        }
        Err(error) if is_passing(error.kind()) => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, input: &[u8], timeout: Duration) -> Result<Finished, BackendError> {
        Tool::new("/bin/sh", timeout).run(&["-c", script], input)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_megabyte_goes_in_while_two_come_out() {
        let input = vec![b'x'; 1 << 20];
        let run = sh("tee /dev/stderr", &input, LONG).unwrap();
        assert_eq!((run.code, run.stdout.len(), run.stderr.len()), (0, 1 << 20, STDERR_BOUND));
    }

    #[test]
    fn a_tool_that_does_not_read_is_judged_by_its_exit_status() {
        let input = vec![b'x'; 1 << 20];
        assert!(sh("exec 0<&-; exit 0", &input, LONG).unwrap().ok());
        assert_eq!(sh("exit 3", &input, LONG).unwrap().code, 3);
    }

    #[test]
    fn a_tool_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        // On a busy machine the shell may be killed before it wrote anything.
        let mut timeouts = [300, 3_000, 30_000].map(Duration::from_millis).into_iter();
        let pid = timeouts.find_map(|timeout| {
            let failure = sh(&script, b"", timeout).unwrap_err();
            assert_eq!(failure.to_string(), format!("/bin/sh did not end within {timeout:?} and was killed"));
            std::fs::read_to_string(&file).ok()?.trim().parse().ok()
        });
        let pid = pid.expect("the shell writes within 30 seconds");
        let gone = |_| {
            thread::sleep(Duration::from_millis(10));
            // A zombie whose new parent has not come round yet is as dead as one can be.
            nix::sys::signal::kill(Pid::from_raw(pid), None).is_err()
                || std::fs::read_to_string(format!("/proc/{pid}/stat"))
                    .is_ok_and(|stat| stat.contains(") Z "))
        };
        assert!((0..500).any(gone), "the sleep is still there");
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipes_does_not_keep_us() {
        let run = sh("sleep 20 & echo done", b"", LONG).unwrap();
        assert_eq!((run.code, run.stdout.as_slice()), (0, b"done\n".as_slice()));
    }

    #[test]
    fn output_beyond_the_bound_is_a_failure_and_not_a_short_list() {
        let failure = sh("exec head -c 40000000 /dev/zero", b"", LONG).unwrap_err();
        assert_eq!(failure.to_string(), "/bin/sh printed more than 33554432 bytes");
    }

    #[test]
    fn nothing_of_our_environment_reaches_the_tool() {
        let run = Tool::new("/usr/bin/env", LONG).run::<&str>(&[], b"").unwrap();
        let mut lines: Vec<&str> = std::str::from_utf8(&run.stdout).unwrap().lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["LC_ALL=C", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"]);
    }

    #[test]
    fn an_argument_is_never_read_by_a_shell() {
        let run = Tool::new("/bin/echo", LONG).run(&["$(id); `id` > /tmp/x"], b"").unwrap();
        assert_eq!(run.stdout, b"$(id); `id` > /tmp/x\n");
    }

    #[test]
    fn what_cannot_be_started_is_named() {
        let missing = Tool::new("/nonexistent/pfctl", LONG).run(&["-s"], b"").unwrap_err().to_string();
        assert!(missing.starts_with("/nonexistent/pfctl cannot be run: No such file"), "{missing}");
        let relative = Tool::new("pfctl", LONG).run(&["-s"], b"").unwrap_err().to_string();
        assert_eq!(relative, "pfctl cannot be run: its path is not absolute");
        let killed = sh("kill -9 $$", b"", LONG).unwrap_err().to_string();
        assert_eq!(killed, "/bin/sh was ended by signal 9");
    }

    #[test]
    fn a_complaint_quotes_the_tool_without_its_noise_and_on_one_line() {
        let script = "echo 'No ALTQ support in kernel' >&2; echo 'ALTQ related functions disabled' >&2
            printf 'pfctl: bad\\033[31m\\nsecond\\n' >&2; exit 255";
        let run = sh(script, b"", LONG).unwrap();
        assert_eq!(
            run.complaint("pfctl add"),
            "pfctl add ended with exit status 255: pfctl: bad?[31m; second"
        );
        let silent = sh("exit 1", b"", LONG).unwrap();
        assert_eq!(silent.complaint("x"), "x ended with exit status 1 and no message");
    }
}
