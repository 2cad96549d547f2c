//! `ipfw table NAME add …` and `delete …`: several records in one request, and what became of each.

use std::collections::BTreeSet;

use super::entry::Item;
use super::state::Table;
use super::{DATAERR, Ipfw, OSERR, USAGE};
use crate::common::Step;
use crate::common::address::Key;

/// What became of an entry, by the word that is printed; and the errors by errno's text in tables.c.
const EXISTS: (&str, &str) = ("exists", "record already exists");
const NOT_FOUND: (&str, &str) = ("notfound", "record not found");
const LIMIT: (&str, &str) = ("limit", "limit hit");
const LOCKED: (&str, &str) = ("ignored", "table is locked");
const REFUSED: (&str, &str) = ("error", "Invalid argument");

/// What is said of a record, or that and why it was not taken.
type Outcome = Result<&'static str, (&'static str, &'static str)>;

/// A request's outcomes, as words, and the first error, which is the exit status.
struct Answer {
    words: Vec<&'static str>,
    error: Option<&'static str>,
}

impl Answer {
    /// Asks for one record after the other. The kernel goes on behind an error, unless told that it is all or nothing.
    fn collect(
        items: &[Item],
        failed: Option<&'static str>,
        atomic: bool,
        mut one: impl FnMut(&Item) -> Outcome,
    ) -> Self {
        let mut answer = Self { words: Vec::with_capacity(items.len()), error: failed };
        for item in items {
            let over = failed.is_some() || (atomic && answer.error.is_some());
            let outcome = if over { Ok("ignored") } else { one(item) };
            answer.words.push(outcome.unwrap_or_else(|(word, _)| word));
            answer.error = answer.error.or_else(|| outcome.err().map(|(_, text)| text));
        }
        answer
    }
}

impl Ipfw<'_> {
    pub(super) fn add(&mut self, name: &str, words: &[&str], atomic: bool) -> Step {
        self.first_key(name, words, true)?;
        let mut items = Vec::new();
        for pair in words.chunks(2) {
            let mut item = self.key(pair.first().copied().unwrap_or_default())?;
            if !self.state.tables.contains_key(name) {
                self.auto_create(name)?;
            }
            if let Some(value) = pair.get(1) {
                item.value = self.value(value)?;
            }
            items.push(item);
        }
        if self.test_only {
            return Ok(());
        }
        let failed = self.request_failure()?;
        let update = self.quiet;
        let refused: BTreeSet<Key> = self.mode.all("refuse").filter_map(Key::read).collect();
        let Some(table) = self.state.tables.get_mut(name) else { return Ok(()) };
        let before = atomic.then(|| table.entries.clone());
        let answer = Answer::collect(&items, failed, atomic, |item| add_one(table, item, update, &refused));
        if let (Some(before), Some(_)) = (before, answer.error) {
            table.entries = before;
        }
        self.tell("Adding record failed", EXISTS.1, &items, &answer, atomic)
    }

    pub(super) fn delete(&mut self, name: &str, words: &[&str]) -> Step {
        self.first_key(name, words, false)?;
        let items = words.iter().map(|word| self.key(word)).collect::<Step<Vec<Item>>>()?;
        if self.test_only {
            return Ok(());
        }
        let failed = self.request_failure()?;
        let Some(table) = self.state.tables.get_mut(name) else { return Ok(()) };
        let failed = failed.or_else(|| table.locked.then_some(LOCKED.1));
        let answer = Answer::collect(&items, failed, false, |item| {
            table.entries.remove(&item.key()).map(|_| "deleted").ok_or(NOT_FOUND)
        });
        self.tell("Deleting record failed", NOT_FOUND.1, &items, &answer, false)
    }

    /// The kernel may refuse the request as a whole.
    fn request_failure(&mut self) -> Step<Option<&'static str>> {
        let refused = self.kernel(true)?.err();
        Ok(refused.or_else(|| self.mode.take_failure().then_some("Cannot allocate memory")))
    }

    /// ipfw asks for the table when it reads the first key, so these come before any complaint about a key.
    pub(super) fn first_key(&mut self, name: &str, words: &[&str], adds: bool) -> Step {
        let Some(word) = words.first() else { return self.leave(USAGE, "address required") };
        let known = self.kernel(false)?.is_ok();
        if !known {
            return self.leave(OSERR, &format!("Error requesting table {name} info"));
        }
        if let Some(table) = self.state.tables.get(name) {
            return match &table.other {
                None => Ok(()),
                Some(kind) => {
                    self.leave(99, &format!("the fake does not play entries of tables of type {kind}"))
                }
            };
        }
        if !adds {
            return self.leave(DATAERR, &format!("Table {name} does not exist"));
        }
        let host = word.split('/').next().unwrap_or_default();
        match host.parse::<std::net::IpAddr>() {
            Ok(_) => Ok(()),
            Err(_) if host.contains('.') => {
                let text = format!("Table {name} does not exist, cannot guess key '{word}' type");
                self.leave(USAGE, &text)
            }
            Err(_) => {
                self.leave(99, "here ipfw would make a table of another type, which the fake does not play")
            }
        }
    }

    fn auto_create(&mut self, name: &str) -> Step {
        if !self.quiet {
            let text = "DEPRECATED: inserting data into non-existent table";
            self.report.err(format!("{}: {text} {name}. (auto-created)", self.name));
        }
        match self.insert(name, Table::default()) {
            true => Ok(()),
            false => self.leave(OSERR, "Adding record failed: table not found"),
        }
    }

    /// With `-q` an error that is only a repetition is success, and nothing is said of success.
    fn tell(&mut self, failed: &str, forgiven: &str, items: &[Item], answer: &Answer, atomic: bool) -> Step {
        if self.quiet && answer.error.is_none_or(|error| error == forgiven) {
            return Ok(());
        }
        for (item, word) in items.iter().zip(&answer.words) {
            let done = matches!(*word, "added" | "updated" | "deleted");
            let undone = if atomic && answer.error.is_some() && done { "(reverted)" } else { "" };
            let line = self.entry_line(item.address, item.len, item.value);
            self.report.out(format!("{word}{undone}: {line}"));
        }
        answer.error.map_or(Ok(()), |error| self.leave(OSERR, &format!("{failed}: {error}")))
    }
}

/// One entry into the kernel: what is said of it, or that and why not.
fn add_one(table: &mut Table, item: &Item, update: bool, refused: &BTreeSet<Key>) -> Outcome {
    let there = table.entries.contains_key(&item.key());
    match () {
        () if table.locked => return Err(LOCKED),
        () if refused.contains(&item.key()) => return Err(REFUSED),
        () if there && !update => return Err(EXISTS),
        () if !there && table.limit > 0 && table.entries.len() >= table.limit => return Err(LIMIT),
        () => {}
    }
    table.entries.insert(item.key(), item.value);
    Ok(if there { "updated" } else { "added" })
}
