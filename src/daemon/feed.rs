//! The follower as the daemon runs it: started, replaced at a reload, its batches sent as events.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::core::now;
use super::event::Event;
use crate::follow::{self, Options, Source, Stored};
use crate::setup::{StampFormats, StampReader};

/// A running follower and the number by which its events are known.
pub(super) struct FollowerThread {
    number: u32,
    sources: Vec<Source>,
    names: Vec<Arc<str>>,
    options: Options,
    formats: StampFormats,
    handle: follow::Handle,
}

/// How often the clocks are told how late it is: the year of a stamp is guessed from now, and we may run for months.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Clocks kept at a time; whoever may write into a directory that a pattern looks into makes as many paths as he likes.
const CLOCKS: usize = 1024;

/// Reads the stamps of lines, by which several logs are merged and lines are known again, with a clock for each path.
fn stamps(formats: StampFormats) -> Box<follow::Stamps> {
    let mut readers: HashMap<Arc<str>, StampReader> = HashMap::new();
    let mut told = now();
    Box::new(move |path, line| {
        let time = now();
        if time.since(told).is_none_or(|age| age > TELL_EVERY) {
            readers.values_mut().for_each(|reader| reader.clock.set_now(time));
            told = time;
        }
        if readers.len() >= CLOCKS && !readers.contains_key(path) {
            readers.clear();
        }
        readers.entry(Arc::clone(path)).or_insert_with(|| formats.reader(path)).read(line)
    })
}

impl FollowerThread {
    /// Follows the sources from the stored positions.
    pub(super) fn start(
        number: u32,
        sources: Vec<Source>,
        stored: &[Stored],
        options: Options,
        formats: StampFormats,
        events: &SyncSender<Event>,
    ) -> io::Result<Self> {
        let wrap = move |batch| Event::Lines(number, batch);
        let end = Some(Event::Ended(number));
        let handle = follow::spawn(
            sources.clone(),
            stored,
            options,
            stamps(formats.clone()),
            events.clone(),
            wrap,
            end,
        )?;
        let names = sources.iter().map(|source| source.name.as_str().into()).collect();
        Ok(Self { number, sources, names, options, formats, handle })
    }

    pub(super) fn is(&self, number: u32) -> bool {
        self.number == number
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn sources(&self) -> usize {
        self.sources.len()
    }

    pub(super) fn follows(&self, sources: &[Source], options: Options, formats: &StampFormats) -> bool {
        self.sources == sources && self.options == options && self.formats == *formats
    }

    /// How many files these may be.
    pub(super) fn files(&self) -> usize {
        follow::files(&self.sources)
    }

    pub(super) fn name(&self, source: follow::SourceId) -> Arc<str> {
        self.names.get(usize::from(source.0)).map_or_else(|| "".into(), Arc::clone)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| source.name.as_str())
    }

    /// The path or pattern of a source.
    pub(super) fn path(&self, source: usize) -> String {
        self.sources.get(source).map(|source| source.path.display().to_string()).unwrap_or_default()
    }

    pub(super) fn status(&self) -> Vec<follow::Status> {
        self.handle.status()
    }

    /// Asks the thread to end; what it still sends is not looked at.
    pub(super) fn stop(&self) {
        self.handle.stop();
    }
}
