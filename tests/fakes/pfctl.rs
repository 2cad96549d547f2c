//! A fake of FreeBSD's pfctl(8), for tests on systems without pf. See `common/mod.rs` for how it is used.
#![allow(clippy::disallowed_macros, reason = "a fake may end when nobody reads what it says")]

mod common;
mod pf;

use common::Step;
use common::call::{Call, Tool, main as play};
use pf::options::Opts;

fn main() -> std::process::ExitCode {
    play(&Tool { name: "pfctl", reads_stdin, run })
}

/// `-f -`, wherever getopt finds it.
fn reads_stdin(args: &[String]) -> bool {
    Opts::parse(args, true, &mut common::Report::default())
        .is_ok_and(|opts| opts.file.as_deref() == Some("-"))
}

fn run(call: &mut Call) -> Step {
    let opts = Opts::parse(&call.args, call.mode.is_15(), &mut call.report)?;
    pf::run(call, &opts)
}
