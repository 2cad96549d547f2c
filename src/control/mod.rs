//! The control socket: how `status`, `bans`, `why`, `ban`, `unban` and `reload` reach the running daemon.
//!
//! One connection carries one request and one reply, each a line of JSON with the protocol's version:
//!
//! ```text
//! {"v":1,"command":"status"}                               {"v":1,"ok":{"status":{…}}}
//! {"v":1,"command":{"why":{"address":"192.0.2.7"}}}        {"v":1,"ok":{"why":{…}}}
//! {"v":1,"command":{"unban":{"prefixes":["192.0.2.7"]}}}   {"v":1,"error":{"code":"permission","text":"…"}}
//! ```
//!
//! | file | is |
//! | --- | --- |
//! | `request`, `reply` | what can be asked and answered, as values |
//! | `wire` | the same as lines of JSON, with the version |
//! | `stream` | lines in and out of a socket, bounded in bytes and time |
//! | `peer` | who is at the other end, and what they may do |
//! | `socket` | the place in the file system: one daemon, one socket, the right mode from the first moment |
//! | `seats` | how many connections there are, and whose |
//! | `call` | a request on its way to the daemon, and the answer on its way back |
//! | `server`, `client` | the two ends |
//!
//! The daemon's main loop is never waited for without end and never waits: a request is handed over as a [`Call`] and
//! whoever asked is told after a while that the daemon is busy. Nothing here logs, since whoever may connect could
//! then fill the log.

mod call;
mod client;
mod peer;
pub mod reply;
mod request;
mod seats;
mod server;
mod socket;
mod stream;
mod text;
mod wire;

pub use call::{Accepted, Answering, Call};
pub use client::{Client, ClientError, ClientErrorKind};
pub use peer::{Access, PeerProcess, Rights};
pub use reply::{Answer, Code, Refusal, Reply};
pub use request::{Length, Request, Unban};
pub use seats::ServerLimits;
pub use server::Server;
pub use socket::{BindError, Listener, check_place};
pub use text::check_reason;
pub use wire::VERSION;
