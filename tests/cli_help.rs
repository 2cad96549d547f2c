//! What the program says about itself, and about arguments it does not know.
//!
//! The help of the commands that read logs is kept in `tests/snapshots`; when it changes on purpose,
//! `INSTA_UPDATE=always cargo test --test integration cli_help` writes it anew.

use crate::util::Dir;

/// The commands that `--help` lists, and the hidden one.
pub(crate) fn commands() -> Vec<String> {
    let help = Dir::new().portcullis(["--help"]).ok();
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

fn help(command: &str, flag: &str) -> String {
    Dir::new().portcullis([command, flag]).ok()
}

#[test]
fn the_help_of_each_command_is_as_it_was() {
    for command in ["scan", "match", "explain", "check", "rules", "completions"] {
        insta::assert_snapshot!(command, help(command, "--help"));
    }
}

#[test]
fn no_line_of_help_is_longer_than_a_terminal() {
    let all = commands().into_iter().chain(["generate".to_owned()]);
    let mut texts: Vec<String> =
        all.flat_map(|command| ["-h", "--help"].map(|flag| help(&command, flag))).collect();
    texts.push(Dir::new().portcullis(["--help"]).ok());
    for text in texts {
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}

/// In a list of arguments or options: what is named, and whether something is said about it.
fn entries(help: &str) -> Vec<(String, bool)> {
    let lines: Vec<&str> = help.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let is_entry =
        |line: &str| (2..=6).contains(&indent(line)) && line.trim_start().starts_with(['-', '<', '[']);
    let entries = lines.iter().enumerate().filter(|(_, line)| is_entry(line));
    let told = |(at, line): (usize, &&str)| {
        let beside = line.trim().contains("  ");
        let below = lines.get(at + 1).is_some_and(|next| next.starts_with("          ") && !is_entry(next));
        (line.trim().to_owned(), beside || below)
    };
    entries.map(told).collect()
}

#[test]
fn every_argument_and_option_is_explained() {
    for command in commands() {
        for flag in ["-h", "--help"] {
            let entries = entries(&help(&command, flag));
            assert!(!entries.is_empty(), "{command}");
            for (name, told) in entries {
                assert!(told, "{command} {flag}: {name}");
            }
        }
    }
}

#[test]
fn every_command_that_prints_for_people_prints_for_programs() {
    let silent = ["completions", "run"];
    for command in commands().iter().filter(|command| !silent.contains(&command.as_str())) {
        assert!(help(command, "-h").contains("--json "), "{command}");
    }
}

#[test]
fn exit_statuses_are_explained() {
    let text = Dir::new().portcullis(["--help"]).ok();
    for line in [
        "Exit status:\n  0   Done.\n",
        "\n  1   Nothing found, nobody unbanned, some not banned, or not protecting (status, doctor).\n",
        "\n  64  The command was used wrongly.\n",
        "\n  78  The configuration",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn what_is_unknown_is_wrong_usage_with_what_was_meant() {
    let dir = Dir::new();
    for (arguments, said) in [
        (&["scna"][..], "a similar subcommand exists: 'scan'"),
        (&["scan", "--jsno"], "a similar argument exists: '--json'"),
        (&["match", "--al"], "a similar argument exists: '--all'"),
        (&["completions", "fihs"], "a similar value exists: 'fish'"),
        (&["scan", "--top", "many"], "invalid value 'many' for '--top <N>'"),
        (&["scan", "--json", "--top", "3"], "cannot be used with"),
        (&["scan", "-c"], "a value is required for '--config <FILE>'"),
        (&[], "Usage: portcullis <COMMAND>"),
    ] {
        let ran = dir.portcullis(arguments).run();
        ran.assert(64, said);
        assert_eq!(ran.out, "", "{arguments:?}");
    }
    for command in commands() {
        dir.portcullis([command.as_str(), "--frobnicate"]).run().assert(64, "'--frobnicate'");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let text = Dir::new().portcullis(["--version"]).ok();
    assert_eq!(text, concat!("portcullis ", env!("CARGO_PKG_VERSION"), "\n"));
}
