//! What the operating system is set to: the kernel's messages, syslogd's compression, sshd's look-ups.

use super::finding::Finding;

/// Judges `sysctl -n net.inet.tcp.log_debug`: without it the kernel logs no refused handshake (facts: 0 by default
/// since FreeBSD 8).
pub(super) fn kernel(log_debug: Option<&str>) -> Finding {
    const ABOUT: &str = "kernel";
    match log_debug.map(str::trim) {
        Some("0") => Finding::note(
            ABOUT,
            "net.inet.tcp.log_debug is 0: the kernel logs nothing that the rule set freebsd-tcp could match",
            "`sysctl net.inet.tcp.log_debug=1` and a line in /etc/sysctl.conf, or leave freebsd-tcp out of `rule_sets`",
        ),
        Some(_) => Finding::ok(ABOUT, "net.inet.tcp.log_debug is set: the kernel logs refused segments"),
        None => Finding::note(
            ABOUT,
            "net.inet.tcp.log_debug cannot be read",
            "run it on FreeBSD, outside of a jail",
        ),
    }
}

/// Options of FreeBSD's syslogd that take a value, from its getopt(3) string.
const SYSLOGD_VALUES: &str = "abflMmOpPS";

/// Judges the command lines of all processes (`ps -axww -o command`).
pub(super) fn syslogd(processes: &str) -> Finding {
    const ABOUT: &str = "syslogd";
    let is_it = |line: &&str| {
        line.split_whitespace().next().is_some_and(|name| name.rsplit('/').next() == Some("syslogd"))
    };
    match processes.lines().map(str::trim).find(is_it) {
        None => Finding::note(
            ABOUT,
            "no syslogd runs",
            "if another program writes the logs, this is as it should be; else `service syslogd start`",
        ),
        Some(line) if squeezes(line) => Finding::note(
            ABOUT,
            "syslogd writes `last message repeated N times`, up to ten minutes late: such attempts count late",
            "`sysrc syslogd_flags=\"-s -cc\"` and `service syslogd restart`",
        ),
        Some(_) => Finding::ok(ABOUT, "syslogd writes every line at once (-cc)"),
    }
}

/// One `-c` is for pipes only, two are for files as well.
fn squeezes(command: &str) -> bool {
    let mut letters = 0;
    let mut words = command.split_whitespace().skip(1);
    while let Some(word) = words.next() {
        let Some(options) = word.strip_prefix('-') else { continue };
        for (at, letter) in options.char_indices() {
            letters += u32::from(letter == 'c');
            if SYSLOGD_VALUES.contains(letter) {
                if at + letter.len_utf8() == options.len() {
                    // The value is the next word.
                    let _value = words.next();
                }
                break;
            }
        }
    }
    letters < 2
}

/// Judges `sshd -T`, the configuration as sshd has read it.
pub(super) fn sshd(settings: Option<&str>) -> Finding {
    const ABOUT: &str = "sshd";
    let dns = settings.and_then(|text| text.lines().find_map(|line| line.trim().strip_prefix("usedns ")));
    match dns {
        Some("no") => Finding::ok(ABOUT, "sshd logs addresses, not names (UseDNS no)"),
        Some(_) => Finding::note(
            ABOUT,
            "sshd looks its clients up in DNS (UseDNS yes): lines that name a host instead of an address count only \
             where another line of the same connection has the address",
            "`UseDNS no` in /etc/ssh/sshd_config, then `service sshd reload`",
        ),
        None => Finding::note(
            ABOUT,
            "sshd's settings cannot be read (`sshd -T`)",
            "run it as root, or see that UseDNS is no",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Grade;
    use super::*;

    #[test]
    fn the_kernel_is_asked_whether_it_logs() {
        assert_eq!(kernel(Some("1\n")).grade, Grade::Ok);
        assert_eq!(kernel(Some("0\n")).grade, Grade::Note);
        assert_eq!(kernel(None).grade, Grade::Note);
    }

    #[test]
    fn one_c_is_for_pipes_and_two_are_for_files() {
        let ok = [
            "/usr/sbin/syslogd -s -cc",
            "/usr/sbin/syslogd -c -s -c",
            "/usr/sbin/syslogd -scc",
            "syslogd -ccs -O rfc5424",
        ];
        for line in ok {
            assert_eq!(syslogd(&format!("COMMAND\n/sbin/init\n{line}\n")).grade, Grade::Ok, "{line}");
        }
        let late = [
            "/usr/sbin/syslogd -s",
            "/usr/sbin/syslogd -c",
            "/usr/sbin/syslogd -f /etc/cc -s",
            "/usr/sbin/syslogd -b -cc",
            "/usr/sbin/syslogd",
        ];
        for line in late {
            assert_eq!(syslogd(line).grade, Grade::Note, "{line}");
        }
        assert!(syslogd("grep syslogd -cc\n").text.contains("no syslogd"));
    }

    #[test]
    fn sshds_own_word_on_dns_counts() {
        assert_eq!(sshd(Some("port 22\nusedns no\n")).grade, Grade::Ok);
        assert_eq!(sshd(Some("port 22\nusedns yes\n")).grade, Grade::Note);
        assert_eq!(sshd(None).grade, Grade::Note);
    }
}
