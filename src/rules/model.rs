//! A rule set as its author wrote it: plain values, checked one by one but not compiled yet.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::object::{JsonValue, KeyPath};
use super::reports::Reports;
use super::threshold::Thresholds;
use super::weight::Weight;
use crate::record::TimeSpec;

/// The message length, in bytes, from which a message counts as truncated unless its syslog rule set says otherwise:
/// programs cut their messages with formats such as sshd's `%.500s`, and a longer complete message that ends in an
/// address is rare.
pub(super) const DEFAULT_MESSAGE_LIMIT: usize = 500;

/// The placeholder for the timestamp that `time:` describes.
pub(super) const TIME: &str = "TIME";

/// One YAML file: rules for one or a few programs, thresholds, a ban policy, samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    /// Name of the set, such as `sshd`: lower-case letters, digits and dashes, unique among the sets in force.
    pub name: String,
    /// One sentence for operators.
    pub about: String,
    /// The syslog tags that the set looks at, compared exactly; empty only where [`Format::needs_source`].
    pub programs: Vec<String>,
    /// How a line's message is found.
    pub format: Format,
    /// Whether the source address can be forged, according to the author; see [`RuleSet::worth`].
    pub evidence: Evidence,
    /// The claim `newlines: encoded`: the program never logs a newline sent by a peer as such, so that it wrote every
    /// line of its log itself. Only [`Format::Raw`] needs it; syslog(3) and JSON encode newlines.
    pub newlines_encoded: bool,
    /// The rules know every line of the program that names an address: one that none of them matches is news to its author.
    pub complete: bool,
    /// Usual paths of the program's log: absolute paths or glob patterns, of which the first that exists is followed for
    /// the set. Empty if the operator has to name a source.
    pub logs: Vec<String>,
    /// The length in bytes at which the program cuts its messages. In a message that long, an address behind text of the
    /// peer's choosing may be forged and is not used. Absent: 500, or no limit (`none` in the file) where
    /// [`Format::needs_source`].
    pub message_limit: Option<usize>,
    /// Thresholds for a ban; the configuration's defaults if absent.
    pub threshold: Option<Thresholds>,
    /// Length and escalation of bans; the configuration's defaults if absent.
    pub ban: Option<BanPolicy>,
    /// The effect of what servers report of connections; `None` if the set takes no reports.
    pub reports: Option<Reports>,
    /// Format and place of timestamps; only where [`Format::needs_source`]. Absent: the known formats are tried.
    pub time: Option<TimeSpec>,
    /// Placeholders for text of the peer's choosing: name and regex of its alphabet, such as `USER` and `[^:]*`.
    pub fields: Vec<(String, String)>,
    /// Advice to operators on lines of this set.
    pub advice: Vec<String>,
    /// The rules. The first one that matches a line counts.
    pub rules: Vec<Rule>,
    /// Lines with the result that they must have.
    pub samples: Vec<Sample>,
}

/// One kind of line.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Id of the rule, such as `failed-password`: unique in its set, except with [`Format::Json`], where several rules
    /// may share one.
    pub id: String,
    /// A byte regex with placeholders: `^Failed password for <USER> from <ADDR> port \d{1,5} ssh2$`. Empty with
    /// [`Format::Json`].
    pub pattern: String,
    /// Conditions on the values of a line, in place of a pattern; with [`Format::Json`] only.
    pub json: Option<JsonRule>,
    /// Vetoes: patterns that, found anywhere in a message, keep the rule from matching it. They are anchored only where
    /// they say so.
    pub unless: Vec<String>,
    /// The effect of a match.
    pub effect: Effect,
    /// How much a match counts towards the threshold.
    pub weight: Weight,
    /// Whether lines of one session corroborate each other.
    pub counts: Counts,
    /// Which line names the peer; with [`Format::Json`] always this one.
    pub address: AddressFrom,
    /// The length in bytes from which messages of this rule count as truncated, if less than the set's.
    pub message_limit: Option<usize>,
    /// Whether a match ends its session: later lines with the same pid are about another peer.
    pub ends_session: bool,
    /// False for rules that an operator has to enable.
    pub enabled: bool,
    /// One or two sentences for operators.
    pub means: String,
    /// Advice to operators on this line.
    pub advice: Vec<String>,
}

/// The conditions of a rule on the object that a line is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JsonRule {
    /// Keys, each with the values of which it must have one.
    pub wanted: Vec<(KeyPath, Vec<JsonValue<'static>>)>,
    /// The key of the peer's address; absent only in rules for lines that do not count.
    pub address: Option<KeyPath>,
    /// Whether a port may follow the address.
    pub has_port: bool,
    /// The key of the user's name.
    pub user: Option<KeyPath>,
    /// The key of a connection id, in place of a process id.
    pub session: Option<KeyPath>,
}

/// A line and the result that it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The whole line, header included.
    pub line: String,
    /// The id of the rule that must match; `None` if none may.
    pub rule: Option<String>,
    /// The address that must be found; `None` if none may be.
    pub address: Option<IpAddr>,
}

/// Where the message of a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// After a syslog header.
    #[default]
    Syslog,
    /// The whole line is the message.
    Raw,
    /// The whole line is a JSON object, whose values are looked up by their keys.
    Json,
}

impl Format {
    /// Whether sets of this format apply only to sources that name them: a line without a syslog header does not say
    /// which program wrote it.
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

/// How credible the source address of a matching line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// The peer completed a TCP handshake: the address is its own.
    #[default]
    Handshake,
    /// Anybody can send a packet with this source address.
    Spoofable,
    /// The kernel itself named the peer of a TCP connection: no text was read. Counted together with handshakes.
    Kernel,
}

/// The effect of a match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Counts towards a ban.
    #[default]
    Offence,
    /// A successful login: the threshold of the address is raised for some days.
    Trust,
    /// No effect: the rule only explains the line.
    Ignore,
}

/// Whether lines of one session corroborate each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Counts {
    /// All lines of one pid are about one peer; an attempt that logs three lines counts once.
    #[default]
    Session,
    /// Every line is an event of its own, as for a server that handles all peers in one process.
    Line,
    /// The line sums up earlier lines of other processes about the peer: it counts only if none of these counted
    /// recently.
    Summary,
}

/// Which line names the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddressFrom {
    /// The matching line, at `<ADDR>`.
    #[default]
    Line,
    /// The matching line, at `<ADDR>`, if another line of the same session names the same peer.
    Confirmed,
    /// Another line of the same session.
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

impl RuleSet {
    /// The full name of one of its rules: `sshd/failed-password`.
    pub fn name_of(&self, rule: &Rule) -> String {
        format!("{}/{}", self.name, rule.id)
    }

    /// Name and regex of every placeholder but the address.
    pub(super) fn alphabets(&self) -> Vec<(String, String)> {
        let time = self.time.as_ref().map(|spec| (TIME.to_owned(), spec.regex()));
        self.fields.iter().cloned().chain(time).collect()
    }

    /// The best evidence that its lines can be. In a log that a program writes itself, a newline sent by a peer begins a
    /// line of the peer's own, whatever the set claims about the program's connections; unless it claims `newlines:
    /// encoded`. A JSON string holds no newline.
    pub fn worth(&self) -> Evidence {
        let may_be_forged = self.format == Format::Raw && !self.newlines_encoded;
        if may_be_forged { Evidence::Spoofable } else { self.evidence }
    }

    /// The length in bytes from which messages for the set count as truncated. Raw lines hold text that peers may make
    /// long, such as requests, and no syslog function shortens them: there is no limit unless the set has one. A
    /// truncated object is not valid JSON.
    pub fn limit(&self) -> Option<usize> {
        self.message_limit.or_else(|| (self.format == Format::Syslog).then_some(DEFAULT_MESSAGE_LIMIT))
    }

    /// The length in bytes from which messages of one rule count as truncated: its own limit or that of the set.
    pub fn limit_of(&self, rule: &Rule) -> Option<usize> {
        self.limit().into_iter().chain(rule.message_limit).min()
    }
}

/// Length and escalation of bans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BanPolicy {
    /// Length of the first ban.
    pub length: BanLength,
    /// How further bans grow; `None` if they do not.
    pub escalate: Option<Escalate>,
}

/// The length of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanLength {
    /// The ban ends by itself after this time.
    For(Duration),
    /// The ban lasts until an operator ends it.
    Forever,
}

/// How further bans of an offender grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Escalate {
    /// Factor on the length of the ban before; at least 1.
    pub factor: f64,
    /// The longest ban.
    pub max: Duration,
    /// After this long without a ban the next one counts as the first.
    pub forget: Duration,
}

/// A fault of a rule set and its place, which the configuration turns into line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether it is an error or a warning.
    pub severity: Severity,
    /// The faulty part.
    pub place: Place,
    /// Offset in bytes inside the text of that part; 0 for the whole part.
    pub offset: usize,
    /// A sentence: what is wrong, why, and what to do.
    pub text: String,
}

/// Whether a fault keeps a rule set from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// The rule set can be used.
    Warning,
    /// The rule set is refused.
    Error,
}

/// A part of a rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A key of the whole set, as in `Key("samples")`.
    Key(&'static str),
    /// The alphabet of a placeholder, by its index in [`RuleSet::fields`].
    Field(usize),
    /// A key of a rule, by the rule's index.
    Rule(usize, &'static str),
    /// A veto of a rule, by the index of the rule and of the veto in [`Rule::unless`].
    Unless(usize, usize),
    /// A key of a sample, by the sample's index.
    Sample(usize, &'static str),
}

impl Fault {
    /// A fault that keeps the set from being used.
    pub fn error(place: Place, text: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place, offset: 0, text: text.into() }
    }

    /// A fault with which the set can be used.
    pub fn warning(place: Place, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, place, offset: 0, text: text.into() }
    }
}

impl Evidence {
    /// The word used in rule files and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Spoofable => "spoofable",
            Self::Kernel => "kernel",
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
