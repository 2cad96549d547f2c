//! The systemd unit gives the daemon what it needs: the real program runs with the capabilities that the unit leaves it.

use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Group, geteuid};
use tempfile::TempDir;

use super::*;

const UNIT: &str = "contrib/linux/portcullis.service.in";

/// How long the daemon may take to make its socket on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends the daemon, however the test does.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `+net_admin,+chown` of `CapabilityBoundingSet=CAP_NET_ADMIN CAP_CHOWN`, as setpriv(1) has it.
fn bounding_set() -> String {
    let unit = read(project(UNIT));
    let set = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    let names = set.split(' ').map(|name| format!("+{}", name.strip_prefix("CAP_").unwrap().to_lowercase()));
    names.collect::<Vec<_>>().join(",")
}

#[test]
fn the_socket_can_be_given_to_a_group_with_the_capabilities_of_the_unit() {
    let has_setpriv = Command::new("setpriv").arg("--version").output().is_ok();
    let group = Group::from_name("daemon").ok().flatten();
    let (true, true, Some(group)) = (geteuid().is_root(), has_setpriv, group) else {
        println!("skipped: needs root, setpriv(1) and a group `daemon`");
        return;
    };
    let dir = TempDir::new().unwrap();
    let here = dir.path().display();
    let config = dir.path().join("portcullis.yaml");
    let text = format!(
        "rules_dir: {here}/rules.d\nstate: {here}/state.db\nlog: {{to: stderr}}\nsources: {{log: '{here}/auth.log'}}\n\
         control: {{socket: '{here}/portcullis.sock', group: daemon}}\n"
    );
    fs::create_dir(dir.path().join("rules.d")).unwrap();
    fs::write(&config, text).unwrap();

    let mut command = Command::new("setpriv");
    command.args(["--no-new-privs", "--inh-caps=-all", &format!("--bounding-set=-all,{}", bounding_set())]);
    command.arg(env!("CARGO_BIN_EXE_portcullis")).args(["run", "-c"]).arg(&config);
    let mut daemon = Daemon(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());

    let socket = dir.path().join("portcullis.sock");
    let began = Instant::now();
    loop {
        let ended = daemon.0.try_wait().unwrap();
        assert_eq!(ended, None, "the daemon must not end");
        assert!(began.elapsed() < PATIENCE, "no socket of the group appeared");
        if fs::metadata(&socket).is_ok_and(|about| about.gid() == group.gid.as_raw()) {
            return;
        }
        std::thread::yield_now();
    }
}
