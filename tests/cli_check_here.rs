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

#[test]
fn a_missing_directory_is_a_warning_in_the_order_of_the_lines() {
    let dir = Dir::new();
    let ran = checked(&dir, "state: DIR/no/d/s.db\ncontrol: {socket: DIR/no/s}\nrule_sets: []");
    assert_eq!(ran.code, 0, "{ran:?}");
    let places: Vec<&str> = ran.out.lines().filter(|line| line.contains("warning: ")).collect();
    for (line, place) in places.iter().zip(["p.yaml:3:8: ", "p.yaml:4:19: ", "p.yaml:5:12: "]) {
        assert!(line.contains(place), "{place}: {ran:?}");
    }
    assert_eq!(places.len(), 3, "{ran:?}");
    assert!(!checked(&dir, "state: DIR/no/s.db").out.contains("warning: "), "the daemon makes that one");
    assert!(places[0].contains("no directory") && places[0].contains("install -d"), "{ran:?}");
}
