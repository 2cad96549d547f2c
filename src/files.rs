//! What several parts of the shell do with files and descriptors, each thing in one way.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// The directory that a path's last name is in; `.` for a name alone, whose parent is the empty path.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The file beside another one: `state.db` and `.lock` give `state.db.lock`.
pub(crate) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.into();
    name.push(suffix);
    name.into()
}

/// Device and inode: the same for all names of a file, another one for a file that took its place.
pub(crate) fn identity(about: &Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

/// Opens a file to be locked, and makes it where it is missing: for us alone, and never through a link, which somebody
/// else may have put there.
///
/// # Errors
/// What the system says.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)
}

/// Nothing is wrong: there is nothing to read or no room to write at this moment, or a signal came.
pub(crate) fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_in_the_present_directory() {
        for (path, directory) in [("a", "."), ("./a", "."), ("/a", "/"), ("b/a", "b"), ("/", ".")] {
            assert_eq!(directory_of(Path::new(path)), Path::new(directory), "{path}");
        }
    }

    #[test]
    fn a_suffix_is_not_an_extension() {
        assert_eq!(suffixed(Path::new("run/state.db"), ".lock"), Path::new("run/state.db.lock"));
    }

    #[test]
    fn a_file_has_one_identity_under_all_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let [one, link, other] = ["one", "link", "other"].map(|name| dir.path().join(name));
        open_lock(&one).unwrap();
        open_lock(&other).unwrap();
        std::fs::hard_link(&one, &link).unwrap();
        let of = |path: &Path| identity(&path.metadata().unwrap());
        assert_eq!(of(&one), of(&link));
        assert_ne!(of(&one), of(&other));
    }
}
