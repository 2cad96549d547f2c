//! The attack that the proof replaced, as a test of it: random patterns, and random lines that their programs may print.
//!
//! What is printed is made here, without the proof's machines: the pattern is a tree of our own, and each of its parts knows
//! what its program may print there.

use std::net::IpAddr;

use proptest::prelude::*;
use regex_automata::meta::Regex;

use super::super::judge::Judge;
use super::super::refusal;
use super::super::search::Budget;
use super::super::{Known, PeerMark, TRUE_PEER};
use super::set;
use crate::rules::Compiled;
use crate::rules::model::{AddressFrom, RuleSet};
use crate::rules::session_id;

/// The id of the session of all lines.
pub(super) const TRUE_ID: &str = "1001";

/// A part of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// Fixed text.
    Words(&'static str),
    /// A class that is believed: as written, and what it may print.
    Believed(&'static str, &'static [&'static str]),
    /// A run of which nothing is claimed.
    Run(&'static str),
    /// A placeholder by the index of its alphabet.
    Field(usize),
    Optional(Vec<Self>),
    Either(Vec<Vec<Self>>),
    /// With what says how often, and the most times it is printed here.
    Repeated(Vec<Self>, &'static str, usize),
    Address,
    Endpoint,
    Session,
}

const WORDS: [&str; 14] = [
    "failed ",
    "for ",
    "from ",
    " from ",
    "by ",
    " port ",
    ": ",
    ", client ",
    "\"",
    " (",
    ")",
    "x",
    " ",
    "user ",
];

const BELIEVED: [(&str, &[&str]); 5] = [
    (r"\d+", &["1", "22", "203"]),
    (r"\d{1,5}", &["7", "52548"]),
    (r"[Ff]", &["F", "f"]),
    (r"[12]?", &["", "1", "2"]),
    (r"\s+", &[" ", "  "]),
];

const RUNS: [&str; 24] = [
    r"\S+",
    r".*",
    r".*?",
    r"\w+",
    r"[^:]*",
    r"[^ ]+",
    r#"[^"]*"#,
    r"\w\w?\w?",
    r"(?:\w|\w\w)",
    r"[a-z]{1,8}",
    r".",
    r"\w",
    r"[0-9a-f]{8}",
    r".?.?.?",
    r"[^,)]*",
    r"\W?",
    r"(?:[0-4]|[5-9]|[a-d]|[e-h]|[ .:])+",
    r"(?:x|f|o|r|m| )+",
    r"(?:[form]?[x ]?[by ]?[user]?)*",
    r"(?:(?:[form]|(?:[x ]|[by:])?)?){1,9}",
    r"(?:\d+|[form]|[.: ])+",
    r"(?i:[form]+)",
    r"(?i)[form]?[xby ](?-i)",
    r"(?:([form])|(?P<own>[xby ])|(?:[:.])){1,20}",
];

pub(super) const FIELDS: [(&str, &str); 5] =
    [("ANY", ".*"), ("WORD", "[^ ]+"), ("LABEL", "[^:]*"), ("QUOTED", r#"[^"]*"#), ("NAME", r"[-a-z0-9.]+")];

/// What an attacker's text is made of.
const PIECES: [&str; 27] = [
    "message repeated 2 times: [",
    "message ",
    "]",
    "[1] ",
    "ID 1 auth.info] ",
    "login ",
    "localhost",
    "1001",
    "1002",
    "203.0.113.66",
    "2001:db8:bad::66",
    "192.0.2.7",
    " ",
    " from ",
    "from ",
    " port ",
    "22",
    ": ",
    "\"",
    ", client ",
    " (",
    ")",
    "x",
    "failed ",
    "for ",
    "by ",
    "F",
];

pub(super) fn parts(depth: u32) -> BoxedStrategy<Vec<Part>> {
    let leaf = prop_oneof![
        4 => prop::sample::select(WORDS.to_vec()).prop_map(Part::Words),
        1 => prop::sample::select(BELIEVED.to_vec()).prop_map(|(text, prints)| Part::Believed(text, prints)),
        3 => prop::sample::select(RUNS.to_vec()).prop_map(Part::Run),
        2 => (0..FIELDS.len()).prop_map(Part::Field),
    ];
    if depth == 0 {
        return prop::collection::vec(leaf, 1..3).boxed();
    }
    let inner = || parts(depth - 1);
    let often = prop::sample::select(vec![("+", 3), ("*", 3), ("{1,3}", 3), ("{2}", 2), ("+?", 3)]);
    let part = prop_oneof![
        6 => leaf,
        1 => inner().prop_map(Part::Optional),
        1 => prop::collection::vec(inner(), 2..4).prop_map(Part::Either),
        1 => (inner(), often).prop_map(|(parts, (often, most))| Part::Repeated(parts, often, most)),
    ];
    prop::collection::vec(part, 0..5).boxed()
}

/// A pattern that begins with words of its own, so that the proof comes to its id.
fn pattern_of_session() -> impl Strategy<Value = (bool, Vec<Part>)> {
    (any::<bool>(), parts(2), parts(2)).prop_map(|(any_case, before, behind)| {
        let parts = [vec![Part::Words("failed ")], before, vec![Part::Session], behind];
        (any_case, parts.concat())
    })
}

/// A pattern that begins with words of its own, so that the proof comes to its address.
fn pattern() -> impl Strategy<Value = (bool, Vec<Part>)> {
    let address = prop_oneof![4 => Just(Part::Address), 1 => Just(Part::Endpoint)];
    let with_address = prop_oneof![
        6 => address.clone().prop_map(|address| vec![address]),
        1 => (address.clone(), parts(0)).prop_map(|(address, mut other)| {
            other.push(address.clone());
            vec![Part::Either(vec![vec![address], other])]
        }),
    ];
    (any::<bool>(), parts(2), with_address, parts(2)).prop_map(|(any_case, before, address, behind)| {
        let lead = vec![Part::Words("failed ")];
        (any_case, [lead, before, address, behind].concat())
    })
}

fn written(any_case: bool, parts: &[Part]) -> String {
    let flag = if any_case { "(?i)" } else { "" };
    format!("{flag}^{}$", row(parts))
}

pub(super) fn row(parts: &[Part]) -> String {
    parts.iter().map(text).collect()
}

fn text(part: &Part) -> String {
    match part {
        Part::Words(words) => regex_syntax::escape(words),
        Part::Believed(text, _) | Part::Run(text) => (*text).to_owned(),
        Part::Field(index) => format!("<{}>", FIELDS[*index].0),
        Part::Optional(parts) => format!("(?:{})?", row(parts)),
        Part::Either(rows) => {
            format!("(?:{})", rows.iter().map(|parts| row(parts)).collect::<Vec<_>>().join("|"))
        }
        Part::Repeated(parts, often, _) => format!("(?:{}){often}", row(parts)),
        Part::Address => "<ADDR>".to_owned(),
        Part::Endpoint => "<ADDR_PORT>".to_owned(),
        Part::Session => "<SESSION>".to_owned(),
    }
}

/// A random number generator (xorshift), so that a line is told by its seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn hostile(&mut self) -> String {
        (0..self.below(9)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }
}

/// Prints a line.
pub(super) struct Program<'a> {
    pub(super) dice: Dice,
    pub(super) line: String,
    /// What it prints at `<ADDR>`.
    pub(super) peer: &'a str,
    pub(super) alphabets: &'a [Regex],
}

impl Program<'_> {
    pub(super) fn print(&mut self, parts: &[Part]) {
        for part in parts {
            match part {
                Part::Words(words) => self.line.push_str(words),
                Part::Believed(_, prints) => {
                    let which = self.dice.below(prints.len());
                    self.line.push_str(prints[which]);
                }
                Part::Run(_) => {
                    let text = self.dice.hostile();
                    self.line.push_str(&text);
                }
                Part::Field(index) => {
                    let mut texts = (0..30).map(|_| self.dice.hostile());
                    let text = texts.find(|text| self.alphabets[*index].is_match(text));
                    self.line.push_str(text.as_deref().unwrap_or("x"));
                }
                Part::Optional(parts) => {
                    if self.dice.below(2) == 0 {
                        self.print(parts);
                    }
                }
                Part::Either(rows) => {
                    let which = self.dice.below(rows.len());
                    self.print(&rows[which]);
                }
                Part::Repeated(parts, often, most) => {
                    let least = match *often {
                        "*" => 0,
                        "{2}" => 2,
                        _ => 1,
                    };
                    for _ in 0..least + self.dice.below(most - least + 1) {
                        self.print(parts);
                    }
                }
                Part::Session => self.line.push_str(TRUE_ID),
                Part::Address | Part::Endpoint => self.print_address(matches!(part, Part::Endpoint)),
            }
        }
    }

    fn print_address(&mut self, with_port: bool) {
        if !with_port || self.dice.below(2) == 0 {
            self.line.push_str(self.peer);
        } else if self.peer.contains(':') {
            // A bare IPv6 address is all address.
            self.line.push_str(&format!("[{}]:4711", self.peer));
        } else {
            self.line.push_str(&format!("{}:4711", self.peer));
        }
    }
}

fn rules(pattern: &str) -> RuleSet {
    let mut set = set("app", pattern);
    set.fields = FIELDS.iter().map(|(name, alphabet)| ((*name).to_owned(), (*alphabet).to_owned())).collect();
    set
}

/// The same for a pattern whose lines belong to a session.
fn rules_of_session(pattern: &str) -> RuleSet {
    let mut set = rules(pattern);
    set.rules[0].address = AddressFrom::Session;
    set
}

/// The id that is found in a line of the set's rule.
fn seen_id(set: &RuleSet, compiled: &Compiled, line: &[u8]) -> Option<String> {
    compiled.find(line, false)?;
    let id = session_id::find(&session_id::finder(set, &set.rules[0])?, line)?.to_vec();
    Some(String::from_utf8(id).unwrap())
}

pub(super) fn alphabets() -> Vec<Regex> {
    FIELDS.iter().map(|(_, alphabet)| Regex::new(&format!(r"\A(?:{alphabet})\z")).unwrap()).collect()
}

fn lines(parts: &[Part], seed: u64, alphabets: &[Regex]) -> impl Iterator<Item = String> {
    (0..100_u64).map(move |number| {
        let dice = Dice((seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1);
        let mut program = Program { dice, line: String::new(), peer: TRUE_PEER, alphabets };
        program.print(parts);
        program.line
    })
}

/// What the proof says of a pattern.
#[derive(Debug, PartialEq)]
enum Verdict {
    Unreadable,
    BeginsAnywhere,
    Fooled,
    Proven,
}

/// The verdict alone, without the search for a remedy that a refusal names.
fn verdict(set: &RuleSet, mark: PeerMark) -> Verdict {
    let Ok(compiled) = Compiled::new(set) else { return Verdict::Unreadable };
    let mut budget = Budget::new();
    let known = Known::of(set, &[], &mut budget).unwrap();
    if known.beginning(0, &known.rules[0].annotated, &mut budget).unwrap().is_some() {
        return Verdict::BeginsAnywhere;
    }
    let texts = known.languages();
    let printer = known.printer(&texts, mark, &mut budget).unwrap();
    let mut judge = Judge::new(set, &compiled, &texts).unwrap();
    match judge.fooled(0, mark, &printer, &mut budget).unwrap() {
        Some(_) => Verdict::Fooled,
        None => Verdict::Proven,
    }
}

/// The line with which a refused rule is fooled, whether it is cut, its true peer, and the address that is found.
fn counterexample(set: &RuleSet) -> Option<(Vec<u8>, bool, Option<IpAddr>, IpAddr)> {
    let compiled = Compiled::new(set).ok()?;
    let mut budget = Budget::new();
    let known = Known::of(set, &[], &mut budget).ok()?;
    let texts = known.languages();
    let mut judge = Judge::new(set, &compiled, &texts).ok()?;
    let fooled = judge.shown(0, PeerMark::Address, &[], &mut budget).ok()??;
    let (message, peer, found) = refusal::confirmed(0, &fooled, &compiled, true);
    Some((message, fooled.is_cut, peer, found))
}

/// The line with which a refused rule is fooled, the id that is found, and whether it was printed in another place.
fn counterexample_of_session(set: &RuleSet) -> Option<(Vec<u8>, Vec<u8>, bool)> {
    let compiled = Compiled::new(set).ok()?;
    let mut budget = Budget::new();
    let known = Known::of(set, &[], &mut budget).ok()?;
    let texts = known.languages();
    let mut judge = Judge::new(set, &compiled, &texts).ok()?;
    let fooled = judge.shown(0, PeerMark::Session, &[], &mut budget).ok()??;
    let (_, found) = refusal::confirmed_ids(set, 0, &fooled, &compiled);
    let is_elsewhere = fooled.found.printed != fooled.found.read;
    Some((fooled.found.message.clone(), found.to_vec(), is_elsewhere))
}

/// The same language in other words.
fn rewritten(part: &Part) -> Part {
    match part {
        Part::Run(r"\w+") => Part::Run(r"\w\w*"),
        Part::Run(r"\S+") => Part::Run(r"(?:\S|\S\S+)"),
        Part::Run(r"[a-z]{1,8}") => Part::Run(r"(?:[a-d]|[e-h]|(?:[i-l]|[m-p])|[q-t]|[u-x]|y|z){1,8}"),
        Part::Run(r"[0-9a-f]{8}") => Part::Run(r"(?:\d|[ab]|(?:[cd]|e)|f){8}"),
        Part::Run(r"(?:x|f|o|r|m| )+") => Part::Run(r"(?:x?[form]? ?)*(?:[fx]| |[orm])"),
        Part::Run(r"(?i:[form]+)") => Part::Run(r"(?:[form]|[FORM])+"),
        Part::Run(r".*") => Part::Run(r"(?:|.+)"),
        Part::Believed(r"\d+", prints) => Part::Believed(r"\d\d*", prints),
        Part::Optional(parts) => Part::Either(vec![parts.iter().map(rewritten).collect(), Vec::new()]),
        Part::Either(rows) => {
            let rows = rows.iter().rev().map(|parts| parts.iter().map(rewritten).collect());
            Part::Either(rows.collect())
        }
        Part::Repeated(parts, often, most) => {
            Part::Repeated(vec![Part::Either(vec![parts.iter().map(rewritten).collect()])], often, *most)
        }
        other => other.clone(),
    }
}

/// Sixty branches more, none of which a message can take.
fn crowded(parts: &[Part]) -> String {
    let branches: Vec<String> = (0..60).map(|number| format!("never{number}\u{1}")).collect();
    format!("^(?:{}|{})$", branches.join("|"), row(parts))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_accepted_pattern_is_fooled_and_every_refused_one_is((any_case, parts) in pattern(), seed: u64) {
        let set = rules(&written(any_case, &parts));
        let verdict = verdict(&set, PeerMark::Address);
        let Ok(compiled) = Compiled::new(&set) else { return Ok(()) };
        if verdict == Verdict::Proven {
            let alphabets = alphabets();
            for line in lines(&parts, seed, &alphabets) {
                let seen = compiled.find(line.as_bytes(), false).and_then(|found| found.address);
                let peer: IpAddr = TRUE_PEER.parse().unwrap();
                prop_assert!(seen.is_none_or(|seen| seen == peer), "{}: {line}: {seen:?}", set.rules[0].pattern);
            }
        } else if verdict == Verdict::Fooled {
            let (message, is_cut, peer, forged) = counterexample(&set).expect("a refusal has its line");
            let seen = compiled.find(&message, is_cut).and_then(|found| found.address);
            let shown = String::from_utf8_lossy(&message);
            prop_assert_eq!(seen, Some(forged), "{}: {}", &set.rules[0].pattern, &shown);
            prop_assert_ne!(seen, peer, "{}: {}", &set.rules[0].pattern, &shown);
        }
    }

    #[test]
    fn no_line_of_an_accepted_pattern_joins_another_session_and_of_every_refused_one_does(
        (any_case, parts) in pattern_of_session(), seed: u64
    ) {
        let set = rules_of_session(&written(any_case, &parts));
        let verdict = verdict(&set, PeerMark::Session);
        let Ok(compiled) = Compiled::new(&set) else { return Ok(()) };
        if verdict == Verdict::Proven {
            for line in lines(&parts, seed, &alphabets()) {
                let seen = seen_id(&set, &compiled, line.as_bytes());
                prop_assert!(seen.as_deref().is_none_or(|seen| seen == TRUE_ID), "{}: {line}: {seen:?}", set.rules[0].pattern);
            }
        } else if verdict == Verdict::Fooled {
            let (message, found, is_elsewhere) = counterexample_of_session(&set).expect("a refusal has its line");
            let shown = String::from_utf8_lossy(&message);
            let seen = seen_id(&set, &compiled, &message);
            prop_assert_eq!(seen.map(String::into_bytes), Some(found.clone()), "{}: {}", &set.rules[0].pattern, &shown);
            prop_assert!(is_elsewhere, "{}: {}", &set.rules[0].pattern, &shown);
        }
    }

    #[test]
    fn patterns_that_say_the_same_get_the_same_verdict((any_case, parts) in pattern()) {
        let first = verdict(&rules(&written(any_case, &parts)), PeerMark::Address);
        let others: Vec<Part> = parts.iter().map(rewritten).collect();
        let second = verdict(&rules(&written(any_case, &others)), PeerMark::Address);
        prop_assert_eq!(&first, &second, "{} {}", row(&parts), row(&others));
        if !any_case {
            let third = verdict(&rules(&crowded(&parts)), PeerMark::Address);
            prop_assert_eq!(&first, &third, "{}", row(&parts));
        }
    }
}
