//! Threads that find hits in blocks of lines while an earlier block is judged. The hits of a line depend on that line alone;
//! judging, for which order matters, is done by the reading thread.

use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::block::Block;
use crate::pipeline::HitFinder;

/// One thread for each core but the reader's. They end when this is dropped.
pub(super) struct Workers {
    jobs: Sender<Job>,
    waiting: Arc<Mutex<Receiver<Job>>>,
}

/// A block in which hits are to be found.
struct Job {
    finder: HitFinder,
    block: Block,
    done: SyncSender<Block>,
}

impl Job {
    fn run(mut self) {
        self.block.find(&self.finder);
        // The reader may have ended.
        let _ = self.done.send(self.block);
    }
}

impl Workers {
    /// Starts the threads; `None` if the machine has only one core, or no thread left.
    pub(super) fn start() -> Option<Self> {
        let others = thread::available_parallelism().map_or(1, usize::from) - 1;
        let (jobs, waiting) = mpsc::channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut started = 0;
        for _ in 0..others {
            let waiting = Arc::clone(&waiting);
            let run = move || {
                while let Some(job) = next(&waiting) {
                    job.run();
                }
            };
            started += usize::from(thread::Builder::new().name("scan".to_owned()).spawn(run).is_ok());
        }
        if started == 0 {
            return None;
        }
        Some(Self { jobs, waiting })
    }

    /// Sends a block to a worker; [`Self::wait`] returns it.
    pub(super) fn find(&self, finder: HitFinder, block: Block) -> Receiver<Block> {
        let (done, found) = mpsc::sync_channel(1);
        let job = Job { finder, block, done };
        if let Err(unsent) = self.jobs.send(job) {
            unsent.0.run();
        }
        found
    }

    /// Waits for a block. Meanwhile this thread works on blocks that no worker has begun.
    pub(super) fn wait(&self, found: &Receiver<Block>) -> Block {
        loop {
            if let Ok(block) = found.try_recv() {
                return block;
            }
            // If another thread holds the lock, it is waiting for an empty queue.
            let job = self.waiting.try_lock().ok().and_then(|waiting| waiting.try_recv().ok());
            match job {
                Some(job) => job.run(),
                None => return found.recv().expect("a thread that has a block gives it back"),
            }
        }
    }
}

fn next(waiting: &Mutex<Receiver<Job>>) -> Option<Job> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
