//! Wake-ups: they make a look come sooner and decide nothing.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::follower::Follower;
use super::position::FileKey;
use super::watch::Watch;

/// Wakes the loop; any number of calls before the loop comes to wait are one wake-up.
#[derive(Clone)]
pub(super) struct Waker(SyncSender<()>);

/// The loop's side of all wakers.
pub(super) struct WakeUps(Receiver<()>);

impl Waker {
    pub(super) fn new() -> (Self, WakeUps) {
        let (sender, receiver) = sync_channel(1);
        (Self(sender), WakeUps(receiver))
    }

    pub(super) fn wake(&self) {
        // Full means that a wake-up is waiting already; closed, that nobody waits any more.
        let _ = self.0.try_send(());
    }
}

impl WakeUps {
    /// Until the next one comes, or this long.
    pub(super) fn wait(&self, at_most: Duration) {
        if let Err(RecvTimeoutError::Disconnected) = self.0.recv_timeout(at_most) {
            std::thread::sleep(at_most);
        }
    }
}

/// Watches the files at the followed paths.
pub(super) struct FileWatch {
    watch: Box<dyn Watch>,
    watched: BTreeMap<Arc<str>, FileKey>,
}

impl FileWatch {
    /// # Errors
    /// An error, as a text, of a system that has no watches left; following goes on by the tick alone.
    pub(super) fn new(follower: &Follower, waker: Waker) -> Result<Self, String> {
        let watch = follower.watch(Box::new(move || waker.wake()))?;
        Ok(Self { watch, watched: BTreeMap::new() })
    }

    /// Watches what is followed now; a file that was renamed or deleted has lost its watch, and the new one at its
    /// path has none. True when something is watched that was not before: what was written until then made no event.
    pub(super) fn refresh(&mut self, follower: &Follower) -> bool {
        let stays = |(path, key): (&Arc<str>, FileKey)| self.watched.get(path) == Some(&key);
        if follower.watchable().count() == self.watched.len() && follower.watchable().all(stays) {
            return false;
        }
        let gone = |(path, key): (&Arc<str>, &FileKey)| {
            let stays = follower.watchable().any(|(other, other_key)| other == path && other_key == *key);
            (!stays).then(|| Arc::clone(path))
        };
        let gone: Vec<Arc<str>> = self.watched.iter().filter_map(gone).collect();
        for path in gone {
            self.watch.remove(Path::new(&*path));
            self.watched.remove(&path);
        }
        let mut added = false;
        for (path, key) in follower.watchable() {
            if !self.watched.contains_key(path) && self.watch.add(Path::new(&**path)) {
                self.watched.insert(Arc::clone(path), key);
                added = true;
            }
        }
        added
    }
}

/// Waits for pipes, a thread for each: a pipe makes no events that `notify` knows on every system.
pub(super) struct PipeWatch {
    waker: Waker,
    tick: Duration,
    waiting: BTreeMap<FileKey, SyncSender<()>>,
}

impl PipeWatch {
    pub(super) fn new(waker: Waker, tick: Duration) -> Self {
        Self { waker, tick, waiting: BTreeMap::new() }
    }

    /// Lets every waiter wait again, now that a look has taken what was there; starts and ends waiters.
    pub(super) fn refresh(&mut self, follower: &Follower) {
        self.waiting.retain(|key, _| follower.pipes().any(|(other, _)| other == *key));
        for (key, descriptor) in follower.pipes() {
            let asleep = self.waiting.get(&key).map(|waiter| waiter.try_send(()));
            if matches!(asleep, None | Some(Err(TrySendError::Disconnected(())))) {
                self.start(key, descriptor);
            }
        }
    }

    fn start(&mut self, key: FileKey, descriptor: BorrowedFd<'_>) {
        // Out of descriptors or threads: the tick still reads the pipe.
        let Ok(descriptor) = descriptor.try_clone_to_owned() else { return };
        let (sender, looked) = sync_channel(1);
        let waker = self.waker.clone();
        let tick = self.tick;
        let wait = move || wait_for(descriptor.as_fd(), &waker, looked, tick);
        if std::thread::Builder::new().name("portcullis-pipe".to_owned()).spawn(wait).is_ok() {
            self.waiting.insert(key, sender);
        }
    }
}

/// Wakes the loop when the pipe can be read, then waits for the loop to have read it. Ends with the loop, and when the
/// last writer went away: the look that follows opens the pipe again, and that one waits for the next writer.
fn wait_for(pipe: BorrowedFd<'_>, waker: &Waker, looked: Receiver<()>, tick: Duration) {
    let timeout = PollTimeout::try_from(tick).unwrap_or(PollTimeout::MAX);
    loop {
        let mut descriptors = [PollFd::new(pipe, PollFlags::POLLIN)];
        let ready = poll(&mut descriptors, timeout).is_ok_and(|ready| ready > 0);
        let [descriptor] = &descriptors;
        let events = descriptor.revents().filter(|_| ready).unwrap_or(PollFlags::empty());
        // Without a writer poll returns at once for ever. FreeBSD calls the end readable as well (`pipe_poll` in
        // sys_pipe.c), and so is what the writer left behind: the look takes that before it opens the pipe again.
        if events.contains(PollFlags::POLLHUP) {
            // Before the loop wakes: what it finds then is that nobody waits any more.
            drop(looked);
            return waker.wake();
        }
        if events.contains(PollFlags::POLLIN) {
            waker.wake();
        }
        if looked.recv().is_err() {
            return;
        }
    }
}
