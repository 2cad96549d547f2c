//! The loop: look, hand over, wait for an event or the tick.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::follower::{Follower, Looked, Status};
use super::position::{FileKey, Position};
use super::wake::{FileWatch, PipeWatch, WakeUps, Waker};
use super::{Chunk, FileEnd, SourceId};
use crate::time::Time;

/// The settings of a follower's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Let the system wake us when a file changes; without it, or where it is not to be had, the tick does.
    pub notify: bool,
    /// How often to look without being woken.
    pub tick: Duration,
    /// How long a rotated file must have been quiet before it is closed.
    pub quiet: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { notify: true, tick: Duration::from_secs(1), quiet: Duration::from_secs(15) }
    }
}

/// While a rotated file is still written to, which makes no events, it is looked at this much more often.
const DRAINING_TICKS: u32 = 10;

/// A [`Chunk`] that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The source the lines came from.
    pub source: SourceId,
    /// The path they were read at.
    pub path: Arc<str>,
    /// The file that holds the lines.
    pub file: FileKey,
    /// Whole lines with their newlines, at most 256 KiB; empty when only the position is news.
    pub bytes: Vec<u8>,
    /// How far the path is read after these lines; `None` for pipes.
    pub position: Option<Position>,
    /// The path is followed no more; its position is of no use.
    pub gone: bool,
    /// Lines that were read before a stop and stand just before these.
    pub before: Vec<u8>,
    /// The first lines of this file.
    pub first: bool,
    /// Something was passed over between the lines before and these.
    pub gap: bool,
    /// The lines were written some time ago: their own timestamps count.
    pub backlog: bool,
    /// The latest time at which the lines were written, to the second, where nobody saw the file grow.
    pub written_by: Option<Time>,
    /// With the first lines of a backlog: the last lines of the path's file.
    pub file_end: Option<FileEnd>,
}

impl From<Chunk<'_>> for Batch {
    fn from(chunk: Chunk<'_>) -> Self {
        Self {
            source: chunk.source,
            path: Arc::clone(chunk.path),
            file: chunk.file,
            bytes: chunk.bytes.to_vec(),
            position: chunk.position.cloned(),
            gone: chunk.gone,
            before: chunk.before.to_vec(),
            first: chunk.first,
            gap: chunk.gap,
            backlog: chunk.backlog,
            written_by: chunk.written_by,
            file_end: chunk.file_end.cloned(),
        }
    }
}

/// The handle of a running follower thread.
pub struct Handle {
    shared: Arc<Shared>,
    waker: Waker,
    thread: JoinHandle<()>,
}

struct Shared {
    stop: AtomicBool,
    status: Mutex<Vec<Status>>,
}

/// Has the follower look in a thread of its own and sends what the sources say, wrapped as the receiver wants it. A full
/// channel holds reading up, and the log files are the queue. The thread ends when the receiver is gone, when [`Handle::stop`] is called, or when all sources have
/// ended; `end` is sent then.
///
/// # Errors
/// The system's, when it has no thread left.
pub fn spawn<T: Send + 'static>(
    follower: Follower,
    options: Options,
    to: SyncSender<T>,
    wrap: impl Fn(Batch) -> T + Send + 'static,
    end: Option<T>,
) -> io::Result<Handle> {
    let (waker, wake_ups) = Waker::new();
    let shared = Arc::new(Shared { stop: AtomicBool::new(false), status: Mutex::new(follower.status()) });
    let ended = end.map(|end| (to.clone(), end));
    let send = Box::new(move |batch| to.send(wrap(batch)).is_ok());
    let runner = Runner { follower, options, send, shared: Arc::clone(&shared), waker: waker.clone() };
    let run = move || {
        runner.run(&wake_ups);
        if let Some((to, end)) = ended {
            // The receiver may be gone by now, and needs no more then.
            let _ = to.send(end);
        }
    };
    let thread = std::thread::Builder::new().name("follow".to_owned()).spawn(run)?;
    Ok(Handle { shared, waker, thread })
}

impl Handle {
    /// All followed paths, as they were after the last look.
    pub fn status(&self) -> Vec<Status> {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the thread to end after the batch it is sending. Take what is still in the channel, up to its end, before
    /// [`Handle::join`].
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    /// Waits for the thread to end.
    pub fn join(self) {
        // A panic in the thread was printed where it happened, and ends the whole program in a release build.
        let _ = self.thread.join();
    }
}

struct Runner {
    follower: Follower,
    options: Options,
    /// False when the receiver is gone.
    send: Box<dyn Fn(Batch) -> bool + Send>,
    shared: Arc<Shared>,
    waker: Waker,
}

impl Runner {
    fn run(mut self, wake_ups: &WakeUps) {
        let mut files = self.watch();
        let mut pipes = PipeWatch::new(self.waker.clone(), self.options.tick);
        loop {
            let looked = self.look();
            self.publish();
            if looked.stopped || looked.ended || self.is_stopped() {
                return;
            }
            let missed = files.as_mut().is_some_and(|files| files.refresh(&self.follower));
            if looked.more || missed {
                continue;
            }
            pipes.refresh(&self.follower);
            wake_ups.wait(self.options.tick / if looked.draining { DRAINING_TICKS } else { 1 });
        }
    }

    fn look(&mut self) -> Looked {
        let send = &self.send;
        let stop = &self.shared.stop;
        self.follower.look(Instant::now(), &mut |chunk| {
            let goes_on = send(chunk.into()) && !stop.load(Ordering::Relaxed);
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }

    fn publish(&mut self) {
        for note in self.follower.take_notes() {
            log::warn!("{note}");
        }
        *self.shared.status.lock().unwrap_or_else(PoisonError::into_inner) = self.follower.status();
    }

    fn is_stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    fn watch(&self) -> Option<FileWatch> {
        let watch = self.options.notify.then(|| FileWatch::new(&self.follower, self.waker.clone()))?;
        if let Err(error) = &watch {
            log::warn!("no file events ({error}); looking every {:?}", self.options.tick);
        }
        watch.ok()
    }
}
