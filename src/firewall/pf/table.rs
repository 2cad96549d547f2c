//! Where pf's table is, whether it can block there, and what the operator is to do when it cannot. The backend says so
//! while it works, `doctor` when it is asked: one reader of pfctl's answer and one set of sentences for both.

use crate::firewall::Remark;
use crate::settings::FirewallSettings;

/// A table and the anchor it is in: a table in an anchor is not the main ruleset's table of that name.
#[derive(Clone, Debug)]
pub(crate) struct PfTable {
    /// The name of the table.
    pub(crate) name: String,
    /// The anchor; `None` for the main ruleset.
    pub(crate) anchor: Option<String>,
}

/// The flags of a table in the output of `pfctl -vsT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PfTableFlags {
    /// Declared `const`: nothing can be added.
    constant: bool,
    /// Whether a rule uses it.
    pub(super) referenced: bool,
}

impl PfTable {
    /// The table and anchor of the settings.
    pub(crate) fn of(settings: &FirewallSettings) -> Self {
        Self { name: settings.table.clone(), anchor: settings.anchor.clone() }
    }

    /// The arguments of a pfctl that is to look there.
    pub(crate) fn arguments<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let anchor = self.anchor.iter().flat_map(|anchor| ["-a", anchor]);
        anchor.chain(args.iter().copied()).collect()
    }

    /// Finds the table in what `pfctl -vsT` prints: `-pa-r--\tNAME[\tANCHOR]`. `-vvsT` would have counts below each, which
    /// are wrong on 15.1.
    ///
    /// The flags are const, persist, active, inactive, referenced by rules, referenced from an anchor, counters.
    pub(crate) fn find(&self, tables: &str) -> Option<PfTableFlags> {
        let flags = tables.lines().find_map(|line| self.flags(line))?;
        Some(PfTableFlags { constant: flags.contains('c'), referenced: flags.contains(['r', 'h']) })
    }

    /// The flags of a line that is about this table.
    fn flags<'a>(&self, line: &'a str) -> Option<&'a str> {
        let mut fields = line.split('\t');
        let flags = fields.next().filter(|flags| !flags.is_empty())?;
        let is_ours = fields.next() == Some(&*self.name)
            && fields.next().unwrap_or("") == self.anchor.as_deref().unwrap_or("");
        if is_ours { Some(flags) } else { None }
    }

    /// How messages call it: `<bl> in the anchor portcullis`.
    pub(crate) fn named(&self) -> String {
        let anchor = self.anchor.as_ref().map(|anchor| format!(" in the anchor {anchor}"));
        format!("<{}>{}", self.name, anchor.unwrap_or_default())
    }

    /// Why nothing can be blocked with the table as it was found, if that is so.
    pub(crate) fn remark(&self, table: Option<PfTableFlags>) -> Option<Remark> {
        let name = self.named();
        match table {
            None => Some(Remark {
                text: format!("pf has no table {name} yet; the first ban makes it, but no rule uses it"),
                advice: self.how_to_block(),
            }),
            Some(table) if table.constant => Some(Remark {
                text: format!("pf's table {name} is `const`, so nothing can be added"),
                advice: "drop that word where the table is declared, then `service pf reload`".to_owned(),
            }),
            Some(_) => None,
        }
    }

    /// How to make the table and the rule that uses it.
    pub(crate) fn how_to_block(&self) -> String {
        let table = &self.name;
        match &self.anchor {
            None => format!(
                "put `table <{table}> persist` and, before any pass rule, `block drop in quick from <{table}>` into \
                 /etc/pf.conf, then `service pf reload`"
            ),
            Some(anchor) => format!(
                "`printf 'table <{table}> persist\\nblock drop in quick from <{table}>\\n' | pfctl -a {anchor} -f -`, \
                 and {}",
                how_to_enter(anchor)
            ),
        }
    }
}

/// How to have the main ruleset look into an anchor.
pub(crate) fn how_to_enter(anchor: &str) -> String {
    format!("put `anchor \"{anchor}\"` before any pass rule in /etc/pf.conf, then `service pf reload`")
}

/// For a pf that is loaded and off.
pub(crate) fn not_enabled() -> Remark {
    Remark {
        text: "pf is not enabled, so the table blocks nobody".to_owned(),
        advice: "`sysrc pf_enable=YES` and `service pf start`; have a console at hand".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Real output, with a second table of a like name and one in an anchor.
    const TABLES: &str = "-pa-r--\tbl\nc-a----\tbl2\n-pa-r--\tbl2\tportcullis\n";

    fn pf_table(table: &str, anchor: Option<&str>) -> PfTable {
        PfTable { name: table.to_owned(), anchor: anchor.map(str::to_owned) }
    }

    #[test]
    fn a_table_is_found_by_its_whole_name_and_anchor() {
        let find = |table, anchor| pf_table(table, anchor).find(TABLES);
        let bl = PfTableFlags { constant: false, referenced: true };
        assert_eq!((find("bl", None), find("bl2", Some("portcullis"))), (Some(bl), Some(bl)));
        assert_eq!(find("bl2", None), Some(PfTableFlags { constant: true, referenced: false }));
        assert_eq!((find("b", None), find("bl", Some("portcullis"))), (None, None));
        assert_eq!(pf_table("bl", None).find(""), None);
    }

    #[test]
    fn the_operator_is_told_how_to_block_where_the_table_is() {
        let advice = pf_table("bl", None).remark(None).unwrap().to_string();
        assert_eq!(
            advice,
            "pf has no table <bl> yet; the first ban makes it, but no rule uses it: put `table <bl> persist` and, before \
             any pass rule, `block drop in quick from <bl>` into /etc/pf.conf, then `service pf reload`"
        );
        let advice = pf_table("bl", Some("portcullis/main")).remark(None).unwrap().to_string();
        assert!(advice.starts_with("pf has no table <bl> in the anchor portcullis/main yet"), "{advice}");
        assert!(!advice.contains("into /etc/pf.conf"), "that would be another table: {advice}");
        let load =
            r"`printf 'table <bl> persist\nblock drop in quick from <bl>\n' | pfctl -a portcullis/main -f -`";
        assert!(advice.contains(load) && advice.contains("`anchor \"portcullis/main\"`"), "{advice}");
    }

    #[test]
    fn a_const_table_is_remarked_on_and_one_that_can_be_changed_is_not() {
        let at = pf_table("bl", None);
        let table = PfTableFlags { constant: true, referenced: true };
        assert!(at.remark(Some(table)).unwrap().text.contains("`const`"));
        assert_eq!(at.remark(Some(PfTableFlags { constant: false, ..table })), None);
    }
}
