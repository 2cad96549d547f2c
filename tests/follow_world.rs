//! Logs, their loggers and their rotator in a real directory, with a small model of what can be read. The follower's
//! side is in `follow_model.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use portcullis::follow::{Follower, Stored};
use portcullis::record::MAX_LINE;

const ROTATIONS: usize = 6;
const ENDINGS: [&str; 4] = ["", ".gz", ".bz2", ".zst"];

/// How the logs lie there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Layout {
    /// One log; rotated files are numbered.
    Numbers,
    /// One log; rotated files carry the time.
    Stamps,
    /// One log behind a symlink.
    Symlink,
    /// Three logs that match a pattern and appear as they are written.
    Pattern,
}

/// How a log is written anew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rewriting {
    InPlace,
    /// Another file takes its place.
    NewFile,
    /// The same, and the old one stays under a name that no rotation gives.
    Backup,
}

/// A line: which file it was written to, and its number there. Both are in its text.
pub(crate) type Line = (usize, usize);

/// What one file holds, whatever its name.
#[derive(Default)]
pub(crate) struct Content {
    /// Lines that were not handed out yet.
    pub(crate) unread: Vec<Line>,
    /// Lines written, to number them.
    pub(crate) written: usize,
    /// A line of it was handed out, so that the stored position knows it by more than its inode.
    pub(crate) read: bool,
    /// A follower looked at it.
    pub(crate) met: bool,
    /// The running follower holds it open.
    pub(crate) open: bool,
    /// No name leads to it any more, or the follower cannot have known that there was one.
    pub(crate) gone: bool,
}

pub(crate) struct Log {
    pub(crate) path: PathBuf,
    /// The logger's descriptor and what it writes to.
    pub(crate) writer: Option<(File, usize)>,
    /// A line begun by the logger.
    pub(crate) partial: Option<Line>,
    pub(crate) at_path: Option<usize>,
    /// Newest first.
    pub(crate) rotated: Vec<(PathBuf, usize)>,
    /// A follower has looked since the symlink leads here.
    pub(crate) seen: bool,
}

pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) layout: Layout,
    pub(crate) logs: Vec<Log>,
    pub(crate) contents: Vec<Content>,
    /// How often each line was handed out.
    pub(crate) taken: BTreeMap<Line, usize>,
    /// Lines that nobody could read.
    pub(crate) excused: BTreeSet<Line>,
    pub(crate) newest: BTreeMap<usize, usize>,
    pub(crate) follower: Option<Follower>,
    pub(crate) stored: Vec<Stored>,
    pub(crate) now: Instant,
    pub(crate) names: usize,
    /// The time of day; each line is written a moment after the one before.
    pub(crate) clock: usize,
}

impl World {
    pub(crate) fn new(layout: Layout) -> Self {
        // In memory, where there is such a place: the disk has no part in this.
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let count = if layout == Layout::Pattern { 3 } else { 1 };
        let log = |index| Log {
            path: directory.path().join(format!("{index}.log")),
            writer: None,
            partial: None,
            at_path: None,
            rotated: Vec::new(),
            seen: false,
        };
        let logs = (0..count).map(log).collect();
        if layout == Layout::Symlink {
            symlink(directory.path().join("0.log"), directory.path().join("link")).unwrap();
        }
        Self {
            directory,
            layout,
            logs,
            contents: Vec::new(),
            taken: BTreeMap::new(),
            excused: BTreeSet::new(),
            newest: BTreeMap::new(),
            follower: None,
            stored: Vec::new(),
            now: Instant::now(),
            names: 0,
            clock: 0,
        }
    }

    // The logger.

    pub(crate) fn log(&mut self, log: usize) -> &mut Log {
        let count = self.logs.len();
        &mut self.logs[log % count]
    }

    pub(crate) fn new_content(&mut self) -> usize {
        self.contents.push(Content::default());
        self.contents.len() - 1
    }

    pub(crate) fn write(&mut self, log: usize, text: &str) -> usize {
        if self.log(log).writer.is_none() {
            self.reopen(log);
        }
        let (file, content) = self.log(log).writer.as_mut().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        *content
    }

    /// The line that is being written, with the text that begins it.
    pub(crate) fn line(&mut self, log: usize) -> (Line, String) {
        if let Some(line) = self.log(log).partial.take() {
            return (line, String::new());
        }
        if self.log(log).writer.is_none() {
            self.reopen(log);
        }
        let file = self.log(log).writer.as_ref().unwrap().1;
        let number = self.contents[file].written;
        self.contents[file].written += 1;
        ((file, number), format!("{file} {number} "))
    }

    fn tick(&mut self) -> usize {
        self.clock += 1;
        self.clock
    }

    pub(crate) fn append(&mut self, log: usize, size: usize) {
        let (line, begin) = self.line(log);
        let time = self.tick();
        let content = self.write(log, &format!("{begin}{} {} {} {time}\n", "x".repeat(size), line.0, line.1));
        self.written(content, line);
    }

    pub(crate) fn written(&mut self, content: usize, line: Line) {
        self.taken.insert(line, 0);
        let content = &mut self.contents[content];
        content.unread.push(line);
        if content.gone && !(content.open && self.follower.is_some()) {
            self.excused.insert(line);
        }
    }

    pub(crate) fn append_overlong(&mut self, log: usize) {
        let ((file, number), begin) = self.line(log);
        let time = self.tick();
        self.write(log, &format!("{begin}{} {file} {number} {time}\n", "x".repeat(MAX_LINE)));
    }

    pub(crate) fn write_partial(&mut self, log: usize) {
        let (line, begin) = self.line(log);
        self.write(log, &format!("{begin}y"));
        self.log(log).partial = Some(line);
    }

    pub(crate) fn reopen(&mut self, log: usize) {
        let content = match self.log(log).at_path {
            Some(content) => content,
            None => self.new_content(),
        };
        let log = self.log(log);
        let file = OpenOptions::new().append(true).create(true).open(&log.path).unwrap();
        if log.writer.as_ref().is_some_and(|writer| writer.1 != content) {
            log.partial = None;
        }
        (log.at_path, log.writer) = (Some(content), Some((file, content)));
    }

    // The rotator and the operator.

    pub(crate) fn newsyslog(&mut self, log: usize) {
        let Some(old) = self.log(log).at_path else { return };
        self.excuse_unseen(log, old);
        let archived = self.make_room(log);
        let new = self.new_content();
        let temporary = self.log(log).path.with_extension("log.zAbCdEf");
        fs::hard_link(&self.log(log).path, &archived).unwrap();
        fs::write(&temporary, format!("{new} 0 logfile turned over {}\n", self.tick())).unwrap();
        fs::rename(&temporary, &self.log(log).path).unwrap();
        self.contents[new].written = 1;
        self.written(new, (new, 0));
        // It may be older than what the logger still writes to the old file. Where that one is lost later, there is doubt
        // whether the note was read. It is no line of a program's.
        self.excused.insert((new, 0));
        self.log(log).rotated.insert(0, (archived, old));
        self.log(log).at_path = Some(new);
    }

    pub(crate) fn rename_and_create(&mut self, log: usize) {
        let Some(old) = self.log(log).at_path else { return };
        self.excuse_unseen(log, old);
        let archived = self.make_room(log);
        fs::rename(&self.log(log).path, &archived).unwrap();
        self.log(log).rotated.insert(0, (archived, old));
        self.log(log).at_path = None;
        self.reopen(log);
    }

    /// The name for the next rotated file; the others move up, and the last one goes.
    pub(crate) fn make_room(&mut self, log: usize) -> PathBuf {
        let base = self.log(log).path.to_str().unwrap().to_owned();
        while self.log(log).rotated.len() >= ROTATIONS {
            let (path, content) = self.log(log).rotated.pop().unwrap();
            fs::remove_file(path).unwrap();
            self.lose_name(content);
        }
        for index in 0..self.log(log).rotated.len() {
            self.make_older(log, index);
        }
        if self.layout == Layout::Stamps {
            self.names += 1;
            return format!("{base}.20251122T{:06}", self.names).into();
        }
        for (index, (path, _)) in self.log(log).rotated.iter_mut().enumerate().rev() {
            let ending =
                ENDINGS.iter().rev().find(|ending| path.to_str().unwrap().ends_with(*ending)).unwrap();
            let name = PathBuf::from(format!("{base}.{}{ending}", index + 1));
            fs::rename(&path, &name).unwrap();
            *path = name;
        }
        format!("{base}.0").into()
    }

    /// Rotations are hours apart, not milliseconds.
    pub(crate) fn make_older(&mut self, log: usize, index: usize) {
        let (path, content) = self.log(log).rotated[index].clone();
        if self.contents[content].unread.is_empty() && !self.is_written_to(content) {
            let hours = Duration::from_secs(3600 * (index as u64 + 1));
            File::open(path).unwrap().set_modified(SystemTime::now() - hours).unwrap();
        }
    }

    pub(crate) fn is_written_to(&self, content: usize) -> bool {
        self.logs.iter().any(|log| log.writer.as_ref().is_some_and(|writer| writer.1 == content))
    }

    pub(crate) fn lose_name(&mut self, content: usize) {
        self.contents[content].gone = true;
        if !(self.contents[content].open && self.follower.is_some()) {
            self.excuse(content);
        }
    }

    pub(crate) fn excuse(&mut self, content: usize) {
        let unread = std::mem::take(&mut self.contents[content].unread);
        self.excused.extend(unread);
    }

    /// A pattern is looked up now and then, and a symlink tells nothing of its target until there is one: a file
    /// that comes and goes meanwhile was never known.
    pub(crate) fn excuse_unseen(&mut self, log: usize, content: usize) {
        let by_name = matches!(self.layout, Layout::Pattern | Layout::Symlink);
        if by_name && !self.log(log).seen {
            self.contents[content].gone = true;
            self.excuse(content);
        }
    }

    pub(crate) fn copy_truncate(&mut self, log: usize) {
        if self.log(log).partial.is_some() {
            self.append(log, 0);
        }
        self.look_now();
        let Some(content) = self.log(log).at_path else { return };
        if !self.contents[content].read {
            self.excuse(content);
        }
        let archived = self.make_room(log);
        let copy = self.new_content();
        fs::copy(&self.log(log).path, &archived).unwrap();
        self.contents[copy].unread = std::mem::take(&mut self.contents[content].unread);
        self.log(log).rotated.insert(0, (archived, copy));
        self.cut_off(log, content);
    }

    pub(crate) fn truncate(&mut self, log: usize) {
        let Some(content) = self.log(log).at_path else { return };
        self.excuse(content);
        self.cut_off(log, content);
    }

    pub(crate) fn cut_off(&mut self, log: usize, content: usize) {
        let log = self.log(log);
        OpenOptions::new().write(true).open(&log.path).unwrap().set_len(0).unwrap();
        if log.writer.as_ref().is_some_and(|writer| writer.1 == content) {
            log.partial = None;
        }
        self.contents[content].read = false;
    }

    pub(crate) fn delete(&mut self, log: usize) {
        let Some(content) = self.log(log).at_path.take() else { return };
        fs::remove_file(&self.log(log).path).unwrap();
        self.lose_name(content);
    }

    pub(crate) fn replace_by_copy(&mut self, log: usize) {
        self.look_now();
        let Some(content) = self.log(log).at_path else { return };
        let copy = self.log(log).path.with_extension("copy");
        let log = self.log(log);
        fs::copy(&log.path, &copy).unwrap();
        fs::rename(&copy, &log.path).unwrap();
        let file = OpenOptions::new().append(true).open(&log.path).unwrap();
        match &mut log.writer {
            Some(writer) if writer.1 == content => writer.0 = file,
            _ => {}
        }
        self.look_now();
    }

    /// All lines but the first are written once more.
    pub(crate) fn rewrite(&mut self, log: usize, how: Rewriting) {
        if self.log(log).partial.is_some() {
            self.append(log, 0);
        }
        self.look_now();
        let Some(content) = self.log(log).at_path else { return };
        let path = self.log(log).path.clone();
        let text = fs::read_to_string(&path).unwrap();
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        if !self.contents[content].unread.is_empty() {
            // The first line, if nobody read it; what is known of a file of which nothing was is too little.
            self.excuse(content);
        }
        let new = path.with_extension("new");
        match how {
            Rewriting::InPlace => fs::write(&path, rest).unwrap(),
            Rewriting::NewFile => {
                fs::write(&new, rest).unwrap();
                fs::rename(&new, &path).unwrap();
            }
            Rewriting::Backup => {
                fs::rename(&path, path.with_extension("log~")).unwrap();
                fs::write(&path, rest).unwrap();
            }
        }
        // An empty file is known by its inode alone.
        self.contents[content].read &= !rest.is_empty();
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        match &mut self.log(log).writer {
            Some(writer) if writer.1 == content => writer.0 = file,
            _ => {}
        }
        self.look_now();
    }

    /// Half of the file is gone, as far as whole lines go.
    pub(crate) fn lose_end(&mut self, log: usize) {
        let Some(content) = self.log(log).at_path else { return };
        let path = self.log(log).path.clone();
        let text = fs::read_to_string(&path).unwrap();
        let mut half = 0;
        let mut lost = BTreeSet::new();
        for line in text.split_inclusive('\n') {
            if 2 * half < text.len() && line.ends_with('\n') {
                half += line.len();
            } else {
                lost.extend(line_of(line));
            }
        }
        OpenOptions::new().write(true).open(&path).unwrap().set_len(half as u64).unwrap();
        let log = self.log(log);
        if log.writer.as_ref().is_some_and(|writer| writer.1 == content) {
            log.partial = None;
        }
        let (unreadable, left) = std::mem::take(&mut self.contents[content].unread)
            .into_iter()
            .partition(|line| lost.contains(line));
        self.contents[content].unread = left;
        let unreadable: Vec<Line> = unreadable;
        self.excused.extend(unreadable);
    }

    pub(crate) fn compress(&mut self, log: usize, which: usize) {
        let Some((path, content)) = self.log(log).rotated.get(which).cloned() else { return };
        // A line begun and rotated away, finished while nobody looked, and packed: there is nothing to know it by.
        let nameless = self.contents[content].met && !self.contents[content].read;
        if nameless
            || self.is_written_to(content)
            || ENDINGS[1..].iter().any(|e| path.to_str().unwrap().ends_with(e))
        {
            return;
        }
        let ending = ENDINGS[1 + which % 3];
        let packed = PathBuf::from(format!("{}{ending}", path.display()));
        let text = fs::read(&path).unwrap();
        fs::write(&packed, pack(&text, ending)).unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        File::open(&packed).unwrap().set_modified(modified).unwrap();
        fs::remove_file(&path).unwrap();
        self.log(log).rotated[which].0 = packed;
    }

    pub(crate) fn repoint(&mut self, log: usize) {
        if self.layout != Layout::Symlink {
            return;
        }
        if !self.log(log).seen {
            let contents = self.logs[0].rotated.iter().map(|rotated| rotated.1);
            let contents: Vec<usize> = contents.chain(self.logs[0].at_path).collect();
            contents.into_iter().for_each(|content| self.excuse(content));
        }
        self.names += 1;
        let target = self.directory.path().join(format!("{}.log", self.names));
        let link = self.directory.path().join("link");
        let temporary = self.directory.path().join("new");
        let log_of = self.log(log);
        (log_of.path, log_of.at_path, log_of.seen) = (target.clone(), None, false);
        log_of.rotated.clear();
        self.reopen(log);
        symlink(target, &temporary).unwrap();
        fs::rename(temporary, link).unwrap();
    }
}

/// Which line a text is.
fn line_of(text: &str) -> Option<Line> {
    let mut words = text.split(' ').map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

fn pack(text: &[u8], ending: &str) -> Vec<u8> {
    let mut packed = Vec::new();
    match ending {
        ".gz" => {
            flate2::read::GzEncoder::new(text, flate2::Compression::fast()).read_to_end(&mut packed).unwrap()
        }
        ".bz2" => {
            bzip2::read::BzEncoder::new(text, bzip2::Compression::fast()).read_to_end(&mut packed).unwrap()
        }
        _ => {
            packed = ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest);
            packed.len()
        }
    };
    packed
}
