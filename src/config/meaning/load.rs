//! Everything that a command needs, from the disk: the configuration, the rule sets, the allowed networks.

use std::path::{Path, PathBuf};

use super::config_file::ConfigFile;
use super::extension::extend_all;
use super::feeding;
use super::file_permissions::{FileTrust, read_trusted};
use super::resolve::{ResolvedSet, resolve};
use super::rule_file::{LoadedRules, RuleFile, Shipped};
use super::site::{PathKind, Site, ThisMachine};
use super::validate::{SettingFault, keys};
use crate::config::defaults;
use crate::config::reading::allow_file::{MAX_ALLOW_FILE, read_allow_file};
use crate::config::settings::{Config, JournalSettings, SourceSettings};
use crate::config::text::diagnostic::{Diagnostic, Diagnostics};
use crate::config::text::source::MAX_FILE;
use crate::rules::{Fault, Place, Severity};
use crate::settings::JOURNAL;

/// The files that a command needs, and all diagnostics about them.
///
/// Where `diagnostics` has errors, the rest serves only to find more of them.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The configuration, with the networks of the allow files.
    pub config: Config,
    /// The shipped rule files, then the operator's own in the order of their names.
    pub rules: Vec<LoadedRules>,
    /// The diagnostics, in the order in which the files were read.
    pub diagnostics: Diagnostics,
    /// The allow files that were read, and how many networks each names.
    pub allow_files: Vec<(PathBuf, usize)>,
    /// Whether `rules` ends with files that were named to be tried; these alone are in force then.
    pub is_trial: bool,
    config_file: Option<ConfigFile>,
}

/// Reads the configuration and the rule files it leads to.
///
/// With no file named, the usual one is read if there is one; else everything has its default. `trust` is for
/// configuration, rule files and allow files alike.
pub fn load(site: &dyn Site, file: Option<&Path>, shipped: &[Shipped], trust: FileTrust) -> Loaded {
    let mut loaded = Loaded::default();
    loaded.read_config(site, file, trust);
    loaded.choose_sources(site);
    loaded.read_allow_files(site, trust);
    loaded.read_rules_dir(site, trust);
    loaded.read_shipped(shipped);
    extend_all(&mut loaded.rules, &mut loaded.diagnostics);
    loaded.diagnostics.sort();
    loaded
}

/// Reads the configuration and, in place of the rule files it leads to, those that are named: they alone are in force.
///
/// Shipped sets are there to be compared with, as `check` compares a rule file that it is given. Of the
/// configuration's choice of sets, for itself and for its sources, and changes to them, only the changes to sets that were
/// named matter.
pub fn load_to_try(file: Option<&Path>, named: &[PathBuf], shipped: &[Shipped], trust: FileTrust) -> Loaded {
    let mut loaded = Loaded { is_trial: true, ..Loaded::default() };
    loaded.read_config(&ThisMachine, file, trust);
    loaded.read_allow_files(&ThisMachine, trust);
    for path in named {
        loaded.rules.extend(read_rule_file(path, &mut loaded.diagnostics));
        loaded.complain_about_name();
    }
    let known = shipped_beside(&loaded.rules, shipped);
    loaded.rules.splice(..0, known.into_iter().map(|rules| LoadedRules { by_default: false, ..rules }));
    extend_all(&mut loaded.rules, &mut loaded.diagnostics);
    let is_named = |name: &str| loaded.rules.iter().any(|rules| rules.custom && rules.file.set.name == name);
    loaded.config.overrides.retain(|change| is_named(&change.rule_set));
    loaded.config.rule_sets = None;
    loaded.config.sources.iter_mut().for_each(|source| source.rule_sets = None);
    loaded.diagnostics.sort();
    loaded
}

/// The shipped sets with which rule files are compared: those in force by default, and those that a file extends; all where
/// that one is unknown, to say which was meant.
pub fn shipped_beside(files: &[LoadedRules], shipped: &[Shipped]) -> Vec<LoadedRules> {
    let extended: Vec<&str> = files.iter().filter_map(|rules| rules.file.extends.as_deref()).collect();
    used(&extended, files, shipped).into_iter().filter_map(|shipped| shipped.read().0).collect()
}

/// The shipped sets that are in force by default or named; all where a name is unknown.
fn used<'s>(named: &[&str], own: &[LoadedRules], shipped: &'s [Shipped]) -> Vec<&'s Shipped> {
    let is_own = |name: &str| own.iter().any(|rules| rules.file.set.name == name);
    let is_known = |name: &&str| is_own(name) || shipped.iter().any(|one| one.name() == *name);
    let has_unknown = !named.iter().all(is_known);
    let is_named = |one: &Shipped| named.iter().any(|name| *name == one.name());
    shipped.iter().filter(|one| one.by_default || has_unknown || is_named(one)).collect()
}

/// Reads a rule file that the operator named: it is checked or tried, not put in force, so whoever may change it does no
/// harm.
pub fn read_rule_file(path: &Path, told: &mut Diagnostics) -> Option<LoadedRules> {
    let bytes = read_trusted(path, MAX_FILE, FileTrust::Advised, told)?;
    let (file, found) = RuleFile::read(path, &bytes);
    told.extend(found);
    Some(LoadedRules { file: file?, custom: true, by_default: true })
}

/// Reads the configuration alone, for those who only need a path in it.
pub fn load_settings(file: Option<&Path>, trust: FileTrust) -> Loaded {
    let mut loaded = Loaded::default();
    loaded.read_config(&ThisMachine, file, trust);
    loaded
}

impl Loaded {
    /// The configuration file that was read; `None` for the built-in defaults.
    pub fn file(&self) -> Option<&Path> {
        self.config_file.as_ref().map(ConfigFile::path)
    }

    /// Whether the configuration file has this key at its top.
    pub fn says(&self, key: &str) -> bool {
        self.config_file.as_ref().is_some_and(|file| file.says(key))
    }

    /// The sets in force; `origin` of each is its place in `rules`. What is wrong with the choice of sets and the
    /// changes to them goes to the diagnostics. Sources that follow a log of a set's name are bound to it, and those that are
    /// made of the `logs` of sets are added to the configured ones.
    pub fn resolve(&mut self, site: &dyn Site) -> Vec<ResolvedSet> {
        let (sets, faults) = resolve(&self.config, &self.rules);
        self.diagnose(&faults);
        let adopted = feeding::adopt_logs_of_the_same_name(&mut self.config, &sets);
        self.diagnose(&adopted);
        let made = feeding::sources_of_sets(&self.config, &sets, |log| site.has_log(log));
        self.config.sources.extend(made);
        sets
    }

    /// Adds what is wrong with the way in which the sets in force are fed by the sources: where the logs are followed, a
    /// set that sees no line is a mistake.
    pub fn check_feeding(&mut self, site: &dyn Site, sets: &[ResolvedSet]) {
        let is_custom = |origin: usize| self.rules[origin].custom;
        let faults = feeding::faults(&self.config, sets, is_custom, |log| site.has_log(log));
        self.diagnose(&faults);
    }

    /// Adds what was found in the configuration later.
    pub fn diagnose(&mut self, faults: &[SettingFault]) {
        let told = faults.iter().filter_map(|fault| match &self.config_file {
            Some(file) => file.diagnose(fault),
            None => Some(Diagnostic::whole(&defaults::config_file(), fault.severity, fault.text.clone())),
        });
        self.diagnostics.extend(told);
    }

    fn read_config(&mut self, site: &dyn Site, file: Option<&Path>, trust: FileTrust) {
        let usual = defaults::config_file();
        if file.is_none() && site.kind(&usual) == PathKind::Missing {
            return;
        }
        let path = file.unwrap_or(&usual);
        let Some(bytes) = site.read(path, MAX_FILE, trust, &mut self.diagnostics) else { return };
        let (file, told) = ConfigFile::read(path, &bytes);
        self.diagnostics.extend(told);
        if let Some(file) = &file {
            self.config = file.config.clone();
        }
        self.config_file = file;
    }

    /// On Linux, where nobody says what is followed: the usual logs if one of them is there, or else the systemd journal.
    fn choose_sources(&mut self, site: &dyn Site) {
        if !cfg!(target_os = "linux") || self.says("sources") {
            return;
        }
        let is_there = |source: &SourceSettings| site.has_log(&source.path);
        if self.config.sources.iter().any(is_there) {
            return;
        }
        let red_hats = SourceSettings::at("auth", defaults::RED_HAT_LOG);
        if is_there(&red_hats) {
            self.config.sources = vec![red_hats];
        } else if site.has_journal() {
            self.config.sources = vec![SourceSettings::of_journal(JOURNAL, JournalSettings::default())];
        }
    }

    fn read_allow_files(&mut self, site: &dyn Site, trust: FileTrust) {
        for path in self.config.allow.files.clone() {
            let bytes = site.read(&path, MAX_ALLOW_FILE, trust, &mut self.diagnostics);
            let Some(bytes) = bytes else { continue };
            let (networks, told) = read_allow_file(&path, &bytes);
            if networks.is_empty() && told.is_empty() {
                let text = "the file names no network, so it allows nobody";
                self.diagnostics.extend([Diagnostic::whole(&path, Severity::Warning, text.to_owned())]);
            }
            self.allow_files.push((path, networks.len()));
            self.config.allow.networks.extend(networks);
            self.diagnostics.extend(told);
        }
    }

    /// What is in force by default or named: a set that nobody uses costs nothing. All of them where a name is unknown, to
    /// say which one was meant.
    fn read_shipped(&mut self, shipped: &[Shipped]) {
        let named: Vec<&str> = self.named_sets().collect();
        let (rules, told): (Vec<_>, Vec<_>) =
            used(&named, &self.rules, shipped).into_iter().map(Shipped::read).unzip();
        self.diagnostics.extend(told.into_iter().flatten());
        self.rules.splice(..0, rules.into_iter().flatten());
    }

    /// The sets that the configuration puts into force, asks or changes, and those that rule files extend.
    fn named_sets(&self) -> impl Iterator<Item = &str> {
        let config = &self.config;
        let asked = config.sources.iter().flat_map(|source| source.rule_sets.iter().flatten());
        let chosen = config.rule_sets.iter().flatten().chain(asked);
        let serving = config.blocklists.iter().flat_map(|source| source.services.iter().map(|(_, set)| set));
        let changed = config.overrides.iter().map(|change| &change.rule_set);
        let extended = self.rules.iter().filter_map(|rules| rules.file.extends.as_ref());
        chosen.chain(serving).chain(changed).chain(extended).map(String::as_str)
    }

    fn read_rules_dir(&mut self, site: &dyn Site, trust: FileTrust) {
        let directory = self.config.rules_dir.clone();
        let kind = site.kind(&directory);
        if *directory != defaults::rules_dir() && kind == PathKind::Missing {
            self.complain_about_rules_dir(
                Severity::Warning,
                "there is none: no rule set of your own is in force",
            );
        } else if kind == PathKind::Other {
            self.complain_about_rules_dir(
                Severity::Error,
                "it is a file: name the directory that holds your rule files",
            );
            return;
        }
        let paths: Vec<PathBuf> = site.rule_files(&directory, trust, &mut self.diagnostics);
        for path in paths {
            let Some(bytes) = site.read(&path, MAX_FILE, trust, &mut self.diagnostics) else {
                continue;
            };
            let (file, told) = RuleFile::read(&path, &bytes);
            self.diagnostics.extend(told);
            self.rules.extend(file.map(|file| LoadedRules { file, custom: true, by_default: true }));
            self.complain_about_name();
        }
    }

    /// Complains at the key that names the directory, or about the default directory itself.
    fn complain_about_rules_dir(&mut self, severity: Severity, what: &str) {
        let directory = &self.config.rules_dir;
        let text = format!("`rules_dir` names {} as a directory, but {what}", directory.display());
        let diagnostic = match &self.config_file {
            Some(file) => file.diagnose(&SettingFault { severity, key_path: keys(&["rules_dir"]), text }),
            None => Some(Diagnostic::whole(directory, severity, text)),
        };
        self.diagnostics.extend(diagnostic);
    }

    /// Two files of one name: neither of them can be meant more than the other.
    fn complain_about_name(&mut self) {
        let Some((LoadedRules { file, .. }, others)) = self.rules.split_last() else { return };
        let name = &file.set.name;
        let same =
            others.iter().find(|other| other.custom && other.file.set.name == *name && !name.is_empty());
        if let Some(LoadedRules { file: first, .. }) = same {
            let text = format!("{} has the name `{name}` already", first.path().display());
            let fault = Fault::error(Place::Key("name"), text);
            self.diagnostics.push(file.diagnose(&fault));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;
    use crate::rules::BanLength;

    const SHIPPED: [Shipped; 2] = [
        Shipped { path: "rules/mini.yaml", text: MINI, by_default: true },
        Shipped { path: "rules/kern.yaml", text: KERN, by_default: false },
    ];
    const MINI: &str = "{version: 1, name: mini, about: x, program: mini, rules: [{id: a, pattern: ^a$, means: x}, \
                        {id: b, pattern: ^b$, means: x, enabled: false}]}";
    const KERN: &str = "{version: 1, name: kern, about: x, program: kernel, evidence: spoofable, \
                        rules: [{id: a, pattern: ^a$, means: x}]}";

    /// A directory with a configuration that begins with its own `rules_dir`.
    fn site(config: &str, rules: &[(&str, &str)]) -> (TempDir, PathBuf) {
        let site = tempfile::tempdir().unwrap();
        fs::set_permissions(site.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let file = site.path().join("portcullis.yaml");
        fs::write(&file, format!("rules_dir: {}\n{config}", site.path().display())).unwrap();
        for (name, text) in rules {
            fs::write(site.path().join(name), text).unwrap();
        }
        fs::rename(&file, site.path().join("portcullis.conf")).unwrap();
        let file = site.path().join("portcullis.conf");
        (site, file)
    }

    /// The sets in force and all that was said, without the directory's name.
    fn loaded(config: &str, rules: &[(&str, &str)]) -> (Loaded, Vec<ResolvedSet>, String) {
        let (site, file) = site(config, rules);
        let mut loaded = load(&ThisMachine, Some(&file), &SHIPPED, FileTrust::Advised);
        let sets = loaded.resolve(&ThisMachine);
        let told = loaded.diagnostics.to_string().replace(&format!("{}/", site.path().display()), "");
        (loaded, sets, told)
    }

    fn names(sets: &[ResolvedSet]) -> Vec<&str> {
        sets.iter().map(|set| set.set.name.as_str()).collect()
    }

    #[test]
    fn shipped_defaults_and_all_custom_sets_are_in_force() {
        let own = MINI.replace("name: mini", "name: own");
        let (_, sets, told) = loaded("", &[("own.yaml", &own)]);
        assert_eq!((names(&sets), told.as_str()), (vec!["mini", "own"], ""));
        let (_, sets, _) = loaded("rule_sets: [kern, mini]\n", &[("own.yaml", &own)]);
        assert_eq!(names(&sets), ["kern", "mini"]);
    }

    #[test]
    fn a_shipped_set_that_nothing_names_is_not_even_read() {
        let shipped = [SHIPPED[0], Shipped { text: "{no rule file", ..SHIPPED[1] }];
        let sets = |config: &str| {
            let (_site, file) = site(config, &[]);
            let mut loaded = load(&ThisMachine, Some(&file), &shipped, FileTrust::Advised);
            (loaded.resolve(&ThisMachine).len(), loaded.diagnostics.has_errors())
        };
        assert_eq!(sets(""), (1, false));
        assert_eq!(sets("rule_sets: [mini]\noverride: {mini: {disable: [a]}}\n"), (1, false));
        assert!(sets("rule_sets: [kern]\n").1, "it is read where it is named");
        assert!(sets("sources: {a: {path: /a.log, rule_sets: [kern]}}\n").1);
    }

    #[test]
    fn sets_for_raw_lines_are_apart_where_each_has_sources_of_its_own() {
        let raw = |name: &str| {
            let program = format!("name: {name}, about: x, format: raw");
            MINI.replace("name: mini, about: x, program: mini", &program)
        };
        let are_apart = |sources: &str| {
            let (loaded, sets, _) = loaded(sources, &[("one.yaml", &raw("one")), ("two.yaml", &raw("two"))]);
            let set = |name: &str| &sets.iter().find(|set| set.set.name == name).unwrap().set;
            feeding::are_apart(&loaded.config, set("one"), set("two"))
        };
        let apart = "sources: {a: {path: /a.log, rule_sets: [one]}, b: {path: /b.log, rule_sets: [two]}}\n";
        assert!(are_apart(apart));
        assert!(!are_apart("sources: {a: {path: /a.log, rule_sets: [one, two]}}\n"));
        assert!(!are_apart("sources: {a: {path: /a.log, rule_sets: [one]}}\n"), "two may be for any log");
    }

    #[test]
    fn a_custom_set_replaces_the_shipped_one_of_its_name() {
        let own = MINI.replace("about: x", "about: mine");
        let (_, sets, told) = loaded("", &[("own.yaml", &own)]);
        assert_eq!((sets[0].set.about.as_str(), sets.len(), told.as_str()), ("mine", 1, ""));
        let (_, _, told) = loaded("", &[("a.yaml", &own), ("b.yaml", &own)]);
        assert!(
            told.starts_with("b.yaml:1:20: error: ") && told.contains("a.yaml has the name `mini` already"),
            "{told}"
        );
    }

    #[test]
    fn overrides_change_numbers_and_rules() {
        let config = "override: {mini: {threshold: {offences: 3, within: 1m}, enable: [b], disable: [a]}}\n";
        let (_, sets, told) = loaded(config, &[]);
        let enabled: Vec<bool> = sets[0].set.rules.iter().map(|rule| rule.enabled).collect();
        assert_eq!(
            (sets[0].threshold.shortest().offences, enabled, told.as_str()),
            (3, vec![false, true], "")
        );
        assert_eq!(sets[0].ban, defaults::BAN);
    }

    #[test]
    fn the_usual_numbers_do_not_apply_where_addresses_may_be_forged() {
        let config =
            "rule_sets: [kern]\ndefaults: {threshold: {offences: 1, within: 1m}, ban: {for: forever}}\n";
        let (_, sets, _) = loaded(config, &[]);
        assert!(sets[0].threshold.shortest().offences >= 20 && sets[0].ban.length != BanLength::Forever);
        let (_, _, told) = loaded(config, &[]);
        for place in [
            "portcullis.conf:3:23: warning: not for kern: there `threshold` is",
            "portcullis.conf:3:55: warning",
        ] {
            assert!(told.contains(place), "{place}: {told}");
        }
        let (_, _, told) = loaded("rule_sets: [kern, mini]\ndefaults: {ban: {for: 2h}}\n", &[]);
        assert!(told.contains("warning: not for kern: there `ban` is"), "mini takes it: {told}");
        let (_, _, told) = loaded("rule_sets: [kern]\noverride: {kern: {ban: {for: forever}}}\n", &[]);
        assert!(told.contains("error: a ban on spoofable evidence cannot be permanent"), "{told}");
    }

    #[test]
    fn unknown_names_are_shown_where_they_stand() {
        let config = "rule_sets: [mini, kren]\noverride:\n  mini: {enable: [c]}\n  mimi: {}\n  kern: {}\n";
        let (_, _, told) = loaded(config, &[]);
        for line in [
            "portcullis.conf:2:19: error: there is no rule set `kren`, did you mean `kern`?",
            "portcullis.conf:4:19: error: `mini` has no rule `c`; known are `a` and `b`",
            "portcullis.conf:5:3: error: there is no rule set `mimi`, did you mean `mini`?",
            "portcullis.conf:6:3: warning: the rule set `kern` is not in force: this has no effect",
        ] {
            assert!(told.contains(line), "{line}: {told}");
        }
    }

    #[test]
    fn the_faults_of_all_files_are_told() {
        let (loaded, _, told) =
            loaded("stat: /x\n", &[("a.yaml", "version: 1\n"), ("b.yaml", "}"), ("c.yaml", MINI)]);
        for start in ["portcullis.conf:2:1: error", "a.yaml:1:1: error", "b.yaml:1:1: error"] {
            assert!(told.contains(start), "{start}: {told}");
        }
        assert!(loaded.diagnostics.has_errors() && !told.contains("c.yaml"));
    }

    #[test]
    fn networks_of_files_are_allowed_too() {
        let (site, file) = site("", &[("ours.txt", "192.0.2.0/24\n"), ("bad.txt", "x\n")]);
        let list = format!(
            "allow: [2001:db8::1, {{file: {0}/ours.txt}}, {{file: {0}/bad.txt}}]\n",
            site.path().display()
        );
        fs::write(&file, list).unwrap();
        let loaded = load(&ThisMachine, Some(&file), &[], FileTrust::Advised);
        assert_eq!(loaded.file(), Some(&*file));
        assert_eq!(loaded.config.allow.networks.len(), 2);
        assert!(loaded.diagnostics.to_string().contains("bad.txt:1:1: error: `x` is not an address"));
    }

    #[test]
    fn a_configuration_that_was_named_must_exist() {
        let loaded = load(&ThisMachine, Some(Path::new("/no/such.yaml")), &SHIPPED, FileTrust::Required);
        assert_eq!(loaded.diagnostics.to_string(), "/no/such.yaml: error: there is no such file\n");
    }
}
