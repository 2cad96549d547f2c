//! nftables: a table of our own, `inet NAME`, through nft(8). Nothing outside of it is touched.
//!
//! For each prefix length in use there is one set, one chain and one rule, all of one name: `v4_32`, `v6_64`. The rule
//! masks the source address and looks it up, so that plain hash sets do: nft's interval sets refuse a network that
//! overlaps another one (a host in a banned network) and are slower to change. Everything needed is written in the same
//! transaction as the elements: `add` of what exists is harmless, and a chain is emptied before its rule is added.
//!
//! The chains hang on prerouting at priority raw (-300): before connection tracking, so that connections that are
//! already up end as well, and before any rule of the operator. The loopback interface is spared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::runner::{Finished, Tool};
use super::{Backend, BackendError, Change, Limits, TableListing, Unusable, check_name, split};
use crate::address::{self, Prefix};
use crate::names;
use crate::settings::FirewallSettings;

/// Elements in one transaction: 100,000 took 0.35 s (nft 1.0.6), so 20,000 stay far from every limit and timeout.
const CHUNK: usize = 20_000;

/// A family and a prefix length: what a set, a chain and a rule are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SetKind {
    v6: bool,
    bits: u8,
}

/// The prefix lengths that a daemon with default settings bans; their sets are there from the start.
const USUAL: [SetKind; 3] =
    [SetKind { v6: false, bits: 32 }, SetKind { v6: true, bits: 64 }, SetKind { v6: true, bits: 128 }];

impl SetKind {
    fn of(prefix: &Prefix) -> Self {
        Self { v6: matches!(prefix, Prefix::V6(_)), bits: prefix.prefix_len() }
    }

    fn name(self) -> String {
        format!("{}_{}", if self.v6 { "v6" } else { "v4" }, self.bits)
    }

    fn parse(name: &str) -> Option<Self> {
        let (family, bits) = name.split_once('_')?;
        let kind = Self { v6: family == "v6", bits: bits.parse().ok()? };
        if kind.name() == name && kind.bits <= kind.most() { Some(kind) } else { None }
    }

    fn most(self) -> u8 {
        if self.v6 { 128 } else { 32 }
    }

    /// The part of a rule that looks the source address up: `ip saddr & 255.255.255.0 @v4_24`.
    fn lookup(self) -> String {
        let (field, zero) = match self.v6 {
            true => ("ip6 saddr", IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            false => ("ip saddr", IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        };
        let mask = address::network(zero, self.bits).netmask();
        let masked = if self.bits == self.most() { String::new() } else { format!(" & {mask}") };
        format!("{field}{masked} @{}", self.name())
    }
}

/// nft and the table it keeps.
struct Nftables {
    tool: Tool,
    table: String,
    /// The kinds whose sets we know to be there.
    known: BTreeSet<SetKind>,
}

pub(super) fn open(settings: &FirewallSettings) -> Result<Box<dyn Backend>, Unusable> {
    check_name(&settings.table, names::bad_nftables_table(&settings.table))?;
    let tools = &settings.tools.nft;
    let found = tools.iter().find(|path| path.exists()).or_else(|| tools.first());
    Ok(Box::new(Nftables {
        tool: Tool::new(found.cloned().unwrap_or_else(|| PathBuf::from("/usr/sbin/nft")), settings.timeout),
        table: settings.table.clone(),
        known: USUAL.into(),
    }))
}

impl Nftables {
    fn transaction(&self, script: &str) -> Result<(), BackendError> {
        let run = self.tool.run(&["-f", "-"], script.as_bytes())?;
        if run.ok() { Ok(()) } else { Err(BackendError::Refused(self.explain(&run, "-f -"))) }
    }

    fn explain(&self, run: &Finished, command: &str) -> String {
        let complaint = run.complaint(&format!("nft {command} (table inet {})", self.table));
        let hint = if run.says("Operation not permitted") {
            "run it as root or with CAP_NET_ADMIN"
        } else if run.says("JSON support not compiled-in") {
            "this nft was built without JSON: install one with it"
        } else if run.says("Operation not supported") || run.says("Protocol not supported") {
            "this kernel has no nf_tables: load the module nf_tables"
        } else {
            return complaint;
        };
        format!("{complaint} ({hint})")
    }
}

/// A script that makes a table and puts these prefixes in.
pub(super) fn script(table: &str, prefixes: &[Prefix]) -> String {
    let kinds: BTreeSet<SetKind> = prefixes.iter().map(SetKind::of).chain(USUAL).collect();
    let mut script = scaffold(table, kinds.iter());
    for chunk in prefixes.chunks(CHUNK) {
        let added: Vec<Change> = chunk.iter().copied().map(Change::Add).collect();
        script.push_str(&elements(table, &added));
    }
    script
}

/// The text that makes sets, chains and rules, whatever of them exists already.
fn scaffold<'a>(table: &str, kinds: impl Iterator<Item = &'a SetKind>) -> String {
    let mut script = format!("add table inet {table}\n");
    for kind in kinds {
        let name = kind.name();
        let lookup = kind.lookup();
        let family = if kind.v6 { "ipv6_addr" } else { "ipv4_addr" };
        // Writing to a String cannot fail.
        let _infallible = write!(
            script,
            "add set inet {table} {name} {{ type {family}; }}\n\
             add chain inet {table} {name} {{ type filter hook prerouting priority -300; policy accept; }}\n\
             flush chain inet {table} {name}\n\
             add rule inet {table} {name} iifname != \"lo\" {lookup} drop\n"
        );
    }
    script
}

/// The elements of the changes. A removed element is added first: deleting an absent one would undo all.
fn elements(table: &str, changes: &[Change]) -> String {
    let (added, removed) = split(changes);
    let added = by_kind(&added);
    let removed = by_kind(&removed);
    let mut script = String::new();
    for (verb, lists) in [("add", &added), ("add", &removed), ("delete", &removed)] {
        for (kind, addresses) in lists {
            let _infallible = write!(script, "{verb} element inet {table} {} {{ ", kind.name());
            for address in addresses {
                let _infallible = write!(script, "{address}, ");
            }
            script.push_str("}\n");
        }
    }
    script
}

/// Addresses by the set that they belong into.
fn by_kind(prefixes: &[Prefix]) -> BTreeMap<SetKind, Vec<IpAddr>> {
    let mut lists = BTreeMap::<SetKind, Vec<IpAddr>>::new();
    for prefix in prefixes {
        lists.entry(SetKind::of(prefix)).or_default().push(prefix.network());
    }
    lists
}

impl Backend for Nftables {
    fn name(&self) -> &'static str {
        "nftables"
    }

    fn programs(&self) -> Vec<&Path> {
        vec![self.tool.path()]
    }

    fn prepare(&mut self) -> Result<Vec<String>, BackendError> {
        match self.transaction(&scaffold(&self.table, self.known.iter())) {
            Ok(()) => Ok(Vec::new()),
            Err(BackendError::Refused(text) | BackendError::Broken(text)) => Err(BackendError::Broken(text)),
        }
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        let kinds: BTreeSet<SetKind> = changes.iter().map(|change| SetKind::of(&change.prefix())).collect();
        let fresh: Vec<SetKind> = kinds.difference(&self.known).copied().collect();
        let mut script = if fresh.is_empty() { String::new() } else { scaffold(&self.table, fresh.iter()) };
        script.push_str(&elements(&self.table, changes));
        self.transaction(&script)?;
        self.known.extend(fresh);
        Ok(())
    }

    fn list(&mut self, _wanted: usize) -> Result<TableListing, BackendError> {
        let run = self.tool.run(&["-j", "list", "table", "inet", &self.table], b"")?;
        if !run.ok() {
            return Err(BackendError::Broken(self.explain(&run, "-j list table")));
        }
        let (listing, kinds) = parse_listing(&run.stdout).map_err(|error| {
            BackendError::Broken(format!(
                "nft's JSON listing of table inet {} could not be read: {error}",
                self.table
            ))
        })?;
        self.known.extend(kinds);
        Ok(listing)
    }

    /// Looks for the chain, which goes with `flush ruleset`. nft has no cheap look at an element: every other command
    /// reads the whole set first, half a second for 100,000 elements, where this takes 3 ms (nft 1.0.6).
    fn glance(&mut self, sure: &Prefix) -> Result<bool, BackendError> {
        let run = self.tool.run(&["list", "chains", "inet"], b"")?;
        if !run.ok() {
            return Err(BackendError::Refused(self.explain(&run, "list chains")));
        }
        let chains = String::from_utf8_lossy(&run.stdout);
        let ours =
            chains.split("table inet ").find_map(|table| table.strip_prefix(&format!("{} {{", self.table)));
        let chain = format!("chain {} {{", SetKind::of(sure).name());
        Ok(ours.is_some_and(|ours| ours.contains(&chain)))
    }

    fn limits(&self) -> Limits {
        Limits { entries: CHUNK, bytes: usize::MAX, replace: 0, lookup: 0, after_add: 0 }
    }
}

/// `nft -j`: an array of objects with one key each, of which only sets matter.
#[derive(Deserialize)]
struct Ruleset {
    nftables: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    set: Option<Set>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    #[serde(default)]
    elem: Vec<Element>,
}

/// A plain element, or one with a comment or timeout that somebody else gave it; or none of ours.
#[derive(Deserialize)]
#[serde(untagged)]
enum Element {
    Plain(IpAddr),
    Dressed { elem: NftValue },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct NftValue {
    val: IpAddr,
}

/// All elements of all sets that are named as ours are, and which sets those are.
fn parse_listing(json: &[u8]) -> Result<(TableListing, Vec<SetKind>), serde_json::Error> {
    let ruleset: Ruleset = serde_json::from_slice(json)?;
    let mut entries = Vec::new();
    let mut strange = 0;
    let mut kinds = Vec::new();
    for set in ruleset.nftables.into_iter().filter_map(|object| object.set) {
        let Some(kind) = SetKind::parse(&set.name) else { continue };
        kinds.push(kind);
        for element in set.elem {
            match element {
                Element::Plain(address) | Element::Dressed { elem: NftValue { val: address } } => {
                    match Prefix::new(address, kind.bits) {
                        // An element with bits behind the mask can never match, and is none that we wrote.
                        Ok(prefix) if prefix.trunc() == prefix => entries.push(prefix),
                        _ => strange += 1,
                    }
                }
                Element::Other(_) => strange += 1,
            }
        }
    }
    Ok((TableListing::Complete { entries, strange }, kinds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_length_has_a_name_and_a_mask() {
        let lookup = |prefix: &str| SetKind::of(&prefix.parse().unwrap()).lookup();
        assert_eq!(lookup("192.0.2.7/32"), "ip saddr @v4_32");
        assert_eq!(lookup("192.0.2.0/24"), "ip saddr & 255.255.255.0 @v4_24");
        assert_eq!(lookup("2001:db8::1/128"), "ip6 saddr @v6_128");
        assert_eq!(lookup("2001:db8::/64"), "ip6 saddr & ffff:ffff:ffff:ffff:: @v6_64");
        assert_eq!(lookup("2001:db8::/44"), "ip6 saddr & ffff:ffff:fff0:: @v6_44");
    }

    #[test]
    fn only_names_that_we_give_are_read_back() {
        for bits in 0..=32 {
            let kind = SetKind { v6: false, bits };
            assert_eq!(SetKind::parse(&kind.name()), Some(kind));
        }
        for other in ["v4_33", "v6_129", "v4_032", "v4_", "v4", "v5_32", "v4_32_old", "blocklist"] {
            assert_eq!(SetKind::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_batch_is_one_transaction_in_which_an_absent_element_can_be_deleted() {
        let changes = [
            Change::Add("192.0.2.7/32".parse().unwrap()),
            Change::Remove("2001:db8::/64".parse().unwrap()),
            Change::Add("192.0.2.8/32".parse().unwrap()),
        ];
        assert_eq!(
            elements("portcullis", &changes),
            "add element inet portcullis v4_32 { 192.0.2.7, 192.0.2.8, }\n\
             add element inet portcullis v6_64 { 2001:db8::, }\n\
             delete element inet portcullis v6_64 { 2001:db8::, }\n"
        );
    }

    #[test]
    fn a_listing_tells_plain_dressed_and_strange_elements_apart() {
        let json = br#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"name": "portcullis"}},
            {"set": {"family": "inet", "name": "v4_24", "table": "portcullis", "type": "ipv4_addr", "handle": 1,
              "elem": ["192.0.2.0", "192.0.2.9", {"elem": {"val": "198.51.100.0", "comment": "x"}}, {"range": [1, 2]}]}},
            {"set": {"name": "v6_64", "type": "ipv6_addr"}}, {"set": {"name": "mine", "elem": ["10.0.0.1"]}}]}"#;
        let (listing, kinds) = parse_listing(json).unwrap();
        let entries = vec!["192.0.2.0/24".parse().unwrap(), "198.51.100.0/24".parse().unwrap()];
        assert_eq!(listing, TableListing::Complete { entries, strange: 2 });
        assert_eq!(kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(), ["v4_24", "v6_64"]);
        assert!(parse_listing(b"").is_err(), "no answer is not an empty table");
    }
}
