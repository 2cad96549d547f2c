//! Followed files as the pipeline knows them: each has a number of its own, under which its clock, its rule sets and its last
//! line are kept, and by which a line that stands in two files is known to be one.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;

use crate::follow::Batch;
use crate::pipeline::{LineSplitter, Pipeline, Stream, Terms};
use crate::record::{Clock, Layouts};
use crate::rules::Binding;
use crate::setup::Setup;
use crate::time::Time;

/// Files told apart at a time, four times as many as one pattern may match; the longest-quiet gives its number away.
const MOST: usize = 1024;

/// The numbers, which a reload leaves as they are.
#[derive(Debug, Default)]
pub(super) struct Streams {
    numbers: LinkedHashMap<(Arc<str>, Arc<str>), usize, RandomState>,
    /// Whether the files were named on the command line: then their paths tell which source of the configuration they
    /// are, and there are no names.
    by_path: bool,
    /// The sources of which it was said that they have lines without a time that is read.
    undated: HashSet<Arc<str>>,
    /// The sources whose first lines were looked at for their layout.
    looked_at: HashSet<Arc<str>>,
}

/// So many lines of a source tell which layout it has.
const TELLING: usize = 100;

/// A layout that the first lines of a source have, and it is not said to.
fn other_layout(binding: &Binding, lines: &[u8]) -> Option<Layouts> {
    LineSplitter::new(lines, None).take(TELLING).find_map(|line| binding.other_layout(line.text))
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

impl Streams {
    pub(super) fn new(by_path: bool) -> Self {
        Self { by_path, ..Self::default() }
    }

    /// The number of the file that the lines are from; the pipeline is told of a file that is new to it.
    pub(super) fn number(
        &mut self,
        pipeline: &mut Pipeline,
        source: &Arc<str>,
        batch: &Batch,
        setup: &Setup,
        now: Time,
    ) -> usize {
        let key = (Arc::clone(source), Arc::clone(&batch.path));
        if !batch.bytes.is_empty() && self.looked_at.insert(Arc::clone(source)) {
            let layout = other_layout(&self.terms(&key, setup).binding, &batch.bytes);
            layout.iter().for_each(|layout| log::warn!("{}", not_read(source, *layout)));
        }
        if let Some(number) = self.numbers.to_back(&key) {
            return *number;
        }
        let oldest = (self.numbers.len() >= MOST).then(|| self.numbers.pop_front()).flatten();
        let stream = Stream::new(Clock::new(setup.zone.clone(), now), self.terms(&key, setup));
        let number = pipeline.read(stream, oldest.map(|(_, number)| number));
        self.numbers.insert(key, number);
        number
    }

    /// The numbers of the files of a source.
    pub(super) fn of<'s>(&'s self, name: &'s str) -> impl Iterator<Item = usize> + 's {
        self.numbers.iter().filter(move |((source, _), _)| **source == *name).map(|(_, number)| *number)
    }

    /// Whether nobody was told yet that lines of this source say no time that is read.
    pub(super) fn is_first_undated(&mut self, name: &Arc<str>) -> bool {
        self.undated.insert(Arc::clone(name))
    }

    /// What holds under a configuration for a file, by the number that it has. Of a source that is followed no more
    /// nothing is read.
    pub(super) fn terms_of(&self, number: usize, setup: &Setup) -> Terms {
        let known = self.numbers.iter().find(|(_, known)| **known == number);
        known.map(|(key, _)| self.terms(key, setup)).unwrap_or_default()
    }

    fn terms(&self, (source, path): &(Arc<str>, Arc<str>), setup: &Setup) -> Terms {
        let path = Path::new(&**path);
        if self.by_path { setup.terms_of_file(path) } else { setup.terms_of_source(source, path) }
    }
}
