//! A rule set as its author wrote it: plain values, checked one by one but not yet compiled.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::json::JsonRule;
use super::threshold::Thresholds;
use crate::record::TimeSpec;

/// The longest message that is believed to be complete where a rule set for syslog does not say: programs cut their
/// messages with formats such as sshd's `%.500s`, and a longer line that ends in an address is rare.
pub(super) const DEFAULT_MESSAGE_LIMIT: usize = 500;

/// The placeholder for the stamp that `time:` describes.
pub(super) const TIME: &str = "TIME";

/// One YAML file: rules for one or a few programs, a threshold, a ban policy, samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    /// `sshd`: lower-case letters, digits and dashes, unique among the sets in force.
    pub name: String,
    /// One sentence for operators.
    pub about: String,
    /// The syslog tags whose lines are looked at, compared exactly; empty only where [`Format::needs_source`].
    pub programs: Vec<String>,
    /// How a line's message is found.
    pub format: Format,
    /// Whether the source address may be forged, as the author says; see [`RuleSet::worth`].
    pub evidence: Evidence,
    /// The claim `newlines: encoded`: the program never writes a newline that a peer sent as such, so that each line of
    /// its log is its own. Only [`Format::Raw`] needs it; syslog(3) and JSON encode them.
    pub newlines_encoded: bool,
    /// Where the program's log is usually: absolute paths or patterns of file names, of which the first that exists is
    /// followed for the set. Empty where the operator has to name a source.
    pub logs: Vec<String>,
    /// The program cuts its messages at this many bytes: in one that long, an address that stands after text of
    /// the peer's choosing may be forged and is not taken. Absent: 500, or none where [`Format::needs_source`] (`none` in its file).
    pub message_limit: Option<usize>,
    /// When offences become a ban; the configuration's default where absent.
    pub threshold: Option<Thresholds>,
    /// For how long; the configuration's default where absent.
    pub ban: Option<BanPolicy>,
    /// How its lines say when they were written; only where [`Format::needs_source`]. Absent: by a form that is known.
    pub time: Option<TimeSpec>,
    /// Alphabets of the placeholders for text of the peer's choosing: name and regex, `USER` and `[^:]*`.
    pub fields: Vec<(String, String)>,
    /// What an operator should check or do about lines of this set.
    pub advice: Vec<String>,
    /// The rules; the first one that matches a line is the one that counts.
    pub rules: Vec<Rule>,
    /// Lines with the answer they must get.
    pub samples: Vec<Sample>,
}

/// One kind of line.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// `failed-password`: unique in its set, but for a set with [`Format::Json`], where several rules may be one to people.
    pub id: String,
    /// A byte regex with placeholders: `^Failed password for <USER> from <ADDR> port \d{1,5} ssh2$`. Empty with
    /// [`Format::Json`].
    pub pattern: String,
    /// What is asked of a line in place of a pattern; with [`Format::Json`] only.
    pub json: Option<JsonRule>,
    /// Patterns that keep the rule from matching a message in which one of them is found: vetoes. They are anchored only
    /// where they say so.
    pub unless: Vec<String>,
    /// What a match does.
    pub effect: Effect,
    /// How much a match counts towards the threshold.
    pub weight: Weight,
    /// Whether lines of one session corroborate each other.
    pub counts: Counts,
    /// Where the peer's address comes from; with [`Format::Json`] always the line.
    pub address: AddressFrom,
    /// The length from which messages of this rule are taken for cut, if that is less than what holds for the set.
    pub message_limit: Option<usize>,
    /// Whether such a line is the last of its session: what the same pid says later is another peer's.
    pub ends_session: bool,
    /// Off only for rules that an operator has to ask for.
    pub enabled: bool,
    /// One or two sentences for operators.
    pub means: String,
    /// What an operator should check or do about this line.
    pub advice: Vec<String>,
}

/// A line and the answer it must get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The whole line, header included.
    pub line: String,
    /// The id of the rule that must match; `None` when none may.
    pub rule: Option<String>,
    /// The address that must be found; `None` when none may.
    pub address: Option<IpAddr>,
}

/// How a line's message is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Behind a syslog header.
    #[default]
    Syslog,
    /// The whole line is the message.
    Raw,
    /// The whole line is an object, whose values are asked for by their keys.
    Json,
}

impl Format {
    /// Whether sets of this format look only at sources that name them: a line without a syslog header says of no
    /// program that it is its own.
    pub const fn needs_source(self) -> bool {
        match self {
            Self::Syslog => false,
            Self::Raw | Self::Json => true,
        }
    }

    /// The word used in rule files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::Raw => "raw",
            Self::Json => "json",
        }
    }
}

/// What the source address of a matching line is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// The peer completed a TCP handshake: the address is its own.
    #[default]
    Handshake,
    /// Anybody can send a packet that carries this address.
    Spoofable,
}

/// What a match does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Counts towards a ban.
    #[default]
    Offence,
    /// A successful login: the address gets more patience for some days.
    Trust,
    /// Says what the line is, and that it does not count.
    Ignore,
}

/// Whether lines of one session corroborate each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Counts {
    /// The lines of one pid belong to one peer; an attempt that logs three lines counts once.
    #[default]
    Session,
    /// Every line is an event of its own, as those of a listener that serves all peers.
    Line,
    /// The line sums up what lines of other processes said of the peer before: it counts where none of late did.
    Summary,
}

/// Where the peer's address comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddressFrom {
    /// From `<ADDR>` in the pattern.
    #[default]
    Line,
    /// From `<ADDR>`, but only where another line of the same session names the same peer.
    Confirmed,
    /// The line names none: it is the one that the same session named in another line.
    Session,
}

impl Counts {
    /// The word used in rule files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Line => "line",
            Self::Summary => "summary",
        }
    }
}

/// How much a match counts, in tenths: one wrong password is 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u16);

impl Weight {
    /// A plain offence.
    pub const ONE: Self = Self(10);

    /// From tenths, 0 to 1000.
    pub const fn from_tenths(tenths: u16) -> Option<Self> {
        if tenths <= 1000 { Some(Self(tenths)) } else { None }
    }

    /// The weight in tenths.
    pub const fn tenths(self) -> u32 {
        self.0 as u32
    }
}

impl RuleSet {
    /// One of its rules as people and programs name it: `sshd/failed-password`.
    pub fn name_of(&self, rule: &Rule) -> String {
        format!("{}/{}", self.name, rule.id)
    }

    /// What each placeholder but the address stands for: name and regex.
    pub(super) fn alphabets(&self) -> Vec<(String, String)> {
        let time = self.time.as_ref().map(|spec| (TIME.to_owned(), spec.regex()));
        self.fields.iter().cloned().chain(time).collect()
    }

    /// What its lines are worth at the most. In a log that a program writes by itself, a newline that a peer sent begins
    /// a line of the peer's own, whatever the set says of the program's connections; unless it claims otherwise. JSON has no
    /// newline in a string.
    pub fn worth(&self) -> Evidence {
        let may_be_forged = self.format == Format::Raw && !self.newlines_encoded;
        if may_be_forged { Evidence::Spoofable } else { self.evidence }
    }

    /// The length at which messages for the set are taken for cut. Raw lines hold what peers may make long, such as
    /// requests, and no syslog function shortens them: there is no limit unless the set says so. What was cut is no JSON.
    pub fn limit(&self) -> Option<usize> {
        self.message_limit.or_else(|| (self.format == Format::Syslog).then_some(DEFAULT_MESSAGE_LIMIT))
    }

    /// The same for messages of one of its rules, which may be less.
    pub fn limit_of(&self, rule: &Rule) -> Option<usize> {
        self.limit().into_iter().chain(rule.message_limit).min()
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

/// How long a ban lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BanPolicy {
    /// The first ban.
    pub length: BanLength,
    /// How the next ones grow; none without it.
    pub escalate: Option<Escalate>,
}

/// The length of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanLength {
    /// It ends by itself.
    For(Duration),
    /// Until an operator ends it.
    Forever,
}

/// Each further ban is longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Escalate {
    /// Each ban is this many times the one before; at least 1.
    pub factor: f64,
    /// But never longer than this.
    pub max: Duration,
    /// After this long without a ban the next one is a first one again.
    pub forget: Duration,
}

/// Something wrong with a rule set, and where; the configuration turns places into lines and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Error or warning.
    pub severity: Severity,
    /// The part that is wrong.
    pub place: Place,
    /// The byte inside that part's text at which it is wrong; 0 for the whole of it.
    pub offset: usize,
    /// A sentence: what, why, what to do.
    pub text: String,
}

/// Whether a fault keeps a rule set from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Warning,
    /// The rule set is refused.
    Error,
}

/// A part of a rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A key of the whole set: `Key("samples")`.
    Key(&'static str),
    /// The alphabet of a placeholder, by its index in [`RuleSet::fields`].
    Field(usize),
    /// A key of a rule: index and key.
    Rule(usize, &'static str),
    /// One of the vetoes of a rule: index of the rule, and of the veto in [`Rule::unless`].
    Unless(usize, usize),
    /// A key of a sample: index and key.
    Sample(usize, &'static str),
}

impl Fault {
    /// Something that keeps the set from being used.
    pub fn error(place: Place, text: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place, offset: 0, text: text.into() }
    }

    /// Something worth knowing.
    pub fn warning(place: Place, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, place, offset: 0, text: text.into() }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / 10.0)
    }
}

impl Evidence {
    /// The word used in rule files and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Spoofable => "spoofable",
        }
    }
}

impl Effect {
    /// The word used in rule files and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offence => "offence",
            Self::Trust => "trust",
            Self::Ignore => "ignore",
        }
    }
}
