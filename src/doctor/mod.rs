//! `portcullis doctor`: whether bans would do anything, and whether they could hit the wrong one.
//!
//! Nothing is changed: tools are only asked, and what they print is judged by pure functions, a file for each subject.

mod blocklist;
mod finding;
mod firewall;
mod ipfw;
mod lockout;
mod logs;
mod pf;
mod protection;
mod running;
mod system;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use self::finding::{Finding, Grade};

use crate::address;
use crate::config::Config;
use crate::control::reply::{AddressReport, DaemonStatus};
use crate::control::{Answer, Client, ClientError, Request};
use crate::firewall::runner::Tool;
use crate::setup::{Refused, Setup, ask_daemon, local_addresses, preflight};

/// Longest time to wait for a tool that only prints.
const PATIENCE: Duration = Duration::from_secs(10);

/// The machine that is looked at; a test has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether it is FreeBSD: only there the kernel and syslogd are asked.
    pub is_freebsd: bool,
    /// Path of sysctl(8).
    pub sysctl: PathBuf,
    /// Path of ps(1).
    pub ps: PathBuf,
    /// sshd(8), whose settings are asked for.
    pub sshd: PathBuf,
    /// The configuration file of sshd.
    pub sshd_config: PathBuf,
    /// `SSH_CONNECTION` or `SSH_CLIENT`, if set.
    pub session: Option<String>,
}

impl Surroundings {
    /// This machine.
    pub fn here(session: Option<String>) -> Self {
        Self {
            is_freebsd: cfg!(target_os = "freebsd"),
            sysctl: "/sbin/sysctl".into(),
            ps: "/bin/ps".into(),
            sshd: "/usr/sbin/sshd".into(),
            sshd_config: "/etc/ssh/sshd_config".into(),
            session,
        }
    }

    fn ask(&self, program: &Path, args: &[&str]) -> Option<String> {
        firewall::ask(&Tool::new(program, PATIENCE), args).ok()
    }
}

/// Looks at everything that the configuration makes matter.
///
/// # Errors
/// All errors of the configuration, if there is one: then there is nothing to look for.
pub fn examine(file: Option<&Path>, at: &Surroundings) -> Result<Vec<Finding>, Refused> {
    let setup = Setup::load(file)?;
    let config = &setup.config;
    let mut findings = firewall::findings(&config.firewall, at);
    for source in &config.sources {
        findings.extend(logs::findings(source, SystemTime::now()));
    }
    findings.extend(system(&setup, at));
    let status = status(config);
    findings.extend(reports(config, at, status.as_ref().ok()));
    findings.insert(0, protection::finding(&setup, &findings, &status));
    findings.extend(running::findings(&status));
    findings.push(lockout(&setup, at));
    findings.push(running::directory(&config.state, "the database", "0700"));
    findings.push(running::directory(&config.control.socket, "the control socket", "0755"));
    for exposed in preflight::exposed_places(config).into_iter().chain(preflight::exposed_programs(config)) {
        let finding = running::exposed(exposed.exposure);
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    Ok(findings)
}

fn system(setup: &Setup, at: &Surroundings) -> Vec<Finding> {
    let in_force = |name: &str| setup.sets.iter().any(|set| set.set.name == name);
    let mut findings = Vec::new();
    if at.is_freebsd && in_force("freebsd-tcp") {
        findings.push(system::kernel(at.ask(&at.sysctl, &["-n", "net.inet.tcp.log_debug"]).as_deref()));
    }
    if at.is_freebsd {
        findings.push(system::syslogd(&at.ask(&at.ps, &["-axww", "-o", "command"]).unwrap_or_default()));
    }
    if in_force("sshd") && at.sshd.exists() {
        findings.push(system::sshd(at.ask(&at.sshd, &["-T"]).as_deref()));
    }
    findings
}

/// Whether servers can report, where the configuration wants them to.
fn reports(config: &Config, at: &Surroundings, status: Option<&DaemonStatus>) -> Vec<Finding> {
    if config.blocklists.is_empty() {
        return Vec::new();
    }
    let processes = at.is_freebsd.then(|| at.ask(&at.ps, &["-axww", "-o", "command"])).flatten();
    let judge = |source| blocklist::findings(source, status, processes.as_deref());
    let mut findings: Vec<Finding> = config.blocklists.iter().flat_map(judge).collect();
    if at.is_freebsd && config.blocklists.iter().any(|source| source.feeds("sshd")) {
        let file = fs::read_to_string(&at.sshd_config).ok();
        findings.push(blocklist::sshd(at.ask(&at.sshd, &["-T"]).as_deref(), file.as_deref()));
    }
    findings
}

fn status(config: &Config) -> Result<DaemonStatus, ClientError> {
    match ask_daemon(config, &Request::Status)? {
        Answer::Status(status) => Ok(*status),
        _ => Err(ClientError::Unexpected),
    }
}

fn lockout(setup: &Setup, at: &Surroundings) -> Finding {
    let peer = at.session.as_deref().and_then(lockout::peer);
    let own = local_addresses::prefixes(&setup.config.allow);
    let settings = setup.engine_settings(setup.config.sources.len(), &own);
    let why = peer.and_then(|peer| why(&setup.config.control.socket, peer));
    lockout::finding(peer, &settings, why.as_ref())
}

fn why(socket: &Path, peer: std::net::IpAddr) -> Option<AddressReport> {
    match Client::connect(socket).ok()?.ask(&Request::Why { address: address::host(peer) }) {
        Ok(Answer::Why(why)) => Some(*why),
        _ => None,
    }
}
