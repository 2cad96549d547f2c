//! This machine's own addresses, gateways and resolvers: a guard that bans them cuts its machine off.
//!
//! They are looked up at start, at a reload and every few minutes, without DNS; what cannot be looked up is left out.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::address::{self, Prefix};
use crate::config::Allow;
use crate::firewall::runner::{Finished, Tool};
use crate::interfaces;

/// Longest time to wait for route(8).
const PATIENCE: Duration = Duration::from_secs(5);

/// What the configuration wants to be allowed of this machine's surroundings.
pub(crate) fn prefixes(allow: &Allow) -> Vec<Prefix> {
    let mut found = Vec::new();
    if allow.own_addresses {
        found.extend(interfaces::addresses());
    }
    if allow.resolvers {
        found.extend(resolvers(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default()));
    }
    if allow.gateways {
        found.extend(gateways());
    }
    found.into_iter().map(address::host).collect()
}

/// `nameserver 192.0.2.53`, see resolver(5).
fn resolvers(text: &str) -> Vec<IpAddr> {
    let words = text.lines().map(str::split_whitespace);
    let named = words.filter_map(|mut words| (words.next()? == "nameserver").then(|| words.next())?);
    named.filter_map(|word| address::parse(word.as_bytes())).collect()
}

/// Both ways are compiled everywhere, so that both are linted and tested everywhere.
fn gateways() -> Vec<IpAddr> {
    if cfg!(target_os = "linux") { from_proc() } else { from_route() }
}

fn from_route() -> Vec<IpAddr> {
    let tool = Tool::new("/sbin/route", PATIENCE);
    let ask = |family: &str| tool.run(&["-n", "get", family, "default"], b"").ok().filter(Finished::ok);
    let answers = ["-inet", "-inet6"].into_iter().filter_map(ask);
    answers.flat_map(|answer| route_get(&String::from_utf8_lossy(&answer.stdout))).collect()
}

/// `    gateway: 192.0.2.1`, as route(8) prints it.
fn route_get(text: &str) -> Vec<IpAddr> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("gateway:"));
    lines.filter_map(|word| address::parse(word.trim().as_bytes())).collect()
}

/// route(8) is not there on every Linux; the kernel's own tables are.
fn from_proc() -> Vec<IpAddr> {
    let v4 = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    proc_v4(&v4).into_iter().chain(proc_v6(&v6)).collect()
}

/// Columns 1 to 3 are interface, destination and gateway, hexadecimal in the machine's byte order.
fn proc_v4(text: &str) -> Vec<IpAddr> {
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let defaults = rows.filter_map(|row| (row.get(1)? == &"00000000").then(|| row.get(2).copied())?);
    let addresses = defaults.filter_map(|word| u32::from_str_radix(word, 16).ok()).filter(|&word| word != 0);
    addresses.map(|word| IpAddr::V4(Ipv4Addr::from(word.to_ne_bytes()))).collect()
}

/// Destination, its length, source, its length, next hop: 32 hexadecimal digits each.
fn proc_v6(text: &str) -> Vec<IpAddr> {
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let defaults = rows.filter_map(|row| (row.get(1)? == &"00").then(|| row.get(4).copied())?);
    let addresses = defaults.filter_map(|word| u128::from_str_radix(word, 16).ok()).filter(|&word| word != 0);
    addresses.map(|word| IpAddr::V6(Ipv6Addr::from(word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read_and_names_are_not_resolved() {
        let text = "# comment\nsearch example.org\nnameserver 192.0.2.53\nnameserver ::1%lo0\nnameserver dns.example\n";
        assert_eq!(resolvers(text), ["192.0.2.53", "::1"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn gateways_are_read_from_routes_answer_and_linux_tables() {
        let route =
            "   route to: default\ndestination: default\n       mask: default\n    gateway: 192.0.2.1\n";
        assert_eq!(route_get(route), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        let table = "Iface\tDestination\tGateway\neth0\t00000000\t010200C0\neth0\t000200C0\t00000000\n";
        let expected = if cfg!(target_endian = "little") { "192.0.2.1" } else { "1.2.0.192" };
        assert_eq!(proc_v4(table), [expected.parse::<IpAddr>().unwrap()]);
        let zeros = "0".repeat(32);
        let table = format!("{zeros} 00 {zeros} 00 20010db8000000000000000000000001 0400 1 0 3 eth0\n");
        assert_eq!(proc_v6(&table), ["2001:db8::1".parse::<IpAddr>().unwrap()]);
    }
}
