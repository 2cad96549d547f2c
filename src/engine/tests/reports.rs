//! Connections of which a log and their server tell.

use super::*;
use crate::engine::{Judgement, Line};

/// The peer's end of a connection, and the process that serves it.
#[derive(Clone, Copy)]
struct Served {
    pid: Option<u32>,
    port: Option<u16>,
}

struct Told {
    engine: Engine,
    now: Time,
}

impl Told {
    fn new() -> Self {
        let settings = EngineSettings { has_reports: true, files: 2, ..EngineSettings::default() };
        Self { engine: Engine::new(settings, policies()), now: Time::from_secs(1_700_000_000) }
    }

    /// By how many tenths a sighting of one offence counts.
    fn sees(&mut self, address: &str, evidence: Evidence, served: Served, text: &str) -> u32 {
        let Judgement { offender, tenths, .. } = self.engine.observe(&Sighting {
            time: self.now,
            is_late: false,
            source: 0,
            writer: "",
            set: 0,
            rule: 0,
            address: Some(address.parse().unwrap()),
            session: None,
            line: Line { program: None, pid: served.pid, message: text.as_bytes() },
            evidence,
            port: served.port,
            count: 1,
        });
        if offender.is_some() { tenths } else { 0 }
    }

    fn report(&mut self, port: u16, text: &str) -> u32 {
        self.sees("192.0.2.7", Evidence::Kernel, Served { pid: None, port: Some(port) }, text)
    }

    /// Each line is another text, as with the stamps of real ones.
    fn line(&mut self, pid: u32, port: Option<u16>) -> u32 {
        self.now = self.now.plus(Duration::from_secs(1));
        let text = format!("{:?}", self.now);
        self.sees("192.0.2.7", Evidence::Handshake, Served { pid: Some(pid), port }, &text)
    }
}

/// One rule, each of whose matches counts by itself.
fn policies() -> Vec<Policy> {
    let rule = RulePolicy { counts: Counts::Line, ..rule(Effect::Offence) };
    let threshold = Threshold { offences: 1000, within: Duration::from_secs(600) }.into();
    let names = ["sshd/a".into()].into();
    let set = Policy {
        name: "sshd".into(),
        evidence: Evidence::Handshake,
        threshold,
        ban: BAN,
        names,
        rules: [rule].into(),
    };
    vec![set]
}

const BAN: BanPolicy = BanPolicy { length: BanLength::For(Duration::from_secs(3600)), escalate: None };

#[test]
fn of_one_connection_whoever_told_more_is_believed() {
    let mut told = Told::new();
    assert_eq!((0..3).map(|_| told.line(7, Some(50122))).sum::<u32>(), 30);
    assert_eq!(told.report(50122, "Fatal exit"), 0);
    assert_eq!([(); 4].map(|()| told.report(50122, "Invalid user")), [0, 0, 0, 10]);
    assert_eq!(told.line(7, Some(50122)), 0);
    assert_eq!(told.line(7, Some(50122)), 10);
    assert_eq!(told.report(50123, "Fatal exit"), 10, "another connection");
}

#[test]
fn a_line_without_a_port_is_joined_through_its_process_or_else_once() {
    let mut told = Told::new();
    // The port is in another line of the process.
    assert_eq!(told.line(7, None), 10);
    assert_eq!(told.line(7, Some(1)), 10);
    assert_eq!(told.report(1, "Fatal exit"), 0);
    // It never is: such a line is taken for the connection of which only the server told.
    assert_eq!(told.report(2, "Fatal exit"), 10);
    assert_eq!(told.line(8, None), 0);
    assert_eq!(told.line(9, None), 10, "and each connection is taken once");
}

#[test]
fn a_port_that_comes_again_much_later_is_another_connection() {
    let mut told = Told::new();
    assert_eq!(told.report(1, "Fatal exit"), 10);
    told.now = told.now.plus(Duration::from_secs(1000));
    assert_eq!(told.line(7, Some(1)), 10);
    // A client that always has the same port gains nothing: both tell of each connection.
    for pid in 8..20 {
        assert_eq!(told.line(pid, Some(1)) + told.report(1, "Fatal exit"), 10);
    }
}

#[test]
fn what_may_be_forged_takes_nothing_from_what_the_kernel_says() {
    let mut told = Told::new();
    let served = Served { pid: Some(7), port: Some(1) };
    assert_eq!(told.sees("192.0.2.7", Evidence::Spoofable, served, "forged"), 10);
    assert_eq!(told.report(1, "Fatal exit"), 10);
    assert_eq!(told.sees("192.0.2.8", Evidence::Handshake, served, "another peer"), 10);
    assert_eq!(told.report(1, "Fatal exit"), 10);
}

#[test]
fn no_number_of_connections_takes_more_memory_than_is_bounded() {
    let mut told = Told::new();
    for port in 0..2000 {
        told.report(port, &format!("{port}"));
        told.report(1, &format!("{port}"));
    }
    assert_eq!(told.report(1999, "x"), 0);
    for n in 0..40_000_u32 {
        let address = std::net::Ipv4Addr::from(0xc633_0000 + n).to_string();
        told.sees(&address, Evidence::Kernel, Served { pid: None, port: Some(1) }, "x");
    }
    assert!(told.engine.connections.len() <= 16_384);
}
