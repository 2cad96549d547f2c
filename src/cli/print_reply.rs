//! The daemon's answers, told to people. Texts from logs are printed without control characters.

use std::io::{self, Write};
use std::time::Duration;

use super::text::{Table, count, printable, tenths};
use crate::address;
use crate::control::reply::{
    AddressReport, BanEntry, Banned, DaemonStatus, FirewallEffect, PastBan, Reloaded, SourceStatus,
    StoreEffect, TableStatus, Unbanned,
};
use crate::engine::Origin;
use crate::settings::BackendKind;
use crate::time::spoken;

pub(super) fn status(out: &mut dyn Write, status: &DaemonStatus) -> io::Result<()> {
    let config = status.config.as_deref().unwrap_or("the built-in defaults");
    writeln!(out, "Portcullis {} runs since {} (pid {})", status.version, status.since, status.pid)?;
    writeln!(out, "Configuration: {config}, read {}\n", status.loaded)?;
    sources(out, &status.sources)?;
    let mut table = Table::new(&["RULE SET", ">MATCHES", ">BANS", "LAST MATCH"]);
    for set in &status.rule_sets {
        let last = set.last_match.clone().unwrap_or_else(|| "never".to_owned());
        table.row(vec![set.name.clone(), set.matches.to_string(), set.bans.to_string(), last]);
    }
    table.write(out)?;
    let c = &status.counters;
    writeln!(out, "\n{} active, {} since the start, {} ended", count(c.active, "ban"), c.bans, c.unbans)?;
    writeln!(out, "{} tracked, {} dropped for want of room", count(c.tracked, "offender"), c.evicted)?;
    let too_long: u64 = status.sources.iter().map(|source| source.too_long).sum();
    if too_long > 0 {
        writeln!(out, "{} dropped, being too long", count(too_long, "line"))?;
    }
    status.sources.iter().try_for_each(|source| stamps(out, source))?;
    firewall(out, &status.firewall)?;
    status.problems.iter().try_for_each(|problem| writeln!(out, "Problem: {}", printable(problem.as_bytes())))
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

/// What is odd about the stamps of a source's lines.
fn stamps(out: &mut dyn Write, source: &SourceStatus) -> io::Result<()> {
    let name = printable(source.name.as_bytes());
    if source.undated > 0 {
        let matches = if source.undated == 1 { "match" } else { "matches" };
        let undated = source.undated;
        writeln!(out, "{name}: {undated} {matches} at no time that is read, none counted after a restart")?;
    }
    match source.span_of_stamps() {
        Some(span) => {
            writeln!(out, "{name}: its stamps are {span} the clock: state the `zone` of this source")
        }
        None => Ok(()),
    }
}

/// What is decided is told, and that is all.
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
    firewall.warnings.iter().try_for_each(|warning| writeln!(out, "Warning: {warning}"))
}

pub(super) fn bans(out: &mut dyn Write, bans: &[BanEntry]) -> io::Result<()> {
    let mut table = Table::new(&["OFFENDER", "SINCE", "UNTIL", ">NTH", "BY", "REASON"]);
    bans.iter().for_each(|ban| table.row(row(ban)));
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
    let hand = match ban.origin {
        Origin::Rule => None,
        Origin::Manual => Some("hand"),
        Origin::Foreign => Some("others"),
    };
    let mut names: Vec<&str> = hand.into_iter().collect();
    names.extend(ban.rule_sets.iter().map(String::as_str));
    names.join(", ")
}

pub(super) fn why(out: &mut dyn Write, why: &AddressReport) -> io::Result<()> {
    let name = address::display(&why.address);
    match &why.ban {
        Some(ban) => {
            let until =
                ban.until.as_deref().map_or_else(|| "for ever".to_owned(), |until| format!("until {until}"));
            let (whom, reason) = (address::display(&ban.offender), printable(ban.reason.as_bytes()));
            writeln!(
                out,
                "{name} is banned as {whom} since {} {until}: {reason} (ban {})",
                ban.since, ban.nth
            )?;
        }
        None => writeln!(out, "{name} is not banned.")?,
    }
    if why.allowed {
        writeln!(out, "It is on the allow list, or holds an address that is.")?;
    }
    if why.trusted {
        writeln!(out, "It logged in of late and has more patience.")?;
    }
    for window in &why.windows {
        let (seen, needed) = (tenths(window.tenths), tenths(window.threshold));
        let within = spoken(Duration::from_secs(window.within));
        writeln!(out, "{}: {seen} of {needed} offences in the last {within}", window.rule_set)?;
    }
    if let Some(problem) = &why.problem {
        return writeln!(out, "Earlier bans are not known for now: {problem}.");
    }
    if why.history.is_empty() {
        return writeln!(out, "No earlier ban is on record.");
    }
    why.history.iter().try_for_each(|past| history(out, past))
}

fn history(out: &mut dyn Write, past: &PastBan) -> io::Result<()> {
    let end = match (&past.ended, &past.ban.until) {
        (Some(ended), _) => format!("ended {ended}"),
        (None, Some(until)) => format!("until {until}"),
        (None, None) => "for ever".to_owned(),
    };
    let (whom, reason) = (address::display(&past.ban.offender), printable(past.ban.reason.as_bytes()));
    writeln!(out, "\n{whom}: ban {} since {}, {end}: {reason}", past.ban.nth, past.ban.since)?;
    past.lines.iter().try_for_each(|line| {
        writeln!(out, "  {} {}: {}", line.at, line.source, printable(line.text.as_bytes()))
    })
}

/// More prefixes than this are counted, not listed.
const MAX_LISTED: usize = 50;

pub(super) fn banned(out: &mut dyn Write, banned: &Banned) -> io::Result<()> {
    let until =
        banned.until.as_deref().map_or_else(|| "for ever".to_owned(), |until| format!("until {until}"));
    let is_longer = |prefix: &address::Prefix| banned.longer.iter().any(|longer| longer.prefix == *prefix);
    let as_asked: Vec<_> = banned.banned.iter().copied().filter(|prefix| !is_longer(prefix)).collect();
    let is_banned = if blocks_nobody(&banned.firewall.backend) { "would be banned" } else { "banned" };
    listed(out, &as_asked, &format!("{is_banned} {until}"))?;
    for longer in &banned.longer {
        let until =
            longer.until.as_deref().map_or_else(|| "for ever".to_owned(), |until| format!("until {until}"));
        writeln!(out, "{}: {is_banned} {until}, as it was before", address::display(&longer.prefix))?;
    }
    for spared in &banned.refused {
        writeln!(out, "{}: not banned, since {}", address::display(&spared.prefix), spared.why)?;
    }
    effects(out, &banned.kept, &banned.firewall, false)
}

/// `asked` is sorted.
pub(super) fn unbanned(
    out: &mut dyn Write,
    unbanned: &Unbanned,
    asked: &[address::Prefix],
    offline: bool,
) -> io::Result<()> {
    let (wider, others): (Vec<_>, Vec<_>) =
        unbanned.unbanned.iter().copied().partition(|freed| held(freed, asked).is_some());
    listed(out, &others, "no longer banned, counters reset")?;
    wider.iter().try_for_each(|freed| {
        let held = held(freed, asked).map(address::display).unwrap_or_default();
        let freed = address::display(freed);
        writeln!(
            out,
            "{freed}: no longer banned, counters reset; the whole ban was ended, since it held {held}"
        )
    })?;
    listed(out, &unbanned.not_banned, "was not banned; counters reset")?;
    if unbanned.unbanned.is_empty() && unbanned.not_banned.is_empty() {
        writeln!(out, "Nobody was banned.")?;
    }
    effects(out, &unbanned.kept, &unbanned.firewall, offline)
}

/// What was asked for and was banned by this wider ban only.
fn held<'a>(freed: &address::Prefix, asked: &'a [address::Prefix]) -> Option<&'a address::Prefix> {
    // Whatever lies inside a network is sorted right behind it.
    let first = asked.get(asked.partition_point(|prefix| prefix < freed))?;
    (first != freed && freed.contains(first)).then_some(first)
}

fn listed(out: &mut dyn Write, prefixes: &[address::Prefix], what: &str) -> io::Result<()> {
    if prefixes.len() > MAX_LISTED {
        return writeln!(out, "{} prefixes: {what}", prefixes.len());
    }
    prefixes.iter().try_for_each(|prefix| writeln!(out, "{}: {what}", address::display(prefix)))
}

/// What became of it: "The database is written; the firewall (pf) is in step."
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
    let (backend, when) = (&effect.backend, if offline { "when the daemon starts" } else { "by itself" });
    match (&effect.problem, effect.done) {
        _ if blocks_nobody(backend) => writeln!(out, " ({backend}) blocks nobody: none is configured."),
        (_, true) => match effect.warnings.as_slice() {
            [] => writeln!(out, " ({backend}) is in step."),
            warnings => writeln!(out, " ({backend}) has it in its table, but: {}.", warnings.join("; ")),
        },
        (Some(problem), _) => {
            writeln!(out, " ({backend}) does not follow yet: {problem}. It is tried again {when}.")
        }
        (None, _) => writeln!(out, " ({backend}) has {} to go.", count(effect.pending, "change")),
    }
}

pub(super) fn reloaded(out: &mut dyn Write, reloaded: &Reloaded) -> io::Result<()> {
    reloaded.warnings.iter().try_for_each(|warning| writeln!(out, "{warning}"))?;
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

    fn told(answer: &DaemonStatus) -> String {
        let mut out = Vec::new();
        status(&mut out, answer).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn status_names_the_configuration_that_was_read() {
        let told = |config: Option<&str>| {
            told(&DaemonStatus { config: config.map(str::to_owned), ..DaemonStatus::default() })
        };
        assert!(told(Some("/etc/p.yaml")).contains("Configuration: /etc/p.yaml, read"));
        assert!(told(None).contains("Configuration: the built-in defaults, read"));
    }

    #[test]
    fn status_counts_lines_that_were_dropped() {
        let sources = [2, 3].map(|too_long| SourceStatus { too_long, ..SourceStatus::default() });
        let text = told(&DaemonStatus { sources: sources.into(), ..DaemonStatus::default() });
        assert!(text.contains("\n5 lines dropped, being too long\n"), "{text}");
        assert!(!told(&DaemonStatus::default()).contains("too long"));
    }
}
