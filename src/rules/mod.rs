//! Rule sets: what is looked for, in whose lines, and what it means.

mod model;

pub use model::{
    AddressFrom, Ban, BanLength, Counts, Effect, Escalate, Evidence, Fault, Format, Place, Rule, RuleSet,
    Sample, Severity, Threshold, Weight,
};
