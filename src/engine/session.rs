//! Sessions: the lines of one connection belong to one peer and report the same attempts.
//!
//! On FreeBSD one wrong password logs up to three lines. They corroborate each other: a session's offences are the
//! largest count that any single rule reached in it. A line without an address, or with a host name, is about the
//! peer that another line of the same session names, before or after it.

use std::net::IpAddr;
use std::time::Duration;

use smallvec::SmallVec;

use super::policy::Policy;
use super::row::{Row, SessionState};
use super::session_key::SessionKey;
use super::tiers::Tiers;
use super::window::index;
use crate::address::PrefixSet;
use crate::rules::Evidence;
use crate::time::Time;

/// sshd allows two minutes for a login (`LoginGraceTime`); a pid seen after a longer idle time is another process.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(180);

/// The longest time a login can take in all, however busy it is.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Grace period: lines of an ended session may still arrive this late, because two files are read independently.
const GRACE: Duration = Duration::from_secs(5);

/// An idle session is forgotten after this long: later than it ends, since lines of several files may be out of order.
const FORGET: Duration = Duration::from_secs(900);

/// The idle timeout of a process that serves several peers, whose connections may stay idle for long.
const SHARED_IDLE_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// How many sessions are remembered. The least recently seen is evicted first, those on forgeable evidence before all
/// others. sshd itself starts a few hundred at most.
const MAX_SESSIONS: usize = 16_384;

/// How many rules of one session have counts of their own; further ones share the last.
const MAX_RULES: usize = 64;

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    started: Time,
    last: Time,
    /// When a line said that its connection ended.
    ended: Option<Time>,
    peer: Option<IpAddr>,
    /// Rule set, rule, tenths; one attempt is reported by three lines at most.
    counts: SmallVec<[(u16, u16, u32); 3]>,
    /// Rule set, tenths that were counted for the peer.
    counted: SmallVec<[(u16, u32); 1]>,
    /// Whether the process serves several peers: then it is not one connection, and nothing is counted in it.
    is_shared: bool,
    /// The peer before an idle time, where no line said that its connection ended.
    former: Option<IpAddr>,
    /// Whether the connection may outlive any idle time: no rule for the program says where one ends.
    is_open_ended: bool,
}

#[derive(Debug)]
pub(super) struct Sessions {
    open: Tiers<SessionKey, Session>,
}

impl Sessions {
    pub(super) fn new() -> Self {
        Self { open: Tiers::new(MAX_SESSIONS) }
    }

    /// The session that a line of a process belongs to; `None` where the process serves several peers and the line names
    /// none. `ends` says whether any rule for the program tells where a connection ends.
    ///
    /// A process that names two peers, without an end of a connection between them, serves many peers at a time. A line of
    /// it belongs to the session of the peer that it names. An idle time counts as an end only for programs whose rules
    /// report ends, as sshd's do: connections to other programs may stay idle for long.
    pub(super) fn of(
        &mut self,
        process: SessionKey,
        named: Option<IpAddr>,
        ends: bool,
        time: Time,
    ) -> Option<&mut Session> {
        if self.is_shared(process, named, ends, time) {
            return named.map(|named| self.at(process.of_one(named), time));
        }
        self.open.last_changed(process.evidence())
    }

    /// Whether a process serves several peers. If not, its session is the one that was changed last.
    fn is_shared(&mut self, process: SessionKey, named: Option<IpAddr>, ends: bool, time: Time) -> bool {
        let session = self.at(process, time);
        session.is_open_ended = !ends && process.pid != 0;
        if session.is_shared {
            return true;
        }
        let Some(peer) = session.another_than(named) else { return false };
        let before = std::mem::replace(session, Session { is_shared: true, ..Session::new(time) });
        if before.peer == Some(peer) {
            let key = process.of_one(peer);
            *self.open.change(key.evidence(), key, || Session::new(time)).0 = before;
        }
        true
    }

    /// The session of a line written at `time`; a new one if the process id belonged to another process before.
    fn at(&mut self, key: SessionKey, time: Time) -> &mut Session {
        self.forget_idle(time);
        let (session, _) = self.open.change(key.evidence(), key, || Session::new(time));
        if session.is_over(time) {
            *session = session.next(time);
        }
        session.last = session.last.max(time);
        session
    }

    /// Looks at one session of each kind: it is called for every line, so that it keeps up with new ones.
    fn forget_idle(&mut self, now: Time) {
        for evidence in [Evidence::Handshake, Evidence::Spoofable] {
            let Some((key, session)) = self.open.front(evidence) else { continue };
            let Some(age) = now.since(session.last).filter(|age| *age > FORGET) else { continue };
            if age <= SHARED_IDLE_TIMEOUT && (session.is_shared || session.is_open_ended) {
                // Moved to the back, so that the one behind it is looked at next time.
                self.open.change(evidence, key, || Session::new(now));
            } else {
                self.open.drop_front(evidence);
            }
        }
    }

    pub(super) fn keep_no_journal(&mut self) {
        self.open.keep_no_journal();
    }

    pub(super) fn forget_all(&mut self, prefixes: &PrefixSet) {
        self.open.remove_where(|_, session| session.peer.is_some_and(|peer| prefixes.contains(peer)));
    }

    /// After a reload, when rules have new indices: the counts of open sessions follow them by name.
    pub(super) fn rename(&mut self, old: &[Policy], new: &[Policy]) {
        let names =
            |policies: &[Policy]| policies.iter().flat_map(|p| p.names.iter().cloned()).collect::<Vec<_>>();
        if names(old) != names(new) {
            self.open.change_all(|session| *session = Session::from_state(new, &session.state(old)));
        }
    }

    pub(super) fn changed(&self) -> usize {
        self.open.changed()
    }

    pub(super) fn changes(&mut self, policies: &[Policy], rows: &mut Vec<Row>) {
        self.open.changes(|_, key, session| {
            let state = session.map(|session| Box::new(session.state(policies)));
            rows.push(Row::Session { key, state });
        });
    }

    pub(super) fn restore(&mut self, policies: &[Policy], key: SessionKey, state: &SessionState) {
        self.open.restore(key.evidence(), key, Session::from_state(policies, state));
    }
}

impl Session {
    fn new(time: Time) -> Self {
        Self {
            started: time,
            last: time,
            ended: None,
            peer: None,
            counts: SmallVec::new(),
            counted: SmallVec::new(),
            is_shared: false,
            former: None,
            is_open_ended: false,
        }
    }

    /// The session that follows this one at `time`.
    fn next(&self, time: Time) -> Self {
        let is_remembered = self.is_open_ended && self.ended.is_none() && !self.is_shared;
        let former = self.peer.or(self.former).filter(|_| is_remembered);
        Self { former, ..Self::new(time) }
    }

    /// Whether a line at `time` comes from another process with the same pid. A clock that was set back ends it too.
    fn is_over(&self, time: Time) -> bool {
        let old = |since: Time, most: Duration| time.since(since).is_some_and(|age| age > most);
        if self.is_shared {
            return old(self.last, SHARED_IDLE_TIMEOUT);
        }
        let has_ended = self.ended.is_some_and(|ended| old(ended, GRACE));
        has_ended
            || old(self.last, IDLE_TIMEOUT)
            || old(self.started, MAX_AGE)
            || self.last > time.plus(IDLE_TIMEOUT)
    }

    /// Notes that the connection ended: another process may soon have its id.
    pub(super) fn end(&mut self, time: Time) {
        self.ended.get_or_insert(time);
    }

    /// The peer of the connection so far, if it is another one than the line names and its connection has not ended.
    fn another_than(&self, named: Option<IpAddr>) -> Option<IpAddr> {
        let named = named?;
        self.peer.or(self.former).filter(|peer| *peer != named && self.ended.is_none())
    }

    /// Learns the peer. After the end of a connection, another address begins the next one.
    pub(super) fn meet(&mut self, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        if self.peer.is_some_and(|peer| peer != address) {
            *self = Self::new(self.last);
        }
        self.peer = Some(address);
    }

    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    pub(super) fn add(&mut self, set: usize, rule: usize, tenths: u32) {
        if tenths == 0 {
            return;
        }
        let set = index(set);
        let rule = index(rule);
        let known = self.counts.iter().position(|(s, r, _)| (*s, *r) == (set, rule));
        let at = known.unwrap_or_else(|| {
            if self.counts.len() < MAX_RULES {
                self.counts.push((set, rule, 0));
            }
            self.counts.len() - 1
        });
        self.counts[at].2 = self.counts[at].2.saturating_add(tenths);
    }

    /// By how many tenths the highest count of any rule of the set has grown since it was last taken.
    pub(super) fn take_due(&mut self, set: usize) -> u32 {
        let set = index(set);
        let best =
            self.counts.iter().filter(|(s, ..)| *s == set).map(|(.., tenths)| *tenths).max().unwrap_or(0);
        match self.counted.iter_mut().find(|(s, _)| *s == set) {
            Some((_, counted)) => {
                let due = best.saturating_sub(*counted);
                *counted += due;
                due
            }
            None => {
                self.counted.push((set, best));
                best
            }
        }
    }

    fn state(&self, policies: &[Policy]) -> SessionState {
        let policy = |set: u16| policies.get(usize::from(set));
        let name = |set: u16| policy(set).map(|policy| policy.name.clone());
        let rule = |set: u16, rule: u16| policy(set)?.names.get(usize::from(rule)).cloned();
        SessionState {
            started: self.started.as_millis(),
            last: self.last.as_millis(),
            ended: self.ended.map(Time::as_millis),
            peer: self.peer,
            is_shared: self.is_shared,
            former: self.former,
            is_open_ended: self.is_open_ended,
            counts: self.counts.iter().filter_map(|(s, r, n)| Some((rule(*s, *r)?, *n))).collect(),
            counted: self.counted.iter().filter_map(|(s, n)| Some((name(*s)?, *n))).collect(),
        }
    }

    fn from_state(policies: &[Policy], state: &SessionState) -> Self {
        let set = |name: &str| policies.iter().position(|policy| *policy.name == *name).map(index);
        let rule = |name: &str| {
            let set = policies.iter().position(|policy| policy.names.iter().any(|known| **known == *name))?;
            let rule = policies[set].names.iter().position(|known| **known == *name)?;
            Some((index(set), index(rule)))
        };
        Self {
            started: Time::from_millis(state.started),
            last: Time::from_millis(state.last),
            ended: state.ended.map(Time::from_millis),
            peer: state.peer,
            is_shared: state.is_shared,
            former: state.former,
            is_open_ended: state.is_open_ended,
            counts: state.counts.iter().filter_map(|(r, n)| rule(r).map(|(s, r)| (s, r, *n))).collect(),
            counted: state.counted.iter().filter_map(|(s, n)| Some((set(s)?, *n))).collect(),
        }
    }
}
