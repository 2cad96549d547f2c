//! What does not work: the daemon keeps deciding, says what is wrong once, and recovers by itself.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal::{SIGKILL, SIGTERM};

use super::stand::{Stand, run, until};

const FIRST: &str = "203.0.113.7";
const SECOND: &str = "198.18.0.1";

/// Two bans while the firewall does not work, then it works again.
fn outlasts(mut stand: Stand, mend: impl Fn(&Stand)) {
    stand.start();
    stand.fail(FIRST, 5);
    stand.until("the status says so", |stand| {
        let status = stand.status();
        status["counters"]["active"] == 1
            && status["problems"].as_array().is_some_and(|problems| problems.len() == 1)
            && status["firewall"]["in_step"] == false
            && status["firewall"]["pending"] == 1
    });
    let told = stand.cli(&["status"]).out;
    assert!(told.contains("not in step, 1 change pending"), "{told}");
    stand.fail(SECOND, 5);
    stand.until("it goes on deciding", |stand| stand.bans().len() == 2 && stand.says("banned ") == 2);
    let by_hand = stand.cli(&["ban", "198.18.0.2"]);
    assert!(by_hand.code == 0 && by_hand.out.contains("It will be tried again automatically"), "{by_hand:?}");
    stand.until("it is logged", |stand| stand.says("banned 198.18.0.2 for 1h by hand (uid 0)") == 1);
    assert_eq!(stand.table().len(), 0);
    mend(&stand);
    stand.until("all are blocked", |stand| stand.table().len() == 3);
    stand.until("all is well", |stand| stand.status()["problems"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(stand.says("the firewall update failed"), 1, "{:#?}", stand.daemon().said());
    assert_eq!(stand.says("firewall updates work again"), 1);
}

#[test]
fn a_reader_of_its_messages_that_went_away() {
    let mut stand = Stand::pf();
    stand.start_unheard();
    stand.fail(FIRST, 5);
    stand.until("it goes on blocking", |stand| stand.has(FIRST));
    assert_eq!(stand.cli(&["ban", SECOND]).code, 0);
    stand.stop(SIGTERM);
}

#[test]
fn a_missing_tool() {
    for stand in Stand::both() {
        fs::rename(stand.fake.path(), stand.file("away")).unwrap();
        outlasts(stand, |stand| fs::rename(stand.file("away"), stand.fake.path()).unwrap());
    }
}

#[test]
fn a_hanging_tool() {
    for mut stand in Stand::both() {
        stand.firewall = "converge: 2s, timeout: 1s".to_owned();
        stand.fake.mode("hang 600");
        outlasts(stand, |stand| stand.fake.mode(""));
    }
}

#[test]
fn a_failing_tool() {
    for stand in Stand::both() {
        stand.fake.mode("fail always");
        outlasts(stand, |stand| stand.fake.mode(""));
    }
}

/// A directory of its own file system with this much room; `None` where we are not allowed to mount.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn small(at: &'a Path) -> Option<Self> {
        let options = ["-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs"];
        let mounted = run(Command::new("mount").args(options).arg(at), "");
        if mounted.code != 0 {
            eprintln!("skipped 1 test: a file system of our own needs root: {}", mounted.err);
            return None;
        }
        Some(Self(at))
    }

    fn again(&self, options: &str) {
        // The tools of a daemon that was killed may hold it for a moment.
        let mount = || run(Command::new("mount").args(["-o", options]).arg(self.0), "");
        until("it is mounted again", || mount().code == 0, || format!("{:?}", mount()));
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Also while the daemon of a failed test still uses it.
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}

#[test]
fn a_full_disk() {
    let mut stand = Stand::pf();
    let state = stand.file("state");
    let Some(_mounted) = Mounted::small(&state) else { return };
    stand.start();
    stand.fail(FIRST, 5);
    stand.until("a ban is stored", |stand| stand.says("banned 203.0.113.7") == 1);
    let mut file = File::create(state.join("fill")).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    for n in 1..=100 {
        stand.fail(&format!("198.18.0.{n}"), 5);
    }
    stand.until("it goes on blocking", |stand| stand.table().len() == 101);
    stand.until("it is told", |stand| stand.says("banned ") == 101);
    assert!(stand.status()["problems"][0].as_str().is_some_and(|text| text.contains("no space is left")));
    assert!(stand.says("(not in the database yet)") > 0);
    let by_hand = stand.cli(&["ban", "198.18.1.1"]);
    assert_eq!(by_hand.code, 75, "{by_hand:?}");
    assert!(by_hand.out.contains("NOT in the database yet: "), "{by_hand:?}");
    assert!(by_hand.out.contains("no space is left"), "{by_hand:?}");
    let unbanned = stand.cli(&["unban", "--json", "198.18.1.1"]);
    assert_eq!((unbanned.code, &unbanned.json()["stored"]), (75, &false.into()), "{unbanned:?}");
    assert!(unbanned.json()["problem"].as_str().is_some_and(|text| text.contains("no space is left")));
    fs::remove_file(state.join("fill")).unwrap();
    recovers(stand, 101);
}

#[test]
fn a_state_that_can_only_be_read_at_the_start() {
    let mut stand = Stand::pf();
    let state = stand.file("state");
    let Some(mounted) = Mounted::small(&state) else { return };
    stand.start();
    stand.fail(FIRST, 5);
    stand.until("a ban is stored", |stand| stand.says("banned 203.0.113.7") == 1 && stand.has(FIRST));
    stand.stop(SIGKILL);
    mounted.again("remount,ro");
    stand.start();
    stand.fail(SECOND, 5);
    stand.until("it goes on blocking", |stand| stand.has(SECOND) && stand.says("banned 198.18.0.1") == 1);
    assert!(stand.has(FIRST));
    stand.until("the status says so", |stand| {
        stand.status()["problems"].as_array().is_some_and(|p| p.len() == 1)
    });
    mounted.again("remount,rw");
    recovers(stand, 2);
}

/// The trouble was told once, its end too, and everything is in the database afterwards.
fn recovers(mut stand: Stand, bans: usize) {
    stand.until("it recovers", |stand| stand.says("the database is written again") == 1);
    stand.until("all is well", |stand| stand.status()["problems"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(stand.says("deciding goes on"), 1, "{:#?}", stand.daemon().said());
    stand.until("the bans are known", |stand| stand.bans().len() == bans);
    stand.stop(SIGKILL);
    stand.start();
    assert_eq!(stand.bans().len(), bans, "all are in the database");
    stand.stop(SIGTERM);
}

/// How a firewall's tool may end, and what is said of it.
const ENDS: [(&str, &str); 4] = [
    ("kill -9 $$", "was ended by signal 9"),
    ("exec sleep 600", "did not end within 1s and was killed"),
    ("echo 'no such luck' >&2; exit 3", "ended with exit status 3: no such luck"),
    ("yes | head -c 40000000", "printed more than 33554432 bytes"),
];

#[test]
fn however_the_tool_ends_the_answer_and_the_status_say_so_and_the_ban_follows_later() {
    for (script, said) in ENDS {
        let mut stand = Stand::pf();
        stand.firewall = "converge: 1h, timeout: 1s".to_owned();
        stand.start();
        stand.until("it is in step", |stand| stand.status()["firewall"]["in_step"] == true);
        let tool = stand.fake.path();
        let away = stand.file("pfctl.away");
        fs::rename(&tool, &away).expect("the tool is away");
        let broken = stand.file("broken");
        fs::write(&broken, format!("#!/bin/sh\n{script}\n")).expect("another tool");
        fs::set_permissions(&broken, Permissions::from_mode(0o755)).expect("its mode");
        fs::rename(&broken, &tool).expect("it takes the place");
        let ban = stand.cli(&["ban", "203.0.113.7"]);
        assert!(ban.code == 0 && ban.out.contains("is not updated yet"), "{script}: {ban:?}");
        assert!(ban.out.contains(said) && ban.out.contains("The database is written"), "{script}: {ban:?}");
        let problem = stand.status()["firewall"]["problem"].to_string();
        assert!(problem.contains(said), "{script}: {problem}");
        fs::rename(&away, &tool).expect("the tool is back");
        stand.until("the ban follows by itself", |stand| stand.has("203.0.113.7"));
    }
}
