//! The firewall's tool, run for the brain.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::guard::Guard;
use crate::firewall::{Backend, BackendError};
use crate::privileges::channel::Channel;
use crate::privileges::message::{FirewallAnswer, FirewallCall};

/// Drives one table in a thread of its own, until the brain lets go of the channel.
pub(super) fn serve(
    channel: Channel,
    mut backend: Box<dyn Backend>,
    guard: Arc<Mutex<Guard>>,
) -> io::Result<()> {
    let run = move || {
        let served = channel.serve(|call| {
            let answer = carry_out(call, &mut *backend, &guard);
            (answer.unwrap_or_else(FirewallAnswer::Failed), Vec::new())
        });
        if let Err(error) = served {
            log::error!("the firewall is driven no more: {error}");
        }
    };
    thread::Builder::new().name("arm firewall".to_owned()).spawn(run).map(drop)
}

fn carry_out(
    call: FirewallCall,
    backend: &mut dyn Backend,
    guard: &Mutex<Guard>,
) -> Result<FirewallAnswer, BackendError> {
    let guard = || guard.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    match call {
        FirewallCall::Prepare => backend.prepare().map(FirewallAnswer::Notes),
        FirewallCall::Apply(changes) => {
            guard().check(&changes, now)?;
            backend.apply(&changes).map(|()| FirewallAnswer::Done)
        }
        FirewallCall::List(wanted) => {
            backend.list(usize::try_from(wanted).unwrap_or(usize::MAX)).map(FirewallAnswer::Listed)
        }
        FirewallCall::Missing(wanted) => backend.missing(&wanted).map(FirewallAnswer::Missing),
        FirewallCall::Glance(sure) => backend.glance(&sure).map(FirewallAnswer::IsThere),
        FirewallCall::Replace(all) => {
            guard().check_table(&all, now)?;
            backend.replace(&all).map(|()| FirewallAnswer::Done)
        }
        FirewallCall::AfterAdd(prefix) => {
            guard().check_one(&prefix)?;
            backend.after_add(&prefix).map(|()| FirewallAnswer::Done)
        }
    }
}
