//! Where things are unless the configuration says otherwise. The one place that knows the prefix.

use std::path::PathBuf;

/// Where the program was built to be installed, `/usr/local` unless `PORTCULLIS_PREFIX` was set at build time.
pub const PREFIX: &str = match option_env!("PORTCULLIS_PREFIX") {
    Some(prefix) => prefix,
    None => "/usr/local",
};

/// hier(7): what survives a reboot, and what is emptied by it, is below /var whatever the prefix.
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

/// The configuration.
pub fn config_file() -> PathBuf {
    settings().join("portcullis.yaml")
}

/// Custom rule sets.
pub fn rules_dir() -> PathBuf {
    settings().join("rules.d")
}

/// The database.
pub fn state() -> PathBuf {
    PathBuf::from(STATE)
}

/// The control socket.
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
