//! The section `firewall`: the table, who drives it, and the operator's own commands.

use super::reader::Item;
use super::sections::absolute;
use super::settings::{Backend, Commands, Firewall, Foreign};
use super::suggest::nearest;
use super::yaml::Value;
use crate::names;

const BACKENDS: [(&str, Backend); 5] = [
    ("pf", Backend::Pf),
    ("ipfw", Backend::Ipfw),
    ("nftables", Backend::Nftables),
    ("command", Backend::Command),
    ("dry-run", Backend::DryRun),
];
const FOREIGN: [(&str, Foreign); 3] =
    [("adopt", Foreign::Adopt), ("keep", Foreign::Keep), ("remove", Foreign::Remove)];

/// Keys that only these backends look at, and why the others do not.
const USED_BY: [(&str, &[Backend], &str); 4] = [
    ("anchor", &[Backend::Pf], "only pf has anchors"),
    ("kill_states", &[Backend::Pf], "only pf ends open connections"),
    ("tool", &[Backend::Pf, Backend::Ipfw, Backend::Nftables], "no tool of a firewall is run"),
    ("command", &[Backend::Command], "no commands of your own are run"),
];

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
    if let Some(backend) = backend {
        fits(item, backend);
    }
    Some(firewall)
}

/// Whether the keys are those that the backend looks at.
fn fits(item: &Item<'_>, backend: Backend) {
    if backend == Backend::Command && item.peek("command").is_none() {
        item.fault_plainly("the backend `command` needs the key `command` with `add` and `remove`");
    }
    for (key, users, why) in USED_BY {
        if let Some(value) = item.peek(key).filter(|_| !users.contains(&backend)) {
            value.warn(format!("with the backend `{}` this has no effect: {why}", backend.as_str()));
        }
    }
}

/// A name, or a number as old ipfw has them; whether the backend takes it is looked at later.
fn table(item: &Item<'_>) -> Option<String> {
    item.number_as_text().or_else(|| item.line())
}

fn commands(item: &Item<'_>) -> Option<Commands> {
    let mut keys = item.keys()?;
    let batch = keys.or("batch", false, Item::boolean);
    let add = keys.must("add", "the program that blocks, with its arguments", arguments);
    let remove = keys.must("remove", "the program that frees, with its arguments", arguments);
    let list = keys.maybe("list", without_prefix);
    let replace = keys.maybe("replace", without_prefix);
    keys.finish();
    for (key, command) in [("add", &add), ("remove", &remove)] {
        if let (Some(item), Some(command)) = (item.peek(key), command) {
            learns_whom(&item, command, batch);
        }
    }
    Some(Commands { add: add?, remove: remove?, list, replace })
}

/// A program that is told nobody blocks nobody, or everybody.
fn learns_whom(item: &Item<'_>, command: &[String], batch: bool) {
    // What is in braces and is not understood has been complained about.
    let is_misread = matches!(&item.node.value, Value::List(all) if all.len() != command.len());
    if batch || is_misread || command.iter().any(|argument| argument.contains('{')) {
        return;
    }
    let mut others = ["<ip>", "<addr>", "%s", "$1"].into_iter();
    let other = others.find(|other| command.iter().any(|argument| argument.contains(other)));
    let instead = other.map_or_else(String::new, |other| format!("`{other}` stands for nothing: "));
    item.fault_plainly(format!(
        "the program would not learn whose address it is: {instead}write `'{PREFIX}'` where the address is to be, or \
         `batch: true` beside `add` for programs that read addresses from standard input, one a line"
    ));
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
    match backend {
        Backend::Pf => names::bad_pf_table(name),
        Backend::Ipfw => names::bad_ipfw_table(name),
        Backend::Nftables => names::bad_nftables_table(name),
        Backend::DryRun => names::bad_table_everywhere(name),
        // Nobody is told of the name.
        Backend::Command => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_in_braces_are_placeholders() {
        let found: Vec<&str> = placeholders("a{b}{}{c d}{prefix}{x").collect();
        assert_eq!(found, ["{b}", "{prefix}"]);
    }
}
