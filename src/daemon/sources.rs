//! The followed sources: the thread that reads them, and how far each of their files was read.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use super::event::Event;
use super::now;
use crate::follow::{self, Batch, Follower, Opener, Options, Position, Source, Stored};
use crate::pipeline::{LineSplitter, Stream, StreamKey, Terms};
use crate::privileges::Privileges;
use crate::record::{Clock, Layouts};
use crate::rules::Binding;
use crate::setup::{Setup, StampFormats, StampReader};
use crate::store::{FilePosition, PositionChange};
use crate::time::Time;

/// How often the clocks learn the present time, by which timestamps without a year are dated: we may run for months.
const CLOCK_UPDATE: Duration = Duration::from_secs(60);

/// The most clocks that are kept: whoever may write into a directory that a pattern matches can create any number of paths.
const MAX_CLOCKS: usize = 1024;

/// The number of lines by which the layout of a source is recognised.
const LAYOUT_SAMPLE: usize = 100;

/// The warning about a log whose matching lines have no readable timestamp; follows the log's path.
const UNDATED: &str = "matching lines have no readable timestamp; they count when they arrive, and not at all after a \
     restart: describe their timestamps with `time:` in the rule set or under the source";

/// The sources, followed by a thread that a reload replaces.
pub(super) struct Sources {
    privileges: Arc<dyn Privileges>,
    sender: SyncSender<Event>,
    follower: FollowerThread,
    positions: Positions,
    /// The sources whose first lines were looked at for their layout.
    sampled: HashSet<Arc<str>>,
    /// The sources that were warned of because of lines without a readable timestamp.
    undated: HashSet<Arc<str>>,
}

impl Sources {
    /// Follows the sources from where an earlier run stood.
    pub(super) fn start(
        setup: &Setup,
        privileges: Arc<dyn Privileges>,
        positions: Positions,
        sender: SyncSender<Event>,
    ) -> io::Result<Self> {
        let plan = FollowPlan::new(setup, &*privileges);
        let follower = FollowerThread::start(0, plan, privileges.opener(), &positions.all(), &sender)?;
        Ok(Self { privileges, sender, follower, positions, sampled: HashSet::new(), undated: HashSet::new() })
    }

    /// Takes other sources into force: the new follower goes on where the old one stopped.
    pub(super) fn reload(&mut self, setup: &Setup) {
        let plan = FollowPlan::new(setup, &*self.privileges);
        if plan == self.follower.plan {
            return;
        }
        let number = self.follower.number + 1;
        let opener = self.privileges.opener();
        match FollowerThread::start(number, plan, opener, &self.positions.all(), &self.sender) {
            Ok(follower) => std::mem::replace(&mut self.follower, follower).stop(),
            Err(error) => log::error!("the new sources are not followed: {error}"),
        }
    }

    /// Asks the follower to end; what it still sends is not looked at.
    pub(super) fn stop(&self) {
        self.follower.stop();
    }

    /// Whether this is the number of the follower at work.
    pub(super) fn is_current(&self, follower: u32) -> bool {
        self.follower.number == follower
    }

    /// The pipeline's key for the log of a batch.
    pub(super) fn key(&self, batch: &Batch) -> StreamKey {
        let name = self.follower.names.get(usize::from(batch.source.0));
        StreamKey { source: name.map_or_else(|| "".into(), Arc::clone), path: Arc::clone(&batch.path) }
    }

    /// A stream for a log that is new to the pipeline.
    pub(super) fn stream(&self, key: &StreamKey, setup: &Setup, now: Time) -> Stream {
        Stream::new(Clock::new(setup.zone.clone(), now), self.terms(key, setup))
    }

    /// What holds for a log under a configuration. Of a source that is followed no more nothing is read.
    pub(super) fn terms(&self, key: &StreamKey, setup: &Setup) -> Terms {
        let path = Path::new(&*key.path);
        // A log from the command line has no name; its path tells which source of the configuration it is.
        if !self.privileges.follows_arguments() {
            setup.terms_of_source(&key.source, path)
        } else {
            setup.terms_of_file(path)
        }
    }

    /// Takes over the position behind a batch; true if the path had none, so that a crash would lose all of it.
    pub(super) fn note_position(&mut self, key: &StreamKey, batch: &Batch) -> bool {
        self.positions.note(key, batch)
    }

    /// Positions that changed since the last call, as the database keeps them.
    pub(super) fn position_changes(&mut self) -> Vec<PositionChange> {
        self.positions.take()
    }

    /// Has all positions written again.
    pub(super) fn touch_positions(&mut self) {
        self.positions.touch_all();
    }

    /// Warns once for each source if its lines seem to have another layout than it is read by.
    pub(super) fn warn_of_other_layout(&mut self, key: &StreamKey, batch: &Batch, setup: &Setup) {
        if batch.bytes.is_empty() || !self.sampled.insert(Arc::clone(&key.source)) {
            return;
        }
        if let Some(layout) = other_layout(&self.terms(key, setup).binding, &batch.bytes) {
            log::warn!("{}", not_read(&key.source, layout));
        }
    }

    /// Warns once for each source that matching lines have no readable timestamp.
    pub(super) fn warn_of_undated(&mut self, key: &StreamKey) {
        if self.undated.insert(Arc::clone(&key.source)) {
            log::warn!("{}: {UNDATED}", key.path);
        }
    }

    /// The number of sources.
    pub(super) fn count(&self) -> usize {
        self.follower.plan.sources.len()
    }

    /// The most files that the sources may be.
    pub(super) fn max_files(&self) -> usize {
        follow::files(&self.follower.plan.sources)
    }

    /// The sources, and how the files of each stand.
    pub(super) fn status(&self) -> Vec<(&Source, Vec<follow::Status>)> {
        let mut sources: Vec<(&Source, Vec<follow::Status>)> =
            self.follower.plan.sources.iter().map(|source| (source, Vec::new())).collect();
        for file in self.follower.handle.status() {
            if let Some((_, files)) = sources.get_mut(usize::from(file.source.0)) {
                files.push(file);
            }
        }
        sources
    }
}

/// The sources to follow, and how to follow them.
#[derive(Clone, Debug, PartialEq)]
struct FollowPlan {
    sources: Vec<Source>,
    options: Options,
    stamps: StampFormats,
}

impl FollowPlan {
    fn new(setup: &Setup, privileges: &dyn Privileges) -> Self {
        Self {
            sources: privileges.sources(setup),
            options: setup.follow_options(),
            stamps: setup.stamp_formats(),
        }
    }
}

/// A running follower.
struct FollowerThread {
    /// Identifies its events.
    number: u32,
    plan: FollowPlan,
    names: Vec<Arc<str>>,
    handle: follow::Handle,
}

impl FollowerThread {
    fn start(
        number: u32,
        plan: FollowPlan,
        opener: Arc<dyn Opener>,
        stored: &[Stored],
        sender: &SyncSender<Event>,
    ) -> io::Result<Self> {
        let is_following = !plan.sources.is_empty();
        let names = plan.sources.iter().map(|source| source.name.as_str().into()).collect();
        let mut follower =
            Follower::through(opener, plan.sources.clone(), stored, plan.options.quiet, Instant::now());
        follower.merge_by(stamps(plan.stamps.clone()));
        let handle = follow::spawn(
            follower,
            plan.options,
            sender.clone(),
            move |batch| Event::Lines(number, batch),
            // Reports may still come where nothing is followed.
            is_following.then_some(Event::Ended(number)),
        )?;
        Ok(Self { number, plan, names, handle })
    }

    fn stop(&self) {
        self.handle.stop();
    }
}

/// Reads the stamps of lines, by which several logs are merged and lines are known again, with a clock for each path.
fn stamps(formats: StampFormats) -> Box<follow::Stamps> {
    let mut readers: HashMap<Arc<str>, StampReader> = HashMap::new();
    let mut updated = now();
    Box::new(move |path, line| {
        let now = now();
        if now.since(updated).is_none_or(|age| age > CLOCK_UPDATE) {
            readers.values_mut().for_each(|reader| reader.clock.set_now(now));
            updated = now;
        }
        if readers.len() >= MAX_CLOCKS && !readers.contains_key(path) {
            readers.clear();
        }
        readers.entry(Arc::clone(path)).or_insert_with(|| formats.reader(path)).read(line)
    })
}

/// A layout that the first lines of a source have, and it is not said to.
fn other_layout(binding: &Binding, lines: &[u8]) -> Option<Layouts> {
    LineSplitter::new(lines, None).take(LAYOUT_SAMPLE).find_map(|line| binding.other_layout(line.text))
}

/// An application may print the same, with words of its peers: so they are not read unasked.
fn not_read(source: &str, layout: Layouts) -> String {
    let (whose, remedy) = match layout {
        Layouts::Metalog => ("metalog's", "if metalog writes them, say `layout: metalog`"),
        Layouts::Supervised => (
            "those of multilog, svlogd or socklog",
            "if one of these writes them, say `layout: multilog`, `svlogd` or `socklog`",
        ),
        Layouts::Syslog => ("a syslog daemon's", "if one writes them, drop `layout`"),
    };
    format!(
        "source {source}: lines look like {whose} and are not read; {remedy}; if an application writes them, name its \
         `rule_sets`"
    )
}

/// How far each path was read: noted with every batch, stored with the decisions that follow from it.
#[derive(Debug, Default)]
pub(super) struct Positions {
    known: HashMap<StreamKey, Position>,
    /// Positions that are not stored yet.
    changed: Vec<StreamKey>,
    /// Positions that are to be removed from the database.
    gone: Vec<StreamKey>,
}

impl Positions {
    /// Takes over what an earlier run stored. Where a position cannot be read, the file is followed as one that was never
    /// seen.
    pub(super) fn restored(stored: Vec<FilePosition>) -> Self {
        let mut known = HashMap::new();
        for FilePosition { source, file, position } in stored {
            match serde_json::from_str(&position) {
                Ok(position) => {
                    known.insert(StreamKey { source: source.into(), path: file.into() }, position);
                }
                Err(error) => log::warn!(
                    "the stored position in {file} cannot be read ({error}): it is followed from its end"
                ),
            }
        }
        Self { known, ..Self::default() }
    }

    /// Takes over the position behind a batch; true if the path had none.
    fn note(&mut self, key: &StreamKey, batch: &Batch) -> bool {
        if batch.gone {
            self.changed.retain(|changed| changed != key);
            self.known.remove(key);
            self.gone.push(key.clone());
            return false;
        }
        let Some(position) = &batch.position else { return false };
        self.gone.retain(|gone| gone != key);
        if !self.changed.contains(key) {
            self.changed.push(key.clone());
        }
        self.known.insert(key.clone(), position.clone()).is_none()
    }

    fn take(&mut self) -> Vec<PositionChange> {
        let mut changes = Vec::new();
        for StreamKey { source, path } in std::mem::take(&mut self.gone) {
            changes.push(PositionChange::Gone { source: source.to_string(), file: path.to_string() });
        }
        for key in std::mem::take(&mut self.changed) {
            changes.extend(self.change(&key));
        }
        changes
    }

    fn change(&self, key: &StreamKey) -> Option<PositionChange> {
        let position = serde_json::to_string(self.known.get(key)?).ok()?;
        let source = key.source.to_string();
        let file = key.path.to_string();
        Some(PositionChange::At(FilePosition { source, file, position }))
    }

    fn touch_all(&mut self) {
        self.changed = self.known.keys().cloned().collect();
    }

    /// All of them, for a follower that goes on where another stopped.
    fn all(&self) -> Vec<Stored> {
        let stored = |(key, position): (&StreamKey, &Position)| Stored {
            source: key.source.to_string(),
            path: key.path.to_string(),
            position: position.clone(),
        };
        self.known.iter().map(stored).collect()
    }
}
