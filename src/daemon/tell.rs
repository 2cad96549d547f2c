//! Values of the engine and the store in the words of the control socket; times in the daemon's zone.

use jiff::tz::TimeZone;

use crate::control::reply::{self, Line, Past};
use crate::engine::{Ban, Origin};
use crate::store::{BanLine, BanRecord};
use crate::time::Time;

/// Translates; goes along with answers that are finished in another thread.
#[derive(Clone, Debug)]
pub(super) struct Tell(pub(super) TimeZone);

impl Tell {
    pub(super) fn time(&self, time: Time) -> String {
        time.rfc3339(&self.0)
    }

    pub(super) fn ban(&self, ban: &Ban) -> reply::Ban {
        let sets = ban.owners.iter().map(|owner| owner.set.to_string());
        reply::Ban {
            offender: ban.offender,
            rule_sets: sets.filter(|set| !set.is_empty()).collect(),
            since: self.time(ban.since),
            until: ban.until.map(|until| self.time(until)),
            nth: ban.nth,
            reason: ban.reason.to_string(),
            origin: match ban.origin {
                Origin::Rule => reply::Origin::Rule,
                Origin::Manual => reply::Origin::Manual,
                Origin::Foreign => reply::Origin::Foreign,
            },
        }
    }

    pub(super) fn past(&self, record: BanRecord) -> Past {
        Past {
            ban: self.ban(&record.ban),
            ended: record.ended.map(|ended| self.time(ended)),
            lines: record.lines.into_iter().map(|line| self.line(line)).collect(),
        }
    }

    fn line(&self, line: BanLine) -> Line {
        let text = String::from_utf8_lossy(&line.text).into_owned();
        Line { at: self.time(line.at), source: line.source, text }
    }
}
