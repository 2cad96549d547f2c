//! Messages that a program or a logger may have cut off at the end.

use super::super::super::compile::Compiled;
use super::super::super::model::{Format, RuleSet};
use super::{errors, set};

/// A client sends a name that pushes its own address out of the 500 bytes that sshd writes (`%.500s` in `do_log` of
/// OpenSSH's log.c), and ends what is left with a forged one.
#[test]
fn a_message_that_was_cut_names_nobody() {
    let pattern = r"^Connection closed by invalid user <USER> <ADDR> port \d{1,5} \[preauth\]$";
    let head = "Connection closed by invalid user ";
    let lure = " 8.8.8.8 port 22 [preauth]";
    let pad = "a".repeat(500 - head.len() - lure.len());
    let cut = format!("{head}{pad}{lure}");
    assert_eq!(cut.len(), 500);
    let careful = set("sshd", pattern);
    let found = Compiled::new(&careful).unwrap().find(cut.as_bytes(), false);
    assert_eq!(found.map(|found| found.address), Some(None), "it matches, and names nobody");
    let careless = RuleSet { message_limit: Some(8192), ..careful };
    let found = Compiled::new(&careless).unwrap().find(cut.as_bytes(), false);
    assert!(found.is_some_and(|found| found.address.is_some()), "without the limit it is fooled");
    assert!(errors(&careless)[0].contains("sshd cuts its messages at 500 bytes"), "and `check` refuses that");
}

/// A raw line may be as long as its peer likes; only a cut that somebody stated is a reason to doubt it.
#[test]
fn raw_lines_are_not_cut_by_syslogs_limits() {
    let pattern = r"^error: user <USER> refused, client <ADDR>, request .*$";
    let mut raw = RuleSet { format: Format::Raw, programs: Vec::new(), ..set("x", pattern) };
    raw.fields = vec![("USER".into(), "[^,]*".into())];
    let head = "error: user root refused, client 192.0.2.7, request ";
    let named = |set: &RuleSet, length: usize| {
        let line = format!("{head}{}", "a".repeat(length - head.len()));
        let compiled = Compiled::new(set).unwrap();
        let record = crate::record::parse(line.as_bytes());
        let found = super::super::super::matcher::find_in(set, &compiled, line.as_bytes(), &record);
        found.and_then(|found| found.address).is_some()
    };
    for length in [220, 300, 400, 460, 499, 500, 1000, 1500, 8000] {
        assert!(named(&raw, length), "{length}");
    }
    let behind = RuleSet { message_limit: Some(400), ..raw.clone() };
    let before = set("x", r"^error: user <USER> refused, client <ADDR>$").rules;
    let behind = RuleSet { rules: before, ..behind };
    let line = format!("error: user {} refused, client 192.0.2.7", "a".repeat(400));
    let found = Compiled::new(&behind).unwrap().find(line.as_bytes(), false);
    assert_eq!(found.map(|found| found.address), Some(None), "a stated limit holds");
}
