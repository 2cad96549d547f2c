//! What is decided is carried out: a change goes to the firewall before the next line is looked at, and to the database
//! and the log behind it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use super::firewalls::Firewalls;
use super::persist::Persist;
use super::recent_lines::RecentLines;
use crate::address::{self, Prefix};
use crate::engine::{Judgement, Verdict, Why};
use crate::firewall::Change;
use crate::pipeline::{MissedLines, Outcome, OutcomeSink, ReportOutcome};
use crate::printable::printable;
use crate::record::Record;
use crate::report::Report;
use crate::rules::Evidence;
use crate::store::MAX_LINE_BYTES;
use crate::time::{Time, spoken};

/// Carries out decisions, and counts them.
pub(super) struct Enforcement {
    pub(super) firewall: Firewalls,
    pub(super) persist: Persist,
    pub(super) tallies: Tallies,
    recent_lines: RecentLines,
    /// Banned for a time that was over when their lines were read, and so never put into the table.
    missed: HashSet<Prefix>,
}

impl Enforcement {
    pub(super) fn new(firewall: Firewalls, persist: Persist) -> Self {
        Self {
            firewall,
            persist,
            tallies: Tallies::default(),
            recent_lines: RecentLines::default(),
            missed: HashSet::new(),
        }
    }

    /// Takes what becomes of the lines of a source that are read now.
    pub(super) fn sink<'e>(&'e mut self, source: &'e Arc<str>, now: Time) -> BatchSink<'e> {
        BatchSink { enforcement: self, source, now }
    }

    /// Carries out the end of bans whose time is over.
    pub(super) fn expire(&mut self, mut ended: Vec<Prefix>) {
        let missed = std::mem::take(&mut self.missed);
        ended.retain(|offender| !missed.contains(offender));
        self.unban(&ended, "its time is over");
    }

    /// Takes prefixes that are no longer banned out of the table, unless a wider or narrower ban still needs them.
    pub(super) fn unban(&mut self, freed: &[Prefix], why: &str) {
        if freed.is_empty() {
            return;
        }
        self.firewall.change(freed.iter().copied().map(Change::Remove));
        self.tallies.unbans += freed.len() as u64;
        let unbanned = self.firewall.unbanned();
        for offender in freed {
            self.persist.say(format!("{unbanned} {}: {why}", address::display(offender)));
        }
        self.persist.hurry();
    }
}

/// Carries out what the pipeline decides about the lines of one batch.
pub(super) struct BatchSink<'e> {
    enforcement: &'e mut Enforcement,
    source: &'e Arc<str>,
    now: Time,
}

/// A line or a report, and the decision on it.
struct Decision<'o> {
    /// The name of the rule set.
    set: &'o str,
    /// The full name of the rule.
    rule: &'o dyn Fn() -> String,
    evidence: Evidence,
    /// The time at which it counts.
    time: Option<Time>,
    judgement: &'o Judgement,
    /// The line, or the report as a sentence.
    text: &'o [u8],
}

impl OutcomeSink for BatchSink<'_> {
    fn take(&mut self, outcome: &Outcome<'_>) {
        self.carry_out(&Decision {
            set: &outcome.matched.set.name,
            rule: &|| outcome.matched.name(),
            evidence: outcome.evidence,
            time: outcome.time,
            judgement: &outcome.judgement,
            text: outcome.line,
        });
    }

    fn missed(&mut self, _number: u64, _line: &[u8], record: &Record<'_>) {
        self.enforcement.tallies.missed.add(record.program.unwrap_or_default(), record.message);
    }
}

impl BatchSink<'_> {
    /// Takes the outcome of a report that was judged by a rule set.
    pub(super) fn take_report(&mut self, set: &str, report: &Report, outcome: &ReportOutcome) {
        self.carry_out(&Decision {
            set,
            rule: &|| outcome.name.to_string(),
            evidence: outcome.evidence,
            time: Some(self.now),
            judgement: &outcome.judgement,
            text: report.sentence(set).as_bytes(),
        });
    }

    fn carry_out(&mut self, decision: &Decision<'_>) {
        self.enforcement.tallies.add(self.source, decision);
        let Some(at) = decision.time else { return };
        if let Verdict::Trusted { peer, failures: failures @ 1.. } = decision.judgement.verdict {
            self.enforcement.tallies.login_after_failures(LoginAfterFailures {
                peer,
                failures: failures / 10,
                at,
                line: printable(&decision.text[..decision.text.len().min(MAX_LINE_BYTES)]),
            });
        }
        let Some(offender) = decision.judgement.offender else { return };
        match &decision.judgement.verdict {
            Verdict::Counted { .. } => self.note_line(offender, at, decision),
            Verdict::Banned { .. } => {
                self.note_line(offender, at, decision);
                self.ban(offender, at, decision);
            }
            Verdict::Ignored(Why::Flood(flood)) if flood.first => log::warn!("{flood}"),
            Verdict::Ignored(_) | Verdict::Trusted { .. } => {}
        }
    }

    fn note_line(&mut self, offender: Prefix, at: Time, decision: &Decision<'_>) {
        self.enforcement.recent_lines.note(offender, decision.evidence, at, self.source, decision.text);
    }

    fn ban(&mut self, offender: Prefix, at: Time, decision: &Decision<'_>) {
        let Verdict::Banned { banned, since, until, .. } = decision.judgement.verdict else { return };
        let Enforcement { firewall, persist, recent_lines, missed, .. } = &mut *self.enforcement;
        persist.keep_lines(banned, since, recent_lines.take(&offender, &banned, decision.evidence));
        if since == at && until.is_some_and(|until| until <= self.now) {
            // Its lines were read too late: it is remembered for the next one, and blocks nobody.
            missed.insert(banned);
            return;
        }
        missed.remove(&banned);
        firewall.change([Change::Add(banned)]);
        persist.say(sentence(firewall.banned(), offender, at, decision));
    }
}

/// The sentence about a new ban; it begins with what is done, and no rule of ours would match it.
fn sentence(what: &str, offender: Prefix, at: Time, decision: &Decision<'_>) -> String {
    let Verdict::Banned { banned, tenths, within, until, nth, .. } = decision.judgement.verdict else {
        return String::new();
    };
    let offences = f64::from(tenths) / 10.0;
    let is_network = offender.prefix_len() > banned.prefix_len();
    let whose = if is_network { " of its addresses" } else { "" };
    format!(
        "{what} {} {}: {offences} offences{whose} within {}, last {} ({}), ban {nth}",
        address::display(&banned),
        length(at, until),
        spoken(within),
        (decision.rule)(),
        decision.evidence.as_str(),
    )
}

/// `for 1h`, `for ever`.
pub(super) fn length(since: Time, until: Option<Time>) -> String {
    match until {
        Some(until) => format!("for {}", spoken(until.since(since).unwrap_or_default())),
        None => "for ever".to_owned(),
    }
}

/// Counters of one rule set or one source since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MatchCounter {
    /// Lines that a rule matched.
    pub(super) matched: u64,
    /// Bans since the start.
    pub(super) bans: u64,
    /// When a line last matched: what falls silent after an update of its program is broken.
    pub(super) last: Option<Time>,
}

impl MatchCounter {
    fn add(&mut self, is_ban: bool, time: Option<Time>) {
        self.matched += 1;
        self.bans += u64::from(is_ban);
        self.last = time.or(self.last);
    }
}

/// What happened since the start; counters by name, so that they outlast a reload.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    by_set: BTreeMap<String, MatchCounter>,
    by_source: BTreeMap<String, MatchCounter>,
    /// Matches that counted.
    pub(super) offences: u64,
    /// Bans that ended.
    pub(super) unbans: u64,
    /// Bans by hand.
    pub(super) by_hand: u64,
    /// Lines that rules should have known.
    pub(super) missed: MissedLines,
    /// The last logins from addresses that were next to a ban.
    pub(super) logins: VecDeque<LoginAfterFailures>,
    /// Bans that the caution with forged addresses prevented.
    pub(super) spared: u64,
}

/// A login from an address that one more failure would have banned: a guess that was right, or a user who remembered.
#[derive(Debug)]
pub(super) struct LoginAfterFailures {
    pub(super) peer: IpAddr,
    pub(super) failures: u32,
    pub(super) at: Time,
    /// The line that tells it, made harmless.
    pub(super) line: String,
}

/// The number of such logins that `status` shows.
const MAX_LOGINS: usize = 5;

impl Tallies {
    /// Keeps the login for `status`, and says it in the log: the one line that an owner must see.
    fn login_after_failures(&mut self, login: LoginAfterFailures) {
        log::warn!("login from {} after {} failures: {}", login.peer, login.failures, login.line);
        self.logins.push_back(login);
        if self.logins.len() > MAX_LOGINS {
            self.logins.pop_front();
        }
    }

    fn add(&mut self, source: &str, decision: &Decision<'_>) {
        let verdict = &decision.judgement.verdict;
        self.offences += u64::from(decision.judgement.offender.is_some());
        self.spared += u64::from(matches!(verdict, Verdict::Ignored(Why::Flood(_))));
        let is_ban = matches!(verdict, Verdict::Banned { .. });
        counter(&mut self.by_set, decision.set).add(is_ban, decision.time);
        counter(&mut self.by_source, source).add(is_ban, decision.time);
    }

    pub(super) fn of_set(&self, name: &str) -> MatchCounter {
        self.by_set.get(name).copied().unwrap_or_default()
    }

    pub(super) fn of_source(&self, name: &str) -> MatchCounter {
        self.by_source.get(name).copied().unwrap_or_default()
    }

    /// Lines of all sources that a rule matched.
    pub(super) fn matches(&self) -> u64 {
        self.by_source.values().map(|counter| counter.matched).sum()
    }

    /// Bans by rules and by hand.
    pub(super) fn bans(&self) -> u64 {
        self.by_hand + self.by_source.values().map(|counter| counter.bans).sum::<u64>()
    }
}

/// The counter of a name, without a copy of a name that is known.
fn counter<'c>(counters: &'c mut BTreeMap<String, MatchCounter>, name: &str) -> &'c mut MatchCounter {
    if !counters.contains_key(name) {
        counters.insert(name.to_owned(), MatchCounter::default());
    }
    counters.get_mut(name).expect("it was inserted")
}
