//! What commands answer where things are not as the operator thinks, and how they end.

use std::fs;
use std::process::Command;

use jiff::{Span, Timestamp};
use nix::unistd::geteuid;

use super::stand::{PROGRAM, Running, Stand, append, run, stamped};

const ATTACKER: &str = "203.0.113.7";

#[test]
fn a_shorter_ban_of_somebody_banned_says_the_real_end_and_keeps_the_new_reason() {
    let mut stand = Stand::pf();
    stand.start();
    assert_eq!(stand.cli(&["ban", "--for", "1h", ATTACKER]).code, 0);
    let shorter =
        stand.cli(&["ban", "--for", "10m", "--reason", "scans us", "--json", ATTACKER, "198.18.0.1"]);
    let json = shorter.json();
    let real = stand.cli(&["bans", "--json"]).json();
    let banned = real.as_array().unwrap().iter().find(|ban| ban["offender"] == ATTACKER).unwrap();
    assert_eq!(json["longer"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(json["longer"][0]["until"], banned["until"], "{json}");
    assert_eq!(banned["reason"], "scans us");
    let told = stand.cli(&["ban", "--for", "10m", ATTACKER]).out;
    assert!(
        told.contains(&format!("banned until {}, as it was before", banned["until"].as_str().unwrap())),
        "{told}"
    );
    let kept = stand.cli(&["bans"]).out;
    assert!(kept.contains("scans us"), "a ban without a reason takes none away: {kept}");
}

#[test]
fn the_log_does_not_say_of_a_longer_ban_that_it_became_a_shorter_one() {
    let mut stand = Stand::pf();
    stand.start();
    assert_eq!(stand.cli(&["ban", "--for", "forever", ATTACKER]).code, 0);
    assert_eq!(stand.cli(&["ban", "--for", "1h", ATTACKER, "198.18.0.1"]).code, 0);
    let longer = "left 203.0.113.7 banned as before, which is longer than for 1h by hand (uid 0)";
    stand.until("the truth is told", |stand| stand.says(longer) == 1);
    stand.until("both are told", |stand| stand.says(" banned 198.18.0.1 for 1h by hand (uid 0)") == 1);
    assert_eq!(stand.says(" banned 203.0.113.7 for 1h"), 0, "{:#?}", stand.daemon().said());
}

#[test]
fn a_ban_by_hand_is_no_longer_than_one_of_the_configuration() {
    let stand = Stand::pf();
    stand.configure();
    for span in ["101y", "100000y"] {
        let ended = stand.cli(&["ban", "--for", span, ATTACKER]);
        assert!(ended.code == 64 && ended.err.contains("longer than a hundred years"), "{ended:?}");
    }
}

#[test]
fn an_empty_list_is_wrong_usage() {
    let mut stand = Stand::pf();
    stand.start();
    for command in ["ban", "unban"] {
        let ended = stand.cli_with(&[command, "-"], "# nobody\n\n");
        assert!(ended.code == 64 && ended.err.contains("no address was given"), "{command}: {ended:?}");
    }
}

#[test]
fn a_bad_reason_is_wrong_usage_also_without_a_daemon() {
    let stand = Stand::pf();
    stand.configure();
    let long = "x".repeat(201);
    for reason in ["two\nlines", &long] {
        let ended = stand.cli(&["ban", "--reason", reason, ATTACKER]);
        assert!(ended.code == 64 && ended.err.contains("`--reason`"), "{ended:?}");
    }
}

#[test]
fn a_ban_lasts_forever_in_one_word_only() {
    let stand = Stand::pf();
    stand.configure();
    let ended = stand.cli(&["ban", "--for", "ever", ATTACKER]);
    assert!(ended.code == 64 && ended.err.contains("write 1h, 4w or forever"), "{ended:?}");
}

#[test]
fn a_second_daemon_at_the_same_socket_is_told_to_try_later() {
    let mut stand = Stand::pf();
    stand.start();
    let text = fs::read_to_string(stand.config()).unwrap().replace("state.db", "other.db");
    let second = stand.file("second.yaml");
    fs::write(&second, text).unwrap();
    let ended = run(Command::new(PROGRAM).args(["run", "-c"]).arg(&second), "");
    assert!(ended.code == 75 && ended.err.contains("another daemon runs"), "{ended:?}");
}

#[test]
fn what_only_root_may_do_ends_with_no_permission() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can become nobody");
        return;
    }
    let mut stand = Stand::pf();
    stand.start();
    assert_eq!(stand.cli(&["ban", ATTACKER]).code, 0);
    stand.stop(nix::sys::signal::Signal::SIGTERM);
    for words in [&["run"][..], &["unban", "--offline", ATTACKER]] {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", PROGRAM]);
        let ended = run(command.args(words).arg("-c").arg(stand.config()), "");
        assert_eq!(ended.code, 77, "{words:?}: {ended:?}");
    }
}

#[test]
fn a_broken_configuration_does_not_hide_the_daemon() {
    let mut stand = Stand::pf();
    stand.start();
    let text = fs::read_to_string(stand.config()).unwrap();
    fs::write(stand.config(), text.replace("sources:", "surces:")).unwrap();
    let status = stand.cli(&["status"]);
    assert!(status.code < 2 && status.err.contains("has errors; asking the daemon at"), "{status:?}");
    stand.stop(nix::sys::signal::Signal::SIGTERM);
    let status = stand.cli(&["status"]);
    assert!(status.code == 78 && status.err.contains("did you mean `sources`?"), "{status:?}");
    let missing = run(Command::new(PROGRAM).args(["status", "-c"]).arg(stand.file("missing.yaml")), "");
    assert_eq!(missing.code, 78, "{missing:?}");
}

#[test]
fn status_says_when_the_table_was_compared_and_from_which_file_the_configuration_is() {
    let mut stand = Stand::pf();
    let began = Timestamp::now();
    stand.start();
    stand.until("it is compared", |stand| stand.status()["firewall"]["in_step"] == true);
    stand.by_hand("-t bl -T add 198.18.0.1", "");
    stand.until("the entry is seen", |stand| stand.status()["firewall"]["listed"] == 1);
    let status = stand.status();
    let compared: Timestamp = status["firewall"]["compared"].as_str().unwrap().parse().unwrap();
    // Seconds are all that is printed.
    let earliest = began.checked_sub(Span::new().seconds(1)).unwrap();
    assert!((earliest..=Timestamp::now()).contains(&compared), "{status}");
    assert_eq!(status["config"], stand.config().display().to_string());
    stand.stop(nix::sys::signal::Signal::SIGTERM);
    let relative = ["run", "-c", "portcullis.yaml"];
    let _daemon = Running::start(Command::new(PROGRAM).args(relative).current_dir(stand.dir.path()));
    stand.until("it is the same file by another name", |stand| {
        let told = stand.cli(&["status", "--json"]).out;
        told.contains(&format!("\"config\":\"{}\"", stand.config().display()))
    });
}

#[test]
fn status_begins_with_why_nobody_is_blocked_and_exits_1_until_a_rule_blocks_and_a_log_is_there() {
    let mut stand = Stand::pf();
    stand.sources = "auth: DIR/later.log";
    stand.start();
    stand.until("the firewall was asked", |stand| stand.says("NOT PROTECTING: pf has no table <bl>") == 1);
    let ended = stand.cli(&["status"]);
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(ended.code, 1, "{ended:?}");
    let [log, _, rule, remedy, ..] = lines[..] else { panic!("{ended:?}") };
    assert!(log.starts_with("NOT PROTECTING: no log to read"), "{ended:?}");
    assert!(rule.starts_with("NOT PROTECTING: pf has no table <bl> yet"), "{ended:?}");
    assert!(remedy.starts_with("  put ") && remedy.contains("`block drop in quick from <bl>`"), "{ended:?}");
    fs::write(stand.file("pf.conf"), "table <bl> persist\nblock drop in quick from <bl> to any\npass all\n")
        .unwrap();
    stand.by_hand(&format!("-f {}", stand.file("pf.conf").display()), "");
    append(&stand.file("later.log"), []);
    stand.until("it protects", |stand| stand.cli(&["status"]).code == 0);
    assert!(stand.cli(&["status"]).out.starts_with("Protecting: 0 banned, table in step\n"));
    assert_eq!(stand.cli(&["reload"]).code, 0);
    stand
        .until("the log says so", |stand| stand.says("protecting: logs are read, and the table blocks") == 1);
    assert_eq!(stand.says("NOT PROTECTING"), 2, "each reason once");
    let doctor = stand.cli(&["doctor"]).out;
    assert!(doctor.starts_with("ok       protection  protecting: 0 banned\n"), "{doctor}");
    stand.stop(nix::sys::signal::Signal::SIGTERM);
    let doctor = stand.cli(&["doctor"]).out;
    assert!(doctor.starts_with("PROBLEM  protection  NOT PROTECTING: the daemon does not run"), "{doctor}");
}

#[test]
fn a_daemon_whose_socket_was_removed_is_said_to_run() {
    let mut stand = Stand::pf();
    stand.start();
    fs::remove_file(stand.file("run/control.sock")).unwrap();
    let status = stand.cli(&["status"]);
    assert!(
        status.code == 69 && status.err.contains("the daemon runs (pid ") && status.err.contains("), but "),
        "{status:?}"
    );
    assert!(status.err.contains("restart it with"), "{status:?}");
    let doctor = stand.cli(&["doctor"]).out;
    assert!(doctor.contains("the daemon runs (pid "), "{doctor}");
    stand.stop(nix::sys::signal::Signal::SIGTERM);
    assert!(stand.cli(&["status"]).err.contains("the daemon does not run"));
}

#[test]
fn what_is_named_as_a_socket_and_is_none_is_called_what_it_is() {
    let stand = Stand::pf();
    for (name, what) in [("auth.log", "is a file, not a socket"), ("run", "is a directory, not a socket")] {
        let ended = run(Command::new(PROGRAM).args(["status", "--socket"]).arg(stand.file(name)), "");
        assert!(ended.code == 69 && ended.err.contains(what), "{ended:?}");
    }
}

#[test]
fn unban_offline_does_not_work_on_another_database_beside_a_running_daemon() {
    let mut stand = Stand::pf();
    stand.start();
    assert_eq!(stand.cli(&["ban", ATTACKER]).code, 0);
    let text = fs::read_to_string(stand.config()).unwrap().replace("state.db", "other.db");
    fs::write(stand.config(), text).unwrap();
    let ended = stand.cli(&["unban", "--offline", ATTACKER]);
    assert!(ended.code == 75 && ended.err.contains("`state` was changed since it started"), "{ended:?}");
    assert!(stand.has(ATTACKER));
    assert!(!stand.file("state/other.db").exists());
}

#[test]
fn a_login_next_to_a_ban_is_the_line_that_an_owner_sees() {
    let mut stand = Stand::pf();
    stand.start();
    stand.fail("203.0.113.7", 4);
    stand.fail("203.0.113.8", 3);
    let login = |pid: u32, address: &str| {
        stamped(&format!("sshd[{pid}]"), &format!("Accepted password for anna from {address} port 4242 ssh2"))
    };
    stand.log([login(77, "203.0.113.8"), login(78, "203.0.113.7")]);
    let told = "login from 203.0.113.7 after 4 failures: ";
    stand.until("it is in the log", |stand| stand.says(told) == 1);
    assert_eq!(stand.says("after 3 failures"), 0, "two more would have been needed");
    let status = stand.status();
    let logins = status["logins_after_failures"].as_array().unwrap();
    assert_eq!((logins.len(), &logins[0]["address"]), (1, &"203.0.113.7".into()), "{logins:?}");
    assert!(logins[0]["line"].as_str().unwrap().contains("Accepted password for anna"), "{logins:?}");
    assert!(stand.cli(&["status"]).out.contains("Login from 203.0.113.7 after 4 failures, "));
}
