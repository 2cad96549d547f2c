use super::*;
use crate::record::TimeSpec;
use crate::rules::proof::tests as tried;
use crate::rules::{Compiled, Format};

fn wanted(path: &str, values: &[JsonValue<'static>]) -> (KeyPath, Vec<JsonValue<'static>>) {
    (KeyPath::parse(path).unwrap(), values.to_vec())
}

fn text(text: &'static str) -> JsonValue<'static> {
    JsonValue::Text(text.into())
}

fn rule(id: &str, wanted: Vec<(KeyPath, Vec<JsonValue<'static>>)>, address: Option<&str>) -> Rule {
    let address = address.and_then(KeyPath::parse);
    Rule {
        id: id.into(),
        json: Some(JsonRule {
            wanted,
            address,
            has_port: false,
            user: KeyPath::parse("user"),
            session: KeyPath::parse("conn.id"),
        }),
        ..tried::set("app", "").rules.remove(0)
    }
}

fn set(rules: Vec<Rule>) -> RuleSet {
    RuleSet { name: "app".into(), format: Format::Json, rules, ..RuleSet::default() }
}

fn failed() -> Rule {
    rule("failed", vec![wanted("event", &[text("failed")])], Some("client.ip"))
}

/// The index of the rule, and the address.
fn found(set: &RuleSet, line: &str) -> Option<(usize, String)> {
    let found = Compiled::new(set).unwrap().find(line.as_bytes(), true)?;
    Some((found.rule, found.address.map_or_else(|| "nobody".into(), |address| address.to_string())))
}

fn one(line: &str) -> Option<String> {
    found(&set(vec![failed()]), line).map(|(_, address)| address)
}

#[test]
fn an_address_is_a_string_that_is_one_and_else_the_rule_does_not_match() {
    let line = |address: &str| format!(r#"{{"event":"failed","client":{{"ip":{address}}}}}"#);
    for (written, address) in [
        (r#""192.0.2.7""#, Some("192.0.2.7")),
        (r#""2001:db8::7""#, Some("2001:db8::7")),
        (r#""2001:DB8:0::7""#, Some("2001:db8::7")),
        (r#""::ffff:192.0.2.7""#, Some("192.0.2.7")),
        (r#""fe80::1%em0""#, Some("fe80::1")),
        (r#""192.0.2.7:22""#, None),
        (r#""[2001:db8::7]:22""#, None),
        (r#"" 192.0.2.7""#, None),
        (r#""192.0.2.7, 198.51.100.9""#, None),
        (r#""192.0.2.007""#, None),
        (r#""mail.example.org""#, None),
        (r#""192.0.2.7\u0000""#, None),
        (r#""""#, None),
        ("3221225991", None),
        ("null", None),
        ("true", None),
        (r#"["192.0.2.7"]"#, None),
        (r#"{"ip":"192.0.2.7"}"#, None),
    ] {
        assert_eq!(one(&line(written)).as_deref(), address, "{written}");
    }
    let mut with_port = failed();
    with_port.json.as_mut().unwrap().has_port = true;
    let with_port = set(vec![with_port]);
    for (written, address) in [
        (r#""192.0.2.7:22""#, Some("192.0.2.7")),
        (r#""192.0.2.7""#, Some("192.0.2.7")),
        (r#""[2001:db8::7]:22""#, Some("2001:db8::7")),
        (r#""2001:db8::7:22""#, Some("2001:db8::7:22")),
        (r#""192.0.2.7:ssh""#, None),
        (r#""192.0.2.7:22:22""#, None),
    ] {
        let found = found(&with_port, &line(written)).map(|(_, address)| address);
        assert_eq!(found.as_deref(), address, "{written}");
    }
}

#[test]
fn all_keys_must_have_one_of_their_values() {
    let several = rule(
        "several",
        vec![
            wanted("event", &[text("failed"), text("denied")]),
            wanted("status", &[JsonValue::of_integer(401), JsonValue::of_integer(403)]),
            wanted("user.known", &[JsonValue::Bool(false)]),
            wanted("error", &[JsonValue::Null]),
        ],
        Some("ip"),
    );
    let set = set(vec![several]);
    let line = |event: &str, status: &str, known: &str, error: &str| {
        format!(r#"{{"event":{event},"status":{status},"user":{{"known":{known}}}{error},"ip":"192.0.2.7"}}"#)
    };
    let null = r#","error":null"#;
    assert!(found(&set, &line(r#""denied""#, "4.03e2", "false", null)).is_some());
    for (event, status, known, error) in [
        (r#""Failed""#, "401", "false", null),
        (r#""failed""#, "402", "false", null),
        (r#""failed""#, r#""401""#, "false", null),
        (r#""failed""#, "401", "true", null),
        (r#""failed""#, "401", r#""false""#, null),
        (r#"["failed"]"#, "401", "false", null),
        (r#""failed""#, "401", "false", ""),
        (r#""failed""#, "401", "false", r#","error":"""#),
    ] {
        assert_eq!(found(&set, &line(event, status, known, error)), None, "{event} {status} {known} {error}");
    }
}

#[test]
fn the_first_rule_that_matches_counts() {
    let event = |id: &str, address| rule(id, vec![wanted("event", &[text("failed")])], address);
    let monitor = rule("monitor", vec![wanted("user", &[text("monitor")])], None);
    let mut off = event("off", Some("ip"));
    off.enabled = false;
    let set = set(vec![off, monitor, event("failed", Some("client")), event("failed", Some("peer"))]);
    let at = |rule, address: &str| Some((rule, address.to_owned()));
    let found = |line| found(&set, line);
    assert_eq!(found(r#"{"event":"failed","user":"monitor","peer":"192.0.2.7"}"#), at(1, "nobody"));
    assert_eq!(found(r#"{"event":"failed","client":"192.0.2.8","peer":"192.0.2.7"}"#), at(2, "192.0.2.8"));
    assert_eq!(found(r#"{"event":"failed","client":"-","peer":"192.0.2.7"}"#), at(3, "192.0.2.7"));
    assert_eq!(found(r#"{"event":"failed","ip":"192.0.2.7"}"#), None);
    let twice = r#"{"event":"failed","client":"192.0.2.8","client":"192.0.2.9","peer":"192.0.2.7"}"#;
    assert_eq!(found(twice), None, "in doubt for one rule is in doubt for those behind it");
}

#[test]
fn the_keys_of_user_session_and_time_may_not_be_there_twice_either() {
    let place = TimePlace::Key(vec!["ts".into()]);
    let dated = RuleSet { time: Some(TimeSpec { formats: Vec::new(), place }), ..set(vec![failed()]) };
    for keys in ["", r#""user":1,"#, r#""conn":{"id":1},"#, r#""ts":1,"#] {
        let line = |keys: &str| format!(r#"{{{keys}"event":"failed","client":{{"ip":"192.0.2.7"}}}}"#);
        assert!(found(&dated, &line(keys)).is_some(), "{keys}");
        let twice = found(&dated, &line(&keys.repeat(2)));
        assert_eq!(twice.is_some(), keys.is_empty(), "{keys}");
    }
}

#[test]
fn users_and_sessions_are_texts_or_numbers() {
    let set = set(vec![failed()]);
    let rules = JsonRules::new(&set, &[(0, &set.rules[0])]);
    let told =
        |found: Option<Cow<'_, [u8]>>| found.map(|found| String::from_utf8(found.into_owned()).unwrap());
    for (user, id, expected) in [
        (r#""root""#, r#""a1""#, (Some("root"), Some("a1"))),
        (r#""r\u006fot \"x\"""#, "1001", (Some("root \"x\""), Some("1001"))),
        (r#""""#, r#""""#, (Some(""), None)),
        ("null", "null", (None, None)),
        ("{}", "[1]", (None, None)),
    ] {
        let line = format!(r#"{{"user":{user},"conn":{{"id":{id}}}}}"#);
        let user = told(rules.user(0, line.as_bytes()));
        let session = told(rules.session(0, line.as_bytes()));
        assert_eq!((user.as_deref(), session.as_deref()), expected, "{line}");
    }
    let line = |id: &str| format!(r#"{{"conn":{{"id":"{id}"}}}}"#);
    assert!(rules.session(0, line(&"x".repeat(session_id::MAX_LENGTH)).as_bytes()).is_some());
    assert_eq!(rules.session(0, line(&"x".repeat(session_id::MAX_LENGTH + 1)).as_bytes()), None);
}

#[test]
fn whoever_wrote_a_rule_is_told_why_it_does_not_match() {
    let set = set(vec![failed()]);
    for (line, why) in [
        ("x", "the line is not a JSON object"),
        (r#"{"event":}"#, "the line is no JSON: expected value at line 1 column 10"),
        (r#"{"event":"failed","event":"failed"}"#, "the line has the key `event` twice"),
        ("{}", "it has no `event`"),
        (r#"{"event":"login"}"#, r#"its `event` is "login""#),
        (r#"{"event":401}"#, "its `event` is 401"),
        (r#"{"event":"failed","client":{}}"#, "it has no `client.ip`"),
        (
            r#"{"event":"failed","client":{"ip":[]}}"#,
            "its `client.ip` is not an address but an object or a list",
        ),
        (
            r#"{"event":"failed","client":{"ip":"192.0.2.7:22"}}"#,
            "its `client.ip` is not an address but \"192.0.2.7:22\"; where a port may follow it, write `address_port: \
             client.ip`",
        ),
    ] {
        assert_eq!(why_not(&set, 0, line.as_bytes()).as_deref(), Some(why), "{line}");
    }
    assert_eq!(why_not(&set, 0, br#"{"event":"failed","client":{"ip":"192.0.2.7"}}"#), None);
}

#[test]
fn a_rule_behind_one_that_takes_all_its_lines_is_told_of() {
    let narrow = || wanted("event", &[text("failed")]);
    let wide = || wanted("event", &[text("failed"), text("denied")]);
    let status = || wanted("status", &[JsonValue::of_integer(401)]);
    let told = |rules: Vec<Rule>| unreachable(&set(rules)).len();
    assert_eq!(
        told(vec![rule("a", vec![wide()], Some("ip")), rule("b", vec![narrow(), status()], Some("ip"))]),
        1
    );
    assert_eq!(told(vec![rule("a", vec![wide()], None), rule("b", vec![narrow()], Some("ip"))]), 1);
    assert_eq!(told(vec![rule("a", vec![narrow()], Some("ip")), rule("b", vec![wide()], Some("ip"))]), 0);
    assert_eq!(told(vec![rule("a", vec![narrow()], Some("ip")), rule("b", vec![narrow()], Some("peer"))]), 0);
    assert_eq!(told(vec![rule("a", vec![narrow(), status()], None), rule("b", vec![narrow()], None)]), 0);
    let off = Rule { enabled: false, ..rule("a", vec![wide()], None) };
    assert_eq!(told(vec![off, rule("b", vec![narrow()], Some("ip"))]), 0);
}
