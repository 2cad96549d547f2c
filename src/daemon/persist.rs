//! The database, kept by a thread of its own: deciding never waits for a disk.
//!
//! At most one batch is under way. While it is, changes gather in the engine itself, coalesced and bounded, and the
//! next batch takes them all. What is to be said or answered about a change is said once it is stored.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::event::{CommitResult, Event};
use crate::address::Prefix;
use crate::engine::Row;
use crate::store::{
    BanLine, BanLines, BanRecord, NoticeAction, PositionChange, Retention, Store, StoreError, WriteBatch,
};
use crate::time::Time;

/// How long counters and positions are gathered into one batch; bans are written at once.
const BATCH_DELAY: Duration = Duration::from_secs(1);

/// After a batch the thread pauses for this many times the batch's duration, so that a flood of changes costs little more
/// than one: meanwhile they gather, and only the latest for each key is written.
const REST_FACTOR: u32 = 3;

/// How long the final write may take before we log that we are waiting.
const SILENT_WAIT: Duration = Duration::from_secs(1);

/// Bans told of in answer to one `why`, each with its lines.
const MAX_HISTORY: usize = 50;

/// The most sentences and answers that wait for the database; with more, its disk is stalled and the oldest go out unstored.
const MAX_WAITING: usize = 10_000;

/// An action to run once the rows before it are stored, or could not be.
pub(super) type After = Box<dyn FnOnce(&Result<(), String>) + Send>;

/// Receives the history of an address, or the reason why it cannot be read.
pub(super) type HistoryCallback = Box<dyn FnOnce(Result<Vec<BanRecord>, StoreError>) + Send>;

/// The deciding thread's end of the database.
pub(super) struct Persist {
    tasks: Option<Sender<StoreTask>>,
    thread: Option<JoinHandle<Store>>,
    /// When the batch that is being written was sent.
    busy: Option<Instant>,
    /// The earliest time for the next batch.
    rests_until: Option<Instant>,
    changed: Option<Instant>,
    urgent: bool,
    after: Vec<After>,
    lines: Vec<BanLines>,
    trouble: Option<String>,
}

enum StoreTask {
    Batch(WriteBatch, Vec<After>),
    History(Prefix, Time, HistoryCallback),
    SetRetention(Retention),
}

impl Persist {
    /// Starts the thread; without a store everything is said at once and nothing is kept.
    pub(super) fn start(store: Option<Store>, events: SyncSender<Event>) -> io::Result<Self> {
        let mut persist = Self {
            tasks: None,
            thread: None,
            busy: None,
            rests_until: None,
            changed: None,
            urgent: false,
            after: Vec::new(),
            lines: Vec::new(),
            trouble: None,
        };
        if let Some(store) = store {
            let (sender, tasks) = channel();
            let run = move || work_off(store, &tasks, &events);
            persist.thread = Some(thread::Builder::new().name("store".to_owned()).spawn(run)?);
            persist.tasks = Some(sender);
        }
        Ok(persist)
    }

    /// Notes a change that can wait a moment.
    pub(super) fn touch(&mut self) {
        self.changed.get_or_insert_with(Instant::now);
    }

    /// Notes a change that is to be written at once.
    pub(super) fn hurry(&mut self) {
        self.touch();
        self.urgent = true;
    }

    /// Runs an action once all earlier changes are stored.
    pub(super) fn after(&mut self, after: After) {
        if self.after.len() >= MAX_WAITING {
            (self.after.remove(0))(&Err("the database does not answer".to_owned()));
        }
        self.after.push(after);
        self.hurry();
    }

    /// Logs a sentence once what it tells of is stored, or could not be.
    pub(super) fn say(&mut self, sentence: String) {
        self.after(Box::new(move |stored| match stored {
            Ok(()) => log::info!("{sentence}"),
            Err(_) => log::info!("{sentence} (not in the database yet)"),
        }));
    }

    /// Keeps the lines that led to a ban.
    pub(super) fn keep_lines(&mut self, offender: Prefix, since: Time, lines: Vec<BanLine>) {
        if self.tasks.is_some() && self.lines.len() < MAX_WAITING {
            self.lines.push(BanLines { offender, since, lines });
        }
    }

    /// The time until the next batch is due; `None` if nothing changed or a batch is being written.
    pub(super) fn due_in(&self) -> Option<Duration> {
        let changed = self.changed.filter(|_| self.busy.is_none())?;
        let rest = self.rests_until.map(|until| until.saturating_duration_since(Instant::now()));
        // After a failure the next attempt takes its time, however much there is to say.
        let urgent = self.urgent && self.trouble.is_none();
        let gather = if urgent { Duration::ZERO } else { BATCH_DELAY.saturating_sub(changed.elapsed()) };
        Some(gather.max(rest.unwrap_or_default()))
    }

    pub(super) fn is_due(&self) -> bool {
        self.due_in() == Some(Duration::ZERO)
    }

    /// Sends a batch of changes to the thread.
    pub(super) fn send(&mut self, rows: Vec<Row>, positions: Vec<PositionChange>, now: Time) {
        self.changed = None;
        self.urgent = false;
        let after = std::mem::take(&mut self.after);
        match &self.tasks {
            None => after.into_iter().for_each(|after| after(&Ok(()))),
            Some(tasks) => {
                let batch = WriteBatch { now, rows, positions, lines: std::mem::take(&mut self.lines) };
                // The thread lives as long as we do.
                self.busy = tasks.send(StoreTask::Batch(batch, after)).is_ok().then(Instant::now);
            }
        }
    }

    /// Requests the history of an address; without a database it is empty.
    pub(super) fn history(&self, address: Prefix, now: Time, ask: HistoryCallback) {
        match &self.tasks {
            None => ask(Ok(Vec::new())),
            // An unanswered question is told as one by the socket.
            Some(tasks) => drop(tasks.send(StoreTask::History(address, now, ask))),
        }
    }

    /// Sets how long things are kept.
    pub(super) fn set_retention(&self, retention: Retention) {
        if let Some(tasks) = &self.tasks {
            // The thread lives as long as we do.
            let _ = tasks.send(StoreTask::SetRetention(retention));
        }
    }

    /// Takes note that the thread has finished a batch.
    pub(super) fn stored(&mut self, commit: &CommitResult) {
        let now = Instant::now();
        let worked = self.busy.take().map(|since| now.saturating_duration_since(since));
        self.rests_until = worked.map(|worked| now + (worked * REST_FACTOR).min(BATCH_DELAY));
        if let Err(trouble) = &commit.result {
            if self.trouble.is_none() {
                log::error!(
                    "{trouble}; deciding goes on, and what is missing is written as soon as it can be"
                );
            }
            self.trouble = Some(trouble.clone());
            // Tried again after a moment even if nothing else changes.
            self.changed = Some(Instant::now());
        } else if self.trouble.take().is_some() {
            log::info!("the database is written again, nothing is missing");
        }
        if commit.lost || !commit.found.is_empty() {
            self.hurry();
        }
    }

    /// The current problem with the database.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Hands over the last changes and waits until they are stored; with the store comes its lock.
    pub(super) fn finish(
        &mut self,
        rows: Vec<Row>,
        positions: Vec<PositionChange>,
        now: Time,
    ) -> Option<Store> {
        self.send(rows, positions, now);
        self.tasks = None;
        let thread = self.thread.take()?;
        let end = Instant::now() + SILENT_WAIT;
        while !thread.is_finished() && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
        if !thread.is_finished() {
            log::warn!(
                "waiting for the database, whose disk may hang; what is not in it is lost if we are killed"
            );
        }
        // A panic there was printed where it happened.
        thread.join().ok()
    }
}

/// The thread: works off what it is given until the other end is dropped.
fn work_off(mut store: Store, tasks: &Receiver<StoreTask>, events: &SyncSender<Event>) -> Store {
    for task in tasks {
        match task {
            StoreTask::SetRetention(retention) => store.set_retention(retention),
            StoreTask::History(address, now, take) => take(store.why(&address, MAX_HISTORY, now)),
            StoreTask::Batch(batch, after) => {
                let commit = commit(&mut store, batch, after);
                // At the end nobody listens any more.
                let _ = events.send(Event::Stored(commit));
            }
        }
    }
    store
}

/// Writes a batch, does what was to follow, logs what the store has to say, and does what it asks for.
fn commit(store: &mut Store, batch: WriteBatch, after: Vec<After>) -> CommitResult {
    let now = batch.now;
    let result = store.commit(batch).map_err(|error| error.to_string());
    after.into_iter().for_each(|after| after(&result));
    let mut commit = CommitResult { result, lost: false, found: Vec::new() };
    for notice in store.notices() {
        log::error!("{notice}");
        match notice.action() {
            NoticeAction::Log => {}
            NoticeAction::WriteAll => commit.lost = true,
            NoticeAction::Load => {
                if let Err(error) = store.load(now, |row| commit.found.push(row)) {
                    log::error!("{error}");
                }
            }
        }
    }
    commit
}
