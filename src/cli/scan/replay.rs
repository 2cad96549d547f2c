//! Logs read anew from their beginning. Several are merged in the order of their lines' times, as the daemon would have read
//! them.

use std::ops::Range;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use super::tally::Tally;
use crate::cli::exit::Failure;
use crate::cli::input::{Input, Log};
use crate::pipeline::{Ahead, Hits, LineSplitter, Pipeline, Turn, When, last_line};

/// Logs being replayed, and what was found in them.
pub(super) struct Replay<'l> {
    pub(super) pipeline: Pipeline,
    pub(super) tally: Tally,
    pub(super) failures: Vec<Failure>,
    logs: Vec<LogReader<'l>>,
    bar: ProgressBar,
}

/// One log, file by file.
struct LogReader<'l> {
    files: std::slice::Iter<'l, PathBuf>,
    open: Option<(Input, &'l Path)>,
    /// Whether a line with a time was read.
    begun: bool,
    /// What was read last and is not all judged, where several logs are merged.
    block: Block,
    ahead: Ahead,
}

/// Whole lines of one file, a chunk at the most, and what was found in them.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    lines: Range<usize>,
    hits: Hits,
    /// How many bytes are judged, and how many hits.
    judged: usize,
    hits_judged: usize,
}

impl<'l> Replay<'l> {
    pub(super) fn new(pipeline: Pipeline, logs: &'l [Log], bar: ProgressBar) -> Self {
        let logs = logs.iter().map(LogReader::new).collect();
        Self { pipeline, tally: Tally::new(), failures: Vec::new(), logs, bar }
    }

    /// Reads and judges all lines of all logs.
    pub(super) fn run(&mut self) {
        if self.logs.len() == 1 {
            self.replay(0);
        } else {
            self.merge();
        }
        self.bar.finish_and_clear();
        self.tally.unread = !self.failures.is_empty();
    }

    /// Judges the lines of one log.
    fn replay(&mut self, log: usize) {
        while let Some(mut block) = self.load(log) {
            self.begin(log, &mut block);
            let end = block.lines().len();
            self.judge_to(log, &mut block, end, When::Replayed);
            self.look_at_end(log, &block);
            self.logs[log].block = block;
        }
    }

    /// Judges the first lines of a log one by one, up to the one that says when it begins.
    fn begin(&mut self, log: usize, block: &mut Block) {
        while !self.logs[log].begun {
            let Some(line) = LineSplitter::new(&block.lines()[block.judged..], None).next() else { return };
            let time = self.pipeline.stamp(log, line.text);
            let end = block.judged + line.end;
            self.logs[log].begun = time.is_some();
            self.tally.saw(time);
            self.judge_to(log, block, end, When::Replayed);
        }
    }

    /// Judges the lines of all logs in the order of their times.
    fn merge(&mut self) {
        loop {
            for log in 0..self.logs.len() {
                self.look_ahead(log);
            }
            let waiting = self.logs.iter().enumerate().filter(|(_, log)| !log.ahead.is_empty());
            let Some(turn) = Turn::next(waiting.map(|(number, log)| (log.ahead.time(), number))) else {
                return;
            };
            let mut block = std::mem::take(&mut self.logs[turn.log].block);
            while let Some((time, length)) = self.logs[turn.log].ahead.take(turn) {
                let end = block.judged + length;
                // Its stamp is not read again: after later ones it could mean another pass of a doubled hour.
                self.judge_to(turn.log, &mut block, end, time.map_or(When::Stamped, When::At));
            }
            self.logs[turn.log].block = block;
        }
    }

    /// Sees to it that the next line of a log is known, if there is one.
    fn look_ahead(&mut self, log: usize) {
        while self.logs[log].ahead.is_empty() {
            let Some(block) = self.load(log) else { return };
            let Self { pipeline, tally, logs, .. } = self;
            let LogReader { ahead, begun, .. } = &mut logs[log];
            ahead.look(block.lines(), |line| {
                let time = pipeline.stamp(log, line);
                if !*begun {
                    tally.saw(time);
                    *begun = time.is_some();
                }
                time
            });
            self.look_at_end(log, &block);
            self.logs[log].block = block;
        }
    }

    /// Takes note of the time of the last line of a block.
    fn look_at_end(&mut self, log: usize, block: &Block) {
        if !block.lines().is_empty() {
            let time = self.pipeline.stamp(log, last_line(block.lines()));
            self.tally.saw(time);
        }
    }

    /// Judges the lines of a block up to a byte.
    fn judge_to(&mut self, log: usize, block: &mut Block, end: usize, when: When) {
        let hits = &block.hits.all()[block.hits_judged..];
        let count = match end == block.lines().len() {
            true => hits.len(),
            false => hits.iter().take_while(|hit| hit.end() <= end).count(),
        };
        let hits = &hits[..count];
        let judged = self.pipeline.judge(log, block.lines(), hits, when, &mut self.tally);
        self.tally.matched += judged.known;
        self.tally.undated += judged.undated;
        block.judged = end;
        block.hits_judged += hits.len();
    }

    /// Reads the next lines of a log and finds what the rule sets know of them; nothing where the log is used up. What
    /// remembers the block before goes on in it.
    fn load(&mut self, log: usize) -> Option<Block> {
        let mut block = std::mem::take(&mut self.logs[log].block);
        (block.judged, block.hits_judged) = (0, 0);
        block.lines = self.read(log, &mut block.bytes)?;
        self.pipeline.finder(log).find(&block.bytes[block.lines.clone()], &mut block.hits);
        self.tally.lines += block.hits.lines();
        Some(block)
    }

    /// Reads the next lines of a log into the place of others, and says where they stand there.
    fn read(&mut self, log: usize, into: &mut Vec<u8>) -> Option<Range<usize>> {
        loop {
            let (mut input, path) = self.next_input(log)?;
            match input.advance(path) {
                Ok(true) => {
                    if input.dropped() > 0 {
                        self.pipeline.turn_over(log);
                    }
                    self.tally.too_long += input.dropped();
                    let lines = input.lines().hand_over(into);
                    self.bar.inc(lines.len() as u64);
                    self.logs[log].open = Some((input, path));
                    return Some(lines);
                }
                Ok(false) => {}
                Err(failure) => self.failures.push(failure),
            }
        }
    }

    /// The file being read, or the next one that can be opened.
    fn next_input(&mut self, log: usize) -> Option<(Input, &'l Path)> {
        if let Some(open) = self.logs[log].open.take() {
            return Some(open);
        }
        self.pipeline.turn_over(log);
        loop {
            let path = self.logs[log].files.next()?;
            match Input::open(path) {
                Ok(input) => return Some((input, path)),
                Err(failure) => self.failures.push(failure),
            }
        }
    }
}

impl Block {
    fn lines(&self) -> &[u8] {
        &self.bytes[self.lines.clone()]
    }
}

impl<'l> LogReader<'l> {
    fn new(log: &'l Log) -> Self {
        Self {
            files: log.files.iter(),
            open: None,
            begun: false,
            block: Block::default(),
            ahead: Ahead::default(),
        }
    }
}
