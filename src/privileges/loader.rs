//! A short-lived process that reads the configuration with root's rights, so that neither of the two that stay does: the arm
//! gets its settings from it, and the brain all answers that the machine gave.

use std::env;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::channel::decode;
use super::message::ArmSettings;
use crate::config::{Privilege, Recorder, Recording};
use crate::follow::SourceKind;
use crate::setup::Setup;

/// The hidden command that [`load`] runs.
pub(crate) const COMMAND: &str = "load-for-arm";

/// The most bytes that are taken of the process.
const MAX_LOADED: u64 = 64 << 20;

/// A configuration that was read, for both processes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SeparateConfig {
    /// `None` where the configuration has errors, which reading the recording shows.
    pub(crate) settings: Option<ArmSettings>,
    /// Whether the configuration wants two processes.
    pub(crate) is_separate: bool,
    pub(crate) recording: Recording,
}

/// Has a process read the configuration.
///
/// # Errors
/// A sentence where it cannot be run, or ends before its time.
pub(crate) fn load(file: Option<&Path>) -> Result<SeparateConfig, String> {
    run(file).map_err(|error| format!("the process that reads the configuration: {error}"))
}

fn run(file: Option<&Path>) -> io::Result<SeparateConfig> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(COMMAND);
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut bytes = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(MAX_LOADED).read_to_end(&mut bytes)?;
    }
    let status = child.wait()?;
    if !status.success() {
        return Err(io::Error::other(format!("it ended with {status}")));
    }
    decode(&bytes)
}

/// Standard input is this process's own, and nobody else can read it for the daemon.
fn wants_two_processes(setup: &Setup) -> bool {
    let reads_stdin = setup.followed(&[]).iter().any(|source| source.kind == SourceKind::StandardInput);
    setup.config.privileges == Privilege::Separate && !reads_stdin
}

/// The hidden command: reads, and writes what was read.
///
/// # Errors
/// An error of writing.
pub(crate) fn main(file: Option<&Path>, out: &mut dyn Write) -> io::Result<()> {
    let recorder = Recorder::default();
    let setup = Setup::load_to_run(&recorder, file, false, &[]).ok();
    let is_separate = setup.as_ref().is_some_and(wants_two_processes);
    let settings = setup.as_ref().map(|setup| ArmSettings {
        sources: setup.followed(&[]),
        firewall: setup.firewall(false),
        blocklists: setup.config.blocklists.clone(),
        allow: setup.config.allow.clone(),
        max_additions: setup.config.max_additions,
        state: setup.config.state.clone(),
        control: setup.config.control.clone(),
        log: setup.config.log,
    });
    let loaded = SeparateConfig { settings, is_separate, recording: recorder.finish() };
    out.write_all(&postcard::to_stdvec(&loaded).map_err(io::Error::other)?)
}
