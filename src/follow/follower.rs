//! All sources together: look at everything, hand out what is new.

use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::file_source::FileSource;
use super::followed_file::FollowedFile;
use super::journal::Journal;
use super::merge::catch_up;
use super::open::{IS_FIFO, Opener, ThisProcess};
use super::pipe::Pipe;
use super::position::{FileKey, Stored};
use super::round::{BUFFER, ReadCounters, Round, Stamps, TURN, Unpacked};
use super::tail::Tail;
use super::watch::Watch;
use super::{Sink, Source, SourceId, SourceKind};
use crate::record::MAX_LINE;
use crate::settings::JOURNAL;

/// The pause between two looks (the machine slept, the reader was blocked) after which new lines count as a backlog.
const AWAY_AFTER: Duration = Duration::from_secs(30);

/// How long new lines wait for what other sources are behind with, so that all come in the order of their timestamps.
///
/// The order is a courtesy: without it the windows of attempts that two logs tell of may not meet. Whoever may write into
/// one log can make it lag as long as he likes, and must not hold up the others.
const MAX_WAIT_FOR_ORDER: Duration = Duration::from_secs(1);

/// The bytes that a log read out of turn may hand out at least before the others; more than the longest line.
const MIN_TURN: usize = 4 * MAX_LINE;

/// Follows all sources; owns one buffer, the open files and nothing else.
pub struct Follower {
    opener: Arc<dyn Opener>,
    inputs: Vec<FollowedInput>,
    quiet: Duration,
    looked: Instant,
    /// Since when logs lag behind and others wait for them, and how often that was too long.
    waiting: Option<(Instant, u32)>,
    buf: Box<[u8]>,
    notes: Vec<String>,
    stamps: Box<Stamps>,
}

enum FollowedInput {
    Files(FileSource),
    Pipe(Pipe),
    Journal(Box<Journal>),
}

/// The result of a look, apart from the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Whether there is more to read at once.
    pub more: bool,
    /// Whether a rotated file may still get lines.
    pub draining: bool,
    /// Whether the sink asked to stop.
    pub stopped: bool,
    /// Whether all sources have ended for good (only standard input does).
    pub ended: bool,
}

/// One followed path, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The source that the path belongs to.
    pub source: SourceId,
    /// The path; `-` for standard input.
    pub path: Arc<str>,
    /// How far the newest file is read, in bytes.
    pub offset: u64,
    /// Bytes in plain files that were not read yet; a partial line counts.
    pub behind: u64,
    /// Rotated files that are still read.
    pub rotated: usize,
    /// Whole lines handed out.
    pub lines: u64,
    /// Bytes handed out, in whole lines.
    pub bytes: u64,
    /// Lines dropped because they were longer than [`MAX_LINE`].
    pub overlong: u64,
    /// The time at which lines were last handed out.
    pub last_data: Option<Instant>,
    /// Why the path cannot be read now, as the end of a sentence that begins with it; of a pattern, a whole sentence.
    pub trouble: Option<String>,
}

impl Follower {
    /// Looks at all paths once, so that "the end" of a file that was never read is its end now. `quiet` is how long a
    /// rotated file must have been quiet before it is closed; newsyslog signals syslogd within some ten seconds.
    pub fn new(sources: Vec<Source>, stored: &[Stored], quiet: Duration, now: Instant) -> Self {
        Self::through(Arc::new(ThisProcess), sources, stored, quiet, now)
    }

    /// As [`Follower::new`], but the logs are reached by this opener.
    pub fn through(
        opener: Arc<dyn Opener>,
        sources: Vec<Source>,
        stored: &[Stored],
        quiet: Duration,
        now: Instant,
    ) -> Self {
        let mut notes = Vec::new();
        let mut inputs = Vec::new();
        for (index, source) in (0..).zip(sources) {
            inputs.push(FollowedInput::new(SourceId(index), source, &opener, stored, &mut notes));
        }
        let mut stamps: Box<Stamps> = Box::new(|_, _| None);
        let wall = Timestamp::now().into();
        let unpacked = Unpacked::default();
        let mut round =
            Round { now, quiet, away: false, wall, stamps: &mut *stamps, notes: &mut notes, unpacked };
        observe_all(&mut inputs, &opener, &mut round);
        Self { opener, inputs, quiet, looked: now, waiting: None, buf: vec![0; BUFFER].into(), notes, stamps }
    }

    /// Has the system say when a followed file changes.
    ///
    /// # Errors
    /// An error, as a text, of a system that has no watches left; following goes on by the tick alone.
    pub(super) fn watch(&self, wake: Box<dyn Fn() + Send + Sync>) -> Result<Box<dyn Watch>, String> {
        self.opener.watch(wake)
    }

    /// Has what was written while nobody read handed out in the order of these timestamps, over all files; without them it
    /// comes path after path.
    pub fn merge_by(&mut self, stamps: Box<Stamps>) {
        self.stamps = stamps;
    }

    /// Looks at all files again and hands out the whole lines that are new, at most about a megabyte of each path. While
    /// a path lags behind, other files' newer lines wait, since they would be counted before older ones; not for long.
    pub fn look(&mut self, now: Instant, sink: &mut Sink<'_>) -> Looked {
        let away = now.saturating_duration_since(self.looked) > AWAY_AFTER;
        self.looked = now;
        let wall = Timestamp::now().into();
        let mut round = Round {
            now,
            quiet: self.quiet,
            away,
            wall,
            stamps: &mut *self.stamps,
            notes: &mut self.notes,
            unpacked: Unpacked::default(),
        };
        let mut looked = Looked::default();
        observe_all(&mut self.inputs, &self.opener, &mut round);
        let is_patient = keep_order(&mut self.inputs, &mut self.waiting, now);
        let mut reading = ReadPass { round: &mut round, buf: &mut self.buf, sink };
        match reading.all(&mut self.inputs, is_patient) {
            ControlFlow::Continue(more) => looked.more = more,
            ControlFlow::Break(()) => return Looked { stopped: true, ended: false, ..looked },
        }
        looked.more |= round.unpacked.has_put_off;
        let mut logs = self.inputs.iter().flat_map(FollowedInput::logs);
        looked.draining = logs.any(|log| log.is_draining(&round));
        looked.ended =
            self.inputs.iter().all(|input| matches!(input, FollowedInput::Pipe(pipe) if pipe.ended));
        looked
    }

    /// Takes the notes for the operator: sentences that begin with the path.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// All followed paths, in the order of the sources.
    pub fn status(&self) -> Vec<Status> {
        self.inputs.iter().flat_map(FollowedInput::status).collect()
    }

    /// The files at the followed paths: what a wake-up may watch.
    pub(super) fn watchable(&self) -> impl Iterator<Item = (&Arc<str>, FileKey)> {
        let logs = self.inputs.iter().flat_map(FollowedInput::logs);
        logs.filter_map(|log| log.current_key().map(|key| (&log.path, key)))
    }

    /// The open pipes: what can be waited for.
    pub(super) fn pipes(&self) -> impl Iterator<Item = (FileKey, BorrowedFd<'_>)> {
        self.inputs.iter().filter_map(|input| match input {
            FollowedInput::Pipe(pipe) => pipe.descriptor(),
            FollowedInput::Journal(journal) => journal.descriptor(),
            FollowedInput::Files(_) => None,
        })
    }
}

fn observe_all(inputs: &mut [FollowedInput], opener: &Arc<dyn Opener>, round: &mut Round<'_>) {
    (0..).zip(inputs).for_each(|(index, input)| input.observe(SourceId(index), opener, round));
}

/// Decides how long the order is kept: true while new lines wait. Then the sources that were read while others waited, and
/// still lag, are read out of turn; after as long again all that lag are.
fn keep_order(inputs: &mut [FollowedInput], waiting: &mut Option<(Instant, u32)>, now: Instant) -> bool {
    if !inputs.iter().flat_map(FollowedInput::logs).any(FollowedFile::lags) {
        *waiting = None;
        inputs.iter_mut().flat_map(FollowedInput::logs_mut).for_each(FollowedFile::is_in_turn_again);
        return true;
    }
    let (since, expired) = waiting.get_or_insert((now, 0));
    if now.saturating_duration_since(*since) <= MAX_WAIT_FOR_ORDER {
        return *expired == 0;
    }
    *since = now;
    *expired += 1;
    for input in inputs {
        let is_at_fault = input.logs().iter().any(|log| log.lags() && log.was_waited_for);
        if is_at_fault || *expired > 1 {
            let group = 2 * *expired + u32::from(!is_at_fault);
            let lagging = input.logs_mut().iter_mut().filter(|log| log.lags());
            lagging.for_each(|log| log.out_of_turn = log.out_of_turn.or(Some(group)));
        }
    }
    false
}

/// The reading of one look.
struct ReadPass<'r, 'a, 's> {
    round: &'r mut Round<'a>,
    buf: &'r mut [u8],
    sink: &'r mut Sink<'s>,
}

impl ReadPass<'_, '_, '_> {
    /// Reads on everywhere; true if there is more to read at once.
    fn all(&mut self, inputs: &mut [FollowedInput], is_patient: bool) -> ControlFlow<(), bool> {
        let mut logs: Vec<&mut FollowedFile> = inputs.iter_mut().flat_map(FollowedInput::logs_mut).collect();
        logs.retain(|log| log.out_of_turn.is_none());
        let caught_up = catch_up(&mut logs, TURN, self.round, self.buf, self.sink)?;
        let mut more = !caught_up;
        let new_lines_wait = !caught_up && is_patient;
        for input in &mut *inputs {
            more |= match input {
                FollowedInput::Pipe(pipe) => pipe.read(self.round, self.buf, self.sink)?,
                FollowedInput::Journal(journal) => journal.read(self.round, self.buf, self.sink)?,
                FollowedInput::Files(_) if new_lines_wait => false,
                FollowedInput::Files(group) => self.new_lines(group)?,
            };
        }
        more |= self.out_of_turn(inputs)?;
        ControlFlow::Continue(more)
    }

    /// Reads what was written just now.
    fn new_lines(&mut self, group: &mut FileSource) -> ControlFlow<(), bool> {
        let mut more = false;
        for log in group.logs.iter_mut().filter(|log| !log.lags()) {
            more |= log.read(self.round, self.buf, self.sink)?;
        }
        group.tell(self.sink)?;
        ControlFlow::Continue(more)
    }

    /// Reads what lags behind and is waited for no more, all of it together about one turn. Logs of one directory, which
    /// one syslogd may write and which may tell of the same attempts, still come in the order of their timestamps; but for
    /// those that were at fault alone.
    fn out_of_turn(&mut self, inputs: &mut [FollowedInput]) -> ControlFlow<(), bool> {
        let mut more = false;
        let mut logs: Vec<&mut FollowedFile> = inputs.iter_mut().flat_map(FollowedInput::logs_mut).collect();
        logs.retain(|log| log.out_of_turn.is_some() && log.lags());
        let group = |log: &FollowedFile| (log.out_of_turn, log.directory().to_owned());
        logs.sort_by_cached_key(|log| group(log));
        let neighbours = |one: &&mut FollowedFile, other: &&mut FollowedFile| group(one) == group(other);
        let turn = (TURN / logs.chunk_by(neighbours).count().max(1)).max(MIN_TURN);
        let reach = self.buf.len().min(turn);
        for logs in logs.chunk_by_mut(neighbours) {
            let buf = self.buf.get_mut(..reach).unwrap_or_default();
            more |= !catch_up(logs, turn, self.round, buf, self.sink)?;
        }
        // What has caught up just now is read on as the others were: its newest lines, and its position, which nobody was
        // told where there were none.
        for log in logs.into_iter().filter(|log| !log.lags()) {
            more |= log.read(self.round, self.buf, self.sink)?;
        }
        ControlFlow::Continue(more)
    }
}

impl FollowedInput {
    fn new(
        id: SourceId,
        source: Source,
        opener: &Arc<dyn Opener>,
        stored: &[Stored],
        notes: &mut Vec<String>,
    ) -> Self {
        let own: Vec<Stored> = stored.iter().filter(|stored| stored.source == source.name).cloned().collect();
        if let Some(query) = source.journal {
            let position =
                own.into_iter().find(|stored| stored.path == JOURNAL).map(|stored| stored.position);
            let journal = Journal::new(id, query, position, Arc::clone(opener), Timestamp::now().into());
            return Self::Journal(Box::new(journal));
        }
        match source.kind {
            SourceKind::Files => Self::Files(FileSource::new(id, source, Arc::clone(opener), own, notes)),
            SourceKind::Fifo => Self::fifo(id, &source, opener),
            SourceKind::StandardInput => Self::Pipe(Pipe::standard_input(id).of_old_lines(source.from_start)),
        }
    }

    fn fifo(id: SourceId, source: &Source, opener: &Arc<dyn Opener>) -> Self {
        let pipe = Pipe::fifo(id, &source.path, Arc::clone(opener), source.through_links);
        Self::Pipe(pipe.of_old_lines(source.from_start))
    }

    fn observe(&mut self, id: SourceId, opener: &Arc<dyn Opener>, round: &mut Round<'_>) {
        match self {
            Self::Files(group) => {
                group.observe(round);
                if let Some(source) = group.became_fifo() {
                    let refusal = format!("{} {IS_FIFO}", source.path.display());
                    round.notes.retain(|note| *note != refusal);
                    *self = Self::fifo(id, source, opener);
                }
            }
            Self::Pipe(pipe) => pipe.observe(round),
            Self::Journal(journal) => journal.observe(round),
        }
    }

    fn logs(&self) -> &[FollowedFile] {
        match self {
            Self::Files(group) => &group.logs,
            Self::Pipe(_) | Self::Journal(_) => &[],
        }
    }

    fn logs_mut(&mut self) -> &mut [FollowedFile] {
        match self {
            Self::Files(group) => &mut group.logs,
            Self::Pipe(_) | Self::Journal(_) => &mut [],
        }
    }

    fn status(&self) -> Vec<Status> {
        match self {
            Self::Files(group) => {
                group.logs.iter().map(Status::of_log).chain(Status::of_pattern(group)).collect()
            }
            Self::Pipe(pipe) => vec![Status::new(pipe.source, &pipe.path, &pipe.tally, pipe.trouble.clone())],
            Self::Journal(journal) => {
                vec![Status::new(journal.source, &journal.path, &journal.tally, journal.trouble.clone())]
            }
        }
    }
}

impl Status {
    fn new(source: SourceId, path: &Arc<str>, tally: &ReadCounters, trouble: Option<String>) -> Self {
        let ReadCounters { lines, bytes, overlong, last_data } = *tally;
        let path = Arc::clone(path);
        Self {
            source,
            path,
            offset: bytes,
            behind: 0,
            rotated: 0,
            lines,
            bytes,
            overlong,
            last_data,
            trouble,
        }
    }

    /// A pattern is a path of its own only where something is wrong with it.
    fn of_pattern(group: &FileSource) -> Option<Self> {
        let pattern = group.pattern.as_ref()?;
        let trouble = pattern.trouble.clone()?;
        Some(Self::new(group.id, &pattern.as_str().into(), &ReadCounters::default(), Some(trouble)))
    }

    fn of_log(log: &FollowedFile) -> Self {
        Self {
            offset: log.tails.back().map_or(0, |tail| tail.cursor.offset),
            behind: log.tails.iter().map(Tail::behind).sum(),
            rotated: log.tails.len() - usize::from(log.at_path),
            ..Self::new(log.source, &log.path, &log.tally, log.trouble.clone())
        }
    }
}
