//! What is asked at the control socket, answered by the deciding thread.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use smallvec::{SmallVec, smallvec};

use super::core::{Daemon, now};
use super::report;
use crate::address::{self, Prefix};
use crate::control::reply::{Banned, Effect, Kept, Spared, Unbanned};
use crate::control::{Accepted, Answer, Answering, Code, Length, Peer, Refusal, Reply, Request, Unban};
use crate::engine::{self, Ban, Origin, Owner};
use crate::firewall::{self, Change};
use crate::rules::BanLength;
use crate::store::{BanRecord, StoreError};
use crate::time::Time;

/// How long a client is kept waiting to be told that the firewall did it too.
const FIREWALL_PATIENCE: Duration = Duration::from_secs(5);

impl Daemon {
    /// Answers everybody who waits at the control socket.
    pub(super) fn answer_calls(&mut self) {
        while let Ok(call) = self.calls.try_recv() {
            if let Some(accepted) = call.accept() {
                self.answer(accepted);
            }
        }
    }

    /// Answers a request; a change is answered once it is stored and, if that comes soon, the firewall followed.
    fn answer(&mut self, accepted: Accepted) {
        let Accepted { request, peer, answer } = accepted;
        let reply: Reply = match request {
            Request::Ping => Ok(Answer::Pong),
            Request::Status => Ok(Answer::Status(Box::new(self.status()))),
            Request::Bans => Ok(Answer::Bans(self.bans())),
            Request::Why { address } => return self.answer_why(address, answer),
            Request::Reload => return self.reload(Some(answer)),
            Request::Ban { prefixes, length, reason, force } => {
                Ok(self.ban(&prefixes, length, &reason, force, &peer))
            }
            Request::Unban(whom) => Ok(self.unban(&whom, &peer)),
        };
        match reply {
            Ok(reply @ (Answer::Banned(_) | Answer::Unbanned(_))) => {
                let firewall = Arc::clone(&self.firewall);
                self.persist.after(Box::new(move |stored| {
                    let kept = Kept { stored: stored.is_ok(), problem: stored.clone().err() };
                    // A thread of its own, since neither the database nor the deciding may wait for a firewall.
                    thread::spawn(move || answer.send(Ok(with_effects(reply, kept, &firewall))));
                }));
            }
            reply => answer.send(reply),
        }
    }

    /// The database's thread finishes the answer.
    fn answer_why(&self, address: Prefix, answer: Answering) {
        let (mut why, tell) = (self.why(address), self.tell());
        let finish = move |records: Result<Vec<BanRecord>, StoreError>| {
            let reply = records.map_err(|error| Refusal::new(Code::Failed, error)).map(|records| {
                why.history = records.into_iter().map(|record| tell.past(record)).collect();
                Answer::Why(Box::new(why))
            });
            answer.send(reply);
        };
        self.persist.why(address, now(), Box::new(finish));
    }

    fn ban(&mut self, prefixes: &[Prefix], length: Length, reason: &str, force: bool, peer: &Peer) -> Answer {
        let since = now();
        let until = self.until(length, since);
        let mut answer = Banned { until: until.map(|until| self.rfc3339(until)), ..Banned::default() };
        let by_hand = by_hand(since, until, reason, force);
        for &offender in prefixes {
            let offender = offender.trunc();
            match self.guard.engine.ban(by_hand(offender), force) {
                Ok(()) => answer.banned.push(offender),
                Err(why) => answer.refused.push(Spared { prefix: offender, why: why.to_string() }),
            }
        }
        self.firewall.change(answer.banned.iter().copied().map(Change::Add));
        self.tallies.by_hand += answer.banned.len() as u64;
        let length = report::length(since, until);
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        self.say(&answer.banned, &format!("{length} by hand (uid {}){reason}", peer.uid), "banned");
        Answer::Banned(answer)
    }

    fn until(&self, length: Length, since: Time) -> Option<Time> {
        match length {
            Length::Forever => None,
            Length::For { ms } => Some(since.plus(Duration::from_millis(ms))),
            Length::Default => match self.setup.config.defaults.ban.length {
                BanLength::For(length) => Some(since.plus(length)),
                BanLength::Forever => None,
            },
        }
    }

    fn unban(&mut self, whom: &Unban, peer: &Peer) -> Answer {
        let answer = unbanned(whom, self.guard.engine.unban(&whom.prefixes(), now()));
        self.leaving.add(&self.firewall, &answer.unbanned);
        self.tallies.unbans += answer.unbanned.len() as u64;
        self.say(&answer.unbanned, &format!("by hand (uid {})", peer.uid), "unbanned");
        Answer::Unbanned(answer)
    }

    /// One line a prefix, but for a block list one line in all.
    fn say(&mut self, prefixes: &[Prefix], how: &str, what: &str) {
        const MOST: usize = 20;
        if prefixes.len() > MOST {
            self.persist.after(report::line(format!("{what} {} prefixes {how}", prefixes.len())));
            return;
        }
        for prefix in prefixes {
            self.persist.after(report::line(format!("{what} {} {how}", address::display(prefix))));
        }
    }
}

/// The answer without the firewall's part. Whoever frees all does not ask for anybody in particular.
pub(super) fn unbanned(whom: &Unban, done: engine::Unbanned) -> Unbanned {
    let not_banned = if *whom == Unban::All { Vec::new() } else { done.not_banned };
    Unbanned { unbanned: done.freed, not_banned, ..Unbanned::default() }
}

/// Waits until the firewall is done, and adds what became of it there and in the database.
fn with_effects(mut answer: Answer, kept: Kept, firewall: &firewall::Handle) -> Answer {
    firewall.settle(FIREWALL_PATIENCE);
    let status = firewall.status();
    let effect = Effect {
        backend: status.backend,
        done: status.pending == 0 && status.last_error.is_none(),
        pending: status.pending as u64,
        problem: status.last_error,
    };
    match &mut answer {
        Answer::Banned(banned) => (banned.kept, banned.firewall) = (kept, effect),
        Answer::Unbanned(unbanned) => (unbanned.kept, unbanned.firewall) = (kept, effect),
        _ => {}
    }
    answer
}

/// What an operator bans; one of many with the same words.
fn by_hand(since: Time, until: Option<Time>, reason: &str, forced: bool) -> impl Fn(Prefix) -> Ban {
    let owners = smallvec![Owner { set: "".into(), until }];
    let reason = Arc::from(if reason.is_empty() { "by hand" } else { reason });
    move |offender| Ban {
        offender,
        owners: SmallVec::clone(&owners),
        since,
        until,
        nth: 1,
        reason: Arc::clone(&reason),
        origin: Origin::Manual,
        forced,
        spoofable: false,
    }
}
