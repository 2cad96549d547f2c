//! The firewall that only says what it would do; the default where no other is configured.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::{Backend, BackendError, Change, Limits, TableListing, Unusable, check_name};
use crate::address::Prefix;
use crate::names;
use crate::settings::{BackendKind, FirewallSettings};

/// A table in memory, and where its changes are printed.
pub struct DryRun {
    table: String,
    entries: BTreeSet<Prefix>,
    out: Box<dyn Write + Send>,
}

pub(super) fn open(settings: &FirewallSettings) -> Result<Box<dyn Backend>, Unusable> {
    check_name(&settings.table, names::bad_table_everywhere(&settings.table))?;
    Ok(Box::new(DryRun::new(&settings.table, Box::new(io::stdout()))))
}

impl DryRun {
    /// An empty table of this name, whose changes are printed in lines such as `would add 192.0.2.7 to table portcullis`.
    pub fn new(table: &str, out: Box<dyn Write + Send>) -> Self {
        Self { table: table.to_owned(), entries: BTreeSet::new(), out }
    }

    fn say(&mut self, change: &Change, word: &str) -> io::Result<()> {
        writeln!(self.out, "would {change} {word} table {}", self.table)
    }
}

impl Backend for DryRun {
    fn name(&self) -> &'static str {
        BackendKind::DryRun.as_str()
    }

    fn prepare(&mut self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    /// Says only what changes something, as a real table would.
    fn apply(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        for change in changes {
            let (changed, word) = match change {
                Change::Add(prefix) => (self.entries.insert(*prefix), "to"),
                Change::Remove(prefix) => (self.entries.remove(prefix), "from"),
            };
            if changed {
                // A reader that has gone away must not look like a broken firewall.
                let _nobody_reads = self.say(change, word);
            }
        }
        let _nobody_reads = self.out.flush();
        Ok(())
    }

    fn list(&mut self, _wanted: usize) -> Result<TableListing, BackendError> {
        Ok(TableListing::Complete { entries: self.entries.iter().copied().collect(), strange: 0 })
    }

    fn limits(&self) -> Limits {
        Limits { entries: 10_000, bytes: usize::MAX, replace: 0, lookup: 0, after_add: 0 }
    }
}

impl std::fmt::Debug for DryRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DryRun({}, {} entries)", self.table, self.entries.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct SentLines(Sender<Vec<u8>>);

    impl Write for SentLines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn it_says_what_would_change_and_nothing_else() {
        let (sender, receiver) = channel();
        let mut firewall = DryRun::new("portcullis", Box::new(SentLines(sender)));
        let host = "192.0.2.7/32".parse().unwrap();
        let net = "2001:db8::/64".parse().unwrap();
        firewall.apply(&[Change::Add(host), Change::Add(net), Change::Add(host)]).unwrap();
        firewall.apply(&[Change::Remove(host), Change::Remove(host)]).unwrap();
        assert_eq!(firewall.list(0).unwrap(), TableListing::Complete { entries: vec![net], strange: 0 });
        drop(firewall);
        let told: Vec<u8> = receiver.into_iter().flatten().collect();
        assert_eq!(
            String::from_utf8(told).unwrap(),
            "would add 192.0.2.7 to table portcullis\n\
             would add 2001:db8::/64 to table portcullis\n\
             would remove 192.0.2.7 from table portcullis\n"
        );
    }

    #[test]
    fn a_closed_output_is_not_a_broken_firewall() {
        let (sender, receiver) = channel();
        drop(receiver);
        let mut firewall = DryRun::new("portcullis", Box::new(SentLines(sender)));
        assert_eq!(firewall.apply(&[Change::Add("192.0.2.7/32".parse().unwrap())]), Ok(()));
    }
}
