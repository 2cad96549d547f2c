//! The configuration file: read into a [`Config`], and kept to say where in it something is wrong.

use std::path::Path;

use super::file_kind;
use super::validate::{self, SettingFault};
use crate::config::reading::parse_config::parse_config;
use crate::config::reading::reader::Node;
use crate::config::settings::Config;
use crate::config::text::diagnostic::{Diagnostic, has_errors};
use crate::config::text::document::{Document, Faults};
use crate::rules::Severity;

/// A configuration file with what could be made of it.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// The settings of the file; defaults stand for what is missing and, where `usable` is false, for what is wrong.
    pub config: Config,
    /// Whether no error was found while reading.
    pub usable: bool,
    document: Document,
}

impl ConfigFile {
    /// Reads a file's bytes; `path` is only for the diagnostics.
    ///
    /// Without a file, the diagnostics say why; with one, they may still hold errors (`usable` tells) and warnings.
    pub fn read(path: &Path, bytes: &[u8]) -> (Option<Self>, Vec<Diagnostic>) {
        let document = match Document::read(path, bytes) {
            Ok(document) => document,
            Err(diagnostic) => return (None, vec![diagnostic]),
        };
        if document.is_empty() {
            let text = "the file is empty: every setting has its default";
            let diagnostic = Diagnostic::at(path, bytes, 0, Severity::Warning, text);
            return (Some(Self { config: Config::default(), usable: true, document }), vec![diagnostic]);
        }
        if let Some(diagnostic) = file_kind::rule_file(&document) {
            return (None, vec![diagnostic]);
        }
        let faults = Faults::default();
        let config = parse_config(&Node::root(&document, &faults));
        let mut diagnostics = document.diagnostics(faults);
        let is_read = !has_errors(&diagnostics);
        let file = config.map(|config| Self { config, usable: is_read, document }).map(|mut file| {
            diagnostics.extend(validate::check(&file.config).iter().filter_map(|fault| file.diagnose(fault)));
            diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
            file.usable = !has_errors(&diagnostics);
            file
        });
        (file, diagnostics)
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        self.document.path()
    }

    /// Whether the file has this key at its top.
    pub fn says(&self, key: &str) -> bool {
        self.document.has(key)
    }

    /// Locates a fault that was found in the configuration later.
    ///
    /// Where the file has errors, warnings are dropped: they may be about defaults in place of what is wrong.
    pub fn diagnose(&self, fault: &SettingFault) -> Option<Diagnostic> {
        let matters = self.usable || fault.severity == Severity::Error;
        matters.then(|| self.document.diagnostic(&fault.key_path, None, fault.severity, &fault.text))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::config::settings::Follow;
    use crate::settings::{BackendKind, FirewallSettings};

    fn read(text: &str) -> (Config, String) {
        let (file, diagnostics) = ConfigFile::read(Path::new("p.yaml"), text.as_bytes());
        let told: Vec<String> = diagnostics.iter().map(Diagnostic::to_string).collect();
        (file.unwrap().config, told.join("\n"))
    }

    /// What operators were promised from the beginning.
    const PROMISED: &str = "\
sources:                     # name: path, or name: {path: …, follow: …}; globs allowed, files may appear later
  auth: /var/log/auth.log
  messages: /var/log/messages
rules_dir: /usr/local/etc/portcullis/rules.d      # custom rule sets; one with a shipped name replaces it
rule_sets: [sshd, freebsd-tcp]                    # which are in force; default all shipped defaults plus rules_dir
defaults: {threshold: {offences: 5, within: 10m}, ban: {for: 1h, escalate: {factor: 2, max: 4w, forget: 30d}}}
override: {sshd: {threshold: {offences: 3, within: 10m}}}   # change a shipped set's numbers without copying it
allow: [192.0.2.0/24, 2001:db8::/48]
firewall: {backend: pf, table: portcullis}        # pf | ipfw | nftables | command | dry-run
state: /var/db/portcullis/state.db
control: {socket: /var/run/portcullis/portcullis.sock}
";

    #[test]
    fn the_configuration_that_was_promised_is_read_without_a_word() {
        let (config, told) = read(PROMISED);
        assert_eq!(told, "");
        assert_eq!(config.rule_sets.as_deref(), Some(&["sshd".to_owned(), "freebsd-tcp".to_owned()][..]));
        assert_eq!(
            (config.firewall.backend, config.firewall.table.as_str()),
            (BackendKind::Pf, "portcullis")
        );
        assert_eq!((config.allow.networks.len(), config.overrides[0].rule_set.as_str()), (2, "sshd"));
        let same = Config { rule_sets: None, overrides: Vec::new(), ..config };
        let allow = crate::config::Allow::default();
        let firewall = FirewallSettings { backend: BackendKind::DryRun, ..same.firewall.clone() };
        assert_eq!(
            Config { allow, firewall, ..same },
            Config::default(),
            "all else says what the defaults are"
        );
    }

    #[test]
    fn without_a_file_nothing_is_blocked() {
        let config = Config::default();
        assert_eq!(config.firewall.backend, BackendKind::DryRun);
        let paths: Vec<&str> = config.sources.iter().map(|source| source.path.as_str()).collect();
        assert_eq!(paths, ["/var/log/auth.log", "/var/log/messages"]);
    }

    #[test]
    fn an_empty_file_is_said_to_be_empty() {
        let (config, told) = read("# nothing yet\n");
        assert_eq!(config, Config::default());
        assert!(
            told.starts_with("p.yaml:1:1: warning: the file is empty: every setting has its default"),
            "{told}"
        );
    }

    #[test]
    fn a_source_is_a_path_or_a_mapping() {
        let (config, told) = read(
            "sources: {a: '/var/log/*.log', b: {path: /x, follow: poll}, c: '-'}\nhistory: {keep: 40d}\n",
        );
        assert_eq!(told, "");
        let follow: Vec<Follow> = config.sources.iter().map(|source| source.follow).collect();
        assert_eq!(follow, [Follow::Auto, Follow::Poll, Follow::Auto]);
        assert_eq!(config.history, Duration::from_secs(40 * 86_400));
    }

    proptest! {
        #[test]
        fn no_damage_to_a_good_file_makes_it_panic(
            damage in prop::collection::vec((0..PROMISED.len(), "[ \n:'\"{}\\[\\]&*!a1~-]{0,3}"), 1..4)
        ) {
            let mut bytes = PROMISED.as_bytes().to_vec();
            for (at, junk) in damage {
                let at = at.min(bytes.len());
                bytes.splice(at..(at + 1).min(bytes.len()), junk.bytes());
            }
            for diagnostic in ConfigFile::read(Path::new("x"), &bytes).1 {
                prop_assert!(!diagnostic.to_string().is_empty());
            }
        }
    }
}
