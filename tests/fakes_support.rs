//! Putting a fake firewall tool into a directory, and asking it afterwards what it was told.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

/// A fake in its directory; the files around it are described in `tests/fakes/common/mod.rs`.
pub(crate) struct Fake {
    dir: PathBuf,
    tool: &'static str,
}

/// One logged call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Without the program's name.
    pub(crate) argv: Vec<String>,
    /// Bytes it read; `None` when it hung.
    pub(crate) stdin: Option<u64>,
}

/// What a call printed and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

impl Fake {
    /// A fake pfctl as `DIR/pfctl`.
    pub(crate) fn pfctl(dir: &Path) -> Self {
        Self::place(dir, "pfctl")
    }

    /// A fake ipfw as `DIR/ipfw`.
    pub(crate) fn ipfw(dir: &Path) -> Self {
        Self::place(dir, "ipfw")
    }

    fn place(dir: &Path, tool: &'static str) -> Self {
        let fake = Self { dir: dir.to_path_buf(), tool };
        let _ = fs::remove_file(fake.path());
        put(tool, &fake.path());
        fake
    }

    /// The path to call it by.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join(self.tool)
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.dir.join(format!("{}.{suffix}", self.tool))
    }

    /// Sets how it behaves from now on, all lines at once: `"version 15.1\nfail 2"`.
    pub(crate) fn mode(&self, lines: &str) {
        fs::write(self.file("mode"), lines).expect("a file in the test's own directory");
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let log = fs::read_to_string(self.file("log")).unwrap_or_default();
        log.lines().map(read_call).collect()
    }

    /// What its kernel holds, as text.
    pub(crate) fn state(&self) -> String {
        fs::read_to_string(self.file("state")).unwrap_or_default()
    }

    /// Adds lines to what its kernel holds, such as `state all tcp 192.0.2.7:1 -> 192.0.2.1:22 …`.
    pub(crate) fn add_state(&self, lines: &str) {
        let old = self.state();
        fs::write(self.file("state"), format!("{old}{lines}\n")).expect("a file in the test's own directory");
    }

    /// Calls it.
    pub(crate) fn run(&self, args: &[&str], stdin: &str) -> Ended {
        let mut command = Command::new(self.path());
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the fake starts");
        let mut pipe = child.stdin.take().expect("it was asked for");
        // A tool that does not read its input closes the pipe: that is no failure.
        let _ = pipe.write_all(stdin.as_bytes());
        drop(pipe);
        let output = child.wait_with_output().expect("the fake ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("fakes print text");
        Ended { out: text(output.stdout), err: text(output.stderr), code: output.status.code().unwrap_or(-1) }
    }

    /// Calls it with nothing on standard input; the words are separated by blanks.
    pub(crate) fn words(&self, words: &str) -> Ended {
        self.run(&words.split(' ').collect::<Vec<_>>(), "")
    }
}

fn read_call(line: &str) -> Call {
    let json: serde_json::Value = serde_json::from_str(line).expect("the log is JSON");
    let words = json["argv"].as_array().expect("argv is an array").iter();
    let argv = words.map(|word| word.as_str().expect("of strings").to_owned()).collect();
    Call { argv, stdin: json["stdin"].as_u64() }
}

/// Puts a fake at a path, as a file of this user's: the way to where cargo built it may be somebody else's, as under sudo,
/// and root runs nothing that others may replace.
pub(crate) fn put(tool: &str, at: &Path) {
    put_example(&format!("fake-{tool}"), at);
}

/// The same for any example.
pub(crate) fn put_example(name: &str, at: &Path) {
    let built = built(name);
    let is_ours = built.metadata().expect("it exists").uid() == geteuid().as_raw();
    if is_ours && fs::hard_link(&built, at).is_ok() {
        return;
    }
    // By another process: one that another test is just starting may inherit what we write to, and then it cannot be run.
    let copied = Command::new("cp").args([&built, at]).status().expect("cp starts");
    assert!(copied.success(), "{} is not copied to {}", built.display(), at.display());
}

/// Where cargo puts the example, from where it put this test.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this program has a path");
    let profile = test.parent().and_then(Path::parent).expect("cargo runs tests from PROFILE/deps");
    let path = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is not built: `cargo test` does it, `cargo build --examples` too",
        path.display()
    );
    path
}
