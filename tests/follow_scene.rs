//! A directory with a follower that is asked to look by hand.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis::follow::{Batch, Follower, Source, Stored};

pub(crate) const QUIET: Duration = Duration::from_secs(15);
pub(crate) const FOREVER: Duration = Duration::from_secs(3600);

/// A directory with a follower that is asked to look by hand.
pub(crate) struct Scene {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) follower: Option<Follower>,
    pub(crate) stored: Vec<Stored>,
    pub(crate) now: Instant,
    pub(crate) batches: Vec<Batch>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, follower: None, stored: Vec::new(), now: Instant::now(), batches: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    pub(crate) fn source(&self, name: &str) -> Source {
        Source::files(name, self.path(name))
    }

    pub(crate) fn follow(&mut self, sources: &[Source]) {
        self.follower = Some(Follower::new(sources.to_vec(), &self.stored, QUIET, self.now));
    }

    pub(crate) fn follow_log(&mut self) {
        self.follow(&[self.source("log")]);
    }

    /// What a look hands out.
    pub(crate) fn look(&mut self) -> String {
        self.look_after(Duration::from_secs(1))
    }

    pub(crate) fn look_after(&mut self, span: Duration) -> String {
        self.now += span;
        self.batches.clear();
        let follower = self.follower.as_mut().unwrap();
        while follower
            .look(self.now, &mut |chunk| {
                self.batches.push(chunk.into());
                ControlFlow::Continue(())
            })
            .more
        {}
        for batch in &self.batches {
            let path = batch.path.to_string();
            let position = batch.position.clone().unwrap_or_default();
            self.stored.retain(|stored| stored.path != path);
            if batch.gone {
                continue;
            }
            self.stored.push(Stored { source: "log".to_owned(), path, position });
        }
        text(&self.batches)
    }

    pub(crate) fn notes(&mut self) -> String {
        self.follower.as_mut().unwrap().take_notes().join("\n")
    }
}

pub(crate) fn text(batches: &[Batch]) -> String {
    batches.iter().map(|batch| String::from_utf8_lossy(&batch.bytes)).collect()
}

pub(crate) fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

pub(crate) fn rotate(path: &Path) {
    let archived = format!("{}.0", path.display());
    fs::hard_link(path, archived).unwrap();
    let new = path.with_extension("zAbCdEf");
    fs::write(&new, "logfile turned over\n").unwrap();
    fs::rename(new, path).unwrap();
}
