//! What the operator wrote: the configuration and the rule files, read into plain values with perfect diagnostics.
//!
//! [`load()`] reads everything that a command needs; [`RuleFile`] and [`ConfigFile`] read one file from its bytes.

mod allow_file;
mod config_file;
pub mod defaults;
mod diagnostic;
mod document;
mod extension;
mod fail2ban;
mod feeding;
mod firewall;
mod json_rule;
mod keys;
mod kind;
mod load;
pub mod paths;
mod policy;
mod reader;
mod resolve;
mod rule;
mod rule_file;
mod rule_set;
mod sections;
mod settings;
mod shipped;
mod suggest;
mod text;
mod time_spec;
mod trusted;
mod validate;
mod yaml;
mod yaml_error;
mod zone;

pub use allow_file::read_allow_file;
pub use config_file::ConfigFile;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use document::PathSegment;
pub use extension::extend_all;
pub use load::{Loaded, LoadedRules, Shipped, load, load_settings, load_to_try, read_rule_file};
pub use reader::LONGEST_SPAN;
pub use resolve::{Available, ResolvedSet, resolve};
pub use rule_file::RuleFile;
pub use settings::{
    Allow, Config, Control, Follow, LogSettings, LogTo, Override, SetDefaults, SourceSettings,
};
pub use shipped::SHIPPED;
pub use suggest::or_near;
pub use text::LONGEST_FILE;
pub use trusted::{FileTrust, read_trusted, rule_files};
pub use validate::{SettingFault, keys};
