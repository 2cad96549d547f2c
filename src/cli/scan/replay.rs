//! Reads logs from their beginning. Several logs are merged by the timestamps of their lines, as the daemon would have read
//! them. One thread reads and judges; for long logs, others find hits in the lines that are to be judged next.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use indicatif::ProgressBar;

use super::block::Block;
use super::tally::Tally;
use super::workers::Workers;
use crate::cli::exit::Failure;
use crate::cli::input::{Input, Log};
use crate::pipeline::{Ahead, LineSplitter, Pipeline, Turn, When, last_line};

/// The logs to replay, and the results.
pub(super) struct Replay<'l> {
    pub(super) pipeline: Pipeline,
    pub(super) tally: Tally,
    pub(super) failures: Vec<Failure>,
    logs: Vec<LogReader<'l>>,
    /// Blocks whose memory is reused.
    spare: Vec<Block>,
    /// Started once enough was read to be worth it.
    workers: Option<Workers>,
    blocks: u64,
    bar: ProgressBar,
}

/// The number of blocks that are read before other threads help; for less there is nothing to gain.
const WORTH_WORKERS: u64 = 16;

/// The number of blocks that are read ahead, so that no thread waits: for all logs together, but at least one for each.
const READ_AHEAD: usize = 16;

/// Reads one log, file by file.
struct LogReader<'l> {
    log: &'l Log,
    files: std::slice::Iter<'l, PathBuf>,
    open: Option<(Input, &'l Path)>,
    /// Blocks that were read but not judged, in order.
    pending: VecDeque<ReadAhead>,
    /// Whether a file was opened since the last block.
    is_apart: bool,
    /// Whether a line with a timestamp was read.
    has_begun: bool,
    /// The current block, which is not fully judged, if several logs are merged.
    block: Block,
    ahead: Ahead,
}

/// A part of a log that was read but not judged.
enum ReadAhead {
    /// A worker is finding its hits.
    Sent(Receiver<Block>),
    Found(Block),
    Failed(Failure),
}

impl<'l> Replay<'l> {
    pub(super) fn new(pipeline: Pipeline, logs: &'l [Log], bar: ProgressBar) -> Self {
        let logs = logs.iter().map(LogReader::new).collect();
        Self {
            pipeline,
            tally: Tally::new(),
            failures: Vec::new(),
            logs,
            spare: Vec::new(),
            workers: None,
            blocks: 0,
            bar,
        }
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
            self.spare.push(block);
        }
    }

    /// Judges the first lines of a log one by one, up to the first with a timestamp.
    fn begin(&mut self, log: usize, block: &mut Block) {
        while !self.logs[log].has_begun {
            let Some(line) = LineSplitter::new(&block.lines()[block.judged..], None).next() else { return };
            let time = self.pipeline.stamp(log, line.text);
            let end = block.judged + line.end;
            self.logs[log].has_begun = time.is_some();
            self.tally.saw(time);
            self.judge_to(log, block, end, When::Replayed);
        }
    }

    /// Judges the lines of all logs in the order of their timestamps.
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
                // Its timestamp is not read again: after later ones it could mean the other pass of a repeated hour.
                self.judge_to(turn.log, &mut block, end, time.map_or(When::Stamped, When::At));
            }
            self.logs[turn.log].block = block;
        }
    }

    /// Makes the next line of a log available, if there is one.
    fn look_ahead(&mut self, log: usize) {
        while self.logs[log].ahead.is_empty() {
            let Some(block) = self.load(log) else { return };
            let Self { pipeline, tally, logs, .. } = self;
            let LogReader { ahead, has_begun, .. } = &mut logs[log];
            ahead.look(block.lines(), |line| {
                let time = pipeline.stamp(log, line);
                if !*has_begun {
                    tally.saw(time);
                    *has_begun = time.is_some();
                }
                time
            });
            self.look_at_end(log, &block);
            let judged = std::mem::replace(&mut self.logs[log].block, block);
            self.spare.push(judged);
        }
    }

    /// Notes the timestamp of the last line of a block.
    fn look_at_end(&mut self, log: usize, block: &Block) {
        if !block.lines().is_empty() {
            let time = self.pipeline.stamp(log, last_line(block.lines()));
            self.tally.saw(time);
        }
    }

    /// Judges the lines of a block up to a byte.
    fn judge_to(&mut self, log: usize, block: &mut Block, end: usize, when: When) {
        let hits = &block.hits.all()[block.hits_judged..];
        let is_whole = end == block.lines().len();
        let count =
            if is_whole { hits.len() } else { hits.iter().take_while(|hit| hit.end() <= end).count() };
        let hits = &hits[..count];
        let judged = self.pipeline.judge(log, block.lines(), hits, when, &mut self.tally);
        self.tally.matched += judged.known;
        self.tally.undated += judged.undated;
        block.judged = end;
        block.hits_judged += hits.len();
    }

    /// The next lines of a log with their hits; `None` at the end of the log.
    fn load(&mut self, log: usize) -> Option<Block> {
        loop {
            self.read_ahead(log);
            let block = match self.logs[log].pending.pop_front()? {
                ReadAhead::Failed(failure) => {
                    self.failures.push(failure);
                    continue;
                }
                ReadAhead::Found(block) => block,
                ReadAhead::Sent(found) => match &self.workers {
                    Some(workers) => workers.wait(&found),
                    None => found.recv().ok()?,
                },
            };
            if block.is_apart {
                self.pipeline.forget_last_line(log);
            }
            self.tally.too_long += block.dropped;
            self.tally.lines += block.hits.lines();
            return Some(block);
        }
    }

    /// Reads ahead in a log, so that other threads have work while this one judges.
    fn read_ahead(&mut self, log: usize) {
        if self.workers.is_none() && self.blocks == WORTH_WORKERS {
            self.workers = Workers::start();
        }
        let most = self.workers.as_ref().map_or(1, |_| (READ_AHEAD / self.logs.len()).max(1) + 1);
        while self.logs[log].pending.len() < most {
            let Some(pending) = self.read(log) else { return };
            self.logs[log].pending.push_back(pending);
        }
    }

    /// Reads the next lines of a log.
    fn read(&mut self, log: usize) -> Option<ReadAhead> {
        loop {
            let (mut input, path) = match self.next_input(log)? {
                Ok(open) => open,
                Err(failure) => return Some(ReadAhead::Failed(failure)),
            };
            match input.advance(path) {
                Ok(true) => {
                    let block = self.block_of(log, &mut input);
                    self.logs[log].open = Some((input, path));
                    return Some(self.find(log, block));
                }
                Ok(false) => {}
                Err(failure) => return Some(ReadAhead::Failed(failure)),
            }
        }
    }

    fn block_of(&mut self, log: usize, input: &mut Input) -> Block {
        let mut block = self.spare.pop().unwrap_or_default();
        block.at = input.lines().hand_over(&mut block.bytes);
        block.dropped = input.dropped();
        block.is_apart = std::mem::take(&mut self.logs[log].is_apart) || block.dropped > 0;
        block.judged = 0;
        block.hits_judged = 0;
        self.bar.inc(block.at.len() as u64);
        self.blocks += 1;
        block
    }

    fn find(&self, log: usize, mut block: Block) -> ReadAhead {
        let finder = self.pipeline.finder(log);
        if let Some(workers) = &self.workers {
            return ReadAhead::Sent(workers.find(finder, block));
        }
        block.find(&finder);
        ReadAhead::Found(block)
    }

    /// The open file, or else the next one.
    fn next_input(&mut self, log: usize) -> Option<Result<(Input, &'l Path), Failure>> {
        let reader = &mut self.logs[log];
        if let Some(open) = reader.open.take() {
            return Some(Ok(open));
        }
        let path = reader.files.next()?;
        reader.is_apart = true;
        Some(reader.log.open(path).map(|input| (input, path.as_path())))
    }
}

impl<'l> LogReader<'l> {
    fn new(log: &'l Log) -> Self {
        Self {
            log,
            files: log.files.iter(),
            open: None,
            pending: VecDeque::new(),
            is_apart: false,
            has_begun: false,
            block: Block::default(),
            ahead: Ahead::default(),
        }
    }
}
