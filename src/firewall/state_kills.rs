//! Whose connections are still to be cut. Bounded, since each costs commands and none of it is needed for a ban.

use std::collections::VecDeque;

use super::{BackendError, Change, split};
use crate::address::Prefix;

/// Entries that wait; beyond it, the newest are left alone.
const MAX_AT_ONCE: usize = 256;

/// The prefixes in the order in which they were blocked.
#[derive(Debug, Default)]
pub(super) struct StateKills {
    waiting: VecDeque<Prefix>,
    /// The message that many are left alone was given.
    said: bool,
    /// The message that kills fail was given.
    complained: bool,
    /// The tool hung: nobody is to wait for it again soon.
    paused: bool,
}

impl StateKills {
    /// Takes the additions of a batch that was done, of up to `most`; if they are too many, gives their number.
    pub(super) fn offer(&mut self, batch: &[Change], most: usize) -> Option<usize> {
        let (added, _) = split(batch);
        let count = added.len();
        if most == 0 || count == 0 || self.paused {
            return None;
        }
        if count <= most && self.waiting.len() + count <= MAX_AT_ONCE {
            self.waiting.extend(added);
            return None;
        }
        Some(count)
    }

    /// Whether this is the first time that some are left alone, which is worth a message.
    pub(super) fn is_news(&mut self) -> bool {
        !std::mem::replace(&mut self.said, true)
    }

    /// The next prefix whose connections are to be ended.
    pub(super) fn next(&mut self) -> Option<Prefix> {
        self.waiting.pop_front()
    }

    /// Notes how a cut ended: after a failure the others are forgotten, and where the tool hung there are none until
    /// [`Self::resume`]. Gives the message about it, once until a cut succeeds.
    pub(super) fn ended(&mut self, answer: Result<(), BackendError>) -> Option<String> {
        let Err(failure) = answer else {
            self.complained = false;
            return None;
        };
        self.waiting.clear();
        self.paused = matches!(failure, BackendError::Broken(_));
        let known = std::mem::replace(&mut self.complained, true);
        (!known).then(|| format!("open connections of blocked prefixes may go on: {failure}"))
    }

    /// The tool answers again.
    pub(super) fn resume(&mut self) {
        self.paused = false;
    }

    /// Whether no prefix waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(count: u32) -> Vec<Change> {
        (0..count).map(|n| Change::Add(crate::address::host(std::net::IpAddr::V4(n.into())))).collect()
    }

    #[test]
    fn a_flood_of_bans_does_not_fill_the_queue_and_is_told_once() {
        let mut kills = StateKills::default();
        assert_eq!(kills.offer(&batch(100), 0), None, "not asked for");
        let left: Vec<usize> = (0..6).filter_map(|_| kills.offer(&batch(64), 64)).collect();
        assert_eq!((kills.waiting.len(), left), (MAX_AT_ONCE, vec![64; 2]));
        assert_eq!(kills.offer(&batch(65), 64), Some(65));
        assert_eq!((kills.is_news(), kills.is_news()), (true, false));
    }

    #[test]
    fn removals_are_not_cut() {
        let mut kills = StateKills::default();
        kills.offer(&[Change::Remove("192.0.2.7/32".parse().unwrap())], 64);
        assert!(kills.is_empty());
    }

    #[test]
    fn a_tool_that_hangs_is_not_waited_for_again_until_it_answers() {
        let mut kills = StateKills::default();
        kills.offer(&batch(3), 64);
        let hung = || Err(BackendError::Broken("it hangs".to_owned()));
        assert!(kills.ended(hung()).is_some_and(|text| text.contains("it hangs")));
        kills.offer(&batch(3), 64);
        assert!(kills.is_empty(), "none is taken");
        kills.resume();
        kills.offer(&batch(3), 64);
        assert_eq!((kills.waiting.len(), kills.ended(hung())), (3, None), "told once");
        assert_eq!(kills.ended(Ok(())), None);
        let refused = Err(BackendError::Refused("no".to_owned()));
        assert!(kills.ended(refused).is_some(), "it had worked again");
        kills.offer(&batch(3), 64);
        assert!(!kills.is_empty(), "a tool that answers, if only with no, keeps nobody waiting");
    }
}
