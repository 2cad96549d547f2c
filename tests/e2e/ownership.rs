//! Root acts on no path that somebody else may replace: each kind of path, refused and accepted by the real program.

use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal::SIGTERM;
use nix::unistd::geteuid;
use serde_json::Value;

use super::stand::{PROGRAM, Running, Stand, directory, run, until};
use crate::fakes_support::{Fake, put};

const ATTACKER: &str = "203.0.113.7";
/// Neither user nor group needs an entry in the database of users.
const STRANGER: u32 = 4242;
const RULES: &str = "{version: 1, name: own, about: x, program: own, rules: [{id: a, pattern: '^from <ADDR>$', means: x}], \
                     samples: [{line: 'Nov 22 14:38:31 gw own[1]: from 192.0.2.7', rule: a, addr: 192.0.2.7}]}";

fn is_root() -> bool {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
    }
    geteuid().is_root()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn give_away(path: &Path) {
    chown(path, Some(STRANGER), None).unwrap();
}

/// A directory or file that the stranger's group may write to.
fn open_to_the_group(path: &Path) {
    chown(path, None, Some(STRANGER)).unwrap();
    chmod(path, path.metadata().unwrap().mode() & 0o7777 | 0o020);
}

/// A way to let somebody else replace something.
struct Case {
    /// Below the stand's directory.
    path: &'static str,
    spoil: fn(&Path),
    /// What is said of the path.
    sentence: &'static str,
    /// The key that names it; empty where the file itself is named.
    key: &'static str,
}

const GIVEN_AWAY: &str = "belongs to user 4242, who could ";
const OF_THE_GROUP: &str = "can be written by its group 4242 (mode ";
const OF_EVERYBODY: &str = "can be written by everybody (mode 0777), who could ";

/// Every kind of path; `pfctl` is the firewall's tool, and an empty one is the directory above all others.
const CASES: &[Case] = &[
    Case { path: "portcullis.yaml", spoil: give_away, sentence: GIVEN_AWAY, key: "" },
    Case { path: "rules", spoil: open_to_the_group, sentence: OF_THE_GROUP, key: "" },
    Case { path: "rules/own.yaml", spoil: give_away, sentence: GIVEN_AWAY, key: "" },
    Case { path: "allow.txt", spoil: open_to_the_group, sentence: OF_THE_GROUP, key: "" },
    Case { path: "state", spoil: give_away, sentence: GIVEN_AWAY, key: "state" },
    Case { path: "state", spoil: open_to_the_group, sentence: OF_THE_GROUP, key: "state" },
    Case { path: "state/state.db", spoil: give_away, sentence: GIVEN_AWAY, key: "state" },
    Case { path: "state/state.db-wal", spoil: open_to_the_group, sentence: OF_THE_GROUP, key: "state" },
    Case { path: "state/pf.table", spoil: give_away, sentence: GIVEN_AWAY, key: "state" },
    Case { path: "run", spoil: open_to_the_group, sentence: OF_THE_GROUP, key: "socket" },
    Case { path: "run/control.sock.lock", spoil: give_away, sentence: GIVEN_AWAY, key: "socket" },
    Case { path: "tools", spoil: give_away, sentence: GIVEN_AWAY, key: "tool" },
    Case { path: "tools/pfctl", spoil: |path| chmod(path, 0o777), sentence: OF_EVERYBODY, key: "tool" },
    Case { path: "", spoil: open_to_the_group, sentence: OF_THE_GROUP, key: "" },
];

/// A stand with something of every kind.
fn furnished() -> Stand {
    let mut stand = Stand::pf();
    fs::create_dir(stand.file("rules")).unwrap();
    fs::write(stand.file("rules/own.yaml"), RULES).unwrap();
    fs::write(stand.file("allow.txt"), "192.0.2.0/24\n").unwrap();
    fs::create_dir(stand.file("tools")).unwrap();
    fs::remove_file(stand.fake.path()).unwrap();
    stand.fake = Fake::pfctl(&stand.file("tools"));
    // It may be a second name of what cargo built, whose mode is everybody's: replace it by a file of its own.
    let tool = stand.fake.path();
    let copy = stand.file("copy");
    assert_eq!(run(Command::new("cp").args([&tool, &copy]), "").code, 0);
    fs::rename(copy, tool).unwrap();
    stand.fake.words("-e");
    stand.more = format!("privileges: single\nallow: [{{file: {}}}]", stand.file("allow.txt").display());
    stand
}

/// Carries out the one command that a sentence advises.
fn obey(said: &str) {
    let command = said.split('`').find(|part| part.starts_with("chown ") || part.starts_with("chmod "));
    let command = command.unwrap_or_else(|| panic!("no command in {said}"));
    let ended = run(Command::new("sh").args(["-c", command]), "");
    assert_eq!(ended.code, 0, "{command}: {ended:?}");
}

#[test]
fn what_somebody_else_may_replace_is_refused_in_the_same_words_until_the_advice_is_followed() {
    if !is_root() {
        return;
    }
    let mut stand = furnished();
    stand.start();
    stand.until("the table's file is there", |stand| stand.file("state/pf.table").exists());
    let mut checked = HashSet::new();
    for Case { path, spoil, sentence, key } in CASES {
        let path = if path.is_empty() { stand.dir.path().to_owned() } else { stand.file(path) };
        let owner = path.metadata().unwrap().uid();
        let mode = path.metadata().unwrap().mode();
        spoil(&path);
        let sentence = format!("{} {sentence}", path.display());
        let of_a_file = sentence.replacen(' ', ": error: ", 1);
        let is_told = |said: &str| said.contains(&sentence) || said.contains(&of_a_file);

        let second = stand.cli(&["run"]);
        assert!(second.code == 78 && is_told(&second.err), "{sentence}: {second:?}");
        // It proves all rules, which takes a while: once for each way to be told.
        if checked.insert(key) {
            let check = stand.cli(&["check"]);
            assert!(check.code == 78 && is_told(&check.out), "{sentence}: {check:?}");
            let is_cited = |line: &str| key.is_empty() || line.contains(" | ") && line.contains(key);
            assert!(check.out.lines().any(is_cited), "{key}: {check:?}");
        }
        let reload = stand.cli(&["reload"]);
        assert!(reload.code == 78 && is_told(&reload.err), "{sentence}: {reload:?}");
        assert!(reload.err.contains("the running configuration stays"), "{reload:?}");
        let doctor = stand.cli(&["doctor"]);
        assert!(is_told(&doctor.out) || is_told(&doctor.err), "{sentence}: {doctor:?}");
        assert_ne!(doctor.code, 0, "{doctor:?}");

        obey(&second.err);
        assert_eq!(path.metadata().unwrap().uid(), owner, "{sentence}");
        assert_eq!(path.metadata().unwrap().mode(), mode, "{sentence}");
        let reload = stand.cli(&["reload"]);
        assert_eq!(reload.code, 0, "{sentence}: {reload:?}");
    }
    stand.fail(ATTACKER, 5);
    stand.until("the daemon has done its work all the time", |stand| stand.has(ATTACKER));
}

#[test]
fn a_reload_that_is_refused_leaves_the_configuration_in_force() {
    if !is_root() {
        return;
    }
    let mut stand = furnished();
    stand.start();
    let [_, rules, ..] = CASES else { panic!("there are cases") };
    (rules.spoil)(&stand.file(rules.path));
    fs::write(stand.file("allow.txt"), format!("{ATTACKER}\n")).unwrap();
    assert_eq!(stand.cli(&["reload"]).code, 78);
    stand.fail(ATTACKER, 5);
    stand.until("who is not allowed yet is banned", |stand| stand.has(ATTACKER));
    chmod(&stand.file(rules.path), 0o755);
    assert_eq!(stand.cli(&["reload"]).code, 0);
    stand.until("who is allowed now is free", |stand| !stand.has(ATTACKER));
}

#[test]
fn a_link_in_another_users_state_directory_makes_root_move_nothing() {
    if !is_root() {
        return;
    }
    let stand = Stand::pf();
    stand.configure();
    let precious = stand.file("precious");
    fs::write(&precious, "root:x:0:0").unwrap();
    chmod(&precious, 0o600);
    symlink(&precious, stand.file("state/state.db")).unwrap();
    give_away(&stand.file("state"));
    for words in [&["run"][..], &["unban", "--offline", ATTACKER]] {
        let ended = stand.cli(words);
        assert!(ended.code == 78 && ended.err.contains(GIVEN_AWAY), "{words:?}: {ended:?}");
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "root:x:0:0");
    let names = fs::read_dir(stand.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().contains("damaged")));
}

#[test]
fn a_running_daemon_follows_no_link_in_place_of_its_database() {
    if !is_root() {
        return;
    }
    let mut stand = Stand::pf();
    stand.more = "privileges: single".to_owned();
    stand.start();
    let state = stand.file("state");
    let precious = stand.file("precious");
    fs::write(&precious, "root:x:0:0").unwrap();
    give_away(&state);
    fs::remove_file(state.join("state.db")).unwrap();
    symlink(&precious, state.join("state.db")).unwrap();
    stand.fail(ATTACKER, 5);
    stand.until("it is banned and a problem is told", |stand| {
        stand.has(ATTACKER) && stand.status()["problems"].to_string().contains(GIVEN_AWAY)
    });
    assert_eq!(fs::read_to_string(&precious).unwrap(), "root:x:0:0");
    chown(&state, Some(0), None).unwrap();
    fs::remove_file(state.join("state.db")).unwrap();
    stand.fail("198.18.0.1", 5);
    stand.until("all is stored again", |stand| {
        stand.has("198.18.0.1") && !stand.status()["problems"].to_string().contains(GIVEN_AWAY)
    });
    stand.stop(SIGTERM);
    stand.start();
    stand.until("nothing was lost", |stand| stand.bans().len() == 2);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "root:x:0:0");
}

#[test]
fn a_link_on_the_way_is_as_good_as_the_directory_it_lies_in() {
    if !is_root() {
        return;
    }
    let stand = Stand::pf();
    fs::create_dir(stand.file("strangers")).unwrap();
    symlink(stand.file("state"), stand.file("strangers/now")).unwrap();
    symlink("strangers/now", stand.file("link")).unwrap();
    stand.configure();
    let text = fs::read_to_string(stand.config()).unwrap();
    fs::write(stand.config(), text.replace("/state/state.db", "/link/state.db")).unwrap();
    let ended = stand.cli(&["check"]);
    assert_eq!(ended.code, 0, "root's links may lead anywhere: {ended:?}");
    give_away(&stand.file("strangers"));
    let sentence = format!("{} {GIVEN_AWAY}", stand.file("strangers").display());
    for words in [&["check"][..], &["run"]] {
        let ended = stand.cli(words);
        assert!(ended.code == 78 && (ended.out + &ended.err).contains(&sentence), "{sentence}");
    }
}

#[test]
fn a_program_that_somebody_else_may_change_is_not_run_any_more_and_the_rest_goes_on() {
    if !is_root() {
        return;
    }
    let mut stand = furnished();
    let tool = stand.fake.path();
    stand.start();
    chmod(&tool, 0o757);
    stand.fail(ATTACKER, 5);
    let sentence = format!("{} can be written by everybody (mode 0757)", tool.display());
    stand.until("it is a problem", |stand| {
        let problems = stand.status()["problems"].to_string();
        problems.contains(&sentence) && problems.contains(&format!("`chmod go-w {}`", tool.display()))
    });
    stand.until("it is banned all the same", |stand| stand.bans().contains(ATTACKER));
    assert!(!stand.has(ATTACKER));
    chmod(&tool, 0o755);
    stand.until("the ban is made up for", |stand| stand.has(ATTACKER));
}

#[test]
fn the_operators_own_programs_are_held_to_the_same_rule() {
    if !is_root() {
        return;
    }
    let stand = Stand::pf();
    stand.configure();
    let program = stand.file("block");
    fs::write(&program, "#!/bin/sh\nexit 0\n").unwrap();
    chmod(&program, 0o755);
    let text = fs::read_to_string(stand.config()).unwrap();
    let (before, after) = text.split_once("firewall: ").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    let command = format!("{{add: [{0}, '{{prefix}}'], remove: [{0}, '{{prefix}}']}}", program.display());
    fs::write(stand.config(), format!("{before}firewall: {{backend: command, command: {command}}}\n{after}"))
        .unwrap();
    let ended = stand.cli(&["check"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    open_to_the_group(&program);
    let ended = stand.cli(&["check"]);
    let sentence = format!("{} {OF_THE_GROUP}0775), who could change it", program.display());
    assert!(ended.code == 78 && ended.out.contains(&sentence), "{ended:?}");
}

#[test]
fn others_than_root_are_warned_of_what_they_read_and_run() {
    if !is_root() {
        return;
    }
    let stand = furnished();
    stand.configure();
    open_to_the_group(&stand.file("tools"));
    open_to_the_group(&stand.file("rules"));
    let mut command = Command::new(PROGRAM);
    command.args(["check", "--json", "-c"]).arg(stand.config()).uid(65534).gid(65534);
    let ended = run(&mut command, "");
    let told = ended.json()["diagnostics"].to_string();
    assert_eq!((ended.code, told.matches(OF_THE_GROUP).count()), (0, 2), "{told}");
}

/// A machine as FreeBSD and a Debian with merged `/usr` lay it out, in a directory.
#[test]
fn the_usual_places_with_their_links_are_accepted() {
    let dir = directory();
    let at = |name: &str| dir.path().join(name);
    for name in ["usr/sbin", "usr/home/me", "usr/local/etc/portcullis/rules.d", "var/db", "tmp/mine"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    for (link, target) in [("sbin", "usr/sbin"), ("home", "usr/home"), ("var/run", "../run")] {
        symlink(target, at(link)).unwrap();
    }
    symlink(at("home/me"), at("var/me")).unwrap();
    chmod(&at("tmp"), 0o1777);
    put("pfctl", &at("usr/sbin/pfctl"));
    fs::write(at("var/me/allow.txt"), "192.0.2.0/24\n").unwrap();
    fs::write(at("tmp/mine/own.yaml"), RULES).unwrap();
    fs::write(at("auth.log"), "").unwrap();
    let config = "sources: {auth: DIR/auth.log}\nrules_dir: DIR/tmp/mine\nallow: [{file: DIR/var/me/allow.txt}]\n\
                  state: DIR/var/db/portcullis/state.db\ncontrol: {socket: DIR/var/run/portcullis.sock}\n\
                  log: {to: stderr}\nfirewall: {backend: pf, table: bl, tool: DIR/sbin/pfctl}\n";
    let file = at("usr/local/etc/portcullis/portcullis.yaml");
    fs::write(&file, config.replace("DIR", &dir.path().display().to_string())).unwrap();
    let command = |word: &str| {
        let mut command = Command::new(PROGRAM);
        command.args([word, "-c"]).arg(&file);
        command
    };
    let checked = run(&mut command("check"), "");
    assert!(checked.code == 0 && checked.out.contains(" 0 errors, 0 warnings"), "{checked:?}");
    let daemon = Running::start(&mut command("run"));
    until("it starts", || daemon.says("started: ") == 1, || format!("{:#?}", daemon.said()));
    let doctor: Value = run(command("doctor").arg("--json"), "").json();
    let fit = doctor["findings"].as_array().unwrap().iter().filter(|found| found["about"] == "files");
    assert!(fit.clone().all(|found| found["grade"] == "ok") && fit.count() == 2, "{doctor}");
    daemon.signal(SIGTERM);
    let (status, said) = daemon.end();
    assert!(status.success(), "{said:#?}");
}
