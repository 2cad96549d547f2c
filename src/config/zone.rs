//! `zone:` of a source: the zone of the stamps that name none.

use jiff::tz::{self, TimeZone};

use super::reader::Item;
use super::suggest::nearest;
use crate::record::offset;

/// The longest name of a zone, `America/Argentina/ComodRivadavia`, and a little more.
const LONGEST: usize = 64;

/// A name of the zone database, or an offset from UTC.
pub(super) fn read(item: &Item<'_>) -> Option<TimeZone> {
    let name = item.line()?;
    if let Some(offset) = offset(name.as_bytes()) {
        return Some(TimeZone::fixed(offset));
    }
    let zone = TimeZone::get(&name).ok().filter(|_| name.len() <= LONGEST);
    if zone.is_none() {
        item.fault(format!("cannot be `{name}`{}", hint(&name)));
    }
    zone
}

/// A name that is near, or else what a zone looks like.
fn hint(name: &str) -> String {
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
