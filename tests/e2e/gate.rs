//! Reloads and stops while the firewall cannot be updated: no gate opens, and nobody who is free is banned again.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::SIGTERM;

use super::stand::{PROGRAM, Running, Stand, run};

const ATTACKER: &str = "203.0.113.7";

fn replace(stand: &Stand, from: &str, to: &str) {
    let text = fs::read_to_string(stand.config()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(stand.config(), text.replace(from, to)).unwrap();
    assert_eq!(stand.cli(&["reload"]).code, 0);
}

/// One table, asked for as the operator would.
fn content(stand: &Stand, table: &str) -> BTreeSet<String> {
    let shown = stand.fake.words(&format!("-t {table} -T show"));
    shown.out.lines().map(|line| line.trim().to_owned()).collect()
}

fn set(entries: &[&str]) -> BTreeSet<String> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

#[test]
fn an_unban_that_waits_at_a_reload_does_not_come_back_as_a_ban() {
    for mode in ["fail always", "delay 400"] {
        for mut stand in Stand::both() {
            stand.firewall = "converge: 1h, timeout: 5s".to_owned();
            stand.start();
            assert_eq!(stand.cli(&["ban", ATTACKER, "198.18.0.1"]).code, 0);
            stand.until("they are blocked", |stand| stand.table().len() == 2);
            stand.fake.mode(mode);
            let daemon = Command::new(PROGRAM).args(["unban", ATTACKER, "-c"]).arg(stand.config()).spawn();
            let mut unban = daemon.unwrap();
            stand.until("it is free", |stand| !stand.bans().contains(ATTACKER));
            replace(&stand, "timeout: 5s", "timeout: 6s");
            stand.fake.mode("");
            unban.wait().unwrap();
            stand.until("it is out of the table", |stand| stand.table() == set(&["198.18.0.1"]));
            stand.until("it is in step", |stand| stand.status()["firewall"]["in_step"] == true);
            assert_eq!(stand.says("adopted"), 0, "{:#?}", stand.daemon().said());
            assert_eq!(stand.bans(), set(&["198.18.0.1"]));
        }
    }
}

#[test]
fn the_old_table_blocks_until_the_new_one_does() {
    let mut stand = Stand::pf();
    stand.start();
    assert_eq!(stand.cli(&["ban", ATTACKER, "198.18.0.1"]).code, 0);
    let tool = stand.fake.path().display().to_string();
    let (before, after) =
        (format!("table: bl, tool: {tool}"), format!("table: other, tool: {tool}.not-there"));
    replace(&stand, &before, &after);
    stand.until("it does not work", |stand| stand.says("the firewall update failed") == 1);
    assert_eq!(stand.says("the pf table bl stays as it is until the pf table other is in step"), 1);
    stand.cli(&["ban", "198.18.0.2"]);
    stand.cli(&["unban", "198.18.0.1"]);
    stand.until("the old table is kept up", |stand| content(stand, "bl") == set(&["198.18.0.2", ATTACKER]));
    assert_eq!(stand.says("is emptied"), 0);

    replace(&stand, &format!("{tool}.not-there"), &tool);
    stand.until("the new table is filled", |stand| content(stand, "other") == set(&["198.18.0.2", ATTACKER]));
    stand.until("the old one is emptied", |stand| content(stand, "bl").is_empty());
    assert_eq!(stand.says("the pf table other is in step; the pf table bl is emptied"), 1);
    assert_eq!(stand.bans(), content(&stand, "other"));
}

#[test]
fn a_reload_back_to_the_first_table_empties_the_second_and_not_the_first() {
    let mut stand = Stand::pf();
    stand.start();
    assert_eq!(stand.cli(&["ban", ATTACKER]).code, 0);
    for (from, to) in [("table: bl,", "table: other,"), ("table: other,", "table: bl,")] {
        replace(&stand, from, to);
    }
    stand.until("one table is empty", |stand| content(stand, "other").is_empty());
    stand.until("it is settled", |stand| {
        stand.status()["firewall"]["in_step"] == true && content(stand, "bl") == set(&[ATTACKER])
    });
    thread::sleep(Duration::from_millis(1200));
    assert_eq!(content(&stand, "bl"), set(&[ATTACKER]), "nobody empties it later");
}

#[test]
fn a_stop_while_a_ban_is_answered_says_what_became_of_the_table() {
    for (mode, words) in
        [("hang 600", "the table could not be emptied"), ("delay 300", "the table was emptied")]
    {
        let mut stand = Stand::pf();
        stand.firewall = "converge: 1h, timeout: 1s".to_owned();
        stand.more = "flush_on_exit: true".to_owned();
        stand.start();
        assert_eq!(stand.cli(&["ban", ATTACKER]).code, 0);
        stand.fake.mode(mode);
        let ban = Command::new(PROGRAM).args(["ban", "198.18.0.1", "-c"]).arg(stand.config()).spawn();
        let mut ban = ban.unwrap();
        stand.until("it is told", |stand| stand.says("banned 198.18.0.1") == 1);
        let said = stand.stop(SIGTERM);
        ban.wait().unwrap();
        assert!(said.last().is_some_and(|line| line.contains(words)), "{mode}: {said:#?}");
        assert_eq!(stand.table().is_empty(), mode != "hang 600", "{mode}");
    }
}

#[test]
fn no_second_daemon_starts_while_the_first_still_works_on_the_table() {
    let mut stand = Stand::pf();
    stand.firewall = "converge: 1h, timeout: 3s".to_owned();
    stand.start();
    stand.fake.mode("hang 600");
    stand.fail(ATTACKER, 5);
    stand.until("it is told", |stand| stand.says("banned ") == 1);
    stand.daemon().signal(SIGTERM);
    let socket = stand.file("run/control.sock");
    stand.until("it is about to end", |_| !socket.exists());
    let second = run(Command::new(PROGRAM).arg("run").arg("-c").arg(stand.config()), "");
    assert!(second.code > 1 && second.err.contains("is in use"), "{second:?}");
    stand.until("the first one ends", |stand| stand.says("stopped; ") == 1);
}

#[test]
fn a_daemon_that_may_not_start_has_touched_nothing() {
    let mut stand = Stand::pf();
    stand.firewall = "converge: 1h".to_owned();
    stand.start();
    assert_eq!(stand.cli(&["ban", ATTACKER]).code, 0);
    let text = fs::read_to_string(stand.config()).unwrap().replace("state.db", "second.db");
    let text = text.replace("converge: 1h", "converge: 1h, foreign: remove");
    let calls = stand.fake.calls().len();
    for (name, change) in [
        ("socket.yaml", ("second.db", "third.db")),
        ("group.yaml", ("control.sock", "new.sock, group: nobody-of-us")),
    ] {
        fs::write(stand.file(name), text.replace(change.0, change.1)).unwrap();
        let second = Running::start(Command::new(PROGRAM).arg("run").arg("-c").arg(stand.file(name)));
        let (status, said) = second.end();
        assert!(!status.success(), "{said:#?}");
    }
    assert_eq!((content(&stand, "bl"), stand.fake.calls().len()), (set(&[ATTACKER]), calls + 1));
}
