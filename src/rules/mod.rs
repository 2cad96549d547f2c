//! Rule sets: what is looked for, in whose lines, and what it means.

mod attack;
mod automaton;
mod binding;
mod check;
mod compile;
mod dated;
mod ending;
mod locate;
mod matcher;
mod model;
mod pattern;
mod program;
mod readings;
mod session_id;
mod sieve;
mod steps;
mod subsets;
mod table;
mod threshold;
mod veto;
mod witness;

pub use binding::Binding;
pub use check::check;
pub use compile::{Compiled, Found};
pub use locate::Scratch;
pub use matcher::{Connection, Match, Matcher};
pub use model::{
    AddressFrom, Ban, BanLength, Counts, Effect, Escalate, Evidence, Fault, Format, Place, Rule, RuleSet,
    Sample, Severity, Weight,
};
pub use pattern::{is_address_name, is_field_name, is_time_name};
pub use sieve::{Names, Sieve};
pub use threshold::{MOST_WINDOWS, Threshold, Thresholds};
