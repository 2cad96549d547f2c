//! Not built yet.
pub mod compressed;
pub mod rotations;
