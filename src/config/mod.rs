//! The configuration and the rule files: read into plain values, with every fault and its place in the file.
//!
//! ```text
//! text      bytes of a file become YAML nodes with positions, and faults become diagnostics with a caret
//! reading   nodes become settings, rules and samples; every key is known, every fault is noted
//! meaning   files are found, trusted and put together; the whole is checked for what cannot be
//! ```
//!
//! Each drawer uses those above it. [`load()`] reads everything that a command needs; [`RuleFile`] and [`ConfigFile`] read
//! one file from its bytes.

pub mod defaults;
mod meaning;
mod reading;
mod settings;
mod text;

pub use meaning::allow_file::read_allow_file;
pub use meaning::config_file::ConfigFile;
pub use meaning::extension::extend_all;
pub use meaning::file_permissions::{FileTrust, read_trusted, rule_files};
pub use meaning::load::{Loaded, LoadedRules, Shipped, load, load_settings, load_to_try, read_rule_file};
pub use meaning::resolve::{Available, ResolvedSet, resolve};
pub use meaning::rule_file::RuleFile;
pub use meaning::shipped::SHIPPED;
pub use meaning::validate::{SettingFault, keys};
pub use reading::reader::MAX_DURATION;
pub use settings::{
    Allow, Config, Control, Follow, LogSettings, LogTo, Override, SetDefaults, SourceSettings,
};
pub use text::diagnostic::{Diagnostic, Diagnostics};
pub use text::document::PathSegment;
pub use text::source::MAX_FILE;
pub use text::suggest::or_near;
