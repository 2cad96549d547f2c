//! The receiver by itself: what it takes, what it refuses, and what it leaves open.

use std::collections::HashSet;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver as Queue, channel};
use std::time::{Duration, Instant};

use nix::unistd::{Group, getegid, geteuid};
use portcullis::blocklist::{Gate, Receiver, ReceiverCounts, ReportSocket, is_answered};
use portcullis::report::{Report, ReportKind};
use portcullis::settings::BlocklistSettings;
use tempfile::TempDir;

use super::client::{
    ABUSE, FAILED, NO_USER, SUCCESS, Server, claiming, datagram, elsewhere, in_a_network, report, send,
    sockaddr,
};

const PATIENCE: Duration = Duration::from_secs(20);

struct Place {
    _dir: TempDir,
    settings: BlocklistSettings,
}

impl Place {
    fn new(ports: &[u16]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let settings = BlocklistSettings {
            name: "ssh".to_owned(),
            socket: dir.path().join("blocklistd.sock"),
            services: ports.iter().map(|port| (*port, "sshd".to_owned())).collect(),
            group: None,
            senders: Vec::new(),
            udp_senders: Vec::new(),
        };
        Self { _dir: dir, settings }
    }

    fn socket(&self) -> PathBuf {
        self.settings.socket.clone()
    }

    fn start(&self) -> Started {
        let (reports, queue) = channel();
        let socket = ReportSocket::bind(&self.settings).unwrap();
        let gate = Gate::new(&self.settings).unwrap();
        let receiver = Receiver::start("ssh", socket, gate, move |report| reports.send(report).is_ok());
        Started { receiver: receiver.unwrap(), queue }
    }
}

struct Started {
    receiver: Receiver,
    queue: Queue<Report>,
}

impl Started {
    fn next(&self) -> Report {
        self.queue.recv_timeout(PATIENCE).expect("a report")
    }

    fn counts(&self, as_wanted: impl Fn(&ReceiverCounts) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !as_wanted(self.receiver.counts()) {
            assert!(Instant::now() < end, "{:?}", self.receiver.counts());
            std::thread::yield_now();
        }
    }

    /// Waits until so many datagrams were refused; none of them became a report.
    fn refuses(&self, count: u64) {
        self.counts(|counts| counts.refused() >= count);
        assert_eq!(self.receiver.counts().refused(), count);
        assert!(self.queue.try_recv().is_err(), "a report was made of it");
    }
}

#[test]
fn the_kernel_names_the_peer_of_each_kind_of_report_over_ipv4_and_ipv6() {
    in_a_network(|| {
        for (ours, theirs) in [("192.0.2.1", "192.0.2.7"), ("2001:db8::1", "2001:db8:0:7::7")] {
            let server = Server::at(ours);
            let (their_end, our_end) = server.connected_from(theirs);
            let place = Place::new(&[server.port()]);
            // The receiver's thread is made here: its interfaces are those of a machine without these addresses.
            let started = elsewhere(|| place.start());
            let kinds = [
                (FAILED, ReportKind::Failed),
                (SUCCESS, ReportKind::Success),
                (ABUSE, ReportKind::Abuse),
                (NO_USER, ReportKind::NoUser),
            ];
            for (number, kind) in kinds {
                report(&place.socket(), number, "Fatal exit", &our_end);
                let told = started.next();
                assert_eq!((told.kind, told.peer), (kind, their_end.local_addr().unwrap()));
                assert_eq!((told.local_port, told.is_claimed), (server.port(), false));
                assert_eq!(told.text.as_bytes(), b"Fatal exit");
                if cfg!(target_os = "linux") {
                    let sender = told.sender.expect("Linux tells");
                    assert_eq!((sender.pid, sender.uid), (std::process::id(), geteuid().as_raw()));
                }
            }
            started.counts(|counts| counts.taken() == 4);
        }
    });
}

#[test]
fn no_descriptor_is_kept() {
    in_a_network(|| {
        let server = Server::at("192.0.2.1");
        let (their_end, our_end) = server.connected_from("192.0.2.7");
        let place = Place::new(&[server.port()]);
        let started = elsewhere(|| place.start());
        for _ in 0..50 {
            report(&place.socket(), FAILED, "", &our_end);
            send(&place.socket(), b"no report", &[our_end.as_fd()]).unwrap();
            send(&place.socket(), &datagram(1, b""), &[our_end.as_fd(); 3]).unwrap();
        }
        (0..50).for_each(|_| assert_eq!(started.next().kind, ReportKind::Failed));
        started.refuses(100);
        // The connection ends when its server closes it: nobody else holds it open.
        drop(our_end);
        their_end.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(std::io::Read::read(&mut &their_end, &mut [0; 1]).unwrap(), 0);
    });
}

/// A connection with unsent bytes and `SO_LINGER` keeps whoever closes it last for as long as that says.
#[test]
fn a_connection_that_lingers_does_not_hold_up_the_next_report() {
    in_a_network(|| {
        let server = Server::at("192.0.2.1");
        let (_their_end, lingers) = server.connected_from("192.0.2.7");
        let (_other_end, next) = server.connected_from("192.0.2.8");
        let place = Place::new(&[server.port()]);
        let socket = ReportSocket::bind(&place.settings).unwrap();
        lingers.set_nonblocking(true).unwrap();
        while std::io::Write::write(&mut &lingers, &[0; 65536]).is_ok() {}
        rustix::net::sockopt::set_socket_linger(&lingers, Some(Duration::from_secs(1000))).unwrap();
        report(&place.socket(), FAILED, "lingers", &lingers);
        report(&place.socket(), FAILED, "next", &next);
        // The datagram in the queue holds it open from here on.
        drop(lingers);
        let (reports, queue) = channel();
        let gate = Gate::new(&place.settings).unwrap();
        let receiver = elsewhere(|| {
            Receiver::start("ssh", socket, gate, move |report| reports.send(report).is_ok()).unwrap()
        });
        let started = Started { receiver, queue };
        assert_eq!(
            [started.next(), started.next()].map(|told| told.peer.ip().to_string()),
            ["192.0.2.7", "192.0.2.8"]
        );
    });
}

#[test]
fn a_burst_of_ten_thousand_reports_is_taken_whole() {
    in_a_network(|| {
        let server = Server::at("192.0.2.1");
        let (_their_end, our_end) = server.connected_from("192.0.2.7");
        let place = Place::new(&[server.port()]);
        let started = elsewhere(|| place.start());
        for n in 0..10_000_u32 {
            send(&place.socket(), &datagram(FAILED, n.to_string().as_bytes()), &[our_end.as_fd()]).unwrap();
        }
        let texts: HashSet<Vec<u8>> = (0..10_000).map(|_| started.next().text.as_bytes().to_vec()).collect();
        assert_eq!((texts.len(), started.receiver.counts().refused()), (10_000, 0));
    });
}

#[test]
fn a_connection_that_its_peer_reset_is_left_to_the_log() {
    in_a_network(|| {
        let server = Server::at("192.0.2.1");
        let gone = server.reset_by("192.0.2.7");
        let place = Place::new(&[server.port()]);
        let started = elsewhere(|| place.start());
        report(&place.socket(), FAILED, "Banner exchange", &gone);
        // An address that the sender claims makes no difference.
        send(&place.socket(), &claiming(FAILED, &sockaddr(), b""), &[gone.as_fd()]).unwrap();
        started.refuses(2);
        assert!(started.receiver.counts().reset() <= 2);
    });
}

/// On loopback any peer is this machine.
#[test]
fn this_machine_is_no_peer_to_report() {
    let server = Server::at("127.0.0.1");
    let (_their_end, our_end) = server.connected_from("127.0.0.1");
    let place = Place::new(&[server.port()]);
    let started = place.start();
    report(&place.socket(), ABUSE, "", &our_end);
    started.refuses(1);
    in_a_network(|| {
        let server = Server::at("192.0.2.1");
        let (_their_end, our_end) = server.connected_from("192.0.2.7");
        let place = Place::new(&[server.port()]);
        // Here both are addresses of this machine.
        let started = place.start();
        report(&place.socket(), ABUSE, "", &our_end);
        started.refuses(1);
    });
}

#[test]
fn what_is_no_report_of_a_configured_service_is_refused_and_counted() {
    let server = Server::at("127.0.0.1");
    let (_their_end, our_end) = server.connected_from("127.0.0.1");
    let (_, of_another_port) = Server::at("127.0.0.1").connected_from("127.0.0.1");
    let place = Place::new(&[server.port()]);
    let started = place.start();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listens = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixDatagram::unbound().unwrap();
    let file = fs::File::open("/dev/null").unwrap();
    let good = datagram(FAILED, b"");
    let mut refused = 0;
    for (bytes, descriptors) in [
        (&b""[..], &[our_end.as_fd()][..]),
        (&good[..143], &[our_end.as_fd()]),
        (&[&good[..], &[0; 200]].concat(), &[our_end.as_fd()]),
        (&datagram(0, b""), &[our_end.as_fd()]),
        (&datagram(5, b""), &[our_end.as_fd()]),
        (&claiming(FAILED, &[0; 17], b""), &[our_end.as_fd()]),
        (&good, &[]),
        (&good, &[our_end.as_fd(), our_end.as_fd()]),
        (&good, &[our_end.as_fd(); 40]),
        (&good, &[of_another_port.as_fd()]),
        (&good, &[udp.as_fd()]),
        (&claiming(FAILED, &sockaddr(), b""), &[udp.as_fd()]),
        (&good, &[listens.as_fd()]),
        (&good, &[unix.as_fd()]),
        (&good, &[file.as_fd()]),
    ] {
        send(&place.socket(), bytes, descriptors).unwrap();
        refused += 1;
        started.refuses(refused);
    }
    assert_eq!(started.receiver.counts().taken(), 0);
}

#[test]
fn an_address_of_udp_is_the_word_of_those_who_are_listed_for_it() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = udp.local_addr().unwrap().port();
    let mut place = Place::new(&[port]);
    let claim = claiming(ABUSE, &sockaddr(), b"");
    let started = place.start();
    send(&place.socket(), &claim, &[udp.as_fd()]).unwrap();
    started.refuses(1);
    drop(started);
    place.settings.udp_senders = vec![geteuid().as_raw().to_string()];
    let started = place.start();
    send(&place.socket(), &claim, &[udp.as_fd()]).unwrap();
    if cfg!(target_os = "linux") {
        let told = started.next();
        assert_eq!((told.peer, told.is_claimed), ("192.0.2.7:5353".parse().unwrap(), true));
        send(&place.socket(), &datagram(ABUSE, b""), &[udp.as_fd()]).unwrap();
    }
    // Where the system does not tell who sent it, nobody is believed; nor without an address.
    started.refuses(1);
}

#[test]
fn nobody_but_root_can_send_reports_unless_it_is_configured() {
    let place = Place::new(&[22]);
    let started = place.start();
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.socket()), 0o600);
    drop(started);
    assert!(!place.socket().exists(), "the socket goes with its server");
    let mut place = Place::new(&[22]);
    let group = Group::from_gid(getegid()).unwrap().expect("our group has a name");
    place.settings.group = Some(group.name);
    let _started = place.start();
    assert_eq!(mode(&place.socket()), 0o660);
}

#[cfg(target_os = "linux")]
#[test]
fn a_user_who_is_not_listed_is_refused_whatever_the_sockets_mode() {
    let nobody = nix::unistd::User::from_name("nobody").unwrap().expect("it is on every system").uid.as_raw();
    in_a_network(|| {
        let server = Server::at("192.0.2.1");
        let (_their_end, our_end) = server.connected_from("192.0.2.7");
        let mut place = Place::new(&[server.port()]);
        // As if an operator had opened it to all.
        let open_to_all =
            |place: &Place| fs::set_permissions(place.socket(), fs::Permissions::from_mode(0o666)).unwrap();
        let started = elsewhere(|| place.start());
        open_to_all(&place);
        as_user(nobody, || report(&place.socket(), ABUSE, "", &our_end));
        started.refuses(1);
        drop(started);
        place.settings.senders = vec!["nobody".to_owned()];
        let started = elsewhere(|| place.start());
        open_to_all(&place);
        as_user(nobody, || report(&place.socket(), ABUSE, "", &our_end));
        assert_eq!(started.next().sender.unwrap().uid, nobody);
        place.settings.senders = vec!["no-such-user".to_owned()];
        let told = Gate::new(&place.settings).unwrap_err().to_string();
        assert!(told.contains("there is no user `no-such-user`"), "{told}");
    });
}

/// Does something as another user, in a thread that no other shares its user with.
#[cfg(target_os = "linux")]
fn as_user(uid: u32, act: impl FnOnce() + Send) {
    let uid = rustix::thread::Uid::from_raw(uid);
    let run = || {
        rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root may");
        act();
    };
    std::thread::scope(|scope| scope.spawn(run).join().expect("it does not panic"));
}

#[test]
fn another_server_on_the_socket_is_noticed_and_left_alone() {
    let place = Place::new(&[22]);
    let other = UnixDatagram::bind(place.socket()).unwrap();
    let told = ReportSocket::bind(&place.settings).unwrap_err().to_string();
    assert!(told.contains("another server answers at") && told.contains("blocklistd_enable=NO"), "{told}");
    assert!(is_answered(&place.socket()).is_ok());
    drop(other);
    assert!(place.socket().exists() && is_answered(&place.socket()).is_err());
    let started = place.start();
    assert!(is_answered(&place.socket()).is_ok(), "a dead one is replaced");
    drop(started);
    let _stream = UnixListener::bind(place.socket()).unwrap();
    let told = ReportSocket::bind(&place.settings).unwrap_err().to_string();
    assert!(told.contains("is in the way"), "{told}");
    fs::remove_file(place.socket()).unwrap();
    fs::write(place.socket(), "").unwrap();
    assert!(ReportSocket::bind(&place.settings).unwrap_err().to_string().contains("is in the way"));
}
