//! The follower as an interpreter of random file-system actions, against a small model: nothing lost, nothing twice,
//! in order. What cannot be read by anybody (a file truncated or deleted unread) may be missing, never doubled.

use std::ops::ControlFlow;
use std::time::Duration;

use portcullis::follow::{Follower, Position, Source, Stored};
use portcullis::time::Time;
use proptest::prelude::*;
use proptest::test_runner::{FailurePersistence, FileFailurePersistence};

use crate::follow_world::{Layout, Line, Rewriting, World};

const QUIET: Duration = Duration::from_secs(15);

/// What an operator, a logger and a rotator do; the number chooses one of the logs.
#[derive(Clone, Copy, Debug)]
enum Action {
    Append(usize, usize),
    AppendMany(usize),
    AppendOverlong(usize),
    Partial(usize),
    /// The logger opens its file again, creating it where it is missing.
    Reopen(usize),
    Newsyslog(usize),
    RenameAndCreate(usize),
    CopyTruncate(usize),
    Truncate(usize),
    Delete(usize),
    /// A copy takes the file's place, as editors do it.
    ReplaceByCopy(usize),
    /// `sed -i 1d`, or an editor that writes the file in place.
    Rewrite(usize, Rewriting),
    /// The machine dies, and the file has lost its end when it is up again.
    PowerCut(usize),
    Compress(usize, usize),
    Repoint(usize),
    Look,
    Wait,
    Stop,
    /// The program dies after one chunk was taken and its position stored.
    Crash,
    Start,
}

fn action() -> impl Strategy<Value = Action> {
    let log = 0..3usize;
    prop_oneof![
        8 => (log.clone(), 0..400usize).prop_map(|(log, size)| Action::Append(log, size)),
        1 => log.clone().prop_map(Action::AppendMany),
        1 => log.clone().prop_map(Action::AppendOverlong),
        3 => log.clone().prop_map(Action::Partial),
        2 => log.clone().prop_map(Action::Reopen),
        3 => log.clone().prop_map(Action::Newsyslog),
        2 => log.clone().prop_map(Action::RenameAndCreate),
        1 => log.clone().prop_map(Action::CopyTruncate),
        1 => log.clone().prop_map(Action::Truncate),
        1 => log.clone().prop_map(Action::Delete),
        1 => log.clone().prop_map(Action::ReplaceByCopy),
        1 => (log.clone(), rewriting()).prop_map(|(log, how)| Action::Rewrite(log, how)),
        1 => log.clone().prop_map(Action::PowerCut),
        2 => (log.clone(), 0..6usize).prop_map(|(log, n)| Action::Compress(log, n)),
        1 => log.prop_map(Action::Repoint),
        8 => Just(Action::Look),
        1 => Just(Action::Wait),
        2 => Just(Action::Stop),
        1 => Just(Action::Crash),
        3 => Just(Action::Start),
    ]
}

fn rewriting() -> impl Strategy<Value = Rewriting> {
    prop::sample::select(vec![Rewriting::InPlace, Rewriting::NewFile, Rewriting::Backup])
}

impl World {
    fn run(&mut self, action: Action) {
        match action {
            Action::Append(log, size) => self.append(log, size),
            Action::AppendMany(log) => (0..30).for_each(|n| self.append(log, n * 50)),
            Action::AppendOverlong(log) => self.append_overlong(log),
            Action::Partial(log) => self.write_partial(log),
            Action::Reopen(log) => self.reopen(log),
            Action::Newsyslog(log) => self.newsyslog(log),
            Action::RenameAndCreate(log) => self.rename_and_create(log),
            Action::CopyTruncate(log) => self.copy_truncate(log),
            Action::Truncate(log) => self.truncate(log),
            Action::Delete(log) => self.delete(log),
            Action::ReplaceByCopy(log) => self.replace_by_copy(log),
            Action::Rewrite(log, how) => self.rewrite(log, how),
            Action::PowerCut(log) => {
                self.stop();
                self.lose_end(log);
            }
            Action::Compress(log, which) => self.compress(log, which),
            Action::Repoint(log) => self.repoint(log),
            Action::Look => self.look_now(),
            Action::Wait => self.wait(),
            Action::Stop => self.stop(),
            Action::Crash => {
                self.look(1);
                self.stop();
            }
            Action::Start => self.start(),
        }
    }

    fn start(&mut self) {
        let path = match self.layout {
            Layout::Pattern => self.directory.path().join("*.log"),
            Layout::Symlink => self.directory.path().join("link"),
            Layout::Numbers | Layout::Stamps => self.directory.path().join("0.log"),
        };
        if self.follower.is_none() {
            let source = Source { from_start: true, ..Source::files("source", path) };
            let mut follower = Follower::new(vec![source], &self.stored, QUIET, self.now);
            // The times of the lines, so that several logs are merged.
            let number = |line: &str| line.rsplit(' ').next()?.parse().ok();
            follower.merge_by(Box::new(move |_, line| {
                number(std::str::from_utf8(line).ok()?).map(Time::from_secs)
            }));
            self.follower = Some(follower);
            self.meet();
            self.forget_missing();
        }
    }

    /// What matches a pattern no more and is read to its end is forgotten.
    fn forget_missing(&mut self) {
        for log in &mut self.logs {
            log.seen &= log.at_path.is_some();
        }
    }

    fn meet(&mut self) {
        for log in &self.logs {
            let contents = log.rotated.iter().map(|rotated| rotated.1).chain(log.at_path);
            contents.for_each(|content| self.contents[content].met = true);
        }
    }

    fn stop(&mut self) {
        self.follower = None;
        for content in 0..self.contents.len() {
            self.contents[content].open = false;
            if self.contents[content].gone {
                self.excuse(content);
            }
        }
    }

    fn wait(&mut self) {
        for log in 0..self.logs.len() {
            if self.logs[log].writer.as_ref().is_some_and(|writer| Some(writer.1) != self.logs[log].at_path) {
                (self.logs[log].writer, self.logs[log].partial) = (None, None);
            }
        }
        self.look_now();
        self.now += QUIET + Duration::from_secs(1);
        self.look_now();
        let at_paths: Vec<usize> = self.logs.iter().filter_map(|log| log.at_path).collect();
        for index in 0..self.logs.len() {
            (0..self.logs[index].rotated.len()).for_each(|rotated| self.make_older(index, rotated));
        }
        self.forget_missing();
        for (index, content) in self.contents.iter_mut().enumerate() {
            content.open &= at_paths.contains(&index);
        }
    }

    /// Looks until there is nothing more.
    pub(crate) fn look_now(&mut self) {
        self.look(usize::MAX);
    }

    /// Looks until there is nothing more, or until so many chunks were taken.
    fn look(&mut self, chunks: usize) {
        let Some(mut follower) = self.follower.take() else { return };
        self.now += Duration::from_secs(1);
        let mut left = chunks;
        loop {
            let looked = follower.look(self.now, &mut |chunk| {
                match chunk.position {
                    Some(position) => self.store(chunk.path, position),
                    None => self.stored.retain(|stored| chunk.gone && *stored.path != **chunk.path),
                }
                self.take(chunk.bytes);
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if !looked.more || looked.stopped {
                break;
            }
        }
        self.follower = Some(follower);
        self.meet();
        if left == 0 {
            return;
        }
        for log in &mut self.logs {
            log.seen |= log.at_path.is_some();
            for content in log.rotated.iter().map(|rotated| rotated.1).chain(log.at_path) {
                self.contents[content].open |= !self.contents[content].gone;
            }
        }
    }

    fn store(&mut self, path: &str, position: &Position) {
        self.stored.retain(|stored| stored.path != path);
        let source = "source".to_owned();
        let path = path.to_owned();
        let position = position.clone();
        self.stored.push(Stored { source, path, position });
    }

    fn take(&mut self, bytes: &[u8]) {
        assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "half a line");
        for text in std::str::from_utf8(bytes).unwrap().lines() {
            let mut words = text.split(' ');
            let mut number = || words.next().unwrap().parse::<usize>().unwrap();
            let line = (number(), number());
            let taken = self.taken.get_mut(&line).unwrap_or_else(|| panic!("{line:?} is not a line: {text}"));
            *taken += 1;
            assert_eq!(*taken, 1, "{line:?} came twice");
            let newest = self.newest.insert(line.0, line.1);
            assert!(newest < Some(line.1) || self.excused.contains(&line), "{line:?} came after {newest:?}");
            for content in &mut self.contents {
                content.read |= content.unread.contains(&line);
                content.unread.retain(|unread| *unread != line);
            }
        }
    }

    fn check(&mut self) {
        self.start();
        self.look_now();
        for log in 0..self.logs.len() {
            self.reopen(log);
            self.append(log, 0);
        }
        (0..6).for_each(|_| self.look_now());
        let lost = self.taken.iter().filter(|(line, taken)| **taken == 0 && !self.excused.contains(line));
        assert_eq!(lost.map(|(line, _)| *line).collect::<Vec<Line>>(), [], "lost");
    }
}

fn play(layout: Layout, actions: &[Action]) {
    let mut world = World::new(layout);
    world.start();
    world.look_now();
    for action in actions {
        world.run(*action);
    }
    world.check();
}

/// 600 scripts for each layout; more with `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let seeds = Some(Box::new(FileFailurePersistence::WithSource("seeds")) as Box<dyn FailurePersistence>);
    ProptestConfig { cases: asked.cases.max(600), failure_persistence: seeds, ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice_with_numbered_rotations(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        play(Layout::Numbers, &actions);
    }

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice_with_dated_rotations(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        play(Layout::Stamps, &actions);
    }

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice_behind_a_symlink(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        play(Layout::Symlink, &actions);
    }

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice_with_a_pattern(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        play(Layout::Pattern, &actions);
    }
}

/// A line that is not whole yet makes its log lag again and again, so that it is waited for no more; a path that was
/// found meanwhile was not stored, and what was rotated away from it after a stop was never read.
#[test]
fn a_path_that_is_read_out_of_turn_is_stored() {
    use Action::{Append, Look, Newsyslog, Partial, PowerCut, RenameAndCreate, ReplaceByCopy, Start, Stop};
    let found = [Partial(2), Stop, Start, Look, Look, RenameAndCreate(2), Partial(0), ReplaceByCopy(0)];
    play(Layout::Pattern, &[found.as_slice(), &[PowerCut(0), Append(0, 0), Newsyslog(0)]].concat());
}

/// An editor replaced the log, a power cut took its end, and it was rotated before anybody looked: it begins like the
/// one that the editor replaced, which was read to its end and closed.
#[test]
fn what_a_power_cut_left_is_not_taken_for_a_file_that_began_like_it() {
    use Action::{Append, AppendMany, Newsyslog, PowerCut, ReplaceByCopy, Wait};
    let cut = [Append(0, 0), ReplaceByCopy(0), AppendMany(0), Wait, PowerCut(0)];
    for layout in [Layout::Numbers, Layout::Stamps] {
        play(layout, &[cut.as_slice(), &[Newsyslog(0), Append(0, 0)]].concat());
        play(layout, &[cut.as_slice(), &[ReplaceByCopy(0), Append(0, 0), Newsyslog(0)]].concat());
    }
}
