//! The text of a file: YAML nodes with positions, and diagnostics that show them.

pub(crate) mod diagnostic;
pub(crate) mod document;
pub(crate) mod source;
pub(crate) mod suggest;
pub(crate) mod yaml;
mod yaml_error;
