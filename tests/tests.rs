//! All integration tests in one binary, so that it links once.

mod follow;
mod follow_model;
mod follow_scene;
mod follow_stop;
mod follow_thread;
mod follow_world;
