//! What the daemon knows, in the words of the control socket.

use std::time::{Duration, Instant};

use super::enforcement::Enforcement;
use super::now;
use super::reports::ReportSources;
use super::sources::Sources;
use crate::address::Prefix;
use crate::control::reply::{
    AddressReport, BanEntry, Counters, DaemonStatus, LoginStatus, MissedStatus, ReportSourceStatus,
    RuleSetStatus, SourceStatus, TableStatus, Window,
};
use crate::engine::Counter;
use crate::files;
use crate::firewall::WorkerStatus;
use crate::follow;
use crate::pipeline::{MissedOfProgram, Pipeline, Stream};
use crate::protection::{self, Facts, Gap, Logs};
use crate::setup::{Setup, machine};
use crate::time::Time;

/// The daemon as it is at this moment.
pub(super) struct Snapshot<'d> {
    pub(super) setup: &'d Setup,
    pub(super) pipeline: &'d Pipeline,
    pub(super) sources: &'d Sources,
    pub(super) reports: &'d ReportSources,
    pub(super) enforcement: &'d Enforcement,
    pub(super) started: Time,
    /// Whether another process has root's rights: the one that started us.
    pub(super) is_separate: bool,
}

impl Snapshot<'_> {
    pub(super) fn status(&self) -> DaemonStatus {
        let firewall = self.enforcement.firewall.status();
        let sources = self.sources();
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: if self.is_separate { std::os::unix::process::parent_id() } else { std::process::id() },
            privileges: if self.is_separate { "separate" } else { "single" }.to_owned(),
            since: self.rfc3339(self.started),
            loaded: self.rfc3339(self.setup.now),
            config: self.setup.file.as_ref().map(|path| path.display().to_string()),
            rule_sets: self.rule_sets(),
            problems: self.problems(&firewall, &sources),
            not_protecting: self.not_protecting(&firewall),
            logins_after_failures: self.logins_after_failures(),
            missed: self.enforcement.tallies.missed.all().map(missed).collect(),
            counters: self.counters(&sources),
            sources,
            report_sources: self.report_sources(),
            firewall: self.table(firewall),
        }
    }

    /// Why nobody is kept out, as far as this daemon can know; empty where attackers are.
    pub(super) fn not_protecting(&self, firewall: &WorkerStatus) -> Vec<Gap> {
        let files: Vec<(&follow::Source, Vec<follow::Status>)> = self.sources.status();
        let last = files.iter().flat_map(|(_, files)| files).filter_map(|file| file.last_data).max();
        let started = now().since(self.started).unwrap_or_default();
        // Logs may be silent for good where servers report.
        let is_told = self.reports.last().is_some();
        protection::gaps(&Facts {
            logs: if self.reports.count() > 0 { Logs::Some } else { logs(&files) },
            has_journal: files::has_journal(),
            is_dry_run: self.enforcement.firewall.blocks_nobody(),
            not_blocking: firewall.warnings.iter().map(|warning| not_blocking(warning)).collect(),
            out_of_step: firewall.last_error.clone().filter(|_| !firewall.in_step),
            silence: if is_told { Duration::ZERO } else { last.map_or(started, |last| last.elapsed()) },
            expects_sshd: machine::expects_sshd(&self.setup.sets),
        })
    }

    fn rfc3339(&self, time: Time) -> String {
        time.rfc3339(&self.setup.zone)
    }

    fn counters(&self, sources: &[SourceStatus]) -> Counters {
        let tallies = &self.enforcement.tallies;
        let (tracked, evicted) = self.pipeline.engine.tracked();
        Counters {
            lines: sources.iter().map(|source| source.lines).sum(),
            matches: tallies.matches(),
            offences: tallies.offences,
            bans: tallies.bans(),
            unbans: tallies.unbans,
            active: self.pipeline.engine.bans().count() as u64,
            tracked: tracked as u64,
            evicted,
            spared: tallies.spared,
        }
    }

    fn sources(&self) -> Vec<SourceStatus> {
        let sources = self.sources.status().into_iter();
        sources.map(|(source, files)| self.source(source, &files)).collect()
    }

    fn logins_after_failures(&self) -> Vec<LoginStatus> {
        let logins = self.enforcement.tallies.logins.iter().map(|login| LoginStatus {
            address: login.peer.to_string(),
            failures: login.failures,
            at: self.rfc3339(login.at),
            line: login.line.clone(),
        });
        logins.collect()
    }

    fn report_sources(&self) -> Vec<ReportSourceStatus> {
        let status = self.reports.status().map(|(source, counts, last)| ReportSourceStatus {
            name: source.name.clone(),
            socket: source.socket.display().to_string(),
            services: source.services.iter().map(|(port, set)| format!("{port}: {set}")).collect(),
            reports: counts.taken,
            refused: counts.refused,
            reset: counts.reset,
            last_report: last.map(|time| self.rfc3339(time)),
        });
        status.collect()
    }

    fn source(&self, source: &follow::Source, files: &[follow::Status]) -> SourceStatus {
        let counter = self.enforcement.tallies.of_source(&source.name);
        let last_line = files.iter().filter_map(|file| file.last_data).max();
        let mut streams = self.pipeline.streams_of(&source.name);
        SourceStatus {
            name: source.name.clone(),
            path: source.path.display().to_string(),
            files: files.iter().map(|file| file.path.to_string()).collect(),
            lines: files.iter().map(|file| file.lines).sum(),
            matches: counter.matched,
            undated: self.pipeline.streams_of(&source.name).map(Stream::undated).sum(),
            stamps_behind: streams.find_map(Stream::zone_minutes),
            too_long: files.iter().map(|file| file.overlong).sum(),
            last_line: last_line.map(|at| self.rfc3339(wall_clock(at))),
            last_match: counter.last.map(|time| self.rfc3339(time)),
            problem: match files {
                [] => Some("matches no file yet".to_owned()),
                files => files.iter().find_map(|file| file.trouble.clone()),
            },
        }
    }

    fn rule_sets(&self) -> Vec<RuleSetStatus> {
        let status = |name: &String| {
            let counter = self.enforcement.tallies.of_set(name);
            RuleSetStatus {
                name: name.clone(),
                matches: counter.matched,
                bans: counter.bans,
                last_match: counter.last.map(|time| self.rfc3339(time)),
            }
        };
        self.setup.sets.iter().map(|set| status(&set.set.name)).collect()
    }

    fn problems(&self, firewall: &WorkerStatus, sources: &[SourceStatus]) -> Vec<String> {
        let mut problems: Vec<String> = Vec::new();
        problems.extend(self.enforcement.persist.trouble().map(str::to_owned));
        problems.extend(firewall.last_error.clone());
        for source in sources {
            if let Some(problem) = &source.problem {
                problems.push(format!("{} {problem}", source.path));
            }
        }
        for set in self.setup.sets.iter().filter(|set| self.is_silent(&set.set.name)) {
            problems.push(format!(
                "rule set {} matched nothing for a week: its program may have changed its messages, or its log is not followed",
                set.set.name
            ));
        }
        problems
    }

    /// Whether a rule set matched nothing for long, though the daemon has run as long.
    fn is_silent(&self, set: &str) -> bool {
        let is_long_ago = |time: Time| now().since(time).is_some_and(|age| age > protection::MAX_SILENCE);
        let last_match = self.enforcement.tallies.of_set(set).last;
        is_long_ago(self.started) && last_match.is_none_or(is_long_ago)
    }

    fn table(&self, status: WorkerStatus) -> TableStatus {
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
        AddressReport {
            address,
            ban: engine.covering(&address).map(|ban| BanEntry::new(ban, &self.setup.zone)),
            allowed: engine.settings().allows(&address),
            trusted: engine.is_trusted(address.addr(), now()),
            windows: engine.counters(address.addr(), now()).into_iter().map(window).collect(),
            history: Vec::new(),
            problem: None,
        }
    }
}

fn window(counter: Counter<'_>) -> Window {
    Window {
        rule_set: counter.set.to_owned(),
        tenths: counter.tenths,
        threshold: counter.threshold,
        within: counter.within.as_secs(),
    }
}

fn missed((program, missed): (&str, &MissedOfProgram)) -> MissedStatus {
    let (shape, shape_lines) = missed.commonest().unwrap_or_default();
    MissedStatus { program: program.to_owned(), lines: missed.lines, shape: shape.to_owned(), shape_lines }
}

/// Whether one of the sources can be read; a log that is not there yet has a problem that says so.
fn logs(sources: &[(&follow::Source, Vec<follow::Status>)]) -> Logs {
    if sources.iter().flat_map(|(_, files)| files).any(|file| file.trouble.is_none()) {
        return Logs::Some;
    }
    Logs::None(sources.iter().map(|(source, _)| source.path.display().to_string()).collect())
}

/// The firewall's remark, `fact: advice`, as a reason.
fn not_blocking(warning: &str) -> Gap {
    let (text, remedy) = warning.split_once(": ").unwrap_or((warning, "`portcullis doctor` tells more"));
    Gap::not_blocking(text, remedy)
}

fn wall_clock(at: Instant) -> Time {
    now().minus(at.elapsed())
}
