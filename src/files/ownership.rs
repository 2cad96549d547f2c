//! Who may replace this path? One rule, for every path on which root acts: configuration, rule files, allow files, the
//! database and what lies beside it, the control socket's directory, lock files, the table's file, the programs that are run.
//!
//! *We* are root and the user who runs this (the effective user id). From `/` to the last name of a path:
//!
//! 1. Every directory on the way, and whatever the path leads to, must belong to us, and neither its group nor others may
//!    write to it. No group is excepted, not even `wheel`: its members need a password to become root.
//! 2. A symbolic link is followed step by step. A link cannot be changed, so neither its owner nor its mode matters. It can
//!    be replaced by whoever may write to its directory, so that directory, and each one on the link's way, is held to 1.
//! 3. A directory with the sticky bit, such as `/tmp`, may be open to others: they can replace only what is theirs. A name in
//!    it must belong to us, and be no symbolic link and no second name of a file, which others can make of files of ours.
//! 4. What does not exist yet is fine. Whoever creates it in a sticky directory, where somebody else may be faster, creates it
//!    exclusively or checks what was opened, as [`super::LockFile`] does.
//!
//! Only the first step that breaks the rule is reported. What lies beyond it is under somebody else's control, and advice to
//! change its owner could be a trap.
//!
//! Access control lists (`NFSv4`, as of ZFS) may let others write without a bit of the mode that shows it; they are not read.
//! Those of POSIX.1e show in the group's bits.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{self, Component, Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::geteuid;
use thiserror::Error;

/// Write permission of the group and of others.
const SHARED: u32 = 0o022;
const STICKY: u32 = 0o1000;
/// Links in one path, as FreeBSD (`MAXSYMLINKS` 32) and Linux (40) count them, and not fewer.
const MAX_LINKS: usize = 40;

/// Why somebody else may replace a path, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} {why}: {remedy}", path.display())]
pub struct Exposure {
    /// The directory or file that is not ours alone: it need not be the path that was asked about.
    pub path: PathBuf,
    /// The rest of a sentence that begins with the path.
    pub why: String,
    /// A command, or a phrase that says what to do.
    pub remedy: String,
}

/// Whether root must not act on what others may replace, or an ordinary user only hears of it.
pub(crate) fn is_enforced() -> bool {
    geteuid().is_root()
}

/// Why somebody else may replace this path, or anything on the way to it; `None` where nobody can.
///
/// # Errors
/// An error of the system at a step that cannot be looked at. A missing one is no error.
pub(crate) fn exposure(path: &Path) -> io::Result<Option<Exposure>> {
    Walk::along(path, geteuid().as_raw())?.run()
}

/// A path on its way from `/`.
struct Walk {
    /// The effective user id of this process.
    me: u32,
    /// How far it came, without links.
    at: PathBuf,
    /// The metadata of the file.
    about: Metadata,
    /// The names that are to come, the next one last.
    rest: Vec<OsString>,
    links: usize,
}

impl Walk {
    fn along(path: &Path, me: u32) -> io::Result<Self> {
        let root = PathBuf::from("/");
        let about = root.symlink_metadata()?;
        let mut walk = Self { me, at: root, about, rest: Vec::new(), links: 0 };
        walk.prepend(&path::absolute(path)?);
        Ok(walk)
    }

    fn run(mut self) -> io::Result<Option<Exposure>> {
        if let Some(exposure) = self.judge(&self.at, &self.about) {
            return Ok(Some(exposure));
        }
        while let Some(name) = self.rest.pop() {
            let next = self.at.join(&name);
            let about = match next.symlink_metadata() {
                Err(error) if is_missing(&error) => return Ok(None),
                about => about?,
            };
            if let Some(exposure) = self.stray(&next, &about) {
                return Ok(Some(exposure));
            }
            if about.is_symlink() {
                self.follow(&next)?;
                continue;
            }
            if let Some(exposure) = self.judge(&next, &about) {
                return Ok(Some(exposure));
            }
            // What is above a directory that we reached was looked at on the way down.
            self.at = if name == ".." { parent(&self.at) } else { next };
            self.about = about;
        }
        Ok(None)
    }

    fn follow(&mut self, link: &Path) -> io::Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::ELOOP.into());
        }
        let target = fs::read_link(link)?;
        if target.is_absolute() {
            self.at = PathBuf::from("/");
            self.about = self.at.symlink_metadata()?;
        }
        self.prepend(&target);
        Ok(())
    }

    fn prepend(&mut self, path: &Path) {
        let names = path.components().rev().filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            Component::ParentDir => Some(OsStr::new("..")),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
        });
        self.rest.extend(names.map(OsStr::to_owned));
    }

    /// Rule 1 of the module: owner and mode of a step.
    fn judge(&self, path: &Path, about: &Metadata) -> Option<Exposure> {
        let deed = if about.is_dir() { "replace what is in it" } else { "change it" };
        if !self.is_ours(about) {
            let why = format!("belongs to user {}, who could {deed}", about.uid());
            return Some(Exposure::new(path, why, format!("`chown {} {}`", self.owner(), path.display())));
        }
        if about.mode() & SHARED == 0 || is_sticky(about) {
            return None;
        }
        let who = match about.mode() & SHARED {
            0o020 => format!("its group {}", about.gid()),
            _ => "everybody".to_owned(),
        };
        let mode = about.mode() & 0o7777;
        let why = format!("can be written by {who} (mode {mode:04o}), who could {deed}");
        Some(Exposure::new(path, why, format!("`chmod go-w {}`", path.display())))
    }

    /// Rule 3: a name in a directory where others may make some as well.
    fn stray(&self, path: &Path, about: &Metadata) -> Option<Exposure> {
        if self.about.mode() & SHARED == 0 {
            return None;
        }
        let what = if !self.is_ours(about) {
            format!("belongs to user {}", about.uid())
        } else if about.is_symlink() {
            "is a symbolic link".to_owned()
        } else if !about.is_dir() && about.nlink() != 1 {
            format!("has {} names", about.nlink())
        } else {
            return None;
        };
        let why = format!("{what}, in a directory where others may put files ({})", self.at.display());
        let remedy = "look at what it is and remove it, or use a directory that only root may write to";
        Some(Exposure::new(path, why, remedy.to_owned()))
    }

    fn is_ours(&self, about: &Metadata) -> bool {
        is_owned_by(about, self.me)
    }

    fn owner(&self) -> String {
        if self.me == 0 { "root".to_owned() } else { self.me.to_string() }
    }
}

impl Exposure {
    fn new(path: &Path, why: String, remedy: String) -> Self {
        Self { path: path.to_owned(), why, remedy }
    }
}

/// Whether an open file is one of ours under one name only: for what others may have put in place before us.
pub(super) fn is_only_ours(about: &Metadata) -> bool {
    about.is_file() && about.nlink() == 1 && is_owned_by(about, geteuid().as_raw())
}

fn is_owned_by(about: &Metadata, me: u32) -> bool {
    about.uid() == 0 || about.uid() == me
}

/// Only of a directory the bit says that others cannot replace what is in it.
fn is_sticky(about: &Metadata) -> bool {
    about.is_dir() && about.mode() & STICKY != 0
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn parent(directory: &Path) -> PathBuf {
    directory.parent().unwrap_or(directory).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use tempfile::TempDir;

    use super::*;

    fn directory(mode: u32) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        chmod(directory.path(), mode);
        directory
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn file(directory: &TempDir, mode: u32) -> PathBuf {
        let path = directory.path().join("file");
        fs::write(&path, "").unwrap();
        chmod(&path, mode);
        path
    }

    fn told(path: &Path) -> String {
        exposure(path).unwrap().map(|exposure| exposure.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_only_we_may_write_to_is_fine_and_so_is_what_is_not_there_yet() {
        let directory = directory(0o755);
        let file = file(&directory, 0o644);
        for path in [file.clone(), file.with_file_name("missing"), file.join("below/a/file")] {
            assert_eq!(told(&path), "", "{}", path.display());
        }
    }

    #[test]
    fn the_group_and_others_may_not_write_to_a_file_or_its_directory() {
        for (mode, who) in [(0o775, "its group "), (0o757, "everybody"), (0o777, "everybody")] {
            let directory = directory(mode);
            let said = told(&directory.path().join("missing"));
            let named = format!("can be written by {who}");
            let command = format!("`chmod go-w {}`", directory.path().display());
            assert!(said.contains(&named) && said.ends_with(&command), "{said}");
            assert!(said.contains("who could replace what is in it"), "{said}");
        }
        for mode in [0o664, 0o646, 0o666] {
            let said = told(&file(&directory(0o755), mode));
            assert!(said.contains(&format!("(mode {mode:04o}), who could change it")), "{said}");
        }
    }

    #[test]
    fn a_writable_directory_anywhere_above_is_found() {
        let top = directory(0o755);
        let deep = top.path().join("a/b/c");
        fs::create_dir_all(&deep).unwrap();
        chmod(&top.path().join("a"), 0o775);
        for path in [deep.clone(), deep.join("../c"), top.path().join("./a/b/../b/c/d")] {
            assert!(told(&path).starts_with(&format!("{}/a can be", top.path().display())));
        }
        assert_eq!(told(&top.path().join("a/..")), told(&top.path().join("a")), "it may be a link tomorrow");
    }

    #[test]
    fn each_link_on_the_way_is_as_good_as_its_own_directory() {
        let good = directory(0o755);
        let bad = directory(0o777);
        let target = file(&good, 0o644);
        symlink(&target, bad.path().join("link")).unwrap();
        // Good, then bad, then good again.
        symlink(bad.path().join("link"), good.path().join("twice")).unwrap();
        symlink("file", good.path().join("relative")).unwrap();
        symlink(good.path(), good.path().join("around")).unwrap();
        assert!(told(&good.path().join("twice")).starts_with(&bad.path().display().to_string()));
        for name in ["relative", "around/around/relative"] {
            assert_eq!(told(&good.path().join(name)), "", "{name}");
        }
    }

    #[test]
    fn links_in_a_circle_are_an_error_and_no_endless_walk() {
        let directory = directory(0o755);
        let link = directory.path().join("link");
        symlink(&link, &link).unwrap();
        assert_eq!(exposure(&link).unwrap_err().raw_os_error(), Some(Errno::ELOOP as i32));
    }

    #[test]
    fn in_a_sticky_directory_a_name_must_be_ours_and_no_link_of_either_kind() {
        let shared = directory(0o1777);
        let good = directory(0o755);
        let precious = file(&good, 0o644);
        let at = |name: &str| shared.path().join(name);
        symlink(&precious, at("link")).unwrap();
        fs::hard_link(&precious, at("name")).unwrap();
        fs::write(at("ours"), "").unwrap();
        fs::create_dir(at("below")).unwrap();
        chmod(&at("ours"), 0o644);
        chmod(&at("below"), 0o755);
        for (name, why) in [("link", "is a symbolic link, in"), ("name", "has 2 names, in")] {
            let said = told(&at(name));
            assert!(said.contains(why) && said.contains("remove it"), "{said}");
        }
        for name in ["ours", "missing", "below/missing"] {
            assert_eq!(told(&at(name)), "", "{name}");
        }
    }

    #[test]
    fn another_users_directories_and_files_are_not_believed() {
        let top = directory(0o755);
        let below = top.path().join("below");
        let path = below.join("file");
        fs::create_dir(&below).unwrap();
        fs::write(&path, "").unwrap();
        chmod(&below, 0o755);
        chmod(&path, 0o644);
        let me = geteuid().as_raw();
        let told = |me| Walk::along(&path, me).unwrap().run().unwrap().map(|found| found.to_string());
        assert_eq!(told(me), None);
        if me != 0 {
            eprintln!("skipped in part: only root can give files away");
            assert!(told(me + 1).unwrap().contains(&format!("belongs to user {me}, ")));
            return;
        }
        assert_eq!(told(4242), None, "root's is everybody's");
        chown(&path, Some(4242), None).unwrap();
        let said = format!("belongs to user 4242, who could change it: `chown root {}`", path.display());
        assert!(told(0).unwrap().ends_with(&said));
        assert_eq!(told(4242), None, "it is that user's own, and the rest is root's");
        chown(&below, Some(4242), None).unwrap();
        let said = format!("could replace what is in it: `chown root {}`", below.display());
        assert!(told(0).unwrap().ends_with(&said), "the first step that breaks the rule");
        chmod(top.path(), 0o1777);
        assert!(told(0).unwrap().contains("belongs to user 4242, in a directory where others may put files"));
    }
}
