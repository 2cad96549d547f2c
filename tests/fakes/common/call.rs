//! One call of a fake: find its directory, log the call, hold the lock, run, save, print.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::mode::Mode;
use super::{Exit, Report, Step};

/// Exit status of a fake that is itself used wrongly; no real tool ends with it.
const MISUSED: u8 = 99;

/// What a fake gets to work with.
pub(crate) struct Call {
    /// The arguments behind the program's name.
    pub(crate) args: Vec<String>,
    /// How to behave.
    pub(crate) mode: Mode,
    /// All of standard input, if the arguments say that it is read.
    pub(crate) stdin: Vec<u8>,
    /// What to print.
    pub(crate) report: Report,
    /// The state's text: as it was, and what it shall be.
    pub(crate) state: String,
}

/// A tool to play.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// Whether these arguments make the tool read its standard input.
    pub(crate) reads_stdin: fn(&[String]) -> bool,
    pub(crate) run: fn(&mut Call) -> Step,
}

/// The whole life of a fake.
pub(crate) fn main(tool: &Tool) -> ExitCode {
    match serve(tool) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            eprintln!("fake {}: {problem}", tool.name);
            ExitCode::from(MISUSED)
        }
    }
}

fn serve(tool: &Tool) -> Result<u8, String> {
    let mut words = std::env::args_os();
    let dir = directory(words.next().as_deref())?;
    let args: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let file = |suffix: &str| dir.join(format!("{}.{suffix}", tool.name));
    let mode = Mode::load(&file("mode"))?;
    let stdin = receive(tool, &args, &mode, &file("log"))?;
    std::thread::sleep(Duration::from_millis(mode.number("delay", 0)));

    let lock = File::create(file("lock")).and_then(|lock| lock.lock().map(|()| lock));
    let _held = lock.map_err(|error| format!("cannot lock {}: {error}", file("lock").display()))?;
    let mode = Mode::load(&file("mode"))?;
    let state = fs::read_to_string(file("state")).unwrap_or_default();
    let before = (state.clone(), mode.text());
    let mut call = Call { args, mode, stdin, report: Report::default(), state };
    let code = (tool.run)(&mut call).map_or_else(|Exit(code)| code, |()| 0);
    if before.0 != call.state {
        replace(&file("state"), &call.state)?;
    }
    if before.1 != call.mode.text() {
        replace(&file("mode"), &call.mode.text())?;
    }
    print(&call.report);
    Ok(code)
}

/// The directory the tool was called in, symbolic links not followed: that is where its state is.
fn directory(program: Option<&OsStr>) -> Result<PathBuf, String> {
    let called = program.map(Path::new).and_then(Path::parent).filter(|dir| dir.is_absolute());
    called
        .map(Path::to_path_buf)
        .ok_or_else(|| "call it by its absolute path, as the program does".to_owned())
}

/// Reads what the tool would read and logs the call; a hung tool reads nothing.
fn receive(tool: &Tool, args: &[String], mode: &Mode, log: &Path) -> Result<Vec<u8>, String> {
    let hang = mode.number("hang", 0);
    if hang > 0 {
        append(log, args, None)?;
        std::thread::sleep(Duration::from_secs(hang));
    }
    let mut stdin = Vec::new();
    // Without the device the tool ends before it reads: who writes to it must live with a closed pipe.
    let starts = !mode.is("root", "no") && !mode.is("loaded", "no");
    if starts && (tool.reads_stdin)(args) {
        std::io::stdin().read_to_end(&mut stdin).map_err(|error| format!("standard input: {error}"))?;
    }
    if hang == 0 {
        append(log, args, Some(stdin.len()))?;
    }
    Ok(stdin)
}

fn append(log: &Path, args: &[String], stdin: Option<usize>) -> Result<(), String> {
    let line = format!("{}\n", serde_json::json!({"argv": args, "stdin": stdin}));
    let file = OpenOptions::new().create(true).append(true).open(log);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(|error| format!("{}: {error}", log.display()))
}

fn replace(path: &Path, text: &str) -> Result<(), String> {
    let fresh = path.with_extension("new");
    let done = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, path));
    done.map_err(|error| format!("{}: {error}", path.display()))
}

/// A reader that went away is no reason to fail: the kernel has done its part already.
fn print(report: &Report) {
    let _ = std::io::stderr().write_all(report.err.as_bytes());
    let _ = std::io::stdout().write_all(report.out.as_bytes());
}
