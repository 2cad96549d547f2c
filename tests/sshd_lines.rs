//! What sshd printed in versions and on systems that are rare by now: whose lines they are, and how much they count.

use serde_json::Value;

use crate::util::Dir;

const PEERS: [&str; 2] = ["192.0.2.7", "2001:db8::7"];

/// Nobody's: whatever text a peer sends, it never is found.
const FORGED: [&str; 2] = ["203.0.113.66", "2001:db8:bad::66"];

/// What a peer can write into a line of sshd's, and where: `{user}` is cut at a colon, `{word}` at a blank.
const WITH_PEERS_TEXT: &[&str] = &[
    "Failed unknown for invalid user {user} from {peer} port 4711 ssh2",
    "Failed password for invalid user {user} from {peer} port 4711 ssh2",
    "Failed password for invalid user {user} from {peer}",
    "Failed publickey for invalid user {user} from {peer} port 4711 ssh2: RSA SHA256:abc",
    "Failed rhosts-rsa for {user} from {peer} port 4711 ssh1: ruser {text}",
    "Failed rhosts-rsa for {user} from {peer} port 4711 ruser {text}",
    // Without privilege separation (up to 7.4) a method that sshd does not know is printed as the peer calls it.
    "Failed {text} for invalid user x from {peer} port 4711 ssh2",
    "Invalid user {user} from {peer}",
    "error: PAM: authentication error for {user} from {peer} via 198.51.100.1",
    "error: PAM: authentication failure for {user} from peer.example.net via 198.51.100.1",
    "error: PAM: User not known to the underlying authentication module for illegal user {user} from {peer} ",
    "error: PAM: Authentication failure for illegal user {user} from peer.example.net",
    "refused connect from {word}@peer.example.net ({peer})",
    "refused connect from {word}@peer.example.net",
    "Received disconnect from {peer}: 11: {text} [preauth]",
    "Received disconnect from {peer}: 11: {text}",
    "Received disconnect from {peer}: 3: {text}: Auth fail",
    "Received disconnect from {peer} port 4711:11: {text} [preauth]",
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser={text} rhost={peer}  user={text}",
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=peer.example.net  user={text}",
    "pam_unix(sshd:auth): check pass; user ({text}) unknown",
    "SSH: Server;Ltype: Version;Remote: {peer}-4711;Protocol: 2.0;Client: {text}",
    "Connection closed by invalid user {user} {peer} port 4711 [preauth]",
    "Disconnecting: Too many authentication failures for {user} [preauth]",
    "Unable to negotiate with {peer} port 4711: no matching cipher found. Their offer: {text} [preauth]",
    "Bad protocol version identification '{text}' from {peer} port 4711",
    "Disconnecting: bad service request {text} [preauth]",
    "fatal: no matching cipher found: client {text} server aes128-ctr [preauth]",
];

/// One of these lines.
fn printed(template: &str, peer: &str, text: &str) -> String {
    let user = text.split(':').next().unwrap_or_default();
    let word = text.split(' ').find(|word| !word.is_empty()).unwrap_or_default();
    let line = template.replace("{peer}", peer).replace("{user}", user);
    line.replace("{word}", word).replace("{text}", text)
}

/// What peers would like to be read: each of these lines with another address, and each of its ends.
fn forgeries() -> Vec<String> {
    let listener = "srclimit_penalise: {peer}/32: activating ipv4 penalty of 15.760 seconds for penalty: failed authentication";
    let templates = WITH_PEERS_TEXT.iter().copied().chain([listener]);
    let lines = templates.flat_map(|template| FORGED.map(|peer| printed(template, peer, "x")));
    let ends = |line: String| {
        let ends: Vec<String> =
            line.match_indices(' ').map(|(at, _)| line.split_at(at).1.to_owned()).collect();
        ends.into_iter().chain([line])
    };
    lines.flat_map(ends).flat_map(|text| [format!("x{text}"), text]).collect()
}

/// The objects that `match --json --all` prints for these messages of sshd's, one for each.
fn matches(messages: &[String]) -> Vec<Value> {
    let dir = Dir::new();
    let line = |message: &String| format!("Nov 22 14:38:31 gw sshd[29842]: {message}\n");
    dir.write("auth.log", messages.iter().map(line).collect::<String>());
    let found = dir.portcullis(["match", "--json", "--all", "auth.log"]).run().json_lines();
    assert_eq!(found.len(), messages.len());
    found
}

#[test]
fn no_text_of_a_peers_makes_a_line_of_sshds_name_somebody_else() {
    let forgeries = forgeries();
    let mut messages = Vec::new();
    let mut named = 0;
    for (nth, template) in WITH_PEERS_TEXT.iter().enumerate() {
        messages.extend(forgeries.iter().map(|text| printed(template, PEERS[nth % 2], text)));
    }
    for (message, found) in messages.iter().zip(matches(&messages)) {
        let Some(address) = found["address"].as_str() else { continue };
        assert!(PEERS.contains(&address), "{address} of `{message}` by {}", found["rule"]);
        named += 1;
    }
    assert!(
        named > messages.len() / 3,
        "only {named} of {} lines named their peer, which shows little",
        messages.len()
    );
}

#[test]
fn a_host_name_in_place_of_an_address_is_never_resolved() {
    let names = ["localhost", "192.0.2.7.example.net", "dead.beef.example.net", "localhost.example.net"];
    let lines = WITH_PEERS_TEXT.iter().flat_map(|line| names.map(|name| printed(line, name, "x")));
    let messages: Vec<String> = lines.collect();
    for (message, found) in messages.iter().zip(matches(&messages)) {
        assert_eq!(found["address"], Value::Null, "{message}");
    }
}

/// Who offended in a log, and how often.
fn offences(log: &str) -> Vec<(String, f64)> {
    let dir = Dir::new();
    dir.write("auth.log", log);
    dir.write(
        "portcullis.yaml",
        "version: 1\nallow_self: false\nallow_gateways: false\nallow_resolvers: false\n",
    );
    let report = dir.portcullis(["scan", "--json", "-c", "portcullis.yaml", "auth.log"]).run().json_lines();
    let offender =
        |found: &Value| (found["offender"].as_str().unwrap().to_owned(), found["offences"].as_f64().unwrap());
    report[0]["offenders"].as_array().unwrap().iter().map(offender).collect()
}

fn only(offender: &str, offences: f64) -> Vec<(String, f64)> {
    vec![(offender.to_owned(), offences)]
}

/// Lines of `times` connections, a second apart, each of a process of its own.
fn connections(times: u32, lines: &[&str]) -> String {
    let one = |nth: u32| {
        let header = format!("Nov 22 14:{:02}:{:02} gw sshd[{}]: ", nth / 60, nth % 60, 4000 + nth);
        lines.iter().map(|line| format!("{header}{line}\n")).collect::<String>()
    };
    (0..times).map(one).collect()
}

#[test]
fn on_macos_the_peer_is_who_came_and_not_the_address_that_it_came_to() {
    let log = "Nov 22 14:38:31 sshd[77]: error: PAM: authentication error for alice from 192.0.2.7 via 198.51.100.1\n\
               Nov 22 14:38:35 sshd[77]: error: PAM: authentication failure for alice from 192.0.2.7 via 198.51.100.1\n";
    assert_eq!(offences(log), only("192.0.2.7", 2.0));
    let log = "Nov 22 14:38:31 sshd[77]: error: PAM: authentication error for alice from 2001:db8::7 via 2001:db8:1::1\n";
    assert_eq!(offences(log), only("2001:db8::/64", 1.0));
}

#[test]
fn a_goodbye_to_sshd_7_1_counts_as_the_two_lines_of_7_5_do() {
    let old = connections(40, &["Received disconnect from 192.0.2.7: 11: Bye Bye [preauth]"]);
    assert_eq!(offences(&old), only("192.0.2.7", 8.0));
    let new = connections(
        40,
        &[
            "Received disconnect from 192.0.2.7 port 4711:11: Bye Bye [preauth]",
            "Disconnected from 192.0.2.7 port 4711 [preauth]",
        ],
    );
    assert_eq!(offences(&new), only("192.0.2.7", 8.0));
    let after_a_login = connections(40, &["Received disconnect from 192.0.2.7: 11: disconnected by user"]);
    assert_eq!(offences(&after_a_login), []);
}

#[test]
fn what_jsch_says_of_its_failed_login_adds_nothing_to_what_sshd_said() {
    let said = "sshd[7]: Received disconnect from 192.0.2.7: 3: com.jcraft.jsch.JSchException: Auth fail\n";
    // Up to 5.8 the two lines are of two processes.
    let failed = "Nov 22 14:38:31 gw sshd[6]: Failed password for root from 192.0.2.7 port 4711 ssh2\n";
    let beside = format!("{failed}Nov 22 14:38:32 gw {said}");
    assert_eq!(offences(&beside), only("192.0.2.7", 1.0));
    let alone = format!("Nov 22 14:38:32 gw {said}Nov 22 14:42:32 gw {said}");
    assert_eq!(offences(&alone), only("192.0.2.7", 0.4));
}

#[test]
fn a_key_exchange_that_failed_is_that_of_the_peer_which_connected() {
    for failure in [
        "fatal: Unable to negotiate a key exchange method [preauth]",
        "Disconnecting: bad client public DH value [preauth]",
        "Bad packet length 4081586742.",
    ] {
        let log = connections(3, &["Connection from 192.0.2.7 port 4711 on 198.51.100.1 port 22", failure]);
        assert_eq!(offences(&log), only("192.0.2.7", 0.6), "{failure}");
        assert_eq!(offences(&connections(3, &[failure])), [], "nobody is named: {failure}");
    }
}

#[test]
fn six_keys_for_a_name_that_does_not_exist_are_one_offence() {
    let key = "Failed publickey for invalid user x from 192.0.2.7 port 4711 ssh2: RSA SHA256:abc";
    let invalid = "Invalid user x from 192.0.2.7 port 4711";
    assert_eq!(offences(&connections(1, &[invalid, key, key, key, key, key, key])), only("192.0.2.7", 1.0));
}

#[test]
fn whom_hosts_allow_turned_away_counts_half() {
    let log = connections(2, &["refused connect from x@peer.example.net (::ffff:192.0.2.7)"]);
    assert_eq!(offences(&log), only("192.0.2.7", 1.0));
    assert_eq!(offences(&connections(2, &["refused connect from x@peer.example.net"])), []);
}

#[test]
fn explain_says_that_a_summary_may_count_for_nothing() {
    let line = "Nov 22 14:38:31 gw sshd[811]: srclimit_penalise: 192.0.2.7/32: activating ipv4 penalty of 15.760 seconds for \
                penalty: failed authentication";
    let told = Dir::new().portcullis(["explain", "--json", line]).json();
    assert_eq!((&told[0]["rule"], &told[0]["address"]), (&"sshd/penalised".into(), &PEERS[0].into()));
    let verdict = told[0]["verdict"].as_str().unwrap();
    let condition =
        "counts as 1 offence, unless another line counted for the same peer in the three minutes before.";
    assert!(verdict.contains(condition), "{verdict}");
}
