//! Whether matching lines have a readable timestamp.

use jiff::tz::TimeZone;

use super::model::{Fault, Format, Place, RuleSet, Sample};
use crate::record::{self, Clock};
use crate::time::Time;

/// Samples may lack a year, and one of the last nine years has a leap day.
const SOME_TIME: Time = Time::from_secs(1_800_000_000);

/// A warning at the first sample of a set for whole lines that a rule matches and that has no readable timestamp. A
/// syslog line has its timestamp in the header.
pub(super) fn undated_samples(set: &RuleSet) -> Option<Fault> {
    let is_undated = |sample: &Sample| {
        let line = sample.line.as_bytes();
        let record = record::parse(line);
        let mut clock = Clock::new(TimeZone::UTC, SOME_TIME);
        sample.rule.is_some() && clock.written(line, &record, set.time.as_ref()).is_none()
    };
    let undated = set.samples.iter().position(is_undated).filter(|_| set.format.needs_source())?;
    let text = match set.time {
        None => {
            let example = match set.format {
                Format::Json => "name the key under which the time stands, as in `time: ts`",
                Format::Syslog | Format::Raw => {
                    "state the format of their timestamps, as in `time: '%d.%m.%Y %H:%M:%S'`"
                }
            };
            format!(
                "this line has no timestamp in a known format: such lines count when they are seen to arrive, and not at all \
                 after a restart and in `scan`; {example}"
            )
        }
        Some(_) => {
            "this line has no timestamp as `time` describes it, and so counts only when it is seen to arrive"
                .to_owned()
        }
    };
    Some(Fault::warning(Place::Sample(undated, "line"), text))
}
