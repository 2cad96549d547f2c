//! `extends: sshd`: a rule file that adds to a set in place of copying it.
//!
//! The set keeps its name, its programs and its ban. Its own rules come first, so that what is added changes nothing of what
//! it knows; an operator who wants that switches a rule off under `override`.

use super::rule_file::LoadedRules;
use crate::config::text::diagnostic::Diagnostics;
use crate::config::text::suggest::or_near;
use crate::rules::{Fault, Format, MAX_WINDOWS, Place, RuleSet, Threshold, Thresholds};

/// Puts each extension together with the set that it extends, in whose place it is from then on.
///
/// An extension of nothing is told and left out.
pub fn extend_all(rules: &mut Vec<LoadedRules>, told: &mut Diagnostics) {
    let (extensions, mut sets): (Vec<LoadedRules>, Vec<LoadedRules>) = std::mem::take(rules)
        .into_iter()
        .partition(|rules| rules.file.extends.is_some() && rules.file.base.is_none());
    let names: Vec<String> = sets.iter().map(|set| set.file.set.name.clone()).collect();
    for extension in extensions {
        let wanted = extension.file.extends.clone().unwrap_or_default();
        let is_base = |custom: bool, set: &LoadedRules| set.custom == custom && set.file.set.name == wanted;
        let own = sets.iter().position(|set| is_base(true, set));
        let Some(base) = own.or_else(|| sets.iter().position(|set| is_base(false, set))) else {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let text = format!("there is no rule set `{wanted}` to extend{}", or_near(&wanted, &names));
            told.push(extension.file.diagnose(&Fault::error(Place::Key("extends"), text)));
            continue;
        };
        if let Some(first) = sets[base].file.base.is_some().then(|| sets[base].file.path().display()) {
            let text = format!("{first} extends `{wanted}` already: put both into one file");
            told.push(extension.file.diagnose(&Fault::error(Place::Key("extends"), text)));
            continue;
        }
        let (set, faults) = together(&sets[base].file.set, &extension.file.set);
        told.extend(faults.iter().map(|fault| extension.file.diagnose(fault)));
        let base = if own.is_some() { sets.remove(base) } else { sets[base].clone() };
        sets.push(LoadedRules { file: extension.file.on(base.file, set), ..extension });
    }
    *rules = sets;
}

/// A set with what is added to it, and what of that it has already.
fn together(base: &RuleSet, added: &RuleSet) -> (RuleSet, Vec<Fault>) {
    let mut faults = Vec::new();
    for (nth, rule) in added.rules.iter().enumerate() {
        let is_json = rule.json.is_some();
        let word = if is_json { "where" } else { "pattern" };
        if is_json != (base.format == Format::Json) {
            let name = &base.name;
            let format = base.format.as_str();
            let text =
                format!("`{word}` cannot be used here: `{name}`, which is extended, has `format: {format}`");
            faults.push(Fault::error(Place::Rule(nth, word), text));
        } else if base.rules.iter().any(|known| known.id == rule.id && !is_json) {
            let text = format!("`{}` has a rule `{}` already: give this one another id", base.name, rule.id);
            faults.push(Fault::error(Place::Rule(nth, "id"), text));
        }
    }
    for (nth, (field, _)) in added.fields.iter().enumerate() {
        if base.fields.iter().any(|(known, _)| known == field) {
            let text = format!("`{}` has a field `{field}` already: it may be used here", base.name);
            faults.push(Fault::error(Place::Field(nth), text));
        }
    }
    let stated = [&base.threshold, &added.threshold].into_iter().flatten();
    let windows: Vec<Threshold> = stated.flat_map(Thresholds::iter).collect();
    if windows.len() > MAX_WINDOWS {
        let text = format!("with those of `{}` there would be more than {MAX_WINDOWS} windows", base.name);
        faults.push(Fault::error(Place::Key("threshold"), text));
    }
    let set = RuleSet {
        threshold: Thresholds::new(windows).or(base.threshold),
        fields: [base.fields.clone(), added.fields.clone()].concat(),
        advice: [base.advice.clone(), added.advice.clone()].concat(),
        rules: [base.rules.clone(), added.rules.clone()].concat(),
        samples: [base.samples.clone(), added.samples.clone()].concat(),
        ..base.clone()
    };
    (set, faults)
}
