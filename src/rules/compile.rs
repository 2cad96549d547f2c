//! A compiled rule set: which rule matches a message, and where the address is.

use regex_automata::meta;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Hir;

use super::found::Found;
use super::json::JsonRules;
use super::locate::Locator;
use super::model::{AddressFrom, Effect, Fault, Format, Place, Rule, RuleSet, Severity};
use super::pattern::own_groups;
use super::pattern::{self, Unreadable};
use super::regex::{NFA_LIMIT, limits};
use super::session_id;
use super::veto::Vetoes;

/// Capacity, in bytes, for the lazily built states of a set's regex. The shipped sets need half a megabyte; with less
/// than this, a set of 800 rules would rebuild them again and again.
const STATES_LIMIT: usize = 8 << 20;

/// One rule set, ready to be asked.
#[derive(Debug, Default)]
pub struct Compiled {
    /// The regex of all patterns; `None` if all rules are disabled.
    which: Option<meta::Regex>,
    locators: Vec<Locator>,
    /// The index of the rule in its set, for each pattern of the regex; disabled rules are not compiled.
    rules: Vec<usize>,
    /// For each pattern, the length in bytes from which a message counts as truncated.
    limits: Vec<usize>,
    vetoes: Vetoes,
    /// The rules of a set with [`Format::Json`], which has no patterns.
    pub(super) json: Option<JsonRules>,
}

impl Compiled {
    /// Compiles the enabled rules of a set.
    ///
    /// # Errors
    /// All faults of all patterns, not only the first.
    pub fn new(set: &RuleSet) -> Result<Self, Vec<Fault>> {
        Self::with(set, |rule| rule.enabled)
    }

    /// As [`Self::new`], for the rules that `wanted` selects.
    pub(super) fn with(set: &RuleSet, wanted: fn(&Rule) -> bool) -> Result<Self, Vec<Fault>> {
        let chosen: Vec<(usize, &Rule)> =
            set.rules.iter().enumerate().filter(|(_, rule)| wanted(rule)).collect();
        if set.format == Format::Json {
            return Ok(Self { json: Some(JsonRules::new(set, &chosen)), ..Self::default() });
        }
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
        let which = which(&hirs).map_err(|error| too_large(&chosen, &hirs, &error))?;
        let vetoes = Vetoes::new(set, &chosen, &hirs)?;
        let limits = chosen.iter().map(|(_, rule)| set.limit_of(rule).unwrap_or(usize::MAX)).collect();
        let rules = chosen.iter().map(|&(index, _)| index).collect();
        Ok(Self { which, locators, rules, limits, vetoes, json: None })
    }

    /// The first rule that matches the message, and its address.
    ///
    /// `cut` says that the end of the message may be missing; a message as long as the limit of its rule or set counts as
    /// truncated in any case.
    ///
    /// Some loggers append blanks to a message: if no rule matches a complete one as it stands, it is tried without them.
    /// A truncated one is not: its blanks may be a peer's, sent to fill it up.
    pub fn find(&self, message: &[u8], cut: bool) -> Option<Found> {
        if let Some(json) = &self.json {
            return json.find(message);
        }
        let (text, pattern) = match self.first_match(message) {
            Some(pattern) => (message, pattern),
            None => self.first_match_without_blanks(message)?,
        };
        let cut = cut || message.len() >= self.limits[pattern];
        if cut && text.len() < message.len() {
            return None;
        }
        if cut && self.vetoes.is_vetoable(pattern) {
            // The missing end may hold what a veto looks for.
            return None;
        }
        Some(Found { rule: self.rules[pattern], address: self.locators[pattern].find(text, cut) })
    }

    /// The part of a message that its rule matched: all of it, or all but the blanks at its end.
    pub(super) fn as_read<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        if message.last() != Some(&b' ') || self.first_match(message).is_some() {
            return message;
        }
        self.first_match_without_blanks(message).map_or(message, |(text, _)| text)
    }

    /// The message without trailing blanks, if it has any, and the first pattern that matches it so.
    fn first_match_without_blanks<'m>(&self, message: &'m [u8]) -> Option<(&'m [u8], usize)> {
        let blanks = message.iter().rev().take_while(|&&byte| byte == b' ').count();
        if blanks == 0 {
            return None;
        }
        let text = &message[..message.len() - blanks];
        Some((text, self.first_match(text)?))
    }

    /// The first pattern that matches and is not vetoed.
    fn first_match(&self, message: &[u8]) -> Option<usize> {
        // All patterns are anchored at both ends, so that leftmost-first is first-listed.
        let input = Input::new(message).anchored(Anchored::Yes);
        let pattern = self.which.as_ref()?.search_half(&input)?.pattern().as_usize();
        if self.vetoes.hold(pattern, message) { self.vetoes.next(message, pattern) } else { Some(pattern) }
    }

    /// Whether a veto of a rule, by its index in the set, is found in the message.
    pub(super) fn is_vetoed(&self, rule: usize, message: &[u8]) -> bool {
        let pattern = self.rules.iter().position(|known| *known == rule);
        pattern.is_some_and(|pattern| self.vetoes.hold(pattern, message))
    }

    /// Whether a message of the rule counts if its end may have been cut off.
    pub(super) fn counts_when_cut(&self, rule: usize) -> bool {
        let pattern = self.rules.iter().position(|&known| known == rule);
        pattern
            .is_some_and(|pattern| self.locators[pattern].survives_cut() && !self.vetoes.is_vetoable(pattern))
    }
}

/// The regex that says which of the patterns matches first, in the order of the file.
fn which(hirs: &[Hir]) -> Result<Option<meta::Regex>, String> {
    if hirs.is_empty() {
        return Ok(None);
    }
    let bare: Vec<Hir> = hirs.iter().map(|hir| pattern::without_captures(hir, |_| false)).collect();
    let config = limits().hybrid_cache_capacity(STATES_LIMIT);
    let regex = meta::Builder::new().configure(config).build_many_from_hir(&bare);
    regex.map(Some).map_err(|error| error.to_string())
}

fn read(set: &RuleSet, rule: &Rule) -> Result<(Hir, Locator), Unreadable> {
    let whole = |text: String| Unreadable { text, at: 0 };
    let hir = pattern::read(&rule.pattern, &set.alphabets())?;
    address_fault(rule, &hir).map_or(Ok(()), |text| Err(whole(text)))?;
    match pattern::anchored(&hir) {
        (false, _) => return Err(whole(unanchored("begin with ^"))),
        (_, false) => return Err(whole(unanchored("end with $"))),
        (true, true) => {}
    }
    if let Some(text) = session_id::fault(&hir) {
        return Err(whole(text.into()));
    }
    let locator = Locator::new(&hir).map_err(|error| whole(large(&error)))?;
    let locator = match (rule.effect, rule.address) {
        // The missing end of a login may have said that it was refused.
        (Effect::Trust, _) => locator.of_whole_messages(),
        (Effect::Offence, AddressFrom::Session) => locator.of_any_message(),
        _ => locator,
    };
    Ok((hir, locator))
}

fn unanchored(how: &str) -> String {
    format!(
        "the pattern must {how}: otherwise any text that a peer can get into a longer message would match"
    )
}

/// Refuses a pattern that names more or fewer addresses than its rule needs.
fn address_fault(rule: &Rule, hir: &Hir) -> Option<String> {
    let Some(named) = pattern::addresses_named(hir) else {
        return Some("<ADDR> stands in a repetition: a message has one peer".into());
    };
    match (rule.address, named) {
        (AddressFrom::Line | AddressFrom::Confirmed, 1) | (AddressFrom::Session, 0) => None,
        (AddressFrom::Line, 0) if rule.effect == Effect::Ignore => None,
        (AddressFrom::Line | AddressFrom::Confirmed, 0) => Some(
            "the pattern has no <ADDR>: mark where the peer's address stands, or say `address: session`"
                .into(),
        ),
        (AddressFrom::Session, 1) => {
            Some("`address: session` is for lines without an address: drop one of the two".into())
        }
        _ => Some(
            "a message can have more than one <ADDR>: only one of them can be the peer; it may stand once in each \
             alternative"
                .into(),
        ),
    }
}

fn field_faults(set: &RuleSet) -> Vec<Fault> {
    let fault = |alphabet: &str| match pattern::read_field(alphabet) {
        Err(error) => Some(format!("not a regex: {}", error.text)),
        Ok(_) => own_groups::fault_of_alphabet(alphabet),
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

/// Names the patterns that are too large by themselves, or else says that all together are.
fn too_large(chosen: &[(usize, &Rule)], hirs: &[Hir], error: &str) -> Vec<Fault> {
    let config = NFA::config().which_captures(WhichCaptures::None).nfa_size_limit(Some(NFA_LIMIT));
    let mut compiler = thompson::Compiler::new();
    compiler.configure(config);
    let alone = |hir: &Hir| Some(compiler.build_from_hir(hir).err()?.to_string());
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
