//! What there is on this machine to protect and to protect it with: firewall, logs, services, networks, and who asks.
//!
//! Only looked at, nothing is changed; what cannot be seen is left out.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;

use crate::address::{self, Prefix};
use crate::config::defaults;
use crate::files;
use crate::firewall::runner::{Finished, Tool};
use crate::settings::{BackendKind, Tools};

/// Longest time to wait for a tool that only prints.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most processes that are looked at; more than any machine has.
const MAX_PROCESSES: usize = 100_000;

/// The logs in which syslog daemons write what sshd says, by the name that a source of it gets.
const LOGS: [(&str, &str); 3] =
    [("auth", "/var/log/auth.log"), ("auth", defaults::RED_HAT_LOG), ("messages", "/var/log/messages")];

/// The kernel's own log, which install.sh has syslogd write.
const KERNEL_LOG: &str = "/var/log/kern-net.log";

/// A machine, as far as a configuration for it depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Whether it is FreeBSD.
    pub(crate) is_freebsd: bool,
    /// The firewall that blocks, or would best; `DryRun` where there is none.
    pub(crate) firewall: BackendKind,
    /// Whether that firewall is switched on.
    pub(crate) is_on: bool,
    /// The logs that exist, with names for them.
    pub(crate) logs: Vec<(&'static str, &'static str)>,
    /// Whether programs log to systemd's journal.
    pub(crate) has_journal: bool,
    /// The names of processes.
    pub(crate) processes: Vec<String>,
    /// The private networks that this machine is in.
    pub(crate) networks: Vec<Prefix>,
    /// Where the ssh session comes from that asks.
    pub(crate) session: Option<IpAddr>,
}

impl Survey {
    /// This machine; `session` is `SSH_CONNECTION` or `SSH_CLIENT`, if set.
    pub(crate) fn of_this_machine(session: Option<&str>) -> Self {
        let is_freebsd = cfg!(target_os = "freebsd");
        let tools = Tools::default();
        let (firewall, is_on) = if is_freebsd { freebsds(&tools) } else { linuxs(&tools) };
        let mut logs: Vec<_> = LOGS.into_iter().filter(|(_, path)| Path::new(path).exists()).collect();
        logs.dedup_by_key(|(name, _)| *name);
        if is_freebsd && Path::new(KERNEL_LOG).exists() {
            logs.retain(|(name, _)| *name != "messages");
            logs.push(("kernel", KERNEL_LOG));
        }
        let session = session.and_then(|text| address::parse(text.split_whitespace().next()?.as_bytes()));
        Self {
            is_freebsd,
            firewall,
            is_on,
            logs,
            has_journal: files::has_journal(),
            processes: processes(),
            networks: networks(),
            session,
        }
    }
}

fn asked(program: &Path, args: &[&str]) -> Option<String> {
    let run = Tool::new(program, PATIENCE).run(args, b"").ok().filter(Finished::ok)?;
    Some(String::from_utf8_lossy(&run.stdout).into_owned())
}

/// pf if it is on, else ipfw if that is, else pf, which lets everybody through until it is on.
fn freebsds(tools: &Tools) -> (BackendKind, bool) {
    let pf = asked(&tools.pfctl, &["-s", "info"]).is_some_and(|info| info.contains("Status: Enabled"));
    let ipfw =
        || asked(&tools.sysctl, &["-n", "net.inet.ip.fw.enable"]).is_some_and(|value| value.trim() == "1");
    match pf {
        true => (BackendKind::Pf, true),
        false if ipfw() => (BackendKind::Ipfw, true),
        false => (BackendKind::Pf, false),
    }
}

fn linuxs(tools: &Tools) -> (BackendKind, bool) {
    let has_nft = tools.nft.iter().any(|path| path.exists());
    (if has_nft { BackendKind::Nftables } else { BackendKind::DryRun }, has_nft)
}

/// Both ways are compiled everywhere, so that both are linted and tested everywhere.
fn processes() -> Vec<String> {
    let mut names = if cfg!(target_os = "linux") { from_proc() } else { from_ps() };
    names.sort();
    names.dedup();
    names
}

fn from_proc() -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten().take(MAX_PROCESSES);
    let names = entries.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

fn from_ps() -> Vec<String> {
    let listed = asked(Path::new("/bin/ps"), &["-axo", "comm"]).unwrap_or_default();
    listed.lines().skip(1).map(|name| name.trim().to_owned()).collect()
}

/// Private networks of the interfaces; the hosts in them are often the operator's own.
fn networks() -> Vec<Prefix> {
    let mut networks: Vec<Prefix> = getifaddrs()
        .into_iter()
        .flatten()
        .filter_map(|interface| {
            let address = interface.address?;
            let mask = interface.netmask?;
            let v4 = || {
                Some((
                    IpAddr::V4(address.as_sockaddr_in()?.ip()),
                    mask.as_sockaddr_in()?.ip().to_bits().count_ones(),
                ))
            };
            let v6 = || {
                Some((
                    IpAddr::V6(address.as_sockaddr_in6()?.ip()),
                    mask.as_sockaddr_in6()?.ip().to_bits().count_ones(),
                ))
            };
            let (address, bits) = v4().or_else(v6)?;
            let is_wanted = address::is_private(address) && !address.is_loopback();
            is_wanted.then(|| u8::try_from(bits).ok().map(|bits| address::network(address, bits)))?
        })
        .collect();
    networks.sort();
    networks.dedup();
    networks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_looked_at_and_this_test_is_among_its_processes() {
        let survey = Survey::of_this_machine(Some("192.0.2.5 50000 192.0.2.1 22"));
        assert_eq!(survey.session, Some(IpAddr::from([192, 0, 2, 5])));
        assert_eq!(Survey::of_this_machine(Some("nonsense")).session, None);
        assert!(!survey.processes.is_empty());
        assert!(from_ps().len() > 1 || !Path::new("/bin/ps").exists());
    }
}
