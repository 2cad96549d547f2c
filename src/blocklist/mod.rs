//! The server's side of blocklistd(8)'s protocol: servers such as sshd pass an accepted connection and say what happened in
//! it, and the kernel says who the peer is. No text is read for that.
//!
//! ```text
//! socket       the socket file: one server, a narrow mode
//! datagram     the bytes of a report, parsed without a system call
//! connection   the kernel's word about a passed connection
//! receive      one datagram with its descriptors and its sender
//! gate         the refusals, and how often each was needed
//! receiver     a thread that turns datagrams into reports
//! ```
//!
//! Nothing of the daemon is known here: a [`Receiver`] takes a bound [`ReportSocket`], and hands out
//! [`Report`](crate::report::Report)s, plain values.

mod connection;
mod datagram;
mod gate;
mod receive;
mod receiver;
mod socket;

pub use datagram::{Datagram, MAX_DATAGRAM, Malformed};
pub use gate::{Gate, NotTaken, ReceiverCounts, UnknownUser};
pub use receiver::Receiver;
pub use socket::{ReportSocket, SocketRefused, is_answered};
