//! Rules: as many of them as our documents and samples use, in the form in which ipfw prints them.

use super::state::Table;
use super::{DATAERR, Ipfw, UNAVAILABLE, USAGE};
use crate::common::Step;

/// The kernel's own last rule; its action is that of the observed machines.
const LAST: (u16, &str) = (65_535, "allow ip from any to any");
/// `net.inet.ip.fw.autoinc_step`
const STEP: u16 = 100;

impl Ipfw<'_> {
    /// `add [NUMBER] ACTION PROTO from ADDR [PORTS] to ADDR [PORTS] [OPTIONS]`
    pub(super) fn add_rule(&mut self, words: &[&str]) -> Step {
        let mut words = words;
        let mut number = 0;
        if let Some((first, rest)) = words.split_first()
            && first.starts_with(|c: char| c.is_ascii_digit())
        {
            number = first.parse::<u16>().unwrap_or(0);
            words = rest;
        }
        let text = self.rule_text(words)?;
        self.need_kernel(true, UNAVAILABLE, "getsockopt(IP_FW_XADD)")?;
        if self.test_only {
            return Ok(());
        }
        if number == 0 {
            let last = self.state.rules.last().map_or(0, |(number, _)| *number);
            number = last.saturating_add(STEP).min(LAST.0 - 1);
        }
        self.create_named_tables(&text);
        let at = self.state.rules.partition_point(|(there, _)| *there <= number);
        self.state.rules.insert(at, (number, text.clone()));
        if !self.quiet {
            self.report.out(format!("{number:05} {text}"));
        }
        Ok(())
    }

    /// A rule that names a table which is not there makes it.
    fn create_named_tables(&mut self, text: &str) {
        let names = text.split("table(").skip(1).filter_map(|tail| tail.split([',', ')']).next());
        for name in names.map(str::to_owned).collect::<Vec<_>>() {
            if !self.state.tables.contains_key(&name) {
                self.insert(&name, Table::default());
            }
        }
    }

    fn rule_text(&mut self, words: &[&str]) -> Step<String> {
        let mut words = words.iter().copied().peekable();
        let action = match words.next() {
            Some("deny" | "drop") => "deny".to_owned(),
            Some("allow" | "accept" | "pass" | "permit") => "allow".to_owned(),
            Some("check-state") => return Ok("check-state :default".to_owned()),
            Some(word @ ("count" | "reset" | "reset6")) => word.to_owned(),
            Some(word @ ("unreach" | "unreach6" | "skipto" | "pipe" | "queue" | "nat")) => match words.next()
            {
                Some(value) => format!("{word} {value}"),
                None => return self.leave(USAGE, &format!("missing argument for {word}")),
            },
            Some(word) => return self.leave(DATAERR, &format!("invalid action {word}\n")),
            None => return self.leave(USAGE, "missing action"),
        };
        let mut text = action;
        if words.next_if_eq(&"log").is_some() {
            text.push_str(" log");
        }
        let Some(proto) = words.next() else { return self.leave(USAGE, "missing protocol") };
        text.push_str(&format!(" {}", if proto == "all" { "ip" } else { proto }));
        for side in ["from", "to"] {
            if words.next() != Some(side) {
                return self.leave(USAGE, &format!("missing ``{side}''"));
            }
            text.push_str(&format!(" {side}"));
            if words.next_if_eq(&"not").is_some() {
                text.push_str(" not");
            }
            let Some(host) = words.next() else {
                return self.leave(USAGE, &format!("missing {side} address"));
            };
            self.check_host(host)?;
            text.push_str(&format!(" {host}"));
            let is_ports = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) || *word == "ssh";
            if let Some(ports) = words.next_if(is_ports) {
                text.push_str(&format!(" {}", if ports == "ssh" { "22" } else { ports }));
            }
        }
        while let Some(word) = words.next() {
            match word {
                "in" | "out" | "setup" | "established" | "frag" | "keep-state" => {
                    text.push_str(&format!(" {word}"));
                }
                "via" | "recv" | "xmit" | "dst-port" | "src-port" => match words.next() {
                    Some(value) => text.push_str(&format!(" {word} {value}")),
                    None => return self.leave(USAGE, &format!("missing argument for {word}")),
                },
                _ => return self.leave(DATAERR, &format!("unrecognised option [-1] {word}\n")),
            }
        }
        Ok(text)
    }

    fn check_host(&mut self, host: &str) -> Step {
        let table = host.strip_prefix("table(").and_then(|rest| rest.strip_suffix(')'));
        if table.is_some_and(|name| !name.is_empty()) || matches!(host, "any" | "me" | "me6") {
            return Ok(());
        }
        host.split(',').try_for_each(|host| self.key(host).map(drop))
    }

    /// `list`, `print` or `show [NUMBER…]`
    pub(super) fn list_rules(&mut self, counters: bool, words: &[&str]) -> Step {
        self.need_kernel(false, super::OSERR, "retrieving config failed")?;
        let wanted: Vec<u16> = words.iter().filter_map(|word| word.parse().ok()).collect();
        let last = (LAST.0, LAST.1.to_owned());
        let all = self.state.rules.iter().chain([&last]);
        let shown: Vec<String> = all
            .filter(|(number, _)| wanted.is_empty() || wanted.contains(number))
            .map(|(number, text)| format!("{number:05}{} {text}", if counters { " 0 0" } else { "" }))
            .collect();
        shown.iter().for_each(|line| self.report.out(line));
        let missing =
            wanted.iter().find(|number| !shown.iter().any(|line| line.starts_with(&format!("{number:05}"))));
        missing.map_or(Ok(()), |number| self.leave(UNAVAILABLE, &format!("rule {number} does not exist")))
    }

    /// Without a terminal a missing rule is only worth a line, as with `-f`.
    pub(super) fn delete_rules(&mut self, words: &[&str]) -> Step {
        self.need_kernel(true, UNAVAILABLE, "setsockopt(IP_FW_XDEL)")?;
        let mut missing = false;
        for number in words.iter().filter_map(|word| word.parse::<u16>().ok()) {
            let before = self.state.rules.len();
            self.state.rules.retain(|(there, _)| *there != number);
            if self.state.rules.len() == before {
                missing = true;
                let line = format!("{}: rule {number} not found", self.name);
                self.report.err.push_str(&if self.quiet { String::new() } else { line + "\n" });
            }
        }
        if missing && !self.force { Err(crate::common::Exit(UNAVAILABLE)) } else { Ok(()) }
    }

    /// Rules go, tables and their entries stay.
    pub(super) fn flush_rules(&mut self) -> Step {
        if !self.force {
            return self.leave(99, "here ipfw would ask before it flushes: use -f");
        }
        self.need_kernel(true, UNAVAILABLE, "setsockopt(IP_FW_XDEL)")?;
        self.state.rules.clear();
        if !self.quiet {
            self.report.out("Flushed all rules.");
        }
        Ok(())
    }
}
