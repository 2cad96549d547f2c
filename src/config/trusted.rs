//! Files that root will act upon: nobody else may be able to change them.
//!
//! A file is opened first, and what was opened is looked at, so that it cannot be exchanged in between.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

use super::diagnostic::{Diagnostic, Diagnostics};
use crate::files::{directory_of, identity};
use crate::rules::Severity;

const OTHERS_MAY_WRITE: u32 = 0o022;
const ALL_MAY_WRITE: u32 = 0o002;
/// In a directory with this bit, such as /tmp, a file can be exchanged by its owner only.
const STICKY: u32 = 0o1000;

/// How much depends on who can change a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileTrust {
    /// It will be acted upon: a file that others can change is refused.
    Required,
    /// It is only read, to check or to replay: a warning is enough.
    Advised,
}

impl FileTrust {
    /// Root may always act; other users only look.
    pub fn of_this_user() -> Self {
        if geteuid().is_root() { Self::Required } else { Self::Advised }
    }

    fn severity(self) -> Severity {
        if self == Self::Required { Severity::Error } else { Severity::Warning }
    }
}

/// The content of a file of at most `longest` bytes, if it can be trusted; else what is told says what to do.
pub fn read_trusted(
    path: &Path,
    longest: usize,
    trust: FileTrust,
    told: &mut Diagnostics,
) -> Option<Vec<u8>> {
    let before = told.count(Severity::Error);
    let read = open(path).and_then(|file| {
        for (path, doubt) in doubts(path, &file.metadata()?)? {
            told.push(Diagnostic::whole(&path, trust.severity(), doubt));
        }
        let trusted = told.count(Severity::Error) == before;
        if trusted { content(file, longest).map(Some) } else { Ok(None) }
    });
    read.unwrap_or_else(|error| {
        told.push(Diagnostic::whole(path, Severity::Error, explained(&error)));
        None
    })
}

/// The rule files of a directory in the order of their names: `*.yaml`, without hidden ones.
///
/// A directory that does not exist has none. One that cannot be read is told about.
pub fn rule_files(directory: &Path, told: &mut Diagnostics) -> Vec<PathBuf> {
    let names = fs::read_dir(directory).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
    });
    match names {
        Ok(mut paths) => {
            paths.retain(|path| is_rule_file(path, told));
            paths.sort();
            paths
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            told.push(Diagnostic::whole(directory, Severity::Error, explained(&error)));
            Vec::new()
        }
    }
}

fn is_rule_file(path: &Path, told: &mut Diagnostics) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path.extension().unwrap_or_default();
    if !hidden && extension == "yml" {
        let text = "not read: the names of rule files end in `.yaml`";
        told.push(Diagnostic::whole(path, Severity::Warning, text));
    }
    !hidden && extension == "yaml"
}

/// Opens without waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::other("this is not a regular file: a directory, a pipe or a device cannot be read here"))
}

fn content(file: File, longest: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(longest as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > longest {
        return Err(io::Error::other(format!("this file is longer than the {longest} bytes that are read")));
    }
    Ok(bytes)
}

/// Who else could change what this path leads to: the file, its directory, and that of a link to it.
fn doubts(path: &Path, opened: &Metadata) -> io::Result<Vec<(PathBuf, String)>> {
    let me = geteuid().as_raw();
    let real = fs::canonicalize(path)?;
    let now = fs::metadata(&real)?;
    if identity(&now) != identity(opened) {
        return Err(io::Error::other("this file was exchanged while it was read: try again"));
    }
    let mut doubts = Vec::new();
    doubts
        .extend(doubt_of_file(&real, opened.uid(), opened.mode(), me).map(|doubt| (path.to_owned(), doubt)));
    for directory in [directory_of(path), directory_of(&real)] {
        let metadata = fs::metadata(directory)?;
        let doubt = doubt_of_directory(directory, metadata.uid(), metadata.mode(), me);
        doubts.extend(doubt.map(|doubt| (directory.to_owned(), doubt)));
    }
    Ok(doubts)
}

/// `me` is the effective user, in whose name the file will be acted upon.
fn doubt_of_file(path: &Path, owner: u32, mode: u32, me: u32) -> Option<String> {
    let path = path.display();
    if owner != 0 && owner != me {
        return Some(format!(
            "belongs to user {owner}, who could change what is done as root: `chown root {path}`"
        ));
    }
    let mode = mode & 0o7777;
    (mode & OTHERS_MAY_WRITE != 0)
        .then(|| format!("can be written by others than its owner (mode {mode:04o}): `chmod go-w {path}`"))
}

fn doubt_of_directory(path: &Path, owner: u32, mode: u32, me: u32) -> Option<String> {
    let path = path.display();
    if owner != 0 && owner != me {
        return Some(format!(
            "belongs to user {owner}, who could exchange the files in it: `chown root {path}`"
        ));
    }
    let mode = mode & 0o7777;
    (mode & ALL_MAY_WRITE != 0 && mode & STICKY == 0)
        .then(|| format!("everybody could exchange the files in it (mode {mode:04o}): `chmod o-w {path}`"))
}

fn explained(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "this user may not read it: run the command as root".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::sys::stat::Mode;
    use tempfile::TempDir;

    use super::*;

    fn directory() -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        chmod(directory.path(), 0o755);
        directory
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn file(directory: &TempDir, name: &str, mode: u32) -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, "a: 1\n").unwrap();
        chmod(&path, mode);
        path
    }

    fn read(path: &Path, trust: FileTrust) -> (Option<Vec<u8>>, String) {
        let mut told = Diagnostics::default();
        let content = read_trusted(path, 100, trust, &mut told);
        (content, told.to_string())
    }

    #[test]
    fn a_file_that_only_its_owner_can_change_is_read() {
        let directory = directory();
        let path = file(&directory, "a.yaml", 0o644);
        assert_eq!(read(&path, FileTrust::Required), (Some(b"a: 1\n".to_vec()), String::new()));
    }

    #[test]
    fn one_that_others_can_change_is_refused_or_warned_about() {
        let directory = directory();
        for mode in [0o664, 0o646, 0o666] {
            let path = file(&directory, "a.yaml", mode);
            let (content, told) = read(&path, FileTrust::Required);
            assert_eq!(content, None);
            assert!(told.contains("error: can be written") && told.contains("`chmod go-w /"), "{told}");
            let (content, told) = read(&path, FileTrust::Advised);
            assert!(content.is_some() && told.contains("warning: can be written"), "{told}");
        }
    }

    #[test]
    fn a_directory_that_everybody_can_write_spoils_the_file_unless_sticky() {
        let directory = directory();
        let path = file(&directory, "a.yaml", 0o644);
        chmod(directory.path(), 0o777);
        assert!(
            read(&path, FileTrust::Required)
                .1
                .contains("everybody could exchange the files in it (mode 0777)")
        );
        chmod(directory.path(), 0o1777);
        assert!(read(&path, FileTrust::Required).0.is_some());
    }

    #[test]
    fn a_link_is_as_good_as_both_directories_and_its_target() {
        let (good, bad) = (directory(), directory());
        let link = good.path().join("link.yaml");
        symlink(file(&bad, "a.yaml", 0o644), &link).unwrap();
        assert!(read(&link, FileTrust::Required).0.is_some());
        chmod(bad.path(), 0o777);
        assert_eq!(read(&link, FileTrust::Required).0, None, "the target can be exchanged");
        let link = bad.path().join("link.yaml");
        symlink(file(&good, "a.yaml", 0o644), &link).unwrap();
        assert_eq!(read(&link, FileTrust::Required).0, None, "the link can be exchanged");
    }

    #[test]
    fn strangers_files_and_directories_are_not_trusted() {
        let path = Path::new("/x");
        assert_eq!(doubt_of_file(path, 0, 0o644, 1001), None, "root's files are everybody's");
        assert_eq!(doubt_of_file(path, 1001, 0o600, 1001), None);
        assert!(doubt_of_file(path, 1001, 0o600, 0).unwrap().contains("`chown root /x`"));
        assert!(doubt_of_directory(path, 1001, 0o755, 0).unwrap().contains("user 1001"));
    }

    #[test]
    fn what_is_no_file_is_said_at_once_and_long_files_are_not_read() {
        let directory = directory();
        let pipe = directory.path().join("pipe.yaml");
        nix::unistd::mkfifo(&pipe, Mode::S_IRUSR).unwrap();
        assert!(read(&pipe, FileTrust::Required).1.contains("not a regular file"));
        assert!(read(directory.path(), FileTrust::Required).1.contains("not a regular file"));
        assert!(read(&directory.path().join("none"), FileTrust::Required).1.contains("no such file"));
        let long = directory.path().join("long.yaml");
        fs::write(&long, [b'#'; 101]).unwrap();
        assert!(read(&long, FileTrust::Required).1.contains("longer than the 100 bytes"));
    }

    #[test]
    fn a_directory_is_listed_in_order_without_what_is_no_rule_file() {
        let directory = directory();
        for name in ["b.yaml", "a.yaml", ".hidden.yaml", "c.yml", "d.yaml.sample", "e.yaml~"] {
            file(&directory, name, 0o644);
        }
        let mut told = Diagnostics::default();
        let names: Vec<PathBuf> = rule_files(directory.path(), &mut told);
        assert_eq!(names, ["a.yaml", "b.yaml"].map(|name| directory.path().join(name)));
        assert!(told.count(Severity::Warning) == 1 && told.to_string().contains("c.yml: warning: not read"));
        assert!(rule_files(Path::new("/no/such/directory"), &mut told).is_empty() && !told.has_errors());
    }
}
