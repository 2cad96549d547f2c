//! The same attack on sets of several rules, through the reader of records: whose line is read by which rule, and for whom it counts.

use std::net::IpAddr;

use proptest::prelude::*;
use regex_automata::meta::Regex;

use super::super::judge::{Judge, reader};
use super::super::machine::Peer;
use super::super::search::Budget;
use super::super::{Known, PeerMark};
use super::brute_force::{Dice, FIELDS, Part, Program, alphabets, parts, row};
use super::set;
use crate::address;
use crate::record::{self, Record, Repeat};
use crate::rules::Compiled;
use crate::rules::model::{AddressFrom, Effect, RuleSet, Severity};

/// With what patterns begin, some of it taken for a logger's words.
const LEADS: [&str; 8] =
    ["failed ", "failed for ", "login ", "login from ", "message ", "message repeated 2 times: ", "[", "by "];

/// What programs print for a peer.
const PEERS: [&str; 5] = ["192.0.2.7", "2001:db8::7", "localhost", "host.example.org", "::ffff:192.0.2.7"];

/// How loggers deliver a message.
const DELIVERIES: [(&str, &str); 6] = [
    ("", ""),
    ("", ""),
    (" ", " "),
    ("\u{feff}", ""),
    ("message repeated 3 times: [ ", "]"),
    ("\u{feff}message repeated 1 time: [", "]"),
];

#[derive(Clone, Debug)]
struct Tried {
    parts: Vec<Part>,
    effect: Effect,
    names_peer: bool,
}

fn tried() -> impl Strategy<Value = Tried> {
    let effect = prop_oneof![4 => Just(Effect::Offence), 1 => Just(Effect::Trust), 1 => Just(Effect::Ignore)];
    let address =
        prop_oneof![4 => Just(Some(Part::Address)), 1 => Just(Some(Part::Endpoint)), 2 => Just(None)];
    (prop::sample::select(LEADS.to_vec()), parts(1), address, parts(1), effect).prop_map(
        |(lead, before, address, behind, effect)| {
            let names_peer = address.is_some();
            let address: Vec<Part> = address.into_iter().collect();
            Tried { parts: [vec![Part::Words(lead)], before, address, behind].concat(), effect, names_peer }
        },
    )
}

fn set_of(program: &str, rules: &[Tried]) -> RuleSet {
    let mut of = set(program, "^x$");
    of.fields = FIELDS.iter().map(|(name, alphabet)| ((*name).to_owned(), (*alphabet).to_owned())).collect();
    of.rules.clear();
    for (number, tried) in rules.iter().enumerate() {
        let mut rule = set(program, &format!("^{}$", row(&tried.parts))).rules.remove(0);
        rule.id = format!("r{number}");
        rule.effect = tried.effect;
        rule.address = if tried.names_peer { AddressFrom::Line } else { AddressFrom::Session };
        of.rules.push(rule);
    }
    of
}

/// Whether no rule is refused, without the search for remedies.
fn is_proven(set: &RuleSet, compiled: &Compiled) -> bool {
    let mut budget = Budget::new();
    let known = Known::of(set, &[], &mut budget).unwrap();
    let texts = known.languages();
    let printer = known.printer(&texts, PeerMark::Address, &mut budget).unwrap();
    let mut judge = Judge::new(set, compiled, &texts).unwrap();
    (0..set.rules.len()).all(|rule| {
        let reader = reader(&texts.read[rule], rule, Peer::Untold).unwrap();
        let beginning = known.beginning(rule, &known.rules[rule].annotated, &mut budget).unwrap();
        let effects = known.effects(rule, &printer, &reader, &mut judge, &mut budget).unwrap();
        beginning.is_none()
            && effects.is_none_or(|fault| fault.severity != Severity::Error)
            && judge.fooled(rule, PeerMark::Address, &printer, &mut budget).unwrap().is_none()
    })
}

/// A line of a rule's program with this peer, as it comes into a log.
fn line(program: &str, tried: &Tried, peer: &str, seed: u64, alphabets: &[Regex]) -> String {
    let mut printer = Program { dice: Dice(seed | 1), line: String::new(), peer, alphabets };
    printer.print(&tried.parts);
    let (before, behind) = DELIVERIES[printer.dice.below(DELIVERIES.len())];
    format!("Nov 22 14:38:31 gw {program}{before}{}{behind}", printer.line)
}

fn message<'l>(record: &Record<'l>) -> &'l [u8] {
    match record::repeat(record) {
        Some(Repeat::Quoted { message, .. }) => message,
        _ => record.message,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_line_of_a_proven_set_counts_for_another(
        rules in prop::collection::vec(tried(), 2..4), of_kernel: bool, seed: u64
    ) {
        let (program, tag) = if of_kernel { ("kernel", "kernel: ") } else { ("app", "app[7]: ") };
        let set = set_of(program, &rules);
        let Ok(compiled) = Compiled::new(&set) else { return Ok(()) };
        if !is_proven(&set, &compiled) {
            return Ok(());
        }
        let alphabets = alphabets();
        for (number, printed) in (0_u64..).zip(rules.iter().cycle()).take(120) {
            let seed = seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let peer = PEERS[usize::try_from(number).unwrap() / rules.len() % PEERS.len()];
            let line = line(tag, printed, peer, seed, &alphabets);
            let record = record::parse(line.as_bytes());
            let Some(found) = compiled.find(message(&record), false) else { continue };
            let read = &rules[found.rule];
            let named: Option<IpAddr> = address::parse(peer.as_bytes()).filter(|_| printed.names_peer);
            prop_assert!(found.address.is_none_or(|seen| Some(seen) == named), "{rules:?}: {line}: {found:?}");
            if read.effect != Effect::Ignore && !read.names_peer {
                prop_assert!(!printed.names_peer, "{rules:?}: {line}: {found:?} counts for its session");
            }
            if read.effect == Effect::Trust {
                prop_assert!(printed.effect != Effect::Offence, "{rules:?}: {line}: {found:?} is a login");
            }
        }
    }
}
