//! Going on after a stop, patterns, links and pipes; what an attacker could try with names.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;

use portcullis::follow::{Fingerprint, Position, Source, SourceKind};

use crate::follow_scene::{Scene, rotate};

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
    let fifo = Source { through_links: false, ..scene.source("fifo") };
    scene.follow(&[source, fifo]);
    assert_eq!(scene.look(), "");
    let notes = scene.notes();
    assert!(notes.contains("log is a symlink, and this source does not follow them"), "{notes}");
    assert!(notes.contains("fifo is a FIFO; make it a source of its own"), "{notes}");
}

#[test]
fn a_fifo_serves_one_writer_after_the_other_and_forgets_the_half_line_of_one_that_died() {
    let mut scene = Scene::new();
    let path = scene.path("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let source = Source { kind: SourceKind::Fifo, ..Source::files("log", &path) };
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

#[test]
fn what_appears_while_stopped_under_a_pattern_that_matched_nothing_is_read() {
    let mut scene = Scene::new();
    scene.follow(&[scene.source("*.log")]);
    assert_eq!(scene.look(), "");
    for stored in &mut scene.stored {
        stored.source = "*.log".to_owned();
    }
    scene.append("a.log", "while stopped\n");
    scene.follow(&[scene.source("*.log")]);
    assert_eq!(scene.look(), "while stopped\n");
}

#[test]
fn the_position_of_a_file_that_matches_no_more_is_given_up() {
    let mut scene = Scene::new();
    scene.append("a.log", "");
    scene.append("b.log", "");
    scene.follow(&[scene.source("*.log")]);
    scene.look();
    assert_eq!(scene.stored.len(), 3, "two files and the pattern");
    fs::remove_file(scene.path("a.log")).unwrap();
    (0..20).for_each(|_| drop(scene.look()));
    let left: Vec<_> = scene.stored.iter().filter(|stored| stored.path.contains("a.log")).collect();
    assert!(left.is_empty() && scene.stored.len() == 2, "{left:?}");
}

#[test]
fn a_thousand_strangers_do_not_hide_a_log_from_its_pattern() {
    let mut scene = Scene::new();
    (0..1100).for_each(|n| scene.append(&format!("a{n:04}.gz"), ""));
    scene.append("z.log", "");
    scene.follow(&[scene.source("*")]);
    scene.append("z.log", "seen\n");
    assert_eq!(scene.look(), "seen\n");
}

#[test]
fn a_log_that_does_not_come_back_is_told_of_once_it_is_no_rotation() {
    let mut scene = Scene::new();
    scene.append("log", "one\n");
    scene.follow_log();
    scene.look();
    fs::remove_file(scene.path("log")).unwrap();
    let trouble = |scene: &Scene| scene.follower.as_ref().unwrap().status()[0].trouble.clone();
    scene.look();
    assert_eq!((scene.notes(), trouble(&scene)), (String::new(), None));
    (0..20).for_each(|_| drop(scene.look()));
    assert!(trouble(&scene).is_some_and(|trouble| trouble.contains("does not exist")));
    assert_eq!(scene.notes().matches("does not exist; it will be read").count(), 1);
    scene.append("log", "back\n");
    assert_eq!(scene.look(), "back\n");
    assert_eq!(trouble(&scene), None);
}

#[test]
fn the_lines_before_the_place_where_reading_goes_on_come_along_once() {
    let mut scene = Scene::new();
    scene.append("log", "");
    scene.follow_log();
    scene.append("log", &format!("{}\nlast\n", "x".repeat(16_000)));
    scene.look();
    assert!(scene.batches.iter().all(|batch| batch.before.is_empty()));
    scene.append("log", "more\n");
    scene.follow_log();
    assert_eq!(scene.look(), "more\n");
    let before: Vec<_> = scene.batches.iter().map(|batch| String::from_utf8_lossy(&batch.before)).collect();
    assert!(before.iter().any(|before| before.ends_with("\nlast\n")), "{before:?}");
    scene.append("log", "and more\n");
    scene.look();
    assert!(scene.batches.iter().all(|batch| batch.before.is_empty()));
}

/// `newsyslog -a`: what was rotated away unread lies in another directory.
#[test]
fn rotated_files_are_found_in_an_archive() {
    let mut scene = Scene::new();
    fs::create_dir(scene.path("old")).unwrap();
    let source = Source { archive: Some(scene.path("old")), ..scene.source("log") };
    scene.append("log", "");
    scene.follow(std::slice::from_ref(&source));
    scene.append("log", "read\n");
    assert_eq!(scene.look(), "read\n");
    scene.append("log", "rest\n");
    fs::rename(scene.path("log"), scene.path("old/log.1")).unwrap();
    fs::write(scene.path("old/log.0"), "between\n").unwrap();
    scene.append("log", "current\n");
    scene.follow(std::slice::from_ref(&source));
    assert_eq!(scene.look(), "rest\nbetween\ncurrent\n");
    scene.append("log", "more\n");
    for n in [2, 1] {
        fs::rename(scene.path(&format!("old/log.{}", n - 1)), scene.path(&format!("old/log.{n}"))).unwrap();
    }
    fs::rename(scene.path("log"), scene.path("old/log.0")).unwrap();
    scene.append("log", "and more\n");
    assert_eq!(scene.look(), "more\nand more\n");
    assert_eq!(scene.notes(), "");
}
