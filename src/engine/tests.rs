//! The engine as a whole, one sentence a test; longer stories are in `tests/scenarios`.

use std::time::Duration;

use super::*;
use crate::rules::{BanLength, BanPolicy, Escalate, Threshold};

mod by_hand;
mod evidence;
mod networks;
mod reports;
mod sessions;
mod wide;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const SPEAKER: Speaker<'_> = Speaker { writer: "/var/log", host: b"gw", program: b"sshd" };

fn rule(effect: Effect) -> RulePolicy {
    RulePolicy {
        effect,
        tenths: 10,
        counts: Counts::Session,
        address: AddressFrom::Line,
        ends_session: false,
    }
}

/// Rules 0 and 1 are offences, 2 trusts, 3 is ignored, 4 counts line by line.
fn policy(name: &str, evidence: Evidence, offences: u32) -> Policy {
    let line = RulePolicy { counts: Counts::Line, ..rule(Effect::Offence) };
    let escalate = Some(Escalate { factor: 2.0, max: 5 * HOUR, forget: 24 * HOUR });
    Policy {
        name: name.into(),
        evidence,
        threshold: Threshold { offences, within: 10 * MINUTE }.into(),
        ban: BanPolicy { length: BanLength::For(HOUR), escalate },
        names: ["a", "b", "login", "noise", "listener"].map(|id| format!("{name}/{id}").into()).into(),
        rules: [Effect::Offence, Effect::Offence, Effect::Trust, Effect::Ignore]
            .map(rule)
            .into_iter()
            .chain([line])
            .collect(),
    }
}

struct Bench {
    engine: Engine,
    now: Time,
    source: u16,
    /// The prefix that was banned last.
    banned: String,
}

impl Bench {
    fn new(settings: EngineSettings) -> Self {
        let policies = vec![
            policy("sshd", Evidence::Handshake, 3),
            policy("tcp", Evidence::Spoofable, 3),
            policy("ftpd", Evidence::Handshake, 2),
        ];
        Self::with(settings, policies)
    }

    fn with(settings: EngineSettings, policies: Vec<Policy>) -> Self {
        Self {
            engine: Engine::new(settings, policies),
            now: Time::from_secs(1_700_000_000),
            source: 0,
            banned: String::new(),
        }
    }

    /// How many bans it ended, and how many of the prefixes were not banned.
    fn unban(&mut self, prefixes: &[&str]) -> (usize, usize) {
        let prefixes: Vec<Prefix> = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
        let unbanned = self.engine.unban(&prefixes, self.now);
        (unbanned.freed.len(), unbanned.not_banned.len())
    }

    fn pass(&mut self, span: Duration) -> Vec<Prefix> {
        self.now = self.now.plus(span);
        self.engine.expire(self.now)
    }

    fn see(&mut self, set: usize, rule: usize, address: &str, pid: u32) -> Verdict {
        self.seen(set, rule, address, pid, 1)
    }

    fn seen(&mut self, set: usize, rule: usize, address: &str, pid: u32, count: u32) -> Verdict {
        let evidence = self.engine.policies()[set].evidence;
        self.seen_on(evidence, (set, rule), address, pid, count)
    }

    fn seen_on(
        &mut self,
        evidence: Evidence,
        (set, rule): (usize, usize),
        address: &str,
        pid: u32,
        count: u32,
    ) -> Verdict {
        let session = (pid > 0).then(|| SessionKey::new(SPEAKER, pid).on(evidence));
        let message = format!("{rule} {address} {pid}");
        let line = Line { program: Some(b"sshd"), pid: Some(pid), message: message.as_bytes() };
        let address = address.parse().ok();
        let time = self.now;
        let source = self.source;
        let judgement = self.engine.observe(&Sighting {
            time,
            is_late: false,
            source,
            writer: "",
            set,
            rule,
            address,
            session,
            line,
            evidence,
            port: None,
            count,
        });
        if let Verdict::Banned { banned, .. } = &judgement.verdict {
            self.banned = banned.to_string();
        }
        judgement.verdict
    }

    /// Of each window that saw the address: rule set, tenths, threshold.
    fn counters(&self, address: IpAddr) -> Vec<(&str, u32, u32)> {
        let counters = self.engine.counters(address, self.now).into_iter();
        counters.map(|counter| (counter.set, counter.tenths, counter.threshold)).collect()
    }

    fn ban(&mut self, set: usize, address: &str, times: u32) -> Verdict {
        let verdicts: Vec<Verdict> = (0..times).map(|_| self.see(set, 4, address, 0)).collect();
        verdicts.into_iter().last().expect("at least once")
    }
}

fn by_hand(prefix: &str, now: Time) -> Ban {
    let until = Some(now.plus(HOUR));
    Ban {
        offender: prefix.parse().unwrap(),
        owners: vec![Owner { set: "".into(), until }].into(),
        since: now,
        until,
        nth: 1,
        reason: "by hand".into(),
        origin: Origin::Manual,
        forced: false,
        spoofable: false,
    }
}

fn bench() -> Bench {
    Bench::new(EngineSettings::default())
}

fn until(verdict: &Verdict) -> Option<Time> {
    match verdict {
        Verdict::Banned { until, .. } => *until,
        other => panic!("not banned but {other:?}"),
    }
}

fn allowing(list: &[&str]) -> EngineSettings {
    EngineSettings {
        allow: list.iter().map(|prefix| prefix.parse().unwrap()).collect(),
        ..EngineSettings::default()
    }
}

#[test]
fn the_threshold_bans_and_not_one_less() {
    let mut bench = bench();
    assert!(matches!(bench.see(0, 0, "192.0.2.7", 1), Verdict::Counted { tenths: 10, threshold: 30, .. }));
    assert!(matches!(bench.see(0, 0, "192.0.2.7", 2), Verdict::Counted { tenths: 20, .. }));
    assert!(matches!(bench.see(0, 0, "192.0.2.7", 3), Verdict::Banned { nth: 1, .. }));
}

#[test]
fn three_lines_of_one_attempt_count_once_and_six_guesses_six_times() {
    let mut bench = bench();
    assert!(matches!(bench.see(0, 0, "192.0.2.7", 9), Verdict::Counted { tenths: 10, .. }));
    assert_eq!(bench.see(0, 1, "192.0.2.7", 9), Verdict::Ignored(Why::SameAttempt));
    assert!(matches!(bench.see(0, 1, "192.0.2.7", 9), Verdict::Counted { tenths: 20, .. }));
    assert!(matches!(bench.see(0, 1, "192.0.2.7", 9), Verdict::Banned { .. }));
}

#[test]
fn repeats_multiply() {
    let mut bench = bench();
    assert!(matches!(bench.seen(0, 0, "192.0.2.7", 1, 2), Verdict::Counted { tenths: 20, .. }));
    assert!(matches!(bench.seen(0, 0, "192.0.2.7", 1, 1000), Verdict::Banned { .. }));
}

#[test]
fn the_same_line_in_two_files_counts_once_whichever_comes_first() {
    let mut bench = Bench::new(EngineSettings { files: 2, ..EngineSettings::default() });
    bench.see(0, 4, "192.0.2.7", 0);
    bench.source = 1;
    assert_eq!(bench.see(0, 4, "192.0.2.7", 0), Verdict::Ignored(Why::SeenElsewhere));
    assert!(
        matches!(bench.see(0, 4, "192.0.2.7", 0), Verdict::Counted { tenths: 20, .. }),
        "it was written twice"
    );
    bench.source = 0;
    assert_eq!(bench.see(0, 4, "192.0.2.7", 0), Verdict::Ignored(Why::SeenElsewhere));
}

#[test]
fn a_failure_while_banned_changes_nothing() {
    let mut bench = bench();
    let end = until(&bench.ban(0, "192.0.2.7", 3));
    assert_eq!(bench.see(0, 4, "192.0.2.7", 0), Verdict::Ignored(Why::AlreadyBanned { until: end }));
    assert_eq!(bench.pass(HOUR), ["192.0.2.7/32".parse().unwrap()]);
    assert!(matches!(bench.see(0, 4, "192.0.2.7", 0), Verdict::Counted { tenths: 10, .. }), "counted afresh");
}

#[test]
fn bans_grow_are_bounded_and_are_forgotten_after_quiet() {
    let mut bench = bench();
    let mut hours = Vec::new();
    for _ in 0..5 {
        let end = until(&bench.ban(0, "192.0.2.7", 3)).unwrap();
        let length = end.since(bench.now).unwrap();
        hours.push(length.as_secs() / 3600);
        assert_eq!(bench.pass(length).len(), 1);
    }
    assert_eq!(hours, [1, 2, 4, 5, 5]);
    bench.pass(25 * HOUR);
    assert!(matches!(bench.ban(0, "192.0.2.7", 3), Verdict::Banned { nth: 1, .. }));
}

#[test]
fn a_second_rule_set_prolongs_and_never_frees() {
    let mut bench = bench();
    let first = until(&bench.ban(0, "192.0.2.7", 3));
    bench.pass(30 * MINUTE);
    let second = until(&bench.ban(2, "192.0.2.7", 2));
    assert_eq!(second, Some(bench.now.plus(HOUR)));
    let ban = bench.engine.bans().next().unwrap();
    assert_eq!((ban.owners.len(), ban.nth), (2, 1), "one episode, two owners");
    assert_eq!(bench.pass(30 * MINUTE), [], "the first one's end {first:?} frees nobody");
    assert_eq!(bench.pass(30 * MINUTE).len(), 1);
}

#[test]
fn the_allow_list_wins_also_against_the_prefix_around_it() {
    let mut bench = Bench::new(allowing(&["192.0.2.0/24", "2001:db8::1/128"]));
    assert_eq!(bench.see(0, 4, "192.0.2.7", 0), Verdict::Ignored(Why::Allowed));
    assert!(matches!(bench.ban(0, "2001:db8::2", 3), Verdict::Banned { .. }));
    assert_eq!(bench.banned, "2001:db8::2/127", "its /64 holds an allowed host");
    assert!(matches!(bench.ban(0, "2001:db8:1::2", 3), Verdict::Banned { .. }));
    assert_eq!(bench.banned, "2001:db8:1::/64");
}

#[test]
fn an_attacker_who_moves_inside_its_64_is_one_offender() {
    let mut bench = bench();
    bench.see(0, 4, "2001:db8::a", 0);
    bench.see(0, 4, "2001:db8::b", 0);
    assert!(matches!(bench.see(0, 4, "2001:db8::c", 0), Verdict::Banned { .. }));
}

#[test]
fn special_addresses_are_never_banned() {
    let mut bench = bench();
    for special in ["127.0.0.1", "::1", "fe80::1", "224.0.0.1", "0.0.0.0", "255.255.255.255"] {
        assert!(matches!(bench.see(0, 4, special, 0), Verdict::Ignored(Why::Unbannable(_))), "{special}");
    }
}

#[test]
fn a_login_earns_patience_but_no_licence() {
    let mut bench = bench();
    assert!(matches!(bench.see(0, 2, "192.0.2.7", 1), Verdict::Trusted { failures: 0, .. }));
    assert!(matches!(bench.ban(0, "192.0.2.7", 8), Verdict::Counted { tenths: 80, threshold: 90, .. }));
    assert!(
        matches!(bench.see(0, 2, "192.0.2.7", 9), Verdict::Trusted { failures: 80, .. }),
        "the next one is a ban"
    );
    assert!(matches!(bench.see(0, 4, "192.0.2.7", 0), Verdict::Banned { .. }));
    bench.see(0, 2, "192.0.2.8", 2);
    assert_eq!(bench.see(1, 4, "192.0.2.8", 0), Verdict::Ignored(Why::Trusted), "packets can be forged");
    bench.pass(8 * 24 * HOUR);
    assert!(matches!(bench.see(0, 4, "192.0.2.8", 0), Verdict::Counted { threshold: 30, .. }));
}

#[test]
fn a_login_on_spoofable_evidence_is_worth_nothing() {
    let mut bench = bench();
    assert_eq!(bench.see(1, 2, "192.0.2.7", 1), Verdict::Ignored(Why::Harmless));
    assert!(!bench.engine.is_trusted("192.0.2.7".parse().unwrap(), bench.now));
}

#[test]
fn forged_packets_cost_one_address_each_never_grow_and_stop_at_their_caps() {
    let caps = SpoofCaps { bans_at_once: 3, bans_per_minute: 2 };
    let mut bench = Bench::new(EngineSettings { spoofable: caps, ..EngineSettings::default() });
    assert!(matches!(bench.ban(1, "2001:db8::2", 3), Verdict::Banned { .. }));
    assert_eq!(bench.banned, "2001:db8::2/128");
    assert!(matches!(bench.ban(1, "203.0.113.2", 3), Verdict::Banned { nth: 1, .. }));
    let flood = bench.ban(1, "203.0.113.3", 3);
    assert!(matches!(flood, Verdict::Ignored(Why::Flood(Flood { first: true, .. }))), "{flood:?}");
    let flood = bench.ban(1, "203.0.113.4", 3);
    assert!(matches!(flood, Verdict::Ignored(Why::Flood(Flood { first: false, .. }))), "said once");
    bench.pass(2 * MINUTE);
    assert!(matches!(bench.see(1, 4, "203.0.113.3", 0), Verdict::Banned { .. }));
    assert!(matches!(bench.ban(1, "203.0.113.5", 3), Verdict::Ignored(Why::Flood(_))), "three at a time");
    bench.pass(2 * HOUR);
    assert!(matches!(bench.ban(1, "203.0.113.2", 3), Verdict::Banned { nth: 1, .. }), "no escalation");
}

#[test]
fn the_next_ban_of_an_expired_one_is_not_freed_by_the_old_end() {
    let mut bench = bench();
    bench.ban(0, "192.0.2.7", 3);
    bench.now = bench.now.plus(2 * HOUR);
    let end = until(&bench.ban(0, "192.0.2.7", 3));
    assert_eq!(bench.engine.expire(bench.now), [], "the new ban runs until {end:?}");
}

#[test]
fn an_attempt_that_spans_a_reload_counts_once() {
    let mut bench = bench();
    bench.see(0, 0, "192.0.2.7", 1);
    let mut policies = bench.engine.policies().to_vec();
    policies.reverse();
    bench.engine.reload(EngineSettings::default(), policies, bench.now);
    let same = bench.see(2, 1, "192.0.2.7", 1);
    assert_eq!(same, Verdict::Ignored(Why::SameAttempt), "sshd is the third now");
}

#[test]
fn a_reload_changes_how_many_are_tracked() {
    let mut bench = bench();
    for n in 0..9 {
        bench.see(0, 4, &format!("192.0.2.{n}"), 0);
    }
    let fewer = EngineSettings { tracked_offenders: 4, ..EngineSettings::default() };
    bench.engine.reload(fewer, bench.engine.policies().to_vec(), bench.now);
    assert_eq!(bench.engine.tracked().0, 4);
}

#[test]
fn a_ban_that_came_and_went_between_two_writes_is_told_of() {
    let mut bench = bench();
    bench.ban(0, "192.0.2.7", 3);
    bench.pass(HOUR);
    let rows = bench.engine.changes();
    let told: Vec<_> = rows.iter().filter(|row| matches!(row, Row::Ban(_) | Row::BanEnded { .. })).collect();
    assert!(matches!(told[..], [Row::Ban(_), Row::BanEnded { .. }]), "{told:?}");
}

#[test]
fn a_reload_frees_the_newly_allowed_and_keeps_the_rest() {
    let mut bench = bench();
    bench.ban(0, "192.0.2.7", 3);
    bench.ban(0, "192.0.2.8", 3);
    bench.see(0, 4, "192.0.2.9", 0);
    let policies = vec![policy("new", Evidence::Handshake, 3), policy("sshd", Evidence::Handshake, 3)];
    let freed = bench.engine.reload(allowing(&["192.0.2.7/32"]), policies, bench.now);
    assert_eq!(freed, ["192.0.2.7/32".parse().unwrap()]);
    assert_eq!(bench.engine.bans().count(), 1);
    assert_eq!(bench.counters("192.0.2.9".parse().unwrap()), [("sshd", 10, 30)]);
}

#[test]
fn what_is_stored_and_restored_decides_the_same() {
    let mut bench = bench();
    bench.ban(0, "192.0.2.7", 3);
    bench.see(0, 4, "192.0.2.8", 0);
    bench.see(0, 4, "192.0.2.8", 0);
    bench.see(0, 2, "192.0.2.9", 3);
    bench.see(0, 0, "192.0.2.10", 4);
    let rows = bench.engine.changes();
    assert_eq!(bench.engine.changes(), [], "each change is told once");
    let mut after = Bench::new(EngineSettings::default());
    rows.into_iter().for_each(|row| after.engine.restore(row));
    assert_eq!(after.engine.bans().collect::<Vec<_>>(), bench.engine.bans().collect::<Vec<_>>());
    assert!(matches!(after.see(0, 4, "192.0.2.8", 0), Verdict::Banned { .. }), "two before, one after");
    assert!(after.engine.is_trusted("192.0.2.9".parse().unwrap(), after.now));
    assert_eq!(after.see(0, 1, "192.0.2.10", 4), Verdict::Ignored(Why::SameAttempt), "sessions go on");
    assert_eq!(after.pass(HOUR).len(), 2);
    assert!(matches!(after.ban(0, "192.0.2.7", 3), Verdict::Banned { nth: 2, .. }), "escalation goes on");
}

#[test]
fn a_clock_set_back_neither_bans_nor_frees() {
    let mut bench = bench();
    bench.see(0, 4, "192.0.2.7", 0);
    bench.see(0, 4, "192.0.2.7", 0);
    bench.ban(0, "192.0.2.8", 3);
    bench.now = bench.now.minus(HOUR);
    assert_eq!(bench.engine.expire(bench.now), []);
    assert!(matches!(bench.see(0, 4, "192.0.2.7", 0), Verdict::Counted { tenths: 10, .. }));
    assert!(matches!(bench.see(0, 4, "192.0.2.8", 0), Verdict::Ignored(Why::AlreadyBanned { .. })));
}

#[test]
fn counters_of_a_trusted_address_tell_what_a_ban_of_it_takes() {
    let mut bench = bench();
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    bench.see(0, 1, "192.0.2.7", 0);
    assert_eq!(bench.counters(address), [("sshd", 10, 30)]);
    bench.see(0, 2, "192.0.2.7", 2);
    let patience = bench.engine.settings().trust.multiplier;
    assert_eq!(bench.counters(address), [("sshd", 10, 30 * patience)]);
}
