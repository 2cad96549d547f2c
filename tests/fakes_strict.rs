//! What the fakes do beyond the transcripts: their modes and logs, and refusals that only the tools' sources tell of.

use std::fs;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::fakes_support::{Call, Fake};

fn pfctl() -> (TempDir, Fake) {
    let dir = tempfile::tempdir().expect("a directory");
    let fake = Fake::pfctl(dir.path());
    (dir, fake)
}

fn ipfw() -> (TempDir, Fake) {
    let dir = tempfile::tempdir().expect("a directory");
    let fake = Fake::ipfw(dir.path());
    assert_eq!(fake.words("table bl create").code, 0);
    (dir, fake)
}

/// Fifteen thousand addresses and more, one a line.
fn many(first: u32, number: u32) -> String {
    (first..first + number).map(|at| format!("10.{}.{}.{}\n", at >> 16, at >> 8 & 255, at & 255)).collect()
}

#[test]
fn calls_are_logged_with_what_they_read() {
    let (_dir, pfctl) = pfctl();
    pfctl.run(&["-q", "-t", "bl", "-T", "add", "-f", "-"], "192.0.2.1\n");
    pfctl.run(&["-t", "bl", "-T", "show"], "not read");
    let call = |words: &str, stdin| Call { argv: words.split(' ').map(str::to_owned).collect(), stdin };
    assert_eq!(pfctl.calls(), [call("-q -t bl -T add -f -", Some(10)), call("-t bl -T show", Some(0))]);
}

#[test]
fn a_typo_in_the_mode_file_is_an_error() {
    let (_dir, pfctl) = pfctl();
    pfctl.mode("hnag 5");
    let ended = pfctl.words("-s Running");
    assert_eq!(ended.code, 99);
    assert!(ended.err.contains("`hnag 5`"), "{}", ended.err);
}

#[test]
fn a_hung_tool_is_logged_before_it_reads_anything() {
    let (_dir, pfctl) = pfctl();
    pfctl.mode("hang 600");
    let mut child = std::process::Command::new(pfctl.path())
        .args(["-s", "Running"])
        .stdin(std::process::Stdio::null())
        .spawn()
        .expect("the fake starts");
    while pfctl.calls().is_empty() {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(child.try_wait().expect("a child of ours"), None);
    child.kill().and_then(|()| child.wait()).expect("a child of ours");
    assert_eq!(pfctl.calls().first().map(|call| call.stdin), Some(None));
    assert_eq!(pfctl.state(), "");
}

#[test]
fn ordered_failures_end_by_themselves() {
    let (_dir, pfctl) = pfctl();
    pfctl.mode("fail 2");
    let codes: Vec<i32> = (0..3).map(|_| pfctl.words("-t bl -T add 192.0.2.1").code).collect();
    assert_eq!(codes, [255, 255, 0]);
}

#[test]
fn calls_at_the_same_time_lose_nothing() {
    let (_dir, pfctl) = pfctl();
    thread::scope(|scope| {
        for host in 1..=8 {
            let pfctl = &pfctl;
            scope.spawn(move || assert_eq!(pfctl.words(&format!("-q -t bl -T add 192.0.2.{host}")).code, 0));
        }
    });
    assert_eq!(pfctl.words("-t bl -T show").out.lines().count(), 8);
    assert_eq!(pfctl.calls().len(), 9);
}

#[test]
fn without_root_or_module_nothing_works() {
    for (mode, err, code) in [
        ("root no", "pfctl: /dev/pf: Permission denied\n", 1),
        ("loaded no", "pfctl: /dev/pf: No such file or directory\n", 1),
        ("securelevel 3", "pfctl: Operation not permitted.\n", 255),
    ] {
        let (_dir, pfctl) = pfctl();
        pfctl.mode(mode);
        let ended = pfctl.words("-t bl -T add 192.0.2.1");
        assert_eq!((ended.err.as_str(), ended.code), (err, code), "{mode}");
    }
    for (mode, command, err, code) in [
        ("root no", "table bl list", "ipfw: socket: Operation not permitted\n", 69),
        ("loaded no", "table bl list", "ipfw: failed to request table info: Protocol not available\n", 71),
        ("loaded no", "-q table bl add 192.0.2.1 0", "ipfw: Error requesting table bl info\n", 71),
        ("securelevel 3", "table new create", "ipfw: Table creation failed: Operation not permitted\n", 71),
    ] {
        let (_dir, ipfw) = ipfw();
        ipfw.mode(mode);
        let ended = ipfw.words(command);
        assert_eq!((ended.err.as_str(), ended.code), (err, code), "{mode}: {command}");
    }
}

#[test]
fn pfctl_takes_abbreviations_and_clusters_and_stops_at_the_first_word() {
    let (_dir, pfctl) = pfctl();
    assert_eq!(pfctl.words("-qt bl -Tadd 192.0.2.1").code, 0);
    assert_eq!(pfctl.words("-t bl -T sh").out, "   192.0.2.1\n");
    assert_eq!(pfctl.words("-t bl -T del 192.0.2.1").err, "1/1 addresses deleted.\n");
    assert_eq!(pfctl.words("-t bl -T add 192.0.2.1 -f -").err, "no IP address found for -f\n");
}

#[test]
fn pfctl_refuses_what_makes_no_sense() {
    let (_dir, pfctl) = pfctl();
    for words in [
        "-t bl",
        "-T add 192.0.2.1",
        "-t bl -T frobnicate",
        "-t bl -T show 192.0.2.1",
        "-t bl -T flush -f -",
        "-t bl -T expire",
        "-k 192.0.2.1 -k 192.0.2.2 -k 192.0.2.3",
        "-Y",
        "-s nonsense",
        "enable",
        "-a x",
    ] {
        let ended = pfctl.words(words);
        assert_eq!((ended.code, ended.err.contains("usage: pfctl")), (1, true), "{words}: {}", ended.err);
    }
}

#[test]
fn pfctl_reads_old_forms_of_addresses_as_the_c_library_does() {
    let (_dir, pfctl) = pfctl();
    assert_eq!(pfctl.words("-q -t bl -T add 010.0.0.1 10.5 ::192.0.2.1").code, 0);
    assert_eq!(pfctl.words("-t bl -T show").out, "   8.0.0.1\n   10.0.0.5\n   ::192.0.2.1\n");
    for (word, err) in [
        ("192.0.2.1/129", "invalid netmask '/129'\n"),
        ("fe80::1%nosuch0", "no IP address found for fe80::1%nosuch0\n"),
        ("2001:db8::1%lo0", "no IP address found for 2001:db8::1%lo0\n"),
        ("", "no IP address found for \n"),
    ] {
        let ended = pfctl.run(&["-t", "bl", "-T", "add", word], "");
        assert_eq!((ended.err.as_str(), ended.code), (err, 255), "{word}");
    }
}

#[test]
fn a_request_of_13_2_is_all_or_nothing_and_15_1_keeps_the_portions_before() {
    for (version, left) in [("13.2", 0), ("15.1", 256)] {
        let (_dir, pfctl) = pfctl();
        pfctl.mode(&format!("version {version}\ntable_entries 300"));
        let ended = pfctl.run(&["-t", "bl", "-T", "add", "-f", "-"], &many(0, 400));
        assert_eq!(ended.err, "1 table created.\npfctl: Cannot allocate memory.\n");
        assert_eq!(pfctl.words("-t bl -T show").out.lines().count(), left, "{version}");
    }
}

#[test]
fn a_replacement_needs_room_for_old_and_new() {
    let (_dir, pfctl) = pfctl();
    pfctl.mode("table_entries 150");
    pfctl.run(&["-t", "bl", "-T", "add", "-f", "-"], &many(0, 100));
    let ended = pfctl.run(&["-t", "bl", "-T", "replace", "-f", "-"], &many(500, 100));
    assert_eq!((ended.err.as_str(), ended.code), ("pfctl: Cannot allocate memory.\n", 255));
    assert_eq!(pfctl.run(&["-t", "bl", "-T", "replace", "-f", "-"], &many(50, 100)).code, 0);
}

#[test]
fn one_refused_address_spoils_the_whole_request() {
    let (_dir, pfctl) = pfctl();
    pfctl.mode("refuse 192.0.2.2");
    let ended = pfctl.words("-q -t bl -T add 192.0.2.1 192.0.2.2");
    assert_eq!((ended.err.as_str(), ended.code), ("pfctl: Invalid argument.\n", 255));
    assert_eq!(pfctl.words("-t bl -T show").out, "");
    let (_dir, ipfw) = ipfw();
    ipfw.mode("refuse 192.0.2.2");
    let ended = ipfw.words("-q table bl add 192.0.2.1 0 192.0.2.2 0");
    assert_eq!((ended.err.as_str(), ended.code), ("ipfw: Adding record failed: Invalid argument\n", 71));
    assert_eq!(ipfw.words("table bl list").out, "192.0.2.1/32 0\n");
}

#[test]
fn a_reload_keeps_the_content_of_a_table_that_is_declared_without_a_list() {
    for (declared, shown) in [
        ("table <bl> persist counters", "   192.0.2.1\n"),
        ("table <bl> persist { 198.51.100.1, !198.51.100.2 }", "   198.51.100.1\n  !198.51.100.2\n"),
        ("table <bl> persist { }", ""),
        ("table <bl>\nblock in from <bl>", "   192.0.2.1\n"),
        ("# not declared", "   192.0.2.1\n"),
    ] {
        let (_dir, pfctl) = pfctl();
        assert_eq!(pfctl.words("-q -t bl -T add 192.0.2.1").code, 0);
        let ended = pfctl.run(&["-f", "-"], &format!("{declared}\npass\n"));
        assert_eq!((ended.err.as_str(), ended.code), ("", 0), "{declared}");
        assert_eq!(pfctl.words("-t bl -T show").out, shown, "{declared}");
    }
}

#[test]
fn a_table_without_persist_vanishes_with_the_last_rule_that_names_it() {
    let (_dir, pfctl) = pfctl();
    pfctl.run(&["-f", "-"], "table <bl> { 192.0.2.1 }\nblock in from <bl>\n");
    assert_eq!(pfctl.words("-t bl -T show").code, 0);
    pfctl.run(&["-f", "-"], "pass\n");
    assert_eq!(pfctl.words("-t bl -T show").code, 255);
}

#[test]
fn a_wrong_pf_conf_changes_nothing_and_names_its_line() {
    for (text, err) in [
        ("pass\nblok in all\n", "stdin:2: syntax error\n"),
        ("block in form <bl>\n", "stdin:1: syntax error\n"),
        ("pass in on $ext_if\n", "stdin:1: macro 'ext_if' not defined\n"),
        (
            "pass\nset limit table-entries 5\n",
            "stdin:2: Rules must be in order: options, normalization, queueing, translation, filtering\n",
        ),
    ] {
        let (_dir, pfctl) = pfctl();
        let ended = pfctl.run(&["-f", "-"], text);
        let last = "pfctl: Syntax error in config file: pf rules not loaded\n";
        assert_eq!((ended.err, ended.code), (format!("{err}{last}"), 1));
        let checked = pfctl.run(&["-n", "-f", "-"], text);
        assert_eq!((checked.err.as_str(), checked.code), (err, 1));
        assert_eq!(pfctl.words("-sr").out, "");
    }
}

#[test]
fn rules_are_shown_in_the_words_of_pfctl() {
    let (_dir, pfctl) = pfctl();
    let text = "ext_if = \"em0\"\nset skip on lo0\nset limit table-entries 400000\ntable <bl> persist counters\n\
                block in quick on $ext_if from <bl>\nblock drop out quick on egress to <bl>\n\
                anchor \"fwban/*\" in on $ext_if\nblock return-rst in quick proto tcp from <bl> to any port ssh\n\
                pass in on egress proto tcp to port { 22 80 } keep state (max-src-conn 20, overload <bl> flush global)\n";
    let ended = pfctl.run(&["-f", "-"], text);
    assert_eq!((ended.err.as_str(), ended.code), ("", 0));
    assert_eq!(
        pfctl.words("-s rules").out,
        "block drop in quick on em0 from <bl> to any\n\
         block drop out quick on egress from any to <bl>\n\
         anchor \"fwban/*\" in on em0 all\n\
         block return-rst in quick proto tcp from <bl> to any port = ssh\n\
         pass in on egress proto tcp from any to any port = ssh flags S/SA keep state \
         (max-src-conn 20, overload <bl> flush global)\n\
         pass in on egress proto tcp from any to any port = http flags S/SA keep state \
         (max-src-conn 20, overload <bl> flush global)\n"
    );
    assert!(pfctl.words("-s memory").out.contains("table-entries hard limit   400000\n"));
}

#[test]
fn anchors_have_tables_of_their_own() {
    let (_dir, pfctl) = pfctl();
    assert_eq!(pfctl.words("-q -t bl -T add 192.0.2.1").code, 0);
    let ended = pfctl.words("-a fwban/main -t bl -T add 192.0.2.2");
    assert!(
        ended.err.starts_with("pfctl: warning: namespace collision with <bl> global table.\n"),
        "{}",
        ended.err
    );
    assert_eq!(pfctl.words("-a fwban/main -t bl -T show").out, "   192.0.2.2\n");
    assert_eq!(pfctl.words("-F Tables").err, "1 tables deleted.\n");
    assert_eq!(pfctl.words("-a fwban/main -t bl -T show").out, "   192.0.2.2\n");
}

#[test]
fn states_die_by_who_opened_them_before_the_table_changes() {
    let (_dir, pfctl) = pfctl();
    pfctl.add_state("state all tcp 192.0.2.7:1 -> 192.0.2.1:22 ESTABLISHED:ESTABLISHED");
    pfctl.add_state("state all tcp 192.0.2.7:25 <- 192.0.2.1:999 ESTABLISHED:ESTABLISHED");
    pfctl.add_state("state all tcp 2001:db8::1[22] <- 2001:db8:7::7[5] ESTABLISHED:ESTABLISHED");
    let ended = pfctl.words("-k 192.0.2.7 -t bl -T add 192.0.2.7");
    assert!(ended.err.starts_with("killed 1 states from 1 sources and 0 destinations\n"), "{}", ended.err);
    let ended = pfctl.words("-k 0.0.0.0/0 -k 192.0.2.7");
    assert_eq!(ended.err, "killed 1 states from 1 sources and 1 destinations\n");
    let ended = pfctl.words("-k 2001:db8:7::/64");
    assert_eq!(ended.err, "killed 1 states from 1 sources and 0 destinations\n");
    assert_eq!(pfctl.words("-k nosuch").code, 1);
}

#[test]
fn ipfw_takes_keys_and_values_in_turn() {
    let (_dir, ipfw) = ipfw();
    let ended = ipfw.words("table bl add 192.0.2.1 2001:db8::1");
    assert_eq!((ended.err.as_str(), ended.code), ("ipfw: Unable to parse value 2001:db8::1\n", 71));
    let ended = ipfw.words("table bl add 192.0.2.1/24 1763820000");
    assert_eq!(ended.out, "added: 192.0.2.1/24 1763820000\n");
    assert_eq!(ipfw.words("table bl list").out, "192.0.2.0/24 1763820000\n");
    // A value behind a key is a key to `delete`: 0 is 0.0.0.0, and with -q nobody is told.
    assert_eq!(ipfw.words("-q table bl delete 192.0.2.0/24 0").code, 0);
    assert_eq!(ipfw.words("table bl delete 0").out, "notfound: 0.0.0.0/32 0\n");
    let ended = ipfw.words("table bl add ::192.0.2.1 0");
    assert_eq!((ended.err.as_str(), ended.code), ("ipfw: Use IPv4 instead of v4-compatible\n", 65));
}

#[test]
fn ipfw_with_q_updates_what_is_there() {
    let (_dir, ipfw) = ipfw();
    ipfw.words("-q table bl add 192.0.2.1 5");
    assert_eq!(ipfw.words("-q table bl add 192.0.2.1 6").code, 0);
    assert_eq!(ipfw.words("table bl list").out, "192.0.2.1/32 6\n");
}

#[test]
fn ipfw_keeps_what_a_batch_did_before_its_first_error() {
    let (dir, ipfw) = ipfw();
    let file = dir.path().join("batch");
    fs::write(
        &file,
        "table bl add 192.0.2.1 0\n# comment\n\ntable bl add bad-key 0\ntable bl add 192.0.2.3 0\n",
    )
    .expect("a file in our directory");
    let ended = ipfw.run(&["-q", file.to_str().expect("a plain path")], "");
    assert_eq!((ended.err.as_str(), ended.code), ("Line 4: hostname ``bad-key'' unknown\n", 68));
    assert_eq!(ipfw.words("table bl list").out, "192.0.2.1/32 0\n");
    let ended = ipfw.words("-q batch");
    assert_eq!((ended.err.as_str(), ended.code), ("ipfw: bad command `batch'\n", 64));
    assert_eq!(ipfw.words("-q /nosuch").code, 64);
}

#[test]
fn ipfw_limits_hold() {
    let (_dir, ipfw) = ipfw();
    assert_eq!(ipfw.words("table small create limit 1").code, 0);
    let ended = ipfw.words("-q table small add 192.0.2.1 0 192.0.2.2 0");
    assert_eq!(ended.err, "ipfw: Adding record failed: limit hit\n");
    ipfw.mode("tables_max 3");
    let ended = ipfw.words("table third create");
    assert_eq!((ended.err.as_str(), ended.code), ("ipfw: Table creation failed: Device busy\n", 71));
    let words: String = (0..40_000).map(|at| format!(" 10.0.{}.{} 0", at >> 8 & 255, at & 255)).collect();
    let ended = ipfw.words(&format!("-q table bl add{words}"));
    assert_eq!(ended.code, 126);
    assert_eq!(ipfw.words("table bl list").out, "");
}

#[test]
fn ipfw_tables_outlive_rules_and_may_not_go_before_them() {
    let (_dir, ipfw) = ipfw();
    assert_eq!(ipfw.words("-q add deny ip from table(bl) to any").out, "");
    assert_eq!(ipfw.words("add drop all from me to table(new)").out, "00200 deny ip from me to table(new)\n");
    assert!(ipfw.words("list").out.ends_with("65535 allow ip from any to any\n"));
    assert!(ipfw.words("table new info").out.contains(" references: 1,"));
    assert_eq!(ipfw.words("table bl destroy").code, 71);
    assert_eq!(ipfw.words("-q delete 100 200").code, 0);
    assert_eq!(ipfw.words("table bl destroy").code, 0);
    for wrong in [
        "add deny ip form any to any",
        "add deny ip from any",
        "add frob ip from any to any",
        "table all add 1.2.3.4",
    ] {
        let code = ipfw.words(wrong).code;
        assert!(matches!(code, 64 | 65), "{wrong}: {code}");
    }
}

#[test]
fn ipfw_swaps_contents_and_is_silent_about_a_missing_table() {
    let (_dir, ipfw) = ipfw();
    ipfw.words("-q table bl add 192.0.2.1 0");
    let ended = ipfw.words("table bl swap nosuch");
    assert_eq!((ended.err.as_str(), ended.code), ("", 0));
    assert_eq!(ipfw.words("table bl list").out, "192.0.2.1/32 0\n");
}
