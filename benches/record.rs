//! What a line costs before any rule sees it: `cargo bench --bench record`. Each figure is for one line.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use jiff::tz::TimeZone;
use portcullis::pipeline::{LineSplitter, WholeLines};
use portcullis::record::{Clock, may_be_cut, parse, repeat};
use portcullis::time::Time;

const LINES: [(&str, &str); 6] = [
    ("bsd", "Nov 22 14:38:31 gw sshd[29842]: Failed password for root from 192.0.2.7 port 52550 ssh2"),
    ("raw", "Nov 22 14:38:31 gw some text that nobody signed, from 192.0.2.7 port 52550"),
    (
        "kernel",
        "Nov 22 14:38:31 gw kernel: TCP: [192.0.2.7]:40601 to [198.51.100.1]:22 tcpflags 0x10<ACK>; syncache_expand: \
         Segment failed SYNCOOKIE authentication, segment rejected (probably spoofed)",
    ),
    (
        "rfc5424",
        "<38>1 2026-11-22T14:38:31.123456+01:00 gw.example.org sshd 29842 - - Failed password for root from 192.0.2.7 \
         port 52550 ssh2",
    ),
    (
        "iso",
        "2026-11-22T14:38:31.123456+01:00 gw sshd[29842]: Failed password for root from 192.0.2.7 port 52550 ssh2",
    ),
    (
        "socklog",
        "2026-11-22_13:38:31.12345 auth.info: Nov 22 14:38:31 sshd[1]: Failed password for root from 192.0.2.7",
    ),
];

fn parsing(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    for (name, line) in LINES {
        group.bench_function(name, |b| b.iter(|| parse(black_box(line.as_bytes()))));
    }
    group.finish();
    let record = parse(LINES[0].1.as_bytes());
    c.bench_function("repeat", |b| b.iter(|| repeat(black_box(&record))));
    c.bench_function("may_be_cut", |b| b.iter(|| may_be_cut(black_box(LINES[0].1.as_bytes()), &record)));
}

/// Within a minute, and with a new minute each time, which asks the calendar.
fn telling_time(c: &mut Criterion) {
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a rule");
    let now = Time::from_secs(1_795_400_000);
    let [first, second, iso] =
        ["Nov 22 14:38:31 x", "Nov 22 14:39:31 x", "2026-11-22T14:38:31.123456+01:00 x"]
            .map(|line| parse(line.as_bytes()).stamp);
    let mut clock = Clock::new(zone, now);
    c.bench_function("clock/same minute", |b| b.iter(|| clock.time(black_box(&first))));
    c.bench_function("clock/same minute, iso", |b| b.iter(|| clock.time(black_box(&iso))));
    c.bench_function("clock/two new minutes", |b| {
        b.iter(|| [clock.time(black_box(&first)), clock.time(&second)]);
    });
}

/// A thousand lines, read in chunks of 64 KiB.
fn cutting_lines(c: &mut Criterion) {
    let text = format!("{}\n", LINES[0].1).repeat(1000);
    let mut group = c.benchmark_group("lines");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("1000", |b| {
        b.iter_batched_ref(WholeLines::default, |lines| count(lines, text.as_bytes()), BatchSize::SmallInput);
    });
    group.finish();
}

fn count(whole: &mut WholeLines, text: &[u8]) -> usize {
    let mut total = 0;
    for chunk in text.chunks(64 * 1024) {
        whole.room(chunk.len()).copy_from_slice(chunk);
        whole.add(chunk.len());
        while whole.advance() {
            total +=
                LineSplitter::new(whole.found(), None).map(|line| black_box(line).text.len()).sum::<usize>();
        }
    }
    total
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    parsing(&mut criterion);
    telling_time(&mut criterion);
    cutting_lines(&mut criterion);
    criterion.final_summary();
}
