//! The keys of a mapping, taken one by one.

use super::fail2ban;
use super::reader::{Entry, Node};
use crate::config::text::source::false_blank;
use crate::config::text::suggest::{nearest, or_near};

/// The keys of a mapping, taken one by one; what nobody asked for is unknown.
pub(crate) struct Keys<'a> {
    node: Node<'a>,
    entries: Vec<Entry<'a>>,
    asked: Vec<&'static str>,
    missing: Vec<(&'static str, &'static str)>,
    /// Keys in whose place a word was written that belongs elsewhere: they are not also missing.
    meant: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    /// The keys of a mapping; `None`, and a fault, where the node is something else.
    pub(crate) fn of(node: &Node<'a>) -> Option<Self> {
        let entries = node.entries()?;
        let node = node.clone();
        Some(Self { node, entries, asked: Vec::new(), missing: Vec::new(), meant: Vec::new() })
    }

    /// The value of a key, if given.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.asked.push(key);
        self.entries.iter().find(|entry| entry.name == key).map(|entry| entry.value.clone())
    }

    /// The value of a key, or the default where it is missing or wrong; the latter is complained about.
    pub(crate) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> T {
        self.get(key).and_then(|node| read(&node)).unwrap_or(default)
    }

    /// The value of an optional key.
    pub(crate) fn maybe<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> Option<T> {
        self.get(key).and_then(|node| read(&node))
    }

    /// The value of a mandatory key; `what` explains the key where it is missing.
    pub(crate) fn must<T>(
        &mut self,
        key: &'static str,
        what: &'static str,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> Option<T> {
        let found = self.get(key);
        if found.is_none() {
            self.missing.push((key, what));
        }
        found.and_then(|node| read(&node))
    }

    /// Complains about a key, if it is given, that belongs elsewhere; `ours` is the one in whose place it was written.
    pub(crate) fn misplaced(&mut self, key: &str, sentence: &str, ours: Option<&'static str>) -> bool {
        let given = self.entries.iter().position(|entry| entry.name == key);
        if let Some(at) = given {
            self.entries.remove(at).key.fault_plainly(sentence);
            self.meant.extend(ours);
        }
        given.is_some()
    }

    /// Complains about unknown and missing keys; a misspelt key is not also missing.
    pub(crate) fn finish(self) {
        let unknown = |entry: &&Entry<'_>| !self.asked.contains(&entry.name);
        let mut meant = self.meant.clone();
        for Entry { name, key, .. } in self.entries.iter().filter(unknown) {
            let of_fail2ban = fail2ban::key(name);
            match of_fail2ban {
                Some(word) => meant.extend(word.ours),
                None => meant.extend(nearest(name, self.asked.iter().copied())),
            }
            key.fault_plainly(match of_fail2ban {
                Some(word) => word.sentence(),
                None => self.unknown(name),
            });
        }
        for (key, what) in self.missing.iter().filter(|row| !meant.contains(&row.0)) {
            self.node.fault_plainly(format!("the key `{key}` is missing: {what}"));
        }
    }

    fn unknown(&self, name: &str) -> String {
        if name == "<<" {
            return "merge keys (`<<`) are not read: write the keys out".to_owned();
        }
        if let Some((_, text)) = false_blank(name) {
            return format!("in the key `{name}` {text}");
        }
        format!("unknown key `{name}`{}", or_near(name, &self.asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reading::reader::tests::complaints;

    #[test]
    fn a_misspelt_key_is_not_also_missing() {
        let told = complaints("patern: x\nzzz: 1\n<<: 2\n1: 2\n", |keys| {
            keys.must("pattern", "it says what to look for", Node::text);
            keys.must("id", "every rule has one", Node::text);
        });
        assert_eq!(
            told,
            [
                "a key must be text, not the number 1: put it in single quotes",
                "unknown key `patern`, did you mean `pattern`?",
                "unknown key `zzz`; known are `pattern` and `id`",
                "merge keys (`<<`) are not read: write the keys out",
                "the key `id` is missing: every rule has one",
            ]
        );
    }

    #[test]
    fn a_key_given_twice_is_an_error() {
        let told = complaints("a: x\na: y\n", |keys| assert_eq!(keys.get("a").unwrap().text(), Some("x")));
        assert_eq!(told, ["`a` is given twice here: remove one of them"]);
    }
}
