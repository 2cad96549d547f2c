//! How long lines of the host's own log wait for what root of a jail made of a log that is followed, too.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::stand::{Stand, now};
use crate::{address, delay, failures, report, time};

/// A name, and what is done to the jail's directory, where `jail.log` was read to its end before.
type Sabotage = (&'static str, fn(&Path));

const SABOTAGES: [Sabotage; 8] = [
    ("nothing", |_| {}),
    ("holes", holes),
    ("bombs", bombs),
    ("endless line", |jail| grow(jail, b"xxxxxxxxxxxxxxx")),
    ("no stamps", |jail| grow(jail, b"nobody knows when\n")),
    ("stamps of 1970", |jail| grow(jail, b"1970-01-01T00:00:00Z jail cron[1]: tick\n")),
    ("stamps of 2100", |jail| grow(jail, b"2100-01-01T00:00:00Z jail cron[1]: tick\n")),
    ("a million small files", small_files),
];

/// So long after a start or a sabotage the host's log is written to.
const SPAN: Duration = Duration::from_secs(4);

const GROWTH: usize = 200 << 20;
const SMALL_FILES: u32 = 1_000_000;

pub(crate) fn lag() {
    for (what, sabotage) in SABOTAGES {
        let (mut stand, jail) = with_jail();
        stand.stop();
        sabotage(&jail);
        stand.append(&failures(address(0)));
        let start = now();
        stand.start();
        let appended = stand.append(&failures(address(1)));
        let blocked = |stand: &Stand| {
            Some((stand.blocked(&address(0).to_string())?, stand.blocked(&address(1).to_string())?))
        };
        stand.until("both are blocked", |stand| blocked(stand).is_some());
        let (before, then) = blocked(&stand).expect("they are");
        println!(
            "lag: {what:<22} there at a start: lines written before it {:.0} ms after the start, then {:.0} ms after they came",
            (before - start) as f64 / 1e6,
            (then - appended) as f64 / 1e6
        );
        let mut live = live(&stand, 2);
        report(&format!("lag: {what:<22} there at a start: lines that come then      "), &mut live);
        stand.stop();
        drop(stand);
        during_a_run(what, sabotage);
    }
}

/// A daemon that has read the jail's log, and the directory of that.
fn with_jail() -> (Stand, PathBuf) {
    let mut stand = Stand::with_sources("jail: 'DIR/jail/*.log'", "");
    let jail = stand.file("jail");
    fs::create_dir(&jail).expect("a directory");
    append(&jail.join("jail.log"), b"");
    stand.start();
    tick(&jail);
    stand.until("it is read", |stand| stand.lines() > 0);
    (stand, jail)
}

/// The same while the daemon runs.
fn during_a_run(what: &str, sabotage: fn(&Path)) {
    let (stand, jail) = with_jail();
    let working = std::thread::spawn(move || sabotage(&jail));
    let during = (1..).map_while(|nth| (!working.is_finished()).then(|| delay(&stand, address(nth))));
    let mut delays: Vec<u128> = during.collect();
    working.join().expect("the sabotage succeeds");
    delays.extend(live(&stand, 1 + u32::try_from(delays.len()).expect("some thousands")));
    report(&format!("lag: {what:<22} made during a run: lines that come then     "), &mut delays);
}

/// The delays of bans of other addresses than the first so many, as long as a sabotage may tell.
fn live(stand: &Stand, first: u32) -> Vec<u128> {
    let begin = Instant::now();
    (first..).map_while(|nth| (begin.elapsed() < SPAN).then(|| delay(stand, address(nth)))).collect()
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file of the jail's");
    file.write_all(bytes).expect("room for it");
}

/// An honest line.
fn tick(jail: &Path) {
    append(&jail.join("jail.log"), format!("{} jail cron[1]: tick\n", time()).as_bytes());
}

fn grow(jail: &Path, line: &[u8]) {
    let piece = line.repeat((1 << 20) / line.len());
    (0..GROWTH / piece.len()).for_each(|_| append(&jail.join("jail.log"), &piece));
}

/// Of 400 GB at the end of the log that is followed, of 4 TB in another one. Neither takes any room.
fn holes(jail: &Path) {
    for (name, size) in [("jail.log", 400 << 30), ("other.log", 4 << 40)] {
        let file = OpenOptions::new().create(true).append(true).open(jail.join(name));
        file.and_then(|file| file.set_len(size)).expect("a hole");
    }
}

/// Packed files of some 150 KB that unpack to nearly a gigabyte each, as if the log had been rotated.
fn bombs(jail: &Path) {
    let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    packer.write_all(&b"Jan  1 00:00:00 jail cron[1]: tick\n".repeat(25_000)).expect("it is memory");
    let bomb = packer.finish().expect("it is memory").repeat(1000);
    fs::remove_file(jail.join("jail.log")).expect("the log");
    (0..8).for_each(|nth| fs::write(jail.join(format!("jail.log.{nth}.bz2")), &bomb).expect("room for it"));
    tick(jail);
}

fn small_files(jail: &Path) {
    (0..SMALL_FILES)
        .for_each(|nth| drop(File::create(jail.join(format!("small{nth}.log"))).expect("a file")));
}
