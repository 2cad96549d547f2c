//! The README names every key that `--json` prints.

use std::collections::BTreeSet;

use serde_json::Value;

use super::stand::{Stand, failure};

const README: &str = include_str!("../../README.md");

/// The row of a command in the table of keys.
fn row(command: &str) -> &'static str {
    let (_, section) = README.split_once("\n## JSON\n").expect("a section about JSON");
    let start = format!("| `{command}` |");
    section.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no row for {command}"))
}

/// The keys of a value and of all that is in it.
fn keys(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(map) => {
            map.iter().flat_map(|(key, inner)| keys(inner).into_iter().chain([key.clone()])).collect()
        }
        Value::Array(items) => items.iter().flat_map(keys).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn the_readme_names_every_key_of_json() {
    let mut stand = Stand::pf();
    stand.more = "allow: [192.0.2.5]".to_owned();
    stand.start();
    stand.fail("203.0.113.7", 5);
    stand.until("it is blocked", |stand| stand.has("203.0.113.7"));
    stand.fail("203.0.113.8", 1);
    let log = stand.file("auth.log").display().to_string();
    let line = failure("203.0.113.7");
    let rules = stand.file("broken.yaml");
    std::fs::write(&rules, "version: 1\n").unwrap();
    assert_eq!(stand.cli(&["ban", "--for", "1d", "198.18.0.1"]).code, 0);
    let asked: [&[&str]; 14] = [
        &["status"],
        &["bans"],
        &["why", "203.0.113.7"],
        &["why", "203.0.113.8"],
        &["ban", "--for", "1h", "198.18.0.1", "192.0.2.5"],
        &["unban", "198.18.0.1", "198.18.0.2"],
        &["reload"],
        &["scan", &log],
        &["match", &log],
        &["explain", &line],
        &["check", &rules.display().to_string()],
        &["rules"],
        &["rules", "sshd"],
        &["doctor"],
    ];
    for words in asked {
        let ended = stand.cli(&[words, &["--json"]].concat());
        let known =
            if words[0] == "why" { [row("why"), row("bans")].concat() } else { row(words[0]).to_owned() };
        let printed: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let unknown: Vec<String> = keys(&Value::Array(printed))
            .into_iter()
            .filter(|key| !known.contains(&format!("`{key}`")))
            .collect();
        assert!(unknown.is_empty() && !ended.out.is_empty(), "{words:?}: {unknown:?} in {ended:?}");
    }
}
