//! The firewall, driven by the arm.

use std::path::Path;

use crate::address::Prefix;
use crate::firewall::{Backend, BackendError, Change, Limits, TableListing};
use crate::privileges::channel::Channel;
use crate::privileges::message::{FirewallAnswer, FirewallCall};

/// A backend that the arm has as well. What needs no tool is asked of this one.
pub(super) struct RemoteBackend {
    here: Box<dyn Backend>,
    arm: Channel,
}

impl RemoteBackend {
    pub(super) fn new(here: Box<dyn Backend>, arm: Channel) -> Self {
        Self { here, arm }
    }

    fn call(&self, call: &FirewallCall) -> Result<FirewallAnswer, BackendError> {
        match self.arm.call(call) {
            Ok((FirewallAnswer::Failed(failure), _)) => Err(failure),
            Ok((answer, _)) => Ok(answer),
            Err(error) => Err(BackendError::Broken(error.to_string())),
        }
    }

    fn done(&self, call: &FirewallCall) -> Result<(), BackendError> {
        match self.call(call)? {
            FirewallAnswer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(answer: &FirewallAnswer) -> BackendError {
    BackendError::Broken(format!("the process with root's rights answers {answer:?}"))
}

impl Backend for RemoteBackend {
    fn name(&self) -> &'static str {
        self.here.name()
    }

    fn programs(&self) -> Vec<&Path> {
        self.here.programs()
    }

    fn prepare(&mut self) -> Result<Vec<String>, BackendError> {
        match self.call(&FirewallCall::Prepare)? {
            FirewallAnswer::Notes(notes) => Ok(notes),
            other => Err(unexpected(&other)),
        }
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        self.done(&FirewallCall::Apply(changes.to_vec()))
    }

    fn list(&mut self, wanted: usize) -> Result<TableListing, BackendError> {
        match self.call(&FirewallCall::List(wanted as u64))? {
            FirewallAnswer::Listed(listing) => Ok(listing),
            other => Err(unexpected(&other)),
        }
    }

    fn missing(&mut self, wanted: &[Prefix]) -> Result<Vec<Prefix>, BackendError> {
        match self.call(&FirewallCall::Missing(wanted.to_vec()))? {
            FirewallAnswer::Missing(missing) => Ok(missing),
            other => Err(unexpected(&other)),
        }
    }

    fn glance(&mut self, sure: &Prefix) -> Result<bool, BackendError> {
        match self.call(&FirewallCall::Glance(*sure))? {
            FirewallAnswer::IsThere(is_there) => Ok(is_there),
            other => Err(unexpected(&other)),
        }
    }

    fn replace(&mut self, all: &[Prefix]) -> Result<(), BackendError> {
        self.done(&FirewallCall::Replace(all.to_vec()))
    }

    fn after_add(&mut self, prefix: &Prefix) -> Result<(), BackendError> {
        self.done(&FirewallCall::AfterAdd(*prefix))
    }

    fn limits(&self) -> Limits {
        self.here.limits()
    }
}
