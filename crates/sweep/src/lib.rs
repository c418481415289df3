//! Studies: a base configuration and axes, expanded to runs with stable names,
//! and the executors that work through them as processes of one binary.

mod error;
pub mod slurm;

pub use error::SweepError;
