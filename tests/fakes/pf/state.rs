//! What the kernel's pf holds, and its text form.
//!
//! ```text
//! pf enabled 1763820000            or: pf disabled -        (since when; - since boot)
//! limit table-entries 200000
//! rule - block drop in quick from <bl> to any               (anchor, - for the main one)
//! state all tcp 192.0.2.7:39390 -> 192.0.2.1:2222 ESTABLISHED:ESTABLISHED
//! source 192.0.2.7
//! table - bl persist,counters 1763820000                    (anchor, name, flags or -, cleared)
//!  192.0.2.1 1763820000                                     (its entries: address, cleared)
//!  !192.0.2.0/24 1763820000
//! ```
//! A test may write such a file, or add `state` lines to one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::common::address::Key;

/// An entry of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) not: bool,
    /// Seconds since the epoch: when it was added or zeroed.
    pub(crate) cleared: i64,
}

/// An active table; whether a rule refers to it is not stored but looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) constant: bool,
    pub(crate) persist: bool,
    pub(crate) counters: bool,
    pub(crate) cleared: i64,
    pub(crate) entries: BTreeMap<Key, Entry>,
}

/// Anchor (empty for the main one) and name.
pub(crate) type Place = (String, String);

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) enabled: bool,
    pub(crate) since: Option<i64>,
    pub(crate) table_entries: u64,
    /// Filter rules by anchor, as `pfctl -s rules` prints them.
    pub(crate) rules: BTreeMap<String, Vec<String>>,
    pub(crate) states: Vec<String>,
    pub(crate) sources: Vec<String>,
    pub(crate) tables: BTreeMap<Place, Table>,
}

impl State {
    /// From the file's text; an empty one is a system that just booted.
    pub(crate) fn read(text: &str, table_entries: u64) -> Self {
        let mut state = Self { table_entries, ..Self::default() };
        let mut entries = Vec::new();
        let mut open = None;
        for line in text.lines() {
            if let Some(entry) = line.strip_prefix(' ') {
                entries.extend(read_entry(entry));
                continue;
            }
            state.close(open.take(), &mut entries);
            open = state.read_line(line);
        }
        state.close(open, &mut entries);
        state
    }

    fn close(&mut self, place: Option<Place>, entries: &mut Vec<(Key, Entry)>) {
        if let Some(table) = place.and_then(|place| self.tables.get_mut(&place)) {
            table.entries = entries.drain(..).collect();
        }
    }

    /// Takes a line; of a table's head, says which table the entries that follow belong to.
    fn read_line(&mut self, line: &str) -> Option<Place> {
        let (kind, rest) = line.split_once(' ')?;
        let words: Vec<&str> = rest.split(' ').collect();
        match (kind, words.as_slice()) {
            ("pf", [power, since]) => (self.enabled, self.since) = (*power == "enabled", since.parse().ok()),
            ("limit", ["table-entries", number]) => self.table_entries = number.parse().ok()?,
            ("rule", [anchor, _, ..]) => {
                let text = rest.split_once(' ')?.1.to_owned();
                self.rules.entry(anchor_from(anchor)).or_default().push(text);
            }
            ("state", _) => self.states.push(rest.to_owned()),
            ("source", _) => self.sources.push(rest.to_owned()),
            ("table", [anchor, name, flags, cleared]) => {
                let has = |flag| flags.split(',').any(|word| word == flag);
                let table = Table {
                    constant: has("const"),
                    persist: has("persist"),
                    counters: has("counters"),
                    cleared: cleared.parse().ok()?,
                    entries: BTreeMap::new(),
                };
                let place = (anchor_from(anchor), (*name).to_owned());
                self.tables.insert(place.clone(), table);
                return Some(place);
            }
            _ => {}
        }
        None
    }

    /// The text for the file.
    pub(crate) fn text(&self) -> String {
        let power = if self.enabled { "enabled" } else { "disabled" };
        let since = self.since.map_or_else(|| "-".to_owned(), |since| since.to_string());
        let mut text = format!("pf {power} {since}\nlimit table-entries {}\n", self.table_entries);
        for (anchor, rules) in &self.rules {
            rules
                .iter()
                .for_each(|rule| put(&mut text, format_args!("rule {} {rule}\n", anchor_text(anchor))));
        }
        self.states.iter().for_each(|line| put(&mut text, format_args!("state {line}\n")));
        self.sources.iter().for_each(|line| put(&mut text, format_args!("source {line}\n")));
        for ((anchor, name), table) in &self.tables {
            let head =
                format_args!("table {} {name} {} {}\n", anchor_text(anchor), table.words(), table.cleared);
            put(&mut text, head);
            for (key, entry) in &table.entries {
                let not = if entry.not { "!" } else { "" };
                put(&mut text, format_args!(" {not}{key} {}\n", entry.cleared));
            }
        }
        text
    }

    /// Entries of all tables together: what the table-entries limit counts.
    pub(crate) fn count(&self) -> u64 {
        self.tables.values().map(|table| table.entries.len() as u64).sum()
    }

    /// How many rules of the table's own anchor name it.
    pub(crate) fn rules_naming(&self, place: &Place) -> usize {
        let token = format!("<{}>", place.1);
        self.rules.get(&place.0).into_iter().flatten().filter(|rule| rule.contains(&token)).count()
    }

    /// How many rules of anchors name a table of the main ruleset.
    pub(crate) fn anchors_naming(&self, place: &Place) -> usize {
        let token = format!("<{}>", place.1);
        let in_anchors = self.rules.iter().filter(|(anchor, _)| place.0.is_empty() && !anchor.is_empty());
        in_anchors.flat_map(|(_, rules)| rules).filter(|rule| rule.contains(&token)).count()
    }

    /// Tables that neither persist nor are named by a rule vanish. (The kernel may take up to ten seconds for that.)
    pub(crate) fn drop_unused(&mut self) {
        let kept: Vec<Place> =
            self.tables.keys().filter(|place| self.rules_naming(place) > 0).cloned().collect();
        self.tables.retain(|place, table| table.persist || kept.contains(place));
    }

    /// Every anchor that exists, parents included, in order.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let used = self.tables.keys().map(|(anchor, _)| anchor).chain(self.rules.keys());
        let with_parents = used.flat_map(|anchor| {
            let ends = anchor.match_indices('/').map(|(at, _)| at).chain([anchor.len()]);
            ends.filter_map(|end| anchor.get(..end)).map(str::to_owned).collect::<Vec<_>>()
        });
        let sorted: std::collections::BTreeSet<String> =
            with_parents.filter(|name| !name.is_empty()).collect();
        sorted.into_iter().collect()
    }
}

impl Table {
    fn words(&self) -> String {
        let flags = [(self.constant, "const"), (self.persist, "persist"), (self.counters, "counters")];
        let set: Vec<&str> = flags.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        if set.is_empty() { "-".to_owned() } else { set.join(",") }
    }

    /// The narrowest entry around an address, as the kernel's lookup finds it.
    pub(crate) fn lookup(&self, host: Key) -> Option<(Key, Entry)> {
        host.around().find_map(|key| self.entries.get(&key).map(|entry| (key, *entry)))
    }
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a String takes everything");
}

fn read_entry(line: &str) -> Option<(Key, Entry)> {
    let (address, cleared) = line.split_once(' ')?;
    let (not, address) = address.strip_prefix('!').map_or((false, address), |address| (true, address));
    Some((Key::read(address)?, Entry { not, cleared: cleared.parse().ok()? }))
}

fn anchor_from(word: &str) -> String {
    if word == "-" { String::new() } else { word.to_owned() }
}

fn anchor_text(anchor: &str) -> &str {
    if anchor.is_empty() { "-" } else { anchor }
}
