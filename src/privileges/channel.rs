//! A socket pair between two processes of ours: frames, and descriptors beside them.
//!
//! A frame is its length, four bytes in the machine's order, and the value as postcard encodes it. Descriptors travel with
//! the length.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest answer, in bytes: the files of a large configuration.
const MAX_ANSWER: usize = 64 << 20;

/// The longest call, in bytes: a table of a million prefixes. Whoever asks may have been taken over.
const MAX_CALL: usize = 8 << 20;

/// The most descriptors beside a frame.
const MAX_DESCRIPTORS: usize = 6;

/// One end of the pair; the other one is in another process.
#[derive(Debug)]
pub(crate) struct Channel(UnixStream);

impl Channel {
    /// Two ends, neither of which a program that is run inherits.
    ///
    /// # Errors
    /// An error of a system that has no descriptors left.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        UnixStream::pair().map(|(one, other)| (Self(one), Self(other)))
    }

    /// The end that somebody else handed over.
    pub(crate) fn of(descriptor: OwnedFd) -> Self {
        Self(descriptor.into())
    }

    /// The descriptor, to be handed over.
    pub(crate) fn into_descriptor(self) -> OwnedFd {
        self.0.into()
    }

    /// Sends a value, and copies of these descriptors, [`MAX_DESCRIPTORS`] at the most. Waits while the other side does not
    /// read.
    ///
    /// # Errors
    /// An error where the other side is gone.
    pub(crate) fn send(&self, value: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let body = postcard::to_stdvec(value).map_err(io::Error::other)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many descriptors for a frame"));
        }
        let head = length.to_ne_bytes();
        // Four bytes go whole or not at all.
        while let Err(error) = sendmsg(&self.0, &[IoSlice::new(&head)], &mut beside, SendFlags::empty()) {
            if error != rustix::io::Errno::INTR {
                return Err(error.into());
            }
        }
        (&self.0).write_all(&body)
    }

    /// Waits for the next value and its descriptors; `None` when the other side is gone.
    ///
    /// # Errors
    /// An error where it sends what is no frame, or more than [`MAX_ANSWER`] bytes.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        self.receive_up_to(MAX_ANSWER)
    }

    fn receive_up_to<T: DeserializeOwned>(&self, most: usize) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut head = [0; 4];
        let mut descriptors = Vec::new();
        let mut filled = 0;
        while filled < head.len() {
            match self.receive_head(&mut head[filled..], &mut descriptors) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let length = usize::try_from(u32::from_ne_bytes(head)).unwrap_or(usize::MAX);
        if length > most {
            return Err(io::Error::other(format!("a frame of {length} bytes is too long")));
        }
        let mut body = Vec::new();
        (&self.0).take(length as u64).read_to_end(&mut body)?;
        decode(&body).map(|value| Some((value, descriptors)))
    }

    fn receive_head(&self, head: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let got = recvmsg(&self.0, &mut [IoSliceMut::new(head)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                descriptors.extend(received);
            }
        }
        Ok(got.bytes)
    }

    /// Sends a call and waits for its answer.
    ///
    /// # Errors
    /// An error where the other side is gone.
    pub(crate) fn call<A: DeserializeOwned>(&self, call: &impl Serialize) -> io::Result<(A, Vec<OwnedFd>)> {
        self.send(call, &[])?;
        self.receive()?.ok_or_else(|| io::Error::other("the other process of the daemon is gone"))
    }

    /// Answers calls until the other side is gone, or sends what is no call.
    ///
    /// # Errors
    /// An error of the channel, or of a frame that cannot be read or is longer than [`MAX_CALL`].
    pub(crate) fn serve<C, A>(&self, mut answer: impl FnMut(C) -> (A, Vec<OwnedFd>)) -> io::Result<()>
    where
        C: DeserializeOwned,
        A: Serialize,
    {
        // Descriptors beside a call are closed: nobody asks with one.
        while let Some((call, _closed)) = self.receive_up_to::<C>(MAX_CALL)? {
            let (answer, descriptors) = answer(call);
            let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(|fd| fd.as_fd()).collect();
            self.send(&answer, &descriptors)?;
        }
        Ok(())
    }
}

/// The value of a frame, without its length.
///
/// # Errors
/// An error where the bytes are no such value, or more than one.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(io::Error::other("a frame has bytes behind its value")),
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn a_value_and_its_descriptors_arrive_together() {
        let (one, other) = Channel::pair().unwrap();
        let file = File::open("/dev/null").unwrap();
        one.send(&"first", &[file.as_fd(), file.as_fd()]).unwrap();
        one.send(&7_u32, &[]).unwrap();
        let (text, descriptors) = other.receive::<String>().unwrap().unwrap();
        assert_eq!((text.as_str(), descriptors.len()), ("first", 2));
        assert_ne!(descriptors[0].as_raw_fd(), file.as_raw_fd());
        assert_eq!(other.receive::<u32>().unwrap().unwrap().0, 7);
        drop(one);
        assert!(other.receive::<u32>().unwrap().is_none(), "the other side is gone");
    }

    #[test]
    fn what_is_no_frame_is_an_error_and_takes_no_memory() {
        for bytes in [&u32::MAX.to_ne_bytes()[..], &[3, 0], &[2, 0, 0, 0, 1, 1]] {
            let (one, other) = Channel::pair().unwrap();
            (&one.0).write_all(bytes).unwrap();
            drop(one);
            assert!(other.receive::<bool>().is_err(), "{bytes:?}");
        }
    }
}
