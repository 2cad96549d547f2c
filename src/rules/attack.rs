//! The attack on the rules: whatever a peer writes into a line, the address found must stay the true one.
//!
//! For every rule there is at least one honest message: its samples, and one made from the pattern itself. In each,
//! every stretch that the peer chooses (a placeholder, or an unnamed repetition such as `.*` or `\S+`) is replaced by
//! hostile texts: other addresses, the pattern's own words around them, copies of whole messages, blanks, brackets,
//! long runs that make the logger cut the message so that the true end is lost. The whole rule set is then asked. An
//! answer with another address than the true one refuses the rule that gave it.

use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;

use memchr::memmem;
use regex_automata::meta::Regex;
use regex_automata::{Input, util::captures::Captures};
use regex_syntax::hir::{Capture, Hir, HirKind};

use super::compile::{Compiled, limits};
use super::locate::Scratch;
use super::model::{Fault, Place, RuleSet};
use super::{matcher, pattern, witness};
use crate::{address, record};

/// The true peer of messages made from patterns; RFC 5737 documentation space, as are the lures.
const TRUE_PEER: &str = "192.0.2.7";

/// What the attacker would like to see banned.
const LURES: [&str; 2] = ["203.0.113.66", "2001:db8:bad::66"];

/// A header of 36 bytes, as FreeBSD's syslogd writes it.
const HEADER: (&str, &str) = ("Nov 22 14:38:31 gw ", "[4711]: ");

/// Lengths at which syslogd cuts a packet (`-M`, MAXLINE of FreeBSD 11, 12 and 14), see `facts/syslog.md` §4; the
/// written line lacks the `<38>` of the packet.
const PACKET_LIMITS: [usize; 4] = [480, 1024, 2048, 8192];

/// `<38>`: what the packet has before the text that is written to the file.
const PRIORITY: usize = 4;

/// `::1` would fit into less, but nobody bans it.
const SHORTEST_ADDRESS: u32 = 7;

/// One honest message and the stretches of it that the peer chooses.
struct Target {
    rule: usize,
    header: Vec<u8>,
    message: Vec<u8>,
    /// `None`: the message names a host or nobody, and no address may be found in any of its variants.
    peer: Option<IpAddr>,
    /// Where the address stands, if anywhere.
    token: Option<Range<usize>>,
    fields: Vec<Field>,
}

struct Field {
    span: Range<usize>,
    /// Matches what the field can hold.
    alphabet: Regex,
    /// Which bytes it holds on their own: asking the regex for each byte of each text took most of the time.
    bytes: Rc<[bool; 256]>,
    /// The alphabet is the rule set's claim about the program, as for a placeholder. What a mere `\S+` matches says
    /// nothing of what the program prints: a name with blanks may be there, and another part of the pattern match it.
    is_claim: bool,
}

/// Attacks every rule of the set; one fault for each rule that was fooled, with the line that did it.
pub(super) fn attack(set: &RuleSet, compiled: &Compiled) -> Vec<Fault> {
    let targets: Vec<Target> = (0..set.rules.len()).flat_map(|rule| targets(set, compiled, rule)).collect();
    let copies = copies(&targets);
    let mut fooled: Vec<Option<Fault>> = vec![None; set.rules.len()];
    let mut scratch = Scratch::default();
    for target in &targets {
        for field in &target.fields {
            for line in hostile_lines(set, target, field, &copies) {
                let record = record::parse(&line);
                let Some(found) = matcher::find_as_written(set, compiled, &mut scratch, &line, &record)
                else {
                    continue;
                };
                if found.address.is_some() && found.address != target.peer {
                    fooled[found.rule]
                        .get_or_insert_with(|| verdict(found.rule, found.address, target, &line));
                }
            }
        }
    }
    fooled.into_iter().flatten().collect()
}

fn verdict(rule: usize, found: Option<IpAddr>, target: &Target, line: &[u8]) -> Fault {
    let peer = target.peer.map_or_else(|| "a peer".to_owned(), |peer| format!("a peer at {peer}"));
    let found = found.map(|address| address.to_string()).unwrap_or_default();
    let line: String = String::from_utf8_lossy(line).chars().take(600).collect();
    let text = format!(
        "the pattern can be fooled: {peer} can make this line appear, and the rule finds {found} in it: {line}"
    );
    Fault::error(Place::Rule(rule, "pattern"), text)
}

/// The honest messages of one rule: its samples, and one made from its pattern.
fn targets(set: &RuleSet, compiled: &Compiled, rule: usize) -> Vec<Target> {
    let Ok(hir) = pattern::read(&set.rules[rule].pattern, &set.fields) else { return Vec::new() };
    let Ok(fields) = FieldFinder::new(&hir) else { return Vec::new() };
    let id = &set.rules[rule].id;
    let samples = set.samples.iter().filter(|sample| sample.rule.as_ref() == Some(id));
    let mut messages: Vec<(Vec<u8>, Vec<u8>)> =
        samples.map(|sample| split(set, sample.line.as_bytes())).collect();
    messages.push((header(set), witness::witness(&hir, TRUE_PEER)));
    let target = |(header, message): (Vec<u8>, Vec<u8>)| {
        let found = compiled.find_as_written(&mut Scratch::default(), &message);
        let found = found.filter(|found| found.rule == rule)?;
        let (token, fields) = fields.of(&message)?;
        let named = token.as_ref().and_then(|token| address::parse(message.get(token.clone())?));
        // A sample of a message that was cut names whom the attacker chose: no variant of it has a true peer.
        (named == found.address).then_some(Target {
            rule,
            header,
            message,
            peer: found.address,
            token,
            fields,
        })
    };
    messages.into_iter().filter_map(target).collect()
}

fn header(set: &RuleSet) -> Vec<u8> {
    let Some(program) = set.programs.first() else { return Vec::new() };
    [HEADER.0, program, HEADER.1].concat().into_bytes()
}

/// A line as header and message; the header of a line that has another message layout is made up.
fn split(set: &RuleSet, line: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let message = matcher::message(set, line, &record::parse(line)).to_vec();
    let header = line.strip_suffix(message.as_slice()).map_or_else(|| header(set), <[u8]>::to_vec);
    (header, message)
}

/// A whole message of each rule with each lure for the address, as somebody might paste it into a user name.
fn copies(targets: &[Target]) -> Vec<Vec<u8>> {
    let mut rules: Vec<&Target> = targets.iter().filter(|target| target.token.is_some()).collect();
    rules.dedup_by_key(|target| target.rule);
    rules.iter().flat_map(|target| LURES.map(|lure| target.with_peer(lure))).collect()
}

impl Target {
    /// The message as if it came from `peer`.
    fn with_peer(&self, peer: &str) -> Vec<u8> {
        let Some(token) = &self.token else { return self.message.clone() };
        [&self.message[..token.start], peer.as_bytes(), &self.message[token.end..]].concat()
    }

    /// The pattern's own words between the field and the address, and those behind the later of both.
    fn words(&self, field: &Field) -> (&[u8], &[u8]) {
        match &self.token {
            Some(token) if field.span.end <= token.start => {
                (&self.message[field.span.end..token.start], &self.message[token.end..])
            }
            Some(token) => (&self.message[..token.start], &self.message[token.end..]),
            None => (&[], &self.message[field.span.end..]),
        }
    }
}

fn hostile_lines<'a>(
    set: &'a RuleSet,
    target: &'a Target,
    field: &'a Field,
    copies: &'a [Vec<u8>],
) -> impl Iterator<Item = Vec<u8>> + 'a {
    let baits = baits(target, field);
    let cuts = cuts(set, target, field);
    let impostors = copies.iter().flat_map(|copy| impostors(target, field, copy));
    let copies = copies.iter().flat_map(|copy| [copy.clone(), [b"x ", copy.as_slice()].concat()]);
    let whole = baits.into_iter().flat_map(variants).chain(copies).chain(impostors);
    let fitted = whole.flat_map(|text| field.fit(&text)).map(|text| target.line_with(field, &text));
    fitted.chain(cuts)
}

/// What makes this message begin as another rule's does: that message from where it differs, cut anywhere behind its
/// address, since this message's own end follows.
fn impostors<'a>(target: &Target, field: &Field, copy: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + use<'a> {
    let rest = copy.strip_prefix(&target.message[..field.span.start]).unwrap_or_default();
    let named = LURES.iter().find_map(|lure| Some(memmem::find(rest, lure.as_bytes())? + lure.len()));
    named.into_iter().flat_map(move |end| (end..=rest.len()).map(move |end| rest[..end].to_vec()))
}

/// Hostile texts that imitate the end of this very message, and some that every attacker tries.
fn baits(target: &Target, field: &Field) -> Vec<Vec<u8>> {
    let mut baits: Vec<Vec<u8>> =
        [&b""[..], b" ", b"   ", b"\\", b"\\377\\377", b"[preauth]", b"%s%n", b"''\"`$(id)"]
            .iter()
            .map(|text| text.to_vec())
            .collect();
    baits.extend(imitations(target, field));
    for lure in LURES.map(str::as_bytes) {
        for (before, behind) in [("[", "]"), ("(", ")"), ("<", ">"), ("\"", "\""), ("ip=", ","), (" ", ":22")]
        {
            baits.push([before.as_bytes(), lure, behind.as_bytes()].concat());
        }
    }
    baits
}

/// Addresses with the pattern's own words around them: what the end of a message looks like.
fn imitations(target: &Target, field: &Field) -> Vec<Vec<u8>> {
    let (between, tail) = target.words(field);
    let around = [(between, tail), (between, &b""[..]), (b"", tail), (b"", b""), (b" from ", b" port 22")];
    let imitate = |lure: &str| around.map(|(before, behind)| [before, lure.as_bytes(), behind].concat());
    LURES.iter().flat_map(|lure| imitate(lure)).collect()
}

/// The text alone, with something before it, behind it, twice, and at the end of a name of 255 bytes.
fn variants(text: Vec<u8>) -> [Vec<u8>; 6] {
    let with = |before: &[u8], behind: &[u8]| [before, &text, behind].concat();
    let long = vec![b'a'; 255_usize.saturating_sub(text.len())];
    [with(b"x", b""), with(b"", b"x"), with(b"x ", b" x"), with(&text, b""), with(&long, b""), text]
}

/// Lines whose true end is lost because the field made the message too long.
fn cuts(set: &RuleSet, target: &Target, field: &Field) -> Vec<Vec<u8>> {
    let head = target.header.len() + field.span.start;
    let whole = target.header.len() + target.message.len() - field.span.len();
    let body_limit = target.header.len() + set.message_limit.unwrap_or(super::DEFAULT_MESSAGE_LIMIT);
    let packets = PACKET_LIMITS.map(|limit| limit - PRIORITY);
    let (mut lines, imitations) = (Vec::new(), imitations(target, field));
    for limit in packets.into_iter().chain([body_limit]) {
        for bait in &imitations {
            let Some(room) = limit.checked_sub(head + bait.len()) else { continue };
            for pad in ["a", "\\377"] {
                let mut text: Vec<u8> = pad.bytes().cycle().take(room).collect();
                text.extend_from_slice(bait);
                let fits = (!field.is_claim || field.holds(&text)) && whole + text.len() > limit;
                lines.extend(fits.then(|| target.line_with(field, &text)[..limit].to_vec()));
            }
        }
    }
    lines
}

impl Target {
    fn line_with(&self, field: &Field, text: &[u8]) -> Vec<u8> {
        let (before, behind) = (&self.message[..field.span.start], &self.message[field.span.end..]);
        [&self.header, before, text, behind].concat()
    }
}

impl Field {
    /// The text as this field can hold it: whole, or cut where the alphabet ends, or without the bytes it lacks.
    fn fit(&self, text: &[u8]) -> Vec<Vec<u8>> {
        if self.holds(text) {
            return vec![text.to_vec()];
        }
        let whole = Some(text.to_vec()).filter(|_| !self.is_claim);
        let strange = text.iter().position(|&byte| !self.bytes[usize::from(byte)]).unwrap_or(text.len());
        let prefix = Some(&text[..strange]).filter(|prefix| self.holds(prefix));
        let filtered: Vec<u8> = text.iter().copied().filter(|&byte| self.bytes[usize::from(byte)]).collect();
        let filtered = Some(filtered).filter(|filtered| self.holds(filtered));
        prefix.map(<[u8]>::to_vec).into_iter().chain(filtered).chain(whole).collect()
    }

    fn holds(&self, text: &[u8]) -> bool {
        self.alphabet.is_match(text)
    }
}

/// Finds the stretches of a message that the peer chooses.
struct FieldFinder {
    regex: Regex,
    /// One for each group: the alphabet and whether it is a claim, or `None` for the address.
    groups: Vec<Option<Group>>,
}

/// What is known of a field before it is found in a message.
struct Group {
    alphabet: Regex,
    bytes: Rc<[bool; 256]>,
    is_claim: bool,
}

impl Group {
    fn new(alphabet: Regex, is_claim: bool) -> Self {
        let mut bytes = [false; 256];
        (0..=u8::MAX).for_each(|byte| bytes[usize::from(byte)] = alphabet.is_match([byte].as_slice()));
        Self { alphabet, bytes: Rc::new(bytes), is_claim }
    }
}

impl FieldFinder {
    fn new(hir: &Hir) -> Result<Self, String> {
        let mut trees = Vec::new();
        let marked = mark(hir, &mut trees);
        let build =
            |hir: &Hir| Regex::builder().configure(limits()).build_from_hir(hir).map_err(|e| e.to_string());
        let anchored = |tree: &Hir| {
            let [start, end] = [regex_syntax::hir::Look::Start, regex_syntax::hir::Look::End].map(Hir::look);
            build(&Hir::concat(vec![start, tree.clone(), end]))
        };
        let group = |tree: &Option<(Hir, bool)>| {
            tree.as_ref().map(|(tree, is_claim)| Ok(Group::new(anchored(tree)?, *is_claim))).transpose()
        };
        let groups = trees.iter().map(group).collect::<Result<_, String>>()?;
        Ok(Self { regex: build(&marked)?, groups })
    }

    fn of(&self, message: &[u8]) -> Option<(Option<Range<usize>>, Vec<Field>)> {
        let mut captures: Captures = self.regex.create_captures();
        self.regex.search_captures(&Input::new(message), &mut captures);
        captures.is_match().then_some(())?;
        let (mut token, mut fields) = (None, Vec::new());
        for (index, group) in self.groups.iter().enumerate() {
            let Some(span) = captures.get_group(index + 1) else { continue };
            match group {
                None => token = Some(span.start..span.end),
                Some(Group { alphabet, bytes, is_claim }) => {
                    let (alphabet, bytes) = (alphabet.clone(), Rc::clone(bytes));
                    fields.push(Field { span: span.start..span.end, alphabet, bytes, is_claim: *is_claim });
                }
            }
        }
        Some((token, fields))
    }
}

/// The tree with a group around the address and around each stretch that a peer may choose, numbered from 1; other
/// groups are dropped. `trees` gets the alphabet of each and whether it is a claim, `None` for the address.
fn mark(hir: &Hir, trees: &mut Vec<Option<(Hir, bool)>>) -> Hir {
    let mut group = |sub: Hir, alphabet: Option<(Hir, bool)>| {
        trees.push(alphabet);
        let index = u32::try_from(trees.len()).unwrap_or(u32::MAX);
        Hir::capture(Capture { index, name: None, sub: Box::new(sub) })
    };
    match hir.kind() {
        HirKind::Capture(capture) if pattern::is_address(hir) => group((*capture.sub).clone(), None),
        HirKind::Capture(capture) if capture.name.as_deref().is_some_and(pattern::is_field_name) => {
            let bare = pattern::without_captures(&capture.sub, |_| false);
            group(bare.clone(), Some((bare, true)))
        }
        HirKind::Capture(capture) => mark(&capture.sub, trees),
        HirKind::Repetition(_) if is_free_text(hir) => group(hir.clone(), Some((hir.clone(), false))),
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(mark(&repetition.sub, trees))),
        HirKind::Concat(subs) => Hir::concat(subs.iter().map(|sub| mark(sub, trees)).collect()),
        HirKind::Alternation(subs) => Hir::alternation(subs.iter().map(|sub| mark(sub, trees)).collect()),
        _ => hir.clone(),
    }
}

/// `.*`, `\S+`, `[^:]{0,100}`: a run of bytes that holds digits and dots, and so an address.
fn is_free_text(hir: &Hir) -> bool {
    let HirKind::Repetition(repetition) = hir.kind() else { return false };
    let HirKind::Class(class) = repetition.sub.kind() else { return false };
    let (bytes, long) = (pattern::bytes_of(class), repetition.max.is_none_or(|max| max >= SHORTEST_ADDRESS));
    long && pattern::holds(&bytes, b'1') && [b'.', b':'].iter().any(|&byte| pattern::holds(&bytes, byte))
}

#[cfg(test)]
mod tests;
