//! What does not work: the daemon keeps deciding, says what is wrong once, and recovers by itself.

use std::fs;

use super::stand::Stand;

const FIRST: &str = "203.0.113.7";
const SECOND: &str = "198.18.0.1";

/// Two bans while the firewall does not work, then it works again.
fn outlasts(mut stand: Stand, mend: impl Fn(&Stand)) {
    stand.start();
    stand.fail(FIRST, 5);
    stand.until("the status says so", |stand| {
        let status = stand.status();
        status["counters"]["active"] == 1
            && !status["problems"].as_array().expect("a list").is_empty()
            && status["firewall"]["in_step"] == false
            && status["firewall"]["pending"] == 1
    });
    let told = stand.cli(&["status"]).out;
    assert!(told.contains("not in step, 1 change pending"), "{told}");
    stand.fail(SECOND, 5);
    stand.until("it goes on deciding", |stand| stand.bans().len() == 2 && stand.says("banned ") == 2);
    let by_hand = stand.cli(&["ban", "198.18.0.2"]);
    assert!(by_hand.code == 0 && by_hand.out.contains("It is tried again by itself"), "{by_hand:?}");
    assert_eq!(stand.table().len(), 0);
    mend(&stand);
    stand.until("all are blocked", |stand| stand.table().len() == 3);
    stand.until("all is well", |stand| stand.status()["problems"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(stand.says("the firewall does not do its part"), 1, "{:#?}", stand.daemon().said());
    assert_eq!(stand.says("the firewall does its part again"), 1);
}

#[test]
fn a_missing_tool() {
    for stand in Stand::both() {
        fs::rename(stand.fake.path(), stand.file("away")).unwrap();
        outlasts(stand, |stand| fs::rename(stand.file("away"), stand.fake.path()).unwrap());
    }
}

#[test]
fn a_hanging_tool() {
    for mut stand in Stand::both() {
        stand.firewall = "converge: 2s, timeout: 1s".to_owned();
        stand.fake.mode("hang 600");
        outlasts(stand, |stand| stand.fake.mode(""));
    }
}

#[test]
fn a_failing_tool() {
    for stand in Stand::both() {
        stand.fake.mode("fail 1000000");
        outlasts(stand, |stand| stand.fake.mode(""));
    }
}
