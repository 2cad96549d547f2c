//! The files that `scan` and `match` read: named, by glob, compressed, or standard input.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure, exit_for};
use crate::follow::{compressed, grouped};
use crate::record::LineBuffer;

/// Large enough that reading costs nothing beside matching, small enough to stay in the cache.
const CHUNK: usize = 256 * 1024;

/// A first piece with NUL bytes and without a single newline is no log; syslogd writes neither.
const BINARY_LOOK: usize = 4096;

/// One log: its files, oldest first. They share a name without rotation number and packing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Log {
    /// What to call it: the path of its newest file, or `-`.
    pub(super) name: String,
    pub(super) files: Vec<PathBuf>,
}

/// Resolves globs and puts the rotations of one log together. A pattern that matches nothing stays as it is, so that
/// opening it says what is missing.
pub(super) fn logs(arguments: &[PathBuf]) -> Result<Vec<Log>, Failure> {
    if arguments.is_empty() {
        return Ok(vec![Log { name: "-".into(), files: vec!["-".into()] }]);
    }
    let mut paths = Vec::new();
    for argument in arguments {
        paths.extend(expanded(argument)?);
    }
    let groups = grouped(&paths);
    Ok(groups.into_iter().map(|files| Log { name: newest(&files), files }).collect())
}

fn newest(files: &[PathBuf]) -> String {
    files.last().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}

fn expanded(argument: &Path) -> Result<Vec<PathBuf>, Failure> {
    let text = argument.to_string_lossy();
    if argument.exists() || !text.contains(['*', '?', '[']) {
        return Ok(vec![argument.to_owned()]);
    }
    let paths = glob::glob(&text).map_err(|error| {
        Failure::new(Exit::Usage, format!("`{text}` is not a pattern for file names: {error}"))
    })?;
    let found: Vec<PathBuf> = paths.filter_map(Result::ok).collect();
    Ok(if found.is_empty() { vec![argument.to_owned()] } else { found })
}

/// One file being read, chunk by chunk.
pub(super) struct Input {
    reader: Box<dyn Read>,
    lines: LineBuffer,
    chunk: Vec<u8>,
    /// The last whole line of the last chunk.
    tail: Vec<u8>,
    first: bool,
}

impl Input {
    /// Opens a file, unpacking it if need be; `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let opened =
            if path == Path::new("-") { Ok(Box::new(io::stdin()) as Box<dyn Read>) } else { open(path) };
        let reader = opened.map_err(|error| failure(path, &error))?;
        Ok(Self { reader, lines: LineBuffer::new(), chunk: vec![0; CHUNK], tail: Vec::new(), first: true })
    }

    /// Reads the next chunk and hands out its whole lines; `None` at the end, else the bytes read.
    pub(super) fn each_line(
        &mut self,
        path: &Path,
        mut line: impl FnMut(&[u8]),
    ) -> Result<Option<usize>, Failure> {
        let length = self.read().map_err(|error| failure(path, &error))?;
        if length == 0 {
            if let Some(last) = self.lines.finish() {
                self.tail = last.to_vec();
                line(last);
            }
            return Ok(None);
        }
        let mut chunk = &self.chunk[..length];
        if let Some(tail) = last_line(chunk) {
            self.tail.clear();
            self.tail.extend_from_slice(tail);
        }
        if std::mem::take(&mut self.first) && is_binary(chunk) {
            let text = format!("{}: this is no log but binary data; it was not read", path.display());
            return Err(Failure::new(Exit::Data, text));
        }
        while let Some(whole) = self.lines.next_line(&mut chunk) {
            line(whole);
        }
        Ok(Some(length))
    }

    /// The last line handed out, as far as it lay in one chunk.
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Lines dropped because they were too long.
    pub(super) fn dropped(&self) -> u64 {
        self.lines.dropped()
    }

    fn read(&mut self) -> io::Result<usize> {
        loop {
            match self.reader.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

fn last_line(chunk: &[u8]) -> Option<&[u8]> {
    let whole = &chunk[..memchr::memrchr(b'\n', chunk)?];
    Some(&whole[memchr::memrchr(b'\n', whole).map_or(0, |end| end + 1)..])
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let meta = fs::metadata(path)?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if meta.is_file() {
        return Ok(compressed::open(path)?);
    }
    // A pipe cannot be looked into before it is read: it is taken as it comes.
    Ok(Box::new(File::open(path)?))
}

fn is_binary(chunk: &[u8]) -> bool {
    let look = &chunk[..chunk.len().min(BINARY_LOOK)];
    look.contains(&0) && !look.contains(&b'\n')
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    let text = match error.kind() {
        io::ErrorKind::NotFound => format!("{path}: there is no such file"),
        io::ErrorKind::IsADirectory => {
            format!("{path}: this is a directory; name the files in it, as in {path}/*.log")
        }
        io::ErrorKind::PermissionDenied => {
            format!("{path}: you may not read this file; logs are often root's (try sudo or doas)")
        }
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            format!("{path}: damaged compressed data ({error}); what came before the damage was read")
        }
        _ => format!("{path}: {error}"),
    };
    Failure::new(exit_for(error), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_resolved_and_what_is_missing_keeps_its_name() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["auth.log", "auth.log.0", "auth.log.1.bz2", "maillog"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<Vec<String>> {
            let logs = logs(&[directory.path().join(pattern)]).unwrap();
            let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
            logs.iter().map(|log| log.files.iter().map(name).collect()).collect()
        };
        assert_eq!(names("auth.log*"), [["auth.log.1.bz2", "auth.log.0", "auth.log"]]);
        assert_eq!(names("m*"), [["maillog"]]);
        assert_eq!(names("nothing*"), [["nothing*"]]);
        assert_eq!(logs(&[]).unwrap()[0].name, "-");
    }

    #[test]
    fn binary_is_told_from_a_log_with_a_torn_block() {
        assert!(is_binary(&[0x7f, b'E', b'L', b'F', 0, 0]));
        assert!(!is_binary(b"Nov 22 14:38:31 gw kernel: x\n\0\0\0\0"));
        assert!(!is_binary(b"no newline yet"));
    }
}
