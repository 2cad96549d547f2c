//! Reports of servers: the sockets at which they arrive, and the queue in which they wait for the thread that decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};

use super::error::NoStart;
use super::event::Event;
use crate::blocklist::{Gate, Receiver, ReceiverCounts, ReportSocket};
use crate::report::Report;
use crate::settings::BlocklistSettings;
use crate::time::Time;

/// How many reports wait at a time; further ones are lost and counted. About 200 bytes each: the burst of a machine that
/// serves thousands of connections a second, while the thread that decides is busy for a second.
const MAX_WAITING: usize = 16_384;

/// A socket that was bound at the start, before anything could go wrong any more.
pub(super) struct BoundSource {
    settings: BlocklistSettings,
    socket: ReportSocket,
    gate: Gate,
}

/// Takes the sockets.
///
/// # Errors
/// When one cannot be had.
pub(super) fn bind(sources: &[BlocklistSettings]) -> Result<Vec<BoundSource>, NoStart> {
    sources.iter().map(bind_one).collect()
}

fn bind_one(settings: &BlocklistSettings) -> Result<BoundSource, NoStart> {
    let gate = Gate::new(settings)?;
    Ok(BoundSource { settings: settings.clone(), socket: ReportSocket::bind(settings)?, gate })
}

/// The sources of reports at work.
pub(super) struct ReportSources {
    running: Vec<(BlocklistSettings, Receiver)>,
    /// Source and report. A list, which takes memory only for what waits.
    queue: mpsc::Receiver<(Arc<str>, Report)>,
    sender: mpsc::Sender<(Arc<str>, Report)>,
    waiting: Arc<AtomicUsize>,
    nudge: SyncSender<Event>,
    /// When a report last came, by source.
    last: HashMap<Arc<str>, Time>,
}

impl ReportSources {
    /// Receives at these sockets from now on.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(bound: Vec<BoundSource>, nudge: SyncSender<Event>) -> Result<Self, NoStart> {
        let (sender, queue) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut sources = Self { running: Vec::new(), queue, sender, waiting, nudge, last: HashMap::new() };
        for source in bound {
            sources.receive(source)?;
        }
        Ok(sources)
    }

    fn receive(&mut self, source: BoundSource) -> Result<(), NoStart> {
        let BoundSource { settings, socket, gate } = source;
        let name: Arc<str> = settings.name.as_str().into();
        let (sender, waiting, nudge) = (self.sender.clone(), Arc::clone(&self.waiting), self.nudge.clone());
        let deliver = move |report| {
            if waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
                waiting.fetch_sub(1, Ordering::Relaxed);
                return false;
            }
            let is_sent = sender.send((Arc::clone(&name), report)).is_ok();
            // A full queue of events means that the daemon is awake, and looks for reports after each.
            let _ = nudge.try_send(Event::Reported);
            is_sent
        };
        let receiver = Receiver::start(&format!("source {}", settings.name), socket, gate, deliver)?;
        self.running.push((settings, receiver));
        Ok(())
    }

    /// Takes other sources into force. A socket that stays keeps what waits in it. Returns why sources are missing.
    pub(super) fn reload(&mut self, sources: &[BlocklistSettings]) -> Vec<String> {
        let mut missing = Vec::new();
        let stays = |old: &BlocklistSettings, new: &BlocklistSettings| {
            (&old.name, &old.socket, &old.group) == (&new.name, &new.socket, &new.group)
        };
        // Removed before any is made, since two sources may change their paths.
        self.running.retain(|(old, _)| sources.iter().any(|new| stays(old, new)));
        for new in sources {
            let known = self.running.iter_mut().find(|(old, _)| stays(old, new));
            let done = match known {
                Some((old, receiver)) => Gate::new(new).map_err(NoStart::from).map(|gate| {
                    receiver.set_gate(gate);
                    old.clone_from(new);
                }),
                None => bind_one(new).and_then(|bound| self.receive(bound)),
            };
            missing.extend(done.err().map(|error| error.to_string()));
        }
        missing.iter().for_each(|why| log::error!("{why}"));
        missing
    }

    /// The next report, and the source that it came from.
    pub(super) fn take(&mut self, now: Time) -> Option<(Arc<str>, Report)> {
        let (source, report) = self.queue.try_recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.last.insert(Arc::clone(&source), now);
        Some((source, report))
    }

    /// The number of sources.
    pub(super) fn count(&self) -> usize {
        self.running.len()
    }

    /// The sources, what each counted, and when a report last came.
    pub(super) fn status(&self) -> impl Iterator<Item = (&BlocklistSettings, &ReceiverCounts, Option<Time>)> {
        let last = |settings: &BlocklistSettings| self.last.get(settings.name.as_str()).copied();
        self.running.iter().map(move |(settings, receiver)| (settings, receiver.counts(), last(settings)))
    }
}
