//! Any line is asked of the shipped rules; an address that is found stands in the line, and never in a message of
//! sshd that was cut behind text of the peer's choosing. It is asked of rules for JSON too, which find what a reader of
//! whole trees finds.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use portcullis::address;
use portcullis::config::{RuleFile, SHIPPED};
use portcullis::record::{self, Layouts};
use portcullis::rules::{Binding, Compiled, Matcher};

fn shipped() -> &'static Matcher {
    static MATCHER: OnceLock<Matcher> = OnceLock::new();
    MATCHER.get_or_init(|| {
        let sets = SHIPPED.iter().map(|shipped| {
            let set =
                RuleFile::read(Path::new(shipped.path), shipped.text.as_bytes()).0.expect("shipped").set;
            let compiled = Compiled::new(&set).expect("shipped");
            (set, compiled)
        });
        Matcher::new(sets.collect())
    })
}

const JSON: &str = "{version: 1, name: app, about: x, format: json, time: ts, rules: [
  {id: a, where: {event: [failed, 401, null], ok: false}, address: client.ip, user: user.name, session: conn, means: x},
  {id: a, where: {event: failed}, address_port: peer, means: x},
]}";

fn json() -> &'static Matcher {
    static MATCHER: OnceLock<Matcher> = OnceLock::new();
    MATCHER.get_or_init(|| {
        let set = RuleFile::read(Path::new("app.yaml"), JSON.as_bytes()).0.expect("a rule file").set;
        let compiled = Compiled::new(&set).expect("rules");
        Matcher::new(vec![(set, compiled)])
    })
}

/// A tree knows no key twice, so that it may hold more than is found, but nothing else.
fn ask_for_json(line: &[u8]) {
    let record = record::parse(line);
    let binding = Binding::to_all(json().sets(), Layouts::Syslog);
    for matched in json().matches(&binding, line, &record) {
        json().user(&matched, line, &record);
        json().connection(&matched, line, &record);
        // The reader of trees refuses some lines for what nobody asks for.
        let Ok(tree) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        let at = |pointer| tree.pointer(pointer).and_then(serde_json::Value::as_str).map(str::as_bytes);
        let expected = match matched.rule_index {
            0 => at("/client/ip").and_then(address::parse),
            _ => at("/peer").and_then(address::parse_endpoint),
        };
        assert!(matched.address.is_some() && matched.address == expected, "{:?}", matched.address);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let binding = Binding::new(shipped().sets(), None, Layouts::Syslog);
    for line in bytes.split(|&byte| byte == b'\n') {
        ask_for_json(line);
        // Half of the lines get a header, so that the fuzzer need not find one.
        let headed = [b"Nov 22 14:38:31 gw sshd[4711]: ", line].concat();
        for line in [line, &headed] {
            let record = record::parse(line);
            for matched in shipped().matches(&binding, line, &record) {
                let Some(found) = matched.address else { continue };
                let token = |byte: &u8| byte.is_ascii_alphanumeric() || b".:%_-".contains(byte);
                let mut tokens = record.message.split(|byte| !token(byte));
                let in_line = tokens.any(|token| {
                    let ends = (0..token.len()).filter(|end| token[*end] == b':').chain([token.len()]);
                    ends.into_iter().any(|end| address::parse(&token[..end]) == Some(found))
                });
                assert!(in_line, "{found} is not in the line");
            }
        }
    }
});
