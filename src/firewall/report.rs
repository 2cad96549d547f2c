//! What a comparison found, said for the log: each thing once, when it is new.

use log::Level;

use super::FirewallEvent;
use super::ledger::Findings;
use crate::settings::Foreign;

/// The events of a comparison; `before` is the one before it, `entries` how many there should be.
pub(super) fn findings(
    found: &Findings,
    before: Option<&Findings>,
    entries: usize,
    policy: Foreign,
) -> Vec<FirewallEvent> {
    let nothing = Findings::default();
    let last = before.unwrap_or(&nothing);
    let vanished = (found.missing > 0).then(|| missing(found.missing, entries, before.is_none()));
    let unlistable = found.unlistable.as_ref().filter(|_| last.unlistable.is_none());
    let strange = (found.strange > last.strange).then(|| {
        format!(
            "{} entries of the firewall's table are not of a form that Portcullis writes (no prefixes, or IPv4 written as \
             IPv6); they are left alone",
            found.strange
        )
    });
    let warning = |text: String| FirewallEvent::Note(Level::Warn, text);
    let mut events: Vec<FirewallEvent> = vanished.into_iter().collect();
    events.extend(unlistable.cloned().map(warning));
    events.extend(strange.map(warning));
    events.extend(foreign(found, last, policy));
    events
}

fn missing(missing: usize, entries: usize, first: bool) -> FirewallEvent {
    if first {
        let text =
            format!("{missing} of {entries} bans were missing from the firewall's table and are added");
        return FirewallEvent::Note(Level::Info, text);
    }
    let text = format!(
        "{missing} of {entries} entries had vanished from the firewall's table, for example after a reload or flush by somebody \
         else, and are put back"
    );
    FirewallEvent::Note(Level::Warn, text)
}

fn foreign(found: &Findings, last: &Findings, policy: Foreign) -> Option<FirewallEvent> {
    let count = found.foreign.len();
    let info = |text: String| FirewallEvent::Note(Level::Info, text);
    match policy {
        _ if count == 0 => None,
        Foreign::Adopt => Some(FirewallEvent::Foreign(found.foreign.clone())),
        Foreign::Remove => {
            Some(info(format!("{count} foreign entries are removed from the firewall's table")))
        }
        Foreign::Keep if count == last.foreign.len() => None,
        Foreign::Keep => {
            Some(info(format!("{count} foreign entries are in the firewall's table and are kept")))
        }
    }
}

/// Why connections go on after a large batch.
pub(super) fn uncut(count: usize, most: usize) -> String {
    format!(
        "{count} prefixes were blocked at once and their open connections were left alone: those of up to {most} at a \
         time are cut (this is said once)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_said_when_it_is_new_and_not_again() {
        let found = Findings {
            missing: 2,
            strange: 1,
            foreign: vec!["192.0.2.7/32".parse().unwrap()],
            unlistable: Some("too large".to_owned()),
            ..Findings::default()
        };
        let first = findings(&found, None, 5, Foreign::Keep);
        assert_eq!(first.len(), 4);
        let text = "2 of 5 bans were missing from the firewall's table and are added";
        assert_eq!(first[0], FirewallEvent::Note(Level::Info, text.to_owned()));
        let again = findings(&found, Some(&found), 5, Foreign::Keep);
        let Some(FirewallEvent::Note(Level::Warn, text)) = again.first() else { panic!("{again:?}") };
        assert!(text.starts_with("2 of 5 entries had vanished"), "{text}");
        assert_eq!(again.len(), 1, "the flush alone is new each time");
    }
}
