//! The keys of a rule file, one after the other.

use super::keys::Keys;
use super::policy;
use super::reader::Node;
use super::reports::reports;
use super::rule::{self, Placed};
use super::time;
use super::values::{is_known, log_file, message_limit, name};
use crate::config::text::document::Document;
use crate::record::{TimeSpec, is_program_name};
use crate::rules::{BanPolicy, Evidence, Format, RuleSet, Thresholds};

const FORMATS: [(&str, Format); 3] =
    [("syslog", Format::Syslog), ("raw", Format::Raw), ("json", Format::Json)];

const PROGRAM: &str = "name the program whose lines are looked at, as in `program: sshd`";

/// Every line's program is looked up among them.
const MAX_PROGRAMS: usize = 100;

const LOGS: &str = "name the file that the program writes, as in `logs: [/var/log/nginx/error.log]`";

/// One program's log has a few usual places, one for each system.
const MAX_LOGS: usize = 20;

/// A rule set, and where in the file its n-th field, rule and sample stand.
pub(crate) struct LocatedRuleSet {
    pub(crate) set: RuleSet,
    pub(crate) extends: Option<String>,
    pub(crate) fields: Vec<usize>,
    pub(crate) rules: Vec<usize>,
    pub(crate) samples: Vec<usize>,
}

/// Reads the whole file; `None` when nothing can be made of it. Values with faults are replaced by defaults.
pub(crate) fn read(document: &Document, root: &Node<'_>) -> Option<LocatedRuleSet> {
    let mut keys = Keys::of(root)?;
    let version = keys.must("version", "a rule file begins with `version: 1`", |node| Some(is_known(node)));
    if version == Some(false) {
        return None;
    }
    let extends = keys.maybe("extends", name);
    let head = if extends.is_some() { addition(&mut keys) } else { head(&mut keys) };
    let (fields, field_places) = apart(keys.or("fields", Vec::new(), |node| fields(node, head.format)));
    let head = RuleSet { fields, ..head };
    let read_rules = |node: &Node<'_>| Some(rule::rules(document, node, &head, extends.is_some()));
    let rules = match extends {
        Some(_) => keys.maybe("rules", read_rules),
        None => keys.must("rules", "what is looked for", read_rules),
    };
    let ids = match extends {
        None => Some(root.peek("rules").map(|node| rule::ids(&node)).unwrap_or_default()),
        // Samples of an extension may name rules of the set that it extends.
        Some(_) => None,
    };
    let samples = keys.or("samples", Vec::new(), |node| Some(rule::samples(node, ids.as_deref())));
    keys.finish();
    let (samples, sample_places) = apart(samples);
    let (rules, rule_places) = apart(rules.unwrap_or_default());
    let set = RuleSet { rules, samples, ..head };
    Some(LocatedRuleSet { set, extends, fields: field_places, rules: rule_places, samples: sample_places })
}

fn apart<T>(parts: Placed<T>) -> (Vec<T>, Vec<usize>) {
    parts.into_iter().map(|(place, part)| (part, place)).unzip()
}

/// Keys of a set as a whole, which a file that adds to one cannot have.
const OF_THE_SET: [&str; 10] = [
    "program",
    "format",
    "evidence",
    "newlines",
    "logs",
    "message_limit",
    "ban",
    "reports",
    "time",
    "complete",
];

/// A set without fields, rules and samples, of a file that adds to another.
fn addition(keys: &mut Keys<'_>) -> RuleSet {
    for key in OF_THE_SET {
        if let Some(node) = keys.get(key) {
            node.fault("cannot be used with `extends`: it belongs to the set that is extended");
        }
    }
    RuleSet {
        name: keys.or("name", String::new(), name),
        about: keys.or("about", String::new(), Node::line),
        threshold: keys.maybe("threshold", policy::thresholds),
        advice: keys.or("advice", Vec::new(), |node| Some(node.texts())),
        ..RuleSet::default()
    }
}

/// A set without fields, rules and samples.
fn head(keys: &mut Keys<'_>) -> RuleSet {
    let name = keys.must("name", "a short name for the set, such as `sshd`", name);
    let about = keys.must("about", "one sentence for operators", Node::line);
    let format = keys.or("format", Format::Syslog, |node| node.word(&FORMATS));
    let programs = programs(keys, format);
    let evidence = keys.or("evidence", Evidence::Handshake, |node| {
        node.word(&[("handshake", Evidence::Handshake), ("spoofable", Evidence::Spoofable)])
    });
    let message_limit = limit(keys, format);
    let newlines_encoded = keys.or("newlines", false, |node| newlines(node, format));
    if format == Format::Raw {
        remark_on_raw(keys, evidence, newlines_encoded);
    }
    let threshold = keys.maybe("threshold", |node| threshold(node, evidence));
    RuleSet {
        name: name.unwrap_or_default(),
        about: about.unwrap_or_default(),
        programs,
        format,
        evidence,
        newlines_encoded,
        complete: keys.or("complete", false, Node::boolean),
        logs: keys.or("logs", Vec::new(), logs),
        message_limit,
        threshold,
        ban: keys.maybe("ban", |node| ban(node, evidence, threshold)),
        reports: keys.maybe("reports", |node| reports(node, evidence)),
        time: time(keys, format),
        fields: Vec::new(),
        advice: keys.or("advice", Vec::new(), |node| Some(node.texts())),
        rules: Vec::new(),
        samples: Vec::new(),
    }
}

/// The timestamp format of raw or JSON lines; that of a syslog line is in its header, by the logger.
fn time(keys: &mut Keys<'_>, format: Format) -> Option<TimeSpec> {
    let node = keys.get("time")?;
    match format {
        Format::Syslog => {
            node.fault("cannot be used with `format: syslog`: the timestamp in the line's header counts");
            None
        }
        Format::Raw => time::read(&node),
        Format::Json => time::read_json(&node),
    }
}

/// Alphabets of placeholders, which only patterns have.
fn fields(node: &Node<'_>, format: Format) -> Option<Placed<(String, String)>> {
    if format == Format::Json {
        node.fault("cannot be used with `format: json`: alphabets belong to placeholders of patterns");
        return None;
    }
    rule::fields(node)
}

/// The files of which the first that exists is followed.
fn logs(node: &Node<'_>) -> Option<Vec<String>> {
    let list = node.one_or_list(LOGS, MAX_LOGS);
    Some(list.iter().filter_map(log_file).collect())
}

/// The author's claim that newlines which peers send are encoded.
fn newlines(node: &Node<'_>, format: Format) -> Option<bool> {
    node.word(&[("encoded", ())])?;
    match format {
        Format::Syslog => {
            node.warn("this has no effect with `format: syslog`: syslog encodes newlines by itself");
        }
        Format::Json => node.warn("this has no effect with `format: json`: JSON encodes newlines by itself"),
        Format::Raw => {}
    }
    Some(true)
}

/// Warns about what the author of a set for raw lines left unsaid.
fn remark_on_raw(keys: &mut Keys<'_>, evidence: Evidence, newlines_encoded: bool) {
    let place = ["evidence", "format"].into_iter().find_map(|key| keys.get(key));
    if let (Evidence::Handshake, false, Some(place)) = (evidence, newlines_encoded, place) {
        place.warn(
            "a program that writes its log by itself may write newlines that peers send, and so whole lines of theirs: a line of \
             this log counts as evidence that may be forged, and a ban lasts ten minutes at the most; claim `newlines: \
             encoded` if the program never writes such a newline, or say `evidence: spoofable`",
        );
    }
    if keys.get("message_limit").is_none()
        && let Some(format) = keys.get("format")
    {
        format.warn(
            "say at how many bytes the program cuts its lines, as in `message_limit: 2048`, or `message_limit: none` if it \
             never does: in a line that was cut, the address may be the peer's words",
        );
    }
}

/// The limit of a set. What cuts a program's own log is the program, so that only its author can say.
fn limit(keys: &mut Keys<'_>, format: Format) -> Option<usize> {
    keys.maybe("message_limit", |node| {
        if format == Format::Json {
            node.fault(
                "cannot be used with `format: json`: a line that was cut is no JSON, and matches nothing",
            );
            return None;
        }
        if node.is_word("none") && format == Format::Raw { None } else { message_limit(node) }
    })
}

/// A syslog line is looked up by its program; no other names one.
fn programs(keys: &mut Keys<'_>, format: Format) -> Vec<String> {
    if format.needs_source() {
        if let Some(node) = keys.get("program") {
            let format = format.as_str();
            node.fault(format!("cannot be used with `format: {format}`: such a line names no program"));
        }
        return Vec::new();
    }
    let programs = |node: &Node<'_>| {
        let list = node.one_or_list(PROGRAM, MAX_PROGRAMS);
        Some(list.iter().filter_map(program).collect())
    };
    keys.must("program", PROGRAM, programs).unwrap_or_default()
}

/// A tag as syslog prints it before `[pid]:`, or the beginning of tags and a star.
fn program(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let name = text.strip_suffix('*').unwrap_or(text);
    let good = is_program_name(name.as_bytes()) && !text.ends_with(".*");
    if text == "*" || text.ends_with(".*") || (!good && name.contains('*')) {
        node.fault("may have a star at its end only, behind the beginning of a name, as in `postfix/*`: any text may follow there");
    } else if !good {
        let odd = name.chars().find(|c| !is_program_name(c.encode_utf8(&mut [0; 4]).as_bytes()));
        let odd = odd.map_or_else(|| "nothing".to_owned(), |c| format!("`{c}`"));
        node.fault(format!(
            "cannot hold {odd}: write the name that stands before `[pid]:` in the log, letter by letter, or a list of \
             names; for lines without such a name there is `format: raw`"
        ));
    }
    good.then(|| text.to_owned())
}

fn threshold(node: &Node<'_>, evidence: Evidence) -> Option<Thresholds> {
    let threshold = policy::thresholds(node)?;
    if let Some(why) = policy::too_low(&threshold, evidence) {
        node.warn(why);
    }
    Some(threshold)
}

/// Whoever forges addresses must not be able to lock others out for long.
fn ban(node: &Node<'_>, evidence: Evidence, threshold: Option<Thresholds>) -> Option<BanPolicy> {
    let ban = policy::ban(node)?;
    if let Some(why) = threshold.and_then(|threshold| policy::too_short(&threshold, &ban)) {
        node.warn(why);
    }
    if let Some(why) = policy::too_hard(&ban, evidence) {
        node.fault_plainly(why);
    }
    Some(ban)
}
