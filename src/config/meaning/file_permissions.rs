//! Files that root will act upon: nobody else may be able to replace them, by the rule of `files::ownership`.
//!
//! A file is opened first, and what was opened is looked at, so that it cannot be exchanged in between.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::config::text::diagnostic::{Diagnostic, Diagnostics};
use crate::files::{Exposure, exposure, identity, is_enforced};
use crate::rules::Severity;

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
        if is_enforced() { Self::Required } else { Self::Advised }
    }

    /// How bad it is that somebody else can.
    pub fn severity(self) -> Severity {
        if self == Self::Required { Severity::Error } else { Severity::Warning }
    }
}

/// The content of a file of at most `max` bytes, if it can be trusted; else what is told says what to do.
pub fn read_trusted(path: &Path, max: usize, trust: FileTrust, told: &mut Diagnostics) -> Option<Vec<u8>> {
    let read = open(path).and_then(|file| {
        if let Some(exposure) = doubt(path, &file.metadata()?)? {
            told.push(exposed(&exposure, trust));
            if trust == FileTrust::Required {
                return Ok(None);
            }
        }
        content(file, max).map(Some)
    });
    read.unwrap_or_else(|error| {
        told.push(Diagnostic::whole(path, Severity::Error, explained(&error)));
        None
    })
}

/// The diagnostic about a path that somebody else may replace.
fn exposed(Exposure { path, why, remedy }: &Exposure, trust: FileTrust) -> Diagnostic {
    Diagnostic::whole(path, trust.severity(), format!("{why}: {remedy}"))
}

/// The rule files of a directory in the order of their names: `*.yaml`, without hidden ones.
///
/// A directory that does not exist has none. One that cannot be read is told about, and so is one into which others may put
/// files, or from which they may take some.
pub fn rule_files(directory: &Path, trust: FileTrust, told: &mut Diagnostics) -> Vec<PathBuf> {
    // An error of the look itself comes up again at the reading below.
    if let Ok(Some(exposure)) = exposure(directory) {
        told.push(exposed(&exposure, trust));
    }
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

fn content(file: File, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max {
        return Err(io::Error::other(format!("this file is longer than the {max} bytes that are read")));
    }
    Ok(bytes)
}

/// Why somebody else may replace what this path leads to, which is open.
fn doubt(path: &Path, opened: &Metadata) -> io::Result<Option<Exposure>> {
    let exposure = exposure(path)?;
    if exposure.is_none() && identity(&fs::metadata(path)?) != identity(opened) {
        return Err(io::Error::other("this file was exchanged while it was read: try again"));
    }
    Ok(exposure)
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
                .contains("can be written by everybody (mode 0777), who could replace what is in it")
        );
        chmod(directory.path(), 0o1777);
        assert!(read(&path, FileTrust::Required).0.is_some());
    }

    #[test]
    fn a_link_is_as_good_as_both_directories_and_its_target() {
        let good = directory();
        let bad = directory();
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
        let names: Vec<PathBuf> = rule_files(directory.path(), FileTrust::Required, &mut told);
        assert_eq!(names, ["a.yaml", "b.yaml"].map(|name| directory.path().join(name)));
        assert!(told.count(Severity::Warning) == 1 && told.to_string().contains("c.yml: warning: not read"));
        assert!(
            rule_files(Path::new("/no/such/directory"), FileTrust::Required, &mut told).is_empty()
                && !told.has_errors()
        );
    }
}
