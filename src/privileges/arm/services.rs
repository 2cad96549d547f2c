//! What the arm does for the brain, each kind in a thread of its own.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::error::ArmError;
use super::files::LogFiles;
use super::firewall;
use super::guard::Guard;
use crate::address::Prefix;
use crate::config::Recording;
use crate::control::Listener;
use crate::files::directory_of;
use crate::firewall::{self as firewall_tool, TableFile, save_table};
use crate::privileges::channel::Channel;
use crate::privileges::loader::{self, SeparateConfig};
use crate::privileges::message::{ArmAnswer, ArmCall, ArmNotice, ArmSettings, FileCall};
use crate::privileges::reports::{BoundSource, Deliver, ReportIntake as _, ReportReceivers};
use crate::report::Report;
use crate::setup::{local_addresses, logger};

/// The most reports that wait for the brain; about 200 bytes each.
const MAX_REPORTS: usize = 16_384;

/// What the threads of the arm share.
pub(super) struct Arm {
    file: Option<PathBuf>,
    files: Mutex<LogFiles>,
    guard: Arc<Mutex<Guard>>,
    /// The directory of the table's file, which no reload changes.
    directory: PathBuf,
    settings: Mutex<ArmSettings>,
    /// What was read last and is not in force yet.
    pending: Mutex<Option<ArmSettings>>,
    /// The control socket, as long as the daemon runs.
    listener: Mutex<Option<Listener>>,
    reports: Mutex<Option<ReportReceivers>>,
}

impl Arm {
    pub(super) fn start(
        file: Option<&Path>,
        settings: &ArmSettings,
        listener: Option<Listener>,
    ) -> io::Result<(Arc<Self>, Receiver<ArmNotice>)> {
        // Events are told once, however many there are.
        let (changed, events) = sync_channel(1);
        let (notices, told) = sync_channel(1);
        let signals = notices.clone();
        let mut received = Signals::new([SIGHUP, SIGTERM, SIGINT])?;
        let pass_signals = move || {
            for signal in received.forever() {
                let notice = if signal == SIGHUP { ArmNotice::Reload } else { ArmNotice::Stop };
                if signals.send(notice).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(pass_signals)?;
        let pass_events = move || {
            for () in events {
                if notices.send(ArmNotice::FileChanged).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("file events".to_owned()).spawn(pass_events)?;
        // Full means that an event waits to be told already.
        let wake = move || {
            let _waits = changed.try_send(());
        };
        let arm = Self {
            file: file.map(Path::to_owned),
            files: Mutex::new(LogFiles::new(wake)),
            guard: Arc::new(Mutex::new(Guard::new([], settings.max_additions, Instant::now()))),
            directory: directory_of(&settings.state).to_owned(),
            settings: Mutex::new(settings.clone()),
            pending: Mutex::default(),
            listener: Mutex::new(listener),
            reports: Mutex::default(),
        };
        Ok((Arc::new(arm), told))
    }

    pub(super) fn files(&self) -> MutexGuard<'_, LogFiles> {
        locked(&self.files)
    }

    fn settings(&self) -> MutexGuard<'_, ArmSettings> {
        locked(&self.settings)
    }

    /// The brain's ends of the channels for files, other calls, the firewall, reports and their counts, in this order.
    pub(super) fn channels(self: &Arc<Self>, bound: Vec<BoundSource>) -> Result<[OwnedFd; 5], ArmError> {
        let reports = self.send_reports(bound)?;
        let counts = self.serve_counts()?;
        Ok([self.serve_files()?, self.serve_calls()?, self.serve_firewall()?, reports, counts])
    }

    /// A channel of its own, since `status` asks, which waits for no reload.
    fn serve_counts(self: &Arc<Self>) -> io::Result<OwnedFd> {
        let arm = Arc::clone(self);
        let counts = move || locked(&arm.reports).as_ref().map(ReportReceivers::counts).unwrap_or_default();
        serve("arm counts", move |ours| ours.serve(|(): ()| (counts(), Vec::new())))
    }

    /// Receives reports and sends them on; those that come faster than the brain takes them are counted as refused.
    fn send_reports(&self, bound: Vec<BoundSource>) -> Result<OwnedFd, ArmError> {
        // A list, which takes memory only for what waits.
        let (sender, queue) = channel::<(Arc<str>, Report)>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waiting);
        let deliver: Deliver = Arc::new(move |source, report| {
            let has_room = counted.fetch_add(1, Ordering::Relaxed) < MAX_REPORTS;
            if !has_room {
                counted.fetch_sub(1, Ordering::Relaxed);
            }
            has_room && sender.send((Arc::clone(source), report)).is_ok()
        });
        *locked(&self.reports) = Some(ReportReceivers::start(bound, deliver)?);
        let (ours, theirs) = Channel::pair()?;
        let send = move || {
            for (source, report) in queue {
                waiting.fetch_sub(1, Ordering::Relaxed);
                if ours.send(&(&*source, report), &[]).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("arm reports".to_owned()).spawn(send)?;
        Ok(theirs.into_descriptor())
    }

    fn serve_files(self: &Arc<Self>) -> io::Result<OwnedFd> {
        let arm = Arc::clone(self);
        serve("arm files", move |ours| ours.serve(|call: FileCall| arm.files().answer(call)))
    }

    fn serve_calls(self: &Arc<Self>) -> io::Result<OwnedFd> {
        let arm = Arc::clone(self);
        serve("arm calls", move |ours| ours.serve(|call: ArmCall| arm.answer(call)))
    }

    /// A channel for the firewall in force.
    fn serve_firewall(&self) -> Result<OwnedFd, ArmError> {
        let backend = firewall_tool::open(&self.settings().firewall)?;
        let (ours, theirs) = Channel::pair()?;
        firewall::serve(ours, backend, Arc::clone(&self.guard))?;
        Ok(theirs.into_descriptor())
    }

    fn answer(&self, call: ArmCall) -> (ArmAnswer, Vec<OwnedFd>) {
        match call {
            ArmCall::Load => (ArmAnswer::Loaded(self.load()), Vec::new()),
            ArmCall::Adopt => self.adopt(),
            ArmCall::OwnAddresses => (ArmAnswer::OwnAddresses(self.own_addresses()), Vec::new()),
            ArmCall::StopListening => {
                self.stop_listening();
                (ArmAnswer::Done, Vec::new())
            }
            ArmCall::SaveTable(prefixes) => (ArmAnswer::Saved(self.save_table(&prefixes)), Vec::new()),
        }
    }

    /// The brain has ended: nothing is left of what was made for it.
    pub(super) fn finish(&self) {
        self.stop_listening();
        drop(locked(&self.reports).take());
        self.files().finish();
    }

    /// Removes the control socket.
    pub(super) fn stop_listening(&self) {
        drop(locked(&self.listener).take());
    }

    fn load(&self) -> Result<Recording, String> {
        let SeparateConfig { settings, recording, .. } = loader::load(self.file.as_deref())?;
        *locked(&self.pending) = settings;
        Ok(recording)
    }

    /// What was read last comes into force. Database and socket stay those that are held.
    fn adopt(&self) -> (ArmAnswer, Vec<OwnedFd>) {
        let Some(new) = locked(&self.pending).take() else {
            return (ArmAnswer::Failed("no configuration was read".to_owned()), Vec::new());
        };
        logger::start(new.log.to, new.log.level);
        let sources = new.sources.clone();
        *self.settings() = new;
        self.own_addresses();
        let files = self.files().set(&sources);
        let blocklists = self.settings().blocklists.clone();
        let missing = locked(&self.reports).as_mut().map(|reports| reports.reload(&blocklists));
        let missing = missing.unwrap_or_default();
        match self.serve_firewall() {
            Ok(channel) => (ArmAnswer::Adopted { sources, files, missing }, vec![channel]),
            Err(error) => (ArmAnswer::Failed(error.to_string()), Vec::new()),
        }
    }

    /// Looks this machine's addresses up, and refuses from now on to ban them.
    pub(super) fn own_addresses(&self) -> Vec<Prefix> {
        let settings = self.settings().clone();
        let own = local_addresses::prefixes(&settings.allow);
        let allowed = settings.allow.networks.iter().chain(&own).copied();
        locked(&self.guard).set(allowed, settings.max_additions);
        own
    }

    fn save_table(&self, prefixes: &[Prefix]) -> Result<(), String> {
        let format = TableFile::of(&self.settings().firewall);
        let guard = locked(&self.guard);
        let permitted: Vec<Prefix> = guard.permitted(prefixes).collect();
        drop(guard);
        save_table(&self.directory, format.as_ref(), &permitted).map_err(|error| error.to_string())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves a new channel in a thread, and gives the brain's end of it.
fn serve(name: &str, run: impl FnOnce(&Channel) -> io::Result<()> + Send + 'static) -> io::Result<OwnedFd> {
    let (ours, theirs) = Channel::pair()?;
    let said = name.to_owned();
    let run = move || {
        if let Err(error) = run(&ours) {
            log::error!("{said}: the process that decides is not answered any more: {error}");
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(run)?;
    Ok(theirs.into_descriptor())
}
