//! Addresses on the command line and in address files, with all that pfctl says about bad ones.

use std::net::{IpAddr, Ipv6Addr};

use super::Pf;
use crate::common::address::{Key, aton, width};
use crate::common::{Exit, Report, Step};

/// Interfaces that exist on the machine the fake plays; a zone must name one.
const INTERFACES: &[&str] = &["lo0", "em0", "vtnet0"];
/// pfctl's buffer for one word of a file.
const WORD: usize = 256;

/// What one word means: an address or network, perhaps negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) not: bool,
    pub(crate) key: Key,
}

/// Why a word was refused: pfctl has said so already, or it sets errno to EINVAL and leaves the text to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    Said,
    Invalid,
}

/// The arguments, then the file: all of it, or exit 255 with the text about the first bad one.
pub(crate) fn load(pf: &mut Pf<'_>, hosts_only: bool) -> Step<Vec<Item>> {
    let mut items = Vec::new();
    for word in &pf.opts.args {
        match read(word, hosts_only, pf.report) {
            Ok(item) => items.push(item),
            Err(Bad::Said) => return Err(Exit(255)),
            Err(Bad::Invalid) => {
                return pf.report.leave(255, format!("pfctl: cannot decode {word}: Invalid argument"));
            }
        }
    }
    if let Some(file) = pf.opts.file.as_deref() {
        load_file(pf, file, hosts_only, &mut items)?;
    }
    Ok(items)
}

fn load_file(pf: &mut Pf<'_>, file: &str, hosts_only: bool, items: &mut Vec<Item>) -> Step {
    let failed = |errno: &str| format!("pfctl: cannot load {file}: {errno}");
    let bytes = match file {
        "-" => pf.stdin.to_vec(),
        path => match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return pf.report.leave(255, failed(&errno_text(&error))),
        },
    };
    for word in words(&String::from_utf8_lossy(&bytes)) {
        let read = if word.len() >= WORD { Err(Bad::Invalid) } else { read(word, hosts_only, pf.report) };
        match read {
            Ok(item) => items.push(item),
            Err(Bad::Said) => return pf.report.leave(255, failed("No error: 0")),
            Err(Bad::Invalid) => return pf.report.leave(255, failed("Invalid argument")),
        }
    }
    Ok(())
}

/// The words of a file: white space between them; a word that begins with `#` ends the line.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split_ascii_whitespace().take_while(|word| !word.starts_with('#')))
}

/// The system's words for an error, without Rust's number behind them.
pub(crate) fn errno_text(error: &std::io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}

/// One word, as `append_addr()` reads it.
pub(crate) fn read(word: &str, hosts_only: bool, report: &mut Report) -> Result<Item, Bad> {
    let bare = word.trim_start_matches('!');
    let not = (word.len() - bare.len()) % 2 == 1;
    let (address, len) = host(bare, report)?;
    let bits = width(address);
    let len = len.unwrap_or(bits);
    if len > bits || (hosts_only && (not || len < bits)) {
        return Err(Bad::Invalid);
    }
    Ok(Item { not, key: Key::new(address, len) })
}

/// Address and netmask of a word; names are looked up, and there is no DNS here: no name exists.
fn host(word: &str, report: &mut Report) -> Result<(IpAddr, Option<u8>), Bad> {
    let (address, len) = match word.rsplit_once('/') {
        None => (word, None),
        Some((address, len)) => match len.parse::<u8>().ok().filter(|len| *len <= 128) {
            Some(len) => (address, Some(len)),
            None => {
                report.err(format!("invalid netmask '/{len}'"));
                return Err(Bad::Said);
            }
        },
    };
    let Some(found) = numeric(address) else {
        report.err(format!("no IP address found for {word}"));
        return Err(Bad::Said);
    };
    Ok((found, len))
}

/// getaddrinfo(3) of numbers: dotted and old short forms of IPv4, IPv6 with a zone where it has a link.
pub(crate) fn numeric(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Some((address, zone)) = text.split_once('%') {
        let six = address.parse::<Ipv6Addr>().ok()?;
        return (six.is_unicast_link_local() && INTERFACES.contains(&zone)).then_some(IpAddr::V6(six));
    }
    aton(text).map(IpAddr::V4)
}
