//! A fake of FreeBSD's ipfw(8), for tests on systems without ipfw. See `common/mod.rs` for how it is used.
#![allow(clippy::disallowed_macros, reason = "a fake may end when nobody reads what it says")]

mod common;
mod fw;

use common::call::{Tool, main as play};

fn main() -> std::process::ExitCode {
    play(&Tool { name: "ipfw", reads_stdin, run: fw::run })
}

fn reads_stdin(args: &[String]) -> bool {
    args.last().is_some_and(|last| last == "/dev/stdin")
}
