//! The section `firewall`: the table, who drives it, and the operator's own commands.

use super::reader::Item;
use super::sections::absolute;
use super::settings::{Backend, Commands, Firewall, Foreign};
use super::suggest::nearest;

const BACKENDS: [(&str, Backend); 5] = [
    ("pf", Backend::Pf),
    ("ipfw", Backend::Ipfw),
    ("nftables", Backend::Nftables),
    ("command", Backend::Command),
    ("dry-run", Backend::DryRun),
];
const FOREIGN: [(&str, Foreign); 3] =
    [("adopt", Foreign::Adopt), ("keep", Foreign::Keep), ("remove", Foreign::Remove)];

/// The one thing a command's argument can stand for.
const PREFIX: &str = "{prefix}";

/// Arguments of a command; the rest of a script belongs into a script.
const MOST_ARGUMENTS: usize = 64;

impl Backend {
    /// The word used in the configuration and JSON.
    pub fn as_str(self) -> &'static str {
        BACKENDS.iter().find(|row| row.1 == self).map_or("dry-run", |row| row.0)
    }
}

pub(super) fn read(item: &Item<'_>) -> Option<Firewall> {
    let default = Firewall::default();
    let mut keys = item.keys()?;
    let backend =
        keys.must("backend", "which firewall is to block, as in `backend: pf`", |item| item.word(&BACKENDS));
    let firewall = Firewall {
        backend: backend.unwrap_or_default(),
        table: keys.or("table", default.table, table),
        anchor: keys.maybe("anchor", Item::line),
        kill_states: keys.or("kill_states", default.kill_states, Item::boolean),
        foreign: keys.or("foreign", default.foreign, |item| item.word(&FOREIGN)),
        converge: keys.or("converge", default.converge, Item::span),
        timeout: keys.or("timeout", default.timeout, Item::span),
        tool: keys.maybe("tool", absolute),
        command: keys.maybe("command", commands),
    };
    keys.finish();
    if backend == Some(Backend::Command) && item.peek("command").is_none() {
        item.fault_plainly("the backend `command` needs the key `command` with `add` and `remove`");
    }
    Some(firewall)
}

/// A name, or a number as old ipfw has them; whether the backend takes it is looked at later.
fn table(item: &Item<'_>) -> Option<String> {
    item.number_as_text().or_else(|| item.line())
}

fn commands(item: &Item<'_>) -> Option<Commands> {
    let mut keys = item.keys()?;
    let add = keys.must("add", "the program that blocks, with its arguments", arguments);
    let remove = keys.must("remove", "the program that frees, with its arguments", arguments);
    let list = keys.maybe("list", without_prefix);
    let replace = keys.maybe("replace", without_prefix);
    keys.finish();
    Some(Commands { add: add?, remove: remove?, list, replace })
}

/// Argument vector: no shell, so the program is named by its path.
fn arguments(item: &Item<'_>) -> Option<Vec<String>> {
    let items = item.filled_list("begin with the program's absolute path", MOST_ARGUMENTS);
    let arguments: Vec<String> = items.iter().filter_map(argument).collect();
    if let (Some(item), Some(program)) = (items.first(), arguments.first())
        && (!program.starts_with('/') || program.contains('{'))
    {
        item.fault_plainly(format!(
            "a command begins with the absolute path of a program, not with `{program}`"
        ));
    }
    (!arguments.is_empty()).then_some(arguments)
}

/// YAML takes `{prefix}` without quotes for a mapping.
fn argument(item: &Item<'_>) -> Option<String> {
    if item.is_mapping() {
        item.fault_plainly("braces need single quotes here: write `'{prefix}'`");
        return None;
    }
    let text = item.line()?;
    for placeholder in placeholders(&text).filter(|placeholder| *placeholder != PREFIX) {
        let meant = nearest(placeholder, [PREFIX]).map_or("the only one is", |_| "did you mean");
        item.fault_plainly(format!("unknown placeholder `{placeholder}`, {meant} `{PREFIX}`"));
    }
    Some(text)
}

/// `{word}`; other braces are what they are.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{').filter_map(|(start, _)| {
        let rest = text.get(start..)?;
        let inside = rest.get(1..rest.find('}')?)?;
        let word = !inside.is_empty() && inside.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        word.then(|| rest.get(..inside.len() + 2))?
    })
}

/// These are called once for all addresses.
fn without_prefix(item: &Item<'_>) -> Option<Vec<String>> {
    let arguments = arguments(item)?;
    if arguments.iter().any(|argument| argument.contains(PREFIX)) {
        item.fault(format!("is called once for all addresses: take `{PREFIX}` out of it"));
    }
    Some(arguments)
}

/// What is wrong with a table's name for this backend, if anything is.
pub(super) fn bad_table(backend: Backend, name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let sane = name.chars().all(plain) && !name.starts_with(['-', '.']) && !name.is_empty();
    match backend {
        // PF_TABLE_NAME_SIZE is 32 with the closing zero (facts/firewalls.md).
        Backend::Pf if !sane || name.len() > 31 => {
            Some("a pf table's name has 31 letters, digits, `_`, `-` and `.` at most")
        }
        // `all` means every table to ipfw; 63 is the limit of its name field.
        Backend::Ipfw if !sane || name.len() > 63 || name == "all" => {
            Some("an ipfw table's name has 63 letters, digits, `_`, `-` and `.` at most, and is not `all`")
        }
        Backend::Nftables if !is_identifier(name) => {
            Some("an nftables name has 63 letters, digits and `_` at most, a letter first")
        }
        _ => None,
    }
}

fn is_identifier(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(known) && name.len() <= 63
}

/// What is wrong with the path of a pf anchor, if anything is: names of 63 bytes at most, joined by `/`.
pub(super) fn bad_anchor(anchor: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let name = |name: &str| {
        !name.is_empty() && name.len() < 64 && !name.starts_with(['-', '_']) && name.chars().all(plain)
    };
    let good = anchor.len() < 256 && anchor.split('/').all(name);
    (!good).then_some("an anchor is names of letters, digits, `_`, `-` and `.`, joined by `/`, none with a `_` or `-` first")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_the_tool_would_take_for_something_else_is_refused() {
        for name in ["", "-T", "a b", "a;b", "a/b", "ä", &"x".repeat(32)] {
            assert!(bad_table(Backend::Pf, name).is_some(), "{name}");
        }
        assert!(bad_table(Backend::Ipfw, "all").is_some() && bad_table(Backend::Ipfw, "22").is_none());
        assert!(
            bad_table(Backend::Nftables, "a-b").is_some() && bad_table(Backend::Nftables, "1a").is_some()
        );
        for backend in [Backend::Pf, Backend::Ipfw, Backend::Nftables] {
            assert_eq!(bad_table(backend, "portcullis"), None);
        }
        for anchor in ["", "/a", "a/", "a//b", "_a", "-a", "a b", "a/*"] {
            assert!(bad_anchor(anchor).is_some(), "{anchor}");
        }
        assert_eq!(bad_anchor("portcullis/sshd"), None);
    }

    #[test]
    fn only_words_in_braces_are_placeholders() {
        let found: Vec<&str> = placeholders("a{b}{}{c d}{prefix}{x").collect();
        assert_eq!(found, ["{b}", "{prefix}"]);
    }
}
