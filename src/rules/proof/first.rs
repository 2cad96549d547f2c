//! Which rule of a set accepts a message: the first in the order of the file that matches it and is not vetoed.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use foldhash::fast::RandomState;
use regex_syntax::hir::Hir;

use super::super::model::RuleSet;
use super::super::pattern;
use super::TooLarge;
use super::annotated::any_text;
use super::machine::{Machine, Peer, machine};

/// Bytes preferred in examples, in this order: the ones that a person would choose.
pub(super) const PLEASANT: &[u8] = b"x1 -";

/// Limit of states, more than real rule sets need; beyond it the proof is given up.
const MAX_STATES: usize = 1 << 16;

/// The rules of a set, run side by side; states are built on demand.
pub(super) struct FirstRule {
    machine: Machine,
    /// For each rule, whether it is enabled.
    enabled: Vec<bool>,
    /// The rules that the vetoes belong to; vetoes are numbered after the rules.
    vetoed: Vec<u32>,
    /// The machine's positions in each state.
    states: Vec<Box<[u32]>>,
    numbers: HashMap<Box<[u32]>, u32, RandomState>,
    /// For each state and class of bytes, the next state if it is known.
    next: Vec<Option<u32>>,
    /// The rules that would accept a message ending in a state, each taken by itself, ascending; built on demand.
    ends: HashMap<u32, Box<[u32]>, RandomState>,
    /// The class of each byte: no pattern tells the bytes of a class apart.
    classes: [u8; 256],
    class_count: usize,
    /// One byte of each class, by range.
    distinct: HashMap<(u8, u8), Rc<[u8]>, RandomState>,
}

impl FirstRule {
    /// The state of an empty message.
    pub(super) const START: u32 = 0;

    /// `read` are the patterns of the set's rules as they are written.
    pub(super) fn new(set: &RuleSet, read: &[Hir]) -> Result<Self, String> {
        let mut patterns: Vec<(Hir, u32)> = read.iter().cloned().zip(0..).collect();
        let mut vetoed = Vec::new();
        for (rule, text) in set
            .rules
            .iter()
            .zip(0..)
            .flat_map(|(model, rule)| model.unless.iter().map(move |text| (rule, text)))
        {
            let Ok(veto) = pattern::read(text, &set.fields) else { continue };
            let number = u32::try_from(read.len() + vetoed.len()).map_err(|error| error.to_string())?;
            patterns.push((Hir::concat(vec![any_text(), veto, any_text()]), number));
            vetoed.push(rule);
        }
        let enabled = set.rules.iter().map(|rule| rule.enabled).collect();
        let machine = machine(&patterns, Peer::Untold)?;
        let classes = classes(&machine);
        let class_count = usize::from(classes[255]) + 1;
        let start: Box<[u32]> = Box::new([0]);
        let numbers = std::iter::once((start.clone(), Self::START)).collect();
        Ok(Self {
            machine,
            enabled,
            vetoed,
            states: vec![start],
            numbers,
            next: vec![None; class_count],
            ends: HashMap::default(),
            classes,
            class_count,
            distinct: HashMap::default(),
        })
    }

    /// One byte of each class that occurs in the range, those first that a person would choose.
    pub(super) fn distinct(&mut self, low: u8, high: u8) -> Rc<[u8]> {
        let classes = &self.classes;
        let bytes = self.distinct.entry((low, high)).or_insert_with(|| {
            let mut known = [false; 256];
            let pleasant = PLEASANT.iter().copied().filter(|byte| (low..=high).contains(byte));
            let in_order = pleasant.chain(low..=high).filter(|&byte| byte != b'\n');
            let is_new =
                |byte: &u8| !std::mem::replace(&mut known[usize::from(classes[usize::from(*byte)])], true);
            in_order.filter(is_new).collect()
        });
        Rc::clone(bytes)
    }

    pub(super) fn next(&mut self, state: u32, byte: u8) -> Result<u32, TooLarge> {
        let way = state as usize * self.class_count + usize::from(self.classes[usize::from(byte)]);
        if let Some(known) = self.next[way] {
            return Ok(known);
        }
        let mut places = BTreeSet::new();
        for &place in &self.states[state as usize] {
            let edges = &self.machine.states[place as usize].edges;
            places.extend(
                edges.iter().filter(|edge| (edge.low..=edge.high).contains(&byte)).map(|edge| edge.to),
            );
        }
        let places: Box<[u32]> = places.into_iter().collect();
        let number = match self.numbers.get(&places) {
            Some(&number) => number,
            None => self.add(places)?,
        };
        self.next[way] = Some(number);
        Ok(number)
    }

    fn add(&mut self, places: Box<[u32]>) -> Result<u32, TooLarge> {
        if self.states.len() >= MAX_STATES {
            return Err(TooLarge);
        }
        let number = u32::try_from(self.states.len()).map_err(|_| TooLarge)?;
        self.states.push(places.clone());
        self.next.resize(self.states.len() * self.class_count, None);
        self.numbers.insert(places, number);
        Ok(number)
    }

    /// Whether `rule` accepts a message that ends in the state: it matches, and no enabled rule before it does.
    pub(super) fn is_taken_by(&mut self, state: u32, rule: u32) -> bool {
        let rules = self.enabled.len();
        let ends = self.ends.entry(state).or_insert_with(|| {
            let places =
                self.states[state as usize].iter().map(|&place| &self.machine.states[place as usize]);
            let mut ends: BTreeSet<u32> =
                places.flat_map(|place| place.ends.iter().map(|end| end.rule)).collect();
            let vetoes: Vec<u32> = ends.iter().copied().filter(|&end| end as usize >= rules).collect();
            for veto in vetoes {
                ends.remove(&veto);
                ends.remove(&self.vetoed[veto as usize - rules]);
            }
            ends.into_iter().collect()
        });
        let mut before = ends.iter().take_while(|&&one| one < rule);
        ends.contains(&rule) && !before.any(|&one| self.enabled[one as usize])
    }

    /// Whether `rule` accepts the message.
    pub(super) fn takes(&mut self, message: &[u8], rule: u32) -> Result<bool, TooLarge> {
        let mut state = Self::START;
        for &byte in message {
            state = self.next(state, byte)?;
        }
        Ok(self.is_taken_by(state, rule))
    }
}

/// The number of each byte's class.
fn classes(machine: &Machine) -> [u8; 256] {
    let mut begins = [false; 256];
    for edge in machine.states.iter().flat_map(|state| &state.edges) {
        begins[usize::from(edge.low)] = true;
        if let Some(behind) = edge.high.checked_add(1) {
            begins[usize::from(behind)] = true;
        }
    }
    let mut class = 0;
    std::array::from_fn(|byte| {
        class += u8::from(byte > 0 && begins[byte]);
        class
    })
}
