//! Logs of which each line is an object in JSON, followed by the daemon.

use std::fs;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use nix::sys::signal::Signal::SIGTERM;

use super::stand::{PROGRAM, Stand, append, run};

const APP: &str = "version: 1
name: app
about: Logins of an application
format: json
time: ts
threshold: {offences: 5, within: 10m}
rules:
  - {id: login-failed, where: {event: login_failed}, address: client.ip, user: account, means: A password was wrong.}
  - {id: login-failed, where: {event: token_refused}, address_port: peer, means: A token was wrong.}
";

fn stand() -> Stand {
    let mut stand = Stand::pf();
    stand.sources = "auth: DIR/auth.log, app: {path: DIR/app.log, rule_sets: [app]}";
    fs::create_dir(stand.file("rules")).unwrap();
    fs::write(stand.file("rules/app.yaml"), APP).unwrap();
    append(&stand.file("app.log"), []);
    stand
}

/// The stamp of now.
fn stamped() -> String {
    format!(r#""ts":"{}","#, Timestamp::now())
}

fn failed(stamp: &str, address: &str) -> String {
    format!(r#"{{{stamp}"event":"login_failed","account":"root","client":{{"ip":"{address}"}}}}"#)
}

fn write(stand: &Stand, line: &str) {
    append(&stand.file("app.log"), (0..5).map(|_| line.to_owned()));
}

#[test]
fn peers_that_a_log_in_json_names_are_blocked_live_and_after_a_restart() {
    let mut stand = stand();
    stand.start();
    write(&stand, &failed(&stamped(), "192.0.2.7"));
    write(&stand, &format!(r#"{{{}"event":"token_refused","peer":"[2001:db8:1:2::7]:4242"}}"#, stamped()));
    stand.until("both are blocked", |stand| stand.has("192.0.2.7") && stand.has("2001:db8:1:2::/64"));
    let status = stand.status();
    let app = |list: &str| status[list].as_array().unwrap().iter().find(|one| one["name"] == "app").unwrap();
    assert_eq!((&app("sources")["lines"], &app("sources")["matches"]), (&10.into(), &10.into()), "{status}");
    assert_eq!(
        (&app("rule_sets")["matches"], &app("rule_sets")["bans"]),
        (&10.into(), &2.into()),
        "{status}"
    );
    assert_eq!(app("sources")["undated"], 0, "{status}");
    let why = stand.cli(&["why", "192.0.2.7"]).out;
    assert!(why.contains(r#""event":"login_failed","account":"root""#), "{why}");

    stand.stop(SIGTERM);
    write(&stand, &failed(&stamped(), "192.0.2.8"));
    write(
        &stand,
        &failed(&stamped(), "203.0.113.66").replace("root", r#"x","client":{"ip":"203.0.113.66"},"y":""#),
    );
    stand.start();
    stand.until("what was written meanwhile counts", |stand| stand.has("192.0.2.8"));
    assert_eq!(
        stand.table().into_iter().collect::<Vec<_>>(),
        ["192.0.2.7", "192.0.2.8", "2001:db8:1:2::/64"]
    );
}

/// A line of sshd's in this log, or a line of this log in sshd's, is text like any other.
#[test]
fn lines_of_other_logs_and_damaged_ones_ban_nobody() {
    let mut stand = stand();
    stand.start();
    let line = failed(&stamped(), "203.0.113.66");
    stand.log((0..9).map(|_| line.clone()));
    write(&stand, &super::stand::failure("203.0.113.66"));
    write(&stand, &format!("{line}{line}"));
    write(&stand, line.trim_end_matches('}'));
    write(&stand, &"[".repeat(10_000));
    write(&stand, &line.replace("root", &"x".repeat(1 << 17)));
    write(&stand, &failed(&stamped(), "192.0.2.7"));
    stand.until("the log is read to its end", |stand| stand.has("192.0.2.7"));
    stand.fail("192.0.2.9", 5);
    stand.until("and the other one too", |stand| stand.has("192.0.2.9"));
    assert_eq!(stand.table().into_iter().collect::<Vec<_>>(), ["192.0.2.7", "192.0.2.9"]);
    let status = stand.status();
    let sources = status["sources"].as_array().unwrap();
    assert_eq!(sources.iter().find(|source| source["name"] == "app").unwrap()["too_long"], 5, "{status}");
}

#[test]
fn objects_without_a_time_count_live_only_and_that_is_said() {
    let mut stand = stand();
    stand.start();
    write(&stand, &failed("", "192.0.2.7"));
    stand.until("they count when they arrive", |stand| stand.has("192.0.2.7"));
    let told = stand.cli(&["status"]).out;
    assert!(
        told.contains("app: 5 matches without a readable timestamp, none counted after a restart"),
        "{told}"
    );
    stand.stop(SIGTERM);
    write(&stand, &failed("", "192.0.2.8"));
    stand.start();
    write(&stand, &failed(&stamped(), "192.0.2.9"));
    stand.until("the log is read on", |stand| stand.has("192.0.2.9"));
    assert!(!stand.has("192.0.2.8"));
}

#[test]
fn a_dry_run_asks_the_set_of_the_source() {
    let stand = stand();
    stand.configure();
    let lines: String = (0..5).map(|_| failed(&stamped(), "192.0.2.7") + "\n").collect();
    fs::write(stand.file("app.log"), lines).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--dry-run", "-c"]).arg(stand.config()).arg(stand.file("app.log"));
    let daemon = super::stand::Running::start(command.stdout(Stdio::null()));
    super::stand::until(
        "it says whom it would ban",
        || daemon.says("would ban 192.0.2.7") > 0,
        || format!("{:#?}", daemon.said()),
    );
    let piped = run(
        Command::new(PROGRAM).args(["match", "-"]).args(["--rules"]).arg(stand.file("rules/app.yaml")),
        &failed(&stamped(), "2001:db8::7"),
    );
    assert_eq!(piped.out, "-:1: app/login-failed offence 2001:db8::7 user `root`\n");
}
