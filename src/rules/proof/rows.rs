//! Many patterns as one.

use regex_syntax::hir::{Capture, Hir, HirKind};

use super::super::pattern;

/// Group numbers: the syntax library's own are not unique across patterns.
pub(super) const ADDRESS_GROUP: u32 = 1;
pub(super) const ENDPOINT_GROUP: u32 = 2;
pub(super) const SESSION_GROUP: u32 = 3;
pub(super) const FIRST_RULE_GROUP: u32 = 4;

/// A pattern as a row of parts, down to single bytes, with no groups but those of addresses and sessions.
fn row(hir: &Hir) -> Vec<Hir> {
    let mut parts = Vec::new();
    add_parts(&numbered(hir), &mut parts);
    parts
}

fn add_parts(hir: &Hir, parts: &mut Vec<Hir>) {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => parts.extend(literal.0.iter().map(|&byte| Hir::literal([byte]))),
        HirKind::Concat(subs) => subs.iter().for_each(|sub| add_parts(sub, parts)),
        _ => parts.push(hir.clone()),
    }
}

fn numbered(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Capture(capture) if pattern::is_address_group(capture) => {
            let is_endpoint = pattern::is_endpoint_group(capture);
            let index = if is_endpoint { ENDPOINT_GROUP } else { ADDRESS_GROUP };
            Hir::capture(Capture { index, name: None, sub: Box::new(numbered(&capture.sub)) })
        }
        HirKind::Capture(capture) if pattern::is_session_group(capture) => {
            Hir::capture(Capture { index: SESSION_GROUP, name: None, sub: Box::new(numbered(&capture.sub)) })
        }
        HirKind::Capture(capture) => numbered(&capture.sub),
        _ => pattern::map_subs(hir, &mut numbered),
    }
}

/// All patterns as one tree, each with the group of its rule at its end. A common beginning is there once, so that it is
/// run once.
pub(super) fn joined(patterns: &[(Hir, u32)]) -> Hir {
    join(patterns.iter().map(|(hir, rule)| (row(hir), *rule)).collect())
}

fn join(mut rows: Vec<(Vec<Hir>, u32)>) -> Hir {
    let mut common = Vec::new();
    while let Some(part) = common_first(&rows) {
        rows.iter_mut().for_each(|(row, _)| drop(row.remove(0)));
        common.push(part);
    }
    let mut groups: Vec<Vec<(Vec<Hir>, u32)>> = Vec::new();
    for (row, rule) in rows {
        let known = groups.iter_mut().find(|group| !row.is_empty() && group[0].0.first() == row.first());
        match known {
            Some(group) => group.push((row, rule)),
            None => groups.push(vec![(row, rule)]),
        }
    }
    let branches = groups.into_iter().map(|group| match <[_; 1]>::try_from(group) {
        Ok([(mut row, rule)]) => {
            let index = FIRST_RULE_GROUP + rule;
            row.push(Hir::capture(Capture { index, name: None, sub: Box::new(Hir::empty()) }));
            Hir::concat(row)
        }
        Err(group) => join(group),
    });
    common.push(Hir::alternation(branches.collect()));
    Hir::concat(common)
}

/// The part that all rows begin with, if there are several rows.
fn common_first(rows: &[(Vec<Hir>, u32)]) -> Option<Hir> {
    let [(first, _), others @ ..] = rows else { return None };
    let part = first.first()?;
    let is_common = !others.is_empty() && others.iter().all(|(row, _)| row.first() == Some(part));
    is_common.then(|| part.clone())
}
