//! The same run in other words is the same run, and a pattern that cannot be read is none.

use super::super::prove;
use super::{errors, set};
use crate::rules::Compiled;
use crate::rules::model::{Place, RuleSet};

#[test]
fn a_run_is_refused_however_it_is_written() {
    for (spelling, pattern) in [
        (
            "small classes side by side",
            r"^failed for (?:[a-d]|[e-h]|[i-l]|[m-p]|[q-t]|[u-x]|[yz])+ from <ADDR> .*$",
        ),
        (
            "letters one by one",
            r"^failed for (?:a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z)+ from <ADDR> .*$",
        ),
        (
            "small classes that may be missing",
            r"^failed for (?:[abcd]?[efgh]?[ijkl]?[mnop]?[qrst]?[uvwx]?[yz]?)+ from <ADDR> .*$",
        ),
        (
            "the same without a repetition",
            r"^failed for [abcd]?[efgh]?[ijkl]?[mnop]?[qrst]?[uvwx]?[yz]?[abcd]?[efgh]?[ijkl]?[mnop]?[qrst]? from <ADDR> .*$",
        ),
        ("hexadecimal digits in alternatives", r"^failed for (?:\d|[abcd]|[ef])+ from <ADDR> .*$"),
        ("letters and whole numbers", r"^failed for (?:\d+|[abc])+ from <ADDR> .*$"),
        ("small classes without case", r"(?i)^failed for (?:[abcd]|[efgh])+ from <ADDR> .*$"),
        ("one small class without case", r"(?i)^failed for [abcd]+ from <ADDR> .*$"),
        (
            "groups around small classes",
            r"^failed for (?:([a-d])|(?P<more>[e-h])|(?i:[xy]))+ from <ADDR> .*$",
        ),
        ("an option in an option", r"^failed for (?:(?:[a-d]?(?:[e-h]?[x-z]?)?)?)* from <ADDR> .*$"),
        (
            "pairs of letters",
            r"^failed for (?:[ab][ab]|[ab][cd]|[ab][ef]|[cd][ab]|[cd][cd]|[cd][ef]|[ef][ab]|[ef][cd]|[ef][ef])+ from <ADDR> .*$",
        ),
    ] {
        let found = errors(&set("app", pattern));
        assert!(found.len() == 1 && found[0].contains("can be fooled"), "{spelling}: {pattern}: {found:?}");
    }
}

#[test]
fn words_and_numbers_are_believed_in_every_form() {
    for pattern in [
        r"^(?:TLSv1\.[0-3]|SSLv3) (?:error: |fatal: |warning: )*[Ff]ailed (?:ssh2|ssh1)? from <ADDR> .*$",
        r"(?i)^failed (?:password|publickey|keyboard-interactive|none) from <ADDR> .*$",
        r"^failed (?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE) after (?:\d+[smhd] ?)+ from <ADDR> .*$",
        r"^failed (?:\d+|[?]|none) times? (?:19|20)\d\d-(?:0[1-9]|1[0-2])-[0-3]\d from <ADDR> .*$",
    ] {
        assert_eq!(errors(&set("ftpd", pattern)), Vec::<String>::new(), "{pattern}");
    }
}

#[test]
fn a_group_that_is_named_like_one_of_the_proofs_is_refused() {
    for (pattern, why) in [
        (r"^Failed for (?P<ADDR.4>[0-9.]+) from <USER>$", "write <ADDR>"),
        (r"^Failed (?P<portcullis_stretch_0>a) \S+ from <ADDR> .*$", "do not begin with `portcullis_`"),
        (r"^Failed (?P<USER.0>a) \S+ from <ADDR> .*$", "cannot be named `USER.0`"),
    ] {
        let found = errors(&set("ftpd", pattern));
        assert!(found.len() == 1 && found[0].contains(why), "{pattern}: {found:?}");
    }
}

/// A rule of which the proof knows nothing would be believed, and rules behind it would be taken for others.
#[test]
fn a_pattern_that_the_proof_cannot_read_is_an_error() {
    let sound = set("ftpd", r"^login failed from <ADDR>$");
    let mut broken = RuleSet { name: "other".into(), ..set("ftpd", r"^quit (by <USER>$") };
    let compiled = Compiled::new(&sound).unwrap();
    let found = prove(&sound, &compiled, &[&broken]);
    let text = "rule `other/tried` sees the same lines, and its pattern cannot be read: unclosed group";
    assert_eq!(found.iter().map(|fault| fault.text.as_str()).collect::<Vec<_>>(), [text]);
    broken.name.clone_from(&sound.name);
    let found = prove(&broken, &compiled, &[]);
    assert_eq!((found[0].place.clone(), found[0].offset), (Place::Rule(0, "pattern"), 6), "{found:?}");
}

/// A peer may write what stands before the edge of a word.
#[test]
fn the_edge_of_a_word_is_no_claim() {
    for pattern in [
        r"^failed for .*\b from <ADDR>(?:! from [\d.]+)?$",
        r"^login failed: .*\b \[<ADDR>\](?:\. \[[\d.]+\])?$",
        r"^failed for .*\b{end} from <ADDR>(?:! from [\d.]+)?$",
    ] {
        let found = errors(&set("app", pattern));
        assert!(found[0].contains("can be fooled"), "{pattern}: {found:?}");
    }
}

/// An IPv4 address that is mapped into IPv6 is that address, however its prefix is written.
#[test]
fn the_prefix_of_mapped_addresses_is_part_of_the_address() {
    for pattern in [
        r"^from (?:::ffff:)?<ADDR>$",
        r"^from (::ffff:)?<ADDR>$",
        r"^from (?:::ffff:)?(<ADDR>)$",
        r"^from (?:::ffff:|)<ADDR>$",
        r"^from (?:|::ffff:)<ADDR>$",
        r"^from (?:::ffff:<ADDR>|<ADDR>)$",
        r"^from (?:<ADDR>|::FFFF:<ADDR>) port \d+$",
        r"^from (?i:::FFFF:)?<ADDR> .*$",
    ] {
        assert_eq!(errors(&set("app", pattern)), Vec::<String>::new(), "{pattern}");
    }
}

/// A backslash before a placeholder may itself be meant as one, as in names of Windows domains.
#[test]
fn a_placeholder_behind_signs_that_are_escaped_is_one() {
    let mut domain = set("smbd", r"^auth: user \(?<DOMAIN>\\<USER>\)? at <ADDR> failed$");
    domain.fields = vec![("DOMAIN".into(), "[A-Z]+".into()), ("USER".into(), r"[^ ]*".into())];
    assert_eq!(errors(&domain), Vec::<String>::new());
    domain.fields.clear();
    assert!(errors(&domain)[0].contains("DOMAIN"), "{:?}", errors(&domain));
}

/// Where a set takes too much work, what is soon known of it is said all the same.
#[test]
fn of_a_set_that_is_too_much_work_the_rules_that_begin_with_any_text_are_named() {
    let mut heavy = set(
        "app",
        r"^(?:7|(?:<WORD>|\[|\])|a)(?:<TEXT>|<WORD>|.*)(?:user |\d{1,5})<ADDR>(?:(?:\[|\]|<TEXT>)| port )(?:(?:<WORD>7)?|[a-z]+|user )(?:<TEXT>)?(?:by)?$",
    );
    heavy.fields = vec![("TEXT".into(), ".*".into()), ("WORD".into(), "[^ ]+".into())];
    for pattern in [
        r"^(?:\](?:by|: |[a-z]+))?<ADDR>(?: port )?(?:(?:.*\])?)?$",
        r"^(?:user |(?:<TEXT>by)?)<ADDR>(?:(?:\S+by)?|<WORD>|(?:byx\.y)?)$",
    ] {
        heavy.rules.push(set("app", pattern).rules.remove(0));
    }
    let found = errors(&heavy);
    assert!(
        found.len() == 3 && found.iter().all(|text| text.contains("the pattern begins with")),
        "{found:?}"
    );
}
