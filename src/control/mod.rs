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
//! | `request`, `reply` | requests and replies as values |
//! | `wire` | their encoding as lines of JSON, with the version |
//! | `stream` | reading and writing lines, with limits on bytes and time |
//! | `peer` | the process at the other end, and its rights |
//! | `socket` | the socket file: one daemon, one socket, never too wide a mode |
//! | `connections` | limits on open connections |
//! | `call` | a request on its way to the daemon, and the answer on its way back |
//! | `server`, `client` | the two ends |
//!
//! The daemon's main loop never waits for a peer, and no peer waits for it without a timeout: a request is handed over as a
//! [`Call`], and after a while the peer is told that the daemon is busy. Nothing here logs, since a peer could then fill the
//! log.

mod call;
mod client;
mod connections;
mod peer;
pub mod reply;
mod request;
mod server;
mod socket;
mod stream;
mod text;
mod wire;

pub use call::{Accepted, Answering, Call};
pub use client::{Client, ClientError, ClientErrorKind};
pub use connections::ServerLimits;
pub use peer::{Access, PeerProcess, Rights};
pub use reply::{Answer, Code, Refusal, Reply};
pub use request::{Length, Request, Unban};
pub use server::Server;
pub use socket::{BindError, Listener, check_place};
pub use text::check_reason;
pub use wire::VERSION;
