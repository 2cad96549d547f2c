//! Checks what a configuration needs of this machine: the group that may read, directories for database and socket, programs.
//! No other user may be able to replace what the daemon writes to and runs.
//!
//! Only what runs here is refused for it: `scan` may read a configuration that is written for another machine.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use nix::unistd::{Group, geteuid};

use super::machine;
use crate::config::{
    Config, FileTrust, Loaded, PathKind, PathSegment, Privilege, SettingFault, Site, SourceSettings,
    defaults, keys,
};
use crate::control::{self, BindError};
use crate::files::{self, Exposure, directory_of, exposure};
use crate::firewall::{self, TableFile};
use crate::follow;
use crate::protection::{Facts, Gap, GapKind, gaps};
use crate::rules::Severity;
use crate::settings::BackendKind;
use crate::store::{self, StoreError};

const STATE: &[&str] = &["state"];
const SOCKET: &[&str] = &["control", "socket"];

/// Adds to the diagnostics what the daemon needs of this machine and will not find.
pub(crate) fn check(site: &dyn Site, loaded: &mut Loaded) {
    let missing = site.missing_for_the_daemon(&|| {
        let mut missing = faults(&loaded.config);
        if loaded.says("sources") {
            missing.extend(source_faults(&loaded.config));
        }
        missing
    });
    loaded.diagnose(&missing);
}

/// Adds why nobody would be kept out, as far as the configuration tells.
pub(crate) fn warn_of_gaps(loaded: &mut Loaded) {
    let facts = Facts {
        logs: machine::logs(&loaded.config),
        has_journal: files::has_journal(),
        is_dry_run: loaded.config.firewall.backend == BackendKind::DryRun,
        ..Facts::default()
    };
    let faults: Vec<SettingFault> = gaps(&facts).into_iter().map(gap).collect();
    loaded.diagnose(&faults);
}

fn gap(Gap { reason, text, remedy }: Gap) -> SettingFault {
    let key = if reason == GapKind::DryRun { "firewall" } else { "sources" };
    SettingFault::warning(keys(&[key]), format!("not protecting: {text}: {remedy}"))
}

/// Errors with which the daemon would not start, and warnings where somebody else may yet do something about it.
fn faults(config: &Config) -> Vec<SettingFault> {
    let state = &config.state;
    let socket = &config.control.socket;
    let faults = [
        unknown_group(config),
        occupied_state(state),
        occupied_socket(socket),
        missing_state_directory(state),
        missing_socket_directory(socket),
    ];
    let places = exposed_places(config).into_iter().map(|found| found.fault(Severity::Error));
    // Only root refuses to run such a program.
    let severity = FileTrust::of_this_user().severity();
    let programs = exposed_programs(config).into_iter().map(|found| found.fault(severity));
    faults.into_iter().flatten().chain(places).chain(programs).collect()
}

/// A path that somebody else may replace, and the key that names it.
pub(crate) struct Exposed {
    key_path: Vec<PathSegment>,
    pub(crate) exposure: Exposure,
}

impl Exposed {
    fn at(key_path: &[&str], exposure: Exposure) -> Self {
        Self { key_path: keys(key_path), exposure }
    }

    fn fault(self, severity: Severity) -> SettingFault {
        SettingFault { severity, key_path: self.key_path, text: self.exposure.to_string() }
    }
}

/// What the daemon writes to and somebody else may replace: database, table's file and socket, with what lies beside them.
pub(crate) fn exposed_places(config: &Config) -> Vec<Exposed> {
    let state = &config.state;
    let socket = &config.control.socket;
    // The table's file lies beside the database: what is wrong with their directory is told once.
    let state = store_exposure(state).or_else(|| table_exposure(config));
    let state = state.map(|found| Exposed::at(STATE, found));
    let socket = socket_exposure(socket).map(|found| Exposed::at(SOCKET, found));
    state.into_iter().chain(socket).collect()
}

/// The programs that drive the firewall or read the journal and that somebody else may replace.
pub(crate) fn exposed_programs(config: &Config) -> Vec<Exposed> {
    firewall_programs(config).into_iter().chain(journal_programs(config)).collect()
}

fn firewall_programs(config: &Config) -> Vec<Exposed> {
    // Settings that no backend can work with are told of elsewhere.
    let Ok(backend) = firewall::open(&config.firewall) else { return Vec::new() };
    let mut programs = backend.programs();
    programs.dedup();
    let key = if config.firewall.backend == BackendKind::Command { "command" } else { "tool" };
    let exposures = programs.into_iter().filter_map(path_exposure);
    exposures.map(|found| Exposed::at(&["firewall", key], found)).collect()
}

fn journal_programs(config: &Config) -> Vec<Exposed> {
    let exposed = |source: &SourceSettings| {
        let exposure = path_exposure(&source.journal.as_ref()?.tool)?;
        Some(Exposed::at(&["sources", &source.name, "tool"], exposure))
    };
    config.sources.iter().filter_map(exposed).collect()
}

fn store_exposure(state: &Path) -> Option<Exposure> {
    match store::check_place(state) {
        Err(StoreError::Exposed(exposure)) => Some(exposure),
        _ => None,
    }
}

fn table_exposure(config: &Config) -> Option<Exposure> {
    let file = TableFile::of(&config.firewall)?;
    path_exposure(&directory_of(&config.state).join(file.name()))
}

fn socket_exposure(socket: &Path) -> Option<Exposure> {
    match control::check_place(socket) {
        Err(BindError::Exposed(exposure)) => Some(exposure),
        _ => None,
    }
}

/// Why somebody else may replace a path; `None` also where this user may not look at it.
fn path_exposure(path: &Path) -> Option<Exposure> {
    exposure(path).ok().flatten()
}

/// Warnings about the logs that the configuration names.
fn source_faults(config: &Config) -> Vec<SettingFault> {
    let unreadable = config.sources.iter().filter_map(|source| {
        let fault = unreadable_source(source).or_else(|| missing_journalctl(source));
        fault.or_else(|| unfollowed_link(config, source))
    });
    if !is_run_by_systemd() {
        return unreadable.collect();
    }
    unreadable.chain(config.sources.iter().filter_map(hidden_source)).collect()
}

/// Whether a systemd unit runs this program, as the daemon or as the check before it; see systemd.exec(5).
fn is_run_by_systemd() -> bool {
    env::var_os("INVOCATION_ID").is_some()
}

/// Directories that the systemd unit hides from the daemon, the setting that does so, and the one that lets it read them.
const HIDDEN_BY_UNIT: [(&str, &str, &str); 5] = [
    ("/home", "ProtectHome=yes", "ProtectHome=read-only"),
    ("/root", "ProtectHome=yes", "ProtectHome=read-only"),
    ("/run/user", "ProtectHome=yes", "ProtectHome=read-only"),
    ("/tmp", "PrivateTmp=yes", "PrivateTmp=no"),
    ("/var/tmp", "PrivateTmp=yes", "PrivateTmp=no"),
];

/// A log that the operator sees, and the daemon under contrib/linux/portcullis.service.in does not.
fn hidden_source(source: &SourceSettings) -> Option<SettingFault> {
    let path = Path::new(&source.path);
    let (directory, setting, instead) =
        HIDDEN_BY_UNIT.into_iter().find(|(directory, ..)| path.starts_with(directory))?;
    let text = format!(
        "the systemd unit hides {directory} from the daemon ({setting}): log elsewhere, or run `systemctl edit portcullis` \
         and write `[Service]` and `{instead}`"
    );
    Some(SettingFault::warning(keys(&["sources", &source.name]), text))
}

/// journalctl may be installed later, so this is no error.
fn missing_journalctl(source: &SourceSettings) -> Option<SettingFault> {
    let tool = &source.journal.as_ref()?.tool;
    let text = format!("there is no {}: without journalctl the systemd journal is not read", tool.display());
    (!tool.exists()).then(|| SettingFault::warning(keys(&["sources", &source.name]), text))
}

/// A log that is a link out of its directory, where two processes run: root follows no such link for the other one.
fn unfollowed_link(config: &Config, source: &SourceSettings) -> Option<SettingFault> {
    if config.privileges != Privilege::Separate || !geteuid().is_root() || !source.is_file() {
        return None;
    }
    let path = Path::new(&source.path);
    let target = path.canonicalize().ok()?;
    let directory = directory_of(path).canonicalize().ok()?;
    let text = format!(
        "{} is a symbolic link out of its directory, which is not followed with `privileges: separate`: name {} in its place",
        path.display(),
        target.display()
    );
    (!target.starts_with(directory)).then(|| SettingFault::warning(keys(&["sources", &source.name]), text))
}

/// A file may appear later, so this is no error; a pattern may match nothing for now.
fn unreadable_source(source: &SourceSettings) -> Option<SettingFault> {
    let path = Path::new(&source.path);
    if !source.is_file() || follow::Source::argument(path).is_pattern() {
        return None;
    }
    let text = match path.metadata() {
        Ok(about) if about.is_dir() => {
            format!("{0} is a directory: name a file in it, or all of them, as in {0}/*.log", path.display())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("there is no file {}: it is followed from its beginning once it appears", path.display())
        }
        _ => return None,
    };
    Some(SettingFault::warning(keys(&["sources", &source.name]), text))
}

/// A directory that is gone, as before its file system is mounted, must not switch off the rule sets in force from it.
/// Whoever wants that empties it.
pub(crate) fn vanished(site: &dyn Site, config: &Config, in_force: &[String]) -> Option<SettingFault> {
    let text = format!(
        "there is no directory {}, but rule sets in force are from such a directory ({}): bring it back, or leave an \
         empty one there to do without them",
        config.rules_dir.display(),
        in_force.join(", ")
    );
    let is_gone = !in_force.is_empty() && site.kind(&config.rules_dir) != PathKind::Directory;
    is_gone.then(|| SettingFault::error(keys(&["rules_dir"]), text))
}

fn unknown_group(config: &Config) -> Option<SettingFault> {
    let name = config.control.group.as_deref()?;
    // Where the system cannot say, the start will: a directory service may be away for now.
    let is_unknown = Group::from_name(name).is_ok_and(|group| group.is_none());
    let text = format!("there is no group `{name}`: make it with pw(8) or groupadd, or drop the key");
    is_unknown.then(|| SettingFault::error(keys(&["control", "group"]), text))
}

fn occupied_state(path: &Path) -> Option<SettingFault> {
    let text = format!("{0} is a directory: name a file in it, as in `state: {0}/state.db`", path.display());
    path.is_dir().then(|| SettingFault::error(keys(STATE), text))
}

/// A socket may be a dead daemon's, which the next one replaces; nothing else is touched.
fn occupied_socket(path: &Path) -> Option<SettingFault> {
    let is_occupied = fs::symlink_metadata(path).is_ok_and(|about| !about.file_type().is_socket());
    let kind = if path.is_dir() { "a directory" } else { "no socket" };
    let text = format!("{} is {kind}: remove it, or name another place for the socket", path.display());
    is_occupied.then(|| SettingFault::error(keys(SOCKET), text))
}

/// The usual directories are made by the start script, and `check` comes before the first start.
fn missing_socket_directory(path: &Path) -> Option<SettingFault> {
    let directory = directory_of(path);
    let usual = defaults::socket();
    (directory != directory_of(&usual) && is_missing(directory)).then(|| missing_directory(SOCKET, directory))
}

/// Here only the last directory may be missing: the daemon makes it.
fn missing_state_directory(path: &Path) -> Option<SettingFault> {
    let directory = directory_of(path);
    let usual = defaults::state();
    let is_homeless = is_missing(directory) && is_missing(directory_of(directory));
    (directory != directory_of(&usual) && is_homeless).then(|| missing_directory(STATE, directory))
}

/// What an ordinary user may not see may be there.
fn is_missing(directory: &Path) -> bool {
    match directory.metadata() {
        Ok(about) => !about.is_dir(),
        Err(error) => error.kind() != io::ErrorKind::PermissionDenied,
    }
}

fn missing_directory(key_path: &[&str], directory: &Path) -> SettingFault {
    let text = format!(
        "there is no directory {0}, and the daemon will not start without it: make it with `install -d -o root -m \
         0755 {0}`",
        directory.display()
    );
    SettingFault::warning(keys(key_path), text)
}
