//! Train, predict, evaluate: what is written, and that predictions return to
//! the grid of their input.

#[path = "../harness/mod.rs"]
mod harness;

mod geometry;
mod probabilities;
mod training;
mod written_files;
