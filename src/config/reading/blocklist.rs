//! A source that is no log: a socket at which servers report their connections.

use super::keys::Keys;
use super::reader::{Entry, Node};
use super::values::{absolute, name};
use crate::config::text::yaml::Value;
use crate::settings::BlocklistSettings;

/// The most ports of one source, more than any machine serves.
const MAX_SERVICES: usize = 1000;

/// The most users that one source lists.
const MAX_USERS: usize = 100;

const SERVICES: &str =
    "say which rule set weighs reports about which local port, as in `services: {22: sshd}`";

/// Whether an entry of `sources` is such a socket.
pub(crate) fn is_blocklist(entry: &Entry<'_>) -> bool {
    entry.value.peek("blocklist").is_some()
}

/// `ssh: {blocklist: /var/run/blocklistd.sock, services: {22: sshd}}`
pub(crate) fn blocklist(entry: &Entry<'_>) -> Option<BlocklistSettings> {
    let source_name = name(&entry.key);
    let mut keys = Keys::of(&entry.value)?;
    for key in ["path", "journal", "follow", "archive", "rule_sets", "layout", "time", "zone", "writer"] {
        let text =
            format!("`{key}` is for a log, and this source is a socket: make the log a source of its own");
        keys.misplaced(key, &text, None);
    }
    let socket = keys.must("blocklist", "the socket", absolute);
    let services = keys.must("services", SERVICES, services);
    let group = keys.maybe("group", Node::line);
    let senders = keys.or("senders", Vec::new(), |node| Some(users(node)));
    let udp_senders = keys.or("udp_senders", Vec::new(), |node| Some(users(node)));
    keys.finish();
    Some(BlocklistSettings {
        name: source_name?,
        socket: socket?,
        services: services?,
        group,
        senders,
        udp_senders,
    })
}

/// `{22: sshd, 2222: sshd}`
fn services(node: &Node<'_>) -> Option<Vec<(u16, String)>> {
    let entries = node.numbered_entries(1..=u16::MAX, "the local port")?;
    if entries.is_empty() || entries.len() > MAX_SERVICES {
        node.fault(format!("must name a port, and {MAX_SERVICES} at most: {SERVICES}"));
        return None;
    }
    Some(entries.iter().filter_map(|(port, set)| Some((*port, set.line()?))).collect())
}

/// Names of users, or their numbers.
fn users(node: &Node<'_>) -> Vec<String> {
    let user = |node: &Node<'_>| match node.value() {
        Value::Int(_) => node.whole(0..=u32::MAX).map(|number| number.to_string()),
        _ => node.line(),
    };
    node.one_or_list("name a user, as in `[postfix]`", MAX_USERS).iter().filter_map(user).collect()
}
