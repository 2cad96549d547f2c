//! From YAML nodes to settings, rules and samples: every key is known, and every fault of a file is noted.

pub(crate) mod fail2ban;
pub(crate) mod firewall;
pub(crate) mod json_rule;
pub(crate) mod keys;
pub(crate) mod policy;
pub(crate) mod reader;
pub(crate) mod rule;
pub(crate) mod rule_set;
pub(crate) mod sections;
pub(crate) mod time;
