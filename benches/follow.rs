//! Following: how fast a flood is read, what an idle look costs, and how long an appended line takes to come out.

use std::fs::{self, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use portcullis::follow::{Follower, Options, Source, spawn};

const LINE: &str =
    "Nov 22 14:38:31 gw sshd[29842]: Failed password for root from 192.0.2.7 port 52548 ssh2\n";

/// A flood of 64 MiB, from the page cache.
fn flood(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("log");
    let text = LINE.repeat((64 << 20) / LINE.len());
    fs::write(&path, &text).expect("a log");
    let source = Source { from_start: true, ..Source::files("log", path) };
    let mut group = criterion.benchmark_group("follow");
    group.sample_size(20).throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("flood", |bencher| {
        bencher.iter(|| {
            let now = Instant::now();
            let mut follower = Follower::new(vec![source.clone()], &[], Duration::ZERO, now);
            let mut bytes = 0;
            while follower
                .look(now, &mut |chunk| {
                    bytes += black_box(chunk.bytes).len();
                    ControlFlow::Continue(())
                })
                .more
            {}
            assert_eq!(bytes, text.len());
        });
    });
    group.finish();
}

/// A tick over ten logs in which nothing happens.
fn idle(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let source = |n: u32| {
        let path = directory.path().join(n.to_string());
        fs::write(&path, LINE).expect("a log");
        Source::files(n.to_string(), path)
    };
    let mut now = Instant::now();
    let mut follower = Follower::new((0..10).map(source).collect(), &[], Duration::ZERO, now);
    criterion.bench_function("follow/idle look at ten logs", |bencher| {
        bencher.iter(|| {
            now += Duration::from_secs(1);
            follower.look(now, &mut |chunk| {
                black_box(chunk.bytes);
                ControlFlow::Continue(())
            })
        });
    });
}

/// From the end of the logger's write to the line in the receiver's hands, with events.
fn latency(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("log");
    let mut log = OpenOptions::new().append(true).create(true).open(&path).expect("a log");
    let (sender, batches) = sync_channel(8);
    let options = Options::default();
    let follower = Follower::new(vec![Source::files("log", path)], &[], options.quiet, Instant::now());
    let handle = spawn(follower, options, sender, |batch| batch, None).expect("a thread");
    batches.recv().expect("the first position");
    std::thread::sleep(Duration::from_millis(100));
    criterion.bench_function("follow/append to receive", |bencher| {
        bencher.iter(|| {
            log.write_all(LINE.as_bytes()).expect("written");
            batches.recv().expect("a batch")
        });
    });
    handle.stop();
    drop(batches);
    handle.join();
}

criterion_group!(benches, flood, idle, latency);
criterion_main!(benches);
