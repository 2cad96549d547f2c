//! Manual pages and completions: made from the grammar of the arguments, kept in `contrib/generated` for packagers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cli_help::commands;
use crate::util::{Dir, project};

const REGENERATE: &str = "run `cargo run -- generate contrib/generated`, and list new pages in \
                          contrib/freebsd/port/pkg-plist";

/// Every file below, by its path.
fn files(root: &Path) -> BTreeMap<String, String> {
    let folders = ["man", "completions"].map(|folder| root.join(folder));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| {
            (path.strip_prefix(root).unwrap().display().to_string(), fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn generated() -> BTreeMap<String, String> {
    let dir = Dir::new();
    assert_eq!(dir.portcullis(["generate", "new/folder"]).ok(), "");
    files(&dir.path().join("new/folder"))
}

#[test]
fn what_is_in_contrib_is_what_the_program_generates() {
    let kept = files(&project("contrib/generated"));
    let made = generated();
    assert!(kept.keys().eq(made.keys()), "{REGENERATE}: {:?} against {:?}", kept.keys(), made.keys());
    for (name, text) in &made {
        assert!(kept[name] == *text, "{name} is out of date: {REGENERATE}");
    }
}

#[test]
fn every_command_has_a_page_with_the_usual_sections() {
    let made = generated();
    let pages = commands().into_iter().map(|command| format!("man/portcullis-{command}.8"));
    for name in pages.chain(["man/portcullis.8".to_owned()]) {
        let page = made.get(&name).unwrap_or_else(|| panic!("{name} is missing: {REGENERATE}"));
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"] {
            let head = format!(".SH {section}\n")
                .replace("EXIT STATUS", "\"EXIT STATUS\"")
                .replace("SEE ALSO", "\"SEE ALSO\"");
            assert!(page.contains(&head), "{name} has no {section}:\n{page}");
        }
    }
    assert!(made.keys().all(|name| !name.contains("generate")), "what is hidden has no page");
}

#[test]
fn mandoc_finds_no_error_in_the_pages() {
    let dir = Dir::new();
    dir.portcullis(["generate", "."]).ok();
    for page in fs::read_dir(dir.path().join("man")).unwrap() {
        let page = page.unwrap().path();
        let Ok(ran) = Command::new("mandoc").args(["-T", "lint", "-W", "error"]).arg(&page).output() else {
            eprintln!("skipped: there is no mandoc here");
            return;
        };
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    }
}

#[test]
fn completions_for_each_shell_know_every_command_and_its_options() {
    let dir = Dir::new();
    for (shell, file, option) in [
        ("bash", "portcullis.bash", "--json"),
        ("zsh", "_portcullis", "--json["),
        ("fish", "portcullis.fish", "-l json"),
    ] {
        let text = dir.portcullis(["completions", shell]).ok();
        let kept = fs::read_to_string(project("contrib/generated/completions").join(file)).unwrap();
        assert!(text == kept, "{file} is out of date: {REGENERATE}");
        assert!(!text.contains("generate"), "{shell} offers what is hidden");
        assert!(text.contains(option), "{shell}");
        for command in commands() {
            assert!(text.contains(&command), "{shell} does not know {command}");
        }
    }
}

#[test]
fn the_shells_that_are_here_accept_their_completions() {
    let dir = Dir::new();
    for (shell, file) in [("bash", "portcullis.bash"), ("zsh", "_portcullis"), ("fish", "portcullis.fish")] {
        let path = project("contrib/generated/completions").join(file);
        match Command::new(shell).arg("-n").arg(&path).output() {
            Ok(ran) => assert!(ran.status.success(), "{shell}: {ran:?}"),
            Err(_) => eprintln!("skipped: there is no {shell} here"),
        }
    }
    let bash = project("contrib/generated/completions/portcullis.bash");
    let ask = "COMP_WORDS=(portcullis sc); COMP_CWORD=1; _portcullis portcullis sc portcullis; echo \"${COMPREPLY[@]}\"";
    let ran = dir.shell(&format!("command -v bash >/dev/null && bash -c '. {}; {ask}'", bash.display()));
    assert!(ran.code == 127 || ran.code == 1 || ran.out == "scan\n", "{ran:?}");
}

#[test]
fn a_folder_that_cannot_be_made_is_said_to_be_so() {
    let dir = Dir::new();
    dir.write("file", "");
    dir.portcullis(["generate", "file"]).run().assert(74, "portcullis: file: ");
}
