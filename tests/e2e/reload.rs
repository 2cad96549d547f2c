//! What a reload takes over, what it cannot, and who is told.

use std::fs;
use std::process::Command;
use std::thread;

use nix::sys::signal::Signal::SIGHUP;

use super::stand::{PROGRAM, Stand, run};

fn rewrite(stand: &Stand, from: &str, to: &str) {
    let text = fs::read_to_string(stand.config()).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(stand.config(), text.replace(from, to)).unwrap();
}

#[test]
fn what_a_reload_cannot_change_is_said_with_the_way_to_the_daemon() {
    let mut stand = Stand::pf();
    stand.start();
    rewrite(&stand, "control.sock", "other.sock");
    rewrite(&stand, "state.db", "other.db");
    let socket = stand.file("run/control.sock").display().to_string();
    // Also the second time: what runs is still what it was started with.
    for _ in 0..2 {
        let reloaded = run(Command::new(PROGRAM).args(["reload", "--json", "--socket", &socket]), "");
        let warnings = reloaded.json()["warnings"].to_string();
        assert_eq!(reloaded.code, 0, "{reloaded:?}");
        assert!(warnings.contains("`state` takes effect at the next start"), "{warnings}");
        assert!(warnings.contains(&format!("`--socket {socket}`")), "{warnings}");
    }
    stand.until("it is logged too", |stand| stand.says("`control` takes effect at the next start") == 2);
    rewrite(&stand, "other.sock", "control.sock");
    rewrite(&stand, "other.db", "state.db");
    assert!(!stand.cli(&["reload", "--json"]).out.contains("at the next start"));
}

#[test]
fn a_reload_switches_file_events_off_and_on() {
    let mut stand = Stand::pf();
    stand.start();
    let fds = format!("/proc/{}/fd", stand.status()["pid"]);
    let events = || {
        let fds = fs::read_dir(&fds).into_iter().flatten().flatten();
        fds.filter_map(|fd| fs::read_link(fd.path()).ok())
            .filter(|to| to.ends_with("anon_inode:inotify"))
            .count()
    };
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: only Linux shows who asked for events");
        return;
    }
    stand.until("there are events", |_| events() == 1);
    let log = stand.file("auth.log").display().to_string();
    rewrite(&stand, &format!("auth: {log}"), &format!("auth: {{path: {log}, follow: poll}}"));
    assert_eq!(stand.cli(&["reload"]).code, 0);
    stand.until("there are none", |_| events() == 0);
    stand.fail("203.0.113.7", 5);
    stand.until("it looks nevertheless", |stand| stand.has("203.0.113.7"));
}

#[test]
fn whoever_asks_during_a_reload_gets_another_one() {
    let mut stand = Stand::pf();
    stand.start();
    thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| stand.cli(&["reload"]))).collect();
        (0..4).for_each(|_| stand.daemon().signal(SIGHUP));
        for asked in asked {
            let ended = asked.join().unwrap();
            assert!(ended.code == 0 && ended.out.contains("Reloaded: "), "{ended:?}");
        }
    });
    rewrite(&stand, "sources:", "surces:");
    assert_eq!(
        run(Command::new(PROGRAM).args(["reload", "--socket"]).arg(stand.file("run/control.sock")), "").code,
        78
    );
    rewrite(&stand, "surces:", "sources:");
    assert_eq!(stand.cli(&["reload"]).code, 0);
}

#[test]
fn a_directory_of_rules_that_is_gone_switches_no_rule_set_off() {
    let mut stand = Stand::pf();
    let rules = stand.file("rules");
    fs::create_dir(&rules).unwrap();
    let own = "{version: 1, name: own, about: x, program: own, evidence: handshake, rules: [{id: a, pattern: '^from <ADDR>$', means: x}]}";
    fs::write(rules.join("own.yaml"), own).unwrap();
    stand.start();
    fs::rename(&rules, stand.file("elsewhere")).unwrap();
    let refused = stand.cli(&["reload"]);
    assert!(
        refused.code == 78 && refused.err.contains(":3:12: error: there is no directory "),
        "{refused:?}"
    );
    assert!(refused.err.contains("(own)"), "{refused:?}");
    assert!(stand.cli(&["status"]).out.contains("own "), "it stays in force");
    fs::create_dir(&rules).unwrap();
    let reloaded = stand.cli(&["reload"]);
    assert!(reloaded.code == 0 && reloaded.out.contains("rule sets freebsd-tcp, sshd;"), "{reloaded:?}");
}

#[test]
fn a_reload_is_refused_for_what_the_next_start_would_fail_at() {
    let mut stand = Stand::pf();
    stand.start();
    rewrite(&stand, "control: {", "control: {group: no-such-group, ");
    let refused = stand.cli(&["reload"]);
    assert!(refused.code == 78 && refused.err.contains("there is no group `no-such-group`"), "{refused:?}");
}

#[test]
fn an_allow_file_that_was_emptied_is_told_of_with_networks_before_and_after() {
    let mut stand = Stand::pf();
    let file = stand.file("allow.txt");
    fs::write(&file, "198.18.0.0/24\n198.18.1.0/24\n2001:db8::/48\n").unwrap();
    stand.more = format!("allow: [{{file: {}}}]", file.display());
    stand.start();
    fs::write(&file, "").unwrap();
    let reloaded = stand.cli(&["reload", "--json"]);
    let told = format!("the allow file {} names fewer networks (3 → 0)", file.display());
    assert!(reloaded.json()["warnings"].to_string().contains(&told), "{reloaded:?}");
    stand.until("it is logged too", |stand| stand.says(&told) == 1);
    assert!(!stand.cli(&["reload", "--json"]).out.contains("fewer networks"), "once");
}
