//! What several parts of the shell do with files and descriptors, each thing in one way.
//!
//! `ownership` says who may replace a path, `lock_file` who is at work.

mod lock_file;
mod ownership;

use std::ffi::OsString;
use std::fs::{Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

pub(crate) use lock_file::{LockFailure, LockFile};
pub(crate) use ownership::{Exposure, exposure, is_enforced};

/// The directory that a path's last name is in; `.` for a name alone, whose parent is the empty path.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The path of a file without symbolic links. Its last name need not exist.
///
/// # Errors
/// An error where its directory does not exist or cannot be looked at.
pub(crate) fn resolved(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize().or_else(|error| match path.file_name() {
        Some(name) => Ok(directory_of(path).canonicalize()?.join(name)),
        None => Err(error),
    })
}

/// The file beside another one: `state.db` and `.lock` give `state.db.lock`.
pub(crate) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.into();
    name.push(suffix);
    name.into()
}

/// Whether systemd's journal takes what programs log; see systemd-journald.service(8).
pub(crate) fn has_journal() -> bool {
    Path::new("/run/systemd/journal/socket").exists()
}

/// Device and inode: the same for all names of a file, another one for a file that took its place.
pub(crate) fn identity(about: &Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

/// Puts a file in place as a whole, for us alone: whoever opens it sees the old text or the new one, also after a power
/// cut.
///
/// # Errors
/// An error of the system; the old file is as it was.
pub(crate) fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let new = suffixed(path, ".new");
    // A file that a crash left behind, or a link that somebody put there.
    let _none = std::fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let done = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    done.and_then(|()| std::fs::rename(&new, path)).inspect_err(|_| {
        let _nothing_else_to_do = std::fs::remove_file(&new);
    })
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
    fn a_file_is_replaced_as_a_whole_and_a_link_in_the_way_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let [file, victim] = ["file", "victim"].map(|name| dir.path().join(name));
        std::fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, suffixed(&file, ".new")).unwrap();
        for text in ["one\n", ""] {
            write_whole(&file, text).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
        std::fs::create_dir(dir.path().join("directory")).unwrap();
        assert!(write_whole(&dir.path().join("directory"), "text").is_err());
        assert!(!dir.path().join("directory.new").exists(), "nothing is left behind");
    }

    #[test]
    fn a_file_has_one_identity_under_all_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let [one, link, other] = ["one", "link", "other"].map(|name| dir.path().join(name));
        std::fs::write(&one, "").unwrap();
        std::fs::write(&other, "").unwrap();
        std::fs::hard_link(&one, &link).unwrap();
        let of = |path: &Path| identity(&path.metadata().unwrap());
        assert_eq!(of(&one), of(&link));
        assert_ne!(of(&one), of(&other));
    }
}
