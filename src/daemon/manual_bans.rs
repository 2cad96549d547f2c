//! Bans that no rule earned: those by hand, and entries that somebody else put into the firewall's table.

use std::fmt;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::core::{Daemon, now};
use crate::address::{self, Prefix};
use crate::control::Length;
use crate::engine::{Ban, Origin, Owner};
use crate::firewall::Change;
use crate::time::Time;

/// Makes bans that belong to no rule set; `forced` ones may hold allowed addresses.
pub(super) fn unearned(
    origin: Origin,
    reason: &str,
    since: Time,
    until: Option<Time>,
    forced: bool,
) -> impl Fn(Prefix) -> Ban {
    let owners = smallvec![Owner { set: "".into(), until }];
    let reason: Arc<str> = Arc::from(reason);
    move |offender| Ban {
        offender,
        owners: SmallVec::clone(&owners),
        since,
        until,
        nth: 1,
        reason: Arc::clone(&reason),
        origin,
        forced,
        spoofable: false,
    }
}

impl Daemon {
    /// Gives entries that somebody else put into the table a record and an end, unless they hold allowed addresses.
    pub(super) fn adopt(&mut self, found: &[Prefix]) {
        let since = now();
        let until = self.until(Length::Default, since);
        let foreign = unearned(Origin::Foreign, "found in the firewall's table", since, until, false);
        for &offender in found {
            // Banned while the firewall was being asked: its own ban says more.
            if self.pipeline.engine.covering(&offender).is_some_and(|ban| ban.offender == offender) {
                continue;
            }
            match self.pipeline.engine.ban(foreign(offender), false) {
                Ok(()) => self.adopted(offender),
                Err(why) => self.not_adopted(offender, &why),
            }
        }
        self.persist.hurry();
    }

    fn adopted(&self, offender: Prefix) {
        log::info!("adopted {}, which somebody else put into the table", address::display(&offender));
        if self.firewall.is_moving() {
            // It may have been found in one of the two tables only.
            self.firewall.change([Change::Add(offender)]);
        }
    }

    fn not_adopted(&self, offender: Prefix, why: &impl fmt::Display) {
        let name = address::display(&offender);
        log::warn!("{name} was put into the table by somebody else and is taken out again: {why}");
        self.firewall.change([Change::Remove(offender)]);
    }
}
