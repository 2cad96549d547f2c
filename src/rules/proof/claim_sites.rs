//! Finds what may be claimed about a rule: its runs and placeholders, each with the alphabets that fit the rule's
//! samples.

use regex_automata::meta;
use regex_syntax::ast::{Ast, GroupKind};
use regex_syntax::hir::{Hir, HirKind};

use super::super::matcher;
use super::super::model::Sample;
use super::super::pattern;
use super::super::regex::limits;
use super::Described;
use super::revision::{Placeholders, placeholder_in};
use crate::record;

/// Usual alphabets, tried in this order; one without the byte behind the stretch is tried first.
const USUAL: [&str; 8] =
    [r"[^ ]*", r#"[^"]*"#, r"[^:]*", r"[^,]*", r"[-\w.]+", r"[^.:]*", r"[0-9a-f]+", r"\d+"];

/// The bytes that an alphabet of several bytes may exclude.
const DELIMITERS: [u8; 5] = *b" \",:.";

/// Stretches that share one alphabet: a single run, or all occurrences of a placeholder.
pub(super) struct ClaimSite {
    pub(super) stretches: Vec<usize>,
    /// The alphabets that may be claimed for it, the weakest first.
    pub(super) alphabets: Vec<String>,
    /// The alphabet that excludes the most bytes.
    pub(super) strict: Option<usize>,
    /// Whether the first is the run as it is written.
    pub(super) is_as_written: bool,
}

impl ClaimSite {
    /// The site of a placeholder for which there is only one claim.
    fn of(stretch: usize, alphabet: &str) -> Self {
        let alphabets = vec![alphabet.to_owned()];
        Self { stretches: vec![stretch], alphabets, strict: Some(0), is_as_written: false }
    }
}

/// The sites of a rule about which something may be claimed.
pub(super) fn places(described: &Described<'_>, rule: usize, names: &Placeholders) -> Vec<ClaimSite> {
    let annotated = &described.annotated;
    let mut places: Vec<ClaimSite> = Vec::new();
    for (index, stretch) in annotated.stretches.iter().enumerate() {
        let name = placeholder_in(stretch);
        // The parts of a timestamp are written by the logger.
        if stretch.is_claimed && name.is_none() {
            continue;
        }
        let is_same = |place: &&mut ClaimSite| {
            let known = place.stretches.first().map(|&known| &annotated.stretches[known]);
            name.is_some() && known.is_some_and(|known| placeholder_in(known) == name)
        };
        match places.iter_mut().find(is_same) {
            Some(place) => place.stretches.push(index),
            None => match names.claimed(rule, index, name) {
                Some(alphabet) => places.push(ClaimSite::of(index, alphabet)),
                None => places.push(place(described, index)),
            },
        }
    }
    places
}

/// A site with the alphabets that let the rule match its samples.
fn place(described: &Described<'_>, stretch: usize) -> ClaimSite {
    let annotated = &described.annotated;
    let own = bare(&annotated.stretches[stretch].text).to_owned();
    let is_written = !annotated.stretches[stretch].is_claimed
        && annotated.stretch_as_written(stretch).is_some_and(|hir| !takes_any_text(&hir));
    let behind = annotated.byte_behind(stretch);
    let is_taken = |text: &String| {
        let hir = pattern::read_expanded(text);
        hir.is_some_and(|hir| takes_samples(described, &annotated.with(stretch, &hir)))
    };
    let mut alphabets: Vec<String> = is_written.then(|| own.clone()).into_iter().collect();
    let usual = USUAL.iter().map(|&text| text.to_owned());
    let (wide, narrow): (Vec<String>, Vec<String>) =
        usual.filter(is_taken).partition(|text| text.starts_with("[^") && text != r"[^.:]*");
    let until = behind.map(|byte| without(&[byte])).filter(is_taken);
    alphabets.extend(wide.into_iter().chain(until));
    let mut bytes: Vec<u8> = DELIMITERS.into_iter().chain(behind).collect();
    bytes.retain(|&byte| is_taken(&without(&[byte])));
    bytes.dedup();
    let all = without(&bytes);
    let is_some = bytes.len() > 1 && is_taken(&all);
    alphabets.extend(narrow);
    alphabets.extend(is_some.then(|| all.clone()));
    let mut known = Vec::new();
    alphabets.retain(|text| {
        !known.contains(text) && (*text != own || is_written) && {
            known.push(text.clone());
            true
        }
    });
    let strict = alphabets.iter().position(|text| *text == all).or_else(|| alphabets.len().checked_sub(1));
    ClaimSite { stretches: vec![stretch], alphabets, strict, is_as_written: is_written }
}

/// The text without some bytes.
fn without(bytes: &[u8]) -> String {
    let escaped = |&byte: &u8| match byte {
        b']' | b'\\' | b'^' | b'-' | b'[' | b'&' | b'~' => format!(r"\{}", char::from(byte)),
        _ => char::from(byte).to_string(),
    };
    format!("[^{}]*", bytes.iter().map(escaped).collect::<String>())
}

/// A run without the groups around it.
fn bare(text: &str) -> &str {
    let Ok(Ast::Group(ref group)) = pattern::parse_tree(text) else { return text };
    if matches!(&group.kind, GroupKind::NonCapturing(flags) if !flags.items.is_empty()) {
        return text;
    }
    let span = group.ast.span();
    text.get(span.start.offset..span.end.offset).map_or(text, bare)
}

/// Whether a run is `.*` or the like: a claim of that would say nothing.
fn takes_any_text(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(class) => {
            let bytes = pattern::bytes_of(class);
            (0..=u8::MAX).filter(|&byte| byte != b'\n').all(|byte| pattern::holds(&bytes, byte))
        }
        HirKind::Repetition(repetition) => repetition.max.is_none() && takes_any_text(&repetition.sub),
        HirKind::Capture(capture) => takes_any_text(&capture.sub),
        HirKind::Concat(subs) => subs.iter().any(takes_any_text),
        _ => false,
    }
}

/// Whether a pattern matches the messages of the rule's samples.
pub(super) fn takes_samples(described: &Described<'_>, hir: &Hir) -> bool {
    let (set, rule) = (described.set, &described.set.rules[described.index]);
    let is_its_own = |sample: &&Sample| sample.rule.as_ref() == Some(&rule.id);
    if !set.samples.iter().any(|sample| is_its_own(&sample)) {
        return true;
    }
    let bare = pattern::without_captures(hir, |_| false);
    let Ok(regex) = meta::Builder::new().configure(limits()).build_from_hir(&bare) else { return false };
    set.samples.iter().filter(is_its_own).all(|sample| {
        let line = sample.line.as_bytes();
        let message = matcher::message(set, line, &record::parse(line));
        regex.is_match(message) || regex.is_match(message.trim_ascii_end())
    })
}
