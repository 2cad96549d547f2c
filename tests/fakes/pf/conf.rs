//! A small parser of pf.conf(5): what our documents and samples use, and an error for everything else.

use std::collections::HashMap;

use super::rule;
use super::token::{self, Item};
use crate::common::Report;

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct Ruleset {
    pub(crate) tables: Vec<Definition>,
    /// As `pfctl -s rules` prints them.
    pub(crate) rules: Vec<String>,
    pub(crate) table_entries: Option<u64>,
}

/// `table <name> persist counters { … }`
#[derive(Debug, Default)]
pub(crate) struct Definition {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) constant: bool,
    pub(crate) persist: bool,
    pub(crate) counters: bool,
    /// `None`: no list was given, so the content stays. An empty list empties.
    pub(crate) list: Option<Vec<Item>>,
}

/// Line and text.
pub(crate) type Complaint = (usize, String);

const SYNTAX: &str = "syntax error";

/// Reads a whole file. `is_15` only decides about the text of the complaint on order.
pub(crate) fn parse(text: &str, is_15: bool) -> (Ruleset, Vec<Complaint>) {
    let mut parser = Parser { is_15, ..Parser::default() };
    let mut complaints = Vec::new();
    for (number, line) in logical_lines(text) {
        if let Err(complaint) = parser.line(number, &line) {
            complaints.push((number, complaint));
        }
    }
    (parser.ruleset, complaints)
}

#[derive(Default)]
struct Parser {
    ruleset: Ruleset,
    macros: HashMap<String, Vec<String>>,
    stage: u8,
    is_15: bool,
}

/// Lines with `\` at their end are one; comments go; the number is that of the first.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or_default();
        let (number, mut whole) = open.take().unwrap_or((at + 1, String::new()));
        match code.trim_end().strip_suffix('\\') {
            Some(part) => {
                whole.push_str(part);
                open = Some((number, whole));
            }
            None => {
                whole.push_str(code);
                lines.push((number, whole));
            }
        }
    }
    lines.extend(open);
    lines
}

/// Words, `"quoted text"` (quotes kept), and each of `{ } ( ) , = !` alone; `<name>` is one word.
pub(crate) fn tokens(line: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => rest.get(1..)?.find('"')? + 2,
            '<' => rest.find('>')? + 1,
            '{' | '}' | '(' | ')' | ',' | '=' | '!' => 1,
            _ => rest.find(|c: char| c.is_whitespace() || "{}(),=!\"<".contains(c)).unwrap_or(rest.len()),
        };
        found.push(rest.get(..len)?.to_owned());
        rest = rest.get(len..)?.trim_start();
    }
    Some(found)
}

impl Parser {
    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        let raw = tokens(line).ok_or(SYNTAX)?;
        if let [name, equals, value @ ..] = raw.as_slice()
            && equals == "="
        {
            return self.define_macro(name, value);
        }
        let words = self.expand(&raw)?;
        let Some(first) = words.first() else { return Ok(()) };
        match first.as_str() {
            "set" => self.stage(1).and_then(|()| self.option(&words)),
            "scrub" => self.stage(2),
            "altq" | "queue" => self.stage(3),
            "nat" | "rdr" | "binat" | "no" | "nat-anchor" | "rdr-anchor" | "binat-anchor" => self.stage(4),
            "table" => self.table(number, &words),
            "anchor" => self.stage(5).and_then(|()| self.anchor(&words)),
            "antispoof" if words.len() > 1 => self.stage(5),
            "block" | "pass" | "match" => {
                self.stage(5)?;
                self.ruleset.rules.extend(rule::read(&words).ok_or(SYNTAX)?);
                Ok(())
            }
            _ => Err(SYNTAX.to_owned()),
        }
    }

    /// pf.conf has an order, which `set require-order` holds it to by default.
    fn stage(&mut self, stage: u8) -> Result<(), String> {
        let kinds = if self.is_15 { "options, ethernet, normalization" } else { "options, normalization" };
        if stage < self.stage {
            return Err(format!("Rules must be in order: {kinds}, queueing, translation, filtering"));
        }
        self.stage = stage;
        Ok(())
    }

    fn define_macro(&mut self, name: &str, value: &[String]) -> Result<(), String> {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let unquoted: String = value.iter().map(|word| format!("{} ", word.trim_matches('"'))).collect();
        let value = tokens(&unquoted).filter(|value| plain && !value.is_empty()).ok_or(SYNTAX)?;
        let value = self.expand(&value)?;
        self.macros.insert(name.to_owned(), value);
        Ok(())
    }

    fn expand(&self, words: &[String]) -> Result<Vec<String>, String> {
        let mut expanded = Vec::new();
        for word in words {
            match word.strip_prefix('$') {
                None => expanded.push(word.clone()),
                Some(name) => {
                    let value = self.macros.get(name).ok_or_else(|| format!("macro '{name}' not defined"))?;
                    expanded.extend(value.iter().cloned());
                }
            }
        }
        Ok(expanded)
    }

    fn option(&mut self, words: &[String]) -> Result<(), String> {
        let known =
            ["limit", "skip", "block-policy", "timeout", "optimization", "loginterface", "state-policy"];
        let more = ["debug", "ruleset-optimization", "fingerprints", "hostid", "syncookies", "reassemble"];
        let name = words.get(1).filter(|_| words.len() > 2).ok_or(SYNTAX)?;
        if !known.iter().chain(&more).any(|known| known == name) {
            return Err(SYNTAX.to_owned());
        }
        if name == "limit" {
            let pairs: Vec<&String> =
                words.iter().skip(2).filter(|word| !"{},".contains(word.as_str())).collect();
            for pair in pairs.chunks(2) {
                let [key, value] = pair else { return Err(SYNTAX.to_owned()) };
                let value = value.parse().map_err(|_| SYNTAX)?;
                match key.as_str() {
                    "table-entries" => self.ruleset.table_entries = Some(value),
                    "states" | "src-nodes" | "frags" | "tables" => {}
                    _ => return Err(SYNTAX.to_owned()),
                }
            }
        }
        Ok(())
    }

    fn table(&mut self, number: usize, words: &[String]) -> Result<(), String> {
        let name =
            words.get(1).and_then(|word| word.strip_prefix('<')?.strip_suffix('>')).ok_or(SYNTAX)?.trim();
        if name.len() >= 32 || name.is_empty() {
            return Err("table name too long, max 31 chars".to_owned());
        }
        let mut table = Definition { line: number, name: name.to_owned(), ..Definition::default() };
        let mut rest = words.get(2..).unwrap_or_default();
        while let Some((word, tail)) = rest.split_first() {
            rest = tail;
            match word.as_str() {
                "persist" => table.persist = true,
                "const" => table.constant = true,
                "counters" => table.counters = true,
                "file" => {
                    let (path, tail) = rest.split_first().ok_or(SYNTAX)?;
                    rest = tail;
                    table.list.get_or_insert_default().extend(from_file(path.trim_matches('"'))?);
                }
                "{" => {
                    let end = rest.iter().position(|word| word == "}").ok_or(SYNTAX)?;
                    table
                        .list
                        .get_or_insert_default()
                        .extend(from_list(rest.get(..end).unwrap_or_default())?);
                    rest = rest.get(end + 1..).unwrap_or_default();
                }
                _ => return Err(SYNTAX.to_owned()),
            }
        }
        self.ruleset.tables.push(table);
        Ok(())
    }

    /// `anchor "name/*" [in|out] [on IF] …`; an anchor with its rules in braces is not read.
    fn anchor(&mut self, words: &[String]) -> Result<(), String> {
        let name = words.get(1).filter(|word| !word.contains(['{', '}'])).ok_or(SYNTAX)?;
        let tail = rule::read_tail(words.get(2..).unwrap_or_default()).ok_or(SYNTAX)?;
        let line = tail.into_iter().map(|tail| format!("anchor \"{}\"{tail}", name.trim_matches('"')));
        self.ruleset.rules.extend(line);
        Ok(())
    }
}

fn from_file(path: &str) -> Result<Vec<Item>, String> {
    let failed = |error: String| format!("cannot load \"{path}\": {error}");
    let bytes = std::fs::read(path).map_err(|error| failed(token::errno_text(&error)))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    token::words(&text).map(|word| read(word).map_err(failed)).collect()
}

fn from_list(words: &[String]) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut not = false;
    for word in words.iter().filter(|word| *word != ",") {
        match word.as_str() {
            "!" => not = !not,
            _ => {
                let item = read(word)?;
                items.push(Item { not: item.not ^ not, ..item });
                not = false;
            }
        }
    }
    Ok(items)
}

fn read(word: &str) -> Result<Item, String> {
    let mut said = Report::default();
    token::read(word, false, &mut said).map_err(|_| match said.err.trim() {
        "" => format!("cannot decode {word}: Invalid argument"),
        text => text.to_owned(),
    })
}
