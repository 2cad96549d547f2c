//! A reload: new configuration and rules, read by a thread of their own.
//!
//! The deciding thread cannot wait for custom rules to be proven, nor for route(8), which may take seconds to tell this
//! machine's gateways.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use super::event::{Event, ReloadResult};
use crate::address::Prefix;
use crate::config::{Allow, Config, Control, Privilege};
use crate::control::reply::Reloaded;
use crate::control::{Answering, Code, Refusal, Reply};
use crate::printable::count;
use crate::privileges::Privileges;
use crate::rules::Severity;
use crate::setup::{Refused, Setup, logger};

/// How often this machine's own addresses, gateways and resolvers are looked up again.
const LOOKUP_EVERY: Duration = Duration::from_secs(300);

/// Reloads under way, one at a time.
pub(super) struct Reloads {
    privileges: Arc<dyn Privileges>,
    sender: SyncSender<Event>,
    /// Whoever waits for the one that is under way.
    running: Option<Vec<Answering>>,
    /// Whoever asked meanwhile: files may have changed since it began to read them.
    next: Option<Vec<Answering>>,
    /// The database that is held as long as the daemon runs.
    state: PathBuf,
    /// How many processes were wanted at the start.
    processes: Privilege,
    /// The socket that is held as long as the daemon runs, and who may use it.
    control: Control,
}

impl Reloads {
    pub(super) fn new(privileges: Arc<dyn Privileges>, config: &Config, sender: SyncSender<Event>) -> Self {
        let state = config.state.clone();
        let control = config.control.clone();
        let processes = config.privileges;
        Self { privileges, sender, running: None, next: None, state, processes, control }
    }

    /// Reads configuration and rules again; whoever asked is answered then.
    pub(super) fn request(&mut self, asker: Option<Answering>, in_force: &Setup) {
        if self.running.is_some() {
            self.next.get_or_insert_default().extend(asker);
        } else {
            self.start(asker.into_iter().collect(), in_force);
        }
    }

    /// Answers whoever waited for the reload, and begins the next one if somebody asked meanwhile.
    pub(super) fn finish(&mut self, reply: &Reply, in_force: &Setup) {
        for asker in self.running.take().unwrap_or_default() {
            asker.send(reply.clone());
        }
        if let Some(askers) = self.next.take() {
            self.start(askers, in_force);
        }
    }

    fn start(&mut self, askers: Vec<Answering>, in_force: &Setup) {
        let privileges = Arc::clone(&self.privileges);
        let sender = self.sender.clone();
        let custom_sets = in_force.custom_sets.clone();
        let read = move || {
            let result = read(&*privileges, &custom_sets);
            // At the end nobody listens any more.
            let _ = sender.send(Event::Loaded(Box::new(result)));
        };
        match thread::Builder::new().name("reload".to_owned()).spawn(read) {
            Ok(_) => self.running = Some(askers),
            Err(error) => {
                let why = format!("nothing was read again: the system has no thread left ({error})");
                log::error!("{why}");
                let refusal = Refusal::new(Code::Failed, why);
                askers.into_iter().for_each(|asker| asker.send(Err(refusal.clone())));
            }
        }
    }

    /// What a configuration changes and a reload cannot.
    pub(super) fn not_in_force(&self, config: &Config) -> Vec<String> {
        let mut warnings = Vec::new();
        if config.state != self.state {
            warnings.push(format!(
                "`state` takes effect at the next start; {} is used until then",
                self.state.display()
            ));
        }
        if config.privileges != self.processes {
            warnings.push("`privileges` takes effect at the next start".to_owned());
        }
        if config.control != self.control {
            warnings.push(format!(
                "`control` takes effect at the next start; the daemon is reached with `--socket {}` until then",
                self.control.socket.display()
            ));
        }
        warnings
    }
}

fn read(privileges: &dyn Privileges, custom_sets: &[String]) -> ReloadResult {
    let setup = privileges.load(custom_sets).and_then(|setup| match privileges.adopt() {
        Ok(()) => Ok(setup),
        Err(why) => Err(Refused::because(setup.file.as_deref(), why)),
    });
    let own_addresses = match &setup {
        Ok(setup) => privileges.own_addresses(&setup.config.allow),
        Err(_) => Vec::new(),
    };
    ReloadResult { setup, own_addresses }
}

/// Says in the log, and in the refusal to whoever asked, why nothing changed.
pub(super) fn refuse(refused: &Refused) -> Refusal {
    logger::diagnostics(&refused.0);
    let errors = count(refused.0.count(Severity::Error) as u64, "error");
    log::error!("{errors}: the running configuration stays; `portcullis check` shows them");
    Refusal::new(
        Code::Config,
        format!("the running configuration stays, since the new one has {errors}\n{refused}"),
    )
}

/// Says in the log what is in force now, and gives the same as an answer.
pub(super) fn report(setup: &Setup, freed: Vec<Prefix>, warnings: Vec<String>) -> Reloaded {
    logger::diagnostics(&setup.warnings);
    warnings.iter().for_each(|warning| log::warn!("{warning}"));
    log::info!("reloaded: {} in force", count(setup.sets.len() as u64, "rule set"));
    Reloaded {
        rule_sets: setup.sets.iter().map(|set| set.set.name.clone()).collect(),
        sources: setup.config.source_names().map(str::to_owned).collect(),
        freed,
        warnings: setup.warnings.iter().map(ToString::to_string).chain(warnings).collect(),
    }
}

/// Warnings about allow files that name far fewer networks than before, as after a failed download or a slip of an editor:
/// whoever is missing in them may be banned from now on. Each file comes with the number of its networks.
pub(super) fn shrunk_files(before: &[(PathBuf, usize)], after: &[(PathBuf, usize)]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (path, before) in before {
        let Some((_, after)) = after.iter().find(|(other, _)| other == path) else { continue };
        if after * 2 < *before {
            warnings.push(format!(
                "the allow file {} names fewer networks ({before} → {after}): whoever is missing may be banned now",
                path.display()
            ));
        }
    }
    warnings
}

/// Addresses of this machine and its surroundings, which nobody bans. A gateway or an own address may change while we run.
pub(super) struct OwnAddresses {
    /// As they were looked up last; none in a dry run.
    pub(super) found: Vec<Prefix>,
    pub(super) is_looking_up: bool,
    last_lookup: Instant,
}

impl OwnAddresses {
    /// Those that were looked up just now.
    pub(super) fn new(found: Vec<Prefix>) -> Self {
        Self { found, is_looking_up: false, last_lookup: Instant::now() }
    }

    /// Has them looked up again every few minutes.
    pub(super) fn look_up_if_due(
        &mut self,
        privileges: &Arc<dyn Privileges>,
        allow: &Allow,
        sender: &SyncSender<Event>,
    ) {
        if self.is_looking_up || self.last_lookup.elapsed() < LOOKUP_EVERY {
            return;
        }
        self.last_lookup = Instant::now();
        let privileges = Arc::clone(privileges);
        let allow = allow.clone();
        let sender = sender.clone();
        let look_up = move || {
            let found = privileges.own_addresses(&allow);
            // At the end nobody listens any more.
            let _ = sender.send(Event::OwnAddresses(Box::new(allow), found));
        };
        // Without a thread it is tried again in some minutes.
        self.is_looking_up = thread::Builder::new().name("own addresses".to_owned()).spawn(look_up).is_ok();
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
        let told = shrunk_files(&before, &files(&[("/a", 0), ("/b", 6), ("/d", 0), ("/e", 0)]));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("the allow file /a names fewer networks (12 → 0)"), "{told:?}");
    }
}
