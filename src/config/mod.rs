//! The configuration and the rule files: read into plain values, with every fault and its place in the file.
//!
//! What a YAML file passes on its way to settings:
//!
//! 1. [`load()`] finds it; `meaning/file_permissions` opens it and asks who else may replace it.
//! 2. `text/source` takes the bytes for text, `text/yaml` makes nodes with positions of it, `text/document` keeps both.
//! 3. `reading/parse_config` or `reading/rule_set` takes it key by key (`reading/keys`), value by value (`reading/reader`).
//!    Whatever is wrong is noted with its node, and reading goes on with the default, so that all faults are found at once.
//! 4. `meaning/validate` looks at settings that do not fit each other; [`ConfigFile`] and [`RuleFile`] keep the document
//!    to show later findings in it as well.
//! 5. `meaning/resolve` chooses the rule sets in force and applies `override`; `meaning/feeding` binds them to sources.
//! 6. `text/diagnostic` prints faults as `FILE:LINE:COLUMN`, the line and a caret.
//!
//! Three drawers in one direction, text ← reading ← meaning, held by `tests/architecture.rs`.

pub mod defaults;
mod meaning;
mod reading;
mod settings;
mod text;

pub use meaning::config_file::ConfigFile;
pub use meaning::extension::extend_all;
pub use meaning::feeding::{are_apart, reads_for};
pub use meaning::file_permissions::{FileTrust, read_trusted, rule_files};
pub use meaning::load::{Loaded, load, load_settings, load_to_try, read_rule_file, shipped_beside};
pub use meaning::resolve::ResolvedSet;
pub use meaning::rule_file::{LoadedRules, RuleFile, Shipped};
pub use meaning::shipped::SHIPPED;
pub use meaning::site::{PathKind, Recorder, Recording, Site, ThisMachine};
pub use meaning::validate::{SettingFault, keys};
pub use reading::allow_file::read_allow_file;
pub use reading::reader::MAX_DURATION;
pub use settings::{
    Allow, BanOverride, Config, Control, Follow, JournalSettings, LogSettings, LogTo, Override, Privilege,
    SetDefaults, SourceSettings,
};
pub use text::diagnostic::{Diagnostic, Diagnostics};
pub use text::document::PathSegment;
pub use text::source::MAX_FILE;
pub use text::suggest::or_near;
