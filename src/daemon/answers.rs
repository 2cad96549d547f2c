//! Answers that take a while: what became of a change in the database and in the firewall, and the history of an address.
//!
//! Each is given in a thread of its own, since neither the database nor the deciding may wait for a firewall.

use std::io;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use super::enforcement::Enforcement;
use super::now;
use super::persist::Persist;
use crate::control::reply::{AddressReport, BanEntry, FirewallEffect, LoggedLine, PastBan, StoreEffect};
use crate::control::{Answer, Answering};
use crate::firewall::WorkerHandle;
use crate::store::{BanLine, BanRecord, StoreError};

/// How long a client is kept waiting to be told that the database and the firewall did it too, whatever it is;
const PATIENCE: Duration = Duration::from_secs(5);

/// and how much longer for each prefix: a slow machine stores a hundred thousand in more than five seconds.
const PATIENCE_EACH: Duration = Duration::from_millis(1);

/// but less than the socket gives an answer.
const MAX_PATIENCE: Duration = Duration::from_secs(80);

/// Sends the answer to a change once it is stored and the firewall followed, or after a while without.
pub(super) fn once_done(reply: Answer, enforcement: &mut Enforcement, answer: Answering) {
    let firewall = enforcement.firewall.handle();
    let (sender, stored) = sync_channel(1);
    enforcement.persist.after(Box::new(move |result| drop(sender.try_send(result.clone()))));
    let patience = patience(&reply);
    in_thread(start, move |may_wait| {
        let patience = if may_wait { patience } else { Duration::ZERO };
        let end = Instant::now() + patience;
        firewall.look_again();
        let kept = store_effect(&stored, patience);
        let left = end.saturating_duration_since(Instant::now());
        answer.send(Ok(with_effects(reply, kept, &firewall, left)));
    });
}

/// Sends a report with the history, which the database has; a disk that hangs takes nothing from the rest of the answer.
pub(super) fn with_history(report: AddressReport, persist: &Persist, zone: TimeZone, answer: Answering) {
    let (sender, records) = sync_channel(1);
    persist.history(report.address, now(), Box::new(move |found| drop(sender.try_send(found))));
    in_thread(start, move |may_wait| {
        let patience = if may_wait { PATIENCE } else { Duration::ZERO };
        let report = add_history(report, &records, patience, &zone);
        answer.send(Ok(Answer::Why(Box::new(report))));
    });
}

fn add_history(
    mut report: AddressReport,
    records: &Receiver<Result<Vec<BanRecord>, StoreError>>,
    patience: Duration,
    zone: &TimeZone,
) -> AddressReport {
    match records.recv_timeout(patience) {
        Ok(Ok(records)) => report.history = records.into_iter().map(|record| past(record, zone)).collect(),
        Ok(Err(error)) => report.problem = Some(error.to_string()),
        Err(_) => report.problem = Some(no_answer(patience)),
    }
    report
}

fn past(record: BanRecord, zone: &TimeZone) -> PastBan {
    let line = |line: BanLine| LoggedLine {
        at: line.at.rfc3339(zone),
        source: line.source.to_string(),
        text: String::from_utf8_lossy(&line.text).into_owned(),
    };
    PastBan {
        ban: BanEntry::new(&record.ban, zone),
        ended: record.ended.map(|ended| ended.rfc3339(zone)),
        lines: record.lines.into_iter().map(line).collect(),
    }
}

/// Waits for what became of a change in the database.
fn store_effect(stored: &Receiver<Result<(), String>>, patience: Duration) -> StoreEffect {
    let result = stored.recv_timeout(patience).unwrap_or_else(|_| Err(no_answer(patience)));
    StoreEffect { stored: result.is_ok(), problem: result.err() }
}

fn no_answer(patience: Duration) -> String {
    format!("no answer from the database within {patience:?}; the disk may be stalled")
}

/// How long the work on an answer may take.
fn patience(answer: &Answer) -> Duration {
    let prefixes = match answer {
        Answer::Banned(banned) => banned.banned.len(),
        Answer::Unbanned(unbanned) => unbanned.unbanned.len(),
        _ => 0,
    };
    let each = PATIENCE_EACH.saturating_mul(u32::try_from(prefixes).unwrap_or(u32::MAX));
    (PATIENCE + each).min(MAX_PATIENCE)
}

/// Waits until the firewall is done, and adds what became of a change there and in the database.
fn with_effects(
    mut answer: Answer,
    kept: StoreEffect,
    firewall: &WorkerHandle,
    patience: Duration,
) -> Answer {
    let is_done = firewall.carry_out(patience);
    let status = firewall.status();
    let mut effect = FirewallEffect {
        backend: status.backend,
        done: is_done && status.last_error.is_none(),
        pending: status.pending as u64,
        problem: status.last_error,
        warnings: Vec::new(),
    };
    match &mut answer {
        Answer::Banned(banned) => {
            effect.warnings = status.warnings;
            banned.kept = kept;
            banned.firewall = effect;
        }
        // Whoever is freed need not be told what keeps others from being blocked.
        Answer::Unbanned(unbanned) => {
            unbanned.kept = kept;
            unbanned.firewall = effect;
        }
        _ => {}
    }
    answer
}

/// Gives an answer; told whether it may wait.
type Give = Box<dyn FnOnce(bool) + Send>;

/// Has an answer given in a thread of its own; where the system has none to give, at once and without waiting.
fn in_thread(start: impl FnOnce(Receiver<Give>) -> io::Result<()>, give: impl FnOnce(bool) + Send + 'static) {
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
    thread::Builder::new().name("answer".to_owned()).spawn(run)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address;
    use crate::control::reply::Banned;

    const SOON: Duration = Duration::from_millis(5);

    #[test]
    fn a_database_that_does_not_answer_holds_nobody_up() {
        let (sender, stored) = sync_channel(1);
        let problem = store_effect(&stored, SOON).problem.unwrap();
        assert!(problem.contains("no answer from the database within 5ms"), "{problem}");
        sender.send(Ok(())).unwrap();
        assert_eq!(store_effect(&stored, SOON), StoreEffect { stored: true, problem: None });
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
        let why = add_history(why, &records, SOON, &TimeZone::UTC);
        assert!(
            why.trusted && why.problem.is_some_and(|problem| problem.contains("no answer from the database"))
        );
    }

    /// Whether the giver of an answer was allowed to wait.
    fn may_wait(start: impl FnOnce(Receiver<Give>) -> io::Result<()>) -> bool {
        let (sender, receiver) = channel();
        in_thread(start, move |may_wait| sender.send(may_wait).expect("somebody listens"));
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
        assert_eq!(banned(1_000_000), MAX_PATIENCE);
    }
}
