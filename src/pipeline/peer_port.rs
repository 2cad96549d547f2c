//! The peer's port in a message, by which a line is known to be about a connection that its server reported.

use std::net::IpAddr;

use memchr::memmem;

use crate::address;

/// The words between an address and its port, as sshd writes them.
const PORT: &[u8] = b" port ";

/// The port that a message names behind this address. Of several the last counts, since the peer's own words come before
/// what a server adds to them; a wrong one would only keep a line and a report from being joined.
pub(super) fn peer_port(message: &[u8], peer: IpAddr) -> Option<u16> {
    memmem::rfind_iter(message, PORT).find_map(|at| {
        let before = message[..at].rsplit(|byte| *byte == b' ').next()?;
        if address::parse(before) != Some(peer) {
            return None;
        }
        let rest = &message[at + PORT.len()..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_the_one_behind_the_address() {
        let peer: IpAddr = "192.0.2.7".parse().unwrap();
        for (message, port) in [
            ("Failed password for root from 192.0.2.7 port 52548 ssh2", Some(52548)),
            ("Invalid user x from 192.0.2.7 port 1 from 192.0.2.7 port 52548", Some(52548)),
            ("Connection closed by invalid user x 8.8.8.8 port 22 192.0.2.7 port 7 [preauth]", Some(7)),
            ("Disconnecting authenticating user root 192.0.2.7 port 34404: no port 5", Some(34404)),
            ("Failed password for x from 8.8.8.8 port 22 ssh2", None),
            ("Failed password for x from 192.0.2.7 port 99999 ssh2", None),
            ("error: PAM: authentication error for root from 192.0.2.7", None),
        ] {
            assert_eq!(peer_port(message.as_bytes(), peer), port, "{message}");
        }
        let v6 = "2001:db8::7".parse().unwrap();
        assert_eq!(peer_port(b"Failed password for root from 2001:db8::7 port 9 ssh2", v6), Some(9));
    }
}
