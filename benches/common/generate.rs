//! A log to measure on: 70 % noise and 30 % failures of 5,000 addresses, as a FreeBSD host under attack writes it.
//!
//! The same seed gives the same bytes. Connections overlap, have pids of their own and say what sshd says from the
//! first line to the last; time moves on by about half a second a line. The first line is of 10 November.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// So many addresses attack; every eighth has IPv6.
const ATTACKERS: usize = 5000;

/// Connections that are open at a time.
const OPEN: usize = 12;

/// How many lines in a hundred tell of a failure.
const FAILURES: u64 = 30;

const USERS: [&str; 16] = [
    "root",
    "admin",
    "oracle",
    "test",
    "ubuntu",
    "git",
    "postgres",
    "pi",
    "user",
    "ftp",
    "deploy",
    "www",
    "nagios",
    "support",
    "guest",
    "minecraft",
];
const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Writes whole lines until there are at least `bytes` of them, and says how many lines that were.
pub(crate) fn log(bytes: u64, seed: u64, out: &mut impl Write) -> io::Result<u64> {
    let mut host = Host::new(seed);
    let (mut line, mut written, mut lines) = (String::with_capacity(256), 0, 0);
    while written < bytes {
        line.clear();
        host.say(&mut line);
        line.push('\n');
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
        lines += 1;
    }
    Ok(lines)
}

/// Steele's `SplitMix64`: small, seedable, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).expect("an index")]
    }
}

/// The host whose log this is.
struct Host {
    dice: Dice,
    /// Milliseconds since the beginning of 10 November.
    now: u64,
    pid: u32,
    attackers: Vec<IpAddr>,
    open: Vec<Connection>,
}

/// One attacker's connection: what is left to be said about it, the last line first.
struct Connection {
    pid: u32,
    lines: Vec<String>,
}

impl Host {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let attackers = (0..ATTACKERS).map(|index| address(&mut dice, index % 8 == 7)).collect();
        Self { dice, now: 0, pid: 1000, attackers, open: Vec::new() }
    }

    fn say(&mut self, line: &mut String) {
        self.now += self.dice.below(1000);
        let (day, second) = (self.now / 86_400_000, self.now / 1000 % 86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        // 20 days; a longer log begins again, which no log of 300 MB does.
        write!(line, "Nov {:2} {hour:02}:{minute:02}:{second:02} gw ", 10 + day % 20).expect("a string");
        if self.dice.below(100) < FAILURES {
            let (pid, text) = self.failure();
            write!(line, "sshd[{pid}]: {text}").expect("a string");
        } else {
            self.noise(line);
        }
    }

    fn new_pid(&mut self) -> u32 {
        self.pid = if self.pid >= 99_999 { 1000 } else { self.pid + 1 };
        self.pid
    }

    /// The next line of one of the open connections.
    fn failure(&mut self) -> (u32, String) {
        while self.open.len() < OPEN {
            let pid = self.new_pid();
            let lines = self.attack();
            self.open.push(Connection { pid, lines });
        }
        let index = usize::try_from(self.dice.below(OPEN as u64)).expect("an index");
        let connection = &mut self.open[index];
        let line = connection.lines.pop().expect("a connection without lines is closed");
        let pid = connection.pid;
        if connection.lines.is_empty() {
            self.open.swap_remove(index);
        }
        (pid, line)
    }

    /// All that sshd says about one connection of an attacker, in reverse order.
    fn attack(&mut self) -> Vec<String> {
        // The smaller of two draws: some attack far more than others.
        let who = self.dice.below(ATTACKERS as u64).min(self.dice.below(ATTACKERS as u64));
        let peer = self.attackers[usize::try_from(who).expect("an index")];
        let port = 1024 + self.dice.below(60_000);
        let user = self.dice.pick(&USERS);
        let guesses = 1 + self.dice.below(3);
        let mut lines = match self.dice.below(10) {
            0..=3 => unknown_user(user, peer, port, guesses),
            4..=6 => known_user(peer, port, guesses),
            7 => through_pam(user, peer, port, guesses),
            8 => vec![
                format!("Invalid user {user} from {peer} port {port}"),
                format!("Connection closed by invalid user {user} {peer} port {port} [preauth]"),
            ],
            _ => scan(&mut self.dice, peer, port),
        };
        lines.reverse();
        lines
    }

    fn noise(&mut self, line: &mut String) {
        let (pid, who) = (self.new_pid(), self.dice.pick(&PEOPLE));
        let (number, other) = (self.dice.below(1 << 24), self.dice.below(60_000));
        let peer = Ipv4Addr::from(0xc633_6400 | u32::try_from(number & 0xff).expect("a byte"));
        match self.dice.below(16) {
            0..=2 => write!(line, "/usr/sbin/cron[{pid}]: (root) CMD (/usr/libexec/atrun)"),
            3 => write!(line, "/usr/sbin/cron[{pid}]: (operator) CMD (/usr/libexec/save-entropy)"),
            4 => write!(line, "sudo[{pid}]:    {who} : TTY=pts/{} ; PWD=/home/{who} ; USER=root ; COMMAND=/usr/bin/less /var/log/auth.log", number % 10),
            5 => write!(line, "ntpd[811]: 192.0.2.123 local addr 198.51.100.1 -> <null> offset {}.{other:06} sec", number % 2),
            6 | 7 => write!(line, "postfix/smtpd[{pid}]: connect from mail{number}.example.net[{peer}]"),
            8 => write!(line, "postfix/smtpd[{pid}]: disconnect from mail{number}.example.net[{peer}] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"),
            9 | 10 => write!(line, "postfix/qmgr[1122]: {number:010X}: from=<{who}@example.org>, size={other}, nrcpt=1 (queue active)"),
            11 => write!(line, "postfix/smtp[{pid}]: {number:010X}: to=<list@example.net>, relay=mx.example.net[{peer}]:25, delay=1.{}, delays=0.1/0.01/0.4/0.5, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {number:010X})", other % 100),
            12 => write!(line, "dhclient[601]: DHCPREQUEST on em0 to 192.0.2.254 port 67 (xid=0x{number:x})"),
            13 => write!(line, "dhclient[601]: bound to 198.51.100.1 -- renewal in {other} seconds."),
            14 => write!(line, "sshd[{pid}]: Accepted publickey for {who} from {peer} port {} ssh2: ED25519 SHA256:aC2UQe4piBfaFwr2ne0PItnl9AcHqZOYrWjDmqpOzvE", 1024 + other),
            _ => write!(line, "sshd[{pid}]: Disconnected from user {who} {peer} port {}", 1024 + other),
        }
        .expect("a string");
    }
}

fn unknown_user(user: &str, peer: IpAddr, port: u64, guesses: u64) -> Vec<String> {
    let mut lines = vec![format!("Invalid user {user} from {peer} port {port}")];
    let failed = format!("Failed password for invalid user {user} from {peer} port {port} ssh2");
    lines.extend((0..guesses).map(|_| failed.clone()));
    lines.push(format!("Connection closed by invalid user {user} {peer} port {port} [preauth]"));
    lines
}

fn known_user(peer: IpAddr, port: u64, guesses: u64) -> Vec<String> {
    let failed = format!("Failed password for root from {peer} port {port} ssh2");
    let mut lines: Vec<String> = (0..guesses).map(|_| failed.clone()).collect();
    lines.push(format!("Disconnected from authenticating user root {peer} port {port} [preauth]"));
    lines
}

/// FreeBSD's default: one wrong password, two lines, and a third for a user that does not exist.
fn through_pam(user: &str, peer: IpAddr, port: u64, guesses: u64) -> Vec<String> {
    let mut lines = vec![format!("Invalid user {user} from {peer} port {port}")];
    for _ in 0..guesses {
        lines.push(format!("error: PAM: Authentication error for illegal user {user} from {peer}"));
        lines.push(format!(
            "Failed keyboard-interactive/pam for invalid user {user} from {peer} port {port} ssh2"
        ));
    }
    lines
}

fn scan(dice: &mut Dice, peer: IpAddr, port: u64) -> Vec<String> {
    let line = match dice.below(4) {
        0 => format!("banner exchange: Connection from {peer} port {port}: invalid format"),
        1 => format!("Connection closed by {peer} port {port} [preauth]"),
        2 => format!(
            "Unable to negotiate with {peer} port {port}: no matching key exchange method found. Their offer: \
             diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1,diffie-hellman-group1-sha1 [preauth]"
        ),
        _ => format!(
            "error: maximum authentication attempts exceeded for root from {peer} port {port} ssh2 [preauth]"
        ),
    };
    vec![line]
}

/// An address of the documentation ranges' size and more: 5,000 would not fit into those.
fn address(dice: &mut Dice, six: bool) -> IpAddr {
    let bits = dice.next();
    if six {
        let site = 0x2001_0db8_u128 << 96 | u128::from(bits) << 32;
        return Ipv6Addr::from(site | 0x1a2b).into();
    }
    let [a, b, c, d, ..] = bits.to_le_bytes();
    // 20.0.0.0 to 83.255.255.255 are ordinary addresses, with no special range among them.
    Ipv4Addr::new(20 + a % 64, b, c, d).into()
}
