//! All integration tests in one binary, so that it links once.

mod firewall;
mod firewall_stand;
mod firewall_worker;
