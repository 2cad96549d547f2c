//! Prints the daemon's replies for people. Texts from logs are printed without control characters.

use std::io::{self, Write};
use std::time::Duration;

use super::text::{Table, count, printable, tenths};
use crate::address;
use crate::control::reply::{
    AddressReport, BanEntry, Banned, DaemonStatus, FirewallEffect, LoginStatus, PastBan, Reloaded,
    ReportSourceStatus, SourceStatus, StoreEffect, TableStatus, Unbanned,
};
use crate::engine::Origin;
use crate::settings::BackendKind;
use crate::time::spoken;

pub(super) fn status(out: &mut dyn Write, status: &DaemonStatus) -> io::Result<()> {
    let config = status.config.as_deref().unwrap_or("the built-in defaults");
    protection(out, status)?;
    writeln!(
        out,
        "Portcullis {} runs since {} (pid {}, privileges {})",
        status.version, status.since, status.pid, status.privileges
    )?;
    writeln!(out, "Configuration: {config}, read {}\n", status.loaded)?;
    if !status.sources.is_empty() || status.report_sources.is_empty() {
        sources(out, &status.sources)?;
    }
    report_sources(out, &status.report_sources)?;
    let mut table = Table::new(&["RULE SET", ">MATCHES", ">BANS", "LAST MATCH"]);
    for set in &status.rule_sets {
        let last = set.last_match.clone().unwrap_or_else(|| "never".to_owned());
        table.row(vec![set.name.clone(), set.matches.to_string(), set.bans.to_string(), last]);
    }
    table.write(out)?;
    let c = &status.counters;
    writeln!(out, "\n{} active, {} since the start, {} ended", count(c.active, "ban"), c.bans, c.unbans)?;
    writeln!(out, "{} tracked, {} evicted to bound memory", count(c.tracked, "offender"), c.evicted)?;
    let too_long: u64 = status.sources.iter().map(|source| source.too_long).sum();
    if too_long > 0 {
        writeln!(out, "{} dropped as too long", count(too_long, "line"))?;
    }
    for source in &status.sources {
        stamps(out, source)?;
    }
    firewall(out, &status.firewall)?;
    for missed in status.missed.iter().filter(|missed| missed.is_worth_telling()) {
        writeln!(out, "{}", printable(missed.sentence().as_bytes()))?;
        writeln!(
            out,
            "  `portcullis match --missed` shows them; they may be new in this version of the program"
        )?;
    }
    for login in &status.logins_after_failures {
        let LoginStatus { address, failures, at, line } = login;
        writeln!(
            out,
            "Login from {address} after {failures} failures, {at}:\n  {}",
            printable(line.as_bytes())
        )?;
    }
    for problem in &status.problems {
        writeln!(out, "Problem: {}", printable(problem.as_bytes()))?;
    }
    Ok(())
}

/// What matters most, first: `Protecting: 3 banned, table in step`, or why not and what to do.
fn protection(out: &mut dyn Write, status: &DaemonStatus) -> io::Result<()> {
    for gap in &status.not_protecting {
        writeln!(out, "NOT PROTECTING: {}", printable(gap.text.as_bytes()))?;
        writeln!(out, "  {}", printable(gap.remedy.as_bytes()))?;
    }
    if status.not_protecting.is_empty() {
        let step = match &status.firewall {
            table if table.in_step => "in step",
            table if table.compared.is_none() => "not compared yet",
            _ => "not in step yet",
        };
        writeln!(out, "Protecting: {} banned, table {step}", status.counters.active)?;
    }
    writeln!(out)
}

fn sources(out: &mut dyn Write, sources: &[SourceStatus]) -> io::Result<()> {
    let mut table = Table::new(&["SOURCE", "PATH", ">LINES", ">MATCHES", "LAST LINE", "STATE"]);
    for source in sources {
        table.row(vec![
            source.name.clone(),
            source.path.clone(),
            source.lines.to_string(),
            source.matches.to_string(),
            source.last_line.clone().unwrap_or_else(|| "none yet".to_owned()),
            source.problem.clone().unwrap_or_else(|| "followed".to_owned()),
        ]);
    }
    table.write(out)?;
    writeln!(out)
}

fn report_sources(out: &mut dyn Write, sources: &[ReportSourceStatus]) -> io::Result<()> {
    if sources.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["SOURCE", "SOCKET", "SERVICES", ">REPORTS", ">REFUSED", "LAST REPORT"]);
    for source in sources {
        table.row(vec![
            source.name.clone(),
            source.socket.clone(),
            source.services.join(", "),
            source.reports.to_string(),
            source.refused.to_string(),
            source.last_report.clone().unwrap_or_else(|| "none yet".to_owned()),
        ]);
    }
    table.write(out)?;
    writeln!(out)
}

/// Remarks on the timestamps of a source's lines.
fn stamps(out: &mut dyn Write, source: &SourceStatus) -> io::Result<()> {
    let name = printable(source.name.as_bytes());
    if source.undated > 0 {
        let matches = if source.undated == 1 { "match" } else { "matches" };
        let undated = source.undated;
        writeln!(
            out,
            "{name}: {undated} {matches} without a readable timestamp, none counted after a restart"
        )?;
    }
    if let Some(span) = source.span_of_stamps() {
        writeln!(out, "{name}: its timestamps are {span} the clock: set the `zone` of this source")?;
    }
    Ok(())
}

/// Whether decisions are only reported.
fn blocks_nobody(backend: &str) -> bool {
    backend == BackendKind::DryRun.as_str()
}

fn firewall(out: &mut dyn Write, firewall: &TableStatus) -> io::Result<()> {
    let step = if firewall.in_step { "in step" } else { "not in step" };
    if blocks_nobody(&firewall.backend) {
        return writeln!(
            out,
            "Firewall: dry-run, nobody is blocked; {} would be in the table",
            firewall.entries
        );
    }
    write!(out, "Firewall: {}, {} wanted in the table, {step}", firewall.backend, firewall.entries)?;
    if firewall.pending > 0 {
        write!(out, ", {} pending", count(firewall.pending, "change"))?;
    }
    writeln!(out)?;
    for warning in &firewall.warnings {
        writeln!(out, "Warning: {warning}")?;
    }
    Ok(())
}

pub(super) fn bans(out: &mut dyn Write, bans: &[BanEntry]) -> io::Result<()> {
    let mut table = Table::new(&["OFFENDER", "SINCE", "UNTIL", ">NTH", "BY", "REASON"]);
    for ban in bans {
        table.row(row(ban));
    }
    table.write(out)
}

fn row(ban: &BanEntry) -> Vec<String> {
    vec![
        address::display(&ban.offender),
        ban.since.clone(),
        ban.until.clone().unwrap_or_else(|| "for ever".to_owned()),
        ban.nth.to_string(),
        by(ban),
        printable(ban.reason.as_bytes()),
    ]
}

fn by(ban: &BanEntry) -> String {
    let mut names: Vec<&str> = match ban.origin {
        Origin::Rule => vec![],
        Origin::Manual => vec!["hand"],
        Origin::Foreign => vec!["others"],
    };
    names.extend(ban.rule_sets.iter().map(String::as_str));
    names.join(", ")
}

pub(super) fn why(out: &mut dyn Write, why: &AddressReport) -> io::Result<()> {
    let name = address::display(&why.address);
    match &why.ban {
        Some(ban) => {
            let offender = address::display(&ban.offender);
            let until = end(ban.until.as_deref());
            let reason = printable(ban.reason.as_bytes());
            writeln!(
                out,
                "{name} is banned as {offender} since {} {until}: {reason} (ban {})",
                ban.since, ban.nth
            )?;
        }
        None => writeln!(out, "{name} is not banned.")?,
    }
    if why.allowed {
        writeln!(out, "It is on the allow list, or contains an address that is.")?;
    }
    if why.trusted {
        writeln!(out, "It logged in recently and is allowed more offences.")?;
    }
    for window in &why.windows {
        let seen = tenths(window.tenths);
        let threshold = tenths(window.threshold);
        let within = spoken(Duration::from_secs(window.within));
        writeln!(out, "{}: {seen} of {threshold} offences in the last {within}", window.rule_set)?;
    }
    if let Some(problem) = &why.problem {
        return writeln!(out, "Ban history is currently unavailable: {problem}.");
    }
    if why.history.is_empty() {
        return writeln!(out, "No earlier ban is on record.");
    }
    for ban in &why.history {
        past_ban(out, ban)?;
    }
    Ok(())
}

/// `until 2026-11-22T15:38:31+01:00` or `for ever`.
fn end(until: Option<&str>) -> String {
    match until {
        Some(until) => format!("until {until}"),
        None => "for ever".to_owned(),
    }
}

fn past_ban(out: &mut dyn Write, past: &PastBan) -> io::Result<()> {
    let ban = &past.ban;
    let end = match &past.ended {
        Some(ended) => format!("ended {ended}"),
        None => end(ban.until.as_deref()),
    };
    let offender = address::display(&ban.offender);
    let reason = printable(ban.reason.as_bytes());
    writeln!(out, "\n{offender}: ban {} since {}, {end}: {reason}", ban.nth, ban.since)?;
    for line in &past.lines {
        writeln!(out, "  {} {}: {}", line.at, line.source, printable(line.text.as_bytes()))?;
    }
    Ok(())
}

/// More prefixes than this are counted, not listed.
const MAX_LISTED: usize = 50;

pub(super) fn banned(out: &mut dyn Write, banned: &Banned) -> io::Result<()> {
    let until = end(banned.until.as_deref());
    let is_longer = |prefix: &address::Prefix| banned.longer.iter().any(|longer| longer.prefix == *prefix);
    let as_asked: Vec<_> = banned.banned.iter().copied().filter(|prefix| !is_longer(prefix)).collect();
    let is_banned = if blocks_nobody(&banned.firewall.backend) { "would be banned" } else { "banned" };
    listed(out, &as_asked, &format!("{is_banned} {until}"))?;
    for longer in &banned.longer {
        let until = end(longer.until.as_deref());
        writeln!(out, "{}: {is_banned} {until}, as it was before", address::display(&longer.prefix))?;
    }
    for refused in &banned.refused {
        writeln!(out, "{}: not banned, since {}", address::display(&refused.prefix), refused.why)?;
    }
    effects(out, &banned.kept, &banned.firewall, false)
}

/// `requested` are the prefixes of the request, sorted.
pub(super) fn unbanned(
    out: &mut dyn Write,
    unbanned: &Unbanned,
    requested: &[address::Prefix],
    offline: bool,
) -> io::Result<()> {
    let (wider, others): (Vec<_>, Vec<_>) =
        unbanned.unbanned.iter().partition(|ended| requested_inside(ended, requested).is_some());
    listed(out, &others, "no longer banned, counters reset")?;
    for ended in wider {
        let inside = requested_inside(&ended, requested).map(address::display).unwrap_or_default();
        writeln!(
            out,
            "{}: no longer banned, counters reset; the whole ban was ended, since it contained {inside}",
            address::display(&ended)
        )?;
    }
    listed(out, &unbanned.not_banned, "was not banned; counters reset")?;
    if unbanned.unbanned.is_empty() && unbanned.not_banned.is_empty() {
        writeln!(out, "Nobody was banned.")?;
    }
    effects(out, &unbanned.kept, &unbanned.firewall, offline)
}

/// A requested prefix that is inside an ended ban; `None` if the ban itself was requested.
fn requested_inside<'a>(
    ended: &address::Prefix,
    requested: &'a [address::Prefix],
) -> Option<&'a address::Prefix> {
    // Prefixes inside a network sort right behind it.
    let first = requested.get(requested.partition_point(|prefix| prefix < ended))?;
    if first != ended && ended.contains(first) { Some(first) } else { None }
}

fn listed(out: &mut dyn Write, prefixes: &[address::Prefix], what: &str) -> io::Result<()> {
    if prefixes.len() > MAX_LISTED {
        return writeln!(out, "{} prefixes: {what}", prefixes.len());
    }
    for prefix in prefixes {
        writeln!(out, "{}: {what}", address::display(prefix))?;
    }
    Ok(())
}

/// The effects of a change: "The database is written; the firewall (pf) is in step."
fn effects(
    out: &mut dyn Write,
    kept: &StoreEffect,
    effect: &FirewallEffect,
    offline: bool,
) -> io::Result<()> {
    if kept.stored {
        write!(out, "The database is written; the firewall")?;
    } else {
        let problem = kept.problem.as_deref().unwrap_or("the daemon does not say why");
        write!(out, "NOT in the database yet: {problem}; it is written as soon as it can be. The firewall")?;
    }
    let backend = &effect.backend;
    if blocks_nobody(backend) {
        return writeln!(out, " ({backend}) blocks nobody: none is configured.");
    }
    if effect.done && effect.warnings.is_empty() {
        return writeln!(out, " ({backend}) is in step.");
    }
    if effect.done {
        return writeln!(out, " ({backend}) has it in its table, but: {}.", effect.warnings.join("; "));
    }
    match &effect.problem {
        Some(problem) => {
            let when = if offline { "when the daemon starts" } else { "automatically" };
            writeln!(out, " ({backend}) is not updated yet: {problem}. It will be tried again {when}.")
        }
        None => writeln!(out, " ({backend}) has {} pending.", count(effect.pending, "change")),
    }
}

pub(super) fn reloaded(out: &mut dyn Write, reloaded: &Reloaded) -> io::Result<()> {
    for warning in &reloaded.warnings {
        writeln!(out, "{warning}")?;
    }
    writeln!(
        out,
        "Reloaded: rule sets {}; sources {}.",
        reloaded.rule_sets.join(", "),
        reloaded.sources.join(", ")
    )?;
    listed(out, &reloaded.freed, "freed, since it is on the allow list now")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::reply::Counters;
    use crate::protection::Gap;

    fn printed(answer: &DaemonStatus) -> String {
        let mut out = Vec::new();
        status(&mut out, answer).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn status_names_the_configuration_that_was_read() {
        let text = |config: Option<&str>| {
            printed(&DaemonStatus { config: config.map(str::to_owned), ..DaemonStatus::default() })
        };
        assert!(text(Some("/etc/p.yaml")).contains("Configuration: /etc/p.yaml, read"));
        assert!(text(None).contains("Configuration: the built-in defaults, read"));
    }

    #[test]
    fn status_begins_with_whether_anybody_is_kept_out_and_with_what_to_do() {
        assert!(
            printed(&DaemonStatus::default()).starts_with("Protecting: 0 banned, table not compared yet\n")
        );
        let counters = Counters { active: 3, ..Counters::default() };
        let firewall = TableStatus { in_step: true, ..TableStatus::default() };
        let fine = DaemonStatus { counters, firewall, ..DaemonStatus::default() };
        assert!(printed(&fine).starts_with("Protecting: 3 banned, table in step\n\nPortcullis "));
        let not_protecting = vec![Gap::not_blocking("no rule blocks", "add one\x1b[2J")];
        let text = printed(&DaemonStatus { not_protecting, ..fine });
        assert!(
            text.starts_with("NOT PROTECTING: no rule blocks\n  add one") && !text.contains('\x1b'),
            "{text}"
        );
        assert!(!text.contains("\nProtecting"), "{text}");
    }

    #[test]
    fn status_counts_lines_that_were_dropped() {
        let sources = [2, 3].map(|too_long| SourceStatus { too_long, ..SourceStatus::default() });
        let text = printed(&DaemonStatus { sources: sources.into(), ..DaemonStatus::default() });
        assert!(text.contains("\n5 lines dropped as too long\n"), "{text}");
        assert!(!printed(&DaemonStatus::default()).contains("too long"));
    }
}
