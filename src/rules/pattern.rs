//! From the text of a pattern, placeholders included, to a syntax tree of a byte regex.

use std::ops::Range;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};

use super::model::TIME;
use crate::record::known_regex;

/// The group that holds the peer: `<ADDR>`, or `<HOST>` as fail2ban's users know it.
pub(super) const ADDRESS: &str = "ADDR";

/// Names that stand for an address, whatever a rule set defines.
const ADDRESS_NAMES: [&str; 2] = [ADDRESS, "HOST"];

/// What can stand where a program prints its peer: an address with or without a zone, or a host name. Names are
/// matched so that the line is understood, but only what parses strictly as an address is ever used as one.
pub(super) const ADDRESS_TOKEN: &str = "[0-9A-Za-z.:%_-]+";

/// The placeholder for what tells a program's sessions apart.
pub(super) const SESSION: &str = "SESSION";

/// Its alphabet where the rule set defines none: queue ids and numbers of connections.
const SESSION_TOKEN: &str = "[0-9A-Za-z]+";

/// The alphabet of `<USER>` and its like where the rule set defines none: anything.
const ANY_TEXT: &str = ".*";

/// How deep groups may nest: a pattern is written by a person.
pub(super) const NESTING: u32 = 50;

/// A pattern that could not be read: what is wrong, and at which byte of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) text: String,
    pub(super) at: usize,
}

/// A pattern with its placeholders written out, and where each stretch of it came from.
#[derive(Clone, Debug)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// Where placeholders stood: their range in the result, and in the source.
    pub(super) replaced: Vec<(Range<usize>, Range<usize>)>,
}

/// Reads a pattern; groups named like placeholders become captures of that name.
pub(super) fn read(pattern: &str, fields: &[(String, String)]) -> Result<Hir, Unreadable> {
    let expanded = expand(pattern, fields)?;
    parse(&expanded.text).map_err(|(text, at)| Unreadable { text, at: expanded.source_of(at) })
}

/// Reads a pattern whose placeholders are written out.
pub(super) fn read_expanded(text: &str) -> Option<Hir> {
    parse(text).ok()
}

/// Reads the alphabet of a placeholder.
pub(super) fn read_field(alphabet: &str) -> Result<Hir, Unreadable> {
    parse(alphabet).map_err(|(text, at)| Unreadable { text, at })
}

fn parse(regex: &str) -> Result<Hir, (String, usize)> {
    let parser = ParserBuilder::new().unicode(false).utf8(false).nest_limit(NESTING).build().parse(regex);
    parser.map_err(|error| match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span().start.offset),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span().start.offset),
        other => (other.to_string(), 0),
    })
}

pub(super) fn expand(pattern: &str, fields: &[(String, String)]) -> Result<Expanded, Unreadable> {
    let mut expanded = Expanded { text: String::with_capacity(pattern.len() * 2), replaced: Vec::new() };
    let mut rest = 0;
    for (range, name) in placeholders(pattern) {
        let group = group_for(name, fields).ok_or_else(|| unknown(name, range.start))?;
        expanded.text.push_str(pattern.get(rest..range.start).unwrap_or_default());
        let start = expanded.text.len();
        expanded.text.push_str(&group);
        expanded.replaced.push((start..expanded.text.len(), range.clone()));
        rest = range.end;
    }
    expanded.text.push_str(pattern.get(rest..).unwrap_or_default());
    Ok(expanded)
}

/// `<NAME>` in capitals; not the `<NAME>` of a group `(?P<NAME>…)` and not one behind a backslash.
fn placeholders(pattern: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    pattern.match_indices('<').filter_map(|(start, _)| {
        let inside = pattern.get(start + 1..)?;
        let name = inside.get(..inside.find('>')?)?;
        let before = pattern.get(..start)?;
        let group = ["(?P", "(?", "\\"].iter().any(|opening| before.ends_with(opening));
        let placeholder = is_field_name(name) && !group;
        placeholder.then(|| (start..start + name.len() + 2, name))
    })
}

/// Whether a placeholder of this name is the peer's address.
pub fn is_address_name(name: &str) -> bool {
    ADDRESS_NAMES.contains(&name)
}

/// Whether a placeholder of this name is the line's stamp.
pub fn is_time_name(name: &str) -> bool {
    name == TIME
}

/// Whether a placeholder can have this name: capitals, digits and `_`, a capital first.
pub fn is_field_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn group_for(name: &str, fields: &[(String, String)]) -> Option<String> {
    if is_address_name(name) {
        return Some(format!("(?P<{ADDRESS}>{ADDRESS_TOKEN})"));
    }
    let defined = fields.iter().find(|(field, _)| field == name).map(|(_, alphabet)| alphabet.as_str());
    if name == TIME {
        // The logger's own text, and so no group that a peer's text could fill.
        return Some(
            defined.map_or_else(|| format!("(?:{})", known_regex()), |regex| format!("(?:{regex})")),
        );
    }
    let usual = match name {
        "USER" => Some(ANY_TEXT),
        SESSION => Some(SESSION_TOKEN),
        _ => None,
    };
    let alphabet = defined.or(usual)?;
    Some(format!("(?P<{name}>{alphabet})"))
}

fn unknown(name: &str, at: usize) -> Unreadable {
    let text = format!(
        "unknown placeholder <{name}>: define its alphabet under `fields`, or write [<]{name}> for the text itself"
    );
    Unreadable { text, at }
}

impl Expanded {
    /// The byte of the source that a byte of the expansion came from; inside a placeholder, its start.
    pub(super) fn source_of(&self, at: usize) -> usize {
        let before = self.replaced.iter().take_while(|(result, _)| result.start <= at).last();
        match before {
            None => at,
            Some((result, source)) if at < result.end => source.start,
            Some((result, source)) => at - result.end + source.end,
        }
    }
}

/// The same tree without capture groups, but for those that `keep` says.
pub(super) fn without_captures(hir: &Hir, keep: fn(&Capture) -> bool) -> Hir {
    map(hir, &mut |capture| keep(capture))
}

fn map(hir: &Hir, keep: &mut impl FnMut(&Capture) -> bool) -> Hir {
    match hir.kind() {
        HirKind::Capture(capture) if keep(capture) => {
            let sub = Box::new(map(&capture.sub, keep));
            Hir::capture(Capture { index: 1, name: capture.name.clone(), sub })
        }
        HirKind::Capture(capture) => map(&capture.sub, keep),
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(map(&repetition.sub, keep))),
        HirKind::Concat(subs) => Hir::concat(subs.iter().map(|sub| map(sub, keep)).collect()),
        HirKind::Alternation(subs) => Hir::alternation(subs.iter().map(|sub| map(sub, keep)).collect()),
        _ => hir.clone(),
    }
}

/// The tree that matches the same texts read from their end.
pub(super) fn reversed(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Literal(literal) => Hir::literal(literal.0.iter().rev().copied().collect::<Vec<u8>>()),
        HirKind::Look(look) => Hir::look(look.reversed()),
        HirKind::Repetition(repetition) => {
            Hir::repetition(Repetition { sub: Box::new(reversed(&repetition.sub)), ..repetition.clone() })
        }
        HirKind::Capture(capture) => {
            Hir::capture(Capture { sub: Box::new(reversed(&capture.sub)), ..capture.clone() })
        }
        HirKind::Concat(subs) => Hir::concat(subs.iter().rev().map(reversed).collect()),
        HirKind::Alternation(subs) => Hir::alternation(subs.iter().map(reversed).collect()),
        HirKind::Empty | HirKind::Class(_) => hir.clone(),
    }
}

/// What stands before, in and behind `<ADDR>`, where it stands in the pattern's top row.
pub(super) struct Parts<'h> {
    pub(super) before: &'h [Hir],
    pub(super) address: &'h Hir,
    pub(super) behind: &'h [Hir],
}

/// Splits a pattern at `<ADDR>`; `None` when it stands inside a group with `?`, `|` or the like.
pub(super) fn parts(hir: &Hir) -> Option<Parts<'_>> {
    let HirKind::Concat(subs) = hir.kind() else { return None };
    let at = subs.iter().position(is_address)?;
    Some(Parts { before: subs.get(..at)?, address: subs.get(at)?, behind: subs.get(at + 1..)? })
}

pub(super) fn is_address(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Capture(capture) if capture.name.as_deref() == Some(ADDRESS))
}

/// The bytes of a class. Unicode is off, but the syntax library makes `a|b` a class of characters all the same;
/// should one ever not be of single bytes, it is taken for all.
pub(super) fn bytes_of(class: &Class) -> ClassBytes {
    match class {
        Class::Bytes(bytes) => bytes.clone(),
        Class::Unicode(characters) => {
            characters.to_byte_class().unwrap_or_else(|| negated(ClassBytes::empty()))
        }
    }
}

pub(super) fn single(byte: u8) -> ClassBytes {
    ClassBytes::new([ClassBytesRange::new(byte, byte)])
}

pub(super) fn negated(mut class: ClassBytes) -> ClassBytes {
    class.negate();
    class
}

pub(super) fn holds(class: &ClassBytes, byte: u8) -> bool {
    class.iter().any(|range| (range.start()..=range.end()).contains(&byte))
}

/// Whether the pattern must begin at the beginning and end at the end of the message.
pub(super) fn anchored(hir: &Hir) -> (bool, bool) {
    let properties = hir.properties();
    let (start, end) = (properties.look_set_prefix(), properties.look_set_suffix());
    (start.contains(Look::Start), end.contains(Look::End))
}

/// How many times a pattern names `<ADDR>` or `<HOST>`.
pub(super) fn addresses_named(pattern: &str) -> usize {
    placeholders(pattern).filter(|(_, name)| is_address_name(name)).count()
}

/// Where a regex has a group of its own that is named like the address.
pub(super) fn own_address_group(regex: &str) -> Option<usize> {
    let groups = ADDRESS_NAMES.iter().flat_map(|name| [format!("(?P<{name}>"), format!("(?<{name}>")]);
    groups.filter_map(|group| regex.find(&group)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hir(pattern: &str) -> Hir {
        read(pattern, &[]).unwrap()
    }

    #[test]
    fn placeholders_are_groups_and_the_text_of_flags_is_not() {
        let fields = [("PATH".to_owned(), "[^ ]*".to_owned())];
        let found: Vec<_> =
            placeholders("^<PATH> (?P<USER>a) 0x2[<]SYN> <A,B> <ADDR>$").map(|(_, n)| n).collect();
        assert_eq!(found, ["PATH", "ADDR"]);
        assert!(
            expand("^<PATH> from <HOST>$", &fields).unwrap().text.contains("(?P<PATH>[^ ]*) from (?P<ADDR>[")
        );
    }

    #[test]
    fn errors_point_into_what_was_written() {
        let error = read("^<USER> from <ADDR> (port$", &[]).unwrap_err();
        assert_eq!((error.text.as_str(), error.at), ("unclosed group", 20));
        let error = read("^a <NOBODY>$", &[]).unwrap_err();
        assert!(error.text.starts_with("unknown placeholder <NOBODY>") && error.at == 3, "{error:?}");
    }

    #[test]
    fn two_addresses_are_counted() {
        assert_eq!(addresses_named("^<ADDR> to <HOST>$"), 2);
        assert_eq!(addresses_named("^(?P<ADDR>.*)$"), 0);
        assert_eq!(own_address_group("^a (?P<ADDR>.*)$"), Some(3));
        assert_eq!(own_address_group("^(?<HOST>.*) <ADDR>$"), Some(1));
        assert_eq!(own_address_group("^<HOST>$"), None);
        assert_eq!(addresses_named("^no <USER>$"), 0);
    }

    #[test]
    fn anchors_must_hold_in_every_branch() {
        assert_eq!(anchored(&hir("^a <ADDR>$")), (true, true));
        assert_eq!(anchored(&hir("^a <ADDR>")), (true, false));
        assert_eq!(anchored(&hir("(?:^a|b) <ADDR>$")), (false, true));
        assert_eq!(anchored(&hir("(?m)^a <ADDR>$")), (false, false));
    }

    #[test]
    fn a_reversed_tree_matches_reversed_texts() {
        let back = reversed(&hir("^ab(?:c|de)+ <ADDR>x?$"));
        let regex = regex_automata::meta::Builder::new().build_from_hir(&back).unwrap();
        assert!(regex.is_match(b"x7.2.0.291 edcba"));
        assert!(!regex.is_match(b"abcde 192.0.2.7x"));
    }

    #[test]
    fn unicode_is_off_and_bytes_are_bytes() {
        let regex = regex_automata::meta::Builder::new().build_from_hir(&hir("^<USER>$")).unwrap();
        assert!(regex.is_match(b"\xff\xfe"));
        assert!(read(r"^\p{Greek}$", &[]).is_err());
    }
}
