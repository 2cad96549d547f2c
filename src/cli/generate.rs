//! Completions and manual pages, made from the same grammar that parses the arguments.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::args::{Arguments, WITHOUT_CONFIGURATION};
use super::exit::{Exit, Failure};

/// Prints the completions for one shell.
pub(super) fn completions(shell: Shell, out: &mut dyn Write) -> Result<Exit, Failure> {
    // Not directly to `out`: clap_complete panics if the reader of a pipe has gone.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut visible(), "portcullis", &mut text);
    out.write_all(&text)?;
    Ok(Exit::Ok)
}

/// The grammar without hidden commands, which the library would offer as completions.
fn visible() -> clap::Command {
    let all = Arguments::command();
    let visible = all.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned();
    clap::Command::new("portcullis")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments())
        .subcommands(visible)
}

/// Writes all completions and the manual page of each command into a directory, as `contrib/generated` has them.
pub(super) fn write_all(directory: &Path) -> Result<(), Failure> {
    write(directory).map_err(|error| Failure::new(Exit::Io, format!("{}: {error}", directory.display())))
}

fn write(directory: &Path) -> io::Result<()> {
    let man = directory.join("man");
    let completions = directory.join("completions");
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut visible(), "portcullis", &completions)?;
    }
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    manual(&command, &man)
}

/// The date of the manual's last change; the day of the build would make pages differ from build to build.
const MANUAL_DATE: &str = "2026-12-01";

/// Section 8: commands for administrators.
fn manual(command: &clap::Command, directory: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut text = Vec::new();
    page(command, name, &mut text)?;
    fs::write(directory.join(format!("{name}.8")), text)?;
    let visible = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    for sub in visible {
        manual(sub, directory)?;
    }
    Ok(())
}

fn page(command: &clap::Command, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let page = Man::new(command.clone())
        .title(name.to_uppercase())
        .section("8")
        .date(MANUAL_DATE)
        .source(concat!("portcullis ", env!("CARGO_PKG_VERSION")))
        .manual("System Manager's Manual");
    page.render_title(out)?;
    page.render_name_section(out)?;
    synopsis(command).to_writer(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(out)?;
        without_configuration().to_writer(out)?;
    }
    exit_status().to_writer(out)?;
    see_also(command).to_writer(out)
}

/// The synopsis as `--help` prints it: unlike the library's, it shows values of options and what may be repeated.
fn synopsis(command: &clap::Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let rest = usage.strip_prefix(name).unwrap_or_default().to_owned();
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]).text([bold(name), roman(rest)]);
    roff
}

fn without_configuration() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["FILES"]).text([roman(WITHOUT_CONFIGURATION)]);
    roff
}

fn exit_status() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        roff.control("TP", ["4"]).text([bold((exit as u8).to_string())]).text([roman(exit.means())]);
    }
    roff
}

fn see_also(command: &clap::Command) -> Roff {
    let pages =
        if command.has_subcommands() { "pf(4), ipfw(8), syslogd(8), newsyslog(8)" } else { "portcullis(8)" };
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]).text([roman(pages)]);
    roff
}
