//! Where the database lies. The brain owns its directory; the table's file beside that directory is root's, since the
//! firewall's own rules read it.
//!
//! ```text
//! /var/db/portcullis           root's, which others may pass through
//! /var/db/portcullis/pf.table  root's
//! /var/db/portcullis/db        the brain's, and nobody else may look into it
//! ```
//!
//! A database that lies elsewhere, as after an update or a change of `privileges`, is moved.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::account::Account;
use crate::files::{directory_of, suffixed};
use crate::setup::database::of_the_brain;

/// What SQLite and the lock keep beside the database.
const FILES: [&str; 5] = ["", "-wal", "-journal", "-shm", ".lock"];

/// Makes the brain's directory, gives it to the account, and moves a database there that root had.
///
/// # Errors
/// A sentence on what stands in the way.
pub(crate) fn give(state: &Path, account: Account) -> Result<(), String> {
    let database = of_the_brain(state);
    let private = directory_of(&database);
    let failed =
        |error: io::Error| format!("{} cannot be made {}'s: {error}", private.display(), account.name);
    for directory in [directory_of(state), private] {
        if !directory.exists() {
            DirBuilder::new().mode(0o700).create(directory).map_err(failed)?;
        }
    }
    let about = private.symlink_metadata().map_err(failed)?;
    if !about.is_dir() || about.uid() != account.uid {
        let opened = take(private).map_err(failed)?;
        move_files(state, &database).map_err(failed)?;
        for suffix in FILES {
            own(&suffixed(&database, suffix), account.uid, account.gid).map_err(failed)?;
        }
        fchown(&opened, Some(account.uid), Some(account.gid)).map_err(failed)?;
    }
    let_pass(directory_of(state)).map_err(failed)?;
    closed(private).map_or(Ok(()), |closed| {
        Err(format!(
            "{0} cannot be entered by {1}, who keeps the database in {2}: run `chmod o+x {0}`, or write `privileges: \
             single`",
            closed.display(),
            account.name,
            private.display()
        ))
    })
}

/// Moves a database of the brain's back to where root alone has it.
///
/// # Errors
/// A sentence on what stands in the way.
pub(crate) fn take_back(state: &Path) -> Result<(), String> {
    let database = of_the_brain(state);
    let private = directory_of(&database);
    if !private.is_dir() || state.exists() {
        return Ok(());
    }
    let failed =
        |error: io::Error| format!("{} cannot be moved to {}: {error}", database.display(), state.display());
    let _root_alone = take(private).map_err(failed)?;
    for suffix in FILES {
        own(&suffixed(&database, suffix), 0, 0).map_err(failed)?;
    }
    move_files(&database, state).map_err(failed)?;
    for suffix in ["-shm", ".lock"] {
        let _may_be_missing = fs::remove_file(suffixed(&database, suffix));
    }
    // With other files in it, it stays, and is root's.
    let _may_stay = fs::remove_dir(private);
    Ok(())
}

/// Makes a directory root's alone, so that nobody exchanges what is in it while root looks.
fn take(directory: &Path) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(directory)?;
    fchown(&opened, Some(0), Some(0))?;
    opened.set_permissions(Permissions::from_mode(0o700))?;
    Ok(opened)
}

/// Gives a file to an account; only a regular one that has no other name, which could be anybody's file.
fn own(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let about = file.metadata()?;
    if !about.is_file() || about.nlink() != 1 {
        return Err(io::Error::other(format!("{} is no ordinary file: remove it", path.display())));
    }
    fchown(&file, Some(uid), Some(gid))
}

/// Moves a database with what belongs to it, unless there is one already.
fn move_files(from: &Path, to: &Path) -> io::Result<()> {
    if !from.exists() || to.exists() {
        return Ok(());
    }
    // The database itself last: until it is there the next start moves the rest.
    for suffix in ["-wal", "-journal", ""] {
        match fs::rename(suffixed(from, suffix), suffixed(to, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Lets others pass through a directory without letting them list it.
fn let_pass(directory: &Path) -> io::Result<()> {
    let mode = directory.metadata()?.mode() & 0o7777;
    if mode & 0o001 == 0 {
        fs::set_permissions(directory, Permissions::from_mode(mode | 0o011))?;
    }
    Ok(())
}

/// The first directory above this one through which others may not pass.
fn closed(directory: &Path) -> Option<PathBuf> {
    let resolved = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let above: Vec<&Path> = resolved.ancestors().skip(1).collect();
    let is_closed = |path: &&&Path| path.metadata().is_ok_and(|about| about.mode() & 0o001 == 0);
    above.iter().rev().find(is_closed).map(|path| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::database::present;

    const NOBODY: Account = Account { name: "nobody", uid: 65534, gid: 65534 };

    const OTHER: Account = Account { name: "other", uid: 65533, gid: 65533 };

    fn owner(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().uid()
    }

    #[test]
    fn a_database_goes_to_the_brain_and_comes_back() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root gives files away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let state = dir.path().join("state/state.db");
        give(&state, NOBODY).unwrap();
        let database = of_the_brain(&state);
        assert_eq!(database, dir.path().join("state/db/state.db"));
        fs::remove_dir(directory_of(&database)).unwrap();
        for suffix in ["", "-wal"] {
            fs::write(suffixed(&state, suffix), suffix).unwrap();
        }
        assert_eq!(present(&state), state);
        give(&state, NOBODY).unwrap();
        assert!(!state.exists() && present(&state) == database);
        assert_eq!(fs::read_to_string(suffixed(&database, "-wal")).unwrap(), "-wal");
        assert_eq!(
            [owner(&database), owner(directory_of(&database)), owner(directory_of(&state))],
            [65534, 65534, 0]
        );
        assert_eq!(directory_of(&database).metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(directory_of(&state).metadata().unwrap().mode() & 0o777, 0o711);
        give(&state, NOBODY).unwrap();
        take_back(&state).unwrap();
        assert!(state.exists() && !directory_of(&database).exists());
        assert_eq!([owner(&state), owner(&suffixed(&state, "-wal"))], [0, 0]);
    }

    #[test]
    fn root_gives_away_no_file_that_a_name_in_the_brains_directory_leads_to() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root gives files away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let state = dir.path().join("state/state.db");
        let precious = dir.path().join("precious");
        fs::write(&precious, "root:x:0:0").unwrap();
        give(&state, NOBODY).unwrap();
        let database = of_the_brain(&state);
        for link in [std::os::unix::fs::symlink, |from: &PathBuf, to: PathBuf| fs::hard_link(from, to)] {
            for suffix in FILES {
                let trap = suffixed(&database, suffix);
                link(&precious, trap.clone()).unwrap();
                assert!(give(&state, OTHER).is_err(), "{suffix}");
                assert!(take_back(&state).is_err(), "{suffix}");
                assert_eq!(owner(&precious), 0);
                fs::remove_file(trap).unwrap();
            }
        }
        fs::remove_dir_all(directory_of(&database)).unwrap();
        std::os::unix::fs::symlink(dir.path(), directory_of(&database)).unwrap();
        assert!(give(&state, NOBODY).is_err(), "a link in place of the directory");
    }

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        fs::create_dir(dir.path().join("state")).unwrap();
        let resolved = dir.path().canonicalize().unwrap();
        assert_eq!(
            closed(&dir.path().join("state/db")),
            Some(dir.path().to_owned()).filter(|_| resolved == dir.path())
        );
        fs::create_dir(dir.path().join("state/db")).unwrap();
        assert_eq!(closed(&dir.path().join("state/db")), Some(resolved));
    }
}
