//! `time:` of a rule set or a source, the format of its timestamps, and `zone:`, the zone of those that name none.
//!
//! ```yaml
//! time: '%d.%m.%Y %H:%M:%S'                                # at the beginning of the line
//! time: ['%s', '%d.%m.%Y %H:%M:%S']                        # one of these
//! time: {formats: '%d/%b/%Y:%H:%M:%S %z', at: brackets}    # in brackets
//! time: {formats: '%s.%f', key: ts}                        # a value in JSON; `log.ts` for one within another
//! time: {key: ts}                                          # the same, of any form that is known
//! time: ts                                                 # the same, in a set with `format: json`
//! ```

use jiff::tz::{self, TimeZone};

use super::keys::Keys;
use super::reader::Node;
use super::values::key_path;
use crate::config::text::suggest::nearest;
use crate::config::text::yaml::Value;
use crate::record::{TimeFormat, TimePlace, TimeSpec, offset};

/// The most formats of one source or set: they are tried on a line until one fits.
const MAX_FORMATS: usize = 20;

const FORMAT: &str = "a format is needed, such as `time: '%Y-%m-%d %H:%M:%S'`";

/// Reads the value of the key for lines that are objects in JSON: the timestamp is the value of one of their keys.
pub(crate) fn read_json(node: &Node<'_>) -> Option<TimeSpec> {
    let spec = match node.value() {
        Value::Map(_) => read(node)?,
        Value::Text(text) if !text.contains('%') => {
            TimeSpec { formats: Vec::new(), place: TimePlace::Key(key_path(node)?.into_keys()) }
        }
        _ => TimeSpec { formats: Vec::new(), place: TimePlace::Start },
    };
    if !matches!(spec.place, TimePlace::Key(_)) {
        node.fault(
            "must name a key: with `format: json` the timestamp is the value of one, as in `time: ts` or `time: {key: ts, \
             formats: '%s'}`",
        );
        return None;
    }
    Some(spec)
}

/// Reads the value of the key; what is wrong with a part of it has been said.
pub(crate) fn read(node: &Node<'_>) -> Option<TimeSpec> {
    if !node.is_mapping() {
        return Some(TimeSpec { formats: formats(node)?, place: TimePlace::Start });
    }
    let mut keys = Keys::of(node)?;
    let stated = keys.get("formats");
    let at = keys.get("at");
    let in_brackets =
        at.as_ref().is_some_and(|node| node.word(&[("start", false), ("brackets", true)]) == Some(true));
    let key = keys.get("key");
    keys.finish();
    if let (Some(at), Some(_)) = (&at, &key) {
        at.fault("and `key` are two places for one timestamp: remove one of them");
    } else if key.is_none() && stated.is_none() {
        node.fault(format!("names no format: {FORMAT}"));
    }
    let formats = stated.as_ref().map_or_else(|| Some(Vec::new()), formats);
    let place = match key {
        Some(key) => TimePlace::Key(key_path(&key)?.into_keys()),
        None if in_brackets => TimePlace::Brackets,
        None => TimePlace::Start,
    };
    Some(TimeSpec { formats: formats?, place })
}

fn formats(node: &Node<'_>) -> Option<Vec<TimeFormat>> {
    let list = node.one_or_list(FORMAT, MAX_FORMATS);
    let formats: Vec<Option<TimeFormat>> = list.iter().map(format).collect();
    formats.into_iter().collect()
}

fn format(node: &Node<'_>) -> Option<TimeFormat> {
    let text = node.line()?;
    TimeFormat::new(&text).map_err(|error| node.fault_inside(error.at, error.text)).ok()
}

/// The longest name of a zone, `America/Argentina/ComodRivadavia`, and a little more.
const MAX_ZONE_NAME: usize = 64;

/// A name of the zone database, or an offset from UTC.
pub(crate) fn read_zone(node: &Node<'_>) -> Option<TimeZone> {
    let name = node.line()?;
    if let Some(offset) = offset(name.as_bytes()) {
        return Some(TimeZone::fixed(offset));
    }
    let zone = TimeZone::get(&name).ok().filter(|_| name.len() <= MAX_ZONE_NAME);
    if zone.is_none() {
        node.fault(format!("cannot be `{name}`{}", zone_hint(&name)));
    }
    zone
}

/// A name that is near, or else what a zone looks like.
fn zone_hint(name: &str) -> String {
    let known: Vec<String> = tz::db().available().map(|name| name.as_str().to_owned()).collect();
    let city = |zone: &&String| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name));
    let near = known
        .iter()
        .find(city)
        .map(String::as_str)
        .or_else(|| nearest(name, known.iter().map(String::as_str)));
    match near {
        Some(near) => format!(", did you mean `{near}`?"),
        None => ": write a name of the zone database, as in `Europe/Berlin`, or an offset, as in `UTC` or `'+01:00'`".to_owned(),
    }
}
