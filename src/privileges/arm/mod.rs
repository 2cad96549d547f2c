//! The process with root's rights. It opens logs, runs the firewall's tool, binds the control socket and writes our
//! messages, each because the brain asks for it and no other way: it reads no line of a log, no YAML, no JSON and no
//! database.

mod error;
mod files;
mod firewall;
mod guard;
mod process;
mod services;

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use self::process::{Started, relay_messages, spawn_brain};
use self::services::Arm;
use super::account::Account;
use super::channel::Channel;
use super::loader::SeparateConfig;
use super::message::{ArmNotice, ArmSettings, Hello};
use super::reports::{self, BoundSource};
use super::state;
use crate::config::{LogTo, Recording};
use crate::control::{Access, Listener};
use crate::setup::database::of_the_brain;
use crate::setup::logger;
use crate::store::{self, StoreError};

pub use error::{ArmError, Elsewhere};
pub(crate) use process::BRAIN_COMMAND;

/// How often, and how often again, to look whether the brain of an arm that was killed has ended.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Runs the daemon as two processes until it ends.
///
/// # Errors
/// When it cannot start, or the other process ends otherwise than by a stop.
pub(crate) fn run(file: Option<&Path>, loaded: SeparateConfig) -> Result<(), ArmError> {
    let SeparateConfig { settings: Some(settings), recording, .. } = loaded else {
        return Err(ArmError::NoSettings);
    };
    logger::start(settings.log.to, settings.log.level);
    let account = prepare(&settings)?;
    if account.is_shared() {
        log::warn!("there is no account `_portcullis`: running as `{}`, as other services may", account.name);
    }
    let access = Access::for_group(settings.control.group.as_deref())?;
    let listener = Listener::bind(&settings.control.socket, access)?;
    let listening = listener.descriptor().try_clone_to_owned()?;
    let bound = reports::bind(&settings.blocklists)?;
    let mut brain = spawn_brain(file, account, &[])?;
    relay_messages(&mut brain.process)?;
    serve_brain(file, settings, recording, brain, bound, Some((listener, listening)))
}

/// Runs a command of the command line as the account that has the database, with us to drive the firewall: it asks for
/// what it needs as the daemon does.
///
/// # Errors
/// As of [`run`].
pub(crate) fn run_command(
    file: Option<&Path>,
    loaded: SeparateConfig,
    words: &[OsString],
) -> Result<(), ArmError> {
    let SeparateConfig { settings: Some(settings), recording, .. } = loaded else {
        return Err(ArmError::NoSettings);
    };
    logger::start(LogTo::Stderr, settings.log.level);
    let account = prepare(&settings)?;
    if Listener::is_taken(&settings.control.socket) {
        return Err(Elsewhere::of(&settings.control.socket, &settings.state).into());
    }
    let brain = spawn_brain(file, account, words)?;
    serve_brain(file, settings, recording, brain, Vec::new(), None)
}

/// Finds the account, waits for the brain of an arm that was killed, and gives the account its directory.
fn prepare(settings: &ArmSettings) -> Result<Account, ArmError> {
    let account = Account::find().ok_or(ArmError::NoAccount)?;
    let database = of_the_brain(&settings.state);
    let mut attempts = LOCK_ATTEMPTS;
    while let Some(pid) = store::Lock::holder(&database) {
        attempts -= 1;
        if attempts == 0 || Listener::is_taken(&settings.control.socket) {
            return Err(StoreError::Held { path: database, pid: Some(pid) }.into());
        }
        thread::sleep(LOCK_PAUSE);
    }
    state::give(&settings.state, account).map_err(ArmError::State)?;
    Ok(account)
}

/// Serves the brain until it ends. `listening` is the control socket, which is removed when the brain says so, or ends.
fn serve_brain(
    file: Option<&Path>,
    settings: ArmSettings,
    recording: Recording,
    mut brain: Started,
    bound: Vec<BoundSource>,
    listening: Option<(Listener, OwnedFd)>,
) -> Result<(), ArmError> {
    let (listener, descriptor) = listening.unzip();
    let (arm, notices) = Arm::start(file, &settings, listener)?;
    let hello = Hello {
        recording,
        files: arm.files().set(&settings.sources),
        sources: settings.sources,
        own_addresses: arm.own_addresses(),
    };
    let channels = arm.channels(bound)?;
    let descriptors: Vec<_> = channels.iter().chain(&descriptor).map(OwnedFd::as_fd).collect();
    // Where the brain has ended already, its status says so.
    let _told = brain.channel.send(&hello, &descriptors);
    drop((channels, descriptor));
    tell(brain.channel, notices)?;
    let status = brain.process.wait()?;
    arm.finish();
    how_it_ended(status)
}

fn how_it_ended(status: ExitStatus) -> Result<(), ArmError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(ArmError::Ended(u8::try_from(code).unwrap_or(u8::MAX))),
        (None, signal) => Err(ArmError::Killed(signal.unwrap_or_default())),
    }
}

/// Passes signals and file events on to the brain, until it is gone.
fn tell(brain: Channel, notices: Receiver<ArmNotice>) -> io::Result<()> {
    let tell = move || {
        for notice in notices {
            if brain.send(&notice, &[]).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("notices".to_owned()).spawn(tell).map(drop)
}
