//! Finds the shortest message that one machine prints and another accepts and for which the caller's goal is true.
//!
//! Both machines take the same bytes one by one; every pair of states in which they can be together is visited once,
//! nearest first. So the answer "there is none" is a proof, and its cost is bounded by the product of the two.

use std::collections::HashSet;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::TooLarge;
use super::first::{FirstRule, PLEASANT};
use super::machine::{Edge, End, Machine, Phase};

/// The work allowed for one rule set: pairs of states and, if earlier rules are asked too, bytes behind such a pair. The
/// shipped sets need a hundredth of it.
const MAX_PAIRS: usize = 1 << 26;

/// The work allowed for advice on one refusal: a second at most.
const MAX_PAIRS_OF_A_PART: usize = 1 << 22;

/// The number of pairs in one search, each of which takes some 40 bytes of memory.
const MAX_PAIRS_AT_ONCE: usize = 1 << 20;

/// The remaining work that a proof may do.
#[derive(Debug)]
pub(super) struct Budget {
    pairs: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { pairs: MAX_PAIRS }
    }

    fn take(&mut self) -> Result<(), TooLarge> {
        self.take_many(1)
    }

    /// Lends a small part of the rest to work that may be given up, and takes back what it did not need.
    pub(super) fn with_a_part<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let mut part = Self { pairs: (self.pairs / 4).min(MAX_PAIRS_OF_A_PART) };
        self.pairs -= part.pairs;
        let result = work(&mut part);
        self.pairs += part.pairs;
        result
    }

    /// Pays for work that costs as much as this many pairs.
    pub(super) fn take_many(&mut self, pairs: usize) -> Result<(), TooLarge> {
        self.pairs = self.pairs.checked_sub(pairs).ok_or(TooLarge)?;
        Ok(())
    }
}

/// The states of both machines.
#[derive(Clone, Copy)]
struct Pair {
    printer: u32,
    reader: u32,
    /// Whether a byte was inside the address for one machine and outside for the other.
    differs: bool,
    /// Whether the reader's last byte was behind the address.
    is_behind: bool,
    /// The state of the earlier rules.
    first: u32,
    /// The length of the message, counted up to the length that matters.
    length: u16,
}

impl Pair {
    /// The pair before the first byte of a message.
    fn at_start(printer: u32) -> Self {
        Self { printer, reader: 0, differs: false, is_behind: false, first: FirstRule::START, length: 0 }
    }

    /// The whole pair as one number, which is hashed faster than its parts.
    fn key(&self) -> u128 {
        let states = u128::from(self.printer) << 64 | u128::from(self.reader) << 32 | u128::from(self.first);
        let rest = u128::from(self.length) << 2 | u128::from(self.differs) << 1 | u128::from(self.is_behind);
        states | rest << 96
    }
}

/// A pair as the caller's goal sees it.
pub(super) struct View<'m> {
    /// The state of the printer.
    pub(super) printer: u32,
    /// The rules whose whole message was printed.
    pub(super) printed: &'m [End],
    /// The rules that accept the message.
    pub(super) read: &'m [End],
    pub(super) differs: bool,
    pub(super) is_behind: bool,
    /// Whether the message has reached the length that matters.
    pub(super) is_long: bool,
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counterexample {
    pub(super) message: Vec<u8>,
    /// The texts printed before and behind it, which loggers and the record parser strip.
    pub(super) around: (Vec<u8>, &'static [u8]),
    /// The range of the address that was printed, if any.
    pub(super) printed: Option<Range<usize>>,
    /// The range of the address that is read, if any.
    pub(super) read: Option<Range<usize>>,
    /// The rule that printed it.
    pub(super) rule: u32,
    /// The state of the printer at its end.
    pub(super) printer: u32,
}

/// The parameters of a search.
pub(super) struct Search<'s> {
    pub(super) printer: &'s Machine,
    pub(super) reader: &'s Machine,
    /// The earlier rules, and the rule that must accept the message.
    pub(super) first: Option<(&'s mut FirstRule, u32)>,
    /// The message length that matters to the goal; 0 if none does.
    pub(super) length: u16,
    pub(super) budget: &'s mut Budget,
}

/// How a pair was reached, for tracing a message back.
struct Reached {
    pair: Pair,
    from: u32,
    byte: u8,
    printed: Phase,
    read: Phase,
}

impl Search<'_> {
    /// The shortest message for which `goal` names the rule that printed it.
    pub(super) fn shortest(
        mut self,
        goal: impl Fn(&View<'_>) -> Option<u32>,
    ) -> Result<Option<Counterexample>, TooLarge> {
        let mut seen: HashSet<u128, RandomState> = HashSet::default();
        let mut reached = Vec::new();
        for (start, from) in self.printer.starts.iter().zip(0..) {
            let pair = Pair::at_start(start.state);
            seen.insert(pair.key());
            reached.push(Reached { pair, from, byte: 0, printed: Phase::Before, read: Phase::Before });
        }
        let mut at = 0;
        while let Some(&Reached { pair, .. }) = reached.get(at) {
            self.budget.take()?;
            if let Some(rule) = self.view(&pair, &goal) {
                return Ok(Some(self.found(&reached, at, rule)));
            }
            self.go_on(pair, at, &mut seen, &mut reached)?;
            if reached.len() > MAX_PAIRS_AT_ONCE {
                return Err(TooLarge);
            }
            at += 1;
        }
        Ok(None)
    }

    fn view(&mut self, pair: &Pair, goal: &impl Fn(&View<'_>) -> Option<u32>) -> Option<u32> {
        let rule = goal(&View {
            printer: pair.printer,
            printed: &self.printer.states[pair.printer as usize].ends,
            read: &self.reader.states[pair.reader as usize].ends,
            differs: pair.differs,
            is_behind: pair.is_behind,
            is_long: pair.length >= self.length,
        })?;
        match &mut self.first {
            Some((first, taker)) => first.is_taken_by(pair.first, *taker).then_some(rule),
            None => Some(rule),
        }
    }

    fn go_on(
        &mut self,
        pair: Pair,
        at: usize,
        seen: &mut HashSet<u128, RandomState>,
        reached: &mut Vec<Reached>,
    ) -> Result<(), TooLarge> {
        let from = u32::try_from(at).map_err(|_| TooLarge)?;
        for printed in &self.printer.states[pair.printer as usize].edges {
            for read in &self.reader.states[pair.reader as usize].edges {
                let low = printed.low.max(read.low);
                let high = printed.high.min(read.high);
                if low > high {
                    continue;
                }
                let next = Pair {
                    printer: printed.to,
                    reader: read.to,
                    differs: pair.differs || is_inside(printed) != is_inside(read),
                    is_behind: self.length > 0 && read.phase == Phase::Behind,
                    first: pair.first,
                    length: (pair.length + 1).min(self.length),
                };
                let step = |pair: Pair, byte: u8| Reached {
                    pair,
                    from,
                    byte,
                    printed: printed.phase,
                    read: read.phase,
                };
                let Some((first, _)) = &mut self.first else {
                    if seen.insert(next.key()) {
                        reached.push(step(next, pleasant(low, high)));
                    }
                    continue;
                };
                for &byte in first.distinct(low, high).iter() {
                    self.budget.take()?;
                    let next = Pair { first: first.next(pair.first, byte)?, ..next };
                    if seen.insert(next.key()) {
                        reached.push(step(next, byte));
                    }
                }
            }
        }
        Ok(())
    }

    fn found(&self, reached: &[Reached], end: usize, rule: u32) -> Counterexample {
        let mut way = Vec::new();
        let mut at = end;
        // The first entries are the starts of the printer, in its order.
        while reached[at].from as usize != at {
            way.push(&reached[at]);
            at = reached[at].from as usize;
        }
        way.reverse();
        let start = &self.printer.starts[at];
        let span = |phase: fn(&Reached) -> Phase| {
            let first = way.iter().position(|step| phase(step) == Phase::Inside)?;
            let length = way[first..].iter().take_while(|step| phase(step) == Phase::Inside).count();
            Some(first..first + length)
        };
        Counterexample {
            message: way.iter().map(|step| step.byte).collect(),
            around: (start.before.clone(), start.behind),
            printed: span(|step| step.printed),
            read: span(|step| step.read),
            rule,
            printer: reached[end].pair.printer,
        }
    }
}

fn is_inside(edge: &Edge) -> bool {
    edge.phase == Phase::Inside
}

/// The byte that a person would write.
pub(super) fn pleasant(low: u8, high: u8) -> u8 {
    PLEASANT.iter().copied().find(|byte| (low..=high).contains(byte)).unwrap_or(low)
}
