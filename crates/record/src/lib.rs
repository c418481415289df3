//! What runs and studies leave on disk, for those who write it and those who
//! read it. Nothing here knows of tensors.
//!
//! A run is a folder of [`Event`]s and a [`Summary`]. A study is a folder of
//! runs with the plan they follow ([`Study`]), the state of each ([`Status`])
//! and what each found on its test subjects ([`TestScores`], [`Outcome`]).

mod error;
mod events;
mod files;
mod study;
mod summary;
mod test;

pub use error::RecordError;
pub use events::{Event, LastIterations, read_events};
pub use files::{lock, read_json, read_lines, unix_time, write_json};
pub use study::{AxisValue, PlannedRun, State, Status, Study, StudyFolder};
pub use summary::Summary;
pub use test::{ClassRow, Outcome, Overlay, SubjectScores, TestScores, read_calibration};
