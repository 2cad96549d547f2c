//! `scan` and its stages on a log as a host under attack writes it: `cargo bench --bench scan`.
//!
//! Each stage does what the ones before it do and its own work, so that the difference is what it costs. The last
//! figure is the real program's on 200 MB, in CPU time; `benches/compare-rg.sh` sets that against ripgrep's.

#[path = "common/generate.rs"]
mod generate;

use std::fs::File;
use std::hint::black_box;
use std::io::BufWriter;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use criterion::{Criterion, Throughput};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use portcullis::pipeline::{LineSplitter, Terms, When};
use portcullis::record::{Layouts, parse};
use portcullis::rules::Binding;
use portcullis::setup::Setup;

/// Stages are measured in memory.
const SAMPLE: u64 = 4 << 20;

/// What the budget is said for.
const WHOLE: u64 = 200 << 20;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    stages(&mut criterion);
    whole(&mut criterion);
    criterion.final_summary();
}

/// The shipped rule sets, whatever is installed on this machine.
fn setup(directory: &Path) -> Setup {
    let config = directory.join("portcullis.yaml");
    std::fs::write(&config, format!("rules_dir: '{}/rules.d'\n", directory.display()))
        .expect("a configuration");
    Setup::load(Some(&config)).expect("shipped rule sets load")
}

fn stages(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut text = Vec::new();
    let lines = generate::log(SAMPLE, 1, &mut text).expect("it is memory");
    let matcher = setup(directory.path()).take_matcher();
    let mut group = criterion.benchmark_group("stages");
    group.throughput(Throughput::Elements(lines)).sample_size(30);
    group.bench_function("1 lines", |b| {
        b.iter(|| {
            for line in LineSplitter::new(&text, None) {
                black_box(line);
            }
        });
    });
    group.bench_function("2 records", |b| {
        b.iter(|| {
            for line in LineSplitter::new(&text, None) {
                black_box(parse(line.text));
            }
        });
    });
    let binding = Binding::new(matcher.sets(), None, Layouts::Syslog);
    group.bench_function("3 matches with addresses", |b| {
        b.iter(|| {
            for line in LineSplitter::new(&text, None) {
                for found in matcher.matches(&binding, line.text, &parse(line.text)) {
                    black_box(found);
                }
            }
        });
    });
    let mut setup = setup(directory.path());
    let mut pipeline = setup.pipeline(&[Terms { binding: binding.into(), ..Terms::default() }]);
    pipeline.engine.keep_no_journal();
    group.bench_function("4 verdicts", |b| {
        b.iter(|| black_box(pipeline.push(0, &text, When::Replayed, &mut ())));
    });
    group.finish();
}

fn whole(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("auth.log");
    let mut file = BufWriter::new(File::create(&log).expect("a log"));
    let lines = generate::log(WHOLE, 1, &mut file).expect("room for 200 MB");
    drop(file.into_inner().expect("it is written"));
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(lines)).sample_size(10);
    group.bench_function("200 MB, CPU time", |b| {
        b.iter_custom(|times| (0..times).map(|_| cpu_of_scan(&log)).sum());
    });
    group.finish();
}

fn cpu_of_scan(log: &Path) -> Duration {
    let before = cpu_of_children();
    let mut scan = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let status = scan.arg("scan").arg(log).stdout(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "scan failed");
    cpu_of_children() - before
}

fn cpu_of_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it never fails for oneself");
    let part =
        |time: TimeVal| Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()).unsigned_abs());
    part(usage.user_time()) + part(usage.system_time())
}
