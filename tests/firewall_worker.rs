//! The worker on real commands: how many it takes, and that it recovers by itself.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use portcullis::address::{Prefix, host, network};
use portcullis::firewall::{Change, FirewallEvent, WorkerHandle, spawn};
use portcullis::settings::{BackendKind, Foreign};

use crate::firewall_stand::Stand;

const LONG: Duration = Duration::from_secs(300);

fn start(
    stand: &Stand,
    desired: Vec<Prefix>,
    released: Vec<Prefix>,
) -> (WorkerHandle, Receiver<FirewallEvent>) {
    let (sender, receiver) = channel();
    let handle = spawn(stand.backend(), desired, released, &stand.settings, sender).expect("a thread");
    (handle, receiver)
}

fn p(text: &str) -> Prefix {
    portcullis::address::parse_prefix(text).expect("a prefix")
}

/// Half IPv4 hosts, half IPv6 networks.
fn many(count: u32) -> Vec<Prefix> {
    let v4 = (0..count / 2).map(|n| host(IpAddr::V4((0x0a00_0000 + n).into())));
    let v6 = (0..count - count / 2)
        .map(|n| network(IpAddr::V6(Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(n) << 64)), 64));
    v4.chain(v6).collect()
}

fn said(events: &Receiver<FirewallEvent>) -> Vec<String> {
    events
        .try_iter()
        .filter_map(|event| match event {
            FirewallEvent::Note(_, text) => Some(text),
            _ => None,
        })
        .collect()
}

fn count(texts: &[String], words: &str) -> usize {
    texts.iter().filter(|text| text.contains(words)).count()
}

/// How many entries the kernel holds, asked in a way that works for tables that pfctl does not list.
fn entries(stand: &Stand) -> usize {
    let is_entry = |line: &&str| line.starts_with(' ');
    match stand.settings.backend {
        BackendKind::Pf => {
            fs::read_to_string(stand.file("pfctl.state")).expect("state").lines().filter(is_entry).count()
        }
        BackendKind::Ipfw => {
            fs::read_to_string(stand.file("ipfw.state")).expect("state").lines().filter(is_entry).count()
        }
        _ => stand.table().len(),
    }
}

#[test]
fn a_hundred_thousand_bans_at_the_start_take_at_most_twenty_commands() {
    for stand in [Stand::pf("13.2"), Stand::pf("15.1"), Stand::ipfw()].into_iter().chain(Stand::nftables()) {
        let before = stand.calls().len();
        let (handle, _events) = start(&stand, many(100_000), vec![]);
        assert!(handle.settle(LONG), "{}: {:?}", stand.name, handle.status());
        let commands = stand.calls().len() - before;
        let status = handle.stop(false);
        assert!(status.in_step && status.entries == 100_000, "{}: {status:?}", stand.name);
        eprintln!("{}: 100,000 bans took {commands} commands", stand.name);
        assert!(commands <= 20, "{}: {commands} commands", stand.name);
        assert_eq!(entries(&stand), 100_000, "{}", stand.name);
    }
}

#[test]
fn a_flushed_table_is_full_again_and_the_log_says_so_once() {
    for stand in Stand::tools() {
        let (handle, events) =
            start(&stand, vec![p("192.0.2.7"), p("2001:db8::/64"), p("192.0.2.0/25")], vec![]);
        assert!(handle.settle(LONG), "{}", stand.name);
        assert!(stand.flush_by_hand());
        for _ in 0..2 {
            handle.converge();
            assert!(handle.settle(LONG), "{}", stand.name);
        }
        assert!(handle.status().in_step, "{}", stand.name);
        assert_eq!(stand.table().len(), 3, "{}", stand.name);
        assert_eq!(count(&said(&events), "had vanished"), 1, "{}", stand.name);
    }
}

#[test]
fn a_ban_after_a_flush_is_not_lost() {
    for stand in Stand::tools() {
        let (handle, _events) = start(&stand, vec![p("192.0.2.7"), p("192.0.2.0/25")], vec![]);
        assert!(handle.settle(LONG), "{}", stand.name);
        assert!(stand.flush_by_hand());
        handle.change([Change::Add(p("198.51.100.7")), Change::Add(p("192.0.2.7"))]);
        assert!(handle.settle(LONG), "{}", stand.name);
        let table = stand.table();
        assert!(
            table.contains(&"198.51.100.7".to_owned()) && table.contains(&"192.0.2.7".to_owned()),
            "{table:?}"
        );
    }
}

#[test]
fn what_ended_while_the_daemon_was_down_is_gone_after_the_start_and_not_adopted() {
    for stand in Stand::tools() {
        let (handle, _events) = start(&stand, vec![p("192.0.2.7"), p("192.0.2.8")], vec![]);
        assert!(handle.settle(LONG), "{}", stand.name);
        assert!(handle.stop(false).in_step, "{}", stand.name);
        assert_eq!(stand.table().len(), 2, "{}: a stop opens no gate", stand.name);
        assert!(stand.add_by_hand("198.51.100.1"));

        let (handle, events) = start(&stand, vec![p("192.0.2.7")], vec![p("192.0.2.8")]);
        assert!(handle.settle(LONG), "{}", stand.name);
        assert_eq!(stand.table(), ["192.0.2.7", "198.51.100.1"], "{}", stand.name);
        let adopted = events.try_iter().find(|event| matches!(event, FirewallEvent::Foreign(_)));
        assert_eq!(adopted, Some(FirewallEvent::Foreign(vec![p("198.51.100.1")])), "{}", stand.name);
        assert_eq!(handle.stop(true).entries, 0);
        assert_eq!(stand.table(), [""; 0], "{}: flushed on exit as told", stand.name);
    }
}

#[test]
fn entries_of_others_are_taken_out_when_told_so() {
    for mut stand in Stand::tools() {
        stand.settings.foreign = Foreign::Remove;
        stand.backend().prepare().expect(stand.name);
        assert!(stand.add_by_hand("198.51.100.1"));
        let (handle, _events) = start(&stand, vec![p("192.0.2.7")], vec![]);
        assert!(handle.settle(LONG), "{}", stand.name);
        assert_eq!(stand.table(), ["192.0.2.7"], "{}", stand.name);
    }
}

#[test]
fn a_missing_tool_does_not_stop_anything_and_comes_back_by_itself() {
    for stand in Stand::tools() {
        stand.hide(true);
        let (handle, events) = start(&stand, vec![p("192.0.2.7")], vec![]);
        handle.change([Change::Add(p("192.0.2.8"))]);
        let event = events.recv_timeout(LONG).expect("a complaint");
        let FirewallEvent::Note(log::Level::Error, text) = event else { panic!("{event:?}") };
        assert!(text.contains("cannot be run: No such file"), "{}: {text}", stand.name);
        assert!(!handle.settle(Duration::ZERO), "{}: nothing is settled", stand.name);
        while handle.status().last_error.is_none() {
            // The event is sent a moment before the status shows it.
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!handle.status().in_step, "{}", stand.name);
        stand.hide(false);
        assert!(handle.settle(LONG), "{}", stand.name);
        assert_eq!(stand.table(), ["192.0.2.7", "192.0.2.8"], "{}", stand.name);
        assert_eq!(count(&said(&events), "firewall updates work again"), 1, "{}", stand.name);
    }
}

#[test]
fn a_hanging_tool_is_killed_and_blocks_nobody() {
    for mut stand in [Stand::pf("13.2"), Stand::ipfw()] {
        stand.settings.timeout = Duration::from_millis(1500);
        let (handle, events) = start(&stand, vec![p("192.0.2.7")], vec![]);
        assert!(handle.settle(LONG), "{}", stand.name);
        stand.mode("hang 600\n");
        handle.change([Change::Add(p("192.0.2.8"))]);
        // The tool hangs now; asking and telling does not.
        assert_eq!(handle.status().pending, 1, "{}", stand.name);
        handle.change([
            Change::Add(p("192.0.2.9")),
            Change::Remove(p("192.0.2.9")),
            Change::Add(p("192.0.2.10")),
        ]);
        let hung = |event: &FirewallEvent| matches!(event, FirewallEvent::Note(_, text) if text.contains("did not end within 1.5s and was killed"));
        assert!(events.iter().any(|event| hung(&event)), "{}", stand.name);
        stand.mode("delay 0\n");
        assert!(handle.settle(LONG), "{}", stand.name);
        assert_eq!(stand.table(), ["192.0.2.7", "192.0.2.8", "192.0.2.10"], "{}", stand.name);
    }
}

#[test]
fn one_entry_that_the_firewall_refuses_does_not_hold_up_the_others() {
    for stand in [Stand::pf("13.2"), Stand::pf("15.1"), Stand::ipfw()] {
        let (handle, events) = start(&stand, vec![], vec![]);
        assert!(handle.settle(LONG), "{}", stand.name);
        let version = if stand.name == "pf 15.1" { "15.1" } else { "13.2" };
        stand.mode(&format!("version {version}\nrefuse 10.0.0.33\n"));
        let before = stand.calls().len();
        handle.change(many(1_000).into_iter().map(Change::Add));
        assert!(handle.settle(LONG), "{}", stand.name);
        let refused: Vec<Vec<Prefix>> = events
            .try_iter()
            .filter_map(|e| if let FirewallEvent::Refused(list, _) = e { Some(list) } else { None })
            .collect();
        assert_eq!(refused, [vec![p("10.0.0.33")]], "{}", stand.name);
        assert_eq!((entries(&stand), handle.status().set_aside), (999, 1), "{}", stand.name);
        let commands = stand.calls().len() - before;
        assert!(commands <= 32, "{}: {commands} commands", stand.name);
    }
}

#[test]
fn a_table_that_pf_does_not_list_is_converged_without_a_listing() {
    for version in ["13.2", "15.1"] {
        let stand = Stand::pf(version);
        let (handle, _events) = start(&stand, many(60), vec![]);
        assert!(handle.settle(LONG));
        assert!(handle.stop(false).in_step);
        let fill =
            |host: u32| stand.run(&["-q", "-t", "bl", "-T", "add", &format!("198.51.100.{host}")], "foreign");
        (0..30).for_each(|host| drop(fill(host)));
        stand.mode(&format!("version {version}\nrequest_maxcount 65\n"));

        // One that should be there is not, one that should not is.
        stand.run(&["-t", "bl", "-T", "delete", "10.0.0.0"], "lose one");
        let gone = many(60).pop().expect("the last");
        let desired: Vec<Prefix> = many(60).into_iter().filter(|prefix| *prefix != gone).collect();
        let (handle, events) = start(&stand, desired.clone(), vec![gone]);
        assert!(handle.settle(LONG));
        handle.converge();
        assert!(handle.settle(LONG));
        assert!(handle.status().in_step && handle.status().unlistable.is_some());
        let before = stand.calls().len();
        handle.converge();
        assert!(handle.settle(LONG));
        let adds = stand.calls().split_off(before).iter().filter(|call| call.contains("\"add\"")).count();
        assert_eq!(adds, 0, "what is there is not added at each comparison");
        assert_eq!(count(&said(&events), "net.pf.request_maxcount"), 1, "said once");
        stand.mode(&format!("version {version}\n"));
        let table: BTreeSet<String> = stand.table().into_iter().collect();
        assert!(desired.iter().all(|prefix| table.contains(&portcullis::address::display(prefix))));
        assert!(!table.contains(&portcullis::address::display(&gone)), "known to be gone");
        assert_eq!(table.len(), 59 + 30, "what others added is left alone, unseen");
    }
}

#[test]
fn a_table_that_pf_lists_no_longer_is_not_in_step_for_what_is_lost_in_it() {
    for version in ["13.2", "15.1"] {
        let stand = Stand::pf(version);
        stand.mode(&format!("version {version}\nrequest_maxcount 50\n"));
        // Wider and narrower entries around each other, of both families.
        let desired: Vec<Prefix> =
            many(50).into_iter().chain(["10.0.0.0/24", "10.0.0.0/8", "2001:db8::/48"].map(p)).collect();
        let (handle, events) = start(&stand, desired.clone(), vec![]);
        assert!(handle.settle(LONG) && handle.status().in_step, "{:?}", handle.status());
        for lost in ["10.0.0.3", "10.0.0.0/24", "2001:db8:0:4::/64"] {
            stand.run(&["-t", "bl", "-T", "delete", lost], "lose one");
        }
        handle.converge();
        assert!(handle.settle(LONG) && handle.status().in_step);
        stand.mode(&format!("version {version}\n"));
        assert_eq!(stand.table().len(), desired.len(), "pf {version}");
        assert_eq!(count(&said(&events), "3 of 53 entries had vanished"), 1);
    }
}

#[test]
fn a_flush_is_noticed_long_before_the_next_comparison() {
    // The next comparison of these stands is an hour away.
    for stand in Stand::tools() {
        let (handle, events) = start(&stand, many(20), vec![]);
        assert!(handle.settle(LONG), "{}", stand.name);
        assert!(stand.flush_by_hand());
        let mut told = Vec::new();
        while count(&told, "20 of 20 entries had vanished") == 0 {
            let Ok(event) = events.recv_timeout(LONG) else { panic!("{}: {told:?}", stand.name) };
            told.extend(if let FirewallEvent::Note(_, text) = event { Some(text) } else { None });
        }
        assert!(handle.settle(LONG), "{}", stand.name);
        assert_eq!(stand.table().len(), 20, "{}", stand.name);
    }
}

#[test]
fn a_table_that_pf_does_not_list_is_replaced_where_others_entries_may_go() {
    for version in ["13.2", "15.1"] {
        let mut stand = Stand::pf(version);
        stand.settings.foreign = Foreign::Remove;
        for host in 0..70 {
            stand.run(&["-q", "-t", "bl", "-T", "add", &format!("198.51.100.{host}")], "foreign");
        }
        // Not lower: pfctl of 13.2 has a buffer for 64 entries at least.
        stand.mode(&format!("version {version}\nrequest_maxcount 64\n"));
        let (handle, _events) = start(&stand, many(10), vec![]);
        assert!(handle.settle(LONG), "{:?}", handle.status());
        assert_eq!(stand.table().len(), 10, "pf {version}");
    }
}

#[test]
fn pf_cuts_connections_after_the_ban_in_both_directions() {
    let stand = Stand::pf("15.1");
    let (handle, events) = start(&stand, vec![], vec![]);
    assert!(handle.settle(LONG));
    let states = "state all tcp 192.0.2.7:39390 -> 192.0.2.1:2222 ESTABLISHED:ESTABLISHED\n\
        state all tcp 192.0.2.1:25 -> 192.0.2.7:4000 ESTABLISHED:ESTABLISHED\n\
        state all tcp 2001:db8:7::7[58761] -> 2001:db8::1[2222] ESTABLISHED:ESTABLISHED\n\
        state all tcp 2001:db8::1[25] -> 2001:db8:7::9[58761] ESTABLISHED:ESTABLISHED\n\
        state all tcp 192.0.2.99:39390 -> 192.0.2.1:2222 ESTABLISHED:ESTABLISHED\n";
    let state = fs::read_to_string(stand.file("pfctl.state")).expect("state");
    fs::write(stand.file("pfctl.state"), format!("{states}{state}")).expect("state");
    let before = stand.calls().len();
    handle.change([Change::Add(p("192.0.2.7")), Change::Add(p("2001:db8:7::/64"))]);
    assert!(handle.settle(LONG));
    let calls = stand.calls().split_off(before);
    assert!(calls[0].contains("\"add\""), "first the ban: {calls:?}");
    assert!(calls[1..].iter().all(|call| call.contains("\"-k\"")) && calls.len() == 5, "{calls:?}");
    let left = stand.run(&["-s", "states"], "states");
    assert!(left.contains("192.0.2.99") && left.lines().count() == 1, "{left}");
    assert_eq!(count(&said(&events), "connections"), 0);
}
