//! Which paths match a pattern, looked up in bounded time: whoever may write into a directory can make a million names.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, PatternError};

/// The most entries of one directory that are looked at.
pub const MAX_ENTRIES: usize = 16_384;

/// The depth to which `**` looks; links to directories are not followed.
const MAX_DEPTH: usize = 16;

/// `*` is no `/`. Not with `require_literal_leading_dot`: glob 0.3 panics with it at a name that is not UTF-8, and
/// whoever writes into a directory of logs chooses the names.
pub(super) const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// A path that matches, or a sentence about a directory in which some may be missing.
pub type Listed = Result<PathBuf, String>;

/// The paths that match a pattern, in their order. A directory that cannot be looked into, or that has more than 16,384
/// entries, of which no more are looked at, is told of. As in a shell, `*` does not mean names that begin with a dot.
///
/// # Errors
/// An error of the pattern's syntax.
pub fn expand(pattern: &str) -> Result<Vec<Listed>, PatternError> {
    glob::Pattern::new(pattern)?;
    let mut found: Vec<Listed> = vec![Ok(PathBuf::new())];
    for part in Path::new(pattern).components() {
        let name = part.as_os_str().to_string_lossy();
        let step: Box<dyn Fn(PathBuf) -> Vec<Listed>> = match part {
            Component::Normal(_) if name == "**" => Box::new(|path| with_directories_below(path, MAX_DEPTH)),
            Component::Normal(_) if name.contains(['*', '?', '[']) => {
                let part = glob::Pattern::new(&name)?;
                Box::new(move |path| entries(&path, |entry| is_named(entry, &part)))
            }
            _ => Box::new(|path| vec![Ok(path.join(&*name))]),
        };
        found = found.into_iter().flat_map(|path| path.map_or_else(|why| vec![Err(why)], &step)).collect();
    }
    found.retain(|path| path.as_ref().map_or(true, |path| path.symlink_metadata().is_ok()));
    Ok(found)
}

/// Whether a name matches a part of a pattern; one that is not UTF-8 matches none.
fn is_named(name: &str, part: &glob::Pattern) -> bool {
    part.matches_with(name, OPTIONS) && (part.as_str().starts_with('.') || !name.starts_with('.'))
}

/// The entries of a directory with such names, in the order of their names; none of what is no directory.
fn entries(directory: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<Listed> {
    let listed = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let entries = match fs::read_dir(listed) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Vec::new();
        }
        Err(error) => {
            return vec![Err(format!("{} cannot be looked into for files: {error}", listed.display()))];
        }
    };
    let mut names = Vec::new();
    let mut seen = 0;
    for entry in entries.take(MAX_ENTRIES + 1).flatten() {
        seen += 1;
        names.extend(entry.file_name().into_string().ok().filter(|name| is_wanted(name)));
    }
    names.sort_unstable();
    let mut found: Vec<Listed> = names.iter().map(|name| Ok(directory.join(name))).collect();
    if seen > MAX_ENTRIES {
        let listed = listed.display();
        found.push(Err(format!(
            "{listed} has more than {MAX_ENTRIES} entries; files behind those are not found"
        )));
    }
    found
}

/// A directory and those in it, down to a depth.
fn with_directories_below(directory: PathBuf, depth: usize) -> Vec<Listed> {
    let mut found = Vec::new();
    if depth > 0 {
        let is_directory = |path: &PathBuf| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        for entry in entries(&directory, |name| !name.starts_with('.')) {
            match entry {
                Ok(path) if is_directory(&path) => found.extend(with_directories_below(path, depth - 1)),
                Ok(_) => {}
                Err(why) => found.push(Err(why)),
            }
        }
    }
    found.insert(0, Ok(directory));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_what_the_library_finds() {
        let dir = tempfile::tempdir().unwrap();
        for path in
            ["a/x.log", "a/.b/x.log", "a/c/d/x.log", "a/c/y.log", "e/x.log", ".f/x.log", "[g]/x.log", "x.log"]
        {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let options = MatchOptions { require_literal_leading_dot: true, ..OPTIONS };
        for pattern in
            ["*", "*/x.log", "*/*", "a/**/x.log", "**/x.log", "?/?.log", "[a-d]/*", "[[]g]/*", "no/*", "*/no"]
        {
            let pattern = dir.path().join(pattern);
            let pattern = pattern.to_str().unwrap();
            let mut found: Vec<PathBuf> = expand(pattern).unwrap().into_iter().map(Result::unwrap).collect();
            let mut wanted: Vec<PathBuf> =
                glob::glob_with(pattern, options).unwrap().map(Result::unwrap).collect();
            found.sort();
            wanted.sort();
            assert_eq!(found, wanted, "{pattern}");
        }
        let hidden = expand(dir.path().join("a/.*/x.log").to_str().unwrap()).unwrap();
        assert_eq!(
            hidden,
            [Ok(dir.path().join("a/.b/x.log"))],
            "the library would find `.` and `..` as well"
        );
        assert!(expand("/var/log/a**b").is_err() && expand("/var/log/[a").is_err());
    }

    #[test]
    fn of_a_crowded_directory_a_part_is_seen_and_that_is_said() {
        let dir = tempfile::tempdir().unwrap();
        (0..=MAX_ENTRIES).for_each(|n| drop(fs::File::create(dir.path().join(format!("{n}.log"))).unwrap()));
        let found = expand(dir.path().join("*.log").to_str().unwrap()).unwrap();
        assert_eq!(found.iter().filter(|path| path.is_ok()).count(), MAX_ENTRIES + 1);
        assert!(found.last().unwrap().as_ref().is_err_and(|why| why.contains("has more than 16384 entries")));
    }
}
