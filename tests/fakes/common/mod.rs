//! What the two fakes share: where they keep their state, how they are called, how addresses sort and print.
//!
//! A fake is used under the name of the tool it plays (`DIR/pfctl`, a link to or a copy of the built example) and keeps
//! everything in that directory:
//!
//! - `TOOL.state` what the kernel would hold, as text; missing means just booted
//! - `TOOL.log` one JSON object a call: `{"argv":[…],"stdin":BYTES}` (`null`: the call hung before it read anything)
//! - `TOOL.mode` optional, lines `key value` that change how it behaves; the keys are in [`mode::KEYS`]
//! - `TOOL.lock` held while the state is read and written, as the kernel serialises the real tools
//!
//! Texts, streams, exit codes and limits follow what FreeBSD 13.2 and 15.1 were seen to answer, then their sources.

pub(crate) mod address;
pub(crate) mod call;
pub(crate) mod getopt;
pub(crate) mod mode;

use std::fmt::Display;

/// The exit status to leave with; whatever had to be said about it is already in the [`Report`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) u8);

/// Goes on, or leaves as `exit(3)` does, from any depth.
pub(crate) type Step<T = ()> = Result<T, Exit>;

/// What the tool prints, by stream; written out when the call ends.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Report {
    /// A line on standard output.
    pub(crate) fn out(&mut self, line: impl Display) {
        self.out.push_str(&format!("{line}\n"));
    }

    /// A line on standard error.
    pub(crate) fn err(&mut self, line: impl Display) {
        self.err.push_str(&format!("{line}\n"));
    }

    /// A line on standard error and out, as `errx(3)`; the caller names the program.
    pub(crate) fn leave<T>(&mut self, code: u8, line: impl Display) -> Step<T> {
        self.err(line);
        Err(Exit(code))
    }
}
