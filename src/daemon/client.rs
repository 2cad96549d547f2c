//! Asking the daemon that runs with a configuration.

use crate::config::Config;
use crate::control::{Answer, Client, ClientError, Request};
use crate::store::Lock;

/// Asks at the configured socket; where nobody listens, the database's lock says whether the daemon runs all the same.
///
/// # Errors
/// When there is no answer, or the daemon refuses.
pub fn ask(config: &Config, request: &Request) -> Result<Answer, ClientError> {
    let answer = Client::connect(&config.control.socket).and_then(|client| client.ask(request));
    answer.map_err(|failure| match Lock::holder(&config.state) {
        Some(pid) => failure.though_it_runs(pid),
        None => failure,
    })
}
