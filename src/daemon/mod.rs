//! The parts put together: configuration, rules and engine as one pipeline, and the daemon that feeds it.
//!
//! ```text
//! setup, own               the configuration, and what holds for the parts that follow it
//! here                     what the configuration needs of this machine
//! feed, positions          lines in, and how far they were read
//! core                     the one thread that decides
//! gate                     the firewall in force, and the tables that a reload replaced
//! persist, evidence        what is kept, by a thread of its own
//! requests, status         what is asked at the control socket
//! asking                   whoever asks there
//! unearned                 bans by hand, and those found in the table
//! loading, reload, start, offline   beginnings and ends
//! doctor                   is all as it should be?
//! logger, report, tally    what is said and counted
//! ```

mod asking;
mod core;
pub mod doctor;
mod event;
mod evidence;
mod feed;
mod gate;
mod here;
mod loading;
mod logger;
mod offline;
mod own;
mod persist;
mod positions;
mod reload;
mod report;
mod requests;
mod saved_table;
mod setup;
mod start;
mod status;
mod streams;
mod tally;
mod unearned;

pub use self::core::RunOptions;
pub use asking::ask;
pub use offline::{NotDone, unban_offline};
pub(crate) use report::count;
pub use setup::{Refused, Setup, look_here};
pub use start::{NoStart, run};
