//! The command line: arguments in, text and an exit status out.

mod args;
mod ask;
mod check;
mod doctor;
mod exit;
mod explain;
mod generate;
mod input;
mod journal_text;
mod match_lines;
mod pasted;
mod prefixes;
mod print_reply;
mod rules;
mod scan;
mod setup_here;
mod text;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::iter;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Arguments, BrainArgs, Command, ConfigArgs, TrialArgs};
use self::exit::{Exit, Failure, complain};
use crate::daemon::{self, RunOptions};
use crate::privileges;
use crate::setup::Setup;

/// Parses the arguments, runs the command, and returns its exit status.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse_from(pasted::arguments(std::env::args_os())) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    // Not locked: a dry run prints from another thread.
    let mut out = BufWriter::new(io::stdout());
    let done = run(&arguments.command, &mut out).and_then(|exit| Ok(out.flush().map(|()| exit)?));
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // Results before the failure are still worth printing; printing may fail for the same reason.
            drop(out.flush());
            if !failure.text.is_empty() {
                complain(&failure);
            }
            failure.exit.into()
        }
    }
}

fn run(command: &Command, out: &mut dyn Write) -> Result<Exit, Failure> {
    match command {
        Command::Scan(arguments) => scan::run(arguments, out),
        Command::Match(arguments) => match_lines::run(arguments, out),
        Command::Explain(arguments) => explain::run(arguments, out),
        Command::Check(arguments) => check::run(arguments, out),
        Command::Rules(arguments) => rules::run(arguments, out),
        Command::Run(arguments) => {
            let options = RunOptions {
                config: arguments.config.config.clone(),
                dry_run: arguments.dry_run,
                files: arguments.files.clone(),
            };
            Ok(daemon::run(options).map(|()| Exit::Ok)?)
        }
        Command::Brain(arguments) => brain(arguments, out),
        Command::LoadForArm(config) => {
            privileges::run_loader(config.config.as_deref(), out)?;
            Ok(Exit::Ok)
        }
        Command::Status(arguments) => ask::status(arguments, out),
        Command::Bans(arguments) => ask::bans(arguments, out),
        Command::Why(arguments) => ask::why(arguments, out),
        Command::Ban(arguments) => ask::ban(arguments, out),
        Command::Unban(arguments) => ask::unban(arguments, None, out),
        Command::Reload(arguments) => ask::reload(arguments, out),
        Command::Doctor(arguments) => doctor::run(arguments, out),
        Command::Setup(arguments) => setup_here::run(arguments, out),
        Command::Completions { shell } => generate::completions(*shell, out),
        Command::Generate { directory } => generate::write_all(directory).map(|()| Exit::Ok),
    }
}

/// The process without rights: of the daemon, or of a command that needs database and firewall.
fn brain(arguments: &BrainArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let file = arguments.config.config.clone();
    if arguments.command.is_empty() {
        return Ok(daemon::run_brain(file).map(|()| Exit::Ok)?);
    }
    let words = iter::once(OsString::from("portcullis")).chain(arguments.command.iter().cloned());
    let parsed = Arguments::try_parse_from(pasted::arguments(words));
    let parsed = parsed.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let brain = daemon::meet_arm(file)?;
    match &parsed.command {
        Command::Unban(arguments) => ask::unban(arguments, Some(&brain), out),
        _ => Err(Failure::new(Exit::Usage, "this command is run by its user")),
    }
}

/// Reads the configuration with the rule files that were named, or else with those in force.
fn load_setup(config: &ConfigArgs, trial: &TrialArgs) -> Result<Setup, Failure> {
    let file = config.config.as_deref();
    if trial.rules.is_empty() {
        return Ok(Setup::load(file)?);
    }
    Setup::load_to_try(file, &trial.rules).map_err(|refused| {
        let text = "nothing was asked, since there are errors in the rule files or in the configuration";
        Failure::new(Exit::Config, format!("{text}\n{refused}"))
    })
}

/// `--help` and `--version` are not errors; everything else is wrong usage, which clap explains.
fn usage(error: &clap::Error) -> ExitCode {
    drop(error.print());
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() }
}
