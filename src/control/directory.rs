//! Whether a directory is fit for the control socket.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::{getegid, geteuid};

use super::socket::{BindError, failed};
use crate::files::directory_of;

/// Whoever can rename in the directory can put another socket there and play the daemon to root.
pub(super) fn check(socket: &Path) -> Result<(), BindError> {
    let path = directory_of(socket);
    let about = match fs::metadata(path) {
        Ok(about) if about.is_dir() => about,
        Ok(_) => return Err(BindError::NoDirectory(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BindError::NoDirectory(path.to_owned()));
        }
        Err(error) => return Err(failed("look at", path)(error)),
    };
    match exposure(about.uid(), about.gid(), about.mode()) {
        Some(why) => Err(BindError::UnsafeDirectory { path: path.to_owned(), why }),
        None => Ok(()),
    }
}

/// Who else could rename in such a directory. Sticky ones (`/tmp`) are fit for trying, and root's group is root.
fn exposure(uid: u32, gid: u32, mode: u32) -> Option<&'static str> {
    let sticky = mode & 0o1000 != 0;
    if uid != 0 && uid != geteuid().as_raw() {
        return Some("belongs to another user");
    }
    if mode & 0o002 != 0 && !sticky {
        return Some("can be written by everybody");
    }
    let strangers = gid != 0 && gid != getegid().as_raw();
    (mode & 0o020 != 0 && !sticky && strangers).then_some("can be written by its group")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_missing_directory_is_named_with_the_command_that_makes_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = check(&dir.path().join("run/control.sock")).unwrap_err().to_string();
        assert!(error.contains("run for the control socket: make it with `install -d"), "{error}");
    }

    #[test]
    fn a_directory_in_which_others_can_rename_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = check(&dir.path().join("control.sock")).unwrap_err().to_string();
        assert!(error.contains("can be written by everybody"), "{error}");
        let me = geteuid().as_raw();
        assert_eq!(exposure(me, 0, 0o755), None);
        assert_eq!(exposure(0, 0, 0o1777), None);
        assert_eq!(exposure(0, 4242, 0o775), Some("can be written by its group"));
        assert_eq!(exposure(me + 1, 0, 0o755), Some("belongs to another user"));
    }
}
