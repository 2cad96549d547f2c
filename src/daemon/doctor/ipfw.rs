//! ipfw: what `ipfw table NAME info` and `ipfw list` say about whether the table blocks anybody.

use super::finding::Finding;

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
        Some(info) if !info.contains("type: addr") => Finding::problem(
            ABOUT,
            format!("ipfw's table {table} is not of type addr"),
            format!("`ipfw table {table} destroy`, or choose another name with `firewall: {{table: …}}`"),
        ),
        Some(_) => Finding::ok(ABOUT, format!("ipfw has the table {table}")),
    }
}

/// A rule of `ipfw list`: `00050 deny ip from table(bl) to me`.
#[derive(Clone, Copy, Debug)]
struct Rule<'a> {
    text: &'a str,
}

impl<'a> Rule<'a> {
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

    /// Whether it blocks some packets only: of one protocol, on one interface, to one port.
    fn is_partial(self) -> bool {
        let protocol = self.words().take_while(|word| *word != "from").last().unwrap_or_default();
        let to: Vec<&str> = self.words().skip_while(|word| *word != "to").skip(1).collect();
        !matches!(protocol, "ip" | "all") || !matches!(to[..], ["any" | "me"] | ["any" | "me", "in"])
    }

    /// Whether it is about particular peers: an operator's own network, let in whatever happens.
    fn is_personal(self) -> bool {
        let from = self.words().skip_while(|word| *word != "from").nth(1);
        from.is_some_and(|from| !matches!(from, "any" | "me"))
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
    let advice = format!(
        "add `deny ip from table({table}) to me` with a number below check-state and any allow rule: \
         `ipfw add 50 deny ip from 'table({table})' to me`, and to the script that makes your rules"
    );
    let rules: Vec<Rule<'_>> = list.lines().map(|line| Rule { text: line.trim() }).collect();
    let Some(at) = rules.iter().position(|rule| rule.blocks(table)) else {
        let text = format!("no ipfw rule denies the table {table}: banned addresses go on as before");
        return Finding::problem(ABOUT, text, advice);
    };
    match rules[..at].iter().find(|rule| rule.passes()) {
        Some(passing) if passing.is_personal() => Finding::note(
            ABOUT,
            format!("ipfw's rule `{}` wins over `{}` for those that it names", passing.text, rules[at].text),
            "name them under `allow` as well, so that they are not banned at all",
        ),
        None if rules[at].is_partial() => Finding::note(
            ABOUT,
            format!("ipfw's rule `{}` blocks only what it names", rules[at].text),
            format!("`deny ip from table({table}) to me` blocks everything from a banned address"),
        ),
        Some(passing) => Finding::problem(
            ABOUT,
            format!("ipfw's rule `{}` stands before `{}`", passing.text, rules[at].text),
            advice,
        ),
        None => Finding::ok(
            ABOUT,
            format!("ipfw denies the table {table} before it allows anything: `{}`", rules[at].text),
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
        assert_eq!(order("00050 deny ip from table(bl,1) to me in", "bl").grade, Grade::Ok);
    }

    #[test]
    fn what_denies_a_part_or_allows_ones_own_is_worth_knowing() {
        for rules in [
            "00050 reset tcp from table(bl) to me",
            "00050 deny ip from table(bl) to me 22",
            "00050 deny ip from table(bl) to me via em1",
            "00040 allow ip from 192.0.2.0/24 to me\n00050 deny ip from table(bl) to any",
        ] {
            assert_eq!(order(rules, "bl").grade, Grade::Note, "{rules}");
        }
    }
}
