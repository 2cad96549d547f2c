//! The fast way to a rule and its address says the same as the plain one.
//!
//! Somebody's prefilter once killed rules without a word. So here is the honest, slow reading to compare with: the
//! patterns written out by hand for the `regex` crate and tried in their order; and for the address *every* way in
//! which the pattern can be read is looked at, one stretch of the message after the other. A proven rule has one address
//! at the most in any message, and that one must be found.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use portcullis::config::{RuleFile, SHIPPED};
use portcullis::pipeline::LineSplitter;
use portcullis::record::Layouts;
use portcullis::rules::{Binding, Compiled, Matcher, Rule, RuleSet, Severity, check};
use portcullis::{address, record};
use proptest::prelude::*;
use regex::bytes::{Regex, RegexBuilder};

use crate::lines::{Dice, mutated};

/// What an address or host name can consist of, as the rule files' documentation says.
const TOKEN: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.:%_-";

/// Stands for the address in the message when a reading is tried; no test line holds it.
const MARK: u8 = 0x01;

struct Reference {
    rules: Vec<Plain>,
}

/// One pattern, plainly.
struct Plain {
    rule: usize,
    whole: Regex,
    /// The same with the mark for `<ADDR>`.
    marked: Option<Regex>,
}

/// What a message says, read slowly.
#[derive(Debug)]
struct Answer {
    rule: usize,
    /// All that can be read.
    addresses: BTreeSet<IpAddr>,
    /// Whether it can also be read without an address.
    may_be_without: bool,
}

impl Answer {
    /// Whether the rule and the address are what may be found.
    fn allows(&self, rule: usize, address: Option<IpAddr>) -> bool {
        let is_known = match address {
            Some(address) => self.addresses.contains(&address),
            None => self.addresses.is_empty() || self.may_be_without,
        };
        rule == self.rule && is_known
    }
}

impl Reference {
    fn new(set: &RuleSet) -> Self {
        let enabled = set.rules.iter().enumerate().filter(|(_, rule)| rule.enabled);
        Self { rules: enabled.map(|(index, rule)| Plain::new(index, rule, &set.fields)).collect() }
    }

    /// What a message says; where it says nothing, without the blanks at its end, unless these may have filled it up.
    fn answer_padded(&self, message: &[u8], is_cut: impl Fn(usize) -> bool) -> Option<Answer> {
        let end = message.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
        let bare = || self.answer(&message[..end]).filter(|answer| !is_cut(answer.rule));
        self.answer(message).or_else(bare)
    }

    fn answer(&self, message: &[u8]) -> Option<Answer> {
        let plain = self.rules.iter().find(|plain| plain.whole.is_match(message))?;
        let readings = plain.readings(message);
        let addresses =
            readings.into_iter().filter_map(|(start, end)| address::parse(&message[start..end])).collect();
        Some(Answer { rule: plain.rule, addresses, may_be_without: plain.may_be_without(message) })
    }
}

impl Plain {
    fn new(rule: usize, written: &Rule, fields: &[(String, String)]) -> Self {
        let mut pattern = written.pattern.clone();
        for (name, alphabet) in fields {
            pattern = pattern.replace(&format!("<{name}>"), &format!("(?:{alphabet})"));
        }
        let pattern = pattern.replace("<USER>", "(?:.*)").replace("<HOST>", "<ADDR>");
        let with = |pattern: &str, address: &str| {
            let regex = pattern.replace("<ADDR>", address);
            RegexBuilder::new(&regex).unicode(false).size_limit(1 << 24).build().unwrap()
        };
        let marked = pattern.contains("<ADDR>").then(|| with(&without_mark(&pattern), "(?P<ADDR>\\x01)"));
        Self { rule, whole: with(&pattern, "[0-9A-Za-z.:%_-]+"), marked }
    }

    /// Every stretch of the message that the pattern can take for its address.
    fn readings(&self, message: &[u8]) -> BTreeSet<(usize, usize)> {
        let Some(marked) = &self.marked else { return BTreeSet::new() };
        let tokens = (0..message.len()).flat_map(|start| {
            let length = message[start..].iter().take_while(|byte| TOKEN.contains(byte)).count();
            (start + 1..=start + length).map(move |end| (start, end))
        });
        let fits = |&(start, end): &(usize, usize)| {
            let text = [&message[..start], &[MARK], &message[end..]].concat();
            marked.captures(&text).is_some_and(|captures| captures.name("ADDR").is_some())
        };
        tokens.filter(fits).collect()
    }
}

impl Plain {
    fn may_be_without(&self, message: &[u8]) -> bool {
        self.marked.as_ref().is_some_and(|marked| marked.is_match(message))
    }
}

/// The same pattern, in which nothing but `<ADDR>` can take the mark: not `.`, `\S` nor `[^…]`.
fn without_mark(pattern: &str) -> String {
    let mut result = String::new();
    let mut in_class = false;
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.next_if_eq(&'S').is_some() => result.push_str("[^\\s\\x01]"),
            '\\' => result.extend(['\\', characters.next().unwrap()]),
            '.' if !in_class => result.push_str("[^\\n\\x01]"),
            '[' if !in_class => {
                in_class = true;
                result.push_str(if characters.next_if_eq(&'^').is_some() { "[^\\x01" } else { "[" });
            }
            _ => {
                in_class &= character != ']';
                result.push(character);
            }
        }
    }
    result
}

fn shipped(path: &str) -> RuleSet {
    let shipped = SHIPPED.iter().find(|shipped| shipped.path == path).unwrap();
    RuleFile::read(Path::new(path), shipped.text.as_bytes()).0.unwrap().set
}

/// A shipped set, read in both ways.
struct Pair {
    set: RuleSet,
    matcher: Matcher,
    binding: Binding,
    reference: Reference,
}

impl Pair {
    fn new(path: &str) -> Self {
        let set = shipped(path);
        let matcher = Matcher::new(vec![(set.clone(), Compiled::new(&set).unwrap())]);
        let binding = Binding::new([&set], None, Layouts::Syslog);
        Self { reference: Reference::new(&set), matcher, binding, set }
    }

    /// Asks both ways; true if a rule matched.
    fn agree(&mut self, line: &[u8]) -> bool {
        if line.contains(&MARK) {
            return false;
        }
        let record = record::parse(line);
        let found = self.matcher.matches(&self.binding, line, &record).last();
        let found = found.map(|matched| (matched.rule_index, matched.address));
        let taken = record.program.map_or_else(
            || record.any_program(),
            |program| self.set.programs.iter().any(|known| known.as_bytes() == program),
        );
        let of_set = self.set.message_limit.unwrap_or(500);
        let limit = |rule: usize| self.set.rules[rule].message_limit.unwrap_or(of_set).min(of_set);
        let is_cut = |rule: usize| record::may_be_cut(line, &record) || record.message.len() >= limit(rule);
        let expected = taken.then(|| self.reference.answer_padded(record.message, is_cut)).flatten();
        let shown = String::from_utf8_lossy(line);
        match (found, &expected) {
            (Some((rule, address)), Some(expected)) => {
                // Where the end may be missing caution is asked for, and tested elsewhere.
                let is_careful = is_cut(rule) && address.is_none() && rule == expected.rule;
                assert!(is_careful || expected.allows(rule, address), "{shown}: {address:?} {expected:?}");
                assert!(expected.addresses.len() <= 1, "{shown}: {expected:?}");
            }
            (found, expected) => {
                assert!(found.is_none() && expected.is_none(), "{shown}: {found:?} {expected:?}");
            }
        }
        // What saves reading the header may pass over nothing that counts.
        let counts = taken || record::repeat(&record).is_some();
        assert!(!(counts && is_foreign(&self.binding, line)), "{}", String::from_utf8_lossy(line));
        found.is_some()
    }
}

fn is_foreign(binding: &Binding, line: &[u8]) -> bool {
    let text = [line, b"\n"].concat();
    LineSplitter::new(&text, binding.names()).next().is_none()
}

/// Samples of all shipped sets and the lines of all logs in `tests/data`.
fn corpus() -> Vec<Vec<u8>> {
    let samples = SHIPPED.iter().flat_map(|file| shipped(file.path).samples);
    let mut lines: Vec<Vec<u8>> = samples.map(|sample| sample.line.into_bytes()).collect();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let text = std::fs::read(&path).unwrap();
            lines.extend(text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        }
    }
    lines
}

#[test]
fn all_corpora_and_their_mutations_are_answered_alike() {
    let mut pairs = [Pair::new("rules/sshd.yaml"), Pair::new("rules/freebsd-tcp.yaml")];
    let lines = corpus();
    let mut dice = Dice(1);
    let mut matched = 0;
    assert!(lines.len() > 300, "{} lines", lines.len());
    for line in &lines {
        let other = dice.pick(&lines);
        let versions = [line.clone(), mutated(line, other, &mut dice), mutated(line, other, &mut dice)];
        for version in &versions {
            matched += pairs.iter_mut().filter_map(|pair| pair.agree(version).then_some(())).count();
        }
    }
    assert!(matched > 300, "only {matched} lines matched, which proves little");
}

#[test]
fn lines_of_other_programs_are_foreign_and_layouts_without_a_program_never_are() {
    let binding = Pair::new("rules/sshd.yaml").binding;
    let cron = "Nov 22 14:38:31 gw /usr/sbin/cron[7]: (root) CMD (/usr/libexec/atrun)";
    assert!(is_foreign(&binding, cron.as_bytes()));
    for line in [
        "Nov 22 14:38:31 gw syslogd: last message repeated 2 times",
        "2026-11-22T14:38:31.12345 Failed password for root from 192.0.2.7 port 1 ssh2",
        "@400000005564e6a000000000 Failed password for root from 192.0.2.7 port 1 ssh2",
        "                - Last output repeated twice -",
        "",
        // What stands before a line may hide its first letter.
        "\0Nov 22 14:38:31 gw cron[7]: x",
        "\u{feff}Nov 22 14:38:31 gw cron[7]: x",
    ] {
        assert!(!is_foreign(&binding, line.as_bytes()), "{line}");
    }
}

/// A pattern as a tree, from which its text and messages that it matches can be made.
#[derive(Clone, Debug)]
enum Piece {
    Text(&'static str),
    /// A class with a repetition, and texts that it matches.
    Run(&'static str, &'static [&'static str]),
    Address,
    Row(Vec<Self>),
    Maybe(Box<Self>),
    Either(Vec<Self>),
}

const ADDRESSES: [&str; 6] =
    ["192.0.2.7", "2001:db8::7", "::ffff:203.0.113.9", "fe80::1%em0", "a.example.org", "8.8.8.8"];

impl Piece {
    fn write(&self, pattern: &mut String) {
        match self {
            Self::Text(text) => pattern.push_str(&regex::escape(text)),
            Self::Run(class, _) => pattern.push_str(class),
            Self::Address => pattern.push_str("<ADDR>"),
            Self::Row(pieces) => pieces.iter().for_each(|piece| piece.write(pattern)),
            Self::Maybe(piece) => {
                pattern.push_str("(?:");
                piece.write(pattern);
                pattern.push_str(")?");
            }
            Self::Either(pieces) => {
                pattern.push_str("(?:");
                for (index, piece) in pieces.iter().enumerate() {
                    pattern.push_str(if index > 0 { "|" } else { "" });
                    piece.write(pattern);
                }
                pattern.push(')');
            }
        }
    }

    fn say(&self, dice: &mut Dice, message: &mut String) {
        match self {
            Self::Text(text) => message.push_str(text),
            Self::Run(_, examples) => message.push_str(dice.pick::<&str>(examples)),
            Self::Address => message.push_str(dice.pick::<&str>(&ADDRESSES)),
            Self::Row(pieces) => pieces.iter().for_each(|piece| piece.say(dice, message)),
            Self::Maybe(piece) if dice.below(2) == 0 => piece.say(dice, message),
            Self::Maybe(_) => {}
            Self::Either(pieces) => dice.pick(pieces).say(dice, message),
        }
    }
}

fn piece() -> impl Strategy<Value = Piece> {
    let text =
        prop::sample::select(vec![" ", " from ", " port ", ": ", "a", "by", "[", "]", "7", "user ", "x.y"]);
    let run = prop::sample::select(vec![
        ("\\d{1,5}", &["22", "1", "65535"][..]),
        ("[a-z]+", &["a", "from", "port"]),
        ("\\S+", &["x", "a[b]", "8.8.8.8"]),
        ("<USER>", &["", "root", "x from 8.8.8.8", " port 1"]),
        ("<TEXT>", &["", "a b", "x from 203.0.113.66 port 22: y", "from"]),
        ("<WORD>", &["w", "192.0.2.66"]),
        (".*", &["", " from 8.8.8.8", "]: x"]),
        ("[^ ]{0,3}", &["", "ab", "7.7"]),
    ]);
    let leaf = prop_oneof![
        5 => text.prop_map(Piece::Text),
        4 => run.prop_map(|(class, examples)| Piece::Run(class, examples)),
    ];
    leaf.prop_recursive(2, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3)
                .prop_map(|pieces| Piece::Maybe(Box::new(Piece::Row(pieces)))),
            prop::collection::vec(inner, 2..4).prop_map(Piece::Either),
        ]
    })
}

/// A pattern with an address somewhere in its top row, sometimes inside a group, sometimes with none.
fn pattern() -> impl Strategy<Value = Piece> {
    let side = || prop::collection::vec(piece(), 0..5);
    (side(), side(), 0..10).prop_map(|(before, behind, form)| {
        let address = match form {
            0 => Piece::Text("-"),
            1 => Piece::Maybe(Box::new(Piece::Row(vec![Piece::Text(" by "), Piece::Address]))),
            _ => Piece::Address,
        };
        Piece::Row([before, vec![address], behind].concat())
    })
}

fn rule(index: usize, piece: &Piece) -> Rule {
    let mut pattern = String::from("^");
    piece.write(&mut pattern);
    pattern.push('$');
    let template = shipped("rules/sshd.yaml").rules.remove(0);
    let effect = if pattern.contains("<ADDR>") { template.effect } else { portcullis::rules::Effect::Ignore };
    Rule { id: format!("r{index}"), pattern, effect, ..template }
}

fn set(pieces: &[Piece]) -> RuleSet {
    let fields = [("USER", "[^:]*"), ("TEXT", ".*"), ("WORD", "[^ ]+")];
    RuleSet {
        fields: fields.map(|(name, alphabet)| (name.to_owned(), alphabet.to_owned())).to_vec(),
        rules: pieces.iter().enumerate().map(|(index, piece)| rule(index, piece)).collect(),
        samples: Vec::new(),
        ..shipped("rules/sshd.yaml")
    }
}

/// A message that random patterns may match, and one that is nearly so.
fn messages(pieces: &[Piece], dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut said = [String::new(), String::new()];
    said.iter_mut().for_each(|message| dice.pick(pieces).say(dice, message));
    let [first, second] = said;
    let changed = mutated(first.as_bytes(), second.as_bytes(), dice);
    let is_usable = |message: &Vec<u8>| !message.contains(&MARK) && message.len() < 500;
    [first.into_bytes(), changed].into_iter().filter(is_usable).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_patterns_answer_alike_on_random_lines(pieces in prop::collection::vec(pattern(), 1..4), seed in any::<u64>()) {
        let set = set(&pieces);
        // A field that is named twice in a pattern is refused.
        let Ok(compiled) = Compiled::new(&set) else { return Ok(()) };
        let reference = Reference::new(&set);
        let mut dice = Dice(seed);
        for message in (0..8).flat_map(|_| messages(&pieces, &mut dice)) {
            let found = compiled.find(&message, false);
            let expected = reference.answer_padded(&message, |_| false);
            let patterns: Vec<&str> = set.rules.iter().map(|rule| rule.pattern.as_str()).collect();
            let shown = String::from_utf8_lossy(&message);
            prop_assert_eq!(found.is_some(), expected.is_some(), "{:?} on `{}`", patterns, shown);
            let (Some(found), Some(expected)) = (found, expected) else { continue };
            let allowed = expected.allows(found.rule, found.address);
            prop_assert!(allowed, "{:?} on `{}`: {:?}, not {:?}", patterns, shown, found, expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_proven_pattern_has_one_reading(pieces in prop::collection::vec(pattern(), 1..4), seed in any::<u64>()) {
        let set = set(&pieces);
        if check(&set, &[]).iter().any(|fault| fault.severity == Severity::Error) {
            return Ok(());
        }
        let reference = Reference::new(&set);
        let mut dice = Dice(seed);
        for message in (0..8).flat_map(|_| messages(&pieces, &mut dice)) {
            let Some(answer) = reference.answer_padded(&message, |_| false) else { continue };
            let shown = String::from_utf8_lossy(&message);
            prop_assert!(answer.addresses.len() <= 1, "{:?} on `{}`: {:?}", set.rules, shown, answer);
        }
    }
}
