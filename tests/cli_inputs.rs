//! What `scan` and `match` read, what they refuse, and what they say then; all other files are still read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use serde_json::json;

use crate::util::{Dir, Ran, failures, thread_log};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packer, bytes).unwrap();
    packer.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    std::io::Write::write_all(&mut packer, bytes).unwrap();
    packer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn offences(report: &serde_json::Value) -> f64 {
    let offenders = report["offenders"].as_array().unwrap();
    offenders.iter().map(|offender| offender["offences"].as_f64().unwrap()).sum()
}

/// Scans this beside a log of one failure, which must be counted whatever is wrong with the other.
#[track_caller]
fn beside_a_log(dir: &Dir, other: &str) -> Ran {
    dir.write("good.log", failures("192.0.2.7", [0]));
    let ran = dir.portcullis(["scan", "--json", other, "good.log"]).run();
    let offenders = ran.json_lines()[0]["offenders"].to_string();
    assert!(offenders.contains("192.0.2.7"), "{ran:?}");
    ran
}

#[test]
fn every_packing_is_read_by_its_content_not_its_name() {
    let dir = Dir::new();
    let log = fs::read(thread_log()).unwrap();
    for (name, bytes) in
        [("a.gz", gzip(&log)), ("b.bz2", bzip2(&log)), ("c.zst", zstd(&log)), ("d", gzip(&log))]
    {
        dir.write(name, bytes);
        assert_eq!(dir.portcullis(["scan", "--json", name]).json()["matched"], 34, "{name}");
    }
}

/// The library's writer of xz is not compiled in; the tool is in FreeBSD's base and on most Linux.
#[test]
fn xz_is_read() {
    let dir = Dir::new();
    fs::copy(thread_log(), dir.path().join("thread.log")).unwrap();
    let packed = dir.shell("xz -k thread.log && rm thread.log");
    if packed.code == 127 {
        eprintln!("skipped: there is no xz here");
        return;
    }
    assert_eq!(dir.portcullis(["scan", "--json", "thread.log.xz"]).json()["matched"], 34);
}

/// Out of order the five failures would not lie within ten minutes of each other in the order of reading.
#[test]
fn rotations_are_read_oldest_first_however_they_are_named() {
    let dir = Dir::new();
    dir.write("auth.log", failures("192.0.2.7", [480, 500]));
    dir.write("auth.log.0", failures("192.0.2.7", [240]));
    dir.write("auth.log.1.bz2", bzip2(failures("192.0.2.7", [120]).as_bytes()));
    dir.write("auth.log.10.gz", gzip(failures("192.0.2.7", [0]).as_bytes()));
    for arguments in [&["auth.log*"][..], &["auth.log", "auth.log.0", "auth.log.1.bz2", "auth.log.10.gz"]] {
        let report = dir.portcullis(["scan", "--json"].iter().chain(arguments)).json();
        let times = [&report["first"], &report["last"], &report["offenders"][0]["bans"][0]["at"]];
        let expected =
            ["2026-01-10T10:00:00+00:00", "2026-01-10T10:08:20+00:00", "2026-01-10T10:08:20+00:00"];
        assert_eq!(times, expected.map(|time| json!(time)).each_ref());
    }
    let lines = dir.portcullis(["match", "auth.log*"]).ok();
    let sources: Vec<&str> = lines.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(sources, ["auth.log.10.gz", "auth.log.1.bz2", "auth.log.0", "auth.log", "auth.log"]);
    assert!(
        dir.portcullis(["scan", "auth.log*"]).ok().starts_with("auth.log (4 files): 5 lines, 5 matched, ")
    );
}

#[test]
fn a_file_is_read_once_by_whatever_names_it_is_given() {
    let dir = Dir::new();
    let path = dir.write("auth.log", failures("192.0.2.7", [0, 1]));
    symlink("auth.log", dir.path().join("link.log")).unwrap();
    fs::hard_link(&path, dir.path().join("other.log")).unwrap();
    let names = ["auth.log", "auth.log", "./auth.log", "*.log", path.to_str().unwrap()];
    let report = dir.portcullis(["scan", "--json"].iter().chain(&names)).json();
    assert_eq!(report["lines"], 2);
}

/// A compressor at work, or `gzip -k`.
#[test]
fn a_rotation_that_is_there_plain_and_packed_is_read_once() {
    let dir = Dir::new();
    let log = failures("192.0.2.7", [0, 1]);
    dir.write("auth.log.0", &log);
    dir.write("auth.log.0.gz", gzip(log.as_bytes()));
    let ran = dir.portcullis(["scan", "--json", "auth.log*"]).run();
    assert_eq!((ran.code, offences(&ran.json_lines()[0])), (0, 2.0));
    assert!(ran.err.contains("auth.log.0.gz: not read, since auth.log.0 contains the same lines"), "{ran:?}");
}

#[test]
fn standard_input_is_read_when_no_file_is_named_or_a_dash() {
    let dir = Dir::new();
    for arguments in [&[][..], &["-"], &["-", "-"]] {
        let scan = dir.portcullis(["scan", "--json"].iter().chain(arguments));
        assert_eq!(offences(&scan.stdin(failures("192.0.2.7", [0, 1])).json()), 2.0);
    }
    dir.write("auth.log", failures("192.0.2.7", [0]));
    let both = dir.portcullis(["scan", "--json", "-", "auth.log"]).stdin(failures("192.0.2.7", [1]));
    assert_eq!(offences(&both.json()), 2.0);
}

#[test]
fn a_pipe_with_a_name_is_read() {
    let dir = Dir::new();
    dir.write("auth.log", failures("192.0.2.7", [0, 1]));
    let ran = dir.shell("mkfifo pipe && { cat auth.log >pipe & \"$PORTCULLIS\" scan --json pipe; }");
    assert_eq!((ran.code, offences(&ran.json_lines()[0])), (0, 2.0));
}

#[test]
fn an_empty_file_is_no_error() {
    let dir = Dir::new();
    dir.write("empty.log", "");
    let text = dir.portcullis(["scan", "empty.log"]).ok();
    assert!(text.starts_with("empty.log: 0 lines, 0 matched\n"), "{text}");
    assert_eq!(dir.portcullis(["match", "empty.log"]).run().code, 1);
}

#[test]
fn a_missing_file_is_named_and_the_others_are_read() {
    let dir = Dir::new();
    beside_a_log(&dir, "gone.log").assert(66, "portcullis: gone.log: there is no such file\n");
    beside_a_log(&dir, "gone*.log").assert(66, "gone*.log: there is no such file");
    dir.portcullis(["match", "gone.log", "good.log"]).run().assert(66, "gone.log: there is no such file");
}

#[test]
fn what_could_not_be_read_is_not_said_to_hold_no_attack() {
    let dir = Dir::new();
    dir.write("quiet.log", "Jan 10 10:00:00 gw cron[1]: x\n");
    let ran = dir.portcullis(["scan", "gone.log"]).run();
    assert_eq!((ran.code, ran.out.as_str()), (66, "gone.log: 0 lines, 0 matched\n"));
    let ran = dir.portcullis(["scan", "gone.log", "quiet.log"]).run();
    assert!(ran.out.ends_with("\nNo offences found in what could be read.\n"), "{ran:?}");
}

#[test]
fn a_directory_is_no_log() {
    let dir = Dir::new();
    fs::create_dir(dir.path().join("logs")).unwrap();
    beside_a_log(&dir, "logs")
        .assert(66, "logs: this is a directory; name the files in it, as in logs/*.log");
}

#[test]
fn a_pattern_that_is_none_is_wrong_usage() {
    Dir::new().portcullis(["scan", "a[b"]).run().assert(64, "`a[b` is not a pattern for file names");
}

#[test]
fn an_unreadable_file_is_named_with_what_to_do() {
    let dir = Dir::new();
    let secret = dir.write("secret.log", failures("192.0.2.7", [0]));
    dir.write("good.log", failures("192.0.2.7", [0]));
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let ran = if nix::unistd::geteuid().is_root() {
        let Some(ran) = as_nobody(&dir, "scan --json secret.log good.log") else {
            eprintln!("skipped: root may read everything, and there is no setpriv to become somebody else");
            return;
        };
        ran
    } else {
        dir.portcullis(["scan", "--json", "secret.log", "good.log"]).run()
    };
    ran.assert(77, "secret.log: you may not read this file; logs are often root's (try sudo or doas)");
    assert_eq!(offences(&ran.json_lines()[0]), 1.0);
}

#[test]
fn a_directory_that_a_pattern_cannot_look_into_is_named() {
    let dir = Dir::new();
    dir.write("logs/good/x.log", failures("192.0.2.7", [0]));
    let secret = dir.write("logs/secret/x.log", failures("192.0.2.7", [0]));
    fs::set_permissions(secret.parent().unwrap(), fs::Permissions::from_mode(0o000)).unwrap();
    let ran = if nix::unistd::geteuid().is_root() {
        let Some(ran) = as_nobody(&dir, "scan --json 'logs/*/*.log'") else {
            eprintln!("skipped: root may read everything, and there is no setpriv to become somebody else");
            return;
        };
        ran
    } else {
        dir.portcullis(["scan", "--json", "logs/*/*.log"]).run()
    };
    fs::set_permissions(secret.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    ran.assert(0, "portcullis: logs/secret cannot be looked into for files: Permission denied");
    assert_eq!(offences(&ran.json_lines()[0]), 1.0);
}

/// The program copied to where nobody may read it: a checkout is often below root's home.
fn as_nobody(dir: &Dir, arguments: &str) -> Option<Ran> {
    let setpriv = Command::new("setpriv").arg("--version").output();
    setpriv.ok().filter(|tried| tried.status.success())?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let line = format!(
        "cp \"$PORTCULLIS\" copy && chmod 755 copy && \
         exec setpriv --reuid=65534 --regid=65534 --clear-groups ./copy {arguments}"
    );
    Some(dir.shell(&line))
}

#[test]
fn binary_data_is_no_log() {
    let dir = Dir::new();
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u8::try_from(state >> 24).unwrap()
    };
    dir.write("random", (0..100_000).map(|_| random()).collect::<Vec<u8>>());
    dir.write("wtmp", [&[7, 0, 0, 0, 12, 3, 0, 0][..], b"pts/0", &[0; 200], b"root\n", &[0; 160]].concat());
    fs::copy(env!("CARGO_BIN_EXE_portcullis"), dir.path().join("program")).unwrap();
    for name in ["random", "wtmp", "program"] {
        let said = format!("{name}: this is binary data, not a log; it was not read");
        beside_a_log(&dir, name).assert(65, &said);
    }
}

#[test]
fn packed_data_from_a_pipe_is_not_taken_for_a_log_without_attacks() {
    let packed = gzip(failures("192.0.2.7", [0]).as_bytes());
    Dir::new().portcullis(["scan"]).stdin(packed).run().assert(65, "-: this is compressed data");
}

#[test]
fn of_a_damaged_archive_what_came_before_is_counted() {
    let dir = Dir::new();
    // Pseudo-random ports, so that the archive is long enough to be cut in its middle.
    let line = |n: u32| failures("192.0.2.9", [n]).replace("40022", &(n * 7919 % 60_000 + 1000).to_string());
    let log: String = (0..24_000).map(line).collect();
    for (name, packed) in
        [("a.gz", gzip(log.as_bytes())), ("b.bz2", bzip2(log.as_bytes())), ("c.zst", zstd(log.as_bytes()))]
    {
        dir.write(name, &packed[..packed.len() / 2]);
        let ran = beside_a_log(&dir, name);
        ran.assert(65, &format!("{name}: damaged compressed data"));
        assert!(offences(&ran.json_lines()[0]) > 100.0, "{name}: {}", ran.err);

        let mut broken = packed.clone();
        let middle = broken.len() / 2;
        broken[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0x5a);
        dir.write(name, &broken);
        beside_a_log(&dir, name).assert(65, "damaged compressed data");
    }
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let dir = Dir::new();
    dir.write("auth.log", (0..3000).map(|n| failures("192.0.2.7", [n])).collect::<String>());
    for command in [
        "match auth.log",
        "match --json auth.log",
        "scan auth.log",
        "completions zsh",
        "rules sshd",
        "--help",
    ] {
        let line = format!("{{ \"$PORTCULLIS\" {command}; echo $? >code; }} | head -1");
        let ran = dir.shell(&line);
        let code = fs::read_to_string(dir.path().join("code")).unwrap();
        assert_eq!((code.trim(), ran.err.as_str(), ran.out.lines().count()), ("0", "", 1), "{command}");
    }
    // Nor is one of standard error, when there is something to say.
    let ran = dir.shell("{ \"$PORTCULLIS\" scan gone auth.log; echo $? >code; } 2>&1 >/dev/null | true");
    assert_eq!((fs::read_to_string(dir.path().join("code")).unwrap().as_str(), ran.code), ("66\n", 0));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    if !std::path::Path::new("/dev/full").exists() {
        eprintln!("skipped: there is no /dev/full here");
        return;
    }
    let dir = Dir::new();
    for command in ["scan", "match --all", "rules", "completions fish"] {
        let ran = dir.shell(&format!("echo x | \"$PORTCULLIS\" {command} >/dev/full"));
        ran.assert(74, "portcullis: cannot write the output: ");
    }
}

/// Lines split at 4 KiB: byte 4096 starts a new line that an attacker wrote.
#[test]
fn an_overlong_line_is_dropped_whole_and_counted() {
    let forged = failures("192.0.2.9", [0]);
    let dir = Dir::new();
    let overlong = format!("{}{forged}", "x".repeat(16 * 1024));
    dir.write("auth.log", overlong + &failures("192.0.2.7", [1]));
    let report = dir.portcullis(["scan", "--json", "auth.log"]).json();
    assert_eq!((&report["too_long"], &report["lines"]), (&json!(1), &json!(1)));
    assert_eq!(report["offenders"][0]["offender"], "192.0.2.7");
    let text = dir.portcullis(["scan", "auth.log"]).ok();
    assert!(text.contains(", 1 dropped as too long\n"), "{text}");
}

#[test]
fn odd_bytes_in_a_log_hide_nothing() {
    let line = failures("192.0.2.7", [0]);
    let crlf = line.replace('\n', "\r\n");
    let no_newline = line.trim_end().to_owned();
    let after = |bytes: &[u8]| [bytes, b"\n", line.as_bytes()].concat();
    for (what, log) in [
        ("CRLF", crlf.clone().into_bytes()),
        ("no newline at the end", no_newline.into_bytes()),
        ("NUL bytes of a crash", after(&[0; 5000])),
        ("a hole that a truncated log leaves", [&vec![0; 700_000][..], b"\n", line.as_bytes()].concat()),
        ("another encoding", after(b"Jan 10 09:00:00 gw app: caf\xe9 \xff\xfe")),
        ("control characters", after(&[&[7; 600][..], b"\n", line.as_bytes()].concat())),
        ("a mark of byte order", after(b"\xef\xbb\xbf")),
    ] {
        let report = Dir::new().portcullis(["scan", "--json"]).stdin(log).json();
        assert!(offences(&report) >= 1.0, "{what}: {report}");
    }
}

#[test]
fn a_file_name_cannot_drive_the_terminal() {
    let dir = Dir::new();
    dir.write("a\x1b[2J\n.log", failures("192.0.2.7", [0]));
    for arguments in [["scan", "a*.log"], ["match", "a*.log"], ["scan", "gone\x1b[2J"]] {
        let ran = dir.portcullis(arguments).run();
        assert!(!ran.out.contains('\x1b') && !ran.err.contains('\x1b'), "{ran:?}");
        assert!((ran.out + &ran.err).contains("\u{fffd}[2J"), "{arguments:?}");
    }
}

#[test]
fn no_arguments_abort_the_command_line() {
    let commands: [&[&str]; 12] = [
        &[],
        &["scan"],
        &["match"],
        &["explain"],
        &["rules"],
        &["why"],
        &["ban"],
        &["unban"],
        &["bans"],
        &["doctor"],
        &["completions"],
        &["help"],
    ];
    let ends: [&[&str]; 12] = [
        &["--"],
        &["--", "--"],
        &["--", "-"],
        &["-", "--"],
        &["--="],
        &["--=x"],
        &["---"],
        &["-="],
        &["--json=x"],
        &["--for", "--"],
        &["--rules", "--"],
        &["\u{a0}", "--"],
    ];
    // Nothing is there to be asked or read.
    let dir = Dir::new();
    dir.write("p.yaml", "state: /nonexistent/state.db\ncontrol: {socket: /nonexistent/s}\n");
    for (command, end) in commands.iter().flat_map(|command| ends.iter().map(move |end| (command, end))) {
        let words = [*command, *end].concat();
        let ran = dir.portcullis(words.clone()).stdin("").run();
        assert!([0, 1, 64, 66, 69, 78].contains(&ran.code), "{words:?}: {ran:?}");
    }
}
