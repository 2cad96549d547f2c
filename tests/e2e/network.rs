//! The real thing: OpenSSH, nftables and three hosts, as network namespaces on one bridge.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use tempfile::TempDir;

use super::stand::{Ended, PROGRAM, Running, directory, run, until};

const NAMESPACES: &str = "for ns in $S $A $B; do ip netns add $ns && ip -n $ns link set lo up || exit; done";

/// Wires the namespaces to a bridge in the first one, the server.
const WIRE: &str = "
    set -e
    ip -n $S link add br0 type bridge
    ip -n $S addr add 198.18.0.1/24 dev br0
    ip -n $S addr add 2001:db8:77::1/48 dev br0 nodad
    ip -n $S link set br0 up
    wire() {
        ip -n $S link add $2 type veth peer name eth0 netns $1
        ip -n $S link set $2 master br0 up
        ip -n $1 addr add $3/24 dev eth0
        ip -n $1 addr add $4/48 dev eth0 nodad
        ip -n $1 link set eth0 up
    }
    wire $A to-a 198.18.0.7 2001:db8:77:a::7
    wire $B to-b 198.18.0.8 2001:db8:77:b::8";

/// Gives sshd a /dev/log of ours, in the mount namespace that `ip netns exec` makes anyway.
const SSHD: &str = "
    set -e
    mkdir -p /run/sshd $D/dev
    mount -t tmpfs -o mode=755 tmpfs $D/dev
    for node in null zero random urandom tty log; do touch $D/dev/$node; done
    for node in null zero random urandom tty; do mount --bind /dev/$node $D/dev/$node; done
    mount --bind $D/syslog $D/dev/log
    mount --rbind $D/dev /dev
    exec /usr/sbin/sshd -D -f $D/sshd_config";

/// The hosts, with sshd and the daemon on the first one.
struct Net {
    dir: TempDir,
    hosts: [String; 3],
    sshd: Option<Running>,
    daemon: Option<Running>,
}

const SERVER: usize = 0;
const ATTACKER: usize = 1;
const BYSTANDER: usize = 2;

impl Net {
    /// `None` where this cannot be had: no root, no ip, no nft, no sshd.
    fn new() -> Option<Self> {
        let me = std::process::id();
        let hosts = ["s", "a", "b"].map(|host| format!("pc-e2e-{me}-{host}"));
        let mut net = Self { dir: directory(), hosts, sshd: None, daemon: None };
        let made = run(&mut net.shell(NAMESPACES), "");
        let found = |tool: &str| PathBuf::from(tool).exists();
        if made.code != 0 || !found("/usr/sbin/sshd") || !found("/usr/bin/ssh") || !found("/usr/sbin/nft") {
            eprintln!("skipped 1 test: it needs root, network namespaces, sshd, ssh and nft: {}", made.err);
            return None;
        }
        let wired = run(&mut net.shell(WIRE), "");
        assert_eq!(wired.code, 0, "{wired:?}");
        net.prepare();
        net.start();
        Some(net)
    }

    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("D", self.dir.path());
        command
            .env("S", &self.hosts[SERVER])
            .env("A", &self.hosts[ATTACKER])
            .env("B", &self.hosts[BYSTANDER]);
        command
    }

    fn on(&self, host: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.hosts[host], program]).env("D", self.dir.path());
        command
    }

    fn prepare(&self) {
        let dir = self.dir.path();
        for key in ["host", "client"] {
            let made = run(
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key)),
                "",
            );
            assert_eq!(made.code, 0, "{made:?}");
        }
        let d = dir.display();
        let sshd = format!(
            "HostKey {d}/host\nAuthorizedKeysFile {d}/client.pub\nStrictModes no\nPermitRootLogin yes\nUsePAM no\n\
             PidFile none\nUseDNS no\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n"
        );
        fs::write(dir.join("sshd_config"), sshd).unwrap();
        fs::write(dir.join("askpass"), "#!/bin/sh\necho wrong\n").unwrap();
        fs::set_permissions(dir.join("askpass"), fs::Permissions::from_mode(0o755)).unwrap();
        let config = format!(
            "version: 1\nsources: {{auth: {d}/auth.log}}\nrules_dir: {d}/rules\nstate: {d}/state/state.db\n\
             control: {{socket: {d}/run/control.sock}}\nlog: {{to: stderr}}\n\
             firewall: {{backend: nftables, table: gate}}\n"
        );
        fs::write(dir.join("portcullis.yaml"), config).unwrap();
    }

    fn start(&mut self) {
        self.syslogd();
        self.sshd = Some(Running::start(self.on(SERVER, "sh").args(["-c", SSHD])));
        self.until("sshd answers", |net| net.banner(BYSTANDER, "198.18.0.1"));
        let config = self.dir.path().join("portcullis.yaml");
        self.daemon = Some(Running::start(self.on(SERVER, PROGRAM).arg("run").arg("-c").arg(config)));
        self.until("the daemon answers", |net| net.cli(&["status"]).code == 0);
    }

    /// Writes what sshd sends as syslogd does: `<38>Nov 23 23:16:01 sshd[7]: …` with the host, without the priority.
    fn syslogd(&self) {
        let socket = UnixDatagram::bind(self.dir.path().join("syslog")).unwrap();
        let mut log = File::create(self.dir.path().join("auth.log")).unwrap();
        thread::spawn(move || {
            let mut datagram = [0; 8192];
            while let Ok(length) = socket.recv(&mut datagram) {
                let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
                let Some((_, line)) = text.trim_end_matches('\0').split_once('>') else { continue };
                let (stamp, rest) = line.split_at(15);
                writeln!(log, "{stamp} host{rest}").unwrap();
            }
        });
    }

    fn cli(&self, words: &[&str]) -> Ended {
        run(Command::new(PROGRAM).args(words).arg("-c").arg(self.dir.path().join("portcullis.yaml")), "")
    }

    fn until(&self, what: &str, mut so: impl FnMut(&Self) -> bool) {
        until(
            what,
            || so(self),
            || {
                let log = fs::read_to_string(self.dir.path().join("auth.log")).unwrap_or_default();
                let said = [&self.sshd, &self.daemon].map(|it| it.as_ref().map(Running::said));
                format!("{log}\n{said:#?}")
            },
        );
    }

    fn ssh(&self, from: usize, to: &str, options: &[&str]) -> Ended {
        let mut command = self.on(from, "ssh");
        command.args(["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        command.args(["-o", "ConnectTimeout=5"]).args(options).args([&format!("root@{to}"), "true"]);
        run(
            command.env("SSH_ASKPASS", self.dir.path().join("askpass")).env("SSH_ASKPASS_REQUIRE", "force"),
            "",
        )
    }

    /// Guesses a password once.
    fn guess(&self, to: &str) {
        let options = ["-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"];
        let guessed = self.ssh(ATTACKER, to, &options);
        assert!(guessed.code == 255 && guessed.err.contains("Permission denied"), "{guessed:?}");
    }

    /// Logs in with the right key.
    fn logs_in(&self, from: usize, to: &str) -> bool {
        let key = self.dir.path().join("client").display().to_string();
        self.ssh(from, to, &["-i", &key, "-o", "IdentitiesOnly=yes"]).code == 0
    }

    /// Whether a connection reaches sshd.
    fn banner(&self, from: usize, to: &str) -> bool {
        let read = format!("exec 3<>/dev/tcp/{to}/22 && read -r -t 1 line <&3 && echo \"$line\"");
        let ended = run(self.on(from, "timeout").args(["1", "bash", "-c", &read]), "");
        ended.out.starts_with("SSH-2.0")
    }

    /// Five guesses, the end of the attacker's connections, and none of the bystander's; then mercy.
    fn scene(&self, server: &str, offender: &str, turn: impl FnOnce(&Self)) {
        assert!(self.banner(ATTACKER, server) && self.logs_in(BYSTANDER, server));
        (0..5).for_each(|_| self.guess(server));
        self.until("it is banned", |net| net.cli(&["bans"]).out.contains(offender));
        turn(self);
        self.until("the attacker is shut out", |net| !net.banner(ATTACKER, server));
        assert!(!self.banner(ATTACKER, server), "and stays out");
        assert!(self.logs_in(BYSTANDER, server), "the bystander goes on");
        let unbanned = self.cli(&["unban", offender]);
        assert_eq!(unbanned.code, 0, "{unbanned:?}");
        self.until("the attacker may come again", |net| net.banner(ATTACKER, server));
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.daemon = None;
        self.sshd = None;
        for host in &self.hosts {
            let _ = Command::new("ip").args(["netns", "del", host]).output();
        }
    }
}

#[test]
fn a_real_attacker_is_shut_out_and_a_bystander_is_not() {
    let Some(net) = Net::new() else { return };
    net.scene("198.18.0.1", "198.18.0.7", |_| {});
    net.scene("2001:db8:77::1", "2001:db8:77:a::/64", |net| {
        // From now on the attacker comes from another address of its network.
        let moved = "ip -n $A addr add 2001:db8:77:a::8/48 dev eth0 nodad; ip -n $A addr del 2001:db8:77:a::7/48 dev eth0";
        assert_eq!(run(&mut net.shell(moved), "").code, 0);
    });
}
