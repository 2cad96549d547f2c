//! Files that hold once more what was read of them: nothing is handed out twice, and what is new is.

use std::fs;
use std::time::Duration;

use portcullis::time::Time;

use crate::follow_scene::Scene;

/// A log of undated lines, all read.
fn undated() -> (Scene, String) {
    let mut scene = Scene::new();
    scene.append("log", "");
    scene.follow_log();
    let text: String = (0..1000).map(|n| format!("visitor {n} said hello\n")).collect();
    scene.append("log", &text);
    assert_eq!(scene.look(), text);
    (scene, text)
}

#[test]
fn our_place_is_found_again_in_an_undated_log_that_was_written_anew() {
    for in_place in [true, false] {
        let (mut scene, text) = undated();
        let rest = text.split_once('\n').unwrap().1;
        if in_place {
            fs::write(scene.path("log"), rest).unwrap();
        } else {
            fs::write(scene.path("new"), rest).unwrap();
            fs::rename(scene.path("new"), scene.path("log")).unwrap();
        }
        scene.append("log", "a new visitor\n");
        assert_eq!(scene.look(), "a new visitor\n");
        assert!(scene.batches.iter().filter(|batch| !batch.bytes.is_empty()).all(|batch| batch.gap));
        scene.append("log", "visitor 1 said hello\n");
        assert_eq!(
            scene.look_after(Duration::from_secs(60)),
            "visitor 1 said hello\n",
            "written now, whatever it says"
        );
    }
}

#[test]
fn what_an_editor_writes_in_several_goes_is_known_again() {
    let (mut scene, text) = undated();
    fs::write(scene.path("log"), "").unwrap();
    assert_eq!(scene.look(), "");
    // The last lines are remembered word by word, also where they come on their own.
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for line in lines.iter().rev().take(80).rev() {
        scene.append("log", line);
        assert_eq!(scene.look_after(Duration::from_millis(1)), "");
    }
    scene.append("log", "a new visitor\n");
    assert_eq!(scene.look(), "a new visitor\n");
}

/// A scene with lines that begin with their time.
fn follow(scene: &mut Scene) {
    scene.follow_log();
    let stamp = |line: &str| line.split(' ').next()?.parse().ok().map(Time::from_secs);
    let follower = scene.follower.as_mut().unwrap();
    follower.merge_by(Box::new(move |_, line| stamp(std::str::from_utf8(line).ok()?)));
}

fn dated(times: std::ops::Range<u32>) -> String {
    times.map(|time| format!("{time} line\n")).collect()
}

/// The program may die at any moment while it passes over what it knows.
#[test]
fn a_stop_while_known_lines_are_passed_over_makes_none_of_them_new() {
    let mut scene = Scene::new();
    scene.append("log", "");
    follow(&mut scene);
    scene.append("log", &dated(1..5000));
    scene.look();
    // Written anew with a line between the old ones that nobody has read, as an editor merges two logs.
    let text = format!("{}9000 newer\n{}9001 newest\n", dated(2..2500), dated(2500..5000));
    fs::write(scene.path("log"), text).unwrap();
    let mut read = String::new();
    for _ in 0..10 {
        let mut batch: Option<portcullis::follow::Batch> = None;
        let mut follower = scene.follower.take().unwrap();
        follower.look(scene.now, &mut |chunk| {
            batch = Some(chunk.into());
            std::ops::ControlFlow::Break(())
        });
        if let Some(batch) = batch {
            read += std::str::from_utf8(&batch.bytes).unwrap();
            let path = batch.path.to_string();
            let position = batch.position.unwrap();
            scene.stored = vec![portcullis::follow::Stored { source: "log".to_owned(), path, position }];
        }
        follow(&mut scene);
    }
    assert_eq!(read, "9000 newer\n9001 newest\n");
}

/// A jail's logger may write any stamp; one of the far future must not make all that follows old.
#[test]
fn a_forged_stamp_does_not_blind_what_comes_after_a_truncation() {
    let mut scene = Scene::new();
    scene.append("log", "");
    follow(&mut scene);
    scene.append("log", "7 honest\n4102444800 forged in 2100\n");
    scene.look();
    fs::write(scene.path("log"), "8 honest\n4102444801 forged\n").unwrap();
    assert_eq!(scene.look(), "8 honest\n4102444801 forged\n");
}
