//! The systemd journal as a source: journalctl follows it, and what it prints becomes lines.
//!
//! Where reading stands is the cursor of the last entry. At the first start, when there is none, it is a time; so is it where
//! journalctl does not take the cursor, as after its journal was removed. journalctl is started again when it ends, after
//! pauses that grow.

use std::io::{self, ErrorKind, Read as _};
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::journalctl::{JournalQuery, JournalStart, Journalctl, is_cursor};
use super::open::Opener;
use super::position::{FileKey, Position};
use super::round::{ReadCounters, Round, TURN};
use super::{Chunk, Sink, SourceId};
use crate::record::{ExportReader, JournalEntry, ProgramNames, Sent, write_line};
use crate::settings::JOURNAL;
use crate::time::Time;

/// An entry that is older when it is read was written while nobody read.
const BACKLOG: Duration = Duration::from_secs(30);

/// The pauses before journalctl is started again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A journalctl that has run for so long works, also where nothing is logged.
const STEADY_AFTER: Duration = Duration::from_secs(5);

/// A followed journal.
pub(super) struct Journal {
    pub(super) source: SourceId,
    pub(super) path: Arc<str>,
    pub(super) trouble: Option<String>,
    pub(super) tally: ReadCounters,
    opener: Arc<dyn Opener>,
    query: JournalQuery,
    position: Position,
    /// The position was not handed out yet, and there may be no line for long.
    is_new: bool,
    running: Option<Running>,
    /// When to start journalctl again, and after how long the next time.
    retry: Option<Instant>,
    pause: Duration,
    /// Whether the next journalctl is to begin at the time, not at the cursor.
    distrusts_cursor: bool,
    /// Whether it was told that somebody logs under the name of a program that is not his.
    told_of_pretenders: bool,
}

struct Running {
    journalctl: Journalctl,
    key: FileKey,
    started: Instant,
    export: ExportReader,
    known: KnownEntries,
    has_printed: bool,
}

/// Which of the entries that journalctl prints were read before.
enum KnownEntries {
    /// That with this cursor.
    Cursor(String),
    /// All up to this time, in milliseconds since the epoch.
    Until(i64),
}

/// Lines, and where reading stands behind them.
#[derive(Default)]
struct JournalLines {
    bytes: Vec<u8>,
    cursor: Option<String>,
    newest: Option<i64>,
}

/// What the entries of one read come to.
#[derive(Default)]
struct Taken {
    /// What was written while nobody read.
    old: JournalLines,
    /// What was written just now, and all behind it.
    fresh: Option<JournalLines>,
    doubtful: u64,
    pretended: Option<String>,
}

impl Journal {
    pub(super) fn new(
        source: SourceId,
        query: JournalQuery,
        stored: Option<Position>,
        opener: Arc<dyn Opener>,
        now: Time,
    ) -> Self {
        let is_new = stored.is_none();
        let position =
            stored.unwrap_or_else(|| Position { newest: Some(now.as_millis()), ..Position::default() });
        Self {
            source,
            path: JOURNAL.into(),
            trouble: None,
            tally: ReadCounters::default(),
            opener,
            query,
            position,
            is_new,
            running: None,
            retry: None,
            pause: FIRST_PAUSE,
            distrusts_cursor: false,
            told_of_pretenders: false,
        }
    }

    /// The descriptor to wait for.
    pub(super) fn descriptor(&self) -> Option<(FileKey, BorrowedFd<'_>)> {
        self.running.as_ref().map(|running| (running.key, running.journalctl.output.as_fd()))
    }

    /// Starts journalctl if it does not run.
    pub(super) fn observe(&mut self, round: &mut Round<'_>) {
        if let Some(running) = &self.running {
            if round.now.saturating_duration_since(running.started) > STEADY_AFTER {
                self.all_is_well();
            }
            return;
        }
        if self.retry.is_some_and(|at| round.now < at) {
            return;
        }
        match self.start(round.now) {
            Ok(running) => self.running = Some(running),
            Err(error) => {
                self.failed(&format!("{} cannot be run: {error}", self.query.tool.display()), round);
            }
        }
    }

    fn start(&self, now: Instant) -> io::Result<Running> {
        let newest = self.position.newest.unwrap_or(0);
        let cursor =
            self.position.cursor.clone().filter(|cursor| !self.distrusts_cursor && is_cursor(cursor));
        let (start, known) = match cursor {
            Some(cursor) => (JournalStart::Cursor(cursor.clone()), KnownEntries::Cursor(cursor)),
            None => (JournalStart::Since(newest.div_euclid(1000)), KnownEntries::Until(newest)),
        };
        let journalctl = self.opener.journal(&self.query, &start)?;
        let key = FileKey::of(&journalctl.output.metadata()?);
        let export = ExportReader::default();
        Ok(Running { journalctl, key, started: now, export, known, has_printed: false })
    }

    fn all_is_well(&mut self) {
        self.trouble = None;
        self.pause = FIRST_PAUSE;
    }

    fn failed(&mut self, why: &str, round: &mut Round<'_>) {
        self.running = None;
        self.retry = Some(round.now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let why = format!("cannot be read: {why}");
        if self.trouble.as_deref() != Some(&why) {
            round.notes.push(format!("the {JOURNAL} {why}"));
            self.trouble = Some(why);
        }
    }

    /// Reads what is there, without waiting for more; true if there is more.
    pub(super) fn read(
        &mut self,
        round: &mut Round<'_>,
        buf: &mut [u8],
        sink: &mut Sink<'_>,
    ) -> ControlFlow<(), bool> {
        if std::mem::take(&mut self.is_new) {
            sink(Chunk::of_position(self.source, &self.path, &self.position))?;
        }
        let mut turn = TURN;
        while turn > 0 {
            let Some(running) = &mut self.running else { return ControlFlow::Continue(false) };
            let length = match running.journalctl.output.read(buf) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return ControlFlow::Continue(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.failed(&error.to_string(), round);
                    return ControlFlow::Continue(false);
                }
            };
            if length == 0 {
                self.ended(round);
                return ControlFlow::Continue(false);
            }
            turn = turn.saturating_sub(length);
            self.take(buf.get(..length).unwrap_or_default(), round, sink)?;
        }
        ControlFlow::Continue(true)
    }

    /// journalctl is gone, which it never is while all is well.
    fn ended(&mut self, round: &mut Round<'_>) {
        let Some(Running { journalctl, known, has_printed, .. }) = self.running.take() else { return };
        // What it printed nothing for was perhaps the cursor.
        self.distrusts_cursor = matches!(known, KnownEntries::Cursor(_)) && !has_printed;
        let why = self.opener.end_of_journal(&self.query, journalctl);
        self.failed(&why, round);
    }

    fn take(&mut self, bytes: &[u8], round: &mut Round<'_>, sink: &mut Sink<'_>) -> ControlFlow<()> {
        let Some(Running { export, known, has_printed, .. }) = &mut self.running else {
            return ControlFlow::Continue(());
        };
        *has_printed = true;
        let mut taken = Taken::default();
        let programs = &self.query.programs;
        let pushed = export.push(bytes, &mut |entry| {
            if !known.have(entry) {
                taken.add(entry, round.wall, programs);
            }
        });
        match pushed {
            Ok(()) => self.all_is_well(),
            Err(error) => self.failed(&error.to_string(), round),
        }
        self.hand_out(taken, round, sink)
    }

    fn hand_out(&mut self, taken: Taken, round: &mut Round<'_>, sink: &mut Sink<'_>) -> ControlFlow<()> {
        self.tally.overlong += taken.doubtful;
        if let Some(who) = taken.pretended.filter(|_| !self.told_of_pretenders) {
            self.told_of_pretenders = true;
            round.notes.push(format!("the {JOURNAL}: {who}; such lines are not read"));
        }
        for (lines, backlog) in [(Some(taken.old), true), (taken.fresh, false)] {
            let Some(JournalLines { bytes, cursor, newest }) = lines else { continue };
            self.position.newest = newest.max(self.position.newest);
            self.position.cursor = cursor.or_else(|| self.position.cursor.take());
            if !bytes.is_empty() {
                self.tally.add(&bytes, round.now);
                let chunk = Chunk::of_position(self.source, &self.path, &self.position);
                sink(Chunk { bytes: &bytes, backlog, ..chunk })?;
            }
        }
        ControlFlow::Continue(())
    }
}

impl KnownEntries {
    fn have(&self, entry: &JournalEntry) -> bool {
        match self {
            Self::Cursor(cursor) => entry.get("__CURSOR") == Some(cursor.as_bytes()),
            Self::Until(newest) => millis(entry).is_some_and(|at| at <= *newest),
        }
    }
}

fn millis(entry: &JournalEntry) -> Option<i64> {
    i64::try_from(entry.number("__REALTIME_TIMESTAMP")? / 1000).ok()
}

impl Taken {
    fn add(&mut self, entry: &JournalEntry, wall: Time, programs: &ProgramNames) {
        let at = millis(entry);
        let age = at.and_then(|at| wall.since(Time::from_millis(at)));
        if self.fresh.is_none() && age.is_none_or(|age| age <= BACKLOG) {
            self.fresh = Some(JournalLines::default());
        }
        let lines = self.fresh.as_mut().unwrap_or(&mut self.old);
        match write_line(entry, programs, &mut lines.bytes) {
            Sent::Line | Sent::Foreign => {}
            Sent::Doubtful => self.doubtful += 1,
            Sent::Pretended => {
                self.pretended.get_or_insert_with(|| pretender(entry));
            }
        }
        lines.newest = at.max(lines.newest);
        lines.cursor = Some(entry.text("__CURSOR").into_owned()).filter(|cursor| is_cursor(cursor));
    }
}

fn pretender(entry: &JournalEntry) -> String {
    let unknown = || "unknown".to_owned();
    let uid = entry.number("_UID").map_or_else(unknown, |uid| uid.to_string());
    let executable = entry.get("_EXE").map_or_else(unknown, |_| entry.text("_EXE").into_owned());
    let name = entry.text("SYSLOG_IDENTIFIER").into_owned();
    format!(
        "a process of another program logs under the name {name} (user id {uid}, executable {executable})"
    )
}
