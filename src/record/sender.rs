//! Whose line an entry of the systemd journal is, and the entry as a line of syslog.
//!
//! The name under which a line was logged (`SYSLOG_IDENTIFIER`) is what the sender says. What journald learned of the sender
//! from the kernel tells whether it may say so: `logger -t sshd` of an ordinary user is not sshd.

use std::io::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::export::JournalEntry;
use super::{MAX_LINE, is_program_name};

/// The directories that only root writes to, where the programs of the system are.
const SYSTEM: [&str; 7] = ["/usr/", "/bin/", "/sbin/", "/lib/", "/libexec/", "/nix/store/", "/opt/"];

/// Ordinary users, by login.defs(5) of all systems with a journal; system accounts have smaller numbers,
const FIRST_USER: u64 = 1000;

/// or are made for one run of a service, see `DynamicUser=` of systemd.exec(5).
const DYNAMIC: std::ops::RangeInclusive<u64> = 61_184..=65_519;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is a line of a program that is looked at.
    Line,
    /// It is of another program, or no line of a log.
    Foreign,
    /// It was logged under the name of such a program by somebody else.
    Pretended,
    /// It is too long, or says something twice.
    Doubtful,
}

/// The programs whose lines are wanted: names as rule sets have them, which may end in `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramNames(pub Vec<String>);

impl ProgramNames {
    /// Whether lines of this program are wanted.
    pub fn have(&self, name: &[u8]) -> bool {
        let is_it = |known: &String| match known.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning.as_bytes()),
            None => known.as_bytes() == name,
        };
        is_program_name(name) && self.0.iter().any(is_it)
    }

    /// Whether one of them may have this name, which may end in `*` as well.
    pub fn share(&self, name: &str) -> bool {
        match name.strip_suffix('*') {
            None => self.have(name.as_bytes()),
            Some(beginning) => self.0.iter().any(|known| match known.strip_suffix('*') {
                Some(other) => other.starts_with(beginning) || beginning.starts_with(other),
                None => known.starts_with(beginning),
            }),
        }
    }
}

/// Writes an entry as a line with its newline behind what is in `out`, if it is of one of these programs.
///
/// The time is that at which journald took the entry, the process id the sender's. Control characters become `#ooo`, octal,
/// as rsyslog writes them: one entry is one line, whatever newlines a peer got into it.
pub fn write_line(entry: &JournalEntry, programs: &ProgramNames, out: &mut Vec<u8>) -> Sent {
    let name = entry.get("SYSLOG_IDENTIFIER").unwrap_or_default();
    let Some(message) = entry.get("MESSAGE").filter(|_| programs.have(name)) else { return Sent::Foreign };
    let Some(stamp) = stamp(entry) else { return Sent::Foreign };
    if entry.is_doubtful() {
        return Sent::Doubtful;
    }
    match entry.get("_TRANSPORT") {
        // Nobody but the kernel has this transport, and it has no process.
        Some(b"kernel") if name == b"kernel" => {}
        Some(b"syslog") if is_of(entry, name) => {}
        // What keeps containers logs so as well, as root, under their names.
        Some(b"journal") if is_of(entry, name) && is_executable_of(executable(entry), name) => {}
        // Of standard output each newline is an entry's end, and a peer may have sent it.
        Some(b"stdout") => return Sent::Foreign,
        _ => return Sent::Pretended,
    }
    let begin = out.len();
    write_header(entry, stamp, name, out);
    for byte in message {
        if byte.is_ascii_control() {
            let _memory = write!(out, "#{byte:03o}");
        } else {
            out.push(*byte);
        }
    }
    if out.len() - begin > MAX_LINE {
        out.truncate(begin);
        return Sent::Doubtful;
    }
    out.push(b'\n');
    Sent::Line
}

/// When journald took the entry.
fn stamp(entry: &JournalEntry) -> Option<Timestamp> {
    let micros = i64::try_from(entry.number("__REALTIME_TIMESTAMP")?).ok()?;
    Timestamp::from_microsecond(micros).ok()
}

/// `2026-11-22T13:38:31.123456Z gw sshd[29842]: `
fn write_header(entry: &JournalEntry, stamp: Timestamp, name: &[u8], out: &mut Vec<u8>) {
    let _memory = write!(out, "{stamp:.6} ");
    let host = entry.get("_HOSTNAME").unwrap_or_default();
    if !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte)) {
        out.extend_from_slice(host);
        out.push(b' ');
    }
    out.extend_from_slice(name);
    if let Some(pid) = entry.number("_PID") {
        let _memory = write!(out, "[{pid}]");
    }
    out.extend_from_slice(b": ");
}

/// Whether the sender may log under this name.
///
/// Root may. Others may only as a service of the system with the program's own unit and executable: what a service runs for
/// a user (a `.forward`, a CGI, a shell where sessions are no units) has another executable or a user's id.
fn is_of(entry: &JournalEntry, name: &[u8]) -> bool {
    match entry.number("_UID") {
        Some(0) => true,
        Some(uid) if uid < FIRST_USER || DYNAMIC.contains(&uid) => {
            let unit = entry.get("_SYSTEMD_UNIT").unwrap_or_default();
            is_unit_of(unit, name) && is_executable_of(executable(entry), name)
        }
        _ => false,
    }
}

fn executable(entry: &JournalEntry) -> &[u8] {
    entry.get("_EXE").unwrap_or_default()
}

/// Whether a unit is a service of the system with the program's name in its own: `ssh.service` of `sshd`,
/// `postfix@-.service` of `postfix/smtpd`.
fn is_unit_of(unit: &[u8], name: &[u8]) -> bool {
    let first = name.split(|byte| *byte == b'/').next().unwrap_or_default();
    let stem = first.strip_suffix(b"d").filter(|stem| stem.len() > 2).unwrap_or(first);
    let is_service = unit.ends_with(b".service") && !unit.starts_with(b"user@");
    is_service && !stem.is_empty() && memchr::memmem::find(unit, stem).is_some()
}

/// Whether an executable is one of the system's whose name begins with the program's last: `/usr/lib/postfix/sbin/smtpd` of
/// `postfix/smtpd`, `/usr/sbin/exim4` of `exim`.
fn is_executable_of(executable: &[u8], name: &[u8]) -> bool {
    let last = |path: &[u8]| path.rsplit(|byte| *byte == b'/').next().map(<[u8]>::to_vec).unwrap_or_default();
    let is_systems = SYSTEM.iter().any(|directory| executable.starts_with(directory.as_bytes()));
    is_systems && last(executable).starts_with(&last(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::export::ExportReader;
    use crate::record::parse;

    const SSHD: &str = "__REALTIME_TIMESTAMP=1795354711123456\n_TRANSPORT=syslog\n_HOSTNAME=gw\n_PID=29842\n_UID=0\n\
        _EXE=/usr/sbin/sshd\n_SYSTEMD_UNIT=ssh.service\nSYSLOG_IDENTIFIER=sshd\nMESSAGE=Failed password\n\n";

    fn entry(text: &[u8]) -> JournalEntry {
        let mut found = None;
        ExportReader::default().push(text, &mut |entry| found = Some(entry.clone())).unwrap();
        found.expect("an entry")
    }

    fn known() -> ProgramNames {
        ProgramNames(["sshd", "postfix/*", "kernel", "named"].map(str::to_owned).to_vec())
    }

    /// The line of an entry like sshd's with these changes; what became of it where there is none.
    fn written(changes: &[(&str, &str)]) -> Result<String, Sent> {
        let mut text = SSHD.to_owned();
        for (field, value) in changes {
            let begin = text.find(&format!("\n{field}=")).expect("a field") + 1;
            let end = begin + text.get(begin..).and_then(|rest| rest.find('\n')).expect("its end");
            let changed = if value.is_empty() { String::new() } else { format!("{field}={value}\n") };
            text.replace_range(begin..=end, &changed);
        }
        let mut out = Vec::new();
        match write_line(&entry(text.as_bytes()), &known(), &mut out) {
            Sent::Line => Ok(String::from_utf8(out).unwrap()),
            other => Err(other).inspect_err(|_| assert!(out.is_empty())),
        }
    }

    #[test]
    fn an_entry_becomes_a_line_of_syslog_that_is_read_as_one() {
        let line = written(&[]).unwrap();
        assert_eq!(line, "2026-11-22T13:38:31.123456Z gw sshd[29842]: Failed password\n");
        let record = parse(line.trim_end().as_bytes());
        assert_eq!((record.program, record.pid, record.host), (Some(&b"sshd"[..]), Some(29842), &b"gw"[..]));
        assert_eq!(record.message, b"Failed password");
        assert!(!record.may_be_forged());
        let odd = written(&[("_HOSTNAME", "gw sshd[1]: x")]).unwrap();
        assert_eq!(odd, "2026-11-22T13:38:31.123456Z sshd[29842]: Failed password\n");
    }

    /// The own goal: whoever may run logger(1) would have anybody banned.
    #[test]
    fn what_an_ordinary_user_logs_as_sshd_is_not_sshds() {
        let logger = [("_UID", "1000"), ("_EXE", "/usr/bin/logger"), ("_SYSTEMD_UNIT", "session-1.scope")];
        assert_eq!(written(&logger), Err(Sent::Pretended));
        assert_eq!(
            written(&[("_UID", "1000")]),
            Err(Sent::Pretended),
            "sshd itself, as a user, in ssh.service"
        );
        assert_eq!(written(&[("_UID", "")]), Err(Sent::Pretended), "a sender that nobody knows");
        assert_eq!(written(&[("_UID", "-1")]), Err(Sent::Pretended));
        let cgi = [("_UID", "33"), ("_EXE", "/usr/bin/logger"), ("_SYSTEMD_UNIT", "apache2.service")];
        assert_eq!(written(&cgi), Err(Sent::Pretended));
        assert_eq!(written(&[("_UID", "33"), ("_SYSTEMD_UNIT", "apache2.service")]), Err(Sent::Pretended));
        assert_eq!(written(&[("_UID", "33"), ("_SYSTEMD_UNIT", "user@33.service")]), Err(Sent::Pretended));
        assert_eq!(written(&[("_UID", "33"), ("_EXE", "/tmp/sshd")]), Err(Sent::Pretended));
        assert_eq!(written(&[("_TRANSPORT", "audit")]), Err(Sent::Pretended));
        assert!(written(&[("_EXE", "/usr/bin/logger")]).is_ok(), "root may try things out");
        assert!(written(&[("_TRANSPORT", "journal")]).is_ok());
        let container = [("_TRANSPORT", "journal"), ("_EXE", "/usr/bin/conmon")];
        assert_eq!(written(&container), Err(Sent::Pretended), "a container that is called sshd");
    }

    #[test]
    fn a_services_own_account_is_believed_with_its_unit_and_executable() {
        let smtpd = |uid: &str, executable: &str, unit: &str| {
            let changes = [("_UID", uid), ("_EXE", executable), ("_SYSTEMD_UNIT", unit)];
            written(&[&changes[..], &[("SYSLOG_IDENTIFIER", "postfix/smtpd")]].concat()).is_ok()
        };
        assert!(smtpd("108", "/usr/lib/postfix/sbin/smtpd", "postfix@-.service"));
        assert!(smtpd("61200", "/usr/lib/postfix/sbin/smtpd", "postfix.service"));
        assert!(!smtpd("108", "/usr/bin/logger", "postfix@-.service"), "a .forward of a system account");
        assert!(!smtpd("1000", "/usr/lib/postfix/sbin/smtpd", "postfix@-.service"), "one of a user");
        assert!(!smtpd("108", "/home/anna/smtpd", "postfix@-.service"));
        assert!(!smtpd("108", "/usr/lib/postfix/sbin/smtpd", "cron.service"));
        let named = [("_UID", "53"), ("_EXE", "/usr/sbin/named"), ("_SYSTEMD_UNIT", "named.service")];
        assert!(written(&[&named[..], &[("SYSLOG_IDENTIFIER", "named")]].concat()).is_ok());
    }

    #[test]
    fn newlines_in_a_message_begin_no_line() {
        let message = b"a\nNov 22 14:38:31 gw sshd[1]: Failed\x7f\0";
        let length = u64::try_from(message.len()).unwrap().to_le_bytes();
        let binary = [&b"MESSAGE\n"[..], &length, message, b"\n\n"].concat();
        let text = SSHD.replace("MESSAGE=Failed password\n\n", "");
        let mut out = Vec::new();
        assert_eq!(write_line(&entry(&[text.as_bytes(), &binary].concat()), &known(), &mut out), Sent::Line);
        assert!(out.ends_with(b"sshd[29842]: a#012Nov 22 14:38:31 gw sshd[1]: Failed#177#000\n"));
        assert_eq!(memchr::memchr_iter(b'\n', &out).count(), 1);
    }

    #[test]
    fn other_programs_and_standard_output_are_no_lines_and_doubt_is_none() {
        assert_eq!(written(&[("SYSLOG_IDENTIFIER", "cron")]), Err(Sent::Foreign));
        assert_eq!(written(&[("SYSLOG_IDENTIFIER", "")]), Err(Sent::Foreign));
        assert_eq!(
            written(&[("SYSLOG_IDENTIFIER", "postfix/ x")]),
            Err(Sent::Foreign),
            "no name of a program"
        );
        assert_eq!(written(&[("_TRANSPORT", "stdout")]), Err(Sent::Foreign));
        assert_eq!(written(&[("MESSAGE", &"x".repeat(MAX_LINE))]), Err(Sent::Doubtful), "with its header");
        let twice = SSHD.replace("MESSAGE=", "MESSAGE=other\nMESSAGE=");
        assert_eq!(write_line(&entry(twice.as_bytes()), &known(), &mut Vec::new()), Sent::Doubtful);
    }

    #[test]
    fn the_kernel_has_no_process_and_nobody_else_its_name() {
        let kernel =
            [("_TRANSPORT", "kernel"), ("_UID", ""), ("_PID", ""), ("_EXE", ""), ("_SYSTEMD_UNIT", "")];
        let line = written(&[&kernel[..], &[("SYSLOG_IDENTIFIER", "kernel")]].concat()).unwrap();
        assert_eq!(line, "2026-11-22T13:38:31.123456Z gw kernel: Failed password\n");
        assert_eq!(written(&kernel), Err(Sent::Pretended), "/dev/kmsg is no way to be sshd");
        assert_eq!(written(&[("SYSLOG_IDENTIFIER", "kernel"), ("_UID", "1000")]), Err(Sent::Pretended));
    }
}
