use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;

use super::*;
use crate::time::Time;

fn read(format: &str, text: &str) -> Option<(Said, usize)> {
    TimeFormat::new(format).unwrap_or_else(|error| panic!("{format} {error:?}")).read(text.as_bytes())
}

fn matches(format: &TimeFormat, text: &[u8]) -> bool {
    let regex = format!("^(?:{})$", format.regex());
    regex::bytes::RegexBuilder::new(&regex).unicode(false).build().unwrap().is_match(text)
}

const FORMATS: [&str; 16] = [
    "%Y-%m-%d %H:%M:%S",
    "%FT%T%:z",
    "%d/%b/%Y:%T.%3f %z",
    "%a %b %e %T.%6f %Y",
    "%A, %d %B %Y %k:%M:%S.%f",
    "%D %I:%M:%S %p",
    "%-m/%-d/%Y %-I:%M:%S %P",
    "%y%m%d %k:%M:%S",
    "%Y:%m:%d-%R",
    "%s",
    "%s.%f",
    "%s%3f",
    "[%d.%m.%Y|%T%.f]",
    "%b %_d %H:%M:%S,%3f",
    "%d-%h-%Y %l:%M %p %%",
    "%Y.%m.%d (%H.%M.%S.%N)",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What the date library prints with a format, it reads; what the reader takes is just what the regex matches.
    #[test]
    fn printed_stamps_are_read_and_matched_whole(
        millis in 1_000_000_000_000_i64..3_100_000_000_000,
        minutes in -14 * 4..=14 * 4_i32,
        format in prop::sample::select(FORMATS.to_vec()),
    ) {
        let offset = Offset::from_seconds(minutes * 15 * 60).unwrap();
        let time = Time::from_millis(millis);
        let civil = time.timestamp().to_zoned_datetime(TimeZone::fixed(offset));
        let text = civil.strftime(format).to_string();
        let format = TimeFormat::new(format).unwrap();
        let (said, length) = format.read(text.as_bytes()).expect("a stamp");
        prop_assert_eq!(length, text.len(), "{}", text);
        prop_assert!(matches(&format, text.as_bytes()), "{} {}", text, format.regex());
        match said {
            Said::Epoch(read) => prop_assert_eq!(read.as_millis() / 1000, millis / 1000),
            Said::Civil { date, offset: said, .. } => {
                prop_assert_eq!((date.month, date.day), (civil.month(), civil.day()));
                prop_assert_eq!((date.hour, date.minute), (civil.hour(), civil.minute()));
                prop_assert!(date.year.is_none_or(|year| year == civil.year()));
                prop_assert!(said.is_none_or(|said| said == offset));
            }
        }
    }

    /// A timestamp that is read is one that the regex matches: the reader and the rule see the same bytes.
    #[test]
    fn whatever_is_read_is_matched(
        format in prop::sample::select(FORMATS.to_vec()),
        text in "[0-9A-Za-z :./,+-]{0,30}",
        known in "(20[0-9]{2}|Nov)[-/ ][0-9 ]{2}[-/ ]?[0-9]{0,2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}[.,0-9]{0,5}[ Z+0-9:]{0,7}",
    ) {
        let format = TimeFormat::new(format).unwrap();
        if let Some((_, length)) = format.read(text.as_bytes()) {
            prop_assert!(matches(&format, &text.as_bytes()[..length]), "{}", text);
        }
        let iso = TimeFormat::known("%Y-%m-%d%?T%H:%M:%S%?f%?z").unwrap();
        if let Some((_, length)) = iso.read(known.as_bytes()) {
            prop_assert!(matches(&iso, &known.as_bytes()[..length]), "{}", known);
        }
    }
}

#[test]
fn what_only_resembles_the_format_is_not_read() {
    for (format, text) in [
        ("%Y-%m-%d %H:%M:%S", "2026-11-22 14:38:3"),
        ("%Y-%m-%d %H:%M:%S", "2026-11-22  14:38:31"),
        ("%Y-%m-%d %H:%M:%S", "2026-11-22 14:38:311"),
        ("%Y-%m-%d %H:%M:%S", "2026-11-22 14:38:61"),
        ("%Y-%m-%d %H:%M:%S", "26-11-22 14:38:31"),
        ("%Y-%m-%d %H:%M:%S", "2026-11-22 14:38:31x"),
        ("%Y-%m-%d %H:%M:%S", "2026-00-22 14:38:31"),
        ("%Y-%m-%d %H:%M:%S", "2026-13-22 14:38:31"),
        ("%Y-%m-%d %H:%M:%S", ""),
        ("%d %b %Y %H:%M", "22 nov 2026 14:38"),
        ("%d %b %Y %H:%M", "22 Now 2026 14:38"),
        ("%D %I:%M %p", "11/22/26 13:38 PM"),
        ("%D %I:%M %p", "11/22/26 00:38 PM"),
        ("%D %I:%M %p", "11/22/26 02:38 pm"),
        ("%F %T %z", "2026-11-22 14:38:31 +01:00"),
        ("%F %T %:z", "2026-11-22 14:38:31 +0100"),
        ("%F %T %z", "2026-11-22 14:38:31 +2500"),
        ("%F %T %Z", "2026-11-22 14:38:31 XYZ"),
        ("%s", "179535471"),
        ("%s", "17953547110"),
        ("%s.%f", "1795354711."),
        ("%s%3f", "1795354711"),
    ] {
        assert_eq!(read(format, text), None, "{format} on {text}");
    }
}

#[test]
fn halves_of_a_day_and_short_years_are_read() {
    let hour = |text: &str| match read("%y%m%d %I:%M %p", text) {
        Some((Said::Civil { date, .. }, _)) => (date.year.unwrap(), date.hour),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(hour("261122 12:38 AM"), (2026, 0));
    assert_eq!(hour("261122 12:38 PM"), (2026, 12));
    assert_eq!(hour("681122 02:38 PM"), (2068, 14));
    assert_eq!(hour("691122 02:38 AM"), (1969, 2));
}

#[test]
fn formats_that_cannot_lead_to_a_minute_are_refused_with_the_place() {
    for (format, at, says) in [
        ("%Y-%m-%d %G", 9, "contains `%G`, which is not supported; supported are `%Y"),
        ("%Y-%m-%d %H:%M:%", 15, "contains `%`"),
        ("%Y-%m-%d%?T%H:%M", 8, "contains `%?T`"),
        ("%Y-%m-%d %H:%M:%d", 15, "states the day twice"),
        ("%F %H:%M %Y", 9, "states the year twice"),
        ("%d %H:%M", 0, "has no month"),
        ("%b %H:%M", 0, "has no day"),
        ("%b %d %M", 0, "has no hour"),
        ("%b %d %H", 0, "has no minute"),
        ("%b %d %I:%M", 0, "AM or PM"),
        ("%F %T.%0f", 6, "contains `%0f`"),
        ("", 0, "has no month"),
        ("%é", 0, "contains `%é`"),
    ] {
        let error = TimeFormat::new(format).unwrap_err();
        assert!(error.text.contains(says) && error.at == at, "{format}: {error:?}");
    }
    assert!(TimeFormat::new(&"x".repeat(201)).unwrap_err().text.contains("longer than 200"));
}
