//! `ipfw table NAME COMMAND …`.

use std::collections::BTreeMap;

use super::state::Table;
use super::{DATAERR, Ipfw, OSERR, UNAVAILABLE, USAGE};
use crate::common::Step;
use crate::common::address::Key;

const COMMANDS: &[&str] = &[
    "add", "delete", "create", "destroy", "flush", "modify", "swap", "info", "detail", "list", "lookup",
    "atomic", "lock", "unlock",
];
const OPTIONS: &[&str] = &["type", "valtype", "algo", "limit", "locked", "missing", "or-flush"];
/// Bytes the kernel counts for a table and for each entry, as observed.
const TABLE_SIZE: usize = 296;
const ENTRY_SIZE: usize = 120;

impl Ipfw<'_> {
    /// Everything behind the word `table`.
    pub(super) fn table(&mut self, words: &[&str]) -> Step {
        let Some((name, rest)) = words.split_first() else { return self.leave(USAGE, "table needs name") };
        if !is_name(name) && *name != "all" {
            return self.leave(USAGE, &format!("table name {name} is invalid"));
        }
        let Some((given, rest)) = rest.split_first() else { return self.leave(USAGE, "table needs command") };
        let mut command = self.token(COMMANDS, given, "table command")?;
        let mut rest = rest;
        let atomic = command == "atomic";
        if atomic {
            let Some((given, tail)) = rest.split_first() else {
                return self.leave(USAGE, "atomic needs command");
            };
            command = self.token(COMMANDS, given, "table command")?;
            rest = tail;
            if command != "add" {
                return self.leave(USAGE, &format!("atomic is not compatible with {given}"));
            }
        }
        let on_all = matches!(command, "list" | "info" | "detail" | "flush" | "destroy");
        if *name == "all" {
            return if on_all { self.all_tables(command) } else { self.leave(USAGE, "table name required") };
        }
        match command {
            "add" => self.add(name, rest, atomic),
            "delete" => self.delete(name, rest),
            "create" => self.create(name, rest),
            "modify" => self.modify(name, rest),
            "swap" => self.swap(name, rest),
            "lookup" => self.lookup(name, rest),
            "lock" | "unlock" => self.lock(name, command == "lock"),
            "flush" => self.flush(name),
            "destroy" => self.destroy(name),
            "list" => self.list(name, false),
            _ => self.info(name, command == "detail"),
        }
    }

    /// A word of the list, or its only abbreviation.
    fn token<'a>(&mut self, list: &[&'a str], given: &str, what: &str) -> Step<&'a str> {
        let found: Vec<&&str> =
            list.iter().filter(|word| !given.is_empty() && word.starts_with(given)).collect();
        match found.as_slice() {
            [only] => Ok(only),
            _ => self.leave(USAGE, &format!("ambiguous {what} {given}")),
        }
    }

    fn create(&mut self, name: &str, words: &[&str]) -> Step {
        let mut table = Table::default();
        let mut missing = false;
        let mut or_flush = false;
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match self.token(OPTIONS, word, "option")? {
                "missing" => missing = true,
                "or-flush" => (missing, or_flush) = (true, true),
                "locked" => table.locked = true,
                option => self.creation_option(option, rest.next().copied(), &mut table)?,
            }
        }
        self.need_kernel(true, OSERR, "Table creation failed")?;
        if self.test_only {
            return Ok(());
        }
        let Some(there) = self.state.tables.get_mut(name) else {
            return match self.insert(name, table) {
                true => Ok(()),
                // The kernel's own log says: Consider increasing net.inet.ip.fw.tables_max
                false => self.leave(OSERR, "Table creation failed: Device busy"),
            };
        };
        let same = (there.limit, there.locked, there.kind()) == (table.limit, table.locked, table.kind());
        if or_flush && same {
            there.entries.clear();
        }
        match missing {
            false => self.leave(OSERR, "Table creation failed: File exists"),
            true if same => Ok(()),
            true => self.leave(DATAERR, "The existing table is not compatible with one you are creating."),
        }
    }

    fn creation_option(&mut self, option: &str, value: Option<&str>, table: &mut Table) -> Step {
        let Some(value) = value else {
            let what = match option {
                "type" => "table type",
                "valtype" => "table value type",
                "algo" => "table algorithm name",
                _ => "limit value",
            };
            return self.leave(USAGE, &format!("{what} required"));
        };
        match (option, value) {
            ("limit", _) => table.limit = value.parse().unwrap_or(0),
            ("type", "addr") | ("algo", "addr:radix") => {}
            ("type", "iface" | "number") => table.other = Some(value.to_owned()),
            ("type", "mac" | "flow") | ("valtype" | "algo", _) => {
                return self.leave(99, &format!("the fake does not play tables with {option} {value}"));
            }
            _ => {
                let known = "addr, mac, iface, number, flow";
                return self.leave(USAGE, &format!("Unknown tabletype: {value}. Supported: {known}"));
            }
        }
        Ok(())
    }

    /// False: all indexes are taken.
    pub(super) fn insert(&mut self, name: &str, table: Table) -> bool {
        let Some(kindex) = self.state.free_kindex(self.mode.number("tables_max", 128)) else { return false };
        self.state.tables.insert(name.to_owned(), Table { kindex, ..table });
        true
    }

    fn modify(&mut self, name: &str, words: &[&str]) -> Step {
        let ["limit", limit] = words else {
            return self.leave(USAGE, "cmd is not supported for modification");
        };
        self.need_kernel(true, OSERR, "Table modification failed")?;
        match self.state.tables.get_mut(name) {
            Some(table) => table.limit = limit.parse().unwrap_or(0),
            None => return self.leave(OSERR, "Table modification failed: No such process"),
        }
        Ok(())
    }

    fn lock(&mut self, name: &str, lock: bool) -> Step {
        let request = if lock { "Table lock failed" } else { "Table unlock failed" };
        self.need_kernel(true, OSERR, request)?;
        match self.state.tables.get_mut(name) {
            Some(table) => table.locked = lock,
            None => return self.leave(OSERR, &format!("{request}: No such process")),
        }
        Ok(())
    }

    /// Contents change places. ipfw says nothing, and exits 0, when one of the tables does not exist!
    fn swap(&mut self, name: &str, words: &[&str]) -> Step {
        let Some(other) = words.first() else { return self.leave(USAGE, "second table name required") };
        if !is_name(other) {
            return self.leave(USAGE, &format!("table name {other} is invalid"));
        }
        if self.kernel(true)?.is_err() {
            return Ok(());
        }
        let (Some(a), Some(b)) = (self.state.tables.get(name), self.state.tables.get(*other)) else {
            return Ok(());
        };
        let fits = |limit: usize, number: usize| limit == 0 || number <= limit;
        if !fits(a.limit, b.entries.len()) || !fits(b.limit, a.entries.len()) {
            return self.leave(USAGE, "Unable to swap table: check limits");
        }
        if a.locked || b.locked {
            return Ok(());
        }
        let mine = a.entries.clone();
        let theirs = b.entries.clone();
        for (name, entries) in [(name, theirs), (*other, mine)] {
            if let Some(table) = self.state.tables.get_mut(name) {
                table.entries = entries;
            }
        }
        Ok(())
    }

    fn lookup(&mut self, name: &str, words: &[&str]) -> Step {
        self.first_key(name, words, false)?;
        let word = words.first().copied().unwrap_or_default();
        let item = self.key(word)?;
        let entries = self.state.tables.get(name).map(|table| &table.entries);
        let host = Key::host(item.address);
        let found = entries.and_then(|entries| host.around().find_map(|key| entries.get_key_value(&key)));
        match found.map(|(key, value)| self.entry_line(key.address(), key.len(), *value)) {
            Some(line) => self.report.out(line),
            None => return self.leave(UNAVAILABLE, &format!("Entry {word} not found")),
        }
        Ok(())
    }

    /// A missing table is only worth a warning here.
    fn flush(&mut self, name: &str) -> Step {
        let request = format!("failed to flush table {name} info");
        self.need_kernel(true, OSERR, &request)?;
        match self.state.tables.get_mut(name) {
            Some(table) if table.locked => {
                return self.leave(OSERR, &format!("{request}: Permission denied"));
            }
            Some(table) => table.entries.clear(),
            None => self.warn_missing(&request),
        }
        Ok(())
    }

    fn destroy(&mut self, name: &str) -> Step {
        let request = format!("failed to destroy table {name}");
        self.need_kernel(true, OSERR, &request)?;
        let busy = self.state.references(name) > 0;
        match self.state.tables.get(name) {
            Some(_) if busy => return self.leave(OSERR, &format!("{request}: Device busy")),
            Some(table) if table.locked => {
                return self.leave(OSERR, &format!("{request}: Permission denied"));
            }
            Some(_) => drop(self.state.tables.remove(name)),
            None => self.warn_missing(&request),
        }
        Ok(())
    }

    fn warn_missing(&mut self, request: &str) {
        if !self.quiet {
            self.report.err(format!("{}: {request}: No such process", self.name));
        }
    }

    fn list(&mut self, name: &str, header: bool) -> Step {
        self.need_kernel(false, OSERR, "failed to request table info")?;
        let Some(table) = self.state.tables.get(name) else {
            return self.leave(OSERR, "failed to request table info: No such process");
        };
        let lines =
            table.entries.iter().map(|(key, value)| self.entry_line(key.address(), key.len(), *value) + "\n");
        let text: String = lines.collect();
        if header {
            self.report.out(format!("--- table({name}), set(0) ---"));
        }
        self.report.out.push_str(&text);
        Ok(())
    }

    fn info(&mut self, name: &str, detail: bool) -> Step {
        self.need_kernel(false, OSERR, "failed to request table info")?;
        let references = self.state.references(name);
        let Some(table) = self.state.tables.get(name) else {
            return self.leave(OSERR, "failed to request table info: No such process");
        };
        let number = table.entries.len();
        let locked = if table.locked { ", locked" } else { "" };
        self.report.out(format!("--- table({name}), set(0) ---"));
        self.report.out(format!(" kindex: {}, type: {}{locked}", table.kindex, table.kind()));
        self.report.out(format!(" references: {references}, valtype: legacy"));
        let algorithm = match table.kind() {
            "addr" => "addr:radix",
            "iface" => "iface:array",
            _ => "number:array",
        };
        self.report.out(format!(" algorithm: {algorithm}"));
        self.report.out(format!(" items: {number}, size: {}", TABLE_SIZE + ENTRY_SIZE * number));
        if table.limit > 0 {
            self.report.out(format!(" limit: {}", table.limit));
        }
        if detail {
            let six = table.entries.keys().filter(|key| key.is_six()).count();
            for (family, items, size) in [("IPv4", number - six, 120), ("IPv6", six, 128)] {
                self.report.out(format!(" {family} algorithm radix info\n  items: {items} itemsize: {size}"));
            }
        }
        Ok(())
    }

    /// `table all …`: sorted by name, numbers by their value.
    fn all_tables(&mut self, command: &str) -> Step {
        self.need_kernel(matches!(command, "flush" | "destroy"), OSERR, "failed to request tables list")?;
        let sorted: BTreeMap<(u64, String), ()> = self
            .state
            .tables
            .keys()
            .map(|name| ((name.parse().unwrap_or(u64::MAX), name.clone()), ()))
            .collect();
        for (_, name) in sorted.into_keys() {
            match command {
                "list" => self.list(&name, true)?,
                "flush" => self.flush(&name)?,
                "destroy" if self.state.references(&name) > 0 => {
                    let text = format!("failed to destroy table({name}) in set 0: Device busy");
                    self.report.err(format!("{}: {text}", self.name));
                }
                "destroy" => self.destroy(&name)?,
                _ => self.info(&name, command == "detail")?,
            }
        }
        Ok(())
    }
}

/// Letters, digits, `_`, `-` and `.`, up to 63.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    !name.is_empty() && name.len() < 64 && name.chars().all(plain) && name != "all"
}
