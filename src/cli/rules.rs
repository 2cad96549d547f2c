//! `portcullis rules`: the rule sets in force, and the text of one.

use std::io::Write;

use serde_json::json;

use super::args::Rules as Arguments;
use super::exit::{Exit, Failure};
use super::text::{Table, duration};
use crate::config::{self, FileTrust, Loaded, ResolvedSet, SHIPPED};
use crate::daemon::Refused;
use crate::rules::{Ban, BanLength};

/// Runs the command; 1 when there is no set of that name.
pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut loaded = config::load(arguments.config.config.as_deref(), &SHIPPED, FileTrust::of_this_user());
    let sets = loaded.resolve();
    if loaded.diagnostics.has_errors() {
        return Err(Refused(loaded.diagnostics).into());
    }
    match &arguments.name {
        Some(name) => text(out, &loaded, &sets, name),
        None if arguments.json => Ok(list_json(out, &loaded, &sets).map(|()| Exit::Ok)?),
        None => Ok(table(&loaded, &sets).write(out).map(|()| Exit::Ok)?),
    }
}

fn text(out: &mut dyn Write, loaded: &Loaded, sets: &[ResolvedSet], name: &str) -> Result<Exit, Failure> {
    let in_force = sets.iter().find(|set| set.set.name == name).map(|set| set.origin);
    let known = in_force.or_else(|| loaded.rules.iter().position(|rules| rules.file.set.name == name));
    let Some(origin) = known else {
        let names: Vec<&str> = loaded.rules.iter().map(|rules| rules.file.set.name.as_str()).collect();
        let text = format!("there is no rule set `{name}`; there are {}", names.join(", "));
        return Err(Failure::new(Exit::Nothing, text));
    };
    let path = loaded.rules[origin].file.path();
    let shipped = SHIPPED.iter().find(|shipped| path.as_os_str() == shipped.path);
    let content = match shipped {
        Some(shipped) => shipped.text.as_bytes().to_vec(),
        None => std::fs::read(path)
            .map_err(|error| Failure::new(Exit::NoInput, format!("{}: {error}", path.display())))?,
    };
    out.write_all(&content)?;
    Ok(Exit::Ok)
}

fn table(loaded: &Loaded, sets: &[ResolvedSet]) -> Table {
    let mut table = Table::new(&["RULE SET", "PROGRAMS", ">RULES", "EVIDENCE", "THRESHOLD", "BAN", "FROM"]);
    for set in sets {
        table.row(vec![
            set.set.name.clone(),
            if set.set.programs.is_empty() { "(raw)".into() } else { set.set.programs.join(", ") },
            set.set.rules.iter().filter(|rule| rule.enabled).count().to_string(),
            set.set.evidence.as_str().to_owned(),
            format!("{} in {}", set.threshold.offences, duration(set.threshold.within)),
            length(&set.ban),
            from(loaded, set),
        ]);
    }
    table
}

fn list_json(out: &mut dyn Write, loaded: &Loaded, sets: &[ResolvedSet]) -> std::io::Result<()> {
    let object = |set: &ResolvedSet| {
        json!({
            "name": set.set.name,
            "about": set.set.about,
            "programs": set.set.programs,
            "rules": set.set.rules.iter().filter(|rule| rule.enabled).map(|rule| &rule.id).collect::<Vec<_>>(),
            "evidence": set.set.evidence.as_str(),
            "offences": set.threshold.offences,
            "within": duration(set.threshold.within),
            "ban": length(&set.ban),
            "from": from(loaded, set),
        })
    };
    writeln!(out, "{}", json!(sets.iter().map(object).collect::<Vec<_>>()))
}

fn length(ban: &Ban) -> String {
    let first = match ban.length {
        BanLength::For(length) => duration(length),
        BanLength::Forever => return "for ever".to_owned(),
    };
    match ban.escalate {
        Some(escalate) => format!("{first}, then ×{} up to {}", escalate.factor, duration(escalate.max)),
        None => first,
    }
}

fn from(loaded: &Loaded, set: &ResolvedSet) -> String {
    let rules = &loaded.rules[set.origin];
    if rules.custom { rules.file.path().display().to_string() } else { "built in".to_owned() }
}
