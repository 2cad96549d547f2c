//! Matches one side of a pattern part by part, without a choice.
//!
//! For sides that a one-pass automaton has proven to have one reading: the next byte always decides. Most sides are a few
//! texts and runs (` port `, `\d{1,5}`, ` ssh`, `[12]`), and stripping these off a message costs a fraction of what the
//! automaton does.

use std::ops::Range;

use regex_syntax::hir::{ClassBytes, Hir, HirKind, Look};

use super::pattern;

/// A part with more branches than this is not a few words: `(?:closed|reset)`.
const MAX_TEXTS: usize = 16;

/// A class of more bytes than this is a run: `[12]` and `\d`.
const FEW_BYTES: usize = 4;

/// The end of a message that a side is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Start,
    End,
}

/// The parts from one end of the message up to the address, and the alphabet of the address.
#[derive(Debug)]
pub(super) struct SideMatcher {
    from: From,
    parts: Vec<SidePart>,
    token: Bytes,
}

#[derive(Debug)]
enum SidePart {
    /// One of these texts, the longest first.
    Texts(Vec<Box<[u8]>>),
    /// As many of these bytes as there are, between a minimum and a maximum.
    Run(Bytes, u32, u32),
}

/// A class of bytes.
pub(super) type Bytes = Box<[bool; 256]>;

impl SideMatcher {
    /// The matcher of a side that is proven to have one reading; `None` if it is more than texts and runs.
    ///
    /// `side` are the parts of the pattern from the start up to the address, or from the address to the end.
    pub(super) fn new(from: From, side: &[Hir], address: &Hir) -> Option<Self> {
        let outermost = if from == From::Start { side.split_first() } else { side.split_last() };
        let (anchor, inner) = outermost?;
        let look = if from == From::Start { Look::Start } else { Look::End };
        if *anchor.kind() != HirKind::Look(look) {
            return None;
        }
        let mut parts = Vec::new();
        inner.iter().try_for_each(|hir| add(hir, &mut parts))?;
        if from == From::End {
            parts.reverse();
        }
        Some(Self { from, parts, token: token(address)? })
    }

    /// The position of the address in a message that matches the whole pattern.
    pub(super) fn find(&self, message: &[u8]) -> Option<Range<usize>> {
        let mut rest = message;
        for part in &self.parts {
            rest = part.strip(self.from, rest)?;
        }
        let length = run(self.from, rest, &self.token, rest.len());
        let start = match self.from {
            From::Start => message.len() - rest.len(),
            From::End => rest.len() - length,
        };
        (length > 0).then(|| start..start + length)
    }
}

impl SidePart {
    fn strip<'m>(&self, from: From, text: &'m [u8]) -> Option<&'m [u8]> {
        match (self, from) {
            (Self::Texts(texts), From::Start) => texts.iter().find_map(|known| text.strip_prefix(&**known)),
            (Self::Texts(texts), From::End) => texts.iter().find_map(|known| text.strip_suffix(&**known)),
            (Self::Run(bytes, least, most), _) => {
                let length = run(from, text, bytes, *most as usize);
                let rest =
                    if from == From::Start { text.get(length..) } else { text.get(..text.len() - length) };
                rest.filter(|_| length >= *least as usize)
            }
        }
    }
}

/// How many bytes of the class stand at that end, at most `most`.
fn run(from: From, text: &[u8], bytes: &[bool; 256], most: usize) -> usize {
    let most = most.min(text.len());
    let other = |byte: &u8| !bytes[usize::from(*byte)];
    match from {
        From::Start => text[..most].iter().position(other).unwrap_or(most),
        From::End => {
            let end = &text[text.len() - most..];
            end.iter().rposition(other).map_or(most, |at| most - 1 - at)
        }
    }
}

fn add(hir: &Hir, parts: &mut Vec<SidePart>) -> Option<()> {
    if let Some(mut texts) = texts(hir) {
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        parts.push(SidePart::Texts(texts.into_iter().map(Vec::into_boxed_slice).collect()));
        return Some(());
    }
    match hir.kind() {
        HirKind::Class(class) => parts.push(SidePart::Run(table(&pattern::bytes_of(class)), 1, 1)),
        HirKind::Repetition(repetition) => {
            let HirKind::Class(class) = repetition.sub.kind() else { return None };
            let most = repetition.max.unwrap_or(u32::MAX);
            parts.push(SidePart::Run(table(&pattern::bytes_of(class)), repetition.min, most));
        }
        HirKind::Capture(capture) => return add(&capture.sub, parts),
        HirKind::Concat(subs) => return subs.iter().try_for_each(|sub| add(sub, parts)),
        _ => return None,
    }
    Some(())
}

/// All texts that match, if they are few.
fn texts(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let texts = match hir.kind() {
        HirKind::Empty => vec![Vec::new()],
        HirKind::Literal(literal) => vec![literal.0.to_vec()],
        HirKind::Repetition(repetition) if (repetition.min, repetition.max) == (0, Some(1)) => {
            let mut texts = texts(&repetition.sub)?;
            texts.push(Vec::new());
            texts
        }
        HirKind::Class(class) => {
            let bytes = pattern::bytes_of(class);
            (0..=255)
                .filter(|&byte| pattern::holds(&bytes, byte))
                .take(FEW_BYTES + 1)
                .map(|byte| vec![byte])
                .collect()
        }
        HirKind::Capture(capture) => texts(&capture.sub)?,
        HirKind::Concat(subs) => subs.iter().try_fold(vec![Vec::new()], |before, sub| {
            let behind = texts(sub)?;
            let joined = before.iter().flat_map(|head| behind.iter().map(|tail| [&head[..], tail].concat()));
            Some(joined.collect()).filter(|joined: &Vec<_>| joined.len() <= MAX_TEXTS)
        })?,
        HirKind::Alternation(subs) => {
            let texts: Option<Vec<_>> = subs.iter().map(texts).collect();
            texts?.concat()
        }
        _ => return None,
    };
    let few = if matches!(hir.kind(), HirKind::Class(_)) { FEW_BYTES } else { MAX_TEXTS };
    (texts.len() <= few).then_some(texts)
}

/// The alphabet of an address of any length.
fn token(address: &Hir) -> Option<Bytes> {
    let HirKind::Capture(capture) = address.kind() else { return None };
    let HirKind::Repetition(repetition) = capture.sub.kind() else { return None };
    let HirKind::Class(class) = repetition.sub.kind() else { return None };
    ((repetition.min, repetition.max) == (1, None)).then(|| table(&pattern::bytes_of(class)))
}

pub(super) fn table(class: &ClassBytes) -> Bytes {
    Box::new(std::array::from_fn(|byte| pattern::holds(class, byte.to_le_bytes()[0])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'m>(from: From, text: &str, message: &'m str) -> Option<&'m str> {
        let hir = pattern::read(text, &[]).unwrap();
        let parts = pattern::parts(&hir).unwrap();
        let side = if from == From::Start { parts.before } else { parts.behind };
        message.get(
            SideMatcher::new(from, side, parts.address).expect("texts and runs").find(message.as_bytes())?,
        )
    }

    #[test]
    fn a_side_is_stripped_off_and_the_token_is_left() {
        let text = "^<USER> from <ADDR> port \\d{1,5}(?: ssh[12])?(?: \\[preauth\\])?$";
        for behind in ["", " ssh2", " [preauth]", " ssh1 [preauth]"] {
            let message = format!("a from 8.8.8.8 port 1 ssh2 from 192.0.2.7 port 40001{behind}");
            assert_eq!(found(From::End, text, &message), Some("192.0.2.7"), "{message}");
        }
        let text = "^(?:error: |fatal: )?#\\d+ (?:closed|re(?:se)?t) by \\[<ADDR>\\].*$";
        for before in ["#1 closed", "error: #22 reset", "fatal: #333 ret"] {
            let message = format!("{before} by [2001:db8::7] from [8.8.8.8]");
            assert_eq!(found(From::Start, text, &message), Some("2001:db8::7"), "{message}");
        }
    }

    #[test]
    fn a_side_that_is_not_there_gives_nothing() {
        assert_eq!(found(From::Start, "^by <ADDR> .*$", "to 192.0.2.7 x"), None);
        assert_eq!(found(From::Start, "^by <ADDR> .*$", "by  x"), None);
        assert_eq!(found(From::End, "^.* <ADDR> \\d{2,3}$", "x 192.0.2.7 1"), None);
        assert_eq!(found(From::End, "^.* <ADDR> \\d{2,3}$", "x 192.0.2.7 1234"), None);
    }

    #[test]
    fn what_is_more_than_texts_and_runs_has_no_steps() {
        for text in ["^(?:a\\d)?<ADDR> .*$", "^(?:ab)+ <ADDR> .*$", "^(?:\\d|ab) <ADDR> .*$"] {
            let hir = pattern::read(text, &[]).unwrap();
            let parts = pattern::parts(&hir).unwrap();
            assert!(SideMatcher::new(From::Start, parts.before, parts.address).is_none(), "{text}");
        }
        let bounded = pattern::read_expanded("^(?P<ADDR>[0-9]{1,3}) .*$").unwrap();
        let parts = pattern::parts(&bounded).unwrap();
        assert!(SideMatcher::new(From::Start, parts.before, parts.address).is_none());
    }
}
