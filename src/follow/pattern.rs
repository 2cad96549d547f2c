//! Paths that are patterns: which are, and what matches them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use glob::PatternError;

use super::followed_file::FollowedFile;
use super::listing::OPTIONS;
use super::open::Opener;
use super::rotations::{belongs_to, looks_packed};

/// How often a pattern is looked up anew.
const EXPAND_EVERY: Duration = Duration::from_secs(1);

/// A pattern that matches more files than this is followed in part, and the operator is told.
pub(super) const MAX_FILES: usize = 256;

/// Whether a path is a pattern that may match many files. One that exists under this very name is none.
pub fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '[']) && !path.exists()
}

/// Whether a pattern means a path; never where the text is no valid pattern.
pub fn is_match(pattern: &str, path: &Path) -> bool {
    Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(&path.to_string_lossy()))
}

/// Whether a part of the path begins with a dot where the pattern has none.
fn is_hidden(path: &str, pattern: &str) -> bool {
    let mut aligned = parts(path).zip(parts(pattern)).take_while(|(_, wanted)| *wanted != "**");
    aligned.any(|(name, wanted)| name.starts_with('.') && !wanted.starts_with('.'))
}

/// The names in a path, the last one first.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.rsplit('/').filter(|part| !part.is_empty() && *part != ".")
}

/// The pattern of a source, which is looked up every second.
pub(super) struct Pattern {
    text: glob::Pattern,
    /// The time of the last look-up.
    expanded: Option<Instant>,
    crowded: bool,
    /// Why files that match may be missing.
    pub(super) trouble: Option<String>,
    /// Whether a position was stored under the pattern itself: it says that whatever else matches later came since.
    pub(super) is_stored: bool,
}

impl Pattern {
    /// # Errors
    /// An error of the pattern's syntax.
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        let text = glob::Pattern::new(text)?;
        Ok(Self { text, expanded: None, crowded: false, trouble: None, is_stored: false })
    }

    pub(super) fn as_str(&self) -> &str {
        self.text.as_str()
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        self.text.matches_with(path, OPTIONS) && !is_hidden(path, self.as_str())
    }

    /// Whether it was looked up before.
    pub(super) fn was_looked_up(&self) -> bool {
        self.expanded.is_some()
    }

    /// The files that match now; `None` before it is time to look again.
    pub(super) fn look_up(
        &mut self,
        opener: &dyn Opener,
        followed: &[FollowedFile],
        now: Instant,
        notes: &mut Vec<String>,
    ) -> Option<Vec<String>> {
        let is_fresh = |expanded: Instant| now.saturating_duration_since(expanded) < EXPAND_EVERY;
        if self.expanded.is_some_and(is_fresh) {
            return None;
        }
        self.expanded = Some(now);
        let (mut paths, trouble) = matching(opener, self.as_str(), followed);
        self.complain(trouble, notes);
        if paths.len() > MAX_FILES && !std::mem::replace(&mut self.crowded, true) {
            let pattern = &self.text;
            let count = paths.len();
            notes.push(format!("{pattern} matches {count} files; only {MAX_FILES} are followed"));
        }
        paths.truncate(MAX_FILES);
        Some(paths)
    }

    /// Says what is wrong once, until it is something else.
    fn complain(&mut self, trouble: Option<String>, notes: &mut Vec<String>) {
        if trouble != self.trouble {
            notes.extend(trouble.clone());
        }
        self.trouble = trouble;
    }
}

/// The files that match, without the rotated ones of those that match or are followed: these are found where they are
/// needed, and would be read twice otherwise. And the first reason why some may be missing.
fn matching(opener: &dyn Opener, pattern: &str, followed: &[FollowedFile]) -> (Vec<String>, Option<String>) {
    let mut trouble = None;
    let found = opener.expand(pattern).into_iter().map(|path| path.and_then(storable));
    let paths = found.filter_map(|path| path.map_err(|why| trouble.get_or_insert(why)).ok());
    let plain = paths.filter(|path| !looks_packed(path));
    let paths: Vec<String> = plain.take(4 * MAX_FILES).collect();
    let bases = || paths.iter().map(String::as_str).chain(followed.iter().map(|log| &*log.path));
    let is_rotated = |path: &str| bases().any(|base| path.starts_with(base) && rotated_from(path, base));
    (paths.iter().filter(|path| !is_rotated(path)).cloned().collect(), trouble)
}

/// A path under which a position can be stored.
pub(super) fn storable(path: PathBuf) -> Result<String, String> {
    path.into_os_string().into_string().map_err(|path| {
        format!(
            "{} is not followed: its name is not UTF-8, so that its position could not be stored",
            Path::new(&path).display()
        )
    })
}

fn rotated_from(path: &str, base: &str) -> bool {
    let path = Path::new(path);
    let base = Path::new(base);
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let Some(log) = base.file_name().and_then(|name| name.to_str()) else { return false };
    path.parent() == base.parent() && belongs_to(name, log)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::follow::listing::expand;
    use crate::follow::open::ThisProcess;

    #[test]
    fn a_pattern_matches_what_it_would_in_a_shell() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        for name in ["a.log", ".b.log", "sub/c.log", "[x].log"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let pattern = dir.path().join("*.log");
        let found = expand(pattern.to_str().unwrap()).unwrap().into_iter().map(Result::unwrap);
        assert_eq!(found.collect::<Vec<_>>(), ["[x].log", "a.log"].map(|name| dir.path().join(name)));
        let known = Pattern::new(pattern.to_str().unwrap()).unwrap();
        let matches = |name: &str| known.matches(dir.path().join(name).to_str().unwrap());
        assert!(matches("a.log") && !matches(".b.log") && !matches("sub/c.log"));
        assert!(is_hidden("/jails/.a/x.log", "/jails/*/x.log"));
        assert!(!is_hidden("/jails/.a/x.log", "/jails/.?//./x.log"));
        assert!(is_pattern(&pattern) && !is_pattern(&dir.path().join("[x].log")));
    }

    /// Anybody who may write into a directory of logs may make such a name; it ended the daemon.
    #[test]
    fn a_name_that_is_not_utf8_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.log"), "").unwrap();
        if fs::write(dir.path().join(OsStr::from_bytes(b"b\xff.log")), "").is_err() {
            eprintln!("skipped: this file system knows no such names");
            return;
        }
        let mut pattern = Pattern::new(dir.path().join("*.log").to_str().unwrap()).unwrap();
        let mut notes = Vec::new();
        let now = Instant::now();
        assert_eq!(pattern.look_up(&ThisProcess, &[], now, &mut notes).unwrap().len(), 1);
        assert_eq!(pattern.look_up(&ThisProcess, &[], now, &mut notes), None, "too early");
        assert!(pattern.look_up(&ThisProcess, &[], now + EXPAND_EVERY, &mut notes).is_some());
    }

    #[test]
    fn trouble_is_told_once_and_again_when_it_comes_back() {
        let mut pattern = Pattern::new("/var/log/*/x.log").unwrap();
        let mut notes = Vec::new();
        for trouble in [Some("a"), Some("a"), None, Some("a"), Some("b"), None] {
            pattern.complain(trouble.map(str::to_owned), &mut notes);
        }
        assert_eq!(notes, ["a", "a", "b"]);
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        if fs::read_dir(&closed).is_ok() {
            eprintln!("skipped: root may read every directory");
            return;
        }
        let mut pattern = Pattern::new(closed.join("*.log").to_str().unwrap()).unwrap();
        let mut notes = Vec::new();
        pattern.look_up(&ThisProcess, &[], Instant::now(), &mut notes);
        assert!(
            notes.len() == 1 && notes[0].contains("closed cannot be looked into for files: "),
            "{notes:?}"
        );
    }
}
