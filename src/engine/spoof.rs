//! Caps on bans whose evidence can be forged: beyond them every further ban would only do the attacker's work.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::policy::SpoofCaps;
use crate::time::Time;

const MINUTE: Duration = Duration::from_secs(60);

/// A flood has ended once no ban was refused for this long; the next flood is announced again.
const FLOOD_ENDS_AFTER: Duration = Duration::from_secs(600);

/// The refusal of a ban whose evidence can be forged, because a cap was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood {
    /// Whether this is the first refusal of a flood, which is reported to the operator.
    pub first: bool,
    /// The caps in force.
    pub caps: SpoofCaps,
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a flood of packets whose sources are probably forged: at most {} bans at a time and {} a minute rest on such \
             evidence, since more would only cut off the addresses that the attacker chose; syncookies \
             (net.inet.tcp.syncookies=1) and rate limits in the firewall help against it, bans do not",
            self.caps.bans_at_once, self.caps.bans_per_minute
        )
    }
}

#[derive(Debug, Default)]
pub(super) struct Spoof {
    /// Times of the bans of the last minute, at most `bans_per_minute` of them.
    recent: VecDeque<Time>,
    refused: Option<Time>,
}

impl Spoof {
    /// Allows one more ban at `now` while `banned` others are active, or says that a cap was reached.
    pub(super) fn allow(&mut self, caps: &SpoofCaps, banned: usize, now: Time) -> Result<(), Flood> {
        self.recent.retain(|time| now.since(*time).is_some_and(|age| age < MINUTE));
        let may_grow = self.recent.len() < caps.bans_per_minute as usize;
        if may_grow && banned < caps.bans_at_once as usize {
            self.recent.push_back(now);
            return Ok(());
        }
        let first = self.refused.is_none_or(|last| now.since(last).is_none_or(|age| age > FLOOD_ENDS_AFTER));
        self.refused = Some(now);
        Err(Flood { first, caps: *caps })
    }
}
