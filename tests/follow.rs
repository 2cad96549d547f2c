//! Following files, one story each: what other programs got wrong.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::time::Duration;

use portcullis::follow::Source;
use portcullis::record::MAX_LINE;

use crate::follow_scene::{FOREVER, QUIET, Scene, rotate};

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
    assert!(scene.notes().contains("missing does not exist; it will be read as soon as it appears"));
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
    scene.append("log", &"x".repeat(MAX_LINE));
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
    scene.append("log", &"x".repeat(3 * MAX_LINE));
    scene.follow_log();
    scene.append("log", "Failed password for root from 8.8.8.8 port 1 ssh2\nnext\n");
    assert_eq!(scene.look(), "next\n");
}

/// `cp log log.1; : > log` twice before the first copy was let go: the second is written over the first.
#[test]
fn a_copy_that_the_next_copy_is_written_over_is_not_read_again() {
    let mut scene = Scene::new();
    scene.append("log", "");
    scene.follow_log();
    let mut read = String::new();
    for round in 0..3 {
        scene.append("log", &format!("{round} read\n"));
        read += &scene.look();
        scene.append("log", &format!("{round} not yet read\n"));
        fs::copy(scene.path("log"), scene.path("log.1")).unwrap();
        fs::write(scene.path("log"), "").unwrap();
        read += &scene.look();
    }
    let lines: Vec<&str> = read.lines().collect();
    assert_eq!(
        lines,
        ["0 read", "0 not yet read", "1 read", "1 not yet read", "2 read", "2 not yet read"],
        "{read}"
    );
}

#[test]
fn neither_is_one_that_was_made_while_stopped() {
    let mut scene = Scene::new();
    scene.append("log", "");
    scene.follow_log();
    let mut read = String::new();
    for round in 0..3 {
        scene.append("log", &format!("{round} read\n"));
        read += &scene.look();
        scene.append("log", &format!("{round} not yet read\n"));
        fs::copy(scene.path("log"), scene.path("log.1")).unwrap();
        fs::write(scene.path("log"), "").unwrap();
        if round == 0 {
            scene.follow_log();
        }
        read += &scene.look();
    }
    assert_eq!(read.lines().count(), 6, "{read}");
}
