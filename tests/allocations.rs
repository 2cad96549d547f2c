//! What judging a line costs in memory: nothing, once the pipeline has seen lines of its kind. A target of its own, since the
//! allocator of the whole process is replaced to count.

use portcullis::pipeline::When;
use portcullis::setup::Setup;

/// What one peer does every few hours, too seldom for a ban, and another all the time, so that it is banned.
fn lines(hours: std::ops::Range<u32>) -> String {
    let hour = |nth: u32| {
        let day = 1 + nth / 24;
        let hour = nth % 24;
        let pid = 100 + 2 * (nth % 40);
        let seldom = nth % 8;
        format!(
            "Nov {day:2} {hour:02}:00:01 gw sshd[{pid}]: Failed password for root from 198.51.100.{seldom} port 4 ssh2\n\
             Nov {day:2} {hour:02}:00:02 gw cron[7]: (root) CMD (true)\n\
             Nov {day:2} {hour:02}:00:03 gw sshd[{pid}]: Connection closed by 198.51.100.{seldom} port 4 [preauth]\n\
             Nov {day:2} {hour:02}:00:04 gw sshd[{next}]: Failed password for root from 192.0.2.7 port 4 ssh2\n\
             Nov {day:2} {hour:02}:00:05 gw syslogd: last message repeated 3 times\n",
            next = pid + 1,
        )
    };
    hours.map(hour).collect()
}

#[test]
fn a_line_that_a_rule_matches_allocates_nothing_once_warm() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("portcullis.yaml");
    let rules = dir.path().join("rules.d");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(&config, format!("version: 1\nrules_dir: '{}'\n", rules.display())).unwrap();
    let mut setup = Setup::load(Some(&config)).unwrap_or_else(|refused| panic!("{refused}"));
    let terms = setup.terms_of_file("auth.log".as_ref());
    let mut pipeline = setup.pipeline(&[terms]);
    let warm = lines(0..400);
    pipeline.push(0, warm.as_bytes(), When::Stamped, &mut ());

    // The ninth ban, of 256 hours, has begun: a new ban may allocate, a line under an old one may not.
    let more = lines(400..500);
    let mut known = 0;
    let info = allocation_counter::measure(|| {
        known = pipeline.push(0, more.as_bytes(), When::Stamped, &mut ()).known;
    });
    assert_eq!(known, 4 * 100, "all but cron's");
    assert_eq!(info.count_total, 0, "{info:?}");
    assert_eq!(pipeline.engine.bans().count(), 1, "one peer is banned, and eight are counted");
}
