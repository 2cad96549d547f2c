//! Whoever may write into one log can make it lag behind as long as he likes: no other log waits for that.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::time::Duration;

use portcullis::follow::{Source, Status};
use portcullis::time::Time;

use crate::follow_scene::{QUIET, Scene};

/// More than one look hands out.
const MUCH: usize = 8 << 20;

/// A jail's log and the host's, followed to their ends, then stopped.
fn stopped() -> Scene {
    let mut scene = Scene::new();
    scene.append("jail", "1 begin\n");
    scene.append("host", "1 begin\n");
    follow(&mut scene);
    scene.look();
    scene
}

fn sources(scene: &Scene) -> [Source; 2] {
    [scene.source("jail"), scene.source("host")]
}

/// A line's stamp is the number it begins with.
fn follow(scene: &mut Scene) {
    for stored in &mut scene.stored {
        stored.source = stored.path.rsplit('/').next().unwrap().to_owned();
    }
    scene.follow(&sources(scene));
    let stamp = |line: &str| line.split(' ').next()?.parse().ok().map(Time::from_secs);
    let follower = scene.follower.as_mut().unwrap();
    follower.merge_by(Box::new(move |_, line| stamp(std::str::from_utf8(line).ok()?)));
}

/// One look, not all there is; what the host's log says in it.
fn host_says(scene: &mut Scene, span: Duration) -> String {
    scene.now += span;
    let mut said = String::new();
    let mut sink = |chunk: portcullis::follow::Chunk<'_>| {
        if chunk.path.ends_with("/host") {
            said += std::str::from_utf8(chunk.bytes).unwrap();
        }
        ControlFlow::Continue(())
    };
    scene.follower.as_mut().unwrap().look(scene.now, &mut sink);
    said
}

fn jail(scene: &Scene) -> Status {
    scene.follower.as_ref().unwrap().status().remove(0)
}

/// A name, and lines of this kind as long as together.
type SourceKind = (&'static str, fn() -> Vec<u8>);

const KINDS: [SourceKind; 4] = [
    ("without stamps", || b"nobody knows when\n".repeat(MUCH / 18)),
    ("stamps of 1970", || b"0 long ago\n".repeat(MUCH / 11)),
    ("stamps of the host's own time", || b"100 as all\n".repeat(MUCH / 11)),
    ("one line", || vec![b'x'; MUCH]),
];

#[test]
fn new_lines_wait_for_a_log_that_lags_only_for_a_moment() {
    for (kind, lines) in KINDS {
        let mut scene = stopped();
        OpenOptions::new().append(true).open(scene.path("jail")).unwrap().write_all(&lines()).unwrap();
        follow(&mut scene);
        scene.append("host", "200 live\n");
        assert_eq!(host_says(&mut scene, Duration::ZERO), "", "{kind}: for a moment");
        assert_eq!(host_says(&mut scene, Duration::from_millis(1100)), "200 live\n", "{kind}");
        scene.append("host", "201 live\n");
        assert_eq!(host_says(&mut scene, Duration::ZERO), "201 live\n", "{kind}: and then at once");
        assert!(jail(&scene).behind > 0, "{kind}: it still lags");
        while jail(&scene).behind > 0 && kind != "one line" {
            host_says(&mut scene, Duration::ZERO);
        }
        scene.append("jail", "202 live\n");
        assert_eq!(
            scene.look(),
            if kind == "one line" { "" } else { "202 live\n" },
            "{kind}: nothing is lost"
        );
    }
}

#[test]
fn neither_does_what_another_log_was_behind_with() {
    for (kind, lines) in KINDS {
        let mut scene = stopped();
        OpenOptions::new().append(true).open(scene.path("jail")).unwrap().write_all(&lines()).unwrap();
        scene.append("host", "200 while stopped\n");
        follow(&mut scene);
        host_says(&mut scene, Duration::ZERO);
        host_says(&mut scene, Duration::from_millis(1100));
        assert!(jail(&scene).behind > 0, "{kind}");
        assert_eq!(scene.follower.as_ref().unwrap().status()[1].behind, 0, "{kind}: the host's log is read");
    }
}

#[test]
fn stamps_of_the_future_hold_nobody_up() {
    let mut scene = stopped();
    scene.append("jail", &"4102444800 in 2100\n".repeat(MUCH / 19));
    scene.append("host", "200 while stopped\n");
    follow(&mut scene);
    assert_eq!(host_says(&mut scene, Duration::ZERO), "200 while stopped\n");
}

/// A file of any size that takes no room on the disk.
fn with_hole(scene: &Scene, name: &str, size: u64) {
    OpenOptions::new().create(true).append(true).open(scene.path(name)).unwrap().set_len(size).unwrap();
}

#[test]
fn a_hole_is_passed_over_and_ends_in_the_middle_of_a_line() {
    for begin in ["1 begin\n", "1 begin\nhalf a line", ""] {
        let mut scene = Scene::new();
        scene.append("jail", begin);
        scene.append("host", "1 begin\n");
        follow(&mut scene);
        scene.look();
        with_hole(&scene, "jail", 400 << 30);
        follow(&mut scene);
        scene.append("host", "2 live\n");
        assert_eq!(scene.look(), "2 live\n");
        scene.append("jail", "Failed password for root from 8.8.8.8 port 1 ssh2\n3 after the hole\n");
        assert_eq!(scene.look(), "3 after the hole\n", "the end of a line of NULs is none of its own");
        assert!(scene.batches.iter().all(|batch| batch.gap || batch.bytes.is_empty()));
        // Known again after a stop, whether the hole stood at its beginning or not.
        scene.append("jail", "4 while stopped\n");
        follow(&mut scene);
        assert_eq!(scene.look(), "4 while stopped\n");
        assert_eq!(scene.notes().matches("was read of it").count(), 0);
    }
}

#[test]
fn a_file_without_ends_of_lines_is_called_no_log_once() {
    let mut scene = stopped();
    scene.append("jail", &"x".repeat(3 << 20));
    (0..5).for_each(|_| assert_eq!(scene.look(), ""));
    let notes = scene.notes();
    assert_eq!(
        notes.matches("jail is not a log: it has a line of more than a megabyte").count(),
        1,
        "{notes}"
    );
    assert!(jail(&scene).trouble.is_some_and(|trouble| trouble.contains("is not a log")));
    scene.append("jail", "\n2 a line\n");
    assert_eq!(scene.look(), "2 a line\n");
    scene.look();
    assert_eq!(jail(&scene).trouble, None);
    assert_eq!(scene.notes(), "");
}

/// 900 MB of text in some 40 KB: one packed piece, a thousand times.
fn bomb(text: &[u8]) -> Vec<u8> {
    let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    packer.write_all(&text.repeat(900_000 / text.len())).unwrap();
    packer.finish().unwrap().repeat(1000)
}

#[test]
fn a_packed_bomb_among_rotated_files_is_read_up_to_a_bound_and_holds_nobody_up() {
    for text in [&b"\0"[..], b"nobody knows when\n", b"0 long ago\n"] {
        let mut scene = stopped();
        let bomb = bomb(text);
        assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
        fs::remove_file(scene.path("jail")).unwrap();
        (0..3).for_each(|n| fs::write(scene.path(&format!("jail.{n}.bz2")), &bomb).unwrap());
        scene.append("jail", "2 new\n");
        follow(&mut scene);
        scene.append("host", "200 live\n");
        host_says(&mut scene, Duration::ZERO);
        assert_eq!(host_says(&mut scene, Duration::from_millis(1100)), "200 live\n");
        let mut read = 0;
        while jail(&scene).rotated > 0 {
            host_says(&mut scene, QUIET);
            read = jail(&scene).bytes;
        }
        let bound = (250 * bomb.len() as u64).max(16 << 20);
        assert!(read <= 3 * bound, "{read} bytes of {} packed", 3 * bomb.len());
        let notes = scene.notes();
        assert!(notes.contains("it unpacks to more than 250 times its size"), "{notes}");
    }
}

/// Of two megabytes, and not packed at all, which is quick to unpack: it begins as a log does that was read so far.
fn alike(head: &str, fill: u8) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    packer.write_all(head.as_bytes()).unwrap();
    packer.write_all(&vec![fill; 2 << 20]).unwrap();
    packer.finish().unwrap()
}

#[test]
fn files_that_look_like_rotated_ones_are_looked_through_in_several_looks() {
    let head = format!("1 begin {}\n", "x".repeat(300));
    let mut scene = Scene::new();
    let names = ["jail1", "jail2", "host"];
    for name in names {
        scene.append(name, &head);
        scene.append(name, &"2 more\n".repeat((2 << 20) / 7));
    }
    let start = |scene: &mut Scene| {
        for stored in &mut scene.stored {
            stored.source = stored.path.rsplit('/').next().unwrap().to_owned();
        }
        let sources = names.map(|name| scene.source(name));
        scene.follow(&sources);
    };
    start(&mut scene);
    scene.look();
    // None of them is the one that was read, which is gone: 17 times 2 MB must be unpacked to know it, for each log.
    for name in &names[..2] {
        fs::remove_file(scene.path(name)).unwrap();
        (0..17).for_each(|n| fs::write(scene.path(&format!("{name}.{n}.gz")), alike(&head, b'y')).unwrap());
        scene.append(name, "3 new\n");
    }
    start(&mut scene);
    let is_found = |status: &Status| status.path.contains("jail") && status.offset + status.behind > 0;
    let found =
        |scene: &Scene| scene.follower.as_ref().unwrap().status().iter().filter(|s| is_found(s)).count();
    assert_eq!(found(&scene), 1, "the other one has to wait for the next look");
    scene.append("host", "3 live\n");
    host_says(&mut scene, Duration::ZERO);
    assert_eq!(found(&scene), 2);
    assert_eq!(host_says(&mut scene, Duration::from_millis(1100)), "3 live\n");
}

/// Two logs of one syslogd tell of the same attempts; however long they lag, they are read together.
#[test]
fn logs_of_one_directory_stay_in_order_when_nobody_waits_for_them_any_more() {
    let mut scene = stopped();
    let lines = |rest: usize| -> String {
        (2..40_000).filter(|n| n % 2 == rest).map(|n| format!("{n} {}\n", "x".repeat(200))).collect()
    };
    scene.append("jail", &lines(0));
    scene.append("host", &lines(1));
    follow(&mut scene);
    let mut newest = 0;
    let mut count = 0;
    let mut is_over = false;
    while !is_over {
        scene.now += Duration::from_millis(600);
        let mut sink = |chunk: portcullis::follow::Chunk<'_>| {
            for line in std::str::from_utf8(chunk.bytes).unwrap().lines() {
                let time: u64 = line.split(' ').next().unwrap().parse().unwrap();
                assert!(time > newest, "{time} after {newest}");
                (newest, count) = (time, count + 1);
            }
            ControlFlow::Continue(())
        };
        is_over = !scene.follower.as_mut().unwrap().look(scene.now, &mut sink).more;
    }
    assert_eq!(count, 39_998);
}
