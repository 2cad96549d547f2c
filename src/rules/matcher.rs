//! Matches a record against all rule sets in force.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use regex_automata::meta;

use super::binding::Binding;
use super::compile::Compiled;
use super::found::Found;
use super::model::{Effect, Evidence, Format, Rule, RuleSet};
use super::pattern;
use super::regex;
use super::session_id;
use crate::record::{self, Record};

/// The compiled rule sets in force.
#[derive(Debug, Default)]
pub struct Matcher {
    sets: Vec<(Arc<RuleSet>, Compiled)>,
    /// Finders of the user name by set and rule; compiled on first use.
    users: Vec<Vec<OnceLock<Option<meta::Regex>>>>,
    /// Finders of the session id by set and rule.
    session_ids: Vec<Vec<Option<meta::Regex>>>,
}

/// The match of a rule on a record.
#[derive(Clone, Copy, Debug)]
pub struct Match<'m> {
    /// Index of the rule set, in the order in which the sets were given.
    pub set_index: usize,
    /// The matching set.
    pub set: &'m RuleSet,
    /// Index of the rule in its set.
    pub rule_index: usize,
    /// The matching rule.
    pub rule: &'m Rule,
    /// The peer; `None` if the line names none, or a host name, or none for certain.
    pub address: Option<IpAddr>,
}

/// How a line identifies the connection that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection<'l> {
    /// By the id of its process. Never in a program's own log, whose process ids cannot be trusted.
    Process(u32),
    /// By an id of the program's own, in place of the process id.
    Id(Cow<'l, [u8]>),
    /// By an id that is unusable: it is too long, or the end of the line may be missing.
    Doubtful,
    /// The line does not identify its connection.
    Unnamed,
}

impl Match<'_> {
    /// The full name of the rule: `sshd/failed-password`.
    pub fn name(&self) -> String {
        self.set.name_of(self.rule)
    }

    /// The evidence of the match: that of its rule set, lowered to spoofable where a peer may have written the header too
    /// ([`Record::may_be_forged`]), and in a log whose program is not claimed to encode newlines ([`RuleSet::worth`]).
    pub fn evidence(&self, record: &Record<'_>) -> Evidence {
        let may_be_forged = self.set.format == Format::Syslog && record.may_be_forged();
        if may_be_forged { Evidence::Spoofable } else { self.set.worth() }
    }
}

impl Matcher {
    /// Puts compiled sets in force; their order decides which is reported first.
    pub fn new(sets: Vec<(impl Into<Arc<RuleSet>>, Compiled)>) -> Self {
        let sets: Vec<(Arc<RuleSet>, Compiled)> =
            sets.into_iter().map(|(set, compiled)| (set.into(), compiled)).collect();
        let users = sets.iter().map(|(set, _)| set.rules.iter().map(|_| OnceLock::new()).collect()).collect();
        let ids = |set: &RuleSet| set.rules.iter().map(|rule| session_id::finder(set, rule)).collect();
        let session_ids = sets.iter().map(|(set, _)| ids(set)).collect();
        Self { sets, users, session_ids }
    }

    /// The rule sets in force.
    pub fn sets(&self) -> impl ExactSizeIterator<Item = &RuleSet> {
        self.sets.iter().map(|(set, _)| set.as_ref())
    }

    /// The first matching rule of each set that applies to the line.
    pub fn matches<'m, 'l>(
        &'m self,
        binding: &'l Binding,
        line: &'l [u8],
        record: &'l Record<'l>,
    ) -> impl Iterator<Item = Match<'m>> + use<'m, 'l> {
        binding.candidates(record).filter_map(move |index| {
            // A binding made for other sets may name one that is gone.
            let (set, compiled) = self.sets.get(index)?;
            let Found { rule, address } = find_in(set, compiled, line, record)?;
            Some(Match { set_index: index, set, rule_index: rule, rule: &set.rules[rule], address })
        })
    }

    /// The match of a rule that was found earlier, by the indices of its set and rule.
    ///
    /// # Panics
    /// If the sets in force have no such rule.
    pub fn at(&self, set_index: usize, rule_index: usize, address: Option<IpAddr>) -> Match<'_> {
        let (set, _) = &self.sets[set_index];
        Match { set_index, set, rule_index, rule: &set.rules[rule_index], address }
    }

    /// The user name in a matching line, if the pattern has `<USER>` or `<ACCOUNT>`, or the rule names its key.
    pub fn user<'l>(
        &self,
        matched: &Match<'_>,
        line: &'l [u8],
        record: &Record<'l>,
    ) -> Option<Cow<'l, [u8]>> {
        if let Some(json) = &self.sets[matched.set_index].1.json {
            return json.user(matched.rule_index, line);
        }
        let finder = &self.users[matched.set_index][matched.rule_index];
        let named = pattern::is_user_group;
        let finder = finder.get_or_init(|| regex::finder(matched.set, matched.rule, named)).as_ref()?;
        regex::group(finder, self.as_read(matched, line, record)).map(Cow::Borrowed)
    }

    /// How a matching line identifies its connection.
    pub fn connection<'l>(&self, matched: &Match<'_>, line: &'l [u8], record: &Record<'l>) -> Connection<'l> {
        if let Some(json) = &self.sets[matched.set_index].1.json {
            return json.session(matched.rule_index, line).map_or(Connection::Unnamed, Connection::Id);
        }
        let message = message(matched.set, line, record);
        let is_cut = || {
            may_be_cut(matched.set, line, record)
                || matched.set.limit_of(matched.rule).is_some_and(|limit| message.len() >= limit)
        };
        // The missing end of a login may have said that it was refused.
        if matched.rule.effect == Effect::Trust && is_cut() {
            return Connection::Doubtful;
        }
        let Some(finder) = &self.session_ids[matched.set_index][matched.rule_index] else {
            return record
                .pid
                .filter(|_| matched.set.format == Format::Syslog)
                .map_or(Connection::Unnamed, Connection::Process);
        };
        if is_cut() {
            return Connection::Doubtful;
        }
        let id = session_id::find(finder, self.as_read(matched, line, record));
        id.map_or(Connection::Doubtful, |id| Connection::Id(id.into()))
    }

    /// The part of the line that the rule matched.
    fn as_read<'l>(&self, matched: &Match<'_>, line: &'l [u8], record: &Record<'l>) -> &'l [u8] {
        let (set, compiled) = &self.sets[matched.set_index];
        compiled.as_read(message(set, line, record))
    }
}

/// Matches one set against one line; the caller knows that the set applies to its program.
pub(super) fn find_in(set: &RuleSet, compiled: &Compiled, line: &[u8], record: &Record<'_>) -> Option<Found> {
    compiled.find(message(set, line, record), may_be_cut(set, line, record))
}

/// No syslogd cuts a raw line. If long lines counted as truncated, a peer that chooses the length of a request could make
/// its lines name no peer.
fn may_be_cut(set: &RuleSet, line: &[u8], record: &Record<'_>) -> bool {
    set.format == Format::Syslog && record::may_be_cut(line, record)
}

/// The text that the set's patterns are matched against.
pub(super) fn message<'l>(set: &RuleSet, line: &'l [u8], record: &Record<'l>) -> &'l [u8] {
    match set.format {
        Format::Syslog => record.message,
        Format::Raw | Format::Json => line,
    }
}
