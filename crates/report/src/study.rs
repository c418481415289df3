//! The report of a study: its tables and figures.

mod cells;
mod names;
mod results;
mod table;

pub use cells::{Cells, Site};
pub use results::{Ending, RunResult, StudyResults, Training};
pub use table::{Cell, Column, StudyTable};
