//! Whether the operator who asks could be locked out.

use std::net::IpAddr;

use super::finding::Finding;
use crate::address;
use crate::control::reply::AddressReport;
use crate::engine::EngineSettings;

const ABOUT: &str = "lock-out";

/// The peer of the ssh session we run in: the first word of `SSH_CONNECTION` or `SSH_CLIENT` (ssh(1)).
pub(super) fn peer(variable: &str) -> Option<IpAddr> {
    address::parse(variable.split_whitespace().next()?.as_bytes())
}

/// Judges the operator's own address, with what the daemon says of it if it answers.
pub(super) fn finding(
    peer: Option<IpAddr>,
    settings: &EngineSettings,
    daemon: Option<&AddressReport>,
) -> Finding {
    let Some(peer) = peer else {
        return Finding::note(
            ABOUT,
            "this is no ssh session as far as can be told (sudo hides it), so your own address was not looked up",
            "`allow: [YOUR NETWORK]` in the configuration keeps you in whatever happens",
        );
    };
    if settings.allows(&address::host(peer)) {
        return Finding::ok(ABOUT, format!("you come from {peer}, which is allowed and never banned"));
    }
    let advice = format!("`allow: [{peer}]` in the configuration, or better your whole network");
    match daemon {
        Some(why) if why.ban.is_some() => Finding::problem(
            ABOUT,
            format!("you come from {peer}, which is banned: your next connection will be refused"),
            format!("`portcullis unban {peer}`, then {advice}"),
        ),
        Some(why) if why.trusted => Finding::ok(
            ABOUT,
            format!(
                "you come from {peer}, which is trusted since you logged in from it; but it is not on the allow list"
            ),
        ),
        _ => Finding::note(
            ABOUT,
            format!(
                "you come from {peer}, which is neither allowed nor trusted: some wrong passwords lock you out"
            ),
            advice,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Grade;
    use super::*;

    fn grade(peer: &str, allowed: &str, why: Option<&AddressReport>) -> Grade {
        let allow = std::iter::once(address::parse_prefix(allowed).unwrap()).collect();
        let settings = EngineSettings { allow, ..EngineSettings::default() };
        finding(super::peer(peer), &settings, why).grade
    }

    fn why(trusted: bool) -> AddressReport {
        let address = address::parse_prefix("192.0.2.7").unwrap();
        let ban = None;
        let problem = None;
        let windows = Vec::new();
        let history = Vec::new();
        AddressReport { address, ban, allowed: false, trusted, windows, history, problem }
    }

    #[test]
    fn the_peer_is_the_first_word_and_nothing_but_an_address() {
        assert_eq!(peer("192.0.2.7 52548 192.0.2.1 22"), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(peer("2001:db8::7 52548 22"), Some("2001:db8::7".parse().unwrap()));
        for text in ["", "gw.example.org 1 22", "UNKNOWN 65535 22"] {
            assert_eq!(peer(text), None, "{text}");
        }
    }

    #[test]
    fn allowed_trusted_and_exposed_operators_are_told_apart() {
        assert_eq!(grade("192.0.2.7 1 192.0.2.1 22", "192.0.2.0/24", None), Grade::Ok);
        assert_eq!(grade("198.51.100.7 1 192.0.2.1 22", "192.0.2.0/24", None), Grade::Note);
        assert_eq!(grade("198.51.100.7 1 192.0.2.1 22", "192.0.2.0/24", Some(&why(false))), Grade::Note);
        assert_eq!(grade("198.51.100.7 1 192.0.2.1 22", "192.0.2.0/24", Some(&why(true))), Grade::Ok);
        assert_eq!(grade("", "192.0.2.0/24", None), Grade::Note);
    }
}
