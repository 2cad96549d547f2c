//! A fake of FreeBSD's ipfw(8), for tests on systems without ipfw. See `common/mod.rs` for how it is used.
#![allow(clippy::disallowed_macros, reason = "a fake may end when nobody reads what it says")]

mod common;
mod fw;

fn main() -> std::process::ExitCode {
    common::call::main(&fw::TOOL)
}
