//! `kill -9` at any moment: the table equals the state, no reported ban is lost, no entry is without a record.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::SIGKILL;

use super::stand::{Stand, append, failure};

/// Rounds in an ordinary run; `PORTCULLIS_KILLS=200` is the full one.
const KILLS: u64 = 12;

/// Addresses of the reported bans: `portcullis: banned 198.18.0.1 for …`.
fn reported(said: &[String]) -> BTreeSet<String> {
    let banned = |line: &String| line.split_once(": banned ")?.1.split(' ').next().map(str::to_owned);
    said.iter().filter_map(banned).collect()
}

/// Numbers that look random and are the same in every run: an xorshift.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// One round of load: attackers get their five failures, in small portions, until the daemon is killed.
fn load(stand: &mut Stand, round: u64, seed: &mut u64) -> Vec<String> {
    let log = stand.file("auth.log");
    let delay = Duration::from_micros(next(seed) % 40_000);
    let writer = thread::spawn(move || {
        for attacker in 1..=20 {
            let address = format!("198.18.{round}.{attacker}");
            append(&log, (0..5).map(|_| failure(&address)));
            thread::sleep(Duration::from_millis(1));
        }
    });
    thread::sleep(delay);
    let said = stand.stop(SIGKILL);
    writer.join().unwrap();
    said
}

#[test]
fn kill_9_at_random_moments_loses_nothing() {
    let rounds = std::env::var("PORTCULLIS_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let [pf, ipfw] = Stand::both();
    for (mut stand, rounds) in [(pf, rounds.div_ceil(2)), (ipfw, rounds / 2)] {
        let mut seed = 0x9e37_79b9_7f4a_7c15 ^ rounds;
        let mut told = BTreeSet::new();
        stand.start();
        stand.fail("203.0.113.7", 5);
        stand.until("the logs are known", |stand| !reported(&stand.daemon().said()).is_empty());
        for round in 0..rounds {
            told.extend(reported(&load(&mut stand, round, &mut seed)));
            stand.start();
            let everybody = 20 * (usize::try_from(round).unwrap() + 1) + 1;
            stand.until("all are blocked", |stand| stand.table().len() >= everybody);
            stand.until("the table equals the state", |stand| stand.bans() == stand.table());
            assert_eq!(stand.table().len(), everybody, "nobody else is blocked");
            assert!(told.is_subset(&stand.bans()), "reported and lost: {:?}", told.difference(&stand.bans()));
        }
    }
}
