//! The result of matching a message.

use std::net::IpAddr;

/// A matching rule and the address that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Index into [`RuleSet::rules`](super::RuleSet::rules).
    pub rule: usize,
    /// The peer; `None` if the message names none, or a host name, or none for certain.
    pub address: Option<IpAddr>,
}
