//! Parses a pattern with its placeholders into the syntax tree of a byte regex.

mod flags;
mod mapped;
pub(super) mod own_groups;
mod tree;

use std::ops::Range;

use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{self, Ast};
use regex_syntax::hir::Hir;
use regex_syntax::hir::translate::TranslatorBuilder;

use self::flags::KnownFlags;
use self::mapped::without_mapped_prefix;
use super::model::TIME;

use crate::record::known_regex;

pub(super) use self::tree::{
    Parts, addresses_named, anchored, bytes_of, holds, is_address, is_address_group, is_endpoint_group,
    is_placeholder, is_session, is_session_group, is_user_group, map_subs, negated, parts, placeholder_of,
    reversed, single, without_captures, without_looks,
};

/// The group for the peer: `<ADDR>`, or `<HOST>` as fail2ban's users know it.
const ADDRESS: &str = "ADDR";

/// The group for the peer with or without its port: `<ADDR_PORT>`.
const ENDPOINT: &str = "ADDR_PORT";

/// Placeholders for an address, whatever a rule set defines.
const ADDRESS_NAMES: [&str; 3] = [ADDRESS, "HOST", ENDPOINT];

/// What a program may print for its peer: an address with or without a zone, or a host name. Names are matched so that
/// the line is recognised, but only a token that parses strictly as an address is used as one.
const ADDRESS_TOKEN: &str = "[0-9A-Za-z.:%_-]+";

/// The peer with brackets, as in `[2001:db8::7]:22`.
const ENDPOINT_TOKEN: &str = r"[0-9A-Za-z.:%_\[\]-]+";

/// Separates the name of a placeholder from its number: a pattern may name it several times, and group names are unique.
const NUMBER: char = '.';

/// Begins a group in which the flags of the surrounding pattern are off: an alphabet means what is written under
/// `fields`.
const PLAIN: &str = "?-isUx";

/// The placeholder for the id of a session.
pub(super) const SESSION: &str = "SESSION";

/// Its alphabet unless the rule set defines one: queue ids and connection numbers.
pub(super) const SESSION_TOKEN: &str = "[0-9A-Za-z]+";

/// The alphabet of `<USER>` and the like unless the rule set defines one: any text.
pub(super) const ANY_TEXT: &str = ".*";

/// How deep groups may nest.
pub(super) const NESTING: u32 = 50;

/// A pattern that could not be parsed: what is wrong, and at which byte of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) text: String,
    pub(super) at: usize,
}

/// A pattern with its placeholders expanded, and the source positions of its parts.
#[derive(Clone, Debug)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// For each placeholder, its range in the result and in the source.
    pub(super) replaced: Vec<(Range<usize>, Range<usize>)>,
}

/// Parses a pattern; placeholders become captures with their names.
pub(super) fn read(pattern: &str, fields: &[(String, String)]) -> Result<Hir, Unreadable> {
    let expanded = expand(pattern, fields)?;
    let hir = read_with_own_groups(&expanded);
    hir.map_err(|(text, at)| Unreadable { text, at: expanded.source_of(at) })
}

fn read_with_own_groups(expanded: &Expanded) -> Result<Hir, (String, usize)> {
    let ast = parse_tree(&expanded.text)?;
    own_groups::check(&ast, expanded)?;
    Ok(without_mapped_prefix(&translate(&expanded.text, &ast)?))
}

/// Parses a pattern whose placeholders are expanded.
pub(super) fn read_expanded(text: &str) -> Option<Hir> {
    parse(text).ok().map(|hir| without_mapped_prefix(&hir))
}

/// Parses the alphabet of a placeholder.
pub(super) fn read_field(alphabet: &str) -> Result<Hir, Unreadable> {
    parse(alphabet).map_err(|(text, at)| Unreadable { text, at })
}

fn parse(regex: &str) -> Result<Hir, (String, usize)> {
    translate(regex, &parse_tree(regex)?)
}

fn translate(regex: &str, ast: &Ast) -> Result<Hir, (String, usize)> {
    let mut translator = TranslatorBuilder::new().unicode(false).utf8(false).build();
    let hir = translator.translate(regex, ast);
    hir.map_err(|error| (error.kind().to_string(), error.span().start.offset))
}

/// The syntax tree of a regex whose flags are all known here.
pub(super) fn parse_tree(regex: &str) -> Result<Ast, (String, usize)> {
    let ast = ParserBuilder::new().nest_limit(NESTING).build().parse(regex);
    let ast = ast.map_err(|error| (error.kind().to_string(), error.span().start.offset))?;
    ast::visit(&ast, KnownFlags)?;
    Ok(ast)
}

pub(super) fn expand(pattern: &str, fields: &[(String, String)]) -> Result<Expanded, Unreadable> {
    let mut expanded = Expanded { text: String::with_capacity(pattern.len() * 2), replaced: Vec::new() };
    let mut rest = 0;
    let mut named: Vec<&str> = Vec::new();
    for (range, name) in placeholders(pattern) {
        let times = named.iter().filter(|&&known| group_name(known) == group_name(name)).count();
        let group = group_for(name, times, fields).ok_or_else(|| unknown(name, range.start))?;
        named.push(name);
        expanded.text.push_str(pattern.get(rest..range.start).unwrap_or_default());
        let start = expanded.text.len();
        expanded.text.push_str(&group);
        expanded.replaced.push((start..expanded.text.len(), range.clone()));
        rest = range.end;
    }
    expanded.text.push_str(pattern.get(rest..).unwrap_or_default());
    Ok(expanded)
}

/// Finds `<NAME>` in capitals, except in a group `(?P<NAME>…)` and behind a backslash.
fn placeholders(pattern: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    pattern.match_indices('<').filter_map(|(start, _)| {
        let inside = pattern.get(start + 1..)?;
        let name = inside.get(..inside.find('>')?)?;
        let before = pattern.get(..start)?;
        let mut openings = ["(?P", "(?"].iter().filter_map(|opening| before.strip_suffix(opening));
        let is_group = openings.any(|before| !is_escaped(before));
        let placeholder = is_field_name(name) && !is_group && !is_escaped(before);
        placeholder.then(|| (start..start + name.len() + 2, name))
    })
}

/// Whether the text ends in a backslash that escapes what follows.
fn is_escaped(before: &str) -> bool {
    before.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

/// The placeholders of a pattern whose alphabets a rule set defines, in their order.
pub(super) fn claimed(pattern: &str) -> impl Iterator<Item = &str> {
    let names = placeholders(pattern).map(|(_, name)| name);
    names.filter(|name| !is_address_name(name) && !is_time_name(name))
}

/// Whether this placeholder is the peer's address.
pub fn is_address_name(name: &str) -> bool {
    ADDRESS_NAMES.contains(&name)
}

/// Whether this placeholder is the line's timestamp.
pub fn is_time_name(name: &str) -> bool {
    name == TIME
}

/// Whether a placeholder can have this name: capitals, digits and `_`, beginning with a capital.
pub fn is_field_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// The name of the group that a placeholder becomes.
fn group_name(placeholder: &str) -> &str {
    if placeholder == "HOST" { ADDRESS } else { placeholder }
}

/// The group of a placeholder that occurred this many times before.
fn group_for(name: &str, times: usize, fields: &[(String, String)]) -> Option<String> {
    let defined = fields.iter().find(|(field, _)| field == name).map(|(_, alphabet)| alphabet.as_str());
    if name == TIME {
        // Written by the logger, so that no text of a peer can fill it.
        let regex = defined.map_or_else(known_regex, str::to_owned);
        return Some(format!("({PLAIN}:{regex})"));
    }
    let alphabet = match name {
        ADDRESS | "HOST" => ADDRESS_TOKEN,
        ENDPOINT => ENDPOINT_TOKEN,
        "USER" => defined.unwrap_or(ANY_TEXT),
        SESSION => defined.unwrap_or(SESSION_TOKEN),
        _ => defined?,
    };
    let name = group_name(name);
    Some(format!("(?P<{name}{NUMBER}{times}>({PLAIN}:{alphabet}))"))
}

fn unknown(name: &str, at: usize) -> Unreadable {
    let text = format!(
        "unknown placeholder <{name}>: define its alphabet under `fields`, or write [<]{name}> for the text itself"
    );
    Unreadable { text, at }
}

impl Expanded {
    /// The source offset of a byte of the expansion; inside a placeholder, the placeholder's start.
    pub(super) fn source_of(&self, at: usize) -> usize {
        let before = self.replaced.iter().take_while(|(result, _)| result.start <= at).last();
        match before {
            None => at,
            Some((result, source)) if at < result.end => source.start,
            Some((result, source)) => at - result.end + source.end,
        }
    }
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
            placeholders(r"^<PATH> (?P<USER>a) 0x2[<]SYN> \<NO> \\<NAME> \(?<ID>\)? <A,B> <ADDR>$")
                .map(|(_, n)| n)
                .collect();
        assert_eq!(found, ["PATH", "NAME", "ID", "ADDR"]);
        assert!(
            expand("^<PATH> from <HOST>$", &fields)
                .unwrap()
                .text
                .contains("(?P<PATH.0>(?-isUx:[^ ]*)) from (?P<ADDR.0>(?-isUx:[")
        );
    }

    #[test]
    fn no_flag_of_a_pattern_changes_an_alphabet() {
        let fields = [("NAME".to_owned(), "[^a-z]* .".to_owned()), ("TIME".to_owned(), "Nov 7".to_owned())];
        for (pattern, taken, not_taken) in [
            ("(?i)^for <NAME>$", "FOR A b", "for a b"),
            ("(?x)^for\\ (?s-i:<NAME>)$", "for A b", "for Ab"),
            ("(?sU)^for <NAME>$", "for A b", "for A \n"),
            ("^for (?i:<NAME>)$", "for A b", "for aa b"),
            ("(?ix) ^at\\ <TIME> $", "AT Nov 7", "at nov 7"),
            ("(?x)^at\\ <TIME>$", "at Nov 7", "at Nov7"),
        ] {
            let hir = read(pattern, &fields).unwrap();
            let regex = regex_automata::meta::Builder::new().build_from_hir(&hir).unwrap();
            assert!(regex.is_match(taken) && !regex.is_match(not_taken), "{pattern}");
        }
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
        for (pattern, addresses) in [
            ("^<ADDR> to <HOST>$", Some(2)),
            ("^(?:from <ADDR>|by <ADDR_PORT>)$", Some(1)),
            ("^a(?: from <ADDR>)?$", Some(1)),
            ("^(?:<ADDR> )+$", None),
            ("^(?:a<ADDR>){2,3}$", None),
            ("^no <USER>$", Some(0)),
        ] {
            assert_eq!(addresses_named(&hir(pattern)), addresses, "{pattern}");
        }
    }

    #[test]
    fn anchors_must_hold_in_every_branch() {
        assert_eq!(anchored(&hir("^a <ADDR>$")), (true, true));
        assert_eq!(anchored(&hir("^a <ADDR>")), (true, false));
        assert_eq!(anchored(&hir("(?:^a|b) <ADDR>$")), (false, true));
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
