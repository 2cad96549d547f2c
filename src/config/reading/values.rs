//! Values that several sections have: the file's version, paths, names, lengths of messages and keys of JSON.

use std::path::PathBuf;

use super::reader::Node;
use crate::config::defaults::VERSION;
use crate::rules::KeyPath;

/// In bytes: sshd cuts at 500, syslogd at 1 to 8 KiB, and a line of 16 KiB is not read at all.
const MESSAGE_LIMITS: std::ops::RangeInclusive<u32> = 16..=16_384;

/// The longest name of a set or a rule: it stands in log lines and in the database.
const MAX_NAME: usize = 64;

/// Whether this program can read a file of that version; what else could be said about another would mislead.
pub(crate) fn is_known(node: &Node<'_>) -> bool {
    let version = node.whole(1..=i32::MAX).unwrap_or(VERSION);
    if version > VERSION {
        node.fault_plainly(format!(
            "this file was written for a newer Portcullis: it says version {version}, this program reads {VERSION}"
        ));
    }
    version <= VERSION
}

/// A path that means the same wherever the daemon is started.
pub(crate) fn absolute(node: &Node<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(node.line()?);
    if !path.is_absolute() {
        node.fault(format!("must be an absolute path, not `{}`", path.display()));
        return None;
    }
    Some(path)
}

/// A path or a glob.
pub(crate) fn log_file(node: &Node<'_>) -> Option<String> {
    let path = absolute(node)?.to_string_lossy().into_owned();
    if let Some((first, second)) = two_paths(&path) {
        node.warn(format!(
            "this is one file whose name has a blank in it: for two files write two sources, as in \
             `a: {first}` and `b: {second}`"
        ));
    }
    if let Err(error) = glob::Pattern::new(&path) {
        node.fault(format!(
            "is a pattern for file names with a mistake at byte {}: {}",
            error.pos, error.msg
        ));
        return None;
    }
    Some(path)
}

/// The first two of several paths that were written as one.
fn two_paths(path: &str) -> Option<(&str, &str)> {
    let mut words = path.split([' ', ',', ';']).filter(|word| !word.is_empty());
    let first = words.next()?;
    let second = words.next()?;
    if second.starts_with('/') { Some((first, second)) } else { None }
}

/// A name for people, logs and the command line.
pub(crate) fn name(node: &Node<'_>) -> Option<String> {
    let name = node.text()?;
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_allowed = |c: char| is_alphanumeric(c) || c == '-';
    if !name.starts_with(is_alphanumeric) || !name.chars().all(is_allowed) || name.len() > MAX_NAME {
        node.fault(format!(
            "must be lower-case letters, digits and dashes, {MAX_NAME} at most, a letter or digit first"
        ));
        return None;
    }
    Some(name.to_owned())
}

/// The length from which messages are taken for cut, of a set or a rule.
pub(crate) fn message_limit(node: &Node<'_>) -> Option<usize> {
    usize::try_from(node.whole(MESSAGE_LIMITS)?).ok()
}

/// `ts`, or `log.ts` for a key within another; `client\.ip` for a key that holds a dot.
pub(crate) fn key_path(node: &Node<'_>) -> Option<KeyPath> {
    let path = KeyPath::parse(&node.line()?);
    if path.is_none() {
        node.fault(format!(
            "must be a key of the JSON object, or keys with a dot between them, {} at most; `\\.` is a dot within a key",
            KeyPath::DEEPEST
        ));
    }
    path
}
