//! What is asked at the control socket, answered by the deciding thread.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use smallvec::{SmallVec, smallvec};

use super::core::{Daemon, now};
use super::report;
use crate::address::{self, Prefix};
use crate::control::reply::{Banned, Effect, Reloaded, Spared, Unbanned};
use crate::control::{Accepted, Answer, Answering, Code, Length, Peer, Refusal, Reply, Request, Unban};
use crate::engine::{Ban, Origin, Owner};
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
            Request::Reload => self.reload_asked(),
            Request::Ban { prefixes, length, reason, force } => {
                Ok(self.ban(&prefixes, length, &reason, force, &peer))
            }
            Request::Unban(whom) => Ok(self.unban(&whom, &peer)),
        };
        match reply {
            Ok(reply @ (Answer::Banned(_) | Answer::Unbanned(_))) => {
                let firewall = self.firewall.handle();
                self.persist.after(Box::new(move |_| {
                    // A thread of its own, since neither the database nor the deciding may wait for a firewall.
                    apart(start, move |patience| answer.send(Ok(with_effect(reply, &firewall, patience))));
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
        let mut answer = Unbanned::default();
        for prefix in whom.prefixes() {
            let freed = self.guard.engine.unban(&prefix, now());
            if freed.is_empty() && *whom != Unban::All {
                answer.not_banned.push(prefix);
            }
            answer.unbanned.extend(freed);
        }
        self.firewall.change(answer.unbanned.iter().copied().map(Change::Remove));
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

    fn reload_asked(&mut self) -> Reply {
        let freed = self.reload().map_err(|refused| Refusal::new(Code::Config, refused))?;
        Ok(Answer::Reloaded(Reloaded {
            rule_sets: self.setup.sets.iter().map(|set| set.set.name.clone()).collect(),
            sources: self.setup.config.sources.iter().map(|source| source.name.clone()).collect(),
            freed,
            warnings: self.setup.warnings.iter().map(ToString::to_string).collect(),
        }))
    }
}

/// Gives an answer, having waited at most so long.
type Give = Box<dyn FnOnce(Duration) + Send>;

/// Has an answer given in a thread of its own; where the system has none to give, at once and without waiting.
fn apart(start: impl FnOnce(Receiver<Give>) -> io::Result<()>, give: impl FnOnce(Duration) + Send + 'static) {
    let (sender, receiver) = channel::<Give>();
    let give: Give = Box::new(give);
    match start(receiver) {
        // The thread lives until it is sent something.
        Ok(()) => drop(sender.send(give)),
        Err(_no_thread) => give(Duration::ZERO),
    }
}

fn start(receiver: Receiver<Give>) -> io::Result<()> {
    let run = move || {
        if let Ok(give) = receiver.recv() {
            give(FIREWALL_PATIENCE);
        }
    };
    thread::Builder::new().name("answer".to_owned()).spawn(run).map(drop)
}

/// Waits until the firewall is done, and adds what became of it.
fn with_effect(mut answer: Answer, firewall: &firewall::Handle, patience: Duration) -> Answer {
    firewall.settle(patience);
    let status = firewall.status();
    let effect = Effect {
        backend: status.backend,
        done: status.pending == 0 && status.last_error.is_none(),
        pending: status.pending as u64,
        problem: status.last_error,
    };
    match &mut answer {
        Answer::Banned(banned) => banned.firewall = effect,
        Answer::Unbanned(unbanned) => unbanned.firewall = effect,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// How long the giver of an answer was allowed to wait.
    fn patience(start: impl FnOnce(Receiver<Give>) -> io::Result<()>) -> Duration {
        let (sender, receiver) = channel();
        apart(start, move |patience| sender.send(patience).expect("somebody listens"));
        receiver.recv().expect("it is given")
    }

    #[test]
    fn an_answer_is_given_also_where_no_thread_can_be_had() {
        assert_eq!(patience(start), FIREWALL_PATIENCE);
        assert_eq!(patience(|_| Err(io::Error::from(io::ErrorKind::WouldBlock))), Duration::ZERO);
    }
}
