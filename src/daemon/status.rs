//! What the daemon knows, in the words of the control socket.

use std::time::{Duration, Instant};

use super::core::{Daemon, now};
use crate::address::Prefix;
use crate::control::reply::{
    AddressReport, BanEntry, Counters, DaemonStatus, RuleSetStatus, SourceStatus, TableStatus, Window,
};
use crate::engine::Counter;
use crate::firewall;
use crate::follow;
use crate::time::Time;

/// A rule set or source that matched nothing for this long is worth a remark.
const SILENCE: Duration = Duration::from_secs(7 * 24 * 3600);

impl Daemon {
    pub(super) fn rfc3339(&self, time: Time) -> String {
        time.rfc3339(&self.setup.zone)
    }

    pub(super) fn status(&self) -> DaemonStatus {
        let firewall = self.firewall.status();
        let sources = self.sources();
        let (matches, bans) = self.tallies.all();
        let (tracked, evicted) = self.pipeline.engine.tracked();
        let counters = Counters {
            lines: sources.iter().map(|source| source.lines).sum(),
            matches,
            offences: self.tallies.offences,
            bans,
            unbans: self.tallies.unbans,
            active: self.pipeline.engine.bans().count() as u64,
            tracked: tracked as u64,
            evicted,
            spared: self.tallies.spared,
        };
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: self.rfc3339(self.started),
            loaded: self.rfc3339(self.setup.now),
            config: self.setup.file.as_ref().map(|path| path.display().to_string()),
            rule_sets: self.rule_sets(),
            problems: self.problems(&firewall, &sources),
            counters,
            sources,
            firewall: self.table(firewall),
        }
    }

    fn sources(&self) -> Vec<SourceStatus> {
        let followed = self.follower.status();
        let one = |(index, name): (usize, &str)| -> SourceStatus {
            let paths: Vec<&follow::Status> =
                followed.iter().filter(|s| usize::from(s.source.0) == index).collect();
            let tally = self.tallies.of_source(name);
            let last_line = paths.iter().filter_map(|path| path.last_data).max().map(wall_clock);
            SourceStatus {
                name: name.to_owned(),
                path: self.follower.path(index),
                files: paths.iter().map(|path| path.path.to_string()).collect(),
                lines: paths.iter().map(|path| path.lines).sum(),
                matches: tally.matched,
                undated: self.streams.of(name).map(|number| self.pipeline.undated(number)).sum(),
                stamps_behind: self.streams.of(name).find_map(|number| self.pipeline.zone_minutes(number)),
                too_long: paths.iter().map(|path| path.overlong).sum(),
                last_line: last_line.map(|time| self.rfc3339(time)),
                last_match: tally.last.map(|time| self.rfc3339(time)),
                problem: trouble(&paths),
            }
        };
        self.follower.names().enumerate().map(one).collect()
    }

    fn rule_sets(&self) -> Vec<RuleSetStatus> {
        let one = |name: &str| {
            let tally = self.tallies.of_set(name);
            let last_match = tally.last.map(|time| self.rfc3339(time));
            RuleSetStatus { name: name.to_owned(), matches: tally.matched, bans: tally.bans, last_match }
        };
        self.setup.sets.iter().map(|set| one(&set.set.name)).collect()
    }

    fn problems(&self, firewall: &firewall::WorkerStatus, sources: &[SourceStatus]) -> Vec<String> {
        let mut problems: Vec<String> = self.persist.trouble().into_iter().map(str::to_owned).collect();
        problems.extend(firewall.last_error.clone());
        problems.extend(sources.iter().filter_map(|s| Some(format!("{} {}", s.path, s.problem.as_ref()?))));
        let long = now().since(self.started).is_some_and(|age| age > SILENCE);
        let silent = |last: Option<Time>| {
            long && last.is_none_or(|last| now().since(last).is_some_and(|age| age > SILENCE))
        };
        for set in self
            .setup
            .sets
            .iter()
            .map(|set| &set.set.name)
            .filter(|name| silent(self.tallies.of_set(name).last))
        {
            problems.push(format!(
                "rule set {set} matched nothing for a week: its program may have changed its messages, or its log is not followed"
            ));
        }
        problems
    }

    fn table(&self, status: firewall::WorkerStatus) -> TableStatus {
        TableStatus {
            backend: status.backend,
            in_step: status.in_step,
            entries: status.entries as u64,
            pending: status.pending as u64,
            set_aside: status.set_aside as u64,
            foreign: status.foreign as u64,
            strange: status.strange as u64,
            listed: status.listed.map(|listed| listed as u64),
            compared: status.compared.map(|at| self.rfc3339(wall_clock(at))),
            warnings: status.warnings,
            problem: status.last_error.or(status.unlistable),
        }
    }

    pub(super) fn bans(&self) -> Vec<BanEntry> {
        self.pipeline.engine.bans().map(|ban| BanEntry::new(ban, &self.setup.zone)).collect()
    }

    /// What is known of an address but for its past, which the database knows.
    pub(super) fn why(&self, address: Prefix) -> AddressReport {
        let engine = &self.pipeline.engine;
        let windows = engine.counters(address.addr(), now()).into_iter();
        let window = |counter: Counter<'_>| Window {
            rule_set: counter.set.to_owned(),
            tenths: counter.tenths,
            threshold: counter.threshold,
            within: counter.within.as_secs(),
        };
        AddressReport {
            address,
            ban: engine.covering(&address).map(|ban| BanEntry::new(ban, &self.setup.zone)),
            allowed: engine.settings().allows(&address),
            trusted: engine.is_trusted(address.addr(), now()),
            windows: windows.map(window).collect(),
            history: Vec::new(),
            problem: None,
        }
    }
}

fn wall_clock(at: Instant) -> Time {
    now().minus(at.elapsed())
}

fn trouble(paths: &[&follow::Status]) -> Option<String> {
    match paths {
        [] => Some("matches no file yet".to_owned()),
        paths => paths.iter().find_map(|path| path.trouble.clone()),
    }
}
