//! pf: the content of one table, through pfctl(8). Rules are the operator's and are never loaded or flushed.
//!
//! What decides is the exit status, and for a listing the exit status alone is not enough: a table of more than
//! `net.pf.request_maxcount` entries prints nothing and exits 255 as a missing table does, in other words on each
//! release. So a refused listing is followed by a look whether the table is there. Measured on 13.2 and 15.1.
//!
//! How many entries such a table holds is not to be had: `Addresses` of `-vvsT` is the number of rules that use the
//! table on 15.1. What should be in it can be looked up with `-T test`, in portions of any table.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;

use super::runner::{Finished, Tool};
use super::{Backend, BackendError, Change, Limits, Remark, TableListing, Unusable, check_name, split};
use crate::address::{self, Prefix};
use crate::names;
use crate::settings::FirewallSettings;

mod table;

use table::PfTableFlags;
pub(crate) use table::{PfTable, how_to_enter, not_enabled};

/// Entries in one add, delete or test; 13.2 refuses more than 65,535, and a run-time sysctl can lower that.
const CHUNK: usize = 10_000;
/// Entries in one replace, and in a file that pf.conf names: 32,768 pass, 40,000 do not, on both releases.
pub(super) const REPLACE: usize = 32_768;
/// The exit status of `-T test` when not all addresses match.
const NOT_ALL: i32 = 2;
/// Larger batches leave connections alone: each addition costs two runs of pfctl of some milliseconds.
const KILL_AT_MOST: usize = 64;

/// pfctl and the table it is used on.
struct Pf {
    tool: Tool,
    sysctl: Tool,
    pf_table: PfTable,
    kill_states: bool,
}

pub(super) fn open(settings: &FirewallSettings) -> Result<Box<dyn Backend>, Unusable> {
    check_name(&settings.table, names::bad_pf_table(&settings.table))?;
    if let Some(anchor) = &settings.anchor {
        check_name(anchor, names::bad_anchor(anchor))?;
    }
    Ok(Box::new(Pf::new(settings)))
}

impl Pf {
    fn new(settings: &FirewallSettings) -> Self {
        Self {
            tool: Tool::new(&settings.tools.pfctl, settings.timeout),
            sysctl: Tool::new(&settings.tools.sysctl, settings.timeout),
            pf_table: PfTable::of(settings),
            kill_states: settings.kill_states,
        }
    }

    /// One table command; the sentence of a failure names it.
    fn table(&self, command: &str, entries: &[Prefix]) -> Result<(), BackendError> {
        let run = self.run(&["-q", "-t", &self.pf_table.name, "-T", command, "-f", "-"], &lines(entries))?;
        if run.ok() { Ok(()) } else { Err(BackendError::Refused(self.explain(&run, command))) }
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Result<Finished, BackendError> {
        self.tool.run(&self.pf_table.arguments(args), input)
    }

    fn explain(&self, run: &Finished, command: &str) -> String {
        let table = &self.pf_table.name;
        let complaint = run.complaint(&format!("pfctl -t {table} -T {command}"));
        let hint = if run.says("Cannot allocate memory") {
            "pf holds as many table entries as it may, over all tables: raise it with \
             `set limit table-entries 400000` in /etc/pf.conf and `service pf reload`"
        } else if run.says("Operation not permitted") {
            "the table is `const` in /etc/pf.conf, or kern.securelevel is 3: drop `const`, or lower the securelevel at boot"
        } else if run.says("Permission denied") {
            "run it as root"
        } else if run.says("/dev/pf") {
            "pf is not loaded: `service pf onestart`, and pf_enable=\"YES\" in /etc/rc.conf"
        } else if run.says("Invalid argument")
            || self.pf_table.anchor.is_none() && run.says("Anchor does not exist")
        {
            // 15.1 has the other words for it.
            "net.pf.request_maxcount may be below 10,000: put it back to 65535"
        } else {
            return complaint;
        };
        format!("{complaint} ({hint})")
    }

    /// Why a table that is there is not listed, and how to have it listed; never by less than what holds at present.
    fn unlistable(&self, run: &Finished, wanted: usize) -> String {
        let complaint = run.complaint(&format!("pfctl -t {} -T show", self.pf_table.name));
        let advice = match self.request_maxcount() {
            Some(present) => {
                let enough = present.max(wanted).saturating_mul(2).next_power_of_two();
                format!(
                    "the table may hold more entries than net.pf.request_maxcount ({present}): \
                     `sysctl net.pf.request_maxcount={enough}` (on 13 and later) lets all of them be seen"
                )
            }
            None => "the table may hold more entries than net.pf.request_maxcount".to_owned(),
        };
        format!(
            "{complaint}; what should be in the table is looked up instead, and foreign entries are not seen \
             ({advice})"
        )
    }

    /// How many entries one request to pf may carry; `None` where the kernel does not say.
    fn request_maxcount(&self) -> Option<usize> {
        let run = self.sysctl.run(&["-n", "net.pf.request_maxcount"], b"").ok()?;
        String::from_utf8_lossy(&run.stdout).trim().parse().ok().filter(|_| run.ok())
    }

    /// Our table, if it exists. Prints a few lines for each table, so it works for tables of any size.
    ///
    /// In an anchor that does not exist yet this fails (ENOENT in `pfr_table_count`); the first add makes the anchor.
    fn look(&self) -> Result<Option<PfTableFlags>, BackendError> {
        let run = self.run(&["-vsT"], b"")?;
        if !run.ok() && self.pf_table.anchor.is_some() {
            // Not the device, then, but the anchor.
            return self.running().map(|_| None);
        }
        if !run.ok() {
            return Err(BackendError::Broken(self.explain(&run, "show")));
        }
        Ok(self.pf_table.find(&String::from_utf8_lossy(&run.stdout)))
    }

    /// The exit status is 1 for "not running" and for any error; only the first prints a word.
    fn running(&self) -> Result<Option<Remark>, BackendError> {
        let run = self.tool.run(&["-s", "Running"], b"")?;
        if run.code == 0 {
            return Ok(None);
        }
        if run.stdout.is_empty() {
            return Err(BackendError::Broken(self.explain(&run, "show")));
        }
        Ok(Some(not_enabled()))
    }

    /// Whether the table is really not there. `-vsT` may end well and print nothing where it failed (15.1), so its
    /// silence is not enough: the plain list of names has to be had, and not to have it.
    fn is_missing(&self) -> Result<bool, BackendError> {
        let run = self.run(&["-sT"], b"")?;
        match &self.pf_table.anchor {
            _ if run.ok() => Ok(!has_line(&run, &self.pf_table.name)),
            Some(anchor) => self.has_no_anchor(anchor),
            None => Ok(false),
        }
    }

    /// Whether there is no such anchor: the one above it does not list it, or is itself not there.
    fn has_no_anchor(&self, anchor: &str) -> Result<bool, BackendError> {
        let above = anchor.rsplit_once('/').map(|(above, _)| above);
        let args: Vec<&str> = above.iter().flat_map(|above| ["-a", above]).chain(["-sA"]).collect();
        let run = self.tool.run(&args, b"")?;
        match above {
            _ if run.ok() => Ok(!has_line(&run, anchor)),
            Some(above) => self.has_no_anchor(above),
            None => Err(BackendError::Broken(run.complaint("pfctl -sA"))),
        }
    }

    /// The reason why the table blocks nobody; `None` where it blocks.
    fn remark(&self, table: Option<PfTableFlags>) -> Option<Remark> {
        let unused = table.filter(|table| !table.referenced).map(|_| Remark {
            text: format!("no pf rule uses the table {}", self.pf_table.named()),
            advice: self.pf_table.how_to_block(),
        });
        self.pf_table.remark(table).or(unused)
    }
}

impl Backend for Pf {
    fn name(&self) -> &'static str {
        "pf"
    }

    fn programs(&self) -> Vec<&Path> {
        vec![self.tool.path(), self.sysctl.path()]
    }

    fn prepare(&mut self) -> Result<Vec<String>, BackendError> {
        let running = self.running()?;
        let remarks = [running, self.remark(self.look()?)];
        Ok(remarks.into_iter().flatten().map(|remark| remark.to_string()).collect())
    }

    /// Deletes first: that makes room where pf's limit of entries is reached.
    fn apply(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        let (added, removed) = split(changes);
        if !removed.is_empty() {
            match self.table("delete", &removed) {
                // Nothing is in a table that does not exist; only its absence is looked up, not the words about it.
                Err(BackendError::Refused(_)) if self.look()?.is_none() => {}
                answer => answer?,
            }
        }
        if added.is_empty() { Ok(()) } else { self.table("add", &added) }
    }

    fn list(&mut self, wanted: usize) -> Result<TableListing, BackendError> {
        let run = self.run(&["-q", "-t", &self.pf_table.name, "-T", "show"], b"")?;
        if run.ok() {
            return Ok(parse_show(&String::from_utf8_lossy(&run.stdout)));
        }
        let table = self.look()?;
        if table.is_none() && self.is_missing()? {
            return Ok(TableListing::Complete { entries: Vec::new(), strange: 0 });
        }
        Ok(TableListing::Unlistable { why: self.unlistable(&run, wanted) })
    }

    fn missing(&mut self, wanted: &[Prefix]) -> Result<Vec<Prefix>, BackendError> {
        let addresses: String = wanted.iter().map(|prefix| format!("{}\n", address_in(prefix))).collect();
        let args = ["-q", "-vv", "-t", &self.pf_table.name, "-T", "test", "-f", "-"];
        let run = self.run(&args, addresses.as_bytes())?;
        if !run.ok() && run.code != NOT_ALL {
            return Err(BackendError::Refused(self.explain(&run, "test")));
        }
        let text = String::from_utf8_lossy(&run.stdout);
        let found: Vec<bool> =
            text.lines().zip(wanted).filter_map(|(line, prefix)| is_there(line, prefix)).collect();
        if found.len() != wanted.len() || text.lines().count() != wanted.len() {
            return Err(BackendError::Refused(
                "pfctl -T test -vv printed something else than a line for each address".to_owned(),
            ));
        }
        Ok(wanted.iter().zip(found).filter(|(_, found)| !found).map(|(prefix, _)| *prefix).collect())
    }

    fn glance(&mut self, sure: &Prefix) -> Result<bool, BackendError> {
        self.missing(&[*sure]).map(|missing| missing.is_empty())
    }

    fn replace(&mut self, all: &[Prefix]) -> Result<(), BackendError> {
        self.table("replace", all)
    }

    /// Cuts the connections of a prefix in both directions.
    ///
    /// After the add, never before: pfctl does `-k` first when both are in one call, and a packet in between would make
    /// a new state. A state of either direction passes packets of both, so both are looked for.
    fn after_add(&mut self, prefix: &Prefix) -> Result<(), BackendError> {
        let peer = address::display(prefix);
        let everywhere = if matches!(prefix, Prefix::V4(_)) { "0.0.0.0/0" } else { "::/0" };
        for args in [["-q", "-k", &peer].as_slice(), &["-q", "-k", everywhere, "-k", &peer]] {
            // Without the anchor: states are not kept by anchor.
            let run = self.tool.run(args, b"")?;
            if !run.ok() {
                return Err(BackendError::Refused(run.complaint(&format!("pfctl -k {peer}"))));
            }
        }
        Ok(())
    }

    fn limits(&self) -> Limits {
        let after_add = if self.kill_states { KILL_AT_MOST } else { 0 };
        Limits { entries: CHUNK, bytes: usize::MAX, replace: REPLACE, lookup: CHUNK, after_add }
    }
}

fn has_line(run: &Finished, wanted: &str) -> bool {
    String::from_utf8_lossy(&run.stdout).lines().any(|line| line.trim() == wanted)
}

fn lines(entries: &[Prefix]) -> Vec<u8> {
    let mut text = String::with_capacity(entries.len() * 20);
    for entry in entries {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{}", address::display(entry));
    }
    text.into_bytes()
}

/// An address by which an entry is looked up, since `-T test` takes no networks: the last one, which is hardly ever
/// banned on its own.
fn address_in(prefix: &Prefix) -> IpAddr {
    prefix.broadcast()
}

/// Reads a line of `pfctl -vv -T test`: a letter, a blank, the address, a tab, then `nomatch` or the entry that decides,
/// with `!` before a negated one. `None`: it is no such line, or about another address.
///
/// A wider entry than ours decides where ours is missing; a narrower one hides ours.
fn is_there(line: &str, prefix: &Prefix) -> Option<bool> {
    let (asked, found) = line.split_once('\t')?;
    let asked: IpAddr = asked.get(2..)?.trim().parse().ok()?;
    if asked != address_in(prefix) {
        return None;
    }
    match found.trim() {
        "nomatch" => Some(false),
        found if found.starts_with('!') => Some(false),
        found => Some(parse_entry(found)?.prefix_len() >= prefix.prefix_len()),
    }
}

/// Reads `pfctl -T show`: a feedback character or blank, `!` or blank, the address, `/len` only when shorter than a host.
fn parse_show(text: &str) -> TableListing {
    let mut entries = Vec::new();
    let mut strange = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match parse_entry(line) {
            Some(prefix) => entries.push(prefix),
            None => strange += 1,
        }
    }
    TableListing::Complete { entries, strange }
}

/// A prefix exactly as the firewall has it: a v4-mapped entry of somebody else stays IPv6, so that it can be removed.
fn parse_entry(text: &str) -> Option<Prefix> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address::host(address)),
        Err(_) => text.parse::<Prefix>().ok().map(|prefix| prefix.trunc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_as_it_stands() {
        let text = "   192.0.2.1\n   2001:db8::/64\n   ::ffff:192.0.2.9\n  !192.0.2.2\n   10.0.0.0/8\n";
        let TableListing::Complete { entries, strange } = parse_show(text) else { panic!("complete") };
        let texts: Vec<String> = entries.iter().map(address::display).collect();
        assert_eq!(texts, ["192.0.2.1", "2001:db8::/64", "::ffff:192.0.2.9", "10.0.0.0/8"]);
        assert_eq!(strange, 1, "a negated entry is not one of ours");
    }

    #[test]
    fn a_table_that_no_rule_uses_is_remarked_on() {
        let settings = FirewallSettings { table: "bl".to_owned(), ..FirewallSettings::default() };
        let pf = Pf::new(&settings);
        let remark = |flags: &str| pf.remark(pf.pf_table.find(&format!("{flags}\tbl\n")));
        assert_eq!(remark("-pa-r--"), None);
        assert!(
            remark("-pa----").unwrap().to_string().starts_with("no pf rule uses the table <bl>: put `table")
        );
    }
}
