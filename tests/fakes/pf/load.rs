//! `pfctl -f FILE`: what loading a ruleset does to rules, limits and the content of tables.

use super::conf::{self, Definition, Ruleset};
use super::state::{Entry, Place, Table};
use super::token::errno_text;
use super::{Errno, Pf};
use crate::common::Step;

const NOT_LOADED: &str = "pfctl: Syntax error in config file: pf rules not loaded";

/// Reads the file and, without `-n`, takes it over: all of it or nothing.
pub(crate) fn load(pf: &mut Pf<'_>, file: &str) -> Step {
    let read = if file == "-" { Ok(pf.stdin.to_vec()) } else { std::fs::read(file) };
    let text = match read {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            let errno = errno_text(&error);
            pf.report
                .err(format!("pfctl: {file}: {errno}\npfctl: cannot open the main config file!: {errno}"));
            return refuse(pf);
        }
    };
    let name = if file == "-" { "stdin" } else { file };
    let (ruleset, complaints) = conf::parse(&text, pf.mode.is_15());
    for (line, complaint) in &complaints {
        pf.report.err(format!("{name}:{line}: {complaint}"));
    }
    if !complaints.is_empty() {
        return refuse(pf);
    }
    if pf.opts.no_action {
        return Ok(());
    }
    pf.need_securelevel("DIOCXBEGIN")?;
    check_room(pf, name, &ruleset)?;
    take_over(pf, ruleset);
    Ok(())
}

/// With `-n` only the exit status says it again.
fn refuse(pf: &mut Pf<'_>) -> Step {
    match pf.opts.no_action {
        true => Err(crate::common::Exit(1)),
        false => pf.report.leave(1, NOT_LOADED),
    }
}

/// Lists are loaded beside the tables they will replace: both count, before any new limit holds.
fn check_room(pf: &mut Pf<'_>, name: &str, ruleset: &Ruleset) -> Step {
    let mut total = pf.state.count();
    for table in &ruleset.tables {
        let number = table.list.as_ref().map_or(0, Vec::len);
        total += number as u64;
        let errno = match () {
            () if number > pf.request_maxcount() => Errno::Invalid,
            () if total > pf.state.table_entries => Errno::NoMemory,
            () => continue,
        };
        let text = errno.text(pf.mode);
        pf.report.err(format!("{name}:{}: cannot define table {}: {text}", table.line, table.name));
        return refuse(pf);
    }
    Ok(())
}

fn take_over(pf: &mut Pf<'_>, ruleset: Ruleset) {
    let anchor = pf.opts.anchor.clone();
    let now = pf.mode.now();
    for definition in ruleset.tables {
        define(pf, (anchor.clone(), definition.name.clone()), definition, now);
    }
    if !pf.opts.tables_only {
        pf.state.rules.remove(&anchor);
        if !ruleset.rules.is_empty() {
            pf.state.rules.insert(anchor.clone(), ruleset.rules);
        }
        if anchor.is_empty() {
            // A limit that the file does not set goes back to its default.
            let default = pf.mode.number("table_entries", 200_000);
            pf.state.table_entries = ruleset.table_entries.unwrap_or(default);
        }
    }
    pf.state.drop_unused();
}

/// Flags are those of the definition; content stays, unless the definition has a list: then it is that list.
fn define(pf: &mut Pf<'_>, place: Place, definition: Definition, now: i64) {
    let table = pf.state.tables.entry(place).or_insert_with(|| Table { cleared: now, ..Table::default() });
    (table.constant, table.persist, table.counters) =
        (definition.constant, definition.persist, definition.counters);
    if let Some(list) = definition.list {
        let kept = std::mem::take(&mut table.entries);
        table.entries = list
            .into_iter()
            .map(|item| {
                let cleared = kept.get(&item.key).map_or(now, |entry| entry.cleared);
                (item.key, Entry { not: item.not, cleared })
            })
            .collect();
    }
}
