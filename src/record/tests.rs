//! Headers of all layouts, and lines that only look as if they had one.

mod forged;

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
        ("2026-11-22 06:07:50.998187-0700  localhost sshd[7]: ", "localhost"),
        ("2026-11-22 14:38:31.123456+01:00 gw sshd[7]: ", "gw"),
        ("2026 Nov 22 14:38:31.123 gw sshd[7]: ", "gw"),
        ("Nov 22 14:38:31 gw auth|security:info sshd[7]: ", "gw"),
        ("Nov 22 14:38:31 (none) auth.info sshd[7]: ", "(none)"),
        ("Nov 22 14:38:31 relay/gw sshd[7]: ", "relay/gw"),
        ("Nov 22 14:38:31 s_src@gw sshd[7]: ", "s_src@gw"),
        ("<38>Nov 22 14:38:31 gw sshd[7]: ", "gw"),
        ("<38>Nov 22 14:38:31 sshd[7]: ", ""),
        ("<38>2026-11-22T14:38:31.123456+01:00 gw sshd[7]: ", "gw"),
        ("Sun Nov 22 14:38:31 gw sshd[7]: ", "gw"),
        ("Sun Nov  2 14:38:31 gw sshd[7]: ", "gw"),
        ("Sun 2026-11-22 14:38:31 CET gw sshd[7]: ", "gw"),
        ("Sun 2026-11-22 14:38:31 +08 gw sshd[7]: ", "gw"),
        ("Sun 2026-11-22 14:38:31 IST gw sshd[7]: ", "gw"),
        ("Sun 2026-11-22 14:38:31 -03 gw sshd[7]: ", "gw"),
        ("Sun 2026-11-22 14:38:31 +0530 gw sshd[7]: ", "gw"),
        ("2026-11-22T14:38:31.123Z In(182) sshd[7]: ", ""),
        ("2026-11-22T14:38:31.123Z Wa(36) sshd[7]: ", ""),
        ("Nov 22 14:38:31 gw Message forwarded from aix-1.example.org: sshd[7]: ", "aix-1.example.org"),
        ("Nov 22 14:38:31 gw auth|security:info Message forwarded from aix1: sshd[7]: ", "aix1"),
        ("Nov 22 14:38:31 Message forwarded from aix1: sshd[7]: ", "aix1"),
        ("<38>Nov 22 14:38:31 Message forwarded from aix1: sshd[7]: ", "aix1"),
        ("2026-11-22T14:38:31.123456+01:00 gw Message forwarded from 2001:db8::1: sshd[7]: ", "2001:db8::1"),
        ("Sun Nov 22 14:38:31 2026 authpriv.warn sshd[7]: ", ""),
        ("Sun Nov  2 14:38:31 2026 authpriv.warn sshd[7]: ", ""),
        ("Sun Nov 22 14:38:31 2026 [1795354711.123] authpriv.warn sshd[7]: ", ""),
        ("Nov 22 14:38:31 gw 1 2026-11-22T14:38:31.123456+01:00 gw.example.org sshd 7 - - ", "gw"),
        ("Nov 22 14:38:31 <38.6> gw 1 2026-11-22T14:38:31.123456+01:00 jail sshd 7 - - ", "gw"),
        ("2026-11-22T14:38:31+01:00 gw 1 2026-11-22T14:38:31.1+01:00 gw sshd 7 - [a k=\"]\"] ", "gw"),
        ("Nov 22 14:38:31 gw 1 - gw sshd 7 - - ", "gw"),
        ("Nov 22 14:38:31 gw \u{feff}sshd[7]: ", "gw"),
        ("Nov 22 14:38:31 gw sshd[7]: \u{feff}", "gw"),
        ("Nov 22 14:38:31 gw 1 - gw sshd 7 - - \u{feff}", "gw"),
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
    // A header behind the timestamp of a supervisor is what the supervised service wrote.
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
    assert_eq!(parts("Nov 22 14:38:31 gw /tmp/kernel[1]: x").1, Some("/tmp/kernel"), "the kernel has no pid");
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
            "<38>",
            "Sun ",
            "[gw]",
            " 2026",
            " 1 ",
            "auth|security:info",
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
    let part = part.as_ptr_range();
    let line = line.as_ptr_range();
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
