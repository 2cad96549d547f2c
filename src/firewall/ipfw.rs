//! ipfw: the content of one table of type `addr`, through ipfw(8). Rules are the operator's; the module is never loaded.
//!
//! `add` takes pairs of key and value: `add A B` stores A with the value B, so a value stands behind every key. With
//! `-q`, what is already there or already gone is a success. An argument list takes tens of thousands of entries where
//! a line of a batch file takes some 300. Measured on 13.2 and 15.1.

use std::path::Path;

use super::runner::{Finished, Tool};
use super::{Backend, BackendError, Change, Limits, Remark, TableListing, Unusable, check_name, split};
use crate::address::{self, Prefix};
use crate::names;
use crate::settings::FirewallSettings;

/// Entries in one command; 20,000 pairs were measured to pass.
const CHUNK: usize = 10_000;
/// Bytes of entries in one command, their values not counted: with 10,000 values of 2 bytes this stays below
/// `kern.argmax`, 524,288, with room for the rest.
const BYTES: usize = 440_000;

/// Entries in a script at boot: one to a line, 100,000 took 2 s on an emulated 15.1.
pub(super) const IN_A_SCRIPT: usize = 100_000;
/// The exit status of `lookup` for an entry or table that is not there (`EX_UNAVAILABLE`).
const NOT_FOUND: i32 = 69;

/// ipfw and the table it is used on.
struct Ipfw {
    tool: Tool,
    table: String,
}

pub(super) fn open(settings: &FirewallSettings) -> Result<Box<dyn Backend>, Unusable> {
    check_name(&settings.table, names::bad_ipfw_table(&settings.table))?;
    Ok(Box::new(Ipfw {
        tool: Tool::new(&settings.tools.ipfw, settings.timeout),
        table: settings.table.clone(),
    }))
}

impl Ipfw {
    fn table(&self, command: &[&str]) -> Result<Finished, BackendError> {
        self.tool.run(&[&["table", &self.table], command].concat(), b"")
    }

    /// Adds or deletes; the sentence of a failure names the command without its thousands of entries.
    fn change(&self, command: &str, entries: &[Prefix], value: Option<&str>) -> Result<(), BackendError> {
        if entries.is_empty() {
            return Ok(());
        }
        let texts: Vec<String> = entries.iter().map(address::display).collect();
        let mut args = vec!["-q", "table", &self.table, command];
        for entry in &texts {
            args.push(entry);
            args.extend(value);
        }
        let run = self.tool.run(&args, b"")?;
        if run.ok() { Ok(()) } else { Err(BackendError::Refused(self.explain(&run, command))) }
    }

    fn explain(&self, run: &Finished, command: &str) -> String {
        let complaint = run.complaint(&format!("ipfw table {} {command}", self.table));
        let hint = if run.says("Protocol not available") || run.says("Error requesting table") {
            "ipfw is not loaded, and Portcullis never loads it, since its last rule may lock you out: \
             firewall_enable=\"YES\" in /etc/rc.conf and `service ipfw start`"
        } else if run.says("socket: Operation not permitted") {
            "run it as root, and not in a jail without a network stack of its own"
        } else if run.says("locked") {
            "somebody locked the table: `ipfw table NAME unlock`"
        } else if run.says("limit hit") {
            "the table was created with a limit: create it without, or with a larger one"
        } else if run.says("Operation not permitted") {
            "kern.securelevel is 3: it can only be lowered at boot"
        } else {
            return complaint;
        };
        format!("{complaint} ({hint})")
    }

    /// Makes the table if it is not there, and gives what `info` says of it.
    ///
    /// `info` is asked before and after, because an existing table makes `create` fail, also with `-q`, and because
    /// somebody else may create it in between.
    fn ensure(&self) -> Result<String, BackendError> {
        let info = self.table(&["info"])?;
        if info.ok() {
            return Ok(text(&info));
        }
        let created = self.table(&["create", "type", "addr"])?;
        let info = self.table(&["info"])?;
        let blamed = if created.ok() { (&info, "info") } else { (&created, "create type addr") };
        if info.ok() { Ok(text(&info)) } else { Err(BackendError::Broken(self.explain(blamed.0, blamed.1))) }
    }
}

impl Backend for Ipfw {
    fn name(&self) -> &'static str {
        "ipfw"
    }

    fn programs(&self) -> Vec<&Path> {
        vec![self.tool.path()]
    }

    fn prepare(&mut self) -> Result<Vec<String>, BackendError> {
        let info = self.ensure()?;
        if let Some(remark) = unfit(&info, &self.table) {
            return Err(BackendError::Broken(remark.to_string()));
        }
        Ok(unused(&info, &self.table).iter().map(Remark::to_string).collect())
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        let (added, removed) = split(changes);
        self.change("delete", &removed, None)?;
        self.change("add", &added, Some("0"))
    }

    fn list(&mut self, _wanted: usize) -> Result<TableListing, BackendError> {
        let mut run = self.table(&["list"])?;
        if !run.ok() {
            // Missing, most likely: then it is made and listed again; else the reason comes out here.
            self.ensure()?;
            run = self.table(&["list"])?;
        }
        if run.ok() {
            Ok(parse_list(&text(&run)))
        } else {
            Err(BackendError::Broken(self.explain(&run, "list")))
        }
    }

    fn glance(&mut self, sure: &Prefix) -> Result<bool, BackendError> {
        let run = self.table(&["lookup", &sure.network().to_string()])?;
        match run.code {
            0 => Ok(true),
            NOT_FOUND => Ok(false),
            _ => Err(BackendError::Refused(self.explain(&run, "lookup"))),
        }
    }

    fn limits(&self) -> Limits {
        Limits { entries: CHUNK, bytes: BYTES, replace: 0, lookup: 0, after_add: 0 }
    }
}

fn text(run: &Finished) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// Why a table cannot hold addresses, if that is so, by what `ipfw table NAME info` says.
pub(crate) fn unfit(info: &str, table: &str) -> Option<Remark> {
    let fits = field(info, "type:").is_none_or(|kind| kind == "addr");
    (!fits).then(|| Remark {
        text: format!("ipfw's table {table} is not of type addr"),
        advice: format!("`ipfw table {table} destroy`, or choose another name with `firewall: {{table: …}}`"),
    })
}

fn unused(info: &str, table: &str) -> Option<Remark> {
    let used = field(info, "references:") != Some("0");
    (!used)
        .then(|| Remark { text: format!("no ipfw rule uses the table {table}"), advice: how_to_block(table) })
}

/// How to make the rule that uses the table.
pub(crate) fn how_to_block(table: &str) -> String {
    format!(
        "add `deny ip from table({table}) to me` with a number below check-state and any allow rule: \
         `ipfw add 50 deny ip from 'table({table})' to me`, and to the script that makes your rules"
    )
}

/// The word behind a key of `ipfw table NAME info`, such as `references: 0, valtype: legacy`.
fn field<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    let mut words = info.split_whitespace();
    words.by_ref().find(|word| *word == key)?;
    words.next().map(|word| word.trim_end_matches(','))
}

/// Reads `ADDRESS/LEN VALUE` lines; `--- table(NAME), set(0) ---` headers are passed over.
fn parse_list(text: &str) -> TableListing {
    let mut entries = Vec::new();
    let mut strange = 0;
    for line in text.lines().filter(|line| !line.starts_with("---") && !line.trim().is_empty()) {
        let key = line.split_whitespace().next().unwrap_or_default();
        match key.parse::<Prefix>() {
            Ok(prefix) => entries.push(prefix.trunc()),
            Err(_) => strange += 1,
        }
    }
    TableListing::Complete { entries, strange }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "--- table(bl), set(0) ---\n kindex: 1, type: addr\n references: 0, valtype: legacy\n \
        algorithm: addr:radix\n items: 2, size: 536\n";

    #[test]
    fn what_info_says_is_found_by_key() {
        assert_eq!(field(INFO, "type:"), Some("addr"));
        assert_eq!(field(INFO, "references:"), Some("0"));
        assert_eq!(field(INFO, "limit:"), None);
    }

    #[test]
    fn a_table_of_another_type_and_one_that_no_rule_uses_are_remarked_on() {
        assert_eq!(unfit(INFO, "bl"), None);
        assert!(unfit(" kindex: 1, type: iface\n", "bl").unwrap().text.contains("not of type addr"));
        let remark = unused(INFO, "bl").unwrap().to_string();
        assert!(
            remark.starts_with("no ipfw rule uses the table bl: add `deny ip from table(bl)"),
            "{remark}"
        );
        assert_eq!(unused(" references: 1, valtype: legacy\n", "bl"), None);
    }

    #[test]
    fn a_listing_is_read_without_headers_and_values() {
        let text = "--- table(bl), set(0) ---\n192.0.2.3/32 3221225988\n2001:db8::/64 0\nem0 0\n";
        let TableListing::Complete { entries, strange } = parse_list(text) else { panic!("complete") };
        let texts: Vec<String> = entries.iter().map(address::display).collect();
        assert_eq!((texts, strange), (vec!["192.0.2.3".to_owned(), "2001:db8::/64".to_owned()], 1));
    }

    #[test]
    fn the_largest_command_stays_below_kern_argmax() {
        // A value and a NUL behind each key; the environment and the first words are under a kilobyte.
        assert!(BYTES + CHUNK * "0\0".len() + 1024 < 524_288);
    }

    #[test]
    fn the_word_for_every_table_is_no_name() {
        let settings = FirewallSettings { table: "all".to_owned(), ..FirewallSettings::default() };
        assert!(open(&settings).is_err());
        let numbered = FirewallSettings { table: "22".to_owned(), ..FirewallSettings::default() };
        assert!(open(&numbered).is_ok(), "numbers are names");
    }
}
