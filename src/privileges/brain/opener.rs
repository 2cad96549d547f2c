//! The logs, opened by the arm, which knows them by numbers.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::follow::{
    FileKey, JournalQuery, JournalStart, Journalctl, Listed, Opened, Opener, PathState, Watch, is_pattern,
    no_look,
};
use crate::privileges::channel::Channel;
use crate::privileges::journal::JournalPlace;
use crate::privileges::message::{FileAction, FileAnswer, FileCall, FileNumber, NumberedFile};
use crate::settings::JOURNAL;

/// How often paths that have no number are asked for.
const ASK_AGAIN: Duration = Duration::from_secs(10);

type Wakers = Mutex<Vec<Weak<dyn Fn() + Send + Sync>>>;

/// The way to the logs through the arm.
pub(super) struct RemoteOpener {
    arm: Arc<Mutex<ArmLink>>,
    wakers: Wakers,
}

/// The channel, and the numbers that came through it.
struct ArmLink {
    channel: Channel,
    numbers: HashMap<PathBuf, FileNumber>,
    /// The paths of the configuration in force.
    roots: Vec<NumberedFile>,
    asked: Option<Instant>,
}

impl RemoteOpener {
    pub(super) fn new(channel: Channel, roots: Vec<NumberedFile>) -> Self {
        let mut arm = ArmLink { channel, numbers: HashMap::new(), roots: Vec::new(), asked: None };
        arm.learn_roots(roots);
        Self { arm: Arc::new(Mutex::new(arm)), wakers: Mutex::default() }
    }

    /// Another configuration is in force.
    pub(super) fn learn(&self, roots: Vec<NumberedFile>) {
        self.arm().learn_roots(roots);
    }

    /// A watched file changed.
    pub(super) fn wake(&self) {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.retain(|waker| {
            waker.upgrade().is_some_and(|wake| {
                wake();
                true
            })
        });
    }

    fn arm(&self) -> MutexGuard<'_, ArmLink> {
        locked(&self.arm)
    }
}

fn locked(arm: &Mutex<ArmLink>) -> MutexGuard<'_, ArmLink> {
    arm.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ArmLink {
    fn learn_roots(&mut self, roots: Vec<NumberedFile>) {
        self.learn(&roots);
        self.roots = roots;
        self.asked = None;
    }

    fn learn(&mut self, files: &[NumberedFile]) {
        self.numbers.extend(files.iter().map(|file| (file.path.clone(), file.number)));
    }

    /// Asks about a path. One that the arm gave no number for is nowhere.
    fn ask(&mut self, action: FileAction, path: &Path) -> io::Result<(FileAnswer, Vec<OwnedFd>)> {
        let file = self.number(path).ok_or(io::ErrorKind::NotFound)?;
        let answer = self.call(action, file)?;
        if answer.0 == FileAnswer::Unknown {
            self.numbers.remove(path);
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(answer)
    }

    fn call(&mut self, action: FileAction, file: FileNumber) -> io::Result<(FileAnswer, Vec<OwnedFd>)> {
        self.channel.call(&FileCall { action, file })
    }

    /// A path that was stored by an earlier run may be one that the arm finds when it looks.
    fn number(&mut self, path: &Path) -> Option<FileNumber> {
        if !self.numbers.contains_key(path) && self.asked.is_none_or(|asked| asked.elapsed() > ASK_AGAIN) {
            self.asked = Some(Instant::now());
            self.ask_for_all();
        }
        self.numbers.get(path).copied()
    }

    fn ask_for_all(&mut self) {
        for root in self.roots.clone() {
            let found = if is_pattern(&root.path) {
                let gone = self.files(FileAction::Gone, root.number).0;
                [self.files(FileAction::Expand, root.number).0, gone].concat()
            } else {
                vec![root]
            };
            for file in found {
                self.files(FileAction::Target, file.number);
            }
        }
    }

    /// Files that the arm names, and what it says of directories that it cannot look into.
    fn files(&mut self, action: FileAction, file: FileNumber) -> (Vec<NumberedFile>, Vec<String>) {
        match self.call(action, file) {
            Ok((FileAnswer::Files(files, told), _)) => {
                self.learn(&files);
                (files, told)
            }
            _ => (Vec::new(), Vec::new()),
        }
    }
}

/// The descriptor beside an answer.
fn file_of(answer: FileAnswer, descriptors: Vec<OwnedFd>) -> io::Result<File> {
    match (answer, descriptors.into_iter().next()) {
        (FileAnswer::Open, Some(descriptor)) => Ok(descriptor.into()),
        (FileAnswer::Error(number), _) => Err(io::Error::from_raw_os_error(number)),
        (FileAnswer::Refused(why), _) => Err(io::Error::new(io::ErrorKind::InvalidInput, why)),
        (FileAnswer::NoLog(kind, _), _) => Err(io::Error::new(io::ErrorKind::InvalidInput, kind.as_str())),
        (answer, _) => Err(io::Error::other(format!("the process with root's rights answers {answer:?}"))),
    }
}

impl Opener for RemoteOpener {
    fn look(&self, path: &Path, _: bool) -> PathState {
        let answer = self.arm().ask(FileAction::Look, path);
        let opened = answer.and_then(|(answer, descriptors)| match answer {
            FileAnswer::NoLog(kind, _) => Ok(PathState::Strange(kind)),
            answer => Opened::new(file_of(answer, descriptors)?).map(|opened| PathState::File(opened.meta)),
        });
        opened.unwrap_or_else(|error| no_look(&error))
    }

    fn key(&self, path: &Path) -> Option<FileKey> {
        let (answer, descriptors) = self.arm().ask(FileAction::Look, path).ok()?;
        match answer {
            FileAnswer::NoLog(_, key) => Some(key),
            answer => Some(FileKey::of(&Opened::new(file_of(answer, descriptors).ok()?).ok()?.meta)),
        }
    }

    fn open(&self, path: &Path, _: bool) -> io::Result<Opened> {
        let (answer, descriptors) = self.arm().ask(FileAction::Open, path)?;
        Opened::new(file_of(answer, descriptors)?)
    }

    fn expand(&self, pattern: &str) -> Vec<Listed> {
        let mut arm = self.arm();
        let Some(number) = arm.numbers.get(Path::new(pattern)).copied() else { return Vec::new() };
        let (files, told) = arm.files(FileAction::Expand, number);
        files.into_iter().map(|file| Ok(file.path)).chain(told.into_iter().map(Err)).collect()
    }

    fn rotations(&self, log: &Path) -> Vec<PathBuf> {
        let mut arm = self.arm();
        let Some(number) = arm.number(log) else { return Vec::new() };
        arm.files(FileAction::Rotations, number).0.into_iter().map(|file| file.path).collect()
    }

    fn target(&self, path: &Path) -> PathBuf {
        let mut arm = self.arm();
        let target = arm.number(path).and_then(|number| arm.files(FileAction::Target, number).0.pop());
        target.map_or_else(|| path.to_owned(), |file| file.path)
    }

    fn journal(&self, _: &JournalQuery, start: &JournalStart) -> io::Result<Journalctl> {
        let place = JournalPlace::of(start).ok_or_else(|| io::Error::other("its stored cursor is none"))?;
        let (answer, descriptors) = self.arm().ask(FileAction::Journal(place), Path::new(JOURNAL))?;
        let mut ends = descriptors.into_iter();
        match (answer, ends.next(), ends.next()) {
            (FileAnswer::Open, Some(output), Some(errors)) => {
                Ok(Journalctl { output: output.into(), errors: errors.into(), child: None })
            }
            (answer, ..) => {
                Err(file_of(answer, Vec::new()).map_or_else(|error| error, |_| io::ErrorKind::Other.into()))
            }
        }
    }

    fn end_of_journal(&self, query: &JournalQuery, journalctl: Journalctl) -> String {
        match self.arm().ask(FileAction::EndOfJournal, Path::new(JOURNAL)) {
            Ok((FileAnswer::Ended(why), _)) => why,
            _ => journalctl.end(&query.tool),
        }
    }

    fn watch(&self, wake: Box<dyn Fn() + Send + Sync>) -> Result<Box<dyn Watch>, String> {
        let wake: Arc<dyn Fn() + Send + Sync> = wake.into();
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&wake));
        Ok(Box::new(RemoteWatch { arm: Arc::clone(&self.arm), _wake: wake, watched: HashSet::new() }))
    }
}

/// Files that the arm watches for one follower.
struct RemoteWatch {
    arm: Arc<Mutex<ArmLink>>,
    /// Dropped with the follower, which is told no more then.
    _wake: Arc<dyn Fn() + Send + Sync>,
    watched: HashSet<PathBuf>,
}

impl Watch for RemoteWatch {
    fn add(&mut self, path: &Path) -> bool {
        let answer = locked(&self.arm).ask(FileAction::Watch, path);
        let is_watched = matches!(answer, Ok((FileAnswer::Watched(true), _)));
        if is_watched {
            self.watched.insert(path.to_owned());
        }
        is_watched
    }

    fn remove(&mut self, path: &Path) {
        if self.watched.remove(path) {
            let _told = locked(&self.arm).ask(FileAction::Unwatch, path);
        }
    }
}

impl Drop for RemoteWatch {
    fn drop(&mut self) {
        for path in std::mem::take(&mut self.watched) {
            let _told = locked(&self.arm).ask(FileAction::Unwatch, &path);
        }
    }
}
