//! The rc.d script, run against a stand-in for rc.subr: what is started, what is signalled, and what is not.

use tempfile::TempDir;

use super::*;

/// A machine of its own in a temporary folder: rc.subr, daemon(8), the program and their files are stand-ins.
struct Machine {
    home: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { home: TempDir::new().unwrap() };
        let at = |path: &str| machine.at(path).display().to_string();
        let text = read(project("contrib/freebsd/portcullis.in"))
            .replace("/var/", &at("var/"))
            .replace("@PREFIX@", &at("local"))
            .replace("@ETCDIR@", &at("local/etc"))
            .replace("/etc/rc.subr", &project("tests/data/freebsd/rc.subr").display().to_string())
            .replace("/usr/sbin/daemon", &at("bin/daemon"));
        script(&machine.at("portcullis"), &text);
        script(
            &machine.at("bin/daemon"),
            "#!/bin/sh\necho \"malloc ${MALLOC_CONF-}\" >>\"$CALLS\"\necho \"daemon $*\" >>\"$CALLS\"\n",
        );
        // The real one is given an owner that exists on FreeBSD only.
        script(&machine.at("bin/install"), "#!/bin/sh\necho \"install $*\" >>\"$CALLS\"\n");
        machine.enable("");
        machine.write("local/etc/portcullis/portcullis.yaml", "");
        machine.check_says("portcullis.yaml: 1 source, 2 rule sets", 0);
        fs::create_dir_all(machine.at("var/run/portcullis")).unwrap();
        machine
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    /// rc.conf with the service on, and more lines.
    fn enable(&self, more: &str) {
        self.write("rc.conf", &format!("portcullis_enable=YES\n{more}\n"));
    }

    /// The program, of which only `check` is ever run here.
    fn check_says(&self, words: &str, code: u8) {
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = check ] && [ -r \"$3\" ] || exit 99\necho '{words}' >&2\nexit {code}\n"
        );
        script(&self.at("local/sbin/portcullis"), &text);
    }

    fn running(&self) {
        self.write("var/run/portcullis/supervisor.pid", "100");
        self.write("var/run/portcullis/portcullis.pid", "200");
    }

    /// daemon(8) was killed and has left the program behind; its pid is in one of these files.
    fn orphaned(&self, file: &str) {
        self.write("var/run/portcullis/supervisor.pid", "");
        self.write(file, "200");
    }

    fn service(&self, verb: &str) -> Ran {
        self.service_with(verb, "1")
    }

    /// With a supervisor that is gone after so many SIGTERMs.
    fn service_with(&self, verb: &str, terms: &str) -> Ran {
        let path = format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap());
        run(Command::new("sh")
            .arg(self.at("portcullis"))
            .arg(verb)
            .env("PATH", path)
            .env("CALLS", self.at("calls"))
            .env("TERMS", terms)
            .env("RC_CONF", self.at("rc.conf")))
    }

    /// What was started and signalled since the machine was made.
    fn calls(&self) -> String {
        fs::read_to_string(self.at("calls")).unwrap_or_default()
    }
}

#[test]
fn start_hands_the_program_to_daemon_with_both_pid_files() {
    let machine = Machine::new();
    let ran = machine.service("start");
    assert_eq!(ran.code, 0, "{ran:?}");
    let run = machine.at("var/run/portcullis").display().to_string();
    let calls = machine.calls();
    let started = calls.lines().find(|call| call.starts_with("daemon ")).expect("daemon(8) was started");
    assert!(started.contains(&format!("-P {run}/supervisor.pid -p {run}/portcullis.pid -R 5 ")), "{started}");
    let prefix = machine.at("local").display().to_string();
    let end = format!("{prefix}/sbin/portcullis run -c {prefix}/etc/portcullis/portcullis.yaml");
    assert!(started.trim_end().ends_with(&end), "{started}");
    assert!(calls.contains(&format!("install -d -o root -g wheel -m 0755 {run}\n")), "{calls}");
    assert!(calls.contains("-m 0711 ") && calls.contains("var/db/portcullis\n"), "{calls}");
}

#[test]
fn malloc_gives_pages_back_unless_rc_conf_says_otherwise() {
    for (conf, said) in [
        ("", "malloc retain:false,dirty_decay_ms:0\n"),
        ("portcullis_env=MALLOC_CONF=narenas:1", "malloc narenas:1\n"),
        ("portcullis_env=", "malloc \n"),
    ] {
        let machine = Machine::new();
        machine.enable(conf);
        assert_eq!(machine.service("start").code, 0);
        assert!(machine.calls().contains(said), "{conf}: {}", machine.calls());
    }
}

#[test]
fn flags_and_another_configuration_reach_the_program_and_not_daemon() {
    let machine = Machine::new();
    machine.write("other.yaml", "");
    let other = machine.at("other.yaml").display().to_string();
    machine.enable(&format!("portcullis_flags=--dry-run\nportcullis_config={other}"));
    assert_eq!(machine.service("start").code, 0);
    let calls = machine.calls();
    assert!(calls.trim_end().ends_with(&format!("run -c {other} --dry-run")), "{calls}");
    assert_eq!(calls.matches("--dry-run").count(), 1, "{calls}");
}

#[test]
fn nothing_starts_until_the_operator_says_so() {
    let machine = Machine::new();
    machine.write("rc.conf", "");
    let ran = machine.service("start");
    assert!(ran.stdout.contains("Set portcullis_enable to YES"), "{ran:?}");
    assert_eq!(machine.calls(), "");
    assert_eq!(machine.service("onestart").code, 0);
    assert!(machine.calls().contains("daemon "), "{}", machine.calls());
}

#[test]
fn a_faulty_configuration_is_not_started_and_its_errors_are_shown() {
    let machine = Machine::new();
    machine.check_says("portcullis.yaml:3:1: unknown key `alow`, did you mean `allow`?", 78);
    let ran = machine.service("start");
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("did you mean `allow`?"), "{ran:?}");
    assert!(ran.stderr.contains("service portcullis configtest"), "{ran:?}");
    assert_eq!(machine.calls(), "");
}

#[test]
fn a_missing_configuration_is_not_started() {
    let machine = Machine::new();
    fs::remove_file(machine.at("local/etc/portcullis/portcullis.yaml")).unwrap();
    assert_ne!(machine.service("start").code, 0);
    assert_eq!(machine.calls(), "");
}

#[test]
fn a_faulty_configuration_neither_stops_nor_reloads_what_runs() {
    let machine = Machine::new();
    machine.running();
    machine.check_says("portcullis.yaml:3:1: nonsense", 78);
    for verb in ["restart", "reload"] {
        let ran = machine.service(verb);
        assert_ne!(ran.code, 0, "{verb}");
        assert!(ran.stderr.contains("3:1: nonsense"), "{verb}: {ran:?}");
        assert_eq!(machine.calls(), "", "{verb}");
    }
}

#[test]
fn reload_signals_the_program_since_daemon_would_swallow_it() {
    let machine = Machine::new();
    machine.running();
    let ran = machine.service("reload");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(machine.calls(), "kill -HUP 200\n");
}

#[test]
fn reload_of_nothing_says_so() {
    let machine = Machine::new();
    let ran = machine.service("reload");
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("not running"), "{ran:?}");
    assert_eq!(machine.calls(), "");
}

#[test]
fn stop_ends_the_supervisor_or_it_would_start_the_program_again() {
    let machine = Machine::new();
    machine.running();
    assert_eq!(machine.service("stop").code, 0);
    assert!(machine.calls().starts_with("kill -TERM 100\n"), "{}", machine.calls());
    let again = machine.service("stop");
    assert_eq!((again.code, again.stdout.as_str()), (1, "portcullis is not running.\n"));
}

#[test]
fn stop_waits_for_the_program_too_since_daemon_of_13_2_does_not() {
    let machine = Machine::new();
    machine.running();
    assert_eq!(machine.service("stop").code, 0);
    assert_eq!(machine.calls(), "kill -TERM 100\nwait 200\n");
}

#[test]
fn stop_goes_on_until_the_supervisor_has_heard_it() {
    let machine = Machine::new();
    machine.running();
    // Between two starts of the program there is no child to wait for.
    machine.write("var/run/portcullis/portcullis.pid", "");
    assert_eq!(machine.service_with("stop", "3").code, 0);
    assert_eq!(machine.calls(), "kill -TERM 100\n".repeat(3));
}

#[test]
fn restart_checks_first_then_stops_then_starts() {
    let machine = Machine::new();
    machine.running();
    assert_eq!(machine.service("restart").code, 0);
    let calls = machine.calls();
    let at = |what: &str| calls.find(what).unwrap_or_else(|| panic!("{what} is missing in {calls}"));
    assert!(at("kill -TERM 100") < at("wait 200") && at("wait 200") < at("daemon "), "{calls}");
}

#[test]
fn status_tells_a_running_program_from_one_that_keeps_dying() {
    let machine = Machine::new();
    let ran = machine.service("status");
    assert_eq!((ran.code, ran.stdout.as_str()), (1, "portcullis is not running.\n"));
    machine.running();
    let ran = machine.service("status");
    assert_eq!(ran.code, 0);
    assert_eq!(ran.stdout, "portcullis is running as pid 200, supervised by pid 100.\n");
    machine.write("var/run/portcullis/portcullis.pid", "");
    let ran = machine.service("status");
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("its supervisor (pid 100) starts it again every 5 seconds"), "{ran:?}");
}

/// The pid file of daemon(8) may be gone with it; the program signs its lock itself.
const OF_THE_PROGRAM: [&str; 2] =
    ["var/run/portcullis/portcullis.pid", "var/run/portcullis/portcullis.sock.lock"];

#[test]
fn a_program_whose_supervisor_was_killed_is_found_and_stopped() {
    for file in OF_THE_PROGRAM {
        let machine = Machine::new();
        machine.orphaned(file);
        let ran = machine.service("status");
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains("running as pid 200 without its supervisor"), "{ran:?}");
        assert!(ran.stdout.contains("service portcullis restart"), "{ran:?}");
        let ran = machine.service("stop");
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(ran.stdout, "Stopping portcullis (pid 200), which had lost its supervisor.\n");
        assert_eq!(machine.calls(), "kill -TERM 200\nwait 200\n");
        assert_eq!(machine.service("status").stdout, "portcullis is not running.\n");
    }
}

#[test]
fn a_second_one_is_not_started_beside_a_program_whose_supervisor_was_killed() {
    for file in OF_THE_PROGRAM {
        let machine = Machine::new();
        machine.orphaned(file);
        let ran = machine.service("start");
        assert_ne!(ran.code, 0);
        assert!(ran.stderr.contains("running as pid 200 without its supervisor"), "{ran:?}");
        assert_eq!(machine.calls(), "");
        assert_eq!(machine.service("reload").code, 0);
        assert_eq!(machine.calls(), "kill -HUP 200\n");
    }
}

#[test]
fn restart_gives_a_program_whose_supervisor_was_killed_another_one() {
    let machine = Machine::new();
    machine.orphaned(OF_THE_PROGRAM[0]);
    let ran = machine.service("restart");
    assert_eq!(ran.code, 0, "{ran:?}");
    let calls = machine.calls();
    let at = |what: &str| calls.find(what).unwrap_or_else(|| panic!("{what} is missing in {calls}"));
    assert!(at("kill -TERM 200") < at("wait 200") && at("wait 200") < at("daemon "), "{calls}");
}

#[test]
fn configtest_shows_what_check_says_and_its_verdict() {
    let machine = Machine::new();
    let ran = machine.service("configtest");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, "portcullis.yaml: 1 source, 2 rule sets\n"));
    machine.check_says("nonsense", 78);
    assert_ne!(machine.service("configtest").code, 0);
    assert_eq!(machine.calls(), "");
}

#[test]
fn no_name_of_ours_replaces_daemon() {
    // rc.subr starts $portcullis_program in place of $command: without supervision, and in the foreground at boot.
    assert!(!read(project("contrib/freebsd/portcullis.in")).contains("\nportcullis_program"));
}
