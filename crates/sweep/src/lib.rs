//! Studies: a base configuration and axes, expanded to runs with stable names,
//! and the executors that work through them as processes of one binary.

mod error;
mod grid;
mod local;
mod plan;
mod slurm;
mod study;

pub use error::SweepError;
pub use grid::{Axis, GridRun};
pub use local::{LocalSettings, execute as execute_locally};
pub use plan::{Held, Planned, settle};
pub use slurm::{SlurmSettings, check as check_slurm, execute as execute_on_slurm};
pub use study::{Executor, StudyFile};
