//! A report: what a server says of a connection that it accepted, through the protocol of blocklistd(8).
//!
//! A plain value of fixed size: whoever receives reports may be another process than whoever judges them.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::printable::printable;

/// The longest text of a report, in bytes; the original client sends no more.
pub const MAX_TEXT: usize = 128;

/// The kinds of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReportKind {
    /// A login failed, or the peer broke the protocol.
    Failed,
    /// A login succeeded.
    Success,
    /// The server wants the peer to be blocked at once.
    Abuse,
    /// The peer asked for a user that does not exist.
    NoUser,
}

impl ReportKind {
    /// Every kind, in the order of the protocol's numbers, which begin with 1.
    pub const ALL: [Self; 4] = [Self::Failed, Self::Success, Self::Abuse, Self::NoUser];

    /// The word in rule files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Success => "success",
            Self::Abuse => "abuse",
            Self::NoUser => "no-user",
        }
    }

    /// The thing that was reported, for people.
    const fn spoken(self) -> &'static str {
        match self {
            Self::Failed => "a failed login",
            Self::Success => "a login",
            Self::Abuse => "abuse",
            Self::NoUser => "an unknown user",
        }
    }
}

/// One report about one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The event that is reported.
    pub kind: ReportKind,
    /// The peer; an IPv4 address is never written as an IPv6 one.
    pub peer: SocketAddr,
    /// The port on this machine to which the peer connected.
    pub local_port: u16,
    /// Whether the address is the sender's word, as for UDP. Otherwise the kernel named it, from the connection itself.
    pub is_claimed: bool,
    /// The process that sent the report; `None` where the system does not tell.
    pub sender: Option<ReportSender>,
    /// Words of the sender's, such as `Invalid user`.
    pub text: ReportText,
}

/// The process that sent a report, as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSender {
    /// Its process id.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
}

/// The text of a report: up to [`MAX_TEXT`] bytes, in any encoding.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub struct ReportText {
    bytes: [u8; MAX_TEXT],
    len: u8,
}

impl ReportText {
    /// These bytes, and no more than fit.
    pub fn new(text: &[u8]) -> Self {
        let mut bytes = [0; MAX_TEXT];
        let text = &text[..text.len().min(MAX_TEXT)];
        bytes[..text.len()].copy_from_slice(text);
        Self { bytes, len: u8::try_from(text.len()).unwrap_or_default() }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl From<Vec<u8>> for ReportText {
    fn from(text: Vec<u8>) -> Self {
        Self::new(&text)
    }
}

impl From<ReportText> for Vec<u8> {
    fn from(text: ReportText) -> Self {
        text.as_bytes().to_vec()
    }
}

impl fmt::Debug for ReportText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", printable(self.as_bytes()))
    }
}

impl Report {
    /// The report as a sentence, for a service of this name:
    /// `sshd reported a failed login from 192.0.2.7:50122 on port 22 (Fatal exit)`.
    pub fn sentence(&self, service: &str) -> String {
        let Self { kind, peer, local_port, text, .. } = self;
        let said = printable(text.as_bytes());
        let said = if said.trim().is_empty() { String::new() } else { format!(" ({})", said.trim()) };
        format!("{service} reported {} from {peer} on port {local_port}{said}", kind.spoken())
    }
}

/// Reads what [`Report::sentence`] wrote; gives the service and the report. `None` for any other text. Words may stand before it,
/// as in the output of `why`.
pub fn read_sentence(text: &str) -> Option<(&str, Report)> {
    let (before, rest) = text.trim().split_once(" reported ")?;
    let service = before.rsplit(' ').next()?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let (what, rest) = rest.split_once(" from ")?;
    let kind = ReportKind::ALL.into_iter().find(|kind| kind.spoken() == what)?;
    let (peer, rest) = rest.split_once(" on port ")?;
    let (port, said) = rest.split_once(' ').unwrap_or((rest, ""));
    let report = Report {
        kind,
        peer: peer.parse().ok()?,
        local_port: port.parse().ok()?,
        is_claimed: false,
        sender: None,
        text: ReportText::new(said.trim_start_matches('(').trim_end_matches(')').as_bytes()),
    };
    (!service.is_empty() && service.chars().all(is_name)).then_some((service, report))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(kind: ReportKind, peer: &str, text: &[u8]) -> Report {
        Report {
            kind,
            peer: peer.parse().unwrap(),
            local_port: 22,
            is_claimed: false,
            sender: None,
            text: ReportText::new(text),
        }
    }

    #[test]
    fn a_report_is_a_sentence_and_is_read_from_it() {
        let failed = report(ReportKind::Failed, "192.0.2.7:50122", b"");
        assert_eq!(failed.sentence("sshd"), "sshd reported a failed login from 192.0.2.7:50122 on port 22");
        for kind in ReportKind::ALL {
            for (peer, text) in [("192.0.2.7:50122", &b"Fatal exit"[..]), ("[2001:db8::7]:1", b"")] {
                let report = report(kind, peer, text);
                assert_eq!(read_sentence(&report.sentence("sshd")), Some(("sshd", report)));
                let shown = format!("  2026-12-01T13:00:00Z ssh: {}\n", report.sentence("sshd"));
                assert_eq!(read_sentence(&shown), Some(("sshd", report)));
            }
        }
        for other in [
            "",
            "sshd reported",
            "X reported abuse from 192.0.2.7:1 on port 22",
            "a reported x from 192.0.2.7:1 on port 22",
            "sshd reported abuse",
        ] {
            assert_eq!(read_sentence(other), None);
        }
    }

    #[test]
    fn the_text_of_a_report_is_bounded_and_drives_no_terminal() {
        let long = ReportText::new(&[b'x'; 4 * MAX_TEXT]);
        assert_eq!(long.as_bytes().len(), MAX_TEXT);
        let odd = report(ReportKind::Abuse, "192.0.2.7:1", b"a\x1b[2J\nb\xff ");
        assert!(odd.sentence("sshd").ends_with("on port 22 (a\u{fffd}[2J b\u{fffd})"));
    }
}
