//! A rule set compiled: which rule matches a message, and where its address stands.

use std::net::IpAddr;

use regex_automata::meta;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Capture, Hir};

use super::automaton::{Automaton, Hit};
use super::ending::Candidate;
use super::locate::{Locator, Scratch};
use super::model::{AddressFrom, Effect, Fault, Place, Rule, RuleSet, Severity};
use super::pattern::{self, Unreadable};
use super::session_id;
use super::subsets::{self, NFA_LIMIT};
use super::veto::Vetoes;
use crate::address;

/// One rule set, ready to be asked.
#[derive(Debug)]
pub struct Compiled {
    which: Which,
    locators: Vec<Locator>,
    /// For each pattern of `which`, the index of its rule in the set; disabled rules are not compiled.
    rules: Vec<usize>,
    /// Of each pattern, the length from which a message is taken for cut.
    limits: Vec<usize>,
    vetoes: Vetoes,
}

#[derive(Debug)]
enum Which {
    Dense(Box<Automaton>),
    General(Box<meta::Regex>),
    /// All rules are disabled.
    Nothing,
}

/// What was found: the rule's index in its set and the address, if the line names one for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Index into [`RuleSet::rules`].
    pub rule: usize,
    /// The peer; `None` when the line names none, or a host name, or not for certain.
    pub address: Option<IpAddr>,
}

impl Compiled {
    /// Compiles the enabled rules of a set.
    ///
    /// # Errors
    /// All faults of all patterns, not only the first.
    pub fn new(set: &RuleSet) -> Result<Self, Vec<Fault>> {
        Self::with(set, |rule| rule.enabled)
    }

    /// As [`Self::new`], for the rules that `wanted` chooses.
    pub(super) fn with(set: &RuleSet, wanted: fn(&Rule) -> bool) -> Result<Self, Vec<Fault>> {
        let chosen: Vec<(usize, &Rule)> =
            set.rules.iter().enumerate().filter(|(_, rule)| wanted(rule)).collect();
        let mut faults = field_faults(set);
        let mut parts = Vec::new();
        for &(index, rule) in &chosen {
            match read(set, rule) {
                Ok(part) => parts.push(part),
                Err(error) => faults.push(fault(index, error)),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let (hirs, locators): (Vec<Hir>, Vec<Locator>) = parts.into_iter().unzip();
        let which = Which::new(&hirs, &locators).map_err(|error| too_large(&chosen, &hirs, &error))?;
        let vetoes = Vetoes::new(set, &chosen, &hirs)?;
        let limits = chosen.iter().map(|(_, rule)| set.limit_of(rule).unwrap_or(usize::MAX)).collect();
        let rules = chosen.iter().map(|&(index, _)| index).collect();
        Ok(Self { which, locators, rules, limits, vetoes })
    }

    /// The first rule that matches the message, and its address.
    ///
    /// `cut` says that a part of the line may be missing at its end; a message as long as the limit of its rule or set
    /// is taken for cut in any case.
    pub fn find(&self, scratch: &mut Scratch, message: &[u8], cut: bool) -> Option<Found> {
        let Hit { pattern, token } = self.hit(message)?;
        let cut = cut || message.len() >= self.limits[pattern];
        if cut && self.vetoes.is_vetoable(pattern) {
            // What would have kept the rule from matching may be what is missing.
            return None;
        }
        let token = match token {
            // It was found from the end.
            Some(token) => Some(token).filter(|_| !cut),
            None => self.locators[pattern].find(scratch, message, cut),
        };
        let address = token.and_then(|range| address::parse(message.get(range)?));
        Some(Found { rule: self.rules[pattern], address })
    }

    /// As [`Self::find`] of a message that was not cut, but where two readings of it disagree, with the address of the
    /// pattern as it is written.
    pub(super) fn find_as_written(&self, scratch: &mut Scratch, message: &[u8]) -> Option<Found> {
        let found = self.find(scratch, message, false)?;
        if found.address.is_some() {
            return Some(found);
        }
        let Hit { pattern, .. } = self.hit(message)?;
        if message.len() >= self.limits[pattern] {
            return Some(found);
        }
        let token = self.locators[pattern].find_as_written(message);
        Some(Found { address: token.and_then(|range| address::parse(message.get(range)?)), ..found })
    }

    /// The first pattern that matches and is not vetoed.
    fn hit(&self, message: &[u8]) -> Option<Hit> {
        let hit = self.which.of(message)?;
        if !self.vetoes.hold(hit.pattern, message) {
            return Some(hit);
        }
        let pattern = self.vetoes.next(message, hit.pattern)?;
        Some(Hit { pattern, token: None })
    }

    /// Whether something in the message keeps a rule from matching, by the rule's index in its set.
    pub(super) fn is_vetoed(&self, rule: usize, message: &[u8]) -> bool {
        let pattern = self.rules.iter().position(|known| *known == rule);
        pattern.is_some_and(|pattern| self.vetoes.hold(pattern, message))
    }

    /// Whether a byte of a message costs one step of an automaton; else it costs hundreds.
    pub(super) fn is_fast(&self) -> bool {
        !matches!(self.which, Which::General(_))
    }
}

impl Which {
    fn new(hirs: &[Hir], locators: &[Locator]) -> Result<Self, String> {
        if hirs.is_empty() {
            return Ok(Self::Nothing);
        }
        let bare: Vec<Hir> = hirs.iter().map(|hir| pattern::without_captures(hir, |_| false)).collect();
        // The table goes first: endings need examples, which are as long as the patterns are large.
        match subsets::table(&bare).and_then(|table| Automaton::new(table, &endings(hirs, locators))) {
            Some(automaton) => Ok(Self::Dense(Box::new(automaton))),
            None => {
                let regex = meta::Builder::new().configure(limits()).build_many_from_hir(&bare);
                Ok(Self::General(Box::new(regex.map_err(|error| error.to_string())?)))
            }
        }
    }

    /// The first pattern, in the order of the file, that matches. All are anchored at both ends, so that
    /// leftmost-first is first-listed.
    fn of(&self, message: &[u8]) -> Option<Hit> {
        match self {
            Self::Dense(automaton) => automaton.which(message),
            Self::General(regex) => {
                let input = Input::new(message).anchored(Anchored::Yes);
                let found = regex.search_half(&input)?;
                Some(Hit { pattern: found.pattern().as_usize(), token: None })
            }
            Self::Nothing => None,
        }
    }
}

/// The endings of those patterns whose address is found from the end.
fn endings(hirs: &[Hir], locators: &[Locator]) -> Vec<Candidate> {
    let from_end = hirs.iter().enumerate().filter(|(pattern, _)| locators[*pattern].is_from_end());
    from_end.filter_map(|(pattern, hir)| Candidate::new(pattern, hir)).collect()
}

/// Bounds of the general engine, for patterns that no automaton fits.
pub(super) fn limits() -> meta::Config {
    meta::Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(NFA_LIMIT))
        .onepass_size_limit(Some(NFA_LIMIT))
        .hybrid_cache_capacity(NFA_LIMIT)
        .dfa(false)
}

/// Finds what a rule's `<USER>` stands for, or the `<ACCOUNT>` of a login; `None` where it has neither.
pub(super) fn user_finder(set: &RuleSet, rule: &Rule) -> Option<meta::Regex> {
    let hir = pattern::read(&rule.pattern, &set.alphabets()).ok()?;
    let named = |capture: &Capture| matches!(capture.name.as_deref(), Some("USER" | "ACCOUNT"));
    let bare = pattern::without_captures(&hir, named);
    meta::Builder::new()
        .configure(limits())
        .build_from_hir(&bare)
        .ok()
        .filter(|regex| regex.captures_len() > 1)
}

pub(super) fn user<'m>(finder: &meta::Regex, message: &'m [u8]) -> Option<&'m [u8]> {
    let mut captures = finder.create_captures();
    finder.search_captures(&Input::new(message), &mut captures);
    captures.get_group(1).and_then(|span| message.get(span.range()))
}

fn read(set: &RuleSet, rule: &Rule) -> Result<(Hir, Locator), Unreadable> {
    let whole = |text: String| Unreadable { text, at: 0 };
    if let Some(at) = pattern::own_address_group(&rule.pattern) {
        return Err(Unreadable { text: OWN_ADDRESS.into(), at });
    }
    address_fault(rule).map_or(Ok(()), |text| Err(whole(text)))?;
    let hir = pattern::read(&rule.pattern, &set.alphabets())?;
    match pattern::anchored(&hir) {
        (false, _) => return Err(whole(unanchored("begin with ^"))),
        (_, false) => return Err(whole(unanchored("end with $"))),
        (true, true) => {}
    }
    if let Some(text) = session_id::fault(&hir) {
        return Err(whole(text));
    }
    let locator = Locator::new(&hir).map_err(|error| whole(large(&error)))?;
    Ok((hir, locator))
}

/// Such a group could match half an address, and the attack's lures would not fit into it.
const OWN_ADDRESS: &str =
    "the address needs no group of its own: write <ADDR>, which takes every form that programs print";

fn unanchored(how: &str) -> String {
    format!(
        "the pattern must {how}: otherwise any text that a peer can get into a longer message would match"
    )
}

/// Whether the pattern names as many addresses as the rule needs.
fn address_fault(rule: &Rule) -> Option<String> {
    let named = pattern::addresses_named(&rule.pattern);
    match (rule.address, named) {
        (AddressFrom::Line | AddressFrom::Confirmed, 1) | (AddressFrom::Session, 0) => None,
        (AddressFrom::Line, 0) if rule.effect == Effect::Ignore => None,
        (AddressFrom::Line | AddressFrom::Confirmed, 0) => Some(
            "the pattern has no <ADDR>: mark where the peer's address stands, or say `address: session`"
                .into(),
        ),
        (AddressFrom::Session, 1) => {
            Some("`address: session` is for lines without an address: drop one of both".into())
        }
        _ => Some("the pattern has more than one <ADDR>: only one of them can be the peer".into()),
    }
}

fn field_faults(set: &RuleSet) -> Vec<Fault> {
    let fault = |alphabet: &str| match pattern::read_field(alphabet) {
        Err(error) => Some(format!("not a regex: {}", error.text)),
        Ok(_) => pattern::own_address_group(alphabet).map(|_| OWN_ADDRESS.to_owned()),
    };
    let faults = set.fields.iter().enumerate().filter_map(|(index, field)| Some((index, fault(&field.1)?)));
    faults.map(|(index, text)| Fault::error(Place::Field(index), text)).collect()
}

fn fault(index: usize, error: Unreadable) -> Fault {
    Fault {
        severity: Severity::Error,
        place: Place::Rule(index, "pattern"),
        offset: error.at,
        text: error.text,
    }
}

fn large(error: &str) -> String {
    format!("the pattern is too large to be matched in bounded memory ({error}): use smaller repetitions")
}

/// Which patterns are too large by themselves, or else that all of them are together.
fn too_large(chosen: &[(usize, &Rule)], hirs: &[Hir], error: &str) -> Vec<Fault> {
    let alone = |hir: &Hir| subsets::nfa(std::slice::from_ref(hir)).err();
    let faults: Vec<Fault> = chosen
        .iter()
        .zip(hirs)
        .filter_map(|(&(index, _), hir)| Some(fault(index, Unreadable { text: large(&alone(hir)?), at: 0 })))
        .collect();
    if faults.is_empty() {
        let text = format!("the patterns together are too large ({error}): make two rule sets of them");
        return vec![Fault::error(Place::Key("rules"), text)];
    }
    faults
}
