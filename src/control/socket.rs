//! The socket file: one daemon, one socket, never too wide a mode.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::unistd::Group;
use thiserror::Error;

use super::peer::Access;
use super::stream::dial;
use crate::files::{self, Exposure, LockFailure, LockFile, directory_of, exposure};

/// Connections that wait to be accepted. A server at its limit still accepts, to answer that it is busy.
const BACKLOG: i32 = 64;

/// How long to try to connect to a socket that already exists.
const PROBE: Duration = Duration::from_secs(1);

/// Why there is no control socket: a sentence for the operator.
#[derive(Debug, Error)]
pub enum BindError {
    /// The directory of the socket is missing.
    #[error(
        "there is no directory {0} for the control socket: make it with `install -d -o root -m 0755 {0}`, as the start \
         script does, or name another place in `control: {{socket: PATH}}`"
    )]
    NoDirectory(PathBuf),
    /// Another user could put a socket there and impersonate the daemon.
    #[error("{0}; or name another place in `control: {{socket: PATH}}`")]
    Exposed(Exposure),
    /// Another daemon has the socket.
    #[error(
        "another daemon runs and has the control socket {0}: stop it first, or give this one its own `control: {{socket: \
         PATH}}` and `state`"
    )]
    Taken(PathBuf),
    /// Something other than a socket of ours is at the path; it was left alone.
    #[error(
        "{0} is in the way of the control socket, is not one of ours, and was left alone: remove it, or name another place \
         in `control: {{socket: PATH}}`"
    )]
    InTheWay(PathBuf),
    /// The group that may ask does not exist.
    #[error(
        "`control: {{group: {0}}}`: there is no such group; make it with pw(8) or groupadd, or drop the key"
    )]
    NoGroup(String),
    /// The system refused an operation.
    #[error("cannot {doing}: {error}")]
    System {
        /// The operation, with its path.
        doing: String,
        /// The error of the system.
        error: io::Error,
    },
}

fn failed<E: Into<io::Error>>(doing: &str, path: &Path) -> impl FnOnce(E) -> BindError {
    let doing = format!("{doing} {}", path.display());
    move |error| BindError::System { doing, error: error.into() }
}

impl Access {
    /// As [`Access::of_this_process`], for a group by its name.
    ///
    /// # Errors
    /// [`BindError::NoGroup`] where there is no such group, or the system's error.
    pub fn for_group(name: Option<&str>) -> Result<Self, BindError> {
        let Some(name) = name else { return Ok(Self::of_this_process(None)) };
        let group = Group::from_name(name).map_err(|errno| BindError::System {
            doing: format!("look up the group `{name}`"),
            error: errno.into(),
        })?;
        let group = group.ok_or_else(|| BindError::NoGroup(name.to_owned()))?;
        Ok(Self::of_this_process(Some(group.gid.as_raw())))
    }
}

/// A control socket that peers can connect to; they wait until a [`super::Server`] serves it.
///
/// While it exists, no other daemon can use the same path. Dropping it removes the socket file.
#[derive(Debug)]
pub struct Listener {
    // Fields are dropped in order: the file is removed before the socket stops listening, so that nobody is refused.
    place: Option<SocketFile>,
    pub(super) socket: UnixListener,
    pub(super) access: Access,
}

impl Listener {
    /// Creates the socket with mode 0600, or 0660 with the group of `access`. Replaces the socket of a dead daemon.
    ///
    /// # Errors
    /// When another daemon has it, another file is at its path (which is left alone), its directory is missing or can be
    /// changed by others, or the system refuses.
    pub fn bind(path: &Path, access: Access) -> Result<Self, BindError> {
        match directory_of(path) {
            directory if directory.is_dir() => check_place(path)?,
            directory => return Err(BindError::NoDirectory(directory.to_owned())),
        }
        let lock = lock(path)?;
        clear(path)?;
        let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .map_err(failed("make the control socket", path))?;
        let address = UnixAddr::new(path).map_err(failed("use as control socket the path", path))?;
        bind(fd.as_raw_fd(), &address).map_err(failed("make the control socket", path))?;
        // Nobody can connect before listen(2), so that the mode is right in time without touching the umask, which
        // belongs to all threads.
        let place = SocketFile::here(path, lock)?;
        close_to_others(path, access.group)?;
        let backlog = Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN);
        listen(&fd, backlog).map_err(failed("listen at", path))?;
        Ok(Self { place: Some(place), socket: fd.into(), access })
    }

    /// Whether a daemon holds the lock of the socket at `path`, even if it does not listen.
    pub fn is_taken(path: &Path) -> bool {
        LockFile::is_held(&beside(path))
    }

    /// A socket that another process has bound, and will remove.
    pub(crate) fn handed_over(socket: UnixListener, access: Access) -> Self {
        Self { place: None, socket, access }
    }

    /// The socket, to be handed over.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The path of the socket, if this process has bound it.
    pub fn path(&self) -> Option<&Path> {
        self.place.as_ref().map(|place| place.path.as_path())
    }
}

fn close_to_others(path: &Path, group: Option<u32>) -> Result<(), BindError> {
    let mode = |mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed("set the mode of", path))
    };
    mode(0o600)?;
    let Some(group) = group else { return Ok(()) };
    chown(path, None, Some(group))
        .map_err(failed(&format!("give (as `control: {{group: NAME}}` says) to group {group}"), path))?;
    mode(0o660)
}

/// Checks that no other user can replace the socket's directory or the lock in it. The socket's own mode may admit a group.
///
/// # Errors
/// [`BindError::Exposed`], or the system's error if a path cannot be examined.
pub fn check_place(socket: &Path) -> Result<(), BindError> {
    for path in [directory_of(socket), &beside(socket)] {
        if let Some(exposure) = exposure(path).map_err(failed("look at", path))? {
            return Err(BindError::Exposed(exposure));
        }
    }
    Ok(())
}

/// The lock beside the socket, held as long as the daemon lives.
///
/// Connecting to the socket is not a sufficient check: of two daemons that start at once neither would find the other, and
/// a stopped one with a full queue looks dead on FreeBSD.
fn lock(socket: &Path) -> Result<LockFile, BindError> {
    let path = beside(socket);
    LockFile::take(&path).map_err(|failure| match failure {
        LockFailure::Held(_) => BindError::Taken(socket.to_owned()),
        LockFailure::Io(error) => failed("lock", &path)(error),
    })
}

/// `portcullis.sock.lock`.
fn beside(socket: &Path) -> PathBuf {
    files::suffixed(socket, ".lock")
}

/// Removes a socket on which nobody listens; anything else is left alone and is an error.
fn clear(path: &Path) -> Result<(), BindError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", path)(error)),
        Ok(about) if !about.file_type().is_socket() => return Err(BindError::InTheWay(path.to_owned())),
        Ok(_) => {}
    }
    match dial(path, PROBE) {
        Ok(_) | Err(Errno::EAGAIN) => Err(BindError::Taken(path.to_owned())),
        Err(Errno::ECONNREFUSED) => fs::remove_file(path).map_err(failed("remove the dead socket", path)),
        Err(Errno::ENOENT) => Ok(()),
        // A datagram socket, as syslogd has: not ours, dead or alive.
        Err(Errno::EPROTOTYPE) => Err(BindError::InTheWay(path.to_owned())),
        Err(errno) => Err(failed("find out whether somebody answers at", path)(errno)),
    }
}

/// The socket in the file system, removed when dropped if it is still the one that was made.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    /// Dropped behind the rest: until the socket is gone.
    _lock: LockFile,
}

impl SocketFile {
    fn here(path: &Path, lock: LockFile) -> Result<Self, BindError> {
        let identity = identity(path).map_err(failed("look at", path))?;
        Ok(Self { path: path.to_owned(), identity, _lock: lock })
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|about| files::identity(&about))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // A socket that stays is found to be dead by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    fn access() -> Access {
        Access::of_this_process(None)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn the_socket_is_for_the_owner_or_for_the_group_too_and_goes_with_the_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let listener = Listener::bind(&path, access()).unwrap();
        assert_eq!((listener.path(), mode(&path)), (Some(path.as_path()), 0o600));
        assert!(Listener::is_taken(&path));
        drop(listener);
        assert!(!Listener::is_taken(&path));
        assert!(!path.exists());
        let group = nix::unistd::getegid().as_raw();
        let listener = Listener::bind(&path, Access::of_this_process(Some(group))).unwrap();
        assert_eq!((fs::metadata(&path).unwrap().gid(), mode(&path)), (group, 0o660));
        drop(listener);
    }

    #[test]
    fn a_second_daemon_is_told_and_the_first_one_keeps_its_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let first = Listener::bind(&path, access()).unwrap();
        let error = Listener::bind(&path, access()).unwrap_err();
        assert!(error.to_string().contains("another daemon runs"), "{error}");
        UnixStream::connect(&path).unwrap();
        drop(first);
        Listener::bind(&path, access()).unwrap();
    }

    #[test]
    fn a_program_without_our_lock_is_not_driven_out_either() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let _other = UnixListener::bind(&path).unwrap();
        assert!(matches!(Listener::bind(&path, access()), Err(BindError::Taken(_))));
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_dead_daemons_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        // Bound and never listening: what a listener leaves behind, also while a forked child still holds it.
        let dead = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(dead.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        fs::write(beside(&path), "").unwrap();
        let _listener = Listener::bind(&path, access()).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn nothing_but_a_dead_socket_is_ever_removed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "precious").unwrap();
        fs::create_dir(at("dir")).unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _syslogd = UnixDatagram::bind(at("log")).unwrap();
        for name in ["file", "dir", "link", "fifo", "log"] {
            let error = Listener::bind(&at(name), access()).unwrap_err();
            assert!(matches!(error, BindError::InTheWay(_)), "{name}: {error}");
            assert!(at(name).symlink_metadata().is_ok(), "{name}");
        }
        assert_eq!(fs::read_to_string(at("file")).unwrap(), "precious");
    }

    #[test]
    fn a_socket_that_somebody_else_put_there_since_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let listener = Listener::bind(&path, access()).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "not ours").unwrap();
        drop(listener);
        assert!(path.exists());
    }

    #[test]
    fn a_daemon_that_is_just_starting_counts_as_one_that_runs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let _starting = lock(&path).unwrap();
        assert!(matches!(Listener::bind(&path, access()), Err(BindError::Taken(_))));
        assert!(!path.exists());
    }

    #[test]
    fn a_lock_that_is_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        std::os::unix::fs::symlink(dir.path().join("target"), beside(&path)).unwrap();
        assert!(matches!(Listener::bind(&path, access()), Err(BindError::System { .. })));
        assert!(!dir.path().join("target").exists());
    }

    #[test]
    fn a_missing_directory_is_named_with_the_command_that_makes_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = Listener::bind(&dir.path().join("run/control.sock"), access()).unwrap_err().to_string();
        assert!(error.contains("run for the control socket: make it with `install -d"), "{error}");
    }

    #[test]
    fn a_directory_in_which_others_can_rename_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        for (mode, who) in [(0o777, "everybody (mode 0777)"), (0o775, "its group ")] {
            fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
            let error = Listener::bind(&path, access()).unwrap_err().to_string();
            assert!(error.contains(&format!("can be written by {who}")), "{error}");
        }
        for mode in [0o755, 0o1777] {
            fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
            Listener::bind(&path, access()).unwrap();
        }
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x".repeat(120));
        let error = Listener::bind(&path, access()).unwrap_err().to_string();
        assert!(error.contains("use as control socket the path"), "{error}");
    }
}
