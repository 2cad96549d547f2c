//! The files that `scan` and `match` read: named, by glob, compressed, or standard input.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure, complain, exit_for};
use super::journal_text::JournalText;
use super::text::{printable, printable_path};
use crate::files;
use crate::follow::compressed::{self, Packing};
use crate::follow::journalctl::{JournalQuery, JournalStart};
use crate::follow::{expand, grouped, is_pattern, looks_packed};
use crate::pipeline::WholeLines;
use crate::record;
use crate::settings::JOURNAL;
use crate::setup::Setup;

/// The size of a chunk in bytes: large enough that reading costs little beside matching, small enough for the cache.
const CHUNK: usize = 256 * 1024;

/// The number of bytes by which a log is distinguished from other data.
const SAMPLE: usize = 4096;

/// A log has fewer than one control character in this many bytes; random data has one in ten.
const TEXT_PER_CONTROL: usize = 32;

/// One log: its files, the oldest first, which share a name except for rotation number and compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Log {
    /// The path of its newest file, or `-`.
    pub(super) name: String,
    pub(super) files: Vec<PathBuf>,
    /// What is asked of the systemd journal, where that is the log.
    pub(super) journal: Option<(JournalQuery, JournalStart)>,
}

impl Log {
    fn of_files(name: String, files: Vec<PathBuf>) -> Self {
        Self { name, files, journal: None }
    }

    /// This machine's systemd journal, from a time on as the operator writes it.
    pub(super) fn of_this_journal(setup: &Setup, since: Option<String>) -> Self {
        let start = since.map_or(JournalStart::Beginning, JournalStart::Said);
        let journal = Some((setup.journal_query(), start));
        Self { name: JOURNAL.to_owned(), files: vec![JOURNAL.into()], journal }
    }

    /// Opens one of its files.
    pub(super) fn open(&self, path: &Path) -> Result<Input, Failure> {
        match &self.journal {
            Some((query, start)) => {
                let reader = JournalText::start(query, start).map_err(|error| {
                    Failure::new(exit_for(&error), format!("{}: {error}", query.tool.display()))
                })?;
                Ok(Input::of(Box::new(reader)))
            }
            None => Input::open(path),
        }
    }

    /// The file that its program writes to, or wrote to last.
    pub(super) fn newest(&self) -> &Path {
        self.files.last().map_or_else(|| Path::new("-"), PathBuf::as_path)
    }
}

/// Expands globs and groups the rotations of each log. A pattern that matches nothing is kept, so that opening it reports
/// what is missing.
pub(super) fn logs(arguments: &[PathBuf]) -> Result<Vec<Log>, Failure> {
    if arguments.is_empty() {
        return Ok(vec![Log::of_files("-".into(), vec!["-".into()])]);
    }
    let mut paths = Vec::new();
    for argument in arguments {
        paths.extend(expanded(argument)?);
    }
    let mut seen = HashSet::new();
    paths.retain(|path| identity(path).is_none_or(|identity| seen.insert(identity)));
    let groups = grouped(&paths).into_iter().map(|files| without_packed_twins(&files));
    Ok(groups.map(|files| Log::of_files(newest(&files), files)).collect())
}

fn newest(files: &[PathBuf]) -> String {
    files.last().map(|path| printable_path(path)).unwrap_or_default()
}

/// Identifies a file, so that one with several names is read only once.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|meta| files::identity(&meta))
}

/// Drops compressed files that also exist uncompressed: they are being compressed right now, or were with `gzip -k`.
fn without_packed_twins(files: &[PathBuf]) -> Vec<PathBuf> {
    let (twins, others): (Vec<_>, Vec<_>) = files
        .iter()
        .cloned()
        .partition(|path| looks_packed(&path.to_string_lossy()) && files.contains(&path.with_extension("")));
    for twin in &twins {
        let plain = printable_path(&twin.with_extension(""));
        complain(&format!("{}: not read, since {plain} contains the same lines", printable_path(twin)));
    }
    others
}

fn expanded(argument: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !is_pattern(argument) {
        return Ok(vec![argument.to_owned()]);
    }
    let text = argument.to_string_lossy();
    let paths = expand(&text).map_err(|error| {
        let text = printable_path(argument);
        Failure::new(Exit::Usage, format!("`{text}` is not a pattern for file names: {error}"))
    })?;
    let readable =
        |path: Result<PathBuf, String>| path.map_err(|why| complain(&printable(why.as_bytes()))).ok();
    let found: Vec<PathBuf> = paths.into_iter().filter_map(readable).collect();
    Ok(if found.is_empty() { vec![argument.to_owned()] } else { found })
}

/// A file that is read chunk by chunk.
pub(super) struct Input {
    reader: Box<dyn Read>,
    lines: WholeLines,
    /// The number of lines that were dropped before the current ones.
    dropped: u64,
    /// Whether nothing but NUL bytes was read so far.
    is_blank: bool,
    is_over: bool,
}

impl Input {
    /// Opens a file, decompressing it if need be; `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let opened = if path == Path::new("-") { Ok(standard_input()) } else { open(path) };
        let reader = opened.map_err(|error| failure(path, &error))?;
        Ok(Self::of(reader))
    }

    fn of(reader: Box<dyn Read>) -> Self {
        Self { reader, lines: WholeLines::default(), dropped: 0, is_blank: true, is_over: false }
    }

    /// Reads the next whole lines, which [`Self::lines`] then returns; false at the end of the file. The last lines may be
    /// empty, or lack their newline.
    pub(super) fn advance(&mut self, path: &Path) -> Result<bool, Failure> {
        if self.is_over {
            return Ok(false);
        }
        while !self.lines.advance() {
            if !self.read(path)? {
                self.is_over = true;
                self.lines.finish();
                break;
            }
        }
        self.dropped = self.lines.take_dropped();
        Ok(true)
    }

    /// The current lines.
    pub(super) fn lines(&mut self) -> &mut WholeLines {
        &mut self.lines
    }

    /// The number of lines before them that were dropped because they were too long.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Reads the next chunk; false at the end. The first chunk that is not blank must be of a log.
    fn read(&mut self, path: &Path) -> Result<bool, Failure> {
        let chunk = self.lines.room(CHUNK);
        let length = read_once(&mut self.reader, chunk).map_err(|error| failure(path, &error))?;
        let chunk = &chunk[..length];
        if self.is_blank && length > 0 {
            self.is_blank = chunk.iter().all(|byte| *byte == 0);
            refuse_other_data(path, chunk)?;
        }
        self.lines.add(length);
        Ok(length > 0)
    }
}

fn read_once(reader: &mut dyn Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Standard input; if it is a terminal, the user is told that it is being read.
pub(super) fn standard_input() -> Box<dyn Read> {
    let input = io::stdin();
    if input.is_terminal() {
        complain(&"reading from the terminal; end with Ctrl-D");
    }
    Box::new(input)
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let meta = fs::metadata(path)?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if meta.is_file() {
        return Ok(compressed::open(path)?);
    }
    // A pipe cannot be examined before it is read.
    Ok(Box::new(File::open(path)?))
}

/// Refuses data that is not a log: finding nothing in it must not look like "nobody attacked".
fn refuse_other_data(path: &Path, chunk: &[u8]) -> Result<(), Failure> {
    let what = if Packing::of_bytes(chunk) != Packing::Plain {
        "this is compressed data, which is decompressed only from a named file; pipe it through zcat or the like"
    } else if is_binary(chunk) {
        "this is binary data, not a log; it was not read"
    } else {
        return Ok(());
    };
    Err(Failure::new(Exit::Data, format!("{}: {what}", printable_path(path))))
}

/// Whether a chunk has too many control characters for a log. NUL bytes are ignored, since a crash or a truncated log leaves
/// blocks of them. A chunk with a line of syslog is always a log: an attacker who can write a few odd bytes must not be able
/// to hide the rest.
fn is_binary(chunk: &[u8]) -> bool {
    let begin = chunk.iter().position(|byte| *byte != 0).unwrap_or(chunk.len());
    let look = &chunk[begin..chunk.len().min(begin + SAMPLE)];
    let strange = |byte: &&u8| byte.is_ascii_control() && !matches!(byte, 0 | b'\t' | b'\n' | b'\r' | 0x1b);
    let text = look.iter().filter(|byte| **byte != 0).count();
    look.iter().filter(strange).count() * TEXT_PER_CONTROL > text
        && !look.split(|byte| *byte == b'\n').any(|line| record::parse(line).program.is_some())
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    let path = printable_path(path);
    let text = match error.kind() {
        io::ErrorKind::NotFound => format!("{path}: there is no such file"),
        io::ErrorKind::IsADirectory => {
            format!("{path}: this is a directory; name the files in it, as in {path}/*.log")
        }
        io::ErrorKind::PermissionDenied => {
            format!("{path}: you may not read this file; logs are often root's (try sudo or doas)")
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            format!(
                "{path}: damaged compressed data ({error}); not all of it could be read, and what was may be wrong"
            )
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
    fn binary_is_told_from_a_log_with_odd_bytes() {
        assert!(is_binary(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0]));
        assert!(is_binary(&[&[0; 300][..], b"\x07\x01\x02tty\n"].concat()), "a record of a login");
        assert!(!is_binary(b""));
        assert!(!is_binary(b"no newline yet"));
        assert!(!is_binary(b"Nov 22 14:38:31 gw kernel: x\n\0\0\0\0"), "a crash");
        assert!(!is_binary(&[&[0; 300][..], b"Nov 22 14:38:31 gw kernel: x\n"].concat()), "copytruncate");
        let hiding = [&[7; 300][..], b"\nNov 22 14:38:31 gw kernel: x\n"].concat();
        assert!(!is_binary(&hiding), "an attacker wrote the first line");
    }
}
