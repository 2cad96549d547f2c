//! A file that was read as YAML, kept as long as something may have to be said about it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::diagnostic::Diagnostic;
use super::source;
use super::yaml::{self, NodeId, Value, YamlNode};
use crate::rules::Severity;

/// At most this many faults of a file are reported: each costs a reading of the file, and nobody fixes more at a time.
const MAX_FAULTS: usize = 100;

/// One segment of the path from the root of a file to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PathSegment {
    /// To the value of a key.
    Key(Cow<'static, str>),
    /// To the key itself, where its name is what is wrong.
    Name(Cow<'static, str>),
    /// To the n-th entry of a list, from 0; of a mapping, to its value.
    Index(usize),
}

/// Something wrong with a node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NodeFault {
    pub(crate) node: NodeId,
    pub(crate) severity: Severity,
    pub(crate) text: String,
    /// The node's text and the byte of it that is meant.
    pub(crate) inside: Option<(String, usize)>,
}

/// All that is wrong with a file; shared by everything that reads a part of it.
#[derive(Debug, Default)]
pub(crate) struct Faults(RefCell<Vec<NodeFault>>);

impl Faults {
    pub(crate) fn into_inner(self) -> Vec<NodeFault> {
        self.0.into_inner()
    }

    pub(crate) fn push(&self, node: NodeId, severity: Severity, text: String) {
        self.add(NodeFault { node, severity, text, inside: None });
    }

    pub(crate) fn add(&self, fault: NodeFault) {
        self.0.borrow_mut().push(fault);
    }
}

/// Path, text and tree of a file.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    path: PathBuf,
    text: String,
    root: YamlNode,
}

impl Document {
    /// Reads the bytes of a file, whatever they are.
    pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Self, Diagnostic> {
        let refused =
            |fault: source::TextFault| Diagnostic::at(path, bytes, fault.offset, Severity::Error, fault.text);
        let text = source::from_bytes(bytes).map_err(refused)?;
        let root = yaml::read(text).map_err(refused)?;
        Ok(Self { path: path.to_owned(), text: text.to_owned(), root })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is nothing but comments in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.root.value == Value::Null
    }

    /// Whether it is a mapping with this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.root.entry(key).is_some()
    }

    /// The node that holds all others.
    pub(crate) fn root(&self) -> &YamlNode {
        &self.root
    }

    /// The faults that were noted while reading, from top to bottom.
    pub(crate) fn diagnostics(&self, faults: Faults) -> Vec<Diagnostic> {
        let mut faults = faults.into_inner();
        self.drop_warnings_about_defaults(&mut faults);
        faults.sort_by_key(|fault| fault.node);
        let more = faults.len().saturating_sub(MAX_FAULTS);
        faults.truncate(MAX_FAULTS);
        let told = faults.into_iter().map(|NodeFault { node, severity, text, inside }| {
            let offset = self.offset(node);
            let within = inside.and_then(|(value, at)| source::inside_scalar(&self.text, offset, &value, at));
            Diagnostic::at(&self.path, self.text.as_bytes(), within.unwrap_or(offset), severity, text)
        });
        let rest = format!("{more} more faults are not shown: fix these first");
        let rest = (more > 0).then(|| Diagnostic::whole(&self.path, Severity::Error, rest));
        told.chain(rest).collect()
    }

    /// Drops warnings about values with errors: they are about the default that was read in their place.
    fn drop_warnings_about_defaults(&self, faults: &mut Vec<NodeFault>) {
        let is_error = |fault: &&NodeFault| fault.severity == Severity::Error;
        let wrong: HashSet<NodeId> = faults.iter().filter(is_error).map(|fault| fault.node).collect();
        let mut around = HashSet::new();
        holds_one_of(&self.root, &wrong, &mut around);
        faults.retain(|fault| fault.severity == Severity::Error || !around.contains(&fault.node));
    }

    /// A diagnostic about the node at the end of the path, or the last one on it that exists; with `inside`, about that
    /// byte of its text, where the file shows it.
    pub(crate) fn diagnostic(
        &self,
        key_path: &[PathSegment],
        inside: Option<usize>,
        severity: Severity,
        text: &str,
    ) -> Diagnostic {
        let (id, node) = self.walk(key_path);
        let offset = self.offset(id);
        let within = match (&node.value, inside) {
            (Value::Text(value), Some(inside)) => source::inside_scalar(&self.text, offset, value, inside),
            _ => None,
        };
        Diagnostic::at(&self.path, self.text.as_bytes(), within.unwrap_or(offset), severity, text)
    }

    /// Whether any line of the file satisfies the predicate.
    pub(crate) fn any_line(&self, predicate: impl Fn(&str) -> bool) -> bool {
        self.text.lines().any(predicate)
    }

    /// The rest of the line behind an unquoted value; `None` where the value is quoted.
    pub(crate) fn behind_unquoted(&self, node: &YamlNode) -> Option<&str> {
        let Value::Text(value) = &node.value else { return None };
        let written = self.text.get(self.offset(node.id)..)?;
        written.strip_prefix(value.as_str())?.lines().next()
    }

    fn offset(&self, id: NodeId) -> usize {
        yaml::offset_of(&self.text, id)
    }

    /// A value that is missing has no place of its own: the key has.
    fn walk(&self, key_path: &[PathSegment]) -> (NodeId, &YamlNode) {
        let mut here = (self.root.id, &self.root);
        for step in key_path {
            let Some((key, value)) = child(here.1, step) else { break };
            let name = matches!(step, PathSegment::Name(_)) || value.value == Value::Null;
            here = if name { (key.id, key) } else { (value.id, value) };
        }
        here
    }
}

/// Whether a node is one of these or holds one; all such nodes are noted.
fn holds_one_of(node: &YamlNode, wanted: &HashSet<NodeId>, noted: &mut HashSet<NodeId>) -> bool {
    let inside = match &node.value {
        Value::Map(map) => map.iter().fold(false, |found, (key, value)| {
            let here = [key, value].map(|node| holds_one_of(node, wanted, noted));
            found | here[0] | here[1]
        }),
        Value::List(list) => list.iter().fold(false, |found, node| found | holds_one_of(node, wanted, noted)),
        _ => false,
    };
    let holds = inside || wanted.contains(&node.id);
    if holds {
        noted.insert(node.id);
    }
    holds
}

/// The key and the value that a path segment leads to; for an entry of a list, the entry twice.
fn child<'a>(node: &'a YamlNode, step: &PathSegment) -> Option<(&'a YamlNode, &'a YamlNode)> {
    match (&node.value, step) {
        (_, PathSegment::Key(wanted) | PathSegment::Name(wanted)) => node.entry(wanted),
        (Value::Map(map), PathSegment::Index(n)) => map.get(*n).map(|(key, value)| (key, value)),
        (Value::List(list), PathSegment::Index(n)) => list.get(*n).map(|item| (item, item)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &'static str) -> PathSegment {
        PathSegment::Key(key.into())
    }

    fn place(text: &str, key_path: &[PathSegment], inside: Option<usize>) -> (usize, usize) {
        let document = Document::read(Path::new("x"), text.as_bytes()).unwrap();
        let diagnostic = document.diagnostic(key_path, inside, Severity::Error, "no");
        (diagnostic.line.unwrap(), diagnostic.column.unwrap())
    }

    #[test]
    fn a_way_leads_as_far_as_there_is_something() {
        let text = "rules:\n  - id: a\n    pattern: 'x(y'\n    means:\n";
        let rule = |name| [key("rules"), PathSegment::Index(0), key(name)];
        assert_eq!(place(text, &[], None), (1, 1));
        assert_eq!(place(text, &rule("x")[..2], None), (2, 5));
        assert_eq!(place(text, &rule("pattern"), None), (3, 14));
        assert_eq!(place(text, &rule("pattern"), Some(1)), (3, 16));
        assert_eq!(place(text, &rule("pattern"), Some(99)), (3, 14));
        assert_eq!(place(text, &rule("means"), None), (4, 5), "no value: the key");
        assert_eq!(place(text, &rule("weight"), None), (2, 5), "no key: the mapping");
        assert_eq!(place(text, &[key("rules"), PathSegment::Index(7)], None), (2, 3));
        assert_eq!(place("a: {b: 1, c: 2}", &[key("a"), PathSegment::Name("c".into())], None), (1, 11));
    }

    #[test]
    fn a_flood_of_faults_is_cut_and_says_so() {
        let text: String = (0..500).map(|n| format!("k{n}: 1\n")).collect();
        let document = Document::read(Path::new("x"), text.as_bytes()).unwrap();
        let faults = Faults::default();
        for n in 0..500 {
            let id = child(&document.root, &PathSegment::Index(n)).unwrap().1.id;
            faults.push(id, Severity::Error, "is unknown".to_owned());
        }
        let told = document.diagnostics(faults);
        assert_eq!(told.len(), MAX_FAULTS + 1);
        assert!(told.last().unwrap().text.starts_with("400 more faults"));
    }

    #[test]
    fn what_follows_an_unquoted_value_is_seen() {
        let document = Document::read(Path::new("x"), b"a: x #y\nb: 'x' #y\n").unwrap();
        let node = |n: usize| child(&document.root, &PathSegment::Index(n)).unwrap().1;
        assert_eq!(document.behind_unquoted(node(0)), Some(" #y"));
        assert_eq!(document.behind_unquoted(node(1)), None);
    }
}
