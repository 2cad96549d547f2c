//! `pfctl -F WHAT`.

use super::Pf;
use crate::common::Step;

/// One `-F`, in the order in which `all` does it.
pub(crate) fn flush(pf: &mut Pf<'_>, what: &str) -> Step {
    pf.need_securelevel("pfctl_clear_rules")?;
    let in_main = pf.opts.anchor.is_empty();
    match what {
        "rules" => rules(pf),
        "nat" => pf.say("nat cleared"),
        "Tables" => tables(pf),
        "states" => states(pf),
        "Sources" => sources(pf),
        "info" => pf.say("pf: statistics cleared"),
        "Reset" => pf.say("pf: interface flags reset"),
        "all" => {
            if pf.mode.is_15() {
                pf.say("Ethernet rules cleared");
            }
            rules(pf);
            pf.say("nat cleared");
            tables(pf);
            if pf.mode.is_15() {
                rules(pf);
            }
            if in_main {
                everything_else(pf);
            }
        }
        _ => {}
    }
    Ok(())
}

fn everything_else(pf: &mut Pf<'_>) {
    states(pf);
    sources(pf);
    pf.say("pf: statistics cleared");
    if pf.mode.is_15() {
        pf.state.table_entries = pf.mode.number("table_entries", 200_000);
    }
    pf.say("pf: interface flags reset");
}

/// The rules of one anchor; what anchors below it hold stays.
fn rules(pf: &mut Pf<'_>) {
    pf.state.rules.remove(&pf.opts.anchor);
    pf.state.drop_unused();
    pf.say("rules cleared");
}

/// The tables themselves go, persistent and constant ones too.
fn tables(pf: &mut Pf<'_>) {
    let before = pf.state.tables.len();
    pf.state.tables.retain(|(anchor, _), _| *anchor != pf.opts.anchor);
    let gone = before - pf.state.tables.len();
    pf.say(&format!("{gone} tables deleted."));
}

fn states(pf: &mut Pf<'_>) {
    let gone = pf.state.states.drain(..).count();
    pf.say(&format!("{gone} states cleared"));
}

fn sources(pf: &mut Pf<'_>) {
    pf.state.sources.clear();
    pf.say("source tracking entries cleared");
}
