//! The real program, run in a folder of its own: what it prints and how it ends.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A fresh folder, which is the working directory of the commands started in it.
pub(crate) struct Dir {
    home: TempDir,
}

/// A command that has not been started.
pub(crate) struct Portcullis {
    command: Command,
    input: Vec<u8>,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Dir {
    pub(crate) fn new() -> Self {
        Self { home: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// `portcullis` with these arguments, in UTC unless another `TZ` is set.
    pub(crate) fn portcullis(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Portcullis {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        // The tests themselves may be run by a unit.
        command.env_remove("INVOCATION_ID");
        command.args(arguments).current_dir(self.path()).env("TZ", "UTC");
        Portcullis { command, input: Vec::new() }
    }

    /// Runs a line of shell in the folder, with the program as `$PORTCULLIS`.
    pub(crate) fn shell(&self, line: &str) -> Ran {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(self.path());
        command.env("TZ", "UTC").env("PORTCULLIS", env!("CARGO_BIN_EXE_portcullis"));
        Portcullis { command, input: Vec::new() }.run()
    }
}

impl Portcullis {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.input = bytes.as_ref().to_vec();
        self
    }

    pub(crate) fn run(mut self) -> Ran {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = self.input;
        // Another thread: a program that prints while it reads would wait for us. It may also not read to the end.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ran {
            code: output.status.code().expect("it ended by itself"),
            out: String::from_utf8(output.stdout).expect("its output is UTF-8"),
            err: String::from_utf8(output.stderr).expect("its errors are UTF-8"),
        }
    }

    /// What it prints when all goes well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        let ran = self.run();
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
        ran.out
    }

    /// The same as one JSON value.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }
}

impl Ran {
    /// The JSON values of its lines.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    pub(crate) fn assert(&self, code: i32, error: &str) {
        assert_eq!(self.code, code, "{self:#?}");
        assert!(self.err.contains(error), "{self:#?}");
    }
}

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The log of 34 lines that somebody asked about: FreeBSD's kernel and a peer that may not be who it says.
pub(crate) fn thread_log() -> PathBuf {
    project("tests/data/syncache-thread.log")
}

/// One failed password a line, each in a session of its own, at these seconds after 2026-01-10 10:00 UTC.
pub(crate) fn failures(address: &str, seconds: impl IntoIterator<Item = u32>) -> String {
    let line = |second: u32| {
        let hour = 10 + second / 3600;
        let minute = second / 60 % 60;
        let second = second % 60;
        let pid = hour * 3600 + minute * 60 + second;
        format!(
            "2026-01-10T{hour:02}:{minute:02}:{second:02}+00:00 gw sshd[{pid}]: Failed password for root from {address} \
             port 40022 ssh2\n"
        )
    };
    seconds.into_iter().map(line).collect()
}
