//! A strict stand-in for journalctl(1) of systemd, for tests on machines without a journal.
//!
//! `PROGRAM.entries` holds the entries, an object of JSON a line, each with `__REALTIME_TIMESTAMP`. What is printed is as
//! systemd 252 prints it with `-o export` (see <https://systemd.io/JOURNAL_EXPORT_FORMATS>): the address fields first, values
//! that are no printable text with their length. Arguments that we have no reason to use are refused.
//! `PROGRAM.fails` says what it complains of before it ends; each start consumes a line of it. It says its process id in
//! `PROGRAM.pid`, and like the real one ends when nobody reads its output any more.
#![allow(clippy::disallowed_macros, reason = "a fake may end when nobody reads what it says")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How often it looks for new entries.
const TICK: Duration = Duration::from_millis(10);

/// Always printed, whatever `--output-fields` says.
const ALWAYS: [&str; 4] = ["__CURSOR", "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP", "_BOOT_ID"];

type Entry = BTreeMap<String, String>;

#[derive(Default)]
struct Call {
    is_export: bool,
    follows: bool,
    no_tail: bool,
    fields: Option<Vec<String>>,
    cursor: Option<usize>,
    since: Option<u64>,
    identifiers: Vec<String>,
}

impl Call {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut call = Self::default();
        for argument in arguments {
            match argument.split_once('=').unwrap_or((&argument, "")) {
                ("--output", "export") => call.is_export = true,
                ("--follow", "") => call.follows = true,
                ("--no-tail", "") => call.no_tail = true,
                ("--no-pager" | "--quiet", "") => {}
                ("--output-fields", list) => call.fields = Some(list.split(',').map(str::to_owned).collect()),
                ("--cursor", cursor) => call.cursor = Some(number_of(cursor)?),
                ("--since", time) => call.since = Some(micros(time)?),
                ("SYSLOG_IDENTIFIER", name) => call.identifiers.push(name.to_owned()),
                _ => return Err(format!("unrecognized option '{argument}'")),
            }
        }
        let is_whole = call.is_export && (!call.follows || call.no_tail);
        if is_whole { Ok(call) } else { Err("this call would print something else".to_owned()) }
    }

    fn wants(&self, number: usize, entry: &Entry) -> bool {
        let at: u64 = entry["__REALTIME_TIMESTAMP"].parse().expect("microseconds");
        let is_named = entry.get("SYSLOG_IDENTIFIER").is_some_and(|name| self.identifiers.contains(name));
        self.cursor.is_none_or(|first| number >= first)
            && self.since.is_none_or(|since| at >= since)
            && (self.identifiers.is_empty() || is_named)
    }

    fn print(&self, number: usize, entry: &Entry, out: &mut Vec<u8>) {
        let own = [
            ("__CURSOR", cursor(number)),
            ("__MONOTONIC_TIMESTAMP", number.to_string()),
            ("_BOOT_ID", "b0".into()),
        ];
        let mut all = entry.clone();
        all.extend(own.map(|(name, value)| (name.to_owned(), value)));
        for name in ALWAYS {
            field(name, &all[name], out);
        }
        let others = all.iter().filter(|(name, _)| !ALWAYS.contains(&name.as_str()));
        for (name, value) in
            others.filter(|(name, _)| self.fields.as_ref().is_none_or(|list| list.contains(name)))
        {
            field(name, value, out);
        }
        out.push(b'\n');
    }
}

fn field(name: &str, value: &str, out: &mut Vec<u8>) {
    if value.chars().all(|c| !c.is_control() || c == '\t') {
        out.extend(format!("{name}={value}\n").into_bytes());
        return;
    }
    let length = u64::try_from(value.len()).expect("a length").to_le_bytes();
    out.extend([name.as_bytes(), b"\n", &length, value.as_bytes(), b"\n"].concat());
}

fn cursor(number: usize) -> String {
    format!("s=fa4e;i={number:x};b=b0;m={number:x};t=1;x=0")
}

fn number_of(text: &str) -> Result<usize, String> {
    let number = text.split(';').find_map(|part| usize::from_str_radix(part.strip_prefix("i=")?, 16).ok());
    let is_ours = text.starts_with("s=fa4e;");
    number.filter(|_| is_ours).ok_or_else(|| "Failed to seek to cursor: Invalid argument".to_owned())
}

fn micros(time: &str) -> Result<u64, String> {
    match time.strip_prefix('@').map_or(Err(()), |seconds| seconds.parse::<u64>().map_err(drop)) {
        Ok(seconds) => Ok(seconds * 1_000_000),
        Err(()) if time == "yesterday" => Ok(0),
        Err(()) => Err(format!("Failed to parse timestamp: {time}")),
    }
}

fn file(suffix: &str) -> String {
    format!("{}.{suffix}", env::args().next().expect("a name"))
}

fn entries() -> Vec<Entry> {
    let text = fs::read_to_string(file("entries")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
    whole.lines().map(|line| serde_json::from_str(line).expect("an entry")).collect()
}

/// The failure that a test wants of this start.
fn wanted_failure() -> Option<String> {
    let text = fs::read_to_string(file("fails")).ok()?;
    let (first, rest) = text.split_once('\n')?;
    fs::write(file("fails"), rest).expect("a file of the test");
    Some(first.to_owned())
}

fn nobody_reads() -> bool {
    let out = io::stdout();
    let mut descriptors = [PollFd::new(out.as_fd(), PollFlags::empty())];
    let _ready = poll(&mut descriptors, PollTimeout::ZERO);
    descriptors[0].revents().is_some_and(|events| events.intersects(PollFlags::POLLERR | PollFlags::POLLHUP))
}

fn run() -> Result<(), String> {
    fs::write(file("pid"), std::process::id().to_string()).expect("a file of the test");
    let call = Call::read(env::args().skip(1))?;
    if env::var_os("HOME").is_some() {
        return Err("the environment is not empty".to_owned());
    }
    if let Some(failure) = wanted_failure() {
        return Err(failure);
    }
    let mut seen = 0;
    loop {
        let entries = entries();
        let mut out = Vec::new();
        let new = entries.iter().enumerate().skip(seen);
        new.filter(|(number, entry)| call.wants(*number, entry))
            .for_each(|(number, entry)| call.print(number, entry, &mut out));
        seen = entries.len();
        io::stdout()
            .write_all(&out)
            .and_then(|()| io::stdout().flush())
            .map_err(|error| error.to_string())?;
        if !call.follows || nobody_reads() {
            return Ok(());
        }
        thread::sleep(TICK);
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
