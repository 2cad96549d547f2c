//! The operator's own programs, for firewalls that have no backend here.
//!
//! Every argument vector comes from the configuration; `{prefix}` is filled in with a printed prefix, never with text
//! from a log. A program that succeeds exits 0, also when there was nothing to do.

use std::path::Path;

use super::runner::{Finished, Tool};
use super::{Backend, BackendError, Change, Limits, TableListing, Unusable, split};
use crate::address::{self, Prefix};
use crate::settings::{CommandTemplates, FirewallSettings};

/// The placeholder for a prefix.
const PLACE: &str = "{prefix}";
/// Runs of a program per batch, where each run takes one prefix: few, so that others wait and a stop comes through.
const CALLS: usize = 50;
/// Prefixes that a program reads from standard input at a time.
const CHUNK: usize = 10_000;

/// The programs and the time they get.
struct Programs {
    templates: CommandTemplates,
    timeout: std::time::Duration,
}

pub(super) fn open(settings: &FirewallSettings) -> Result<Box<dyn Backend>, Unusable> {
    let templates = &settings.command;
    for (name, template) in [("add", &templates.add), ("remove", &templates.remove)] {
        if template.is_empty() {
            return Err(Unusable(format!("the firewall backend `command` needs a program for `{name}`")));
        }
    }
    let all = [&templates.add, &templates.remove, &templates.list, &templates.replace];
    for program in all.into_iter().filter_map(|template| template.first()) {
        if !program.starts_with('/') || program.contains(PLACE) {
            return Err(Unusable(format!(
                "`{program}` must be an absolute path, such as /usr/local/bin/block"
            )));
        }
    }
    Ok(Box::new(Programs { templates: templates.clone(), timeout: settings.timeout }))
}

impl Programs {
    fn run(&self, template: &[String], prefix: Option<&str>, input: &[u8]) -> Result<Finished, BackendError> {
        let Some((program, args)) = template.split_first() else {
            return Err(BackendError::Broken("no program is configured for this".to_owned()));
        };
        let args: Vec<String> =
            args.iter().map(|arg| prefix.map_or_else(|| arg.clone(), |p| arg.replace(PLACE, p))).collect();
        let run = Tool::new(program, self.timeout).run(&args, input)?;
        if run.ok() { Ok(run) } else { Err(BackendError::Refused(run.complaint(program))) }
    }

    fn change(&self, template: &[String], prefixes: &[Prefix]) -> Result<(), BackendError> {
        if prefixes.is_empty() {
            return Ok(());
        }
        if !one_by_one(template) {
            return self.run(template, None, &lines(prefixes)).map(drop);
        }
        let mut texts = prefixes.iter().map(address::display);
        texts.try_for_each(|prefix| self.run(template, Some(&prefix), b"").map(drop))
    }
}

fn one_by_one(template: &[String]) -> bool {
    template.iter().any(|arg| arg.contains(PLACE))
}

fn lines(prefixes: &[Prefix]) -> Vec<u8> {
    let line = |prefix| address::display(prefix) + "\n";
    prefixes.iter().map(line).collect::<String>().into_bytes()
}

impl Backend for Programs {
    fn name(&self) -> &'static str {
        "command"
    }

    fn programs(&self) -> Vec<&Path> {
        let CommandTemplates { add, remove, list, replace } = &self.templates;
        [add, remove, list, replace].into_iter().filter_map(|words| words.first()).map(Path::new).collect()
    }

    fn prepare(&mut self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        let (added, removed) = split(changes);
        self.change(&self.templates.remove, &removed)?;
        self.change(&self.templates.add, &added)
    }

    fn list(&mut self, _wanted: usize) -> Result<TableListing, BackendError> {
        if self.templates.list.is_empty() {
            let why = "no program is configured that lists the table: foreign entries are not seen, and everything is \
                       added again at each comparison"
                .to_owned();
            return Ok(TableListing::Unlistable { why });
        }
        let run = self.run(&self.templates.list, None, b"")?;
        Ok(parse(&String::from_utf8_lossy(&run.stdout)))
    }

    fn replace(&mut self, all: &[Prefix]) -> Result<(), BackendError> {
        self.run(&self.templates.replace, None, &lines(all)).map(drop)
    }

    fn limits(&self) -> Limits {
        let single = one_by_one(&self.templates.add) || one_by_one(&self.templates.remove);
        let replace = if self.templates.replace.is_empty() { 0 } else { usize::MAX };
        Limits {
            entries: if single { CALLS } else { CHUNK },
            bytes: usize::MAX,
            replace,
            lookup: 0,
            after_add: 0,
        }
    }
}

/// One prefix a line, only its first word; blank lines and `#` comments are passed over.
fn parse(text: &str) -> TableListing {
    let mut entries = Vec::new();
    let mut strange = 0;
    for word in text.lines().filter_map(|line| line.split_whitespace().next()) {
        match address::parse_prefix(word) {
            Ok(prefix) => entries.push(prefix),
            Err(_) if word.starts_with('#') => {}
            Err(_) => strange += 1,
        }
    }
    TableListing::Complete { entries, strange }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::BackendKind;

    fn settings(add: &[&str]) -> FirewallSettings {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let command = CommandTemplates {
            add: words(add),
            remove: words(&["/bin/sh", "-c", "exit 0"]),
            ..CommandTemplates::default()
        };
        FirewallSettings { backend: BackendKind::Command, command, ..FirewallSettings::default() }
    }

    #[test]
    fn programs_are_absolute_paths_and_the_two_needed_ones_are_there() {
        assert!(open(&settings(&[])).err().unwrap().to_string().contains("a program for `add`"));
        for bad in ["block", "./block", "{prefix}", "/usr/bin/{prefix}"] {
            assert!(open(&settings(&[bad])).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prefix_is_one_argument_or_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("seen");
        let script = format!("echo \"$1\" >> {}", file.display());
        let changes = ["192.0.2.7/32", "2001:db8::/64"].map(|text| Change::Add(text.parse().unwrap()));
        open(&settings(&["/bin/sh", "-c", &script, "sh", "--addr={prefix}"]))
            .unwrap()
            .apply(&changes)
            .unwrap();
        let script = format!("cat >> {}", file.display());
        open(&settings(&["/bin/sh", "-c", &script])).unwrap().apply(&changes).unwrap();
        assert_eq!(
            std::fs::read_to_string(file).unwrap(),
            "--addr=192.0.2.7\n--addr=2001:db8::/64\n192.0.2.7\n2001:db8::/64\n"
        );
    }

    #[test]
    fn without_a_list_program_the_table_is_not_called_empty() {
        let listing = open(&settings(&["/bin/echo"])).unwrap().list(0).unwrap();
        assert!(matches!(listing, TableListing::Unlistable { .. }));
    }

    #[test]
    fn a_listing_may_have_comments_and_further_columns() {
        let entries = vec!["192.0.2.7/32".parse().unwrap(), "2001:db8::/64".parse().unwrap()];
        let listing = parse("# blocked\n192.0.2.7 0\n\n2001:db8::/64 # me\ngw.example.org\n");
        assert_eq!(listing, TableListing::Complete { entries, strange: 1 });
    }
}
