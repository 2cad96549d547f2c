//! Followed files as the guard knows them: each has a number of its own, under which its clock and its last line are
//! kept, and by which a line that stands in two files is known to be one.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;
use jiff::tz::TimeZone;

use crate::engine::Guard;
use crate::follow::Batch;
use crate::record::Clock;
use crate::time::Time;

/// Files told apart at a time, four times as many as one pattern may match; the longest-quiet gives its number away.
const MOST: usize = 1024;

/// The numbers, which a reload leaves as they are.
#[derive(Debug, Default)]
pub(super) struct Streams {
    numbers: LinkedHashMap<(Arc<str>, Arc<str>), usize, RandomState>,
}

impl Streams {
    /// The number of the file that the lines are from; the guard is told of a file that is new to it.
    pub(super) fn number(
        &mut self,
        guard: &mut Guard,
        source: &Arc<str>,
        batch: &Batch,
        zone: &TimeZone,
        now: Time,
    ) -> usize {
        let key = (Arc::clone(source), Arc::clone(&batch.path));
        if let Some(number) = self.numbers.to_back(&key) {
            return *number;
        }
        let oldest = (self.numbers.len() >= MOST).then(|| self.numbers.pop_front()).flatten();
        let number = guard.read(Clock::new(zone.clone(), now), oldest.map(|(_, number)| number));
        self.numbers.insert(key, number);
        number
    }
}
