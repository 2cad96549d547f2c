//! A reload: new configuration and rules into force, nobody unbanned, nobody banned again.
//!
//! What the deciding thread cannot wait for is done in short-lived threads: reading the configuration, whose custom rules
//! are proven, and looking up this machine's addresses, for which route(8) may take seconds.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::core::{Daemon, now};
use super::event::Event;
use super::feed::FollowerThread;
use super::{logger, report};
use crate::address::Prefix;
use crate::config::{Allow, Config, Control};
use crate::control::reply::Reloaded;
use crate::control::{Answer, Answering, Code, Refusal, Reply};
use crate::printable::count;
use crate::rules::Severity;
use crate::setup::{Refused, Setup, local_addresses};

/// How often this machine's own addresses, gateways and resolvers are looked up again.
const OWN_ADDRESSES_EVERY: Duration = Duration::from_secs(300);

/// What a thread has read.
pub(super) struct ReloadResult {
    setup: Result<Setup, Refused>,
    own: Vec<Prefix>,
}

/// Reloads under way, and what holds until the next start.
pub(super) struct Reloads {
    /// Who waits for the one that is under way.
    running: Option<Vec<Answering>>,
    /// Who asked meanwhile: files may have changed since it began to read them.
    next: Option<Vec<Answering>>,
    /// The database and the socket are held as long as the daemon runs.
    held: (PathBuf, Control),
    /// When the last lookup of own addresses began.
    last_lookup: Instant,
    lookup_running: bool,
}

impl Reloads {
    pub(super) fn new(config: &Config) -> Self {
        let held = (config.state.clone(), config.control.clone());
        Self { running: None, next: None, held, last_lookup: Instant::now(), lookup_running: false }
    }

    /// What a configuration changes and a reload cannot.
    fn later(&self, config: &Config) -> Vec<String> {
        let (state, control) = &self.held;
        let mut later = Vec::new();
        if config.state != *state {
            later.push(format!(
                "`state` takes effect at the next start; {} is used until then",
                state.display()
            ));
        }
        if config.control != *control {
            let socket = control.socket.display();
            later.push(format!(
                "`control` takes effect at the next start; the daemon is reached with `--socket {socket}` until then"
            ));
        }
        later
    }
}

/// Allow files that name far fewer networks than before, as after a failed download or a slip of an editor: whoever is
/// missing in them may be banned from now on.
fn shrunk(before: &[(PathBuf, usize)], after: &[(PathBuf, usize)]) -> Vec<String> {
    let count_now = |path: &PathBuf| after.iter().find(|row| row.0 == *path).map(|row| row.1);
    let changed = before.iter().filter_map(|(path, before)| Some((path, *before, count_now(path)?)));
    let told = changed.filter(|(_, before, now)| *now * 2 < *before).map(|(path, before, now)| {
        let path = path.display();
        format!("the allow file {path} names fewer networks ({before} → {now}): whoever is missing may be banned now")
    });
    told.collect()
}

/// Says to the log and to whoever asked why nothing changed.
fn refuse(refused: &Refused) -> Refusal {
    report::diagnostics(&refused.0);
    let errors = count(refused.0.count(Severity::Error) as u64, "error");
    log::error!("{errors}: the running configuration stays; `portcullis check` shows them");
    Refusal::new(
        Code::Config,
        format!("the running configuration stays, since the new one has {errors}\n{refused}"),
    )
}

impl Daemon {
    /// Reads configuration and rules again in a thread, one at a time; whoever asked is answered then.
    pub(super) fn reload(&mut self, asker: Option<Answering>) {
        if self.reloads.running.is_some() {
            self.reloads.next.get_or_insert_default().extend(asker);
        } else {
            self.load(asker.into_iter().collect());
        }
    }

    fn load(&mut self, askers: Vec<Answering>) {
        let (file, sender, dry_run) =
            (self.options.config.clone(), self.sender.clone(), self.options.dry_run);
        let own_sets = self.setup.custom_sets.clone();
        let read = move || {
            let setup = Setup::load_to_run(file.as_deref(), dry_run, &own_sets);
            let allow = setup.as_ref().ok().filter(|_| !dry_run).map(|setup| &setup.config.allow);
            let own = allow.map(local_addresses::prefixes).unwrap_or_default();
            // At the end nobody listens any more.
            let _ = sender.send(Event::Loaded(Box::new(ReloadResult { setup, own })));
        };
        match thread::Builder::new().name("reload".to_owned()).spawn(read) {
            Ok(_) => self.reloads.running = Some(askers),
            Err(error) => {
                let why = format!("nothing was read again: the system has no thread left ({error})");
                log::error!("{why}");
                let refused = Refusal::new(Code::Failed, why);
                askers.into_iter().for_each(|asker| asker.send(Err(refused.clone())));
            }
        }
    }

    /// Takes over what was read; on any error the running set stays.
    pub(super) fn loaded(&mut self, loaded: ReloadResult) {
        let reply = self.finish_reload(loaded);
        let askers = self.reloads.running.take().unwrap_or_default();
        askers.into_iter().for_each(|asker| asker.send(reply.clone()));
        if let Some(askers) = self.reloads.next.take() {
            self.load(askers);
        }
    }

    fn finish_reload(&mut self, loaded: ReloadResult) -> Reply {
        let setup = loaded.setup.map_err(|refused| refuse(&refused))?;
        let mut later = self.reloads.later(&setup.config);
        later.extend(shrunk(&self.setup.allow_files, &setup.allow_files));
        self.own = loaded.own;
        let freed = self.apply(setup);
        report::diagnostics(&self.setup.warnings);
        later.iter().for_each(|warning| log::warn!("{warning}"));
        log::info!("reloaded: {} in force", count(self.setup.sets.len() as u64, "rule set"));
        let warnings = self.setup.warnings.iter().map(ToString::to_string).chain(later).collect();
        Ok(Answer::Reloaded(Reloaded {
            rule_sets: self.setup.sets.iter().map(|set| set.set.name.clone()).collect(),
            sources: self.setup.config.sources.iter().map(|source| source.name.clone()).collect(),
            freed,
            warnings,
        }))
    }

    /// A gateway or an own address may change while we run.
    pub(super) fn look_up_own_addresses(&mut self) {
        let reloads = &mut self.reloads;
        if self.options.dry_run
            || reloads.lookup_running
            || reloads.last_lookup.elapsed() < OWN_ADDRESSES_EVERY
        {
            return;
        }
        reloads.last_lookup = Instant::now();
        let (allow, sender) = (self.setup.config.allow.clone(), self.sender.clone());
        let look = move || {
            let found = local_addresses::prefixes(&allow);
            let _ = sender.send(Event::Own(Box::new(allow), found));
        };
        // Without a thread it is tried again in some minutes.
        reloads.lookup_running = thread::Builder::new().name("own addresses".to_owned()).spawn(look).is_ok();
    }

    /// Takes them over, unless another configuration wants others by now.
    pub(super) fn own_addresses_found(&mut self, allow: &Allow, found: Vec<Prefix>) {
        self.reloads.lookup_running = false;
        if *allow == self.setup.config.allow {
            self.own = found;
            self.free_the_allowed("it is an address of this machine, its gateway or its resolver now");
        }
    }

    /// Frees whoever may not be banned, as the allow list stands.
    pub(super) fn free_the_allowed(&mut self, why: &str) {
        let settings = self.engine_settings(&self.setup);
        let freed = self.pipeline.engine.settings_changed(settings, now());
        self.free(&freed, why);
    }
}

impl Daemon {
    /// Takes a valid configuration into force and returns who is freed since it is allowed now.
    pub(super) fn apply(&mut self, mut setup: Setup) -> Vec<Prefix> {
        logger::start(setup.log_to(self.options.dry_run), setup.config.log.level);
        self.change_firewall(&setup);
        self.change_sources(&setup);
        let settings = self.engine_settings(&setup);
        let freed = self.pipeline.engine.reload(settings, setup.policies(), now());
        self.pipeline.set_rules(setup.take_matcher(), |number| self.streams.terms_of(number, &setup));
        self.persist.set_keep(setup.retention());
        self.setup = setup;
        self.free(&freed, "it is on the allow list now");
        self.firewall.converge();
        self.persist.hurry();
        freed
    }

    /// Another table or tool: the old table goes on blocking until the new one is in step.
    fn change_firewall(&mut self, setup: &Setup) {
        let settings = setup.firewall(self.options.dry_run);
        let desired: Vec<Prefix> = self.pipeline.engine.bans().map(|ban| ban.offender).collect();
        if let Err(why) = self.firewall.replace(settings, desired, &self.sender) {
            log::error!("the firewall's new settings are not used: {why}");
        }
    }

    /// Other sources: the new follower goes on where the old one stopped.
    fn change_sources(&mut self, setup: &Setup) {
        let sources = setup.followed(&self.options.files);
        let (number, options) = (self.follower.number() + 1, setup.follow_options());
        let stamps = setup.stamp_formats();
        if self.follower.follows(&sources, options, &stamps) {
            return;
        }
        match FollowerThread::start(number, sources, &self.positions.all(), options, stamps, &self.sender) {
            Ok(follower) => std::mem::replace(&mut self.follower, follower).stop(),
            Err(error) => log::error!("the new sources are not followed: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allow_file_that_lost_most_of_its_networks_is_told_of_and_one_that_is_named_no_more_is_not() {
        let files = |counts: &[(&str, usize)]| -> Vec<(PathBuf, usize)> {
            counts.iter().map(|(path, count)| (PathBuf::from(path), *count)).collect()
        };
        let before = files(&[("/a", 12), ("/b", 12), ("/c", 12), ("/d", 0)]);
        let told = shrunk(&before, &files(&[("/a", 0), ("/b", 6), ("/d", 0), ("/e", 0)]));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("the allow file /a names fewer networks (12 → 0)"), "{told:?}");
    }
}
