//! Good and bad YAML files with what must be said about them, or read from them, in a file beside each.
//!
//! `config-*.yaml` is a configuration, everything else a rule file. `UPDATE_GOLDEN=1 cargo test golden` writes the
//! expected files anew; look at the difference before it is committed.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis::config::{ConfigFile, Diagnostic, RuleFile};

/// The YAML files of a directory in the order of their names.
fn files(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(kind);
    let entries = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

/// What is said about the file, and what it says if it can be used.
fn outcome(path: &Path) -> (String, Option<String>) {
    let name = Path::new(path.file_name().unwrap());
    let bytes = fs::read(path).unwrap();
    if name.to_str().unwrap().starts_with("config-") {
        let (file, told) = ConfigFile::read(name, &bytes);
        (lines(&told), file.filter(|file| file.usable).map(|file| shown(&file.config)))
    } else {
        let (file, told) = RuleFile::read(name, &bytes);
        (lines(&told), file.filter(|file| file.usable).map(|file| shown(&file.set)))
    }
}

fn lines(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()
}

fn shown(value: &impl Debug) -> String {
    format!("{value:#?}\n")
}

/// Compares with the file beside, or writes it; says how they differ.
fn compare(path: &Path, actual: &str) -> Option<String> {
    let beside = path.with_extension("expected");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&beside, actual).unwrap();
    }
    let expected = fs::read_to_string(&beside).unwrap_or_default();
    if actual == expected {
        return None;
    }
    let same =
        expected.lines().zip(actual.lines()).take_while(|(expected, actual)| expected == actual).count();
    let rest =
        |text: &str| text.lines().skip(same).take(12).map(|line| format!("  {line}\n")).collect::<String>();
    let expected = rest(&expected);
    let actual = rest(actual);
    Some(format!("{}, from line {}:\nexpected\n{expected}got\n{actual}", beside.display(), same + 1))
}

fn assert_no_difference(differences: &[String]) {
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn good_files_are_read_as_expected() {
    let mut differences = Vec::new();
    for path in files("good") {
        let (told, value) = outcome(&path);
        let value = value.unwrap_or_else(|| panic!("{} is refused:\n{told}", path.display()));
        differences.extend(compare(&path, &format!("{told}{value}")));
    }
    assert_no_difference(&differences);
}

#[test]
fn bad_files_are_refused_with_everything_that_is_wrong() {
    let files = files("bad");
    assert!(files.len() >= 25, "{} bad files", files.len());
    let mut differences = Vec::new();
    for path in files {
        let (told, value) = outcome(&path);
        assert!(value.is_none(), "{} is accepted:\n{told}", path.display());
        differences.extend(compare(&path, &told));
    }
    assert_no_difference(&differences);
}
