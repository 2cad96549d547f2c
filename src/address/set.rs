//! A set of prefixes, asked for every offence and before every ban.

use std::net::IpAddr;

use super::Prefix;

/// Networks as sorted, merged ranges: a question costs a binary search, whatever the number of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixSet {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl PrefixSet {
    /// Whether the address lies in one of the networks.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.overlaps(&super::host(address))
    }

    /// Whether any address of the prefix lies in one of the networks.
    ///
    /// This is the question to ask before a network is banned: one allowed host in it forbids the ban.
    pub fn overlaps(&self, prefix: &Prefix) -> bool {
        let (first, last) = bounds(prefix);
        let ranges = self.family(prefix);
        let next = ranges.partition_point(|range| range.1 < first);
        ranges.get(next).is_some_and(|range| range.0 <= last)
    }

    /// Whether there is no network in the set.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    fn family(&self, prefix: &Prefix) -> &[(u128, u128)] {
        if matches!(prefix, Prefix::V4(_)) { &self.v4 } else { &self.v6 }
    }
}

impl FromIterator<Prefix> for PrefixSet {
    fn from_iter<I: IntoIterator<Item = Prefix>>(prefixes: I) -> Self {
        let (v4, v6): (Vec<Prefix>, Vec<Prefix>) =
            prefixes.into_iter().partition(|p| matches!(p, Prefix::V4(_)));
        Self { v4: merged(&v4), v6: merged(&v6) }
    }
}

fn merged(prefixes: &[Prefix]) -> Vec<(u128, u128)> {
    let mut ranges: Vec<(u128, u128)> = prefixes.iter().map(bounds).collect();
    ranges.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.0 <= last.1.saturating_add(1) => last.1 = last.1.max(range.1),
            _ => merged.push(range),
        }
    }
    merged
}

fn bounds(prefix: &Prefix) -> (u128, u128) {
    (number(prefix.network()), number(prefix.broadcast()))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::{host, network};

    fn prefixes() -> impl Strategy<Value = Vec<Prefix>> {
        // Few distinct bits, so that networks touch, nest and repeat.
        let v4 = (0u32..64, 24u8..=32).prop_map(|(n, bits)| network(IpAddr::V4((n * 7).into()), bits));
        let v6 = (0u128..64, 118u8..=128).prop_map(|(n, bits)| network(IpAddr::V6((n * 7).into()), bits));
        prop::collection::vec(prop_oneof![v4, v6], 0..12)
    }

    proptest! {
        #[test]
        fn agrees_with_a_linear_scan(listed in prefixes(), asked in prefixes()) {
            let set: PrefixSet = listed.iter().copied().collect();
            for prefix in asked {
                let address = prefix.addr();
                prop_assert_eq!(set.contains(address), listed.iter().any(|l| l.contains(&address)));
                let overlap = |l: &Prefix| l.contains(&prefix) || prefix.contains(l);
                prop_assert_eq!(set.overlaps(&prefix), listed.iter().any(overlap));
            }
        }
    }

    #[test]
    fn a_longer_number_is_not_a_shorter_one() {
        let set: PrefixSet = ["172.16.0.2/32".parse().unwrap()].into_iter().collect();
        assert!(!set.contains("72.16.0.2".parse().unwrap()));
        assert!(!set.contains("::ac10:2".parse().unwrap()), "families never mix");
    }

    #[test]
    fn the_whole_of_a_family_can_be_listed() {
        let set: PrefixSet = ["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()].into_iter().collect();
        assert!(set.contains("203.0.113.1".parse().unwrap()) && set.contains("ff::1".parse().unwrap()));
        assert!(
            PrefixSet::default().is_empty() && !PrefixSet::default().overlaps(&host("::".parse().unwrap()))
        );
    }
}
