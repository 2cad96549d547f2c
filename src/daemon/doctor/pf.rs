//! pf: what `pfctl -s info`, `-vsT` and `-sr` say about whether the table blocks anybody.
//!
//! Texts as observed on FreeBSD 13.2 and 15.1. Rules are read as pfctl prints them, not as people write them: `block
//! drop in quick on em0 from <bl> to any`.

use super::finding::Finding;
use crate::firewall::pf_remedy as remedy;

const ABOUT: &str = "firewall";

/// What pfctl printed; `None` where it failed.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// Of `-s info`.
    pub(super) info: String,
    /// Of `-vsT`, in the anchor if there is one.
    pub(super) tables: String,
    /// Of `-sr`.
    pub(super) rules: String,
    /// Of `-sr` in the anchor.
    pub(super) anchor_rules: Option<String>,
}

/// Judges pf's state for a table, which may be in an anchor.
pub(super) fn findings(said: &Said, table: &str, anchor: Option<&str>) -> Vec<Finding> {
    let mut findings = vec![enabled(&said.info), exists(&said.tables, table, anchor)];
    match (&said.anchor_rules, anchor) {
        (Some(inside), Some(anchor)) => {
            findings.push(called(&said.rules, anchor));
            findings.push(order(inside, table, Some(anchor)));
        }
        _ => findings.push(order(&said.rules, table, anchor)),
    }
    findings
}

/// The first line is `Status: Enabled for …` or `Status: Disabled for …`.
fn enabled(info: &str) -> Finding {
    match info.lines().find_map(|line| line.strip_prefix("Status: ")) {
        Some(status) if status.starts_with("Enabled") => Finding::ok(ABOUT, "pf is enabled"),
        _ => Finding::problem(
            ABOUT,
            "pf is not enabled, so the table blocks nobody",
            "`sysrc pf_enable=YES` and `service pf start`; have a console at hand",
        ),
    }
}

/// A row is `-pa-r--\tNAME[\tANCHOR]`; the first letter is c for `const`.
fn exists(tables: &str, table: &str, anchor: Option<&str>) -> Finding {
    let row = tables.lines().map(|line| line.split('\t').collect::<Vec<_>>()).find(|fields| {
        fields.get(1) == Some(&table) && fields.get(2).copied().unwrap_or("") == anchor.unwrap_or("")
    });
    match row {
        None => Finding::problem(ABOUT, format!("pf has no table <{table}>"), remedy(table, anchor)),
        Some(fields) if fields[0].starts_with('c') => Finding::problem(
            ABOUT,
            format!("pf's table <{table}> is `const`, so nothing can be added"),
            "drop that word in /etc/pf.conf, then `service pf reload`",
        ),
        Some(_) => Finding::ok(ABOUT, format!("pf has the table <{table}>")),
    }
}

/// A rule, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule<'a> {
    text: &'a str,
}

impl<'a> Rule<'a> {
    fn all(rules: &'a str) -> impl Iterator<Item = Self> {
        rules.lines().map(|line| Self { text: line.trim() }).filter(|rule| !rule.text.is_empty())
    }

    fn words(self) -> impl Iterator<Item = &'a str> {
        self.text.split_whitespace()
    }

    fn has(self, word: &str) -> bool {
        self.words().any(|other| other == word)
    }

    /// Whether it blocks what comes from the table. `! <bl>` is everybody else.
    fn blocks(self, table: &str) -> bool {
        let from: Vec<&str> = self.words().skip_while(|word| *word != "from").take(2).collect();
        self.text.starts_with("block") && !self.has("out") && from.get(1) == Some(&&*format!("<{table}>"))
    }

    /// Whether it blocks some packets only: on one interface, of one protocol, to one port or address.
    fn is_partial(self) -> bool {
        let to = self.words().skip_while(|word| *word != "to").nth(1);
        ["on", "proto", "port"].iter().any(|word| self.has(word)) || to.is_some_and(|to| to != "any")
    }

    /// Whether it is about particular peers: an operator's own network, let in whatever happens.
    fn is_personal(self) -> bool {
        self.words().skip_while(|word| *word != "from").nth(1).is_some_and(|from| from != "any")
    }

    /// Whether it lets strangers in: not what leaves, and not what is on the loopback interface.
    fn passes(self) -> bool {
        let loopback =
            self.words().skip_while(|word| *word != "on").nth(1).is_some_and(|on| on.starts_with("lo"));
        self.text.starts_with("pass") && !self.has("out") && !loopback
    }
}

/// Whether a rule blocks the table, and no rule before (or, without `quick`, behind) it passes the same packets.
///
/// pf takes the last rule that matches, or the first with `quick`.
fn order(rules: &str, table: &str, anchor: Option<&str>) -> Finding {
    let wanted = format!("`block drop in quick from <{table}>`");
    let advice = remedy(table, anchor);
    let rules: Vec<Rule<'_>> = Rule::all(rules).collect();
    let Some(at) = rules.iter().position(|rule| rule.blocks(table)) else {
        return Finding::problem(
            ABOUT,
            format!("no pf rule blocks what comes from <{table}>: banned addresses go on as before"),
            advice,
        );
    };
    let (before, behind) = (&rules[..at], &rules[at + 1..]);
    let blocking = rules[at];
    let passing = match blocking.has("quick") {
        true => before.iter().find(|rule| rule.passes() && rule.has("quick")),
        false => before
            .iter()
            .find(|rule| rule.passes() && rule.has("quick"))
            .or_else(|| behind.iter().find(|rule| rule.passes())),
    };
    if let Some(passing) = passing {
        return wins(passing, blocking, advice);
    }
    if blocking.has("inet") && !rules.iter().any(|rule| rule.blocks(table) && !rule.has("inet")) {
        return Finding::problem(
            ABOUT,
            format!("pf's rule `{}` blocks IPv4 only", blocking.text),
            format!("write it without `inet`: {wanted}"),
        );
    }
    if blocking.is_partial() {
        let text = format!("pf's rule `{}` blocks only what it names", blocking.text);
        return Finding::note(ABOUT, text, format!("{wanted} blocks everything from a banned address"));
    }
    Finding::ok(ABOUT, format!("pf blocks <{table}> before it passes anything: `{}`", blocking.text))
}

fn wins(passing: &Rule<'_>, blocking: Rule<'_>, advice: String) -> Finding {
    let (passing_text, text) = (passing.text, blocking.text);
    if passing.is_personal() {
        let text = format!("pf's rule `{passing_text}` wins over `{text}` for those that it names");
        return Finding::note(
            ABOUT,
            text,
            "name them under `allow` as well, so that they are not banned at all",
        );
    }
    let text = format!("pf's rule `{passing_text}` wins over `{text}`, so banned addresses may come in");
    Finding::problem(ABOUT, text, advice)
}

/// Whether the main rules enter the anchor before they pass anything.
fn called(rules: &str, anchor: &str) -> Finding {
    let advice =
        format!("put `anchor \"{anchor}\"` before any pass rule in /etc/pf.conf, then `service pf reload`");
    // `parent/*` evaluates the anchors inside `parent` and not its own rules.
    let parent = anchor.rsplit_once('/').map(|(parent, _)| format!("\"{parent}/*\""));
    let names = [Some(format!("\"{anchor}\"")), parent];
    let enters = |rule: &Rule<'_>| {
        rule.text.starts_with("anchor")
            && rule.words().any(|word| names.iter().flatten().any(|name| name == word))
    };
    let rules: Vec<Rule<'_>> = Rule::all(rules).collect();
    match rules.iter().position(enters) {
        None => Finding::problem(
            ABOUT,
            format!("no pf rule enters the anchor {anchor}: its table blocks nobody"),
            advice,
        ),
        Some(at) => match rules[..at].iter().find(|rule| rule.passes() && rule.has("quick")) {
            Some(passing) => Finding::problem(
                ABOUT,
                format!("pf's rule `{}` stands before the anchor {anchor}", passing.text),
                advice,
            ),
            None => Finding::ok(ABOUT, format!("pf enters the anchor {anchor} before it passes anything")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Grade;
    use super::*;

    fn grade(rules: &str) -> Grade {
        order(rules, "bl", None).grade
    }

    #[test]
    fn the_observed_ruleset_is_fine() {
        let said = Said {
            info: "Status: Enabled for 0 days 00:00:02          Debug: Urgent\n\nState Table   Total\n"
                .to_owned(),
            tables: "-pa-r--\tbl\n".to_owned(),
            rules: "block drop in quick from <bl> to any\npass all flags S/SA keep state\n".to_owned(),
            anchor_rules: None,
        };
        assert!(findings(&said, "bl", None).iter().all(|finding| finding.grade == Grade::Ok));
    }

    #[test]
    fn a_disabled_pf_is_a_problem_on_both_releases_and_so_is_silence() {
        for info in
            ["Status: Disabled for 0 days 00:00:02   Debug: Urgent", "Status: Disabled   Debug: Urgent", ""]
        {
            assert_eq!(enabled(info).grade, Grade::Problem, "{info}");
        }
    }

    #[test]
    fn a_table_is_looked_for_by_its_whole_name_and_place() {
        let tables = "-pa-r--\tbl2\ncpa-r--\tfixed\n-pa-r--\tbl\tportcullis\n";
        assert_eq!(exists(tables, "bl", None).grade, Grade::Problem);
        assert_eq!(exists(tables, "bl", Some("portcullis")).grade, Grade::Ok);
        assert_eq!(exists(tables, "bl2", None).grade, Grade::Ok);
        assert!(exists(tables, "fixed", None).text.contains("const"));
    }

    #[test]
    fn a_block_rule_behind_pass_quick_never_acts() {
        let late = "pass in quick proto tcp from any to any port = ssh flags S/SA keep state\nblock drop in quick from <bl> to any\n";
        assert_eq!(grade(late), Grade::Problem);
        assert!(order(late, "bl", None).text.contains("pass in quick proto tcp"));
        let harmless = "pass quick on lo0 all flags S/SA keep state\npass out quick all flags S/SA keep state\npass in all\nblock drop in quick from <bl> to any\n";
        assert_eq!(grade(harmless), Grade::Ok);
    }

    #[test]
    fn without_quick_the_last_rule_wins() {
        assert_eq!(
            grade("block drop in from <bl> to any\npass in all flags S/SA keep state\n"),
            Grade::Problem
        );
        assert_eq!(grade("pass in all flags S/SA keep state\nblock drop in from <bl> to any\n"), Grade::Ok);
    }

    #[test]
    fn only_a_rule_that_blocks_what_comes_from_the_table_counts() {
        for rules in [
            "",
            "pass all flags S/SA keep state",
            "block drop in quick from <bl2> to any",
            "block drop in quick from ! <bl> to any",
            "block drop out quick from any to <bl>",
            "block drop in quick from any to <bl>",
            "pass in quick from <bl> to any",
        ] {
            assert_eq!(grade(rules), Grade::Problem, "{rules}");
        }
        assert_eq!(grade("block drop in quick inet from <bl> to any"), Grade::Problem);
    }

    #[test]
    fn what_blocks_a_part_or_passes_ones_own_is_worth_knowing() {
        for rules in [
            "block return in quick on em0 proto tcp from <bl> to any port = ssh",
            "block drop in quick from <bl> to 192.0.2.1",
            "pass in quick from 192.0.2.0/24 to any flags S/SA keep state\nblock drop in quick from <bl> to any",
            "pass in quick from <friends> to any flags S/SA keep state\nblock drop in quick from <bl> to any",
        ] {
            assert_eq!(grade(rules), Grade::Note, "{rules}");
        }
    }

    #[test]
    fn advice_for_an_anchor_names_the_anchor() {
        let finding = order("pass all", "bl", Some("portcullis"));
        assert!(finding.advice.unwrap().contains("load anchor \"portcullis\""));
    }

    #[test]
    fn an_anchor_must_be_entered_before_anything_passes() {
        assert_eq!(called("anchor \"portcullis/*\" in all\npass all\n", "portcullis/main").grade, Grade::Ok);
        assert_eq!(called("anchor \"portcullis\" all\n", "portcullis").grade, Grade::Ok);
        assert_eq!(
            called("anchor \"portcullis/*\" all\n", "portcullis").grade,
            Grade::Problem,
            "its children only"
        );
        assert_eq!(called("anchor \"portcullis\" all\n", "portcullis/main").grade, Grade::Problem);
        assert_eq!(called("pass quick all\nanchor \"portcullis\" all\n", "portcullis").grade, Grade::Problem);
        assert_eq!(called("anchor \"blacklistd/*\" in all\n", "portcullis").grade, Grade::Problem);
    }
}
