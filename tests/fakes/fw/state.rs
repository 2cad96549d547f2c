//! What the kernel's ipfw holds, and its text form.
//!
//! ```text
//! rule 50 deny ip from table(bl) to me
//! table bl 1 0 - addr                   (name, kindex, limit, locked or -, type)
//!  192.0.2.1/32 0                       (its entries: address, value)
//! ```

use std::collections::BTreeMap;

use crate::common::address::Key;

/// A table with legacy values; only those of type addr take entries here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) kindex: u32,
    /// 0 is none.
    pub(crate) limit: usize,
    pub(crate) locked: bool,
    /// The type, where it is not addr.
    pub(crate) other: Option<String>,
    pub(crate) entries: BTreeMap<Key, u32>,
}

impl Table {
    /// Its type.
    pub(crate) fn kind(&self) -> &str {
        self.other.as_deref().unwrap_or("addr")
    }
}

/// Rules in the order of their numbers, and tables by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) rules: Vec<(u16, String)>,
    pub(crate) tables: BTreeMap<String, Table>,
}

impl State {
    /// From the file's text; an empty one is a kernel that just loaded the module.
    pub(crate) fn read(text: &str) -> Self {
        let mut state = Self::default();
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

    fn close(&mut self, name: Option<String>, entries: &mut Vec<(Key, u32)>) {
        if let Some(table) = name.and_then(|name| self.tables.get_mut(&name)) {
            table.entries = entries.drain(..).collect();
        }
    }

    fn read_line(&mut self, line: &str) -> Option<String> {
        let (kind, rest) = line.split_once(' ')?;
        if kind == "rule" {
            let (number, text) = rest.split_once(' ')?;
            self.rules.push((number.parse().ok()?, text.to_owned()));
            return None;
        }
        let [name, kindex, limit, locked, kind] = rest.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let table = Table {
            kindex: kindex.parse().ok()?,
            limit: limit.parse().ok()?,
            locked: locked == "locked",
            other: (kind != "addr").then(|| kind.to_owned()),
            entries: BTreeMap::new(),
        };
        self.tables.insert(name.to_owned(), table);
        Some(name.to_owned())
    }

    /// The text for the file.
    pub(crate) fn text(&self) -> String {
        let mut text: String =
            self.rules.iter().map(|(number, rule)| format!("rule {number} {rule}\n")).collect();
        for (name, table) in &self.tables {
            let locked = if table.locked { "locked" } else { "-" };
            let head = format!("table {name} {} {} {locked} {}\n", table.kindex, table.limit, table.kind());
            text.push_str(&head);
            for (key, value) in &table.entries {
                text.push_str(&format!(" {}/{} {value}\n", key.address(), key.len()));
            }
        }
        text
    }

    /// How often rules name the table.
    pub(crate) fn references(&self, name: &str) -> usize {
        let named = [format!("table({name})"), format!("table({name},")];
        self.rules
            .iter()
            .map(|(_, rule)| named.iter().map(|text| rule.matches(text).count()).sum::<usize>())
            .sum()
    }

    /// The lowest index that is free; 0 is never given.
    pub(crate) fn free_kindex(&self, tables_max: u64) -> Option<u32> {
        let last = u32::try_from(tables_max).unwrap_or(u32::MAX);
        (1..last).find(|index| self.tables.values().all(|table| table.kindex != *index))
    }
}

fn read_entry(line: &str) -> Option<(Key, u32)> {
    let (address, value) = line.split_once(' ')?;
    Some((Key::read(address)?, value.parse().ok()?))
}
