//! The machine on which a configuration is read: all that reading it asks of the file system.
//!
//! The daemon's process that decides may not read these files, and so it reads a [`Recording`] that another process made
//! while it read them: same questions, same answers.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file_permissions::{FileTrust, read_trusted, rule_files};
use super::validate::SettingFault;
use crate::config::defaults;
use crate::config::text::diagnostic::Diagnostics;
use crate::files;

/// The kind of what is at a path, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PathKind {
    /// Nothing is there.
    Missing,
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// What reading a configuration asks of a machine.
pub trait Site {
    /// The content of a file, see [`read_trusted`].
    fn read(&self, path: &Path, max: usize, trust: FileTrust, told: &mut Diagnostics) -> Option<Vec<u8>>;

    /// The rule files of a directory, see [`rule_files`].
    fn rule_files(&self, directory: &Path, trust: FileTrust, told: &mut Diagnostics) -> Vec<PathBuf>;

    /// The kind of what is at a path, links followed.
    fn kind(&self, path: &Path) -> PathKind;

    /// Whether a log is there: a file, or one that a pattern means.
    fn has_log(&self, path: &str) -> bool;

    /// Whether the systemd journal is there, with the tool that reads it.
    fn has_journal(&self) -> bool;

    /// What the daemon would miss here, which `look` finds out.
    fn missing_for_the_daemon(&self, look: &dyn Fn() -> Vec<SettingFault>) -> Vec<SettingFault>;
}

/// The machine that this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisMachine;

impl Site for ThisMachine {
    fn read(&self, path: &Path, max: usize, trust: FileTrust, told: &mut Diagnostics) -> Option<Vec<u8>> {
        read_trusted(path, max, trust, told)
    }

    fn rule_files(&self, directory: &Path, trust: FileTrust, told: &mut Diagnostics) -> Vec<PathBuf> {
        rule_files(directory, trust, told)
    }

    fn kind(&self, path: &Path) -> PathKind {
        match path {
            path if path.is_dir() => PathKind::Directory,
            path if path.exists() => PathKind::Other,
            _ => PathKind::Missing,
        }
    }

    fn has_log(&self, path: &str) -> bool {
        Path::new(path).exists() || glob::glob(path).is_ok_and(|mut found| found.any(|file| file.is_ok()))
    }

    fn has_journal(&self) -> bool {
        files::has_journal() && Path::new(defaults::JOURNALCTL).exists()
    }

    fn missing_for_the_daemon(&self, look: &dyn Fn() -> Vec<SettingFault>) -> Vec<SettingFault> {
        look()
    }
}

/// The answers that a machine gave while a configuration was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    files: Vec<(PathBuf, Option<Vec<u8>>, Diagnostics)>,
    directories: Vec<(PathBuf, Vec<PathBuf>, Diagnostics)>,
    kinds: Vec<(PathBuf, PathKind)>,
    logs: Vec<(String, bool)>,
    has_journal: bool,
    missing: Vec<SettingFault>,
}

/// Reads on this machine and writes the answers down.
#[derive(Debug, Default)]
pub struct Recorder(RefCell<Recording>);

impl Recorder {
    /// The answers so far.
    pub fn finish(self) -> Recording {
        self.0.into_inner()
    }
}

impl Site for Recorder {
    fn read(&self, path: &Path, max: usize, trust: FileTrust, told: &mut Diagnostics) -> Option<Vec<u8>> {
        let mut found = Diagnostics::default();
        let content = ThisMachine.read(path, max, trust, &mut found);
        told.extend(found.iter().cloned());
        self.0.borrow_mut().files.push((path.to_owned(), content.clone(), found));
        content
    }

    fn rule_files(&self, directory: &Path, trust: FileTrust, told: &mut Diagnostics) -> Vec<PathBuf> {
        let mut found = Diagnostics::default();
        let files = ThisMachine.rule_files(directory, trust, &mut found);
        told.extend(found.iter().cloned());
        self.0.borrow_mut().directories.push((directory.to_owned(), files.clone(), found));
        files
    }

    fn kind(&self, path: &Path) -> PathKind {
        let kind = ThisMachine.kind(path);
        self.0.borrow_mut().kinds.push((path.to_owned(), kind));
        kind
    }

    fn has_log(&self, path: &str) -> bool {
        let is_there = ThisMachine.has_log(path);
        self.0.borrow_mut().logs.push((path.to_owned(), is_there));
        is_there
    }

    fn has_journal(&self) -> bool {
        let has_journal = ThisMachine.has_journal();
        self.0.borrow_mut().has_journal = has_journal;
        has_journal
    }

    fn missing_for_the_daemon(&self, look: &dyn Fn() -> Vec<SettingFault>) -> Vec<SettingFault> {
        let missing = look();
        self.0.borrow_mut().missing.clone_from(&missing);
        missing
    }
}

/// The answer to a question that was asked before; a question that is new has none.
fn answer<Q: PartialEq<P> + ?Sized, P, A>(answers: &[(P, A)], question: &Q) -> Option<A>
where
    A: Clone,
{
    answers.iter().find(|(asked, _)| *question == *asked).map(|(_, answer)| answer.clone())
}

impl Site for Recording {
    fn read(&self, path: &Path, _: usize, _: FileTrust, told: &mut Diagnostics) -> Option<Vec<u8>> {
        let (_, content, found) = self.files.iter().find(|(asked, ..)| asked == path)?;
        told.extend(found.iter().cloned());
        content.clone()
    }

    fn rule_files(&self, directory: &Path, _: FileTrust, told: &mut Diagnostics) -> Vec<PathBuf> {
        let asked = self.directories.iter().find(|(asked, ..)| asked == directory);
        let Some((_, files, found)) = asked else { return Vec::new() };
        told.extend(found.iter().cloned());
        files.clone()
    }

    fn kind(&self, path: &Path) -> PathKind {
        answer(&self.kinds, path).unwrap_or(PathKind::Missing)
    }

    fn has_log(&self, path: &str) -> bool {
        answer(&self.logs, path).unwrap_or_default()
    }

    fn has_journal(&self) -> bool {
        self.has_journal
    }

    fn missing_for_the_daemon(&self, _: &dyn Fn() -> Vec<SettingFault>) -> Vec<SettingFault> {
        self.missing.clone()
    }
}
