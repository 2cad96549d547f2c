//! What wakes the daemon, all on one bounded channel: a full one holds the follower up, and the log is the queue.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::address::Prefix;
use crate::config::Allow;
use crate::engine::Row;
use crate::firewall::FirewallEvent;
use crate::follow::Batch;
use crate::setup::{Refused, Setup};

/// Events waiting at a time; a batch of lines is up to 256 KiB, so this bounds memory, not speed.
pub(super) const MAX_EVENTS: usize = 4;

/// An event that the deciding thread reacts to.
pub(super) enum Event {
    /// Lines of a followed file; the number is that of the follower, which changes with a reload.
    Lines(u32, Batch),
    /// The follower with this number has nothing more to say: all its sources ended.
    Ended(u32),
    /// The firewall worker has something to tell.
    Firewall(FirewallEvent),
    /// Somebody asks at the control socket; the call is in a queue of its own, since this one may be full of lines.
    Called,
    /// A server reports a connection; the report is in a queue of its own.
    Reported,
    /// A batch for the database is on the disk, or could not be written.
    Stored(CommitResult),
    /// Configuration and rules were read again.
    Loaded(Box<ReloadResult>),
    /// This machine's own addresses, as this allow list wants them.
    OwnAddresses(Box<Allow>, Vec<Prefix>),
    /// SIGHUP: read configuration and rules again.
    Reload,
    /// SIGTERM or SIGINT.
    Stop,
}

/// What became of a batch for the database.
pub(super) struct CommitResult {
    /// Whether it is stored, or a sentence on why not.
    pub(super) result: Result<(), String>,
    /// The database lost what it had: everything is to be written again.
    pub(super) lost: bool,
    /// What is in a database that could not be read at the start, and now can.
    pub(super) found: Vec<Row>,
}

/// What a reload has read.
pub(super) struct ReloadResult {
    pub(super) setup: Result<Setup, Refused>,
    /// Addresses of this machine and its surroundings, as the new allow list wants them.
    pub(super) own_addresses: Vec<Prefix>,
}

/// Sends what arrives on one channel on to the daemon's, in a thread that sleeps otherwise. Ends with either side.
pub(super) fn forward<T: Send + 'static>(
    name: &str,
    from: Receiver<T>,
    to: SyncSender<Event>,
    wrap: impl Fn(T) -> Event + Send + 'static,
) -> io::Result<()> {
    let run = move || {
        for item in from {
            if to.send(wrap(item)).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(run)?;
    Ok(())
}

/// Turns signals into events.
pub(super) fn signals(to: SyncSender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT])?;
    let run = move || {
        for signal in signals.forever() {
            let event = if signal == SIGHUP { Event::Reload } else { Event::Stop };
            if to.send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(run)?;
    Ok(())
}
