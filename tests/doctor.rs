//! `doctor` on machines in all states, with the strict fakes of pfctl and ipfw.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;

use portcullis::doctor::{Finding, Grade, Surroundings, examine};
use tempfile::TempDir;

use crate::fakes_support::put;

/// A machine with a configuration, a log and a fake firewall.
struct Machine {
    dir: TempDir,
    tool: PathBuf,
}

impl Machine {
    fn new(tool: &str, firewall: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let program = dir.path().join(tool);
        put(tool, &program);
        let at = dir.path().display();
        let config = format!(
            "sources: {{auth: '{at}/auth.log'}}\nrules_dir: '{at}/rules.d'\nstate: '{at}/state.db'\n\
             control: {{socket: '{at}/sock'}}\nallow: [192.0.2.0/24]\n\
             firewall: {{{firewall}, table: bl, tool: '{}'}}\n",
            program.display()
        );
        fs::write(dir.path().join("portcullis.yaml"), config).expect("a configuration");
        fs::write(dir.path().join("auth.log"), "").expect("a log");
        Self { dir, tool: program }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name, &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        path
    }

    /// Runs the firewall's tool.
    fn set(&self, args: &[&str]) {
        let run = Command::new(&self.tool).args(args).output().expect("the fake starts");
        assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
    }

    fn pf_rules(&self, rules: &str) {
        let file = self.file("pf.conf", rules);
        self.set(&["-f", &file.display().to_string()]);
    }

    fn examine(&self) -> Vec<Finding> {
        let at = Surroundings {
            sshd_config: self.dir.path().join("sshd_config"),
            is_freebsd: true,
            sysctl: self.script("sysctl", "case \"$*\" in *fw.enable*) echo 1; echo 1;; *) echo 0;; esac"),
            ps: self.script("ps", "echo /usr/sbin/syslogd -s -cc"),
            sshd: self.script("sshd", "echo usedns no"),
            session: Some("192.0.2.7 52548 192.0.2.1 22".to_owned()),
        };
        examine(Some(&self.dir.path().join("portcullis.yaml")), &at).expect("a good configuration")
    }

    fn worst(&self, about: &str) -> Grade {
        let findings = self.examine();
        let grades = findings.iter().filter(|finding| finding.about == about).map(|finding| finding.grade);
        grades.max().unwrap_or_else(|| panic!("nothing about {about} in {findings:?}"))
    }

    fn command(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("doctor").arg("-c").arg(self.dir.path().join("portcullis.yaml")).args(more);
        command.env_remove("SSH_CONNECTION").env_remove("SSH_CLIENT").output().expect("it starts")
    }
}

const GOOD: &str = "table <bl> persist\nblock drop in quick from <bl> to any\npass all\n";

#[test]
fn pf_is_well_only_when_it_is_on_and_blocks_before_it_passes() {
    let machine = Machine::new("pfctl", "backend: pf");
    machine.pf_rules(GOOD);
    assert_eq!(machine.worst("firewall"), Grade::Problem, "pf is off");
    machine.set(&["-e"]);
    assert_eq!(machine.worst("firewall"), Grade::Ok);
    machine.pf_rules("table <bl> persist\npass in quick all\nblock drop in quick from <bl> to any\n");
    assert_eq!(machine.worst("firewall"), Grade::Problem, "the block rule comes too late");
    machine.pf_rules("pass all\n");
    assert_eq!(machine.worst("firewall"), Grade::Problem, "no rule at all");
}

#[test]
fn ipfw_is_well_only_with_a_table_and_a_deny_rule_and_looking_makes_neither() {
    let machine = Machine::new("ipfw", "backend: ipfw");
    for _ in 0..2 {
        let findings = machine.examine();
        assert!(findings.iter().any(|finding| finding.text.contains("has no table bl")), "{findings:?}");
    }
    machine.set(&["table", "bl", "create", "type", "addr"]);
    assert_eq!(machine.worst("firewall"), Grade::Problem, "no rule uses it");
    machine.set(&["add", "50", "deny", "ip", "from", "table(bl)", "to", "me"]);
    assert_eq!(machine.worst("firewall"), Grade::Ok);
}

#[test]
fn everything_around_the_firewall_is_looked_at() {
    let machine = Machine::new("pfctl", "backend: pf");
    let expected = [
        ("logs", Grade::Ok),
        ("kernel", Grade::Note),
        ("syslogd", Grade::Ok),
        ("sshd", Grade::Ok),
        ("daemon", Grade::Problem),
        ("lock-out", Grade::Ok),
        ("files", Grade::Ok),
    ];
    for (about, grade) in expected {
        assert_eq!(machine.worst(about), grade, "{about}");
    }
    fs::remove_file(machine.dir.path().join("auth.log")).expect("it was there");
    assert_eq!(machine.worst("logs"), Grade::Problem);
}

/// Answers every request at the machine's socket with these bytes, as a daemon of another version might.
fn daemon_that_answers(machine: &Machine, bytes: &'static [u8]) {
    let listener = UnixListener::bind(machine.dir.path().join("sock")).expect("a socket");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("somebody connects");
            BufReader::new(&stream).read_line(&mut String::new()).expect("a request");
            stream.write_all(bytes).expect("it is read");
        }
    });
}

#[test]
fn a_daemon_that_gives_an_unexpected_answer_is_a_problem_and_not_one_that_runs() {
    let machine = Machine::new("pfctl", "backend: pf");
    daemon_that_answers(&machine, b"{\"v\":1,\"ok\":\"pong\"}\n");
    let about_daemon: Vec<Finding> =
        machine.examine().into_iter().filter(|finding| finding.about == "daemon").collect();
    let [finding] = about_daemon.as_slice() else { panic!("{about_daemon:?}") };
    assert_eq!(finding.grade, Grade::Problem);
    assert!(finding.text.contains("gave an unexpected answer"), "{finding:?}");
}

#[test]
fn a_problem_is_exit_status_1_with_advice_and_json_says_the_same() {
    let machine = Machine::new("pfctl", "backend: pf");
    let text = machine.command(&[]);
    let printed = String::from_utf8_lossy(&text.stdout).into_owned();
    assert_eq!(text.status.code(), Some(1), "{printed}");
    assert!(printed.contains("PROBLEM  daemon      the daemon does not run"), "{printed}");
    let json: serde_json::Value = serde_json::from_slice(&machine.command(&["--json"]).stdout).expect("JSON");
    let findings = json["findings"].as_array().expect("an array");
    let problems: Vec<_> = findings.iter().filter(|finding| finding["grade"] == "problem").collect();
    assert_eq!(json["problems"], problems.len());
    assert!(problems.iter().all(|finding| finding["advice"].is_string()), "{json}");
}

#[test]
fn a_broken_configuration_is_exit_status_78() {
    let machine = Machine::new("pfctl", "backend: pf");
    machine.file("portcullis.yaml", "sorces: {}\n");
    assert_eq!(machine.command(&[]).status.code(), Some(78));
}

#[test]
fn reports_need_one_server_and_an_sshd_that_was_told_to_send_them() {
    let machine = Machine::new("pfctl", "backend: pf");
    let config = fs::read_to_string(machine.dir.path().join("portcullis.yaml")).unwrap();
    let socket = machine.dir.path().join("blocklistd.sock");
    let source = format!("sources: {{ssh: {{blocklist: '{}', services: {{22: sshd}}}}, ", socket.display());
    let reports = || -> Vec<Finding> {
        machine.examine().into_iter().filter(|finding| finding.about == "reports").collect()
    };
    assert_eq!(reports(), [], "without such a source it does not matter");
    machine.file("portcullis.yaml", &config.replace("sources: {", &source));
    let [ours, sshd] = reports().try_into().expect("the socket and sshd");
    assert!(ours.text.contains("nobody takes reports"), "{ours:?}");
    assert!(sshd.grade == Grade::Problem && sshd.text.contains("UseBlocklist is not `yes`"), "{sshd:?}");
    machine.file("sshd_config", "UseBlocklist yes\n");
    assert_eq!(reports()[1].grade, Grade::Ok);
    let _other = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    assert!(
        reports()[0].grade == Grade::Problem && reports()[0].text.contains("another server"),
        "{:?}",
        reports()
    );
}
