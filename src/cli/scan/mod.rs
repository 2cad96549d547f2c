//! `portcullis scan`: logs replayed on their own clock through the same pipeline that the daemon asks.

mod report;
mod spared;
mod tally;
mod timeline;

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use self::tally::Tally;
use super::args::ScanArgs;
use super::asked;
use super::exit::{Exit, Failure, complain};
use super::input::{Input, Log, Part, logs};
use crate::pipeline::{Pipeline, Terms, When};
use crate::rules::Names;
use crate::time::Time;

/// Files smaller than this are read before a bar could be seen.
const WORTH_A_BAR: u64 = 32 << 20;

/// Bans are dropped this long after they end: lines are not quite in order, and the engine knows which bans are over.
const DISORDER: Duration = Duration::from_secs(3600);

/// Runs the command; the exit status is that of the first file that could not be read, all others being read.
pub(super) fn run(arguments: &ScanArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let logs = logs(&arguments.files)?;
    let mut setup = asked::setup(&arguments.config, &arguments.trial)?;
    let terms: Vec<Terms> = logs.iter().map(|log| setup.terms_of_file(log.newest())).collect();
    let mut pipeline = setup.pipeline(&terms);
    pipeline.engine.keep_no_journal();
    let scan = Replay::new(pipeline, &logs);
    let (tally, pipeline, failures) = scan.run();
    failures.iter().for_each(complain);
    if arguments.json {
        report::json(out, &setup, &pipeline, &tally)?;
    } else {
        report::text(out, &setup, &pipeline, &tally, &logs, arguments.top)?;
    }
    Ok(failures.first().map_or(Exit::Ok, |failure| failure.exit))
}

/// Logs being replayed: several are merged in the order of their lines' times, as the daemon would have read them.
struct Replay<'l> {
    pipeline: Pipeline,
    tally: Tally,
    streams: Vec<Stream<'l>>,
    failures: Vec<Failure>,
    bar: ProgressBar,
}

/// One log, file by file.
struct Stream<'l> {
    files: std::slice::Iter<'l, PathBuf>,
    open: Option<(Input, &'l Path)>,
    /// Whether a line with a time was read.
    begun: bool,
    /// The time of the last line that was queued, or else judged, and had one.
    time: Option<Time>,
    queue: Queue,
}

/// Lines read but not judged, since another log is further behind; a chunk of them at the most.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    /// Where each stands and when it was written; no place where lines were dropped.
    lines: VecDeque<(Option<Time>, Option<Range<usize>>)>,
}

impl<'l> Replay<'l> {
    fn new(pipeline: Pipeline, logs: &'l [Log]) -> Self {
        let streams = logs.iter().map(|log| Stream::new(&log.files)).collect();
        Self { pipeline, tally: Tally::new(), streams, failures: Vec::new(), bar: bar(logs) }
    }

    fn run(mut self) -> (Tally, Pipeline, Vec<Failure>) {
        match self.streams.len() {
            1 => while self.read(0, Self::judge_part) {},
            _ => self.merge(),
        }
        self.bar.finish_and_clear();
        self.tally.unread = !self.failures.is_empty();
        (self.tally, self.pipeline, self.failures)
    }

    /// Judges the lines of all logs in the order of their times.
    fn merge(&mut self) {
        loop {
            for source in 0..self.streams.len() {
                while self.streams[source].queue.lines.is_empty() && self.read(source, Self::enqueue) {}
            }
            let waiting =
                self.streams.iter().enumerate().filter_map(|(source, stream)| {
                    stream.queue.lines.front().map(|(time, _)| (*time, source))
                });
            let Some((_, source)) = waiting.min() else { return };
            let mut queue = std::mem::take(&mut self.streams[source].queue);
            match queue.lines.pop_front() {
                Some((time, Some(line))) => {
                    // Its stamp is not read again: after later ones it could mean another pass of a doubled hour.
                    self.judge(source, &queue.bytes[line], time.map_or(When::Stamped(None), When::At));
                }
                Some((_, None)) => self.pipeline.turn_over(source),
                None => {}
            }
            self.streams[source].queue = queue;
        }
    }

    /// Hands the lines of one log's next chunk to `each`; false when the log is used up.
    fn read(&mut self, source: usize, each: fn(&mut Self, usize, &Part<'_>)) -> bool {
        let Some((mut input, path)) = self.next_input(source) else { return false };
        self.streams[source].queue.bytes.clear();
        let names = self.names(source);
        let read = input.each_line(path, names, |part| each(self, source, &part));
        self.tally.saw(self.pipeline.stamp(source, input.tail()));
        if let Ok(Some(length)) = read {
            self.bar.inc(length as u64);
            self.streams[source].open = Some((input, path));
            return true;
        }
        self.tally.too_long += input.dropped();
        self.failures.extend(read.err());
        true
    }

    /// What lines of interest hold. Where a log begins, its first stamp is of interest, and where several are merged, all.
    fn names(&self, source: usize) -> Option<Names> {
        let is_merged = self.streams.len() > 1;
        (!is_merged && self.streams[source].begun).then(|| self.pipeline.names(source)).flatten()
    }

    /// The file being read, or the next one that can be opened.
    fn next_input(&mut self, source: usize) -> Option<(Input, &'l Path)> {
        if let Some(open) = self.streams[source].open.take() {
            return Some(open);
        }
        self.pipeline.turn_over(source);
        loop {
            let path = self.streams[source].files.next()?;
            match Input::open(path) {
                Ok(input) => return Some((input, path)),
                Err(failure) => self.failures.push(failure),
            }
        }
    }

    fn enqueue(&mut self, source: usize, part: &Part<'_>) {
        let Part::Line(_, line) = *part else {
            let stream = &mut self.streams[source];
            return stream.queue.lines.push_back((stream.time, None));
        };
        let stamp = self.stamp(source, line);
        let stream = &mut self.streams[source];
        stream.time = stamp.or(stream.time);
        let start = stream.queue.bytes.len();
        stream.queue.bytes.extend_from_slice(line);
        stream.queue.lines.push_back((stream.time, Some(start..start + line.len())));
    }

    /// The time in a line's stamp; the first of a log is where it begins.
    fn stamp(&mut self, source: usize, line: &[u8]) -> Option<Time> {
        let stamp = self.pipeline.stamp(source, line);
        let begun = &mut self.streams[source].begun;
        if !*begun && stamp.is_some() {
            *begun = true;
            self.tally.saw(stamp);
        }
        stamp
    }

    fn judge_part(&mut self, source: usize, part: &Part<'_>) {
        match *part {
            Part::Line(_, line) => self.judge_stamped(source, line),
            Part::Foreign(lines) => {
                self.tally.lines += lines;
                self.pipeline.turn_over(source);
            }
            Part::Gap => self.pipeline.turn_over(source),
        }
    }

    fn judge_stamped(&mut self, source: usize, line: &[u8]) {
        if !self.streams[source].begun {
            self.stamp(source, line);
        }
        let before = self.streams[source].time;
        let time = self.judge(source, line, When::Stamped(before));
        self.streams[source].time = time.or(before);
    }

    /// Tells when the line counted, if it did.
    fn judge(&mut self, source: usize, line: &[u8], when: When) -> Option<Time> {
        self.tally.lines += 1;
        let (tally, mut time) = (&mut self.tally, None);
        let is_known = self.pipeline.line(source, line, when, |outcome| {
            time = outcome.time;
            tally.add(&outcome);
        });
        if is_known {
            self.tally.matched += 1;
            self.tally.undated += u64::from(time.is_none());
        }
        if let Some(time) = time {
            self.pipeline.engine.expire(time.minus(DISORDER));
        }
        time
    }
}

impl<'l> Stream<'l> {
    fn new(files: &'l [PathBuf]) -> Self {
        Self { files: files.iter(), open: None, begun: false, time: None, queue: Queue::default() }
    }
}

/// A bar on a terminal for long work; hidden otherwise.
fn bar(logs: &[Log]) -> ProgressBar {
    let sizes = logs
        .iter()
        .flat_map(|log| &log.files)
        .map(|path| std::fs::metadata(path).map_or(0, |meta| meta.len()));
    let total: u64 = sizes.sum();
    if total < WORTH_A_BAR || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta} left");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
