//! `pfctl -s WHAT` and `-T show`.

use super::state::{Place, Table};
use super::table::fail;
use super::{Errno, Pf};
use crate::common::address::Key;
use crate::common::{Exit, Step};

/// The counters of a table or an entry; no packet ever passes a fake.
const DIRECTIONS: [&str; 6] = ["In/Block:", "In/Pass:", "In/XPass:", "Out/Block:", "Out/Pass:", "Out/XPass:"];

/// One `-s`.
pub(crate) fn show(pf: &mut Pf<'_>, what: &str) -> Step {
    match what {
        "info" => info(pf),
        "Running" => return running(pf),
        "Tables" => return tables(pf),
        "rules" => rules(pf),
        "memory" => memory(pf),
        "Anchors" => anchors(pf),
        "states" => pf.state.states.iter().for_each(|line| pf.report.out(line)),
        "Sources" => pf.state.sources.iter().for_each(|line| pf.report.out(line)),
        "all" => {
            rules(pf);
            pf.state.states.iter().for_each(|line| pf.report.out(line));
            info(pf);
            memory(pf);
            return tables(pf);
        }
        _ => {}
    }
    Ok(())
}

/// `-T show`: whole or not at all, up to `net.pf.request_maxcount` entries.
pub(crate) fn table(pf: &mut Pf<'_>, place: &Place) -> Step {
    let limit = pf.request_maxcount();
    let verbose = pf.opts.verbose > 0;
    // With -v another request is used, which still sets errno on 13.2.
    let errno = |errno| if pf.mode.is_15() || verbose { errno } else { Errno::Unknown };
    let missing = errno(Errno::NoTable);
    let too_long = errno(Errno::Invalid);
    let Some(table) = pf.state.tables.get(place) else { return fail(pf, missing) };
    if table.entries.len() > limit {
        return fail(pf, too_long);
    }
    for (key, entry) in &table.entries {
        pf.report.out.push_str(&print_entry(' ', entry.not, *key));
        pf.report.out.push('\n');
        if verbose {
            pf.report.out(format!("\tCleared:     {}", ctime(entry.cleared)));
            let counters = DIRECTIONS.iter().filter(|name| table.counters && !name.contains('X'));
            counters.for_each(|name| pf.report.out(counter_line(name)));
        }
    }
    Ok(())
}

/// An entry's line, without its end: a letter, a blank, `!` or a blank, the address.
pub(crate) fn print_entry(letter: char, not: bool, key: Key) -> String {
    format!("{letter} {}{key}", if not { '!' } else { ' ' })
}

fn counter_line(name: &str) -> String {
    format!("\t{name:<12} [ Packets: {:<18} Bytes: {:<18} ]", 0, 0)
}

/// ctime(3), in UTC: the machine that was observed runs on it.
fn ctime(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%a %b %e %H:%M:%S %Y").to_string()
}

fn running(pf: &mut Pf<'_>) -> Step {
    pf.report.out(if pf.state.enabled { "Enabled" } else { "Disabled" });
    if pf.state.enabled { Ok(()) } else { Err(Exit(1)) }
}

fn info(pf: &mut Pf<'_>) {
    let power = if pf.state.enabled { "Enabled" } else { "Disabled" };
    // Since boot, 13.2 says nothing and 15.1 counts.
    let since = pf.state.since.or_else(|| pf.mode.is_15().then(|| pf.mode.now()));
    let age = since.map_or_else(String::new, |since| {
        let seconds = (pf.mode.now() - since).max(0);
        let days = seconds / 86_400;
        let rest = seconds % 86_400;
        format!(" for {days} days {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
    });
    pf.report.out(format!("{:<44}{:>15}\n", format!("Status: {power}{age}"), "Debug: Urgent"));
    pf.report.out("State Table                          Total             Rate");
    pf.report.out(format!("  current entries          {:>14}               ", pf.state.states.len()));
    for name in ["searches", "inserts", "removals"] {
        pf.report.out(format!("  {name:<25}{:>14}{:>14}/s", 0, "0.0"));
    }
}

/// In an anchor that is not there it fails: `pfr_table_count` in the kernel gives ENOENT, as the sources say.
fn tables(pf: &mut Pf<'_>) -> Step {
    let verbose = pf.opts.verbose;
    if verbose > 0 && pf.mode.is("mute", "tables") {
        return Ok(());
    }
    if !pf.opts.anchor.is_empty() && !pf.state.anchors().contains(&pf.opts.anchor) {
        return fail(pf, Errno::NoAnchor);
    }
    for (place, table) in pf.state.tables.iter().filter(|((anchor, _), _)| *anchor == pf.opts.anchor) {
        if verbose == 0 {
            pf.report.out(&place.1);
            continue;
        }
        let rules = pf.state.rules_naming(place);
        let anchors = pf.state.anchors_naming(place);
        let tail = if place.0.is_empty() { String::new() } else { format!("\t{}", place.0) };
        pf.report.out(format!("{}\t{}{tail}", flags(table, rules, anchors), place.1));
        if verbose > 1 {
            // 15.1's libpfctl takes the number of rules for that of addresses, and has none for the rules.
            let (entries, rules) = if pf.mode.is_15() { (rules, 0) } else { (table.entries.len(), rules) };
            pf.report.out(format!("\tAddresses:   {entries}"));
            pf.report.out(format!("\tCleared:     {}", ctime(table.cleared)));
            pf.report.out(format!("\tReferences:  [ Anchors: {anchors:<18} Rules: {rules:<18} ]"));
            pf.report.out(format!("\tEvaluations: [ NoMatch: {:<18} Match: {:<18} ]", 0, 0));
            DIRECTIONS.iter().for_each(|name| pf.report.out(counter_line(name)));
        }
    }
    Ok(())
}

fn flags(table: &Table, rules: usize, anchors: usize) -> String {
    let letters = [
        (table.constant, 'c'),
        (table.persist, 'p'),
        (true, 'a'),
        (false, 'i'),
        (rules > 0, 'r'),
        (anchors > 0, 'h'),
        (table.counters, 'C'),
    ];
    letters.map(|(set, letter)| if set { letter } else { '-' }).iter().collect()
}

fn rules(pf: &mut Pf<'_>) {
    let anchor = pf.opts.anchor.clone();
    if !anchor.is_empty() && !pf.state.anchors().contains(&anchor) {
        pf.report.err("pfctl: DIOCGETRULES: Invalid argument");
        return;
    }
    let rules = pf.state.rules.get(&anchor).cloned().unwrap_or_default();
    for (number, rule) in rules.iter().enumerate() {
        let number = if pf.opts.verbose > 1 { format!("@{number} ") } else { String::new() };
        let text = if pf.opts.verbose > 1 { with_counts(pf, &anchor, rule) } else { rule.clone() };
        pf.report.out(format!("{number}{text}"));
        if pf.opts.verbose > 0 {
            rule_counters(pf);
        }
    }
}

/// `<bl>` becomes `<bl:3>`, or `<bl:*>` where there is no such table.
fn with_counts(pf: &Pf<'_>, anchor: &str, rule: &str) -> String {
    let mut text = String::new();
    for part in rule.split_inclusive('>') {
        let Some((before, name)) = part.strip_suffix('>').and_then(|part| part.rsplit_once('<')) else {
            text.push_str(part);
            continue;
        };
        let local = pf.state.tables.get(&(anchor.to_owned(), name.to_owned()));
        let table = local.or_else(|| pf.state.tables.get(&(String::new(), name.to_owned())));
        let number = table.map_or_else(|| "*".to_owned(), |table| table.entries.len().to_string());
        text.push_str(&format!("{before}<{name}:{number}>"));
    }
    text
}

fn rule_counters(pf: &mut Pf<'_>) {
    let number = |width: usize| format!("{:<width$}", 0);
    let six = number(6);
    let eight = number(8);
    let ten = number(10);
    let head = format!("  [ Evaluations: {eight}  Packets: {eight}  Bytes: {ten}  States: {six}]");
    pf.report.out(head);
    if pf.mode.is_15() {
        pf.report.out(format!("  [ Source Nodes: {six} Limit: {six} NAT/RDR: {six} Route: {six} ]"));
    }
    let pid = if pf.mode.is_15() { 0 } else { 80 };
    pf.report.out(format!("  [ Inserted: uid 0 pid {pid} State Creations: {six}]"));
    if pf.mode.is_15() && pf.opts.verbose > 1 {
        pf.report.out("  [ Last Active Time: N/A ]");
    }
}

fn memory(pf: &mut Pf<'_>) {
    let limits = [
        ("states", 100_000),
        ("src-nodes", 10_000),
        ("frags", 5_000),
        ("table-entries", pf.state.table_entries),
    ];
    let newer = [("anchors", 0), ("eth-anchors", 0)];
    for (name, limit) in limits.iter().chain(newer.iter().filter(|_| pf.mode.is_15())) {
        pf.report.out(format!("{name:<13} hard limit {limit:>8}"));
    }
}

/// 13.2 lists one level, 15.1 all of them.
fn anchors(pf: &mut Pf<'_>) {
    let parent = &pf.opts.anchor;
    let all = pf.mode.is_15() || pf.opts.verbose > 0;
    for anchor in pf.state.anchors() {
        let below = match parent.is_empty() {
            true => Some(anchor.as_str()),
            false => anchor.strip_prefix(parent.as_str()).and_then(|rest| rest.strip_prefix('/')),
        };
        let shown = below.is_some_and(|below| all || !below.contains('/')) && !anchor.starts_with('_');
        if shown {
            pf.report.out(format!("  {anchor}"));
        }
    }
}
