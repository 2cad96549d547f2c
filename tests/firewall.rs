//! What every firewall backend promises, tested on every firewall there is; then what only one of them does.

use portcullis::firewall::{BackendError, Change, TableFile, TableListing};
use portcullis::settings::BackendKind;

use crate::firewall_stand::{Stand, listed};

fn add(prefix: &str) -> Change {
    Change::Add(prefix.parse().expect("a prefix"))
}

fn remove(prefix: &str) -> Change {
    Change::Remove(prefix.parse().expect("a prefix"))
}

#[test]
fn every_backend_has_a_stand() {
    for (name, backend) in BackendKind::ALL.into_iter().filter(|(name, _)| *name != "nftables") {
        assert!(Stand::all().iter().any(|stand| stand.settings.backend == backend), "{name}");
    }
}

#[test]
fn a_batch_adds_and_removes_and_may_be_repeated() {
    for stand in Stand::all() {
        let mut firewall = stand.backend();
        firewall.prepare().expect(stand.name);
        assert_eq!(listed(firewall.as_mut()), [""; 0], "{}: empty at first", stand.name);

        let batch =
            [add("192.0.2.7/32"), add("2001:db8::/64"), remove("192.0.2.9/32"), add("203.0.113.0/24")];
        for _ in 0..2 {
            firewall.apply(&batch).expect(stand.name);
            assert_eq!(
                listed(firewall.as_mut()),
                ["192.0.2.7", "203.0.113.0/24", "2001:db8::/64"],
                "{}",
                stand.name
            );
        }
        firewall
            .apply(&[remove("192.0.2.7/32"), add("2001:db8::1/128"), remove("2001:db8::/64")])
            .expect(stand.name);
        assert_eq!(listed(firewall.as_mut()), ["203.0.113.0/24", "2001:db8::1"], "{}", stand.name);
        assert!(firewall.prepare().is_ok(), "{}: it can be repeated", stand.name);
        assert_eq!(listed(firewall.as_mut()).len(), 2, "{}: and changes nothing", stand.name);
    }
}

#[test]
fn a_host_and_the_networks_around_it_come_and_go_on_their_own() {
    for stand in Stand::all() {
        let mut firewall = stand.backend();
        firewall.prepare().expect(stand.name);
        let nested = ["192.0.2.0/24", "192.0.2.128/25", "192.0.2.200/32", "2001:db8::/48", "2001:db8::/64"];
        firewall.apply(&nested.map(add)).expect(stand.name);
        assert_eq!(listed(firewall.as_mut()).len(), 5, "{}", stand.name);
        firewall.apply(&[remove("192.0.2.128/25"), remove("2001:db8::/48")]).expect(stand.name);
        assert_eq!(
            listed(firewall.as_mut()),
            ["192.0.2.0/24", "192.0.2.200", "2001:db8::/64"],
            "{}",
            stand.name
        );
    }
}

#[test]
fn what_others_do_to_the_table_is_seen() {
    for stand in Stand::all() {
        let mut firewall = stand.backend();
        firewall.prepare().expect(stand.name);
        firewall.apply(&[add("192.0.2.7/32")]).expect(stand.name);
        if !stand.add_by_hand("198.51.100.1") {
            continue;
        }
        assert_eq!(listed(firewall.as_mut()), ["192.0.2.7", "198.51.100.1"], "{}", stand.name);
        assert!(stand.flush_by_hand());
        firewall.prepare().expect(stand.name);
        assert_eq!(listed(firewall.as_mut()), [""; 0], "{}", stand.name);
        // Also the removal of what is gone, and after a flush that took the table with it.
        firewall.apply(&[remove("192.0.2.7/32"), add("203.0.113.0/24")]).expect(stand.name);
        assert_eq!(stand.table(), ["203.0.113.0/24"], "{}", stand.name);
    }
}

#[test]
fn a_tool_that_is_gone_is_named_and_not_taken_for_an_empty_table() {
    for stand in Stand::tools() {
        let mut firewall = stand.backend();
        firewall.prepare().expect(stand.name);
        firewall.apply(&[add("192.0.2.7/32")]).expect(stand.name);
        stand.hide(true);
        for failure in [
            firewall.prepare().expect_err(stand.name),
            firewall.list(0).expect_err(stand.name),
            firewall.apply(&[remove("192.0.2.7/32")]).expect_err(stand.name),
        ] {
            let BackendError::Broken(text) = failure else {
                panic!("{}: no smaller batch would help", stand.name)
            };
            assert!(text.contains("cannot be run: No such file"), "{}: {text}", stand.name);
        }
        stand.hide(false);
        assert_eq!(listed(firewall.as_mut()), ["192.0.2.7"], "{}", stand.name);
    }
}

#[test]
fn a_module_that_is_not_loaded_and_a_user_who_is_not_root_are_explained() {
    let hints = [
        (Stand::pf("13.2"), "loaded no", "pf is not loaded: `service pf onestart`"),
        (Stand::pf("15.1"), "root no", "run it as root"),
        (Stand::ipfw(), "loaded no", "Portcullis never loads it"),
        (Stand::ipfw(), "root no", "run it as root"),
    ];
    for (stand, mode, hint) in hints {
        stand.mode(&format!("{mode}\n"));
        let mut firewall = stand.backend();
        let prepared = firewall.prepare().expect_err(stand.name).to_string();
        assert!(prepared.contains(hint), "{}: {prepared}", stand.name);
        assert!(firewall.list(0).is_err(), "{}: not empty, unknown", stand.name);
        assert!(firewall.apply(&[add("192.0.2.7/32")]).is_err(), "{}", stand.name);
        assert!(stand.calls().iter().all(|call| !call.contains("kldload")), "{}", stand.name);
    }
}

#[test]
fn the_operator_is_warned_until_a_rule_uses_the_table() {
    let stand = Stand::pf("13.2");
    let mut firewall = stand.backend();
    let warning = firewall.prepare().expect("pf").join(" ");
    assert!(warning.contains("pf has no table <bl> yet"), "{warning}");
    firewall.apply(&[add("192.0.2.7/32")]).expect("pf");
    assert!(firewall.prepare().expect("pf").join(" ").starts_with("no pf rule uses the table <bl>"));
    std::fs::write(stand.file("pf.conf"), "table <bl> persist\nblock drop in quick from <bl>\n")
        .expect("pf.conf");
    stand.run(&["-f", &stand.file("pf.conf").display().to_string()], "load the rules");
    assert_eq!(firewall.prepare().expect("pf"), [""; 0]);
    assert_eq!(listed(firewall.as_mut()), ["192.0.2.7"]);
    stand.run(&["-d"], "disable");
    assert!(firewall.prepare().expect("pf").join(" ").starts_with("pf is not enabled"));

    let stand = Stand::ipfw();
    let mut firewall = stand.backend();
    assert!(firewall.prepare().expect("ipfw").join(" ").starts_with("no ipfw rule uses the table bl"));
    stand.run(&["add", "50", "deny", "ip", "from", "table(bl)", "to", "me"], "add a rule");
    assert_eq!(firewall.prepare().expect("ipfw"), [""; 0]);
}

#[test]
fn the_word_const_is_explained() {
    for stand in [Stand::pf("13.2"), Stand::pf("15.1")] {
        let conf = "table <bl> const persist\nblock drop in quick from <bl>\n";
        std::fs::write(stand.file("pf.conf"), conf).expect("pf.conf");
        stand.run(&["-f", &stand.file("pf.conf").display().to_string()], "load the rules");
        let mut firewall = stand.backend();
        let warning = firewall.prepare().expect(stand.name).join(" ");
        assert!(warning.contains("is `const`, so nothing can be added"), "{warning}");
        let failure = firewall.apply(&[add("192.0.2.7/32")]).expect_err(stand.name).to_string();
        assert!(
            failure.contains("exit status 255: pfctl: Operation not permitted. (the table is `const`"),
            "{failure}"
        );
    }
}

#[test]
fn pf_tells_a_table_that_is_too_large_from_one_that_is_not_there() {
    for version in ["13.2", "15.1"] {
        let stand = Stand::pf(version);
        let mut firewall = stand.backend();
        assert_eq!(listed(firewall.as_mut()), [""; 0], "a missing table is empty: add makes it");
        for n in 0..60 {
            stand.run(&["-q", "-t", "bl", "-T", "add", &format!("192.0.2.{n}")], "fill");
        }
        stand.mode(&format!("version {version}\nrequest_maxcount 50\n"));
        for (wanted, enough) in [(0, 128), (60, 128), (100, 256)] {
            let TableListing::Unlistable { why } = firewall.list(wanted).expect("an answer") else {
                panic!("{version}")
            };
            let advice = format!("`sysctl net.pf.request_maxcount={enough}`");
            assert!(why.contains("request_maxcount (50)") && why.contains(&advice), "{why}");
        }
    }
}

#[test]
fn pf_is_never_advised_to_list_less_than_it_does() {
    for version in ["13.2", "15.1"] {
        let mut stand = Stand::pf(version);
        // One rule uses the table, and 15.1 says that it holds one entry.
        std::fs::write(stand.file("pf.conf"), "table <bl> persist\nblock in quick from <bl>\n")
            .expect("pf.conf");
        stand.run(&["-f", &stand.file("pf.conf").display().to_string()], "load the rule");
        let entries: String =
            (0..70_000u32).map(|n| format!("{}\n", std::net::Ipv4Addr::from(0x0a00_0000 + n))).collect();
        std::fs::write(stand.file("list"), entries).expect("a list");
        stand.mode(&format!("version {version}\nrequest_maxcount 100000\n"));
        stand.run(&["-q", "-t", "bl", "-T", "add", "-f", &stand.file("list").display().to_string()], "fill");
        stand.mode(&format!("version {version}\n"));
        let listing = stand.backend().list(70_000).expect("an answer");
        let TableListing::Unlistable { why } = listing else { panic!("{version}") };
        assert!(why.contains("(65535)") && why.contains("request_maxcount=262144`"), "{why}");
        stand.settings.tools.sysctl = stand.file("missing");
        let TableListing::Unlistable { why } = stand.backend().list(3).expect("an answer") else {
            panic!("{version}")
        };
        assert!(!why.contains("sysctl "), "nothing is advised where the present value is not known: {why}");
    }
}

#[test]
fn pf_looks_entries_up_as_they_are_written() {
    let nested = ["192.0.2.0/24", "192.0.2.7/32", "2001:db8::/64", "2001:db8:1::1/128"];
    let absent = ["192.0.2.8/32", "2001:db8::/48", "198.51.100.0/24", "2001:db8:2::/64"];
    let prefixes =
        |texts: &[&str]| -> Vec<_> { texts.iter().map(|text| text.parse().expect("a prefix")).collect() };
    for stand in [Stand::pf("13.2"), Stand::pf("15.1")] {
        let mut firewall = stand.backend();
        firewall.prepare().expect(stand.name);
        assert!(firewall.missing(&prefixes(&nested)).is_err(), "{}: there is no table", stand.name);
        firewall.apply(&nested.map(add)).expect(stand.name);
        let both = [nested, absent].concat();
        assert_eq!(firewall.missing(&prefixes(&both)), Ok(prefixes(&absent)), "{}", stand.name);
    }
}

#[test]
fn a_cheap_look_tells_a_flushed_table_from_one_that_is_as_it_was_left() {
    for stand in Stand::tools() {
        let mut firewall = stand.backend();
        firewall.prepare().expect(stand.name);
        for entry in ["192.0.2.7/32", "198.51.100.0/24", "2001:db8::/64", "2001:db8:1::1/128"] {
            let sure = entry.parse().expect("a prefix");
            firewall.apply(&[add(entry)]).expect(stand.name);
            let before = stand.calls().len();
            assert_eq!(firewall.glance(&sure), Ok(true), "{}: {entry}", stand.name);
            assert_eq!(stand.calls().len(), before + 1, "{}: one run of the tool", stand.name);
        }
        assert!(stand.flush_by_hand());
        let entry = "192.0.2.7/32".parse().expect("a prefix");
        assert_ne!(firewall.glance(&entry), Ok(true), "{}", stand.name);
    }
}
#[test]
fn pf_names_the_limit_of_table_entries() {
    let stand = Stand::pf("13.2");
    std::fs::write(stand.file("pf.conf"), "set limit table-entries 1\n").expect("pf.conf");
    stand.run(&["-f", &stand.file("pf.conf").display().to_string()], "load the limit");
    let failure =
        stand.backend().apply(&[add("192.0.2.7/32"), add("192.0.2.8/32")]).expect_err("full").to_string();
    assert!(
        failure.contains("Cannot allocate memory") && failure.contains("`set limit table-entries"),
        "{failure}"
    );
}

#[test]
fn an_anchor_has_a_table_of_its_own() {
    let mut stand = Stand::pf("15.1");
    stand.settings.anchor = Some("portcullis/main".to_owned());
    let mut firewall = stand.backend();
    firewall.prepare().expect("pf");
    firewall.apply(&[add("192.0.2.7/32")]).expect("pf");
    assert_eq!(listed(firewall.as_mut()), ["192.0.2.7"]);
    assert!(stand.run(&["-a", "portcullis/main", "-t", "bl", "-T", "show"], "show").contains("192.0.2.7"));
    stand.settings.anchor = None;
    assert_eq!(stand.table(), [""; 0], "the main table of that name is another one");
}

#[test]
fn an_anchor_that_is_not_there_yet_is_made_by_the_first_ban() {
    for version in ["13.2", "15.1"] {
        for anchor in ["portcullis", "portcullis/main"] {
            let mut stand = Stand::pf(version);
            stand.settings.anchor = Some(anchor.to_owned());
            let mut firewall = stand.backend();
            let warning = firewall.prepare().expect("pf").join(" ");
            assert!(
                warning.starts_with(&format!("pf has no table <bl> in the anchor {anchor} yet")),
                "{warning}"
            );
            assert_eq!(listed(firewall.as_mut()), [""; 0]);
            firewall.apply(&[add("192.0.2.7/32"), remove("192.0.2.8/32")]).expect("pf");
            assert_eq!(listed(firewall.as_mut()), ["192.0.2.7"]);
            stand.mode("root no\n");
            assert!(firewall.list(0).is_err(), "a device that cannot be opened is not a missing anchor");
        }
    }
}

#[test]
fn a_table_that_pf_is_silent_about_is_not_taken_for_a_missing_one() {
    for anchor in [None, Some("portcullis".to_owned())] {
        let mut stand = Stand::pf("15.1");
        stand.settings.anchor = anchor;
        let mut firewall = stand.backend();
        let all: Vec<_> = (0..60).map(|n| add(&format!("192.0.2.{n}/32"))).collect();
        firewall.apply(&all).expect("pf");
        stand.mode("version 15.1\nrequest_maxcount 50\nmute tables\n");
        let listing = firewall.list(0).expect("an answer");
        assert!(matches!(listing, TableListing::Unlistable { .. }), "{listing:?}");
    }
}

#[test]
fn an_ipfw_table_of_another_type_is_explained_and_not_touched() {
    let stand = Stand::ipfw();
    stand.run(&["table", "bl", "create", "type", "iface"], "somebody else's table");
    let failure = stand.backend().prepare().expect_err("no addresses fit in");
    let BackendError::Broken(text) = failure else { panic!("no smaller batch would help") };
    assert!(text.contains("is not of type addr") && text.contains("`ipfw table bl destroy`"), "{text}");
}

#[test]
fn noise_on_standard_error_is_no_failure() {
    let stand = Stand::pf("13.2");
    stand.mode("version 13.2\nnoise altq\n");
    let mut firewall = stand.backend();
    firewall.prepare().expect("pf");
    firewall.apply(&[add("192.0.2.7/32")]).expect("pf");
    assert_eq!(listed(firewall.as_mut()), ["192.0.2.7"]);
}

#[test]
fn pf_only_ever_touches_the_content_of_its_table() {
    let stand = Stand::pf("13.2");
    let before = stand.calls().len();
    let mut firewall = stand.backend();
    firewall.prepare().expect("pf");
    firewall.apply(&[add("192.0.2.7/32"), remove("192.0.2.8/32")]).expect("pf");
    firewall.list(0).expect("pf");
    firewall.replace(&["192.0.2.9".parse::<std::net::IpAddr>().expect("an address").into()]).expect("pf");
    for call in &stand.calls()[before..] {
        let is_table = ["add", "delete", "show", "replace"]
            .iter()
            .any(|verb| call.contains(&format!("\"-T\",\"{verb}\"")));
        let looks = call.contains("-vsT") || call.contains("\"-s\",\"Running\"");
        assert!(is_table || looks, "{call}");
    }
    assert_eq!(listed(firewall.as_mut()), ["192.0.2.9"]);
}

#[test]
fn ipfw_adds_pairs_so_that_no_address_becomes_a_value() {
    let stand = Stand::ipfw();
    let mut firewall = stand.backend();
    firewall.prepare().expect("ipfw");
    firewall.apply(&[add("192.0.2.7/32"), add("192.0.2.8/32"), add("2001:db8::/64")]).expect("ipfw");
    let text = stand.run(&["table", "bl", "list"], "list");
    assert_eq!(text, "192.0.2.7/32 0\n192.0.2.8/32 0\n2001:db8::/64 0\n");
}

#[test]
fn a_numbered_ipfw_table_is_a_name_like_any_other() {
    let mut stand = Stand::ipfw();
    stand.settings.table = "22".to_owned();
    let mut firewall = stand.backend();
    firewall.prepare().expect("ipfw");
    firewall.apply(&[add("192.0.2.7/32")]).expect("ipfw");
    assert_eq!(listed(firewall.as_mut()), ["192.0.2.7"]);
}

#[test]
fn nftables_blocks_with_one_rule_for_each_length_however_often_it_is_prepared() {
    let Some(stand) = Stand::nftables() else { return };
    let mut firewall = stand.backend();
    for _ in 0..3 {
        firewall.prepare().expect("nft");
        firewall.apply(&[add("192.0.2.0/24"), add("2001:db8::/48"), add("0.0.0.0/1")]).expect("nft");
    }
    let rules = stand.run(&["list", "ruleset"], "list");
    assert_eq!(rules.matches(" drop\n").count(), 6, "{rules}");
    assert!(rules.contains("ip saddr & 255.255.255.0 == @v4_24 drop"), "{rules}");
    stand.run(&["flush", "chain", "inet", "bl", "v4_24"], "the rule is lost");
    firewall.prepare().expect("nft");
    assert_eq!(stand.run(&["list", "ruleset"], "list").matches(" drop\n").count(), 6, "and comes back");
}

#[test]
fn nftables_loads_the_file_of_bans_and_the_backend_finds_them() {
    let Some(stand) = Stand::nftables() else { return };
    let prefixes: Vec<_> = ["192.0.2.7/32", "198.51.100.0/24", "2001:db8::/64", "2001:db8:1::1/128"]
        .map(|text| text.parse().expect("a prefix"))
        .into();
    let text = TableFile::of(&stand.settings).expect("nft reads files").text(&prefixes);
    std::fs::create_dir(stand.file("bans")).expect("a directory");
    // As nftables.conf has it: a pattern, which may match nothing.
    let include = format!("flush ruleset\ninclude \"{}/*.nft\"\n", stand.file("bans").display());
    std::fs::write(stand.file("nftables.conf"), include).expect("nftables.conf");
    let load = || stand.run(&["-f", &stand.file("nftables.conf").display().to_string()], "load");
    load();
    std::fs::write(stand.file("bans/table.nft"), text).expect("the file of bans");
    for _ in 0..2 {
        load();
        assert_eq!(stand.table(), ["192.0.2.7", "198.51.100.0/24", "2001:db8::/64", "2001:db8:1::1"]);
    }
    let rules = stand.run(&["list", "ruleset"], "list");
    assert_eq!(rules.matches(" drop\n").count(), 4, "each length in use blocks: {rules}");
    let mut firewall = stand.backend();
    firewall.prepare().expect("nft");
    firewall.apply(&[remove("198.51.100.0/24")]).expect("nft");
    assert_eq!(stand.table().len(), 3);
}

#[test]
fn nftables_finds_the_sets_of_an_earlier_run() {
    let Some(stand) = Stand::nftables() else { return };
    let mut first = stand.backend();
    first.prepare().expect("nft");
    first.apply(&[add("192.0.2.0/24")]).expect("nft");
    assert_eq!(stand.table(), ["192.0.2.0/24"], "a new backend lists what an old one added");
}
