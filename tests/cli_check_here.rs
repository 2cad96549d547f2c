//! `portcullis check` knows what `run` would fail at on this machine: a group, the places of database and socket.

use crate::util::{Dir, Ran};

/// A configuration with these lines below two fixed ones, checked.
fn checked(dir: &Dir, lines: &str) -> Ran {
    let here = dir.path().display().to_string();
    let text = format!("rules_dir: {here}\nlog: {{to: stderr}}\n{}\n", lines.replace("DIR", &here));
    dir.write("etc/p.yaml", text);
    dir.portcullis(["check", "-c", "etc/p.yaml"]).run()
}

#[test]
fn what_the_daemon_would_not_start_with_is_an_error_at_its_key() {
    for (line, place) in [
        ("control: {group: no-such-group, socket: DIR/s}", "3:18: error: there is no group `no-such-group`"),
        ("state: DIR", "3:8: error: "),
        ("control: {socket: DIR/etc}", "3:19: error: "),
        ("control: {socket: DIR/etc/p.yaml}", "3:19: error: "),
    ] {
        let dir = Dir::new();
        let ran = checked(&dir, line);
        let place = format!("etc/p.yaml:{place}");
        assert!(ran.code == 78 && ran.out.contains(&place), "{line}: {place}: {ran:?}");
        let run = dir.portcullis(["run", "-c", "etc/p.yaml"]).run();
        assert!(run.code == 78 && run.err.contains(&place), "run says the same: {run:?}");
        let scan = dir.portcullis(["scan", "-c", "etc/p.yaml", "-"]).stdin("\n").run();
        assert_eq!(scan.code, 0, "the file may be another machine's: {scan:?}");
    }
}

/// The warnings but for those that no test of a setting is about: its configuration names no firewall.
fn warnings(told: &str) -> Vec<&str> {
    told.lines().filter(|line| line.contains("warning: ") && !line.contains("not protecting: ")).collect()
}

#[test]
fn a_missing_directory_is_a_warning_in_the_order_of_the_lines() {
    let dir = Dir::new();
    let ran = checked(&dir, "state: DIR/no/d/s.db\ncontrol: {socket: DIR/no/s}\nrule_sets: []");
    assert_eq!(ran.code, 0, "{ran:?}");
    let places = warnings(&ran.out);
    for (line, place) in places.iter().zip(["p.yaml:3:8: ", "p.yaml:4:19: ", "p.yaml:5:12: "]) {
        assert!(line.contains(place), "{place}: {ran:?}");
    }
    assert_eq!(places.len(), 3, "{ran:?}");
    assert_eq!(warnings(&checked(&dir, "state: DIR/no/s.db").out), [""; 0], "the daemon makes that one");
    assert!(places[0].contains("no directory") && places[0].contains("install -d"), "{ran:?}");
}

#[test]
fn a_log_that_the_systemd_unit_hides_is_warned_of_where_the_unit_checks() {
    let dir = Dir::new();
    let hidden = ["/home/anna/app.log", "/root/x", "/tmp/x/y.log", "/var/tmp/*.log"];
    let sources: String =
        hidden.iter().zip('a'..).map(|(path, name)| format!("  {name}: '{path}'\n")).collect();
    let text = format!(
        "rules_dir: {0}\nlog: {{to: stderr}}\nsources:\n{sources}  seen: /var/log/x.log\n",
        dir.path().display()
    );
    dir.write("etc/p.yaml", text);
    let check = ["check", "-c", "etc/p.yaml"];
    let told = dir.portcullis(check).env("INVOCATION_ID", "5c0ae2e7").ok();
    let warnings: Vec<&str> = told.lines().filter(|line| line.contains("the systemd unit hides")).collect();
    for (line, (path, setting)) in warnings.iter().zip([
        ("/home", "ProtectHome=read-only"),
        ("/root", "ProtectHome=read-only"),
        ("/tmp", "PrivateTmp=no"),
        ("/var/tmp", "PrivateTmp=no"),
    ]) {
        assert!(line.contains(&format!("hides {path} from")) && line.contains(setting), "{line}");
    }
    assert_eq!(warnings.len(), 4, "{told}");
    assert!(!dir.portcullis(check).ok().contains("systemd"), "without a unit nothing is hidden");
}

#[test]
fn a_log_that_is_not_there_or_is_a_directory_is_warned_of_at_its_source() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path().join("logs")).unwrap();
    dir.write("there.log", "");
    let sources = "sources:\n  one: DIR/there.log\n  two: DIR/gone.log\n  three: {path: DIR/logs}\n  four: DIR/logs/*.log\n  five: '-'";
    let ran = checked(&dir, sources);
    assert_eq!(ran.code, 0, "{ran:?}");
    let [gone, directory] = warnings(&ran.out)[..] else { panic!("{ran:?}") };
    assert!(
        gone.contains("p.yaml:5:8: warning: there is no file ") && gone.contains("once it appears"),
        "{gone}"
    );
    assert!(directory.contains("p.yaml:6:10: warning: ") && directory.contains("/logs/*.log"), "{directory}");
}

#[test]
fn two_paths_in_one_are_warned_of_with_the_way_to_write_them() {
    let dir = Dir::new();
    let ran = checked(&dir, "sources: {auth: /var/log/auth.log /var/log/messages}");
    let advice = "for two files write two sources, as in `a: /var/log/auth.log` and `b: /var/log/messages`";
    assert!(ran.code == 0 && ran.out.contains(advice), "{ran:?}");
    dir.write("my own.log", "");
    assert!(
        !checked(&dir, "sources: {auth: 'DIR/my own.log'}").out.contains("two sources"),
        "a blank may be in a name"
    );
}

#[test]
fn a_command_that_learns_nobodys_address_is_an_error() {
    let dir = Dir::new();
    let command =
        |command: &str| checked(&dir, &format!("firewall: {{backend: command, command: {{{command}}}}}"));
    let ran = command("add: [/bin/echo, add], remove: [/bin/sh, -c, \"echo del <ip>\"]");
    assert_eq!(
        (ran.code, ran.out.matches("would not learn whose address it is").count()),
        (78, 2),
        "{ran:?}"
    );
    assert!(ran.out.contains("`<ip>` stands for nothing: write `'{prefix}'`"), "{ran:?}");
    for good in [
        "add: [/bin/echo, add], remove: [/bin/echo, del], batch: true",
        "add: [/bin/echo, '--to={prefix}'], remove: [/bin/echo, del], batch: true",
        "add: [/bin/echo, '--to={prefix}'], remove: [/bin/echo, '{prefix}']",
    ] {
        let ran = command(good);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

#[test]
fn a_wrong_value_brings_no_warning_about_what_stands_in_its_place() {
    let dir = Dir::new();
    for (lines, place) in [
        (
            "defaults: {threshold: {offences: 5, within: 10 minutes}, ban: {for: 1y, escalate: {factor: 2, max: forever}}}",
            "`max`",
        ),
        ("defaults: {ban: {for: 1h, escalate: {forget: 1}}}\nhistory: {keep: 1d}", "`forget`"),
        ("firewall: {backend: pf, converge: 1s, timeout: x}", "`timeout`"),
        ("sources: {a: relative.log, b: /nonexistent/file}", "`a`"),
    ] {
        let ran = checked(&dir, lines);
        let told: Vec<&str> =
            ran.out.lines().filter(|line| line.contains("error: ") || line.contains("warning: ")).collect();
        assert!(ran.code == 78 && told.len() == 1 && told[0].contains(place), "{lines}: {told:#?}");
    }
}

#[test]
fn a_no_break_space_is_named_where_it_stands() {
    let dir = Dir::new();
    let ran = checked(&dir, "allow:\u{a0}[192.0.2.0/24]");
    assert!(
        ran.code == 78 && ran.out.contains("p.yaml:3:7: error: a no-break space (U+00A0) stands here"),
        "{ran:?}"
    );
    let ran = checked(&dir, "\u{a0}allow: [192.0.2.0/24]");
    assert!(ran.code == 78 && ran.out.contains("a no-break space (U+00A0)"), "{ran:?}");
}

#[test]
fn an_allow_file_that_names_nobody_is_warned_of() {
    let dir = Dir::new();
    dir.write("allow.txt", "# nobody\n");
    let ran = checked(&dir, "allow: [{file: DIR/allow.txt}]");
    assert!(ran.code == 0 && ran.out.contains("allow.txt: warning: the file names no network"), "{ran:?}");
}

#[test]
fn a_configuration_by_which_nobody_would_be_blocked_is_warned_of_with_the_remedy() {
    let dir = Dir::new();
    let gaps = |told: &str| told.lines().filter(|line| line.contains("not protecting: ")).count();
    let nothing = checked(&dir, "sources: {auth: DIR/gone.log, more: DIR/*.gone}");
    assert!(nothing.code == 0 && gaps(&nothing.out) == 2, "{nothing:?}");
    assert!(nothing.out.contains("p.yaml:3:10: warning: not protecting: no log to read"), "{nothing:?}");
    assert!(nothing.out.contains("`firewall: {backend: "), "{nothing:?}");
    dir.write("there.log", "");
    let firewall = "firewall: {backend: pf}";
    for there in ["DIR/there.log", "DIR/*.log", "'-'"] {
        let told = checked(&dir, &format!("sources: {{auth: {there}, more: DIR/gone.log}}\n{firewall}")).out;
        assert_eq!(gaps(&told), 0, "{there}: {told}");
    }
}

/// Without a word on `sources`, Linux reads the logs that are there, or else the journal; in a namespace with logs of its own.
#[test]
fn where_no_log_is_there_the_default_is_the_journal_and_where_one_is_that_log() {
    if !cfg!(target_os = "linux") || !std::path::Path::new("/usr/bin/journalctl").exists() {
        eprintln!("skipped: there is no journalctl here");
        return;
    }
    let dir = Dir::new();
    dir.write("p.yaml", format!("firewall: {{backend: pf}}\nrules_dir: {}/rules\n", dir.path().display()));
    let program = env!("CARGO_BIN_EXE_portcullis");
    let told = |here: &str| {
        let script = format!(
            "mount -t tmpfs none /var/log && mount -t tmpfs none /run || exit 99\n{here}\n\
             exec {program} check -c {}/p.yaml",
            dir.path().display()
        );
        let ran = std::process::Command::new("unshare").args(["-m", "sh", "-c", &script]).output();
        ran.ok()
            .filter(|ran| ran.status.success())
            .map(|ran| String::from_utf8_lossy(&ran.stdout).into_owned())
    };
    let Some(nothing) = told("") else {
        eprintln!("skipped: `unshare -m` and mount need root");
        return;
    };
    assert!(
        nothing.contains("not protecting: no log to read: nothing readable is at /var/log/auth.log"),
        "{nothing}"
    );
    let journal = "mkdir -p /run/systemd/journal; touch /run/systemd/journal/socket";
    for here in [journal, "touch /var/log/auth.log", "touch /var/log/secure"] {
        let told = told(here).expect("it ran before");
        assert!(!told.contains("not protecting"), "{here}: {told}");
    }
    dir.write("p.yaml", "sources: {auth: /var/log/auth.log}\nfirewall: {backend: pf}\n");
    let named = told(journal).expect("it ran before");
    let remedy = "no log to read (this machine logs to the systemd journal only): `sources: {journal: {journal: all}}`";
    assert!(named.contains(remedy), "{named}");
}
