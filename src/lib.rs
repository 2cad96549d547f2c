//! Portcullis watches log files, decides who is attacking, and keeps a firewall table in step.
//!
//! The modules in the order in which a log line meets them; none calls back upstream:
//!
//! | module | takes | gives |
//! | --- | --- | --- |
//! | [`follow`] | files that grow and rotate | lines |
//! | [`record`] | a line | a [`record::Record`]: time, host, program, pid, message |
//! | [`rules`] | a record | a [`rules::Match`]: rule and address |
//! | [`engine`] | a match and the time | a [`engine::Verdict`]: ignored, counted, banned |
//! | [`pipeline`] | the bytes of a log | what became of its lines, by way of the three above |
//! | [`store`] | what changed | a database that survives a crash |
//! | [`firewall`] | prefixes to add and remove | a table in step |
//! | [`blocklist`] | datagrams of servers such as sshd | [`report::Report`]s about connections |
//! | [`config`], [`control`], [`setup`], [`daemon`], [`doctor`], [`cli`] | the operator | all of the above, running |
//!
//! [`address`] and [`time`] are the two words everything is said in. `names`, `printable`, `fnv`, `files`, `interfaces` and
//! [`settings`] are what several parts need: names that firewalls take, text made harmless, a hash for what is stored, what is
//! done with files, this machine's addresses, and what the configuration says to other parts; [`protection`] judges whether anybody is kept out at all. `record`, `rules`, `engine` and `pipeline` are pure: no clock, file, thread or
//! environment inside, so that days of attack replay in milliseconds in a test.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_macros, reason = "a test may end when nobody reads what it says"))]

pub mod address;
pub mod blocklist;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod doctor;
pub mod engine;
mod files;
pub mod firewall;
mod fnv;
pub mod follow;
mod interfaces;
mod names;
pub mod pipeline;
mod printable;
pub mod privileges;
pub mod protection;
pub mod record;
pub mod report;
pub mod rules;
pub mod settings;
pub mod setup;
pub mod store;
pub mod time;
