//! Studies: a base configuration and axes, expanded to runs with stable names,
//! checked and measured ([`Plan`], [`Estimate`]), the executors that work through
//! them as processes of one binary, and what each of these does ([`execute_run`]).

mod error;
mod estimate;
mod file;
mod folder;
mod grid;
mod kept;
mod local;
mod plan;
mod progress;
mod run;
mod slurm;

pub use error::StudyError;
pub use estimate::{Cost, Estimate, Range};
pub use file::{Executor, StudyFile};
pub use folder::{Held, Planned, settle};
pub use grid::{Axis, GridRun};
pub use kept::taken_over;
pub use local::{LocalSettings, execute as execute_locally};
pub use plan::{DatasetShape, Plan, differences};
pub use progress::{RunProgress, StudyProgress};
pub use run::{RunStep, execute_run};
pub use slurm::{SlurmSettings, check as check_slurm, execute as execute_on_slurm};
