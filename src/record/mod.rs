//! Records: what a log line says about time, host, program, pid and message.
//!
//! Bytes come in as chunks, [`LineBuffer`] cuts them into lines, [`parse`] reads one line, [`repeat()`] tells whether it
//! only counts the line before it, [`Clock`] turns its stamp into a point in time, and [`may_be_cut`] says whether the
//! logger may have lost the line's end. Nothing here does I/O, asks a clock or allocates per line.
//!
//! **Whose word is it?** A rule set listens to one program, so the program's name must come from the logger, never
//! from text that a program wrote. Hence every layout is read from the left at fixed places, nothing is searched for,
//! and a line that fits no layout exactly has no program. What is given up are lines of odd layouts; what is won is
//! that `gw httpd[1]: sshd[2]: Failed …` is httpd's and `gw foo sshd[1]: …` is nobody's.

mod clock;
mod cut;
mod date;
mod format;
mod header;
mod json;
mod lag;
mod layout;
mod lines;
mod priority;
mod repeat;
mod rfc5424;
mod service;
mod stamp;
mod supervised;

pub use clock::{Clock, FUTURE_SLACK, ORDER_SLACK};
pub use cut::{SHORTEST as SHORTEST_CUT, may_be_cut};
pub use date::offset;
pub use format::{FormatError, TimeFormat};
pub use header::is_program_name;
pub use lag::{Lag, Written};
pub use layout::{Layout, Layouts};
pub use lines::{LineBuffer, MAX_LINE};
pub use repeat::{MAX_REPEATS, Repeat, Writer, is_turned_over, repeat};
pub use service::{TimePlace, TimeSpec, known_regex};
pub use stamp::Stamp;

/// One parsed log line; every text is borrowed from the line and may hold any bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The time as printed, not yet understood; [`Clock::time`] does that.
    pub stamp: Stamp<'a>,
    /// Facility and severity as printed (`auth.info`, `4.6`, RFC 5424's `38`); empty where they are not.
    pub priority: &'a [u8],
    /// The host name as printed; empty where the layout has none.
    pub host: &'a [u8],
    /// The program's name without pid, `kernel` for all kernel lines; `None` where the line has none, see [`Layout`].
    pub program: Option<&'a [u8]>,
    /// The process id, where printed.
    pub pid: Option<u32>,
    /// What the program said, without header and leading blanks; the whole line where there is no known header.
    pub message: &'a [u8],
    /// What kind of header the line has.
    pub layout: Layout,
}

impl<'a> Record<'a> {
    fn unknown(line: &'a [u8]) -> Self {
        let (stamp, nobody) = (Stamp::default(), &line[..0]);
        let (program, pid, layout) = (None, None, Layout::Unknown);
        Self { stamp, priority: nobody, host: nobody, program, pid, message: line, layout }
    }

    /// Whether a logger stamped the line in a header: its stamp counts, whatever else the line holds.
    pub fn is_headed(&self) -> bool {
        self.program.is_some() || self.any_program()
    }

    /// Whether the line's layout shows no process ids, whatever the program gave.
    pub fn hides_pids(&self) -> bool {
        matches!(self.layout, Layout::Metalog | Layout::Bare)
    }

    /// Whether the line's layout has no place for a program, so that a rule set of any program may try the message.
    pub fn any_program(&self) -> bool {
        self.layout == Layout::Bare
    }
}

/// Reads one line of a syslog daemon's log, without its newline. It never fails: a line with no known header is all
/// message.
pub fn parse(line: &[u8]) -> Record<'_> {
    parse_as(line, Layouts::Syslog)
}

/// Reads one line of a log whose lines have these layouts. One that has another is nobody's: it names no program.
pub fn parse_as(line: &[u8], layouts: Layouts) -> Record<'_> {
    let known = match line.first() {
        Some(b'<') if layouts == Layouts::Syslog => rfc5424::read(line),
        Some(b'A'..=b'Z') => stamp::bsd(line).map(|read| behind_stamp(read, layouts)),
        // A line that begins with a year: ISO stamps of all writers, or a BSD stamp with the year in front.
        Some(b'0'..=b'9') => {
            let read = stamp::iso(line).or_else(|| stamp::bsd_behind_year(line));
            read.map(|read| behind_stamp(read, layouts))
        }
        Some(b'@') => stamp::tai64n(line).map(|read| behind_stamp(read, layouts)),
        _ => None,
    };
    known.unwrap_or_else(|| Record::unknown(line))
}

/// Reads a line of which nobody says what log it is from, as in a sample or a question: in the first of all layouts that
/// it has, and which that is.
pub fn parse_as_any(line: &[u8]) -> (Layouts, Record<'_>) {
    let read = |layouts| (layouts, parse_as(line, layouts));
    let others = [Layouts::Metalog, Layouts::Supervised].map(read);
    let mut known = [read(Layouts::Syslog)].into_iter().chain(others);
    known
        .find(|(_, record)| record.program.is_some() || record.any_program())
        .unwrap_or_else(|| read(Layouts::Syslog))
}

/// Reads what follows a stamp. A header behind a stamp of another writer than the source's is text that somebody wrote.
fn behind_stamp<'a>((stamp, rest): (Stamp<'a>, &'a [u8]), layouts: Layouts) -> Record<'a> {
    match (layouts, stamp.is_supervisors()) {
        (Layouts::Syslog, false) => header::read(stamp, rest),
        (Layouts::Metalog, false) => header::metalog(stamp, rest),
        (Layouts::Supervised, true) => supervised::read(stamp, rest),
        (Layouts::Syslog | Layouts::Metalog, true) | (Layouts::Supervised, false) => {
            Record { layout: Layout::Foreign, ..header::raw(stamp, &rest[..0], rest) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Host, program, pid and message of a line, as text.
    fn parts(line: &str) -> (&str, Option<&str>, Option<u32>, &str) {
        parts_as(line, Layouts::Syslog)
    }

    fn parts_as(line: &str, layouts: Layouts) -> (&str, Option<&str>, Option<u32>, &str) {
        fn text(bytes: &[u8]) -> &str {
            std::str::from_utf8(bytes).expect("tests write UTF-8")
        }
        let record = parse_as(line.as_bytes(), layouts);
        (text(record.host), record.program.map(text), record.pid, text(record.message))
    }

    const WRONG: &str = "Invalid user a from 192.0.2.7";

    #[test]
    fn every_layout_gives_the_same_four_parts() {
        for (header, host) in [
            ("Nov 22 14:38:31 gw sshd[7]: ", "gw"),
            ("Nov 22 14:38:31 <auth.info> gw sshd[7]: ", "gw"),
            ("Nov 22 14:38:31 <10.5> gw sshd[7]: ", "gw"),
            ("Nov 22 14:38:31 g sshd[7]: ", "g"),
            ("Nov 22 14:38:31 2001:db8::1 sshd[7]: ", "2001:db8::1"),
            ("May 9 11:11:17 sshd[7]: ", ""),
            ("May  9 11:11:17  sshd[7]: ", ""),
            ("May 09 11:11:17 gw sshd[7]:   ", "gw"),
            ("Nov 22 14:38:31.123456 gw sshd[7]: ", "gw"),
            ("Nov 22 14:38:31 +0100 gw sshd[7]: ", "gw"),
            ("Nov 22 14:38:31+01:00 gw sshd[7]: ", "gw"),
            ("Nov 22 14:38:31 UTC gw sshd[7]: ", "gw"),
            ("Nov 22 14:38:31.5 CET gw sshd[7]: ", "gw"),
            ("2026 Nov 22 14:38:31 gw sshd[7]: ", "gw"),
            ("Nov 22 2026 14:38:31 gw sshd[7]: ", "gw"),
            ("Nov 22 14:38:31 gw sshd[7] ", "gw"),
            ("May 9 11:11:17 sshd[7] ", ""),
            ("Jun 20 02:18:39 vps auth.info sshd[7]: ", "vps"),
            ("Nov 22 14:38:31 gw sshd[7]: [ID 800047 auth.info] ", "gw"),
            ("<38>1 2026-11-22T14:38:31.123456+01:00 gw.example.org sshd 7 - - ", "gw.example.org"),
            ("<38>1 - - sshd 7 - - ", ""),
            ("2026-11-22T14:38:31.123456+01:00 gw sshd[7]: ", "gw"),
            ("2026-11-22T14:38:31+0100 gw sshd[7]: ", "gw"),
            ("2026-11-22T13:38:31Z gw sshd[7]: ", "gw"),
            ("2026-11-22 14:38:31.180218+0000 gw sshd[7]: ", "gw"),
            ("2026-11-22 14:38:31 gw sshd[7]: ", "gw"),
            ("2020-05-29T11:28:56.058908+02:00 gw sshd[7] ", "gw"),
        ] {
            let line = format!("{header}{WRONG}");
            assert_eq!(parts(&line), (host, Some("sshd"), Some(7), WRONG), "{line}");
            for other in [Layouts::Metalog, Layouts::Supervised] {
                assert_eq!(parts_as(&line, other).1, None, "{line} as {other:?}");
            }
        }
        for header in [
            "2015-05-27T04:31:28.10040 auth.info: May 27 04:31:28 sshd[7]: ",
            "2015-05-27_04:31:28.10040 auth.info: sshd[7]:  ",
            "@400000005564e6a000000000 auth.info: sshd[7]: ",
        ] {
            let line = format!("{header}{WRONG}");
            let want = ("", Some("sshd"), Some(7), WRONG);
            assert_eq!(parts_as(&line, Layouts::Supervised), want, "{line}");
        }
    }

    /// An application may write any of these into its own log, with words that its peers chose.
    #[test]
    fn layouts_that_look_like_an_applications_are_read_only_where_the_source_has_them() {
        for (line, layouts) in [
            ("Nov 22 14:38:31 [sshd] Failed", Layouts::Metalog),
            ("2026-11-22 14:38:31 [sshd] Failed", Layouts::Metalog),
            ("2015-05-27_04:31:28.10040 auth.info: sshd[7]: Failed", Layouts::Supervised),
            ("@400000005564e6a000000000 auth.info: sshd[7]: Failed", Layouts::Supervised),
        ] {
            assert_eq!(parts_as(line, layouts).1, Some("sshd"), "{line}");
            for other in [Layouts::Syslog, Layouts::Metalog, Layouts::Supervised] {
                let record = parse_as(line.as_bytes(), other);
                assert!(other == layouts || record.program != Some(b"sshd"), "{line} as {other:?}");
                assert!(!record.stamp.text().is_empty(), "its time is known all the same: {line}");
            }
        }
        // A header behind the stamp of a supervisor is what the supervised service wrote.
        let line = "2018-06-26 13:22:02.108781500 gw sshd[7]: Failed";
        assert_eq!((parts(line).1, parse(line.as_bytes()).any_program()), (None, false));
        assert_eq!(parts_as("Nov 22 14:38:31 [httpd] gw sshd[2]: Failed", Layouts::Metalog).1, Some("httpd"));
        assert_eq!(parts_as("Nov 22 14:38:31 Failed [sshd] x", Layouts::Metalog).1, None);
    }

    #[test]
    fn layouts_without_a_program_field_say_so() {
        for header in [
            "2018-06-26 13:22:02.108781500 ",
            "@400000005564e6a000000000 ",
            "2015-05-27T04:31:27.46667 auth.info: ",
            "2015-05-27_04:31:27.46667 ",
        ] {
            let line = format!("{header}{WRONG}");
            assert_eq!(parts_as(&line, Layouts::Supervised), ("", None, None, WRONG), "{line}");
            assert!(parse_as(line.as_bytes(), Layouts::Supervised).any_program(), "{line}");
            assert!(!parse(line.as_bytes()).any_program(), "nobody said that it is a supervisor's: {line}");
        }
        let raw = parse(b"Nov 22 14:38:31 gw Invalid user a from 192.0.2.7");
        assert_eq!((raw.program, raw.message), (None, WRONG.as_bytes()));
        assert!(!raw.any_program(), "raw text in a syslog file is nobody's");
    }

    #[test]
    fn a_line_without_a_known_header_is_all_message() {
        for line in [
            "",
            "x",
            "sshd[1]: text",
            "Nov",
            "Nov 22 14:38",
            "Nov 22 14:38:31x gw",
            "2026-11-22",
            "<38>1 ",
            "@40",
        ] {
            assert_eq!(parse(line.as_bytes()), Record::unknown(line.as_bytes()), "{line}");
        }
        assert_eq!(parts("Nov 22 14:38:31"), ("", None, None, ""));
    }

    /// Other programs: "any service that logs client text into the same file can forge an sshd failure".
    #[test]
    fn text_of_a_message_never_becomes_the_header() {
        for (line, program) in [
            ("Nov 22 14:38:31 gw httpd[1]: sshd[2]: Failed", Some("httpd")),
            ("Nov 22 14:38:31 httpd[1]: sshd[2]: Failed", Some("httpd")),
            ("Nov 22 14:38:31 gw httpd: gw sshd[2]: Failed", Some("httpd")),
            ("Nov 22 14:38:31 gw httpd[1] sshd[2]: Failed", Some("httpd")),
            ("Nov 22 14:38:31 httpd[1] sshd[2]: Failed", Some("httpd")),
            ("Nov 22 14:38:31 gw httpd[1]: auth.info sshd[2]: Failed", Some("httpd")),
            ("Nov 22 14:38:31 gw httpd[1]: Nov 22 14:38:31 sshd[2]: Failed", Some("httpd")),
            ("Nov 22 14:38:31 [httpd] gw sshd[2]: Failed", None),
            ("Nov 22 14:38:31 vps auth.info httpd[1]: sshd[2]: Failed", Some("httpd")),
            ("<38>1 2026-11-22T14:38:31Z gw httpd 1 - - sshd[2]: Failed", Some("httpd")),
            ("2026-11-22T14:38:31Z gw httpd[1]: sshd[2]: Failed", Some("httpd")),
            ("2015-05-27T04:31:28.10040 auth.info: httpd[1]: auth.info: sshd[2]: Failed", None),
            ("Nov 22 14:38:31 (httpd)[1]: sshd[2]: Failed", Some("(httpd)")),
            ("Nov 22 14:38:31 gw httpd(x)[1]: sshd[2]: Failed", Some("httpd(x)")),
            ("Nov 22 14:38:31 gw sshd(x)[1]: Failed", Some("sshd(x)")),
            // A program's name outside the tag's alphabet is no host, so what it says is no tag.
            ("Nov 22 14:38:31 httpd(x) sshd[2]: Failed", None),
            ("Nov 22 14:38:31 httpd{x}[1]: sshd[2]: Failed", None),
            ("Nov 22 14:38:31 gw httpd{x}[1]: sshd[2]: Failed", None),
            ("Nov 22 14:38:31 httpd@1: sshd[2]: Failed", None),
            ("Nov 22 14:38:31 httpd[a] sshd[2]: Failed", None),
            ("Nov 22 14:38:31 [a b] sshd[2]: Failed", None),
            ("Nov 22 14:38:31 [a sshd[2]: Failed", None),
            // Raw text behind the host, and text behind the places where a layout has its tag.
            ("Nov 22 14:38:31 gw foo sshd[1]: x", None),
            ("Nov 22 14:38:31 gw auth.foo sshd[1]: x", None),
            ("Nov 22 14:38:31 gw foo.info sshd[1]: x", None),
            ("Nov 22 14:38:31 gw auth.info foo sshd[1]: x", None),
            ("Nov 22 14:38:31 gw  sshd[1]: x", None),
            ("Nov 22 14:38:31 GW foo sshd[1]: x", None),
            ("Nov 22 14:38:31 gw last message repeated 3 times", None),
            ("Nov 22 14:38:31 gw Nov 22 14:38:31 sshd[1]: x", None),
            ("Nov 22 14:38:31 gw\tsshd[1]: x", None),
            ("Nov 22 14:38:31 gw sshd[1]:x", None),
            ("Nov 22 14:38:31 gw sshd[]: x", None),
            ("Nov 22 14:38:31 gw sshd[99999999999]: x", None),
            ("<38>1 2026-11-22T14:38:31Z gw - - - - sshd[2]: Failed", None),
            ("2015-05-27T04:31:28Z auth.info: sshd[1]: x", Some("auth.info")),
        ] {
            assert_eq!(parts(line).1, program, "{line}");
        }
        // A nested header is socklog's alone, without a host, and only in a supervisor's layout.
        for line in [
            "2015-05-27T04:31:28.10040 auth.info: May 27 04:31:28 gw sshd[1]: x",
            "2015-05-27T04:31:28.10040 foo: sshd[1]: x",
            "2015-05-27T04:31:28.10040 gw sshd[1]: x",
            "2018-06-26 13:22:02.108781500 httpd: sshd[1]: x",
            "2018-06-26 13:22:02.108781500 UTC gw sshd[1]: x",
            "2018-06-26 13:22:02.108781500 +0100 gw sshd[1]: x",
            "@400000005564e6a000000000 sshd[1]: x",
        ] {
            assert_eq!((parts(line).1, parts_as(line, Layouts::Supervised).1), (None, None), "{line}");
        }
        let nested = "2015-05-27T04:31:28.10040 auth.info: httpd[1]: auth.info: sshd[2]: Failed";
        assert_eq!(parts_as(nested, Layouts::Supervised).1, Some("httpd"));
    }

    #[test]
    fn the_kernel_has_one_name_and_no_uptime() {
        for header in [
            "Nov 22 14:38:31 gw kernel: ",
            "Nov 22 14:38:31 <kern.debug> gw kernel: [12345] ",
            "Nov 22 14:38:31 gw kernel: [   12.345678] ",
            "Nov 22 14:38:31 gw /boot/kernel/kernel: ",
            "<7>1 2026-11-22T14:38:31.123456+01:00 gw kernel - - - [12345.678901] ",
        ] {
            let line = format!("{header}TCP: [192.0.2.7]:40601 to [198.51.100.1]:22");
            let want = ("gw", Some("kernel"), None, "TCP: [192.0.2.7]:40601 to [198.51.100.1]:22");
            assert_eq!(parts(&line), want, "{line}");
        }
        assert_eq!(parts("Nov 22 14:38:31 gw kernel: [UFW BLOCK] IN=").3, "[UFW BLOCK] IN=");
        assert_eq!(parts("Nov 22 14:38:31 gw foo: [12345] x").3, "[12345] x", "only the kernel's");
        assert_eq!(parts("Nov 22 14:38:31 gw kernel[5]: TCP: x").1, None, "a user's logger");
        assert_eq!(parts("<7>1 2026-11-22T14:38:31Z gw kernel 5 - - TCP: x").1, None);
        assert_eq!(
            parts("Nov 22 14:38:31 gw /tmp/kernel[1]: x").1,
            Some("/tmp/kernel"),
            "the kernel has no pid"
        );
    }

    #[test]
    fn any_bytes_are_fine_in_a_message() {
        let record = parse(b"Nov 22 14:38:31 gw sshd[7]: \xff\x00\x80 x");
        assert_eq!((record.program, record.message), (Some(&b"sshd"[..]), &b"\xff\x00\x80 x"[..]));
    }

    #[test]
    fn an_empty_message_is_empty() {
        assert_eq!(parts("Nov 22 14:38:31 gw sshd[7]:"), ("gw", Some("sshd"), Some(7), ""));
        assert_eq!(parts("Nov 22 14:38:31 gw sshd[7]: "), ("gw", Some("sshd"), Some(7), ""));
        assert_eq!(parts("<38>1 - gw sshd 7 - -"), ("gw", Some("sshd"), Some(7), ""));
    }

    /// Pieces of headers, so that random lines come near to real ones.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "Nov 22 14:38:31",
                "2026 ",
                "2026-11-22",
                "T",
                "_",
                "14:38:31",
                ".46667",
                ".108781500",
                "+01:00",
                "Z",
                " UTC",
                " ",
                "<auth.info>",
                "auth.info",
                ":",
                "gw",
                "sshd",
                "[7]",
                "kernel: ",
                "[12] ",
                "[ID 1 auth.info] ",
                "<38>1 ",
                "- ",
                "[x y=\"\\]\"]",
                "@400000005564e6a000000000 ",
                "last message repeated 3 times",
                "message repeated 9 times: [ x]",
                "Last message 'x' repeated 2 times, suppressed by syslog-ng on gw",
                "\u{feff}",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    fn lies_within(part: &[u8], line: &[u8]) -> bool {
        let (part, line) = (part.as_ptr_range(), line.as_ptr_range());
        line.start <= part.start && part.end <= line.end
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn nothing_panics_and_all_parts_lie_within_the_line(line in pieces()) {
            let record = parse(&line);
            let program = record.program.unwrap_or(record.host);
            for part in [record.host, program, record.message] {
                prop_assert!(lies_within(part, &line));
            }
            prop_assert!(line.ends_with(record.message), "the message is what is left of the line");
            prop_assert!(repeat(&record).is_none_or(|repeat| repeat.count() <= MAX_REPEATS));
            may_be_cut(&line, &record);
            let mut clock = Clock::new(jiff::tz::TimeZone::UTC, crate::time::Time::from_secs(1_800_000_000));
            clock.written(&line, &record, None);
        }
    }
}
