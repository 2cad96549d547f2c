//! `portcullis setup`: what it proposes is a configuration, complete and for this machine.

use std::fs;
use std::process::Command;

use crate::util::Dir;

#[test]
fn what_is_proposed_here_passes_the_check_and_names_who_asks() {
    let dir = Dir::new();
    let proposed =
        dir.portcullis(["setup", "-c", "p.yaml"]).env("SSH_CONNECTION", "192.0.2.5 50000 192.0.2.1 22").run();
    assert_eq!(proposed.code, 0, "{proposed:?}");
    assert!(
        proposed.err.contains("nothing was written") && !dir.path().join("p.yaml").exists(),
        "{proposed:?}"
    );
    assert!(proposed.out.contains("\n  - 192.0.2.5  # your ssh session comes from there\n"), "{proposed:?}");
    let written = dir.portcullis(["setup", "--write", "-c", "p.yaml"]).ok();
    assert!(written.starts_with("Written: p.yaml\n") && written.contains("1. "), "{written}");
    let text = fs::read_to_string(dir.path().join("p.yaml")).unwrap();
    assert!(text.contains("\nallow: []\n") && text.contains("\nrule_sets: [sshd"), "{text}");
    let told = dir.portcullis(["check", "-c", "p.yaml"]).ok();
    assert!(told.contains(": 0 errors, "), "{told}");
    let again = dir.portcullis(["setup", "--write", "-c", "p.yaml"]).run();
    again.assert(1, "p.yaml is there, and was not touched: --overwrite moves it aside first");
    let over = dir.portcullis(["setup", "--write", "--overwrite", "-c", "p.yaml"]).ok();
    assert!(over.contains("The one before is p.yaml.old\n"), "{over}");
    let json = dir.portcullis(["setup", "--json", "-c", "new.yaml"]).json();
    assert!(json["written"] == false && json["kept"].is_null() && json["steps"].is_array(), "{json}");
    dir.portcullis(["setup", "--overwrite"]).run().assert(64, "--write");
}

/// Three commands on a machine that logs to the journal only; in a namespace with logs of its own.
#[test]
fn on_a_machine_with_a_journal_only_the_journal_is_proposed_and_nothing_is_missing() {
    let dir = Dir::new();
    let program = env!("CARGO_BIN_EXE_portcullis");
    let script = format!(
        "mount -t tmpfs none /var/log && mount -t tmpfs none /run || exit 99\n\
         mkdir -p /run/systemd/journal; touch /run/systemd/journal/socket\n\
         {program} setup --write -c {0}/p.yaml && exec {program} check -c {0}/p.yaml",
        dir.path().display()
    );
    let ran = Command::new("unshare").args(["-m", "sh", "-c", &script]).output();
    let Some(ran) = ran.ok().filter(|ran| ran.status.code() == Some(0)) else {
        eprintln!("skipped: `unshare -m` and mount need root");
        return;
    };
    let text = fs::read_to_string(dir.path().join("p.yaml")).expect("it was written");
    assert!(text.contains("\nsources:\n  journal: {journal: all}\n"), "{text}");
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    let is_there = std::path::Path::new("/usr/bin/journalctl").exists();
    assert_eq!(!told.contains("no log to read"), is_there, "{told}");
}
