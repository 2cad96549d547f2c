//! Every default, once, and why it is what it is.

use std::path::PathBuf;
use std::time::Duration;

use crate::rules::{BanLength, BanPolicy, Escalate, Threshold, Thresholds};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The version of the format of rule files and of the configuration (`version: 1`).
pub const VERSION: i32 = 1;

/// The logs of FreeBSD's syslog.conf that name peers: `auth.info` and `*.notice` with the kernel's messages.
pub const SOURCES: [(&str, &str); 2] = [("auth", "/var/log/auth.log"), ("messages", "/var/log/messages")];

/// What Red Hat and its derivatives call auth.log.
pub const RED_HAT_LOG: &str = "/var/log/secure";

/// Where systemd's packages have it.
pub const JOURNALCTL: &str = "/usr/bin/journalctl";

/// Somebody who mistypes a password does so three times; what comes five times in ten minutes is a program.
pub const THRESHOLD: Thresholds =
    Thresholds::one(Threshold { offences: 5, within: Duration::from_secs(600) });

/// An hour ends the usual attack, and a colleague who was banned by mistake waits it out without a call.
pub const BAN: BanPolicy = BanPolicy { length: BanLength::For(HOUR), escalate: Some(ESCALATE) };

/// 1, 2, 4 … hours: after its tenth ban an attacker is out for four weeks; a new owner of the address has a clean
/// record after a month.
pub const ESCALATE: Escalate =
    Escalate { factor: 2.0, max: DAY.saturating_mul(28), forget: DAY.saturating_mul(30) };

/// Kernel noise comes in bursts, and a scan is longer than a burst.
pub const SPOOFABLE_THRESHOLD: Thresholds = Thresholds::one(Threshold { offences: 20, within: MINUTE });

/// Short, and always as short: the address may be a bystander's.
pub const SPOOFABLE_BAN: BanPolicy =
    BanPolicy { length: BanLength::For(MINUTE.saturating_mul(10)), escalate: None };

/// A quarter: long enough for "who was that last month?", and the database stays small.
pub const HISTORY: Duration = DAY.saturating_mul(90);

/// Where the program was built to be installed, `/usr/local` unless `PORTCULLIS_PREFIX` was set at build time.
pub const PREFIX: &str = match option_env!("PORTCULLIS_PREFIX") {
    Some(prefix) => prefix,
    None => "/usr/local",
};

/// hier(7): what survives a reboot, and what is emptied by it, is below /var whatever the prefix.
/// A table of a hundred thousand that somebody flushed is full again at once, twice in a minute.
pub const MAX_ADDITIONS: u32 = 200_000;

const STATE: &str = "/var/db/portcullis/state.db";
const SOCKET: &str = "/var/run/portcullis/portcullis.sock";

/// `/usr/local/etc/portcullis`; the system's own prefix `/usr` keeps its settings in `/etc`.
fn settings() -> PathBuf {
    let etc = if PREFIX == "/usr" || PREFIX == "/" {
        PathBuf::from("/etc")
    } else {
        PathBuf::from(PREFIX).join("etc")
    };
    etc.join("portcullis")
}

/// The path of the configuration, `portcullis.yaml`.
pub fn config_file() -> PathBuf {
    settings().join("portcullis.yaml")
}

/// The directory of custom rule sets, `rules.d`.
pub fn rules_dir() -> PathBuf {
    settings().join("rules.d")
}

/// The path of the state database.
pub fn state() -> PathBuf {
    PathBuf::from(STATE)
}

/// The path of the control socket.
pub fn socket() -> PathBuf {
    PathBuf::from(SOCKET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_paths_are_absolute_and_settings_follow_the_prefix() {
        for path in [config_file(), rules_dir(), state(), socket()] {
            assert!(path.is_absolute(), "{}", path.display());
        }
        assert!(config_file().starts_with(PREFIX) || config_file().starts_with("/etc"));
    }
}
