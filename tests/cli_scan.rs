//! `portcullis scan`: what it finds, and how it tells.

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde_json::{Value, json};

use crate::util::{Dir, failures, project, thread_log};

const ERA: &str = "2026-01-10T";

fn scan(dir: &Dir, arguments: &[&str]) -> Value {
    dir.portcullis(["scan", "--json"].iter().chain(arguments)).json()
}

fn keys(object: &Value) -> Vec<&String> {
    object.as_object().unwrap().keys().collect()
}

/// README's first command.
#[test]
fn the_threads_log_names_its_peer_and_the_ban_it_would_get() {
    let dir = Dir::new();
    let text = dir.portcullis(["scan", thread_log().to_str().unwrap()]).ok();
    let row = text.lines().find(|line| line.starts_with("119.254.12.34 ")).expect("the peer");
    for word in [" freebsd-tcp ", " spoofable ", " 34 ", " 07:50:04 ", " 07:51:43 ", " 07:51:03 for 10m"] {
        assert!(row.contains(word), "{word} in {row}");
    }
    assert!(text.contains("34 lines, 34 matched"), "{text}");
    assert!(text.contains("spoofable: anybody can send packets with somebody else's address."), "{text}");
    assert!(text.contains("Offences over time, 2s a column"), "{text}");
}

#[test]
fn the_json_has_the_promised_keys() {
    let dir = Dir::new();
    let log = thread_log();
    let report = scan(&dir, &[log.to_str().unwrap()]);
    let promised =
        ["bans", "bans_prevented_by_cap", "exempt", "first", "last", "lines", "matched", "offenders"];
    assert_eq!(keys(&report), [&promised[..], &["too_long", "undated", "unlisted_offences"]].concat());
    assert_eq!((&report["lines"], &report["matched"]), (&json!(34), &json!(34)));
    let offender = &report["offenders"][0];
    assert_eq!(
        keys(offender),
        ["bans", "evidence", "first", "last", "offences", "offender", "rule_set", "spared"]
    );
    assert_eq!(
        (&offender["offender"], &offender["rule_set"], &offender["offences"], &offender["evidence"]),
        (&json!("119.254.12.34"), &json!("freebsd-tcp"), &json!(34), &json!("spoofable"))
    );
    assert_eq!(keys(&offender["bans"][0]), ["at", "prefix", "until", "within"]);
}

#[test]
fn times_are_printed_with_the_offset_of_the_readers_zone() {
    let dir = Dir::new();
    dir.write("auth.log", failures("192.0.2.7", [0, 1, 2, 3, 4]));
    for (zone, first, until) in [
        ("UTC", "2026-01-10T10:00:00+00:00", "2026-01-10T11:00:04+00:00"),
        ("Europe/Berlin", "2026-01-10T11:00:00+01:00", "2026-01-10T12:00:04+01:00"),
        ("America/St_Johns", "2026-01-10T06:30:00-03:30", "2026-01-10T07:30:04-03:30"),
    ] {
        let report = dir.portcullis(["scan", "--json", "auth.log"]).env("TZ", zone).json();
        assert_eq!(report["first"], first);
        assert_eq!(report["offenders"][0]["bans"][0]["until"], until);
    }
}

#[test]
fn stamps_without_a_zone_are_local_time() {
    let dir = Dir::new();
    dir.write("auth.log", failures("192.0.2.7", [0]).replace("+00:00", ""));
    let report = dir.portcullis(["scan", "--json", "auth.log"]).env("TZ", "Europe/Berlin").json();
    assert_eq!(report["first"], "2026-01-10T10:00:00+01:00");
}

#[test]
fn a_stamp_without_a_year_is_of_the_last_year_that_is_not_in_the_future() {
    let now = Timestamp::now().to_zoned_datetime(TimeZone::UTC);
    for (days, years) in [(-300, 0), (-1, 0), (3, -1), (60, -1)] {
        let shown = now.checked_add(days.days()).unwrap();
        let stamp = shown.strftime("%b %e 12:00:00");
        let line = format!("{stamp} gw sshd[1]: Failed password for root from 192.0.2.7 port 5 ssh2\n");
        let report = Dir::new().portcullis(["scan", "--json"]).stdin(line).json();
        let year = i32::from(shown.year()) + years;
        assert_eq!(report["first"], format!("{year}-{}", shown.strftime("%m-%dT12:00:00+00:00")), "{stamp}");
    }
}

#[test]
fn lines_that_do_not_say_when_they_were_written_count_for_nobody() {
    let line = |stamp: &str, pid: u32| {
        format!("{stamp} gw sshd[{pid}]: Failed password for root from 192.0.2.7 port 5 ssh2\n")
    };
    let undated: String = (1..=20).map(|pid| line("Feb 30 14:38:31", pid)).collect();
    let report = Dir::new().portcullis(["scan", "--json"]).stdin(undated.as_str()).json();
    assert_eq!(
        (&report["matched"], &report["undated"], &report["first"]),
        (&json!(20), &json!(20), &Value::Null)
    );
    assert_eq!(report["offenders"], json!([]), "taken for the present they would be an attack");
    let text = Dir::new().portcullis(["scan"]).stdin(undated.as_str()).ok();
    assert!(text.contains("20 matched (20 without a timestamp, not counted)"), "{text}");
    assert!(text.contains("20 lines matched and have no readable timestamp"), "{text}");
    assert!(
        text.contains("Describe their timestamps with `time:`") && !text.contains("No offences"),
        "{text}"
    );
    // Behind a line with a time they are of that time.
    let dated = line("2026-01-10T10:00:00Z", 21) + &undated;
    let report = Dir::new().portcullis(["scan", "--json"]).stdin(dated).json();
    assert_eq!((&report["undated"], &report["offenders"][0]["offences"]), (&json!(0), &json!(21)));
}

#[test]
fn an_offender_is_banned_as_often_as_the_daemon_would_ban_it_and_longer_each_time() {
    let dir = Dir::new();
    // Two while the first ban holds, and five after its end.
    dir.write("auth.log", failures("192.0.2.7", [0, 1, 2, 3, 4, 60, 120, 7200, 7201, 7202, 7203, 7204]));
    let report = scan(&dir, &["auth.log"]);
    let offender = &report["offenders"][0];
    assert_eq!(offender["offences"], 12);
    let times = |at: &str, until: &str| json!({"prefix": "192.0.2.7", "at": format!("{ERA}{at}"), "until": format!("{ERA}{until}"), "within": 600});
    let bans = [times("10:00:04+00:00", "11:00:04+00:00"), times("12:00:04+00:00", "14:00:04+00:00")];
    assert_eq!(offender["bans"], json!(bans));
    let text = dir.portcullis(["scan", "auth.log"]).ok();
    assert!(text.contains("2026-01-10 10:00:04 for 1h, 2 times"), "{text}");
}

/// In any window of ten minutes there is one guess; the window of a day sees them all.
#[test]
fn the_window_that_is_full_first_bans() {
    let dir = Dir::new();
    let windows = "[{offences: 5, within: 10m}, {offences: 12, within: 1d}]";
    dir.write("portcullis.yaml", format!("override: {{sshd: {{threshold: {windows}}}}}\n"));
    dir.write("slow.log", failures("192.0.2.7", (0..12).map(|n| n * 900)));
    dir.write("fast.log", failures("192.0.2.8", 0..5));
    let bans = |log: &str| {
        let report = dir.portcullis(["scan", "--json", "-c", "portcullis.yaml", log]).json();
        report["offenders"][0]["bans"].clone()
    };
    let slow = bans("slow.log");
    let fast = bans("fast.log");
    assert_eq!(
        (&slow[0]["at"], &slow[0]["within"]),
        (&json!(format!("{ERA}12:45:00+00:00")), &json!(86_400))
    );
    assert_eq!((&fast[0]["at"], &fast[0]["within"]), (&json!(format!("{ERA}10:00:04+00:00")), &json!(600)));
}

#[test]
fn failures_in_two_logs_are_put_in_the_order_of_their_times() {
    let dir = Dir::new();
    dir.write("auth.log", failures("192.0.2.7", [0, 20, 40]));
    dir.write("messages", failures("192.0.2.7", [10, 30]));
    let report = scan(&dir, &["auth.log", "messages"]);
    assert_eq!(report["offenders"][0]["bans"][0]["at"], format!("{ERA}10:00:40+00:00"));
}

#[test]
fn failures_in_two_logs_that_are_hours_apart_ban_nobody() {
    let dir = Dir::new();
    dir.write("auth.log", failures("192.0.2.7", [0, 7200, 14400]));
    dir.write("messages", failures("192.0.2.7", [3600, 10800]));
    let report = scan(&dir, &["auth.log", "messages"]);
    assert_eq!(report["offenders"][0]["offences"], 5);
    assert_eq!(report["offenders"][0]["bans"], json!([]));
}

/// syslogd writes sshd's errors to two files.
#[test]
fn the_same_line_in_two_logs_counts_once() {
    let dir = Dir::new();
    let text = failures("192.0.2.7", [0, 1, 2, 3]);
    dir.write("auth.log", &text);
    dir.write("messages", &text);
    let report = scan(&dir, &["auth.log", "messages"]);
    assert_eq!(report["lines"], 8);
    assert_eq!(report["offenders"][0]["offences"], 4);
    assert_eq!(report["offenders"][0]["bans"], json!([]));
}

/// In the hour that comes twice, each log begins again at 02:00.
#[test]
fn logs_of_the_doubled_hour_are_merged_pass_by_pass() {
    let dir = Dir::new();
    let line = |time: &str, pid: u32| {
        format!("2025-10-26T{time} gw sshd[{pid}]: Failed password for root from 192.0.2.7 port 5 ssh2\n")
    };
    // 02:05 in the first pass and 02:05 in the second are an hour apart.
    dir.write("auth.log", [line("02:05:00", 1), line("02:50:00", 2), line("02:05:30", 3)].concat());
    dir.write("messages", [line("02:06:00", 4), line("02:51:00", 5), line("02:06:30", 6)].concat());
    let report = dir.portcullis(["scan", "--json", "auth.log", "messages"]).env("TZ", "Europe/Berlin").json();
    assert_eq!(report["first"], "2025-10-26T02:05:00+02:00");
    assert_eq!(report["last"], "2025-10-26T02:06:30+01:00");
    let offender = &report["offenders"][0];
    assert_eq!((&offender["first"], &offender["last"]), (&report["first"], &report["last"]));
    assert_eq!(offender["bans"], json!([]));
}

/// The column agrees with the threshold: a PAM line that had waited for its address counts when it is known.
#[test]
fn offences_are_counted_as_the_threshold_counts_them() {
    let pam = |second: u32| {
        format!(
            "2026-01-10T10:00:{second:02}+00:00 gw sshd[7]: error: PAM: Authentication error for root from scan.example\n"
        )
    };
    let closed = "2026-01-10T10:00:30+00:00 gw sshd[7]: Connection closed by authenticating user root 192.0.2.7 port 5 \
                  [preauth]\n";
    let log = [pam(0), pam(1), pam(2), pam(3), pam(4), closed.to_owned()].concat();
    let report = Dir::new().portcullis(["scan", "--json"]).stdin(log).json();
    let offender = &report["offenders"][0];
    assert_eq!((&offender["offender"], &offender["offences"]), (&json!("192.0.2.7"), &json!(5)));
    assert_eq!(offender["bans"].as_array().unwrap().len(), 1);
}

#[test]
fn top_bounds_the_table_and_says_what_is_left_out() {
    let dir = Dir::new();
    let log: String = (1..=30).map(|host| failures(&format!("192.0.2.{host}"), [host])).collect();
    dir.write("auth.log", log);
    let rows = |text: &str| text.lines().filter(|line| line.starts_with("192.0.2.")).count();
    let text = dir.portcullis(["scan", "auth.log"]).ok();
    assert_eq!(rows(&text), 20, "{text}");
    assert!(text.contains("… and 10 more offenders; --top 30 shows all"), "{text}");
    let text = dir.portcullis(["scan", "--top", "29", "auth.log"]).ok();
    assert!(text.contains("… and 1 more offender; --top 30 shows all"), "{text}");
    let text = dir.portcullis(["scan", "--top", "30", "auth.log"]).ok();
    assert!(rows(&text) == 30 && !text.contains('…'), "{text}");
}

#[test]
fn columns_line_up_however_long_an_address_is() {
    let dir = Dir::new();
    let log = failures("192.0.2.7", [0, 1]) + &failures("2001:db8:1234:5678:9abc:def0:1234:5678", [2]);
    dir.write("auth.log", log);
    let text = dir.portcullis(["scan", "auth.log"]).ok();
    let column = |line: &str, word: &str| line.find(word).unwrap_or_else(|| panic!("{word} in {line}"));
    let mut lines = text.lines().skip_while(|line| !line.starts_with("OFFENDER"));
    let head = lines.next().unwrap();
    let rows: Vec<&str> = lines.take(2).collect();
    assert!(rows[1].starts_with("2001:db8:1234:5678::/64"), "{text}");
    for row in rows {
        assert_eq!(column(row, "sshd"), column(head, "RULE SET"), "{text}");
        assert_eq!(column(row, "2026-01-10"), column(head, "FIRST"), "{text}");
    }
}

/// A service's own log, as it lies on a host, and a rule set that says nothing of its stamps.
#[test]
fn stamps_of_a_service_are_read_without_being_told() {
    let dir = Dir::new();
    let rules = project("tests/data/vsftpd/vsftpd.yaml");
    let log = project("tests/data/vsftpd/vsftpd.log");
    let report = scan(&dir, &["--rules", rules.to_str().unwrap(), log.to_str().unwrap()]);
    assert_eq!((&report["undated"], &report["bans"]), (&json!(0), &json!(1)));
    let offender = &report["offenders"][0];
    assert_eq!((&offender["offender"], &offender["offences"]), (&json!("192.0.2.7"), &json!(6)));
    assert_eq!(offender["bans"][0]["at"], "2025-10-02T18:37:45+00:00");
    assert_eq!(report["offenders"].as_array().unwrap().len(), 1, "a user's name is no address");
}

/// The source that follows the file says how its stamps are read, also where a rotated file is named.
#[test]
fn a_source_says_the_zone_and_the_form_of_its_stamps() {
    let dir = Dir::new();
    let log = dir.path().join("auth.log").display().to_string();
    let line = |n| {
        format!("10.01.2026 10:00:0{n} gw sshd[{n}]: Failed password for root from 192.0.2.7 port 5 ssh2\n")
    };
    dir.write("auth.log", (0..5).map(line).collect::<String>());
    let rules = "version: 1\nname: own\nabout: x\nformat: raw\nnewlines: encoded\nrules:\n  - id: wrong\n    pattern: '^<TIME> gw sshd\\[\\d{1,7}\\]: Failed password for root from <ADDR> port \\d{1,5} ssh2$'\n    means: x\n";
    let rules = rules.replace("rules:", "time: '%d.%m.%Y %H:%M:%S'\nrules:");
    dir.write("rules/own.yaml", rules);
    let config = format!(
        "version: 1\nrules_dir: {}\nsources: {{auth: {{path: '{log}', zone: Asia/Kathmandu, rule_sets: [own]}}}}\n",
        dir.path().join("rules").display(),
    );
    let config = dir.write("portcullis.yaml", config).display().to_string();
    let report = scan(&dir, &["-c", &config, &log]);
    assert_eq!(report["offenders"][0]["first"], "2026-01-10T04:15:00+00:00", "{report}");
    assert_eq!((&report["undated"], &report["bans"]), (&json!(0), &json!(1)));
    // What a source says is stronger than what its rule sets say.
    let other = std::fs::read_to_string(&config).unwrap().replace("zone:", "time: '%s', zone:");
    std::fs::write(&config, other).unwrap();
    assert_eq!(scan(&dir, &["-c", &config, &log])["undated"], 5);
}

#[test]
fn nobody_is_a_result_too() {
    let text = Dir::new().portcullis(["scan"]).stdin("Jan 10 10:00:00 gw cron[1]: x\n").ok();
    assert!(text.starts_with("standard input: 1 line, 0 matched, "), "{text}");
    assert!(
        text.ends_with("\nNo offences found. `portcullis match --all` shows what each line is taken for.\n"),
        "{text}"
    );
}

/// A flood of forged addresses must not become a list of bans, nor cost memory without end.
#[test]
fn a_flood_of_forged_addresses_is_capped_and_explained() {
    let line = |host: u32, n: u32| {
        format!(
            "2026-01-10T10:00:{:02}+00:00 gw kernel: TCP: [198.18.{}.{}]:{} to [192.0.2.1]:22 tcpflags 0x10<ACK>; \
             syncache_expand: Segment failed SYNCOOKIE authentication, segment rejected (probably spoofed)\n",
            host / 50,
            host / 256,
            host % 256,
            1024 + n
        )
    };
    let log: String = (0..600).flat_map(|host| (0..20).map(move |n| line(host, n))).collect();
    let dir = Dir::new();
    dir.write("messages", log);
    let report = scan(&dir, &["messages"]);
    assert_eq!((&report["lines"], report["offenders"].as_array().unwrap().len()), (&json!(12_000), 600));
    let (bans, prevented) =
        (report["bans"].as_u64().unwrap(), report["bans_prevented_by_cap"].as_u64().unwrap());
    assert!((1..100).contains(&bans) && bans + prevented >= 600, "{bans} bans, {prevented} prevented");
    let text = dir.portcullis(["scan", "messages"]).ok();
    assert!(text.contains("Not banned: a flood of packets whose sources are probably forged"), "{text}");
    assert!(text.lines().count() < 40, "{text}");
}

/// More forged lines than memory has room for, at one moment between the first file's telling and the second's.
#[test]
fn a_flood_of_forged_lines_neither_hides_an_attacker_nor_doubles_a_mistake() {
    let kernel = |n: u32| {
        format!(
            "2026-01-10T10:00:01+00:00 gw kernel: TCP: [198.18.{}.{}]:{n} to [192.0.2.1]:22 tcpflags 0x10<ACK>; \
             syncache_expand: Segment failed SYNCOOKIE authentication, segment rejected (probably spoofed)\n",
            n / 256 % 256,
            n % 256
        )
    };
    let flood: String = (0..20_000).map(kernel).collect();
    let mistakes: String =
        ["sshd[1", "sshd[2", "sshd["].map(|pid| failures("192.0.2.7", [1]).replace("sshd[", pid)).concat();
    let dir = Dir::new();
    dir.write("auth.log", failures("203.0.113.5", [0, 0, 0]) + &mistakes + &failures("203.0.113.5", [2, 2]));
    dir.write("messages", flood + &mistakes);
    dir.write("c.yaml", "version: 1\ntracked_offenders: 1000\n");
    let report = scan(&dir, &["-c", "c.yaml", "auth.log", "messages"]);
    let of = |address: &str| {
        let offenders = report["offenders"].as_array().unwrap();
        offenders.iter().find(|found| found["offender"] == address).unwrap().clone()
    };
    assert_eq!((&of("192.0.2.7")["offences"], &of("192.0.2.7")["bans"]), (&json!(3), &json!([])));
    assert_eq!(of("203.0.113.5")["bans"].as_array().unwrap().len(), 1);
}

#[test]
fn repeats_of_a_line_count_and_only_within_their_file() {
    let dir = Dir::new();
    let four = failures("192.0.2.7", [0]) + "Jan 10 10:00:30 gw last message repeated 3 times\n";
    dir.write("auth.log.0", &four);
    dir.write("auth.log", "Jan 10 10:00:31 gw last message repeated 3 times\n");
    let report = scan(&dir, &["auth.log.0", "auth.log"]);
    assert_eq!(report["offenders"][0]["offences"], 4);
}

/// In chunks behind the first, lines that name no watched program are passed over unread.
#[test]
fn lines_of_others_count_as_lines_and_end_what_may_be_repeated() {
    let dir = Dir::new();
    let cron = "Jan 10 10:00:00 gw /usr/sbin/cron[7]: (root) CMD (/usr/libexec/atrun)\n";
    let repeated = "Jan 10 10:00:30 gw last message repeated 100 times\n";
    let text =
        [&cron.repeat(9999), &failures("192.0.2.7", [0]), cron, repeated, &failures("192.0.2.7", [40])]
            .concat();
    dir.write("auth.log", text);
    let report = scan(&dir, &["auth.log"]);
    assert_eq!((&report["lines"], &report["offenders"][0]["offences"]), (&json!(10_003), &json!(2)));
}

#[test]
fn a_number_that_is_none_is_asked_for_in_plain_words() {
    let ran = Dir::new().portcullis(["scan", "--top", "x"]).run();
    ran.assert(64, "write a whole number, such as 20");
}

/// A failed login, then what is said of it behind these lines.
fn repeated_behind(between: &str) -> Value {
    let dir = Dir::new();
    let stamp = "2026-01-10T10:00:01+00:00 gw";
    let repeated = format!("{stamp} syslogd: last message repeated 3 times\n");
    dir.write("auth.log", failures("192.0.2.7", [0]) + between + &repeated);
    dir.write("messages", "");
    let alone = scan(&dir, &["auth.log"]);
    let merged = scan(&dir, &["auth.log", "messages"]);
    assert_eq!(alone["offenders"], merged["offenders"], "{between}");
    let listed = dir.portcullis(["match", "--json", "auth.log"]).run().json_lines();
    let counts = listed.iter().map(|line| line["count"].as_u64().unwrap());
    assert_eq!(json!(counts.sum::<u64>()), alone["offenders"][0]["offences"], "{between}");
    alone["offenders"][0]["offences"].clone()
}

#[test]
fn a_repeat_is_of_the_line_before_newsyslogs_note_and_of_none_before_a_line_that_is_too_long() {
    let note = "2026-01-10T10:00:00+00:00 gw newsyslog[559]: logfile turned over due to size>1000K\n";
    let rfc5424 = "<14>1 2026-01-10T10:00:00.000000+00:00 gw newsyslog 559 - - logfile turned over\n";
    assert_eq!(repeated_behind(""), 4);
    assert_eq!(repeated_behind(note), 4);
    assert_eq!(repeated_behind(rfc5424), 4);
    let program = "2026-01-10T10:00:00+00:00 gw cron[7]: logfile turned over\n";
    assert_eq!(repeated_behind(program), 1);
    for length in [17_000, 300_000] {
        let long = format!("2026-01-10T10:00:00+00:00 gw cron[7]: {}\n", "x".repeat(length));
        assert_eq!(repeated_behind(&long), 1);
    }
}
