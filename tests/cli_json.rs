//! Rule sets with `format: json`, through the real program: what they match, what they refuse, what they are told.

use serde_json::{Value, json};

use crate::util::{Dir, Ran};

/// Caddy's access log: a wrong password at a login page.
const CADDY: &str = "version: 1
name: caddy
about: Wrong passwords at login pages behind Caddy
format: json
rules:
  - id: login-refused
    where: {msg: handled request, request.method: POST, status: [401, 403]}
    address: request.remote_ip
    user: user_id
    means: A password was wrong.
samples:
  - line: '{\"level\":\"error\",\"ts\":1795354711.2524107,\"logger\":\"http.log.access.log0\",\"msg\":\"handled request\",\
\"request\":{\"remote_ip\":\"192.0.2.7\",\"remote_port\":\"41342\",\"proto\":\"HTTP/2.0\",\"method\":\"POST\",\"host\":\"example.org\",\
\"uri\":\"/login\",\"headers\":{\"User-Agent\":[\"curl/7.82.0\"]}},\"user_id\":\"\",\"duration\":0.000929675,\"size\":1042,\"status\":401}'
    rule: login-refused
    addr: 192.0.2.7
";

/// A line of Caddy's, 22 November 2026 at 13:38:31 UTC and so many seconds.
fn caddy(second: u32, address: &str, agent: &str, status: &str) -> String {
    format!(
        r#"{{"level":"error","ts":{}.2524107,"logger":"http.log.access.log0","msg":"handled request","request":{{"remote_ip":"{address}","remote_port":"41342","client_ip":"{address}","proto":"HTTP/2.0","method":"POST","host":"example.org","uri":"/login","headers":{{"User-Agent":["{agent}"],"X-Forwarded-For":["203.0.113.66"]}}}},"bytes_read":0,"user_id":"anna","duration":0.000929675,"size":1042,"status":{status},"resp_headers":{{"Server":["Caddy"]}}}}"#,
        1_795_354_711 + second
    )
}

/// An application's own log, in which an older version says the same in another way.
const APP: &str = "version: 1
name: app
about: Logins of an application
format: json
time: {key: at, formats: '%s%3f'}
threshold: {offences: 5, within: 10m}
rules:
  - {id: monitor, where: {account: monitor}, effect: ignore, means: Our own monitor.}
  - {id: login-failed, where: {event: login_failed}, address: client.ip, user: account, session: conn, means: A password was wrong.}
  - {id: login-failed, where: {message: Login failed}, address_port: peer, means: 'A password was wrong, as older versions say it.'}
  - {id: login, where: {event: login, ok: true}, address: client.ip, effect: trust, means: Somebody logged in.}
samples:
  - {line: '{\"at\":1795354711250,\"event\":\"login_failed\",\"account\":\"root\",\"client\":{\"ip\":\"192.0.2.7\"},\"conn\":7}', rule: login-failed, addr: 192.0.2.7}
  - {line: '{\"at\":1795354711250,\"message\":\"Login failed\",\"peer\":\"[2001:db8::7]:4242\"}', rule: login-failed, addr: '2001:db8::7'}
  - {line: '{\"at\":1795354711250,\"account\":\"monitor\"}', rule: monitor}
  - {line: '{\"at\":1795354711250,\"event\":\"login\",\"ok\":true,\"client\":{\"ip\":\"192.0.2.9\"}}', rule: login, addr: 192.0.2.9}
  - {line: '{\"at\":1795354711250,\"event\":\"login_failed\",\"account\":\"\\\",\\\"client\\\":{\\\"ip\\\":\\\"203.0.113.66\\\"}\"}', rule: none}
";

fn failed(address: &str) -> String {
    format!(r#"{{"at":1795354711250,"event":"login_failed","account":"root","client":{{"ip":"{address}"}}}}"#)
}

fn dir(name: &str, rules: &str, log: impl AsRef<[u8]>) -> Dir {
    let dir = Dir::new();
    dir.write(name, rules);
    dir.write("app.log", log);
    dir
}

/// The addresses that `match` finds in these lines, by their number.
fn addresses(dir: &Dir, rules: &str) -> Vec<(u64, String)> {
    let ran = dir.portcullis(["match", "--json", "--rules", rules, "app.log"]).run();
    assert!(ran.code <= 1 && ran.err.is_empty(), "{ran:?}");
    let found = |line: &Value| {
        (line["line"].as_u64().unwrap(), line["address"].as_str().unwrap_or("nobody").to_owned())
    };
    ran.json_lines().iter().map(found).collect()
}

#[test]
fn a_web_servers_access_log_is_read_by_its_keys() {
    let attack = |n: u32| {
        caddy(n, if n < 5 { "192.0.2.7" } else { "2001:db8:1:2::7" }, "curl", ["401", "403"][n as usize % 2])
    };
    let log: Vec<String> = (0..10).map(attack).chain([caddy(20, "192.0.2.9", "curl", "200")]).collect();
    let dir = dir("caddy.yaml", CADDY, log.join("\n") + "\n");
    assert!(dir.portcullis(["check", "caddy.yaml"]).ok().ends_with(": 0 errors, 0 warnings\n"));
    let report = dir.portcullis(["scan", "--json", "--rules", "caddy.yaml", "app.log"]).json();
    let offenders = report["offenders"].as_array().unwrap();
    let told = |offender: &Value| {
        let banned = !offender["bans"].as_array().unwrap().is_empty();
        format!("{} {} {banned}", offender["offender"], offender["evidence"]).replace('"', "")
    };
    let told: Vec<String> = offenders.iter().map(told).collect();
    assert_eq!(told, ["192.0.2.7 handshake true", "2001:db8:1:2::/64 handshake true"], "{report}");
    let matched = dir.portcullis(["match", "--json", "--rules", "caddy.yaml", "app.log"]).run().json_lines();
    assert_eq!(matched.len(), 10);
    assert_eq!((&matched[9]["user"], &matched[9]["rule"]), (&json!("anna"), &json!("caddy/login-refused")));
    assert_eq!(matched[9]["time"], "2026-11-22T13:38:40+00:00");
}

#[test]
fn an_applications_own_log_is_read_with_all_its_words() {
    let lines = [
        failed("192.0.2.7"),
        r#"{"at":1795354711250,"message":"Login failed","peer":"[2001:db8::7]:4242"}"#.into(),
        r#"{"at":1795354711250,"message":"Login failed","peer":"192.0.2.8"}"#.into(),
        r#"{"at":1795354711250,"event":"login_failed","account":"monitor","client":{"ip":"192.0.2.7"}}"#
            .into(),
        r#"{"at":1795354711250,"event":"login","ok":true,"client":{"ip":"::ffff:192.0.2.9"}}"#.into(),
        r#"{"at":1795354711250,"event":"login","ok":false,"client":{"ip":"192.0.2.9"}}"#.into(),
    ];
    let dir = dir("app.yaml", APP, lines.join("\n"));
    let matched = dir.portcullis(["match", "--rules", "app.yaml", "app.log"]).run();
    let expected = "\
app.log:1: app/login-failed offence 192.0.2.7 user `root`
app.log:2: app/login-failed offence 2001:db8::7
app.log:3: app/login-failed offence 192.0.2.8
app.log:4: app/monitor ignore (no address)
app.log:5: app/login trust 192.0.2.9
";
    assert_eq!((matched.out.as_str(), matched.code), (expected, 0));
    let line = r#"{"at":1795354711250,"event":"login_failed","conn":7,"account":"r\u006fot","client":{"ip":"192.0.2.7"}}"#;
    let one = dir.portcullis(["match", "--json", "--rules", "app.yaml", "-"]).stdin(line).json();
    assert_eq!((&one["session"], &one["user"]), (&json!("7"), &json!("root")));
    assert_eq!((&one["time"], &one["evidence"]), (&json!("2026-11-22T13:38:31+00:00"), &json!("handshake")));
}

/// Docker wraps what a program prints; that is one text, whatever it looks like.
#[test]
fn dockers_log_files_have_keys_of_their_own_and_their_text_is_not_looked_into() {
    let rules = "version: 1\nname: docker\nabout: x\nformat: json\nrules:\n  - id: failed\n    where: {stream: stderr, attrs.kind: login}\n    \
                 address: attrs.peer\n    means: x\n";
    let line = |attrs: &str| {
        format!(
            r#"{{"log":"{{\"attrs\":{{\"kind\":\"login\",\"peer\":\"203.0.113.66\"}}}}\n","stream":"stderr"{attrs},"time":"2026-11-22T13:38:31.123456789Z"}}"#
        )
    };
    let lines = [line(""), line(r#","attrs":{"kind":"login","peer":"192.0.2.7"}"#)];
    let dir = dir("docker.yaml", rules, lines.join("\n"));
    assert_eq!(addresses(&dir, "docker.yaml"), [(2, "192.0.2.7".to_owned())]);
    let matched = dir.portcullis(["match", "--json", "--rules", "docker.yaml", "app.log"]).json();
    assert_eq!(matched["time"], "2026-11-22T13:38:31+00:00");
}

/// Lines that an attacker would like to be read otherwise than their program meant them. None names 203.0.113.66, and the
/// rest of the log is read on.
#[test]
fn no_text_of_a_peers_and_no_damage_names_anybody() {
    let hostile: Vec<Vec<u8>> = [
        r#"{"at":1,"event":"login_failed","account":"\",\"client\":{\"ip\":\"203.0.113.66\"}"}"#,
        r#"{"at":1,"event":"login_failed","account":"x\\\",\"client\":{\"ip\":\"203.0.113.66\"}"}"#,
        r#"{"at":1,"event":"login_failed","client":{"ip":"192.0.2.1"},"client":{"ip":"203.0.113.66"}}"#,
        r#"{"at":1,"event":"login_failed","client":{"ip":"203.0.113.66"},"cl\u0069ent":{"ip":"192.0.2.1"}}"#,
        r#"{"at":1,"event":"login_failed","client":{"ip":"203.0.113.66","i\u0070":"203.0.113.66"}}"#,
        r#"{"at":1,"event":"login_failed","event":"x","client":{"ip":"203.0.113.66"}}"#,
        r#"{"at":1,"at":2,"event":"login_failed","client":{"ip":"203.0.113.66"}}"#,
        r#"{"at":1,"event":"login_failed","client":[{"ip":"203.0.113.66"}]}"#,
        r#"{"at":1,"event":"login_failed","client":{"ip":["203.0.113.66"]}}"#,
        r#"{"at":1,"event":"login_failed","client.ip":"203.0.113.66"}"#,
        r#"{"at":1,"event":["login_failed"],"client":{"ip":"203.0.113.66"}}"#,
        r#"{"x":{"event":"login_failed","client":{"ip":"203.0.113.66"}}}"#,
        r#"[{"at":1,"event":"login_failed","client":{"ip":"203.0.113.66"}}]"#,
        r#"{"at":1,"event":"login_failed","client":{"ip":"203.0.113.66"}} x"#,
        r#"{"at":1,"event":"login_failed","client":{"ip":"203.0.113.66"}}{}"#,
        r#"{"at":1,"event":"login_failed","client":{"ip":"203.0.113.66"}"#,
        r#"x {"at":1,"event":"login_failed","client":{"ip":"203.0.113.66"}}"#,
        r#"Nov 22 14:38:31 gw app[7]: {"event":"login_failed","client":{"ip":"203.0.113.66"}}"#,
        r#"{"at":1,"event":"login_failed","client":{"ip":"203.0.113.66\u0000"}}"#,
        r#"{"at":1,"event":"login_failed","client":{"ip":"203.0.113.66\ud800"}}"#,
        r#"{"at":1,"event":"login_failed","account":"\ud800","client":{"ip":"203.0.113.66"}}"#,
        r#"{"at":1,"event":"login_failed","conn":1e999,"client":{"ip":"203.0.113.66"}}"#,
        r#"{"at":1,"event":"login_failed","client":{"ip":3405803842}}"#,
        "{\"at\":1,\"event\":\"login_failed\",\0\"client\":{\"ip\":\"203.0.113.66\"}}",
        "{\"at\":1,\"event\":\"login_failed\",\"account\":\"\u{1}\",\"client\":{\"ip\":\"203.0.113.66\"}}",
    ]
    .iter()
    .map(|line| line.as_bytes().to_vec())
    .chain([
        b"{\"at\":1,\"event\":\"login_failed\",\"account\":\"\xff\",\"client\":{\"ip\":\"203.0.113.66\"}}"
            .to_vec(),
        "[".repeat(10_000).into_bytes(),
        format!(r#"{{"at":1,"event":"login_failed","client":{}"#, r#"{"ip":"#.repeat(2_000)).into_bytes(),
        format!(
            r#"{{"at":1,"event":"login_failed","x":"{}","client":{{"ip":"203.0.113.66"}}}}"#,
            "x".repeat(1 << 20)
        )
        .into_bytes(),
    ])
    .collect();
    let mut log = failed("192.0.2.7").into_bytes();
    for line in &hostile {
        log.push(b'\n');
        log.extend_from_slice(line);
    }
    log.extend_from_slice(format!("\n{}\n", failed("2001:db8::7")).as_bytes());
    let dir = dir("app.yaml", APP, log);
    let last = hostile.len() as u64 + 2;
    assert_eq!(addresses(&dir, "app.yaml"), [(1, "192.0.2.7".to_owned()), (last, "2001:db8::7".to_owned())]);
    let report = dir.portcullis(["scan", "--json", "--rules", "app.yaml", "app.log"]).json();
    assert_eq!(report["too_long"], 1, "{report}");
}

/// What a truncation left before a line, and the mark with which some programs begin a file, are no part of an object.
#[test]
fn nuls_and_a_byte_order_mark_before_an_object_hide_nothing() {
    let log = ["\u{feff}", "\0\0\0", ""].map(|before| format!("{before}{}\n", failed("192.0.2.7"))).concat();
    let dir = dir("app.yaml", APP, log);
    let expected = [1, 2, 3].map(|line| (line, "192.0.2.7".to_owned()));
    assert_eq!(addresses(&dir, "app.yaml"), expected);
}

/// Else a peer could hide behind what it sends: a header with one odd byte, or text that is nested deeply.
#[test]
fn what_a_peer_sends_under_other_keys_hides_nothing() {
    let agents: Vec<Vec<u8>> = vec![
        b"\xff\xfe".to_vec(),
        br"\ud800".to_vec(),
        br#"x","y":"z"#.to_vec(),
        br#""],"X":["#.to_vec().into_iter().chain(b"[".repeat(2_000)).chain(b"]".repeat(2_000)).chain(*b",\"").collect(),
        br#""],"X":[1e999,""#.to_vec(),
    ];
    let mut log = Vec::new();
    for agent in &agents {
        let line = caddy(0, "192.0.2.7", "AGENT", "401");
        let (before, behind) = line.split_once("AGENT").unwrap();
        log.extend([before.as_bytes(), agent, behind.as_bytes(), b"\n"].concat());
    }
    let dir = dir("caddy.yaml", CADDY, log);
    let expected: Vec<(u64, String)> = (1..=5).map(|line| (line, "192.0.2.7".to_owned())).collect();
    assert_eq!(addresses(&dir, "caddy.yaml")[..2], expected[..2]);
    assert_eq!(addresses(&dir, "caddy.yaml")[2..], expected[3..]);
}

#[test]
fn check_says_that_there_is_nothing_to_prove_and_which_keys_hold_addresses() {
    let dir = dir("app.yaml", APP, "");
    let expected = "\
app: reads JSON by keys: nothing to prove, if the peer's address stands under
  client.ip, peer
1 rule set, 4 rules, 5 samples checked: 0 errors, 0 warnings
";
    assert_eq!(dir.portcullis(["check", "app.yaml"]).ok(), expected);
    let report = dir.portcullis(["check", "--json", "app.yaml"]).json();
    let proof = &report["proofs"][0];
    assert_eq!((&proof["format"], &proof["claims"]), (&json!("json"), &json!([])));
    assert_eq!(proof["address_keys"], json!(["client.ip", "peer"]));
    dir.write("text.yaml", "version: 1\nname: text\nabout: x\nprogram: text\nrules: [{id: a, pattern: '^a <ADDR>$', means: x}]\n\
                            samples: [{line: 'Nov 22 14:38:31 gw text[1]: a 192.0.2.7', rule: a, addr: 192.0.2.7}]\n");
    let both = dir.portcullis(["check", "app.yaml", "text.yaml"]).ok();
    assert!(
        both.ends_with(
            "2 rule sets, 5 rules, 6 samples checked, every pattern proven: 0 errors, 0 warnings\n"
        ),
        "{both}"
    );
}

/// What `check` says of the file, first lines of diagnostics only.
fn told(rules: &str) -> Vec<String> {
    let ran: Ran = dir("app.yaml", rules, "").portcullis(["check", "app.yaml"]).run();
    ran.out.lines().filter(|line| line.starts_with("app.yaml:")).map(str::to_owned).collect()
}

/// Programs write an event and how it ended under keys of their own.
#[test]
fn a_line_that_any_offence_describes_is_no_login() {
    let rules = "version: 1
name: app
about: Logins
format: json
rules:
  - {id: login, where: {event: login}, address: ip, effect: trust, means: Somebody logged in.}
  - {id: refused, where: {ok: false}, address: ip, means: Somebody did not.}
samples:
  - {line: '{\"time\":1795354711,\"event\":\"login\",\"ok\":true,\"ip\":\"192.0.2.7\"}', rule: login, addr: 192.0.2.7}
  - {line: '{\"time\":1795354711,\"event\":\"login\",\"ok\":false,\"ip\":\"192.0.2.7\"}', rule: refused, addr: 192.0.2.7}
  - {line: '{\"time\":1795354711,\"event\":\"login\",\"ok\":false,\"ip\":7}', rule: none}
";
    let all = rules.replace("{ok: false}", "{event: login, ok: false}");
    for rules in [rules, &all] {
        let dir = dir("app.yaml", rules, "");
        let checked = dir.portcullis(["check", "app.yaml"]).ok();
        assert!(checked.ends_with(": 0 errors, 0 warnings\n"), "{checked}");
    }
}

#[test]
fn a_sample_that_does_not_match_says_why() {
    for (from, to, said) in [
        (
            r#""event":"login_failed","account":"root""#,
            r#""event":"login_faild","account":"root""#,
            r#"its `event` is "login_faild""#,
        ),
        (r#""ip":"192.0.2.7""#, r#""ip":"192.0.2.7:22""#, "write `address_port: client.ip`"),
        (
            r#""client":{"ip":"192.0.2.7"},"conn":7"#,
            r#""conn":7,"conn":8"#,
            "the line has the key `conn` twice",
        ),
        (r#""conn":7}"#, r#""conn":7"#, "the line is no JSON: EOF while parsing an object"),
        (r#"{"ip":"192.0.2.7"},"conn":7"#, "{}", "it has no `client.ip`"),
    ] {
        assert!(APP.contains(from), "{from}");
        let told = told(&APP.replacen(from, to, 1));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("app.yaml:13:")
                && told[0].contains("expected rule `login-failed`, but no rule matches this line: "),
            "{told:?}"
        );
        assert!(told[0].contains(said), "{told:?}");
    }
    let moved = APP.replace("account: monitor", "event: login_failed");
    let told = told(&moved);
    assert!(told.iter().any(|line| line.contains("but `monitor` matches this line first")), "{told:?}");
    assert!(
        told.iter().any(|line| line
            .contains("rule `login-failed` is never reached: `monitor` before it takes every line")),
        "{told:?}"
    );
}

#[test]
fn rules_that_share_an_id_each_need_a_sample_and_are_switched_together() {
    let without: String =
        APP.lines().filter(|line| !line.contains("4242")).map(|line| format!("{line}\n")).collect();
    let told = told(&without);
    assert!(
        told.len() == 1 && told[0].starts_with("app.yaml:10:10: warning: rule `login-failed` has no sample"),
        "{told:?}"
    );
    let dir = dir(
        "rules/app.yaml",
        APP,
        [failed("192.0.2.7"), r#"{"message":"Login failed","peer":"192.0.2.8"}"#.into()].join("\n"),
    );
    let home = dir.path().display().to_string();
    let config = |more: &str| {
        format!(
            "rules_dir: {home}/rules\nsources: {{app: {{path: {home}/app.log, rule_sets: [app]}}}}\n{more}"
        )
    };
    dir.write("c.yaml", config("override: {app: {disable: [login-failed]}}\n"));
    dir.portcullis(["match", "-c", "c.yaml", "app.log"]).run().assert(1, "");
    let sets = dir.portcullis(["rules", "--json", "-c", "c.yaml"]).json();
    let app = sets.as_array().unwrap().iter().find(|set| set["name"] == "app").unwrap();
    assert_eq!(app["rules"], json!(["monitor", "login"]));
    let table = dir.portcullis(["rules", "-c", "c.yaml"]).ok();
    assert!(table.lines().any(|line| line.starts_with("app ") && line.contains(" (json) ")), "{table}");
    dir.write("c.yaml", config(""));
    assert_eq!(dir.portcullis(["match", "-c", "c.yaml", "app.log"]).ok().lines().count(), 2);
}

#[test]
fn explain_tells_what_an_object_means_and_when_none_is_known() {
    let dir = dir("app.yaml", APP, "");
    let told = dir.portcullis(["explain", "--json", "--rules", "app.yaml", &failed("2001:db8::7")]).json();
    assert_eq!((&told[0]["rule"], &told[0]["address"]), (&json!("app/login-failed"), &json!("2001:db8::7")));
    assert_eq!(told[0]["evidence"], "handshake");
    let other = failed("nobody");
    let unknown = dir.portcullis(["explain", "--rules", "app.yaml", &other]).run();
    assert!(
        unknown.code == 1 && unknown.out.contains("It looks like JSON, and no rule of `app` matches"),
        "{unknown:?}"
    );
    let unknown = dir.portcullis(["explain", &other]).run();
    assert!(unknown.out.contains("no rule set in force has `format: json`"), "{unknown:?}");
    // An object that happens to be as long as messages that syslog cuts was not cut.
    for length in [480, 1024, 2048, 8192] {
        let long = format!(r#"{{"account":"monitor","x":"{}"}}"#, "x".repeat(length - 28));
        assert_eq!(long.len(), length);
        let told = dir.portcullis(["explain", "--rules", "app.yaml", &long]).ok();
        assert!(told.contains("app/monitor") && !told.contains("cut"), "{told}");
    }
}

#[test]
fn a_set_for_json_looks_only_at_a_source_that_names_it_or_at_its_own_logs() {
    let dir = dir("rules/app.yaml", APP, failed("192.0.2.7"));
    let home = dir.path().display().to_string();
    let check = |sources: &str| {
        dir.write(
            "c.yaml",
            format!("rules_dir: {home}/rules\nsources: {{{}}}\n", sources.replace("HERE", &home)),
        );
        let ran = dir.portcullis(["check", "-c", "c.yaml"]).run();
        (ran.code, ran.out.replace(&format!("{home}/"), ""))
    };
    let (code, told) = check("app: HERE/my-app.log");
    let remedy = "the rule set `app` would be asked about no log: with `format: json` it looks only at sources that name it; \
                  write `app: {path: my-app.log, rule_sets: [app]}` under `sources` if that is its log";
    assert!(code == 78 && told.contains(remedy), "{told}");
    assert!(dir.portcullis(["match", "-c", "c.yaml", "app.log"]).run().code == 1);
    let (code, told) = check("app: {path: HERE/app.log, rule_sets: [app]}, auth: HERE/auth.log");
    assert!(code == 0, "{told}");
    let matched = dir.portcullis(["match", "-c", "c.yaml", "app.log"]).ok();
    assert_eq!(matched, "app.log:1: app/login-failed offence 192.0.2.7 user `root`\n");
    dir.write(
        "rules/app.yaml",
        APP.replace("format: json", &format!("format: json\nlogs: [{home}/app.log]")),
    );
    let (code, told) = check("auth: HERE/auth.log");
    assert!(code == 0, "{told}");
}

/// The stamp may be missing: then lines count when they arrive, and that is said.
#[test]
fn lines_without_a_time_are_told_of() {
    let undated = APP.replace("time: {key: at, formats: '%s%3f'}\n", "").replace("\"at\":1795354711250,", "");
    let told = told(&undated);
    assert!(
        told.len() == 1
            && told[0].contains("12:12: warning: this line has no timestamp in a known format")
            && told[0].ends_with("as in `time: ts`"),
        "{told:?}"
    );
    let log =
        (0..6).map(|_| failed("192.0.2.7").replace("\"at\":1795354711250,", "") + "\n").collect::<String>();
    let dir = dir("app.yaml", &undated, log);
    let matched = dir.portcullis(["match", "--rules", "app.yaml", "app.log"]).ok();
    assert!(matched.lines().all(|line| line.contains("192.0.2.7, no readable timestamp")), "{matched}");
    let scan = dir.portcullis(["scan", "--rules", "app.yaml", "app.log"]).run();
    assert!(!scan.out.contains("No offences found"), "{scan:?}");
}

#[test]
fn rules_are_added_to_a_set_for_json_with_the_same_words() {
    let added = "version: 1\nname: app-here\nextends: app\nrules:\n  - {id: login-failed, where: {kind: refused}, address: ip, means: x}\n\
                 samples:\n  - {line: '{\"at\":1795354711250,\"kind\":\"refused\",\"ip\":\"192.0.2.7\"}', rule: login-failed, addr: 192.0.2.7}\n";
    let dir = dir("app.yaml", APP, "{\"at\":1795354711250,\"kind\":\"refused\",\"ip\":\"192.0.2.7\"}\n");
    dir.write("here.yaml", added);
    let named = ["--rules", "app.yaml", "--rules", "here.yaml"];
    let matched = dir.portcullis([&["match"][..], &named, &["app.log"]].concat()).ok();
    assert_eq!(matched, "app.log:1: app/login-failed offence 192.0.2.7\n");
    assert!(dir.portcullis(["check", "app.yaml", "here.yaml"]).ok().ends_with(": 0 errors, 0 warnings\n"));
    for (set, said) in [
        (
            "app",
            "here.yaml:5:33: error: `pattern` cannot be used here: `app`, which is extended, has `format: json`",
        ),
        (
            "sshd",
            "here.yaml:5:31: error: `where` cannot be used here: `sshd`, which is extended, has `format: syslog`",
        ),
    ] {
        let wrong = added.replace("extends: app", &format!("extends: {set}"));
        let wrong = if set == "app" {
            wrong.replace("where: {kind: refused}, address: ip", "pattern: '^x <ADDR>$'")
        } else {
            wrong
        };
        dir.write("here.yaml", wrong);
        let ran = dir.portcullis(["check", "app.yaml", "here.yaml"]).run();
        assert!(ran.code == 78 && ran.out.contains(said), "{ran:?}");
    }
}
