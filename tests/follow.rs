//! Following, one story each: what others got wrong (the rows "following" of the project's list of mistakes), what
//! an attacker could try, and the running thread.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use portcullis::follow::{
    Batch, Fingerprint, Follower, Handle, Kind, LINE_MAX, Options, Position, Source, Stored, spawn,
};

const QUIET: Duration = Duration::from_secs(15);
const FOREVER: Duration = Duration::from_secs(3600);

/// A directory with a follower that is asked to look by hand.
struct Scene {
    directory: tempfile::TempDir,
    follower: Option<Follower>,
    stored: Vec<Stored>,
    now: Instant,
    batches: Vec<Batch>,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, follower: None, stored: Vec::new(), now: Instant::now(), batches: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    fn source(&self, name: &str) -> Source {
        Source::files(name, self.path(name))
    }

    fn follow(&mut self, sources: &[Source]) {
        self.follower = Some(Follower::new(sources.to_vec(), &self.stored, QUIET, self.now));
    }

    fn follow_log(&mut self) {
        self.follow(&[self.source("log")]);
    }

    /// What a look hands out.
    fn look(&mut self) -> String {
        self.look_after(Duration::from_secs(1))
    }

    fn look_after(&mut self, span: Duration) -> String {
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
            let (path, position) = (batch.path.to_string(), batch.position.clone().unwrap_or_default());
            self.stored.retain(|stored| stored.path != path);
            self.stored.push(Stored { source: "log".to_owned(), path, position });
        }
        text(&self.batches)
    }

    fn notes(&mut self) -> String {
        self.follower.as_mut().unwrap().take_notes().join("\n")
    }
}

fn text(batches: &[Batch]) -> String {
    batches.iter().map(|batch| String::from_utf8_lossy(&batch.bytes)).collect()
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn rotate(path: &Path) {
    let archived = format!("{}.0", path.display());
    fs::hard_link(path, archived).unwrap();
    let new = path.with_extension("zAbCdEf");
    fs::write(&new, "logfile turned over\n").unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn what_the_logger_writes_to_the_renamed_file_is_read_until_it_is_quiet() {
    let mut scene = Scene::new();
    scene.append("log", "before\n");
    scene.follow_log();
    assert_eq!(scene.look(), "");
    let mut logger = OpenOptions::new().append(true).open(scene.path("log")).unwrap();
    logger.write_all(b"unread\n").unwrap();
    rotate(&scene.path("log"));
    logger.write_all(b"still the old file\n").unwrap();
    assert_eq!(scene.look(), "unread\nstill the old file\nlogfile turned over\n");
    for n in 0..5 {
        logger.write_all(b"late\n").unwrap();
        assert_eq!(scene.look_after(Duration::from_secs(10)), "late\n", "{n}");
    }
    scene.append("log", "the new file\n");
    assert_eq!(scene.look(), "the new file\n");
    assert_eq!(scene.look_after(QUIET), "");
    assert_eq!(scene.follower.as_ref().unwrap().status()[0].rotated, 0);
}

#[test]
fn a_logger_that_was_not_signalled_yet_is_waited_for_as_long_as_nobody_writes_to_the_new_file() {
    let mut scene = Scene::new();
    scene.append("log", "before\n");
    scene.follow_log();
    scene.look();
    let mut logger = OpenOptions::new().append(true).open(scene.path("log")).unwrap();
    rotate(&scene.path("log"));
    scene.look();
    scene.look_after(FOREVER);
    logger.write_all(b"hours later\n").unwrap();
    assert_eq!(scene.look(), "hours later\n");
}

#[test]
fn two_rotations_between_two_looks_lose_nothing() {
    let mut scene = Scene::new();
    scene.append("log", "");
    scene.follow_log();
    scene.look();
    scene.append("log", "first\n");
    fs::rename(scene.path("log"), scene.path("log.1")).unwrap();
    scene.append("log", "middle\n");
    fs::rename(scene.path("log"), scene.path("log.0")).unwrap();
    scene.append("log", "last\n");
    assert_eq!(scene.look(), "first\nmiddle\nlast\n");
    assert!(scene.batches.iter().all(|batch| !batch.backlog), "all of it was written just now");
}

#[test]
fn a_copytruncate_that_grows_past_the_old_size_before_the_next_look_is_seen() {
    let mut scene = Scene::new();
    scene.append("log", "");
    scene.follow_log();
    scene.append("log", "read\n");
    assert_eq!(scene.look(), "read\n");
    scene.append("log", "unread\n");
    fs::copy(scene.path("log"), scene.path("log.0")).unwrap();
    File::create(scene.path("log")).unwrap();
    scene.append("log", "longer than everything that was there before\n");
    assert_eq!(scene.look(), "unread\nlonger than everything that was there before\n");
    assert!(scene.notes().contains("log was truncated"));
}

#[test]
fn a_truncation_without_a_copy_begins_again_at_the_start() {
    let mut scene = Scene::new();
    scene.append("log", "");
    scene.follow_log();
    scene.append("log", "one\ntwo\n");
    assert_eq!(scene.look(), "one\ntwo\n");
    File::create(scene.path("log")).unwrap();
    assert_eq!(scene.look(), "");
    scene.append("log", "three\n");
    assert_eq!(scene.look(), "three\n");
    // The same size as before.
    fs::write(scene.path("log"), "3hree\n").unwrap();
    assert_eq!(scene.look(), "3hree\n");
}

#[test]
fn the_end_of_a_file_is_where_it_ended_when_the_program_started_however_late_the_first_look() {
    let mut scene = Scene::new();
    scene.append("log", "long ago\n");
    scene.follow_log();
    scene.append("log", "while the firewall was being restored\n");
    assert_eq!(scene.look_after(Duration::from_secs(152)), "while the firewall was being restored\n");
    assert!(scene.batches[0].backlog, "and that was a while ago");
    scene.append("log", "now\n");
    scene.look();
    assert!(!scene.batches[0].backlog);
}

#[test]
fn a_start_without_a_line_is_remembered_too() {
    let mut scene = Scene::new();
    scene.append("log", "long ago\n");
    scene.follow_log();
    assert_eq!(scene.look(), "");
    scene.append("log", "while stopped\n");
    scene.follow_log();
    assert_eq!(scene.look(), "while stopped\n");
    assert!(scene.batches[0].backlog);
}

#[test]
fn a_missing_log_stops_nothing_and_is_read_from_its_beginning_once_it_is_there() {
    let mut scene = Scene::new();
    scene.append("log", "");
    scene.follow(&[scene.source("missing"), scene.source("log")]);
    assert!(scene.notes().contains("missing is not there; it will be read as soon as it is"));
    scene.append("log", "one\n");
    assert_eq!(scene.look(), "one\n");
    scene.append("missing", "two\n");
    assert_eq!(scene.look(), "two\n");
    assert_eq!(scene.notes(), "");
}

#[test]
fn what_cannot_be_read_is_reported_once_and_tried_again() {
    let mut scene = Scene::new();
    fs::create_dir(scene.path("log")).unwrap();
    scene.follow(&[scene.source("log"), Source::files("null", "/dev/null")]);
    (0..5).for_each(|_| assert_eq!(scene.look(), ""));
    let notes = scene.notes();
    assert_eq!(notes.lines().count(), 2, "{notes}");
    assert!(notes.contains("log is a directory; name a file in it"));
    assert!(notes.contains("/dev/null is a device or socket, not a log file"));
    assert!(
        scene.follower.as_ref().unwrap().status()[0].trouble.as_ref().unwrap().contains("is a directory")
    );
    fs::remove_dir(scene.path("log")).unwrap();
    scene.append("log", "one\n");
    assert_eq!(scene.look(), "one\n");
    assert_eq!(scene.follower.as_ref().unwrap().status()[0].trouble, None);
}

#[test]
fn a_line_is_handed_out_when_it_is_whole_and_over_long_ones_are_dropped_whole() {
    let mut scene = Scene::new();
    scene.append("log", "half a li");
    scene.follow_log();
    assert_eq!(scene.look(), "");
    scene.append("log", "ne\nnext");
    assert_eq!(scene.look(), "half a line\n");
    scene.append("log", &"x".repeat(LINE_MAX));
    assert_eq!(scene.look(), "");
    scene.append("log", "Failed password for root from 8.8.8.8 port 1 ssh2\n");
    assert_eq!(scene.look(), "");
    scene.append("log", "short\n");
    assert_eq!(scene.look(), "short\n");
    let status = scene.follower.as_ref().unwrap().status().remove(0);
    assert_eq!((status.lines, status.bytes, status.overlong, status.behind), (2, 18, 1, 0));
    assert_eq!(status.last_data, Some(scene.now));
}

#[test]
fn starting_inside_an_over_long_line_does_not_hand_out_its_end() {
    let mut scene = Scene::new();
    scene.append("log", &"x".repeat(3 * LINE_MAX));
    scene.follow_log();
    scene.append("log", "Failed password for root from 8.8.8.8 port 1 ssh2\nnext\n");
    assert_eq!(scene.look(), "next\n");
}

#[test]
fn what_was_appended_while_stopped_is_read_once_also_when_it_was_packed_meanwhile() {
    for pack in [false, true] {
        let mut scene = Scene::new();
        scene.append("log", "");
        scene.follow_log();
        scene.append("log", "read\n");
        assert_eq!(scene.look(), "read\n");
        scene.append("log", "rest\n");
        fs::rename(scene.path("log"), scene.path("log.1")).unwrap();
        fs::write(scene.path("log.0"), "between\n").unwrap();
        fs::write(scene.path("log"), "current\n").unwrap();
        if pack {
            let plain = fs::read(scene.path("log.1")).unwrap();
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(&plain).unwrap();
            fs::write(scene.path("log.1.gz"), packer.finish().unwrap()).unwrap();
            fs::remove_file(scene.path("log.1")).unwrap();
        }
        scene.follow_log();
        assert_eq!(scene.look(), "rest\nbetween\ncurrent\n");
        assert!(scene.batches.iter().filter(|batch| !batch.bytes.is_empty()).all(|batch| batch.backlog));
        scene.follow_log();
        assert_eq!(scene.look(), "");
        assert_eq!(scene.notes(), "");
    }
}

#[test]
fn another_file_with_the_same_inode_number_is_not_taken_for_the_one_that_was_read() {
    let mut scene = Scene::new();
    scene.append("log", "");
    scene.follow_log();
    scene.append("log", "one\ntwo\n");
    scene.look();
    fs::write(scene.path("log"), "not the same at all\n").unwrap();
    scene.follow_log();
    assert_eq!(scene.look(), "not the same at all\n");
}

#[test]
fn a_lost_rest_is_said_and_everything_newer_is_read() {
    let mut scene = Scene::new();
    scene.append("log", "");
    scene.follow_log();
    scene.append("log", "one\n");
    scene.look();
    fs::remove_file(scene.path("log")).unwrap();
    scene.append("log", "two\n");
    scene.follow_log();
    assert_eq!(scene.look(), "two\n");
    assert!(scene.notes().contains("the file that was read last is gone"));
}

#[test]
fn a_position_from_the_future_or_from_nowhere_does_no_harm() {
    let mut scene = Scene::new();
    scene.append("log", "one\n");
    scene.follow_log();
    scene.look();
    let mark = &mut scene.stored[0].position.files[0];
    (mark.offset, mark.print) = (u64::MAX, Fingerprint { length: u16::MAX, hash: 0 });
    scene.follow_log();
    assert_eq!(scene.look(), "one\n");
    scene.stored[0].position = Position::default();
    scene.follow_log();
    assert_eq!(scene.look(), "one\n");
}

#[test]
fn an_editor_that_replaces_the_log_by_a_copy_brings_nothing_twice() {
    let mut scene = Scene::new();
    scene.append("log", "");
    scene.follow_log();
    scene.append("log", "one\ntwo\n");
    scene.look();
    fs::copy(scene.path("log"), scene.path("copy")).unwrap();
    fs::rename(scene.path("copy"), scene.path("log")).unwrap();
    scene.append("log", "three\n");
    assert_eq!(scene.look(), "three\n");
}

#[test]
fn a_pattern_finds_files_that_appear_and_leaves_rotated_ones_alone() {
    let mut scene = Scene::new();
    scene.append("a.log", "old\n");
    scene.append("a.log.0", "older\n");
    scene.append("a.log.1.gz", "oldest\n");
    scene.follow(&[Source::files("log", scene.path("*.log*"))]);
    assert_eq!(scene.look(), "");
    scene.append("b.log", "new\n");
    assert_eq!(scene.look(), "new\n");
    rotate(&scene.path("b.log"));
    assert_eq!(scene.look(), "logfile turned over\n");
    fs::rename(scene.path("a.log"), scene.path("c.log")).unwrap();
    scene.append("c.log", "renamed\n");
    assert_eq!(scene.look(), "renamed\n");
    scene.look();
    let status = scene.follower.as_ref().unwrap().status();
    let paths = status.iter().map(|status| status.path.rsplit('/').next().unwrap()).collect::<Vec<&str>>();
    assert_eq!(paths, ["b.log", "c.log"]);
}

#[test]
fn two_paths_to_one_file_read_it_once() {
    let mut scene = Scene::new();
    scene.append("2025.log", "");
    symlink(scene.path("2025.log"), scene.path("current.log")).unwrap();
    scene.follow(&[Source::files("log", scene.path("*.log"))]);
    scene.look();
    scene.append("2025.log", "one\n");
    assert_eq!(scene.look(), "one\n");
    scene.append("2026.log", "two\n");
    fs::remove_file(scene.path("current.log")).unwrap();
    symlink(scene.path("2026.log"), scene.path("current.log")).unwrap();
    scene.append("2025.log", "three\n");
    assert_eq!(scene.look(), "three\ntwo\n");
}

/// In a jail's log directory somebody else makes the names: the host's files must not be read through them, and a
/// FIFO must not hold the reader.
#[test]
fn links_and_fifos_in_the_place_of_a_log_are_refused_where_they_are_not_to_be_followed() {
    let mut scene = Scene::new();
    scene.append("secret", "secret\n");
    symlink(scene.path("secret"), scene.path("log")).unwrap();
    nix::unistd::mkfifo(&scene.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let source = Source { through_links: false, from_start: true, ..scene.source("log") };
    scene.follow(&[source, scene.source("fifo")]);
    assert_eq!(scene.look(), "");
    let notes = scene.notes();
    assert!(notes.contains("log is a symlink, and this source does not follow them"), "{notes}");
    assert!(notes.contains("fifo is a FIFO; say so in the source's settings"), "{notes}");
}

#[test]
fn a_fifo_serves_one_writer_after_the_other_and_forgets_the_half_line_of_one_that_died() {
    let mut scene = Scene::new();
    let path = scene.path("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let source = Source { kind: Kind::Fifo, ..Source::files("log", &path) };
    scene.follow(&[source]);
    assert_eq!(scene.look(), "");
    for _ in 0..2 {
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"one\nhalf").unwrap();
        assert_eq!(scene.look(), "one\n");
        writer.write_all(b" and half\nFailed password for ").unwrap();
        assert_eq!(scene.look(), "half and half\n");
        drop(writer);
        assert_eq!(scene.look(), "");
    }
    assert_eq!(scene.batches, []);
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    scene.look();
    let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
    writer.write_all(b"another\n").unwrap();
    assert_eq!(scene.look(), "another\n");
}

#[test]
fn a_flood_in_one_log_does_not_keep_the_others_waiting() {
    let mut scene = Scene::new();
    scene.append("flood", "");
    scene.append("log", "");
    scene.follow(&[scene.source("flood"), scene.source("log")]);
    scene.append("flood", &"a line of forty bytes, many times over..\n".repeat(200_000));
    scene.append("log", "one\n");
    let mut taken = 0;
    let looked = scene.follower.as_mut().unwrap().look(scene.now, &mut |chunk| {
        taken += chunk.bytes.len();
        ControlFlow::Continue(())
    });
    assert!(looked.more && taken < 2_000_000 && scene.follower.as_ref().unwrap().status()[1].lines == 1);
    assert_eq!(scene.look().len(), 8_200_000 - (taken - 4));
}

// The running thread.

fn start(source: Source, notify: bool, tick: Duration) -> (Handle, Receiver<Batch>) {
    let (sender, receiver) = sync_channel(8);
    let options = Options { notify, tick, quiet: QUIET };
    (spawn(vec![source], &[], options, sender).unwrap(), receiver)
}

/// Everything up to a line; waits for it.
fn wait_for(batches: &Receiver<Batch>, last: &str) -> String {
    let mut taken = String::new();
    while !taken.ends_with(last) {
        let batch = batches.recv_timeout(Duration::from_secs(60)).expect("the line comes");
        taken.push_str(std::str::from_utf8(&batch.bytes).unwrap());
    }
    taken
}

fn five_failures_just_before_a_rename(notify: bool) {
    let scene = Scene::new();
    scene.append("log", "");
    let (handle, batches) = start(scene.source("log"), notify, Duration::from_millis(5));
    for round in 0..100 {
        for n in 0..5 {
            scene.append("log", &format!("round {round} failure {n}\n"));
        }
        fs::rename(scene.path("log"), scene.path("log.0")).unwrap();
        scene.append("log", &format!("round {round} over\n"));
        let taken = wait_for(&batches, &format!("round {round} over\n"));
        assert_eq!(taken.lines().count(), 6, "{taken}");
    }
    handle.stop();
    assert_eq!(batches.iter().map(|batch| batch.bytes.len()).sum::<usize>(), 0);
    handle.join();
}

#[test]
fn five_failures_just_before_a_rename_are_read_100_of_100_times_with_events() {
    five_failures_just_before_a_rename(true);
}

#[test]
fn five_failures_just_before_a_rename_are_read_100_of_100_times_without_events() {
    five_failures_just_before_a_rename(false);
}

/// With a tick of an hour, only events can bring the lines.
#[test]
fn events_wake_the_reader_also_after_a_rotation() {
    let scene = Scene::new();
    scene.append("log", "");
    let (handle, batches) = start(scene.source("log"), true, FOREVER);
    assert_eq!(batches.recv().unwrap().bytes, b"");
    for n in 0..3 {
        // The watch is set after the first look; a line before that is found when it is set.
        scene.append("log", &format!("{n}\n"));
        wait_for(&batches, &format!("{n}\n"));
        let _ = fs::remove_file(scene.path("log.0"));
        rotate(&scene.path("log"));
        wait_for(&batches, "logfile turned over\n");
    }
    handle.stop();
    handle.join();
}

#[test]
fn a_pipe_wakes_the_reader_without_events() {
    let scene = Scene::new();
    nix::unistd::mkfifo(&scene.path("log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (handle, batches) = start(Source::argument(scene.path("log")), false, FOREVER);
    let mut writer = OpenOptions::new().write(true).open(scene.path("log")).unwrap();
    for n in 0..20 {
        writer.write_all(format!("{n}\n").as_bytes()).unwrap();
        assert_eq!(wait_for(&batches, "\n"), format!("{n}\n"));
    }
    handle.stop();
    handle.join();
}

#[test]
fn a_slow_receiver_holds_reading_up_and_loses_nothing() {
    let scene = Scene::new();
    let line = "a line of forty bytes, many times over..\n";
    scene.append("log", &line.repeat(200_000));
    let source = Source { from_start: true, ..scene.source("log") };
    let (handle, batches) = start(source, false, Duration::from_millis(1));
    scene.append("log", "end\n");
    assert_eq!(wait_for(&batches, "end\n").len(), 200_000 * line.len() + 4);
    drop(batches);
    scene.append("log", "nobody listens\n");
    handle.join();
}
