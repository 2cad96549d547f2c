//! Words of fail2ban's, with the sentence that names ours: most operators come from there.
//!
//! Its words are those of jail.conf(5) and of the filters that its 1.1 ships.

/// A key of fail2ban's.
pub(crate) struct Word {
    name: &'static str,
    /// The keys that take its place: where it is given, they are not missing.
    pub(crate) ours: &'static [&'static str],
    /// Our way to write it; follows the word and a colon.
    here: &'static str,
}

const fn word(name: &'static str, ours: &'static [&'static str], here: &'static str) -> Word {
    Word { name, ours, here }
}

const BAN: &str = "write `ban: {for: 1h}` in a rule file, or under `defaults` of the configuration";
const GROWTH: &str =
    "write `ban: {for: 1h, escalate: {factor: 2, max: 4w, forget: 30d}}`; each further ban is longer";
const BLOCKS: &str = "write `firewall: {backend: pf}` in the configuration; for programs of your own there is `backend: command`";
const SETS: &str = "a rule set has rules and numbers in one file; `rule_sets: [sshd]` in the configuration says which are in \
                    force, and `sources` which logs are read";
const WINDOW: &str =
    "write `threshold: {offences: 5, within: 10m}` in a rule file, or under `defaults` of the configuration";
const ONE_LINE: &str = "a rule looks at one line; lines with the same pid are a session, in which `address: session` finds the peer";
const LOG: &str = "write `log: {to: syslog, level: info}` in the configuration";
const STATE: &str = "the database is `state: /var/db/portcullis/state.db` in the configuration";

const WORDS: [Word; 40] = [
    word(
        "failregex",
        &["pattern", "rules"],
        "each of its lines is a rule: `- {id: NAME, pattern: '^…<ADDR>…$', means: …}`",
    ),
    word(
        "ignoreregex",
        &[],
        "write `unless: ['…']` in the rule that is not to match such a line, or a rule with `effect: ignore` before the others",
    ),
    word(
        "prefregex",
        &[],
        "the header of a line is read before any rule: `program: NAME` says whose lines are looked at",
    ),
    word(
        "datepattern",
        &[],
        "the usual timestamps are known; a line whose timestamp cannot be read counts when it arrives",
    ),
    word("maxlines", &[], ONE_LINE),
    word("journalmatch", &[], "`program: NAME` says whose lines are looked at"),
    word("maxretry", &["threshold", "offences"], WINDOW),
    word("findtime", &["threshold", "within"], WINDOW),
    word("maxmatches", &[], "the last five lines of an offender are kept for `portcullis why`"),
    word("bantime", &["ban", "for"], BAN),
    word("bantime.increment", &[], GROWTH),
    word("bantime.factor", &[], GROWTH),
    word("bantime.formula", &[], GROWTH),
    word("bantime.multipliers", &[], GROWTH),
    word("bantime.maxtime", &[], GROWTH),
    word("bantime.rndtime", &[], GROWTH),
    word("bantime.overalljails", &[], GROWTH),
    word(
        "ignoreip",
        &[],
        "write `allow: [192.0.2.0/24, 2001:db8::/32]` in the configuration; loopback is never banned",
    ),
    word("ignoreself", &[], "write `allow_self: true` in the configuration, which is the default"),
    word(
        "ignorecommand",
        &[],
        "write the networks under `allow` in the configuration, or `allow: [{file: PATH}]`",
    ),
    word("ignorecache", &[], "nothing is asked of other programs, so there is nothing to cache"),
    word("logpath", &["path"], "write `sources: {auth: /var/log/auth.log}` in the configuration"),
    word("logencoding", &[], "lines are bytes in every encoding"),
    word("filter", &["rules"], SETS),
    word("jail", &[], SETS),
    word("jails", &[], SETS),
    word(
        "backend",
        &[],
        "logs are followed by the system's events (`follow: poll` under a source switches them off); the \
                          firewall's tool is `firewall: {backend: pf}`",
    ),
    word("usedns", &[], "names are never resolved, and there is nothing to choose"),
    word("action", &[], BLOCKS),
    word("banaction", &[], BLOCKS),
    word("banaction_allports", &[], BLOCKS),
    word("actionban", &["add"], BLOCKS),
    word("actionunban", &["remove"], BLOCKS),
    word("blocktype", &[], "the firewall's own rules say what becomes of the packets of those in the table"),
    word(
        "chain",
        &[],
        "the firewall's own rules use the table, whose name is `firewall: {table: portcullis}`",
    ),
    word("loglevel", &[], LOG),
    word("logtarget", &[], LOG),
    word("dbfile", &[], STATE),
    word("dbpurgeage", &[], "write `history: {keep: 90d}` in the configuration"),
    word("pidfile", &[], "daemon(8) or systemd keep the process id"),
];

/// Placeholders for the address in fail2ban's patterns that are none of ours.
const ADDRESSES: [&str; 6] = ["IP4", "IP6", "DNS", "SUBNET", "CIDR", "IP"];

/// The word, if it is a key of fail2ban's.
pub(crate) fn key(name: &str) -> Option<&'static Word> {
    let name = name.to_ascii_lowercase();
    WORDS.iter().find(|word| word.name == name)
}

impl Word {
    /// The sentence that names ours.
    pub(crate) fn sentence(&self) -> String {
        format!("`{}` is a word of fail2ban's: {}", self.name, self.here)
    }
}

/// The sentence about a pattern that holds a placeholder of fail2ban's; `is_field` says which names the rule file
/// defines itself.
pub(crate) fn in_pattern(pattern: &str, is_field: impl Fn(&str) -> bool) -> Option<String> {
    let tags = pattern.split('<').skip(1).filter_map(|behind| behind.split_once('>'));
    let tag = tags.filter(|(name, _)| !is_field(name)).find_map(|(name, _)| tag(name));
    tag.or_else(|| pattern.split("%(").skip(1).find_map(variable))
}

/// `<F-USER>` and its end `</F-USER>`, `<IP4>`.
fn tag(name: &str) -> Option<String> {
    let literal = "for the text itself write `[<]` in place of `<`";
    if ADDRESSES.contains(&name) {
        return Some(format!(
            "`<{name}>` is a word of fail2ban's: write `<ADDR>`, which takes every form of an address; {literal}"
        ));
    }
    let field = name.strip_prefix('/').unwrap_or(name).strip_prefix("F-")?;
    let known = field.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    (known && !field.is_empty()).then(|| {
        let ours = if matches!(field, "USER" | "ALT_USER" | "ALT_USER1") { "USER" } else { "NAME" };
        format!(
            "`<{name}>` is a word of fail2ban's: write `<{ours}>` for a text that the peer chooses, and under `fields` what the \
             program lets it hold; {literal}"
        )
    })
}

/// `%(__prefix_line)s`, without its beginning.
fn variable(text: &str) -> Option<String> {
    let (name, _) = text.split_once(")s")?;
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b'.' | b' ');
    (!name.is_empty() && name.bytes().all(word)).then(|| {
        format!(
            "`%({name})s` is a variable of fail2ban's: the pattern begins behind the header, which is read before any rule, and \
             what a variable stands for is written out"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pattern: &str) -> String {
        in_pattern(pattern, |name| name == "DNS").unwrap_or_default()
    }

    #[test]
    fn each_word_is_listed_once_and_its_sentence_names_no_other_word_of_theirs() {
        for (nth, word) in WORDS.iter().enumerate() {
            assert!(WORDS[nth + 1..].iter().all(|other| other.name != word.name), "{}", word.name);
            assert!(!word.here.ends_with('.') && word.here.len() > 20, "{}", word.name);
            assert!(
                WORDS.iter().all(|other| !word.here.contains(&format!("`{}`", other.name))),
                "{}",
                word.name
            );
        }
        assert!(key("Failregex").is_some() && key("pattern").is_none());
    }

    #[test]
    fn placeholders_of_theirs_are_known_and_ours_are_left_alone() {
        for (pattern, part) in [
            ("^<F-USER>\\S+</F-USER> from <HOST>$", "write `<USER>`"),
            ("^x</F-ALT_USER>", "write `<USER>`"),
            ("^<F-ID>x</F-ID>", "`<F-ID>` is a word of fail2ban's: write `<NAME>`"),
            ("^from <IP4>$", "write `<ADDR>`"),
            ("^from <SUBNET>$", "write `<ADDR>`"),
            ("^%(__prefix_line)sFailed", "`%(__prefix_line)s` is a variable"),
            ("^%(known/failregex)s", "a variable"),
        ] {
            assert!(said(pattern).contains(part), "{pattern}: {}", said(pattern));
        }
        for pattern in [
            "^<ADDR>$",
            "^<HOST> <USER>$",
            "^(?P<USER>x)$",
            "^<DNS>$",
            "^<F->$",
            "^<",
            "^100%(?:x)s",
            "%(",
            "[<]F-USER>",
        ] {
            assert_eq!(said(pattern), "", "{pattern}");
        }
    }
}
