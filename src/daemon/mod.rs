//! The parts put together: configuration, rules and engine as one pipeline, and the daemon that feeds it.
//!
//! ```text
//! setup                    the configuration, and what holds for the parts that follow it
//! local_addresses          which of this machine's addresses nobody bans
//! preflight                what the configuration needs of this machine
//! feed, positions          lines in, and how far they were read
//! core                     the one thread that decides
//! firewalls                the firewall in force, and the tables that a reload replaced
//! persist, evidence        what is kept, by a thread of its own
//! requests, status         what is asked at the control socket
//! client                   whoever asks there
//! manual_bans              bans by hand, and those found in the table
//! start, reload, offline   beginnings and ends
//! doctor                   is all as it should be?
//! logger, report, tally    what is said and counted
//! ```

mod client;
mod core;
mod decisions;
pub mod doctor;
mod event;
mod evidence;
mod feed;
mod firewalls;
mod local_addresses;
mod logger;
mod manual_bans;
mod offline;
mod persist;
mod positions;
mod preflight;
mod reload;
mod report;
mod requests;
mod saved_table;
mod setup;
mod start;
mod status;
mod streams;
mod tally;

pub use self::core::RunOptions;
pub use client::ask;
pub use offline::{NotDone, unban_offline};
pub(crate) use report::count;
pub use setup::{Refused, Setup, look_here};
pub use start::{NoStart, run};
