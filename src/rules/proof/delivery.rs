//! The way of a message from the program that prints it to the rules that are asked about it.
//!
//! Loggers and the record parser take off what the program did not mean: blanks and a byte order mark before the text,
//! blanks behind it, the kernel's uptime, Solaris' message id, and rsyslog's words around a repeated message. A peer
//! whose text looks like these is read without them, whether a logger wrote them or not.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::LazyLock;

use super::super::model::{Format, RuleSet};
use super::addresses::TextAutomaton;
use super::machine::{Edge, End, Machine, StartState, State};
use super::search;
use crate::record;

/// Blanks as `trim_ascii_start` removes them, and a byte order mark.
const BLANKS_AND_MARK: &str = r"[ \t\x0c\r]*(?:\xef\xbb\xbf)?";
const UPTIME: &str = r"(?:\[[0-9. ]*[0-9]\] )?";
const REPEATED: &str = r"message repeated [0-9]+ times?: \[[ \t\x0c\r]*";

/// What stands before a message and is taken off.
static BEFORE_KERNELS: LazyLock<TextAutomaton> = LazyLock::new(|| TextAutomaton::of(&before_kernels()));
static BEFORE_PROGRAMS: LazyLock<TextAutomaton> = LazyLock::new(|| TextAutomaton::of(&before_programs()));
static BEFORE_LINES: LazyLock<TextAutomaton> = LazyLock::new(|| TextAutomaton::of(r"\x00*(?:\xef\xbb\xbf)?"));

/// That text with the words that say that the message was repeated.
static BEFORE_KERNELS_REPEATED: LazyLock<TextAutomaton> =
    LazyLock::new(|| TextAutomaton::of(&(before_kernels() + REPEATED)));
static BEFORE_PROGRAMS_REPEATED: LazyLock<TextAutomaton> =
    LazyLock::new(|| TextAutomaton::of(&(before_programs() + REPEATED)));

fn before_kernels() -> String {
    format!("{BLANKS_AND_MARK}{UPTIME}")
}

/// With Solaris' id of the message.
fn before_programs() -> String {
    format!(r"{BLANKS_AND_MARK}(?:\[ID [0-9]{{1,10}} {}\] )?", record::named_priority_regex())
}

/// How syslog-ng, which quotes 20 bytes, and metalog say that the message before was repeated; a program's line may look
/// like it.
pub(super) const SAYS_AGAIN: &str = r"Last (?:message '.{0,20}' repeated [0-9]+ times?, suppressed by syslog-ng on [0-9A-Za-z_./:%@~-]+|output repeated (?:twice|[0-9]+ times?))";

/// The text behind a repeated message.
const BEHIND_REPEATED: u8 = b']';

/// How the messages of a rule set are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Through syslog, from programs.
    Programs,
    /// Through syslog, some of them from the kernel.
    Kernel,
    /// As lines of a log file.
    Lines,
}

impl Delivery {
    pub(super) fn of(set: &RuleSet) -> Self {
        match set.format {
            Format::Raw | Format::Json => Self::Lines,
            Format::Syslog if set.names_program(b"kernel") => Self::Kernel,
            Format::Syslog => Self::Programs,
        }
    }

    /// Turns what programs print into what rules are matched against.
    pub(super) fn apply(self, printer: &mut Machine) {
        trim_ends(printer);
        let (before, before_repeated): (&TextAutomaton, Option<&TextAutomaton>) = match self {
            Self::Programs => (&BEFORE_PROGRAMS, Some(&BEFORE_PROGRAMS_REPEATED)),
            Self::Kernel => (&BEFORE_KERNELS, Some(&BEFORE_KERNELS_REPEATED)),
            Self::Lines => (&BEFORE_LINES, None),
        };
        for (state, before) in printed_as(printer, before) {
            if state != 0 {
                printer.starts.push(StartState { state, before, behind: b"" });
            }
        }
        let quoted = before_repeated.map_or_else(Vec::new, |before| printed_as(printer, before));
        for (state, before) in &quoted {
            let state = add_quoted(printer, *state);
            printer.starts.push(StartState { state, before: before.clone(), behind: &[BEHIND_REPEATED] });
        }
        if !quoted.is_empty() {
            trim_ends(printer);
        }
    }

    /// Whether no message can begin with a blank.
    pub(super) fn takes_blanks_off(self) -> bool {
        self == Self::Programs
    }
}

/// The states in which the machine may be after printing one of the texts, each with the shortest such text.
fn printed_as(machine: &Machine, texts: &TextAutomaton) -> Vec<(u32, Vec<u8>)> {
    let mut ended: Vec<(u32, Vec<u8>)> = Vec::new();
    let starts = texts.starts().iter().map(|&start| (0, start));
    let mut known: HashSet<(u32, u32)> = starts.clone().collect();
    let mut waiting: VecDeque<((u32, u32), Vec<u8>)> = starts.map(|pair| (pair, Vec::new())).collect();
    while let Some(((at, text), printed)) = waiting.pop_front() {
        if texts.state(text).is_end && ended.iter().all(|(state, _)| *state != at) {
            ended.push((at, printed.clone()));
        }
        for edge in &machine.states[at as usize].edges {
            for &(low, high, to) in &texts.state(text).edges {
                let low = low.max(edge.low);
                let high = high.min(edge.high);
                if low <= high && known.insert((edge.to, to)) {
                    let printed = printed.iter().copied().chain([search::pleasant(low, high)]).collect();
                    waiting.push_back(((edge.to, to), printed));
                }
            }
        }
    }
    ended
}

/// Adds what may be printed from a state up to the sign that ends a quotation; returns where that begins.
fn add_quoted(machine: &mut Machine, from: u32) -> u32 {
    let first = machine.states.len();
    let number = |at: usize| u32::try_from(first + at).expect("the size of the automaton is limited");
    let mut copied = vec![from];
    let mut copies = HashMap::from([(from, number(0))]);
    let mut states = Vec::new();
    while let Some(&at) = copied.get(states.len()) {
        let mut state = State::default();
        for edge in &machine.states[at as usize].edges {
            if (edge.low..=edge.high).contains(&BEHIND_REPEATED) {
                add_ends(&mut state, &machine.states[edge.to as usize].ends);
            }
            let to = *copies.entry(edge.to).or_insert_with(|| {
                copied.push(edge.to);
                number(copied.len() - 1)
            });
            state.edges.push(Edge { to, ..*edge });
        }
        states.push(state);
    }
    machine.states.extend(states);
    number(0)
}

/// Adds the ends that a state lacks; true if there were any.
fn add_ends(state: &mut State, ends: &[End]) -> bool {
    let before = state.ends.len();
    for end in ends {
        if !state.ends.contains(end) {
            state.ends.push(*end);
        }
    }
    state.ends.len() > before
}

/// Lets messages also end where only trailing blanks would follow, which loggers such as journald remove, or a carriage
/// return.
fn trim_ends(machine: &mut Machine) {
    let mut changed = true;
    while changed {
        changed = false;
        for at in (0..machine.states.len()).rev() {
            let edges = machine.states[at].edges.iter();
            let blank: Vec<u32> = edges
                .filter(|edge| [b' ', b'\r'].iter().any(|byte| (edge.low..=edge.high).contains(byte)))
                .map(|edge| edge.to)
                .collect();
            for to in blank {
                let ends = machine.states[to as usize].ends.clone();
                changed |= add_ends(&mut machine.states[at], &ends);
            }
        }
    }
}
