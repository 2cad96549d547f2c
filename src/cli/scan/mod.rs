//! `portcullis scan`: replays logs on their own clock through the pipeline that the daemon uses.

mod block;
mod replay;
mod report;
mod spared;
mod tally;
mod timeline;
mod workers;

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

use self::replay::Replay;
use super::args::ScanArgs;
use super::exit::{Exit, Failure, complain};
use super::input::{Log, logs};
use super::load_setup;
use crate::pipeline::Terms;

/// Files smaller than this, in bytes, are read before a progress bar would be seen.
const WORTH_A_BAR: u64 = 32 << 20;

/// Runs the command; the exit status is that of the first file that could not be read. All others are read.
pub(super) fn run(arguments: &ScanArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut setup = load_setup(&arguments.config, &arguments.trial)?;
    let logs = match &arguments.journal {
        Some(since) => vec![Log::of_this_journal(&setup, since.clone())],
        None => logs(&arguments.files)?,
    };
    let terms: Vec<Terms> = logs.iter().map(|log| setup.terms_of_file(log.newest())).collect();
    let mut pipeline = setup.pipeline(&terms);
    pipeline.engine.keep_no_journal();
    let mut replay = Replay::new(pipeline, &logs, bar(&logs));
    replay.run();
    let Replay { pipeline, tally, failures, .. } = replay;
    failures.iter().for_each(complain);
    if arguments.json {
        report::json(out, &setup, &pipeline, &tally)?;
    } else {
        report::text(out, &setup, &pipeline, &tally, &logs, arguments.top)?;
    }
    Ok(failures.first().map_or(Exit::Ok, |failure| failure.exit))
}

/// A progress bar, which is hidden for short work and if standard error is not a terminal.
fn bar(logs: &[Log]) -> ProgressBar {
    let sizes = logs
        .iter()
        .flat_map(|log| &log.files)
        .map(|path| std::fs::metadata(path).map_or(0, |meta| meta.len()));
    let total: u64 = sizes.sum();
    if total < WORTH_A_BAR || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta} left");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
