//! Whose connections are still to be cut. Bounded, since each costs commands and none of it is needed for a ban.

use std::collections::VecDeque;

use super::Change;
use crate::address::Prefix;

/// Entries that wait; beyond it, the newest are left alone.
const MOST: usize = 256;

/// The prefixes in the order in which they were blocked.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    waiting: VecDeque<Prefix>,
    said: bool,
}

impl Cuts {
    /// Takes the additions of a batch that was done, of up to `most`; the first time that they are too many, their number.
    pub(super) fn offer(&mut self, batch: &[Change], most: usize) -> Option<usize> {
        let added = batch.iter().filter(|change| matches!(change, Change::Add(_))).map(Change::prefix);
        let count = added.clone().count();
        if most == 0 || count == 0 {
            return None;
        }
        if count <= most && self.waiting.len() + count <= MOST {
            self.waiting.extend(added);
            return None;
        }
        (!std::mem::replace(&mut self.said, true)).then_some(count)
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Option<Prefix> {
        self.waiting.pop_front()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Whether none waits.
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
    fn a_flood_of_bans_neither_fills_the_queue_nor_the_log() {
        let mut cuts = Cuts::default();
        assert_eq!(cuts.offer(&batch(100), 0), None, "not asked for");
        let said: Vec<usize> = (0..100).filter_map(|_| cuts.offer(&batch(64), 64)).collect();
        assert_eq!((cuts.waiting.len(), said), (MOST, vec![64]));
        assert_eq!(cuts.offer(&batch(65), 64), None, "said already");
    }

    #[test]
    fn removals_are_not_cut() {
        let mut cuts = Cuts::default();
        cuts.offer(&[Change::Remove("192.0.2.7/32".parse().unwrap())], 64);
        assert!(cuts.is_empty());
    }
}
