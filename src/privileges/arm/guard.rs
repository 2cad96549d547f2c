//! What the arm refuses whatever the brain says: a brain that was taken over shall not cut off whom nobody may ban.

use std::time::Instant;

use crate::address::{self, Prefix, PrefixSet, unbannable_in};
use crate::firewall::{BackendError, Change};

/// The widest networks that are banned, in bits: what is wider is a slip or an attack, and pf.conf is the place for it.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 19;

/// The rules, and how many additions are left.
#[derive(Debug)]
pub(super) struct Guard {
    allowed: PrefixSet,
    /// The additions of a minute.
    max_additions: u32,
    /// What may be added at once. A batch that is larger than a minute's additions leaves a debt.
    left: i64,
    filled: Instant,
    is_holding_back: bool,
}

impl Guard {
    pub(super) fn new(allowed: impl IntoIterator<Item = Prefix>, max_additions: u32, now: Instant) -> Self {
        let allowed = allowed.into_iter().collect();
        let left = i64::from(max_additions);
        Self { allowed, max_additions, left, filled: now, is_holding_back: false }
    }

    /// Takes other rules into force; what was added until now stays counted.
    pub(super) fn set(&mut self, allowed: impl IntoIterator<Item = Prefix>, max_additions: u32) {
        self.allowed = allowed.into_iter().collect();
        self.max_additions = max_additions;
        self.left = self.left.min(i64::from(max_additions));
    }

    /// Whether these changes may be made.
    ///
    /// # Errors
    /// `Refused` where one of them may never be made, `Broken` where too many are made in a minute.
    pub(super) fn check(&mut self, changes: &[Change], now: Instant) -> Result<(), BackendError> {
        let added = || {
            changes.iter().filter_map(|change| match change {
                Change::Add(prefix) => Some(prefix),
                Change::Remove(_) => None,
            })
        };
        if let Some(why) = added().find_map(|prefix| self.refusal(prefix)) {
            return Err(BackendError::Refused(why));
        }
        self.spend(added().count(), now)
    }

    /// Whether a table may hold these.
    ///
    /// # Errors
    /// As of [`Guard::check`].
    pub(super) fn check_table(&mut self, all: &[Prefix], now: Instant) -> Result<(), BackendError> {
        if let Some(why) = all.iter().find_map(|prefix| self.refusal(prefix)) {
            return Err(BackendError::Refused(why));
        }
        self.spend(all.len(), now)
    }

    /// Those of the table that it may hold.
    pub(super) fn permitted<'a>(&'a self, all: &'a [Prefix]) -> impl Iterator<Item = Prefix> + 'a {
        all.iter().copied().filter(|prefix| self.refusal(prefix).is_none())
    }

    /// Why nobody may ban this prefix, as a sentence.
    fn refusal(&self, prefix: &Prefix) -> Option<String> {
        let widest = if prefix.addr().is_ipv4() { WIDEST_V4 } else { WIDEST_V6 };
        let why = if prefix.prefix_len() < widest {
            format!("it is wider than /{widest}")
        } else if let Some(kind) = unbannable_in(prefix) {
            format!("it holds {kind} addresses, which are never banned")
        } else if self.allowed.overlaps(prefix) {
            "it is, or holds, an address that is allowed".to_owned()
        } else {
            return None;
        };
        Some(format!("the process with root's rights refuses {}: {why}", address::display(prefix)))
    }

    /// Whether the connections of this prefix may be ended.
    ///
    /// # Errors
    /// `Refused` where it may never be banned.
    pub(super) fn check_one(&self, prefix: &Prefix) -> Result<(), BackendError> {
        self.refusal(prefix).map_or(Ok(()), |why| Err(BackendError::Refused(why)))
    }

    fn spend(&mut self, count: usize, now: Instant) -> Result<(), BackendError> {
        let full = i64::from(self.max_additions);
        let seconds = now.saturating_duration_since(self.filled).as_secs();
        if seconds > 0 {
            let earned = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(full) / 60;
            self.left = self.left.saturating_add(earned).min(full);
            self.filled = now;
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if count.min(full) > self.left {
            let why =
                format!("{full} additions a minute are made at the most (`max_additions`): {count} wait");
            if !std::mem::replace(&mut self.is_holding_back, true) {
                log::error!("{why}");
            }
            return Err(BackendError::Broken(why));
        }
        self.is_holding_back = false;
        self.left -= count;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn add(prefix: &str) -> Change {
        Change::Add(prefix.parse().unwrap())
    }

    #[test]
    fn who_may_never_be_banned_is_refused_whoever_asks() {
        let allowed: Vec<Prefix> = ["198.51.100.7/32", "2001:db8:1::/48"].map(|p| p.parse().unwrap()).into();
        let mut guard = Guard::new(allowed, 1000, Instant::now());
        let now = Instant::now();
        for (prefix, why) in [
            ("198.51.100.7/32", "allowed"),
            ("198.51.100.0/24", "allowed"),
            ("2001:db8:1:2::/64", "allowed"),
            ("127.0.0.1/32", "loopback"),
            ("::1/128", "loopback"),
            ("0.0.0.0/0", "wider than /8"),
            ("203.0.0.0/7", "wider than /8"),
            ("2000::/3", "wider than /19"),
        ] {
            let refused = guard.check(&[add("203.0.113.1/32"), add(prefix)], now);
            assert!(
                matches!(&refused, Err(BackendError::Refused(text)) if text.contains(why)),
                "{refused:?}"
            );
            assert!(guard.check(&[Change::Remove(prefix.parse().unwrap())], now).is_ok(), "{prefix}");
        }
        assert!(guard.check(&[add("203.0.113.1/32"), add("2001:db8:2::/64")], now).is_ok());
        let table = ["203.0.113.1/32", "127.0.0.0/8"].map(|p| p.parse().unwrap());
        assert!(guard.check_table(&table, now).is_err());
        assert_eq!(guard.permitted(&table).collect::<Vec<_>>(), table[..1]);
    }

    #[test]
    fn additions_are_limited_in_each_minute_and_removals_are_not() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let some = |count: u32| -> Vec<Change> {
            let address = |n| std::net::Ipv4Addr::from(0xcb00_7100 + n).into();
            (0..count).map(|n| Change::Add(address::host(address(n)))).collect()
        };
        let mut guard = Guard::new([], 60, start);
        assert!(guard.check(&some(50), start).is_ok());
        let held = guard.check(&some(20), start);
        assert!(matches!(&held, Err(BackendError::Broken(text)) if text.contains("20 wait")), "{held:?}");
        assert!(guard.check(&[Change::Remove("192.0.2.1/32".parse().unwrap())], start).is_ok());
        assert!(guard.check(&some(20), after(10)).is_ok());
        assert!(guard.check(&some(180), after(80)).is_ok(), "a large batch goes whole");
        assert!(guard.check(&some(1), after(180)).is_err(), "and is paid for afterwards");
        assert!(guard.check(&some(1), after(201)).is_ok());
    }
}
