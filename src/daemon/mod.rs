//! The parts put together: configuration, rules and engine as one guard, and the daemon that feeds it.

mod setup;

pub use setup::{Refused, Setup};
