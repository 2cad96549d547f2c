//! The daemon's sentences about bans: one line each, and none that a rule of ours would match.

use log::Level;

use super::persist::After;
use crate::address;
use crate::config::Diagnostics;
use crate::engine::Verdict;
use crate::pipeline::Outcome;
use crate::rules::Severity;
use crate::time::{Time, spoken};

/// What is wrong with a log whose lines match and say no time that is read; behind its path.
pub(super) const UNDATED: &str = "lines match that say no time that is read; they count when they are seen to arrive, and \
     not at all after a restart: state the form of their stamps with `time:` in the rule set or under the source";

/// The sentence about a new ban, said once it is stored; it begins with what is done.
pub(super) fn ban(outcome: &Outcome<'_>, what: &str) -> After {
    let (Verdict::Banned { banned, tenths, within, until, nth, .. }, Some(at)) =
        (&outcome.judgement.verdict, outcome.time)
    else {
        return line(String::new());
    };
    let offences = f64::from(*tenths) / 10.0;
    let is_network =
        outcome.judgement.offender.is_some_and(|offender| offender.prefix_len() > banned.prefix_len());
    let whose = if is_network { " of its addresses" } else { "" };
    let text = format!(
        "{what} {} {}: {offences} offences{whose} within {}, last {} ({}), ban {nth}",
        address::display(banned),
        length(at, *until),
        spoken(*within),
        outcome.matched.name(),
        outcome.evidence.as_str(),
    );
    line(text)
}

/// So many are logged one by one; the logger drops what comes too fast, and the sentence behind them must not be.
const MOST_DIAGNOSTICS: usize = 100;

/// What is wrong with the configuration, a message each: syslog cuts what is long.
pub(super) fn diagnostics(all: &Diagnostics) {
    for diagnostic in all.iter().take(MOST_DIAGNOSTICS) {
        let level = match diagnostic.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warn,
        };
        log::log!(level, "{}", diagnostic.headline());
    }
}

/// A sentence for the log, said once what it tells of is stored.
pub(super) fn line(text: String) -> After {
    Box::new(move |stored| match stored {
        _ if text.is_empty() => {}
        Ok(()) => log::info!("{text}"),
        Err(_) => log::info!("{text} (not in the database yet)"),
    })
}

/// `for 1h`, `for ever`.
pub(super) fn length(since: Time, until: Option<Time>) -> String {
    match until.map(|until| until.since(since).unwrap_or_default()) {
        Some(length) => format!("for {}", spoken(length)),
        None => "for ever".to_owned(),
    }
}
