//! All integration tests in one binary, so that it links once.

mod architecture;
mod contrib;
mod fakes_strict;
mod fakes_support;
mod fakes_transcript;
mod firewall;
mod firewall_stand;
mod firewall_worker;
mod follow_model;
mod golden;
mod store;
