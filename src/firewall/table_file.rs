//! The table as a file, for the time between a boot and the daemon's start, and for reloads of the firewall's own rules:
//! `pf.conf`, the ipfw script and `nftables.conf` read it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::nftables;
use super::{ipfw, pf};
use crate::address::{self, Prefix};
use crate::files::{exposure, write_whole};
use crate::settings::{BackendKind, FirewallSettings};

/// The first line of every such file.
const HEAD: &str = "# The bans in force, for the time before Portcullis runs. Portcullis writes this file: no other changes stay.\n";

/// How a firewall reads the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableFile {
    /// One prefix a line: pf.conf(5) `table <NAME> persist file "…"`, and the ipfw script.
    Plain {
        /// How many prefixes it may hold: a `pfctl -f` that takes fewer loads no rules at all.
        most: usize,
    },
    /// Commands of nft(8), which make the table as well.
    Nft {
        /// The name of the table.
        table: String,
    },
}

impl TableFile {
    /// The names of all such files; they stand beside the database.
    pub const NAMES: [&'static str; 2] = ["pf.table", "table.nft"];

    /// The one that the settings' firewall reads; `None` where there is no such firewall.
    pub fn of(settings: &FirewallSettings) -> Option<Self> {
        match settings.backend {
            BackendKind::Pf => Some(Self::Plain { most: pf::REPLACE }),
            BackendKind::Ipfw => Some(Self::Plain { most: ipfw::IN_A_SCRIPT }),
            BackendKind::Nftables => Some(Self::Nft { table: settings.table.clone() }),
            BackendKind::Command | BackendKind::DryRun => None,
        }
    }

    /// The name of the file, which stands beside the database.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain { .. } => Self::NAMES[0],
            Self::Nft { .. } => Self::NAMES[1],
        }
    }

    /// The number of prefixes that the file may hold.
    pub fn most(&self) -> usize {
        match self {
            Self::Plain { most } => *most,
            Self::Nft { .. } => usize::MAX,
        }
    }

    /// Its text for these prefixes, each of which occurs once.
    pub fn text(&self, prefixes: &[Prefix]) -> String {
        match self {
            Self::Plain { .. } => plain(prefixes),
            Self::Nft { table } => HEAD.to_owned() + &nftables::script(table, prefixes),
        }
    }

    /// The text of a plain file that blocks nobody: `pf.conf` may name the file, and does not load without it.
    pub fn nobody() -> String {
        plain(&[])
    }
}

fn plain(prefixes: &[Prefix]) -> String {
    let mut text = String::with_capacity(HEAD.len() + prefixes.len() * 20);
    text.push_str(HEAD);
    for prefix in prefixes {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{}", address::display(prefix));
    }
    text
}

/// Writes the file into this directory, and takes the bans out of a file that another firewall read: they would come back with it.
///
/// # Errors
/// An error with the name of the file, also where somebody else may replace it.
pub fn save_table(directory: &Path, format: Option<&TableFile>, prefixes: &[Prefix]) -> io::Result<()> {
    let at = |name: &str| directory.join(name);
    if let Some(format) = format {
        put(&at(format.name()), &format.text(prefixes))?;
    }
    let [plain, nft] = TableFile::NAMES;
    let is_other = |name: &str| format.is_none_or(|format| format.name() != name) && at(name).exists();
    if is_other(plain) && fs::read_to_string(at(plain)).ok() != Some(TableFile::nobody()) {
        // pf.conf may name it, and does not load without it.
        put(&at(plain), &TableFile::nobody())?;
    }
    if is_other(nft) {
        ours(&at(nft)).and_then(|()| fs::remove_file(at(nft))).map_err(|error| named(&at(nft), &error))?;
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    ours(path).and_then(|()| write_whole(path, text)).map_err(|error| named(path, &error))
}

/// Fails where somebody else may replace the file.
fn ours(path: &Path) -> io::Result<()> {
    exposure(path)?.map_or(Ok(()), |exposure| Err(io::Error::other(exposure)))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the table's file {} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(backend: BackendKind) -> Option<TableFile> {
        TableFile::of(&FirewallSettings { backend, ..FirewallSettings::default() })
    }

    #[test]
    fn every_firewall_that_reads_files_has_one() {
        let names = BackendKind::ALL.map(|(_, backend)| of(backend).map(|file| file.name()));
        assert_eq!(names, [Some("pf.table"), Some("pf.table"), Some("table.nft"), None, None]);
    }

    #[test]
    fn a_plain_file_is_a_comment_and_one_prefix_a_line() {
        let prefixes = ["192.0.2.7/32", "198.51.100.0/24", "2001:db8::/64"].map(|text| text.parse().unwrap());
        let text = of(BackendKind::Pf).unwrap().text(&prefixes);
        let (head, rest) = text.split_once('\n').unwrap();
        assert!(head.starts_with("# ") && head.len() < 256, "pfctl reads words of up to 256 bytes");
        assert_eq!(rest, "192.0.2.7\n198.51.100.0/24\n2001:db8::/64\n");
        assert_eq!(TableFile::nobody(), format!("{head}\n"));
    }

    #[test]
    fn the_file_of_nft_makes_the_table_as_well() {
        let text = of(BackendKind::Nftables).unwrap().text(&["192.0.2.0/24".parse().unwrap()]);
        assert!(text.contains("add table inet portcullis\n"), "{text}");
        assert!(text.contains("add element inet portcullis v4_24 { 192.0.2.0, }\n"), "{text}");
    }

    #[test]
    fn another_firewall_finds_no_bans_in_the_file_of_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let [plain, nft] = TableFile::NAMES.map(|name| dir.path().join(name));
        let prefixes = ["192.0.2.7/32".parse().unwrap()];
        let formats = [TableFile::Plain { most: 9 }, TableFile::Nft { table: "bl".to_owned() }].map(Some);
        let [of_pf, of_nft] = &formats;
        save_table(dir.path(), of_pf.as_ref(), &prefixes).unwrap();
        assert!(fs::read_to_string(&plain).unwrap().ends_with("\n192.0.2.7\n") && !nft.exists());
        save_table(dir.path(), of_nft.as_ref(), &prefixes).unwrap();
        assert!(fs::read_to_string(&nft).unwrap().contains("{ 192.0.2.7, }"));
        assert_eq!(fs::read_to_string(&plain).unwrap(), TableFile::nobody(), "pf.conf still loads");
        save_table(dir.path(), None, &[]).unwrap();
        assert!(plain.exists() && !nft.exists());
    }
}
