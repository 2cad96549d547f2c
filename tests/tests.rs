//! All integration tests in one binary, so that it links once.
#![allow(clippy::disallowed_macros, reason = "a test may end when nobody reads what it says")]

mod architecture;
mod cli_check;
mod cli_check_here;
mod cli_explain;
mod cli_generated;
mod cli_help;
mod cli_inputs;
mod cli_match;
mod cli_rules;
mod cli_scan;
mod contrib;
mod control;
mod corpora;
mod doctor;
mod e2e;
mod equality;
mod fakes_strict;
mod fakes_support;
mod fakes_transcript;
mod firewall;
mod firewall_stand;
mod firewall_worker;
mod follow;
mod follow_merge;
mod follow_model;
mod follow_scene;
mod follow_stop;
mod follow_thread;
mod follow_world;
mod golden;
mod lines;
mod readme;
mod scenarios;
mod store;
mod util;
