//! The process that decides. Whatever needs rights it asks the arm for.

mod backend;
mod confine;
mod opener;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use self::backend::RemoteBackend;
use self::opener::RemoteOpener;
use super::Privileges;
use super::channel::Channel;
use super::message::{ArmAnswer, ArmCall, ArmNotice, Hello};
use super::reports::{Deliver, ReportCount, ReportIntake, ReportsRefused};
use crate::address::Prefix;
use crate::config::{Allow, Recording};
use crate::firewall::{Backend, TableFile, Unusable};
use crate::follow::{Opener, Source};
use crate::report::Report;
use crate::settings::{BlocklistSettings, FirewallSettings};
use crate::setup::{Refused, Setup, database};

pub use confine::confine;

/// How long to wait for room in a full queue.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// The brain's side of all channels.
pub(crate) struct Brain {
    file: Option<PathBuf>,
    calls: Mutex<Channel>,
    /// The channel of the firewall in force, until a worker takes it.
    firewall: Mutex<Option<Channel>>,
    opener: Arc<RemoteOpener>,
    /// The answers with which the configuration is read first.
    recording: Mutex<Option<Recording>>,
    sources: Mutex<Vec<Source>>,
    own_addresses: Mutex<Option<Vec<Prefix>>>,
    /// The channels of reports and of their counts, until somebody takes them.
    reports: Mutex<Option<(Channel, Channel)>>,
    /// Why sources of reports are missing since the last reload.
    missing: Arc<Mutex<Vec<String>>>,
}

/// What the arm says without being asked, and the socket that it listens at.
pub(crate) struct FromArm {
    notices: Channel,
    listening: Option<UnixListener>,
}

impl Brain {
    /// Meets the arm, at the other end of standard input.
    ///
    /// # Errors
    /// An error where nobody or somebody else is there.
    pub(crate) fn meet(file: Option<PathBuf>) -> io::Result<(Self, FromArm)> {
        let notices = Channel::of(io::stdin().as_fd().try_clone_to_owned()?);
        let (hello, descriptors) = notices.receive::<Hello>()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut handed = descriptors.into_iter();
        let mut next = || handed.next().ok_or_else(|| io::Error::other("the arm has handed over too little"));
        let (files, calls, firewall) = (next()?, next()?, next()?);
        let (reports, counts) = (next()?, next()?);
        let listening = next().ok();
        let brain = Self {
            file,
            calls: Mutex::new(Channel::of(calls)),
            firewall: Mutex::new(Some(Channel::of(firewall))),
            opener: Arc::new(RemoteOpener::new(Channel::of(files), hello.files)),
            recording: Mutex::new(Some(hello.recording)),
            sources: Mutex::new(hello.sources),
            own_addresses: Mutex::new(Some(hello.own_addresses)),
            reports: Mutex::new(Some((Channel::of(reports), Channel::of(counts)))),
            missing: Arc::default(),
        };
        Ok((brain, FromArm { notices, listening: listening.map(UnixListener::from) }))
    }

    fn call(&self, call: &ArmCall) -> Result<(ArmAnswer, Vec<OwnedFd>), String> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .call(call)
            .map_err(|error| error.to_string())
    }

    fn recording(&self) -> Result<Recording, String> {
        if let Some(first) = locked(&self.recording).take() {
            return Ok(first);
        }
        match self.call(&ArmCall::Load)? {
            (ArmAnswer::Loaded(recording), _) => recording,
            (other, _) => Err(format!("the arm answers {other:?}")),
        }
    }

    /// Has `wake` told of stops and reloads, by a thread; file events are told to the followers. The end of the arm is a
    /// stop.
    ///
    /// # Errors
    /// The system's, when it has no thread left.
    pub(crate) fn listen(
        &self,
        from: Channel,
        tell: impl Fn(ArmSays) -> bool + Send + 'static,
    ) -> io::Result<()> {
        let opener = Arc::clone(&self.opener);
        let run = move || {
            loop {
                let goes_on = match from.receive::<ArmNotice>() {
                    Ok(Some((ArmNotice::FileChanged, _))) => {
                        opener.wake();
                        true
                    }
                    Ok(Some((ArmNotice::Reload, _))) => tell(ArmSays::Reload),
                    Ok(Some((ArmNotice::Stop, _))) => tell(ArmSays::Stop),
                    Ok(None) | Err(_) => {
                        log::error!("the process with root's rights is gone: nothing can be banned");
                        tell(ArmSays::Stop);
                        false
                    }
                };
                if !goes_on {
                    return;
                }
            }
        };
        thread::Builder::new().name("notices".to_owned()).spawn(run).map(drop)
    }
}

/// What the deciding thread is told of the arm's notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArmSays {
    Reload,
    Stop,
}

impl FromArm {
    pub(crate) fn split(self) -> (Channel, Option<UnixListener>) {
        (self.notices, self.listening)
    }
}

impl Privileges for Brain {
    fn load(&self, in_force: &[String]) -> Result<Setup, Refused> {
        let file = self.file.as_deref();
        let recording = self.recording().map_err(|why| Refused::because(file, why))?;
        let mut setup = Setup::load_to_run(&recording, file, false, in_force)?;
        setup.config.state = database::of_the_brain(&setup.config.state);
        Ok(setup)
    }

    fn adopt(&self) -> Result<(), String> {
        match self.call(&ArmCall::Adopt)? {
            (ArmAnswer::Adopted { sources, files, missing }, descriptors) => {
                *locked(&self.missing) = missing;
                self.opener.learn(files);
                *locked(&self.sources) = sources;
                *locked(&self.firewall) = descriptors.into_iter().next().map(Channel::of);
                Ok(())
            }
            (ArmAnswer::Failed(why), _) => Err(why),
            (other, _) => Err(format!("the arm answers {other:?}")),
        }
    }

    fn sources(&self, _: &Setup) -> Vec<Source> {
        locked(&self.sources).clone()
    }

    fn opener(&self) -> Arc<dyn Opener> {
        Arc::clone(&self.opener) as Arc<dyn Opener>
    }

    fn backend(&self, settings: &FirewallSettings) -> Result<Box<dyn Backend>, Unusable> {
        let channel = locked(&self.firewall).take();
        let channel = channel.ok_or_else(|| Unusable("the arm drives another firewall".to_owned()))?;
        Ok(Box::new(RemoteBackend::new(crate::firewall::open(settings)?, channel)))
    }

    fn own_addresses(&self, _: &Allow) -> Vec<Prefix> {
        if let Some(first) = locked(&self.own_addresses).take() {
            return first;
        }
        match self.call(&ArmCall::OwnAddresses) {
            Ok((ArmAnswer::OwnAddresses(found), _)) => found,
            _ => Vec::new(),
        }
    }

    fn save_table(&self, _: &Path, _: Option<&TableFile>, prefixes: &[Prefix]) -> io::Result<()> {
        let answer = self.call(&ArmCall::SaveTable(prefixes.to_vec())).map_err(io::Error::other)?;
        match answer.0 {
            ArmAnswer::Saved(saved) => saved.map_err(io::Error::other),
            other => Err(io::Error::other(format!("the arm answers {other:?}"))),
        }
    }

    fn receive_reports(
        &self,
        _: &[BlocklistSettings],
        deliver: Deliver,
    ) -> Result<Box<dyn ReportIntake>, ReportsRefused> {
        let channels = locked(&self.reports).take();
        let (channel, counts) = channels.ok_or_else(|| io::Error::other("the arm sends none"))?;
        thread::Builder::new().name("reports".to_owned()).spawn(move || take_reports(&channel, &deliver))?;
        Ok(Box::new(RemoteReports { counts, missing: Arc::clone(&self.missing) }))
    }

    fn stop_listening(&self) {
        // The arm removes it at our end in any case.
        let _asked = self.call(&ArmCall::StopListening);
    }

    fn is_separate(&self) -> bool {
        true
    }
}

/// Hands reports on as they come. Where they wait, so does the arm, which counts what it cannot keep.
fn take_reports(channel: &Channel, deliver: &Deliver) {
    while let Ok(Some(((source, report), _))) = channel.receive::<(Arc<str>, Report)>() {
        while !deliver(&source, report) {
            thread::sleep(FULL_PAUSE);
        }
    }
}

/// The reports that the arm receives.
struct RemoteReports {
    counts: Channel,
    missing: Arc<Mutex<Vec<String>>>,
}

impl ReportIntake for RemoteReports {
    /// The arm has taken them into force with the rest of the configuration.
    fn reload(&mut self, _: &[BlocklistSettings]) -> Vec<String> {
        std::mem::take(&mut locked(&self.missing))
    }

    fn counts(&self) -> Vec<ReportCount> {
        self.counts.call(&()).map(|(counts, _)| counts).unwrap_or_default()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
