//! The brain's process, as the arm starts it.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::privileges::account::Account;
use crate::privileges::channel::Channel;
use crate::setup::logger;

/// The hidden command of the brain.
pub(crate) const BRAIN_COMMAND: &str = "brain";

/// The longest message of the brain that is passed on, in bytes.
const MAX_MESSAGE: u64 = 16_384;

/// A brain that was started and waits for its first frame.
pub(super) struct Started {
    pub(super) process: Child,
    pub(super) channel: Channel,
}

/// Starts the other process: without root's rights, groups and capabilities from its first instruction on.
pub(super) fn spawn_brain(file: Option<&Path>, account: Account, words: &[OsString]) -> io::Result<Started> {
    let (ours, theirs) = Channel::pair()?;
    let mut command = Command::new(env::current_exe()?);
    command.arg(BRAIN_COMMAND);
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    // With a uid, the standard library drops the supplementary groups as well.
    command.uid(account.uid).gid(account.gid).stdin(theirs.into_descriptor());
    if words.is_empty() {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
    } else {
        command.arg("--").args(words);
    }
    Ok(Started { process: command.spawn()?, channel: ours })
}

/// Logs what the brain says: it may not be able to reach syslogd when that was restarted.
pub(super) fn relay_messages(brain: &mut Child) -> io::Result<()> {
    let Some(said) = brain.stderr.take() else { return Ok(()) };
    let relay = move || {
        let mut said = BufReader::new(said);
        let mut line = Vec::new();
        while said.by_ref().take(MAX_MESSAGE).read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            logger::relayed(&line);
            line.clear();
        }
    };
    thread::Builder::new().name("messages".to_owned()).spawn(relay).map(drop)
}
