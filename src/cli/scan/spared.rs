//! Why an offender would not be banned: in a few words in the table, in a sentence in the JSON, and what to make of it below.

use std::io::{self, Write};

use super::tally::{Nearest, Offender, Tally};
use crate::address::{self, Prefix};
use crate::cli::text::{count, tenths, wrapped};
use crate::engine::Why;

/// Offenders named in one note; of more, how many they are.
const MAX_NAMES: usize = 3;

/// What to ask about offenders that come from this machine.
const PROXY: &str = "is a proxy in front of the program?";

/// Why an offender would not be banned; `None` for one that would.
#[derive(Clone, Debug, PartialEq)]
enum Reason {
    /// No number of offences would have been enough.
    Never(Why),
    /// It logged in of late and made fewer than such a peer may make.
    Patience(Nearest),
    /// It made fewer than it takes.
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

/// What the JSON says; a flood is worth a word where other bans were made, too.
pub(super) fn sentence(offender: &Offender) -> Option<String> {
    let reason = match (Reason::of(offender), &offender.spared) {
        (Some(reason), _) => reason,
        (None, why) => Reason::Never(why.clone()?),
    };
    Some(match reason {
        Reason::Never(why @ Why::Unbannable("loopback")) => format!("{why}; {PROXY}"),
        Reason::Never(why) => why.to_string(),
        Reason::Patience(nearest) => format!("it logged in of late: {} offences", part(nearest)),
        Reason::Few(nearest) => format!("below the threshold: {} offences", part(nearest)),
    })
}

/// What the table says instead of a ban.
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

/// A paragraph for each reason that there is.
pub(super) fn notes(out: &mut dyn Write, tally: &Tally, patience: u32) -> io::Result<()> {
    let mut notes: Vec<(String, Vec<Prefix>)> = Vec::new();
    for ((_, offender), found) in tally.ranked() {
        let Some(note) = Reason::of(found).map(|reason| note(&reason, patience)) else { continue };
        match notes.iter_mut().find(|(known, _)| *known == note) {
            Some((_, offenders)) => offenders.push(*offender),
            None => notes.push((note, vec![*offender])),
        }
    }
    notes.iter().try_for_each(|(note, offenders)| {
        writeln!(out, "\n{}", wrapped(&format!("Not banned: {note} ({}).", names(offenders)), ""))
    })
}

fn note(reason: &Reason, patience: u32) -> String {
    match reason {
        Reason::Never(Why::Allowed) => {
            "on the allow list; `allow` in the configuration says who is".to_owned()
        }
        Reason::Never(why @ Why::Unbannable("loopback")) => {
            format!("{why}; {PROXY} Then the log names the proxy: have the program log the client's address")
        }
        Reason::Never(why) => why.to_string(),
        Reason::Patience(_) => format!(
            "who logged in of late is banned after {patience} times as many offences; see `trust` in the configuration"
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
