//! The sockets at which servers report, where this process may bind them. The arm's, or those of a daemon that is alone.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::blocklist::{Gate, Receiver, ReportSocket, SocketRefused, UnknownUser};
use crate::report::Report;
use crate::settings::BlocklistSettings;

/// Takes a report of a source, or says that it cannot.
pub(crate) type Deliver = Arc<dyn Fn(&Arc<str>, Report) -> bool + Send + Sync>;

/// Why no reports can be received.
#[derive(Debug, Error)]
pub enum ReportsRefused {
    /// A socket cannot be had.
    #[error(transparent)]
    Socket(#[from] SocketRefused),
    /// A user whose reports are to be taken does not exist.
    #[error(transparent)]
    Sender(#[from] UnknownUser),
    /// The system has no thread left.
    #[error("reports cannot be received: {0}")]
    System(#[from] io::Error),
}

/// The numbers of one source since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportCount {
    pub(crate) source: String,
    pub(crate) taken: u64,
    pub(crate) refused: u64,
    /// Reports about connections that the peer had reset.
    pub(crate) reset: u64,
}

/// Reports as they are received, by this process or for it.
pub(crate) trait ReportIntake {
    /// Takes other sources into force. Returns why sources are missing.
    fn reload(&mut self, sources: &[BlocklistSettings]) -> Vec<String>;

    /// The numbers of each source.
    fn counts(&self) -> Vec<ReportCount>;
}

/// A socket that was bound at the start, before anything could go wrong any more.
pub(super) struct BoundSource {
    settings: BlocklistSettings,
    socket: ReportSocket,
    gate: Gate,
}

/// Takes the sockets.
///
/// # Errors
/// When one cannot be had.
pub(super) fn bind(sources: &[BlocklistSettings]) -> Result<Vec<BoundSource>, ReportsRefused> {
    sources.iter().map(bind_one).collect()
}

fn bind_one(settings: &BlocklistSettings) -> Result<BoundSource, ReportsRefused> {
    let gate = Gate::new(settings)?;
    Ok(BoundSource { settings: settings.clone(), socket: ReportSocket::bind(settings)?, gate })
}

/// The receivers at work.
pub(super) struct ReportReceivers {
    running: Vec<(BlocklistSettings, Receiver)>,
    deliver: Deliver,
}

impl ReportReceivers {
    /// Receives at these sockets from now on.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(bound: Vec<BoundSource>, deliver: Deliver) -> Result<Self, ReportsRefused> {
        let mut receivers = Self { running: Vec::new(), deliver };
        for source in bound {
            receivers.receive(source)?;
        }
        Ok(receivers)
    }

    fn receive(&mut self, source: BoundSource) -> Result<(), ReportsRefused> {
        let BoundSource { settings, socket, gate } = source;
        let name: Arc<str> = settings.name.as_str().into();
        let deliver = Arc::clone(&self.deliver);
        let of_this_source = move |report| deliver(&name, report);
        let receiver = Receiver::start(&format!("source {}", settings.name), socket, gate, of_this_source)?;
        self.running.push((settings, receiver));
        Ok(())
    }
}

impl ReportIntake for ReportReceivers {
    /// A socket that stays keeps what waits in it.
    fn reload(&mut self, sources: &[BlocklistSettings]) -> Vec<String> {
        let mut missing = Vec::new();
        let stays = |old: &BlocklistSettings, new: &BlocklistSettings| {
            (&old.name, &old.socket, &old.group) == (&new.name, &new.socket, &new.group)
        };
        // Removed before any is made, since two sources may change their paths.
        self.running.retain(|(old, _)| sources.iter().any(|new| stays(old, new)));
        for new in sources {
            let known = self.running.iter_mut().find(|(old, _)| stays(old, new));
            let done = match known {
                Some((old, receiver)) => Gate::new(new).map_err(ReportsRefused::from).map(|gate| {
                    receiver.set_gate(gate);
                    old.clone_from(new);
                }),
                None => bind_one(new).and_then(|bound| self.receive(bound)),
            };
            missing.extend(done.err().map(|error| error.to_string()));
        }
        missing.iter().for_each(|why| log::error!("{why}"));
        missing
    }

    fn counts(&self) -> Vec<ReportCount> {
        let count = |(settings, receiver): &(BlocklistSettings, Receiver)| ReportCount {
            source: settings.name.clone(),
            taken: receiver.counts().taken(),
            refused: receiver.counts().refused(),
            reset: receiver.counts().reset(),
        };
        self.running.iter().map(count).collect()
    }
}
