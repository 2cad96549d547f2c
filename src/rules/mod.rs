//! Rule sets: which lines are matched, which programs they come from, and what they mean.

mod address_syntax;
mod binding;
mod check;
mod choice;
mod claims;
mod compile;
mod dated;
mod found;
mod json;
mod locate;
mod matcher;
mod model;
mod object;
mod pattern;
mod prefilter;
mod program;
mod proof;
mod regex;
mod reports;
mod session_id;
mod side_matcher;
mod threshold;
mod veto;
mod weight;

pub use binding::Binding;
pub use check::check;
pub use claims::{Blind, Claim, address_keys, blind, claims};
pub use compile::Compiled;
pub use found::Found;
pub use matcher::{Connection, Match, Matcher};
pub use model::{
    AddressFrom, BanLength, BanPolicy, Counts, Effect, Escalate, Evidence, Fault, Format, JsonRule, Place,
    Rule, RuleSet, Sample, Severity,
};
pub use object::{JsonValue, KeyPath};
pub use pattern::{is_address_name, is_field_name, is_time_name};
pub use prefilter::LinePrefilter;
pub use reports::{ReportEffect, Reports};
pub use threshold::{MAX_WINDOWS, Threshold, Thresholds};
pub use weight::Weight;
