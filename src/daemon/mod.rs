//! The daemon: feeds the pipeline, and carries out what it decides.
//!
//! ```text
//! feed, positions          lines in, and how far they were read
//! core                     the one thread that decides
//! firewalls                the firewall in force, and the tables that a reload replaced
//! persist, evidence        what is kept, by a thread of its own
//! requests, status         what is asked at the control socket
//! manual_bans              bans by hand, and those found in the table
//! start, reload, offline   beginnings and ends
//! logger, report, tally    what is said and counted
//! ```

mod core;
mod decisions;
mod event;
mod evidence;
mod feed;
mod firewalls;
mod logger;
mod manual_bans;
mod offline;
mod persist;
mod positions;
mod reload;
mod report;
mod requests;
mod saved_table;
mod start;
mod status;
mod streams;
mod tally;

pub use self::core::RunOptions;
pub use offline::{NotDone, unban_offline};
pub use start::{NoStart, run};
