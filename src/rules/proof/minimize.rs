//! Merges states that no input tells apart, as where many rules end alike.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::machine::{Edge, End, Machine, State};

impl Machine {
    /// Merges equivalent states.
    pub(super) fn merge_equal_states(&mut self) {
        let mut classes = vec![0; self.states.len()];
        let mut count = 1;
        loop {
            let mut numbers: HashMap<(u32, Vec<Edge>, &[End]), u32, RandomState> = HashMap::default();
            let mut refined = Vec::with_capacity(self.states.len());
            for (state, &class) in self.states.iter().zip(&classes) {
                let mut edges: Vec<Edge> =
                    state.edges.iter().map(|edge| Edge { to: classes[edge.to as usize], ..*edge }).collect();
                edges.sort_unstable();
                edges.dedup();
                let next = u32::try_from(numbers.len()).expect("there are no more classes than states");
                refined.push(*numbers.entry((class, edges, &state.ends)).or_insert(next));
            }
            let refined_count = numbers.len();
            classes = refined;
            if refined_count == count {
                break;
            }
            count = refined_count;
        }
        self.keep_one_of_each(&classes, count);
    }

    /// `classes` are numbered by their first states, so that the first state stays the first.
    fn keep_one_of_each(&mut self, classes: &[u32], count: usize) {
        let mut begun = HashSet::new();
        self.starts.iter_mut().for_each(|start| start.state = classes[start.state as usize]);
        self.starts.retain(|start| begun.insert(start.state));
        let mut kept: Vec<State> = Vec::with_capacity(count);
        for (mut state, &class) in std::mem::take(&mut self.states).into_iter().zip(classes) {
            if class as usize == kept.len() {
                state.edges.iter_mut().for_each(|edge| edge.to = classes[edge.to as usize]);
                state.edges.sort_unstable();
                state.edges.dedup();
                kept.push(state);
            }
        }
        self.states = kept;
    }
}
