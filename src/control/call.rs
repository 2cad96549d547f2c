//! A request on its way to the daemon, and the answer on its way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::connections::ConnectionPermit;
use super::peer::PeerProcess;
use super::reply::{Code, Refusal, Reply};
use super::request::Request;

/// A request for the daemon. It can be queued, accepted or dropped; the peer learns which.
///
/// There are never more of them than open connections: a call keeps its connection's permit while it is queued.
#[derive(Debug)]
pub struct Call {
    accepted: Accepted,
    is_settled: Arc<AtomicBool>,
}

/// A request that the daemon is going to carry out.
#[derive(Debug)]
pub struct Accepted {
    /// The request, which the peer has the right to make.
    pub request: Request,
    /// The process that made the request.
    pub peer: PeerProcess,
    /// The way back to the peer.
    pub answer: Answering,
}

/// Takes the answer to one request, now or later. If it is dropped without one, the peer is told that there is none.
#[derive(Debug)]
pub struct Answering {
    sender: SyncSender<Reply>,
    _permit: Arc<ConnectionPermit>,
}

/// The connection's end of a call.
#[derive(Debug)]
pub(super) struct Waiting {
    replies: Receiver<Reply>,
    is_settled: Arc<AtomicBool>,
}

impl Call {
    pub(super) fn new(request: Request, peer: PeerProcess, permit: Arc<ConnectionPermit>) -> (Self, Waiting) {
        let (sender, replies) = sync_channel(1);
        let is_settled = Arc::new(AtomicBool::new(false));
        let accepted = Accepted { request, peer, answer: Answering { sender, _permit: permit } };
        (Self { accepted, is_settled: Arc::clone(&is_settled) }, Waiting { replies, is_settled })
    }

    /// Takes the request to carry it out; `None` if the peer was already told that it will not be.
    pub fn accept(self) -> Option<Accepted> {
        if settle(&self.is_settled) { Some(self.accepted) } else { None }
    }
}

impl Answering {
    /// Sends the answer. Never waits, and never fails: the peer may have gone.
    pub fn send(self, reply: Reply) {
        let _ = self.sender.try_send(reply);
    }
}

/// The daemon settles a call by accepting it, the connection by giving up; true for whoever comes first.
fn settle(is_settled: &AtomicBool) -> bool {
    !is_settled.swap(true, Ordering::AcqRel)
}

impl Waiting {
    /// The daemon's reply, or a refusal for the peer if none comes in time.
    pub(super) fn wait(&self, timeout: Duration) -> Reply {
        match self.replies.recv_timeout(timeout) {
            Ok(reply) => reply,
            Err(reason) => Err(Refusal::new(Code::Busy, self.no_reply(reason, timeout))),
        }
    }

    fn no_reply(&self, reason: RecvTimeoutError, timeout: Duration) -> String {
        let was_accepted = !settle(&self.is_settled);
        match reason {
            RecvTimeoutError::Timeout if was_accepted => format!(
                "the daemon started on the request and had not finished after {timeout:?}; it continues: check the result \
                 with `portcullis status`"
            ),
            RecvTimeoutError::Timeout => {
                format!("the daemon was busy for {timeout:?} and nothing was done: try again")
            }
            RecvTimeoutError::Disconnected if was_accepted => {
                "the daemon started on the request and gave no answer, perhaps because it is stopping: check the result \
                 with `portcullis status`"
                    .to_owned()
            }
            RecvTimeoutError::Disconnected => {
                "the daemon is not accepting requests right now (it is starting, stopping or overloaded), and nothing \
                 was done: try again"
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::control::connections::{ConnectionLimit, ServerLimits};
    use crate::control::peer::Rights;
    use crate::control::reply::Answer;

    const SOON: Duration = Duration::from_millis(5);
    const LATE: Duration = Duration::from_secs(60);

    fn call() -> (Call, Waiting) {
        let limit = ConnectionLimit::new(ServerLimits {
            connections: 1,
            readers: 1,
            each_reader: 1,
            ..ServerLimits::default()
        });
        let stream = Arc::new(UnixStream::pair().unwrap().0);
        let peer = PeerProcess { uid: 0, gid: 0 };
        let permit = limit.admit(peer, Rights::Change, &stream).unwrap();
        Call::new(Request::Reload, peer, Arc::new(permit))
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
        assert_told(&waiting.wait(SOON), "it continues");
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
