//! The pages portcullis.yaml(5) and portcullis-rules(5) are true: no key is missing, and their examples pass the check.

use crate::architecture::source::sources;
use crate::util::Dir;

const CONFIG: &str = include_str!("../contrib/man/portcullis.yaml.5.in");
const RULES: &str = include_str!("../contrib/man/portcullis-rules.5.in");

/// Methods of `Keys` that take the name of a key first.
const ASKS: [&str; 4] = ["get(", "or(", "maybe(", "must("];

/// The keys that `src/config` asks for.
fn asked_keys() -> Vec<String> {
    let sources = sources();
    let config = sources.iter().filter(|source| source.module == "config");
    let mut keys: Vec<String> = config.flat_map(|source| asked_in(&source.code)).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn asked_in(code: &str) -> Vec<String> {
    let code = code.replace(char::is_whitespace, "");
    let asked = ASKS.iter().flat_map(|ask| {
        let open = format!(".{ask}\"");
        let names = code.split(&open).skip(1).filter_map(|rest| rest.split('"').next());
        names.map(str::to_owned).collect::<Vec<_>>()
    });
    asked.collect()
}

/// The words that a page names as keys or values: the arguments of its `Cm` macros.
fn named(page: &str) -> Vec<&str> {
    page.lines().filter(|line| line.contains("Cm ")).flat_map(|line| line.split([' ', ','])).collect()
}

/// The literal displays of a page, as mdoc(7) shows them.
fn examples(page: &str) -> Vec<String> {
    let open = ".Bd -literal -offset indent\n";
    let text = page.split(open).skip(1).filter_map(|rest| rest.split(".Ed\n").next());
    text.map(|text| text.replace("\\e", "\\")).collect()
}

#[test]
fn every_key_is_in_a_page_of_the_manual() {
    let keys = asked_keys();
    assert!(keys.len() > 80, "only {} keys were found: {keys:?}", keys.len());
    let known: Vec<&str> = named(CONFIG).into_iter().chain(named(RULES)).collect();
    let missing: Vec<&String> = keys.iter().filter(|key| !known.contains(&key.as_str())).collect();
    assert!(missing.is_empty(), "portcullis.yaml(5) and portcullis-rules(5) do not name {missing:?}");
}

#[test]
fn the_examples_of_the_manual_pass_the_check() {
    let dir = Dir::new();
    let rule_files = examples(RULES);
    assert_eq!(rule_files.len(), 1);
    dir.write("rules.d/exampleftpd.yaml", &rule_files[0]);
    let told = dir.portcullis(["check", "rules.d/exampleftpd.yaml"]).ok();
    assert!(told.contains("every rule proven: 0 errors, 0 warnings"), "{told}");
    let configurations = examples(CONFIG);
    assert_eq!(configurations.len(), 2);
    for text in configurations {
        let rules = dir.path().join("rules.d");
        dir.write("portcullis.yaml", format!("{text}rules_dir: {}\n", rules.display()));
        let told = dir.portcullis(["check", "-c", "portcullis.yaml"]).ok();
        assert!(told.contains("0 errors"), "{told}");
    }
}
