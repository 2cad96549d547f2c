//! Every rule set that is shipped gives the answers of its samples when a configuration names it and follows its log.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis::config::RuleFile;
use portcullis::rules::RuleSet;
use serde_json::Value;

use crate::util::{Dir, project};

fn packs() -> Vec<PathBuf> {
    let files = fs::read_dir(project("rules")).unwrap().map(|entry| entry.unwrap().path());
    let mut packs: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|is| is == "yaml")).collect();
    packs.sort();
    packs
}

fn read(path: &Path) -> RuleSet {
    let (file, diagnostics) = RuleFile::read(path, &fs::read(path).unwrap());
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    file.unwrap().set
}

#[test]
fn a_set_that_a_configuration_names_finds_in_its_log_what_its_samples_say() {
    let packs = packs();
    assert!(packs.len() > 2, "{packs:?}");
    for path in packs {
        let set = read(&path);
        let name = &set.name;
        let dir = Dir::new();
        let log: String = set.samples.iter().map(|sample| format!("{}\n", sample.line)).collect();
        dir.write("pack.log", log);
        let here = dir.path().display();
        dir.write(
            "etc/p.yaml",
            format!(
                "rules_dir: '{here}/etc/rules.d'\nrule_sets: [{name}]\n\
                 sources: {{log: {{path: '{here}/pack.log', rule_sets: [{name}]}}}}\n"
            ),
        );
        let log = dir.path().join("pack.log");
        let arguments = ["match", "-c", "etc/p.yaml", "--json", "--all", log.to_str().unwrap()];
        let found = dir.portcullis(arguments).run().json_lines();
        // A rule that an operator has to enable leaves its lines to others here.
        let is_off = |id: &String| set.rules.iter().any(|rule| rule.id == *id && !rule.enabled);
        for (number, sample) in (1u64..).zip(&set.samples) {
            if sample.rule.as_ref().is_some_and(is_off) {
                continue;
            }
            let answer = found.iter().find(|line| line["line"] == number);
            let answer = answer.unwrap_or_else(|| panic!("{name}: no answer about {}", sample.line));
            let rule = sample.rule.as_ref().map_or(Value::Null, |rule| format!("{name}/{rule}").into());
            assert_eq!(answer["rule"], rule, "{name}: {}", sample.line);
            let address = sample.address.map_or(Value::Null, |address| address.to_string().into());
            assert_eq!(answer["address"], address, "{name}: {}", sample.line);
        }
    }
}
