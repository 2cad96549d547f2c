//! The daemon: feeds the pipeline, and carries out what it decides.
//!
//! ```text
//! start, offline          beginning and end; what is done when no daemon runs
//! core                    the one thread that decides: each event, and what it does
//! event                   what wakes it
//! reports                 sockets at which servers report their connections
//! sources                 followed files: lines in, and how far they were read
//! enforcement             what is decided is carried out, and counted
//!   firewalls             the firewall in force, and the tables that a reload replaced
//!   saved_table           the bans in a file, for the firewall's own rules at boot
//!   persist               the database, by a thread of its own
//!   recent_lines          the lines behind a ban
//! manual_bans, answers    what is asked at the control socket
//! status                  what is told there
//! protection_watch        says when nobody is kept out
//! reload                  configuration and rules read again
//! error                   why it does not start
//! ```

mod answers;
mod core;
mod enforcement;
mod error;
mod event;
mod firewalls;
mod manual_bans;
mod offline;
mod persist;
mod protection_watch;
mod recent_lines;
mod reload;
mod reports;
mod saved_table;
mod sources;
mod start;
mod status;

use jiff::Timestamp;

pub use self::core::RunOptions;
pub use error::{NoStart, NotDone};
pub(crate) use offline::{meet_arm, run_beside_arm, unban_offline};
pub use start::{run, run_brain};

use crate::time::Time;

/// The wall clock: bans end at absolute times.
fn now() -> Time {
    Timestamp::now().into()
}
