//! Peers that do not mean well, or are broken: they get a sentence or nothing, and delay nobody.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use portcullis::control::{ClientErrorKind, Code};

use super::*;

#[track_caller]
fn assert_error(reply: &str, code: &str, part: &str) {
    assert!(reply.starts_with(&format!("{{\"v\":1,\"error\":{{\"code\":\"{code}\"")), "{reply}");
    assert!(reply.contains(part) && reply.ends_with("}}\n"), "{reply}");
}

#[test]
fn junk_is_answered_with_a_sentence() {
    let stand = Stand::answering(patient());
    assert_error(&stand.say(b"GET / HTTP/1.1\r\n"), "protocol", "this is not a request");
    assert_error(&stand.say(b"\x00\xff\xfe\x80\n"), "protocol", "this is not a request");
    assert_error(&stand.say(b"\n"), "protocol", "this is not a request");
    assert_error(&stand.say(b"{\"v\":1,\"command\":{\"unban\":{\"prefixes\":[\"\"]}}}\n"), "protocol", "``");
    let typo = b"{\"v\":1,\"command\":{\"unban\":{\"prefixes\":[\"14.160.0.0 /11\"]}}}\n";
    assert_error(&stand.say(typo), "protocol", "`14.160.0.0 /11` is not an address");
    assert_eq!(stand.ask(&Request::Ping).unwrap(), Answer::Pong);
}

#[test]
fn half_a_request_is_none() {
    let stand = Stand::answering(patient());
    let mut stream = UnixStream::connect(&stand.path).unwrap();
    stream.write_all(b"{\"v\":1,\"command\":{\"unban\":\"all\"}}").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert_error(&reply, "protocol", "does not end with a newline");
}

#[test]
fn only_the_first_line_is_a_request() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let stand = Stand::new(Access::of_this_process(None), patient(), move |call| {
        let call = call.accept().unwrap();
        seen.lock().unwrap().push(call.request);
        call.answer.send(Ok(Answer::Pong));
    });
    let reply = stand.say(b"{\"v\":1,\"command\":\"ping\"}\n{\"v\":1,\"command\":\"reload\"}\n");
    assert_eq!(reply, "{\"v\":1,\"ok\":\"pong\"}\n");
    assert_eq!(*asked.lock().unwrap(), [Request::Ping]);
}

#[test]
fn a_request_without_end_is_cut_short_and_the_one_who_sends_it_still_learns_why() {
    let stand = Stand::answering(ServerLimits { request: 100_000, ..patient() });
    assert_error(&stand.say(&vec![b'x'; 4 << 20]), "too-large", "longer than the limit of 100000 bytes");
    let failure = stand.ask(&Request::Unban(Unban::Prefixes(many(50_000)))).unwrap_err();
    let ClientError::Refused(refusal) = failure else { panic!("{failure}") };
    assert_eq!(refusal.code, Code::TooLarge);
}

#[test]
fn peers_that_hang_do_not_delay_a_good_one() {
    let stand = Stand::answering(ServerLimits { connections: 16, ..patient() });
    let hanging: Vec<UnixStream> = (0..15)
        .map(|n| {
            let mut stream = UnixStream::connect(&stand.path).unwrap();
            stream.write_all(&b"{\"v\":1,\"comm"[..n % 12]).unwrap();
            stream
        })
        .collect();
    // The limits are so patient that any wait for one of those would be seen as a test that never ends.
    for _ in 0..20 {
        assert!(served(&stand));
    }
    drop(hanging);
}

/// One ping, repeated while the seat of the one before is just being left.
fn served(stand: &Stand) -> bool {
    (0..1000).any(|_| match stand.ask(&Request::Ping) {
        Ok(answer) => answer == Answer::Pong,
        Err(failure) => {
            assert_eq!(failure.kind(), ClientErrorKind::Busy, "{failure}");
            thread::sleep(Duration::from_millis(2));
            false
        }
    })
}

#[test]
fn more_connections_than_the_limit_are_told_at_once_and_leaving_makes_room() {
    let stand = Stand::answering(ServerLimits { connections: 3, ..patient() });
    let mut waiting: Vec<UnixStream> = Vec::new();
    let failure = loop {
        waiting.push(UnixStream::connect(&stand.path).unwrap());
        assert!(waiting.len() < 10, "the limit is three");
        if let Err(failure) = stand.ask(&Request::Ping) {
            break failure;
        }
    };
    assert_eq!(failure.kind(), ClientErrorKind::Busy);
    assert!(failure.to_string().contains("reached its limit of connections"), "{failure}");
    drop(waiting);
    assert!(served(&stand));
}

#[test]
fn who_trickles_is_shown_the_door() {
    let limits = ServerLimits { pause: NEVER, transfer: Duration::from_millis(50), ..patient() };
    let stand = Stand::answering(limits);
    let mut stream = UnixStream::connect(&stand.path).unwrap();
    // A byte now and then never exhausts the patience for one step.
    while stream.write_all(b" ").is_ok() {
        thread::sleep(Duration::from_millis(5));
    }
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    assert_error(&String::from_utf8(reply).unwrap(), "protocol", "did not come in time");
}

#[test]
fn who_does_not_take_the_reply_is_left_alone_with_it() {
    let limits = ServerLimits { pause: Duration::from_millis(20), connections: 1, ..patient() };
    let stand = Stand::new(Access::of_this_process(None), limits, |call| {
        let banned = Banned { banned: many(100_000), ..Banned::default() };
        call.accept().unwrap().answer.send(Ok(Answer::Banned(banned)));
    });
    let mut stream = UnixStream::connect(&stand.path).unwrap();
    stream.write_all(b"{\"v\":1,\"command\":\"bans\"}\n").unwrap();
    // Its seat is free again although it never reads.
    let again = (0..1000).any(|_| {
        thread::sleep(Duration::from_millis(5));
        matches!(stand.ask(&Request::Bans), Ok(Answer::Banned(_)))
    });
    assert!(again);
    drop(stream);
}

#[test]
fn who_leaves_before_the_answer_harms_nobody() {
    let (queue, calls) = channel();
    let stand = Stand::new(Access::of_this_process(None), patient(), move |call| queue.send(call).unwrap());
    let mut stream = UnixStream::connect(&stand.path).unwrap();
    stream.write_all(b"{\"v\":1,\"command\":\"ping\"}\n").unwrap();
    let call = calls.recv().unwrap();
    drop(stream);
    call.accept().unwrap().answer.send(Ok(Answer::Pong));
    thread::spawn(move || main_loop(&calls));
    assert_eq!(stand.ask(&Request::Ping).unwrap(), Answer::Pong);
}

#[test]
fn calls_that_the_daemon_leaves_lying_are_never_more_than_the_connections() {
    let (queue, calls) = channel();
    let limits = ServerLimits { connections: 2, answer: Duration::from_millis(10), ..patient() };
    let stand = Stand::new(Access::of_this_process(None), limits, move |call| queue.send(call).unwrap());
    for _ in 0..20 {
        assert_eq!(stand.ask(&Request::Ping).unwrap_err().kind(), ClientErrorKind::Busy);
    }
    let lying: Vec<Call> = calls.try_iter().collect();
    assert!(lying.len() <= 2, "{} calls are queued", lying.len());
    assert!(lying.into_iter().all(|call| call.accept().is_none()));
}

#[test]
fn a_connection_that_says_nothing_ends() {
    let stand = Stand::answering(ServerLimits { pause: Duration::from_millis(10), ..patient() });
    let mut stream = UnixStream::connect(&stand.path).unwrap();
    let mut reply = String::new();
    match stream.read_to_string(&mut reply) {
        Ok(_) => assert_error(&reply, "protocol", "did not come in time"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}
