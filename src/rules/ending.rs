//! The usual end of a message, read from its end: free text, a word, the address, and a fixed side.
//!
//! `<USER> from <ADDR> port \d{1,5} ssh2$` is stripped off step by step, and the free text before it is looked at once.
//! That says the same as walking it byte by byte, and gives the address as well; it is used only behind beginnings
//! for which [`Table::includes`] proves that no other answer is possible.

use std::ops::Range;

use regex_syntax::hir::{Hir, HirKind, Look};

use super::pattern;
use super::steps::{Bytes, From, Steps, table};
use super::table::Table;
use super::{subsets, witness};

/// An end that many patterns may share.
#[derive(Debug)]
pub(super) struct Ending {
    free: Bytes,
    word: Box<[u8]>,
    steps: Steps,
}

/// An ending as it is tried: with the pattern that it stands for.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) pattern: u32,
    /// What stands before it in an ordinary message.
    pub(super) head: Vec<u8>,
    /// The end alone, anchored.
    pub(super) hir: Hir,
}

impl Candidate {
    /// The ending of a pattern whose address is found from the end, if it has the usual form.
    pub(super) fn new(pattern: usize, hir: &Hir) -> Option<Self> {
        let parts = pattern::parts(hir)?;
        let [before @ .., free, word] = parts.before else { return None };
        let head = witness::witness(&Hir::concat(before.to_vec()), "");
        let subs = [free, word, parts.address].into_iter().chain(parts.behind).cloned();
        let hir = Hir::concat(std::iter::once(Hir::look(Look::Start)).chain(subs).collect());
        Ending::new(&hir)?;
        Some(Self { pattern: u32::try_from(pattern).ok()?, head, hir })
    }

    /// What it needs to be proven: the automaton of the end, and a text that it matches.
    pub(super) fn proof(&self) -> Option<(Table, Vec<u8>)> {
        let bare = pattern::without_captures(&self.hir, |_| false);
        let table = subsets::table(&[bare])?;
        Some((table, witness::witness(&self.hir, "192.0.2.7")))
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        Ending::new(&self.hir)
    }
}

impl Ending {
    fn new(hir: &Hir) -> Option<Self> {
        let parts = pattern::parts(hir)?;
        let [_, free, word] = parts.before else { return None };
        let HirKind::Literal(word) = word.kind() else { return None };
        Some(Self {
            free: free_text(free)?,
            word: word.0.clone(),
            steps: Steps::new(From::End, parts.behind, parts.address)?,
        })
    }

    /// Where the address stands, if the text is one of this form.
    pub(super) fn find(&self, text: &[u8]) -> Option<Range<usize>> {
        let token = self.steps.find(text)?;
        let free = text[..token.start].strip_suffix(&*self.word)?;
        free.iter().all(|&byte| self.free[usize::from(byte)]).then_some(token)
    }
}

/// The alphabet of text of any length.
fn free_text(hir: &Hir) -> Option<Bytes> {
    match hir.kind() {
        HirKind::Capture(capture) => free_text(&capture.sub),
        HirKind::Repetition(repetition) => {
            let HirKind::Class(class) = repetition.sub.kind() else { return None };
            ((repetition.min, repetition.max) == (0, None)).then(|| table(&pattern::bytes_of(class)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_what_stands_behind_the_last_choice() {
        let fields = [("USER".to_owned(), "[^:]*".to_owned())];
        let hir =
            pattern::read("^Failed (?:invalid user )?<USER> from <ADDR> port \\d{1,5}$", &fields).unwrap();
        let ending = Candidate::new(0, &hir).unwrap().ending().unwrap();
        let find = |text: &str| ending.find(text.as_bytes());
        assert_eq!(find("root from 192.0.2.7 port 1"), Some(10..19));
        assert_eq!(find(" from 192.0.2.7 port 1"), Some(6..15));
        assert_eq!(find("from 192.0.2.7 port 1"), None);
        assert_eq!(find("a:b from 192.0.2.7 port 1"), None);
        assert_eq!(find("root from 192.0.2.7 port 1 "), None);
    }

    #[test]
    fn other_forms_have_none() {
        for text in ["^From <ADDR> .*$", "^\\S+ from <ADDR>$", "^<USER>(?: from|) <ADDR>$", "^x from <ADDR>$"]
        {
            assert!(Candidate::new(0, &pattern::read(text, &[]).unwrap()).is_none(), "{text}");
        }
    }
}
