//! A reload: new configuration and rules into force, nobody unbanned, nobody banned again.

use super::core::{Daemon, now};
use super::feed::Follower;
use super::setup::Setup;
use super::{logger, mapping};
use crate::address::Prefix;

impl Daemon {
    /// Takes a valid configuration into force and returns who is freed since it is allowed now.
    pub(super) fn take_over(&mut self, mut setup: Setup) -> Vec<Prefix> {
        logger::start(setup.config.log.to, setup.config.log.level);
        self.change_firewall(&setup);
        self.change_sources(&setup);
        let settings = mapping::engine_here(&setup.config, self.follower.sources());
        let freed = self.guard.engine.reload(settings, setup.policies(), now());
        self.guard.set_rules(setup.take_matcher());
        for key in
            [setup.config.state != self.setup.config.state, setup.config.control != self.setup.config.control]
        {
            if key {
                log::warn!("`state` and `control` take effect at the next start");
            }
        }
        self.setup = setup;
        self.free(&freed, "it is on the allow list now");
        self.firewall.converge();
        self.persist.hurry();
        freed
    }

    /// Another table or tool: the gate sees to it that it never opens.
    fn change_firewall(&mut self, setup: &Setup) {
        let settings = mapping::firewall(&setup.config, self.options.dry_run);
        let desired: Vec<Prefix> = self.guard.engine.bans().map(|ban| ban.offender).collect();
        if let Err(why) = self.firewall.replace(settings, desired, &self.sender) {
            log::error!("the firewall's new settings are not used: {why}");
        }
    }

    /// Other sources: the new follower goes on where the old one stopped.
    fn change_sources(&mut self, setup: &Setup) {
        let sources = mapping::sources(&setup.config, &self.options.files);
        if self.follower.follows(&sources) {
            return;
        }
        let (number, options) = (self.follower.number() + 1, mapping::follow_options(&setup.config));
        let clocks = setup.clocks(sources.len());
        match Follower::start(number, sources, &self.positions.all(), options, &self.sender) {
            Ok(follower) => {
                std::mem::replace(&mut self.follower, follower).stop();
                self.guard.set_sources(clocks);
            }
            Err(error) => log::error!("the new sources are not followed: {error}"),
        }
    }
}
