//! A reload: new configuration and rules into force, nobody unbanned, nobody banned again.

use super::core::{Daemon, now};
use super::feed::Follower;
use super::setup::Setup;
use super::{logger, start};
use crate::address::Prefix;

impl Daemon {
    /// Takes a valid configuration into force and returns who is freed since it is allowed now.
    pub(super) fn apply(&mut self, mut setup: Setup) -> Vec<Prefix> {
        logger::start(setup.log_to(self.options.dry_run), setup.config.log.level);
        self.change_firewall(&setup);
        self.change_sources(&setup);
        let settings = self.engine_settings(&setup);
        let freed = self.pipeline.engine.reload(settings, setup.policies(), now());
        self.pipeline.set_rules(setup.take_matcher(), |number| self.streams.terms_of(number, &setup));
        self.persist.set_keep(start::keep(&setup));
        self.setup = setup;
        self.free(&freed, "it is on the allow list now");
        self.firewall.converge();
        self.persist.hurry();
        freed
    }

    /// Another table or tool: the gate sees to it that it never opens.
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
        if self.follower.follows(&sources, options) && setup.stamps_alike(&self.setup) {
            return;
        }
        match Follower::start(
            number,
            sources,
            &self.positions.all(),
            options,
            setup.stamp_readers(),
            &self.sender,
        ) {
            Ok(follower) => std::mem::replace(&mut self.follower, follower).stop(),
            Err(error) => log::error!("the new sources are not followed: {error}"),
        }
    }
}
