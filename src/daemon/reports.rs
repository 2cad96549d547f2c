//! Reports of servers: the queue in which they wait for the thread that decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};

use super::error::NoStart;
use super::event::Event;
use crate::privileges::{Deliver, Privileges, ReportCount, ReportIntake};
use crate::report::Report;
use crate::settings::BlocklistSettings;
use crate::time::Time;

/// How many reports wait at a time; further ones are lost and counted. About 200 bytes each: the burst of a machine that
/// serves thousands of connections a second, while the thread that decides is busy for a second.
const MAX_WAITING: usize = 16_384;

/// The sources of reports at work.
pub(super) struct ReportSources {
    sources: Vec<BlocklistSettings>,
    intake: Box<dyn ReportIntake>,
    /// Source and report. A list, which takes memory only for what waits.
    queue: mpsc::Receiver<(Arc<str>, Report)>,
    waiting: Arc<AtomicUsize>,
    /// When a report last came, by source.
    last: HashMap<Arc<str>, Time>,
}

impl ReportSources {
    /// Receives the reports of these sources from now on.
    ///
    /// # Errors
    /// When a socket cannot be had, or the system has no thread left.
    pub(super) fn start(
        privileges: &dyn Privileges,
        sources: &[BlocklistSettings],
        nudge: SyncSender<Event>,
    ) -> Result<Self, NoStart> {
        let (sender, queue) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waiting);
        let deliver: Deliver = Arc::new(move |source, report| {
            if counted.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
                counted.fetch_sub(1, Ordering::Relaxed);
                return false;
            }
            let is_sent = sender.send((Arc::clone(source), report)).is_ok();
            // A full queue of events means that the daemon is awake, and looks for reports after each.
            let _ = nudge.try_send(Event::Reported);
            is_sent
        });
        let intake = privileges.receive_reports(sources, deliver)?;
        Ok(Self { sources: sources.to_vec(), intake, queue, waiting, last: HashMap::new() })
    }

    /// Takes other sources into force. Returns why sources are missing.
    pub(super) fn reload(&mut self, sources: &[BlocklistSettings]) -> Vec<String> {
        let missing = self.intake.reload(sources);
        let running = self.intake.counts();
        let runs = |source: &&BlocklistSettings| running.iter().any(|count| count.source == source.name);
        self.sources = sources.iter().filter(runs).cloned().collect();
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
        self.sources.len()
    }

    /// When a report last came.
    pub(super) fn last(&self) -> Option<Time> {
        self.last.values().max().copied()
    }

    /// The sources, what each counted, and when a report last came.
    pub(super) fn status(&self) -> impl Iterator<Item = (&BlocklistSettings, ReportCount, Option<Time>)> {
        let mut counts = self.intake.counts();
        self.sources.iter().map(move |source| {
            let of_it = counts.iter_mut().find(|count| count.source == source.name);
            let count = of_it.map(std::mem::take).unwrap_or_default();
            (source, count, self.last.get(source.name.as_str()).copied())
        })
    }
}
