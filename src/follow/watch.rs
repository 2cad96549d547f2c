//! Events of the file system: they say that something changed, and no more is believed of them.

use std::path::Path;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// Files that are watched. Only files: on kqueue `notify` answers the watch of a directory with watches of its entries.
pub trait Watch: Send {
    /// Watches the file at a path; false where it cannot be watched.
    fn add(&mut self, path: &Path) -> bool;

    /// Watches the path no more.
    fn remove(&mut self, path: &Path);
}

/// The watches of this process.
pub struct FileEvents(RecommendedWatcher);

impl FileEvents {
    /// Calls `wake` when a watched file changes.
    ///
    /// # Errors
    /// An error of a system that has no watches left.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> notify::Result<Self> {
        let handler = move |event: notify::Result<notify::Event>| {
            // Somebody who opens or reads a log, us among them, does not change it.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                wake();
            }
        };
        notify::recommended_watcher(handler).map(Self)
    }
}

impl Watch for FileEvents {
    fn add(&mut self, path: &Path) -> bool {
        self.0.watch(path, RecursiveMode::NonRecursive).is_ok()
    }

    fn remove(&mut self, path: &Path) {
        // Fails where the system dropped the watch together with the file.
        let _ = self.0.unwatch(path);
    }
}
