//! What the operator wrote.
mod diagnostic;
mod shipped;
mod text;
mod yaml;
mod yaml_error;

pub use diagnostic::{Diagnostic, Diagnostics};
mod defaults; mod document; mod paths; mod policy; mod reader; mod rule; mod rule_file; mod rule_set; mod settings; mod suggest;
