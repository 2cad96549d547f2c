//! What is asked at the control socket, answered by the deciding thread.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use super::core::{Daemon, now};
use super::manual_bans::unearned;
use super::report;
use crate::address::{self, Prefix};
use crate::control::reply::{
    AddressReport, BanEntry, Banned, FirewallEffect, LoggedLine, LongerBan, PastBan, RefusedBan, StoreEffect,
    Unbanned,
};
use crate::control::{Accepted, Answer, Answering, Length, PeerProcess, Reply, Request, Unban};
use crate::engine::{self, Ban, BanRefusal, Origin};
use crate::firewall::{self, Change};
use crate::rules::BanLength;
use crate::store::{BanLine, BanRecord, StoreError};
use crate::time::Time;

/// How long a client is kept waiting to be told that the database and the firewall did it too, whatever it is;
const PATIENCE: Duration = Duration::from_secs(5);

/// and how much longer for each prefix: a slow machine stores a hundred thousand in more than five seconds.
const PATIENCE_EACH: Duration = Duration::from_millis(1);

/// but less than the socket gives an answer.
const LONGEST_PATIENCE: Duration = Duration::from_secs(80);

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
                let firewall = self.firewall.handle();
                let (sender, stored) = sync_channel(1);
                self.persist.after(Box::new(move |result| drop(sender.try_send(result.clone()))));
                // A thread of its own, since neither the database nor the deciding may wait for a firewall.
                let patience = patience(&reply);
                apart(start, move |may_wait| {
                    let patience = if may_wait { patience } else { Duration::ZERO };
                    let end = Instant::now() + patience;
                    firewall.look_again();
                    let kept = kept(&stored, patience);
                    let left = end.saturating_duration_since(Instant::now());
                    answer.send(Ok(with_effects(reply, kept, &firewall, left)));
                });
            }
            reply => answer.send(reply),
        }
    }

    /// The database has the history; a disk that hangs takes nothing from the rest of the answer.
    fn answer_why(&self, address: Prefix, answer: Answering) {
        let why = self.why(address);
        let zone = self.setup.zone.clone();
        let (sender, records) = sync_channel(1);
        self.persist.why(address, now(), Box::new(move |found| drop(sender.try_send(found))));
        thread::spawn(move || {
            let why = with_history(why, &records, PATIENCE, &zone);
            answer.send(Ok(Answer::Why(Box::new(why))));
        });
    }

    fn ban(
        &mut self,
        prefixes: &[Prefix],
        length: Length,
        reason: &str,
        force: bool,
        peer: &PeerProcess,
    ) -> Answer {
        let since = now();
        let until = self.until(length, since);
        let mut answer = Banned { until: until.map(|until| self.rfc3339(until)), ..Banned::default() };
        let by_hand = unearned(Origin::Manual, "by hand", since, until, force);
        for &offender in prefixes {
            let offender = offender.trunc();
            let ban = self.named(by_hand(offender), reason);
            match self.pipeline.engine.ban(ban, force) {
                Ok(()) => {
                    answer.banned.push(offender);
                    answer.longer.extend(self.longer(offender, until));
                }
                Err(why) => answer.refused.push(spared(offender, &why)),
            }
        }
        self.firewall.change(answer.banned.iter().copied().map(Change::Add));
        self.tallies.by_hand += answer.banned.len() as u64;
        self.say_banned(&answer, &report::length(since, until), reason, peer);
        Answer::Banned(answer)
    }

    /// A ban that ends later than asked for is not told of as if it ended then.
    fn say_banned(&mut self, answer: &Banned, length: &str, reason: &str, peer: &PeerProcess) {
        let longer: Vec<Prefix> = answer.longer.iter().map(|longer| longer.prefix).collect();
        let is_longer: HashSet<Prefix> = longer.iter().copied().collect();
        let as_asked: Vec<Prefix> =
            answer.banned.iter().copied().filter(|prefix| !is_longer.contains(prefix)).collect();
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let by_hand = format!("{length} by hand (uid {}){reason}", peer.uid);
        self.say(&as_asked, &by_hand, self.firewall.banned());
        self.say(&longer, &format!("banned as before, which is longer than {by_hand}"), "left");
    }

    /// Gives a ban the operator's reason; where there is none, that of the ban that it prolongs.
    fn named(&self, ban: Ban, reason: &str) -> Ban {
        let earlier =
            self.pipeline.engine.covering(&ban.offender).filter(|known| known.offender == ban.offender);
        let reason = match (reason, earlier) {
            ("", Some(earlier)) => Arc::clone(&earlier.reason),
            ("", None) => Arc::from("by hand"),
            _ => Arc::from(reason),
        };
        Ban { reason, ..ban }
    }

    /// The end of a ban that lasts longer than asked for.
    fn longer(&self, offender: Prefix, until: Option<Time>) -> Option<LongerBan> {
        let ban = self.pipeline.engine.covering(&offender).filter(|ban| ban.until != until)?;
        Some(LongerBan { prefix: offender, until: ban.until.map(|until| self.rfc3339(until)) })
    }

    /// When a ban of this length ends; `None` for never.
    pub(super) fn until(&self, length: Length, since: Time) -> Option<Time> {
        match length {
            Length::Forever => None,
            Length::For { ms } => Some(since.plus(Duration::from_millis(ms))),
            Length::Default => match self.setup.config.defaults.ban.length {
                BanLength::For(length) => Some(since.plus(length)),
                BanLength::Forever => None,
            },
        }
    }

    fn unban(&mut self, whom: &Unban, peer: &PeerProcess) -> Answer {
        let answer = unbanned(whom, self.pipeline.engine.unban(&whom.prefixes(), now()));
        self.firewall.change(answer.unbanned.iter().copied().map(Change::Remove));
        self.tallies.unbans += answer.unbanned.len() as u64;
        self.say(&answer.unbanned, &format!("by hand (uid {})", peer.uid), self.firewall.unbanned());
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

fn spared(prefix: Prefix, why: &BanRefusal) -> RefusedBan {
    let advice = if *why == BanRefusal::Allowed { "; `--force` bans it all the same" } else { "" };
    RefusedBan { prefix, why: format!("{why}{advice}") }
}

/// The answer without the firewall's part. Whoever frees all does not ask for anybody in particular.
pub(super) fn unbanned(whom: &Unban, done: engine::UnbanOutcome) -> Unbanned {
    let not_banned = if *whom == Unban::All { Vec::new() } else { done.not_banned };
    Unbanned { unbanned: done.freed, not_banned, ..Unbanned::default() }
}

/// Waits for what became of a change in the database.
fn kept(stored: &Receiver<Result<(), String>>, patience: Duration) -> StoreEffect {
    let result = stored.recv_timeout(patience).unwrap_or_else(|_| Err(no_answer(patience)));
    StoreEffect { stored: result.is_ok(), problem: result.err() }
}

fn with_history(
    mut why: AddressReport,
    records: &Receiver<Result<Vec<BanRecord>, StoreError>>,
    patience: Duration,
    zone: &TimeZone,
) -> AddressReport {
    match records.recv_timeout(patience).map_err(|_| no_answer(patience)) {
        Ok(Ok(records)) => why.history = records.into_iter().map(|record| past(record, zone)).collect(),
        Ok(Err(error)) => why.problem = Some(error.to_string()),
        Err(problem) => why.problem = Some(problem),
    }
    why
}

fn past(record: BanRecord, zone: &TimeZone) -> PastBan {
    let line = |line: BanLine| LoggedLine {
        at: line.at.rfc3339(zone),
        source: line.source,
        text: String::from_utf8_lossy(&line.text).into_owned(),
    };
    PastBan {
        ban: BanEntry::new(&record.ban, zone),
        ended: record.ended.map(|ended| ended.rfc3339(zone)),
        lines: record.lines.into_iter().map(line).collect(),
    }
}

fn no_answer(patience: Duration) -> String {
    format!("no answer from the database within {patience:?}; its disk may hang")
}

/// How long the work on an answer may take.
fn patience(answer: &Answer) -> Duration {
    let prefixes = match answer {
        Answer::Banned(banned) => banned.banned.len(),
        Answer::Unbanned(unbanned) => unbanned.unbanned.len(),
        _ => 0,
    };
    let each = PATIENCE_EACH.saturating_mul(u32::try_from(prefixes).unwrap_or(u32::MAX));
    (PATIENCE + each).min(LONGEST_PATIENCE)
}

/// Gives an answer; told whether it may wait.
type Give = Box<dyn FnOnce(bool) + Send>;

/// Has an answer given in a thread of its own; where the system has none to give, at once and without waiting.
fn apart(start: impl FnOnce(Receiver<Give>) -> io::Result<()>, give: impl FnOnce(bool) + Send + 'static) {
    let (sender, receiver) = channel::<Give>();
    let give: Give = Box::new(give);
    match start(receiver) {
        // The thread lives until it is sent something.
        Ok(()) => drop(sender.send(give)),
        Err(_no_thread) => give(false),
    }
}

fn start(receiver: Receiver<Give>) -> io::Result<()> {
    let run = move || {
        if let Ok(give) = receiver.recv() {
            give(true);
        }
    };
    thread::Builder::new().name("answer".to_owned()).spawn(run).map(drop)
}

/// Waits until the firewall is done, and adds what became of it there and in the database.
fn with_effects(
    mut answer: Answer,
    kept: StoreEffect,
    firewall: &firewall::WorkerHandle,
    patience: Duration,
) -> Answer {
    let done = firewall.carry_out(patience);
    let status = firewall.status();
    let effect = FirewallEffect {
        backend: status.backend,
        done: done && status.last_error.is_none(),
        pending: status.pending as u64,
        problem: status.last_error,
        warnings: if matches!(answer, Answer::Banned(_)) { status.warnings } else { Vec::new() },
    };
    match &mut answer {
        Answer::Banned(banned) => (banned.kept, banned.firewall) = (kept, effect),
        Answer::Unbanned(unbanned) => (unbanned.kept, unbanned.firewall) = (kept, effect),
        _ => {}
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    #[test]
    fn a_database_that_does_not_answer_holds_nobody_up() {
        let (sender, stored) = sync_channel(1);
        let problem = kept(&stored, SOON).problem.unwrap();
        assert!(problem.contains("no answer from the database within 5ms"), "{problem}");
        sender.send(Ok(())).unwrap();
        assert_eq!(kept(&stored, SOON), StoreEffect { stored: true, problem: None });
        let why = AddressReport {
            address: "192.0.2.7/32".parse().unwrap(),
            ban: None,
            allowed: false,
            trusted: true,
            windows: Vec::new(),
            history: Vec::new(),
            problem: None,
        };
        let (_sender, records) = sync_channel(1);
        let why = with_history(why, &records, SOON, &TimeZone::UTC);
        assert!(
            why.trusted && why.problem.is_some_and(|problem| problem.contains("no answer from the database"))
        );
    }

    /// Whether the giver of an answer was allowed to wait.
    fn may_wait(start: impl FnOnce(Receiver<Give>) -> io::Result<()>) -> bool {
        let (sender, receiver) = channel();
        apart(start, move |may_wait| sender.send(may_wait).expect("somebody listens"));
        receiver.recv().expect("it is given")
    }

    #[test]
    fn an_answer_is_given_also_where_no_thread_can_be_had() {
        assert!(may_wait(start));
        assert!(!may_wait(|_| Err(io::Error::from(io::ErrorKind::WouldBlock))));
    }

    #[test]
    fn a_list_is_waited_for_as_long_as_its_work_needs_and_no_longer_than_a_client_waits() {
        let banned = |count: u32| {
            let host = |n: u32| address::host(std::net::IpAddr::V4(n.into()));
            patience(&Answer::Banned(Banned { banned: (0..count).map(host).collect(), ..Banned::default() }))
        };
        assert_eq!(banned(1), PATIENCE + PATIENCE_EACH);
        assert_eq!(banned(10_000), Duration::from_secs(15));
        assert_eq!(banned(1_000_000), LONGEST_PATIENCE);
    }
}
