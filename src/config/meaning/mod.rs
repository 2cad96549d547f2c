//! From files to what a command runs with: found, trusted, put together, and checked for what cannot be.

pub(crate) mod config_file;
pub(crate) mod extension;
pub(crate) mod feeding;
pub(crate) mod file_kind;
pub(crate) mod file_permissions;
pub(crate) mod load;
pub(crate) mod resolve;
pub(crate) mod rule_file;
pub(crate) mod shipped;
pub(crate) mod site;
pub(crate) mod validate;
