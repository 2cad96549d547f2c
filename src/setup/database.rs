//! The place of the database: where the configuration says, or where the process without rights has it.

use std::path::{Path, PathBuf};

use crate::files::directory_of;

/// The name of the directory that belongs to the process without rights.
const DIRECTORY: &str = "db";

/// The path where two processes run; `state` is the configured one.
pub(crate) fn of_the_brain(state: &Path) -> PathBuf {
    let name = state.file_name().unwrap_or_default();
    directory_of(state).join(DIRECTORY).join(name)
}

/// The path as it is now.
pub(crate) fn present(state: &Path) -> PathBuf {
    let separate = of_the_brain(state);
    if directory_of(&separate).is_dir() && !state.exists() { separate } else { state.to_owned() }
}
