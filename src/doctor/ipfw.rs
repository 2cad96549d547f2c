//! ipfw: what `ipfw table NAME info` and `ipfw list` say about whether the table blocks anybody.

use super::finding::Finding;
use crate::firewall::ipfw::{how_to_block, unfit};

const ABOUT: &str = "firewall";

/// Judges the numbers of `sysctl -n net.inet.ip.fw.enable net.inet6.ip6.fw.enable`, one a line.
pub(super) fn enabled(sysctls: &str) -> Finding {
    let mut values = sysctls.lines().map(str::trim);
    let advice = "`sysrc firewall_enable=YES` and `service ipfw start`; the default rule denies, so have a console at hand";
    match (values.next(), values.next()) {
        (Some("1"), Some("1") | None) => Finding::ok(ABOUT, "ipfw is enabled"),
        (Some("1"), Some(_)) => {
            Finding::problem(ABOUT, "ipfw is off for IPv6, so the table blocks IPv4 only", advice)
        }
        _ => Finding::problem(ABOUT, "ipfw is not enabled, so the table blocks nobody", advice),
    }
}

/// Judges the answer to `table NAME info`; `None` if ipfw failed, as it does for a missing table.
pub(super) fn exists(info: Option<&str>, table: &str) -> Finding {
    match info {
        None => Finding::problem(
            ABOUT,
            format!("ipfw has no table {table}, or does not answer"),
            format!("start the daemon, which makes it, or `ipfw table {table} create type addr`"),
        ),
        Some(info) => match unfit(info, table) {
            Some(remark) => Finding::warned(ABOUT, remark),
            None => Finding::ok(ABOUT, format!("ipfw has the table {table}")),
        },
    }
}

/// A rule of `ipfw list`: `00050 deny ip from table(bl) to me`.
#[derive(Clone, Copy, Debug)]
struct IpfwRule<'a> {
    text: &'a str,
}

impl<'a> IpfwRule<'a> {
    fn words(self) -> impl Iterator<Item = &'a str> {
        // Some words of a rule stand before its action: `00050 set 3 prob 0.5 deny …` is rare and not looked through.
        self.text.split_whitespace().skip(1)
    }

    fn action(self) -> &'a str {
        self.words().next().unwrap_or_default()
    }

    fn blocks(self, table: &str) -> bool {
        let action = matches!(self.action(), "deny" | "drop" | "reset" | "reset6" | "unreach" | "unreach6");
        let from = self.words().skip_while(|word| *word != "from").nth(1).unwrap_or_default();
        let [exact, valued] = [format!("table({table})"), format!("table({table},")];
        action && !self.words().any(|word| word == "out") && (from == exact || from.starts_with(&valued))
    }

    fn behind(self, key: &str) -> impl Iterator<Item = &'a str> {
        self.words().skip_while(move |word| *word != key).skip(1)
    }

    /// Whether it is about some packets only: `deny tcp from table(x) to me 22`.
    fn is_narrow(self) -> bool {
        let protocol = self.words().take_while(|word| *word != "from").last().unwrap_or_default();
        let mut tail = self.behind("from").skip(1).take_while(|word| *word != "//");
        let whole = tail.next() == Some("to") && matches!(tail.next(), Some("me" | "any"));
        !matches!(protocol, "ip" | "all") || !whole || tail.any(|word| word != "in")
    }

    /// Whether it is about certain sources only, which its writer will have chosen.
    fn is_for_some(self) -> bool {
        self.behind("from").next().is_some_and(|from| !matches!(from, "any" | "not" | "{"))
    }

    /// Whether it may let a stranger in; what is already let in by a state counts, too.
    fn passes(self) -> bool {
        let loopback = self.words().skip_while(|word| !matches!(*word, "via" | "recv" | "xmit")).nth(1);
        let inside = loopback.is_some_and(|interface| interface.starts_with("lo"));
        let lets = matches!(self.action(), "allow" | "accept" | "pass" | "permit" | "check-state");
        lets && !inside && !self.words().any(|word| word == "out")
    }
}

/// Whether a rule denies the table before any rule lets strangers in; ipfw takes the first that matches.
pub(super) fn order(list: &str, table: &str) -> Finding {
    let advice = how_to_block(table);
    let rules: Vec<IpfwRule<'_>> = list.lines().map(|line| IpfwRule { text: line.trim() }).collect();
    let whole = |rule: &IpfwRule<'_>| rule.blocks(table) && !rule.is_narrow();
    let any = |rule: &IpfwRule<'_>| rule.blocks(table);
    let Some(at) = rules.iter().position(whole).or_else(|| rules.iter().position(any)) else {
        let text = format!("no ipfw rule denies the table {table}: banned addresses go on as before");
        return Finding::problem(ABOUT, text, advice);
    };
    let passing: Vec<IpfwRule<'_>> = rules[..at].iter().filter(|rule| rule.passes()).copied().collect();
    let blocking = rules[at].text;
    if let Some(general) = passing.iter().find(|rule| !rule.is_for_some()) {
        let text = format!("ipfw's rule `{}` stands before `{blocking}`", general.text);
        return Finding::problem(ABOUT, text, advice);
    }
    if rules[at].is_narrow() {
        let text = format!("ipfw denies only some of what comes from the table {table}: `{blocking}`");
        return Finding::note(ABOUT, text, format!("if you want all of it denied, {advice}"));
    }
    match passing.first() {
        Some(some) => Finding::note(
            ABOUT,
            format!(
                "ipfw's rule `{}` stands before `{blocking}`: bans do not stop addresses that rule names",
                some.text
            ),
            "leave it if you trust those addresses; better name them under `allow` as well",
        ),
        None => Finding::ok(
            ABOUT,
            format!("ipfw denies the table {table} before it allows anything: `{blocking}`"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Grade;
    use super::*;

    const INFO: &str = "--- table(bl), set(0) ---\n kindex: 1, type: addr\n references: 1, valtype: legacy\n";

    #[test]
    fn the_observed_table_and_rule_are_fine() {
        assert_eq!(enabled("1\n1\n").grade, Grade::Ok);
        assert_eq!(exists(Some(INFO), "bl").grade, Grade::Ok);
        let list = "00050 deny ip from table(bl) to me\n00100 allow ip from any to any via lo0\n65535 allow ip from any to any\n";
        assert_eq!(order(list, "bl").grade, Grade::Ok);
    }

    #[test]
    fn a_missing_table_and_one_of_another_type_are_problems() {
        assert_eq!(exists(None, "bl").grade, Grade::Problem);
        assert!(exists(Some(" kindex: 1, type: iface\n"), "bl").text.contains("not of type addr"));
    }

    #[test]
    fn a_firewall_that_is_off_for_one_family_is_a_problem() {
        for (values, grade) in
            [("0\n0\n", Grade::Problem), ("1\n0\n", Grade::Problem), ("", Grade::Problem), ("1\n", Grade::Ok)]
        {
            assert_eq!(enabled(values).grade, grade, "{values:?}");
        }
    }

    #[test]
    fn the_deny_rule_must_stand_before_states_and_allow_rules() {
        let deny = "00500 deny ip from table(bl) to me";
        for before in [
            "00100 check-state :default",
            "00200 allow tcp from any to any established",
            "00300 allow tcp from any to me 22",
        ] {
            let finding = order(&format!("{before}\n{deny}\n"), "bl");
            assert_eq!(finding.grade, Grade::Problem, "{before}");
            assert!(finding.text.contains(before), "{}", finding.text);
        }
        for before in [
            "00100 allow ip from any to any via lo0",
            "00200 deny ip from any to 127.0.0.0/8",
            "00300 allow ip from me to any out",
        ] {
            assert_eq!(order(&format!("{before}\n{deny}\n"), "bl").grade, Grade::Ok, "{before}");
        }
    }

    #[test]
    fn only_the_right_table_at_the_right_side_counts() {
        for rule in [
            "00050 deny ip from table(bl2) to me",
            "00050 deny ip from me to table(bl)",
            "00050 count ip from table(bl) to me",
            "65535 deny ip from any to any",
        ] {
            assert_eq!(order(rule, "bl").grade, Grade::Problem, "{rule}");
        }
        assert_eq!(order("00050 reset ip from table(bl,1) to any", "bl").grade, Grade::Ok);
        assert_eq!(
            order("00050 deny log logamount 5 ip from table(bl) to me in // bans", "bl").grade,
            Grade::Ok
        );
    }

    #[test]
    fn a_rule_that_denies_some_packets_only_and_an_own_door_are_remarked_on() {
        for rule in [
            "00050 deny tcp from table(bl) to me 22",
            "00050 deny tcp from table(bl) to me",
            "00050 deny ip from table(bl) to 192.0.2.1",
            "00050 deny ip from table(bl) to me recv em0",
            "00050 deny ip from table(bl) 1024-65535 to me",
        ] {
            let finding = order(rule, "bl");
            assert!(
                finding.grade == Grade::Note && finding.text.contains("only some"),
                "{rule}: {finding:?}"
            );
            assert_eq!(
                order(&format!("{rule}\n00060 deny ip from table(bl) to me\n"), "bl").grade,
                Grade::Ok
            );
        }
        let door = "00040 allow tcp from 192.0.2.5 to me 22\n00050 deny ip from table(bl) to me\n";
        let finding = order(door, "bl");
        assert!(finding.grade == Grade::Note && finding.text.contains("192.0.2.5"), "{finding:?}");
        let open = "00040 allow tcp from not table(2) to me 22\n00050 deny ip from table(bl) to me\n";
        assert_eq!(order(open, "bl").grade, Grade::Problem);
    }
}
