//! Groups that a pattern's author names: `(?P<reason>[a-z]+)`.
//!
//! Placeholders become groups too, and the proof puts groups around parts of a pattern. A group of the author's with such
//! a name would be taken for an address, a claim, or a part that the proof knows something about.

use regex_syntax::ast::{self, Ast, GroupKind, Visitor};

use super::super::pattern;
use super::Expanded;

/// Prefix of the names of groups that the proof adds.
pub(in crate::rules) const RESERVED: &str = "portcullis_";

/// The error for a group of the author's in place of `<ADDR>`; such a group could match half an address.
const ADDRESS: &str =
    "the address needs no group of its own: write <ADDR>, which takes every form that programs print";

const SESSION: &str = "the id needs no group of its own: write <SESSION>, and state what it holds under `fields`, as in `SESSION: '[0-9A-F]{10}'`";

/// Refuses an expanded pattern with a group of the author's whose name is reserved; the error says why, and at which
/// byte.
pub(in crate::rules) fn check(ast: &Ast, expanded: &Expanded) -> Result<(), (String, usize)> {
    ast::visit(ast, OwnGroups { expanded })
}

/// Refuses such a group in the alphabet of a placeholder, which is a regex too.
pub(in crate::rules) fn fault_of_alphabet(alphabet: &str) -> Option<String> {
    let ast = pattern::parse_tree(alphabet).ok()?;
    let expanded = Expanded { text: alphabet.to_owned(), replaced: Vec::new() };
    check(&ast, &expanded).err().map(|(text, _)| text)
}

struct OwnGroups<'e> {
    expanded: &'e Expanded,
}

impl Visitor for OwnGroups<'_> {
    type Output = ();
    type Err = (String, usize);

    fn finish(self) -> Result<(), Self::Err> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        let Ast::Group(group) = ast else { return Ok(()) };
        let GroupKind::CaptureName { name, .. } = &group.kind else { return Ok(()) };
        let at = group.span.start.offset;
        let is_placeholder = self.expanded.replaced.iter().any(|(placed, _)| placed.start == at);
        match why_not(&name.name) {
            Some(why) if !is_placeholder => Err((why, at)),
            _ => Ok(()),
        }
    }
}

/// Why a group cannot have this name; `None` if it can.
fn why_not(name: &str) -> Option<String> {
    let placeholder = pattern::placeholder_of(name);
    if pattern::is_address_name(placeholder) {
        return Some(ADDRESS.into());
    }
    if placeholder == pattern::SESSION {
        return Some(SESSION.into());
    }
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (!is_plain || name.starts_with(RESERVED)).then(|| {
        format!(
            "a group cannot be named `{name}`: use letters, digits and `_`, and do not begin with `{RESERVED}`, or \
             write `(?:…)`, which needs no name"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(pattern: &str) -> Option<(String, usize)> {
        let fields = [("NAME".to_owned(), "[a-z]+".to_owned())];
        pattern::read(pattern, &fields).err().map(|error| (error.text, error.at))
    }

    #[test]
    fn a_group_of_ones_own_is_no_address_however_it_is_written() {
        for (pattern, at) in [
            (r"^a (?P<ADDR>.*)$", 3),
            (r"^(?<HOST>.*) <ADDR>$", 1),
            (r"^<ADDR> (?P<ADDR.4>[0-9.]+)$", 8),
            (r"^(?P<ADDR_PORT.0>\S+)$", 1),
            (r"^<NAME> (?:(?i:(?P<HOST.x>\S+)))?$", 15),
        ] {
            let (text, found) = fault(pattern).unwrap_or_default();
            assert!(text.contains("write <ADDR>") && found == at, "{pattern}: {text} {found}");
        }
    }

    #[test]
    fn names_that_mean_something_here_are_refused_and_all_others_are_taken() {
        for (pattern, why) in [
            (r"^(?P<portcullis_stretch_0>a)$", "cannot be named `portcullis_stretch_0`"),
            (r"^(?P<portcullis_other>a)$", "do not begin with `portcullis_`"),
            (r"^(?P<NAME.0>\w+)$", "cannot be named `NAME.0`"),
            (r"^(?P<x[1]>\w+)$", "cannot be named `x[1]`"),
            (r"^(?P<naïve>\w+)$", "cannot be named `naïve`"),
            (r"^(?P<SESSION>\w+)$", "write <SESSION>"),
        ] {
            assert!(fault(pattern).is_some_and(|(text, _)| text.contains(why)), "{pattern}");
        }
        for pattern in [r"^(?P<USER>\w+) (?P<NAME>x) (?<reason_2>y) <NAME> <ADDR> <SESSION>$", r"^[<]ADDR>$"]
        {
            assert_eq!(fault(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn an_alphabet_has_no_such_group_either() {
        assert!(fault_of_alphabet(r"from (?P<ADDR.1>[0-9.]+)").is_some_and(|text| text.contains("<ADDR>")));
        assert!(fault_of_alphabet("(?P<portcullis_stretch_1>a)").is_some());
        assert_eq!(fault_of_alphabet("[a-z]+(?P<rest>x)?"), None);
    }
}
