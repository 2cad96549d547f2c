//! Connections that are told of twice: by the log of a server, and by the server itself in reports.
//!
//! A connection counts as often as whoever told most of it. FreeBSD's sshd reports a wrong password once, at the end of the
//! connection, and logs every one; it reports an unknown user twice, in different words. So the reports of one kind and text
//! are one teller, and the log is another.
//!
//! A report has the peer's port, and where the system tells it the process id of its sender, which is that of the log's
//! lines. A line has its process id, and often the port. What has neither in common with a connection of the same peer is
//! taken for the one of which only the other side told so far: a peer can gain nothing by that, since each connection is
//! taken once.

use std::net::IpAddr;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;
use smallvec::SmallVec;

use super::Sighting;
use super::window::index;
use crate::fnv;
use crate::rules::Evidence;
use crate::time::Time;

/// A connection of which nothing was told for this long has ended: the longest login takes ten minutes.
const FORGET: Duration = Duration::from_secs(900);

/// How many peers are remembered, of each rule set; the one that was told of longest ago is evicted first.
const MAX_PEERS: usize = 16_384;

/// How many connections of one peer are remembered.
const MAX_CONNECTIONS: usize = 16;

/// How many tellers of one connection have counts of their own; further ones share the last.
const MAX_TELLERS: usize = 8;

/// The connections of peers, by rule set.
#[derive(Debug, Default)]
pub(super) struct Connections {
    by_peer: LinkedHashMap<(u16, IpAddr), SmallVec<[ToldConnection; 1]>, RandomState>,
}

/// What was told of one connection.
#[derive(Clone, Debug)]
struct ToldConnection {
    last: Time,
    /// The process that serves it.
    pid: Option<u32>,
    /// The peer's port.
    port: Option<u16>,
    /// Teller, tenths.
    told: SmallVec<[(u64, u32); 2]>,
}

/// The teller that a log is; a hash is none but by a chance of 2^-64, which would make two reports one.
const LOG: u64 = 0;

impl Connections {
    /// By how many tenths this sighting exceeds what was told of its connection before.
    pub(super) fn unheard(&mut self, sighting: &Sighting<'_>, peer: IpAddr, tenths: u32) -> u32 {
        let (pid, port) = (sighting.line.pid, sighting.port);
        if pid.is_none() && port.is_none() {
            return tenths;
        }
        let key = (index(sighting.set), peer);
        if self.by_peer.len() >= MAX_PEERS && !self.by_peer.contains_key(&key) {
            self.by_peer.pop_front();
        }
        let connections = self.by_peer.entry(key).or_insert_with(SmallVec::new);
        connections.retain(|connection| !connection.is_over(sighting.time));
        let teller = teller(sighting);
        let at = find(connections, teller, pid, port).unwrap_or_else(|| {
            if connections.len() >= MAX_CONNECTIONS {
                connections.remove(0);
            }
            connections.push(ToldConnection::new(sighting.time));
            connections.len() - 1
        });
        let unheard = connections[at].add(sighting, teller, tenths);
        self.by_peer.to_back(&key);
        unheard
    }

    /// Learns the port of a connection that was told of before, from a line that may not count by itself.
    pub(super) fn learn(&mut self, sighting: &Sighting<'_>) {
        let Some(peer) = sighting.address else { return };
        let Some(connections) = self.by_peer.get_mut(&(index(sighting.set), peer)) else { return };
        let is_it = |connection: &&mut ToldConnection| {
            connection.pid == sighting.line.pid && connection.pid.is_some()
        };
        if let Some(connection) = connections.iter_mut().find(is_it) {
            connection.port = connection.port.or(sighting.port);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_peer.len()
    }

    /// Follows rule sets to their new numbers.
    pub(super) fn rename(&mut self, new: &[Option<usize>]) {
        let old = std::mem::take(&mut self.by_peer);
        let renamed = old.into_iter().filter_map(|((set, peer), connections)| {
            let set = new.get(usize::from(set)).copied().flatten()?;
            Some(((index(set), peer), connections))
        });
        self.by_peer = renamed.collect();
    }
}

/// Who tells: the log, or reports of one kind and text.
fn teller(sighting: &Sighting<'_>) -> u64 {
    if sighting.evidence != Evidence::Kernel {
        return LOG;
    }
    fnv::hash(sighting.rule.to_le_bytes().iter().chain(sighting.line.message))
}

/// The connection with this process or port, or else one of which the other side alone told.
fn find(connections: &[ToldConnection], teller: u64, pid: Option<u32>, port: Option<u16>) -> Option<usize> {
    let is_same = |connection: &ToldConnection| {
        (pid.is_some() && connection.pid == pid) || (port.is_some() && connection.port == port)
    };
    let may_be = |connection: &ToldConnection| {
        let is_other = connection.told.iter().all(|(other, _)| (*other == LOG) != (teller == LOG));
        let fits = |one: bool, other: bool| !(one && other);
        is_other
            && fits(pid.is_some(), connection.pid.is_some())
            && fits(port.is_some(), connection.port.is_some())
    };
    connections.iter().position(is_same).or_else(|| connections.iter().position(may_be))
}

impl ToldConnection {
    fn new(time: Time) -> Self {
        Self { last: time, pid: None, port: None, told: SmallVec::new() }
    }

    /// A clock that was set back ends it too.
    fn is_over(&self, now: Time) -> bool {
        now.since(self.last).map_or_else(|| self.last > now.plus(FORGET), |idle| idle > FORGET)
    }

    fn add(&mut self, sighting: &Sighting<'_>, teller: u64, tenths: u32) -> u32 {
        self.last = self.last.max(sighting.time);
        self.pid = self.pid.or(sighting.line.pid);
        self.port = self.port.or(sighting.port);
        let most = self.told.iter().map(|(_, told)| *told).max().unwrap_or(0);
        let known = self.told.iter().position(|(known, _)| *known == teller);
        let at = known.unwrap_or_else(|| {
            if self.told.len() < MAX_TELLERS {
                self.told.push((teller, 0));
            }
            self.told.len() - 1
        });
        let told = &mut self.told[at].1;
        *told = told.saturating_add(tenths);
        told.saturating_sub(most)
    }
}
