//! Which entries of a refused batch does the firewall dislike? Halves it until the bad ones are alone.

use super::{Backend, Change, Failure};

/// Commands spent on one batch; one bad entry of 10,000 is found with 28.
const BUDGET: usize = 40;

/// How the search ended.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What was done.
    pub(super) good: Vec<Change>,
    /// What was refused alone.
    pub(super) bad: Vec<Change>,
    /// What was not found out within the budget, or before the tool broke.
    pub(super) rest: Vec<Change>,
    /// The last failure, if any.
    pub(super) why: Option<Failure>,
}

/// Does as much of the batch as can be done, the whole of it first.
pub(super) fn search(backend: &mut dyn Backend, batch: Vec<Change>) -> Found {
    let mut found = Found::default();
    let mut parts = vec![batch];
    let mut commands = 0;
    while let Some(mut part) = parts.pop() {
        if commands == BUDGET || matches!(found.why, Some(Failure::Broken(_))) {
            found.rest.append(&mut part);
            continue;
        }
        commands += 1;
        match backend.apply(&part) {
            Ok(()) => found.good.append(&mut part),
            Err(failure) => {
                match (&failure, part.len()) {
                    (Failure::Broken(_), _) => found.rest.append(&mut part),
                    (Failure::Refused(_), 1) => found.bad.append(&mut part),
                    (Failure::Refused(_), half) => {
                        parts.push(part.split_off(half / 2));
                        parts.push(part);
                    }
                }
                found.why = Some(failure);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Listing};
    use super::*;

    /// Refuses batches with a bad entry in them, and breaks after so many commands.
    struct Picky {
        bad: Vec<Change>,
        commands: usize,
        breaks_after: usize,
    }

    impl Backend for Picky {
        fn name(&self) -> &'static str {
            "picky"
        }

        fn prepare(&mut self) -> Result<Vec<String>, Failure> {
            Ok(Vec::new())
        }

        fn apply(&mut self, changes: &[Change]) -> Result<(), Failure> {
            self.commands += 1;
            if self.commands > self.breaks_after {
                return Err(Failure::Broken("gone".to_owned()));
            }
            let refused = changes.iter().any(|change| self.bad.contains(change));
            if refused { Err(Failure::Refused("no".to_owned())) } else { Ok(()) }
        }

        fn list(&mut self) -> Result<Listing, Failure> {
            Ok(Listing::Unlistable { entries: None, why: String::new() })
        }

        fn limits(&self) -> Limits {
            Limits { entries: 10_000, bytes: usize::MAX, replace: 0, after_add: 0 }
        }
    }

    fn batch(count: u32) -> Vec<Change> {
        (0..count).map(|n| Change::Add(crate::address::host(std::net::IpAddr::V4(n.into())))).collect()
    }

    #[test]
    fn one_bad_entry_of_ten_thousand_is_found_wherever_it_is() {
        for place in [0, 1, 4_999, 5_000, 7_777, 9_999] {
            let all = batch(10_000);
            let mut picky = Picky { bad: vec![all[place]], commands: 0, breaks_after: usize::MAX };
            let found = search(&mut picky, all.clone());
            assert_eq!((found.bad, found.rest, found.good.len()), (vec![all[place]], vec![], 9_999));
            assert!(picky.commands <= 29, "{} commands", picky.commands);
        }
    }

    #[test]
    fn nothing_is_lost_and_commands_are_bounded_when_everything_is_bad() {
        let all = batch(10_000);
        let mut picky = Picky { bad: all.clone(), commands: 0, breaks_after: usize::MAX };
        let found = search(&mut picky, all);
        assert_eq!((found.good.len(), found.bad.len() + found.rest.len()), (0, 10_000));
        assert_eq!(picky.commands, BUDGET);
    }

    #[test]
    fn a_tool_that_breaks_ends_the_search_at_once() {
        let all = batch(100);
        let mut picky = Picky { bad: vec![all[0]], commands: 0, breaks_after: 3 };
        let found = search(&mut picky, all);
        assert_eq!((picky.commands, found.why), (4, Some(Failure::Broken("gone".to_owned()))));
        assert_eq!((found.good.len(), found.bad.len(), found.rest.len()), (0, 0, 100));
    }

    #[test]
    fn a_table_that_was_only_missing_takes_the_whole_batch() {
        let mut picky = Picky { bad: vec![], commands: 0, breaks_after: usize::MAX };
        let found = search(&mut picky, batch(50));
        assert_eq!((picky.commands, found.good.len(), found.why), (1, 50, None));
    }
}
