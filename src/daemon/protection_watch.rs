//! Says in the log whether anybody is kept out: at the start, as soon as it can be known, and whenever it changes.

use std::time::{Duration, Instant};

use crate::firewall::WorkerStatus;
use crate::protection::Gap;

/// How often to look once it is known; a minute late is early enough for a monitor, and the core wakes up as often.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How often to look until the firewall was asked for the first time.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// What was said last, and when to look again.
#[derive(Debug, Default)]
pub(super) struct ProtectionWatch {
    told: Option<Vec<Gap>>,
    /// `None` for at once.
    next: Option<Instant>,
}

impl ProtectionWatch {
    /// How long [`Self::is_due`] may be put off.
    pub(super) fn due_in(&self) -> Duration {
        self.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(Instant::now()))
    }

    pub(super) fn is_due(&self) -> bool {
        self.due_in().is_zero()
    }

    /// Has it looked at again soon, as after a reload.
    pub(super) fn hurry(&mut self) {
        self.next = None;
    }

    /// Says what changed. Before the firewall has answered once, nothing is said.
    pub(super) fn look(&mut self, firewall: &WorkerStatus, gaps: impl FnOnce() -> Vec<Gap>) {
        let is_known = firewall.compared.is_some() || firewall.last_error.is_some();
        self.next = Some(Instant::now() + if is_known { LOOK_EVERY } else { ASK_EVERY });
        if !is_known {
            return;
        }
        let gaps = gaps();
        if self.told.as_ref().is_some_and(|told| is_same(told, &gaps)) {
            return;
        }
        for gap in &gaps {
            log::warn!("NOT PROTECTING: {}; {}", gap.text, gap.remedy);
        }
        if gaps.is_empty() {
            log::info!("protecting: logs are read, and the table blocks");
        }
        self.told = Some(gaps);
    }
}

/// Whether the reasons are the same; their sentences may hold numbers that grow.
fn is_same(one: &[Gap], other: &[Gap]) -> bool {
    one.iter().map(|gap| gap.reason).eq(other.iter().map(|gap| gap.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_as_it_is_is_told_once_and_nothing_before_the_firewall_was_asked() {
        let mut watch = ProtectionWatch::default();
        let unasked = WorkerStatus::default();
        watch.look(&unasked, || panic!("nothing is known yet"));
        assert!(watch.told.is_none() && watch.due_in() <= ASK_EVERY);
        let asked = WorkerStatus { compared: Some(Instant::now()), ..unasked };
        watch.look(&asked, || vec![Gap::not_blocking("no rule for 1 entry", "add one")]);
        let first = watch.told.clone();
        watch.look(&asked, || vec![Gap::not_blocking("no rule for 2 entries", "add one")]);
        assert_eq!(watch.told, first);
        watch.look(&asked, Vec::new);
        assert_eq!(watch.told, Some(Vec::new()));
        watch.hurry();
        assert!(watch.is_due());
    }
}
