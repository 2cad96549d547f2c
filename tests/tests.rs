//! All integration tests in one binary, so that it links once.

mod architecture;
mod cli_check;
mod cli_explain;
mod cli_generated;
mod cli_help;
mod cli_inputs;
mod cli_match;
mod cli_rules;
mod cli_scan;
mod contrib;
mod control;
mod fakes_strict;
mod fakes_support;
mod fakes_transcript;
mod firewall;
mod firewall_stand;
mod firewall_worker;
mod follow;
mod follow_model;
mod follow_scene;
mod follow_stop;
mod follow_thread;
mod follow_world;
mod golden;
mod store;
mod util;
