//! From YAML nodes to settings, rules and samples: every key is known, and every fault of a file is noted.

pub(crate) mod allow_file;
pub(crate) mod blocklist;
pub(crate) mod fail2ban;
pub(crate) mod firewall;
pub(crate) mod json_rule;
pub(crate) mod keys;
pub(crate) mod parse_config;
pub(crate) mod policy;
pub(crate) mod reader;
pub(crate) mod reports;
pub(crate) mod rule;
pub(crate) mod rule_set;
pub(crate) mod time;
pub(crate) mod values;
