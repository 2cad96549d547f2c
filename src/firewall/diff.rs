//! The arithmetic of convergence: what is missing, what is foreign, and how much goes into one command. Pure.

use std::collections::HashSet;

use super::Limits;
use crate::address::{self, Prefix};

/// How a table differs from what it should hold; both lists are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Wanted and not there.
    pub(super) missing: Vec<Prefix>,
    /// There and not wanted.
    pub(super) foreign: Vec<Prefix>,
}

/// Compares what the table should hold with what it holds (each prefix once or more).
pub(super) fn difference(desired: &HashSet<Prefix>, listed: &[Prefix]) -> Difference {
    let listed: HashSet<Prefix> = listed.iter().copied().collect();
    let mut missing: Vec<Prefix> = desired.difference(&listed).copied().collect();
    let mut foreign: Vec<Prefix> = listed.difference(desired).copied().collect();
    missing.sort_unstable();
    foreign.sort_unstable();
    Difference { missing, foreign }
}

/// How many of the prefixes, from the first, fit into one command; at least one, so that there is always progress.
pub(super) fn fitting(prefixes: impl IntoIterator<Item = Prefix>, limits: Limits) -> usize {
    let mut bytes = 0;
    let fits = |prefix: &Prefix| {
        if limits.bytes == usize::MAX {
            return true;
        }
        bytes += address::display(prefix).len() + 1;
        bytes <= limits.bytes
    };
    prefixes.into_iter().take(limits.entries).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::address::{host, network};

    fn v4(n: u32) -> Prefix {
        host(IpAddr::V4((0x0a00_0000 + n).into()))
    }

    proptest! {
        #[test]
        fn after_the_difference_is_done_the_table_is_as_desired(
            desired in prop::collection::hash_set(0u32..50, 0..40),
            listed in prop::collection::vec(0u32..50, 0..60),
        ) {
            let desired: HashSet<Prefix> = desired.into_iter().map(v4).collect();
            let listed: Vec<Prefix> = listed.into_iter().map(v4).collect();
            let difference = difference(&desired, &listed);
            let mut table: HashSet<Prefix> = listed.into_iter().collect();
            prop_assert!(difference.missing.iter().all(|prefix| table.insert(*prefix)));
            prop_assert!(difference.foreign.iter().all(|prefix| table.remove(prefix)));
            prop_assert_eq!(table, desired);
        }
    }

    #[test]
    fn a_command_is_bounded_by_number_and_by_bytes() {
        let limits = Limits { entries: 3, bytes: usize::MAX, replace: 0, lookup: 0, after_add: 0 };
        assert_eq!(fitting((0..10).map(v4), limits), 3);
        assert_eq!(fitting((0..2).map(v4), limits), 2);
        // "10.0.0.0" and its separator are nine bytes.
        assert_eq!(fitting((0..10).map(v4), Limits { entries: 10, bytes: 18, ..limits }), 2);
        assert_eq!(fitting((0..10).map(v4), Limits { entries: 10, bytes: 1, ..limits }), 1, "progress");
    }

    #[test]
    fn a_host_and_the_network_around_it_are_two_entries() {
        let address = "2001:db8::1".parse().unwrap();
        let desired: HashSet<Prefix> = [host(address), network(address, 64)].into();
        let difference = difference(&desired, &[network(address, 64)]);
        assert_eq!((difference.missing, difference.foreign), (vec![host(address)], vec![]));
    }

    #[test]
    fn a_hundred_thousand_are_compared_and_cut_into_few_commands() {
        let v6 = |n: u32| network(IpAddr::V6(Ipv6Addr::from(u128::from(n) << 64)), 64);
        let desired: HashSet<Prefix> = (0..50_000).map(v4).chain((0..50_000).map(v6)).collect();
        let mut missing = difference(&desired, &[]).missing;
        let limits = Limits { entries: 10_000, bytes: 440_000, replace: 0, lookup: 0, after_add: 0 };
        let mut commands = 0;
        while !missing.is_empty() {
            missing.drain(..fitting(missing.iter().copied(), limits));
            commands += 1;
        }
        assert_eq!(commands, 10);
    }
}
