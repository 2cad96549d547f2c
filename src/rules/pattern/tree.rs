//! Questions about the syntax tree of a pattern, and trees made from it.

use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};

use super::{ADDRESS, ENDPOINT, NUMBER, SESSION};

/// The tree without capture groups, except for those that `keep` selects.
pub(in crate::rules) fn without_captures(hir: &Hir, keep: fn(&Capture) -> bool) -> Hir {
    map(hir, &mut |capture| keep(capture))
}

fn map(hir: &Hir, keep: &mut impl FnMut(&Capture) -> bool) -> Hir {
    match hir.kind() {
        HirKind::Capture(capture) if keep(capture) => {
            let sub = Box::new(map(&capture.sub, keep));
            Hir::capture(Capture { index: 1, name: capture.name.clone(), sub })
        }
        HirKind::Capture(capture) => map(&capture.sub, keep),
        _ => map_subs(hir, &mut |sub| map(sub, keep)),
    }
}

/// The tree that matches the same texts reversed.
pub(in crate::rules) fn reversed(hir: &Hir) -> Hir {
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

/// The parts before, in and behind `<ADDR>`, if it stands at the top level of the pattern.
pub(in crate::rules) struct Parts<'h> {
    pub(in crate::rules) before: &'h [Hir],
    pub(in crate::rules) address: &'h Hir,
    pub(in crate::rules) behind: &'h [Hir],
}

/// Splits a pattern at `<ADDR>`; `None` if that stands inside a group with `?`, `|` or the like.
pub(in crate::rules) fn parts(hir: &Hir) -> Option<Parts<'_>> {
    let HirKind::Concat(subs) = hir.kind() else { return None };
    let at = subs.iter().position(is_address)?;
    Some(Parts { before: subs.get(..at)?, address: subs.get(at)?, behind: subs.get(at + 1..)? })
}

pub(in crate::rules) fn is_address(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Capture(capture) if is_address_group(capture))
}

/// Whether a group is the peer's.
pub(in crate::rules) fn is_address_group(capture: &Capture) -> bool {
    capture.name.as_deref().is_some_and(|name| [ADDRESS, ENDPOINT].contains(&placeholder_of(name)))
}

/// Whether a group is that of the peer with or without its port.
pub(in crate::rules) fn is_endpoint_group(capture: &Capture) -> bool {
    capture.name.as_deref().is_some_and(|name| placeholder_of(name) == ENDPOINT)
}

pub(in crate::rules) fn is_session(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Capture(capture) if is_session_group(capture))
}

/// Whether a group is the session id; no group of the author's is.
pub(in crate::rules) fn is_session_group(capture: &Capture) -> bool {
    capture.name.as_deref().and_then(|name| name.strip_prefix(SESSION)?.strip_prefix(NUMBER)).is_some()
}

/// Whether a group is a user name: `<USER>`, or the `<ACCOUNT>` of a login.
pub(in crate::rules) fn is_user_group(capture: &Capture) -> bool {
    matches!(capture.name.as_deref().map(placeholder_of), Some("USER" | "ACCOUNT"))
}

/// The placeholder that a group came from.
pub(in crate::rules) fn placeholder_of(group: &str) -> &str {
    group.split(NUMBER).next().unwrap_or(group)
}

/// Whether a part is a placeholder that has a name.
pub(in crate::rules) fn is_placeholder(hir: &Hir) -> bool {
    let HirKind::Capture(capture) = hir.kind() else { return false };
    capture.name.as_deref().is_some_and(|name| name.contains(NUMBER))
}

/// The pattern without its assertions, except for those that `keep` selects: it matches the same texts and perhaps more.
pub(in crate::rules) fn without_looks(hir: &Hir, is_kept: &dyn Fn(Look) -> bool) -> Hir {
    match hir.kind() {
        HirKind::Look(look) if !is_kept(*look) => Hir::empty(),
        _ => map_subs(hir, &mut |sub| without_looks(sub, is_kept)),
    }
}

/// The tree with each part transformed.
pub(in crate::rules) fn map_subs(hir: &Hir, change: &mut dyn FnMut(&Hir) -> Hir) -> Hir {
    match hir.kind() {
        HirKind::Capture(capture) => {
            let sub = Box::new(change(&capture.sub));
            Hir::capture(Capture { sub, ..capture.clone() })
        }
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(change(&repetition.sub))),
        HirKind::Concat(subs) => Hir::concat(subs.iter().map(change).collect()),
        HirKind::Alternation(subs) => Hir::alternation(subs.iter().map(change).collect()),
        _ => hir.clone(),
    }
}

/// The bytes of a class. Unicode is off, but the syntax library still makes `a|b` a class of characters; a class that is
/// not of single bytes counts as all bytes.
pub(in crate::rules) fn bytes_of(class: &Class) -> ClassBytes {
    match class {
        Class::Bytes(bytes) => bytes.clone(),
        Class::Unicode(characters) => {
            characters.to_byte_class().unwrap_or_else(|| negated(ClassBytes::empty()))
        }
    }
}

pub(in crate::rules) fn single(byte: u8) -> ClassBytes {
    ClassBytes::new([ClassBytesRange::new(byte, byte)])
}

pub(in crate::rules) fn negated(mut class: ClassBytes) -> ClassBytes {
    class.negate();
    class
}

pub(in crate::rules) fn holds(class: &ClassBytes, byte: u8) -> bool {
    class.iter().any(|range| (range.start()..=range.end()).contains(&byte))
}

/// Whether the pattern is anchored at the start and at the end of the message.
pub(in crate::rules) fn anchored(hir: &Hir) -> (bool, bool) {
    let properties = hir.properties();
    let start = properties.look_set_prefix();
    let end = properties.look_set_suffix();
    (start.contains(Look::Start), end.contains(Look::End))
}

/// How many addresses a message can name in the pattern; `None` if `<ADDR>` is repeated.
pub(in crate::rules) fn addresses_named(hir: &Hir) -> Option<usize> {
    match hir.kind() {
        HirKind::Capture(capture) if is_address_group(capture) => Some(1),
        HirKind::Repetition(repetition) => {
            let once = addresses_named(&repetition.sub)?;
            (once == 0 || repetition.max.is_some_and(|max| max <= 1)).then_some(once)
        }
        HirKind::Concat(subs) => subs.iter().map(addresses_named).sum(),
        kind => {
            let each: Option<Vec<usize>> = kind.subs().iter().map(addresses_named).collect();
            Some(each?.into_iter().max().unwrap_or(0))
        }
    }
}
