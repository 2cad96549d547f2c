//! Protected without a log: from a server's report to the table, and together with the log of the same connections.
//!
//! The servers are in a network of their own, as in a jail; the daemon, outside of it, gets their connections.

use std::path::PathBuf;

use nix::sys::signal::Signal::{SIGHUP, SIGTERM};

use super::stand::{Stand, stamped};
use crate::blocklist::client::{ABUSE, FAILED, NO_USER, SUCCESS, Server, in_a_network, report};

const OURS: &str = "192.0.2.1";
const PEER: &str = "192.0.2.7";
const OTHER: &str = "192.0.2.8";

const SOCKET: &str = "ssh: {blocklist: DIR/run/bl.sock, services: {22: sshd}}";
const SOCKET_AND_LOG: &str = "ssh: {blocklist: DIR/run/bl.sock, services: {22: sshd}}, auth: DIR/auth.log";

fn started(sources: &'static str) -> Stand {
    let mut stand = Stand::pf();
    stand.sources = sources;
    stand.more = "rule_sets: [sshd]".to_owned();
    stand.start();
    stand
}

fn socket(stand: &Stand) -> PathBuf {
    stand.file("run/bl.sock")
}

/// Reports connections from an address, each of which failed once.
fn fail(stand: &Stand, server: &Server, peer: &str, times: usize) {
    for _ in 0..times {
        let (_theirs, ours) = server.connected_from(peer);
        report(&socket(stand), FAILED, "Fatal exit", &ours);
    }
}

/// Waits until the daemon has taken so many reports, and returns what it then says of an address.
fn after_reports(stand: &Stand, reports: u64) {
    let taken = |stand: &Stand| stand.status()["report_sources"][0]["reports"].as_u64() == Some(reports);
    stand.until("the reports are taken", taken);
}

/// The sum of offences of an address, in tenths, in the shortest window.
fn tenths(stand: &Stand, address: &str) -> u64 {
    let why = stand.cli(&["why", "--json", address]).json();
    why["windows"].as_array().expect("windows").iter().filter_map(|w| w["tenths"].as_u64()).max().unwrap_or(0)
}

#[test]
fn five_reports_without_any_log_are_a_ban_that_tells_its_evidence() {
    let stand = started(SOCKET);
    in_a_network(|| {
        let server = Server::at_port(OURS, 22);
        fail(&stand, &server, PEER, 4);
        after_reports(&stand, 4);
        assert!(!stand.has(PEER), "four are not enough");
        fail(&stand, &server, PEER, 1);
        stand.until("it is blocked", |stand| stand.has(PEER));
        let told = "banned 192.0.2.7 for 1h: 5 offences within 10m, last sshd/reports.failed (kernel), ban 1";
        stand.until("it is told", |stand| stand.says(told) == 1);
        let why = stand.cli(&["why", PEER]).out;
        assert!(why.contains(" ssh: sshd reported a failed login from 192.0.2.7:"), "{why}");
        assert!(why.contains(" on port 22 (Fatal exit)"), "{why}");
        let status = stand.status();
        let source = &status["report_sources"][0];
        assert_eq!((&source["name"], &source["reports"]), (&"ssh".into(), &5.into()), "{status}");
        let reasons = status["not_protecting"].as_array().expect("reasons");
        assert!(reasons.iter().all(|gap| gap["reason"] == "not-blocking"), "no log is missed: {status}");
        let text = stand.cli(&["status"]).out;
        assert!(text.contains("22: sshd") && text.contains("LAST REPORT"), "{text}");
    });
}

#[test]
fn a_network_of_ipv6_is_banned_as_a_whole() {
    let stand = started(SOCKET);
    in_a_network(|| {
        fail(&stand, &Server::at_port("2001:db8::1", 22), "2001:db8:0:7::7", 5);
        stand.until("it is blocked", |stand| stand.has("2001:db8:0:7::/64"));
    });
}

#[test]
fn abuse_bans_at_once_and_a_login_makes_its_address_trusted() {
    let stand = started(SOCKET);
    in_a_network(|| {
        let server = Server::at_port(OURS, 22);
        let (_theirs, ours) = server.connected_from(PEER);
        report(&socket(&stand), ABUSE, "", &ours);
        stand.until("it is blocked", |stand| stand.has(PEER));
        let (_theirs, ours) = server.connected_from(OTHER);
        report(&socket(&stand), SUCCESS, "Authenticated", &ours);
        after_reports(&stand, 2);
        assert_eq!(stand.cli(&["why", "--json", OTHER]).json()["trusted"], true);
        fail(&stand, &server, OTHER, 14);
        after_reports(&stand, 16);
        assert!(!stand.has(OTHER), "three times as much is tolerated");
        fail(&stand, &server, OTHER, 1);
        stand.until("and no more", |stand| stand.has(OTHER));
    });
}

#[test]
fn two_reports_of_one_connection_in_other_words_are_one_attempt() {
    let stand = started(SOCKET);
    in_a_network(|| {
        let server = Server::at_port(OURS, 22);
        let (_theirs, ours) = server.connected_from(PEER);
        // FreeBSD's sshd, about one unknown user.
        report(&socket(&stand), FAILED, "Invalid user", &ours);
        report(&socket(&stand), FAILED, "Fatal exit", &ours);
        after_reports(&stand, 2);
        assert_eq!(tenths(&stand, PEER), 10);
        for _ in 0..2 {
            report(&socket(&stand), FAILED, "Invalid user", &ours);
        }
        report(&socket(&stand), NO_USER, "", &ours);
        after_reports(&stand, 5);
        assert_eq!(tenths(&stand, PEER), 30, "three names were tried");
    });
}

/// The log says every attempt, the server reports one at the end.
#[test]
fn log_and_reports_of_one_connection_count_once_and_the_larger_count_holds() {
    let stand = started(SOCKET_AND_LOG);
    in_a_network(|| {
        let server = Server::at_port(OURS, 22);
        let (theirs, ours) = server.connected_from(PEER);
        let port = theirs.local_addr().unwrap().port();
        let failed = |pid: u32, port: u16| {
            let said = format!("Failed password for root from {PEER} port {port} ssh2");
            stamped(&format!("sshd-session[{pid}]"), &said)
        };
        stand.log((0..3).map(|_| failed(4711, port)));
        stand.until("they count", |stand| tenths(stand, PEER) == 30);
        report(&socket(&stand), FAILED, "Fatal exit", &ours);
        after_reports(&stand, 1);
        assert_eq!(tenths(&stand, PEER), 30, "the log told more");
        // The report comes first.
        let (theirs, ours) = server.connected_from(OTHER);
        let port = theirs.local_addr().unwrap().port();
        report(&socket(&stand), FAILED, "Fatal exit", &ours);
        stand.until("it counts", |stand| tenths(stand, OTHER) == 10);
        let line = |text: &str| stamped("sshd-session[4712]", &text.replace("PEER", OTHER));
        stand.log([
            line(&format!("Failed password for root from PEER port {port} ssh2")),
            line(&format!("Failed password for root from PEER port {port} ssh2")),
        ]);
        stand.until("the second attempt counts", |stand| tenths(stand, OTHER) == 20);
        // Another connection of the same peer is another attempt, whatever it says.
        stand.log([failed(4713, 1)]);
        stand.until("it counts", |stand| tenths(stand, PEER) == 40);
    });
}

/// On Linux, as on no other system, the sender's process id is told, which is that of the log's lines.
#[cfg(target_os = "linux")]
#[test]
fn a_line_without_a_port_is_known_by_the_process_id_of_the_reports_sender() {
    let stand = started(SOCKET_AND_LOG);
    in_a_network(|| {
        let server = Server::at_port(OURS, 22);
        let connections: Vec<_> = (0..2).map(|_| server.connected_from(PEER)).collect();
        for (_, ours) in &connections {
            report(&socket(&stand), FAILED, "Fatal exit", ours);
        }
        stand.until("both count", |stand| tenths(stand, PEER) >= 10);
        let said = format!("error: PAM: Authentication error for root from {PEER}");
        stand.log([stamped(&format!("sshd[{}]", std::process::id()), &said)]);
        stand.until("it is read", |stand| stand.status()["sources"][0]["matches"] == 1);
        // One process, which no sshd serves two connections with: one attempt, as far as anybody can tell.
        assert_eq!(tenths(&stand, PEER), 20);
    });
}

#[test]
fn whom_the_allow_list_names_no_report_can_ban() {
    let mut stand = Stand::pf();
    stand.sources = SOCKET;
    stand.more = format!("rule_sets: [sshd]\nallow: [{PEER}]");
    stand.start();
    in_a_network(|| {
        let server = Server::at_port(OURS, 22);
        let (_theirs, ours) = server.connected_from(PEER);
        report(&socket(&stand), ABUSE, "", &ours);
        after_reports(&stand, 1);
        assert_eq!(tenths(&stand, PEER), 0);
    });
    assert!(stand.table().is_empty());
}

#[test]
fn a_restart_goes_on_counting_and_a_reload_takes_other_services_into_force() {
    let mut stand = started(SOCKET);
    in_a_network(|| fail(&stand, &Server::at_port(OURS, 22), PEER, 4)).unwrap_or_default();
    let is_possible = nix::unistd::geteuid().is_root();
    if is_possible {
        after_reports(&stand, 4);
    }
    stand.stop(SIGTERM);
    assert!(!socket(&stand).exists());
    stand.start();
    in_a_network(|| {
        let ssh = Server::at_port(OURS, 22);
        fail(&stand, &ssh, PEER, 1);
        stand.until("it is blocked", |stand| stand.has(PEER));
        let other = Server::at_port(OURS, 2222);
        fail(&stand, &other, OTHER, 5);
        let refused = |stand: &Stand| stand.status()["report_sources"][0]["refused"].as_u64() == Some(5);
        stand.until("no service has that port", refused);
        let text = std::fs::read_to_string(stand.config()).unwrap();
        std::fs::write(stand.config(), text.replace("22: sshd", "2222: sshd")).unwrap();
        stand.daemon().signal(SIGHUP);
        stand.until("it is read", |stand| stand.status()["report_sources"][0]["services"][0] == "2222: sshd");
        fail(&stand, &other, OTHER, 5);
        stand.until("it is blocked", |stand| stand.has(OTHER));
    });
}

#[test]
fn a_start_beside_another_server_is_refused_with_what_to_do() {
    let mut stand = Stand::pf();
    stand.sources = SOCKET;
    let other = std::os::unix::net::UnixDatagram::bind(socket(&stand)).unwrap();
    stand.configure();
    let ended = stand.cli(&["run"]);
    assert_eq!(ended.code, 75, "{ended:?}");
    assert!(ended.err.contains("service blocklistd stop"), "{ended:?}");
    assert!(stand.table().is_empty());
    drop(other);
    stand.start();
}

#[test]
fn a_reload_to_a_socket_that_cannot_be_had_says_so_and_takes_the_rest_into_force() {
    let mut stand = Stand::pf();
    stand.start();
    let other = std::os::unix::net::UnixDatagram::bind(socket(&stand)).unwrap();
    stand.sources = SOCKET_AND_LOG;
    stand.configure();
    let reloaded = stand.cli(&["reload"]);
    assert!(reloaded.code == 0 && reloaded.out.contains("another server answers"), "{reloaded:?}");
    assert_eq!(stand.status()["report_sources"], serde_json::json!([]));
    stand.fail(PEER, 5);
    stand.until("the log is read", |stand| stand.has(PEER));
    drop(other);
    assert_eq!(stand.cli(&["reload"]).code, 0);
    assert_eq!(stand.status()["report_sources"][0]["name"], "ssh");
}
