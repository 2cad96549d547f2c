//! The daemon against its budgets (Linux): `cargo bench --bench daemon [-- latency|first|lag|restart|memory|idle|flood]…`.
//!
//! A plain program, since what is measured is another process: its delay, CPU time, memory and sleep. It prints
//! numbers and judges none of them; a slow or busy machine shows in them. As root it measures two processes, or one with
//! `PORTCULLIS_PRIVILEGES=single`.
#![expect(clippy::disallowed_macros, reason = "a bench may end when nobody reads its numbers")]

#[path = "../common/generate.rs"]
mod generate;
mod lag;
mod process;
mod stand;

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use stand::{PORTCULLIS, Stand, now};

/// A measurement and the word that asks for it.
type Part = (&'static str, fn());
const PARTS: [Part; 7] = [
    ("latency", latency),
    ("first", first),
    ("lag", lag::lag),
    ("restart", restart),
    ("memory", memory),
    ("idle", idle),
    ("flood", flood),
];

const SAMPLES: u32 = 200;
const STORED: u32 = 100_000;
const DISTINCT: u32 = 1_000_000;
const FLOOD: u64 = 200 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [word, file, what] = arguments.as_slice()
        && word == "stamp"
    {
        return stand::stamp(file, what);
    }
    for (name, part) in PARTS {
        if arguments.is_empty() || arguments.iter().any(|word| word == name) {
            part();
        }
    }
}

/// The time as a syslog daemon prints it: a line with an older one counts as late.
fn time() -> String {
    let now = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::system());
    now.strftime("%b %e %H:%M:%S").to_string()
}

/// Five failures of one address in one write, as sshd would have written them in as many connections.
fn failures(address: Ipv4Addr) -> Vec<u8> {
    let time = time();
    let line = |pid| {
        format!("{time} gw sshd[{pid}]: Failed password for root from {address} port 52548 ssh2\n")
            .into_bytes()
    };
    let base = address.to_bits() % 90_000;
    (0..5).flat_map(|nth| line(base + nth)).collect()
}

/// The nth of many public addresses.
fn address(nth: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x2d00_0000 + nth)
}

/// Line appended to command started, and what starting a command costs by itself.
fn latency() {
    let mut stand = Stand::new("");
    stand.start();
    let mut delays: Vec<u128> = (0..SAMPLES).map(|nth| delay(&stand, address(nth))).collect();
    let mut starts: Vec<u128> = (0..SAMPLES).map(|nth| bare_start(&stand, nth)).collect();
    report("latency: line appended -> command's main", &mut delays);
    report("latency: the command started by itself  ", &mut starts);
}

fn delay(stand: &Stand, address: Ipv4Addr) -> u128 {
    let prefix = address.to_string();
    let appended = stand.append(&failures(address));
    stand.until("the address is blocked", |stand| stand.blocked(&prefix).is_some());
    let delay = stand.blocked(&prefix).unwrap_or_default() - appended;
    stand.clear();
    // The daemon stores the ban and goes to sleep again.
    sleep(Duration::from_millis(30));
    delay
}

/// The first bans after a start, with and without others that go back into an empty table meanwhile.
fn first() {
    first_of("few bans    ", Stand::new(""));
    first_of("100,000 bans", with_stored_bans());
}

fn first_of(what: &str, mut stand: Stand) {
    const ROUNDS: u32 = 20;
    let mut delays: [Vec<u128>; 3] = Default::default();
    for round in 0..ROUNDS {
        stand.start();
        for (nth, delays) in (0..).zip(&mut delays) {
            delays.push(delay(&stand, address(STORED + 3 * round + nth)));
        }
        stand.stop();
    }
    for (nth, delays) in (1..).zip(&mut delays) {
        report(&format!("first: {what}  ban {nth} after the start"), delays);
    }
}

/// What fork, exec and the loader take before the command's own clock runs.
fn bare_start(stand: &Stand, nth: u32) -> u128 {
    let before = now();
    let file = stand.log.with_extension("bare");
    let mut command = Command::new(std::env::current_exe().expect("our own path"));
    command.arg("stamp").arg(&file).arg("add").stdin(Stdio::null()).env_clear();
    assert!(command.status().expect("it starts").success());
    let text = std::fs::read_to_string(&file).expect("a stamp");
    let line = text.lines().nth(nth as usize).expect("one line a run");
    line.split(' ').next().and_then(|word| word.parse::<u128>().ok()).expect("a time") - before
}

fn report(what: &str, nanos: &mut [u128]) {
    nanos.sort_unstable();
    let at = |percent: usize| nanos[(nanos.len() * percent / 100).min(nanos.len() - 1)] as f64 / 1e6;
    println!(
        "{what}  p50 {:.2} ms  p90 {:.2} ms  p99 {:.2} ms  worst {:.2} ms",
        at(50),
        at(90),
        at(99),
        at(100)
    );
}

fn list(count: u32) -> String {
    (0..count).map(|nth| format!("{}\n", address(nth))).collect()
}

/// A stand whose database holds many bans, and which is stopped.
fn with_stored_bans() -> Stand {
    let mut stand = Stand::new("defaults: {ban: {for: 1d}}\n");
    stand.start();
    let start = Instant::now();
    stand.ban(&list(STORED));
    println!("restart: {STORED} bans by hand took {:.2} s", start.elapsed().as_secs_f64());
    stand.until("all are blocked", |stand| blocked(stand) >= STORED as usize);
    stand.stop();
    stand.clear();
    stand
}

fn blocked(stand: &Stand) -> usize {
    stand.stamps().iter().filter(|stamp| stamp.what == "add").map(|stamp| stamp.prefixes.len()).sum()
}

/// Many stored bans at a start: how many commands and how much of our own time until the table is complete.
fn restart() {
    let mut stand = with_stored_bans();
    let start = Instant::now();
    stand.start();
    stand.until("the table is complete", |stand| blocked(stand) >= STORED as usize);
    let (wall, cpu) = (start.elapsed(), process::cpu(stand.pid()));
    let commands = stand.stamps().len();
    println!(
        "restart: {STORED} stored bans  table complete after {:.2} s  {commands} commands  own CPU {:.2} s",
        wall.as_secs_f64(),
        cpu.as_secs_f64()
    );
}

/// Resident memory at rest, with many bans, and after a flood of distinct addresses on top.
fn memory() {
    let mut stand = Stand::new("");
    stand.start();
    sleep(Duration::from_secs(1));
    print_memory("idle with the shipped rules", &stand);
    stand.stop();
    let mut stand = with_stored_bans();
    stand.start();
    stand.until("the table is complete", |stand| blocked(stand) >= STORED as usize);
    sleep(Duration::from_secs(2));
    print_memory("with 100,000 stored bans", &stand);
    for first in (0..DISTINCT).step_by(100_000) {
        let time = time();
        let line = |nth: u32| {
            let address = address(STORED + nth);
            format!(
                "{time} gw sshd[{}]: Failed password for root from {address} port 52548 ssh2\n",
                nth % 99_999
            )
        };
        stand.append((first..first + 100_000).map(line).collect::<String>().as_bytes());
    }
    stand.until("the log is read", |stand| stand.lines() == u64::from(DISTINCT));
    sleep(Duration::from_secs(3));
    print_memory("after a million further addresses", &stand);
}

fn print_memory(when: &str, stand: &Stand) {
    let (resident, highest) = process::resident(stand.pid());
    println!("memory: {when}: {:.1} MB resident, {:.1} MB at most", mib(resident), mib(highest));
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Wake-ups and CPU time while nothing happens.
fn idle() {
    const SPAN: Duration = Duration::from_secs(20);
    let mut stand = Stand::new("");
    stand.start();
    sleep(Duration::from_secs(3));
    let (before, cpu) = (process::sleeps(stand.pid()), process::cpu(stand.pid()));
    sleep(SPAN);
    let (after, cpu) = (process::sleeps(stand.pid()), process::cpu(stand.pid()).saturating_sub(cpu));
    println!("idle: {SPAN:?}  CPU {} ms", cpu.as_millis());
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        println!("idle:   {name:<16} {:.2} wake-ups a second", (after - before) as f64 / SPAN.as_secs_f64());
    }
}

/// A flood appended at once: as fast as `scan`, and bans go out soon after their line was read.
fn flood() {
    const MARKS: u32 = 20;
    let (mut stand, mut text) = (Stand::new(""), Vec::new());
    let (mut marks, mut lines) = (Vec::new(), 0);
    for nth in 0..MARKS {
        lines +=
            generate::log(FLOOD / u64::from(MARKS), u64::from(nth), &mut text).expect("it is memory") + 5;
        text.extend(failures(address(nth)));
        marks.push((address(nth).to_string(), lines));
    }
    stand.start();
    let before = process::cpu(stand.pid());
    let start = Instant::now();
    stand.append(&text);
    let mut read: Vec<Option<u128>> = vec![None; marks.len()];
    while read.iter().any(Option::is_none) {
        let lines = stand.lines();
        for (read, (_, end)) in read.iter_mut().zip(&marks) {
            if lines >= *end {
                read.get_or_insert_with(now);
            }
        }
        sleep(Duration::from_millis(3));
    }
    let wall = start.elapsed();
    stand.until("all are blocked", |stand| marks.iter().all(|(prefix, _)| stand.blocked(prefix).is_some()));
    let cpu = process::cpu(stand.pid()).saturating_sub(before);
    let (scan_wall, scan_cpu) = scan(&stand);
    println!(
        "flood: {} MB  followed in {:.2} s, {:.2} s CPU  scan in {:.2} s, {:.2} s CPU  {} commands",
        text.len() >> 20,
        wall.as_secs_f64(),
        cpu.as_secs_f64(),
        scan_wall.as_secs_f64(),
        scan_cpu.as_secs_f64(),
        stand.stamps().len()
    );
    let late = |((prefix, _), read): (&(String, u64), &Option<u128>)| {
        stand.blocked(prefix)?.checked_sub((*read)?).or(Some(0))
    };
    let mut late: Vec<u128> = marks.iter().zip(&read).filter_map(late).collect();
    report("flood: line read -> command's main       ", &mut late);
}

/// Wall and CPU time of `scan` on the same log.
fn scan(stand: &Stand) -> (Duration, Duration) {
    use nix::sys::resource::{UsageWho, getrusage};
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is always known");
        let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros((micros(usage.user_time()) + micros(usage.system_time())).unsigned_abs())
    };
    let (start, before) = (Instant::now(), used());
    let status = Command::new(PORTCULLIS).arg("scan").arg(&stand.log).stdout(Stdio::null()).status();
    assert!(status.expect("it starts").success());
    (start.elapsed(), used().saturating_sub(before))
}
