//! `portcullis rules`: the rule sets in force, and the text of one.

use std::io::Write;

use serde_json::{Value, json};

use super::args::RulesArgs as Arguments;
use super::exit::{Exit, Failure};
use super::text::{Table, printable, printable_path, write_json};
use crate::config::{self, FileTrust, Loaded, ResolvedSet, SHIPPED, Shipped, ThisMachine, or_near};
use crate::engine::for_forgeable;
use crate::rules::{BanLength, BanPolicy, Escalate, Format, RuleSet, Threshold, Thresholds};
use crate::setup::Refused;
use crate::time::spoken;

/// Runs the command; exit status 1 if there is no rule set of that name.
pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut loaded =
        config::load(&ThisMachine, arguments.config.config.as_deref(), SHIPPED, FileTrust::of_this_user());
    let sets = loaded.resolve(&ThisMachine);
    if loaded.diagnostics.has_errors() {
        return Err(Refused(loaded.diagnostics).into());
    }
    if arguments.available {
        available(out, &sets, arguments.json)?;
    } else if let Some(name) = &arguments.name {
        one(out, &loaded, &sets, name, arguments.json)?;
    } else if arguments.json {
        let objects: Vec<Value> = sets.iter().map(|set| object(&loaded, set)).collect();
        write_json(out, objects)?;
    } else {
        table(&loaded, &sets).write(out)?;
    }
    Ok(Exit::Ok)
}

fn one(
    out: &mut dyn Write,
    loaded: &Loaded,
    sets: &[ResolvedSet],
    name: &str,
    json: bool,
) -> Result<(), Failure> {
    let in_force = sets.iter().find(|set| set.set.name == name);
    let origin = in_force.map(|set| set.origin);
    let origin = origin.or_else(|| loaded.rules.iter().position(|rules| rules.file.set.name == name));
    let content = match (origin, SHIPPED.iter().find(|shipped| shipped.name() == name)) {
        (Some(origin), _) => text(loaded, origin)?,
        (None, Some(shipped)) => shipped.text.as_bytes().to_vec(),
        (None, None) => return Err(no_such(loaded, name)),
    };
    if !json {
        return Ok(out.write_all(&content)?);
    }
    let mut object = in_force.map_or_else(|| json!({"name": name}), |set| object(loaded, set));
    object["text"] = json!(String::from_utf8_lossy(&content));
    Ok(write_json(out, object)?)
}

fn no_such(loaded: &Loaded, name: &str) -> Failure {
    let mut names: Vec<&str> = loaded.rules.iter().map(|rules| rules.file.set.name.as_str()).collect();
    for shipped in SHIPPED.iter().filter(|shipped| !shipped.by_default) {
        names.push(shipped.name());
    }
    let text = format!("there is no rule set `{}`{}", printable(name.as_bytes()), or_near(name, &names));
    Failure::new(Exit::Nothing, text)
}

fn text(loaded: &Loaded, origin: usize) -> Result<Vec<u8>, Failure> {
    let path = loaded.rules[origin].file.path();
    match SHIPPED.iter().find(|shipped| path.as_os_str() == shipped.path) {
        Some(shipped) => Ok(shipped.text.as_bytes().to_vec()),
        None => std::fs::read(path)
            .map_err(|error| Failure::new(Exit::NoInput, format!("{}: {error}", printable_path(path)))),
    }
}

fn table(loaded: &Loaded, sets: &[ResolvedSet]) -> Table {
    let mut table = Table::new(&["RULE SET", "PROGRAMS", ">RULES", "EVIDENCE", "THRESHOLD", "BAN", "FROM"]);
    for set in sets {
        table.row(vec![
            set.set.name.clone(),
            programs(&set.set),
            set.set.rules.iter().filter(|rule| rule.enabled).count().to_string(),
            set.set.worth().as_str().to_owned(),
            thresholds(&set.threshold),
            length(&in_force(set)),
            from(loaded, set),
        ]);
    }
    table
}

/// The shipped sets that are not in force, with what each is for.
fn available(out: &mut dyn Write, sets: &[ResolvedSet], json: bool) -> Result<(), Failure> {
    let is_in_force = |shipped: &&Shipped| sets.iter().any(|set| set.set.name == shipped.name());
    let others = SHIPPED.iter().filter(|shipped| !is_in_force(shipped));
    let others: Vec<RuleSet> = others.filter_map(|one| one.read().0).map(|rules| rules.file.set).collect();
    if json {
        let object = |set: &RuleSet| json!({"name": set.name, "about": set.about, "programs": set.programs});
        return Ok(write_json(out, others.iter().map(object).collect::<Vec<_>>())?);
    }
    let mut table = Table::new(&["RULE SET", "ABOUT"]);
    others.iter().for_each(|set| table.row(vec![set.name.clone(), set.about.clone()]));
    table.write(out)?;
    Ok(())
}

/// The programs whose lines a set applies to, or in brackets the format of a set that applies to whole logs.
fn programs(set: &RuleSet) -> String {
    match set.format {
        Format::Syslog => set.programs.join(", "),
        Format::Raw | Format::Json => format!("({})", set.format.as_str()),
    }
}

fn object(loaded: &Loaded, set: &ResolvedSet) -> Value {
    let rules = set.set.rules.iter().filter(|rule| rule.enabled).map(|rule| &rule.id);
    json!({
        "name": set.set.name,
        "about": set.set.about,
        "programs": set.set.programs,
        "rules": rules.collect::<Vec<_>>(),
        "evidence": set.set.worth().as_str(),
        "offences": set.threshold.shortest().offences,
        "within": set.threshold.shortest().within.as_secs(),
        "thresholds": set.threshold.iter().map(threshold).collect::<Vec<_>>(),
        "ban": ban(&in_force(set)),
        "from": from(loaded, set),
    })
}

/// `5 in 10m, 12 in 1d`
fn thresholds(thresholds: &Thresholds) -> String {
    let window = |threshold: Threshold| format!("{} in {}", threshold.offences, spoken(threshold.within));
    thresholds.iter().map(window).collect::<Vec<_>>().join(", ")
}

/// A threshold as JSON, with `within` in seconds.
fn threshold(threshold: Threshold) -> Value {
    json!({"offences": threshold.offences, "within": threshold.within.as_secs()})
}

/// The ban policy that applies: a milder one if the lines may be forged although the connections cannot.
fn in_force(set: &ResolvedSet) -> BanPolicy {
    if set.set.worth() == set.set.evidence { set.ban } else { for_forgeable(set.ban) }
}

/// A ban policy as JSON, in seconds. `for` is null if a ban lasts for ever, `escalate` if later bans are not longer.
fn ban(ban: &BanPolicy) -> Value {
    let seconds = match ban.length {
        BanLength::For(length) => Some(length.as_secs()),
        BanLength::Forever => None,
    };
    let escalate = |escalate: Escalate| {
        json!({
            "factor": escalate.factor,
            "max": escalate.max.as_secs(),
            "forget": escalate.forget.as_secs(),
        })
    };
    json!({"for": seconds, "escalate": ban.escalate.map(escalate)})
}

fn length(ban: &BanPolicy) -> String {
    let first = match ban.length {
        BanLength::For(length) => spoken(length),
        BanLength::Forever => return "for ever".to_owned(),
    };
    match ban.escalate {
        Some(escalate) => format!("{first}, then ×{} up to {}", escalate.factor, spoken(escalate.max)),
        None => first,
    }
}

fn from(loaded: &Loaded, set: &ResolvedSet) -> String {
    let rules = &loaded.rules[set.origin];
    if rules.custom { rules.file.path().display().to_string() } else { "built in".to_owned() }
}
