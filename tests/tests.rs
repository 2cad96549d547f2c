//! All integration tests in one binary, so that it links once.

mod architecture;
mod contrib;
mod corpora;
mod equality;
mod lines;
mod scenarios;
