//! The parts of the fake pfctl(8).

pub(crate) mod conf;
pub(crate) mod flush;
pub(crate) mod kill;
pub(crate) mod load;
pub(crate) mod options;
pub(crate) mod rule;
pub(crate) mod show;
pub(crate) mod state;
pub(crate) mod table;
pub(crate) mod token;

use crate::common::call::{Call, Tool};
use crate::common::mode::Mode;
use crate::common::{Report, Step};
use options::Opts;
use state::State;

/// A call under way: what was asked, what the kernel holds, what is printed.
pub(crate) struct Pf<'a> {
    pub(crate) opts: &'a Opts,
    pub(crate) mode: &'a Mode,
    pub(crate) stdin: &'a [u8],
    pub(crate) state: State,
    pub(crate) report: &'a mut Report,
}

/// The errors of the kernel that the tool can hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errno {
    /// ESRCH
    NoTable,
    /// ENOENT
    NoAnchor,
    /// EINVAL
    Invalid,
    /// ENOMEM
    NoMemory,
    /// EPERM
    NotPermitted,
    /// What 13.2 makes of an error of the newer table calls, which return it instead of setting errno.
    Unknown,
}

impl Errno {
    /// The table commands' text for it, as this release has it.
    pub(crate) fn text(self, mode: &Mode) -> &'static str {
        match self {
            Self::NoTable => "Table does not exist",
            Self::NoAnchor => "Anchor or Ruleset does not exist",
            Self::Invalid if mode.is_15() => "Anchor does not exist",
            Self::Invalid => "Invalid argument",
            Self::NoMemory => "Cannot allocate memory",
            Self::NotPermitted => "Operation not permitted",
            Self::Unknown => "Unknown error: -1",
        }
    }
}

/// What only pfctl asks of its mode.
impl Mode {
    /// Whether texts and limits are those of 15.1.
    pub(crate) fn is_15(&self) -> bool {
        self.is("version", "15.1")
    }

    /// Seconds since the epoch.
    pub(crate) fn now(&self) -> i64 {
        let clock = || jiff::Timestamp::now().as_second();
        self.value("now").and_then(|value| value.parse().ok()).unwrap_or_else(clock)
    }
}

impl Pf<'_> {
    /// A success message, unless `-q`.
    pub(crate) fn say(&mut self, text: &str) {
        if !self.opts.quiet {
            self.report.err(text);
        }
    }

    /// `net.pf.request_maxcount`: how many items one request to the kernel may carry.
    pub(crate) fn request_maxcount(&self) -> usize {
        usize::try_from(self.mode.number("request_maxcount", 65_535)).unwrap_or(usize::MAX)
    }

    /// At securelevel 3 the kernel refuses every change, with the name of the request.
    pub(crate) fn need_securelevel(&mut self, request: &str) -> Step {
        match self.mode.number("securelevel", 0) > 2 {
            true => self.report.leave(1, format!("pfctl: {request}: Operation not permitted")),
            false => Ok(()),
        }
    }
}

/// pfctl(8).
pub(crate) const TOOL: Tool = Tool { name: "pfctl", reads_stdin, run };

/// `-f -`, wherever getopt finds it.
fn reads_stdin(args: &[String]) -> bool {
    Opts::parse(args, true, &mut Report::default()).is_ok_and(|opts| opts.file.as_deref() == Some("-"))
}

fn run(call: &mut Call) -> Step {
    let opts = Opts::parse(&call.args, call.mode.is_15(), &mut call.report)?;
    act(call, &opts)
}

/// Everything pfctl does behind its options, in the order of its `main()`; the state is kept whatever happens.
fn act(call: &mut Call, opts: &Opts) -> Step {
    open_device(call, opts)?;
    let state = State::read(&call.state, call.mode.number("table_entries", 200_000));
    let mut pf = Pf { opts, mode: &call.mode, stdin: &call.stdin, state, report: &mut call.report };
    let done = serve(&mut pf);
    call.state = pf.state.text();
    done
}

/// With `-n` pfctl goes on without the device, and only reads its input; 15.1 needs netlink to load a file all the same.
fn open_device(call: &mut Call, opts: &Opts) -> Step {
    let is_netlink = call.mode.is_15() && opts.file.is_some() && opts.table.is_none();
    if call.mode.is("loaded", "no") && is_netlink {
        return call.report.leave(1, "pfctl: Failed to open netlink: No such file or directory");
    }
    if opts.no_action {
        return Ok(());
    }
    if call.mode.is("loaded", "no") {
        return call.report.leave(1, "pfctl: /dev/pf: No such file or directory");
    }
    if call.mode.is("root", "no") {
        return call.report.leave(1, "pfctl: /dev/pf: Permission denied");
    }
    let noisy =
        call.mode.is("noise", "altq") && (opts.show.is_some() || opts.clear.is_some() || opts.file.is_some());
    if opts.verbose > 0 || noisy {
        call.report.err("No ALTQ support in kernel\nALTQ related functions disabled");
    }
    if call.mode.take_failure() {
        return call.report.leave(255, "pfctl: Cannot allocate memory.");
    }
    Ok(())
}

fn serve(pf: &mut Pf<'_>) -> Step {
    let opts = pf.opts;
    if opts.disable {
        switch(pf, false)?;
    }
    let mut last = match opts.show.as_deref() {
        Some(what) => show::show(pf, what),
        None => Ok(()),
    };
    if let Some(what) = opts.clear.as_deref() {
        flush::flush(pf, what)?;
    }
    kill::kill(pf)?;
    if let Some((table, command)) = &opts.table {
        last = table::command(pf, table, command);
    }
    if let Some(file) = opts.file.as_deref().filter(|_| opts.table.is_none()) {
        load::load(pf, file)?;
    }
    if opts.enable {
        switch(pf, true)?;
    }
    last
}

fn switch(pf: &mut Pf<'_>, on: bool) -> Step {
    if pf.state.enabled == on {
        let text = if on { "pfctl: pf already enabled" } else { "pfctl: pf not enabled" };
        return pf.report.leave(1, text);
    }
    pf.need_securelevel(if on { "DIOCSTART" } else { "DIOCSTOP" })?;
    pf.state.enabled = on;
    pf.state.since = Some(pf.mode.now());
    pf.say(if on { "pf enabled" } else { "pf disabled" });
    Ok(())
}
