//! The fakes answer as FreeBSD does: what was observed there, line by line.
//!
//! A transcript has the commands as a person typed them, and what came back:
//!
//! ```text
//! $ printf "192.0.2.9\nbad\n" | pfctl -t bl -T add -f -
//!   err| no IP address found for bad
//!   err| pfctl: cannot load -: No error: 0
//!   rc=255
//! ```
//! Of each stream the first twelve lines count. Several commands may stand in a line, with `;` between them; behind a
//! command `| wc -l`, `| head -N` or `| tail -N`; as arguments `$(cat FILE)`, and `$(pairs FILE)` for `ADDRESS 0`.
//! `/tmp` is the directory of the fakes. Lines with `!` prepare: `! kernel LINE` (of `pfctl.state`),
//! `! addresses FILE NUMBER FIRST`, `! commands FILE ENTRIES_A_LINE COMMAND ADDRESSES_FILE`, `! boot` (all is forgotten),
//! and `! mode` and `! file FILE` with the lines that follow behind `|`.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::fakes_support::{Ended, Fake};

/// Of each stream, more was not written down.
const SHOWN: usize = 12;

#[test]
fn pfctl_of_13_2_answers_as_observed() {
    replay(include_str!("data/firewall/pfctl-13.2.txt"));
}

#[test]
fn pfctl_of_15_1_answers_as_observed() {
    replay(include_str!("data/firewall/pfctl-15.1.txt"));
}

#[test]
fn ipfw_of_13_2_answers_as_observed() {
    replay(include_str!("data/firewall/ipfw-13.2.txt"));
}

#[test]
fn ipfw_of_15_1_answers_as_observed() {
    replay(include_str!("data/firewall/ipfw-15.1.txt"));
}

/// Runs every command; all differences are shown, not only the first.
fn replay(transcript: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let stage = Stage { dir: dir.path(), pfctl: Fake::pfctl(dir.path()), ipfw: Fake::ipfw(dir.path()) };
    let mut differences = String::new();
    let mut commands = 0;
    let mut lines = transcript.lines().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        let mut following = |prefix: char| {
            let mut block = Vec::new();
            while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with(prefix)) {
                block.push(line);
            }
            block
        };
        if let Some(preparation) = line.strip_prefix("! ") {
            stage.prepare(preparation, &following('|'));
        } else if let Some(command) = line.strip_prefix("$ ") {
            let expected = following(' ').join("\n");
            let got = stage.show(command);
            commands += 1;
            if got != expected {
                writeln!(differences, "line {}: $ {command}\n{got}\nobserved:\n{expected}\n", at + 1)
                    .expect("a String takes everything");
            }
        }
    }
    assert!(commands > 10, "the transcript was not read");
    assert!(differences.is_empty(), "{differences}");
}

struct Stage<'a> {
    dir: &'a Path,
    pfctl: Fake,
    ipfw: Fake,
}

impl Stage<'_> {
    /// `/tmp` on the observed machine is the test's directory here.
    fn local(&self, text: &str) -> String {
        text.replace("/tmp/", &format!("{}/", self.dir.display()))
    }

    fn prepare(&self, what: &str, block: &[&str]) {
        let words: Vec<&str> = what.split(' ').collect();
        let write =
            |file: &str, text: String| fs::write(self.local(file), text).expect("a file in our directory");
        match words.as_slice() {
            ["mode", ..] => {
                let lines =
                    block.iter().map(|line| line.trim_start_matches("| ")).collect::<Vec<_>>().join("\n");
                self.pfctl.mode(&lines);
                self.ipfw.mode(&lines);
            }
            ["kernel", ..] => self.pfctl.add_state(what.trim_start_matches("kernel ")),
            ["file", file] => {
                let text = block.iter().map(|line| format!("{}\n", line.trim_start_matches("| ")));
                write(file, self.local(&text.collect::<String>()));
            }
            ["boot"] => ["pfctl.state", "ipfw.state"].iter().for_each(|file| {
                let _ = fs::remove_file(self.dir.join(file));
            }),
            ["addresses", file, number, first] => write(file, addresses(number, first)),
            ["commands", file, each, command @ .., list] => {
                write(file, self.batch(each, &command.join(" "), list));
            }
            _ => panic!("the transcript prepares what nobody knows: {what}"),
        }
    }

    /// A batch file: `COMMAND ADDRESS 0 …` with so many addresses a line.
    fn batch(&self, each: &str, command: &str, list: &str) -> String {
        let text = fs::read_to_string(self.local(list)).expect("the transcript prepared it");
        let addresses: Vec<&str> = text.lines().collect();
        let lines = addresses.chunks(each.parse().expect("a number"));
        lines.map(|line| format!("{command} {} 0\n", line.join(" 0 "))).collect()
    }

    /// What a command line prints and how it ends, in the transcript's form.
    fn show(&self, line: &str) -> String {
        let mut whole = Ended { out: String::new(), err: String::new(), code: 0 };
        let code =
            if line.starts_with("printf") { line } else { line.split(" # ").next().unwrap_or_default() };
        for command in code.split("; ") {
            let ended = self.pipeline(command);
            whole = Ended { out: whole.out + &ended.out, err: whole.err + &ended.err, code: ended.code };
        }
        let stream = |name: &str, text: &str| {
            let text = text.replace(&format!("{}/", self.dir.display()), "/tmp/");
            text.lines().take(SHOWN).map(|line| format!("  {name}| {line}\n")).collect::<String>()
        };
        format!("{}{}  rc={}", stream("out", &whole.out), stream("err", &whole.err), whole.code)
    }

    fn pipeline(&self, line: &str) -> Ended {
        let mut parts = line.split(" | ");
        let mut first = parts.next().unwrap_or_default();
        let mut stdin = String::new();
        if let Some(format) = first.strip_prefix("printf ") {
            stdin = format.trim_matches('"').replace("\\n", "\n");
            first = parts.next().expect("printf feeds a command");
        }
        let mut ended = self.command(first, &stdin);
        for filter in parts {
            // A pipe's exit status is that of its last command.
            ended = Ended { out: filtered(filter, &ended.out), code: 0, ..ended };
        }
        ended
    }

    fn command(&self, command: &str, stdin: &str) -> Ended {
        let words = self.words(command);
        let (tool, args) = words.split_first().expect("a command has a word");
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        match tool.as_str() {
            "pfctl" => self.pfctl.run(&args, stdin),
            "ipfw" => self.ipfw.run(&args, stdin),
            _ => panic!("no fake of {tool}"),
        }
    }

    /// Words at blanks; `"…"` and `$(…)` hold together.
    fn words(&self, command: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut rest = command.trim();
        while !rest.is_empty() {
            let (word, tail) = if let Some(quoted) = rest.strip_prefix('"') {
                quoted.split_once('"').expect("quotes come in pairs")
            } else if let Some(inner) = rest.strip_prefix("$(") {
                let (inner, tail) = inner.split_once(')').expect("parentheses come in pairs");
                words.extend(self.substitute(inner));
                rest = tail.trim_start();
                continue;
            } else {
                rest.split_once(' ').unwrap_or((rest, ""))
            };
            words.push(self.local(word));
            rest = tail.trim_start();
        }
        words
    }

    fn substitute(&self, inner: &str) -> Vec<String> {
        let (how, file) = inner.split_once(' ').expect("what and which file");
        let text = fs::read_to_string(self.local(file)).expect("the transcript prepared it");
        let each = |line: &str| match how {
            "pairs" => vec![line.to_owned(), "0".to_owned()],
            _ => vec![line.to_owned()],
        };
        text.lines().flat_map(each).collect()
    }
}

fn filtered(filter: &str, text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let number = |option: &str| option.parse::<usize>().expect("a number of lines");
    let kept = match filter.split(' ').collect::<Vec<_>>().as_slice() {
        ["wc", "-l"] => return format!("{:>8}\n", lines.len()),
        ["head", option] => &lines[..number(option.trim_start_matches('-')).min(lines.len())],
        ["tail", option] => &lines[lines.len().saturating_sub(number(option.trim_start_matches('-')))..],
        _ => panic!("no such filter: {filter}"),
    };
    kept.iter().map(|line| format!("{line}\n")).collect()
}

fn addresses(number: &str, first: &str) -> String {
    let first = first.parse::<Ipv4Addr>().expect("an address").to_bits();
    let number = number.parse::<u32>().expect("a number");
    (0..number).map(|at| format!("{}\n", Ipv4Addr::from_bits(first + at))).collect()
}
