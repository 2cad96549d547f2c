//! What `contrib/` installs: scripts run against stand-ins, samples against what they promise. Needs nothing but sh.
#![allow(clippy::string_slice, reason = "offsets come from searching the same text, which is ASCII")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

mod installing;
mod measure;
mod rc_script;
mod samples;
mod unit;

/// A file of the project.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes an executable file, with its folders.
///
/// Another process does it: a file that this one has just had open for writing may still be open in a child that a
/// parallel test is about to start, and then cannot be run (ETXTBSY).
fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let write = r#"printf %s "$2" >"$1" && chmod 755 "$1""#;
    let ran = run(Command::new("sh").args(["-c", write, "sh"]).arg(path).arg(text));
    assert_eq!(ran.code, 0, "{}: {ran:?}", path.display());
}

/// What a command said and how it ended.
#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Ran {
        code: status.code().unwrap(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Every file and folder below, as `mode path`, in order.
fn tree(root: &Path) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            let end = if path.is_dir() { "/" } else { "" };
            found.push(format!("{mode:04o} /{}{end}", path.strip_prefix(root).unwrap().display()));
            if path.is_dir() {
                walk(root, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort_by_key(|line| line[5..].to_owned());
    found
}
