//! The names that newsyslog and logrotate give to rotated logs.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::listing::MAX_ENTRIES;
use crate::files::directory_of;

/// The endings of packed logs: newsyslog's flags J, Z, X, Y, and logrotate's defaults.
const PACKED: [&str; 4] = [".bz2", ".gz", ".xz", ".zst"];

/// The age of a rotated log, by its name; smaller is older.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Age {
    /// `LOG.3`: the larger, the older.
    Number(u32),
    /// `LOG.20251122T000000` (`newsyslog -t`), `LOG-20251122` (logrotate's `dateext`): in the order of the text.
    Stamp(String),
}

impl Ord for Age {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => b.cmp(a),
            (Self::Stamp(a), Self::Stamp(b)) => a.cmp(b),
            // Both kinds side by side are left from a change of the rotation's settings; dates are the newer habit.
            (Self::Number(_), Self::Stamp(_)) => Ordering::Less,
            (Self::Stamp(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The rotated files of a log that exist now, oldest first, packed or not; the log itself is not among them.
///
/// Where a file is there both plain and packed, a compressor is at work and only the plain one is given.
/// Files in another directory (`newsyslog -a`) are found by asking for the log's name there.
pub(super) fn rotations(log: &Path) -> Vec<PathBuf> {
    let Some(name) = log.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let directory = directory_of(log);
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut found: BTreeMap<Age, String> = BTreeMap::new();
    let entries = entries.take(MAX_ENTRIES).flatten();
    for entry in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
        let Some(age) = age(&entry, name) else { continue };
        let known = found.entry(age).or_insert_with(|| entry.clone());
        if known.len() > entry.len() {
            *known = entry;
        }
    }
    found.into_values().map(|entry| directory.join(entry)).collect()
}

/// Files of one log; the log itself has no age.
type Rotations = Vec<(Option<Age>, PathBuf)>;

/// Puts the files of one log together, oldest first; logs come in the order in which they were first named.
///
/// `auth.log.1.bz2`, `auth.log.0` and `auth.log` of one directory are one log; a file named twice is read once.
pub fn grouped(paths: &[PathBuf]) -> Vec<Vec<PathBuf>> {
    let mut groups: Vec<(PathBuf, Rotations)> = Vec::new();
    for path in paths {
        let (log, age) = rotation(path);
        let group = match groups.iter().position(|(known, _)| *known == log) {
            Some(known) => &mut groups[known].1,
            None => {
                groups.push((log, Vec::new()));
                let last = groups.len() - 1;
                &mut groups[last].1
            }
        };
        if !group.iter().any(|(_, known)| known == path) {
            group.push((age, path.clone()));
        }
    }
    groups.into_iter().map(|(_, group)| oldest_first(group)).collect()
}

/// The log itself, which has no age, is the newest.
fn oldest_first(mut group: Rotations) -> Vec<PathBuf> {
    group.sort_by(|(one, _), (other, _)| match (one, other) {
        (Some(one), Some(other)) => one.cmp(other),
        (one, other) => one.is_none().cmp(&other.is_none()),
    });
    group.into_iter().map(|(_, path)| path).collect()
}

/// The log that a file is a rotation of, by its name; a file with another name is a log of its own.
pub fn log_of(path: &Path) -> PathBuf {
    rotation(path).0
}

/// The log that a file is a rotation of, and its age.
fn rotation(path: &Path) -> (PathBuf, Option<Age>) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let bare = PACKED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    let mut splits = bare.char_indices().filter(|(at, c)| *at > 0 && matches!(c, '.' | '-'));
    let found = splits.find_map(|(at, _)| Some((bare.get(..at)?, age(name, bare.get(..at)?)?)));
    match found {
        Some((log, age)) => (path.with_file_name(log), Some(age)),
        None => (path.with_file_name(bare), None),
    }
}

/// Whether a file name is a rotation of a log's file name, or the file newsyslog prepares to be renamed over it.
pub(super) fn belongs_to(name: &str, log: &str) -> bool {
    age(name, log).is_some() || is_being_made(name, log)
}

/// Whether a name says that the file is packed.
pub fn looks_packed(name: &str) -> bool {
    PACKED.iter().any(|ending| name.ends_with(ending))
}

fn age(name: &str, log: &str) -> Option<Age> {
    let tail = name.strip_prefix(log)?;
    let tail = PACKED.iter().find_map(|ending| tail.strip_suffix(ending)).unwrap_or(tail);
    let tail = tail.strip_prefix(['.', '-'])?;
    let is_stamp = |c: char| c.is_ascii_digit() || matches!(c, 'T' | 'Z' | '-' | '_' | ':');
    if tail.len() <= 5 && tail.bytes().all(|b| b.is_ascii_digit()) {
        return tail.parse().ok().map(Age::Number);
    }
    (tail.len() >= 8 && tail.starts_with(|c: char| c.is_ascii_digit()) && tail.chars().all(is_stamp))
        .then(|| Age::Stamp(tail.to_owned()))
}

/// newsyslog fills `LOG.zXXXXXX` (mkstemp) and renames it over the log.
fn is_being_made(name: &str, log: &str) -> bool {
    name.strip_prefix(log)
        .and_then(|tail| tail.strip_prefix(".z"))
        .is_some_and(|tail| tail.len() == 6 && tail.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        rotations(&directory.path().join("auth.log")).into_iter().map(name).collect()
    }

    #[test]
    fn numbers_count_backwards_and_the_log_itself_is_left_out() {
        let names = ["auth.log", "auth.log.0", "auth.log.1.bz2", "auth.log.10.zst", "auth.log.9.xz"];
        assert_eq!(listed(&names), ["auth.log.10.zst", "auth.log.9.xz", "auth.log.1.bz2", "auth.log.0"]);
    }

    #[test]
    fn dates_count_forwards() {
        let names = ["auth.log.20251122T000000", "auth.log.20251121T000000.bz2", "auth.log-20251120.gz"];
        assert_eq!(
            listed(&names),
            ["auth.log-20251120.gz", "auth.log.20251121T000000.bz2", "auth.log.20251122T000000"]
        );
    }

    #[test]
    fn while_a_compressor_works_only_the_plain_file_counts() {
        assert_eq!(listed(&["auth.log.0", "auth.log.0.bz2"]), ["auth.log.0"]);
    }

    #[test]
    fn other_logs_and_backups_are_not_rotations() {
        let strangers =
            ["auth.log.old", "auth.log2", "auth.log.1.tmp", "auth.log.bz2", "auth.log.", "xauth.log.0"];
        assert_eq!(listed(&strangers), [""; 0]);
        assert!(belongs_to("auth.log.zAb12Cd", "auth.log"));
        assert!(!belongs_to("auth.log.zebra", "auth.log"));
        assert!(looks_packed("auth.log.0.gz") && !looks_packed("auth.log"));
    }
}
