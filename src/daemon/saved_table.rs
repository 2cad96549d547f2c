//! The table's file, for boots and for reloads of the firewall's rules: written as a whole when bans change, by a thread of
//! its own, since deciding and banning wait for no disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::address::Prefix;
use crate::engine::Ban;
use crate::firewall::TableFile;

/// The shortest time between two writes,
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// which is also at least this many times the duration of the last write.
const REST_FACTOR: u32 = 20;

/// The content to write: the format, `None` if the firewall reads no file, and the prefixes.
type Work = (Option<TableFile>, Vec<Prefix>);

/// Writes the file.
pub(super) type WriteTable = dyn Fn(Option<&TableFile>, &[Prefix]) -> io::Result<()> + Send;

/// The deciding thread's end.
pub(super) struct SavedTable {
    format: Option<TableFile>,
    work: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<()>>,
    /// How long the last writing took, in microseconds.
    took: Arc<AtomicU64>,
    sent: Option<Instant>,
    is_stale: bool,
}

impl SavedTable {
    /// Nothing is written: a dry run changes nothing.
    pub(super) fn none() -> Self {
        Self { format: None, work: None, thread: None, took: Arc::default(), sent: None, is_stale: false }
    }

    /// Starts the thread; the file is written at once.
    pub(super) fn start(write: Box<WriteTable>, format: Option<TableFile>) -> io::Result<Self> {
        let (sender, work) = sync_channel(1);
        let took = Arc::<AtomicU64>::default();
        let told = Arc::clone(&took);
        let thread =
            thread::Builder::new().name("table file".to_owned()).spawn(move || keep(&write, &work, &told))?;
        let work = Some(sender);
        let thread = Some(thread);
        Ok(Self { format, work, thread, took, sent: None, is_stale: true })
    }

    /// The bans have changed.
    pub(super) fn touch(&mut self) {
        self.is_stale = true;
    }

    /// Another firewall may want another file.
    pub(super) fn set_format(&mut self, format: Option<TableFile>) {
        self.is_stale |= format != self.format;
        self.format = format;
    }

    /// Until the file is to be written; `None` when it is as it should be.
    pub(super) fn due_in(&self) -> Option<Duration> {
        (self.is_stale && self.work.is_some()).then(|| {
            let worked = Duration::from_micros(self.took.load(Ordering::Relaxed));
            let since = self.sent.map_or(Duration::MAX, |sent| sent.elapsed());
            (worked * REST_FACTOR).max(MIN_PAUSE).saturating_sub(since)
        })
    }

    /// Has the file written with these bans.
    pub(super) fn save<'a>(&mut self, bans: impl Iterator<Item = &'a Ban>) {
        let Some(work) = &self.work else { return };
        self.sent = Some(Instant::now());
        // A thread that is still at work with a slow disk is asked again after the next pause.
        self.is_stale = work.try_send((self.format.clone(), lasting(self.format.as_ref(), bans))).is_err();
    }

    /// Has the file written a last time and waits for that.
    pub(super) fn finish<'a>(&mut self, bans: impl Iterator<Item = &'a Ban>) {
        if let Some(work) = self.work.take() {
            let last = (self.format.clone(), lasting(self.format.as_ref(), bans));
            // The thread lives until we drop this end.
            let _sent = work.send(last);
        }
        if let Some(thread) = self.thread.take() {
            // A panic there was printed where it happened.
            let _ended = thread.join();
        }
    }
}

/// Those that go into the file, sorted: where there are more than it may hold, those that last longest.
pub(super) fn lasting<'a>(format: Option<&TableFile>, bans: impl Iterator<Item = &'a Ban>) -> Vec<Prefix> {
    let Some(most) = format.map(TableFile::most) else { return Vec::new() };
    let mut bans: Vec<&Ban> = bans.collect();
    if bans.len() > most {
        // `None` is for ever, and so comes first.
        bans.sort_unstable_by_key(|ban| ban.until.map(std::cmp::Reverse));
        bans.truncate(most);
    }
    let mut prefixes: Vec<Prefix> = bans.into_iter().map(|ban| ban.offender).collect();
    prefixes.sort_unstable();
    prefixes
}

/// The thread: says what does not work, once.
fn keep(write: &WriteTable, work: &Receiver<Work>, took: &AtomicU64) {
    let mut trouble: Option<String> = None;
    for (format, prefixes) in work {
        let began = Instant::now();
        let result = write(format.as_ref(), &prefixes);
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        took.store(micros, Ordering::Relaxed);
        match result.map_err(|error| error.to_string()) {
            Err(text) if trouble.as_ref() != Some(&text) => {
                log::error!("{text}; until it is written again, a reboot begins with older bans");
                trouble = Some(text);
            }
            Err(_) => {}
            Ok(()) if trouble.take().is_some() => log::info!("the table's file is written again"),
            Ok(()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::manual_bans::ban_without_rule;
    use super::*;
    use crate::engine::Origin;
    use crate::time::Time;

    fn ban(offender: &str, until: Option<u64>) -> Ban {
        let until = until.map(|seconds| Time::default().plus(Duration::from_secs(seconds)));
        let offender = offender.parse().unwrap();
        ban_without_rule(offender, Origin::Manual, &"by hand".into(), Time::default(), until, false)
    }

    #[test]
    fn where_there_is_no_room_for_all_those_that_last_longest_are_kept() {
        let bans = [
            ban("192.0.2.1/32", Some(60)),
            ban("2001:db8::/64", None),
            ban("192.0.2.3/32", Some(3600)),
            ban("192.0.2.2/32", Some(5)),
        ];
        let kept = |most| lasting(Some(&TableFile::Plain { most }), bans.iter()).len();
        assert_eq!((kept(4), kept(3), lasting(None, bans.iter()).len()), (4, 3, 0));
        let two = lasting(Some(&TableFile::Plain { most: 2 }), bans.iter());
        assert_eq!(two, ["192.0.2.3/32", "2001:db8::/64"].map(|text| text.parse().unwrap()));
    }
}
