//! The report of a scan: a table and a timeline for people, a JSON object for programs.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::spared;
use super::tally::{Offender, Tally, WouldBeBan};
use crate::address::{self, Prefix};
use crate::cli::input::Log;
use crate::cli::text::{Table, count, tenths, write_json};
use crate::pipeline::Pipeline;
use crate::rules::Evidence;
use crate::setup::Setup;
use crate::time::{Time, spoken};

/// The columns of the timeline: with its label it fits a terminal of 80.
const COLUMNS: usize = 64;

/// The most logs that are named one by one.
const MAX_NAMES: usize = 6;

/// An offender as JSON. Keys are in alphabetical order, as everywhere in our JSON.
#[derive(Serialize)]
struct OffenderReport<'a> {
    bans: Vec<BanReport>,
    evidence: &'static str,
    first: String,
    last: String,
    offences: Value,
    offender: String,
    rule_set: &'a str,
    spared: Option<String>,
}

#[derive(Serialize)]
struct BanReport {
    at: String,
    prefix: String,
    until: Option<String>,
    /// The length of the window in seconds.
    within: u64,
}

#[derive(Serialize)]
struct ScanReport<'a> {
    bans: u64,
    bans_prevented_by_cap: u64,
    exempt: Vec<OffenderReport<'a>>,
    first: Option<String>,
    last: Option<String>,
    lines: u64,
    matched: u64,
    offenders: Vec<OffenderReport<'a>>,
    too_long: u64,
    undated: u64,
    unlisted_offences: Value,
}

pub(super) fn json(out: &mut dyn Write, setup: &Setup, pipeline: &Pipeline, tally: &Tally) -> io::Result<()> {
    let time = |time: Time| time.rfc3339(&setup.zone);
    let ban = |ban: &WouldBeBan| BanReport {
        at: time(ban.at),
        prefix: address::display(&ban.prefix),
        until: ban.until.map(time),
        within: ban.within.as_secs(),
    };
    let offender = |(&(set, prefix), found): (&(usize, Prefix), &Offender)| OffenderReport {
        bans: found.bans.iter().map(ban).collect(),
        evidence: found.evidence.as_str(),
        first: time(found.first),
        last: time(found.last),
        offences: offences(found.tenths),
        offender: address::display(&prefix),
        rule_set: &pipeline.engine.policies()[set].name,
        spared: spared::sentence(found),
    };
    let (exempt, offenders): (Vec<_>, Vec<_>) =
        tally.ranked().into_iter().partition(|(_, found)| found.is_exempt());
    let report = ScanReport {
        bans: tally.bans,
        bans_prevented_by_cap: tally.capped,
        exempt: exempt.into_iter().map(offender).collect(),
        first: tally.first.map(time),
        last: tally.last.map(time),
        lines: tally.lines,
        matched: tally.matched,
        offenders: offenders.into_iter().map(offender).collect(),
        too_long: tally.too_long,
        undated: tally.undated,
        unlisted_offences: offences(tally.unlisted),
    };
    write_json(out, report)
}

/// Tenths as a JSON number, which is an integer if possible.
fn offences(tenths: u64) -> Value {
    if tenths.is_multiple_of(10) { json!(tenths / 10) } else { json!(tenths as f64 / 10.0) }
}

pub(super) fn text(
    out: &mut dyn Write,
    setup: &Setup,
    pipeline: &Pipeline,
    tally: &Tally,
    logs: &[Log],
    top: usize,
) -> io::Result<()> {
    summary(out, setup, tally, logs)?;
    if tally.offenders.is_empty() {
        return nobody(out, tally);
    }
    writeln!(out)?;
    table(setup, pipeline, tally, top).write(out)?;
    rest(out, tally, top)?;
    notes(out, tally)?;
    spared::notes(out, tally, setup.config.trust.multiplier)?;
    timeline(out, setup, tally)
}

/// Says why no offender is listed. Nothing is known of what could not be read, and a matching line need not be harmless.
fn nobody(out: &mut dyn Write, tally: &Tally) -> io::Result<()> {
    if tally.lines == 0 && tally.unread {
        return Ok(());
    }
    if tally.undated > 0 {
        return undated(out, tally);
    }
    if tally.matched > 0 {
        return writeln!(
            out,
            "\nNo matching line counts against anybody. `portcullis explain LINE` says why."
        );
    }
    if tally.unread {
        return writeln!(out, "\nNo offences found in what could be read.");
    }
    writeln!(out, "\nNo offences found. `portcullis match --all` shows what each line is taken for.")
}

/// Says that matching lines cannot be dated.
fn undated(out: &mut dyn Write, tally: &Tally) -> io::Result<()> {
    writeln!(
        out,
        "\n{} no readable timestamp, so no offence can be dated.\n\
         Describe their timestamps with `time:` in the rule set; the README shows how.",
        match tally.undated {
            1 => "1 line matched and has".to_owned(),
            lines => format!("{lines} lines matched and have"),
        }
    )
}

/// Counts what the table leaves out.
fn rest(out: &mut dyn Write, tally: &Tally, top: usize) -> io::Result<()> {
    let listed = tally.offenders.len();
    if listed > top {
        let more = count((listed - top) as u64, "more offender");
        writeln!(out, "… and {more}; --top {listed} shows all")?;
    }
    if tally.unlisted > 0 {
        let unlisted = count(tally.unlisted.div_ceil(10), "offence");
        writeln!(
            out,
            "… and {unlisted} of further addresses, beyond the {listed} that are counted one by one"
        )?;
    }
    Ok(())
}

fn summary(out: &mut dyn Write, setup: &Setup, tally: &Tally, logs: &[Log]) -> io::Result<()> {
    write!(out, "{}: {}, {} matched", names(logs), count(tally.lines, "line"), tally.matched)?;
    if tally.undated > 0 {
        write!(out, " ({} without a timestamp, not counted)", tally.undated)?;
    }
    if let (Some(first), Some(last)) = (tally.first, tally.last) {
        write!(out, ", {} to {}", first.human(&setup.zone), last.human(&setup.zone))?;
    }
    if tally.too_long > 0 {
        write!(out, ", {} dropped as too long", tally.too_long)?;
    }
    writeln!(out)
}

/// `auth.log (7 files), messages`; of many logs only the number.
fn names(logs: &[Log]) -> String {
    let name = |log: &Log| match (log.name.as_str(), log.files.len()) {
        ("-", _) => "standard input".to_owned(),
        (name, 1) => name.to_owned(),
        (name, files) => format!("{name} ({files} files)"),
    };
    if logs.len() > MAX_NAMES {
        return count(logs.len() as u64, "log");
    }
    logs.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn table(setup: &Setup, pipeline: &Pipeline, tally: &Tally, top: usize) -> Table {
    let mut table =
        Table::new(&["OFFENDER", "RULE SET", "EVIDENCE", ">OFFENCES", "FIRST", "LAST", "WOULD BE BANNED"]);
    for (&(set, prefix), offender) in tally.ranked().into_iter().take(top) {
        let policy = &pipeline.engine.policies()[set];
        table.row(vec![
            address::display(&prefix),
            policy.name.to_string(),
            offender.evidence.as_str().to_owned(),
            tenths(offender.tenths),
            offender.first.human(&setup.zone),
            offender.last.human(&setup.zone),
            bans(setup, &prefix, offender),
        ]);
    }
    table
}

fn bans(setup: &Setup, whole: &Prefix, offender: &Offender) -> String {
    let Some(first) = offender.bans.first() else {
        return spared::cell(offender);
    };
    let length = first.until.and_then(|until| until.since(first.at));
    let length = length.map_or_else(|| "for ever".to_owned(), |length| format!("for {}", spoken(length)));
    let more = match offender.ban_count {
        1 => String::new(),
        bans => format!(", {bans} times"),
    };
    let part = match first.prefix {
        prefix if prefix == *whole => String::new(),
        prefix if whole.contains(&prefix) => format!(" ({} of it)", address::display(&prefix)),
        prefix => format!(" (with all of {})", address::display(&prefix)),
    };
    format!("{} {length}{more}{part}", first.at.human(&setup.zone))
}

fn notes(out: &mut dyn Write, tally: &Tally) -> io::Result<()> {
    if tally.offenders.values().any(|offender| offender.evidence == Evidence::Spoofable) {
        writeln!(
            out,
            "\nspoofable: anybody can send packets with somebody else's address. Such bans are short, never grow and are few\n\
             at a time; `portcullis explain LINE` says what a line means and what it takes."
        )?;
    }
    Ok(())
}

fn timeline(out: &mut dyn Write, setup: &Setup, tally: &Tally) -> io::Result<()> {
    if tally.timeline.is_empty() {
        return Ok(());
    }
    let (drawn, each) = tally.timeline.draw(COLUMNS);
    let start = tally.timeline.start();
    let end = start.plus(each * u32::try_from(drawn.chars().count()).unwrap_or(0));
    writeln!(out, "\nOffences over time, {} a column", spoken(each.max(Duration::from_secs(1))))?;
    writeln!(out, "  {drawn}")?;
    writeln!(out, "  {} to {}", start.human(&setup.zone), end.human(&setup.zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_table_leaves_out_is_said() {
        let mut tally = Tally::new();
        let mut out = Vec::new();
        rest(&mut out, &tally, 20).unwrap();
        assert_eq!(out, b"");
        tally.unlisted = 12;
        rest(&mut out, &tally, 20).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "… and 2 offences of further addresses, beyond the 0 that are counted one by one\n");
    }
}
