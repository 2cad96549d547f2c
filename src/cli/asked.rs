//! The rule sets that a command asks: those in force, or those of the rule files that were named.

use super::args::{ConfigArgs, TrialArgs};
use super::exit::{Exit, Failure};
use crate::setup::Setup;

/// Reads the configuration, and the rule files that are named or else those in force.
pub(super) fn setup(config: &ConfigArgs, trial: &TrialArgs) -> Result<Setup, Failure> {
    let file = config.config.as_deref();
    if trial.rules.is_empty() {
        return Ok(Setup::load(file)?);
    }
    Setup::load_to_try(file, &trial.rules).map_err(|refused| {
        let text = "nothing was asked, since there are errors in the rule files or in the configuration";
        Failure::new(Exit::Config, format!("{text}\n{refused}"))
    })
}
