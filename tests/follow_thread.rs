//! The running thread: events, the tick, back-pressure.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use portcullis::follow::{Batch, Follower, Handle, Options, Source, spawn};

use crate::follow_scene::{FOREVER, QUIET, Scene, rotate};

fn start(source: Source, notify: bool, tick: Duration) -> (Handle, Receiver<Batch>) {
    let (sender, receiver) = sync_channel(8);
    let options = Options { notify, tick, quiet: QUIET };
    let follower = Follower::new(vec![source], &[], QUIET, Instant::now());
    (spawn(follower, options, sender, |batch| batch, None).unwrap(), receiver)
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

/// With a tick of an hour, the end of a writer must make the next one heard.
#[test]
fn writers_of_a_pipe_may_come_and_go() {
    let scene = Scene::new();
    nix::unistd::mkfifo(&scene.path("log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (handle, batches) = start(Source::argument(scene.path("log")), false, FOREVER);
    for n in 0..20 {
        let mut writer = OpenOptions::new().write(true).open(scene.path("log")).unwrap();
        writer.write_all(format!("{n}\n").as_bytes()).unwrap();
        drop(writer);
        assert_eq!(wait_for(&batches, "\n"), format!("{n}\n"));
    }
    handle.stop();
    handle.join();
}

#[test]
fn a_pipe_that_appears_where_a_log_was_expected_is_read() {
    let scene = Scene::new();
    let (handle, batches) = start(scene.source("log"), false, Duration::from_millis(5));
    assert_eq!(batches.recv().unwrap().bytes, b"");
    nix::unistd::mkfifo(&scene.path("log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut writer = OpenOptions::new().write(true).open(scene.path("log")).unwrap();
    writer.write_all(b"heard\n").unwrap();
    assert_eq!(wait_for(&batches, "\n"), "heard\n");
    handle.stop();
    handle.join();
}
