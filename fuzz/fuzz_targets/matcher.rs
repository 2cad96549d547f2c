//! Any line is asked of the shipped rules; an address that is found stands in the line, and never in a message of
//! sshd that was cut behind text of the peer's choosing.
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

fuzz_target!(|bytes: &[u8]| {
    let binding = Binding::new(shipped().sets(), None, Layouts::Syslog);
    for line in bytes.split(|&byte| byte == b'\n') {
        // Half of the lines get a header, so that the fuzzer need not find one.
        let headed = [b"Nov 22 14:38:31 gw sshd[4711]: ", line].concat();
        for line in [line, &headed] {
            let record = record::parse(line);
            shipped().each_match(&binding, line, &record, |matched| {
                let Some(found) = matched.address else { return };
                let token = |byte: &u8| byte.is_ascii_alphanumeric() || b".:%_-".contains(byte);
                let mut tokens = record.message.split(|byte| !token(byte));
                let in_line = tokens.any(|token| {
                    let ends = (0..token.len()).filter(|end| token[*end] == b':').chain([token.len()]);
                    ends.into_iter().any(|end| address::parse(&token[..end]) == Some(found))
                });
                assert!(in_line, "{found} is not in the line");
            });
        }
    }
});
