//! A request on its way to the daemon, and the answer on its way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::peer::PeerProcess;
use super::reply::{Code, Refusal, Reply};
use super::request::Request;
use super::seats::Seat;

/// A request for the daemon. It can be queued, accepted, or dropped; whoever asked learns which.
///
/// There are never more of them than the server has connections: a call keeps its seat while it is queued.
#[derive(Debug)]
pub struct Call {
    asked: Accepted,
    turn: Arc<AtomicBool>,
}

/// A request that the daemon is going to carry out.
#[derive(Debug)]
pub struct Accepted {
    /// What is asked; the peer may ask it.
    pub request: Request,
    /// The process that asks.
    pub peer: PeerProcess,
    /// The way back to the peer.
    pub answer: Answering,
}

/// Takes the answer to one request, now or later; dropped without one, it says that there is none.
#[derive(Debug)]
pub struct Answering {
    sender: SyncSender<Reply>,
    _seat: Arc<Seat>,
}

/// The connection's end of a call.
#[derive(Debug)]
pub(super) struct Waiting {
    replies: Receiver<Reply>,
    turn: Arc<AtomicBool>,
}

impl Call {
    pub(super) fn new(request: Request, peer: PeerProcess, seat: Arc<Seat>) -> (Self, Waiting) {
        let (sender, replies) = sync_channel(1);
        let turn = Arc::new(AtomicBool::new(false));
        let asked = Accepted { request, peer, answer: Answering { sender, _seat: seat } };
        (Self { asked, turn: Arc::clone(&turn) }, Waiting { replies, turn })
    }

    /// Takes the request to carry it out; `None` when whoever asked was told already that it will not be.
    pub fn accept(self) -> Option<Accepted> {
        first(&self.turn).then_some(self.asked)
    }
}

impl Answering {
    /// Sends the answer. Never waits, and never fails: the one who asked may have gone.
    pub fn send(self, reply: Reply) {
        let _ = self.sender.try_send(reply);
    }
}

/// Of the daemon that accepts and the connection that gives up, only one is first.
fn first(turn: &AtomicBool) -> bool {
    !turn.swap(true, Ordering::AcqRel)
}

impl Waiting {
    /// The daemon's reply, or what to tell the one who asked if none comes in time.
    pub(super) fn wait(&self, patience: Duration) -> Reply {
        match self.replies.recv_timeout(patience) {
            Ok(reply) => reply,
            Err(reason) => Err(Refusal::new(Code::Busy, self.why_not(reason, patience))),
        }
    }

    fn why_not(&self, reason: RecvTimeoutError, patience: Duration) -> String {
        let untouched = first(&self.turn);
        match (reason, untouched) {
            (RecvTimeoutError::Timeout, true) => {
                format!("the daemon was busy for {patience:?} and nothing was done: try again")
            }
            (RecvTimeoutError::Timeout, false) => format!(
                "the daemon began and was not done after {patience:?}; it goes on: see what came of it with \
                 `portcullis status`"
            ),
            (RecvTimeoutError::Disconnected, true) => {
                "the daemon is not accepting requests right now (it is starting, stopping or overloaded), and nothing \
                 was done: try again"
                    .to_owned()
            }
            (RecvTimeoutError::Disconnected, false) => {
                "the daemon began and then gave no answer, as when it is stopping: see what came of it with \
                 `portcullis status`"
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::control::peer::Rights;
    use crate::control::reply::Answer;
    use crate::control::seats::{Seats, ServerLimits};

    const SOON: Duration = Duration::from_millis(5);
    const LATE: Duration = Duration::from_secs(60);

    fn call() -> (Call, Waiting) {
        let seats = Seats::new(ServerLimits {
            connections: 1,
            readers: 1,
            each_reader: 1,
            ..ServerLimits::default()
        });
        let stream = Arc::new(UnixStream::pair().unwrap().0);
        let peer = PeerProcess { uid: 0, gid: 0 };
        let seat = seats.take(peer, Rights::Change, &stream).unwrap();
        Call::new(Request::Reload, peer, Arc::new(seat))
    }

    #[track_caller]
    fn assert_told(reply: &Reply, part: &str) {
        let refusal = reply.as_ref().unwrap_err();
        assert_eq!(refusal.code, Code::Busy);
        assert!(refusal.text.contains(part), "{refusal}");
    }

    #[test]
    fn an_answer_finds_its_way_back() {
        let (call, waiting) = call();
        let accepted = call.accept().unwrap();
        assert_eq!(accepted.request, Request::Reload);
        accepted.answer.send(Ok(Answer::Pong));
        assert_eq!(waiting.wait(LATE), Ok(Answer::Pong));
    }

    #[test]
    fn what_was_given_up_is_not_done_later() {
        let (call, waiting) = call();
        assert_told(&waiting.wait(SOON), "nothing was done");
        assert!(call.accept().is_none());
    }

    #[test]
    fn what_was_begun_is_not_said_to_be_undone() {
        let (call, waiting) = call();
        let accepted = call.accept().unwrap();
        assert_told(&waiting.wait(SOON), "it goes on");
        accepted.answer.send(Ok(Answer::Pong));
    }

    #[test]
    fn a_call_that_nobody_takes_is_told_at_once() {
        let (unheard, waiting) = call();
        drop(unheard);
        assert_told(&waiting.wait(LATE), "nothing was done");
        let (begun, waiting) = call();
        drop(begun.accept());
        assert_told(&waiting.wait(LATE), "gave no answer");
    }
}
