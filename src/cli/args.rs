//! The command line's grammar: the one source of `--help`, the manual page and the completions.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use super::exit::Exit;
use crate::privileges::{BRAIN_COMMAND, LOADER_COMMAND};

/// Watches log files, decides who is attacking, and keeps a firewall table in step.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100, after_help = after_help())]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// A note that applies to all commands.
pub(super) const WITHOUT_CONFIGURATION: &str = "Without a configuration file the built-in rule sets, FreeBSD's \
    default log files (on Linux what is there, or the journal) and the dry-run backend are used.";

fn after_help() -> String {
    let statuses = Exit::ALL.map(|exit| format!("\n  {:<2}  {}", exit as u8, exit.means()));
    format!("Exit status:{}\n\n{WITHOUT_CONFIGURATION}", statuses.concat())
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Replay logs on their own clock: who attacked, who would have been banned, when and for how long
    ///
    /// Files may be compressed as newsyslog leaves them (.gz, .bz2, .xz, .zst); several rotations of one log are read
    /// oldest first, different logs in the order of their lines' times. Without a file, or with -, standard input.
    Scan(ScanArgs),
    /// Show line by line which rule matches and which address it finds
    Match(MatchArgs),
    /// Say what a log line means, what would follow from it, and what an operator should check
    Explain(ExplainArgs),
    /// Check the configuration and rule files: syntax, samples, and a proof of every rule
    Check(CheckArgs),
    /// List the rule sets in force, or print the text of one as a start for your own
    Rules(RulesArgs),
    /// Run the daemon in the foreground; daemon(8) or systemd supervise it
    ///
    /// SIGHUP reads the configuration and the rules again, SIGTERM ends; the firewall's table stays as it is.
    Run(RunArgs),
    /// The process of the daemon that decides; `run` starts it
    #[command(name = BRAIN_COMMAND, hide = true)]
    Brain(BrainArgs),
    /// Reads the configuration for the process of the daemon that has root's rights
    #[command(name = LOADER_COMMAND, hide = true)]
    LoadForArm(ConfigArgs),
    /// Show the running daemon: sources, rule sets, counters, whether the firewall is in step
    Status(AskArgs),
    /// List the active bans
    Bans(AskArgs),
    /// Tell the history of an address, with the lines that led to its bans
    Why(WhyArgs),
    /// Ban addresses and networks by hand
    Ban(BanArgs),
    /// Free addresses and networks, and forget what was counted against them; exits 1 when nothing was banned
    Unban(UnbanArgs),
    /// Have the running daemon read the configuration and the rules again; on any error the running set stays
    Reload(AskArgs),
    /// Look at firewall, logs, system and daemon: would bans do anything, could you lock yourself out
    ///
    /// Nothing is changed. Exits 1 when there is a problem; a note is none.
    Doctor(DoctorArgs),
    /// Print a complete configuration for this machine, or put it in place
    ///
    /// Looks at firewall, logs, running services, networks and the ssh session that it is called from. Changes nothing
    /// without --write, and never a file of yours without --overwrite.
    Setup(SetupArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual page and completions into a directory (for packagers)
    #[command(hide = true)]
    Generate {
        /// The directory
        #[arg(value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

/// The configuration to use.
#[derive(Debug, Default, Args)]
pub(super) struct ConfigArgs {
    /// The configuration file [default: the installed one, if there is any]
    #[arg(short, long = "config", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
}

/// The rule sets to use.
#[derive(Debug, Default, Args)]
pub(super) struct TrialArgs {
    /// Ask the rule set of this file and no other, as before it is installed; may be given several times
    #[arg(long, value_name = "RULE_FILE", value_hint = ValueHint::FilePath)]
    pub(super) rules: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    pub(super) trial: TrialArgs,
    /// Log files, globs, or - for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,
    /// Read this machine's systemd journal, all of it or from a time on: yesterday, "2 days ago", 2026-11-22
    #[arg(long, value_name = "SINCE", num_args = 0..=1, conflicts_with = "files")]
    #[allow(clippy::option_option, reason = "not given, given, given with a time")]
    pub(super) journal: Option<Option<String>>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// How many offenders to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = whole_number, conflicts_with = "json")]
    pub(super) top: usize,
}

/// Parses a number with an error message for operators.
fn whole_number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "write a whole number, such as 20".to_owned())
}

#[derive(Debug, Args)]
pub(super) struct MatchArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    pub(super) trial: TrialArgs,
    /// Log files, globs, or - for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,
    /// Read this machine's systemd journal, all of it or from a time on: yesterday, "2 days ago", 2026-11-22
    #[arg(long, value_name = "SINCE", num_args = 0..=1, conflicts_with = "files")]
    #[allow(clippy::option_option, reason = "not given, given, given with a time")]
    pub(super) journal: Option<Option<String>>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
    /// Also the lines that no rule matches
    #[arg(long)]
    pub(super) all: bool,
    /// Only lines that name an address and that no rule knows, though it should; of the configured sources if no file is named
    #[arg(long, conflicts_with = "all")]
    pub(super) missed: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    pub(super) trial: TrialArgs,
    /// The line, in quotes; without it, or with -, the first line of standard input
    pub(super) line: Option<OsString>,
    /// Print a JSON array, with one object for each rule that knows the line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
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
pub(super) struct RulesArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// A rule set, to print its text
    pub(super) name: Option<String>,
    /// List the rule sets that come with the program and are not in force; `rule_sets` in the configuration names them
    #[arg(long, conflicts_with = "name")]
    pub(super) available: bool,
    /// Print a JSON array with one object for each rule set, or the object of the one named, with its text
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Decide, but change nothing: no root, no firewall, no database; what would be done is printed
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Logs to follow from their beginning instead of the configured sources (with --dry-run); - is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, requires = "dry_run")]
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct SetupArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Write it to the configuration file, unless there is one that you changed
    #[arg(long)]
    pub(super) write: bool,
    /// Move the file that is there aside, to FILE.old
    #[arg(long, requires = "write")]
    pub(super) overwrite: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct BrainArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// A command of the command line to run in its place
    #[arg(last = true)]
    pub(super) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// How to find the running daemon.
#[derive(Debug, Args)]
pub(super) struct AskArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// The daemon's socket [default: the configured one]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) socket: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    #[command(flatten)]
    pub(super) ask: AskArgs,
    /// An address, or an offender as `bans` lists it
    pub(super) address: String,
}

#[derive(Debug, Args)]
pub(super) struct BanArgs {
    #[command(flatten)]
    pub(super) ask: AskArgs,
    /// Addresses and networks; - reads them from standard input, one a line, # begins a comment
    #[arg(value_name = "ADDR|CIDR", required = true)]
    pub(super) prefixes: Vec<String>,
    /// For how long, as in 1h or 4w; `forever` [default: the configured length]
    #[arg(long = "for", value_name = "SPAN")]
    pub(super) length: Option<String>,
    /// The reason, shown by `bans` and `why`
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) reason: String,
    /// Also ban what is on the allow list, or contains an address that is
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct UnbanArgs {
    #[command(flatten)]
    pub(super) ask: AskArgs,
    /// Addresses and networks: every ban inside ends, and every wider ban around; - reads them from standard input
    #[arg(value_name = "ADDR|CIDR", required_unless_present = "all")]
    pub(super) prefixes: Vec<String>,
    /// End all bans
    #[arg(long, conflicts_with = "prefixes")]
    pub(super) all: bool,
    /// Work on the database and the firewall directly, when the daemon does not run
    #[arg(long, conflicts_with = "socket")]
    pub(super) offline: bool,
}
