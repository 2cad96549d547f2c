//! Completions and manual pages, made from the same grammar that parses the arguments.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::Arguments;
use super::exit::{Exit, Failure};

/// Prints the completions for one shell.
pub(super) fn completions(shell: Shell, out: &mut dyn Write) -> Result<Exit, Failure> {
    // Not straight to `out`: clap_complete panics when the reader of a pipe is gone.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "portcullis", &mut text);
    out.write_all(&text)?;
    Ok(Exit::Ok)
}

/// Writes all completions and the manual page of each command into a directory, as `contrib/generated` has them.
pub(super) fn write_all(directory: &Path) -> Result<(), Failure> {
    write(directory).map_err(|error| Failure::new(Exit::Io, format!("{}: {error}", directory.display())))
}

fn write(directory: &Path) -> io::Result<()> {
    let (man, completions) = (directory.join("man"), directory.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Arguments::command(), "portcullis", &completions)?;
    }
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    manual(&command, &man)
}

/// Section 8: commands for administrators.
fn manual(command: &clap::Command, directory: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let page = clap_mangen::Man::new(command.clone()).section("8").manual("System Manager's Manual");
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(directory.join(format!("{name}.8")), text)?;
    let visible = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    visible.into_iter().try_for_each(|sub| manual(sub, directory))
}
