//! Why an offender would not be banned: briefly in the table, as a sentence in the JSON, with advice below the table.

use std::io::{self, Write};

use super::tally::{Nearest, Offender, Tally};
use crate::address::{self, Prefix};
use crate::cli::text::{count, tenths, wrapped};
use crate::engine::Why;

/// The most offenders that a note names; the others are counted.
const MAX_NAMES: usize = 3;

/// A question about offenders that come from this machine.
const PROXY: &str = "is a proxy in front of the program?";

/// Why an offender would not be banned; `None` for one that would.
#[derive(Clone, Debug, PartialEq)]
enum Reason {
    /// No number of offences would have led to a ban.
    Never(Why),
    /// It logged in recently, and made fewer offences than such a peer may.
    Patience(Nearest),
    /// It made fewer offences than a ban takes.
    Few(Nearest),
}

impl Reason {
    fn of(offender: &Offender) -> Option<Self> {
        if !offender.bans.is_empty() {
            return None;
        }
        if let Some(why) = &offender.spared {
            return Some(Self::Never(why.clone()));
        }
        let nearest = offender.nearest?;
        Some(if nearest.trusted { Self::Patience(nearest) } else { Self::Few(nearest) })
    }
}

/// The reason as a sentence for the JSON. A flood is mentioned even if other bans were imposed.
pub(super) fn sentence(offender: &Offender) -> Option<String> {
    let reason = match Reason::of(offender) {
        Some(reason) => reason,
        None => Reason::Never(offender.spared.clone()?),
    };
    Some(match reason {
        Reason::Never(why @ Why::Unbannable("loopback")) => format!("{why}; {PROXY}"),
        Reason::Never(why) => why.to_string(),
        Reason::Patience(nearest) => format!("it logged in recently: {} offences", part(nearest)),
        Reason::Few(nearest) => format!("below the threshold: {} offences", part(nearest)),
    })
}

/// The reason as a cell of the table.
pub(super) fn cell(offender: &Offender) -> String {
    match Reason::of(offender) {
        None => "no".to_owned(),
        Some(Reason::Never(Why::Allowed)) => "no: allowed".to_owned(),
        Some(Reason::Never(Why::Unbannable(range))) => format!("no: {range}"),
        Some(Reason::Never(_)) => "no (see below)".to_owned(),
        Some(Reason::Patience(nearest)) => format!("no: {}, logged in", part(nearest)),
        Some(Reason::Few(nearest)) => format!("no: {}", part(nearest)),
    }
}

/// `4 of 5`
fn part(Nearest { tenths: held, threshold, .. }: Nearest) -> String {
    format!("{} of {}", tenths(held), tenths(threshold))
}

/// Writes a paragraph for each reason.
pub(super) fn notes(out: &mut dyn Write, tally: &Tally, patience: u32) -> io::Result<()> {
    let mut notes: Vec<(String, Vec<Prefix>)> = Vec::new();
    for ((_, offender), found) in tally.ranked() {
        let Some(note) = Reason::of(found).map(|reason| note(&reason, patience)) else { continue };
        match notes.iter_mut().find(|(known, _)| *known == note) {
            Some((_, offenders)) => offenders.push(*offender),
            None => notes.push((note, vec![*offender])),
        }
    }
    for (note, offenders) in &notes {
        writeln!(out, "\n{}", wrapped(&format!("Not banned: {note} ({}).", names(offenders)), ""))?;
    }
    Ok(())
}

fn note(reason: &Reason, patience: u32) -> String {
    match reason {
        Reason::Never(Why::Allowed) => "on the allow list; see `allow` in the configuration".to_owned(),
        Reason::Never(why @ Why::Unbannable("loopback")) => {
            format!("{why}; {PROXY} Then the log names the proxy: have the program log the client's address")
        }
        Reason::Never(why) => why.to_string(),
        Reason::Patience(_) => format!(
            "an address that logged in recently is banned after {patience} times as many offences; see `trust` in the configuration"
        ),
        Reason::Few(_) => "fewer offences within a window than a ban takes".to_owned(),
    }
}

fn names(offenders: &[Prefix]) -> String {
    let named: Vec<String> = offenders.iter().take(MAX_NAMES).map(address::display).collect();
    match offenders.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {}", named.join(", "), count(more as u64, "more offender")),
    }
}
