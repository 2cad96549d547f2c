//! pf: what `pfctl -s info`, `-vsT` and `-sr` say about whether the table blocks anybody.
//!
//! Texts as observed on FreeBSD 13.2 and 15.1. Rules are read as pfctl prints them, not as people write them: `block
//! drop in quick on em0 from <bl> to any`.

use super::finding::Finding;
use crate::firewall::pf::{PfTable, how_to_enter, not_enabled};

const ABOUT: &str = "firewall";

/// What pfctl printed; `None` where it failed.
#[derive(Clone, Debug, Default)]
pub(super) struct PfctlOutput {
    /// The output of `pfctl -s info`.
    pub(super) info: String,
    /// Of `-vsT`, in the anchor if there is one.
    pub(super) tables: String,
    /// The output of `pfctl -sr`.
    pub(super) rules: String,
    /// The output of `pfctl -sr` in the anchor, if there is one.
    pub(super) anchor_rules: Option<String>,
}

/// Judges pf's state for a table, which may be in an anchor.
pub(super) fn findings(said: &PfctlOutput, pf_table: &PfTable) -> Vec<Finding> {
    let mut findings = vec![enabled(&said.info), exists(&said.tables, pf_table)];
    match (&said.anchor_rules, &pf_table.anchor) {
        (Some(inside), Some(anchor)) => {
            findings.push(called(&said.rules, anchor));
            findings.push(order(inside, pf_table));
        }
        _ => findings.push(order(&said.rules, pf_table)),
    }
    findings
}

/// The first line is `Status: Enabled for …` or `Status: Disabled for …`.
fn enabled(info: &str) -> Finding {
    match info.lines().find_map(|line| line.strip_prefix("Status: ")) {
        Some(status) if status.starts_with("Enabled") => Finding::ok(ABOUT, "pf is enabled"),
        _ => Finding::warned(ABOUT, not_enabled()),
    }
}

fn exists(tables: &str, pf_table: &PfTable) -> Finding {
    match pf_table.remark(pf_table.find(tables)) {
        Some(remark) => Finding::warned(ABOUT, remark),
        None => Finding::ok(ABOUT, format!("pf has the table {}", pf_table.named())),
    }
}

/// A rule, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PfRule<'a> {
    text: &'a str,
}

impl<'a> PfRule<'a> {
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

    /// Whether it is about some packets only: an interface, a protocol, a port, a destination.
    fn is_narrow(self) -> bool {
        let to = self.words().skip_while(|word| *word != "to").nth(1).unwrap_or("any");
        to != "any" || ["on", "proto", "port"].into_iter().any(|word| self.has(word))
    }

    /// Whether it is about certain sources only, which its writer will have chosen.
    fn is_for_some(self) -> bool {
        let from = self.words().skip_while(|word| *word != "from").nth(1).unwrap_or("any");
        !matches!(from, "any" | "!")
    }

    /// Whether it lets strangers in: not what leaves, and not what is on the loopback interface.
    fn passes(self) -> bool {
        let loopback =
            self.words().skip_while(|word| *word != "on").nth(1).is_some_and(|on| on.starts_with("lo"));
        self.text.starts_with("pass") && !self.has("out") && !loopback
    }

    /// The names of anchors in it: `a/*` in `anchor "a/*" in all`.
    fn anchors(self) -> impl Iterator<Item = &'a str> {
        let words = self.text.starts_with("anchor").then(|| self.words());
        words.into_iter().flatten().filter_map(|word| word.strip_prefix('"')?.strip_suffix('"'))
    }

    /// Whether it has the rules in an anchor evaluated. `a` does so for the rules in a, and `a/*` for those of the
    /// anchors in a, but not for those in a itself.
    fn enters(self, anchor: &str) -> bool {
        let above = anchor.rsplit_once('/').map(|(above, _)| format!("{above}/*"));
        self.anchors().any(|name| name == anchor || Some(name) == above.as_deref())
    }

    /// Whether it enters an anchor around this one or beside it, whose rules may enter further ones.
    fn may_lead_to(self, anchor: &str) -> bool {
        let Some((top, _)) = anchor.split_once('/') else { return false };
        let below =
            |name: &str| name.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.anchors().any(below)
    }
}

/// Whether a rule blocks the table, and no rule before (or, without `quick`, behind) it passes the same packets.
///
/// pf takes the last rule that matches, or the first with `quick`.
fn order(rules: &str, pf_table: &PfTable) -> Finding {
    let table = &*pf_table.name;
    let rules: Vec<PfRule<'_>> = PfRule::all(rules).collect();
    let blocking = |rule: &PfRule<'_>| rule.blocks(table);
    let best = |rule: &PfRule<'_>| rule.blocks(table) && !rule.is_narrow();
    let Some(at) = rules.iter().position(best).or_else(|| rules.iter().position(blocking)) else {
        return Finding::problem(
            ABOUT,
            format!(
                "no pf rule blocks what comes from {}: banned addresses go on as before",
                pf_table.named()
            ),
            pf_table.how_to_block(),
        );
    };
    let passing = passing(&rules, at);
    match passing.iter().find(|rule| !rule.is_for_some()) {
        Some(passing) => Finding::problem(
            ABOUT,
            format!(
                "pf's rule `{}` wins over `{}`, so banned addresses may come in",
                passing.text, rules[at].text
            ),
            format!("put `block drop in quick from <{table}>` before any pass rule, then load the rules"),
        ),
        None => passed_over(&rules, at, passing.first(), pf_table),
    }
}

/// The rules that win over the one at index `at`.
fn passing<'a>(rules: &[PfRule<'a>], at: usize) -> Vec<PfRule<'a>> {
    let before = rules[..at].iter().filter(|rule| rule.passes() && rule.has("quick"));
    let behind = rules[at + 1..].iter().filter(|rule| rule.passes() && !rules[at].has("quick"));
    before.chain(behind).copied().collect()
}

/// What is worth knowing of a rule that no general rule wins over.
fn passed_over(rules: &[PfRule<'_>], at: usize, some: Option<&PfRule<'_>>, pf_table: &PfTable) -> Finding {
    let (blocking, wanted) = (rules[at], format!("`block drop in quick from <{}>`", pf_table.name));
    if blocking.has("inet") && !rules.iter().any(|rule| rule.blocks(&pf_table.name) && !rule.has("inet")) {
        return Finding::problem(
            ABOUT,
            format!("pf's rule `{}` blocks IPv4 only", blocking.text),
            format!("write it without `inet`: {wanted}"),
        );
    }
    if blocking.is_narrow() {
        return Finding::note(
            ABOUT,
            format!("pf blocks only some of what comes from {}: `{}`", pf_table.named(), blocking.text),
            format!("if you want all of it blocked: {wanted}"),
        );
    }
    match some {
        Some(some) => Finding::note(
            ABOUT,
            format!(
                "pf's rule `{}` wins over `{}`: bans do not stop addresses that rule names",
                some.text, blocking.text
            ),
            "leave it if you trust those addresses; better name them under `allow` as well",
        ),
        None => Finding::ok(
            ABOUT,
            format!("pf blocks {} before it passes anything: `{}`", pf_table.named(), blocking.text),
        ),
    }
}

/// Whether the main rules enter the anchor before they pass anything.
fn called(rules: &str, anchor: &str) -> Finding {
    let rules: Vec<PfRule<'_>> = PfRule::all(rules).collect();
    match rules.iter().position(|rule| rule.enters(anchor)) {
        Some(at) => entered(&rules[..at], rules[at], anchor),
        None => not_entered(&rules, anchor),
    }
}

fn entered(before: &[PfRule<'_>], entering: PfRule<'_>, anchor: &str) -> Finding {
    let early = |rule: &&PfRule<'_>| rule.passes() && rule.has("quick") && !rule.is_for_some();
    match before.iter().find(early) {
        Some(passing) => Finding::problem(
            ABOUT,
            format!("pf's rule `{}` stands before the anchor {anchor}", passing.text),
            how_to_enter(anchor),
        ),
        None if entering.is_narrow() => Finding::note(
            ABOUT,
            format!("pf enters the anchor {anchor} for some packets only: `{}`", entering.text),
            how_to_enter(anchor),
        ),
        None => Finding::ok(ABOUT, format!("pf enters the anchor {anchor} before it passes anything")),
    }
}

fn not_entered(rules: &[PfRule<'_>], anchor: &str) -> Finding {
    match rules.iter().find(|rule| rule.may_lead_to(anchor)) {
        Some(rule) => Finding::note(
            ABOUT,
            format!("whether `{}` leads to the anchor {anchor} was not followed", rule.text),
            how_to_enter(anchor),
        ),
        None => Finding::problem(
            ABOUT,
            format!("no pf rule enters the anchor {anchor}: its table blocks nobody"),
            how_to_enter(anchor),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Grade;
    use super::*;

    fn grade(rules: &str) -> Grade {
        order(rules, &here()).grade
    }

    fn pf_table(table: &str, anchor: Option<&str>) -> PfTable {
        PfTable { name: table.to_owned(), anchor: anchor.map(str::to_owned) }
    }

    fn here() -> PfTable {
        pf_table("bl", None)
    }

    #[test]
    fn the_observed_ruleset_is_fine() {
        let said = PfctlOutput {
            info: "Status: Enabled for 0 days 00:00:02          Debug: Urgent\n\nState Table   Total\n"
                .to_owned(),
            tables: "-pa-r--\tbl\n".to_owned(),
            rules: "block drop in quick from <bl> to any\npass all flags S/SA keep state\n".to_owned(),
            anchor_rules: None,
        };
        assert!(findings(&said, &here()).iter().all(|finding| finding.grade == Grade::Ok));
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
        let at = |table, anchor| exists(tables, &pf_table(table, anchor));
        assert_eq!(at("bl", None).grade, Grade::Problem);
        assert_eq!(at("bl", Some("portcullis")).grade, Grade::Ok);
        assert_eq!(at("bl2", None).grade, Grade::Ok);
        assert!(at("fixed", None).text.contains("const"));
    }

    #[test]
    fn in_an_anchor_no_table_of_pf_conf_is_advised() {
        let inside = pf_table("bl", Some("portcullis"));
        for finding in [exists("", &inside), order("pass all\n", &inside)] {
            let advice = finding.advice.unwrap();
            assert!(
                advice.contains("| pfctl -a portcullis -f -") && !advice.contains("into /etc/pf.conf"),
                "{advice}"
            );
        }
    }

    #[test]
    fn a_block_rule_behind_pass_quick_never_acts() {
        let late = "pass in quick proto tcp from any to any port = ssh flags S/SA keep state\nblock drop in quick from <bl> to any\n";
        assert_eq!(grade(late), Grade::Problem);
        assert!(order(late, &here()).text.contains("pass in quick proto tcp"));
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
    fn a_rule_that_blocks_some_packets_only_is_remarked_on() {
        for rule in [
            "block return in quick on em0 proto tcp from <bl> to any port = ssh",
            "block drop in quick on em0 from <bl> to any",
            "block drop in quick proto tcp from <bl> to any",
            "block drop in quick from <bl> to 192.0.2.1",
        ] {
            let finding = order(rule, &here());
            assert_eq!(finding.grade, Grade::Note, "{rule}");
            assert!(finding.text.contains("blocks only some"), "{}", finding.text);
            assert_eq!(grade(&format!("{rule}\nblock drop in quick from <bl> to any\n")), Grade::Ok);
        }
    }

    #[test]
    fn a_door_of_the_operators_own_is_no_problem() {
        let block = "block drop in quick from <bl> to any";
        for some in ["192.0.2.5", "<friends>"] {
            let own = format!("pass in quick proto tcp from {some} to any port = ssh flags S/SA keep state");
            let finding = order(&format!("{own}\n{block}\n"), &here());
            assert_eq!(finding.grade, Grade::Note, "{some}");
            assert!(finding.text.contains(some) && !finding.advice.unwrap().contains("before any pass"));
            assert_eq!(grade(&format!("{own}\npass in quick all\n{block}\n")), Grade::Problem, "behind it");
        }
        assert_eq!(grade(&format!("pass in quick from ! <friends> to any\n{block}\n")), Grade::Problem);
    }

    #[test]
    fn an_anchor_must_be_entered_before_anything_passes() {
        assert_eq!(called("anchor \"portcullis/*\" in all\npass all\n", "portcullis/main").grade, Grade::Ok);
        assert_eq!(called("anchor \"portcullis\" all\n", "portcullis").grade, Grade::Ok);
        assert_eq!(called("pass quick all\nanchor \"portcullis\" all\n", "portcullis").grade, Grade::Problem);
        assert_eq!(called("anchor \"blacklistd/*\" in all\n", "portcullis").grade, Grade::Problem);
        assert_eq!(called("anchor \"portcullis/*\" in on em0 all\n", "portcullis/main").grade, Grade::Note);
    }

    #[test]
    fn an_anchor_with_a_star_enters_those_in_it_and_not_itself() {
        assert_eq!(called("anchor \"portcullis/*\" in all\n", "portcullis").grade, Grade::Problem);
        assert_eq!(called("anchor \"portcullis/main\" all\n", "portcullis/main").grade, Grade::Ok);
        assert_eq!(called("anchor \"a/b/*\" all\n", "a/b/c").grade, Grade::Ok);
        for unclear in ["anchor \"a\" all\n", "anchor \"a/*\" all\n"] {
            let finding = called(unclear, "a/b/c");
            assert!(finding.grade == Grade::Note && finding.text.contains("not followed"), "{finding:?}");
        }
    }
}
