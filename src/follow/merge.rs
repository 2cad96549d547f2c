//! Catching up on several logs at once: what was written while nobody read is handed out in the order of its timestamps, as
//! it would have come. Read log after log, lines of one attempt that two logs tell of lie hours apart, and what counts
//! within ten minutes does not meet.
//!
//! Of each log a window is looked at ahead and not handed out; handing out reads it again, so that a position is always
//! behind what was handed out, and nothing else.

use std::ops::ControlFlow;

use super::Sink;
use super::followed_file::FollowedFile;
use super::round::Round;
use crate::pipeline::Turn;

/// Reads the logs that lag behind, the oldest line first, until so many bytes were handed out. True when none lags
/// behind any more, or none that does can be read.
pub(super) fn catch_up(
    logs: &mut [&mut FollowedFile],
    mut budget: usize,
    round: &mut Round<'_>,
    buf: &mut [u8],
    sink: &mut Sink<'_>,
) -> ControlFlow<(), bool> {
    let mut lagging: Vec<usize> = (0..logs.len()).collect();
    while budget > 0 {
        lagging.retain(|&index| logs.get_mut(index).is_some_and(|log| log.lags()));
        let alone = lagging.len() == 1;
        let mut heads = Vec::new();
        for &index in &lagging {
            let Some(log) = logs.get_mut(index) else { continue };
            let head = if alone { None } else { log.look_ahead(round.stamps) };
            heads.push((head, index));
        }
        let Some(turn) = Turn::next(heads.into_iter()) else { return ControlFlow::Continue(true) };
        let Some(log) = logs.get_mut(turn.log) else { return ControlFlow::Continue(true) };
        log.was_waited_for = true;
        match log.read_ahead(turn, round, buf, sink)? {
            Some(length) => budget = budget.saturating_sub(length),
            // It is tried again at the next look; the others do not wait for it.
            None => lagging.retain(|&index| index != turn.log),
        }
    }
    ControlFlow::Continue(false)
}
