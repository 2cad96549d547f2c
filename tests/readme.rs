//! The README is true: its examples are checked, its outputs are compared, its tables are complete.

use std::fs;
use std::path::Path;

use portcullis::config::{Config, ConfigFile};

use crate::cli_help::commands;
use crate::util::{Dir, project};

const README: &str = include_str!("../README.md");

/// The example that `check` is shown to refuse.
const REFUSED: &str = "naive.yaml";

/// The text of each fenced block of a language, where it begins.
fn blocks(language: &str) -> Vec<&'static str> {
    let open = format!("```{language}\n");
    README.split(open.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The YAML example whose first line says `# file: NAME`.
fn example(name: &str) -> &'static str {
    let first = format!("# file: {name}\n");
    blocks("yaml").into_iter().find(|text| text.starts_with(&first)).expect("an example of this name")
}

/// Fails where the README shows other words than the program prints. Stamps of syslog have no year, so years differ.
#[track_caller]
fn assert_shown(printed: &str) {
    let yearless = |text: &str| {
        let years: Vec<&str> = text.split("-11-").collect();
        let cut = |part: &str| part.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        years.iter().map(|part| cut(part)).collect::<Vec<_>>().join("-11-")
    };
    assert!(
        yearless(README).contains(yearless(printed.trim_end()).as_str()),
        "the README shows other words than\n{printed}"
    );
}

#[test]
fn every_yaml_of_the_readme_says_which_file_it_is() {
    let names: Vec<&str> = blocks("yaml").iter().filter_map(|text| text.lines().next()).collect();
    assert_eq!(
        names,
        ["# file: naive.yaml", "# file: exampleftpd.yaml", "# file: caddy.yaml", "# file: portcullis.yaml"]
    );
}

#[test]
fn the_rule_files_of_the_readme_get_the_answers_that_it_shows() {
    for (name, code) in [(REFUSED, 78), ("exampleftpd.yaml", 0), ("caddy.yaml", 0)] {
        let dir = Dir::new();
        dir.write(name, example(name));
        let ran = dir.portcullis(["check", name]).run();
        assert_eq!(ran.code, code, "{ran:?}");
        assert_shown(&ran.out);
    }
}

#[test]
fn the_custom_rule_finds_what_the_readme_says() {
    let dir = Dir::new();
    dir.write("exampleftpd.yaml", example("exampleftpd.yaml"));
    let log: String = [
        "Login failed for anna from 192.0.2.7",
        "Login failed for x from 198.51.100.9 after 3 tries from 192.0.2.7",
    ]
    .map(|text| format!("Nov 23 10:15:01 gw exampleftpd[812]: {text}\n"))
    .concat();
    dir.write("ftp.log", log);
    assert_shown(&dir.portcullis(["match", "--rules", "exampleftpd.yaml", "ftp.log"]).ok());
}

#[test]
fn the_configuration_of_the_readme_is_the_default_and_passes_the_check() {
    let text = example("portcullis.yaml");
    let (file, told) = ConfigFile::read(Path::new("portcullis.yaml"), text.as_bytes());
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(file.expect("a configuration").config, Config::default());
    let dir = Dir::new();
    let here = format!("rules_dir: {}", dir.path().display());
    let text = text.replace("rules_dir: /usr/local/etc/portcullis/rules.d", &here);
    // A file of its own folder: the configuration itself is no rule file.
    dir.write("etc/portcullis.yaml", text);
    dir.portcullis(["check", "-c", "etc/portcullis.yaml"]).ok();
}

#[test]
fn the_first_command_of_the_readme_prints_what_it_shows() {
    let log = "tests/data/syncache-thread.log";
    let dir = Dir::new();
    dir.write(log, fs::read(project(log)).unwrap());
    assert_shown(&dir.portcullis(["scan", log]).ok());
    assert_eq!(
        blocks("sh")[0].lines().next(),
        Some("cargo run --release -- scan tests/data/syncache-thread.log")
    );
    assert!(project("tests/data/auth-mixed.log").is_file(), "the README reads it");
}

#[test]
fn the_table_of_commands_lists_every_command() {
    for command in commands() {
        let rows = ["`", " "].map(|end| format!("| `portcullis {command}{end}"));
        assert!(rows.iter().any(|row| README.contains(row)), "{command} is missing in the README");
    }
}
