//! One datagram, with the descriptors that came along and the process that sent it.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

use super::datagram::MAX_DATAGRAM;
use crate::report::ReportSender;

/// Room for some descriptors and the sender's credentials. Of more descriptors the kernel closes those that find no room.
const CONTROL: usize = 256;

/// A datagram as it arrived.
pub(super) struct Received {
    bytes: [u8; MAX_DATAGRAM + 1],
    len: usize,
    /// The descriptor, if exactly one came.
    pub(super) descriptor: Option<OwnedFd>,
    /// Whether there were more descriptors than one; all of them are closed.
    pub(super) has_several: bool,
    /// The sender; `None` where the system does not tell.
    pub(super) sender: Option<ReportSender>,
}

impl Received {
    /// Takes one datagram from a socket, and does not wait for one. Every descriptor that comes along is owned, and so closed
    /// when it is dropped.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; other errors are of the system's.
    pub(super) fn from(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let mut bytes = [0; MAX_DATAGRAM + 1];
        let mut space = [MaybeUninit::uninit(); CONTROL];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let told = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?;
        let mut descriptors = Vec::new();
        let mut sender = None;
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmRights(passed) => descriptors.extend(passed),
                credentials => sender = sender.or_else(|| sender_in(&credentials)),
            }
        }
        let has_several = descriptors.len() > 1 || told.flags.contains(ReturnFlags::CTRUNC);
        let descriptor = if has_several { None } else { descriptors.pop() };
        Ok(Self { bytes, len: told.bytes, descriptor, has_several, sender })
    }

    /// The bytes of the datagram; of one that is too long, more than any report has.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(target_os = "linux")]
fn sender_in(message: &RecvAncillaryMessage<'_>) -> Option<ReportSender> {
    let RecvAncillaryMessage::ScmCredentials(credentials) = message else { return None };
    let pid = u32::try_from(credentials.pid.as_raw_nonzero().get()).ok()?;
    Some(ReportSender { pid, uid: credentials.uid.as_raw() })
}

/// FreeBSD tells by `LOCAL_CREDS_PERSISTENT`, in a message that rustix 1.1 does not read and nix 0.31 takes for another one.
#[cfg(not(target_os = "linux"))]
fn sender_in(_: &RecvAncillaryMessage<'_>) -> Option<ReportSender> {
    None
}
