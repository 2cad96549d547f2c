//! Bans that no rule earned: those by hand, and entries that somebody else put into the firewall's table.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use smallvec::smallvec;

use super::enforcement::{Enforcement, length};
use super::now;
use crate::address::{self, Prefix};
use crate::control::reply::{Banned, LongerBan, RefusedBan, Unbanned};
use crate::control::{Length, PeerProcess, Unban};
use crate::engine::{Ban, BanRefusal, Engine, Origin, Owner, UnbanOutcome};
use crate::firewall::Change;
use crate::rules::BanLength;
use crate::setup::Setup;
use crate::time::Time;

/// Of more prefixes than this the log has one line in all.
const MAX_LOGGED: usize = 20;

/// Makes, changes and ends such bans.
pub(super) struct ManualBans<'d> {
    pub(super) setup: &'d Setup,
    pub(super) engine: &'d mut Engine,
    pub(super) enforcement: &'d mut Enforcement,
    /// Whether the operator may ban whom the configuration allows; a process with root's rights of its own refuses it.
    pub(super) can_force: bool,
}

impl ManualBans<'_> {
    /// Bans by hand; with `force` also who is allowed.
    pub(super) fn ban(
        &mut self,
        prefixes: &[Prefix],
        length: Length,
        reason: &str,
        force: bool,
        peer: &PeerProcess,
    ) -> Banned {
        let force = force && self.can_force;
        let since = now();
        let until = self.end(length, since);
        let mut answer = Banned { until: self.rfc3339(until), ..Banned::default() };
        for prefix in prefixes {
            let offender = prefix.trunc();
            let reason = self.reason(&offender, reason);
            let ban = ban_without_rule(offender, Origin::Manual, &reason, since, until, force);
            match self.engine.ban(ban, force) {
                Ok(()) => {
                    answer.banned.push(offender);
                    answer.longer.extend(self.longer(offender, until));
                }
                Err(why) => answer.refused.push(refused(offender, &why, self.can_force)),
            }
        }
        self.enforcement.firewall.change(answer.banned.iter().copied().map(Change::Add));
        self.enforcement.tallies.by_hand += answer.banned.len() as u64;
        self.log_bans(&answer, since, until, reason, peer);
        answer
    }

    /// When a ban of this length ends; `None` for never.
    fn end(&self, length: Length, since: Time) -> Option<Time> {
        match length {
            Length::Forever => None,
            Length::For { ms } => Some(since.plus(Duration::from_millis(ms))),
            Length::Default => match self.setup.config.defaults.ban.length {
                BanLength::For(length) => Some(since.plus(length)),
                BanLength::Forever => None,
            },
        }
    }

    fn rfc3339(&self, until: Option<Time>) -> Option<String> {
        until.map(|until| until.rfc3339(&self.setup.zone))
    }

    /// The operator's reason; where there is none, that of the ban that is prolonged.
    fn reason(&self, offender: &Prefix, reason: &str) -> Arc<str> {
        if !reason.is_empty() {
            return Arc::from(reason);
        }
        match self.engine.covering(offender) {
            Some(earlier) if earlier.offender == *offender => Arc::clone(&earlier.reason),
            _ => Arc::from("by hand"),
        }
    }

    /// The end of a ban that lasts longer than asked for.
    fn longer(&self, offender: Prefix, until: Option<Time>) -> Option<LongerBan> {
        let ban = self.engine.covering(&offender)?;
        if ban.until == until {
            return None;
        }
        Some(LongerBan { prefix: offender, until: self.rfc3339(ban.until) })
    }

    /// A ban that ends later than asked for is not told of as if it ended then.
    fn log_bans(
        &mut self,
        answer: &Banned,
        since: Time,
        until: Option<Time>,
        reason: &str,
        peer: &PeerProcess,
    ) {
        let longer: Vec<Prefix> = answer.longer.iter().map(|longer| longer.prefix).collect();
        let is_longer: HashSet<Prefix> = longer.iter().copied().collect();
        let as_asked: Vec<Prefix> =
            answer.banned.iter().copied().filter(|prefix| !is_longer.contains(prefix)).collect();
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let by_hand = format!("{} by hand (uid {}){reason}", length(since, until), peer.uid);
        self.log_each(self.enforcement.firewall.banned(), &as_asked, &by_hand);
        self.log_each("left", &longer, &format!("banned as before, which is longer than {by_hand}"));
    }

    /// Ends bans by hand.
    pub(super) fn unban(&mut self, whom: &Unban, peer: &PeerProcess) -> Unbanned {
        let answer = unbanned(whom, self.engine.unban(&whom.prefixes(), now()));
        self.enforcement.firewall.change(answer.unbanned.iter().copied().map(Change::Remove));
        self.enforcement.tallies.unbans += answer.unbanned.len() as u64;
        let by_hand = format!("by hand (uid {})", peer.uid);
        self.log_each(self.enforcement.firewall.unbanned(), &answer.unbanned, &by_hand);
        answer
    }

    /// Logs what was done to the prefixes, once it is stored.
    fn log_each(&mut self, done: &str, prefixes: &[Prefix], how: &str) {
        if prefixes.len() > MAX_LOGGED {
            self.enforcement.persist.say(format!("{done} {} prefixes {how}", prefixes.len()));
            return;
        }
        for prefix in prefixes {
            self.enforcement.persist.say(format!("{done} {} {how}", address::display(prefix)));
        }
    }

    /// Gives entries that somebody else put into the table a record and an end, unless they hold allowed addresses.
    pub(super) fn adopt(&mut self, found: &[Prefix]) {
        let since = now();
        let until = self.end(Length::Default, since);
        let reason = Arc::from("found in the firewall's table");
        for &offender in found {
            // Banned while the firewall was being asked: its own ban says more.
            if self.engine.covering(&offender).is_some_and(|ban| ban.offender == offender) {
                continue;
            }
            let ban = ban_without_rule(offender, Origin::Foreign, &reason, since, until, false);
            match self.engine.ban(ban, false) {
                Ok(()) => self.adopted(offender),
                Err(why) => self.not_adopted(offender, &why),
            }
        }
        self.enforcement.persist.hurry();
    }

    fn adopted(&self, offender: Prefix) {
        log::info!("adopted {}, which somebody else put into the table", address::display(&offender));
        if self.enforcement.firewall.is_moving() {
            // It may have been found in one of the two tables only.
            self.enforcement.firewall.change([Change::Add(offender)]);
        }
    }

    fn not_adopted(&self, offender: Prefix, why: &impl fmt::Display) {
        let name = address::display(&offender);
        log::warn!("{name} was put into the table by somebody else and is taken out again: {why}");
        self.enforcement.firewall.change([Change::Remove(offender)]);
    }
}

/// A ban that belongs to no rule set; a `forced` one may hold allowed addresses.
pub(super) fn ban_without_rule(
    offender: Prefix,
    origin: Origin,
    reason: &Arc<str>,
    since: Time,
    until: Option<Time>,
    forced: bool,
) -> Ban {
    Ban {
        offender,
        owners: smallvec![Owner { set: "".into(), until }],
        since,
        until,
        nth: 1,
        reason: Arc::clone(reason),
        origin,
        forced,
        spoofable: false,
    }
}

fn refused(prefix: Prefix, why: &BanRefusal, can_force: bool) -> RefusedBan {
    let advice = match why {
        BanRefusal::Allowed if can_force => "; `--force` bans it all the same",
        BanRefusal::Allowed => {
            "; --force does not change that with `privileges: separate`: take it off the list and reload"
        }
        BanRefusal::Unbannable(_) => "",
    };
    RefusedBan { prefix, why: format!("{why}{advice}") }
}

/// The answer without the firewall's part. Whoever frees all does not ask for anybody in particular.
pub(super) fn unbanned(whom: &Unban, outcome: UnbanOutcome) -> Unbanned {
    let not_banned = if *whom == Unban::All { Vec::new() } else { outcome.not_banned };
    Unbanned { unbanned: outcome.freed, not_banned, ..Unbanned::default() }
}
