//! The commands that ask the daemon, and how it is told to go on or to stop.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use nix::sys::signal::Signal::{SIGHUP, SIGKILL, SIGTERM};

use super::stand::{PROGRAM, Stand, run, stamped};

const ATTACKER: &str = "203.0.113.7";

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn without_a_daemon_every_question_ends_with_unavailable() {
    let stand = Stand::pf();
    stand.configure();
    for words in
        [&["status"][..], &["bans"], &["why", ATTACKER], &["ban", ATTACKER], &["unban", "--all"], &["reload"]]
    {
        let ended = stand.cli(words);
        assert_eq!((ended.code, ended.out.as_str()), (69, ""), "{words:?}: {ended:?}");
        assert!(ended.err.contains("control.sock"), "{ended:?}");
    }
    assert_eq!(stand.fake.calls().len(), 1, "nobody but the test called the tool");
}

#[test]
fn a_ban_by_hand_is_in_the_table_when_the_command_ends_and_an_unban_out_of_it() {
    for mut stand in Stand::both() {
        stand.start();
        let banned = stand.cli(&["ban", "--for", "1h", "--reason", "scans us", ATTACKER, "2001:db8:7::/48"]);
        assert_eq!(banned.code, 0, "{banned:?}");
        assert_eq!(stand.table(), set(&[ATTACKER, "2001:db8:7::/48"]), "{banned:?}");
        assert_eq!(stand.bans(), stand.table());
        let why = stand.cli(&["why", ATTACKER]);
        assert!(why.code == 0 && why.out.contains("scans us"), "{why:?}");
        let unbanned = stand.cli(&["unban", ATTACKER]);
        assert_eq!((unbanned.code, stand.table()), (0, set(&["2001:db8:7::/48"])), "{unbanned:?}");
        assert!(unbanned.out.contains("203.0.113.7: no longer banned"), "{unbanned:?}");
        assert_eq!(stand.cli(&["unban", ATTACKER]).code, 1, "nothing was banned");
        assert_eq!(stand.cli(&["why", "198.18.0.77"]).code, 1, "nothing is known");
        assert_eq!(stand.cli(&["unban", "nonsense"]).code, 64);
    }
}

#[test]
fn a_network_frees_every_ban_inside_and_all_frees_everybody() {
    let mut stand = Stand::pf();
    stand.start();
    let banned =
        stand.cli(&["ban", "203.0.113.1", "203.0.113.2", "203.0.113.128/25", "198.18.0.1", "2001:db8::/64"]);
    assert_eq!(banned.code, 0, "{banned:?}");
    let unbanned = stand.cli(&["unban", "--json", "203.0.113.0/24"]).json();
    assert_eq!(unbanned["unbanned"].as_array().map(Vec::len), Some(3), "{unbanned}");
    assert_eq!((&unbanned["firewall"]["done"], &unbanned["stored"]), (&true.into(), &true.into()));
    assert_eq!(stand.table(), set(&["198.18.0.1", "2001:db8::/64"]));
    assert_eq!(stand.cli(&["unban", "--all"]).code, 0);
    assert_eq!((stand.table(), stand.bans()), (set(&[]), set(&[])));
    assert_eq!(stand.cli(&["unban", "--all"]).code, 1);
}

#[test]
fn an_unban_forgets_what_was_counted() {
    let mut stand = Stand::pf();
    stand.start();
    stand.fail(ATTACKER, 4);
    stand.until("four are counted", |stand| stand.cli(&["why", ATTACKER]).out.contains("4 of 5 offences"));
    assert_eq!(stand.cli(&["unban", ATTACKER]).code, 1, "it was not banned");
    stand.fail(ATTACKER, 4);
    stand.fail("198.18.0.1", 5);
    stand.until("what came later is read", |stand| stand.has("198.18.0.1"));
    assert!(!stand.has(ATTACKER));
    stand.fail(ATTACKER, 1);
    stand.until("the fifth is one too many", |stand| stand.has(ATTACKER));
    stand.fail("2001:db8:7::1", 4);
    stand.until("four are counted", |stand| {
        stand.cli(&["why", "2001:db8:7::2"]).out.contains("4 of 5 offences")
    });
    assert_eq!(stand.cli(&["unban", "2001:db8:7::1"]).code, 1);
    assert_eq!(stand.cli(&["why", "2001:db8:7::2"]).code, 1, "a host is counted as its network");
}

#[test]
fn who_is_allowed_is_banned_by_nobody_but_with_force() {
    let mut stand = Stand::pf();
    stand.more = "allow: [198.51.100.7]\nprivileges: single".to_owned();
    stand.start();
    stand.fail("198.51.100.7", 20);
    for prefix in ["198.51.100.7", "198.51.100.0/24"] {
        let refused = stand.cli(&["ban", prefix]);
        assert!(refused.code == 1 && refused.out.contains("not banned, since"), "{refused:?}");
        assert!(refused.out.contains("`--force` bans it all the same"), "{refused:?}");
    }
    assert_eq!(stand.cli(&["ban", "127.0.0.1"]).code, 1);
    assert_eq!(stand.cli(&["ban", "--force", "127.0.0.1", "::/0"]).code, 1, "never, whoever insists");
    assert_eq!(stand.table(), set(&[]));
    let forced = stand.cli(&["ban", "--force", "198.51.100.0/24"]);
    assert_eq!((forced.code, stand.table()), (0, set(&["198.51.100.0/24"])), "{forced:?}");
    stand.stop(SIGKILL);
    stand.start();
    assert_eq!(stand.bans(), set(&["198.51.100.0/24"]), "force outlives a restart");
}

#[test]
fn a_block_list_of_a_thousand_lines_takes_a_few_commands_of_the_firewall() {
    for mut stand in Stand::both() {
        stand.start();
        stand.until("it is in step", |stand| stand.status()["firewall"]["in_step"] == true);
        let list: String =
            (0..1000).map(|n| format!("198.18.{}.{} # line {n}\n", n / 250, n % 250 + 1)).collect();
        let before = stand.fake.calls().len();
        let banned = stand.cli_with(&["ban", "-"], &format!("# a list\n\n{list}"));
        assert!(banned.code == 0 && banned.out.contains("1000 prefixes: banned"), "{banned:?}");
        assert_eq!(stand.table().len(), 1000);
        let calls = stand.fake.calls().len() - before;
        assert!(calls <= 30, "{calls} calls, comparisons once a second among them");
        let wrong = stand.cli_with(&["unban", "-"], "198.18.0.1\nnonsense\n");
        assert!(wrong.code == 64 && wrong.err.contains("line 2"), "{wrong:?}");
        let unbanned = stand.cli_with(&["unban", "-"], &list);
        assert_eq!((unbanned.code, stand.table()), (0, set(&[])), "{unbanned:?}");
    }
}

#[test]
fn unban_offline_works_on_database_and_table_but_not_behind_a_running_daemon() {
    for mut stand in Stand::both() {
        stand.start();
        stand.fail(ATTACKER, 5);
        stand.fail("198.18.0.1", 5);
        stand.until("both are blocked", |stand| stand.table().len() == 2 && stand.says("banned ") == 2);
        let refused = stand.cli(&["unban", "--offline", ATTACKER]);
        assert!(refused.code == 75 && refused.err.contains("is in use"), "{refused:?}");
        stand.stop(SIGTERM);
        let unbanned = stand.cli(&["unban", "--offline", ATTACKER]);
        assert_eq!((unbanned.code, stand.table()), (0, set(&["198.18.0.1"])), "{unbanned:?}");
        assert_eq!(stand.cli(&["unban", "--offline", ATTACKER]).code, 1);
        stand.start();
        assert_eq!(stand.bans(), set(&["198.18.0.1"]));
        stand.fail(ATTACKER, 4);
        stand.fail("198.18.0.2", 5);
        stand.until("what came later is read", |stand| stand.has("198.18.0.2"));
        assert!(!stand.has(ATTACKER), "its counter was forgotten");
    }
}

#[test]
fn a_second_daemon_is_refused_and_leaves_the_first_alone() {
    let mut stand = Stand::pf();
    stand.start();
    let second = run(Command::new(PROGRAM).arg("run").arg("-c").arg(stand.config()), "");
    assert!(second.code > 1 && second.err.contains("is in use"), "{second:?}");
    assert_eq!(stand.cli(&["ban", ATTACKER]).code, 0, "the first still answers");
    // With another database it finds the socket taken.
    let own = fs::read_to_string(stand.config()).unwrap().replace("state.db", "second.db");
    fs::write(stand.file("second.yaml"), own).unwrap();
    let second = run(Command::new(PROGRAM).arg("run").arg("-c").arg(stand.file("second.yaml")), "");
    assert!(second.code > 1 && second.err.contains("another daemon runs"), "{second:?}");
    assert_eq!(stand.bans(), set(&[ATTACKER]));
}

#[test]
fn a_broken_configuration_leaves_the_running_one_in_force() {
    let mut stand = Stand::pf();
    stand.start();
    let good = fs::read_to_string(stand.config()).unwrap();
    fs::write(stand.config(), good.replace("sources:", "surces:")).unwrap();
    stand.daemon().signal(SIGHUP);
    stand.until("it says why", |stand| stand.says("did you mean `sources`?") == 1);
    stand.until("it says what holds", |stand| {
        stand.says("1 error: the running configuration stays; `portcullis check` shows them") == 1
    });
    assert_eq!(stand.says("2 | surces:"), 0, "syslog would cut the cited lines");
    stand.fail(ATTACKER, 5);
    stand.until("it goes on", |stand| stand.has(ATTACKER));
    let socket = stand.file("run/control.sock").display().to_string();
    let reload = run(Command::new(PROGRAM).args(["reload", "--socket", &socket]), "");
    assert!(reload.code == 78 && reload.err.contains("did you mean `sources`?"), "{reload:?}");
    assert!(
        reload.err.contains("the running configuration stays, since the new one has 1 error\n"),
        "{reload:?}"
    );
    fs::write(stand.config(), good).unwrap();
    stand.daemon().signal(SIGHUP);
    stand.until("it is reloaded", |stand| stand.says("reloaded: ") == 1);
    assert_eq!((stand.bans(), stand.says("banned")), (set(&[ATTACKER]), 1));
}

#[test]
fn a_reload_frees_who_is_allowed_now_and_follows_new_sources() {
    let mut stand = Stand::pf();
    stand.start();
    stand.fail(ATTACKER, 5);
    stand.fail("198.18.0.1", 5);
    stand.until("both are blocked", |stand| stand.table().len() == 2);
    let more = format!("allow: [{ATTACKER}]\n");
    let text = fs::read_to_string(stand.config()).unwrap().replace("/messages}", "/other.log}") + &more;
    fs::write(stand.config(), text).unwrap();
    let reloaded = stand.cli(&["reload"]);
    assert!(reloaded.code == 0 && reloaded.out.contains("203.0.113.7: freed"), "{reloaded:?}");
    stand.until("one is free", |stand| stand.table() == set(&["198.18.0.1"]));
    super::stand::append(&stand.file("other.log"), (0..5).map(|_| super::stand::failure("198.18.0.2")));
    stand.until("the new log is read", |stand| stand.has("198.18.0.2"));
    stand.fail("198.18.0.3", 5);
    stand.until("the old one too", |stand| stand.has("198.18.0.3"));
}

#[test]
fn a_stop_leaves_the_table_and_with_flush_on_exit_empties_it() {
    for mut stand in Stand::both() {
        stand.start();
        stand.fail(ATTACKER, 5);
        stand.until("it is blocked", |stand| stand.has(ATTACKER));
        let said = stand.stop(SIGTERM);
        assert!(
            said.last().is_some_and(|line| line.contains("stopped; the table stays as it is")),
            "{said:#?}"
        );
        assert!(stand.has(ATTACKER) && !stand.file("run/control.sock").exists());
        stand.more = "flush_on_exit: true".to_owned();
        stand.start();
        stand.until("it is in step", |stand| stand.status()["firewall"]["in_step"] == true);
        let said = stand.stop(SIGTERM);
        assert!(said.last().is_some_and(|line| line.contains("the table was emptied")), "{said:#?}");
        assert_eq!(stand.table(), set(&[]));
        stand.more.clear();
        stand.start();
        stand.until("the ban is back in the table", |stand| stand.has(ATTACKER));
    }
}

#[test]
fn status_tells_what_is_read_and_what_is_blocked() {
    let mut stand = Stand::pf();
    stand.start();
    stand.fail(ATTACKER, 5);
    stand.until("it is blocked", |stand| stand.has(ATTACKER));
    stand.until("it is in step", |stand| stand.status()["firewall"]["in_step"] == true);
    let status = stand.status();
    assert_eq!(status["counters"]["lines"], 5, "{status}");
    assert_eq!(status["counters"]["active"], 1, "{status}");
    assert_eq!(status["sources"][0]["name"], "auth", "{status}");
    assert_eq!(status["sources"][0]["matches"], 5, "{status}");
    assert_eq!(status["rule_sets"].as_array().map(Vec::len), Some(2), "{status}");
    let told = stand.cli(&["status"]).out;
    assert!(told.contains("auth.log") && told.contains("1 ban active"), "{told}");
}

#[test]
fn lines_that_no_rule_knows_are_told_by_their_commonest_shape() {
    let mut stand = Stand::pf();
    stand.start();
    let line = |pid: u32| {
        stamped(
            &format!("sshd[{pid}]"),
            &format!("Turned away user u{pid} from {ATTACKER} port {pid} [preauth]"),
        )
    };
    stand.log((0..5).map(|at| line(100 + at)));
    stand.until("they are counted", |stand| stand.status()["missed"][0]["lines"] == 5);
    let told = stand.cli(&["status"]).out;
    let expected = "5 lines of sshd name an address and no rule knows them, 5 like: Turned away user … from ADDR port N [preauth]\n  \
                    `portcullis match --missed` shows them";
    assert!(told.contains(expected), "{told}");
    let doctor = stand.cli(&["doctor"]).out;
    assert!(doctor.contains("note     logs        5 lines of sshd name an address"), "{doctor}");
    assert_eq!(stand.cli(&["match", "--missed"]).out.lines().count(), 5);
}

#[test]
fn an_address_is_freed_from_every_network_that_holds_it() {
    let mut stand = Stand::pf();
    stand.start();
    assert_eq!(stand.cli(&["ban", "198.18.0.0/16", "198.18.5.0/24", "198.18.5.5", "198.18.6.0/24"]).code, 0);
    assert_eq!(stand.cli(&["ban", "2001:db8:1:2::/64"]).code, 0);
    let unbanned = stand.cli(&["unban", "198.18.5.5", "2001:db8:1:2::77"]);
    assert_eq!((unbanned.code, stand.table()), (0, set(&["198.18.6.0/24"])), "others stay: {unbanned:?}");
    for ended in [
        "198.18.5.5: no longer banned, counters reset\n",
        "198.18.0.0/16: no longer banned, counters reset; the whole ban was ended, since it contained 198.18.5.5\n",
        "2001:db8:1:2::/64: no longer banned, counters reset; the whole ban was ended, since it contained 2001:db8:1:2::77\n",
    ] {
        assert!(unbanned.out.contains(ended), "{ended}: {unbanned:?}");
    }
}

#[test]
fn a_reload_moves_all_bans_to_another_table() {
    let mut stand = Stand::pf();
    stand.start();
    stand.fail(ATTACKER, 5);
    stand.until("it is blocked", |stand| stand.has(ATTACKER));
    let text = fs::read_to_string(stand.config()).unwrap().replace("table: bl", "table: other");
    fs::write(stand.config(), text).unwrap();
    assert_eq!(stand.cli(&["reload"]).code, 0);
    let shown = |stand: &Stand, table: &str| stand.fake.words(&format!("-t {table} -T show")).out;
    stand.until("the new table has it", |stand| shown(stand, "other").contains(ATTACKER));
    stand.until("the old one has not", |stand| !shown(stand, "bl").contains(ATTACKER));
    assert_eq!(stand.says("had vanished"), 0, "the new table was empty from the start");
    stand.fail("198.18.0.1", 5);
    stand.until("the new table is used", |stand| shown(stand, "other").contains("198.18.0.1"));
    assert_eq!(stand.says("banned 203.0.113.7"), 1);
}

#[test]
fn unban_offline_without_a_firewall_says_that_the_next_start_does_the_rest() {
    for mut stand in Stand::both() {
        stand.start();
        assert_eq!(stand.cli(&["ban", ATTACKER]).code, 0);
        stand.stop(SIGTERM);
        fs::rename(stand.fake.path(), stand.file("away")).unwrap();
        let unbanned = stand.cli(&["unban", "--offline", ATTACKER]);
        assert!(unbanned.code == 0 && unbanned.out.contains("when the daemon starts"), "{unbanned:?}");
        fs::rename(stand.file("away"), stand.fake.path()).unwrap();
        assert!(stand.has(ATTACKER));
        stand.start();
        stand.until("it is free", |stand| !stand.has(ATTACKER));
        assert_eq!(stand.bans(), set(&[]));
    }
}

#[test]
fn a_ban_does_not_claim_to_block_where_pf_is_off_or_no_rule_uses_the_table() {
    let mut stand = Stand::pf();
    stand.firewall = "converge: 1h".to_owned();
    fs::write(stand.file("pf.conf"), "table <bl> persist\nblock in quick from <bl>\n").expect("pf.conf");
    stand.by_hand(&format!("-f {}", stand.file("pf.conf").display()), "");
    stand.start();
    let ban = |stand: &Stand| stand.cli(&["ban", "203.0.113.7"]).out;
    assert!(ban(&stand).contains("the firewall (pf) is in step."), "{}", ban(&stand));
    // A minute before the next comparison: what is said is looked at when it is said.
    stand.by_hand("-d", "");
    let told = ban(&stand);
    assert!(
        told.contains("has it in its table, but: pf is not enabled") && !told.contains("in step"),
        "{told}"
    );
    let effect = stand.cli(&["ban", "203.0.113.8", "--json"]).json()["firewall"].clone();
    assert_eq!(
        (&effect["done"], effect["warnings"].as_array().map(Vec::len)),
        (&true.into(), Some(1)),
        "{effect}"
    );
    stand.by_hand("-e", "");
    stand.by_hand("-F rules", "");
    assert!(ban(&stand).contains("no pf rule uses the table <bl>"), "{}", ban(&stand));
    stand.by_hand(&format!("-f {}", stand.file("pf.conf").display()), "");
    assert!(ban(&stand).contains("is in step."), "{}", ban(&stand));
}
