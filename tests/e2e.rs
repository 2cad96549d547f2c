//! The whole program from outside: logs in, a firewall's table out, and the command line in between.
//!
//! Every test runs the real binary with a configuration of its own. pf and ipfw are the strict fakes, nftables is real,
//! in network namespaces. Nothing here measures time: tests wait for what shall be true, with a patient deadline.

mod answers;
mod blocklist;
mod boot;
mod clocks;
mod commands;
mod dry_run;
mod gate;
mod journal;
mod json;
mod json_logs;
mod kills;
mod lag;
mod network;
mod ownership;
mod reload;
mod repeats;
mod restart;
mod rewritten;
mod separate;
mod sources;
mod stand;
mod table;
mod trouble;
