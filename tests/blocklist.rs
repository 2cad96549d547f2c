//! Reports of servers, from a client of blocklistd's protocol that was written for these tests.

pub(crate) mod client;
mod receiver;
