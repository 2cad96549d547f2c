//! A fake of FreeBSD's pfctl(8), for tests on systems without pf. See `common/mod.rs` for how it is used.
#![allow(clippy::disallowed_macros, reason = "a fake may end when nobody reads what it says")]

mod common;
mod pf;

fn main() -> std::process::ExitCode {
    common::call::main(&pf::TOOL)
}
