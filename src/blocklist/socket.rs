//! The socket file: one server at a time, and a mode that lets in nobody who was not asked.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use nix::unistd::Group;
use rustix::net::sockopt;
use thiserror::Error;

use crate::files::{self, Exposure, directory_of, exposure};
use crate::settings::BlocklistSettings;

/// Some thousand reports: FreeBSD's default of 16 KiB holds sixty. What the system does not grant is not had.
const BUFFER: usize = 1 << 20;

/// Why no reports can be received: a sentence for the operator.
#[derive(Debug, Error)]
pub enum SocketRefused {
    /// The directory of the socket is missing.
    #[error("source {0}: there is no directory {1} for the socket: make it, or name another `blocklist`")]
    NoDirectory(String, PathBuf),
    /// Another user could put a socket there and take the reports.
    #[error("source {0}: {1}; or name another `blocklist`")]
    Exposed(String, Exposure),
    /// Another server has the socket.
    #[error(
        "source {0}: another server answers at {1}, as blocklistd does, and there can be one only: stop it (`service blocklistd \
         stop` and `sysrc blocklistd_enable=NO`), or drop this source"
    )]
    Taken(String, PathBuf),
    /// Something other than a datagram socket is at the path; it was left alone.
    #[error(
        "source {0}: {1} is in the way and is no socket for reports: it was left alone; remove it, or name another `blocklist`"
    )]
    InTheWay(String, PathBuf),
    /// There is no such group.
    #[error("source {0}: there is no group `{1}`: make it, or name another")]
    Group(String, String),
    /// The system refused an operation.
    #[error("source {source_name}: cannot {doing} {path}: {error}")]
    System {
        /// The name of the source.
        source_name: String,
        /// The operation.
        doing: &'static str,
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
}

/// A bound socket. Dropping it removes the socket file, if it is still the one that was made.
#[derive(Debug)]
pub struct ReportSocket {
    socket: UnixDatagram,
    path: PathBuf,
    identity: (u64, u64),
}

impl ReportSocket {
    /// Makes the socket, with mode 0600, or 0660 with the configured group. A socket at which nobody answers is replaced.
    ///
    /// # Errors
    /// If another server has it, something else is in its place, or the system refuses.
    pub fn bind(settings: &BlocklistSettings) -> Result<Self, SocketRefused> {
        let BlocklistSettings { name, socket: path, group, .. } = settings;
        let failed = |doing| {
            move |error: io::Error| SocketRefused::System {
                source_name: name.clone(),
                doing,
                path: path.clone(),
                error,
            }
        };
        let group = group.as_deref().map(|group| gid(name, group)).transpose()?;
        let directory = directory_of(path);
        if !directory.is_dir() {
            return Err(SocketRefused::NoDirectory(name.clone(), directory.to_owned()));
        }
        if let Some(exposed) = exposure(directory).map_err(failed("look at"))? {
            return Err(SocketRefused::Exposed(name.clone(), exposed));
        }
        clear(name, path)?;
        let socket = bind_closed(path).map_err(failed("make the socket"))?;
        let identity = identity(path).map_err(failed("look at"))?;
        let bound = Self { socket, path: path.clone(), identity };
        open_to(path, group).map_err(failed("set the mode of"))?;
        bound.prepare().map_err(failed("set up"))?;
        Ok(bound)
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn prepare(&self) -> io::Result<()> {
        // As much as there is: less means that a burst may be lost, not that nothing works.
        let _ = sockopt::set_socket_recv_buffer_size(&self.socket, BUFFER);
        #[cfg(target_os = "linux")]
        {
            let _ = sockopt::set_socket_recv_buffer_size_force(&self.socket, BUFFER);
            sockopt::set_socket_passcred(&self.socket, true)?;
        }
        Ok(())
    }
}

impl Drop for ReportSocket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // A socket that stays is found to be dead by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|about| files::identity(&about))
}

/// Whether a server answers at a datagram socket.
///
/// # Errors
/// The system's: `NotFound` where there is nothing, `ConnectionRefused` where a server is gone.
pub fn is_answered(path: &Path) -> io::Result<()> {
    UnixDatagram::unbound()?.connect(path)
}

/// Removes a socket at which nobody answers; anything else is left alone and is an error.
fn clear(name: &str, path: &Path) -> Result<(), SocketRefused> {
    let failed = |doing, error| SocketRefused::System {
        source_name: name.to_owned(),
        doing,
        path: path.to_owned(),
        error,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", error)),
        Ok(about) if !about.file_type().is_socket() => {
            return Err(SocketRefused::InTheWay(name.to_owned(), path.to_owned()));
        }
        Ok(_) => {}
    }
    match is_answered(path) {
        Ok(()) => Err(SocketRefused::Taken(name.to_owned(), path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| failed("remove the dead socket", error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A stream socket.
        Err(error) if error.raw_os_error() == Some(nix::libc::EPROTOTYPE) => {
            Err(SocketRefused::InTheWay(name.to_owned(), path.to_owned()))
        }
        Err(error) => Err(failed("find out whether somebody answers at", error)),
    }
}

/// Binds so that nobody else can send from the first moment on. The umask belongs to all threads: whatever one of them
/// makes meanwhile is closed to others too.
fn bind_closed(path: &Path) -> io::Result<UnixDatagram> {
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = UnixDatagram::bind(path);
    umask(before);
    bound
}

fn open_to(path: &Path, group: Option<u32>) -> io::Result<()> {
    let mode = |mode| fs::set_permissions(path, Permissions::from_mode(mode));
    mode(0o600)?;
    let Some(group) = group else { return Ok(()) };
    chown(path, None, Some(group))?;
    mode(0o660)
}

fn gid(source: &str, name: &str) -> Result<u32, SocketRefused> {
    let known = Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
    known.ok_or_else(|| SocketRefused::Group(source.to_owned(), name.to_owned()))
}
