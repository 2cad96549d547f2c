//! The command line of pfctl(8): letters, abbreviations, and everything its `main()` refuses.

use crate::common::getopt::Options;
use crate::common::{Report, Step};

const LETTERS: &str = "a:AdD:eqf:F:ghi:k:K:mMnNOo:Pp:rRs:St:T:vx:z";
const CLEAR: &[&str] =
    &["nat", "queue", "rules", "Sources", "states", "info", "Tables", "osfp", "all", "Reset"];
const SHOW: &[&str] = &[
    "nat",
    "queue",
    "rules",
    "Anchors",
    "Sources",
    "states",
    "info",
    "Interfaces",
    "labels",
    "timeouts",
    "memory",
    "Tables",
    "osfp",
    "Running",
    "all",
];
const COMMANDS: &[&str] =
    &["kill", "flush", "add", "delete", "load", "replace", "show", "test", "zero", "expire"];

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Opts {
    pub(crate) anchor: String,
    pub(crate) recurse: bool,
    pub(crate) quiet: bool,
    pub(crate) no_action: bool,
    pub(crate) verbose: u8,
    pub(crate) enable: bool,
    pub(crate) disable: bool,
    pub(crate) tables_only: bool,
    pub(crate) file: Option<String>,
    pub(crate) show: Option<String>,
    pub(crate) clear: Option<String>,
    pub(crate) kill_states: Vec<String>,
    pub(crate) kill_sources: Vec<String>,
    /// Table and command, the command in full.
    pub(crate) table: Option<(String, String)>,
    /// What stands behind the options.
    pub(crate) args: Vec<String>,
    changes: bool,
}

impl Opts {
    /// Reads the command line, or says what pfctl says about it and exits 1.
    pub(crate) fn parse(args: &[String], is_15: bool, report: &mut Report) -> Step<Self> {
        let mut opts = Self::default();
        let mut table = None;
        let mut command = None;
        let mut options = Options::new(args, LETTERS);
        if args.is_empty() {
            return usage(report, is_15);
        }
        for found in options.by_ref() {
            let (letter, value) = match found {
                Ok((letter, value)) => (letter, value.unwrap_or_default()),
                Err(complaint) => {
                    report.err(format!("pfctl: {complaint}"));
                    return usage(report, is_15);
                }
            };
            match letter {
                't' => table = Some(value),
                'T' => command = Some(opts.lookup("table command", COMMANDS, &value, is_15, report)?),
                _ => opts.take(letter, value, is_15, report)?,
            }
        }
        opts.args = options.rest().to_vec();
        opts.finish(table, command, is_15, report)?;
        Ok(opts)
    }

    fn take(&mut self, letter: char, value: String, is_15: bool, report: &mut Report) -> Step {
        match letter {
            'a' if value.is_empty() => return report.leave(1, "pfctl: anchor name must not be empty"),
            'a' => self.anchor = value,
            'd' => self.disable = true,
            'e' => self.enable = true,
            'q' => self.quiet = true,
            'n' => self.no_action = true,
            'v' => self.verbose = self.verbose.saturating_add(1),
            'f' => self.file = Some(value),
            'F' => self.clear = Some(self.lookup("flush modifier", CLEAR, &value, is_15, report)?),
            's' => self.show = Some(self.lookup("show modifier", SHOW, &value, is_15, report)?),
            'k' => self.kill_states.push(value),
            'K' => self.kill_sources.push(value),
            'h' => return usage(report, is_15),
            'S' if !is_15 => {
                report.err("pfctl: illegal option -- S");
                return usage(report, is_15);
            }
            _ => {}
        }
        for (letter, list) in [('k', &self.kill_states), ('K', &self.kill_sources)] {
            if list.len() > 2 {
                report.err(format!("pfctl: can only specify -{letter} twice"));
                return usage(report, is_15);
            }
        }
        self.changes |= "defFkKxz".contains(letter);
        Ok(())
    }

    /// The first word of the list that begins with what was given: the order of the list decides.
    fn lookup(
        &self,
        what: &str,
        list: &[&str],
        given: &str,
        is_15: bool,
        report: &mut Report,
    ) -> Step<String> {
        match list.iter().find(|word| !given.is_empty() && word.starts_with(given)) {
            Some(word) => Ok((*word).to_owned()),
            None => {
                report.err(format!("pfctl: Unknown {what} '{given}'"));
                usage(report, is_15)
            }
        }
    }

    fn finish(
        &mut self,
        table: Option<String>,
        command: Option<String>,
        is_15: bool,
        report: &mut Report,
    ) -> Step {
        match (table, command) {
            (Some(table), Some(command)) => {
                self.tables_only = command == "load";
                self.changes |= !command.starts_with(['s', 't']);
                self.table = Some((table, command)).filter(|_| !self.tables_only);
            }
            (None, None) if self.args.is_empty() => {}
            (None, None) => {
                let first = self.args.first().map_or("", String::as_str);
                report.err(format!("pfctl: unknown command line argument: {first} ..."));
                return usage(report, is_15);
            }
            _ => return usage(report, is_15),
        }
        self.check_anchor(is_15, report)?;
        if self.no_action {
            self.enable = false;
            self.disable = false;
            self.clear = None;
            self.show = None;
        }
        Ok(())
    }

    fn check_anchor(&mut self, is_15: bool, report: &mut Report) -> Step {
        if self.anchor.is_empty() {
            return Ok(());
        }
        let hidden = self.anchor.starts_with('_') || self.anchor.contains("/_");
        if !self.changes && self.show.is_none() && self.table.is_none() {
            report.err("pfctl: anchors apply to -f, -F, -s, and -T only");
            return usage(report, is_15);
        }
        if self.changes && self.table.is_none() && hidden {
            let text = "pfctl: anchor names beginning with '_' cannot be modified from the command line";
            return report.leave(1, text);
        }
        if let Some(parent) = self.anchor.strip_suffix('*').map(|name| name.strip_suffix('/').unwrap_or(name))
        {
            self.anchor = parent.to_owned();
            self.recurse = true;
        }
        Ok(())
    }
}

/// The usage text, and exit 1.
pub(crate) fn usage<T>(report: &mut Report, is_15: bool) -> Step<T> {
    let letters = if is_15 { "AdeghMmNnOPqRSrvz" } else { "AdeghMmNnOPqRrvz" };
    report.leave(
        1,
        format!(
            "usage: pfctl [-{letters}] [-a anchor] [-D macro=value] [-F modifier]\n\
             \t[-f file] [-i interface] [-K host | network]\n\
             \t[-k host | network | gateway | label | id] [-o level] [-p device]\n\
             \t[-s modifier] [-t table -T command [address ...]] [-x level]"
        ),
    )
}
