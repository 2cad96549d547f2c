//! The command line's grammar: the one source of `--help`, the manual page and the completions.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use super::exit::STATUSES;

/// Watches log files, decides who is attacking, and keeps a firewall table in step.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100, after_help = after_help())]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What holds for all commands.
pub(super) const WITHOUT_CONFIGURATION: &str = "Without a configuration file the built-in rule sets, FreeBSD's \
    default log files and the dry-run backend are used.";

fn after_help() -> String {
    let statuses = STATUSES.map(|(status, means)| format!("\n  {status:<2}  {means}"));
    format!("Exit status:{}\n\n{WITHOUT_CONFIGURATION}", statuses.concat())
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Replay logs on their own clock: who attacked, who would have been banned, when and for how long
    ///
    /// Files may be compressed as newsyslog leaves them (.gz, .bz2, .xz, .zst); several rotations of one log are read
    /// oldest first, different logs in the order of their lines' times. Without a file, or with -, standard input.
    Scan(Scan),
    /// Show line by line which rule matches and which address it finds
    Match(Match),
    /// Say what a log line means, what would follow from it, and what an operator should check
    Explain(Explain),
    /// Check the configuration and rule files: syntax, samples, and an attack on every rule
    Check(Check),
    /// List the rule sets in force, or print the text of one as a start for your own
    Rules(Rules),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write the manual page and completions into a directory (for packagers)
    #[command(hide = true)]
    Generate {
        /// Where to
        #[arg(value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

/// Which configuration holds.
#[derive(Debug, Default, Args)]
pub(super) struct ConfigArgs {
    /// The configuration file [default: the installed one, if there is any]
    #[arg(short, long = "config", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Scan {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Log files, globs, or - for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// How many offenders to list
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "json")]
    pub(super) top: usize,
}

#[derive(Debug, Args)]
pub(super) struct Match {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Log files, globs, or - for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
    /// Also the lines that no rule matches
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// The line, in quotes; without it, or with -, the first line of standard input
    pub(super) line: Option<OsString>,
    /// Print a JSON array, with one object for each rule that knows the line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Rule files to check instead of the configuration
    #[arg(value_name = "RULE_FILE", value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Rules {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// A rule set, to print its text
    pub(super) name: Option<String>,
    /// Print a JSON array with one object for each rule set, or the object of the one named, with its text
    #[arg(long)]
    pub(super) json: bool,
}
