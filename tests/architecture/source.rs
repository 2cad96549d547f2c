//! The source files of the crate, with what tests ask about their text.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file, without its comments; offsets and line numbers are those of the file.
pub(crate) struct Source {
    pub(crate) path: String,
    /// The first folder or file under `src`: `rules`.
    pub(crate) module: String,
    /// As it stands.
    pub(crate) whole: String,
    /// Without comments.
    pub(crate) text: String,
    /// Without comments and without the unit tests at the foot.
    pub(crate) code: String,
    pub(crate) lines: usize,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Self {
        let whole = fs::read_to_string(path).unwrap();
        let path = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        Self::new(&path, &whole)
    }

    pub(crate) fn new(path: &str, whole: &str) -> Self {
        let inner = path.strip_prefix("src/").unwrap_or(path);
        let module = inner.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let text = without_comments(whole);
        let is_test = inner.ends_with("/tests.rs") || inner.contains("/tests/");
        let end = if is_test { 0 } else { foot(&text) };
        let code = text[..end].to_owned();
        Self {
            path: path.to_owned(),
            module,
            whole: whole.to_owned(),
            text,
            code,
            lines: whole.lines().count(),
        }
    }

    /// How many modules stand between this file and the crate's root.
    pub(crate) fn depth(&self) -> usize {
        let inner = self.path.trim_start_matches("src/");
        inner.split('/').filter(|part| *part != "mod.rs").count()
    }

    pub(crate) fn at(&self, offset: usize) -> String {
        format!("{}:{}", self.path, 1 + self.text[..offset].matches('\n').count())
    }
}

/// The same text with line comments blanked out, byte for byte as long.
fn without_comments(whole: &str) -> String {
    let blank = |line: &str| match line.trim_start().starts_with("//") {
        true => " ".repeat(line.len()),
        false => line.find(" // ").map_or_else(
            || line.to_owned(),
            |at| {
                let (code, comment) = line.split_at(at);
                code.to_owned() + &" ".repeat(comment.len())
            },
        ),
    };
    whole.split('\n').map(blank).collect::<Vec<_>>().join("\n")
}

/// Where the unit tests begin.
fn foot(text: &str) -> usize {
    let begins = |line: &str| line.contains("mod ") && line.trim_end().ends_with('{');
    text.match_indices("\n#[cfg(test)]\n")
        .find(|(at, found)| text[at + found.len()..].lines().next().is_some_and(begins))
        .map_or(text.len(), |(at, _)| at)
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    files.sort();
    files.iter().map(|path| Source::read(root, path)).collect()
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `code` as a word of its own.
pub(crate) fn places<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let open_end = !word.ends_with(is_name);
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let after = code[at + word.len()..].chars().next();
        !code[..*at].ends_with(is_name) && (open_end || !after.is_some_and(is_name))
    })
}

/// What follows `root` (`crate::`): one name, or each first name of a group in braces; with the root's offset.
pub(crate) fn named<'a>(code: &'a str, root: &'a str) -> Vec<(usize, String)> {
    places(code, root)
        .flat_map(|at| firsts(&code[at + root.len()..]).into_iter().map(move |n| (at, n)))
        .collect()
}

fn firsts(rest: &str) -> Vec<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|&c| is_name(c)).collect::<String>();
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let mut names = vec![name(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The types that a text defines, but for types that belong to a trait; with their offsets.
pub(crate) fn types(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in code.split_inclusive('\n') {
        let words: Vec<&str> = without_visibility(line).split_whitespace().collect();
        let is_associated = line.starts_with(' ') && words.first() == Some(&"type");
        if let ["struct" | "enum" | "trait" | "type" | "union", name, ..] = words[..]
            && !is_associated
        {
            found.push((start, name.chars().take_while(|&c| is_name(c)).collect()));
        }
        start += line.len();
    }
    found
}

fn without_visibility(line: &str) -> &str {
    let Some(rest) = line.trim_start().strip_prefix("pub") else { return line };
    match rest.strip_prefix('(') {
        Some(scope) => scope.split_once(')').map_or(scope, |(_, rest)| rest),
        None => rest,
    }
}

/// The doc comments of a text, each as one line, with the number of its first line.
pub(crate) fn doc_comments(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut is_going_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        let Some(comment) = line.trim_start().strip_prefix("///") else {
            is_going_on = false;
            continue;
        };
        match found.last_mut().filter(|_| is_going_on) {
            Some((_, text)) => *text = format!("{text} {}", comment.trim()),
            None => found.push((number, comment.trim().to_owned())),
        }
        is_going_on = true;
    }
    found
}
