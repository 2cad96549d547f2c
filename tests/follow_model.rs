//! The follower as an interpreter of random file-system actions, against a small model: nothing lost, nothing twice,
//! in order. What cannot be read by anybody (a file truncated or deleted unread) may be missing, never doubled.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use portcullis::follow::{Follower, LINE_MAX, Position, Source, Stored};
use proptest::prelude::*;
use proptest::test_runner::{FailurePersistence, FileFailurePersistence};

const QUIET: Duration = Duration::from_secs(15);
const ROTATIONS: usize = 6;
const ENDINGS: [&str; 4] = ["", ".gz", ".bz2", ".zst"];

/// What an operator, a logger and a rotator do; the number chooses one of the logs.
#[derive(Clone, Copy, Debug)]
enum Action {
    Append(usize, usize),
    AppendMany(usize),
    AppendOverlong(usize),
    Partial(usize),
    /// The logger opens its file again, creating it where it is missing.
    Reopen(usize),
    Newsyslog(usize),
    RenameAndCreate(usize),
    CopyTruncate(usize),
    Truncate(usize),
    Delete(usize),
    /// A copy takes the file's place, as editors do it.
    ReplaceByCopy(usize),
    Compress(usize, usize),
    Repoint(usize),
    Look,
    Wait,
    Stop,
    /// The program dies after one chunk was taken and its position stored.
    Crash,
    Start,
}

fn action() -> impl Strategy<Value = Action> {
    let log = 0..3usize;
    prop_oneof![
        8 => (log.clone(), 0..400usize).prop_map(|(log, size)| Action::Append(log, size)),
        1 => log.clone().prop_map(Action::AppendMany),
        1 => log.clone().prop_map(Action::AppendOverlong),
        3 => log.clone().prop_map(Action::Partial),
        2 => log.clone().prop_map(Action::Reopen),
        3 => log.clone().prop_map(Action::Newsyslog),
        2 => log.clone().prop_map(Action::RenameAndCreate),
        1 => log.clone().prop_map(Action::CopyTruncate),
        1 => log.clone().prop_map(Action::Truncate),
        1 => log.clone().prop_map(Action::Delete),
        1 => log.clone().prop_map(Action::ReplaceByCopy),
        2 => (log.clone(), 0..ROTATIONS).prop_map(|(log, n)| Action::Compress(log, n)),
        1 => log.prop_map(Action::Repoint),
        8 => Just(Action::Look),
        1 => Just(Action::Wait),
        2 => Just(Action::Stop),
        1 => Just(Action::Crash),
        3 => Just(Action::Start),
    ]
}

/// How the logs lie there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    /// One log; rotated files are numbered.
    Numbers,
    /// One log; rotated files carry the time.
    Stamps,
    /// One log behind a symlink.
    Symlink,
    /// Three logs that match a pattern and appear as they are written.
    Pattern,
}

/// A line: which file it was written to, and its number there. Both are in its text.
type Line = (usize, usize);

/// What one file holds, whatever its name.
#[derive(Default)]
struct Content {
    /// Lines that were not handed out yet.
    unread: Vec<Line>,
    /// Lines written, to number them.
    written: usize,
    /// A line of it was handed out, so that the stored position knows it by more than its inode.
    read: bool,
    /// A follower looked at it.
    met: bool,
    /// The running follower holds it open.
    open: bool,
    /// No name leads to it any more, or the follower cannot have known that there was one.
    gone: bool,
}

struct Log {
    path: PathBuf,
    /// The logger's descriptor and what it writes to.
    writer: Option<(File, usize)>,
    /// A line begun by the logger.
    partial: Option<Line>,
    at_path: Option<usize>,
    /// Newest first.
    rotated: Vec<(PathBuf, usize)>,
    /// A follower has looked since the symlink leads here.
    seen: bool,
}

struct World {
    directory: tempfile::TempDir,
    layout: Layout,
    logs: Vec<Log>,
    contents: Vec<Content>,
    /// How often each line was handed out.
    taken: BTreeMap<Line, usize>,
    /// Lines that nobody could read.
    excused: BTreeSet<Line>,
    newest: BTreeMap<usize, usize>,
    follower: Option<Follower>,
    stored: Vec<Stored>,
    now: Instant,
    names: usize,
}

impl World {
    fn new(layout: Layout) -> Self {
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
        let mut world = Self {
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
        };
        world.start();
        world.look(usize::MAX);
        world
    }

    fn run(&mut self, action: Action) {
        match action {
            Action::Append(log, size) => self.append(log, size),
            Action::AppendMany(log) => (0..60).for_each(|n| self.append(log, n * 100)),
            Action::AppendOverlong(log) => self.append_overlong(log),
            Action::Partial(log) => self.write_partial(log),
            Action::Reopen(log) => self.reopen(log),
            Action::Newsyslog(log) => self.newsyslog(log),
            Action::RenameAndCreate(log) => self.rename_and_create(log),
            Action::CopyTruncate(log) => self.copy_truncate(log),
            Action::Truncate(log) => self.truncate(log),
            Action::Delete(log) => self.delete(log),
            Action::ReplaceByCopy(log) => self.replace_by_copy(log),
            Action::Compress(log, which) => self.compress(log, which),
            Action::Repoint(log) => self.repoint(log),
            Action::Look => self.look(usize::MAX),
            Action::Wait => self.wait(),
            Action::Stop => self.stop(),
            Action::Crash => {
                self.look(1);
                self.stop();
            }
            Action::Start => self.start(),
        }
    }

    // The logger.

    fn log(&mut self, log: usize) -> &mut Log {
        let count = self.logs.len();
        &mut self.logs[log % count]
    }

    fn new_content(&mut self) -> usize {
        self.contents.push(Content::default());
        self.contents.len() - 1
    }

    fn write(&mut self, log: usize, text: &str) -> usize {
        if self.log(log).writer.is_none() {
            self.reopen(log);
        }
        let (file, content) = self.log(log).writer.as_mut().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        *content
    }

    /// The line that is being written, with the text that begins it.
    fn line(&mut self, log: usize) -> (Line, String) {
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

    fn append(&mut self, log: usize, size: usize) {
        let (line, begin) = self.line(log);
        let content = self.write(log, &format!("{begin}{} {} {}\n", "x".repeat(size), line.0, line.1));
        self.written(content, line);
    }

    fn written(&mut self, content: usize, line: Line) {
        self.taken.insert(line, 0);
        let content = &mut self.contents[content];
        content.unread.push(line);
        if content.gone && !(content.open && self.follower.is_some()) {
            self.excused.insert(line);
        }
    }

    fn append_overlong(&mut self, log: usize) {
        let ((file, number), begin) = self.line(log);
        self.write(log, &format!("{begin}{} {file} {number}\n", "x".repeat(LINE_MAX)));
    }

    fn write_partial(&mut self, log: usize) {
        let (line, begin) = self.line(log);
        self.write(log, &format!("{begin}y"));
        self.log(log).partial = Some(line);
    }

    fn reopen(&mut self, log: usize) {
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

    fn newsyslog(&mut self, log: usize) {
        let Some(old) = self.log(log).at_path else { return };
        self.excuse_unseen(log, old);
        let archived = self.make_room(log);
        let new = self.new_content();
        let temporary = self.log(log).path.with_extension("log.zAbCdEf");
        fs::hard_link(&self.log(log).path, &archived).unwrap();
        fs::write(&temporary, format!("{new} 0 logfile turned over\n")).unwrap();
        fs::rename(&temporary, &self.log(log).path).unwrap();
        self.contents[new].written = 1;
        self.written(new, (new, 0));
        self.log(log).rotated.insert(0, (archived, old));
        self.log(log).at_path = Some(new);
    }

    fn rename_and_create(&mut self, log: usize) {
        let Some(old) = self.log(log).at_path else { return };
        self.excuse_unseen(log, old);
        let archived = self.make_room(log);
        fs::rename(&self.log(log).path, &archived).unwrap();
        self.log(log).rotated.insert(0, (archived, old));
        self.log(log).at_path = None;
        self.reopen(log);
    }

    /// The name for the next rotated file; the others move up, and the last one goes.
    fn make_room(&mut self, log: usize) -> PathBuf {
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
    fn make_older(&mut self, log: usize, index: usize) {
        let (path, content) = self.log(log).rotated[index].clone();
        if self.contents[content].unread.is_empty() && !self.is_written_to(content) {
            let hours = Duration::from_secs(3600 * (index as u64 + 1));
            File::open(path).unwrap().set_modified(SystemTime::now() - hours).unwrap();
        }
    }

    fn is_written_to(&self, content: usize) -> bool {
        self.logs.iter().any(|log| log.writer.as_ref().is_some_and(|writer| writer.1 == content))
    }

    fn lose_name(&mut self, content: usize) {
        self.contents[content].gone = true;
        if !(self.contents[content].open && self.follower.is_some()) {
            self.excuse(content);
        }
    }

    fn excuse(&mut self, content: usize) {
        let unread = std::mem::take(&mut self.contents[content].unread);
        self.excused.extend(unread);
    }

    /// A pattern is looked up now and then, and a symlink tells nothing of its target until there is one: a file
    /// that comes and goes meanwhile was never known.
    fn excuse_unseen(&mut self, log: usize, content: usize) {
        let by_name = matches!(self.layout, Layout::Pattern | Layout::Symlink);
        if by_name && !self.log(log).seen {
            self.contents[content].gone = true;
            self.excuse(content);
        }
    }

    fn copy_truncate(&mut self, log: usize) {
        if self.log(log).partial.is_some() {
            self.append(log, 0);
        }
        self.look(usize::MAX);
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

    fn truncate(&mut self, log: usize) {
        let Some(content) = self.log(log).at_path else { return };
        self.excuse(content);
        self.cut_off(log, content);
    }

    fn cut_off(&mut self, log: usize, content: usize) {
        let log = self.log(log);
        OpenOptions::new().write(true).open(&log.path).unwrap().set_len(0).unwrap();
        if log.writer.as_ref().is_some_and(|writer| writer.1 == content) {
            log.partial = None;
        }
        self.contents[content].read = false;
    }

    fn delete(&mut self, log: usize) {
        let Some(content) = self.log(log).at_path.take() else { return };
        fs::remove_file(&self.log(log).path).unwrap();
        self.lose_name(content);
    }

    fn replace_by_copy(&mut self, log: usize) {
        self.look(usize::MAX);
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
        self.look(usize::MAX);
    }

    fn compress(&mut self, log: usize, which: usize) {
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

    fn repoint(&mut self, log: usize) {
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
        let (link, temporary) = (self.directory.path().join("link"), self.directory.path().join("new"));
        let log_of = self.log(log);
        (log_of.path, log_of.at_path, log_of.seen) = (target.clone(), None, false);
        log_of.rotated.clear();
        self.reopen(log);
        symlink(target, &temporary).unwrap();
        fs::rename(temporary, link).unwrap();
    }

    // The follower.

    fn start(&mut self) {
        let path = match self.layout {
            Layout::Pattern => self.directory.path().join("*.log"),
            Layout::Symlink => self.directory.path().join("link"),
            Layout::Numbers | Layout::Stamps => self.directory.path().join("0.log"),
        };
        if self.follower.is_none() {
            let source = Source { from_start: true, ..Source::files("source", path) };
            self.follower = Some(Follower::new(vec![source], self.stored.clone(), QUIET, self.now));
            self.meet();
            self.forget_missing();
        }
    }

    /// What matches a pattern no more and is read to its end is forgotten.
    fn forget_missing(&mut self) {
        for log in &mut self.logs {
            log.seen &= log.at_path.is_some();
        }
    }

    fn meet(&mut self) {
        for log in &self.logs {
            let contents = log.rotated.iter().map(|rotated| rotated.1).chain(log.at_path);
            contents.for_each(|content| self.contents[content].met = true);
        }
    }

    fn stop(&mut self) {
        self.follower = None;
        for content in 0..self.contents.len() {
            self.contents[content].open = false;
            if self.contents[content].gone {
                self.excuse(content);
            }
        }
    }

    fn wait(&mut self) {
        for log in 0..self.logs.len() {
            if self.logs[log].writer.as_ref().is_some_and(|writer| Some(writer.1) != self.logs[log].at_path) {
                (self.logs[log].writer, self.logs[log].partial) = (None, None);
            }
        }
        self.look(usize::MAX);
        self.now += QUIET + Duration::from_secs(1);
        self.look(usize::MAX);
        let at_paths: Vec<usize> = self.logs.iter().filter_map(|log| log.at_path).collect();
        for index in 0..self.logs.len() {
            (0..self.logs[index].rotated.len()).for_each(|rotated| self.make_older(index, rotated));
        }
        self.forget_missing();
        for (index, content) in self.contents.iter_mut().enumerate() {
            content.open &= at_paths.contains(&index);
        }
    }

    /// Looks until there is nothing more, or until so many chunks were taken.
    fn look(&mut self, chunks: usize) {
        let Some(mut follower) = self.follower.take() else { return };
        self.now += Duration::from_secs(1);
        let mut left = chunks;
        loop {
            let looked = follower.look(self.now, &mut |chunk| {
                self.store(&chunk.path, chunk.position.unwrap());
                self.take(chunk.bytes);
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if !looked.more || looked.stopped {
                break;
            }
        }
        self.follower = Some(follower);
        self.meet();
        if left == 0 {
            return;
        }
        for log in &mut self.logs {
            log.seen |= log.at_path.is_some();
            for content in log.rotated.iter().map(|rotated| rotated.1).chain(log.at_path) {
                self.contents[content].open |= !self.contents[content].gone;
            }
        }
    }

    fn store(&mut self, path: &str, position: &Position) {
        self.stored.retain(|stored| stored.path != path);
        let (source, path, position) = ("source".to_owned(), path.to_owned(), position.clone());
        self.stored.push(Stored { source, path, position });
    }

    fn take(&mut self, bytes: &[u8]) {
        assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "half a line");
        for text in std::str::from_utf8(bytes).unwrap().lines() {
            let mut words = text.split(' ');
            let mut number = || words.next().unwrap().parse::<usize>().unwrap();
            let line = (number(), number());
            let taken = self.taken.get_mut(&line).unwrap_or_else(|| panic!("{line:?} is not a line: {text}"));
            *taken += 1;
            assert_eq!(*taken, 1, "{line:?} came twice");
            let newest = self.newest.insert(line.0, line.1);
            assert!(newest < Some(line.1) || self.excused.contains(&line), "{line:?} came after {newest:?}");
            for content in &mut self.contents {
                content.read |= content.unread.contains(&line);
                content.unread.retain(|unread| *unread != line);
            }
        }
    }

    fn check(&mut self) {
        self.start();
        self.look(usize::MAX);
        for log in 0..self.logs.len() {
            self.reopen(log);
            self.append(log, 0);
        }
        (0..6).for_each(|_| self.look(usize::MAX));
        let lost = self.taken.iter().filter(|(line, taken)| **taken == 0 && !self.excused.contains(line));
        assert_eq!(lost.map(|(line, _)| *line).collect::<Vec<Line>>(), [], "lost");
    }
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

fn play(layout: Layout, actions: &[Action]) {
    let mut world = World::new(layout);
    for action in actions {
        world.run(*action);
    }
    world.check();
}

/// 800 scripts for each layout; more with `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let seeds = Some(Box::new(FileFailurePersistence::WithSource("seeds")) as Box<dyn FailurePersistence>);
    ProptestConfig { cases: asked.cases.max(800), failure_persistence: seeds, ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice_with_numbered_rotations(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        play(Layout::Numbers, &actions);
    }

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice_with_dated_rotations(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        play(Layout::Stamps, &actions);
    }

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice_behind_a_symlink(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        play(Layout::Symlink, &actions);
    }

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice_with_a_pattern(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        play(Layout::Pattern, &actions);
    }
}
