//! The section `firewall`: the table, who drives it, and the operator's own commands.

use super::keys::Keys;
use super::reader::Node;
use super::values::absolute;
use crate::config::text::suggest::nearest;
use crate::config::text::yaml::Value;
use crate::names;
use crate::settings::{BackendKind, CommandTemplates, FirewallSettings, Foreign, Tools};

const FOREIGN: [(&str, Foreign); 3] =
    [("adopt", Foreign::Adopt), ("keep", Foreign::Keep), ("remove", Foreign::Remove)];

/// Keys that only these backends look at, and why the others do not.
const USED_BY: [(&str, &[BackendKind], &str); 4] = [
    ("anchor", &[BackendKind::Pf], "only pf has anchors"),
    ("kill_states", &[BackendKind::Pf], "only pf ends open connections"),
    ("tool", &[BackendKind::Pf, BackendKind::Ipfw, BackendKind::Nftables], "no tool of a firewall is run"),
    ("command", &[BackendKind::Command], "no commands of your own are run"),
];

/// The one thing a command's argument can stand for.
const PREFIX: &str = "{prefix}";

/// Arguments of a command; the rest of a script belongs into a script.
const MAX_ARGUMENTS: usize = 64;

pub(crate) fn read(node: &Node<'_>) -> Option<FirewallSettings> {
    let default = FirewallSettings::default();
    let mut keys = Keys::of(node)?;
    let backend = keys.must("backend", "which firewall is to block, as in `backend: pf`", |node| {
        node.word(&BackendKind::ALL)
    });
    let firewall = FirewallSettings {
        backend: backend.unwrap_or_default(),
        table: keys.or("table", default.table, table),
        anchor: keys.maybe("anchor", Node::line),
        kill_states: keys.or("kill_states", default.kill_states, Node::boolean),
        foreign: keys.or("foreign", default.foreign, |node| node.word(&FOREIGN)),
        converge: keys.or("converge", default.converge, Node::duration),
        timeout: keys.or("timeout", default.timeout, Node::duration),
        tools: keys.or("tool", default.tools, |node| absolute(node).as_deref().map(Tools::at)),
        command: keys.or("command", default.command, commands),
    };
    keys.finish();
    if let Some(backend) = backend {
        fits(node, backend);
    }
    Some(firewall)
}

/// Whether the keys are those that the backend looks at.
fn fits(node: &Node<'_>, backend: BackendKind) {
    if backend == BackendKind::Command && node.peek("command").is_none() {
        node.fault_plainly("the backend `command` needs the key `command` with `add` and `remove`");
    }
    for (key, users, why) in USED_BY {
        if let Some(value) = node.peek(key).filter(|_| !users.contains(&backend)) {
            value.warn(format!("with the backend `{}` this has no effect: {why}", backend.as_str()));
        }
    }
}

/// A name, or a number as old ipfw has them; whether the backend takes it is looked at later.
fn table(node: &Node<'_>) -> Option<String> {
    node.number_as_text().or_else(|| node.line())
}

fn commands(node: &Node<'_>) -> Option<CommandTemplates> {
    let mut keys = Keys::of(node)?;
    let batch = keys.or("batch", false, Node::boolean);
    let add = keys.must("add", "the program that blocks, with its arguments", arguments);
    let remove = keys.must("remove", "the program that frees, with its arguments", arguments);
    let list = keys.or("list", Vec::new(), without_prefix);
    let replace = keys.or("replace", Vec::new(), without_prefix);
    keys.finish();
    for (key, command) in [("add", &add), ("remove", &remove)] {
        if let (Some(node), Some(command)) = (node.peek(key), command) {
            learns_whom(&node, command, batch);
        }
    }
    Some(CommandTemplates { add: add?, remove: remove?, list, replace })
}

/// A program that is told nobody blocks nobody, or everybody.
fn learns_whom(node: &Node<'_>, command: &[String], batch: bool) {
    // Unknown placeholders have been complained about.
    let is_misread = matches!(node.value(), Value::List(all) if all.len() != command.len());
    if batch || is_misread || command.iter().any(|argument| argument.contains('{')) {
        return;
    }
    let mut others = ["<ip>", "<addr>", "%s", "$1"].into_iter();
    let other = others.find(|other| command.iter().any(|argument| argument.contains(other)));
    let instead = other.map_or_else(String::new, |other| format!("`{other}` stands for nothing: "));
    node.fault_plainly(format!(
        "the program would not learn whose address it is: {instead}write `'{PREFIX}'` where the address is to be, or \
         `batch: true` beside `add` for programs that read addresses from standard input, one a line"
    ));
}

/// Argument vector: no shell, so the program is named by its path.
fn arguments(node: &Node<'_>) -> Option<Vec<String>> {
    let items = node.filled_list("begin with the program's absolute path", MAX_ARGUMENTS);
    let arguments: Vec<String> = items.iter().filter_map(argument).collect();
    if let (Some(node), Some(program)) = (items.first(), arguments.first())
        && (!program.starts_with('/') || program.contains('{'))
    {
        node.fault_plainly(format!(
            "a command begins with the absolute path of a program, not with `{program}`"
        ));
    }
    if arguments.is_empty() { None } else { Some(arguments) }
}

/// YAML takes `{prefix}` without quotes for a mapping.
fn argument(node: &Node<'_>) -> Option<String> {
    if node.is_mapping() {
        node.fault_plainly("braces need single quotes here: write `'{prefix}'`");
        return None;
    }
    let text = node.line()?;
    for placeholder in placeholders(&text).filter(|placeholder| *placeholder != PREFIX) {
        let meant = nearest(placeholder, [PREFIX]).map_or("the only one is", |_| "did you mean");
        node.fault_plainly(format!("unknown placeholder `{placeholder}`, {meant} `{PREFIX}`"));
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
fn without_prefix(node: &Node<'_>) -> Option<Vec<String>> {
    let arguments = arguments(node)?;
    if arguments.iter().any(|argument| argument.contains(PREFIX)) {
        node.fault(format!("is called once for all addresses: take `{PREFIX}` out of it"));
    }
    Some(arguments)
}

/// Why this backend cannot use a table name; `None` where it can.
pub(crate) fn bad_table(backend: BackendKind, name: &str) -> Option<&'static str> {
    match backend {
        BackendKind::Pf => names::bad_pf_table(name),
        BackendKind::Ipfw => names::bad_ipfw_table(name),
        BackendKind::Nftables => names::bad_nftables_table(name),
        BackendKind::DryRun => names::bad_table_everywhere(name),
        // Nobody is told of the name.
        BackendKind::Command => None,
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
