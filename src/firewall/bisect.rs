//! What of a refused batch does the firewall dislike: a few entries, or all it is told?
//!
//! A batch is halved until the bad entries are alone. But a full or write-protected table refuses everything, and
//! halving would take dozens of commands to blame whoever came first. So single entries from the far end of the batch,
//! where the newest stand, are tried as well: at once, and after each entry that was refused alone. When one after the
//! other is refused, it is the table.

use super::{Backend, BackendError, Change};

/// Commands spent on one batch; one bad entry of 10,000 is found with 30.
const BUDGET: usize = 40;

/// This many entries refused one after the other, with nothing in between that passed, mean that it is the table.
const SUSPICIOUS: usize = 2;

/// The result of the search.
#[derive(Debug, Default)]
pub(super) struct BisectResult {
    /// The changes that were carried out.
    pub(super) good: Vec<Change>,
    /// The changes that were refused alone, while others passed.
    pub(super) bad: Vec<Change>,
    /// The changes that were not done and are not to blame: the table is, or the tool broke, or the budget was spent.
    pub(super) rest: Vec<Change>,
    /// The last failure, if any.
    pub(super) why: Option<BackendError>,
}

/// Does as much of the batch as can be done, the whole of it first.
pub(super) fn bisect(backend: &mut dyn Backend, batch: Vec<Change>) -> BisectResult {
    let mut search =
        Bisection { parts: vec![batch], doubts: false, refused_in_a_row: 0, found: BisectResult::default() };
    for _ in 0..BUDGET {
        let Some(part) = search.next() else { break };
        let answer = backend.apply(&part);
        search.heard(answer, part);
    }
    search.end()
}

struct Bisection {
    /// Not done yet; the last one is next.
    parts: Vec<Vec<Change>>,
    /// Something was refused, and it may be the table.
    doubts: bool,
    /// How many entries were refused alone since anything passed.
    refused_in_a_row: usize,
    found: BisectResult,
}

impl Bisection {
    /// The next changes to try; in doubt a single entry far away from the last ones.
    fn next(&mut self) -> Option<Vec<Change>> {
        if self.refused_in_a_row >= SUSPICIOUS || matches!(self.found.why, Some(BackendError::Broken(_))) {
            return None;
        }
        if self.doubts {
            let far = self.parts.first_mut().and_then(Vec::pop);
            self.parts.retain(|part| !part.is_empty());
            return far.map(|change| vec![change]);
        }
        self.parts.pop()
    }

    fn heard(&mut self, answer: Result<(), BackendError>, mut part: Vec<Change>) {
        let Err(failure) = answer else {
            self.doubts = false;
            self.refused_in_a_row = 0;
            return self.found.good.append(&mut part);
        };
        match (&failure, part.len()) {
            (BackendError::Broken(_), _) => self.found.rest.append(&mut part),
            (BackendError::Refused(_), 1) => {
                self.doubts = true;
                self.refused_in_a_row += 1;
                self.found.bad.append(&mut part);
            }
            (BackendError::Refused(_), _) => self.refused(part),
        }
        self.found.why = Some(failure);
    }

    fn refused(&mut self, mut part: Vec<Change>) {
        // A refusal of the whole batch tells nothing yet.
        self.doubts = self.found.why.is_none();
        self.parts.push(part.split_off(part.len() / 2));
        self.parts.push(part);
    }

    fn end(self) -> BisectResult {
        let mut found = self.found;
        found.rest.extend(self.parts.into_iter().flatten());
        let blamed = match found.good.is_empty() {
            true => 0,
            false if self.refused_in_a_row >= SUSPICIOUS => found.bad.len() - self.refused_in_a_row,
            false => found.bad.len(),
        };
        found.rest.extend(found.bad.drain(blamed..));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, TableListing};
    use super::*;

    /// Refuses batches with a bad entry in them, and breaks after this many commands.
    struct Picky {
        bad: Vec<Change>,
        /// How many entries still fit in.
        room: usize,
        commands: usize,
        breaks_after: usize,
    }

    impl Default for Picky {
        fn default() -> Self {
            Self { bad: Vec::new(), room: usize::MAX, commands: 0, breaks_after: usize::MAX }
        }
    }

    impl Backend for Picky {
        fn name(&self) -> &'static str {
            "picky"
        }

        fn prepare(&mut self) -> Result<Vec<String>, BackendError> {
            Ok(Vec::new())
        }

        fn apply(&mut self, changes: &[Change]) -> Result<(), BackendError> {
            self.commands += 1;
            if self.commands > self.breaks_after {
                return Err(BackendError::Broken("gone".to_owned()));
            }
            if changes.len() > self.room || changes.iter().any(|change| self.bad.contains(change)) {
                return Err(BackendError::Refused("no".to_owned()));
            }
            self.room -= changes.len();
            Ok(())
        }

        fn list(&mut self, _wanted: usize) -> Result<TableListing, BackendError> {
            Ok(TableListing::Unlistable { why: String::new() })
        }

        fn limits(&self) -> Limits {
            Limits { entries: 10_000, bytes: usize::MAX, replace: 0, lookup: 0, after_add: 0 }
        }
    }

    fn batch(count: u32) -> Vec<Change> {
        (0..count).map(|n| Change::Add(crate::address::host(std::net::IpAddr::V4(n.into())))).collect()
    }

    #[test]
    fn one_bad_entry_of_ten_thousand_is_found_wherever_it_is() {
        for place in [0, 1, 4_999, 5_000, 7_777, 9_999] {
            let all = batch(10_000);
            let mut picky = Picky { bad: vec![all[place]], ..Picky::default() };
            let found = bisect(&mut picky, all.clone());
            assert_eq!((found.bad, found.rest, found.good.len()), (vec![all[place]], vec![], 9_999));
            assert!(picky.commands <= 31, "{} commands", picky.commands);
        }
    }

    #[test]
    fn a_table_that_refuses_everything_costs_three_commands_and_nobody_is_blamed() {
        for count in [2, 3, 10_000] {
            let mut picky = Picky { room: 0, ..Picky::default() };
            let found = bisect(&mut picky, batch(count));
            assert_eq!((found.good.len(), found.bad, found.rest.len()), (0, vec![], count as usize));
            assert!(found.why.is_some() && picky.commands == 3, "{} commands", picky.commands);
        }
        let found = bisect(&mut Picky { room: 0, ..Picky::default() }, batch(1));
        assert_eq!((found.bad, found.rest.len()), (vec![], 1), "one alone is no evidence");
    }

    #[test]
    fn a_table_with_little_room_is_filled_and_nobody_is_blamed() {
        for room in [1, 2, 7, 60, 900] {
            let mut picky = Picky { room, ..Picky::default() };
            let found = bisect(&mut picky, batch(1_000));
            assert_eq!((found.good.len() + found.rest.len(), found.bad.len()), (1_000, 0), "room for {room}");
            assert_eq!(picky.room, 0, "room for {room}");
        }
    }

    #[test]
    fn several_bad_entries_are_told_from_a_table_that_refuses() {
        let all = batch(1_000);
        let bad = vec![all[3], all[400], all[999]];
        let found = bisect(&mut Picky { bad: bad.clone(), ..Picky::default() }, all);
        let blamed: std::collections::HashSet<Change> = found.bad.into_iter().collect();
        assert!(blamed.iter().all(|change| bad.contains(change)), "{blamed:?}");
        assert_eq!(found.good.len() + found.rest.len() + blamed.len(), 1_000);
        assert!(!blamed.is_empty());
    }

    #[test]
    fn a_tool_that_breaks_ends_the_search_at_once() {
        let all = batch(100);
        let mut picky = Picky { bad: vec![all[0]], breaks_after: 3, ..Picky::default() };
        let found = bisect(&mut picky, all);
        assert_eq!((picky.commands, found.why), (4, Some(BackendError::Broken("gone".to_owned()))));
        assert_eq!((found.good.len(), found.bad.len(), found.rest.len()), (1, 0, 99));
    }

    #[test]
    fn a_table_that_was_only_missing_takes_the_whole_batch() {
        let mut picky = Picky::default();
        let found = bisect(&mut picky, batch(50));
        assert_eq!((picky.commands, found.good.len(), found.why), (1, 50, None));
    }
}
