//! Several logs that were written to while nobody read come in the order of their lines' stamps.

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;

use portcullis::follow::{Source, Stored};
use portcullis::time::Time;

use crate::follow_scene::{Scene, text};

/// A scene of logs `a`, `b` and `c`, followed to their ends, then stopped.
fn stopped() -> (Scene, Vec<Source>) {
    let mut scene = Scene::new();
    let sources: Vec<Source> = ["a", "b", "c"].map(|name| scene.source(name)).into();
    ["a", "b", "c"].iter().for_each(|name| scene.append(name, "0 begin\n"));
    follow(&mut scene, &sources);
    scene.look();
    scene.follower = None;
    (scene, sources)
}

/// The positions are stored under the sources' names; a line's stamp is the number it begins with.
fn follow(scene: &mut Scene, sources: &[Source]) {
    for stored in &mut scene.stored {
        stored.source = stored.path.rsplit('/').next().unwrap().to_owned();
    }
    scene.follow(sources);
    let stamp = |line: &str| line.split(' ').next()?.parse().ok().map(Time::from_secs);
    let follower = scene.follower.as_mut().unwrap();
    follower.merge_by(Box::new(move |_, line| stamp(std::str::from_utf8(line).ok()?)));
}

fn numbers(text: &str) -> Vec<u64> {
    text.lines().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
}

/// Lines with these stamps, long enough to need several windows.
fn lines(stamps: impl Iterator<Item = u64>) -> String {
    stamps.map(|stamp| format!("{stamp} {}\n", "x".repeat(usize::try_from(stamp % 90).unwrap()))).collect()
}

#[test]
fn a_backlog_in_several_logs_comes_in_the_order_of_its_stamps() {
    let (mut scene, sources) = stopped();
    scene.append("a", &lines((1..20_000).filter(|n| n % 3 != 0)));
    scene.append("b", &lines((1..20_000).filter(|n| n % 3 == 0)));
    scene.append("c", &format!("5000 {}\n7000 after a line that is too long\n", "x".repeat(40_000)));
    follow(&mut scene, &sources);
    let read = numbers(&scene.look());
    assert!(read.is_sorted() && read.len() == 20_000, "{} lines", read.len());
    assert!(scene.batches.iter().all(|batch| batch.backlog || batch.bytes.is_empty()));
}

#[test]
fn a_backlog_in_packed_files_does_so_too() {
    let (mut scene, sources) = stopped();
    for (name, rest) in [("a", 0), ("b", 1)] {
        scene.append(name, &lines((1..20_000).filter(|n| n % 2 == rest)));
        let plain = fs::read(scene.path(name)).unwrap();
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&plain).unwrap();
        fs::write(scene.path(&format!("{name}.0.gz")), packer.finish().unwrap()).unwrap();
        fs::remove_file(scene.path(name)).unwrap();
        scene.append(name, &lines((20_000..30_000).filter(|n| n % 2 == rest)));
    }
    follow(&mut scene, &sources);
    let read = numbers(&scene.look());
    assert!(read.is_sorted() && read.len() == 29_999, "{} lines", read.len());
}

#[test]
fn newer_lines_wait_for_older_ones_in_other_logs() {
    let (mut scene, sources) = stopped();
    scene.append("b", &lines((1..5).chain(10..15)));
    scene.append("c", &lines(5..10));
    follow(&mut scene, &sources);
    scene.append("a", "99 live\n");
    let read = numbers(&scene.look());
    assert!(read.is_sorted() && read.len() == 15, "{read:?}");
    scene.append("a", "1 live again\n");
    scene.append("b", "0 live as well\n");
    assert_eq!(scene.look(), "1 live again\n0 live as well\n");
    assert!(scene.batches.iter().all(|batch| !batch.backlog));
}

/// After each batch the program may die, and goes on with its position.
#[test]
fn a_crash_at_any_batch_loses_nothing_and_doubles_nothing() {
    let (mut scene, sources) = stopped();
    scene.append("a", &lines((1..60).filter(|n| n % 2 == 0)));
    scene.append("b", &lines((1..60).filter(|n| n % 2 == 1)));
    let mut read = Vec::new();
    loop {
        follow(&mut scene, &sources);
        let mut batch = None;
        let mut follower = scene.follower.take().unwrap();
        follower.look(scene.now, &mut |chunk| {
            batch = Some(chunk.into());
            ControlFlow::Break(())
        });
        let Some(batch): Option<portcullis::follow::Batch> = batch else { break };
        let path = batch.path.to_string();
        scene.stored.retain(|stored| stored.path != path);
        scene.stored.push(Stored { source: String::new(), path, position: batch.position.clone().unwrap() });
        if batch.bytes.is_empty() {
            break;
        }
        read.extend(numbers(&text(&[batch])));
    }
    assert_eq!(read, (1..60).collect::<Vec<u64>>());
}
