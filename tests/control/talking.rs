//! Requests and replies between ends that mean well.

use std::sync::Mutex;

use portcullis::control::reply::BanEntry;
use portcullis::control::{ClientErrorKind, Code, Length, Refusal};
use portcullis::engine::Origin;

use super::*;

#[track_caller]
fn refusal(result: Result<Answer, ClientError>) -> Refusal {
    match result {
        Err(ClientError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_command_reaches_the_daemon_and_its_answer_comes_back() {
    let stand = Stand::answering(patient());
    let prefixes = vec!["192.0.2.7/32".parse().unwrap(), "2001:db8::/64".parse().unwrap()];
    let banned = Banned { banned: prefixes.clone(), ..Banned::default() };
    let ban = Request::Ban {
        prefixes: prefixes.clone(),
        length: Length::Default,
        reason: String::new(),
        force: false,
    };
    assert_eq!(stand.ask(&Request::Ping).unwrap(), Answer::Pong);
    assert_eq!(stand.ask(&Request::Status).unwrap(), Answer::Status(Box::default()));
    assert_eq!(stand.ask(&Request::Bans).unwrap(), Answer::Bans(Vec::new()));
    assert_eq!(stand.ask(&ban).unwrap(), Answer::Banned(banned));
    assert_eq!(stand.ask(&Request::Reload).unwrap(), Answer::Reloaded(Default::default()));
    let freed = Unbanned { not_banned: prefixes.clone(), ..Unbanned::default() };
    assert_eq!(stand.ask(&Request::Unban(Unban::Prefixes(prefixes))).unwrap(), Answer::Unbanned(freed));
}

#[test]
fn a_block_list_of_100_000_fits_into_one_request() {
    let stand = Stand::answering(patient());
    let prefixes = many(100_000);
    let ban = Request::Ban {
        prefixes: prefixes.clone(),
        length: Length::For { ms: 86_400_000 },
        reason: "block list".to_owned(),
        force: false,
    };
    let Answer::Banned(done) = stand.ask(&ban).unwrap() else { panic!("another answer") };
    assert!(done.banned == prefixes, "{} came back", done.banned.len());
}

#[test]
fn a_list_of_100_000_bans_is_not_cut() {
    let ban = |offender| BanEntry {
        offender,
        rule_sets: vec!["sshd".to_owned(), "freebsd-tcp".to_owned()],
        since: "2026-11-22T14:38:31+01:00".to_owned(),
        until: Some("2026-11-22T15:38:31+01:00".to_owned()),
        nth: 3,
        reason: "sshd/failed-password".to_owned(),
        origin: Origin::Rule,
    };
    let all: Vec<BanEntry> = many(100_000).into_iter().map(ban).collect();
    let kept = Mutex::new(Some(all.clone()));
    let stand = Stand::new(Access::of_this_process(None), patient(), move |call| {
        let bans = kept.lock().unwrap().take().unwrap();
        call.accept().unwrap().answer.send(Ok(Answer::Bans(bans)));
    });
    let Answer::Bans(listed) = stand.ask(&Request::Bans).unwrap() else { panic!("another answer") };
    assert!(listed == all, "{} came back", listed.len());
}

#[test]
fn the_bytes_on_the_wire_are_those_of_the_page() {
    let stand = Stand::answering(patient());
    assert_eq!(stand.say(b"{\"v\":1,\"command\":\"ping\"}\n"), "{\"v\":1,\"ok\":\"pong\"}\n");
    assert_eq!(stand.say(b"{\"command\":\"bans\",\"v\":1}\n"), "{\"v\":1,\"ok\":{\"bans\":[]}}\n");
}

#[test]
fn older_and_newer_clients_are_told_both_versions() {
    let stand = Stand::answering(patient());
    for (line, theirs) in
        [("{\"v\":0,\"cmd\":\"list\"}\n", 0), ("{\"v\":2,\"do\":[\"list\",{\"all\":true}]}\n", 2)]
    {
        let reply = stand.say(line.as_bytes());
        assert!(reply.starts_with("{\"v\":1,\"error\":{\"code\":\"version\",\"text\":"), "{reply}");
        let text =
            format!("in version {theirs} of the control protocol and the running daemon speaks version 1");
        assert!(reply.contains(&text), "{reply}");
    }
}

#[test]
fn what_the_daemon_refuses_arrives_with_its_code() {
    let stand = Stand::new(Access::of_this_process(None), patient(), |call| {
        call.accept().unwrap().answer.send(Err(Refusal::new(Code::Config, "rules.d/x.yaml:3:1: no")));
    });
    let failure = stand.ask(&Request::Reload).unwrap_err();
    assert_eq!(
        (failure.kind(), failure.to_string().as_str()),
        (ClientErrorKind::Config, "rules.d/x.yaml:3:1: no")
    );
}

#[test]
fn a_daemon_that_does_not_come_to_it_in_time_is_busy_and_does_not_do_it_later() {
    let (queue, calls) = channel();
    let limits = ServerLimits { answer: Duration::from_millis(20), ..patient() };
    let stand = Stand::new(Access::of_this_process(None), limits, move |call| queue.send(call).unwrap());
    let refusal = refusal(stand.ask(&Request::Reload));
    assert_eq!(refusal.code, Code::Busy);
    assert!(refusal.text.contains("nothing was done"), "{refusal}");
    assert!(calls.recv().unwrap().accept().is_none(), "it was withdrawn");
}

#[test]
fn a_daemon_that_takes_no_requests_says_so_at_once() {
    let stand = Stand::new(Access::of_this_process(None), patient(), drop);
    assert_eq!(refusal(stand.ask(&Request::Status)).code, Code::Busy);
}

#[test]
fn who_connects_before_the_daemon_is_ready_is_served_when_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portcullis.sock");
    let listener = Listener::bind(&path, Access::of_this_process(None)).unwrap();
    let early = Client::connect(&path).unwrap().patience(NEVER);
    let _server = Server::start(listener, patient(), |call| {
        call.accept().unwrap().answer.send(Ok(Answer::Pong));
    })
    .unwrap();
    assert_eq!(early.ask(&Request::Ping).unwrap(), Answer::Pong);
}

#[test]
fn a_stop_frees_the_place_for_the_next_daemon_also_while_somebody_is_connected() {
    let stand = Stand::answering(patient());
    let mut idle = UnixStream::connect(&stand.path).unwrap();
    assert_eq!(stand.ask(&Request::Ping).unwrap(), Answer::Pong);
    let Stand { _server: server, path, _dir: dir } = stand;
    drop(server);
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0, "the idle one is sent home");
    assert_eq!(Client::connect(&path).unwrap_err().kind(), ClientErrorKind::NotRunning);
    let _next = Listener::bind(&path, Access::of_this_process(None)).unwrap();
    drop(dir);
}
