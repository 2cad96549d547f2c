//! All integration tests in one binary, so that it links once.

mod follow;
mod follow_model;
mod follow_world;
