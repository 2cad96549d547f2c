//! The parts of the fake ipfw(8): the command line, batch files, and which command is meant.

mod entry;
mod record;
mod rule;
mod state;
mod table;

use std::io::IsTerminal as _;

use crate::common::call::{Call, Tool};
use crate::common::getopt::Options;
use crate::common::mode::Mode;
use crate::common::{Report, Step};
use state::State;

/// Exit statuses, from sysexits(3).
const USAGE: u8 = 64;
const DATAERR: u8 = 65;
const NOHOST: u8 = 68;
const UNAVAILABLE: u8 = 69;
const OSERR: u8 = 71;

/// ipfw reads a batch file with fgets(3) into 4096 bytes: what is longer becomes several "lines".
const LINE: usize = 4095;
/// `PATH_MAX`, which execve(2) keeps free beside the arguments.
const SPARE: u64 = 1024;

/// A call under way. In a batch file, flags stay set from one line to the next.
struct Ipfw<'a> {
    /// Before every complaint: `ipfw`, or `Line 3` in a batch file.
    name: String,
    quiet: bool,
    force: bool,
    test_only: bool,
    values_as_ip: bool,
    mode: &'a mut Mode,
    state: State,
    report: &'a mut Report,
}

/// ipfw(8).
pub(crate) const TOOL: Tool = Tool { name: "ipfw", reads_stdin, run };

fn reads_stdin(args: &[String]) -> bool {
    args.last().is_some_and(|last| last == "/dev/stdin")
}

/// Runs the command line or the batch file; what was done before an error stays done.
fn run(call: &mut Call) -> Step {
    check_argmax(call)?;
    let state = State::read(&call.state);
    let mut ipfw = Ipfw {
        name: "ipfw".to_owned(),
        quiet: false,
        force: !std::io::stdin().is_terminal(),
        test_only: false,
        values_as_ip: false,
        mode: &mut call.mode,
        state,
        report: &mut call.report,
    };
    let done = match call.args.last().filter(|last| last.starts_with('/')) {
        Some(path) => ipfw.batch(&call.args, path, &call.stdin),
        None => ipfw.command_line(&call.args),
    };
    call.state = ipfw.state.text();
    done
}

/// On FreeBSD the exec itself fails (E2BIG) and ipfw never runs; all a fake can do is to do nothing, loudly.
fn check_argmax(call: &mut Call) -> Step {
    let args: usize = std::env::args_os().map(|word| word.len() + 1).sum();
    let env: usize = std::env::vars_os().map(|(key, value)| key.len() + value.len() + 2).sum();
    let total = (args + env) as u64;
    if total + SPARE <= call.mode.number("argmax", 524_288) {
        return Ok(());
    }
    call.report
        .leave(126, format!("ipfw: Argument list too long ({total} bytes: the kernel would not run this)"))
}

impl Ipfw<'_> {
    /// errx(3)
    fn leave<T>(&mut self, code: u8, text: &str) -> Step<T> {
        let line = format!("{}: {text}", self.name);
        self.report.leave(code, line)
    }

    fn command_line(&mut self, args: &[String]) -> Step {
        if self.words(args)? {
            return Ok(());
        }
        self.leave(USAGE, "usage: ipfw [options]\ndo \"ipfw -h\" or \"man ipfw\" for details")
    }

    /// `ipfw [-q] /absolute/path`
    fn batch(&mut self, args: &[String], path: &str, stdin: &[u8]) -> Step {
        let read = if path == "/dev/stdin" { Ok(stdin.to_vec()) } else { std::fs::read(path) };
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                let error = error.to_string();
                let errno = error.split(" (os error").next().unwrap_or_default();
                return self.leave(USAGE, &format!("pathname: {path}: {errno}"));
            }
        };
        let mut options = Options::new(args, "cfNnp:qS");
        for found in options.by_ref() {
            match found {
                Ok(('q', _)) => self.quiet = true,
                Ok(('f', _)) => self.force = true,
                Ok(('n', _)) => self.test_only = true,
                Ok(('p', _)) => return self.leave(99, "the fake does not play -p"),
                Ok(_) => {}
                Err(complaint) => {
                    self.report.err(format!("ipfw: {complaint}"));
                    return self.leave(USAGE, "bad arguments, for usage summary ``ipfw''");
                }
            }
        }
        if options.rest().len() != 1 {
            return self.leave(USAGE, &format!("extraneous filename arguments {path}"));
        }
        for (at, line) in
            bytes.split_inclusive(|byte| *byte == b'\n').flat_map(|line| line.chunks(LINE)).enumerate()
        {
            self.name = format!("Line {}", at + 1);
            self.words(&[String::from_utf8_lossy(line).into_owned()])?;
        }
        Ok(())
    }

    /// One command; false if there is none, as in an empty line.
    fn words(&mut self, args: &[String]) -> Step<bool> {
        let args = match args {
            [] => return Ok(false),
            [single] => split(single),
            many => join_commas(many),
        };
        let mut options = Options::new(&args, "abcdDefhinNp:qs:STtv");
        for found in options.by_ref() {
            match found {
                Ok(('q', _)) => self.quiet = true,
                Ok(('f', _)) => self.force = true,
                Ok(('n', _)) => self.test_only = true,
                Ok(('i', _)) => self.values_as_ip = true,
                Ok(('p', _)) => {
                    return self.leave(USAGE, "An absolute pathname must be used with -p option.");
                }
                Ok(_) => {}
                Err(complaint) => {
                    self.report.err(format!("{}: {complaint}", self.name));
                    return Ok(false);
                }
            }
        }
        let mut words: Vec<&str> = options.rest().iter().map(String::as_str).collect();
        if words.is_empty() {
            return if args.is_empty() {
                Ok(false)
            } else {
                self.leave(USAGE, "bad arguments, for usage summary ``ipfw''")
            };
        }
        // `100 add allow …` was good in ipfw1: a number in front changes places with what follows.
        if words.len() > 1 && words.first().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        {
            words.swap(0, 1);
        }
        self.dispatch(&words).map(|()| true)
    }

    fn dispatch(&mut self, words: &[&str]) -> Step {
        let Some((given, rest)) = words.split_first() else { return Ok(()) };
        let commands = ["add", "table", "enable", "disable", "delete", "flush", "print", "list", "show"];
        let Some(command) = commands.iter().find(|command| command.starts_with(given)) else {
            return self.leave(USAGE, &format!("bad command `{given}'"));
        };
        if command != given {
            let text = format!("{}: DEPRECATED: '{given}' matched '{command}' as a sub-string", self.name);
            self.report.err(text);
        }
        match *command {
            "add" => self.add_rule(rest),
            "table" => self.table(rest),
            "delete" => self.delete_rules(rest),
            "flush" => self.flush_rules(),
            "enable" | "disable" => Ok(()),
            listing => self.list_rules(listing == "show", rest),
        }
    }

    /// What stands between ipfw and the kernel: `Err` has the errno's text and says so under the name of the request.
    fn kernel(&mut self, changes: bool) -> Step<Result<(), &'static str>> {
        if self.mode.is("root", "no") {
            return self.leave(UNAVAILABLE, "socket: Operation not permitted");
        }
        Ok(match () {
            () if self.mode.is("loaded", "no") => Err("Protocol not available"),
            () if changes && self.mode.number("securelevel", 0) > 2 => Err("Operation not permitted"),
            () => Ok(()),
        })
    }

    /// The same, where the failure is the end: `code` and what err(3) puts before the errno's text.
    fn need_kernel(&mut self, changes: bool, code: u8, request: &str) -> Step {
        match self.kernel(changes)? {
            Ok(()) if self.mode.take_failure() => {
                self.leave(code, &format!("{request}: Cannot allocate memory"))
            }
            Ok(()) => Ok(()),
            Err(errno) => self.leave(code, &format!("{request}: {errno}")),
        }
    }
}

/// A single argument is split at white space; `#` ends it, and blanks behind a comma go.
fn split(line: &str) -> Vec<String> {
    let code = line.split('#').next().unwrap_or_default();
    let mut words: Vec<String> = Vec::new();
    for word in code.split_ascii_whitespace() {
        match words.last_mut().filter(|last| last.ends_with(',')) {
            Some(last) => last.push_str(word),
            None => words.push(word.to_owned()),
        }
    }
    words
}

/// An argument that ends with a comma is joined with the next.
fn join_commas(args: &[String]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in args {
        match words.last_mut().filter(|last| last.ends_with(',')) {
            Some(last) => last.push_str(word),
            None => words.push(word.clone()),
        }
    }
    words
}
