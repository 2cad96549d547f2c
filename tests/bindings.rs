//! Rule sets belong to logs: which sets are asked about which source, and what is said where none would be.

use crate::util::{Dir, failures};

/// A rule set for an application's own log.
pub(crate) const WEB: &str = "version: 1
name: exampleweb
about: An application with a log of its own.
format: raw
message_limit: none
threshold: {offences: 5, within: 10m}
ban: {for: 1h}
fields: {STAMP: '[0-9: -]{19}'}
rules:
  - id: login
    pattern: '^<STAMP> login failed from <ADDR>$'
    means: A password was wrong.
samples:
  - {line: '2026-11-22 14:38:31 login failed from 192.0.2.7', rule: login, addr: 192.0.2.7}
";

/// A folder with the rule set in force and a configuration that begins with this.
fn site(config: &str, rules: &[(&str, &str)]) -> Dir {
    let dir = Dir::new();
    for (name, text) in rules {
        dir.write(&format!("rules/{name}"), text);
    }
    let home = dir.path().display();
    let config = config.replace("HERE", &home.to_string());
    dir.write(
        "c.yaml",
        format!("rules_dir: {home}/rules\ncontrol: {{socket: {home}/s}}\nstate: {home}/db\n{config}"),
    );
    dir
}

fn web(config: &str) -> Dir {
    site(config, &[("web.yaml", WEB)])
}

fn logins(address: &str) -> String {
    (0..6).map(|n| format!("2026-11-22 14:38:3{n} login failed from {address}\n")).collect()
}

/// What a scan of a file would ban.
fn banned(dir: &Dir, file: &str) -> Vec<String> {
    let report = dir.portcullis(["scan", "--json", "-c", "c.yaml", file]).json();
    let offenders = report["offenders"].as_array().unwrap();
    let banned = offenders.iter().filter(|offender| !offender["bans"].as_array().unwrap().is_empty());
    banned
        .map(|offender| format!("{} by {}", offender["offender"], offender["rule_set"]).replace('"', ""))
        .collect()
}

/// What `check` says, without the folder's name.
fn told(dir: &Dir, code: i32) -> String {
    let ran = dir.portcullis(["check", "-c", "c.yaml"]).run();
    assert_eq!(ran.code, code, "{ran:?}");
    ran.out.replace(&format!("{}/", dir.path().display()), "")
}

const BOUND: &str = "sources: {auth: HERE/auth.log, web: {path: HERE/web.log, rule_sets: [exampleweb]}}\n";

#[test]
fn a_set_for_raw_lines_looks_only_at_the_source_that_names_it() {
    let dir = web(BOUND);
    for name in ["web.log", "web.log.0", "auth.log"] {
        dir.write(name, logins("192.0.2.7"));
    }
    assert_eq!(banned(&dir, "web.log"), ["192.0.2.7 by exampleweb"]);
    assert_eq!(banned(&dir, "web.log.0"), ["192.0.2.7 by exampleweb"], "rotated files are the same log");
    assert!(banned(&dir, "auth.log").is_empty());
    let rules = |file| dir.portcullis(["match", "--json", "-c", "c.yaml", file]).run().json_lines().len();
    assert_eq!((rules("web.log"), rules("auth.log")), (6, 0));
}

/// `Nov 22 … sshd[1]: Failed …` in a web log is a text like any other: a visitor may have sent it.
#[test]
fn a_log_that_names_its_sets_is_not_asked_by_the_sets_for_syslog() {
    let dir = web(BOUND);
    let lines = failures("203.0.113.66", 0..9) + &failures("2001:db8::66", 0..9);
    for name in ["web.log", "auth.log"] {
        dir.write(name, &lines);
    }
    assert!(banned(&dir, "web.log").is_empty());
    assert_eq!(banned(&dir, "auth.log"), ["203.0.113.66 by sshd", "2001:db8::/64 by sshd"]);
}

#[test]
fn a_set_for_syslog_may_be_named_and_then_no_other_is_asked() {
    let dir = web("sources: {auth: {path: HERE/auth.log, rule_sets: [freebsd-tcp, exampleweb]}}\n");
    dir.write("auth.log", failures("203.0.113.66", 0..9) + &logins("192.0.2.7"));
    assert_eq!(banned(&dir, "auth.log"), ["192.0.2.7 by exampleweb"]);
    let told = told(&dir, 0);
    assert!(
        told.contains("warning: the rule set `sshd` would be asked about no log: every source names"),
        "{told}"
    );
}

/// The layouts that an application may write as well are read only where the source has them.
#[test]
fn a_name_in_brackets_behind_a_stamp_is_a_program_only_in_metalogs_logs() {
    let lines: String = (0..9)
        .map(|n| {
            format!("2026-11-22 14:38:3{n} [sshd] Failed password for root from 203.0.113.66 port 1 ssh2\n")
        })
        .collect();
    let supervised =
        lines.replace(" [sshd] ", ".123456789 ").replace("from 203.0.113.66", "from 203.0.113.67");
    let dir = site(
        "sources: {auth: HERE/auth.log, gentoo: {path: HERE/current, layout: metalog}, sshd: {path: HERE/sshd, layout: multilog}}\n",
        &[],
    );
    for name in ["auth.log", "current", "sshd"] {
        dir.write(name, format!("{lines}{supervised}"));
    }
    assert!(banned(&dir, "auth.log").is_empty());
    assert_eq!(banned(&dir, "current"), ["203.0.113.66 by sshd"]);
    assert_eq!(banned(&dir, "sshd"), ["203.0.113.67 by sshd"]);
}

#[test]
fn a_set_in_force_that_no_source_would_feed_is_an_error_that_says_what_to_write() {
    let dir = web("rule_sets: [sshd, exampleweb]\n");
    let told = told(&dir, 78);
    let expected = "c.yaml:4:19: error: the rule set `exampleweb` would be asked about no log: with `format: raw` it looks \
                    only at sources that name it; write `exampleweb: {path: /path/of/its.log, rule_sets: [exampleweb]}` \
                    under `sources` (beside `auth: /var/log/auth.log` and `messages: /var/log/messages`, which are \
                    followed now), or name its `logs` in the rule file";
    assert!(told.contains(expected), "{told}");
    let ran = dir.portcullis(["run", "-c", "c.yaml"]).run();
    assert_eq!(ran.code, 78, "{ran:?}");
    assert!(ran.err.contains("the rule set `exampleweb` would be asked about no log"), "{ran:?}");
}

/// An operator who followed the log, and did not say whose it is, is told the whole line.
#[test]
fn the_source_that_follows_a_log_of_the_sets_name_is_shown_as_it_must_be() {
    let dir = site("sources: {auth: HERE/auth.log, ftp: HERE/log/my-exampleweb.log}\n", &[("web.yaml", WEB)]);
    let told = told(&dir, 78);
    let line = "ftp: {path: log/my-exampleweb.log, rule_sets: [exampleweb]}";
    let errors: Vec<&str> = told.lines().filter(|line| line.contains(": error: ")).collect();
    let expected = format!(
        "it looks only at sources that name it; write `{line}` under `sources` if that is its log, or name"
    );
    assert!(errors.len() == 1 && errors[0].starts_with("c.yaml:4:"), "{told}");
    assert!(errors[0].contains(&expected), "{told}");
    let home = dir.path().display();
    let line = line.replace("path: ", &format!("path: {home}/"));
    let config = std::fs::read_to_string(dir.path().join("c.yaml")).unwrap();
    dir.write("c.yaml", config.replace(&format!("ftp: {home}/log/my-exampleweb.log"), &line));
    dir.portcullis(["check", "-c", "c.yaml"]).run().assert(0, "");
}

/// A log that is called as the set is, is an application's own: the set is asked about it, and no other.
#[test]
fn a_source_that_follows_a_log_called_as_a_set_is_taken_for_that_sets_log() {
    let config = "sources: {auth: HERE/auth.log, ftp: HERE/exampleweb.log}\n";
    let dir = site(config, &[("web.yaml", WEB)]);
    let told = told(&dir, 0);
    let expected = ": warning: this source names no rule sets, and follows a log that is called as `exampleweb` is: \
                    `exampleweb` alone is asked about it; write `ftp: {path: exampleweb.log, rule_sets: [exampleweb]}`";
    assert!(told.contains(expected), "{told}");
    let forged = "Nov 22 14:38:31 gw sshd[1]: Failed password for root from 203.0.113.66 port 1 ssh2\n";
    let own = "2026-11-22 14:38:31 login failed from 192.0.2.7\n";
    dir.write("exampleweb.log", forged.repeat(9) + &own.repeat(9));
    assert_eq!(banned(&dir, "exampleweb.log"), ["192.0.2.7 by exampleweb"]);
    // Not where the sources are the usual ones: a set that somebody calls `auth` takes sshd's log from nobody.
    let auth = WEB.replace("name: exampleweb", "name: auth");
    let dir = site("rule_sets: [sshd, auth]\n", &[("auth.yaml", &auth)]);
    assert!(self::told(&dir, 78).contains("the rule set `auth` would be asked about no log"));
}

#[test]
fn a_source_cannot_name_a_set_that_is_not_there_or_not_in_force() {
    let dir = web(
        "sources: {web: {path: HERE/web.log, rule_sets: [exampelweb, freebsd-tcp]}, auth: HERE/auth.log}\nrule_sets: [sshd]\n",
    );
    let told = told(&dir, 78);
    for expected in [
        "there is no rule set `exampelweb`, did you mean `exampleweb`?",
        "the rule set `freebsd-tcp` is not in force: add it to the file's own `rule_sets`",
    ] {
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_set_with_logs_needs_no_source_and_the_first_log_that_is_there_is_followed() {
    let with_logs =
        WEB.replace("format: raw", "format: raw\nlogs: [HERE/none.log, 'HERE/*-web.log', HERE/web.log]");
    let dir = web("sources: {auth: HERE/auth.log}\n");
    let home = dir.path().display().to_string();
    dir.write("rules/web.yaml", with_logs.replace("HERE", &home));
    let told_first = told(&dir, 0);
    let expected = "warning: no log of the rule set `exampleweb` is there";
    assert!(
        told_first.contains(expected) && told_first.contains("none.log is followed as soon as it is"),
        "{told_first}"
    );
    for name in ["web.log", "my-web.log", "none.log"] {
        dir.write(name, logins("192.0.2.7"));
        let others =
            ["web.log", "my-web.log", "none.log"].into_iter().filter(|other| dir.path().join(other).exists());
        let followed: Vec<&str> = others.filter(|other| !banned(&dir, other).is_empty()).collect();
        assert_eq!(followed, [name], "later ones in the list stand back");
    }
    assert!(!told(&dir, 0).contains("no log of the rule set"));
}

/// Two sources for one file would read every line twice, and whoever wrote the first said who is asked.
#[test]
fn a_log_of_a_set_that_a_source_follows_already_is_not_followed_twice() {
    let with_logs = WEB.replace("format: raw", "format: raw\nlogs: [/var/log/web.log]");
    for (source, expected) in [
        ("web: /var/log/web.log", "write `web: {path: /var/log/web.log, rule_sets: [exampleweb]}`"),
        ("web: '/var/log/*.log'", "write `web: {path: /var/log/*.log, rule_sets: [exampleweb]}`"),
        ("web: {path: /var/log/web.log, rule_sets: [sshd]}", "write `rule_sets: [sshd, exampleweb]`"),
    ] {
        let dir = site(&format!("sources: {{auth: HERE/auth.log, {source}}}\n"), &[("web.yaml", &with_logs)]);
        let told = told(&dir, 78);
        assert!(
            told.contains("`exampleweb` has its lines in /var/log/web.log") && told.contains(expected),
            "{told}"
        );
    }
}

/// nginx writes a newline that a peer sent as it is: the line behind it may name anybody.
#[test]
fn a_raw_set_that_claims_nothing_of_newlines_bans_for_minutes_only() {
    let dir = web(BOUND);
    dir.write("auth.log", "");
    dir.write("web.log", logins("192.0.2.7") + &logins("192.0.2.7").replace("14:38", "15:38"));
    let scan = |dir: &Dir| {
        dir.portcullis(["scan", "--json", "-c", "c.yaml", "web.log"]).json()["offenders"][0].clone()
    };
    let offender = scan(&dir);
    assert_eq!(offender["evidence"], "spoofable");
    assert_eq!(
        offender["bans"][1]["until"], "2026-11-22T15:48:34+00:00",
        "ten minutes, also the second time: {offender}"
    );
    let told_first = told(&dir, 0);
    assert!(
        told_first.contains("web.yaml:4:9: warning: a program that writes its log by itself"),
        "{told_first}"
    );
    assert!(told_first.contains("claim `newlines: encoded`"), "{told_first}");

    dir.write("rules/web.yaml", WEB.replace("format: raw", "format: raw\nnewlines: encoded"));
    let offender = scan(&dir);
    assert_eq!(offender["evidence"], "handshake");
    assert_eq!(offender["bans"][0]["until"], "2026-11-22T15:38:34+00:00", "{offender}");
    let told = told(&dir, 0);
    let mut warnings = told.lines().filter(|line| line.contains(": warning:"));
    assert!(warnings.all(|line| line.contains("not protecting: ")), "{told}");
}

/// An application repeats nothing: who writes "last message repeated" into its log must not multiply another's line.
#[test]
fn a_repeat_in_an_applications_log_is_text() {
    let dir = web(BOUND);
    let repeat = "2026-11-22 14:38:32 login last message repeated 20 times\n";
    dir.write("web.log", format!("2026-11-22 14:38:31 login failed from 192.0.2.7\n{repeat}{repeat}"));
    assert!(banned(&dir, "web.log").is_empty());
    let matched = dir.portcullis(["match", "--json", "-c", "c.yaml", "web.log"]).run().json_lines();
    assert_eq!((matched.len(), &matched[0]["count"]), (1, &1.into()));
}

/// A line of an application's own log may look like one of syslog's: the process id in it is text, and ties nothing.
#[test]
fn a_process_id_in_a_raw_line_is_no_session() {
    let rules = WEB
        .replace("<STAMP> login", "Nov 22 14:38:3[0-9] gw web\\[7\\]: login")
        .replace("2026-11-22 14:38:31 login", "Nov 22 14:38:31 gw web[7]: login");
    let dir = site(BOUND, &[("web.yaml", &rules)]);
    let line = |n: u32, address: &str| format!("Nov 22 14:38:3{n} gw web[7]: login failed from {address}\n");
    let lines = (0..5).flat_map(|n| [line(n, "192.0.2.7"), line(n, "192.0.2.8")]);
    dir.write("web.log", lines.collect::<String>());
    assert_eq!(banned(&dir, "web.log"), ["192.0.2.7 by exampleweb", "192.0.2.8 by exampleweb"]);
}

/// One process serves all peers; a peer's name may look like the id of another's connection.
#[test]
fn no_words_of_a_peers_put_its_failures_into_anothers_session() {
    let rules = |name: &str| {
        format!(
            "version: 1
name: app
about: An application whose one process serves all peers.
program: app
threshold: {{offences: 5, within: 10m}}
fields: {{NAME: '[^ ]*'}}
rules:
  - {{id: accept, pattern: '^conn=<SESSION> accept from <ADDR>$', effect: ignore, means: Somebody connected.}}
  - {{id: failed, pattern: '^login {name} conn=<SESSION> failed(?:, .*)?$', address: session, means: A wrong password.}}
samples:
  - {{line: 'Nov 22 14:38:31 gw app[7]: conn=1 accept from 192.0.2.7', rule: accept, addr: 192.0.2.7}}
  - {{line: 'Nov 22 14:38:31 gw app[7]: login root conn=1 failed', rule: failed}}
"
        )
    };
    let dir = Dir::new();
    dir.write("app.yaml", rules(r"\S+"));
    let refused = dir.portcullis(["scan", "--rules", "app.yaml", "app.log"]).run();
    let line = "login x conn=1002 failed, conn=1001 failed";
    assert!(refused.code == 78 && refused.err.contains(line), "{refused:?}");

    dir.write("app.yaml", rules("<NAME>"));
    let record = |message: &str| format!("Nov 22 14:38:31 gw app[7]: {message}\n");
    let hostile = record("login conn=1002 conn=1001 failed, conn=1002 failed");
    let log = [
        record("conn=1001 accept from 192.0.2.7"),
        record("conn=1002 accept from 198.51.100.9"),
        hostile.repeat(6),
    ];
    dir.write("app.log", log.concat());
    let report = dir.portcullis(["scan", "--json", "--rules", "app.yaml", "app.log"]).json();
    let offenders: Vec<&str> =
        report["offenders"].as_array().unwrap().iter().filter_map(|one| one["offender"].as_str()).collect();
    assert_eq!(offenders, ["192.0.2.7"], "{report}");
}

#[test]
fn match_shows_the_id_of_a_session() {
    let rules = WEB
        .replace("14:38:31 login", "14:38:31 #7f login")
        .replace("<STAMP> login", "<STAMP> #<SESSION> login");
    let dir = site(BOUND, &[("web.yaml", &rules)]);
    dir.write("web.log", "2026-11-22 14:38:31 #7f login failed from 192.0.2.7\n");
    let matched = dir.portcullis(["match", "--json", "-c", "c.yaml", "web.log"]).run().json_lines();
    assert_eq!(matched[0]["session"], "7f", "{matched:?}");
}

#[test]
fn explain_knows_the_lines_of_sources_with_sets_or_a_layout_of_their_own() {
    let dir = web(
        "sources: {auth: HERE/auth.log, web: {path: HERE/web.log, rule_sets: [exampleweb]}, gentoo: {path: HERE/c, layout: metalog}}\n",
    );
    let told = |line: &str| dir.portcullis(["explain", "-c", "c.yaml", line]).ok().replace("\n  ", " ");
    let web = told("2026-11-22 14:38:31 login failed from 192.0.2.7");
    for part in [
        "This holds for the log of the source `web`.",
        "nobody claims that it never writes a newline",
        "would be banned for 10m.",
    ] {
        assert!(web.contains(part), "{web}");
    }
    let metalog = told("Nov 22 14:38:31 [sshd] Failed password for root from 192.0.2.7 port 1 ssh2");
    assert!(metalog.contains("This holds for the log of the source `gentoo`. It counts"), "{metalog}");
    let syslog = told("Nov 22 14:38:31 gw sshd[7]: Failed password for root from 192.0.2.7 port 1 ssh2");
    assert!(!syslog.contains("the log of the source"), "{syslog}");
    let rules = dir.portcullis(["rules", "--json", "-c", "c.yaml", "exampleweb"]).json();
    assert_eq!((&rules["evidence"], &rules["ban"]["for"]), (&"spoofable".into(), &600.into()));
}

/// Written by nginx 1.22 about one GET with `%0A` in its path; the line in the middle is the peer's.
#[test]
fn a_forged_line_in_nginxs_error_log_is_short_lived_at_most() {
    let pattern = concat!(
        r#"'^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] \d+#\d+: \*\d+ open\(\) "<PATH>" failed \(\d+: <REASON>\), "#,
        r#"client: <ADDR>, server: <SERVER>, request: "<REQUEST>", host: "<HOSTNAME>"$'"#
    );
    let failed = |path: &str, client: &str| {
        format!(
            "2026/11/22 14:38:31 [error] 7#7: *1 open() \"{path}\" failed (2: No such file or directory), client: {client}, \
             server: www.example.org, request: \"GET / HTTP/1.1\", host: \"www.example.org\"\n"
        )
    };
    let rules = format!(
        "version: 1\nname: nginx\nabout: Wrong pages.\nformat: raw\nevidence: handshake\nmessage_limit: none\n\
         threshold: {{offences: 1, within: 60s}}\nban: {{for: 4h, escalate: {{}}}}\nfields: {{PATH: '[^\"]*', REASON: '[A-Za-z ]+', SERVER: '[-.\\w]+', \
         REQUEST: '[^\"]*', HOSTNAME: '[^\"]*'}}\n\
         rules:\n  - {{id: missing, pattern: {pattern}, means: No such page.}}\nsamples:\n  \
         - {{line: '{}', rule: missing, addr: 192.0.2.7}}\n",
        failed("/x", "192.0.2.7").trim_end()
    );
    let dir = site("sources: {web: {path: HERE/error.log, rule_sets: [nginx]}}\n", &[("nginx.yaml", &rules)]);
    dir.write("error.log", failed(&format!("/a\n{}x", failed("/wp", "203.0.113.66")), "192.0.2.7"));
    let report = dir.portcullis(["scan", "--json", "-c", "c.yaml", "error.log"]).json();
    let forged = &report["offenders"][0];
    assert_eq!(
        (&forged["offender"], &forged["evidence"]),
        (&"203.0.113.66".into(), &"spoofable".into()),
        "{report}"
    );
    assert_eq!(forged["bans"][0]["until"], "2026-11-22T14:48:31+00:00", "{report}");
}

/// The lines of a supervisor name no program, and only sets of one program are proven against each other.
#[test]
fn the_log_of_a_supervisor_is_that_of_one_program() {
    let ftpd = WEB
        .replace("exampleweb", "ftpd")
        .replace("format: raw\nmessage_limit: none\n", "program: ftpd\n")
        .replace("fields: {STAMP: '[0-9: -]{19}'}\n", "")
        .replace("<STAMP> ", "")
        .replace("2026-11-22 14:38:31 login", "Nov 22 14:38:31 gw ftpd[7]: login");
    let told = |sources: &str, code: i32| told(&site(sources, &[("ftpd.yaml", &ftpd)]), code);
    let refused = told("sources: {ssh: {path: HERE/current, layout: multilog}}\n", 78);
    let expected = "`sshd` and `ftpd` would both take them for their own: say whose log it is, as in `rule_sets: [sshd]`";
    assert!(
        refused.contains("the lines of this source name no program") && refused.contains(expected),
        "{refused}"
    );
    for sources in [
        "sources: {ssh: {path: HERE/current, layout: multilog, rule_sets: [sshd]}, auth: HERE/auth.log}\n",
        "rule_sets: [sshd, freebsd-tcp]\nsources: {ssh: {path: HERE/current, layout: multilog}}\n",
    ] {
        assert!(!told(sources, 0).contains("name no program"));
    }
}
