//! What the state database costs: `cargo bench --bench store`.
//!
//! The large figures are CPU time (user and system), since disks differ; `commit/*` is real time, and for a ban it is
//! the disk's fsync.

#![expect(clippy::disallowed_macros, reason = "a bench may end when nobody reads its numbers")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use nix::sys::resource::{UsageWho, getrusage};
use portcullis::address::Prefix;
use portcullis::engine::{Ban, Origin, Owner, Row};
use portcullis::store::{Lock, Retention, Store, WriteBatch};
use portcullis::time::Time;
use tempfile::TempDir;

const NOW: Time = Time::from_secs(1_763_820_000);
const BANS: u32 = 100_000;

fn offender(n: u32) -> Prefix {
    // Scattered over all addresses, as attackers are.
    Prefix::from(std::net::IpAddr::from(n.wrapping_mul(2_654_435_761).to_be_bytes()))
}

fn ban(n: u32) -> Row {
    let until = Some(NOW.plus(Duration::from_secs(3600)));
    Row::from(Ban {
        offender: offender(n),
        owners: vec![Owner { set: "sshd".into(), until }].into(),
        since: NOW,
        until,
        nth: 1,
        reason: "sshd/failed-password".into(),
        origin: Origin::Rule,
        forced: false,
        spoofable: false,
    })
}

fn ended(n: u32) -> Row {
    Row::BanEnded { offender: offender(n), at: NOW }
}

fn window(n: u32) -> Row {
    Row::Window { set: "sshd".into(), offender: offender(n), seen: vec![(NOW, 10); 3].into() }
}

fn batch(count: u32, row: impl Fn(u32) -> Row) -> WriteBatch {
    WriteBatch { now: NOW, rows: (0..count).map(row).collect(), ..WriteBatch::default() }
}

fn open(dir: &TempDir) -> Store {
    let lock = Lock::acquire(&dir.path().join("state.db")).expect("nobody else uses it");
    Store::open(lock, Retention::default(), NOW).expect("it is new or ours")
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it never fails for oneself");
    let part = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0))
    };
    part(usage.user_time()) + part(usage.system_time())
}

fn cpu_of<T>(work: impl FnOnce() -> T) -> Duration {
    let before = cpu();
    work();
    cpu() - before
}

/// CPU time of `work` on a store that `prepare` filled.
fn large(c: &mut Criterion, name: &str, prepare: impl Fn(&mut Store), work: impl Fn(&mut Store)) {
    let mut group = c.benchmark_group("cpu");
    group.sample_size(10);
    group.bench_function(BenchmarkId::new(name, BANS), |b| {
        b.iter_custom(|times| {
            let once = |_| {
                let dir = tempfile::tempdir().expect("a directory");
                let mut store = open(&dir);
                prepare(&mut store);
                cpu_of(|| work(&mut store))
            };
            (0..times).map(once).sum()
        });
    });
    group.finish();
}

fn commit(store: &mut Store, batch: WriteBatch) {
    store.commit(batch).expect("the disk has room");
}

/// How large the file becomes, with its log, while attackers come and go for four months: nothing that is over stays.
fn growth() {
    const QUARTERS: u32 = 120 * 4;
    const ATTACKERS: u32 = 700;
    let (hour, dir) = (Duration::from_secs(3600), tempfile::tempdir().expect("a directory"));
    let path = dir.path().join("state.db");
    let keep = Retention { history: hour * 24 * 7, windows: hour, trust: hour, escalation: hour * 24 };
    let mut store =
        Store::open(Lock::acquire(&path).expect("nobody else uses it"), keep, NOW).expect("it is new");
    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let mut largest = 0;
    for quarter in 0..QUARTERS {
        let now = NOW.plus(hour * 6 * quarter);
        let attackers = quarter * ATTACKERS..(quarter + 1) * ATTACKERS;
        let ended = |n: u32| Row::BanEnded { offender: offender(n.wrapping_sub(ATTACKERS)), at: now };
        let rows = attackers.flat_map(|n| [window(n), ban(n), ended(n)]).collect();
        commit(&mut store, WriteBatch { now, rows, ..WriteBatch::default() });
        largest = largest.max(size(&path) + size(&dir.path().join("state.db-wal")));
    }
    println!("growth: {} changes, {largest} bytes at the most", 3 * ATTACKERS * QUARTERS);
}

fn main() {
    growth();
    let mut c = Criterion::default().configure_from_args();
    let bans = |store: &mut Store| commit(store, batch(BANS, ban));
    large(&mut c, "store bans", |_| (), bans);
    large(&mut c, "end bans", bans, |store| commit(store, batch(BANS, ended)));
    large(&mut c, "store windows", |_| (), |store| commit(store, batch(BANS, window)));
    large(&mut c, "load bans", bans, |store| store.load(NOW, |_| ()).expect("it is readable"));
    let windows = |store: &mut Store| commit(store, batch(BANS, window));
    large(&mut c, "load windows", windows, |store| store.load(NOW, |_| ()).expect("it is readable"));
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(&dir);
    // Another one each time: SQLite does not write what does not change.
    let mut n = 0;
    let mut next = |row: fn(u32) -> Row| {
        n += 1;
        WriteBatch { now: NOW, rows: vec![row(n)], ..WriteBatch::default() }
    };
    c.bench_function("commit/one ban", |b| b.iter(|| commit(&mut store, next(ban))));
    c.bench_function("commit/one window", |b| b.iter(|| commit(&mut store, next(window))));
    c.final_summary();
}
