//! Requests and replies as lines of JSON with the protocol's version.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::reply::{Answer, Code, Refusal, Reply};
use super::request::Request;

/// The version of the protocol that this program speaks; it is raised when an old reader would misunderstand.
pub const VERSION: u32 = 1;

/// The part of a line that is read first: another version may have any other keys.
#[derive(Deserialize)]
struct Head {
    v: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestLine<R> {
    v: u32,
    command: R,
}

/// Has either `ok` or `error`. Unknown keys are ignored: a newer program may add some without raising the version.
#[derive(Serialize, Deserialize)]
struct ReplyLine<A, R> {
    v: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<A>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<R>,
}

/// Encodes a request as a line, including its newline.
pub(super) fn request_line(request: &Request) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&RequestLine { v: VERSION, command: request })?;
    line.push(b'\n');
    Ok(line)
}

/// Decodes a request; the refusal is for its sender.
pub(super) fn read_request(line: &[u8]) -> Result<Request, Refusal> {
    let junk =
        |error: serde_json::Error| Refusal::new(Code::Protocol, format!("this is not a request: {error}"));
    let head: Head = serde_json::from_slice(line).map_err(junk)?;
    if head.v != VERSION {
        return Err(Refusal::new(Code::Version, other_version(head.v)));
    }
    let line: RequestLine<Request> = serde_json::from_slice(line).map_err(junk)?;
    Ok(line.command)
}

fn other_version(theirs: u32) -> String {
    format!(
        "the request is in version {theirs} of the control protocol and the running daemon speaks version {VERSION}: \
         after an update restart the daemon, and make sure that only one `portcullis` is installed"
    )
}

/// Writes a reply as a line; a long one is sent in pieces while it is encoded.
pub(super) fn write_reply(out: &mut dyn Write, reply: &Reply) -> io::Result<()> {
    let line = ReplyLine { v: VERSION, ok: reply.as_ref().ok(), error: reply.as_ref().err() };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Why a line is not a valid reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InvalidReply {
    /// It has another version of the protocol.
    Version(u32),
    /// It is not a reply; the text says why.
    Junk(String),
}

/// Decodes a reply.
pub(super) fn read_reply(line: &[u8]) -> Result<Reply, InvalidReply> {
    let junk = |error: serde_json::Error| InvalidReply::Junk(error.to_string());
    let head: Head = serde_json::from_slice(line).map_err(junk)?;
    if head.v != VERSION {
        return Err(InvalidReply::Version(head.v));
    }
    let line: ReplyLine<Answer, Refusal> = serde_json::from_slice(line).map_err(junk)?;
    match (line.ok, line.error) {
        (Some(answer), None) => Ok(Ok(answer)),
        (None, Some(refusal)) => Ok(Err(refusal)),
        _ => Err(InvalidReply::Junk("it is neither an answer nor an error".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::reply::BanEntry;
    use crate::control::request::{Length, Unban};
    use crate::engine::Origin;

    fn printed(request: &Request) -> String {
        String::from_utf8(request_line(request).unwrap()).unwrap()
    }

    fn refusal(line: &str) -> Refusal {
        read_request(line.as_bytes()).unwrap_err()
    }

    #[test]
    fn requests_are_what_the_page_says_and_come_back_equal() {
        let prefixes = vec!["192.0.2.7/32".parse().unwrap(), "2001:db8::/64".parse().unwrap()];
        let ban = Request::Ban {
            prefixes: prefixes.clone(),
            length: Length::For { ms: 3_600_000 },
            reason: "seen at the neighbours'".to_owned(),
            force: false,
        };
        for (request, line) in [
            (Request::Status, r#"{"v":1,"command":"status"}"#),
            (Request::Unban(Unban::All), r#"{"v":1,"command":{"unban":"all"}}"#),
            (
                Request::Unban(Unban::Prefixes(prefixes)),
                r#"{"v":1,"command":{"unban":{"prefixes":["192.0.2.7","2001:db8::/64"]}}}"#,
            ),
            (
                Request::Why { address: "192.0.2.7/32".parse().unwrap() },
                r#"{"v":1,"command":{"why":{"address":"192.0.2.7"}}}"#,
            ),
            (
                ban,
                r#"{"v":1,"command":{"ban":{"prefixes":["192.0.2.7","2001:db8::/64"],"length":{"for":{"ms":3600000}},"reason":"seen at the neighbours'","force":false}}}"#,
            ),
        ] {
            assert_eq!(printed(&request).trim_end(), line);
            assert_eq!(read_request(line.as_bytes()).unwrap(), request);
        }
    }

    #[test]
    fn junk_and_unknown_keys_are_refused_with_the_place() {
        for (line, part) in [
            ("", "EOF while parsing"),
            ("\u{0}\u{1}\u{2}", "expected value at line 1 column 1"),
            ("status", "expected value"),
            (r#"{"command":"status"}"#, "missing field `v`"),
            (r#"{"v":"1","command":"status"}"#, "invalid type"),
            (r#"{"v":-1,"command":"status"}"#, "invalid value"),
            (r#"{"v":1,"v":1,"command":"status"}"#, "duplicate field"),
            (r#"{"v":1}"#, "missing field `command`"),
            (r#"{"v":1,"command":"format"}"#, "unknown variant `format`"),
            (r#"{"v":1,"command":"status","as":"root"}"#, "unknown field `as`"),
            (r#"{"v":1,"command":{"why":{"address":"192.0.2.7","x":1}}}"#, "unknown field `x`"),
            (r#"{"v":1,"command":{"unban":{"prefixes":["192.0.2.7/24"]}}}"#, "bits set behind its mask"),
            (r#"{"v":1,"command":{"unban":{"prefixes":["; reboot"]}}}"#, "is not an address"),
            (r#"{"v":1,"command":{"unban":{"prefixes":[7]}}}"#, "invalid type"),
            (r#"{"v":1,"command":"status"} x"#, "trailing characters"),
        ] {
            let refusal = refusal(line);
            assert_eq!(refusal.code, Code::Protocol, "{line}");
            assert!(refusal.text.contains(part), "{line}: {refusal}");
        }
        assert_eq!(read_request(b"{\"v\":1,\"command\":\"\xff\"}").unwrap_err().code, Code::Protocol);
        assert_eq!(refusal(&"[".repeat(1 << 20)).code, Code::Protocol);
        assert_eq!(refusal(&format!("{{\"v\":1,\"command\":{}", "[".repeat(1 << 20))).code, Code::Protocol);
    }

    #[test]
    fn a_mapped_address_is_the_address_that_it_is() {
        let line = br#"{"v":1,"command":{"why":{"address":"::ffff:192.0.2.7"}}}"#;
        assert_eq!(read_request(line).unwrap(), Request::Why { address: "192.0.2.7/32".parse().unwrap() });
    }

    #[test]
    fn a_reason_cannot_begin_a_line_of_its_own_in_a_log() {
        let ban = |reason: &str| {
            let request = Request::Ban {
                prefixes: vec![],
                length: Length::Default,
                reason: reason.to_owned(),
                force: false,
            };
            read_request(&request_line(&request).unwrap()).map(|_| ())
        };
        assert_eq!(ban("for Mr. O'Neil, über alles"), Ok(()));
        assert!(ban("x\nsshd[1]: Failed password").unwrap_err().text.contains("control characters"));
        assert!(ban("\u{1b}[2J").unwrap_err().text.contains("control characters"));
        assert!(ban(&"x".repeat(201)).unwrap_err().text.contains("longer than 200 bytes"));
    }

    #[test]
    fn other_versions_are_answered_with_both_numbers_whatever_else_they_say() {
        for (v, line) in
            [(0, r#"{"v":0}"#), (2, r#"{"v":2,"do":{"thing":[1,2]}}"#), (99, r#"{"hello":1,"v":99}"#)]
        {
            let refusal = refusal(line);
            assert_eq!(refusal.code, Code::Version);
            let text =
                format!("in version {v} of the control protocol and the running daemon speaks version 1");
            assert!(refusal.text.contains(&text), "{refusal}");
        }
        assert_eq!(read_reply(br#"{"v":7,"whatever":[]}"#), Err(InvalidReply::Version(7)));
    }

    #[test]
    fn the_keys_of_a_ban_are_those_that_scripts_rely_on() {
        let ban = BanEntry {
            offender: "2001:db8::/64".parse().unwrap(),
            rule_sets: vec!["sshd".to_owned()],
            since: "2026-11-22T14:38:31+01:00".to_owned(),
            until: None,
            nth: 2,
            reason: "sshd/failed-password".to_owned(),
            origin: Origin::Rule,
        };
        let mut line = Vec::new();
        let reply = Ok(Answer::Bans(vec![ban]));
        write_reply(&mut line, &reply).unwrap();
        let text = concat!(
            r#"{"v":1,"ok":{"bans":[{"offender":"2001:db8::/64","rule_sets":["sshd"],"#,
            r#""since":"2026-11-22T14:38:31+01:00","until":null,"nth":2,"#,
            r#""reason":"sshd/failed-password","origin":"rule"}]}}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(line.clone()).unwrap(), text);
        assert_eq!(read_reply(&line), Ok(reply));
    }

    #[test]
    fn a_reply_may_say_more_than_we_know_but_not_nothing() {
        let more = br#"{"v":1,"ok":{"bans":[]},"took_ms":3}"#;
        assert_eq!(read_reply(more), Ok(Ok(Answer::Bans(vec![]))));
        let new = br#"{"v":1,"error":{"code":"eclipse","text":"the moon is in the way","until":"noon"}}"#;
        assert_eq!(read_reply(new), Ok(Err(Refusal::new(Code::Unknown, "the moon is in the way"))));
        for nothing in [r#"{"v":1}"#, r#"{"v":1,"ok":"pong","error":{"code":"busy","text":""}}"#, "hello"] {
            assert!(matches!(read_reply(nothing.as_bytes()), Err(InvalidReply::Junk(_))), "{nothing}");
        }
    }
}
